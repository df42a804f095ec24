//! not_spam: the row gets back what it had, its findings are taken back.

use crate::site::{Site, refused};
use crate::{call, first, outcomes, site};

#[test]
fn a_suppressed_row_gets_its_own_status_back_and_all_its_findings_are_reversed() {
    let mut site = site();
    site.run("INSERT INTO comments (body, ip, status) VALUES ('casino', '10.0.0.1', 'approved')");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2");
    let id = site.ask("SELECT max(id) FROM spamcheck.spam_checklog");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(outcomes(&mut site), "ip_block not_spam by postgres, content not_spam by postgres");
    // Nothing was judged again, and nothing else changed.
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2");
    assert_eq!(site.ask("SELECT body, views FROM comments"), "casino|0");
}

#[test]
fn the_status_that_the_app_gave_comes_back_whatever_it_was() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body, status) VALUES ('casino', 'pending'), ('maybe', 'approved')",
    );
    assert_eq!(site.statuses(), "1 spam\n2 pending");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
    assert_eq!(site.statuses(), "1 pending\n2 approved");
}

#[test]
fn again_it_changes_nothing_and_says_who_was_first() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let id = first(&mut site);
    call(&mut site, &format!("not_spam({id})"));
    let before = site.ask("SELECT l FROM spamcheck.spam_checklog l");
    site.run("UPDATE comments SET status = 'pending'");
    let again = site.ask(&format!(
        "SELECT a ->> 'status', a ->> 'decided_by', (a ->> 'decided_at')::timestamptz = (SELECT reversed_at FROM \
            spamcheck.spam_checklog) FROM (SELECT spamcheck.not_spam({id}) AS a) x"
    ));
    assert_eq!(again, "already|postgres|t");
    assert_eq!(site.ask("SELECT l FROM spamcheck.spam_checklog l"), before);
    assert_eq!(site.statuses(), "1 pending");
}

#[test]
fn several_status_columns_are_restored_each() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (id int PRIMARY KEY, body text, is_public boolean, is_removed boolean, removed_at timestamptz, note text DEFAULT 'own');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         SELECT spamcheck.protect('posts', status => '{\"ham\": {\"is_public\": true, \"is_removed\": false},
             \"moderate\": {\"is_public\": false}, \"spam\": {\"is_removed\": true, \"removed_at\": \"$now\"}}');
         INSERT INTO posts VALUES (1, 'casino', NULL, false, NULL), (2, 'casino', false, NULL, '2001-02-03 04:05:06+00')",
    );
    assert_eq!(
        site.ask("SELECT count(*) FROM posts WHERE is_removed AND removed_at > '2020-01-01'"),
        "2"
    );
    call(&mut site, "not_spam(1)");
    call(&mut site, "not_spam(2)");
    assert_eq!(
        site.ask("SELECT id, is_public, is_removed, removed_at AT TIME ZONE 'UTC', note FROM posts ORDER BY id"),
        "1||f||own\n2|f||2001-02-03 04:05:06|own"
    );
}

#[test]
fn an_edited_row_keeps_its_new_text() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'), ('casino'), ('casino');
         UPDATE comments SET views = 7 WHERE id = 1;
         UPDATE comments SET body = 'harmless' WHERE id = 2;
         UPDATE comments SET body = 'the same casino' WHERE id = 3",
    );
    for id in 1..=3 {
        assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|restored");
    }
    assert_eq!(
        site.ask("SELECT status, body, views FROM comments ORDER BY id"),
        "approved|casino|7\napproved|harmless|0\napproved|the same casino|0"
    );
    // What was found again in the edited text was decided with it.
    assert_eq!(
        site.ask("SELECT count(*), count(*) FILTER (WHERE reversed) FROM spamcheck.spam_checklog"),
        "4|4"
    );
}

#[test]
fn what_an_edit_brought_stands_until_it_is_taken_back_itself() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('maybe'); UPDATE comments SET body = 'casino'");
    assert_eq!(site.statuses(), "1 spam");
    // The first text is gone; what was found in the second keeps the row back.
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("unchanged|") && answer.contains("entry 2"), "{answer}");
    assert_eq!(site.statuses(), "1 spam");
    // What it had before the edit was our own doing: its own status is the one of the beginning.
    assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn a_status_that_somebody_else_has_set_since_stays() {
    let mut site = site();
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body) VALUES ('casino');
         ALTER TABLE comments DISABLE TRIGGER zzzz_spamcheck_guard;
         UPDATE comments SET status = 'archived';
         ALTER TABLE comments ENABLE TRIGGER zzzz_spamcheck_guard",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|unchanged");
    assert_eq!(site.statuses(), "1 archived");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}

#[test]
fn the_ham_value_is_written_only_where_the_former_one_is_not_known() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body, status) VALUES ('casino', 'pending');
         UPDATE spamcheck.spam_checklog SET _former = NULL",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|released");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn findings_of_a_trial_are_reversed_and_the_row_is_left_alone() {
    let mut site = site();
    site.policy("mode = 'trial'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(outcomes(&mut site), "content flagged");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|unchanged");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}

#[test]
fn triggers_of_the_table_run_with_its_owners_rights_and_what_they_insert_is_judged() {
    let mut site = site();
    let owner = site.role("owner");
    site.run(&format!(
        "CREATE TABLE noted (who text, comment_id int);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.noted VALUES (current_user, NEW.id);
             IF NEW.id = 1 THEN INSERT INTO public.comments (body) VALUES ('casino too'); END IF;
             RETURN NEW;
         END $$;
         ALTER TABLE comments OWNER TO {owner}; ALTER TABLE noted OWNER TO {owner};
         GRANT USAGE ON SCHEMA public TO {owner};
         INSERT INTO comments (body) VALUES ('casino');
         CREATE TRIGGER note AFTER UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION note()"
    ));
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.ask("SELECT who FROM noted"), owner);
    assert_eq!(site.statuses(), "1 approved\n2 spam");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, content suppressed");
}

#[test]
fn a_transaction_that_is_rolled_back_has_decided_nothing() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    site.run("BEGIN; SELECT spamcheck.not_spam(1); ROLLBACK");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(outcomes(&mut site), "content suppressed");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
}

#[test]
fn an_entry_that_is_not_there_is_an_error_that_says_where_to_look() {
    let mut site = site();
    for function in ["not_spam", "delete_spam"] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.{function}(12345)"));
        assert!(
            error.message().contains("12345") && error.hint().is_some_and(|h| h.contains("recent")),
            "{error:?}"
        );
        assert!(
            refused(&mut site.client, &format!("SELECT spamcheck.{function}(NULL)"))
                .hint()
                .is_some()
        );
    }
}
