//! Many sessions that are refused at the same time, and few slots between them and the worker.

use std::thread;
use std::time::{Duration, Instant};

use support::cluster::{Cluster, ClusterOptions};
use support::wait;

use crate::site::{COLUMNS, RULES, ask, run};

#[test]
fn sixty_four_sessions_share_two_slots() {
    let cluster = Cluster::start(
        ClusterOptions::default()
            .with("pg_spamcheck.mailbox_slots", 2)
            .with("max_connections", 150),
    );
    let db = cluster.database();
    let mut client = db.client();
    run(&mut client, &format!("CREATE TABLE comments ({COLUMNS})"));
    run(&mut client, RULES);
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'; \
            SELECT spamcheck.protect('comments')",
    );
    wait::until(Duration::from_secs(30), "the worker", || db.worker_pid().is_some());
    let slowest = thread::scope(|scope| {
        let sessions: Vec<_> = (0..64)
            .map(|session| {
                let db = &db;
                scope.spawn(move || {
                    let mut client = db.client();
                    let mut slowest = Duration::ZERO;
                    for n in 0..5 {
                        // Several pieces each, of letters that no other session sends.
                        let letter = char::from_u32(0x4E00 + session * 5 + n).unwrap();
                        let body =
                            format!("casino {session} {n} {}", letter.to_string().repeat(3_000));
                        let started = Instant::now();
                        let failed =
                            client.execute("INSERT INTO comments (body) VALUES ($1)", &[&body]);
                        slowest = slowest.max(started.elapsed());
                        let error = failed.unwrap_err();
                        assert_eq!(
                            error.as_db_error().and_then(|e| e.constraint()),
                            Some("spamcheck_reject"),
                            "{error:?}"
                        );
                    }
                    slowest
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().unwrap()).max().unwrap()
    });
    assert!(slowest < Duration::from_secs(10), "a session waited {slowest:?}");
    wait::until(Duration::from_secs(20), "every refusal to be logged or counted", || {
        ask(
            &mut client,
            "SELECT (SELECT count(*) FROM spamcheck.spam_checklog) + (SELECT rejections_unlogged \
                FROM spamcheck.stat_worker)",
        ) == "320"
    });
    // No entry twice, none of parts of two.
    let mixed = "SELECT count(*) FROM spamcheck.spam_checklog l, LATERAL (SELECT submission ->> \
        'body', right(comment, 1)) x (body, letter)
                  WHERE body <> comment OR body !~ '^casino \\d+ \\d+ ' OR length(body) - \
                  length(rtrim(body, letter)) <> 3000
                     OR rtrim(body, letter) !~ '^casino \\d+ \\d+ $'";
    assert_eq!(ask(&mut client, mixed), "0");
    assert_eq!(
        ask(&mut client, "SELECT count(*) - count(DISTINCT comment) FROM spamcheck.spam_checklog"),
        "0"
    );
    // Few slots make it slow, not lossy: the worker is there all the time.
    let unlogged: u32 =
        ask(&mut client, "SELECT rejections_unlogged FROM spamcheck.stat_worker").parse().unwrap();
    assert!(unlogged < 32, "{unlogged} of 320 refusals were not logged");
    // All slots are free again.
    for n in 0..10 {
        assert!(
            client
                .batch_execute(&format!(
                    "INSERT INTO comments (body) VALUES ('casino, afterwards {n}')"
                ))
                .is_err()
        );
    }
    assert_eq!(
        ask(
            &mut client,
            "SELECT count(*) FROM spamcheck.spam_checklog WHERE comment LIKE '%afterwards%'"
        ),
        "10"
    );
}
