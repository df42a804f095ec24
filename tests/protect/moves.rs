//! Rows that move from one partition to another: an UPDATE that the server does as a DELETE and an
//! INSERT is not a new submission, and nothing else passes for such a move.

use super::{log, protect, run, start, text};
use postgres::Client;
use support::cluster::Database;

fn moving() -> (Database<'static>, Client) {
    let (database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (
             id int, region text, body text, likes int DEFAULT 0,
             status text DEFAULT 'approved' CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')),
             PRIMARY KEY (id, region)) PARTITION BY LIST (region);
         CREATE TABLE notes_eu PARTITION OF notes FOR VALUES IN ('eu');
         CREATE TABLE us (gone int, status text DEFAULT 'approved', likes int, body text, region text NOT NULL, id int NOT NULL,
             CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')));
         ALTER TABLE us DROP COLUMN gone;
         ALTER TABLE notes ATTACH PARTITION us FOR VALUES IN ('us');",
    );
    protect(&mut client, "'notes'");
    (database, client)
}

fn statuses(client: &mut Client) -> String {
    text(
        client,
        "SELECT string_agg(id || region || ' ' || status, ', ' ORDER BY id, region) FROM notes",
    )
}

#[test]
fn a_row_that_moves_is_not_judged_again() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino'), (2, 'eu', 'casino'), (3, 'us', 'casino');
         UPDATE notes SET status = 'approved'; TRUNCATE spamcheck.spam_checklog;
         UPDATE notes SET region = 'us' WHERE region = 'eu';
         UPDATE notes_eu SET region = 'us';
         UPDATE notes SET region = 'eu', likes = 7 WHERE id = 3",
    );
    assert_eq!(statuses(&mut client), "1us approved, 2us approved, 3eu approved");
    assert_eq!(log(&mut client), "");
    // Neither without the check of edits.
    protect(&mut client, "'notes', on_update => false");
    run(&mut client, "UPDATE notes SET region = CASE region WHEN 'us' THEN 'eu' ELSE 'us' END");
    assert_eq!(statuses(&mut client), "1eu approved, 2eu approved, 3us approved");
    assert_eq!(log(&mut client), "");
}

#[test]
fn an_edit_that_also_moves_the_row_is_judged_once() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'fine'), (2, 'us', 'fine'), (3, 'eu', 'fine');
         UPDATE notes SET body = 'casino', region = CASE region WHEN 'us' THEN 'eu' ELSE 'us' END WHERE id < 3;
         UPDATE notes SET body = 'finer', region = 'us' WHERE id = 3",
    );
    assert_eq!(statuses(&mut client), "1us spam, 2eu spam, 3us approved");
    assert_eq!(
        log(&mut client),
        "public.notes {\"id\": 1, \"region\": \"us\"} content suppressed\n\
         public.notes {\"id\": 2, \"region\": \"eu\"} content suppressed"
    );
    // With edits unchecked the text of a moved row is not looked at.
    protect(&mut client, "'notes', on_update => false");
    run(&mut client, "UPDATE notes SET body = 'a casino', region = 'eu' WHERE id = 3");
    assert_eq!(log(&mut client).lines().count(), 2);
}

#[test]
fn on_conflict_do_update_is_no_way_past_the_checks() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino');
         INSERT INTO notes VALUES (1, 'eu', 'casino'), (2, 'eu', 'casino'), (3, 'us', 'casino')
             ON CONFLICT (id, region) DO UPDATE SET likes = notes.likes + 1",
    );
    assert_eq!(statuses(&mut client), "1eu spam, 2eu spam, 3us spam");
}

#[test]
fn merge_is_no_way_past_the_checks() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino');
         MERGE INTO notes n USING (VALUES (1, 'eu'), (2, 'eu'), (3, 'us')) v (id, region)
            ON n.id = v.id AND n.region = v.region
         WHEN MATCHED THEN UPDATE SET likes = n.likes + 1
         WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.region, 'casino')",
    );
    assert_eq!(statuses(&mut client), "1eu spam, 2eu spam, 3us spam");
}

#[test]
fn a_copy_made_in_the_same_statement_as_an_update_or_a_move_is_judged() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino'); UPDATE notes SET status = 'approved';
         WITH touched AS (UPDATE notes SET likes = 1 WHERE id = 1 RETURNING *)
         INSERT INTO notes SELECT 2, 'eu', body FROM touched;
         WITH moved AS (UPDATE notes SET region = 'us' WHERE id = 1 RETURNING *)
         INSERT INTO notes SELECT 3, 'us', body FROM moved",
    );
    assert_eq!(statuses(&mut client), "1us approved, 2eu spam, 3us spam");
}

#[test]
fn rows_inserted_by_a_trigger_on_a_moving_row_are_judged() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino'); UPDATE notes SET status = 'approved';
         CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO notes VALUES (100 + OLD.id, 'us', OLD.body); RETURN OLD; END $$;
         CREATE TRIGGER copies BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION copy();
         UPDATE notes SET region = 'us' WHERE id = 1",
    );
    assert_eq!(statuses(&mut client), "1us approved, 101us spam");
}

#[test]
fn what_a_savepoint_takes_back_is_not_remembered_as_a_move() {
    let (_database, mut client) = moving();
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'eu', 'casino'), (2, 'us', 'fine'); UPDATE notes SET status = 'approved';
         DO $$ BEGIN
             BEGIN UPDATE notes SET region = 'us', id = 2 WHERE id = 1; EXCEPTION WHEN unique_violation THEN NULL; END;
             INSERT INTO notes VALUES (3, 'us', 'casino');
         END $$",
    );
    assert_eq!(statuses(&mut client), "1eu approved, 2us approved, 3us spam");
}
