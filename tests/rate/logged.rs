//! The log of refused senders: one entry a block, with the number of its refusals.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use support::cluster::{Cluster, ClusterOptions, StopMode};
use support::wait::until;

use crate::site::{ask, run};
use crate::{limited, limited_in, sent, worker_runs};

const PATIENCE: Duration = Duration::from_secs(20);
const ENTRIES: &str = "SELECT detail ->> 'sender', detail ->> 'refused' FROM \
    spamcheck.spam_checklog ORDER BY id";

#[test]
fn a_block_has_one_entry_and_in_it_the_number_of_its_refusals() {
    let mut site = limited(r#"{"max": 3, "per": "1 hour", "block": "1 hour"}"#);
    assert!((0..3).all(|_| sent(&mut site.client, "192.0.2.1")));
    assert!(!sent(&mut site.client, "192.0.2.1"));
    // Committed when the client has the error, as of every rejection.
    assert_eq!(
        site.ask(
            "SELECT check_name, action, outcome, policy, ip, comment, row_key IS NULL, why, \
             submission -> 'row' ->> 'body', detail FROM spamcheck.spam_checklog"
        ),
        "rate_limit|reject|rejected|default|192.0.2.1|hello|t|more than 3 tries in 1 hour from ip \
         192.0.2.1|hello|{\"key\": \"ip\", \"max\": 3, \"per\": \"1 hour\", \"sender\": \
         \"192.0.2.1\", \"refused\": 1, \"retry_after\": 3600}"
    );
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for session in 0..8 {
            let (db, barrier) = (&site.db, &barrier);
            scope.spawn(move || {
                let mut client = db.client();
                barrier.wait();
                for _ in 0..25 {
                    assert!(!sent(&mut client, "192.0.2.1"), "{session}");
                }
            });
        }
    });
    until(PATIENCE, "all 201 refusals", || site.ask(ENTRIES) == "192.0.2.1|201");
    let mut other = site.db.client();
    assert!((0..3).all(|_| sent(&mut other, "192.0.2.2")));
    assert!(!sent(&mut other, "192.0.2.2") && !sent(&mut other, "192.0.2.2"));
    until(PATIENCE, "the other block", || site.ask(ENTRIES) == "192.0.2.1|201\n192.0.2.2|2");
}

#[test]
fn the_first_of_many_at_the_same_time_is_logged_and_no_other() {
    let mut site = limited(r#"{"max": 0, "per": "1 hour", "block": "1 hour"}"#);
    for round in 1..=5 {
        let ip = format!("192.0.2.{round}");
        let barrier = Barrier::new(16);
        thread::scope(|scope| {
            for _ in 0..16 {
                let (db, barrier, ip) = (&site.db, &barrier, &ip);
                scope.spawn(move || {
                    let mut client = db.client();
                    barrier.wait();
                    assert!(!sent(&mut client, ip));
                });
            }
        });
        let entries = format!(
            "SELECT count(*), max(detail ->> 'refused') FROM \
            spamcheck.spam_checklog WHERE ip = '{ip}'"
        );
        until(PATIENCE, "sixteen in one", || site.ask(&entries) == "1|16");
    }
}

#[test]
fn each_block_has_its_own_number_also_when_it_is_over_before_anybody_looks() {
    let mut site = limited(r#"{"max": 1, "per": "1 hour", "block": "0.3 seconds"}"#);
    let mut expected = [0; 4];
    let client = &mut site.client;
    for block in 0..4 {
        until(PATIENCE, "the end of the block", || {
            let passed = sent(client, "192.0.2.1");
            // Refusals come in the block of the try before.
            if !passed && block > 0 {
                expected[block - 1] += 1;
            }
            passed
        });
    }
    let expected: Vec<String> = expected[..3].iter().map(|n| format!("192.0.2.1|{n}")).collect();
    until(PATIENCE, "three numbers", || site.ask(ENTRIES) == expected.join("\n"));
}

#[test]
fn a_locked_log_delays_the_entry_and_the_number_and_loses_neither() {
    let mut site = limited(r#"{"max": 0, "per": "1 hour", "block": "1 hour"}"#);
    let mut other = site.db.client();
    run(&mut other, "BEGIN; LOCK spamcheck.spam_checklog IN ACCESS EXCLUSIVE MODE");
    for _ in 0..10 {
        assert!(!sent(&mut site.client, "192.0.2.1"));
    }
    run(&mut other, "COMMIT");
    until(PATIENCE, "ten refusals", || site.ask(ENTRIES) == "192.0.2.1|10");
}

#[test]
fn a_refusal_that_could_not_be_logged_is_made_up_for_by_a_later_one() {
    let cluster = Cluster::start(ClusterOptions::default());
    let db = limited_in(&cluster, r#"{"max": 0, "per": "1 hour", "block": "1 hour"}"#);
    let mut client = db.client();
    run(
        &mut client,
        "ALTER TABLE spamcheck.spam_checklog ADD CONSTRAINT none CHECK (false) NOT VALID",
    );
    for _ in 0..5 {
        assert!(!sent(&mut client, "192.0.2.1"));
    }
    assert_eq!(ask(&mut client, ENTRIES), "");
    run(&mut client, "ALTER TABLE spamcheck.spam_checklog DROP CONSTRAINT none");
    until(PATIENCE, "an entry", || {
        assert!(!sent(&mut client, "192.0.2.1"));
        ask(&mut client, ENTRIES) == "192.0.2.1|8"
    });
}

#[test]
fn a_stop_of_the_server_forgets_blocks_and_keeps_their_numbers() {
    let cluster = Cluster::start(ClusterOptions::default());
    let db = limited_in(&cluster, r#"{"max": 1, "per": "1 hour", "block": "1 hour"}"#);
    let mut client = db.client();
    assert!(sent(&mut client, "192.0.2.1"));
    // More than once: the numbers must not be there because the worker's second was just over.
    for round in 1..=3 {
        for _ in 0..30 {
            assert!(!sent(&mut client, "192.0.2.1"));
        }
        drop(client);
        cluster.stop(StopMode::Fast);
        cluster.start_again();
        worker_runs(&db);
        client = db.client();
        assert_eq!(
            ask(&mut client, ENTRIES).lines().filter(|line| *line == "192.0.2.1|30").count(),
            round,
            "{}",
            ask(&mut client, ENTRIES)
        );
        assert!(sent(&mut client, "192.0.2.1"), "the block outlived the server");
    }
}

#[test]
fn a_crash_forgets_blocks_and_leaves_nothing_locked() {
    let cluster = Cluster::start(ClusterOptions::default());
    let db = limited_in(&cluster, r#"{"max": 1, "per": "1 hour", "block": "1 hour"}"#);
    let mut client = db.client();
    assert!(sent(&mut client, "192.0.2.1"));
    assert!(!sent(&mut client, "192.0.2.1"));
    drop(client);
    cluster.kill9();
    cluster.start_again();
    worker_runs(&db);
    let mut client = db.client();
    assert_eq!(ask(&mut client, ENTRIES), "192.0.2.1|1");
    assert!(sent(&mut client, "192.0.2.1"));
    assert!(!sent(&mut client, "192.0.2.1"));
    until(PATIENCE, "both blocks", || ask(&mut client, ENTRIES) == "192.0.2.1|1\n192.0.2.1|1");
}
