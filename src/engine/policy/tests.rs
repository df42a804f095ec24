//! Proves precedence, thresholds, allowing, failures and validation, with checks of the catalogue
//! and findings made up where only their weight counts.

use super::*;
use crate::lists::ListKind;
use crate::submission::{Remote, Submission, Value};
use crate::verdict::Outcome;
use serde_json::json;

struct Lists(Vec<(&'static str, ListKind, &'static [&'static str])>);

impl Backing for Lists {
    fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
        let (_, kind, entries) = self
            .0
            .iter()
            .find(|list| list.0 == name)
            .ok_or_else(|| format!("there is no list \"{name}\""))?;
        Ok(Rc::new(List::compile(*kind, &mut entries.iter().copied()).unwrap()))
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        Err(format!("no interval: {text}"))
    }
}

fn lists() -> Lists {
    Lists(vec![
        ("ip_allow", ListKind::Ip, &["10.0.0.0/8"]),
        ("ip_block", ListKind::Ip, &["10.1.2.3", "192.0.2.0/24"]),
        ("email_block", ListKind::Regex, &["@spam"]),
        ("banned_words", ListKind::Word, &["viagra"]),
        ("none", ListKind::Word, &[]),
    ])
}

fn setting(check: &str, action: &str, options: Json) -> CheckSetting {
    let check_name = check.to_owned();
    CheckSetting { check_name, enabled: true, action: action.to_owned(), score: 3.0, options }
}

fn policy(settings: Json, checks: Vec<CheckSetting>) -> Policy {
    Policy::compile(serde_json::from_value(settings).unwrap(), checks, &mut lists())
}

fn judge(policy: &Policy, submission: Json) -> Judgement {
    let submission = Submission::from_json(&submission).unwrap();
    policy.judge(&Facts::new(&submission, 1000, 0))
}

fn usual() -> Vec<CheckSetting> {
    vec![
        setting("content", "moderate", json!({})),
        setting("ip_allow", "allow", json!({})),
        setting("links", "score", json!({"over": 0, "reject_over": 2})),
        setting("ip_block", "spam", json!({})),
        setting("akismet", "spam", json!({})),
    ]
}

fn checks_of(judgement: &Judgement) -> Vec<&str> {
    judgement.findings.iter().map(|finding| finding.check).collect()
}

#[test]
fn ham_has_no_findings_and_goes_on_to_akismet() {
    let judgement = judge(&policy(json!({}), usual()), json!({"body": "hello", "ip": "192.0.3.1"}));
    assert_eq!((judgement.verdict, judgement.total), (Verdict::Ham, 0.0));
    assert!(judgement.findings.is_empty() && judgement.lookups.any() && !judgement.allowed);
}

#[test]
fn every_check_runs_and_the_most_severe_action_wins() {
    let row = json!({"body": "viagra http://a.example", "ip": "192.0.2.9"});
    let judgement = judge(&policy(json!({}), usual()), row);
    assert_eq!(judgement.verdict, Verdict::Spam);
    assert_eq!(checks_of(&judgement), ["ip_block", "content", "links"]);
    assert_eq!(judgement.total, 3.0);
    assert!(!judgement.lookups.any(), "a local verdict of spam makes a call unnecessary");
    let moderated = judge(&policy(json!({}), usual()), json!({"body": "viagra"}));
    assert_eq!((moderated.verdict, moderated.lookups.any()), (Verdict::Moderate, true));
}

#[test]
fn an_allow_ends_it_and_is_told_only_where_something_was_allowed() {
    let policy = policy(json!({}), usual());
    let quiet = judge(&policy, json!({"body": "hello", "ip": "10.9.9.9"}));
    assert!(quiet.allowed && quiet.findings.is_empty() && !quiet.lookups.any());
    let row = json!({"body": "viagra http://a.example", "ip": "::ffff:10.1.2.3"});
    let judgement = judge(&policy, row);
    assert_eq!((judgement.verdict, judgement.total), (Verdict::Ham, 0.0));
    assert_eq!(checks_of(&judgement), ["ip_allow", "ip_block", "content", "links"]);
    assert!(judgement.findings.iter().all(|finding| finding.allowed));
    let outcome = judgement.outcome(&judgement.findings[1], Mode::Enforce);
    assert_eq!(outcome, Outcome::Allowed);
}

#[test]
fn a_sum_of_scores_reaches_the_threshold_that_it_is_on_paper() {
    for (scores, sum) in [
        (&[2.3, 1.1, 0.3][..], 3.7),
        (&[2.3, 0.1, 0.1], 2.5),
        (&[2.3, 0.1, 0.3], 2.7),
        (&[0.2, 0.1, 0.4], 0.7),
        (&[100.1, 0.2, -0.1], 100.2),
    ] {
        let findings = scores.iter().map(|score| Finding {
            check: "links",
            action: Action::Score,
            score: *score,
            why: String::new(),
            detail: Json::Null,
            allowed: false,
        });
        let judgement =
            policy(json!({"moderate_at": sum, "spam_at": null}), vec![]).weigh(findings.collect());
        assert_eq!((judgement.verdict, judgement.total), (Verdict::Moderate, sum));
    }
}

#[test]
fn thresholds_weigh_the_sum_of_scores_alone() {
    let finding = |action, score| Finding {
        check: "links",
        action,
        score,
        why: String::new(),
        detail: Json::Null,
        allowed: false,
    };
    let verdict = |settings: Json, scores: &[f32]| {
        let findings = scores.iter().map(|score| finding(Action::Score, *score)).collect();
        policy(settings, vec![]).weigh(findings).verdict
    };
    assert_eq!(verdict(json!({}), &[4.5]), Verdict::Ham);
    assert_eq!(verdict(json!({}), &[2.5, 2.5]), Verdict::Moderate);
    assert_eq!(verdict(json!({}), &[5.0, 5.0]), Verdict::Spam);
    assert_eq!(verdict(json!({}), &[100.0]), Verdict::Spam);
    assert_eq!(verdict(json!({"reject_at": 12}), &[12.0]), Verdict::Reject);
    assert_eq!(verdict(json!({"spam_at": null}), &[100.0]), Verdict::Moderate);
    assert_eq!(verdict(json!({"moderate_at": null}), &[6.0, -1.0]), Verdict::Ham);
    let other = policy(json!({}), vec![])
        .weigh(vec![finding(Action::Log, 50.0), finding(Action::Challenge, 50.0)]);
    assert_eq!((other.verdict, other.total), (Verdict::Challenge, 0.0));
}

#[test]
fn a_check_set_to_log_has_no_effect_even_over_its_second_limit() {
    let checks = vec![setting("links", "log", json!({"over": 0, "reject_over": 1}))];
    let judgement =
        judge(&policy(json!({}), checks), json!({"body": "www.a.example www.b.example"}));
    assert_eq!(judgement.verdict, Verdict::Ham);
    assert_eq!(judgement.findings[0].action, Action::Log);
    let checks = vec![setting("links", "score", json!({"over": 0, "reject_over": 1}))];
    let judgement =
        judge(&policy(json!({}), checks), json!({"body": "www.a.example www.b.example"}));
    assert_eq!((judgement.verdict, judgement.total), (Verdict::Reject, 0.0));
}

#[test]
fn a_check_that_cannot_be_compiled_reports_an_error_and_on_error_decides() {
    for (on_error, verdict) in
        [("accept", Verdict::Ham), ("moderate", Verdict::Moderate), ("reject", Verdict::Reject)]
    {
        for broken in [
            setting("content", "spam", json!({"lists": ["gone"]})),
            setting("content", "spam", json!({"lists": ["ip_block"]})),
            setting("links", "spam", json!({"over": "x"})),
            setting("links", "explode", json!({})),
        ] {
            let judgement =
                judge(&policy(json!({ "on_error": on_error }), vec![broken]), json!({"body": "x"}));
            assert_eq!(judgement.verdict, verdict);
            let finding = &judgement.findings[0];
            assert_eq!(finding.action, Action::Error);
            assert!(finding.detail["error"].as_str().unwrap().contains(&finding.why));
            assert_eq!(judgement.outcome(finding, Mode::Enforce), Outcome::Error);
        }
    }
}

#[test]
fn a_check_set_to_log_has_no_effect_even_where_it_fails() {
    let gone = |action: &str| setting("content", action, json!({"lists": ["gone"]}));
    let reject = json!({"on_error": "reject"});
    let judgement = judge(&policy(reject.clone(), vec![gone("log")]), json!({"body": "x"}));
    assert_eq!(judgement.verdict, Verdict::Ham);
    let outcome = judgement.outcome(&judgement.findings[0], Mode::Enforce);
    assert_eq!(outcome, Outcome::Error, "it is noted all the same");
    // Another check that fails beside it counts, one that scores as well, and one that is asked first.
    let both = vec![gone("log"), setting("links", "score", json!({"over": "x"}))];
    assert_eq!(judge(&policy(reject.clone(), both), json!({"body": "x"})).verdict, Verdict::Reject);
    for (check, action, verdict) in [
        ("akismet", "log", Verdict::Ham),
        ("akismet", "spam", Verdict::Reject),
        ("captcha", "log", Verdict::Ham),
        ("captcha", "challenge", Verdict::Reject),
        ("trackback_ip", "log", Verdict::Ham),
        ("trackback_ip", "moderate", Verdict::Reject),
    ] {
        let set = policy(reject.clone(), vec![setting(check, action, json!({}))]);
        let failed = Finding {
            check,
            action: Action::Error,
            score: 0.0,
            why: String::new(),
            detail: Json::Null,
            allowed: false,
        };
        assert_eq!(set.weigh(vec![failed]).verdict, verdict, "{check} set to {action}");
    }
}

struct Broken;

impl Remote for Broken {
    fn fetch(&self, _field: Field) -> Result<Value<'static>, String> {
        Err("no such table".to_owned())
    }
}

#[test]
fn a_value_that_cannot_be_fetched_is_an_error_of_the_check_that_asked_first() {
    let mut submission = Submission::new();
    submission.set(Field::Body, Value::Later);
    let submission = submission.with_remote(&Broken);
    let facts = Facts::new(&submission, 1000, 0);
    let judgement = policy(json!({"on_error": "moderate"}), usual()).judge(&facts);
    assert_eq!((judgement.verdict, checks_of(&judgement)), (Verdict::Moderate, vec!["content"]));
    assert_eq!(judgement.findings[0].why, "body: no such table");
    assert_eq!(facts.failure().unwrap(), "body: no such table");
}

#[test]
fn what_can_never_hit_reads_nothing() {
    let idle = vec![
        setting("content", "spam", json!({"lists": ["none"]})),
        setting("content", "spam", json!({"fields": []})),
        setting("ip_block", "spam", json!({"lists": []})),
        setting("links", "spam", json!({"over": null, "reject_over": null})),
    ];
    assert!(policy(json!({}), idle).needs().is_empty());
    assert!(policy(json!({"mode": "off"}), usual()).needs().is_empty());
    let needs = policy(json!({"types": ["letter"]}), usual()).needs();
    let expected =
        [Field::Body, Field::Title, Field::Author, Field::Ip, Field::Type, Field::Fields];
    assert_eq!(needs, FieldSet::of(&expected));
}

#[test]
fn types_are_case_folded_and_null_covers_all() {
    let some = policy(json!({"types": ["Petition", "LETTER "]}), vec![]);
    assert!(some.covers("petition") && some.covers("letter") && !some.covers("comment"));
    assert!(policy(json!({}), vec![]).covers("anything"));
    // What a submission's type may be called, a policy may call it.
    for word in ["normal", "REGULAR", " Comment "] {
        assert!(policy(json!({"types": [word]}), vec![]).covers("comment"), "{word}");
    }
}

#[test]
fn settings_of_checks_are_validated_in_sentences() {
    validate_check_setting("links", "reject", &json!({"over": null})).unwrap();
    validate_check_setting("ip_allow", "allow", &json!({})).unwrap();
    validate_check_setting("ip_allow", "log", &json!({})).unwrap();
    let refusal = |check, action, options| {
        validate_check_setting(check, action, &options).unwrap_err().message
    };
    assert_eq!(refusal("linkz", "spam", json!({})), "there is no check \"linkz\"");
    assert_eq!(
        refusal("links", "allow", json!({})),
        "the action of check links is one of log, score, challenge, moderate, spam or reject, not \
         \"allow\""
    );
    assert!(refusal("links", "error", json!({})).ends_with("not \"error\""));
    assert_eq!(
        refusal("links", "spam", json!({"over": "abc"})),
        "option \"over\" of check links takes an integer from 0 to 100000, not \"abc\""
    );
    assert!(refusal("content", "spam", json!({"word": 1})).contains("no option \"word\""));
    assert!(refusal("akismet", "spam", json!({"mode": "later"})).contains("\"mode\""));
}
