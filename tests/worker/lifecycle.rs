//! The extension dropped and made again under a worker, restores, and those who would keep the worker out.

use std::time::{Duration, Instant};

use support::cluster::ClusterOptions;
use support::http::Reply;
use support::wait;

use crate::gate::Gate;
use crate::site::{COMMENTS, SOON, World};

const RECREATE: &str = "CREATE EXTENSION pg_spamcheck; SELECT spamcheck.protect('comments')";

#[test]
fn the_extension_can_be_dropped_while_requests_are_out_and_made_again() {
    let gate = Gate::shared();
    let mut site = gate.site(r#"{"mode": "hold"}"#);
    for round in 0..3 {
        let text = format!("out when the extension goes {round}");
        for _ in 0..10 {
            site.comment(&text);
        }
        gate.until_asked(&text);
        let start = Instant::now();
        site.run("DROP EXTENSION pg_spamcheck CASCADE");
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        assert_eq!(site.get("SELECT to_regclass('spamcheck.lookup')"), "-");
        wait::until(SOON, "the worker's leaving", || site.database.worker_pid().is_none());
        gate.say(&text, true);
        site.run("TRUNCATE comments");
        site.run(RECREATE);
        site.ask_with(r#"{"mode": "hold"}"#);
        let next = format!("after the extension is back {round}");
        let id = site.comment(&next);
        gate.say(&next, true);
        site.until_all_answered();
        assert_eq!(site.status(id), "spam");
        assert_eq!(site.log(), ["akismet spam suppressed"]);
    }
}

#[test]
fn dropping_the_extension_never_deadlocks_with_the_worker() {
    let world = World::new(ClusterOptions::default().with("deadlock_timeout", "100ms"));
    let mut site = world.site(r#"{"mode": "hold"}"#);
    for _ in 0..8 {
        site.run(
            "INSERT INTO comments (body, ip) SELECT 'row ' || n, '203.0.113.7' FROM generate_series(1, 150) n",
        );
        // The worker is in the midst of them.
        site.until("SELECT count(*) < 150 FROM spamcheck.lookup", "true");
        site.run("DROP EXTENSION pg_spamcheck CASCADE; TRUNCATE comments");
        site.run(RECREATE);
        site.ask_with(r#"{"mode": "hold"}"#);
    }
    site.comment("the last");
    site.until_all_answered();
    let log = world.cluster.log();
    assert!(!log.contains("deadlock detected"), "{log}");
    assert!(!log.contains("terminated by signal"), "{log}");
    assert!(!log.contains("does not exist"), "the worker looked for tables that were gone:\n{log}");
}

#[test]
fn dropping_and_making_it_in_one_transaction_works_also_when_rolled_back() {
    let mut site = World::shared().site("{}");
    site.run("BEGIN; DROP EXTENSION pg_spamcheck CASCADE; ROLLBACK");
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    site.run(&format!("BEGIN; DROP EXTENSION pg_spamcheck CASCADE; {RECREATE}; COMMIT"));
    site.ask_with("{}");
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    site.run(&format!("BEGIN; DROP EXTENSION pg_spamcheck CASCADE; {RECREATE}; ROLLBACK"));
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_rolled_back_create_extension_leaves_no_worker() {
    let world = World::shared();
    let database = world.cluster.empty_database();
    let mut client = database.client();
    client.batch_execute("BEGIN; CREATE EXTENSION pg_spamcheck; ROLLBACK").expect("it may");
    assert_eq!(database.worker_pid(), None);
    client.batch_execute(&format!("CREATE EXTENSION pg_spamcheck; {COMMENTS}")).expect("it may");
    wait::until(SOON, "the worker", || database.worker_pid().is_some());
}

#[test]
fn lookups_that_a_restore_brings_are_made() {
    let mut site = World::shared().site("{}");
    let failing = site.answer("", Reply::status(500));
    let id = site.comment("akismet-guaranteed-spam");
    site.until("SELECT last_error IS NOT NULL FROM spamcheck.lookup", "true");
    site.run("CREATE TABLE saved AS SELECT * FROM spamcheck.lookup; DELETE FROM spamcheck.lookup");
    failing.off();
    // With nothing in the queue the worker falls asleep.
    site.comment("an answer opens the lane again");
    site.until_all_answered();
    site.run("INSERT INTO spamcheck.lookup SELECT * FROM saved");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_dba_who_makes_a_lookup_due_is_heeded() {
    let mut site = World::shared().site("{}");
    let busy = site.answer("", Reply::text("true").header("X-akismet-error", "account problem"));
    let id = site.comment("akismet-guaranteed-spam");
    site.until("SELECT next_at > now() + interval '30 s' FROM spamcheck.lookup", "true");
    busy.off();
    site.run("UPDATE spamcheck.lookup SET next_at = now()");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn nobody_else_can_keep_the_worker_out() {
    let mut site = World::shared().site("{}");
    let role = format!("blocker_{}", site.database.name());
    site.run(&format!("CREATE ROLE {role} LOGIN"));
    let pid = wait::found(SOON, "the worker", || site.database.worker_pid());
    let mut blocker = site.database.client_as(&role);
    blocker
        .batch_execute("SELECT pg_advisory_lock(hashtext('pg_spamcheck'), hashtext('worker'))")
        .or_else(|_| blocker.batch_execute("SELECT 1"))
        .expect("it may try");
    // Every advisory lock that anybody can see in use, and the usual suspects.
    let held = "SELECT DISTINCT classid::bigint, objid::bigint, objsubid FROM pg_locks WHERE locktype = 'advisory'";
    for row in site.client.query(held, &[]).expect("a query") {
        let (class, object, kind) =
            (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i16>(2));
        let lock = match kind {
            1 => format!("SELECT pg_try_advisory_lock({})", class << 32 | object),
            _ => format!("SELECT pg_try_advisory_lock({}, {})", class as i32, object as i32),
        };
        blocker.batch_execute(&lock).expect("it may try");
    }
    site.run(&format!("SELECT pg_terminate_backend({pid})"));
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    drop(blocker);
    site.run(&format!("DROP ROLE {role}"));
}

#[test]
fn a_storm_of_reloads_disturbs_nothing() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    site.run("INSERT INTO comments (body, ip) SELECT 'akismet-guaranteed-spam ' || n, '203.0.113.7' FROM generate_series(1, 300) n");
    for _ in 0..100 {
        site.run("SELECT pg_reload_conf()");
    }
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'spam'"), "300");
    assert_eq!(site.requests().len(), 300, "each is asked about once");
}

#[test]
fn a_lookup_that_is_parked_for_ever_disturbs_nobody() {
    let mut site = World::shared().site("{}");
    let failing = site.answer("", Reply::status(500));
    site.comment("akismet-guaranteed-spam");
    site.until("SELECT last_error IS NOT NULL FROM spamcheck.lookup", "true");
    site.run("UPDATE spamcheck.lookup SET next_at = 'infinity'");
    failing.off();
    let other = site.comment("akismet-guaranteed-spam and another");
    site.until(&format!("SELECT status FROM comments WHERE id = {other}"), "spam");
    assert_eq!(site.get("SELECT next_at FROM spamcheck.lookup"), "infinity");
    site.run("UPDATE spamcheck.lookup SET next_at = '-infinity'");
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'spam'"), "2");
}

#[test]
fn settings_of_the_database_do_not_reach_the_worker() {
    let mut site = World::shared().site("{}");
    let database = site.database.name().to_string();
    for setting in [
        "default_transaction_read_only = on",
        "default_transaction_isolation = serializable",
        "default_transaction_deferrable = on",
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "session_replication_role = replica",
        "search_path = 'nowhere'",
        "row_security = off",
        "bytea_output = escape",
        "DateStyle = 'SQL, DMY'",
        "TimeZone = 'Asia/Kolkata'",
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
        "IntervalStyle = 'iso_8601'",
        "xmloption = document",
        "enable_seqscan = off",
        "jit_above_cost = 0",
        "work_mem = '64kB'",
    ] {
        site.run(&format!("ALTER DATABASE {database} SET {setting}"));
    }
    let pid = wait::found(SOON, "the worker", || site.database.worker_pid());
    site.run(&format!("SELECT pg_terminate_backend({pid})"));
    // This session has none of the settings; the next worker would have them all.
    wait::until(SOON, "the next worker", || {
        site.database.worker_pid().is_some_and(|next| next != pid)
    });
    site.run("INSERT INTO comments (body, ip) SELECT 'akismet-guaranteed-spam ' || n, '203.0.113.7' FROM generate_series(1, 100) n");
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'spam'"), "100");
    assert_eq!(site.requests().len(), 100, "each is asked about once");
}

#[test]
fn an_unreadable_ca_file_stops_requests_and_nothing_else() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    site.run("UPDATE spamcheck.check_setting SET action = 'reject', options = '{\"over\": 0}' WHERE check_name = 'links'");
    world.cluster.set("pg_spamcheck.ca_file", "/nowhere/ca.pem");
    world.cluster.restart();
    site.client = site.database.client();
    let id = site.comment("akismet-guaranteed-spam");
    site.until("SELECT state <> 'ok' FROM spamcheck.health() WHERE item = 'akismet'", "true");
    let pid = wait::found(SOON, "the worker", || site.database.worker_pid());
    assert!(
        site.client
            .execute("INSERT INTO comments (body) VALUES ('https://one.example/')", &[])
            .is_err()
    );
    assert_eq!(site.log(), ["links reject rejected"], "rejections are logged");
    let moved = wait::poll(Duration::from_secs(2), || {
        (site.database.worker_pid() != Some(pid)).then_some(())
    });
    assert!(moved.is_none(), "the worker does not stay:\n{}", world.cluster.log());
    assert_eq!(site.get("SELECT attempts FROM spamcheck.lookup"), "0");
    world.cluster.reset("pg_spamcheck.ca_file");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_cancelled_worker_goes_on() {
    let mut site = World::shared().site("{}");
    for _ in 0..3 {
        let cancelled = wait::poll(SOON, || {
            let pid = site.database.worker_pid()?;
            (site.get(&format!("SELECT pg_cancel_backend({pid})")) == "true").then_some(())
        });
        assert!(cancelled.is_some(), "there is a worker");
        let id = site.comment("akismet-guaranteed-spam");
        site.until_all_answered();
        assert_eq!(site.status(id), "spam");
    }
}

#[test]
fn a_migration_that_drops_tables_is_not_the_victim_of_a_deadlock_with_the_worker() {
    let gate = Gate::new(ClusterOptions::default());
    let mut site = gate.bare_site("{}");
    let text = "in two tables that are dropped";
    for table in ["one", "two"] {
        site.run(&format!(
            "CREATE TABLE {table} (id serial PRIMARY KEY, body text, status text
                 CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('{table}')"
        ));
    }
    site.run(&format!(
        "BEGIN; INSERT INTO one (body, status) VALUES ('{text}', 'approved');
         INSERT INTO two (body, status) VALUES ('{text}', 'approved'); COMMIT"
    ));
    wait::until(SOON, "both questions", || gate.asked(text) == 2);
    let mut migration = site.database.client();
    let mut migration = migration.transaction().expect("it begins");
    migration.batch_execute("DROP TABLE two").expect("it may");
    gate.say(text, true);
    // The worker has table one by now and comes to what the migration has.
    let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                    WHERE a.backend_type = 'pg_spamcheck worker' AND NOT l.granted AND l.locktype = 'transactionid'";
    wait::poll(Duration::from_secs(1), || (site.get(waiting) == "1").then_some(()));
    migration.batch_execute("DROP TABLE one").expect("the worker steps aside");
    migration.commit().expect("it commits");
    site.until_all_answered();
    let log = gate.cluster.log();
    assert!(!log.contains("deadlock detected"), "{log}");
}
