//! What stands between a decision and its row: nothing is called done that is not.

use postgres::error::SqlState;

use crate::site::{Site, refused};
use crate::{call, outcomes, site};

/// A site where the word `casino` is rejected, and one such submission of row 19.
fn rejecting() -> Site {
    let mut site = site();
    site.check("content", "action = 'reject'");
    refused(&mut site.client, "INSERT INTO comments (id, body) VALUES (19, 'casino')");
    site
}

#[test]
fn a_rejected_row_waits_for_a_table_that_is_not_protected_for_the_moment() {
    let mut site = rejecting();
    site.run("SELECT spamcheck.unprotect('comments')");
    let error = refused(&mut site.client, "SELECT spamcheck.not_spam(1)");
    assert!(
        error.message().contains("public.comments is not protected")
            && error.hint().is_some_and(|hint| hint.contains("protect()")),
        "{error:?}"
    );
    assert_eq!(outcomes(&mut site), "content rejected");
    site.run("SELECT spamcheck.protect('comments')");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|inserted");
    assert_eq!(site.statuses(), "19 approved");
    assert_eq!(call(&mut site, "not_spam(1)"), "already|");
}

#[test]
fn a_table_that_was_protected_anew_and_renamed_is_found() {
    let mut site = rejecting();
    site.run(
        "SELECT spamcheck.unprotect('comments'); SELECT spamcheck.protect('comments'); CREATE SCHEMA s;
         ALTER TABLE comments RENAME TO remarks; ALTER TABLE remarks SET SCHEMA s",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|inserted");
    assert_eq!(site.ask("SELECT id, status FROM s.remarks"), "19|approved");
}

#[test]
fn a_table_that_is_gone_is_told_of_in_a_sentence() {
    let mut site = rejecting();
    site.run("DROP TABLE comments");
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("gone|") && answer.contains("public.comments is gone"), "{answer}");
}

#[test]
fn an_insert_that_would_have_become_an_edit_is_inserted_once_its_key_is_free() {
    let mut site = site();
    site.check("content", "action = 'reject'");
    site.run("INSERT INTO comments (id, body) VALUES (1, 'fine'), (2, 'fine')");
    let upsert = |id: i32, text: &str, edit: &str| {
        format!(
            "INSERT INTO comments (id, body) VALUES ({id}, '{text}') ON CONFLICT (id) DO UPDATE SET body = {edit}"
        )
    };
    // The row that is proposed is refused, whatever would have become of it.
    refused(&mut site.client, &upsert(1, "casino", "'harmless'"));
    let error = refused(&mut site.client, "SELECT spamcheck.not_spam(1)");
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(error.detail().is_some_and(|detail| detail.contains("(id)=(1)")), "{error:?}");
    assert_eq!(outcomes(&mut site), "content rejected");
    site.run("DELETE FROM comments WHERE id = 1");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|inserted");
    assert_eq!(site.ask("SELECT body FROM comments WHERE id = 1"), "casino");
    // The edit is refused, which is one of the row that is there.
    refused(&mut site.client, &upsert(2, "fine too", "'casino of ' || excluded.body"));
    assert_eq!(call(&mut site, "not_spam(2)"), "done|edited");
    assert_eq!(site.ask("SELECT body FROM comments WHERE id = 2"), "casino of fine too");
}

#[test]
fn a_trigger_that_keeps_the_status_is_told_of_and_nothing_is_decided() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'), ('fine');
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.status := OLD.status; RETURN NEW; END';
         CREATE TRIGGER keep BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    for call in ["not_spam(1)", "approve('comments', '1')", "report_spam('comments', '2')"] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.{call}"));
        assert!(
            error.message().contains("a trigger of public.comments") && error.hint().is_some(),
            "{call}: {error:?}"
        );
    }
    assert_eq!(outcomes(&mut site), "content suppressed");
    site.run("DROP TRIGGER keep ON comments");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
}

#[test]
fn a_trigger_may_set_other_columns_and_statuses_are_compared_by_what_they_are() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE notes (id int PRIMARY KEY, body text, state char(8) DEFAULT 'ok', at timestamptz, n int DEFAULT 0);
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := NEW.n + 1; RETURN NEW; END';
         CREATE TRIGGER counted BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION counted();
         SELECT spamcheck.protect('notes', status => '{\"ham\": {\"state\": \"ok\", \"at\": null}, \"moderate\": {\"state\": \"wait\"}, \"spam\": {\"state\": \"spam\", \"at\": \"$now\"}}');
         INSERT INTO notes VALUES (1, 'casino', 'ok', '2001-02-03 04:05:06.5+00')",
    );
    site.run("SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(
        site.ask("SELECT state, at = '2001-02-03T04:05:06.5Z', n FROM notes"),
        "ok      |t|1"
    );
    assert_eq!(call(&mut site, "report_spam('notes', '1')"), "done|spam");
}

#[test]
fn a_row_whose_table_has_another_primary_key_is_found_by_the_old_one() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'), ('casino'), ('casino');
         ALTER TABLE comments DROP CONSTRAINT comments_pkey; ALTER TABLE comments ADD slug int; UPDATE comments SET slug = 4 - id;
         ALTER TABLE comments ADD PRIMARY KEY (slug)",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved\n2 spam\n3 spam");
    assert_eq!(
        site.ask("SELECT row_key FROM spamcheck.spam_checklog WHERE id = 1"),
        "{\"slug\": 3}"
    );
    // Where it cannot be told by that, it is not called gone.
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_pkey; ALTER TABLE comments ADD PRIMARY KEY (slug, body); UPDATE comments SET id = 3");
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(3) AS a) x");
    assert!(answer.starts_with("unchanged|") && answer.contains("another primary key"), "{answer}");
}

#[test]
fn what_verdicts_wrote_under_another_mapping_of_the_status_is_taken_back() {
    let mut site = site();
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check, ADD COLUMN state text NOT NULL DEFAULT 'a';
         INSERT INTO comments (body, status) VALUES ('casino', 'vip'), ('casino', 'vip'), ('casino', 'vip'), ('fine', 'spam')",
    );
    let under =
        |status: &str| format!("SELECT spamcheck.protect('comments', status => '{status}')");
    // Another column, and back with another value.
    site.run(&under(r#"{"column": "state", "ham": "a", "moderate": "b", "spam": "c"}"#));
    site.run("ALTER TABLE comments RENAME COLUMN status TO standing");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    site.run("ALTER TABLE comments RENAME COLUMN standing TO status");
    site.run(&under(
        r#"{"column": "status", "ham": "approved", "moderate": "pending", "spam": "junk"}"#,
    ));
    assert_eq!(call(&mut site, "approve('comments', '2')"), "done|restored");
    assert_eq!(call(&mut site, "not_spam(3)"), "done|restored");
    // What no verdict wrote is the row's own.
    assert_eq!(call(&mut site, "approve('comments', '4')"), "already|unchanged");
    assert_eq!(site.statuses(), "1 vip\n2 vip\n3 vip\n4 spam");
}

#[test]
fn a_row_that_is_spam_under_two_mappings_gets_both_columns_back() {
    let mut site = site();
    site.run(
        r#"ALTER TABLE comments ADD COLUMN state text NOT NULL DEFAULT 'a', DROP CONSTRAINT comments_status_check;
           INSERT INTO comments (body, status) VALUES ('casino', 'vip');
           SELECT spamcheck.protect('comments', status => '{"column": "state", "ham": "a", "moderate": "b", "spam": "c"}');
           SELECT spamcheck.report_spam('comments', '1')"#,
    );
    assert_eq!(site.ask("SELECT status, state FROM comments"), "spam|c");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|restored");
    assert_eq!(site.ask("SELECT status, state FROM comments"), "vip|a");
}

#[test]
fn a_label_that_was_renamed_stops_decisions_until_the_mapping_follows() {
    let mut site = site();
    site.run(
        "CREATE TYPE standing AS ENUM ('ok', 'vip', 'pending', 'spam');
         CREATE TABLE posts (id serial PRIMARY KEY, body text, status standing NOT NULL DEFAULT 'ok');
         SELECT spamcheck.protect('posts');
         INSERT INTO posts (body, status) VALUES ('casino', 'vip'), ('fine', 'ok'), ('casino', 'vip');
         ALTER TYPE standing RENAME VALUE 'spam' TO 'junk'",
    );
    for function in ["not_spam(1)", "approve('posts', '1')", "delete_spam(1)"] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.{function}"));
        assert_eq!(
            error.message(),
            "which status the row has cannot be told: column \"status\" of table \"posts\" no longer takes \"spam\""
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("spamcheck.protect()")));
    }
    site.run(r#"SELECT spamcheck.protect('posts', status => '{"column": "status", "ham": "ok", "moderate": "pending", "spam": "junk"}')"#);
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(call(&mut site, "report_spam('posts', '2')"), "done|spam");
    assert_eq!(call(&mut site, "approve('posts', '2')"), "done|restored");
    assert_eq!(call(&mut site, "approve('posts', '3')"), "done|restored");
    let statuses = "SELECT string_agg(status::text, ' ' ORDER BY id) FROM posts";
    assert_eq!(site.ask(statuses), "vip ok vip");
    // Where it is the row's own, that is not known any more.
    site.run(
        "INSERT INTO posts (body, status) VALUES ('casino', 'vip'), ('casino', 'vip');
         ALTER TYPE standing RENAME VALUE 'vip' TO 'gold'",
    );
    let entries = "SELECT min(id) FROM spamcheck.spam_checklog WHERE row_key ->> 'id' = '4'";
    let entry = site.ask(entries);
    assert_eq!(call(&mut site, &format!("not_spam({entry})")), "done|released");
    assert_eq!(call(&mut site, "approve('posts', '5')"), "done|released");
    assert_eq!(site.ask(statuses), "gold ok gold ok ok");
}

#[test]
fn a_row_that_was_moderated_and_then_spam_under_a_former_mapping_gets_its_own_status_back() {
    let mut site = site();
    site.run(
        r#"ALTER TABLE comments ADD COLUMN state text NOT NULL DEFAULT 'a', DROP CONSTRAINT comments_status_check;
           INSERT INTO comments (body, status) VALUES ('maybe', 'vip'), ('maybe', 'vip');
           SELECT spamcheck.report_spam('comments', '1'), spamcheck.report_spam('comments', '2');
           SELECT spamcheck.protect('comments', status => '{"column": "state", "ham": "a", "moderate": "b", "spam": "c"}')"#,
    );
    let newest = "SELECT max(id) FROM spamcheck.spam_checklog WHERE row_key ->> 'id' = '1'";
    let newest = site.ask(newest);
    assert_eq!(call(&mut site, &format!("not_spam({newest})")), "done|restored");
    assert_eq!(call(&mut site, "approve('comments', '2')"), "done|restored");
    assert_eq!(site.statuses(), "1 vip\n2 vip");
}

#[test]
fn a_trigger_that_keeps_rows_from_being_deleted_is_told_with_what_helps() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino');
         CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER kept BEFORE DELETE ON comments FOR EACH ROW EXECUTE FUNCTION kept()",
    );
    let error = refused(&mut site.client, "SELECT spamcheck.delete_spam(1)");
    assert_eq!(
        error.message(),
        "a trigger or rule of public.comments keeps the row from being deleted"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("report_spam")), "{error:?}");
    assert_eq!(outcomes(&mut site), "content suppressed");
}

#[test]
fn rows_that_were_numbered_anew_are_not_taken_for_those_that_had_the_numbers() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('gone'), ('casino'), ('casino'); DELETE FROM comments WHERE id = 1;
         ALTER TABLE comments DROP COLUMN id; ALTER TABLE comments ADD COLUMN id serial PRIMARY KEY",
    );
    assert_eq!(site.statuses(), "1 spam\n2 spam");
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("unchanged|") && answer.contains("another primary key"), "{answer}");
    assert_eq!(site.statuses(), "1 spam\n2 spam");
    let keys = "SELECT string_agg(row_key::text, ' ' ORDER BY id) FROM spamcheck.spam_checklog";
    assert_eq!(site.ask(keys), r#"{"id (dropped)": 2} {"id (dropped)": 3}"#);
    // In one statement, and with a column that takes the place of another.
    site.run(
        "ALTER TABLE comments DROP COLUMN id, ADD COLUMN id serial PRIMARY KEY;
         INSERT INTO comments (body) VALUES ('casino');
         ALTER TABLE comments ADD COLUMN other int UNIQUE; UPDATE comments SET other = 4 - id;
         ALTER TABLE comments DROP COLUMN id; ALTER TABLE comments RENAME COLUMN other TO id;
         ALTER TABLE comments ALTER id SET NOT NULL, ADD PRIMARY KEY (id)",
    );
    let answer =
        site.ask("SELECT spamcheck.not_spam(max(id)) ->> 'row' FROM spamcheck.spam_checklog");
    assert_eq!(answer, "unchanged");
}

#[test]
fn a_key_of_another_type_is_still_the_same() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'), ('casino');
         ALTER TABLE comments ALTER id DROP DEFAULT, ALTER id TYPE text",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(call(&mut site, "delete_spam(2)"), "done|deleted");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn who_waits_for_another_in_vain_is_not_told_to_look_at_columns() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let mut other = site.db.client();
    site.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
    site.ask("SELECT count(*) FROM comments");
    crate::site::run(&mut other, "UPDATE comments SET views = 1");
    let error = refused(&mut site.client, "SELECT spamcheck.not_spam(1)");
    assert_eq!(error.code(), &SqlState::T_R_SERIALIZATION_FAILURE);
    assert_eq!(error.hint(), None);
}

#[test]
fn a_trigger_that_swallows_the_status_is_told_of() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino');
         CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER swallow BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION swallow()",
    );
    let error = refused(&mut site.client, "SELECT spamcheck.not_spam(1)");
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert_eq!(error.message(), "a trigger of public.comments kept the row from being written");
    assert_eq!(error.detail(), Some("Nothing was changed."));
    assert!(error.hint().is_some_and(|hint| hint.contains("return NULL")), "{error:?}");
    assert_eq!(outcomes(&mut site), "content suppressed");
}
