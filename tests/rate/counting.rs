//! What is a try, and that all sessions count together.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::site::{Site, run};
use crate::{limit, limited, passed, sent, sent_to};

const LONG: &str = r#""per": "1 hour", "block": "1 hour""#;

#[test]
fn of_64_sessions_exactly_max_tries_pass_over_two_tables() {
    let mut site = limited(&format!(r#"{{"max": 100, {LONG}}}"#));
    site.run(
        "CREATE TABLE letters (id serial PRIMARY KEY, ip inet, body text); SELECT \
        spamcheck.protect('letters', status => '{}')",
    );
    for (round, max) in [(1, 7), (2, 32), (3, 100), (4, 319)] {
        limit(&mut site, &format!(r#"{{"max": {max}, {LONG}}}"#));
        let ip = format!("192.0.2.{round}");
        let barrier = Barrier::new(64);
        let passed: usize = thread::scope(|scope| {
            let sessions: Vec<_> = (0..64)
                .map(|session| {
                    let (db, barrier, ip) = (&site.db, &barrier, &ip);
                    scope.spawn(move || {
                        let mut client = db.client();
                        let table = ["comments", "letters"][session % 2];
                        barrier.wait();
                        (0..5).filter(|_| sent_to(&mut client, table, ip)).count()
                    })
                })
                .collect();
            sessions.into_iter().map(|session| session.join().unwrap()).sum()
        });
        assert_eq!(passed, max);
        let stored = site.ask(&format!(
            "SELECT (SELECT count(*) FROM comments WHERE ip = '{ip}') + (SELECT count(*) FROM \
             letters WHERE ip = '{ip}')"
        ));
        assert_eq!(stored, max.to_string());
    }
}

#[test]
fn sessions_that_do_nothing_else_count_every_try_once() {
    let mut site = limited(&format!(r#"{{"max": 30000, {LONG}}}"#));
    site.policy("on_reject = 'drop'");
    let barrier = Barrier::new(64);
    thread::scope(|scope| {
        for _ in 0..64 {
            let (db, barrier) = (&site.db, &barrier);
            scope.spawn(move || {
                let mut client = db.client();
                barrier.wait();
                run(
                    &mut client,
                    "INSERT INTO comments (ip, body) SELECT '192.0.2.1', 'x' FROM \
                     generate_series(1, 1000)",
                );
            });
        }
    });
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "30000");
    support::wait::until(Duration::from_secs(20), "the number of the refused", || {
        site.ask("SELECT detail ->> 'refused' FROM spamcheck.spam_checklog") == "34000"
    });
}

#[test]
fn tries_count_although_their_transactions_fail() {
    let mut site = limited(&format!(r#"{{"max": 5, {LONG}}}"#));
    let insert = "INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'hello')";
    site.run(&format!("BEGIN; {insert}; ROLLBACK"));
    site.run(&format!("BEGIN; SAVEPOINT s; {insert}; ROLLBACK TO s; COMMIT"));
    let failing = "INSERT INTO comments (ip, body, views) VALUES ('192.0.2.1', 'hello', NULL)";
    assert!(site.client.batch_execute(failing).is_err());
    let name = site.db.name().to_owned();
    site.run(&format!("BEGIN; {insert}; PREPARE TRANSACTION '{name}'"));
    site.run(&format!("ROLLBACK PREPARED '{name}'"));
    let nothing = "INSERT INTO comments (id, ip, body) VALUES (1000, '192.0.2.1', 'hello') ON \
                   CONFLICT DO NOTHING";
    site.run("INSERT INTO comments (id, body) VALUES (1000, 'without an address')");
    site.run(nothing);
    assert_eq!(site.ask("SELECT count(*) FROM comments WHERE ip IS NOT NULL"), "0");
    assert!(!sent(&mut site.client, "192.0.2.1"), "five failed tries are five tries");
    assert!(sent(&mut site.client, "192.0.2.2"));
}

#[test]
fn a_statement_of_many_rows_is_as_many_tries() {
    let mut site = limited(&format!(r#"{{"max": 5, {LONG}}}"#));
    let rows = |rows: i32| {
        format!(
            "INSERT INTO comments (ip, body) SELECT '192.0.2.1', 'x' FROM generate_series(1, {rows})"
        )
    };
    assert!(passed(&mut site.client, &rows(5)));
    assert!(!passed(&mut site.client, &rows(1)));
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "5");
}

#[test]
fn edits_are_nobodys_try() {
    let mut site = limited(&format!(r#"{{"max": 2, {LONG}}}"#));
    assert!(sent(&mut site.client, "192.0.2.1"));
    for n in 0..5 {
        assert!(passed(&mut site.client, &format!("UPDATE comments SET body = 'edited {n}'")));
    }
    let upsert = "INSERT INTO comments (id, ip, body) VALUES (1, '192.0.2.1', 'again') ON CONFLICT \
                  (id) DO UPDATE SET body = excluded.body";
    assert!(passed(&mut site.client, upsert), "the second try");
    assert!(!passed(&mut site.client, upsert), "the third one");
    // Blocked, he is no obstacle to those who edit what he wrote.
    assert!(passed(&mut site.client, "UPDATE comments SET body = 'cleaned up'"));
    // An edit that moves a row between partitions is an edit.
    site.run(
        "CREATE TABLE parts (id integer, ip inet, body text) PARTITION BY LIST (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
        SELECT spamcheck.protect('parts', status => '{}');
        INSERT INTO parts VALUES (1, '192.0.2.2', 'one'), (1, '192.0.2.2', 'two')",
    );
    for id in [2, 1, 2] {
        assert!(passed(
            &mut site.client,
            &format!("UPDATE parts SET id = {id}, body = body || '!'")
        ));
    }
}

#[test]
fn a_block_lets_go_in_time_however_often_it_is_asked() {
    let mut site = limited(r#"{"max": 2, "per": "1 hour", "block": "2 seconds"}"#);
    let client = &mut site.client;
    assert!(sent(client, "192.0.2.1") && sent(client, "192.0.2.1"));
    let before = Instant::now();
    assert!(!sent(client, "192.0.2.1"));
    let after = Instant::now();
    let mut refused = 0;
    support::wait::until(Duration::from_secs(10), "the end of the block", || {
        refused += 1;
        sent(client, "192.0.2.1")
    });
    assert!(refused > 20, "asked only {refused} times");
    assert!(before.elapsed() >= Duration::from_secs(2), "{:?}", before.elapsed());
    assert!(after.elapsed() < Duration::from_secs(8), "{:?}", after.elapsed());
    // Counting starts anew: the hour's other tries are forgotten.
    assert!(sent(client, "192.0.2.1"));
    assert!(!sent(client, "192.0.2.1"));
}

#[test]
fn tries_count_for_any_row_of_time() {
    // Without a block, a sender waits until the oldest try is out of sight.
    let mut site = limited(r#"{"max": 3, "per": "2 seconds", "block": null}"#);
    let client = &mut site.client;
    let mut passed = Vec::new();
    let until = Instant::now() + Duration::from_secs(7);
    support::wait::until(Duration::from_secs(20), "seven seconds of tries", || {
        let began = Instant::now();
        if sent(client, "192.0.2.1") {
            passed.push((began, Instant::now()));
        }
        began > until
    });
    for four in passed.windows(4) {
        let apart = four[3].1 - four[0].0;
        assert!(apart >= Duration::from_secs(2), "four within {apart:?}");
    }
    assert!((9..=12).contains(&passed.len()), "{} passed", passed.len());
}

#[test]
fn policies_limits_and_databases_count_for_themselves() {
    let options = format!(r#"{{"max": 1, {LONG}}}"#);
    let mut site = limited(&options);
    assert!(sent(&mut site.client, "192.0.2.1"));
    assert!(!sent(&mut site.client, "192.0.2.1"));
    site.run(&format!(
        "CREATE TABLE letters (id serial PRIMARY KEY, ip inet, body text);
         SELECT spamcheck.create_policy('other'); SELECT spamcheck.protect('letters', 'other', \
         status => '{{}}');
         UPDATE spamcheck.check_setting SET enabled = true, options = '{options}' WHERE policy = \
         'other' AND check_name = 'rate_limit'"
    ));
    assert!(sent_to(&mut site.client, "letters", "192.0.2.1"));
    assert!(!sent_to(&mut site.client, "letters", "192.0.2.1"));
    let mut other = Site::new();
    limit(&mut other, &options);
    assert!(sent(&mut other.client, "192.0.2.1"));
    // Who changes the limit lets everybody start anew.
    limit(&mut site, &format!(r#"{{"max": 2, {LONG}}}"#));
    assert!(sent(&mut site.client, "192.0.2.1") && sent(&mut site.client, "192.0.2.1"));
    assert!(!sent(&mut site.client, "192.0.2.1"));
}

#[test]
fn what_is_not_judged_is_not_counted() {
    let mut site = limited(&format!(r#"{{"max": 1, {LONG}}}"#));
    site.run("SET pg_spamcheck.enabled = off");
    assert!(sent(&mut site.client, "192.0.2.1") && sent(&mut site.client, "192.0.2.1"));
    run(&mut site.client, "RESET pg_spamcheck.enabled");
    site.policy("mode = 'off'");
    assert!(sent(&mut site.client, "192.0.2.1") && sent(&mut site.client, "192.0.2.1"));
    site.policy("mode = 'enforce'");
    assert!(sent(&mut site.client, "192.0.2.1"));
    assert!(!sent(&mut site.client, "192.0.2.1"));
}
