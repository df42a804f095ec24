//! Collects refusals through the public functions and proves that each is what PostgreSQL's users
//! know: a short sentence, and a hint, however long the input was. Tests only.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::Refusal;
use crate::akismet::{Feedback, Key, Options, Request, Target};
use crate::checks::CHECKS;
use crate::lists::{List, ListKind, validate_entry};
use crate::mapping::{Article, Column, ColumnKind, Mapping, Status, Subscriber, Table};
use crate::options::{OptionKind, OptionValues};
use crate::patterns::Patterns;
use crate::policy::{Backing, validate_check_setting, validate_policy};
use crate::submission::Submission;
use crate::{pattern, presets};

/// The longest primary message.
const LONGEST: usize = 400;

/// Refusals, each with what brought it about.
type Cases = Vec<(String, Refusal)>;

fn keep<T>(cases: &mut Cases, about: impl Into<String>, result: Result<T, Refusal>) {
    let about = about.into();
    match result {
        Ok(_) => panic!("{about} is not refused"),
        Err(refusal) => cases.push((about, refusal)),
    }
}

fn policies(text: &str) -> Cases {
    let mut cases = Cases::new();
    for column in ["mode", "on_error", "on_reject", "log_to", "keep", "reject_sqlstate"] {
        for value in [json!(text), json!(null), json!(7), json!([text])] {
            keep(&mut cases, column, validate_policy(&json!({ column: value })));
        }
    }
    for column in ["moderate_at", "spam_at", "reject_at"] {
        for value in [json!(0), json!(-2), json!(1e7), json!("NaN"), json!(text), json!(true)] {
            keep(&mut cases, column, validate_policy(&json!({ column: value })));
        }
    }
    for row in [
        json!({"name": "  "}),
        json!({"name": null}),
        json!({"types": text}),
        json!({"types": ["a", " "]}),
        json!({"types": {"a": text}}),
        json!({"mail_to": [text]}),
        json!({"mail_to": text}),
        json!({"notify_channel": ""}),
        json!({"notify_channel": format!("{text}{}", "a".repeat(64))}),
    ] {
        keep(&mut cases, "policy", validate_policy(&row));
    }
    cases
}

fn checks(text: &str) -> Cases {
    let mut cases = Cases::new();
    let none = json!({});
    keep(&mut cases, "unknown check", validate_check_setting(text, "spam", &none));
    for check in CHECKS {
        let (name, action) = (check.name(), check.action().name());
        for wrong in [text, "error", "off", ""] {
            keep(&mut cases, name, validate_check_setting(name, wrong, &none));
        }
        for options in [json!(text), json!([text]), json!(7), json!({ text: 1 })] {
            keep(&mut cases, name, validate_check_setting(name, action, &options));
        }
        for option in check.options() {
            let mut wrong = vec![json!(-1e18), json!([{ text: text }]), json!({ text: {} })];
            if !option.kind.may_be_null() {
                wrong.push(Json::Null);
            }
            for value in wrong {
                let about = format!("{name}.{} {value:.80}", option.name);
                let options = json!({ option.name: value });
                keep(&mut cases, about, validate_check_setting(name, action, &options));
            }
        }
    }
    keep(&mut cases, "allow", validate_check_setting("links", "allow", &none));
    for options in [
        json!({"mode": text}),
        json!({"blog": text}),
        json!({"send": {text: true}}),
        json!({"send": {"ip": text}}),
        json!({"comment_type": {text: null}}),
        json!({"comment_type": {text: [text]}}),
        json!({"give_up_after": " "}),
    ] {
        keep(&mut cases, "akismet", Options::parse(&options));
    }
    cases
}

/// Every list is one of words, or none.
struct OneKind(ListKind);

impl Backing for OneKind {
    fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
        if name == "none" {
            return Err(format!("there is no list \"{name}\""));
        }
        let entry = if self.0 == ListKind::Ip { "192.0.2.7" } else { "word" };
        Ok(Rc::new(List::compile(self.0, &mut [entry].into_iter()).unwrap()))
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        Err(format!("no interval: {text}"))
    }
}

fn lists(text: &str) -> Cases {
    let mut cases = Cases::new();
    for (kind, entry) in [
        (ListKind::Word, "\u{200B} ".to_owned()),
        (ListKind::Word, "a ".repeat(65)),
        (ListKind::Regex, String::new()),
        (ListKind::Regex, format!("({text}")),
        (ListKind::Regex, format!("{text}*****[")),
        (ListKind::Regex, format!("{text}(?=b)")),
        (ListKind::Regex, format!(r"(a){text}\1")),
        (ListKind::Regex, r"\w{9999}".to_owned()),
        (ListKind::Ip, text.to_owned()),
        (ListKind::Ip, "192.0.2.0/33".to_owned()),
        (ListKind::Ip, format!("2001:db8::/{text}")),
        (ListKind::Domain, format!("http://{text}/")),
        (ListKind::Word, format!("{text}{}", "a".repeat(2001))),
        (ListKind::Ip, format!("{text}{}", "a".repeat(2001))),
    ] {
        let about = format!("{} {entry:.80}", kind.name());
        keep(&mut cases, about, validate_entry(kind, &entry));
    }
    for entry in [format!("({text}"), format!("{text}(?!b)"), "x{1000}{1000}{1000}".into()] {
        keep(&mut cases, "pattern", pattern::validate(&entry));
    }
    keep(&mut cases, "patterns", Patterns::compile(&mut [text, "(b"].into_iter()));
    for check in CHECKS {
        for option in check.options() {
            let OptionKind::Lists(takes) = option.kind else { continue };
            let compile = |list: &str, kind: ListKind| {
                let options = json!({ option.name: [list] });
                let options = OptionValues::read(check.name(), check.options(), &options);
                check.compile(&options.unwrap(), &mut OneKind(kind))
            };
            let place = format!("{}.{}", check.name(), option.name);
            assert!(compile("other", takes).is_ok(), "{place}");
            for kind in [ListKind::Word, ListKind::Regex, ListKind::Ip, ListKind::Domain] {
                for list in ["none", text] {
                    let refused = compile(list, kind).err();
                    assert_eq!(refused.is_some(), list == "none" || kind != takes, "{place}");
                    cases.extend(refused.map(|refusal| (place.clone(), refusal)));
                }
            }
        }
    }
    cases
}

fn table() -> Table {
    let column = |name: &str, type_name: &str, kind: ColumnKind| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        kind,
        labels: Vec::new(),
        generated: name == "made",
        not_null: name == "shown",
        default: None,
    };
    let mut mood = column("mood", "public.mood", ColumnKind::Enum);
    mood.labels = (0..100).map(|number| format!("mood {number}")).collect();
    Table {
        schema: "public".to_owned(),
        name: "comments".to_owned(),
        columns: vec![
            column("id", "integer", ColumnKind::Integer),
            column("body", "text", ColumnKind::Text),
            column("word", "text", ColumnKind::Text),
            mood,
            column("level", "smallint", ColumnKind::Integer),
            column("rank", "numeric", ColumnKind::Number),
            column("shown", "boolean", ColumnKind::Boolean),
            column("gone_at", "timestamp with time zone", ColumnKind::Time),
            column("day", "date", ColumnKind::Date),
            column("doc", "jsonb", ColumnKind::Json),
            column("made", "text", ColumnKind::Text),
        ],
        checks: vec!["CHECK ((word = ANY (ARRAY['a'::text, 'b'::text])))".to_owned()],
        key: vec!["id".to_owned()],
        partition_key: vec!["day".to_owned()],
    }
}

fn statuses(text: &str) -> Cases {
    let mut cases = Cases::new();
    for form in [
        json!(text),
        json!({"column": [text]}),
        json!({"column": text}),
        json!({"column": text, "ham": "x"}),
        json!({"column": "word", text: "x"}),
        json!({"ham": text}),
        json!({"ham": {}}),
        json!({"column": "word", "ham": {text: text}}),
        json!({"ham": {text: [text]}}),
        json!({"column": "mood", "ham": text}),
        json!({"column": "mood", "ham": "mod 7"}),
        json!({"column": "word", "ham": text}),
        json!({"column": "word", "ham": "A"}),
        json!({"column": "level", "ham": text}),
        json!({"column": "level", "ham": 40000}),
        json!({"column": "rank", "ham": text}),
        json!({"column": "shown", "ham": text}),
        json!({"ham": {"shown": null}}),
        json!({"column": "word", "ham": "$now"}),
        json!({"column": "gone_at", "ham": text}),
        json!({"column": "doc", "ham": text}),
        json!({"column": "day", "ham": "$now"}),
        json!({"column": "id", "ham": 1}),
        json!({"column": "made", "ham": text}),
    ] {
        keep(&mut cases, format!("status {form:.80}"), Status::given(&form, &table()));
    }
    let mut untold = table();
    "status".clone_into(&mut untold.columns[2].name);
    keep(&mut cases, "untold status", Status::find(&untold));
    cases
}

fn mappings(text: &str) -> Cases {
    let mut cases = Cases::new();
    let table = table();
    for given in [
        json!(text),
        json!({ text: "body" }),
        json!({"boddy": "body"}),
        json!({ "body": text }),
        json!({"body": "boddy"}),
        json!({"body": "made"}),
        json!({"body": {text: text}}),
        json!({"body": [text, 7]}),
        json!({"fields": 7}),
        json!({"email": {"table": text, "key": ["a", "b"], "from": "id", "column": "c"}}),
        json!({"email": {"table": text, "key": "a", "from": text, "column": "c"}}),
    ] {
        let about = format!("columns {given:.80}");
        keep(&mut cases, about, Mapping::find(&table).merge(&given, &table));
    }
    keep(&mut cases, "nothing to judge", Mapping::default().check(&table));
    for given in [
        json!(text),
        json!({ text: 1 }),
        json!({"table": text, "key": "id"}),
        json!({"table": [text], "key": "id", "from": "id"}),
        json!({"table": text, "key": [], "from": "id"}),
        json!({"table": text, "key": "id", "from": text}),
        json!({"table": text, "key": ["a", "b"], "from": "id"}),
        json!({"table": text, "key": "id", "from": "id", "titel": text}),
        json!({"table": text, "key": "id", "from": "id", "column": "c", "subscribed": [text],
               "unsubscribed": 0}),
    ] {
        keep(&mut cases, format!("article {given:.80}"), Article::given(&given, &table));
        keep(&mut cases, format!("subscriber {given:.80}"), Subscriber::given(&given, &table));
    }
    cases
}

fn others(text: &str) -> Cases {
    let mut cases = Cases::new();
    keep(&mut cases, "preset", presets::find(text));
    keep(&mut cases, "submission", Submission::from_json(&json!([text])));
    keep(&mut cases, "submission", Submission::from_json(&json!({ text: 1 })));
    let target = Target { key: Key::new("k"), blog: text.into(), lang: None };
    let options = Options::parse(&json!({})).unwrap();
    for submission in [json!({"ip": "192.0.2.7"}), json!({ "body": text })] {
        let feedback = Feedback::default();
        let report = Request::feedback(&target, &submission, &options, true, &feedback);
        keep(&mut cases, "feedback", report);
    }
    cases
}

fn is_sentence(text: &str) -> bool {
    text.ends_with(['.', '?'])
        && !text.ends_with("..")
        && text.starts_with(|first: char| first.is_uppercase() || !first.is_alphabetic())
}

#[test]
fn every_refusal_is_a_short_sentence_with_a_hint() {
    for text in ["xyzzy", "Ж", &"<q\u{301} ".repeat(20_000)] {
        for collect in [policies, checks, lists, statuses, mappings, others] {
            for (about, refusal) in collect(text) {
                let Refusal { message, detail, hint } = &refusal;
                let Some(hint) = hint else { panic!("no hint for {about}: {message}") };
                assert!(message.chars().count() < LONGEST, "{about}: {message:.900}");
                assert!(!message.ends_with(['.', '?', '!']), "{about}: {message}");
                assert!(!message.starts_with(char::is_uppercase), "{about}: {message}");
                for more in detail.iter().chain([hint]) {
                    assert!(is_sentence(more), "{about}: {more}");
                    assert!(more.chars().count() < 2 * LONGEST, "{about}: {more:.900}");
                }
            }
        }
    }
}

#[test]
fn input_is_repeated_up_to_a_hundred_characters() {
    let hundred = "ж".repeat(100);
    assert_eq!(Refusal::quote(&hundred), format!("\"{hundred}\""));
    assert_eq!(Refusal::quote(&format!("{hundred}ж")), format!("\"{hundred}…\""));
    assert_eq!(Refusal::shown(&json!(format!("{hundred}ж"))), format!("\"{hundred}…\""));
    assert_eq!(Refusal::shown(&json!(["a", 7])), "[\"a\",7]");
    let array = Refusal::shown(&json!(vec![1; 60]));
    assert!(array.starts_with("[1,1,") && array.ends_with('…'), "{array}");
    assert_eq!(array.chars().count(), 101);
}
