//! Where a field's value comes from: columns found by name, columns given, arrays, settings, fixed
//! values, texts inside jsonb and hstore. Columns of other tables are in other_tables.rs.

use super::{log, notices, protect, run, start, text};
use postgres::Client;

/// The newest log row's fields, `name=value`, those that are set.
fn logged(client: &mut Client, fields: &str) -> String {
    text(
        client,
        &format!(
            "SELECT concat_ws(' ', {}) FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 1",
            fields
                .split_whitespace()
                .map(|field| format!("'{field}=' || {field}"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    )
}

#[test]
fn the_mapping_in_force_is_returned_and_shown() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE comments (id int PRIMARY KEY, author text, email text, website text, ip inet,
             user_agent text, comment text, created_at timestamptz, user_id int, parent_id int)",
    );
    let found = protect(&mut client, "'comments'");
    let expected = "body=comment author=author email=email url=website ip=ip user_agent=user_agent \
                    created_at=created_at user_id=user_id parent_id=parent_id";
    let sorted = |rows: &str| {
        let mut rows: Vec<String> = rows.split(' ').map(str::to_owned).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&found), sorted(expected));
    assert_eq!(
        text(
            &mut client,
            "SELECT relation::text || ' ' || policy || ' ' || (columns ->> 'body') || ' ' || on_update
               FROM spamcheck.protected_table"
        ),
        "comments default comment true"
    );
}

#[test]
fn columns_named_like_secrets_are_never_guessed() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE signups (id int PRIMARY KEY, name text, email text, password text, api_key text,
             author_token text, comment_hash text, email_digest text, body_secret text, session_text text,
             message_key text, url_salt text)",
    );
    assert_eq!(protect(&mut client, "'signups'"), "author=name email=email");
    run(
        &mut client,
        "INSERT INTO signups VALUES (1, 'x', 'x@example.org', 'casino', 'casino', 'casino',
                      'casino', 'casino', 'casino', 'casino', 'casino', 'casino')",
    );
    assert_eq!(log(&mut client), "");
    // Whoever asks for one by name gets it.
    protect(&mut client, r#"'signups', columns => '{"body":"comment_hash"}'"#);
    run(&mut client, "INSERT INTO signups (id, comment_hash) VALUES (2, 'casino')");
    assert_eq!(log(&mut client), "public.signups {\"id\": 2} content suppressed");
}

#[test]
fn a_generated_column_is_never_guessed() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, raw_words text,
             body text GENERATED ALWAYS AS ('casino') STORED, author text)",
    );
    assert_eq!(protect(&mut client, "'notes'"), "author=author");
    run(&mut client, "INSERT INTO notes (id, raw_words, author) VALUES (1, 'x', 'y')");
    assert_eq!(log(&mut client), "");
}

#[test]
fn a_table_without_a_body_gets_a_notice() {
    let (database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE signups (id int PRIMARY KEY, email text, status text, reason text)",
    );
    let script = "SELECT spamcheck.protect('signups',
                      status => '{\"column\":\"status\",\"ham\":\"a\",\"moderate\":\"b\",\"spam\":\"c\"}')";
    let heard = notices(&database, script);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("NOTICE: ") && heard[0].contains("for the body"), "{heard:?}");
    let heard = notices(
        &database,
        &script.replace("'signups',", r#"'signups', columns => '{"body":"reason"}',"#),
    );
    assert_eq!(heard, Vec::<String>::new());
}

#[test]
fn given_sources_go_over_found_ones_and_null_unmaps() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, title text, body text, author text, email text, other text)",
    );
    assert_eq!(
        protect(
            &mut client,
            r#"'notes', columns => '{"author":null,"body":"other","title":null}'"#
        ),
        "body=other email=email"
    );
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'casino', 'casino', 'casino', 'x@x.example', 'fine')",
    );
    assert_eq!(log(&mut client), "");
    run(
        &mut client,
        "INSERT INTO notes VALUES (2, 'fine', 'fine', 'fine', 'x@x.example', 'casino')",
    );
    assert_eq!(log(&mut client), "public.notes {\"id\": 2} content suppressed");
}

#[test]
fn an_array_of_columns_is_joined_with_newlines() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE issues (id int PRIMARY KEY, title text, description text, extra jsonb)",
    );
    protect(
        &mut client,
        r#"'issues', columns => '{"title":null,"body":["title","description","extra"]}'"#,
    );
    run(
        &mut client,
        "INSERT INTO issues VALUES (1, 'a casino', 'two' || chr(10) || 'lines', NULL)",
    );
    assert_eq!(text(&mut client, "SELECT comment FROM spamcheck.recent"), "a casino\ntwo\nlines");
    // Neither do two columns make one word, nor does a missing one make an empty line.
    run(&mut client, "INSERT INTO issues VALUES (2, 'cas', 'ino', NULL)");
    run(&mut client, "INSERT INTO issues VALUES (3, NULL, 'casino', NULL)");
    assert_eq!(
        text(&mut client, "SELECT string_agg(comment, '|' ORDER BY id) FROM spamcheck.recent"),
        "a casino\ntwo\nlines|casino"
    );
    // Of jsonb, the strings inside are text, and nothing else is.
    run(&mut client, r#"INSERT INTO issues VALUES (4, 'x', 'y', '{"casino": [1, true]}')"#);
    run(&mut client, r#"INSERT INTO issues VALUES (5, 'x', 'y', '{"a": ["free\ncasino"]}')"#);
    assert_eq!(
        text(&mut client, "SELECT max(row_key->>'id') || ' ' || count(*) FROM spamcheck.recent"),
        "5 3"
    );
    // An edit of any of them is a new submission.
    run(&mut client, "UPDATE issues SET description = 'casino' WHERE id = 2");
    assert_eq!(text(&mut client, "SELECT row_key->>'id' FROM spamcheck.recent LIMIT 1"), "2");
}

#[test]
fn a_jsonb_body_is_the_strings_inside_it() {
    let (_database, mut client) = start();
    run(&mut client, "CREATE TABLE documents (id int PRIMARY KEY, body jsonb)");
    assert_eq!(protect(&mut client, "'documents'"), "body=body");
    for (id, body) in [
        (1, r#"{"type":"doc","casino":1,"blocks":[{"text":"nothing"}]}"#),
        (2, r#"{"type":"doc","blocks":[{"text":"play"},{"children":[{"text":"at the casino"}]}]}"#),
        (3, r#""casino""#),
        (4, "null"),
        (5, r#"{"a":"ca\u0073ino"}"#),
    ] {
        run(&mut client, &format!("INSERT INTO documents VALUES ({id}, '{body}')"));
    }
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(row_key->>'id', ' ' ORDER BY id) FROM spamcheck.spam_checklog"
        ),
        "2 3 5"
    );
    run(&mut client, r#"UPDATE documents SET body = '["casino"]' WHERE id = 1"#);
    assert_eq!(text(&mut client, "SELECT row_key->>'id' FROM spamcheck.recent LIMIT 1"), "1");
}

#[test]
fn custom_fields_are_columns_or_the_strings_inside_jsonb_or_hstore() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE EXTENSION hstore;
         CREATE TABLE actions (id int PRIMARY KEY, name text, city text, street text, custom_fields jsonb, pairs hstore)",
    );
    let hit = |client: &mut Client, values: &str| {
        run(client, &format!("TRUNCATE actions; INSERT INTO actions (id, {values}"));
        let found = text(client, "SELECT detail->>'field' FROM spamcheck.recent");
        run(client, "TRUNCATE spamcheck.spam_checklog");
        found
    };
    assert!(protect(&mut client, "'actions'").contains("fields=custom_fields"));
    assert_eq!(
        hit(&mut client, r#"custom_fields) VALUES (1, '{"action_why":"casino","n":1}')"#),
        "fields.action_why"
    );
    assert_eq!(
        hit(&mut client, r#"custom_fields) VALUES (1, '{"a":[{"b":"casino"}]}')"#),
        "fields.a.0.b"
    );
    assert_eq!(hit(&mut client, r#"custom_fields) VALUES (1, '{"casino":true}')"#), "no row");
    assert_eq!(hit(&mut client, "city) VALUES (1, 'casino')"), "no row");

    assert!(
        protect(&mut client, r#"'actions', columns => '{"fields":"pairs"}'"#)
            .contains("fields=pairs")
    );
    assert_eq!(
        hit(&mut client, r#"pairs) VALUES (1, 'a=>1, b=>NULL, "c\"=>d"=>"the, \"casino\""')"#),
        "fields.c\"=>d"
    );
    assert_eq!(hit(&mut client, "pairs) VALUES (1, 'casino=>1')"), "no row");

    let given = r#"'actions', columns => '{"fields":["city","street","custom_fields"]}'"#;
    assert!(protect(&mut client, given).ends_with(r#"fields=["city","street","custom_fields"]"#));
    assert_eq!(hit(&mut client, "street) VALUES (1, 'casino')"), "fields.street");
    assert_eq!(hit(&mut client, r#"custom_fields) VALUES (1, '{"casino":false}')"#), "no row");
    assert!(
        hit(&mut client, r#"custom_fields) VALUES (1, '{"x":"casino"}')"#)
            .starts_with("fields.custom_fields")
    );

    // One text column stands for an array of one.
    assert!(
        protect(&mut client, r#"'actions', columns => '{"fields":"city"}'"#)
            .ends_with(r#"fields=["city"]"#)
    );
    assert_eq!(hit(&mut client, "city) VALUES (1, 'casino')"), "fields.city");
}

#[test]
fn a_field_may_come_from_a_setting_or_be_the_same_for_all_rows() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE letters (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)",
    );
    let found = protect(
        &mut client,
        r#"'letters', columns => '{"email":{"setting":"app.email"},"type":{"value":"letter"},
            "url":{"setting":"app.url"},"author":{"value":"the site"}}'"#,
    );
    assert_eq!(
        found,
        r#"body=body author={"value":"the site"} email={"setting":"app.email"} url={"setting":"app.url"} type={"value":"letter"}"#
    );
    run(
        &mut client,
        "BEGIN; SET LOCAL app.email = 'a@moderate.example'; INSERT INTO letters (body) VALUES ('x'); COMMIT",
    );
    assert_eq!(
        logged(&mut client, "check_name email author url"),
        "check_name=email_pattern email=a@moderate.example author=the site"
    );
    run(&mut client, "INSERT INTO letters (body) VALUES ('the setting is gone')");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "1");
    // The fixed type decides which policies look at it.
    run(
        &mut client,
        "UPDATE spamcheck.policy SET types = '{comment}'; INSERT INTO letters (body) VALUES ('casino')",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "1");
    run(
        &mut client,
        "UPDATE spamcheck.policy SET types = '{Letter}'; INSERT INTO letters (body) VALUES ('casino')",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "2");
}

#[test]
fn unmapped_fields_fall_back_to_the_sessions_settings() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, sender inet);
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'ip_block'",
    );
    protect(&mut client, r#"'notes', columns => '{"ip":null}'"#);
    let insert = "BEGIN; SET LOCAL pg_spamcheck.ip = '192.0.2.7'; SET LOCAL pg_spamcheck.user_agent = 'Robot/1.0';
                  INSERT INTO notes (body, sender) VALUES ('x', '198.51.100.1'); COMMIT";
    run(&mut client, insert);
    assert_eq!(
        logged(&mut client, "check_name ip user_agent"),
        "check_name=ip_block ip=192.0.2.7/32 user_agent=Robot/1.0"
    );
    // A mapped field does not fall back, empty or not.
    protect(&mut client, r#"'notes', columns => '{"ip":"sender"}'"#);
    run(&mut client, insert);
    run(&mut client, &insert.replace("'198.51.100.1'", "NULL"));
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "1");
}

#[test]
fn columns_of_other_types_are_read_through_their_text() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, tags text[], page xml, weight numeric, kind name,
             padded char(20), number int)",
    );
    protect(
        &mut client,
        r#"'notes', columns => '{"body":"tags","title":"page","author":"padded","fields":["kind","weight"]}', status => '{}'"#,
    );
    for (id, column, value) in [
        (1, "tags", "{\"a b\",casino}"),
        (2, "page", "<p>casino</p>"),
        (3, "padded", "casino"),
        (4, "kind", "casino"),
        (5, "weight", "1.50"),
    ] {
        run(&mut client, &format!("INSERT INTO notes (id, {column}) VALUES ({id}, '{value}')"));
    }
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(row_key->>'id', ' ' ORDER BY id) FROM spamcheck.spam_checklog"
        ),
        "1 2 3 4"
    );
}
