//! Partitioned tables: protected at the parent, covering what comes later; partitions attached and
//! detached; rows inserted straight into a partition. Rows that move are in moves.rs.

use super::{log, notices, protect, refusal, run, start, text};

const TABLE: &str = "
    CREATE TABLE notes (
        id int, region text, body text,
        status text DEFAULT 'approved' CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')),
        PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE notes_eu PARTITION OF notes FOR VALUES IN ('eu');";

#[test]
fn partitions_there_are_and_partitions_that_come_later_are_covered() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    run(
        &mut client,
        "CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us');
         CREATE TABLE notes_as PARTITION OF notes FOR VALUES IN ('jp', 'kr') PARTITION BY LIST (region);
         CREATE TABLE notes_jp PARTITION OF notes_as FOR VALUES IN ('jp');
         INSERT INTO notes VALUES (1, 'eu', 'casino'), (2, 'us', 'casino'), (3, 'jp', 'casino'), (4, 'jp', 'fine');
         CREATE TABLE notes_rest PARTITION OF notes DEFAULT;
         INSERT INTO notes VALUES (5, 'za', 'casino');",
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(id || status, ' ' ORDER BY id) FROM notes"),
        "1spam 2spam 3spam 4approved 5spam"
    );
    // The log names the table that the app knows.
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(DISTINCT relation, ' ') || ' ' || count(*) FROM spamcheck.recent"
        ),
        "public.notes 4"
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(relation::text, ' ') FROM spamcheck.protected_table"),
        "notes"
    );
}

#[test]
fn a_row_inserted_straight_into_a_partition_is_judged() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    run(
        &mut client,
        "CREATE TABLE notes_as PARTITION OF notes FOR VALUES IN ('jp') PARTITION BY LIST (region);
         CREATE TABLE notes_jp PARTITION OF notes_as FOR VALUES IN ('jp');
         INSERT INTO notes_eu VALUES (1, 'eu', 'casino'); INSERT INTO notes_as VALUES (2, 'jp', 'casino');
         INSERT INTO notes_jp VALUES (3, 'jp', 'casino');",
    );
    assert_eq!(text(&mut client, "SELECT string_agg(status, ' ') FROM notes"), "spam spam spam");
    assert!(
        log(&mut client)
            .contains("public.notes {\"id\": 3, \"region\": \"jp\"} content suppressed")
    );
}

#[test]
fn an_attached_partition_may_number_its_columns_otherwise() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    run(
        &mut client,
        "CREATE TABLE old_notes (gone int, status text DEFAULT 'approved', other text, body text,
             gone_too int, region text NOT NULL, id int NOT NULL,
             CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')));
         ALTER TABLE old_notes DROP COLUMN gone, DROP COLUMN gone_too, DROP COLUMN other;
         ALTER TABLE notes ATTACH PARTITION old_notes FOR VALUES IN ('us');
         INSERT INTO notes VALUES (1, 'us', 'casino'), (2, 'us', 'see https://example.org/'), (3, 'us', 'fine');
         INSERT INTO notes VALUES (4, 'eu', 'casino');
         INSERT INTO old_notes (id, region, body) VALUES (5, 'us', 'casino');
         UPDATE notes SET body = 'casino' WHERE id = 3;",
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(id || status, ' ' ORDER BY id) FROM notes"),
        "1spam 2pending 3spam 4spam 5spam"
    );
}

#[test]
fn a_detached_partition_is_no_longer_protected() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us');
         SELECT spamcheck.protect('notes');
         ALTER TABLE notes DETACH PARTITION notes_us;
         INSERT INTO notes_us VALUES (1, 'us', 'casino')",
    );
    run(&mut client, "ALTER TABLE notes DETACH PARTITION notes_eu CONCURRENTLY");
    run(&mut client, "INSERT INTO notes_eu VALUES (2, 'eu', 'casino')");
    assert_eq!(log(&mut client), "");
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('notes_us'::regclass, 'notes_eu'::regclass)";
    assert_eq!(text(&mut client, triggers), "0");
    // It can be protected by itself now.
    run(
        &mut client,
        "SELECT spamcheck.protect('notes_us'); INSERT INTO notes_us VALUES (3, 'us', 'casino')",
    );
    assert_eq!(
        log(&mut client),
        "public.notes_us {\"id\": 3, \"region\": \"us\"} content suppressed"
    );
}

#[test]
fn a_partition_whose_parent_is_protected_is_refused() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "CREATE TABLE notes_as PARTITION OF notes FOR VALUES IN ('jp') PARTITION BY LIST (region);
         CREATE TABLE notes_jp PARTITION OF notes_as FOR VALUES IN ('jp');
         SELECT spamcheck.protect('notes')",
    );
    for partition in ["notes_eu", "notes_as", "notes_jp"] {
        for verb in ["protect", "unprotect"] {
            let error = refusal(&mut client, &format!("SELECT spamcheck.{verb}('{partition}')"));
            assert!(
                error
                    .message()
                    .contains(&format!("public.{partition} is a partition of public.notes")),
                "{error:?}"
            );
            assert!(error.hint().is_some(), "{error:?}");
        }
    }
}

#[test]
fn parent_and_partition_are_never_both_protected() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    // A partition alone can be, until the parent is to be.
    run(
        &mut client,
        "SELECT spamcheck.protect('notes_eu'); INSERT INTO notes VALUES (1, 'eu', 'casino')",
    );
    assert_eq!(
        log(&mut client),
        "public.notes_eu {\"id\": 1, \"region\": \"eu\"} content suppressed"
    );
    let error = refusal(&mut client, "SELECT spamcheck.protect('notes')");
    assert!(error.message().contains("public.notes_eu"), "{error:?}");
    assert!(error.hint().unwrap().contains("unprotect"), "{error:?}");
    run(&mut client, "SELECT spamcheck.unprotect('notes_eu'); SELECT spamcheck.protect('notes')");
    // Nor can a protected table become a partition: its rows would be judged twice.
    run(
        &mut client,
        "CREATE TABLE more (LIKE notes INCLUDING ALL); SELECT spamcheck.protect('more')",
    );
    let attach = "ALTER TABLE notes ATTACH PARTITION more FOR VALUES IN ('us')";
    refusal(&mut client, attach);
    run(&mut client, &format!("SELECT spamcheck.unprotect('more'); {attach}"));
    run(&mut client, "INSERT INTO notes VALUES (2, 'us', 'casino')");
    assert_eq!(log(&mut client).lines().count(), 2);
}

#[test]
fn a_partition_that_is_partitioned_by_the_status_still_takes_rows() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int, region text, body text,
             status text DEFAULT 'approved' CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')))
         PARTITION BY LIST (region);
         SELECT spamcheck.protect('notes');
         CREATE TABLE eu (LIKE notes INCLUDING ALL) PARTITION BY LIST (status);
         CREATE TABLE eu_approved PARTITION OF eu FOR VALUES IN ('approved');
         CREATE TABLE eu_rest PARTITION OF eu DEFAULT;
         ALTER TABLE notes ATTACH PARTITION eu FOR VALUES IN ('eu');
         INSERT INTO notes VALUES (1, 'eu', 'casino')",
    );
    // The verdict cannot be written without moving the row, so it is only logged.
    assert_eq!(text(&mut client, "SELECT status FROM notes"), "approved");
    assert_eq!(text(&mut client, "SELECT check_name FROM spamcheck.recent"), "content");
}

#[test]
fn unprotect_at_the_parent_frees_every_partition() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "SELECT spamcheck.protect('notes'); SELECT spamcheck.unprotect('notes');
         CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us');
         INSERT INTO notes VALUES (1, 'eu', 'casino'), (2, 'us', 'casino')",
    );
    assert_eq!(log(&mut client), "");
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%spamcheck%'"),
        "0"
    );
}

#[test]
fn dropped_partitions_and_dropped_parents_leave_no_error() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us'); SELECT spamcheck.protect('notes');
         INSERT INTO notes VALUES (1, 'us', 'casino'); DROP TABLE notes_us;
         INSERT INTO notes VALUES (2, 'eu', 'casino');",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.protected_table"), "1");
    run(&mut client, "DROP TABLE notes");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "2");
}

#[test]
fn columns_renamed_added_and_dropped_at_the_parent_are_followed_in_every_partition() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us'); SELECT spamcheck.protect('notes')",
    );
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino'); INSERT INTO notes_us VALUES (1, 'us', 'casino')",
    );
    run(
        &mut client,
        "ALTER TABLE notes RENAME body TO contents; ALTER TABLE notes RENAME status TO state;
         ALTER TABLE notes ADD COLUMN body text; ALTER TABLE notes RENAME region TO place;
         ALTER TABLE notes_us RENAME TO us; ALTER TABLE notes RENAME TO remarks;
         INSERT INTO remarks VALUES (2, 'eu', 'casino'), (2, 'us', 'casino'); INSERT INTO us VALUES (3, 'us', 'casino');
         ALTER TABLE remarks DROP COLUMN body; INSERT INTO notes_eu VALUES (3, 'eu', 'casino')",
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(state, ' ') FROM remarks"),
        "spam spam spam spam spam spam"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*) FROM spamcheck.recent WHERE relation = 'public.remarks'"
        ),
        "4"
    );
}

#[test]
fn a_foreign_partition_is_judged_on_its_way() {
    let (database, mut client) = start();
    let cluster = database.cluster();
    run(
        &mut client,
        &format!(
            "CREATE EXTENSION postgres_fdw;
             CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{}', port '{}', dbname '{}');
             CREATE USER MAPPING FOR postgres SERVER itself OPTIONS (user 'postgres');
             CREATE TABLE far (id int, region text, body text, status text);
             CREATE TABLE notes (id int, region text, body text, status text DEFAULT 'approved'
                 CHECK (status IN ('approved', 'pending', 'spam'))) PARTITION BY LIST (region);
             CREATE FOREIGN TABLE notes_far PARTITION OF notes FOR VALUES IN ('far') SERVER itself OPTIONS (table_name 'far');
             CREATE TABLE notes_near PARTITION OF notes FOR VALUES IN ('near');
             SELECT spamcheck.protect('notes')",
            cluster.socket_folder().display(),
            cluster.port(),
            database.name()
        ),
    );
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'far', 'casino'), (2, 'near', 'casino'), (3, 'far', 'fine'), (4, 'far', 'casino')",
    );
    run(&mut client, "UPDATE notes SET body = 'casino' WHERE id = 3");
    assert_eq!(
        text(&mut client, "SELECT string_agg(id || status, ' ' ORDER BY id) FROM notes"),
        "1spam 2spam 3spam 4spam"
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "4");
}

#[test]
fn a_protected_table_is_not_attached_to_a_protected_one() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    let part = "(id int NOT NULL, region text NOT NULL, body text,
        status text DEFAULT 'approved' CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')))";
    run(
        &mut client,
        &format!(
            "CREATE TABLE plain {part}; CREATE TABLE nested {part} PARTITION BY LIST (region);
             CREATE TABLE inner_part PARTITION OF nested FOR VALUES IN ('jp')"
        ),
    );
    protect(&mut client, "'plain'");
    protect(&mut client, "'inner_part'");
    for (table, values, named) in [
        ("plain", "'us'", "table public.plain is protected by itself and so is public.notes"),
        ("nested", "'jp'", "table public.inner_part is protected by itself and so is public.notes"),
    ] {
        let attach = format!("ALTER TABLE notes ATTACH PARTITION {table} FOR VALUES IN ({values})");
        let error = refusal(&mut client, &attach);
        assert_eq!(error.message(), named);
        assert_eq!(error.code().code(), "55000");
        assert!(error.hint().unwrap().contains("spamcheck.unprotect()"), "{error:?}");
        // The hint is true.
        let protected = named.split(' ').nth(1).unwrap();
        run(&mut client, &format!("SELECT spamcheck.unprotect('{protected}'); {attach}"));
    }
    run(&mut client, "INSERT INTO notes VALUES (1, 'us', 'casino'), (2, 'jp', 'casino')");
    assert_eq!(text(&mut client, "SELECT string_agg(status, ' ') FROM notes"), "spam spam");
    // Where only one of the two is protected, nobody interferes.
    run(
        &mut client,
        &format!(
            "CREATE TABLE free {part} PARTITION BY LIST (region); CREATE TABLE guarded {part}"
        ),
    );
    protect(&mut client, "'guarded'");
    run(&mut client, "ALTER TABLE free ATTACH PARTITION guarded FOR VALUES IN ('us')");
    run(&mut client, "INSERT INTO free VALUES (1, 'us', 'casino')");
    assert_eq!(text(&mut client, "SELECT status FROM free"), "spam");
    // What is not there is the server's to say.
    let error =
        refusal(&mut client, "ALTER TABLE notes ATTACH PARTITION nowhere FOR VALUES IN ('xx')");
    assert_eq!(error.code().code(), "42P01");
}

#[test]
fn a_partition_whose_triggers_are_disabled_is_named() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    let health = "SELECT state || message FROM spamcheck.health() WHERE item = 'tables'";
    assert_eq!(text(&mut client, health), "ok1 table is protected");
    run(&mut client, "ALTER TABLE notes_eu DISABLE TRIGGER USER");
    assert_eq!(
        text(&mut client, health),
        "errortriggers of public.notes_eu are missing or disabled"
    );
}

#[test]
fn detaching_a_partition_while_lookups_wait_is_warned_of() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    let detach = "ALTER TABLE notes DETACH PARTITION notes_eu";
    assert_eq!(notices(&database, detach), [""; 0]);
    run(
        &mut client,
        "ALTER TABLE notes ATTACH PARTITION notes_eu FOR VALUES IN ('eu');
         UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'akismet';
         INSERT INTO notes VALUES (1, 'eu', 'fine')",
    );
    assert_eq!(
        notices(&database, detach),
        [
            "WARNING: lookups of table public.notes wait (1): rows of the partition that is detached get no verdict"
        ]
    );
    // What is not protected by itself is unprotected at its parent.
    run(&mut client, "ALTER TABLE notes ATTACH PARTITION notes_eu FOR VALUES IN ('eu')");
    let error = refusal(&mut client, "SELECT spamcheck.unprotect('notes_eu')");
    assert_eq!(error.hint(), Some("Call spamcheck.unprotect('public.notes'), which covers it."));
    let error = refusal(&mut client, "SELECT spamcheck.unprotect('notes_pkey')");
    assert_eq!(error.message(), "public.notes_pkey is not a table");
}
