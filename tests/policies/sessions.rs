//! When a change of settings or lists counts: at the next statement of every session, from the commit
//! on, and for the session that makes it at once.

use std::time::Duration;

use postgres::types::Type;

use crate::site::{Site, ask, run};

const SAY: &str = "INSERT INTO comments (body) VALUES ('a lottery') RETURNING status";
const BAN: &str =
    "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'lottery')";

#[test]
fn changes_count_at_the_next_statement_of_other_sessions() {
    let mut site = Site::new();
    let mut other = site.db.client();
    assert_eq!(ask(&mut other, SAY), "approved");
    for (change, status) in [
        (BAN, "spam"),
        (
            "UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'",
            "pending",
        ),
        ("UPDATE spamcheck.list_entry SET value = 'Lottery' WHERE value = 'lottery'", "pending"),
        ("UPDATE spamcheck.policy SET mode = 'trial'", "approved"),
        ("UPDATE spamcheck.policy SET mode = 'enforce'", "pending"),
        (
            "UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'content'",
            "approved",
        ),
        (
            "UPDATE spamcheck.check_setting SET enabled = true, action = 'score', score = 10 \
                WHERE check_name = 'content'",
            "spam",
        ),
        ("UPDATE spamcheck.policy SET spam_at = 11", "pending"),
        ("UPDATE spamcheck.policy SET types = '{trackback}'", "approved"),
        ("UPDATE spamcheck.policy SET types = NULL", "pending"),
        ("DELETE FROM spamcheck.list_entry WHERE value = 'Lottery'", "approved"),
        (
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'lottery')",
            "pending",
        ),
        ("TRUNCATE spamcheck.list_entry", "approved"),
        (
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'lottery')",
            "pending",
        ),
        ("UPDATE spamcheck.list SET name = 'old_words' WHERE name = 'banned_words'", "pending"),
        ("UPDATE spamcheck.list SET name = 'banned_words' WHERE name = 'old_words'", "pending"),
        ("DELETE FROM spamcheck.list WHERE name = 'banned_words'", "approved"),
    ] {
        run(&mut site.client, change);
        assert_eq!(ask(&mut other, SAY), status, "after {change}");
    }
}

#[test]
fn changes_count_at_the_next_statement_of_an_open_transaction() {
    let mut site = Site::new();
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let mut other = site.db.client();
        run(&mut other, &format!("BEGIN ISOLATION LEVEL {level}"));
        assert_eq!(ask(&mut other, SAY), "approved", "{level}");
        assert_eq!(ask(&mut other, SAY), "approved", "{level}");
        site.run(BAN);
        assert_eq!(ask(&mut other, SAY), "spam", "{level}");
        run(&mut other, "COMMIT");
        site.run("DELETE FROM spamcheck.list_entry WHERE value = 'lottery'");
    }
}

#[test]
fn prepared_statements_follow_changes() {
    let mut site = Site::new();
    let mut other = site.db.client();
    let statement = other
        .prepare_typed("INSERT INTO comments (body) VALUES ($1) RETURNING status", &[Type::TEXT])
        .unwrap();
    let mut say = |status: &str, when: &str| {
        for _ in 0..7 {
            let row = other.query_one(&statement, &[&"a lottery"]).unwrap();
            assert_eq!(row.get::<_, &str>(0), status, "{when}");
        }
    };
    say("approved", "at first");
    run(&mut site.client, BAN);
    say("spam", "after the change");
    run(
        &mut site.client,
        "UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'",
    );
    say("pending", "after another");
}

#[test]
fn functions_with_cached_plans_follow_changes() {
    let mut site = Site::new();
    site.run(
        "CREATE FUNCTION say() RETURNS text LANGUAGE plpgsql AS $$
         DECLARE got text;
         BEGIN
             INSERT INTO comments (body) VALUES ('a lottery') RETURNING status INTO got;
             RETURN got;
         END $$",
    );
    let mut other = site.db.client();
    for _ in 0..7 {
        assert_eq!(ask(&mut other, "SELECT say()"), "approved");
    }
    site.run(BAN);
    assert_eq!(ask(&mut other, "SELECT say()"), "spam");
}

#[test]
fn a_change_that_is_not_committed_counts_for_its_own_session_only() {
    let mut site = Site::new();
    let mut other = site.db.client();
    assert_eq!(ask(&mut other, SAY), "approved");
    site.run("BEGIN");
    site.run(BAN);
    assert_eq!(site.ask(SAY), "spam");
    assert_eq!(ask(&mut other, SAY), "approved");
    site.run("ROLLBACK");
    assert_eq!(site.ask(SAY), "approved");
    assert_eq!(ask(&mut other, SAY), "approved");
    site.run("BEGIN");
    site.run(BAN);
    site.run("COMMIT");
    assert_eq!(site.ask(SAY), "spam");
    assert_eq!(ask(&mut other, SAY), "spam");
}

#[test]
fn a_rolled_back_savepoint_takes_its_change_back() {
    let mut site = Site::new();
    site.run("BEGIN; SAVEPOINT a");
    site.run(BAN);
    assert_eq!(site.ask(SAY), "spam");
    site.run(
        "SAVEPOINT b; UPDATE spamcheck.check_setting SET action = 'moderate' WHERE \
        check_name = 'content'",
    );
    assert_eq!(site.ask(SAY), "pending");
    site.run("ROLLBACK TO b");
    assert_eq!(site.ask(SAY), "spam");
    site.run("RELEASE b; ROLLBACK TO a");
    assert_eq!(site.ask(SAY), "approved");
    site.run("COMMIT");
    assert_eq!(site.ask(SAY), "approved");
    // In an exception block, within one call.
    site.run(
        "DO $$
         DECLARE inside text; behind text;
         BEGIN
             BEGIN
                 INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'lottery');
                 INSERT INTO comments (body) VALUES ('a lottery') RETURNING status INTO inside;
                 RAISE EXCEPTION 'no';
             EXCEPTION WHEN raise_exception THEN NULL;
             END;
             INSERT INTO comments (body) VALUES ('a lottery') RETURNING status INTO behind;
             IF (inside, behind) <> ('spam', 'approved') THEN RAISE EXCEPTION 'saw % and %', \
             inside, behind; END IF;
         END $$",
    );
}

#[test]
fn a_prepared_transaction_counts_from_its_second_commit_on() {
    let mut site = Site::new();
    let mut other = site.db.client();
    assert_eq!(ask(&mut other, SAY), "approved");
    let gid = site.db.name().to_owned();
    site.run(&format!("BEGIN; {BAN}; PREPARE TRANSACTION '{gid}'"));
    assert_eq!(ask(&mut other, SAY), "approved");
    assert_eq!(site.ask(SAY), "approved");
    site.run(&format!("COMMIT PREPARED '{gid}'"));
    assert_eq!(ask(&mut other, SAY), "spam");
    assert_eq!(site.ask(SAY), "spam");
}

#[test]
fn changes_that_arrive_in_replica_mode_count_too() {
    let mut site = Site::new();
    let mut other = site.db.client();
    assert_eq!(ask(&mut other, SAY), "approved");
    site.run("SET session_replication_role = replica");
    site.run(BAN);
    assert_eq!(ask(&mut other, SAY), "spam");
    assert!(site.client.batch_execute("UPDATE spamcheck.policy SET mode = 'nonsense'").is_err());
}

#[test]
fn a_mapping_that_changes_counts_for_other_sessions() {
    let mut site = Site::new();
    let mut other = site.db.client();
    let by = "INSERT INTO comments (author, body) VALUES ('casino', 'nice') RETURNING status";
    assert_eq!(ask(&mut other, by), "spam");
    site.run(r#"SELECT spamcheck.protect('comments', columns => '{"author": null}')"#);
    assert_eq!(ask(&mut other, by), "approved");
    site.run(
        "SELECT spamcheck.create_policy('off'); UPDATE spamcheck.policy SET mode = 'off' \
        WHERE name = 'off'; SELECT spamcheck.protect('comments', 'off')",
    );
    assert_eq!(ask(&mut other, by), "approved");
    site.run("SELECT spamcheck.protect('comments')");
    assert_eq!(ask(&mut other, by), "spam");
    site.run(
        "ALTER TABLE comments RENAME author TO writer; ALTER TABLE comments ADD COLUMN first \
        text; ALTER TABLE comments RENAME TO letters",
    );
    assert_eq!(
        ask(
            &mut other,
            "INSERT INTO letters (writer, body) VALUES ('casino', 'nice') RETURNING status"
        ),
        "spam"
    );
    site.run("SELECT spamcheck.unprotect('letters')");
    assert_eq!(
        ask(
            &mut other,
            "INSERT INTO letters (writer, body) VALUES ('casino', 'nice') RETURNING status"
        ),
        "approved"
    );
}

#[test]
fn an_entry_counts_until_it_expires_and_not_a_moment_longer() {
    let mut site = Site::new();
    // A time that rounding to seconds would move on.
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value, expires_at)
         VALUES ('banned_words', 'lottery', date_trunc('second', clock_timestamp()) + interval \
         '2.6 seconds'),
                ('banned_words', 'poker', '2000-01-01'), ('banned_words', 'bingo', 'infinity'), \
                ('banned_words', 'toto', now() + interval '1 day')",
    );
    let mut other = site.db.client();
    assert_eq!(ask(&mut other, SAY), "spam");
    let words =
        "INSERT INTO comments (body) VALUES ('poker'), ('bingo'), ('toto') RETURNING status";
    assert_eq!(ask(&mut other, words), "approved\nspam\nspam");
    support::wait::until(Duration::from_secs(20), "the entry to expire", || {
        site.ask(
            "SELECT clock_timestamp() >= expires_at FROM spamcheck.list_entry WHERE value = \
            'lottery'",
        ) == "t"
    });
    assert_eq!(ask(&mut other, SAY), "approved");
    assert_eq!(ask(&mut other, words), "approved\nspam\nspam");
    // The row is still there, and can be given another term.
    site.run("UPDATE spamcheck.list_entry SET expires_at = NULL WHERE value = 'lottery'");
    assert_eq!(ask(&mut other, SAY), "spam");
}

#[test]
fn many_sessions_see_a_change_without_a_moment_of_neither() {
    let mut site = Site::new();
    site.run("CREATE TABLE outcome (status text)");
    site.run(BAN);
    let db = &site.db;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut client = db.client();
                for _ in 0..150 {
                    run(
                        &mut client,
                        "WITH said AS (INSERT INTO comments (body) VALUES ('a \
                        lottery') RETURNING status) INSERT INTO outcome SELECT status FROM said",
                    );
                }
            });
        }
        scope.spawn(move || {
            let mut client = db.client();
            for n in 0..60 {
                let action = if n % 2 == 0 { "moderate" } else { "spam" };
                run(
                    &mut client,
                    &format!(
                        "UPDATE spamcheck.check_setting SET action = '{action}' \
                    WHERE check_name = 'content'"
                    ),
                );
            }
        });
    });
    assert_eq!(
        site.ask("SELECT count(*) FROM outcome WHERE status NOT IN ('pending', 'spam')"),
        "0"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "600");
    // What the log says was decided is what the row got.
    let differ = "SELECT count(*) FROM comments c JOIN spamcheck.spam_checklog l ON l.row_key = \
        jsonb_build_object('id', c.id)
                  WHERE c.status <> CASE l.outcome WHEN 'moderated' THEN 'pending' ELSE 'spam' \
                  END OR (l.action = 'spam') <> (l.outcome = 'suppressed')";
    assert_eq!(site.ask(differ), "0");
}
