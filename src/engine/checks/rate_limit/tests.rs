//! Proves who is counted, by which limit, and what follows for the row; the counting has tests of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::*;
use crate::lists::{List, ListKind};
use crate::policy::{CheckSetting, Policy};
use crate::submission::Submission;
use crate::surroundings::{Refused, Surroundings};
use crate::verdict::{Judgement, Verdict};

struct Server;

impl Backing for Server {
    fn list(&mut self, _name: &str) -> Result<Rc<List>, String> {
        let entries: &[&str] = &["192.0.2.0/24"];
        Ok(Rc::new(List::compile(ListKind::Ip, &mut entries.iter().copied()).unwrap()))
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        match text {
            "1 minute" => Ok(60_000_000),
            "90.5 seconds" => Ok(90_500_000),
            "0" => Ok(0),
            "-1 hour" => Ok(-3_600_000_000),
            _ => Err(format!("invalid input syntax for type interval: \"{text}\"")),
        }
    }
}

/// Counts for ever; a block ends in 59.2 seconds.
#[derive(Default)]
struct Sessions {
    tries: RefCell<HashMap<String, u64>>,
    limits: RefCell<Vec<surroundings::RateLimit>>,
    broken: bool,
}

impl Surroundings for Sessions {
    fn count_try(
        &self,
        key: &str,
        limit: surroundings::RateLimit,
    ) -> Result<Option<Refused>, String> {
        if self.broken {
            return Err("the table of senders is locked".to_owned());
        }
        self.limits.borrow_mut().push(limit);
        let mut tries = self.tries.borrow_mut();
        let tries = tries.entry(key.to_owned()).or_default();
        *tries += 1;
        let over = tries.saturating_sub(u64::from(limit.max));
        Ok((over > 0).then_some(Refused { count: over, retry_after: 59_200_000 }))
    }
}

fn setting(check: &str, action: &str, options: Json) -> CheckSetting {
    CheckSetting {
        check_name: check.to_owned(),
        enabled: true,
        action: action.to_owned(),
        score: 1.0,
        options,
    }
}

fn policy(settings: Json, options: Json) -> Policy {
    let checks = vec![
        setting("rate_limit", "reject", options),
        setting("ip_allow", "allow", json!({})),
        setting("links", "moderate", json!({"over": 0, "reject_over": null})),
    ];
    Policy::compile(serde_json::from_value(settings).unwrap(), checks, &mut Server)
}

fn judge(policy: &Policy, sessions: &Sessions, submission: Json) -> Judgement {
    let submission = Submission::from_json(&submission).unwrap();
    policy.judge(&Facts::new(&submission, 1000, 0).within(sessions))
}

/// The keys that submissions are counted by.
fn keys(options: Json, submissions: &[Json]) -> Vec<String> {
    let (policy, sessions) = (policy(json!({}), options), Sessions::default());
    for submission in submissions {
        judge(&policy, &sessions, submission.clone());
    }
    let mut keys: Vec<String> = sessions.tries.into_inner().into_keys().collect();
    keys.sort();
    keys
}

#[test]
fn a_refusal_ends_it_and_says_how_long_to_wait() {
    let (policy, sessions) = (policy(json!({}), json!({"max": 1})), Sessions::default());
    let row = json!({"ip": "198.51.100.1", "body": "www.a.example"});
    assert_eq!(judge(&policy, &sessions, row.clone()).verdict, Verdict::Moderate);
    let judgement = judge(&policy, &sessions, row);
    assert_eq!(judgement.verdict, Verdict::Reject);
    assert_eq!(judgement.findings.len(), 1, "nothing else is asked");
    let finding = &judgement.findings[0];
    assert_eq!(finding.why, "more than 1 try in 1 minute from ip 198.51.100.1");
    assert_eq!(
        finding.detail,
        json!({"key": "ip", "sender": "198.51.100.1", "max": 1, "per": "1 minute", "refused": 1,
               "retry_after": 60})
    );
}

#[test]
fn every_type_is_limited_also_those_that_the_policy_does_not_check() {
    let policy = policy(json!({"types": ["petition"]}), json!({"max": 0}));
    let sessions = Sessions::default();
    for kind in ["petition", "comment", "anything"] {
        let row = json!({"ip": "198.51.100.1", "type": kind});
        assert_eq!(judge(&policy, &sessions, row).verdict, Verdict::Reject, "{kind}");
    }
}

#[test]
fn whom_another_check_allows_is_not_counted() {
    let keys = keys(json!({}), &[json!({"ip": "192.0.2.9"}), json!({"ip": "198.51.100.1"})]);
    assert_eq!(keys, ["ip 198.51.100.1"]);
}

#[test]
fn ipv6_senders_are_networks_and_written_out_ipv4_is_ipv4() {
    let rows = [
        json!({"ip": "2001:db8:0:1::1"}),
        json!({"ip": "2001:db8:0:1:ffff::2"}),
        json!({"ip": "2001:db8:0:2::1"}),
        json!({"ip": "::ffff:198.51.100.1"}),
        json!({"ip": "198.51.100.1"}),
    ];
    assert_eq!(
        keys(json!({}), &rows),
        ["ip 198.51.100.1", "ip 2001:db8:0:1::/64", "ip 2001:db8:0:2::/64"]
    );
    assert_eq!(keys(json!({"ipv6_prefix": 48}), &rows), ["ip 198.51.100.1", "ip 2001:db8::/48"]);
    assert_eq!(keys(json!({"ipv6_prefix": null}), &rows).len(), 4);
}

#[test]
fn who_does_not_say_who_he_is_is_not_counted() {
    let rows = [json!({}), json!({"ip": ""}), json!({"ip": "no address"}), json!({"email": " "})];
    assert!(keys(json!({}), &rows).is_empty());
    assert!(keys(json!({"key": "email"}), &rows).is_empty());
}

#[test]
fn a_sender_may_be_told_by_another_field_however_it_is_written() {
    let rows = [json!({"email": "Bob@Example.com "}), json!({"email": "bob@example\u{AD}.com"})];
    assert_eq!(keys(json!({"key": "email"}), &rows), ["email bob@example.com"]);
    let rows = [json!({"user_id": 7}), json!({"user_id": "7"}), json!({"user_id": 8})];
    assert_eq!(keys(json!({"key": "user_id"}), &rows), ["user_id 7", "user_id 8"]);
    // Visitors without an account are not one sender.
    let nobody = [json!({"user_id": 0}), json!({"user_id": "0 "}), json!({"user_id": ""})];
    assert!(keys(json!({"key": "user_id"}), &nobody).is_empty());
    let rows = [json!({"user_agent": "Bot/1"}), json!({"user_agent": "bot/1"})];
    assert_eq!(keys(json!({"key": "user_agent"}), &rows).len(), 2);
}

#[test]
fn a_try_that_could_not_be_counted_is_a_failure_of_the_check() {
    let sessions = Sessions { broken: true, ..Sessions::default() };
    let policy = policy(json!({"on_error": "moderate"}), json!({}));
    let judgement = judge(&policy, &sessions, json!({"ip": "198.51.100.1"}));
    assert_eq!(judgement.verdict, Verdict::Moderate);
    assert_eq!(judgement.findings[0].why, "the table of senders is locked");
}

#[test]
fn null_switches_it_off_and_intervals_are_the_servers() {
    for off in [json!({"max": null}), json!({"per": null})] {
        assert!(keys(off, &[json!({"ip": "198.51.100.1"})]).is_empty());
    }
    let (policy, sessions) = (
        policy(json!({}), json!({"max": 3, "per": "90.5 seconds", "block": null})),
        Sessions::default(),
    );
    judge(&policy, &sessions, json!({"ip": "198.51.100.1"}));
    let expected = surroundings::RateLimit { max: 3, per: 90_500_000, block: 0 };
    assert_eq!(sessions.limits.into_inner(), [expected]);
}

#[test]
fn intervals_that_make_no_sense_are_refused_in_sentences() {
    let refusal = |options: Json| {
        let values = OptionValues::read("rate_limit", RateLimit.options(), &options).unwrap();
        RateLimit.compile(&values, &mut Server).err().map(|refusal| refusal.message)
    };
    assert_eq!(refusal(json!({"block": "0"})), None);
    assert_eq!(
        refusal(json!({"per": "0"})).unwrap(),
        "option \"per\" of check rate_limit takes an interval above zero, not \"0\""
    );
    assert_eq!(
        refusal(json!({"block": "-1 hour"})).unwrap(),
        "option \"block\" of check rate_limit takes an interval of zero or more, not \"-1 hour\""
    );
    assert!(refusal(json!({"per": "soon"})).unwrap().contains("invalid input syntax"));
}
