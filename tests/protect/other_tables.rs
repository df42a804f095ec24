//! Columns of other tables: keys of one and of several columns, what happens when there is no such row,
//! the article and the subscriber, whose rights count, and what is refused.

use super::{log, protect, refusal, run, start, text};

const TABLES: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, email text, name varchar(40), prefs jsonb);
    CREATE TABLE members (tenant int, nr smallint, email text, PRIMARY KEY (tenant, nr));
    CREATE TABLE posts (id int PRIMARY KEY, title text, published_at timestamptz, url text, lang text);
    CREATE TABLE comments (id int PRIMARY KEY, post_id int, user_id int, tenant int, body text, lang text,
        status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
    INSERT INTO users VALUES (1, 'a@moderate.example', 'Ann', '{\"bio\":\"casino\",\"casino\":1}'),
                             (2, 'b@fine.example', 'casino', NULL);
    INSERT INTO members VALUES (7, 1, 'm@fine.example'), (8, 1, 'm@moderate.example');
    INSERT INTO posts VALUES (5, 'On gambling', '2020-02-02 02:02+00', 'https://blog.example/5', 'en');";

#[test]
fn a_field_comes_from_another_table_by_its_key() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    let source = r#"{"table":"users","key":"id","from":"user_id","column":"email"}"#;
    let found = protect(&mut client, &format!(r#"'comments', columns => '{{"email":{source}}}'"#));
    // The other table is resolved now, whatever search_path says later.
    assert!(
        found.contains(
            r#"email={"column":"email","from":"user_id","key":"id","table":"public.users"}"#
        ),
        "{found}"
    );
    run(
        &mut client,
        "SET search_path = '';
         INSERT INTO public.comments (id, user_id, body) VALUES (1, 1, 'x'), (2, 2, 'x'), (3, 9, 'x'), (4, NULL, 'x')",
    );
    assert_eq!(log(&mut client), "public.comments {\"id\": 1} email_pattern moderated");
    assert_eq!(
        text(&mut client, "SELECT string_agg(status, ' ' ORDER BY id) FROM public.comments"),
        "pending approved approved approved"
    );
    // Its log row says what was read.
    assert_eq!(text(&mut client, "SELECT email FROM spamcheck.recent"), "a@moderate.example");
}

#[test]
fn a_composite_key_finds_the_row_of_both_columns() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(
        &mut client,
        r#"'comments', columns => '{"email":{"table":"members","key":["tenant","nr"],"from":["tenant","user_id"],"column":"email"}}'"#,
    );
    run(
        &mut client,
        "INSERT INTO comments (id, tenant, user_id, body) VALUES (1, 7, 1, 'x'), (2, 8, 1, 'x'), (3, 8, 2, 'x')",
    );
    assert_eq!(log(&mut client), "public.comments {\"id\": 2} email_pattern moderated");
}

#[test]
fn the_keys_types_need_not_be_the_same() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE DOMAIN address AS text;
         CREATE TABLE users (id bigint PRIMARY KEY, email varchar(80) UNIQUE, name text, ref uuid);
         CREATE TABLE comments (id int PRIMARY KEY, user_id smallint, mail address, body text, ref uuid);
         INSERT INTO users VALUES (1, 'a@b.example', 'casino', '11111111-1111-1111-1111-111111111111');",
    );
    for (key, from, value) in [
        ("id", "user_id", "1"),
        ("email", "mail", "a@b.example"),
        ("ref", "ref", "11111111-1111-1111-1111-111111111111"),
    ] {
        protect(
            &mut client,
            &format!(
                r#"'comments', columns => '{{"author":{{"table":"users","key":"{key}","from":"{from}","column":"name"}}}}'"#
            ),
        );
        run(
            &mut client,
            &format!(
                "TRUNCATE comments; TRUNCATE spamcheck.spam_checklog;
            INSERT INTO comments (id, {from}, body) VALUES (1, '{value}', 'x')"
            ),
        );
        assert_eq!(log(&mut client), "public.comments {\"id\": 1} content suppressed", "{key}");
    }
}

#[test]
fn another_table_is_read_only_when_a_check_needs_it() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(
        &mut client,
        r#"'comments', columns => '{"email":{"table":"users","key":"id","from":"user_id","column":"email"}}'"#,
    );
    // Counted in one transaction: what the session has read is reported only at times.
    run(&mut client, "BEGIN");
    let mut reads = |id: u32| {
        let count = "SELECT pg_stat_get_xact_blocks_fetched('users'::regclass)";
        let before = text(&mut client, count);
        run(
            &mut client,
            &format!("INSERT INTO comments (id, user_id, body) VALUES ({id}, 2, 'x')"),
        );
        let switch =
            "UPDATE spamcheck.check_setting SET enabled = false WHERE check_name LIKE 'email%'";
        let after = text(&mut client, count);
        run(&mut client, switch);
        (before, after)
    };
    let (before, after) = reads(1);
    assert_ne!(before, after);
    let (before, after) = reads(2);
    assert_eq!(before, after);
}

#[test]
fn the_article_gives_its_fields_and_an_explicit_source_goes_over_it() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    let article = r#"{"table":"posts","key":["id","lang"],"from":["post_id","lang"],"title":"title",
                      "created_at":"published_at","permalink":"url"}"#;
    let found = protect(&mut client, &format!("'comments', article => '{article}'"));
    for field in ["article_title=", "article_created_at=", "permalink="] {
        assert!(found.contains(field), "{found}");
    }
    assert_eq!(
        text(
            &mut client,
            "SELECT article->>'table' || ' ' || (article->>'created_at') FROM spamcheck.protected_table"
        ),
        "public.posts published_at"
    );
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'",
    );
    let error = refusal(
        &mut client,
        "INSERT INTO comments (id, post_id, lang, body) VALUES (1, 5, 'en', 'casino')",
    );
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws(' | ', page, submission->>'article_title', submission->>'permalink',
                              (submission->>'article_created_at')::timestamptz = '2020-02-02 02:02+00') FROM spamcheck.recent"
        ),
        "On gambling | On gambling | https://blog.example/5 | t"
    );
    let found = protect(
        &mut client,
        &format!(
            r#"'comments', article => '{article}', columns => '{{"permalink":null,"article_title":{{"value":"fixed"}}}}'"#
        ),
    );
    assert!(
        !found.contains("permalink=") && found.contains(r#"article_title={"value":"fixed"}"#),
        "{found}"
    );
}

#[test]
fn the_subscriber_is_kept_as_given() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(
        &mut client,
        r#"'comments', subscriber => '{"table":"users","key":"id","from":"user_id","column":"name","subscribed":"yes","unsubscribed":"no"}'"#,
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT jsonb_pretty(subscriber)::jsonb - 'table' FROM spamcheck.protected_table"
        ),
        r#"{"key": "id", "from": "user_id", "column": "name", "subscribed": "yes", "unsubscribed": "no"}"#
    );
}

#[test]
fn the_owner_needs_to_read_the_columns_and_no_more() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE ROLE other_tables_owner; CREATE SCHEMA hidden;
         CREATE TABLE hidden.users (id int PRIMARY KEY, email text, password text);
         INSERT INTO hidden.users VALUES (1, 'a@moderate.example', 'x');
         CREATE TABLE comments (id int PRIMARY KEY, user_id int, body text);
         ALTER TABLE comments OWNER TO other_tables_owner;",
    );
    let script = r#"SELECT spamcheck.protect('comments', columns => '{"email":{"table":"hidden.users","key":"id","from":"user_id","column":"email"}}')"#;
    let error = refusal(&mut client, script);
    assert_eq!(error.code().code(), "42501");
    assert!(error.message().contains("hidden.users"), "{error:?}");
    assert!(error.hint().unwrap().contains("GRANT SELECT"), "{error:?}");
    run(&mut client, "GRANT SELECT (id, email) ON hidden.users TO other_tables_owner");
    let error = refusal(&mut client, script);
    assert!(error.hint().unwrap().contains("GRANT USAGE ON SCHEMA hidden"), "{error:?}");
    run(&mut client, "GRANT USAGE ON SCHEMA hidden TO other_tables_owner");
    run(&mut client, script);
    run(&mut client, "INSERT INTO comments VALUES (1, 1, 'x')");
    assert_eq!(log(&mut client), "public.comments {\"id\": 1} email_pattern moderated");
    run(&mut client, "DROP OWNED BY other_tables_owner CASCADE; DROP ROLE other_tables_owner");
}

#[test]
fn what_other_tables_lack_is_refused_by_name() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    run(&mut client, "CREATE TEMPORARY TABLE passing (id int, email text)");
    let source = |table: &str, key: &str, from: &str, column: &str| {
        format!(
            r#"columns => '{{"email":{{"table":"{table}","key":{key},"from":{from},"column":"{column}"}}}}'"#
        )
    };
    for (arguments, message) in [
        (source("userz", r#""id""#, r#""user_id""#, "email"), "table \"userz\" does not exist"),
        (source("users u", r#""id""#, r#""user_id""#, "email"), "table \"users u\""),
        (source("users", r#""id""#, r#""user_id""#, "emial"), "users has no column \"emial\""),
        (source("users", r#""nr""#, r#""user_id""#, "email"), "users has no column \"nr\""),
        (source("users", r#""id""#, r#""userid""#, "email"), "the column \"userid\""),
        (
            source("users", r#"["id","email"]"#, r#""user_id""#, "email"),
            "as many \"from\" columns as \"key\" columns, not 1 and 2",
        ),
        (source("passing", r#""id""#, r#""user_id""#, "email"), "temporary"),
        (r#"article => '{"table":"posts","key":"id"}'"#.into(), "article lacks the key \"from\""),
        (
            r#"article => '{"table":"posts","key":"id","from":"post_id","titel":"title"}'"#.into(),
            "article has no key \"titel\"",
        ),
        (
            r#"article => '{"table":"posts","key":"id","from":"post_id","title":"titel"}'"#.into(),
            "posts has no column \"titel\"",
        ),
        (
            r#"article => '{"table":"posts","key":"id","from":"post_id","title":null}'"#.into(),
            "article names no column for title, created_at or permalink",
        ),
        (r#"article => '"posts"'"#.into(), "article takes a JSON object"),
        (
            r#"subscriber => '{"table":"users","key":"id","from":"user_id","column":"name","subscribed":"y"}'"#
                .into(),
            "subscriber lacks the key \"unsubscribed\"",
        ),
        (
            r#"subscriber => '{"table":"users","key":"id","from":"user_id","column":"nam","subscribed":"y","unsubscribed":"n"}'"#
                .into(),
            "users has no column \"nam\"",
        ),
    ] {
        let error = refusal(&mut client, &format!("SELECT spamcheck.protect('comments', {arguments})"));
        assert!(error.message().contains(message), "{arguments}: {error:?}");
        assert!(error.hint().is_some(), "{arguments} is refused without a hint: {error:?}");
    }
}

#[test]
fn an_insert_outlives_the_other_table() {
    let (_database, mut client) = start();
    run(&mut client, TABLES);
    protect(
        &mut client,
        r#"'comments', columns => '{"email":{"table":"users","key":"id","from":"user_id","column":"email"}}'"#,
    );
    run(
        &mut client,
        "DROP TABLE users; INSERT INTO comments (id, user_id, body) VALUES (1, 1, 'casino')",
    );
    assert_eq!(text(&mut client, "SELECT status FROM comments"), "spam");
    let logged = log(&mut client);
    assert!(logged.contains("{\"id\": 1} email_syntax error"), "{logged}");
    // A column that is dropped there is the same; the row still goes in.
    run(
        &mut client,
        "CREATE TABLE users (id int); INSERT INTO comments (id, user_id, body) VALUES (2, 1, 'x')",
    );
    assert_eq!(text(&mut client, "SELECT status FROM comments WHERE id = 2"), "approved");
}
