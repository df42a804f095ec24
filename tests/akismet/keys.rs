//! Rows are found again by their primary key, whatever it is made of.

use crate::site::{Site, World};

/// Protects a table, inserts a ham and a spam row, and tells what has become of them.
fn verdicts(site: &mut Site<'_>, table: &str, insert: &str) -> String {
    site.run(&format!("SELECT spamcheck.protect('{table}'); {insert}"));
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NULL", "0");
    site.get(&format!(
        "SELECT string_agg(DISTINCT (body = 'akismet-guaranteed-spam')::text || status, ' ')
           FROM {table}"
    ))
}

const RIGHT: &str = "falseapproved truespam";

#[test]
fn keys_of_every_usual_type_find_their_row() {
    let mut site = World::shared().bare_site("{}");
    site.run("CREATE TYPE colour AS ENUM ('red', 'dark ''red\"'); CREATE DOMAIN code AS text");
    let odd = "SET DateStyle = 'German'; SET TimeZone = 'Asia/Kolkata'; SET bytea_output = 'escape'; SET IntervalStyle = 'sql_standard'";
    // A key has one name in all sessions: as to_jsonb gives it where nothing of the kind is set.
    let plain = "SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; SET IntervalStyle = 'postgres'";
    let mut lost = Vec::new();
    for (n, (key_type, spam, ham)) in [
        (
            "uuid",
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "'6f9619ff-8b86-d011-b42d-00c04fc964fe'",
        ),
        ("text", r#"E'it''s "quoted" \\ back, {\n} 😀'"#, "'other'"),
        ("text", "''", "' '"),
        ("varchar(20)", "'7'", "'07'"),
        ("char(26)", "'01ARZ3NDEKTSV4RRFFQ69G5FAV'", "'01ARZ3NDEKTSV4RRFFQ69G5FAW'"),
        ("char(8)", "'short'", "'shor'"),
        ("smallint", "-7", "7"),
        ("bigint", "9223372036854775807", "9223372036854775806"),
        ("numeric", "12345678901234567890.123456789", "12345678901234567890.123456788"),
        ("double precision", "0.1::float8 + 0.2::float8", "0.3"),
        ("real", "1.1", "1.2"),
        ("boolean", "true", "false"),
        ("date", "'2026-02-01'", "'2026-01-02'"),
        ("timestamptz", "'2026-01-02 03:04:05.678901+00'", "'2026-01-02 03:04:05.678902+00'"),
        ("timestamp", "'2026-01-02 03:04:05.678901'", "'2026-01-02 03:04:05.678902'"),
        ("interval", "'1 day 02:03'", "'1 day 02:04'"),
        ("bytea", r"'\xdeadbeef00ff'", r"'\xdeadbeef00fe'"),
        ("inet", "'203.0.113.7/24'", "'203.0.113.7/25'"),
        ("cidr", "'2001:db8::/32'", "'2001:db8::/33'"),
        ("colour", r#"'dark ''red"'"#, "'red'"),
        ("code", "'domain''s'", "'domain'"),
        ("jsonb", r#"'{"a": [1, "x"]}'"#, r#"'{"a": [1, "y"]}'"#),
        ("integer[]", "'{1,2}'", "'{2,1}'"),
        ("text[]", r#"ARRAY['a,b', 'c"d']"#, "ARRAY['a', 'b']"),
        ("bit(4)", "B'1010'", "B'1011'"),
        ("\"char\"", "'x'", "'y'"),
        ("name", "'some name'", "'some'"),
        ("int4range", "'[1,5)'", "'[1,6)'"),
        ("money", "'12.34'", "'12.35'"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("comments_{n}");
        site.run(&format!(
            "CREATE TABLE {table} (id {key_type} PRIMARY KEY, body text, status text
                 CHECK (status IN ('approved', 'pending', 'spam')))"
        ));
        let insert = format!(
            "INSERT INTO {table} VALUES ({ham}, 'ham', 'approved'), ({spam}, 'akismet-guaranteed-spam', 'approved')"
        );
        site.run(odd);
        let found = verdicts(&mut site, &table, &insert);
        site.run(plain);
        let logged = format!(
            "SELECT l.row_key = to_jsonb(t) - '{{body,status}}'::text[]
               FROM spamcheck.spam_checklog l, {table} t
              WHERE l.relation = 'public.{table}' AND t.status = 'spam'"
        );
        if found != RIGHT || site.get(&logged) != "true" {
            lost.push(format!("{key_type}: {found}\n{}", site.queue()));
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn composite_keys_and_names_full_of_quotes_find_their_row() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        r#"CREATE SCHEMA "a.b";
        CREATE TABLE "a.b"."x""; DROP TABLE y; --" (
            "it's ""key""" text, "order" integer, body text, "select" uuid,
            status text CHECK (status IN ('approved', 'pending', 'spam')),
            PRIMARY KEY ("order", "it's ""key""", "select"));
        CREATE TABLE y ()"#,
    );
    let key = "gen_random_uuid()";
    let found = verdicts(
        &mut site,
        r#""a.b"."x""; DROP TABLE y; --""#,
        &format!(
            r#"INSERT INTO "a.b"."x""; DROP TABLE y; --" VALUES
               (E'\'; DROP TABLE y; --', 1, 'akismet-guaranteed-spam', {key}, 'approved'),
               (E'\'; DROP TABLE y; --', 2, 'ham', {key}, 'approved'),
               (E'$1', 1, 'ham', {key}, 'approved')"#
        ),
    );
    assert_eq!(found, RIGHT);
    let relation = site.get("SELECT relation FROM spamcheck.spam_checklog");
    assert_eq!(relation, r#""a.b"."x""; DROP TABLE y; --""#);
    assert_eq!(site.get("SELECT count(*) FROM y"), "0");
}

#[test]
fn a_unique_key_will_do_where_there_is_no_primary_key() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE comments (nr integer NOT NULL UNIQUE, body text,
             status text CHECK (status IN ('approved', 'pending', 'spam')))",
    );
    let insert = "INSERT INTO comments VALUES (1, 'ham', 'approved'), (2, 'akismet-guaranteed-spam', 'approved')";
    assert_eq!(verdicts(&mut site, "comments", insert), RIGHT);
}

#[test]
fn rows_without_a_key_are_not_asked_about_and_the_log_says_so() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE comments (nr integer UNIQUE, body text,
             status text CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments');
         INSERT INTO comments VALUES (1, 'akismet-guaranteed-spam', 'approved')",
    );
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(site.get("SELECT status FROM comments"), "approved");
    assert_eq!(site.log(), ["akismet error error"]);
    let why = site.get("SELECT why FROM spamcheck.spam_checklog");
    assert!(why.contains("primary key"), "{why}");
}

#[test]
fn a_row_is_found_whatever_its_table_has_become_since_the_verdict_before() {
    let mut site = World::shared().site("{}");
    site.run("CREATE DOMAIN slug AS text; CREATE SCHEMA blog");
    let mut last = "";
    for (change, table) in [
        ("SELECT 1", "comments"),
        ("ALTER TABLE comments RENAME TO posts", "posts"),
        ("ALTER TABLE posts SET SCHEMA blog", "blog.posts"),
        ("ALTER SCHEMA blog RENAME TO place", "place.posts"),
        ("ALTER TABLE place.posts RENAME COLUMN id TO number", "place.posts"),
        ("ALTER TABLE place.posts RENAME COLUMN status TO state", "place.posts"),
        (
            "ALTER TABLE place.posts DROP CONSTRAINT comments_pkey,
                ADD COLUMN code slug DEFAULT gen_random_uuid()::text PRIMARY KEY",
            "place.posts",
        ),
        ("ALTER DOMAIN slug RENAME TO short", "place.posts"),
        ("ALTER DOMAIN short SET SCHEMA place", "place.posts"),
        ("ALTER TABLE place.posts ALTER COLUMN code TYPE varchar(40)", "place.posts"),
    ] {
        site.run(change);
        last = table;
        let insert = format!(
            "INSERT INTO {table} (author, ip, body)
             VALUES ('akismet-guaranteed-spam', '203.0.113.7', 'once more')"
        );
        site.run(&insert);
        site.until_all_answered();
        let column = site.get(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname IN ('status', 'state')"
        ));
        let left = site
            .get(&format!("SELECT count(*) FROM {table} WHERE {column} IS DISTINCT FROM 'spam'"));
        assert_eq!(left, "0", "after {change}");
    }
    let asked = site.requests().len();
    assert_eq!(site.get(&format!("SELECT count(*) FROM {last}")), asked.to_string(), "once each");
}

#[test]
fn a_row_is_found_by_the_key_that_it_had_when_its_table_gets_another() {
    for (change, key) in [
        ("ADD PRIMARY KEY (number)", "number"),
        ("ADD PRIMARY KEY (id, number)", "id"),
        ("ADD COLUMN code uuid NOT NULL DEFAULT gen_random_uuid(), ADD PRIMARY KEY (code)", "code"),
    ] {
        let mut site = World::shared().bare_site("{}");
        site.run(
            "CREATE TABLE comments (id serial PRIMARY KEY, number int NOT NULL, author text, ip inet, body text,
                 status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('comments');
             BEGIN; INSERT INTO comments (number, author, ip, body)
                SELECT 7 - n, CASE n % 2 WHEN 0 THEN 'akismet-guaranteed-spam' ELSE 'Ann' END, '203.0.113.7', 'text ' || n
                  FROM generate_series(1, 6) n;
             UPDATE spamcheck.lookup SET next_at = now() + interval '1 hour'; COMMIT",
        );
        site.run(&format!("ALTER TABLE comments DROP CONSTRAINT comments_pkey, {change}"));
        // As if they had waited: whether the rows are gone is looked at first.
        site.run(
            "UPDATE spamcheck.lookup SET next_at = now(), created_at = now() - interval '1 minute'",
        );
        site.until_all_answered();
        let statuses = site.get("SELECT string_agg(status, ' ' ORDER BY id) FROM comments");
        assert_eq!(statuses, "approved spam approved spam approved spam", "{change}");
        assert_eq!(site.requests().len(), 6, "{change}: each once");
        let named = site.get(&format!(
            "SELECT count(*) FROM spamcheck.spam_checklog l JOIN comments c ON l.row_key ->> '{key}' = c.{key}::text
              WHERE c.status = 'spam' AND l.outcome = 'suppressed'"
        ));
        assert_eq!(named, "3", "{change}: the log knows the row by its new key");
    }
}

#[test]
fn a_row_whose_keys_column_is_gone_is_not_mistaken_for_another() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, number int NOT NULL, body text,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments');
         BEGIN; INSERT INTO comments (number, body) VALUES (2, 'akismet-guaranteed-spam'), (1, 'fine');
         UPDATE spamcheck.lookup SET next_at = now() + interval '1 hour'; COMMIT;
         ALTER TABLE comments DROP COLUMN id, ADD PRIMARY KEY (number);
         UPDATE spamcheck.lookup SET next_at = now()",
    );
    site.until("SELECT max(last_error) FROM spamcheck.lookup", r#"the verdict could not be written: columns of the key that the row had are gone: {"id (dropped)":1}"#);
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "approved");
}
