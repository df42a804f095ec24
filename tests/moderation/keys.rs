//! How a row is named: by the value of its key, or by a JSON object; and what follows when it is named
//! wrongly.

use crate::site::{Site, refused};
use crate::{call, outcomes};

fn site(columns: &str) -> Site {
    let mut site = Site::bare();
    site.run(&format!(
        "CREATE DOMAIN tags AS jsonb;
         CREATE TABLE posts ({columns}, body text, status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         SELECT spamcheck.protect('posts')"
    ));
    site
}

/// Takes a spam row with this key through the moderators' functions.
#[track_caller]
fn round(site: &mut Site, values: &str, keys: &[&str]) {
    site.run(&format!("INSERT INTO posts VALUES ({values}, 'casino')"));
    for key in keys {
        let quoted = key.replace('\'', "''");
        assert_eq!(call(site, &format!("approve('posts', '{quoted}')")), "done|restored", "{key}");
        assert_eq!(site.ask("SELECT status FROM posts"), "approved");
        assert_eq!(call(site, &format!("report_spam('posts', '{quoted}')")), "done|spam", "{key}");
        assert_eq!(site.ask("SELECT status FROM posts"), "spam");
    }
    // All of it went by one row's findings, so the keys were the same to the log.
    let findings = "SELECT count(DISTINCT row_key), count(*), count(*) FILTER (WHERE NOT reversed) FROM spamcheck.spam_checklog";
    assert_eq!(site.ask(findings), format!("1|{}|1", keys.len() + 1));
    assert_eq!(call(site, "not_spam(1)"), "done|restored");
    assert_eq!(site.ask("SELECT status FROM posts"), "approved");
    site.run("SELECT spamcheck.report_spam('posts', $$X$$)".replace("X", keys[0]).as_str());
    assert_eq!(call(site, "delete_spam(1)"), "done|deleted");
    assert_eq!(site.ask("SELECT count(*) FROM posts"), "0");
}

#[test]
fn a_number() {
    round(
        &mut site("id int PRIMARY KEY"),
        "17",
        &["17", " 17 ", "0017", "{\"id\": 17}", "{\"id\": \"17\"}"],
    );
}

#[test]
fn a_uuid() {
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let upper = id.to_uppercase();
    let object = format!("{{\"id\": \"{upper}\"}}");
    round(&mut site("id uuid PRIMARY KEY"), &format!("'{id}'"), &[id, &upper, &object]);
}

#[test]
fn a_json_text() {
    round(&mut site("id jsonb PRIMARY KEY"), r#"'"s"'"#, &["\"s\"", "s", r#"{"id": "s"}"#]);
    round(&mut site("id jsonb PRIMARY KEY"), "'7'", &["7", r#"{"id": 7}"#]);
    round(&mut site("id jsonb PRIMARY KEY"), "'null'", &["null", r#"{"id": null}"#]);
    round(
        &mut site("id tags PRIMARY KEY"),
        r#"'{"a": [1]}'"#,
        &[r#"{"a": [1]}"#, r#"{"id": {"a": [1]}}"#],
    );
    round(&mut site("id tags PRIMARY KEY"), r#"'"s"'"#, &["\"s\"", "s", r#"{"id": "s"}"#]);
}

#[test]
fn a_text_with_quotes_and_braces() {
    let key = "it's \"a\" \\ {b} é";
    let object = "{\"the \\\"key\\\"\": \"it's \\\"a\\\" \\\\ {b} é\"}";
    round(
        &mut site("\"the \"\"key\"\"\" text PRIMARY KEY"),
        &format!("'{}'", key.replace('\'', "''")),
        &[key, object],
    );
    round(&mut site("id text PRIMARY KEY"), "'{\"id\": 1}'", &["{\"id\": \"{\\\"id\\\": 1}\"}"]);
    round(&mut site("id text PRIMARY KEY"), "'{\"no\": 1}'", &["{\"no\": 1}"]);
}

#[test]
fn characters_of_a_fixed_number_and_a_status_of_such() {
    round(&mut site("code char(6) PRIMARY KEY"), "'ab'", &["ab", "ab    "]);
    round(&mut site("bits bit(3) PRIMARY KEY"), "'101'", &["101"]);
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (code char(6) PRIMARY KEY, body text, status char(10) DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         SELECT spamcheck.protect('posts')",
    );
    site.run("INSERT INTO posts VALUES ('ab', 'casino'), ('ac', 'fine')");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(call(&mut site, "report_spam('posts', 'ac')"), "done|spam");
    assert_eq!(
        site.ask("SELECT string_agg(code || '=' || status, ' ' ORDER BY code) FROM posts"),
        "ab=approved ac=spam"
    );
    // A longer name is that of another row, or of none.
    assert_eq!(call(&mut site, "approve('posts', 'ac     x')"), "gone|gone");
}

#[test]
fn a_time_a_number_and_bytes_are_the_same_in_every_session() {
    let mut site = site(
        "at timestamptz, ratio float8, bytes bytea, span interval, PRIMARY KEY (at, ratio, bytes, span)",
    );
    site.run("SET timezone = 'Asia/Kolkata'; SET bytea_output = 'escape'; SET extra_float_digits = 0; SET intervalstyle = 'iso_8601'");
    site.run("INSERT INTO posts VALUES ('2024-02-03 10:00+00', 0.1::float8 + 0.2, '\\x00ff', '1 day 2 hours', 'casino', 'approved')");
    site.run("RESET ALL; SET timezone = 'UTC'");
    assert_eq!(site.ask("SELECT status FROM posts"), "spam");
    site.run("UPDATE posts SET status = 'approved'");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
    assert_eq!(call(&mut site, "delete_spam(1)"), "already|unchanged");
    site.run("UPDATE posts SET status = 'spam'");
    site.run("SET timezone = 'America/New_York'; SET bytea_output = 'escape'; SET extra_float_digits = 0");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.ask("SELECT status FROM posts"), "approved");
}

#[test]
fn several_columns() {
    round(
        &mut site("a int, \"B c\" text, d date, PRIMARY KEY (a, \"B c\", d)"),
        "1, 'it''s', '2001-02-03'",
        &[
            "{\"d\": \"2001-02-03\", \"a\": 1, \"B c\": \"it's\"}",
            "{\"a\": \"1\", \"B c\": \"it's\", \"d\": \"3 Feb 2001\"}",
        ],
    );
}

#[test]
fn a_key_that_names_no_row_of_the_table_is_refused_with_what_it_should_be() {
    let mut two = site("a int, b int, PRIMARY KEY (a, b)");
    for key in
        ["1", "{\"a\": 1}", "{\"a\": 1, \"b\": null}", "[1, 2]", "{\"a\": 1, \"b\": 2, \"c\": 3}"]
    {
        let error =
            refused(&mut two.client, &format!("SELECT spamcheck.approve('posts', '{key}')"));
        assert!(
            error.detail().is_some_and(|d| d.contains("a, b"))
                && error.hint().is_some_and(|h| h.contains("{\"a\": …, \"b\": …}")),
            "{key}: {error:?}"
        );
    }
    let error =
        refused(&mut two.client, "SELECT spamcheck.approve('posts', '{\"a\": \"x\", \"b\": 1}')");
    assert!(error.message().contains("\"x\"") && error.hint().is_some(), "{error:?}");
    let mut one = site("id int PRIMARY KEY");
    for key in ["x", "", "99999999999999"] {
        let error =
            refused(&mut one.client, &format!("SELECT spamcheck.report_spam('posts', '{key}')"));
        assert!(error.hint().is_some(), "{key}: {error:?}");
    }
    for (column, key, what) in [
        (
            "id bigint PRIMARY KEY",
            "{\"id\": [1]}",
            "Column id is of type bigint: [1] is no value of it.",
        ),
        (
            "id uuid PRIMARY KEY",
            "{\"id\": {\"a\": 1}}",
            "Column id is of type uuid: {\"a\":1} is no value of it.",
        ),
        ("id text PRIMARY KEY", "{\"id\": []}", "Column id is of type text: [] is no value of it."),
    ] {
        let mut one = site(column);
        let error =
            refused(&mut one.client, &format!("SELECT spamcheck.report_spam('posts', '{key}')"));
        assert_eq!(error.detail(), Some(what));
        assert!(error.hint().is_some_and(|hint| hint.contains("{\"id\": …}")), "{error:?}");
    }
    let mut none = site("id int");
    let error = refused(&mut none.client, "SELECT spamcheck.approve('posts', '1')");
    assert!(error.message().contains("no primary key"), "{error:?}");
}

#[test]
fn a_row_that_is_not_there_is_an_answer_and_no_error() {
    let mut site = site("id int PRIMARY KEY");
    for function in ["approve", "report_spam"] {
        let answer = site.ask(&format!("SELECT a ->> 'status', a ->> 'message' FROM (SELECT spamcheck.{function}('posts', '5') AS a) x"));
        assert_eq!(answer, "gone|There is no row with this key in public.posts.");
    }
    assert_eq!(outcomes(&mut site), "");
}

#[test]
fn of_a_row_without_a_key_only_the_log_is_changed_and_the_answer_says_so() {
    let mut site = site("id int");
    site.run("INSERT INTO posts VALUES (1, 'casino'), (2, 'casino')");
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("unchanged|") && answer.contains("no primary key"), "{answer}");
    assert_eq!(call(&mut site, "delete_spam(2)"), "done|unchanged");
    site.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    refused(&mut site.client, "INSERT INTO posts VALUES (3, 'casino')");
    assert_eq!(call(&mut site, "not_spam(3)"), "done|inserted");
    assert_eq!(site.ask("SELECT row_key IS NULL FROM spamcheck.spam_checklog WHERE id = 3"), "t");
}
