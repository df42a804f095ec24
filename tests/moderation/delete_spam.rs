//! delete_spam: the row goes, the log stays.

use postgres::error::SqlState;

use crate::site::{Site, refused};
use crate::{call, outcomes, site};

#[test]
fn the_row_is_deleted_and_its_findings_say_so() {
    let mut site = site();
    site.run("INSERT INTO comments (body, ip) VALUES ('casino', '10.0.0.1'), ('fine', NULL)");
    assert_eq!(call(&mut site, "delete_spam(1)"), "done|deleted");
    assert_eq!(site.statuses(), "2 approved");
    assert_eq!(outcomes(&mut site), "ip_block deleted, content deleted");
    assert_eq!(site.ask("SELECT bool_or(reversed) FROM spamcheck.spam_checklog"), "f");
    assert_eq!(call(&mut site, "delete_spam(1)"), "already|gone");
    assert_eq!(call(&mut site, "not_spam(2)"), "already|deleted");
    assert_eq!(outcomes(&mut site), "ip_block deleted, content deleted");
}

#[test]
fn flagged_actions_of_a_trial_can_be_deleted() {
    let mut site = site();
    site.policy("mode = 'trial'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "delete_spam(1)"), "done|deleted");
    assert_eq!(site.statuses(), "");
}

#[test]
fn what_was_not_deleted_can_be_taken_back() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'); SELECT spamcheck.unprotect('comments')",
    );
    assert_eq!(call(&mut site, "delete_spam(1)"), "done|unchanged");
    assert_eq!(call(&mut site, "delete_spam(1)"), "already|unchanged");
    assert_eq!(outcomes(&mut site), "content suppressed");
    site.run("SELECT spamcheck.protect('comments')");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
    // Nor was a row that could not be found.
    site.run(
        "INSERT INTO comments (body) VALUES ('casino again');
         ALTER TABLE comments DROP COLUMN id, ADD PRIMARY KEY (body)",
    );
    let newest = site.ask("SELECT max(id) FROM spamcheck.spam_checklog");
    assert_eq!(call(&mut site, &format!("delete_spam({newest})")), "done|unchanged");
    assert_eq!(call(&mut site, &format!("delete_spam({newest})")), "already|unchanged");
}

#[test]
fn what_somebody_took_back_is_not_deleted_behind_their_back() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); SELECT spamcheck.not_spam(1)");
    assert_eq!(call(&mut site, "delete_spam(1)"), "already|unchanged");
    assert_eq!(site.statuses(), "1 approved");
    site.run("SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(call(&mut site, "delete_spam(1)"), "done|deleted");
}

#[test]
fn a_row_that_others_refer_to_stays_with_the_servers_reason() {
    let mut site = site();
    site.run(
        "CREATE TABLE replies (comment_id int REFERENCES comments DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO comments (body) VALUES ('casino'); INSERT INTO replies VALUES (1)",
    );
    let error = refused(&mut site.client, "SELECT spamcheck.delete_spam(1)");
    assert_eq!(error.code(), &SqlState::FOREIGN_KEY_VIOLATION);
    assert_eq!(outcomes(&mut site), "content suppressed");
    site.run("DELETE FROM replies");
    assert_eq!(call(&mut site, "delete_spam(1)"), "done|deleted");
}

#[test]
fn a_rejected_submission_has_nothing_to_delete_and_is_noted() {
    let mut site = site();
    site.check("content", "action = 'reject'");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "delete_spam(1)"), "done|gone");
    assert_eq!(outcomes(&mut site), "content rejected");
    assert_eq!(call(&mut site, "delete_spam(1)"), "already|gone");
}

/// A table whose key people give themselves.
fn signatures(site: &mut Site) {
    site.run(
        "CREATE TABLE signatures (email text, petition int, body text, status text DEFAULT 'complete' CHECK (status IN ('complete', 'moderated', 'spam')),
             PRIMARY KEY (email, petition));
         SELECT spamcheck.protect('signatures');
         INSERT INTO signatures VALUES ('ann@mail.example', 1, 'casino'), ('ben@mail.example', 1, 'casino');
         DELETE FROM signatures;
         INSERT INTO signatures VALUES ('ann@mail.example', 1, 'a clean text'), ('ben@mail.example', 1, 'another clean text')",
    );
}

#[test]
fn another_row_that_has_the_key_by_now_is_left_alone() {
    let mut site = site();
    signatures(&mut site);
    let answer = site.ask(
        "SELECT a ->> 'status', a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.delete_spam(1) AS a) x",
    );
    assert!(answer.starts_with("done|gone|") && answer.contains("its key now"), "{answer}");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|gone");
    assert_eq!(
        site.ask("SELECT body, status FROM signatures ORDER BY 1"),
        "a clean text|complete\nanother clean text|complete"
    );
    assert_eq!(outcomes(&mut site), "content deleted, content not_spam by postgres");
    // The same text is the same row, also where the table has no status, and where a trial has flagged it.
    for keep in ["full", "excerpt", "hash"] {
        let mut site = Site::bare();
        site.run(&format!(
            "CREATE TABLE posts (id serial PRIMARY KEY, author text, body text);
             INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
             UPDATE spamcheck.policy SET keep = '{keep}';
             SELECT spamcheck.protect('posts', status => '{{}}');
             INSERT INTO posts (author, body) VALUES ('Ann', 'casino' || repeat(' é', 300))"
        ));
        assert_eq!(call(&mut site, "delete_spam(1)"), "done|deleted", "{keep}");
    }
}

#[test]
fn a_row_whose_later_text_was_released_is_not_deleted_for_its_first() {
    for release in [
        "SELECT spamcheck.approve('comments', '1')",
        "SELECT spamcheck.not_spam(2)",
        "UPDATE comments SET status = 'approved'",
    ] {
        let mut site = site();
        site.run("INSERT INTO comments (body) VALUES ('maybe'); UPDATE comments SET body = 'casino, says the author'");
        assert_eq!(outcomes(&mut site), "wordfilter moderated, content suppressed");
        site.run(release);
        assert_eq!(
            outcomes(&mut site),
            "wordfilter not_spam by postgres, content not_spam by postgres",
            "{release}"
        );
        assert_eq!(call(&mut site, "delete_spam(1)"), "already|unchanged", "{release}");
        assert_eq!(site.statuses(), "1 approved", "{release}");
    }
}
