//! The queue goes along: what was still to be asked is asked in the copy, by its own worker, without
//! anybody's help, and not before the copy can take the answer.

use std::sync::OnceLock;
use std::time::Duration;

use support::akismet::{Akismet, ENABLE, Endpoint, KEY};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::http::Reply;
use support::wait;

use super::{archived, clean, dumped, restored, run, texts, unpacked};

const SOON: Duration = Duration::from_secs(60);

/// A cluster whose worker has a key and somebody to ask.
fn asking() -> (&'static Cluster, &'static Akismet) {
    static ASKING: OnceLock<(Cluster, Akismet)> = OnceLock::new();
    let (cluster, akismet) = ASKING.get_or_init(|| {
        let (cluster, akismet) = (Cluster::start(ClusterOptions::default()), Akismet::start());
        akismet.attach(&cluster);
        (cluster, akismet)
    });
    (cluster, akismet)
}

/// A database with a queue of `rows` lookups, every other one about spam. Nobody works on it: its
/// worker is told to leave it alone by a time that is far off.
fn waiting(cluster: &'static Cluster, rows: u32) -> Database<'static> {
    let database = cluster.database();
    let mut client = database.client();
    run(&mut client, ENABLE);
    run(
        &mut client,
        &format!(
            "CREATE TABLE zoo (id int PRIMARY KEY, author text, ip inet, body text,
                 status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('zoo');
             BEGIN;
             INSERT INTO zoo SELECT n, CASE n % 2 WHEN 0 THEN 'akismet-guaranteed-spam' ELSE 'Ann' END, '198.51.100.7', 'words ' || n
               FROM generate_series(1, {rows}) n;
             UPDATE spamcheck.lookup SET next_at = now() + interval '1 hour';
             COMMIT"
        ),
    );
    assert_eq!(
        texts(&mut client, "SELECT count(*)::text FROM spamcheck.lookup"),
        [rows.to_string()]
    );
    database
}

/// What a dump would bring whose lookups are due.
fn due(dump: &str, database: &Database<'_>) -> String {
    let next = texts(&mut database.client(), "SELECT next_at::text FROM spamcheck.lookup LIMIT 1")
        .concat();
    assert!(dump.contains(&next), "{next}");
    dump.replace(&next, "2020-02-02 02:02:02+00")
}

#[track_caller]
fn answered(copy: &Database<'_>, rows: u32) {
    let mut client = copy.client();
    let left = "SELECT concat_ws(' ', state, attempts, last_error, next_at - now(), count(*),
             (SELECT count(*) FROM spamcheck.protected_table), (SELECT akismet FROM spamcheck.stat_worker))
          FROM spamcheck.lookup GROUP BY state, attempts, last_error, next_at";
    if wait::poll(SOON, || texts(&mut client, left).is_empty().then_some(())).is_none() {
        panic!("restored lookups are not answered: {:#?}", texts(&mut client, left));
    }
    assert_eq!(
        texts(
            &mut client,
            "SELECT concat_ws(' ', status, count(*), bool_and(id % 2 = 0)) FROM zoo GROUP BY status ORDER BY status"
        ),
        [format!("approved {} f", rows - rows / 2), format!("spam {} t", rows / 2)]
    );
    assert_eq!(
        texts(
            &mut client,
            "SELECT count(*)::text FROM spamcheck.recent WHERE check_name = 'akismet'"
        ),
        [(rows / 2).to_string()]
    );
}

#[test]
fn restored_lookups_are_answered_without_anybodys_help() {
    let (cluster, akismet) = asking();
    let database = waiting(cluster, 20);
    let copy = cluster.empty_database();
    restored(&copy, &due(&dumped(&database, &[]), &database));
    answered(&copy, 20);
    akismet.assert_no_problems();
    assert!(akismet.calls(Endpoint::CommentCheck) >= 20);
}

#[test]
fn lookups_restored_before_their_triggers_and_keys_are_not_lost() {
    let (cluster, _akismet) = asking();
    let database = waiting(cluster, 10);
    let copy = cluster.empty_database();
    let mut client = copy.client();
    restored(&copy, &dumped(&database, &["--section=pre-data"]));
    wait::until(SOON, "the copy's worker", || copy.worker_pid().is_some());
    // The data of the queue is there, the rows are not yet, and the worker is awake.
    let due = due(&dumped(&database, &["--section=data", "--schema=spamcheck"]), &database);
    restored(&copy, &due);
    run(&mut client, "SELECT spamcheck.retry_lookups()");
    nudged(&copy);
    assert_eq!(texts(&mut client, "SELECT count(*)::text FROM spamcheck.lookup"), ["10"]);
    restored(&copy, &dumped(&database, &["--section=data", "--exclude-schema=spamcheck"]));
    nudged(&copy);
    assert_eq!(texts(&mut client, "SELECT count(*)::text FROM spamcheck.lookup"), ["10"]);
    restored(&copy, &dumped(&database, &["--section=post-data"]));
    run(&mut client, "SELECT spamcheck.retry_lookups()");
    answered(&copy, 10);
}

#[test]
fn lookups_are_answered_in_whatever_order_a_parallel_restore_brings_what_they_need() {
    let (cluster, _akismet) = asking();
    let database = waiting(cluster, 10);
    let own =
        ["--section=data", "--schema=spamcheck", "--exclude-table-data=spamcheck._protection"];
    let own = due(&dumped(&database, &own), &database);
    let parts = [
        own,
        dumped(&database, &["--section=post-data"]),
        dumped(&database, &["--section=data", "--table=spamcheck._protection"]),
    ];
    assert!(parts[2].contains("COPY spamcheck._protection"));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let copy = cluster.empty_database();
        restored(&copy, &dumped(&database, &["--section=pre-data"]));
        restored(&copy, &dumped(&database, &["--section=data", "--exclude-schema=spamcheck"]));
        wait::until(SOON, "the copy's worker", || copy.worker_pid().is_some());
        for part in order {
            brought(&copy, &parts[part]);
        }
        answered(&copy, 10);
    }
}

/// Restores a part, and lets the copy's worker have the turn that it was woken for, if it was.
fn brought(copy: &Database<'_>, part: &str) {
    let mut client = copy.client();
    let turn = "SELECT state_change::text FROM pg_stat_activity
         WHERE pid = (SELECT pid FROM spamcheck.stat_worker)";
    let before = texts(&mut client, turn);
    restored(copy, part);
    let _ =
        wait::poll(Duration::from_secs(1), || (texts(&mut client, turn) != before).then_some(()));
}

/// Makes sure that the copy's worker has had a turn since: it answers a lookup about another table.
fn nudged(copy: &Database<'_>) {
    let mut client = copy.client();
    run(
        &mut client,
        "DROP TABLE IF EXISTS probe; CREATE TABLE probe (id int PRIMARY KEY, author text, ip inet, body text,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('probe'); INSERT INTO probe VALUES (1, 'akismet-guaranteed-spam', '198.51.100.7', 'x')",
    );
    wait::until(SOON, "a verdict on another table", || {
        texts(&mut client, "SELECT status FROM probe") == ["spam"]
    });
    run(
        &mut client,
        "DROP TABLE probe; DELETE FROM spamcheck.spam_checklog WHERE relation = 'public.probe'",
    );
}

#[test]
fn a_parallel_restore_loses_no_lookup() {
    let (cluster, _akismet) = asking();
    let database = waiting(cluster, 40);
    // The copy is dumped while its lookups are far off, and they come due before it is complete.
    run(
        &mut database.client(),
        "UPDATE spamcheck.lookup SET next_at = now() + interval '2 seconds'",
    );
    let file = archived(&database);
    let copy = cluster.empty_database();
    unpacked(&copy, &file, &["-j3"]);
    answered(&copy, 40);
}

#[test]
fn lookups_that_were_out_when_dumped_are_asked_again() {
    let (cluster, _akismet) = asking();
    let database = waiting(cluster, 10);
    run(
        &mut database.client(),
        "UPDATE spamcheck.lookup SET state = 'running', attempts = 1 WHERE id % 3 = 0",
    );
    let copy = cluster.empty_database();
    restored(&copy, &due(&dumped(&database, &[]), &database));
    answered(&copy, 10);
}

#[test]
fn no_secret_is_in_a_dump() {
    let (cluster, akismet) = asking();
    let database = waiting(cluster, 4);
    let mut client = database.client();
    // One that Akismet answers with an error of its own, and the rest as usual.
    akismet.once(Endpoint::CommentCheck.with("comment_content", "fails"), Reply::status(500));
    run(
        &mut client,
        "INSERT INTO zoo VALUES (99, 'Ann', '198.51.100.7', 'fails');
         UPDATE spamcheck.lookup SET next_at = now(); SELECT spamcheck.retry_lookups()",
    );
    wait::until(SOON, "four answers and an error", || {
        texts(
            &mut client,
            "SELECT concat_ws(' ', count(*), bool_and(last_error IS NOT NULL)) FROM spamcheck.lookup",
        ) == ["1 t"]
    });
    let roles = cluster.program("pg_dumpall").arg("--globals-only").output().expect("it starts");
    let all = clean("pg_dumpall", roles) + &dumped(&database, &["--create"]);
    assert!(all.contains("COPY spamcheck.lookup"), "it holds the queue");
    for secret in [KEY, "secrets.json"] {
        assert!(!all.contains(secret), "{secret} is in the dump");
    }
}
