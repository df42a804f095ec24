//! "Resubscribe" and "Resubscribe and restore actions", and the sentence above them.

use crate::site::{Site, refused};
use crate::{SUBSCRIBER, USERS, history, site, users};

#[test]
fn the_sentence_says_since_when_in_actionkits_words() {
    let mut site = site();
    assert_eq!(site.ask("SELECT spamcheck.subscriber_status('ann@mail.example') IS NULL"), "t");
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); SET timezone = 'UTC';
        UPDATE spamcheck.subscription_history SET changed_at = '2015-03-11 12:00:00+00'");
    assert_eq!(
        site.ask("SELECT spamcheck.subscriber_status('ann@mail.example')"),
        "Unsubscribed for Comment Spamming since Wed Mar 11, 2015"
    );
    site.run("SELECT spamcheck.resubscribe('ann@mail.example')");
    assert_eq!(site.ask("SELECT spamcheck.subscriber_status('ann@mail.example') IS NULL"), "t");
}

#[test]
fn who_has_come_back_by_another_way_is_not_called_unsubscribed() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); UPDATE users SET subscription_status = 'subscribed' WHERE email LIKE 'ann%'");
    assert_eq!(site.ask("SELECT spamcheck.subscriber_status('ann@mail.example') IS NULL"), "t");
    assert_eq!(
        site.ask("SELECT spamcheck.resubscribe('ann@mail.example') ->> 'status'"),
        "already"
    );
}

#[test]
fn a_name_that_two_tables_have_is_told_with_both() {
    let mut site = Site::bare();
    site.policy("unsubscribe = true");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    for (table, people) in [("comments", "users"), ("tickets", "customers")] {
        site.run(&format!(
            r#"CREATE TABLE {people} (id int PRIMARY KEY, mailing text NOT NULL DEFAULT 'yes'); INSERT INTO {people} VALUES (1);
               CREATE TABLE {table} (id int PRIMARY KEY, who int, body text, status text CHECK (status IN ('approved', 'pending', 'spam')));
               SELECT spamcheck.protect('{table}', subscriber => '{{"table": "{people}", "key": "id", "from": "who",
                   "column": "mailing", "subscribed": "yes", "unsubscribed": "no"}}');
               INSERT INTO {table} VALUES (1, 1, 'casino', 'approved')"#
        ));
    }
    assert_eq!(
        site.ask("SELECT spamcheck.resubscribe('1') ->> 'message'"),
        "1 is subscribed again in public.customers and in public.users, which may be different people."
    );
}

#[test]
fn resubscribing_leaves_the_rows_as_spam() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    let answer = "SELECT a ->> 'status', a ->> 'resubscribed', a ->> 'message' FROM (SELECT spamcheck.resubscribe('ann@mail.example') AS a) x";
    assert_eq!(site.ask(answer), "done|true|ann@mail.example is subscribed again.");
    assert_eq!(users(&mut site), "ann subscribed 2");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(
        history(&mut site),
        "ann unsubscribe_spamcheck postgres 1, ann resubscribe postgres"
    );
    assert_eq!(
        site.ask(answer),
        "already|false|ann@mail.example is not unsubscribed because of spam."
    );
    assert_eq!(users(&mut site), "ann subscribed 2");
}

#[test]
fn restoring_gives_every_suppressed_row_of_theirs_its_own_status() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (email, body, status) VALUES ('ann@mail.example', 'casino', 'approved'), ('ann@mail.example', 'casino too', 'pending'),
             ('bob@mail.example', 'casino', 'approved'), ('ann@mail.example', 'her own spam', 'spam'), ('ann@mail.example', 'fine', 'approved')",
    );
    assert_eq!(
        site.ask("SELECT a ->> 'rows', a ->> 'message' FROM (SELECT spamcheck.resubscribe('ann@mail.example', true) AS a) x"),
        "2|ann@mail.example is subscribed again; 2 rows were restored."
    );
    assert_eq!(site.statuses(), "1 approved\n2 pending\n3 spam\n4 spam\n5 approved");
    assert_eq!(
        site.ask("SELECT string_agg((row_key ->> 'id') || ' ' || outcome, ', ' ORDER BY id) FROM spamcheck.spam_checklog"),
        "1 not_spam, 2 not_spam, 3 suppressed"
    );
    assert_eq!(
        site.ask("SELECT spamcheck.resubscribe('ann@mail.example', true) ->> 'status'"),
        "already"
    );
}

#[test]
fn rows_can_be_restored_after_the_subscription() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); SELECT spamcheck.resubscribe('ann@mail.example')");
    assert_eq!(
        site.ask("SELECT a ->> 'status', a ->> 'rows' FROM (SELECT spamcheck.resubscribe('ann@mail.example', true) AS a) x"),
        "done|1"
    );
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn not_spam_of_a_row_that_is_gone_still_resubscribes() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'), ('bob@mail.example', 'casino'); DELETE FROM comments WHERE id = 1;
        UPDATE comments SET email = 'else@mail.example'");
    site.run("SELECT spamcheck.not_spam(id) FROM spamcheck.spam_checklog WHERE check_name = 'content' ORDER BY id");
    assert_eq!(users(&mut site), "ann subscribed 2, bob subscribed 2");
}

#[test]
fn a_subscription_that_ends_again_is_told_again() {
    let mut site = site();
    for _ in 0..2 {
        site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); SELECT spamcheck.resubscribe('ann@mail.example')");
    }
    assert_eq!(
        site.ask("SELECT string_agg(change, ' ' ORDER BY id) FROM spamcheck.subscription_history"),
        "unsubscribe_spamcheck resubscribe unsubscribe_spamcheck resubscribe"
    );
}

#[test]
fn unknown_names_are_answered_and_not_an_error() {
    let mut site = site();
    site.run("CREATE TABLE notes (id serial PRIMARY KEY, user_id int, body text); CREATE TABLE members (id int PRIMARY KEY, gets text);
        SELECT spamcheck.protect('notes', status => '{}', subscriber => '{\"table\": \"members\", \"key\": \"id\", \"from\": \"user_id\", \"column\": \"gets\", \"subscribed\": \"y\", \"unsubscribed\": \"n\"}')");
    for name in ["nobody@mail.example", "", "[1]", "it''s"] {
        assert_eq!(
            site.ask(&format!("SELECT spamcheck.resubscribe('{name}', true) ->> 'status'")),
            "already",
            "{name}"
        );
        assert_eq!(
            site.ask(&format!("SELECT spamcheck.subscriber_status('{name}') IS NULL")),
            "t",
            "{name}"
        );
    }
}

/// Who has a key of several columns is no other person than the one that a part of it may mean.
#[test]
fn a_name_that_can_be_nobodys_is_an_error_that_says_the_form() {
    let mut site = Site::new();
    site.run(
        r#"CREATE SCHEMA crm; CREATE TABLE crm.people (site int, "E mail" text, gets text DEFAULT 'y', PRIMARY KEY (site, "E mail"));
           INSERT INTO crm.people VALUES (1, 'u1@x'), (2, 'u1@x');
           ALTER TABLE comments ADD site int DEFAULT 1;
           SELECT spamcheck.protect('comments', subscriber =>
               '{"table": "crm.people", "key": ["site", "E mail"], "from": ["site", "email"], "column": "gets", "subscribed": "y", "unsubscribed": "n"}')"#,
    );
    site.policy("unsubscribe = true");
    site.run("INSERT INTO comments (email, body) VALUES ('u1@x', 'casino')");
    let call = |function: &str, name: &str| format!("SELECT spamcheck.{function}('{name}')");
    let refused = |site: &mut Site, name: &str| {
        for function in ["subscriber_status", "resubscribe"] {
            let error = refused(&mut site.client, &call(function, name));
            assert_eq!(error.code().code(), "22023", "{name}");
            assert!(
                error.message().ends_with("does not say which subscriber is meant"),
                "{error:?}"
            );
            assert_eq!(error.hint(), Some(r#"Write a JSON object: {"site": …, "E mail": …}."#));
        }
    };
    for name in
        ["u1@x", "", "1", r#"["1"]"#, r#"["1", "u1@x", 3]"#, r#"[1, null]"#, r#"{"site": 1}"#, "{}"]
    {
        refused(&mut site, name);
    }
    for name in [r#"["1","u1@x"]"#, r#"[1, "u1@x"]"#, r#"{"E mail": "u1@x", "site": 1}"#] {
        let status = call("subscriber_status", name);
        assert!(site.ask(&status).starts_with("Unsubscribed"), "{name}");
    }
    // Who is known by all of it, and is subscribed.
    assert_eq!(site.ask(&call("subscriber_status", r#"{"site": 2, "E mail": "u1@x"}"#)), "");
    // Where others have a key of one column, a text may be theirs; an object that lacks a column is nobody's.
    site.run(USERS);
    site.run(&format!(
        "CREATE TABLE notes (id serial PRIMARY KEY, email text, body text);
         SELECT spamcheck.protect('notes', status => '{{}}', subscriber => '{SUBSCRIBER}')"
    ));
    assert_eq!(site.ask(&call("subscriber_status", "u1@x")), "");
    assert_eq!(site.ask(&call("subscriber_status", r#"{"email": "ann@mail.example"}"#)), "");
    refused(&mut site, r#"{"site": 1}"#);
    // The history goes on naming whom it named.
    site.run("SELECT spamcheck.unprotect('notes'), spamcheck.unprotect('comments')");
    site.run(
        r#"CREATE TABLE posts (id serial PRIMARY KEY, a int, b int, c int, body text);
           CREATE TABLE crm.trios (a int, b int, c int, gets text, PRIMARY KEY (a, b, c));
           SELECT spamcheck.protect('posts', status => '{}', subscriber =>
               '{"table": "crm.trios", "key": ["a", "b", "c"], "from": ["a", "b", "c"], "column": "gets", "subscribed": "y", "unsubscribed": "n"}')"#,
    );
    assert!(site.ask(&call("subscriber_status", r#"[1, "u1@x"]"#)).starts_with("Unsubscribed"));
}

#[test]
fn a_table_that_is_protected_anew_knows_whom_it_ended() {
    let mut site = site();
    site.run(&format!(
        "INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); SELECT spamcheck.unprotect('comments');
         SELECT spamcheck.protect('comments', subscriber => '{}')",
        crate::SUBSCRIBER
    ));
    assert_eq!(site.ask("SELECT spamcheck.subscriber_status('ann@mail.example') IS NULL"), "f");
    site.run("SELECT spamcheck.resubscribe('ann@mail.example')");
    assert_eq!(users(&mut site), "ann subscribed 2");
    assert_eq!(site.ask("SELECT spamcheck.subscriber_status('ann@mail.example') IS NULL"), "t");
}
