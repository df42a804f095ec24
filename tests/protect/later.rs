//! Verdicts that come after the insert find their rows: by keys of every type, in tables of every
//! shape, and write statuses of every kind.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use support::akismet::{Akismet, ENABLE};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::wait;

use super::{run, text};

const SOON: Duration = Duration::from_secs(60);

/// A database of a cluster that has an Akismet to ask, and a connection to it.
fn asking() -> (Database<'static>, Client) {
    static ASKING: OnceLock<(Cluster, Akismet)> = OnceLock::new();
    let (cluster, _) = ASKING.get_or_init(|| {
        let (cluster, akismet) = (Cluster::start(ClusterOptions::default()), Akismet::start());
        akismet.attach(&cluster);
        (cluster, akismet)
    });
    let database = cluster.database();
    let mut client = database.client();
    run(&mut client, ENABLE);
    (database, client)
}

/// Waits until nothing is left to be asked; says what hinders otherwise.
#[track_caller]
fn answered(client: &mut Client) {
    let queued = "SELECT coalesce(string_agg(concat_ws(' ', row_key, state, attempts, last_error), E'\\n'), '')
                    FROM spamcheck.lookup";
    let done = wait::poll(SOON, || (text(client, queued).is_empty()).then_some(()));
    assert!(done.is_some(), "not answered: {}", text(client, queued));
}

/// The value that two rows of a key of that type have, and the status of the first afterwards, which
/// is spam; the other one is not.
#[track_caller]
fn key_finds_its_row(client: &mut Client, type_name: &str, key: &str, other: &str) {
    let table = format!("\"t {}\"", type_name.replace('"', ""));
    run(
        client,
        &format!(
            "CREATE TABLE {table} (\"the key\" {type_name} PRIMARY KEY, author text, body text,
                 status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('{table}');
             SET datestyle = 'German'; SET timezone = 'Asia/Kolkata'; SET intervalstyle = 'sql_standard'; SET bytea_output = 'escape';
             SET extra_float_digits = 0;
             INSERT INTO {table} VALUES ('{key}', 'akismet-guaranteed-spam', 'x'), ('{other}', 'Ann', 'x')"
        ),
    );
    answered(client);
    let statuses =
        format!("SELECT string_agg(author || ' ' || status, ', ' ORDER BY author) FROM {table}");
    assert_eq!(
        text(client, &statuses),
        "Ann approved, akismet-guaranteed-spam spam",
        "{type_name}"
    );
}

#[test]
fn keys_of_every_type_find_their_rows() {
    let (_database, mut client) = asking();
    run(
        &mut client,
        "CREATE EXTENSION citext; CREATE DOMAIN nr AS bigint; CREATE TYPE colour AS ENUM ('Red', 'green')",
    );
    for (type_name, key, other) in [
        ("bigint", "-9223372036854775808", "7"),
        ("nr", "8", "7"),
        ("numeric(30,10)", "12345678901234567890.1234567891", "1.5"),
        ("double precision", "0.1", "1e300"),
        ("real", "0.1", "1e30"),
        ("text", "O''Re\"il\\ly ünï", "x"),
        ("text COLLATE \"de-x-icu\"", "Ärger", "x"),
        ("text COLLATE \"C\"", "Ärger", "x"),
        ("varchar(40)", "trailing  ", "x"),
        ("char(10)", "ab", "cd"),
        ("citext", "ABC", "x"),
        ("name", "a name", "x"),
        ("uuid", "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555556"),
        ("date", "2020-02-01", "infinity"),
        ("timestamptz", "2020-02-01 02:03:04.123456+00", "2020-02-01 02:03:04.123457+00"),
        ("timestamp", "2020-02-01 02:03:04.123456", "-infinity"),
        ("interval", "1 year 2 days 03:04:05.6", "-1 day"),
        ("inet", "10.0.0.1/8", "10.0.0.1"),
        ("bytea", "\\x00ff27", "\\x"),
        ("boolean", "true", "false"),
        ("colour", "Red", "green"),
        ("int[]", "{1,NULL,3}", "{}"),
        ("jsonb", "{\"a\": [1.50]}", "null"),
        ("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:04"),
        ("bit(4)", "1010", "0000"),
        ("oid", "4294967295", "0"),
    ] {
        key_finds_its_row(&mut client, type_name, key, other);
    }
}

#[test]
fn statuses_of_every_kind_are_written_later_too() {
    let (_database, mut client) = asking();
    run(
        &mut client,
        r#"CREATE TYPE state AS ENUM ('ok', 'bad"\''one'); CREATE DOMAIN words AS text CHECK (VALUE <> '');
           CREATE TABLE notes (id int PRIMARY KEY, author text, body text, a state DEFAULT 'ok', b smallint DEFAULT 1,
               c boolean DEFAULT true, d words DEFAULT 'ok', e varchar(5), f char(3) DEFAULT 'o', g timestamptz, h date, i timestamp,
               j text DEFAULT 'x');
           SELECT spamcheck.protect('notes', status => '{"spam":{"a":"bad\"\\''one","b":-1,"c":false,"d":"it''s","e":"12345",
               "f":"s","g":"$now","h":"$now","i":"$now","j":null}}');"#,
    );
    run(
        &mut client,
        "INSERT INTO notes (id, author, body) VALUES (1, 'akismet-guaranteed-spam', 'x'), (2, 'Ann', 'x')",
    );
    answered(&mut client);
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(concat_ws('|', a, b, c, d, e, trim(f), g > now() - interval '1 minute', h >= current_date - 1,
                        i IS NOT NULL, coalesce(j, 'NULL')), ' ' ORDER BY id) FROM notes"
        ),
        "bad\"\\'one|-1|f|it's|12345|s|t|t|t|NULL ok|1|t|ok|o|f|x"
    );
}

#[test]
fn odd_tables_are_found_again() {
    let (_database, mut client) = asking();
    let long = "t".repeat(63);
    run(
        &mut client,
        &format!(
            r#"CREATE SCHEMA "we.ird"; CREATE TABLE "we.ird"."ta""ble's" ("id d" int PRIMARY KEY, gone int, "au""thor" text, "Bo""dy'" text, "sta.tus" text);
               ALTER TABLE "we.ird"."ta""ble's" DROP COLUMN gone;
               SELECT spamcheck.protect('"we.ird"."ta""ble''s"', columns => '{{"body":"Bo\"dy''","author":"au\"thor"}}',
                   status => '{{"column":"sta.tus","moderate":"p","spam":"s"}}');
               INSERT INTO "we.ird"."ta""ble's" VALUES (1, 'akismet-guaranteed-spam', 'x', 'new');
               CREATE TABLE "日本語" ("鍵" int PRIMARY KEY, {long} text, author text, "статус" text DEFAULT 'new');
               SELECT spamcheck.protect('日本語', columns => '{{"body":"{long}"}}', status => '{{"column":"статус","spam":"спам"}}');
               INSERT INTO "日本語" VALUES (1, 'x', 'akismet-guaranteed-spam');"#
        ),
    );
    run(
        &mut client,
        "DO $$ BEGIN EXECUTE 'CREATE TABLE wide (id int PRIMARY KEY, '
             || (SELECT string_agg(format('c%s smallint', n), ', ') FROM generate_series(1, 1596) n)
             || ', author text, body text, approved boolean DEFAULT true)'; END $$;
         SELECT spamcheck.protect('wide'); INSERT INTO wide (id, author, body) VALUES (1, 'akismet-guaranteed-spam', 'x')",
    );
    answered(&mut client);
    assert_eq!(
        text(
            &mut client,
            r#"SELECT concat_ws(' ', (SELECT "sta.tus" FROM "we.ird"."ta""ble's"), (SELECT "статус" FROM "日本語"), (SELECT approved FROM wide))"#
        ),
        "s спам f"
    );
}

#[test]
fn a_child_with_the_same_key_is_another_row() {
    let (_database, mut client) = asking();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, author text, body text, approved boolean DEFAULT true);
         CREATE TABLE remarks (extra text, PRIMARY KEY (id)) INHERITS (notes);
         SELECT spamcheck.protect('notes');
         INSERT INTO remarks VALUES (1, 'akismet-guaranteed-spam', 'x', true), (2, 'Ann', 'y', true);
         INSERT INTO notes VALUES (1, 'akismet-guaranteed-spam', 'x', true), (2, 'akismet-guaranteed-spam', 'x', true)",
    );
    answered(&mut client);
    assert_eq!(
        text(&mut client, "SELECT string_agg(approved::text, ' ') FROM ONLY notes"),
        "false false"
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(approved::text, ' ') FROM remarks"),
        "true true"
    );
}

#[test]
fn rows_of_partitions_are_found_wherever_they_are_by_then() {
    let (_database, mut client) = asking();
    run(
        &mut client,
        "CREATE TABLE notes (id int, region text, author text, body text, approved boolean DEFAULT true, PRIMARY KEY (id, region))
             PARTITION BY LIST (region);
         CREATE TABLE eu PARTITION OF notes FOR VALUES IN ('eu');
         CREATE TABLE us (gone int, approved boolean DEFAULT true, body text, region text NOT NULL, id int NOT NULL, author text);
         ALTER TABLE us DROP COLUMN gone; ALTER TABLE notes ATTACH PARTITION us FOR VALUES IN ('us');
         SELECT spamcheck.protect('notes');
         INSERT INTO notes VALUES (1, 'eu', 'akismet-guaranteed-spam', 'x'), (1, 'us', 'akismet-guaranteed-spam', 'x'),
                                  (2, 'us', 'Ann', 'x'), (3, 'eu', 'Ann', 'x');
         INSERT INTO us (id, region, author, body) VALUES (4, 'us', 'akismet-guaranteed-spam', 'x')",
    );
    answered(&mut client);
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(id || region || approved, ' ' ORDER BY id, region) FROM notes"
        ),
        "1eufalse 1usfalse 2ustrue 3eutrue 4usfalse"
    );
    // A row that moves before its answer comes has another key by then: nobody else's row is touched.
    run(
        &mut client,
        "BEGIN; INSERT INTO notes VALUES (5, 'eu', 'akismet-guaranteed-spam', 'x');
         UPDATE notes SET region = 'us' WHERE id = 5; INSERT INTO notes VALUES (5, 'eu', 'Ann', 'y'); COMMIT",
    );
    answered(&mut client);
    assert_eq!(
        text(&mut client, "SELECT approved FROM notes WHERE id = 5 AND author = 'Ann'"),
        "t"
    );
}

#[test]
fn a_table_without_a_key_cannot_be_asked_about_and_says_so() {
    let (_database, mut client) = asking();
    run(
        &mut client,
        "CREATE TABLE notes (author text, body text, approved boolean DEFAULT true); SELECT spamcheck.protect('notes');
         INSERT INTO notes VALUES ('akismet-guaranteed-spam', 'x')",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(text(&mut client, "SELECT approved FROM notes"), "t");
    assert_eq!(
        text(&mut client, "SELECT check_name || ' ' || outcome FROM spamcheck.recent"),
        "akismet error"
    );
    assert!(text(&mut client, "SELECT why FROM spamcheck.recent").contains("primary key"));
    // A key that comes later is used from then on.
    run(
        &mut client,
        "ALTER TABLE notes ADD id serial PRIMARY KEY; INSERT INTO notes VALUES ('akismet-guaranteed-spam', 'x')",
    );
    answered(&mut client);
    assert_eq!(text(&mut client, "SELECT approved FROM notes ORDER BY id DESC LIMIT 1"), "f");
}

#[test]
fn a_new_mapping_does_not_lose_what_waits() {
    let (_database, mut client) = asking();
    let table = "CREATE TABLE notes (id int PRIMARY KEY, author text, title text, body text, extra text, state text DEFAULT 'ok',
                     approved boolean DEFAULT true)";
    run(&mut client, table);
    let columns = r#"columns => '{"fields":["extra"]}', status => '{"column":"approved","moderate":false,"spam":false}'"#;
    run(&mut client, &format!("SELECT spamcheck.protect('notes', {columns})"));
    let insert = |id: u32| {
        format!(
            "INSERT INTO notes (id, author, title, body, extra) VALUES ({id}, 'akismet-guaranteed-spam', 'a', 'b', 'c')"
        )
    };
    // In one transaction, so that the answer cannot come in between.
    for (id, change) in [
        (
            1,
            r#"SELECT spamcheck.protect('notes', columns => '{"title":null}', status => '{"column":"approved","spam":false}')"#,
        ),
        (2, "ALTER TABLE notes DROP COLUMN extra"),
        (3, "ALTER TABLE notes ALTER body TYPE varchar(100), ALTER approved DROP DEFAULT"),
        (
            4,
            r#"SELECT spamcheck.protect('notes', status => '{"spam":{"approved":false,"state":"junk"}}')"#,
        ),
        (5, r#"SELECT spamcheck.protect('notes', status => '{"spam":{"state":"junk"}}')"#),
    ] {
        run(
            &mut client,
            &format!(
                "BEGIN; {}; {change}; COMMIT",
                if id < 3 {
                    insert(id)
                } else {
                    insert(id).replace(", extra", "").replace(", 'c'", "")
                }
            ),
        );
        answered(&mut client);
    }
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(id || state || coalesce(approved::text, ''), ' ' ORDER BY id) FROM notes"
        ),
        "1okfalse 2okfalse 3okfalse 4junkfalse 5junk"
    );
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM spamcheck.recent WHERE check_name = 'akismet'"),
        "5"
    );
    // Who edits or decides meanwhile is still listened to.
    run(
        &mut client,
        r#"BEGIN; INSERT INTO notes (id, author) VALUES (6, 'akismet-guaranteed-spam'); INSERT INTO notes (id, author) VALUES (7, 'akismet-guaranteed-spam');
           SELECT spamcheck.protect('notes', columns => '{"title":null}', status => '{"spam":{"state":"junk"}}', on_update => false);
           UPDATE notes SET author = 'Ann' WHERE id = 6; UPDATE notes SET state = 'seen' WHERE id = 7; COMMIT"#,
    );
    answered(&mut client);
    assert_eq!(
        text(&mut client, "SELECT string_agg(state, ' ' ORDER BY id) FROM notes WHERE id > 5"),
        "ok seen"
    );
}
