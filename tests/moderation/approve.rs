//! approve: a row that waits is released.

use crate::site::{Site, refused};
use crate::{call, outcomes, site};

#[test]
fn a_moderated_row_gets_its_own_status_back() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('maybe')");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(outcomes(&mut site), "wordfilter not_spam by postgres");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "already|unchanged");
}

#[test]
fn a_row_that_the_app_had_waiting_itself_becomes_ham() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body, status) VALUES ('maybe', 'pending'), ('fine', 'pending')",
    );
    assert_eq!(site.statuses(), "1 pending\n2 pending");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|released");
    assert_eq!(call(&mut site, "approve('comments', '2')"), "done|released");
    assert_eq!(site.statuses(), "1 approved\n2 approved");
}

#[test]
fn a_spam_row_is_released_too() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|restored");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}

#[test]
fn a_row_that_is_ham_is_left_alone() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('fine')");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "already|unchanged");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn without_a_value_for_ham_it_says_so() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (id int PRIMARY KEY, body text, state text);
         SELECT spamcheck.protect('posts', status => '{\"column\": \"state\", \"moderate\": \"held\"}');
         INSERT INTO posts VALUES (1, 'fine', 'held')",
    );
    let error = refused(&mut site.client, "SELECT spamcheck.approve('posts', '1')");
    assert!(
        error.message().contains("ham") && error.hint().is_some_and(|h| h.contains("protect")),
        "{error:?}"
    );
}

#[test]
fn what_follows_in_the_transaction_can_be_put_off_as_before() {
    let mut site = site();
    site.run(
        "CREATE SCHEMA \"O'ther\"; CREATE TABLE \"O'ther\".parents (id int PRIMARY KEY);
         CREATE TABLE \"O'ther\".children (id int CONSTRAINT \"of a\" REFERENCES \"O'ther\".parents DEFERRABLE INITIALLY DEFERRED,
             nr int UNIQUE DEFERRABLE INITIALLY IMMEDIATE, CONSTRAINT same UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE \"O'ther\".others (id int CONSTRAINT same CHECK (id > 0));
         INSERT INTO comments (body) VALUES ('casino')",
    );
    let moderator = site.role("moderator");
    site.run(&format!("SELECT spamcheck.grant_access('{moderator}', 'moderator')"));
    for call in [
        "approve('comments', '1')",
        "report_spam('comments', '1')",
        "not_spam(1)",
        "delete_spam(1)",
    ] {
        site.run(&format!(
            "BEGIN; SET LOCAL ROLE {moderator}; SELECT spamcheck.{call}; RESET ROLE;
             INSERT INTO \"O'ther\".children VALUES (7); INSERT INTO \"O'ther\".parents VALUES (7); COMMIT;
             TRUNCATE \"O'ther\".children, \"O'ther\".parents"
        ));
    }
}

/// A table whose status is several columns, of which spam writes one that ham does not name.
fn several() -> Site {
    let mut site = Site::bare();
    site.run(
        r#"CREATE TABLE posts (id serial PRIMARY KEY, body text, is_public boolean DEFAULT true, is_removed boolean DEFAULT false, removed_at timestamptz,
               changed_at timestamptz NOT NULL DEFAULT '2001-01-01Z');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
           SELECT spamcheck.protect('posts', status => '{"ham": {"is_public": true, "is_removed": false}, "moderate": {"is_public": false},
               "spam": {"is_removed": true, "removed_at": "$now", "changed_at": "$now"}}')"#,
    );
    site
}

/// The rows, with whether they are marked as removed.
fn marks(site: &mut Site) -> String {
    site.ask("SELECT id, is_public, is_removed, removed_at IS NOT NULL, changed_at > '2001-01-01Z' FROM posts ORDER BY id")
}

#[test]
fn what_a_verdict_wrote_besides_is_taken_back_where_the_app_had_let_the_row_wait() {
    let mut site = several();
    site.run("INSERT INTO posts (body, is_public) VALUES ('casino', false)");
    assert_eq!(marks(&mut site), "1|f|t|t|t");
    assert_eq!(call(&mut site, "approve('posts', '1')"), "done|released");
    assert_eq!(marks(&mut site), "1|t|f|f|f");
}

#[test]
fn the_mark_of_a_removal_goes_with_it_where_nobody_knows_what_was_before() {
    let mut site = several();
    site.run("INSERT INTO posts (body, is_removed, removed_at) VALUES ('fine', true, now()), ('casino', true, now())");
    assert_eq!(call(&mut site, "approve('posts', '1')"), "done|released");
    assert_eq!(call(&mut site, "approve('posts', '2')"), "done|released");
    assert_eq!(marks(&mut site), "1|t|f|f|f\n2|t|f|f|t");
    site.run("INSERT INTO posts (body) VALUES ('casino'); UPDATE spamcheck.spam_checklog SET _former = NULL");
    assert_eq!(
        call(&mut site, "not_spam((SELECT max(id) FROM spamcheck.spam_checklog))"),
        "done|released"
    );
    assert_eq!(
        site.ask("SELECT is_public, is_removed, removed_at FROM posts WHERE id = 3"),
        "t|f|"
    );
}

#[test]
fn what_the_log_has_against_a_row_that_was_released_unseen_is_taken_back() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'), ('casino');
         SET session_replication_role = replica; UPDATE comments SET status = 'approved'; RESET session_replication_role;
         UPDATE comments SET body = 'harmless', status = 'approved' WHERE id = 2",
    );
    assert_eq!(outcomes(&mut site), "content suppressed, content suppressed");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|unchanged");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "already|unchanged");
    // Nobody has said anything of a text that the row has no more.
    assert_eq!(call(&mut site, "approve('comments', '2')"), "already|unchanged");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, content suppressed");
}
