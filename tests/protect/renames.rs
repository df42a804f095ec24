//! A mapping follows what it names: columns of the table, of the other tables, tables and schemas,
//! however they are renamed; and what is dropped leaves no error behind.

use super::{log, protect, run, start, text};
use postgres::Client;
use std::time::Duration;
use support::wait;

const TABLES: &str = "
    CREATE SCHEMA app;
    CREATE TABLE app.users (id int PRIMARY KEY, email text);
    CREATE TABLE app.posts (id int PRIMARY KEY, title text, url text);
    CREATE TABLE app.comments (
        id int PRIMARY KEY, user_id int, post_id int, title text, body text, extra text,
        status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
    INSERT INTO app.users VALUES (1, 'a@moderate.example');
    INSERT INTO app.posts VALUES (1, 'About', 'https://blog.example/1');";

const ARGUMENTS: &str = r#"'app.comments',
    columns => '{"email":{"table":"app.users","key":"id","from":"user_id","column":"email"},
                 "body":["title","body"],"title":null,"fields":["extra"]}',
    article => '{"table":"app.posts","key":"id","from":"post_id","title":"title","permalink":"url"}',
    subscriber => '{"table":"app.users","key":"id","from":"user_id","column":"email","subscribed":"y","unsubscribed":"n"}'"#;

/// A row that each part of the mapping has a say in, whatever its columns are called by now: what
/// was found, and the page that the log names.
fn proof(client: &mut Client, table: &str, id: u32) -> String {
    run(
        client,
        &format!(
            "INSERT INTO {table} VALUES ({id}, 1, 1, 'casino', 'see https://example.org/', 'nothing')"
        ),
    );
    text(
        client,
        &format!(
            "SELECT concat_ws(' ', string_agg(check_name, ' ' ORDER BY check_name), max(page), max(relation),
                              (SELECT to_jsonb(t)->>(SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum = 7)
                                 FROM {table} t WHERE to_jsonb(t) @> '{{\"id\":{id}}}'))
               FROM spamcheck.recent WHERE row_key->>'id' = '{id}'"
        ),
    )
}

#[test]
fn columns_of_the_table_are_followed() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    assert_eq!(
        proof(&mut client, "app.comments", 1),
        "content email_pattern links About app.comments spam"
    );
    for (old, new) in [
        ("body", "contents"),
        ("title", "body"),
        ("user_id", "\"User's \"\"id\"\"\""),
        ("post_id", "article"),
        ("status", "state"),
        ("extra", "extras"),
        ("state", "status"),
    ] {
        run(&mut client, &format!("ALTER TABLE app.comments RENAME COLUMN {old} TO {new}"));
    }
    assert_eq!(
        proof(&mut client, "app.comments", 2),
        "content email_pattern links About app.comments spam"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws(' ', columns->'body', columns->'fields', columns->'email'->'from', article->'from',
                              subscriber->'from', status->'column') FROM spamcheck.protected_table"
        ),
        r#"["body", "contents"] ["extras"] "User's \"id\"" "article" "User's \"id\"" "status""#
    );
    // Edits of the renamed columns are seen too.
    run(
        &mut client,
        "INSERT INTO app.comments (id, body) VALUES (3, 'x'); UPDATE app.comments SET extras = 'casino' WHERE id = 3",
    );
    assert!(log(&mut client).ends_with("app.comments {\"id\": 3} content suppressed"));
}

#[test]
fn columns_and_names_of_other_tables_are_followed() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    run(
        &mut client,
        "ALTER TABLE app.users RENAME COLUMN email TO mail; ALTER TABLE app.users RENAME id TO nr;
         ALTER TABLE app.posts RENAME title TO headline; ALTER TABLE app.posts RENAME TO \"Articles\";
         ALTER TABLE app.users RENAME TO people; CREATE SCHEMA \"we.ird\"; ALTER TABLE app.people SET SCHEMA \"we.ird\";
         CREATE TABLE app.users (id int, email text); CREATE TABLE app.people (id int, email text)",
    );
    assert_eq!(
        proof(&mut client, "app.comments", 1),
        "content email_pattern links About app.comments spam"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws(' ', columns->'email'->>'table', article->>'table', subscriber->>'table') FROM spamcheck.protected_table"
        ),
        r#""we.ird".people app."Articles" "we.ird".people"#
    );
    // Tables that took the old names over are somebody else's.
    run(
        &mut client,
        "ALTER TABLE app.users RENAME email TO nothing; ALTER TABLE app.people RENAME TO gone",
    );
    assert_eq!(
        proof(&mut client, "app.comments", 2),
        "content email_pattern links About app.comments spam"
    );
}

#[test]
fn the_table_itself_and_its_schema_are_followed() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    run(&mut client, "ALTER TABLE app.comments RENAME TO \"Notes\"");
    assert_eq!(
        proof(&mut client, "app.\"Notes\"", 1),
        "content email_pattern links About app.\"Notes\" spam"
    );
    run(&mut client, "ALTER SCHEMA app RENAME TO site");
    assert_eq!(
        proof(&mut client, "site.\"Notes\"", 2),
        "content email_pattern links About site.\"Notes\" spam"
    );
    run(&mut client, "ALTER TABLE site.\"Notes\" SET SCHEMA public");
    assert_eq!(
        proof(&mut client, "\"Notes\"", 3),
        "content email_pattern links About public.\"Notes\" spam"
    );
    run(
        &mut client,
        "CREATE TABLE app_notes (id int); ALTER TABLE app_notes RENAME TO comments; INSERT INTO comments VALUES (1)",
    );
}

#[test]
fn a_rolled_back_rename_is_rolled_back() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    run(
        &mut client,
        "BEGIN; ALTER TABLE app.comments RENAME body TO contents; ALTER TABLE app.users RENAME TO people",
    );
    assert_eq!(
        proof(&mut client, "app.comments", 1),
        "content email_pattern links About app.comments spam"
    );
    run(&mut client, "ROLLBACK");
    assert_eq!(
        proof(&mut client, "app.comments", 2),
        "content email_pattern links About app.comments spam"
    );
}

#[test]
fn another_open_session_follows_too() {
    let (database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    let mut app = database.client();
    assert_eq!(
        proof(&mut app, "app.comments", 1),
        "content email_pattern links About app.comments spam"
    );
    run(
        &mut client,
        "ALTER TABLE app.comments RENAME body TO contents; ALTER TABLE app.users RENAME email TO mail",
    );
    assert_eq!(
        proof(&mut app, "app.comments", 2),
        "content email_pattern links About app.comments spam"
    );
}

#[test]
fn a_column_renamed_through_a_parent_or_a_type_is_followed() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE things (id int, body text);
         CREATE TABLE notes (PRIMARY KEY (id)) INHERITS (things);
         CREATE TYPE remark AS (id int, body text);
         CREATE TABLE remarks OF remark (PRIMARY KEY (id));
         CREATE TABLE parted (id int, body text) PARTITION BY LIST (id);
         CREATE TABLE part PARTITION OF parted DEFAULT;
         SELECT spamcheck.protect('notes'); SELECT spamcheck.protect('remarks'); SELECT spamcheck.protect('part');
         ALTER TABLE things RENAME body TO contents;
         ALTER TYPE remark RENAME ATTRIBUTE body TO contents CASCADE;
         ALTER TABLE parted RENAME body TO contents;
         INSERT INTO notes VALUES (1, 'casino'); INSERT INTO remarks VALUES (1, 'casino'); INSERT INTO parted VALUES (1, 'casino')",
    );
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM spamcheck.recent WHERE check_name = 'content'"),
        "3"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(DISTINCT columns->>'body', ' ') FROM spamcheck.protected_table"
        ),
        "contents"
    );
}

#[test]
fn views_that_a_source_reads_are_followed_as_tables_are() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users VALUES (1, 'a@moderate.example');
         CREATE VIEW people AS SELECT id, email FROM users;
         CREATE TABLE notes (id int PRIMARY KEY, user_id int, body text);",
    );
    let source = |table: &str| {
        format!(
            r#"'notes', columns => '{{"email":{{"table":"{table}","key":"id","from":"user_id","column":"email"}}}}'"#
        )
    };
    protect(&mut client, &source("people"));
    run(
        &mut client,
        "ALTER VIEW people RENAME TO folk; ALTER VIEW folk RENAME COLUMN email TO mail; INSERT INTO notes VALUES (1, 1, 'x')",
    );
    // PostgreSQL takes a table's name here as well.
    protect(&mut client, &source("users"));
    run(&mut client, "ALTER INDEX users RENAME TO accounts; INSERT INTO notes VALUES (2, 1, 'x')");
    assert_eq!(
        log(&mut client),
        "public.notes {\"id\": 1} email_pattern moderated\npublic.notes {\"id\": 2} email_pattern moderated"
    );
}

#[test]
fn a_dropped_column_is_as_if_it_were_not_mapped() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    run(
        &mut client,
        "ALTER TABLE app.comments DROP COLUMN title, DROP COLUMN status;
         INSERT INTO app.comments (id, body, extra) VALUES (1, 'casino', 'x');
         ALTER TABLE app.comments DROP COLUMN body, DROP COLUMN user_id, DROP COLUMN post_id;
         INSERT INTO app.comments (id, extra) VALUES (2, 'casino');
         ALTER TABLE app.comments DROP COLUMN extra;
         INSERT INTO app.comments (id) VALUES (3);
         ALTER TABLE app.comments ADD body text;
         UPDATE app.comments SET body = 'x';",
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(check_name || (row_key->>'id'), ' ' ORDER BY id) FROM spamcheck.spam_checklog WHERE check_name = 'content'"
        ),
        "content1 content2"
    );
}

#[test]
fn a_dropped_table_takes_its_protection_along_and_comes_back_unprotected() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    proof(&mut client, "app.comments", 1);
    run(&mut client, "BEGIN; DROP TABLE app.comments; ROLLBACK");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.protected_table"), "1");
    run(&mut client, "DROP TABLE app.comments");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "3");
    run(
        &mut client,
        "CREATE TABLE app.comments (id int PRIMARY KEY, body text); INSERT INTO app.comments VALUES (2, 'casino')",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "3");
    protect(&mut client, "'app.comments'");
    run(&mut client, "DROP SCHEMA app CASCADE");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
}

#[test]
fn renames_at_the_same_time_are_all_followed() {
    let (database, mut client) = start();
    run(&mut client, TABLES);
    protect(&mut client, ARGUMENTS);
    run(&mut client, "BEGIN; ALTER TABLE app.comments RENAME body TO contents");
    let mut other = database.client();
    let pid = text(&mut other, "SELECT pg_backend_pid()");
    let renaming = std::thread::spawn(move || {
        run(&mut other, "ALTER TABLE app.users RENAME email TO mail");
    });
    // Whether it has to wait or not is its own affair; it must have read what it goes by.
    let mut watch = database.client();
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
    );
    wait::until(Duration::from_secs(60), "the other rename to wait or to end", || {
        renaming.is_finished() || text(&mut watch, &waits) == "1"
    });
    run(&mut client, "COMMIT");
    renaming.join().unwrap();
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws(' ', columns->'body', columns->'email'->'column') FROM spamcheck.protected_table"
        ),
        r#"["title", "contents"] "mail""#
    );
    assert_eq!(
        proof(&mut client, "app.comments", 1),
        "content email_pattern links About app.comments spam"
    );
}
