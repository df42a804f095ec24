//! Without a worker that answers: the client gets its answer all the same, and what is not logged is
//! counted and named in the server's log.

use std::thread;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use support::cluster::{Cluster, ClusterOptions, signal};
use support::wait;

use crate::refusing;
use crate::site::{COLUMNS, RULES, Site, ask, refused, run};

/// The wait for the worker is a second; the rest is for a machine that has other things to do.
const PROMPT: Duration = Duration::from_secs(10);
/// Less than that second: nothing was waited for. The quickest of several counts, since the machine has other things
/// to do.
const AT_ONCE: Duration = Duration::from_millis(900);

const SPAM: &str = "INSERT INTO comments (body) VALUES ('casino')";

/// A process that does not run as long as this lives.
struct Stopped(u32);

impl Stopped {
    fn worker_of(site: &Site) -> Stopped {
        let pid = site.db.worker_pid().expect("a worker runs");
        signal("STOP", &[pid]);
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", &[self.0]);
    }
}

fn counters(site: &mut Site) -> String {
    site.ask("SELECT rejections_logged, rejections_unlogged FROM spamcheck.stat_worker")
}

fn logged(site: &mut Site) -> String {
    site.ask("SELECT count(*) FROM spamcheck.spam_checklog")
}

#[test]
fn a_worker_that_hangs_delays_the_answer_by_little_more_than_a_second() {
    let mut site = refusing();
    let stopped = Stopped::worker_of(&site);
    let started = Instant::now();
    let error = refused(&mut site.client, SPAM);
    let took = started.elapsed();
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
    assert!(took < PROMPT, "{took:?}");
    let name = site.db.name().to_owned();
    let lines = site.db.cluster().log();
    let said = lines.lines().any(|line| {
        line.contains(&format!("@{name}"))
            && line.contains("spam_checklog")
            && line.contains("public.comments")
    });
    assert!(said, "the server's log does not say that the entry is late");
    // Late is not lost.
    drop(stopped);
    wait::until(Duration::from_secs(20), "the late entry", || logged(&mut site) == "1");
    refused(&mut site.client, SPAM);
    wait::until(Duration::from_secs(20), "two entries that are counted as such", || {
        counters(&mut site) == "2|0"
    });
}

#[test]
fn an_entry_that_the_worker_did_not_take_is_counted() {
    let mut site = refusing();
    let stopped = Stopped::worker_of(&site);
    // More than one piece: the rest of it goes with the session.
    let body = format!("casino {}", "x".repeat(100_000));
    let failed = site.client.execute("INSERT INTO comments (body) VALUES ($1)", &[&body]);
    assert!(failed.is_err());
    assert_eq!(site.ask("SELECT rejections_unlogged FROM spamcheck.stat_worker"), "1");
    let health = "SELECT state <> 'ok', message LIKE '1 %', hint IS NOT NULL FROM \
        spamcheck.health() WHERE item = 'rejections'";
    assert_eq!(site.ask(health), "t|t|t");
    drop(stopped);
    // The piece that was left behind does no harm.
    for n in 1..=3 {
        refused(&mut site.client, &format!("INSERT INTO comments (body) VALUES ('casino {n}')"));
    }
    wait::until(Duration::from_secs(20), "three entries", || {
        site.ask("SELECT comment FROM spamcheck.spam_checklog ORDER BY id")
            == "casino 1\ncasino 2\ncasino 3"
    });
    assert_eq!(counters(&mut site), "3|1");
}

#[test]
fn a_timeout_and_a_cancel_end_the_wait() {
    let mut site = refusing();
    let stopped = Stopped::worker_of(&site);
    site.run("SET statement_timeout = '150ms'");
    let times = [(); 3].map(|()| {
        let started = Instant::now();
        let error = refused(&mut site.client, SPAM);
        assert_eq!(error.code(), &SqlState::QUERY_CANCELED);
        started.elapsed()
    });
    assert!(times.iter().any(|took| *took < AT_ONCE), "{times:?}");
    site.run("SET statement_timeout = 0");
    let pid = site.ask("SELECT pg_backend_pid()");
    let mut other = site.db.client();
    let cancelling = thread::spawn(move || {
        wait::until(Duration::from_secs(20), "the session to wait", || {
            ask(
                &mut other,
                &format!(
                    "SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid} AND state = \
                        'active'"
                ),
            ) == "Extension"
        });
        ask(&mut other, &format!("SELECT pg_cancel_backend({pid})"))
    });
    let error = refused(&mut site.client, SPAM);
    cancelling.join().unwrap();
    assert_eq!(error.code(), &SqlState::QUERY_CANCELED);
    drop(stopped);
    // Session and slots are as before.
    let error = refused(&mut site.client, SPAM);
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
    let newest = site.ask("SELECT outcome FROM spamcheck.recent LIMIT 1");
    assert_eq!(newest, "rejected");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "0");
}

#[test]
fn a_session_that_is_terminated_while_it_waits_leaves_no_slot_behind() {
    let mut site = refusing();
    let stopped = Stopped::worker_of(&site);
    let slots: usize = site.ask("SHOW pg_spamcheck.mailbox_slots").parse().unwrap();
    // As many as there are slots, in a few rounds.
    for _ in 0..slots.div_ceil(16) {
        let waiting: Vec<_> = (0..16)
            .map(|_| {
                let mut client = site.db.client();
                thread::spawn(move || client.batch_execute(SPAM))
            })
            .collect();
        let sessions = format!(
            "FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Extension' AND \
                query LIKE 'INSERT%'",
            site.db.name()
        );
        wait::until(Duration::from_secs(20), "sessions that wait", || {
            site.ask(&format!("SELECT count(*) > 0 {sessions}")) == "t"
        });
        site.ask(&format!("SELECT pg_terminate_backend(pid) {sessions}"));
        for session in waiting {
            assert!(session.join().unwrap().is_err());
        }
    }
    drop(stopped);
    wait::until(Duration::from_secs(20), "a refusal that is logged at once", || {
        let before: u64 = site
            .ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE comment = 'casino at last'")
            .parse()
            .unwrap();
        refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino at last')");
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE comment = 'casino at last'")
            == (before + 1).to_string()
    });
}

#[test]
fn a_worker_that_is_terminated_comes_back_and_refusals_go_on() {
    let mut site = refusing();
    // More of them, and the launcher takes a fault for granted and waits longer each time.
    for n in 1..=3 {
        let pid = site.db.worker_pid();
        if let Some(pid) = pid {
            site.run(&format!("SELECT pg_terminate_backend({pid})"));
        }
        let started = Instant::now();
        let error = refused(
            &mut site.client,
            &format!("INSERT INTO comments (body) VALUES ('casino {n}')"),
        );
        assert_eq!(error.constraint(), Some("spamcheck_reject"));
        assert!(started.elapsed() < PROMPT);
        let db = &site.db;
        wait::until(Duration::from_secs(30), "another worker", || {
            db.worker_pid().is_some_and(|new| Some(new) != pid)
        });
    }
    // Each is in the log, or counted: none is both, none neither.
    wait::until(Duration::from_secs(20), "three refusals", || {
        site.ask(
            "SELECT (SELECT count(*) FROM spamcheck.spam_checklog) + (SELECT \
            rejections_unlogged FROM spamcheck.stat_worker)",
        ) == "3"
    });
    assert_eq!(
        site.ask("SELECT count(*) - count(DISTINCT comment) FROM spamcheck.spam_checklog"),
        "0"
    );
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino at last')");
    assert_eq!(site.ask("SELECT comment FROM spamcheck.recent LIMIT 1"), "casino at last");
}

#[test]
fn without_any_worker_the_answer_comes_at_once() {
    // One process for the launcher, none for a worker.
    let options = ClusterOptions::default()
        .with("max_logical_replication_workers", 0)
        .with("max_worker_processes", 1);
    let cluster = Cluster::start(options);
    let db = cluster.database();
    let mut client = db.client();
    run(&mut client, &format!("CREATE TABLE comments ({COLUMNS})"));
    run(&mut client, RULES);
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'; \
            SELECT spamcheck.protect('comments')",
    );
    let times = [1, 2, 3].map(|n: u32| {
        let started = Instant::now();
        let error = refused(&mut client, SPAM);
        assert_eq!(error.constraint(), Some("spamcheck_reject"));
        let took = started.elapsed();
        assert_eq!(
            ask(&mut client, "SELECT rejections_unlogged FROM spamcheck.stat_worker"),
            n.to_string()
        );
        took
    });
    assert!(times.iter().any(|took| *took < AT_ONCE), "{times:?}");
    assert_eq!(ask(&mut client, "SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    let log = cluster.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("public.comments") && line.contains("spam_checklog"));
    assert_eq!(lines.count(), 3, "{log}");
    // Whoever looks finds out.
    let unwell =
        ask(&mut client, "SELECT item FROM spamcheck.health() WHERE state <> 'ok' ORDER BY item");
    assert!(unwell.contains("rejections") && unwell.contains("worker"), "{unwell}");
    // Verdicts other than reject do not need the worker.
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content'",
    );
    assert_eq!(
        ask(&mut client, "INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
    assert_eq!(ask(&mut client, "SELECT count(*) FROM spamcheck.spam_checklog"), "1");
}

/// A cluster of few slots with a site of its own, so that nobody else needs them.
fn small_site(cluster: &Cluster) -> (support::cluster::Database<'_>, postgres::Client) {
    let db = cluster.database();
    let mut client = db.client();
    run(&mut client, &format!("CREATE TABLE comments ({COLUMNS})"));
    run(&mut client, RULES);
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content';
         SELECT spamcheck.protect('comments')",
    );
    wait::until(Duration::from_secs(30), "the worker", || db.worker_pid().is_some());
    (db, client)
}

#[test]
fn letters_to_a_database_that_is_dropped_do_not_block_the_others() {
    let cluster = Cluster::start(ClusterOptions::default().with("pg_spamcheck.mailbox_slots", 3));
    for end in ["DROP EXTENSION pg_spamcheck CASCADE", "DROP DATABASE"] {
        let (doomed, mut client) = small_site(&cluster);
        let stopped = Stopped(doomed.worker_pid().unwrap());
        signal("STOP", &[stopped.0]);
        // Each leaves its letter behind for when the worker has time.
        let sessions: Vec<_> = (0..3)
            .map(|_| {
                let mut client = doomed.client();
                thread::spawn(move || client.batch_execute(SPAM).unwrap_err())
            })
            .collect();
        for session in sessions {
            session.join().unwrap();
        }
        if end == "DROP DATABASE" {
            drop(client);
            let name = doomed.name().to_owned();
            let cluster = &cluster;
            thread::scope(|scope| {
                let dropping = scope.spawn(move || {
                    let mut client = cluster.connect("postgres", "postgres");
                    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
                });
                drop(stopped);
                dropping.join().unwrap().expect("the database can be dropped");
            });
        } else {
            let dropping = thread::spawn(move || client.batch_execute(end));
            drop(stopped);
            dropping.join().unwrap().expect("the extension can be dropped");
        }
        let (_db, mut client) = small_site(&cluster);
        wait::until(Duration::from_secs(20), "slots for another database", || {
            refused(&mut client, SPAM);
            ask(&mut client, "SELECT count(*) FROM spamcheck.spam_checklog") != "0"
        });
    }
}

#[test]
fn large_entries_are_whole_or_counted_when_the_worker_is_replaced_under_way() {
    let mut site = refusing();
    let db = &site.db;
    let attempts = thread::scope(|scope| {
        let sessions: Vec<_> = (0..4)
            .map(|session| {
                scope.spawn(move || {
                    let mut client = db.client();
                    for n in 0..25 {
                        let body = format!("casino {session} {n} {}", "long ".repeat(20_000));
                        let failed = client
                            .execute(
                                "INSERT INTO comments (body) VALUES \
                            ($1)",
                                &[&body],
                            )
                            .unwrap_err();
                        let error = failed.as_db_error().expect("an error of the server");
                        assert_eq!(error.constraint(), Some("spamcheck_reject"), "{error:?}");
                    }
                    25
                })
            })
            .collect();
        let mut client = db.client();
        for _ in 0..3 {
            let pid = wait::found(Duration::from_secs(60), "a worker", || db.worker_pid());
            let some = ask(&mut client, "SELECT count(*) FROM spamcheck.spam_checklog");
            wait::poll(Duration::from_millis(200), || {
                (ask(&mut client, "SELECT count(*) FROM spamcheck.spam_checklog") != some)
                    .then_some(())
            });
            run(&mut client, &format!("SELECT pg_terminate_backend({pid})"));
        }
        sessions.into_iter().map(|session| session.join().unwrap()).sum::<u32>()
    });
    wait::until(Duration::from_secs(60), "every refusal to be logged or counted", || {
        site.ask(
            "SELECT (SELECT count(*) FROM spamcheck.spam_checklog) + (SELECT \
            rejections_unlogged FROM spamcheck.stat_worker)",
        ) == attempts.to_string()
    });
    assert_eq!(
        site.ask(
            "SELECT count(*) FROM spamcheck.spam_checklog WHERE length(comment) < \
        100000"
        ),
        "0"
    );
    assert_eq!(
        site.ask(
            "SELECT count(*) - count(DISTINCT comment) FROM \
        spamcheck.spam_checklog"
        ),
        "0"
    );
}
