//! Transactions: the log row shares the fate of its row, however deep and however late it is decided.

use std::sync::Barrier;
use std::thread;

use postgres::Client;
use postgres::error::SqlState;

use crate::site::{Site, ask, run};

#[test]
fn a_rollback_takes_rows_and_log_rows() {
    let mut site = Site::new();
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino'); ROLLBACK");
    assert_eq!(site.log(), "");
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino'); COMMIT");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "2 content");
}

#[test]
fn the_log_can_be_read_in_the_transaction_that_wrote_it() {
    let mut site = Site::new();
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.log(), "1 content");
    let mut other = site.db.client();
    assert_eq!(ask(&mut other, "SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    site.run("ROLLBACK");
}

#[test]
fn savepoints_keep_and_drop_log_rows_with_their_rows() {
    let mut site = Site::new();
    site.run(
        "BEGIN;
         INSERT INTO comments (id, body) VALUES (1, 'casino');
         SAVEPOINT a;
           INSERT INTO comments (id, body) VALUES (2, 'casino');
           SAVEPOINT b;
             INSERT INTO comments (id, body) VALUES (3, 'casino');
           RELEASE b;
           INSERT INTO comments (id, body) VALUES (4, 'casino');
         ROLLBACK TO a;
           INSERT INTO comments (id, body) VALUES (5, 'casino');
           SAVEPOINT c;
             INSERT INTO comments (id, body) VALUES (6, 'casino'), (7, 'nice');
           RELEASE c;
           SAVEPOINT d;
             INSERT INTO comments (id, body) VALUES (8, 'casino');
           ROLLBACK TO d;
         RELEASE a;
         INSERT INTO comments (id, body) VALUES (9, 'casino');
         COMMIT",
    );
    assert_eq!(site.log(), "1 content\n5 content\n6 content\n9 content");
    site.log_agrees(&["comments"]);
}

#[test]
fn sixty_four_nested_savepoints_are_followed_exactly() {
    let mut site = Site::new();
    let mut script = String::from("BEGIN;");
    for depth in 1..=64 {
        script.push_str(&format!(
            "SAVEPOINT s{depth}; INSERT INTO comments (id, body) VALUES ({depth}, 'casino \
                {depth}');"
        ));
    }
    // Out of the deepest, then half of the others, and a new row on each level on the way up.
    for depth in (1..=64).rev() {
        let end = if depth % 3 == 0 { "ROLLBACK TO" } else { "RELEASE" };
        script.push_str(&format!(
            "{end} s{depth}; INSERT INTO comments (id, body) VALUES ({}, 'casino up {depth}');",
            100 + depth
        ));
    }
    site.run(&script);
    site.run("COMMIT");
    site.log_agrees(&["comments"]);
    // Only what stands above the outermost ROLLBACK TO (s3) is left.
    assert_eq!(site.statuses(), "1 spam\n2 spam\n101 spam\n102 spam\n103 spam");
}

#[test]
fn exception_blocks_take_back_what_was_logged_inside_them() {
    let mut site = Site::new();
    site.run(
        "DO $$
         BEGIN
             INSERT INTO comments (body) VALUES ('casino kept');
             FOR n IN 1..20 LOOP
                 BEGIN
                     INSERT INTO comments (body) VALUES ('casino ' || n), ('nice ' || n);
                     IF n % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;
                 EXCEPTION WHEN raise_exception THEN
                     INSERT INTO comments (body) VALUES ('casino instead of ' || n);
                 END;
             END LOOP;
         END $$",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "21");
}

#[test]
fn a_statement_that_fails_after_its_rows_were_judged_leaves_nothing_over() {
    let mut site = Site::new();
    site.run("CREATE TABLE grown (n integer CHECK (n < 3))");
    site.run("BEGIN; SAVEPOINT s");
    let failed = site.client.batch_execute(
        "WITH stored AS (INSERT INTO comments (body) SELECT 'casino ' || n FROM \
            generate_series(1, 900) n RETURNING id)
         INSERT INTO grown SELECT id FROM stored",
    );
    assert_eq!(failed.unwrap_err().code(), Some(&SqlState::CHECK_VIOLATION));
    site.run(
        "ROLLBACK TO s; INSERT INTO comments (id, body) VALUES (5000, 'nice'), (5001, \
        'casino'); COMMIT",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "5001 content");
}

#[test]
fn a_deferred_constraint_that_fails_at_commit_takes_the_log_rows() {
    let mut site = Site::new();
    site.run("CREATE TABLE articles (id integer PRIMARY KEY)");
    site.run(
        "ALTER TABLE comments ADD article integer REFERENCES articles DEFERRABLE INITIALLY \
        DEFERRED",
    );
    let failed = site
        .client
        .batch_execute("BEGIN; INSERT INTO comments (body, article) VALUES ('casino', 1); COMMIT");
    assert_eq!(failed.unwrap_err().code(), Some(&SqlState::FOREIGN_KEY_VIOLATION));
    site.run("ROLLBACK");
    assert_eq!(site.log(), "");
    site.run(
        "BEGIN; INSERT INTO comments (body, article) VALUES ('casino', 1); INSERT INTO \
        articles VALUES (1); COMMIT",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "2 content");
}

#[test]
fn a_deferred_trigger_that_inserts_at_commit_is_logged() {
    let mut site = Site::new();
    site.run("CREATE TABLE orders (body text)");
    site.run(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO comments (body) VALUES (NEW.body);
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION tell()",
    );
    site.run("BEGIN; INSERT INTO orders VALUES ('casino 1'), ('nice'), ('casino 3')");
    assert_eq!(site.log(), "");
    site.run("COMMIT");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2");
}

/// Runs `work` again as long as it fails to be serialized, as every client of that level does.
fn serialized(
    client: &mut Client,
    mut work: impl FnMut(&mut Client) -> Result<(), postgres::Error>,
) -> u32 {
    let mut attempts = 0;
    loop {
        attempts += 1;
        client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").unwrap();
        let done = work(client).and_then(|()| client.batch_execute("COMMIT"));
        match done {
            Ok(()) => return attempts,
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{error:?}");
                client.batch_execute("ROLLBACK").unwrap();
            }
        }
    }
}

#[test]
fn serialization_failures_leave_one_log_row_for_each_row_that_committed() {
    let mut site = Site::new();
    site.run("CREATE TABLE counter (n integer); INSERT INTO counter VALUES (0)");
    let db = &site.db;
    let start = Barrier::new(4);
    let attempts: u32 = thread::scope(|scope| {
        let sessions: Vec<_> = (0..4)
            .map(|session| {
                let start = &start;
                scope.spawn(move || {
                    let mut client = db.client();
                    start.wait();
                    (0..10).fold(0, |attempts, n| {
                        attempts
                            + serialized(&mut client, |client| {
                                client.batch_execute(&format!(
                                    "INSERT INTO comments (author, body) VALUES ('{session}', \
                                        'casino {n}'), ('{session}', 'nice {n}');
                                     UPDATE counter SET n = n + 1"
                                ))
                            })
                    })
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().unwrap()).sum()
    });
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT n FROM counter"), "40");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "40");
    assert!(attempts > 40, "no two sessions got into each other's way");
}

#[test]
fn repeatable_read_stores_and_logs_like_any_level() {
    let mut site = Site::new();
    site.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM comments");
    let mut other = site.db.client();
    run(&mut other, "INSERT INTO comments (body) VALUES ('casino of another session')");
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "1", "its own snapshot");
    site.run("COMMIT");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content\n2 content");
}

#[test]
fn prepared_transactions_carry_log_rows_and_lookups() {
    let mut site = Site::new();
    site.check("akismet", r#"enabled = true, options = '{"blog": "https://blog.example/"}'"#);
    let gid = site.db.name().to_owned();
    let prepare = |n: u32| {
        format!(
            "BEGIN; INSERT INTO comments (body) VALUES ('casino {n}'), ('nice {n}'); PREPARE \
                TRANSACTION '{gid}-{n}'"
        )
    };
    site.run(&prepare(1));
    site.run(&prepare(2));
    assert_eq!(site.log(), "");
    let lookups = "SELECT count(*) FROM spamcheck.lookup";
    assert_eq!(site.ask(lookups), "0");
    // Another session ends them.
    let mut other = site.db.client();
    run(&mut other, &format!("COMMIT PREPARED '{gid}-1'"));
    run(&mut other, &format!("ROLLBACK PREPARED '{gid}-2'"));
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content");
    assert_eq!(site.ask("SELECT row_key, state FROM spamcheck.lookup"), "{\"id\": 2}|queued");
    // The session that prepared has nothing left over.
    site.run("INSERT INTO comments (body) VALUES ('nice')");
    assert_eq!(site.log(), "1 content");
}

#[test]
fn a_cancelled_statement_leaves_nothing_and_the_session_goes_on() {
    let mut site = Site::new();
    site.run("SET statement_timeout = '100ms'");
    let failed = site.client.batch_execute(
        "INSERT INTO comments (body) SELECT 'casino' FROM generate_series(1, 3) n
         UNION ALL SELECT pg_sleep(20)::text",
    );
    assert_eq!(failed.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    site.run("RESET statement_timeout");
    site.run("INSERT INTO comments (body) VALUES ('nice')");
    assert_eq!(site.log(), "");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "1");
    site.log_agrees(&["comments"]);
}

#[test]
fn procedures_that_commit_and_roll_back_in_their_middle_are_followed() {
    let mut site = Site::new();
    site.run(
        "CREATE PROCEDURE post() LANGUAGE plpgsql AS $$
         DECLARE n integer;
         BEGIN
             FOR n IN SELECT generate_series(1, 9) LOOP
                 INSERT INTO comments (id, body) VALUES (n, 'casino'), (100 + n, 'nice');
                 IF n % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
             END LOOP;
             BEGIN
                 INSERT INTO comments (id, body) VALUES (50, 'casino');
                 RAISE EXCEPTION 'no';
             EXCEPTION WHEN raise_exception THEN
                 INSERT INTO comments (id, body) VALUES (51, 'casino');
             END;
         END $$",
    );
    site.run("CALL post()");
    site.log_agrees(&["comments"]);
    let expected: Vec<String> = [1, 2, 4, 5, 7, 8, 51].map(|id| format!("{id} content")).into();
    assert_eq!(site.log(), expected.join("\n"));
    // From another block, in the same session.
    site.run("DELETE FROM comments; DELETE FROM spamcheck.spam_checklog");
    site.run("DO $$ BEGIN CALL post(); END $$");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), expected.join("\n"));
}
