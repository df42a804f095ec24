//! What a refused sender is told, who is counted at all, and what policies make of it.

use std::time::Duration;

use serde_json::{Value as Json, json};
use support::wait::until;

use crate::site::{ask, refused, run};
use crate::{limit, limited, passed, sent};

const NONE: &str = r#"{"max": 0, "per": "1 hour", "block": "90.5 seconds"}"#;
const ONE: &str = r#"{"max": 1, "per": "1 hour", "block": "1 hour"}"#;

#[test]
fn a_sender_is_told_to_wait_and_how_long() {
    let mut site = limited(NONE);
    let role = site.role("visitor");
    site.run(&format!(
        "GRANT INSERT ON comments TO {role}; GRANT USAGE ON SEQUENCE \
        comments_id_seq TO {role}"
    ));
    let mut client = site.db.client_as(&role);
    let insert = "INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'hello')";
    let error = refused(&mut client, insert);
    assert_eq!(error.message(), "Sorry, please wait a minute and try again");
    assert_eq!(error.code().code(), "23514");
    assert_eq!(error.constraint(), Some("spamcheck_rate_limit"));
    assert_eq!((error.schema(), error.table()), (Some("public"), Some("comments")));
    assert_eq!(
        error.detail(),
        Some(r#"{"code":"spamcheck_rate_limit","relation":"public.comments","retry_after":91}"#)
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("retry_after")));
    site.policy("reject_sqlstate = '54000'");
    assert_eq!(refused(&mut client, insert).code().code(), "54000");
    // What is left of the block, not all of it again.
    support::wait::until(std::time::Duration::from_secs(10), "less than 90 seconds", || {
        let error = refused(&mut client, insert);
        let detail: Json = serde_json::from_str(error.detail().unwrap()).unwrap();
        detail["retry_after"] == 89
    });
}

#[test]
fn an_app_that_waits_as_long_as_it_is_told_may_go_on() {
    let mut site = limited(r#"{"max": 1, "per": "1 hour", "block": "1.2 seconds"}"#);
    assert!(sent(&mut site.client, "192.0.2.1"));
    let error =
        refused(&mut site.client, "INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'hello')");
    let detail: Json = serde_json::from_str(error.detail().unwrap()).unwrap();
    // The one wait that is the thing itself.
    site.run(&format!("SELECT pg_sleep({})", detail["retry_after"]));
    assert!(sent(&mut site.client, "192.0.2.1"));
}

#[test]
fn dropped_rows_are_missed_by_nobody_and_logged_whatever_becomes_of_the_transaction() {
    let mut site = limited(ONE);
    site.policy("on_reject = 'drop'");
    assert!(sent(&mut site.client, "192.0.2.1"));
    site.run("BEGIN");
    for _ in 0..3 {
        let inserted = site
            .client
            .execute("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'hello')", &[]);
        assert_eq!(inserted.unwrap(), 0);
    }
    site.run("ROLLBACK");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "1");
    assert_eq!(
        site.ask("SELECT check_name, outcome, comment FROM spamcheck.spam_checklog"),
        "rate_limit|rejected|hello"
    );
}

#[test]
fn in_a_trial_all_rows_go_in_and_those_too_many_are_flagged() {
    let mut site = limited(ONE);
    site.policy("mode = 'trial'");
    for _ in 0..4 {
        assert!(sent(&mut site.client, "192.0.2.1"));
    }
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 approved\n4 approved");
    assert_eq!(
        site.ask(
            "SELECT row_key ->> 'id', action, outcome, submission IS NULL, comment FROM \
            spamcheck.spam_checklog"
        ),
        "2|reject|flagged|t|hello",
        "one entry for the block"
    );
    until(Duration::from_secs(20), "the number of the flagged", || {
        site.ask("SELECT detail ->> 'refused' FROM spamcheck.spam_checklog") == "3"
    });
    // The block lasts, whatever becomes of the transaction in which it began.
    site.run("BEGIN");
    assert!(sent(&mut site.client, "192.0.2.2") && sent(&mut site.client, "192.0.2.2"));
    site.run("ROLLBACK");
    assert!(sent(&mut site.client, "192.0.2.2"));
    until(Duration::from_secs(20), "both flagged ones", || {
        site.ask("SELECT detail ->> 'refused' FROM spamcheck.spam_checklog WHERE ip = '192.0.2.2'")
            == "2"
    });
}

#[test]
fn with_another_action_it_is_a_finding_among_others() {
    let mut site = limited(ONE);
    site.check("rate_limit", "action = 'moderate'");
    for body in ["hello", "casino", "hello again"] {
        site.run(&format!("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', '{body}')"));
    }
    assert_eq!(site.statuses(), "1 approved\n2 spam\n3 pending");
    assert_eq!(site.log(), "2 content\n2 rate_limit\n3 rate_limit");
    // Set back, it refuses at once: it has counted all the time.
    site.check("rate_limit", "action = 'reject'");
    assert!(!sent(&mut site.client, "192.0.2.1"));
}

#[test]
fn what_another_check_refuses_is_refused_for_its_content_and_logged_each_time() {
    let mut site = limited(NONE);
    site.check("rate_limit", "action = 'moderate'");
    site.check("content", "action = 'reject'");
    site.policy("on_reject = 'drop'");
    for _ in 0..3 {
        site.run("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'casino')");
    }
    assert_eq!(
        site.ask(
            "SELECT check_name, outcome, detail ->> 'refused' FROM spamcheck.spam_checklog \
            WHERE check_name = 'rate_limit' ORDER BY id"
        ),
        "rate_limit|rejected|1\nrate_limit|rejected|2\nrate_limit|rejected|3"
    );
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "0");
}

#[test]
fn whom_a_list_allows_is_not_counted() {
    let mut site = limited(ONE);
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.0/24')");
    for _ in 0..5 {
        assert!(sent(&mut site.client, "192.0.2.1"));
    }
    site.run("DELETE FROM spamcheck.list_entry WHERE list = 'ip_allow'");
    assert!(sent(&mut site.client, "192.0.2.1"), "nothing was counted");
    assert!(!sent(&mut site.client, "192.0.2.1"));
    // Allowed again, the block does not stand in the way.
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.0/24')");
    assert!(sent(&mut site.client, "192.0.2.1"));
}

#[test]
fn who_is_bypassed_is_not_counted() {
    let mut site = limited(ONE);
    let role = site.role("trusted");
    site.run(&format!(
        "GRANT INSERT ON comments TO {role}; GRANT USAGE ON SEQUENCE comments_id_seq TO {role}"
    ));
    site.check("bypass", &format!(r#"enabled = true, options = '{{"db_roles": ["{role}"]}}'"#));
    let mut trusted = site.db.client_as(&role);
    assert!((0..5).all(|_| sent(&mut trusted, "192.0.2.1")));
    assert!(sent(&mut site.client, "192.0.2.1"), "nothing was counted");
    assert!(!sent(&mut site.client, "192.0.2.1"));
    assert!(sent(&mut trusted, "192.0.2.1"));
}

#[test]
fn explain_tells_what_would_be_and_counts_nothing() {
    let mut site = limited(ONE);
    let explain = r#"SELECT action, why FROM spamcheck.explain('comments', '{"ip": "192.0.2.1"}')
        WHERE check_name = 'rate_limit' AND action IS NOT NULL"#;
    for _ in 0..5 {
        assert_eq!(site.ask(explain), "");
    }
    assert!(sent(&mut site.client, "192.0.2.1"));
    for _ in 0..3 {
        assert_eq!(site.ask(explain), "reject|more than 1 try in 1 hour from ip 192.0.2.1");
    }
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    assert!(!sent(&mut site.client, "192.0.2.1"));
    support::wait::until(std::time::Duration::from_secs(10), "the number", || {
        assert!(!sent(&mut site.client, "192.0.2.1"));
        site.ask("SELECT (detail ->> 'refused')::int > 1 FROM spamcheck.spam_checklog") == "t"
    });
}

#[test]
fn every_type_is_limited_also_those_that_the_policy_does_not_check() {
    let mut site = limited(ONE);
    site.run("ALTER TABLE comments ADD type text; SELECT spamcheck.protect('comments')");
    site.policy("types = '{petition}'");
    let insert = "INSERT INTO comments (ip, type, body) VALUES ('192.0.2.1', 'signup', 'casino')";
    assert!(passed(&mut site.client, insert));
    assert_eq!(site.statuses(), "1 approved");
    assert!(!passed(&mut site.client, insert));
}

#[test]
fn nothing_else_is_asked_about_a_refused_submission() {
    let mut site = limited(ONE);
    assert!(sent(&mut site.client, "10.0.0.1"));
    assert!(!passed(
        &mut site.client,
        "INSERT INTO comments (ip, body) VALUES ('10.0.0.1', 'casino')"
    ));
    assert_eq!(
        site.ask("SELECT check_name FROM spamcheck.spam_checklog WHERE outcome = 'rejected'"),
        "rate_limit"
    );
}

#[test]
fn ipv6_senders_are_networks_and_ipv4_in_ipv6_is_ipv4() {
    let mut site = limited(ONE);
    let client = &mut site.client;
    assert!(sent(client, "2001:db8:0:1::1"));
    assert!(!sent(client, "2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert!(sent(client, "2001:db8:0:2::1"));
    assert!(sent(client, "::ffff:192.0.2.1"));
    assert!(!sent(client, "192.0.2.1"));
    assert!(sent(client, "192.0.2.2"));
    limit(&mut site, r#"{"max": 1, "per": "1 hour", "block": "1 hour", "ipv6_prefix": 32}"#);
    assert!(sent(&mut site.client, "2001:db8:1::1"));
    assert!(!sent(&mut site.client, "2001:db8:2::1"));
    assert_eq!(
        site.ask(
            "SELECT detail ->> 'sender' FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 1"
        ),
        "2001:db8::/32"
    );
}

#[test]
fn senders_may_be_told_by_another_field_or_not_at_all() {
    let mut site = limited(r#"{"max": 1, "per": "1 hour", "block": "1 hour", "key": "email"}"#);
    let mut insert = |email: &str| {
        let sql =
            format!("INSERT INTO comments (ip, email, body) VALUES ('192.0.2.1', {email}, 'x')");
        passed(&mut site.client, &sql)
    };
    assert!(insert("'bob@example.com'"));
    assert!(!insert("'Bob@Example.COM'"));
    assert!(insert("'eve@example.com'"));
    assert!(insert("NULL") && insert("NULL") && insert("''"));
    // By its address, from the setting that stands for a column.
    site.run(
        "CREATE TABLE letters (id serial PRIMARY KEY, body text); SELECT \
        spamcheck.protect('letters', status => '{}')",
    );
    limit(&mut site, ONE);
    let letter = "INSERT INTO letters (body) VALUES ('x')";
    assert!(passed(&mut site.client, letter) && passed(&mut site.client, letter));
    run(&mut site.client, "SET pg_spamcheck.ip = '192.0.2.9'");
    assert!(passed(&mut site.client, letter));
    assert!(!passed(&mut site.client, letter));
}

#[test]
fn what_makes_no_sense_is_refused_when_it_is_set() {
    let mut site = limited(ONE);
    let mut refusal = |options: Json| {
        let set = format!(
            "UPDATE spamcheck.check_setting SET options = '{options}' WHERE policy = \
            'default' AND check_name = 'rate_limit'"
        );
        refused(&mut site.client, &set).message().to_owned()
    };
    assert_eq!(
        refusal(json!({"per": "0 seconds"})),
        "option \"per\" of check rate_limit takes an interval above zero, not \"0 seconds\""
    );
    assert!(refusal(json!({"block": "-1 second"})).contains("zero or more"));
    assert!(refusal(json!({"block": "soon"})).contains("not \"soon\""));
    let endless = refusal(json!({"block": "999999999 days"}));
    assert!(endless.ends_with("\"999999999 days\": 1000 years are the most"), "{endless}");
    assert!(refusal(json!({"max": -1})).contains("takes an integer from 0 to 1000000"));
    assert!(refusal(json!({"max": 1_000_001})).contains("takes an integer"));
    assert!(refusal(json!({"key": "body"})).contains("\"ip\", \"email\""));
    assert!(refusal(json!({"ipv6_prefix": 129})).contains("from 0 to 128"));
    let defaults = "SELECT jsonb_object_agg(o ->> 'name', o -> 'default') FROM spamcheck.checks, \
        jsonb_array_elements(options) o WHERE name = 'rate_limit'";
    let defaults: Json = serde_json::from_str(&ask(&mut site.client, defaults)).unwrap();
    assert_eq!(
        defaults,
        json!({"max": 20, "per": "1 minute", "block": "1 minute", "key": "ip", "ipv6_prefix": 64})
    );
}

#[test]
fn what_only_takes_note_logs_a_block_once_whatever_else_hits() {
    let mut site = limited(NONE);
    site.policy("mode = 'trial'");
    let refused =
        "SELECT detail ->> 'refused' FROM spamcheck.spam_checklog WHERE check_name = 'rate_limit'";
    for _ in 0..3 {
        site.run("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'casino')");
    }
    until(Duration::from_secs(20), "the number of the flagged", || site.ask(refused) == "3");
    assert_eq!(site.log(), "1 content\n1 rate_limit\n2 content\n3 content");
    // So does a shadow.
    site.policy("mode = 'enforce'");
    site.check("rate_limit", "action = 'log'");
    site.run("TRUNCATE spamcheck.spam_checklog");
    for body in ["hello", "casino", "hello"] {
        site.run(&format!("INSERT INTO comments (ip, body) VALUES ('192.0.2.2', '{body}')"));
    }
    until(Duration::from_secs(20), "the number of the noted", || site.ask(refused) == "3");
    assert_eq!(site.log(), "4 rate_limit\n5 content");
}
