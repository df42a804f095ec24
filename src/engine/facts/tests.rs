//! Proves what facts say about odd values: cut texts, addresses, times, types, roles, notes.

use super::*;
use crate::submission::Remote;
use proptest::prelude::*;
use serde_json::json;
use std::cell::Cell;

fn with(json: Json, max_chars: usize, test: impl Fn(&Facts<'_>)) {
    let submission = Submission::from_json(&json).unwrap();
    test(&Facts::new(&submission, max_chars, 0));
}

fn kind(given: &str) -> String {
    let submission = Submission::from_json(&json!({ "type": given })).unwrap();
    Facts::new(&submission, 100, 0).kind().to_owned()
}

#[test]
fn texts_are_cut_at_characters_and_say_so() {
    let json = json!({"body": "äöüß", "title": "abc", "fields": {"city": "München"}});
    with(json, 3, |facts| {
        assert_eq!(facts.text(Field::Body), Some("äöü"));
        assert!(facts.truncated(Field::Body) && !facts.truncated(Field::Title));
        assert_eq!(facts.text(Field::Title), Some("abc"));
        assert_eq!(facts.text(Field::Author), None);
        let city = facts.texts(Field::Fields).next().unwrap();
        assert_eq!((city.name().as_str(), city.text, city.truncated), ("fields.city", "Mün", true));
        assert_eq!(
            facts.notes(),
            [
                "body: only the first 3 characters were looked at",
                "fields.city: only the first 3 characters were looked at"
            ]
        );
    });
}

#[test]
fn a_word_at_the_cut_is_looked_at_whole_or_not_at_all() {
    let long = "x".repeat(5_000);
    for (body, looked_at) in [
        ("good assignment", "good "),
        ("good ass", "good ass"),
        ("good ass of them", "good ass"),
        ("goodassignment", "goodassi"),
        ("a  assignment", "a  "),
    ] {
        with(json!({ "body": body }), 8, |facts| {
            assert_eq!(facts.text(Field::Body), Some(looked_at), "{body}");
            assert_eq!(format!("{looked_at}{}", facts.past(Field::Body)), body);
        });
    }
    // What goes on for that long is no word.
    with(json!({"body": format!("a {long}")}), 4_000, |facts| {
        assert_eq!(facts.text(Field::Body).unwrap().len(), 4_000);
    });
}

#[test]
fn what_is_no_time_or_number_is_noted() {
    let json = json!({"article_created_at": "2020-02-30", "form_seconds": "00:00:01", "created_at": "infinity"});
    with(json, 100, |facts| {
        assert_eq!(
            facts.notes(),
            [
                "article_created_at: \"2020-02-30\" is not a time",
                "form_seconds: \"00:00:01\" is not a number of seconds"
            ]
        );
    });
}

#[test]
fn addresses_are_canonical_and_unreadable_ones_are_noted() {
    for (given, expected) in [
        ("192.0.2.7", Some("192.0.2.7")),
        (" 192.0.2.7/32 ", Some("192.0.2.7")),
        ("::ffff:192.0.2.7", Some("192.0.2.7")),
        ("fe80::1%eth0", Some("fe80::1")),
        ("192.0.2.7:8080", Some("192.0.2.7")),
        ("[2001:DB8::1]:443", Some("2001:db8::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("[fe80::1%eth0]:1", Some("fe80::1")),
        ("[::ffff:192.0.2.7]:80", Some("192.0.2.7")),
        ("localhost", None),
        ("192.0.2.7, 10.0.0.1", None),
        ("192.0.2.7:http", None),
        ("192.0.2.7:70000", None),
        ("192.0.2.7:", None),
        ("[192.0.2.7]:80", None),
        ("[2001:db8::1]443", None),
        ("localhost:80", None),
        ("", None),
    ] {
        with(json!({ "ip": given }), 100, |facts| {
            assert_eq!(facts.ip().map(|ip| ip.to_string()).as_deref(), expected, "{given}");
            let noted = facts.notes().contains(&format!("ip: \"{given}\" is not an address"));
            assert_eq!(noted, expected.is_none() && !given.is_empty(), "{given}");
        });
    }
}

#[test]
fn texts_that_are_no_times_are_noted() {
    for (given, noted) in [
        ("2024-05-01", false),
        ("1714557600", false),
        ("-infinity", false),
        ("", false),
        ("soon", true),
    ] {
        with(json!({ "article_created_at": given }), 100, |facts| {
            let note = format!("article_created_at: \"{given}\" is not a time");
            assert_eq!(facts.notes().contains(&note), noted, "{given}");
        });
    }
}

#[test]
fn types_are_folded_and_ordinary_ones_are_comments() {
    for (given, expected) in [
        ("", "comment"),
        (" ", "comment"),
        ("Normal", "comment"),
        ("REGULAR", "comment"),
        ("TrackBack", "trackback"),
        ("ＩＳＳＵＥ", "issue"),
    ] {
        assert_eq!(kind(given), expected);
    }
    with(json!({}), 100, |facts| assert_eq!(facts.kind(), "comment"));
}

#[test]
fn roles_are_the_members_of_a_list() {
    with(json!({"user_role": " admin, ,editor,"}), 100, |facts| {
        assert_eq!(facts.roles().collect::<Vec<_>>(), ["admin", "editor"]);
    });
}

#[test]
fn times_and_numbers_are_read_from_any_kind_of_value() {
    let json = json!({"created_at": 1_714_557_600, "article_created_at": "2024-05-01 10:00:00+00",
                      "form_seconds": " 2.5 "});
    with(json, 100, |facts| {
        assert_eq!(facts.time(Field::CreatedAt), Some(1_714_557_600_000_000));
        assert_eq!(facts.time(Field::CreatedAt), facts.time(Field::ArticleCreatedAt));
        assert_eq!(facts.number(Field::FormSeconds), Some(2.5));
        assert_eq!(facts.text(Field::CreatedAt), Some("1714557600"));
    });
}

#[test]
fn the_json_keeps_the_whole_submission() {
    let mut submission = Submission::new();
    submission.set(Field::Body, Value::Text("a long text".into()));
    submission.set(Field::Ip, Value::Ip([192, 0, 2, 7].into()));
    submission.set(Field::CreatedAt, Value::Time(1_714_557_600_500_000));
    submission.set(Field::UserId, Value::Number(7.0));
    submission.push_field("city".into(), "Bonn".into());
    assert_eq!(
        Facts::new(&submission, 3, 0).to_json(),
        json!({"body": "a long text", "ip": "192.0.2.7", "created_at": "2024-05-01T10:00:00.5Z",
               "user_id": 7, "fields": {"city": "Bonn"}})
    );
}

struct Counted(Cell<u32>);

impl Remote for Counted {
    fn fetch(&self, field: Field) -> Result<Value<'static>, String> {
        self.0.set(self.0.get() + 1);
        match field {
            Field::Email => Ok(Value::Text("Doe@example.com".into())),
            _ => Err("relation \"users\" does not exist".to_owned()),
        }
    }
}

#[test]
fn values_of_other_tables_are_fetched_once_and_only_when_asked_for() {
    let remote = Counted(Cell::new(0));
    let mut submission = Submission::new();
    submission.set(Field::Email, Value::Later);
    submission.set(Field::Author, Value::Later);
    let submission = submission.with_remote(&remote);
    let facts = Facts::new(&submission, 4, 0);
    assert!(facts.notes().is_empty() && facts.failure().is_none());
    assert_eq!(remote.0.get(), 0);
    assert_eq!(facts.text(Field::Email), Some("Doe@"));
    assert_eq!(facts.normalised(Field::Email), Some("doe@"));
    assert!(facts.truncated(Field::Email));
    assert_eq!((facts.text(Field::Author), facts.text(Field::Author)), (None, None));
    assert_eq!(remote.0.get(), 2);
    assert_eq!(facts.failure().unwrap(), "author: relation \"users\" does not exist");
    assert_eq!(facts.notes().len(), 1);
}

proptest! {
    #[test]
    fn any_text_has_facts(body in "\\PC{0,60}|(http|://|www|[.<>\\[\\]= ]|ﬁ|\u{200b}){0,20}", max in 0_usize..70) {
        let mut submission = Submission::new();
        submission.set(Field::Body, Value::Text(body.as_str().into()));
        submission.set(Field::Ip, Value::Text(body.as_str().into()));
        submission.set(Field::Type, Value::Text(body.as_str().into()));
        let facts = Facts::new(&submission, max, 0);
        let looked_at = facts.text(Field::Body).unwrap();
        prop_assert!(looked_at.chars().count() <= max);
        prop_assert_eq!(format!("{looked_at}{}", facts.past(Field::Body)), &*body);
        prop_assert_eq!(facts.truncated(Field::Body), body.chars().count() > max);
        for link in facts.links() {
            prop_assert!(facts.linked_text().get(link.url.clone()).is_some());
        }
        prop_assert!(!facts.kind().is_empty());
        let _ = (facts.ip(), facts.time(Field::Body), facts.notes(), facts.to_json());
    }
}
