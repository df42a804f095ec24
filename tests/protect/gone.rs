//! What a mapping names is dropped: who drops it is warned, and health() says so.

use super::{log, notices, protect, run, start, text};

/// What health() says of the protected tables.
const TABLES: &str =
    "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'tables'";

#[test]
fn a_mapped_column_that_is_dropped_is_warned_about_and_health_says_so() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, author text, body text, other text,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')))",
    );
    protect(&mut client, "'notes'");
    run(&mut client, "ALTER TABLE notes DROP other");
    assert_eq!(text(&mut client, TABLES), "ok: 1 table is protected");
    run(&mut client, "ALTER TABLE notes DROP status, DROP author");
    let message = text(&mut client, TABLES);
    assert_eq!(
        message,
        "warning: columns that a mapping names are gone: author of public.notes, status of public.notes"
    );
    run(&mut client, "INSERT INTO notes (id, body) VALUES (1, 'casino')");
    assert_eq!(log(&mut client), "public.notes {\"id\": 1} content suppressed");
}

#[test]
fn health_tells_all_that_is_wrong_with_tables_and_what_is_worst_first() {
    let (_database, mut client) = start();
    for table in ["notes", "posts"] {
        run(
            &mut client,
            &format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, body text,
                     status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')))"
            ),
        );
        protect(&mut client, &format!("'{table}'"));
    }
    run(&mut client, "ALTER TABLE notes DROP status; ALTER TABLE posts DISABLE TRIGGER ALL");
    let tables = "SELECT state || ': ' || message || ' ' || hint FROM spamcheck.health() WHERE item = 'tables'";
    assert_eq!(
        text(&mut client, tables),
        "error: triggers of public.posts are missing or disabled; \
         columns that a mapping names are gone: status of public.notes \
         ALTER TABLE ... ENABLE TRIGGER ALL, or call spamcheck.protect() for the table again. \
         Call spamcheck.protect() for the table again."
    );
    // What protects nothing is told beside both.
    run(&mut client, "CREATE TABLE letters (id int PRIMARY KEY, body text)");
    protect(&mut client, "'letters', status => '{}'");
    run(
        &mut client,
        "DELETE FROM spamcheck._protection p USING spamcheck._protected_relation r
          WHERE r.id = p.id AND r.relation = 'letters'::regclass",
    );
    assert!(text(&mut client, tables).starts_with(
        "error: rows of public.letters go in unjudged: nothing is stored about their protection; triggers of"
    ));
}

#[test]
fn what_a_mapping_reads_elsewhere_is_missed_when_it_is_gone() {
    for (change, gone) in [
        ("ALTER TABLE users DROP COLUMN mail", "column mail in public.users of public.notes"),
        ("ALTER TABLE users DROP COLUMN id", "column id in public.users of public.notes"),
        ("ALTER TABLE articles DROP title", "column title in public.articles of public.notes"),
        (
            "DROP TABLE users, articles",
            "table public.articles of public.notes, table public.users of public.notes",
        ),
    ] {
        let (database, mut client) = start();
        run(
            &mut client,
            "CREATE TABLE users (id int PRIMARY KEY, mail text, other text);
             CREATE TABLE articles (id int PRIMARY KEY, title text);
             CREATE TABLE notes (id int PRIMARY KEY, uid int, aid int, body text)",
        );
        protect(
            &mut client,
            r#"'notes', columns => '{"email":{"table":"users","key":"id","from":"uid","column":"mail"}}', status => '{}',
               article => '{"table":"articles","key":"id","from":"aid","title":"title"}'"#,
        );
        run(&mut client, "ALTER TABLE users DROP other");
        let tables =
            "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'tables'";
        assert_eq!(text(&mut client, tables), "ok: 1 table is protected");
        let warned =
            format!("WARNING: a mapping of pg_spamcheck reads fields from what is gone: {gone}");
        assert_eq!(notices(&database, change), [warned]);
        let said =
            format!("warning: fields cannot be read, since what a mapping names is gone: {gone}");
        assert_eq!(text(&mut client, tables), said);
        // It goes with the table that is protected.
        assert_eq!(notices(&database, "DROP TABLE notes"), [""; 0]);
    }
}

#[test]
fn who_drops_a_column_is_not_told_of_what_others_have_dropped() {
    let (database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, author text, body text);
         CREATE TABLE posts (id int PRIMARY KEY, author text, body text)",
    );
    protect(&mut client, "'notes', status => '{}'");
    protect(&mut client, "'posts', status => '{}'");
    run(&mut client, "ALTER TABLE notes DROP author");
    assert_eq!(
        notices(&database, "ALTER TABLE posts DROP author"),
        ["WARNING: a mapping of pg_spamcheck names columns that are gone: author of public.posts"]
    );
    // What finds the row of another table is a column that is named, too.
    let map = r#"'posts', columns => '{"email":{"table":"notes","key":"id","from":"id","column":"body"}}', status => '{}'"#;
    protect(&mut client, map);
    assert_eq!(
        notices(&database, "ALTER TABLE posts DROP id"),
        ["WARNING: a mapping of pg_spamcheck names columns that are gone: id of public.posts"]
    );
}

#[test]
fn a_status_that_its_column_takes_no_longer_is_told_by_health() {
    let (_database, mut client) = start();
    run(
        &mut client,
        r#"CREATE TYPE state AS ENUM ('ok', 'vip', 'pending', 'spam');
         CREATE TABLE notes (id int PRIMARY KEY, body text, status state DEFAULT 'ok');
         CREATE TABLE posts (id int PRIMARY KEY, body text, "Status" text, flag bool)"#,
    );
    protect(&mut client, "'notes'");
    protect(
        &mut client,
        r#"'posts', status => '{"moderate":{"Status":"waiting","flag":true},"spam":{"Status":"spam","flag":false}}'"#,
    );
    assert_eq!(text(&mut client, TABLES), "ok: 2 tables are protected");
    run(
        &mut client,
        r#"ALTER TYPE state RENAME VALUE 'spam' TO 'junk'; ALTER TABLE posts ALTER "Status" TYPE varchar(4)"#,
    );
    assert_eq!(
        text(&mut client, TABLES),
        r#"warning: the status does not take what verdicts write: "spam" by status of public.notes (such verdicts are only logged), "waiting" by "Status" of public.posts (such verdicts are only logged)"#
    );
    run(
        &mut client,
        r#"ALTER TYPE state RENAME VALUE 'junk' TO 'spam'; ALTER TABLE posts ALTER "Status" TYPE text"#,
    );
    assert_eq!(text(&mut client, TABLES), "ok: 2 tables are protected");
}

#[test]
fn a_constraint_that_forbids_a_verdicts_value_is_told_by_health() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE states (name text PRIMARY KEY); INSERT INTO states VALUES ('ok'), ('pending'), ('spam');
         CREATE TABLE notes (id int PRIMARY KEY, body text, status text DEFAULT 'ok' CONSTRAINT listed CHECK (status IN ('ok', 'pending', 'spam')));
         CREATE TABLE posts (id int PRIMARY KEY, body text, status text DEFAULT 'ok' REFERENCES states ON UPDATE CASCADE)",
    );
    protect(&mut client, "'notes'");
    protect(
        &mut client,
        r#"'posts', status => '{"column": "status", "ham": "ok", "moderate": "pending", "spam": "spam"}'"#,
    );
    assert_eq!(text(&mut client, TABLES), "ok: 2 tables are protected");
    run(
        &mut client,
        "ALTER TABLE notes DROP CONSTRAINT listed, ADD CONSTRAINT listed CHECK (status IN ('ok', 'pending', 'junk'));
         UPDATE states SET name = 'junk' WHERE name = 'spam'",
    );
    assert_eq!(
        text(&mut client, TABLES),
        r#"warning: the status does not take what verdicts write: "spam" by status of public.notes (constraint listed: such rows fail), "spam" by status of public.posts (constraint posts_status_fkey: such rows fail)"#
    );
}

#[test]
fn a_domain_whose_function_finds_its_table_by_the_search_path_takes_the_verdicts() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE statuses (s text PRIMARY KEY); INSERT INTO statuses VALUES ('ok'), ('pending'), ('spam');
         CREATE FUNCTION is_status(v text) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN EXISTS (SELECT FROM statuses WHERE s = v); END';
         CREATE DOMAIN state AS text CHECK (is_status(value));
         CREATE TABLE notes (id int PRIMARY KEY, body text, status state DEFAULT 'ok')",
    );
    protect(
        &mut client,
        r#"'notes', status => '{"column": "status", "ham": "ok", "moderate": "pending", "spam": "spam"}'"#,
    );
    assert_eq!(text(&mut client, TABLES), "ok: 1 table is protected");
}
