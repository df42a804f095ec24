//! The check `custom` with functions that are closures.

use std::cell::RefCell;

use serde_json::{Value as Json, json};

use super::{LONGEST_WHY, function_name};
use crate::policy::{Backing, CheckSetting, Policy, PolicySettings};
use crate::surroundings::Surroundings;
use crate::verdict::{Action, Finding, Verdict};
use crate::{Facts, List, Submission};

struct NoLists;

impl Backing for NoLists {
    fn list(&mut self, name: &str) -> Result<std::rc::Rc<List>, String> {
        Err(format!("no list {name}"))
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        Err(format!("no interval {text}"))
    }
}

/// A function that gives one answer, and remembers what it was asked.
struct Answers(Result<Json, String>, RefCell<Vec<(String, Json)>>);

impl Surroundings for Answers {
    fn call(&self, function: &str, submission: &Json) -> Result<Json, String> {
        self.1.borrow_mut().push((function.to_owned(), submission.clone()));
        self.0.clone()
    }
}

fn policy(action: &str, options: Json) -> Policy {
    let setting = CheckSetting {
        check_name: "custom".to_owned(),
        enabled: true,
        action: action.to_owned(),
        score: 5.0,
        options,
    };
    Policy::compile(PolicySettings::default(), vec![setting], &mut NoLists)
}

fn asked(action: &str, answer: Result<Json, String>) -> (Option<Finding>, Vec<(String, Json)>) {
    asked_about(json!({"body": "0123456789", "fields": {"city": "Bonn"}}), action, answer)
}

fn asked_about(
    submission: Json,
    action: &str,
    answer: Result<Json, String>,
) -> (Option<Finding>, Vec<(String, Json)>) {
    let policy = policy(action, json!({"function": "app.check"}));
    let submission = Submission::from_json(&submission).unwrap();
    let function = Answers(answer, RefCell::default());
    let facts = Facts::new(&submission, 8, 0).within(&function);
    let finding = policy.checks().next().unwrap().ask(&facts);
    (finding, function.1.into_inner())
}

fn found(answer: Json) -> Option<Finding> {
    asked("score", Ok(answer)).0
}

#[test]
fn the_function_gets_the_fields_as_far_as_checks_look() {
    let (finding, calls) = asked("score", Ok(json!({"hit": true})));
    let submission = json!({"body": "01234567", "type": "comment", "source": "form",
                            "fields": {"city": "Bonn"}});
    assert_eq!(calls, [("app.check".to_owned(), submission)]);
    assert_eq!(finding.unwrap().detail, json!({"function": "app.check", "truncated": true}));
}

#[test]
fn the_function_gets_values_as_the_other_checks_see_them() {
    for (given, seen) in [
        (
            json!({"type": " Issue ", "source": " API", "ip": "::ffff:192.0.2.7",
                   "created_at": 1_714_557_600, "article_created_at": "2024-05-01 12:00:00+02"}),
            json!({"type": "issue", "source": "api", "ip": "192.0.2.7",
                   "created_at": "2024-05-01T10:00:00Z",
                   "article_created_at": "2024-05-01T10:00:00Z"}),
        ),
        // What is no address counts as none, and what is no time is only a text.
        (
            json!({"type": "NORMAL", "source": "", "ip": "garbage", "created_at": "soon"}),
            json!({"type": "comment", "source": "form", "created_at": "soon"}),
        ),
    ] {
        let (_, calls) = asked_about(given, "score", Ok(Json::Null));
        assert_eq!(calls[0].1, seen);
    }
}

#[test]
fn a_hit_has_the_functions_reason_and_score_or_the_settings() {
    let hit = found(json!({"hit": true, "why": "too new", "score": 2.5, "detail": {"age": 3}}));
    let hit = hit.unwrap();
    assert_eq!((hit.action, hit.score, hit.why.as_str()), (Action::Score, 2.5, "too new"));
    assert_eq!(hit.detail["detail"], json!({"age": 3}));
    let hit = found(json!({"hit": true, "why": null, "score": null})).unwrap();
    assert_eq!((hit.score, hit.why.as_str()), (5.0, "function app.check says so"));
    let hit = found(json!({"hit": true, "why": "x".repeat(5_000), "score": -3})).unwrap();
    assert_eq!((hit.score, hit.why.len()), (-3.0, LONGEST_WHY));
}

#[test]
fn the_score_counts_only_with_action_score() {
    let (finding, _) = asked("moderate", Ok(json!({"hit": true, "score": 50})));
    let finding = finding.unwrap();
    assert_eq!((finding.action, finding.score), (Action::Moderate, 0.0));
    let policy = policy("score", json!({"function": "app.check"}));
    let judgement = policy.weigh(vec![found(json!({"hit": true, "score": 12})).unwrap()]);
    assert_eq!((judgement.verdict, judgement.total), (Verdict::Spam, 12.0));
}

#[test]
fn no_hit_is_false_or_null() {
    assert_eq!(found(json!(null)), None);
    assert_eq!(found(json!({"hit": false, "why": "all is well", "score": 9})), None);
    // A comparison with a field that is not there.
    assert_eq!(found(json!({"hit": null, "why": "it shouts", "score": 6})), None);
}

#[test]
fn any_other_answer_is_an_error_that_names_it() {
    for (answer, part) in [
        (json!(true), "app.check gave true: it has to be an object"),
        (json!([]), "it has to be an object"),
        (json!({}), "\"hit\" has to be true, false or null"),
        (json!({"hit": "yes"}), "\"hit\" has to be true, false or null"),
        (json!({"hit": true, "why": 7}), "\"why\" has to be text"),
        (json!({"hit": false, "why": 7}), "\"why\" has to be text"),
        (json!({"hit": true, "score": "2"}), "\"score\" has to be a number"),
        (json!({"hit": true, "score": 1e7}), "\"score\" has to be a number"),
        (json!({"hit": true, "action": "reject"}), "not \"action\""),
    ] {
        let finding = found(answer).unwrap();
        assert_eq!(finding.action, Action::Error);
        assert!(finding.why.contains(part), "{}", finding.why);
    }
    let (finding, _) = asked("score", Err("function app.check is not there".into()));
    assert_eq!(finding.unwrap().action, Action::Error);
}

#[test]
fn without_a_function_there_is_no_check() {
    assert_eq!(policy("score", json!({})).checks().count(), 0);
    assert!(policy("score", json!({})).needs().is_empty());
}

#[test]
fn names_are_read_as_sql_reads_them() {
    for (text, schema, name) in [
        ("app.check", "app", "check"),
        (" App . Check_7$ ", "app", "check_7$"),
        ("\"App\".\"a\"\"b.c\"", "App", "a\"b.c"),
        ("größe._x", "größe", "_x"),
    ] {
        let read = function_name(text.trim()).unwrap();
        assert_eq!(read, (schema.to_owned(), name.to_owned()));
    }
    for text in [
        "",
        "check",
        "app.",
        ".check",
        "app.check(jsonb)",
        "db.app.check",
        "app.7",
        "a b.c",
        "\"\".x",
        "\"open.x",
        "app.check; DROP TABLE x",
        "app.check'",
    ] {
        let refusal = function_name(text).unwrap_err();
        assert!(refusal.message.contains("with its schema"), "{text}: {}", refusal.message);
        assert!(refusal.hint.is_some());
    }
}
