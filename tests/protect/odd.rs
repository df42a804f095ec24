//! Tables as odd as PostgreSQL takes them: names, widths, kinds of storage, dropped columns.

use super::{log, protect, refusal, run, start, text};
use postgres::Client;

/// What the table's insert gives back, and the newest log row's relation and key.
fn judged(client: &mut Client, insert: &str) -> (String, String) {
    let status = text(client, insert);
    (status, text(client, "SELECT relation || ' ' || row_key FROM spamcheck.recent"))
}

#[test]
fn names_that_need_quotes_are_quoted() {
    let (_database, mut client) = start();
    run(
        &mut client,
        r#"CREATE SCHEMA "we.ird"; CREATE TABLE "we.ird"."ta""ble" ("id d" int PRIMARY KEY, "Bo""dy'" text, "sta.tus" text)"#,
    );
    protect(
        &mut client,
        r#"'"we.ird"."ta""ble"', columns => '{"body":"Bo\"dy''"}', status => '{"column":"sta.tus","moderate":"p","spam":"s"}'"#,
    );
    assert_eq!(
        judged(
            &mut client,
            r#"INSERT INTO "we.ird"."ta""ble" VALUES (1, 'casino') RETURNING "sta.tus""#
        ),
        ("s".into(), r#""we.ird"."ta""ble" {"id d": 1}"#.into())
    );
    run(
        &mut client,
        r#"UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'"#,
    );
    let error = refusal(&mut client, r#"INSERT INTO "we.ird"."ta""ble" VALUES (2, 'casino')"#);
    assert_eq!((error.schema(), error.table()), (Some("we.ird"), Some("ta\"ble")));
    assert_eq!(text(&mut client, "SELECT submission->>'body' FROM spamcheck.recent"), "casino");
    run(
        &mut client,
        r#"SELECT spamcheck.unprotect('"we.ird"."ta""ble"'); INSERT INTO "we.ird"."ta""ble" VALUES (2, 'casino')"#,
    );
}

#[test]
fn names_in_other_scripts_and_of_63_bytes_work() {
    let (_database, mut client) = start();
    run(
        &mut client,
        r#"CREATE TABLE "日本語の表" ("鍵" int PRIMARY KEY, "текст" text, "статус" text)"#,
    );
    protect(
        &mut client,
        r#"'日本語の表', columns => '{"body":"текст"}', status => '{"column":"статус","moderate":"ждёт","spam":"спам"}'"#,
    );
    assert_eq!(
        judged(&mut client, r#"INSERT INTO "日本語の表" VALUES (1, 'casino') RETURNING "статус""#),
        ("спам".into(), r#"public."日本語の表" {"鍵": 1}"#.into())
    );
    let long = |letter: &str| letter.repeat(63);
    let (table, key, body, status) = (long("t"), long("k"), long("b"), long("s"));
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA {table}; CREATE TABLE {table}.{table} ({key} int PRIMARY KEY, {body} text, {status} text)"
        ),
    );
    protect(
        &mut client,
        &format!(
            r#"'{table}.{table}', columns => '{{"body":"{body}"}}', status => '{{"column":"{status}","moderate":"p","spam":"s"}}'"#
        ),
    );
    assert_eq!(
        judged(
            &mut client,
            &format!("INSERT INTO {table}.{table} VALUES (1, 'casino') RETURNING {status}")
        ),
        ("s".into(), format!("{table}.{table} {{\"{key}\": 1}}"))
    );
}

#[test]
fn keywords_as_names_work() {
    let (_database, mut client) = start();
    run(
        &mut client,
        r#"CREATE SCHEMA "table"; CREATE TABLE "table"."select" ("from" int PRIMARY KEY, "where" text, "user" text,
                        "order" text DEFAULT 'approved' CHECK ("order" IN ('approved', 'pending', 'spam')))"#,
    );
    protect(
        &mut client,
        r#"'"table"."select"', columns => '{"body":"where"}', status => '{"column":"order","moderate":"pending","spam":"spam"}'"#,
    );
    assert_eq!(
        judged(
            &mut client,
            r#"INSERT INTO "table"."select" VALUES (1, 'casino') RETURNING "order""#
        ),
        ("spam".into(), r#""table"."select" {"from": 1}"#.into())
    );
}

#[test]
fn a_table_of_1600_columns_is_judged_and_refused() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "DO $$ BEGIN EXECUTE 'CREATE TABLE wide (id int PRIMARY KEY, '
             || (SELECT string_agg(format('c%s smallint', n), ', ') FROM generate_series(1, 1597) n)
             || ', body text, status text DEFAULT ''new'')'; END $$;
         ALTER TABLE wide DROP COLUMN c1, DROP COLUMN c1597;",
    );
    protect(&mut client, r#"'wide', status => '{"column":"status","moderate":"p","spam":"s"}'"#);
    assert_eq!(
        judged(&mut client, "INSERT INTO wide (id, body) VALUES (1, 'casino') RETURNING status"),
        ("s".into(), r#"public.wide {"id": 1}"#.into())
    );
    run(
        &mut client,
        "INSERT INTO wide (id, body) VALUES (2, 'x'); UPDATE wide SET body = 'see https://example.org/' WHERE id = 2",
    );
    assert_eq!(text(&mut client, "SELECT status FROM wide WHERE id = 2"), "p");
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'",
    );
    refusal(&mut client, "INSERT INTO wide (id, body, c1596) VALUES (3, 'casino', 7)");
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*) FROM spamcheck.recent WHERE outcome = 'rejected' AND submission::text LIKE '%c1596%'"
        ),
        "1"
    );
}

#[test]
fn dropped_columns_before_mapped_ones_do_not_shift_them() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (a int, b text, id int, c text, author text, d jsonb, body text, e int, status text);
         ALTER TABLE notes DROP COLUMN a, DROP COLUMN c; ALTER TABLE notes DROP COLUMN d; ALTER TABLE notes ADD PRIMARY KEY (id);",
    );
    protect(&mut client, r#"'notes', status => '{"column":"status","moderate":"p","spam":"s"}'"#);
    run(&mut client, "ALTER TABLE notes DROP COLUMN b, DROP COLUMN e, ADD late text");
    assert_eq!(
        judged(
            &mut client,
            "INSERT INTO notes VALUES (1, 'Ann', 'casino', 'new', 'late') RETURNING status || late"
        ),
        ("slate".into(), r#"public.notes {"id": 1}"#.into())
    );
    assert_eq!(
        text(&mut client, "SELECT author || ' ' || comment FROM spamcheck.recent"),
        "Ann casino"
    );
}

#[test]
fn domains_of_domains_are_read_as_what_they_are_made_from() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE DOMAIN words AS text; CREATE DOMAIN few_words AS words CHECK (length(VALUE) < 100);
         CREATE DOMAIN sender AS inet; CREATE DOMAIN document AS jsonb;
         CREATE TABLE notes (id int PRIMARY KEY, comment few_words, ip sender, custom_fields document);
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'ip_block'",
    );
    assert_eq!(protect(&mut client, "'notes'"), "body=comment ip=ip fields=custom_fields");
    run(
        &mut client,
        r#"INSERT INTO notes VALUES (1, 'casino', NULL, NULL), (2, 'x', '192.0.2.1', NULL), (3, 'x', NULL, '{"a":"casino"}')"#,
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(check_name, ' ' ORDER BY id) FROM spamcheck.spam_checklog"
        ),
        "content ip_block content"
    );
}

#[test]
fn unlogged_tables_and_keyless_ones_are_judged() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE UNLOGGED TABLE notes (id int PRIMARY KEY, body text); CREATE TABLE remarks (body text)",
    );
    protect(&mut client, "'notes'");
    protect(&mut client, "'remarks'");
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'casino'); INSERT INTO remarks VALUES ('casino')",
    );
    assert_eq!(
        log(&mut client),
        "public.notes {\"id\": 1} content suppressed\npublic.remarks content suppressed"
    );
}

#[test]
fn inheritance_children_are_tables_of_their_own() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, body text, status text DEFAULT 'new');
         CREATE TABLE remarks (extra text, PRIMARY KEY (id)) INHERITS (notes);",
    );
    let status = r#"status => '{"column":"status","moderate":"p","spam":"s"}'"#;
    protect(&mut client, &format!("'notes', {status}"));
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'casino'); INSERT INTO remarks VALUES (2, 'casino')",
    );
    assert_eq!(log(&mut client), "public.notes {\"id\": 1} content suppressed");
    protect(&mut client, &format!("'remarks', {status}"));
    run(
        &mut client,
        "INSERT INTO remarks VALUES (3, 'casino'); UPDATE notes SET body = 'a casino' WHERE id = 2",
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(id || status, ' ' ORDER BY id) FROM notes"),
        "1s 2s 3s"
    );
}

#[test]
fn a_key_of_several_columns_and_types_names_the_row() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (body text, day date, site varchar(5), nr numeric, u uuid, at timestamptz,
             PRIMARY KEY (site, nr, day, u, at))",
    );
    protect(&mut client, "'notes'");
    run(&mut client, "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German';
        INSERT INTO notes VALUES ('casino', '2020-02-01', 'a\"b', 1.50, '11111111-1111-1111-1111-111111111111', '2020-02-02 00:00+00')");
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM spamcheck.recent r, notes n WHERE r.row_key =
            jsonb_build_object('site', n.site, 'nr', n.nr, 'day', n.day, 'u', n.u, 'at', n.at)
            OR (r.row_key - 'at') = jsonb_build_object('site', n.site, 'nr', n.nr, 'day', n.day, 'u', n.u)
               AND (r.row_key->>'at')::timestamptz = n.at"),
        "1"
    );
}

#[test]
fn columns_may_change_their_types() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, body varchar(20), ip text, created_at int, kind int);
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'ip_block'",
    );
    protect(&mut client, r#"'notes', columns => '{"type":"kind"}'"#);
    run(&mut client, "INSERT INTO notes VALUES (1, 'casino', '192.0.2.1', 1600000000, 1)");
    run(
        &mut client,
        r#"ALTER TABLE notes ALTER body TYPE jsonb USING to_jsonb(body), ALTER ip TYPE inet USING ip::inet,
               ALTER created_at TYPE timestamptz USING to_timestamp(created_at), ALTER kind TYPE text, ALTER id TYPE bigint;
           INSERT INTO notes VALUES (2, '{"casino":["a casino"]}', '192.0.2.1', now(), 'x');
           ALTER TABLE notes ALTER body TYPE text, ALTER created_at TYPE date, ALTER ip TYPE varchar(20) USING host(ip);
           INSERT INTO notes VALUES (3, 'casino', '192.0.2.1', now(), 'x')"#,
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(check_name || (row_key->>'id'), ' ' ORDER BY submission_id, check_name) FROM spamcheck.spam_checklog"
        ),
        "content1 ip_block1 content2 ip_block2 content3 ip_block3"
    );
}

#[test]
fn a_primary_key_is_seen_whatever_it_looks_like() {
    let (_database, mut client) = start();
    for (name, key) in [
        ("with_others", "PRIMARY KEY (id) INCLUDE (body)"),
        ("at_commit", "PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED"),
        ("not_first", "UNIQUE (other), PRIMARY KEY (id)"),
    ] {
        run(&mut client, &format!("CREATE TABLE {name} (other int, body text, id int, {key})"));
        protect(&mut client, &format!("'{name}'"));
        run(&mut client, &format!("INSERT INTO {name} VALUES (2, 'casino', 1)"));
    }
    assert_eq!(
        log(&mut client),
        "public.with_others {\"id\": 1} content suppressed\n\
         public.at_commit {\"id\": 1} content suppressed\n\
         public.not_first {\"id\": 1} content suppressed"
    );
}

#[test]
fn generated_columns_follow_the_verdict() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
             shown boolean GENERATED ALWAYS AS (status = 'approved') STORED,
             size int GENERATED ALWAYS AS (length(body)) STORED)",
    );
    protect(&mut client, "'notes'");
    for (body, shown) in [("fine", "t4"), ("casino", "f6")] {
        let insert =
            format!("INSERT INTO notes (body) VALUES ('{body}') RETURNING concat(shown, size)");
        assert_eq!(text(&mut client, &insert), shown);
    }
    assert_eq!(
        text(
            &mut client,
            "UPDATE notes SET body = 'a casino' WHERE shown RETURNING concat(shown, size)"
        ),
        "f8"
    );
    // A refused row is kept without what is computed.
    run(
        &mut client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'",
    );
    refusal(&mut client, "INSERT INTO notes (body) VALUES ('casino')");
    assert_eq!(text(&mut client, "SELECT outcome FROM spamcheck.recent"), "rejected");
}
