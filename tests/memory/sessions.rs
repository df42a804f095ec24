//! Sessions at the same time: the later one waits for the earlier and then sees it, whatever becomes of
//! it, at every isolation level.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use postgres::Client;
use support::wait;

use crate::blog::{blog, pending};
use crate::site::{Site, ask, run};

const LIMIT: Duration = Duration::from_secs(30);
const INSERT: &str = "INSERT INTO comments (body, ip) VALUES ('the same text again', '192.0.2.1')";

/// Runs a statement in another session while `first` is in a transaction; once it waits for that one,
/// `then` runs. Gives what came of the statement.
fn waits(
    site: &mut Site,
    statement: &str,
    then: impl FnOnce(&mut Site),
) -> Result<(), postgres::Error> {
    let mut second = site.db.client();
    let pid = ask(&mut second, "SELECT pg_backend_pid()");
    thread::scope(|scope| {
        let insert = scope.spawn(move || second.batch_execute(statement));
        let mut watcher = site.db.client();
        wait::until(LIMIT, "the second session to wait for the first", || {
            let waiting = format!("SELECT cardinality(pg_blocking_pids({pid})) > 0");
            ask(&mut watcher, &waiting) == "t"
        });
        then(site);
        insert.join().unwrap()
    })
}

#[test]
fn the_later_session_waits_and_sees_what_was_committed() {
    for check in ["duplicate", "ip_interval"] {
        let mut site = blog(&[check]);
        site.run(&format!("BEGIN; {INSERT}"));
        waits(&mut site, INSERT, |site| site.run("COMMIT")).unwrap();
        assert_eq!(pending(&mut site), "2", "{check}");
    }
}

#[test]
fn it_does_not_see_what_was_rolled_back() {
    let mut site = blog(&["duplicate", "ip_interval"]);
    site.run(&format!("BEGIN; {INSERT}"));
    waits(&mut site, INSERT, |site| site.run("ROLLBACK")).unwrap();
    assert_eq!(pending(&mut site), "");
    site.run(&format!("BEGIN; SAVEPOINT s; {INSERT}"));
    site.run("ROLLBACK TO s");
    let mut other = site.db.client();
    run(&mut other, "DELETE FROM comments");
    run(&mut other, INSERT);
    site.run("COMMIT");
    assert_eq!(pending(&mut site), "");
}

#[test]
fn a_chain_that_is_long_already_is_waited_for_too() {
    let mut site = blog(&["duplicate"]);
    for _ in 0..20 {
        site.run(INSERT);
    }
    site.run(&format!("DELETE FROM comments; BEGIN; {INSERT}"));
    waits(&mut site, INSERT, |site| site.run("COMMIT")).unwrap();
    assert_eq!(pending(&mut site), "22");
}

#[test]
fn a_prepared_transaction_is_waited_for() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!("BEGIN; {INSERT}; PREPARE TRANSACTION 'first'"));
    waits(&mut site, INSERT, |site| site.run("COMMIT PREPARED 'first'")).unwrap();
    assert_eq!(pending(&mut site), "2");
}

#[test]
fn a_transaction_with_an_old_snapshot_is_compared_with_newer_rows() {
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let mut site = blog(&["duplicate", "ip_interval"]);
        let mut other = site.db.client();
        site.run(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM comments"));
        run(&mut other, INSERT);
        site.run(INSERT);
        assert_eq!(site.log(), "2 duplicate\n2 ip_interval", "{level}");
        site.run("COMMIT");
        assert_eq!(pending(&mut site), "2", "{level}");
    }
}

#[test]
fn strict_isolation_fails_to_serialize_where_it_had_to_wait() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!("BEGIN; {INSERT}"));
    let strict = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {INSERT}; COMMIT");
    let failed = waits(&mut site, &strict, |site| site.run("COMMIT")).unwrap_err();
    assert_eq!(failed.code().unwrap().code(), "40001");
    let mut again = site.db.client();
    run(&mut again, &strict);
    assert_eq!(pending(&mut site), "3");
}

#[test]
fn transactions_that_wait_for_each_other_are_a_deadlock_that_says_why() {
    let mut site = blog(&["duplicate"]);
    let insert = |text: &str| format!("INSERT INTO comments (body) VALUES ('{text}')");
    site.run(&format!("SET deadlock_timeout = '10s'; BEGIN; {}", insert("the first of the texts")));
    let second = format!(
        "SET deadlock_timeout = '100ms'; BEGIN; {}; {}",
        insert("the second of the texts"),
        insert("the first of the texts")
    );
    let failed = waits(&mut site, &second, |site| site.run(&insert("the second of the texts")));
    let failed = failed.expect_err("one of them gives way");
    let error = failed.as_db_error().expect("an error of the server");
    assert_eq!(error.code().code(), "40P01", "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("Process")), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("duplicate")), "{error:?}");
    site.run("COMMIT");
    assert_eq!(pending(&mut site), "");
}

#[test]
fn of_many_sessions_at_once_exactly_one_is_first() {
    const SESSIONS: usize = 16;
    const ROUNDS: usize = 8;
    let mut site = blog(&["duplicate", "ip_interval"]);
    let clients: Vec<Client> = (0..SESSIONS).map(|_| site.db.client()).collect();
    let barrier = Barrier::new(SESSIONS);
    thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            let barrier = &barrier;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    // In every second round, the row before is gone, but not what is known of it.
                    if round % 2 == 1 && number == 0 {
                        run(&mut client, "DELETE FROM comments WHERE page IS NULL");
                    }
                    barrier.wait();
                    let text = round / 2;
                    run(
                        &mut client,
                        &format!("INSERT INTO comments (body, ip) VALUES ('one text in round {text}', '192.0.2.{text}')"),
                    );
                    barrier.wait();
                    if number == 0 {
                        let first = "SELECT count(*) FROM comments WHERE status = 'approved'";
                        assert_eq!(ask(&mut client, first), "1", "round {round}");
                        run(&mut client, "DELETE FROM comments");
                    }
                }
            });
        }
    });
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE outcome = 'error'"),
        "0"
    );
}
