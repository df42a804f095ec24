//! When somebody is unsubscribed, and when not.

use crate::site::{ask, run};
use crate::{history, site, users};

#[test]
fn the_subscriber_of_a_spam_row_is_unsubscribed_and_the_history_knows_why() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('bob@mail.example', 'fine'), ('ann@mail.example', 'casino')");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    assert_eq!(history(&mut site), "ann unsubscribe_spamcheck postgres 1");
    assert_eq!(
        site.ask("SELECT relation, changed_at BETWEEN now() - interval '1 minute' AND clock_timestamp() FROM spamcheck.subscription_history"),
        "public.comments|t"
    );
}

#[test]
fn who_is_not_subscribed_is_left_as_they_are() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (email, body) VALUES ('cleo@mail.example', 'casino'), ('dan@mail.example', 'casino'), ('nobody@mail.example', 'casino'), (NULL, 'casino')",
    );
    assert_eq!((users(&mut site), history(&mut site)), (String::new(), String::new()));
}

#[test]
fn many_spam_rows_of_one_subscriber_end_one_subscription() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) SELECT 'ann@mail.example', 'casino' FROM generate_series(1, 1200); INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.subscription_history"), "1");
}

#[test]
fn moderated_rejected_and_ham_rows_end_nothing_and_edits_to_spam_do() {
    let mut site = site();
    site.check("content", "action = 'moderate'");
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    site.check("content", "action = 'reject'");
    crate::site::refused(
        &mut site.client,
        "INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')",
    );
    assert_eq!(users(&mut site), "");
    site.check("content", "action = 'spam'");
    site.run("UPDATE comments SET body = 'more casino'");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
}

#[test]
fn a_trial_ends_nothing_not_even_by_a_report() {
    let mut site = site();
    site.policy("mode = 'trial'");
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(users(&mut site), "");
    site.policy("mode = 'enforce', unsubscribe = false");
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert_eq!(users(&mut site), "");
}

#[test]
fn a_report_ends_the_subscription_and_its_reversal_gives_it_back() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'buy')");
    assert_eq!(
        site.ask("SELECT spamcheck.report_spam('comments', '1') ->> 'subscriber'"),
        "unsubscribed"
    );
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    assert_eq!(site.ask("SELECT spamcheck.not_spam(1) ->> 'subscriber'"), "resubscribed");
    assert_eq!(users(&mut site), "ann subscribed 2");
    assert_eq!(
        history(&mut site),
        "ann unsubscribe_spamcheck postgres 1, ann resubscribe postgres 1"
    );
}

#[test]
fn what_is_rolled_back_has_ended_nothing() {
    let mut site = site();
    site.run("BEGIN; INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); SAVEPOINT s;
        INSERT INTO comments (email, body) VALUES ('bob@mail.example', 'casino'); ROLLBACK TO s; COMMIT");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    assert_eq!(history(&mut site), "ann unsubscribe_spamcheck postgres 1");
    site.run("BEGIN");
    site.run("INSERT INTO comments (email, body) VALUES ('bob@mail.example', 'casino')");
    site.run("ROLLBACK");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
}

#[test]
fn a_key_of_several_columns_is_known_as_an_array() {
    let mut site = crate::site::Site::new();
    site.run(
        r#"CREATE TABLE members (list_id int, "Mail" varchar(50), gets boolean DEFAULT true, PRIMARY KEY (list_id, "Mail"));
           INSERT INTO members VALUES (1, 'it''s "ann"'), (2, 'it''s "ann"');
           ALTER TABLE comments ADD list_id int;
           SELECT spamcheck.protect('comments', subscriber => '{"table": "members", "key": ["list_id", "Mail"], "from": ["list_id", "author"],
               "column": "gets", "subscribed": true, "unsubscribed": false}')"#,
    );
    site.policy("unsubscribe = true");
    site.run(r#"INSERT INTO comments (list_id, author, body) VALUES (2, 'it''s "ann"', 'casino')"#);
    assert_eq!(site.ask("SELECT list_id, gets FROM members ORDER BY 1"), "1|t\n2|f");
    assert_eq!(
        site.ask("SELECT subscriber FROM spamcheck.subscription_history"),
        r#"["2","it's \"ann\""]"#
    );
    let status = r#"SELECT spamcheck.subscriber_status('["2","it''s \"ann\""]') LIKE 'Unsubscribed for Comment Spamming since %'"#;
    assert_eq!(site.ask(status), "t");
    // However somebody writes it.
    for form in [
        r#"[2, "it''s \"ann\""]"#,
        r#"{"Mail": "it''s \"ann\"", "list_id": "2"}"#,
        r#"{"Mail": "it''s \"ann\"", "list_id": 2}"#,
    ] {
        let status = format!(
            "SELECT spamcheck.subscriber_status('{form}') IS NOT NULL, spamcheck.subscriber_status('{}') IS NULL",
            form.replace('2', "1")
        );
        assert_eq!(site.ask(&status), "t|t", "{form}");
    }
    assert_eq!(site.ask(r#"SELECT spamcheck.resubscribe('{"list_id": 2, "Mail": "it''s \"ann\""}') ->> 'status'"#), "done");
    assert_eq!(site.ask("SELECT bool_and(gets) FROM members"), "t");
}

#[test]
fn who_reports_what_staff_have_marked_ends_the_subscription_once() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'fine'); UPDATE comments SET status = 'spam'",
    );
    assert_eq!(users(&mut site), "", "a plain UPDATE changes no subscription");
    let report =
        "SELECT a ->> 'status', a ->> 'subscriber' FROM spamcheck.report_spam('comments', '1') a";
    assert_eq!(site.ask(report), "already|unsubscribed");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    // Whoever was subscribed again since stays so.
    site.run("SELECT spamcheck.resubscribe('ann@mail.example')");
    assert_eq!(site.ask(report), "already|");
    assert_eq!(users(&mut site), "ann subscribed 2");
}

#[test]
fn renamed_columns_and_tables_are_followed() {
    let mut site = site();
    site.run(
        "ALTER TABLE users RENAME TO people; ALTER TABLE people RENAME email TO mail; ALTER TABLE people RENAME subscription_status TO state;
         ALTER TABLE comments RENAME email TO address; INSERT INTO comments (address, body) VALUES ('ann@mail.example', 'casino')",
    );
    assert_eq!(
        site.ask("SELECT mail FROM people WHERE state = 'unsubscribed' AND changes = 1"),
        "ann@mail.example"
    );
}

#[test]
fn a_subscribers_table_that_fails_does_not_fail_the_insert() {
    let mut site = site();
    site.run("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
        CREATE TRIGGER fail BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail()");
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(history(&mut site), "");
    assert!(
        crate::site::cluster()
            .log()
            .contains("the subscriber of a spam row of public.comments is not unsubscribed")
    );
    site.run("UPDATE comments SET status = 'approved'");
    let answer = site.ask("SELECT spamcheck.report_spam('comments', '1') ->> 'subscriber'");
    assert!(answer.contains("not today"), "{answer}");
    site.run("DROP TABLE users; INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert_eq!(site.statuses(), "1 spam\n2 spam");
}

#[test]
fn two_sessions_end_a_subscription_once() {
    let mut site = site();
    let mut other = site.db.client();
    site.run("BEGIN; INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    let second = std::thread::spawn(move || {
        run(&mut other, "INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
        ask(&mut other, "SELECT count(*) FROM comments")
    });
    let mut third = site.db.client();
    support::wait::until(std::time::Duration::from_secs(20), "the second insert to wait", || {
        ask(
            &mut third,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        ) == "1"
    });
    site.run("COMMIT");
    assert_eq!(second.join().expect("it goes in"), "2");
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    assert_eq!(history(&mut site), "ann unsubscribe_spamcheck postgres 1");
}
