//! The table of senders: its memory is fixed, and what gives way in a flood is not what blocks.

use std::time::Duration;

use support::cluster::{Cluster, ClusterOptions};
use support::wait::until;

use crate::site::{ask, run};
use crate::{limited, limited_in, passed, sent};

/// A statement that sends one submission from each of so many addresses.
fn flood(addresses: u32) -> String {
    format!(
        "INSERT INTO comments (ip, body) SELECT '11.0.0.0'::inet + n, 'x' FROM generate_series(1, \
         {addresses}) n"
    )
}

#[test]
fn a_million_senders_take_no_memory_and_free_nobody() {
    let cluster =
        Cluster::start(ClusterOptions::default().with("pg_spamcheck.rate_limit_entries", 1_024));
    let db = limited_in(&cluster, r#"{"max": 5, "per": "1 hour", "block": "1 hour"}"#);
    let mut client = db.client();
    let blocked: Vec<String> = (1..=40).map(|n| format!("192.0.2.{n}")).collect();
    for ip in &blocked {
        assert!((0..5).all(|_| sent(&mut client, ip)));
        assert!(!sent(&mut client, ip));
    }
    for _ in 0..4 {
        assert!(sent(&mut client, "198.51.100.1"));
    }
    // Rows are not what this is about.
    run(
        &mut client,
        "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        RETURN NULL; END $$; CREATE TRIGGER zzzzz BEFORE INSERT ON comments FOR EACH ROW EXECUTE \
        FUNCTION leave_out()",
    );
    let size =
        "SELECT allocated_size FROM pg_shmem_allocations WHERE name = 'pg_spamcheck senders'";
    let before: u64 = ask(&mut client, size).parse().unwrap();
    assert!(before < 300_000, "{before} bytes for 1,024 senders");
    assert!(passed(&mut client, &flood(1_000_000)));
    assert_eq!(ask(&mut client, size), before.to_string());
    for ip in &blocked {
        assert!(!sent(&mut client, ip), "{ip}");
    }
    // Nor is one forgotten who has tried oftener than they.
    assert!(sent(&mut client, "198.51.100.1"));
    assert!(!sent(&mut client, "198.51.100.1"));
    assert_eq!(
        ask(&mut client, "SELECT state FROM spamcheck.health() WHERE item = 'rate_limit'"),
        "warning"
    );
}

#[test]
fn senders_that_no_longer_count_give_their_places_back() {
    let cluster =
        Cluster::start(ClusterOptions::default().with("pg_spamcheck.rate_limit_entries", 1_024));
    let db = limited_in(&cluster, r#"{"max": 5, "per": "0.1 seconds", "block": "1 hour"}"#);
    let mut client = db.client();
    for _ in 0..10 {
        assert!(passed(&mut client, &flood(500)));
        run(&mut client, "SELECT pg_sleep(0.11)");
        run(&mut client, "TRUNCATE comments");
    }
    assert_eq!(
        ask(&mut client, "SELECT state FROM spamcheck.health() WHERE item = 'rate_limit'"),
        "ok"
    );
}

#[test]
fn the_extension_made_anew_knows_no_sender_of_before() {
    let mut site = limited(r#"{"max": 1, "per": "1 hour", "block": "1 hour"}"#);
    assert!(sent(&mut site.client, "192.0.2.1"));
    for _ in 0..3 {
        assert!(!sent(&mut site.client, "192.0.2.1"));
    }
    site.run("DROP EXTENSION pg_spamcheck CASCADE; CREATE EXTENSION pg_spamcheck");
    site.run("SELECT spamcheck.protect('comments')");
    crate::limit(&mut site, r#"{"max": 1, "per": "1 hour", "block": "1 hour"}"#);
    crate::worker_runs(&site.db);
    assert!(sent(&mut site.client, "192.0.2.1"));
    assert!(!sent(&mut site.client, "192.0.2.1"));
    assert!(!sent(&mut site.client, "192.0.2.1"));
    until(Duration::from_secs(20), "a number of its own", || {
        site.ask("SELECT detail ->> 'refused' FROM spamcheck.spam_checklog") == "2"
    });
}
