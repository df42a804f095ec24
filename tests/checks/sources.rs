//! Where a submission's fields come from, as far as checks and log show it.

use std::time::Duration;

use support::wait;

use crate::site::{Site, ask, refused, run};

#[test]
fn settings_stand_in_for_columns_that_a_table_lacks() {
    let mut site = Site::new();
    site.run(
        "BEGIN;
         SET LOCAL pg_spamcheck.user_agent = 'Bot/1.0';
         SET LOCAL pg_spamcheck.referrer = 'https://casino.example/';
         SET LOCAL pg_spamcheck.source = 'api';
         INSERT INTO comments (body) VALUES ('casino');
         COMMIT;
         INSERT INTO comments (body) VALUES ('casino')",
    );
    assert_eq!(site.ask("SELECT user_agent FROM spamcheck.spam_checklog ORDER BY id"), "Bot/1.0\n");
    // Checks can look at them.
    site.check("content", r#"options = '{"fields": ["referrer", "user_agent"]}'"#);
    assert_eq!(
        site.ask(
            "BEGIN; SET LOCAL pg_spamcheck.referrer = 'see casino'; INSERT INTO comments \
            (body) VALUES ('hi') RETURNING status"
        ),
        "spam"
    );
    site.run("COMMIT");
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('hi') RETURNING status"), "approved");
}

#[test]
fn a_mapped_setting_and_a_fixed_value_are_read_at_each_insert() {
    let mut site = Site::new();
    site.run(
        r#"SELECT spamcheck.protect('comments', columns =>
             '{"author": {"setting": "app.visitor"}, "page": {"value": "Guestbook"}, "email": null}')"#,
    );
    site.run("INSERT INTO comments (author, body) VALUES ('casino', 'nice')");
    site.run(
        "SET app.visitor = 'the casino'; INSERT INTO comments (author, body) VALUES ('ann', \
        'nice')",
    );
    site.run("SET app.visitor = ''; INSERT INTO comments (author, body) VALUES ('casino', 'nice')");
    assert_eq!(site.log(), "2 content");
    assert_eq!(
        site.ask("SELECT author, page FROM spamcheck.spam_checklog"),
        "the casino|Guestbook"
    );
}

#[test]
fn columns_of_other_tables_are_read_by_keys_of_several_columns_and_only_when_needed() {
    let mut site = Site::bare();
    site.check("email_syntax", "enabled = false");
    site.run(
        r#"CREATE TABLE people (site integer, number integer, mail text, PRIMARY KEY (site,
            number));
           INSERT INTO people VALUES (1, 7, 'bob@spam.example'), (2, 7, 'ann@good.example');
           CREATE TABLE notes (id serial PRIMARY KEY, site smallint, person bigint, body text,
           status text CHECK (status IN ('approved', 'pending', 'spam')));
           SELECT spamcheck.protect('notes', columns =>
             '{"email": {"table": "people", "key": ["site", "number"], "from": ["site", "person"], "column": "mail"}}')"#,
    );
    let say = "INSERT INTO notes (site, person, body) VALUES (1, 7, 'x'), (2, 7, 'x'), (3, 7, \
        'x'), (NULL, 7, 'x') RETURNING status IS NOT DISTINCT FROM 'spam'";
    // No pattern asks for an address yet: the other table is not even looked at.
    site.run("BEGIN; LOCK people IN ACCESS EXCLUSIVE MODE");
    let mut other = site.db.client();
    run(&mut other, "SET lock_timeout = '5s'");
    assert_eq!(ask(&mut other, say), "f\nf\nf\nf");
    site.run("COMMIT");
    site.run(
        r"INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '@spam\.example$')",
    );
    assert_eq!(ask(&mut other, say), "t\nf\nf\nf");
    assert_eq!(
        site.ask("SELECT email, detail ->> 'entry' FROM spamcheck.spam_checklog"),
        r"bob@spam.example|@spam\.example$"
    );
}

#[test]
fn a_row_of_another_table_that_the_same_transaction_wrote_is_seen() {
    let mut site = Site::new();
    site.run("CREATE TABLE people (login text PRIMARY KEY, mail text)");
    site.run(
        r#"SELECT spamcheck.protect('comments', columns => '{"email": {"table": "people", "key": "login", "from": "author", "column": "mail"}}');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block',
           '@spam\.example$')"#,
    );
    let stored = site.ask(
        "BEGIN;
         INSERT INTO people VALUES ('bob', 'bob@spam.example');
         INSERT INTO comments (author, body) VALUES ('bob', 'hi') RETURNING status;
         COMMIT",
    );
    assert_eq!(stored, "spam");
}

#[test]
fn columns_of_every_type_are_read_through_their_text() {
    let mut site = Site::bare();
    site.run(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore;
         CREATE DOMAIN short AS varchar(40); CREATE DOMAIN shorter AS short;
         CREATE TYPE mood AS ENUM ('nice', 'casino');
         CREATE TABLE odd (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
             a citext, b char(20), c shorter, d xml, e name, f mood, g text[], h json, i hstore, \
             j varchar(8), k bytea, l tsvector);
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    for (column, value) in [
        ("a", "'The CASINO'"),
        ("b", "'casino'"),
        ("c", "'a casino'"),
        ("d", "'<p>casino</p>'"),
        ("e", "'casino'"),
        ("f", "'casino'"),
        ("g", "'{nice,casino}'"),
        ("h", r#"'{"a": ["casino"]}'"#),
        ("j", "'casino'"),
        ("l", "'casino'::tsvector"),
    ] {
        site.run(&format!(
            r#"DELETE FROM spamcheck.spam_checklog; SELECT spamcheck.protect('odd', status =>
                '{{}}', columns => '{{"body": "{column}"}}');
               INSERT INTO odd ({column}) VALUES (NULL); INSERT INTO odd ({column}) VALUES
               ({value})"#
        ));
        assert_eq!(
            site.ask(
                "SELECT check_name, row_key ->> 'id' = (SELECT id::text FROM odd \
            WHERE num_nonnulls(a, b, c, e, f, g, i, j) + (d IS NOT NULL)::int + (h IS NOT \
            NULL)::int + (l IS NOT NULL)::int = 1) FROM spamcheck.spam_checklog"
            ),
            "content|t",
            "column {column}"
        );
        site.run("TRUNCATE odd");
    }
    site.run(
        r#"SELECT spamcheck.protect('odd', status => '{}', columns =>
        '{"body": "a", "fields": "i"}')"#,
    );
    site.run(
        r#"DELETE FROM spamcheck.spam_checklog; INSERT INTO odd (i) VALUES
        ('a=>casino, b=>NULL'), ('casino=>x'), (hstore('q"\,=>', 'say "casino"')), ('')"#,
    );
    assert_eq!(
        site.ask("SELECT detail ->> 'field' FROM spamcheck.spam_checklog ORDER BY id"),
        "fields.a\nfields.q\"\\,=>"
    );
}

#[test]
fn nulls_everywhere_are_never_a_finding() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (id serial PRIMARY KEY, title text, author text, email text, url \
            text, ip inet, user_agent text, referrer text,
             type text, created_at timestamptz, body text, custom jsonb, status text);
         SELECT spamcheck.protect('posts', columns => '{\"fields\": \"custom\", \"body\": \
         [\"title\", \"body\"]}', status => '{\"column\":\"status\",\"spam\":\"spam\",\"moderate\":\"held\"}')",
    );
    site.run(crate::site::RULES);
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.1'), \
        ('email_block', 'x')",
    );
    site.check("links", r#"options = '{"over": 0, "reject_over": 0}'"#);
    site.run("INSERT INTO posts DEFAULT VALUES");
    site.run(
        "UPDATE posts SET title = ''; UPDATE posts SET title = NULL, body = ' '; UPDATE \
        posts SET custom = 'null'",
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    assert_eq!(site.ask("SELECT status IS NULL FROM posts"), "t");
    site.run("UPDATE posts SET body = 'casino'");
    assert_eq!(site.ask("SELECT status FROM posts"), "spam");
}

#[test]
fn strings_inside_json_cannot_hide() {
    let mut site = Site::bare();
    site.run("CREATE TABLE odd (id serial PRIMARY KEY, a json, b jsonb, status text)");
    site.run(crate::site::RULES);
    let deep = |n: usize| format!("{}\"casino\"{}", "[".repeat(n), "]".repeat(n));
    let cases = [
        (r#"{"a": "\u0063asino"}"#.to_owned(), true),
        (r#"{"a": "casino", "b": 1e400, "c": -1e-400}"#.to_owned(), true),
        (r#"{"a": {"b": {"c": ["x", {"d": "casino"}]}}}"#.to_owned(), true),
        (deep(500), true),
        (r#"{"a": "\ud83d\ude00 \u0063asino"}"#.to_owned(), true),
        (r#""\u0063asino""#.to_owned(), true),
        (r#"{"casino": 1, "x": true, "y": null}"#.to_owned(), false),
        (r#"["casi", "no"]"#.to_owned(), false),
        ("[]".to_owned(), false),
        ("17".to_owned(), false),
        // What only the type json takes.
        (r#"{"a": "\u0063asino", "b": "\ud800"}"#.to_owned(), true),
        (r#"{"a": "\u0063asino \u0000"}"#.to_owned(), true),
        (r#"{"a": "nice", "a": "casino", "a": "nice"}"#.to_owned(), true),
    ];
    for (column, field) in [("a", "body"), ("a", "fields"), ("b", "body"), ("b", "fields")] {
        site.run(&format!(
            r#"SELECT spamcheck.protect('odd', columns => '{{"{field}": "{column}"}}',
                   status => '{{"column": "status", "spam": "spam", "moderate": "held"}}')"#
        ));
        let count = if column == "a" { cases.len() } else { cases.len() - 3 };
        for (json, hit) in &cases[..count] {
            let kind = if column == "a" { "json" } else { "jsonb" };
            let stored = site.ask(&format!(
                "INSERT INTO odd ({column}) VALUES ($json${json}$json$::{kind}) RETURNING status"
            ));
            assert_eq!(
                stored == "spam",
                *hit,
                "{field} of {kind}: {}",
                &json[..json.len().min(80)]
            );
        }
    }
}

#[test]
fn a_name_that_no_text_can_hold_neither_fails_nor_escapes_the_log() {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE odd (id serial PRIMARY KEY, body text, custom json, status text NOT NULL DEFAULT 'approved'
             CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('odd', columns => '{\"fields\": \"custom\"}')",
    );
    let insert = r#"INSERT INTO odd (custom) VALUES ('{"a\u0000b": "casino", "c": "x\u0000 y"}') RETURNING status"#;
    assert_eq!(site.ask(insert), "spam");
    let field = "SELECT detail ->> 'field' FROM spamcheck.recent LIMIT 1";
    assert_eq!(site.ask(field), "fields.a\u{FFFD}b");
    site.check("content", "action = 'reject'");
    wait::until(Duration::from_secs(20), "the worker", || {
        site.db.cluster().worker_pid(site.db.name()).is_some()
    });
    refused(&mut site.client, insert);
    assert_eq!(
        site.ask(
            "SELECT outcome, submission -> 'fields' ->> E'a\u{FFFD}b' FROM spamcheck.recent LIMIT 1"
        ),
        "rejected|casino"
    );
}
