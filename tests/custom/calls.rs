//! How a function is called: what it writes goes with the row, it may be stopped, and it may come to
//! itself by writing into the protected table.

use std::time::Duration;

use crate::site::refused;
use crate::{asking, define, newest, status};

#[test]
fn what_the_function_writes_goes_with_the_row() {
    let mut site = asking(
        "INSERT INTO app.seen SELECT submission ->> 'body'; RETURN jsonb_build_object('hit', submission ->> 'body' LIKE 'bad%');",
    );
    site.run("CREATE TABLE app.seen (body text)");
    status(&mut site, "one");
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('two'); ROLLBACK");
    site.run(
        "BEGIN; SAVEPOINT s; INSERT INTO comments (body) VALUES ('three'); ROLLBACK TO s; COMMIT",
    );
    site.check("custom", "action = 'reject'");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('bad')");
    assert_eq!(site.ask("SELECT body FROM app.seen"), "one");
}

#[test]
fn what_a_failing_function_wrote_is_rolled_back_and_the_row_is_not() {
    let mut site = asking("INSERT INTO app.seen VALUES ('x'); RAISE 'no'; ");
    site.run("CREATE TABLE app.seen (body text)");
    assert_eq!(status(&mut site, "one"), "approved");
    assert_eq!(newest(&mut site), "error|error|0|function app.judge failed: no");
    assert_eq!(site.ask("SELECT count(*) FROM app.seen"), "0");
}

#[test]
fn a_function_that_writes_into_the_protected_table_is_not_asked_about_that_row() {
    let mut site = asking(
        "IF submission ->> 'body' LIKE 'reply%' THEN RETURN '{\"hit\": true}'; END IF;
         INSERT INTO public.comments (body) VALUES ('reply to ' || (submission ->> 'body')); RETURN NULL;",
    );
    assert_eq!(status(&mut site, "hello"), "approved");
    assert_eq!(
        site.ask("SELECT body, status FROM comments ORDER BY body"),
        "hello|approved\nreply to hello|approved"
    );
    assert_eq!(
        newest(&mut site),
        "error|error|0|function app.judge was not asked again: it wrote this row while it was being asked"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "1");
}

#[test]
fn findings_of_rows_that_the_function_writes_are_not_mixed_up_with_the_rows_own() {
    let mut site = asking(
        "INSERT INTO public.other (body) VALUES ('casino ' || (submission ->> 'body'));
         RETURN jsonb_build_object('hit', submission ->> 'body' = 'b', 'why', 'it is b');",
    );
    site.run(
        "CREATE TABLE other (id serial PRIMARY KEY, body text, status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.create_policy('others'); SELECT spamcheck.protect('other', 'others')",
    );
    site.run("INSERT INTO comments (body) VALUES ('a'), ('b'), ('c')");
    assert_eq!(
        site.ask(
            "SELECT relation, row_key ->> 'id', why FROM spamcheck.spam_checklog ORDER BY 1, 2"
        ),
        "public.comments|2|it is b\npublic.other|1|banned word \"casino\" in body\npublic.other|2|banned word \"casino\" in body\npublic.other|3|banned word \"casino\" in body"
    );
    assert_eq!(site.statuses(), "1 approved\n2 pending\n3 approved");
    assert_eq!(site.ask("SELECT DISTINCT status FROM other"), "spam");
}

#[test]
fn statement_timeout_stops_a_slow_function_and_the_insert_with_it() {
    let mut site = asking("PERFORM pg_sleep(60); RETURN NULL;");
    site.run("SET statement_timeout = '200ms'");
    let started = std::time::Instant::now();
    let error = refused(&mut site.client, "INSERT INTO comments (body) VALUES ('x')");
    assert_eq!(error.code().code(), "57014");
    assert!(started.elapsed() < Duration::from_secs(20));
    site.run("RESET statement_timeout");
    define(&mut site, "RETURN '{\"hit\": true}';");
    assert_eq!(status(&mut site, "x"), "pending");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "1");
}

#[test]
fn many_rows_are_asked_about_one_by_one() {
    let mut site = asking(
        "RETURN jsonb_build_object('hit', (submission ->> 'body')::int % 100 = 0, 'why', submission ->> 'body');",
    );
    site.run("INSERT INTO comments (body) SELECT n FROM generate_series(1, 2000) n");
    assert_eq!(
        site.ask("SELECT count(*), bool_and(why = comment) FROM spamcheck.spam_checklog"),
        "20|t"
    );
    assert_eq!(site.ask("SELECT count(*) FROM comments WHERE status = 'pending'"), "20");
}

#[test]
fn longer_texts_than_checks_look_at_are_cut_and_the_finding_says_so() {
    let mut site = asking(
        "RETURN jsonb_build_object('hit', true, 'why', length(submission ->> 'body')::text);",
    );
    site.run("INSERT INTO comments (body) VALUES (repeat('漢', 70000))");
    assert_eq!(
        site.ask("SELECT why, detail -> 'truncated' FROM spamcheck.recent LIMIT 1"),
        "65536|true"
    );
}
