//! A decision is about what the row says now: not about an older text of it, nor about another row that had
//! its key.

use crate::site::Site;
use crate::{call, outcomes, site};

/// A site whose policy asks Akismet, and what it has been asked about row 1 of old: as if it had answered.
fn asked(text: &str) -> Site {
    let mut site = site();
    site.check("akismet", "enabled = true, options = '{\"blog\": \"https://blog.example/\"}'");
    site.run(&format!(
        "INSERT INTO comments (id, body, author, ip) VALUES (1, '{text}', 'Old', '192.0.2.1')"
    ));
    site.run(
        "INSERT INTO spamcheck._checked (protection, row_key, result, guid, submission, fingerprint)
         SELECT _protection, row_key, 'ham', 'abc', submission, _fingerprint FROM spamcheck.lookup;
         DELETE FROM spamcheck.lookup",
    );
    site
}

/// What Akismet is to be told: kind, text, author, whether by the values of its own check.
fn told(site: &mut Site) -> String {
    site.ask("SELECT kind, submission ->> 'body', submission ->> 'author', reason, _feedback ->> 'guid' FROM spamcheck.lookup ORDER BY id")
}

#[test]
fn what_was_taken_back_stays_so_when_another_row_with_the_key_becomes_spam() {
    for decision in
        ["UPDATE comments SET status = 'spam'", "SELECT spamcheck.report_spam('comments', '1')"]
    {
        let mut site = site();
        site.run(
            "INSERT INTO comments (id, body, author) VALUES (1, 'casino', 'me'); SELECT spamcheck.not_spam(1); DELETE FROM comments;
             INSERT INTO comments (id, body, author) VALUES (1, 'buy my house', 'other')",
        );
        site.run(decision);
        assert_eq!(
            outcomes(&mut site),
            "content not_spam by postgres, staff suppressed",
            "{decision}"
        );
        assert_eq!(
            site.ask("SELECT count(DISTINCT submission_id), max(author) FILTER (WHERE id = 2) FROM spamcheck.spam_checklog"),
            "2|other"
        );
        assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
        assert_eq!(site.statuses(), "1 approved");
    }
}

#[test]
fn a_report_of_an_edited_row_says_nothing_of_the_text_that_it_had() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); SELECT spamcheck.not_spam(1); UPDATE comments SET body = 'a clean text'");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "done|spam");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, staff suppressed");
    let precision =
        "SELECT hits, reversed, precision FROM spamcheck.stat_check WHERE check_name = 'content'";
    assert_eq!(
        site.ask(precision),
        "1|1|0",
        "{}",
        site.ask("SELECT s FROM spamcheck.stat_check s")
    );
    // Nor where nobody has looked at the first text.
    site.run("INSERT INTO comments (id, body) VALUES (9, 'maybe'); UPDATE comments SET body = 'maybe a clean text' WHERE id = 9; UPDATE comments SET body = 'a clean text' WHERE id = 9");
    assert_eq!(call(&mut site, "report_spam('comments', '9')"), "done|spam");
    assert_eq!(
        site.ask("SELECT string_agg(concat_ws(' ', check_name, outcome, _decision), ', ' ORDER BY id) FROM spamcheck.spam_checklog WHERE row_key = '{\"id\": 9}'"),
        "wordfilter moderated, wordfilter moderated, staff suppressed spam"
    );
    // Its own status is found all the same.
    assert_eq!(
        call(&mut site, "not_spam((SELECT max(id) FROM spamcheck.spam_checklog))"),
        "done|restored"
    );
    assert_eq!(site.ask("SELECT status FROM comments WHERE id = 9"), "approved");
}

#[test]
fn the_last_word_about_a_text_is_the_one_that_an_older_entry_takes_back() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); SELECT spamcheck.not_spam(1); SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, staff not_spam by postgres");
    assert_eq!(call(&mut site, "not_spam(1)"), "already|");
    // Of another text it says nothing.
    site.run(
        "UPDATE comments SET body = 'a clean text'; SELECT spamcheck.report_spam('comments', '1')",
    );
    let answer = site
        .ask("SELECT a ->> 'status', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("already|") && answer.contains("log entry 3"), "{answer}");
    assert_eq!(call(&mut site, "delete_spam(1)"), "already|unchanged");
    assert_eq!(site.statuses(), "1 spam");
}

#[test]
fn akismet_is_told_the_values_of_its_check_while_they_are_the_rows() {
    for decision in
        ["SELECT spamcheck.report_spam('comments', '1')", "UPDATE comments SET status = 'spam'"]
    {
        let mut site = asked("as it was");
        site.run("UPDATE comments SET views = 7");
        site.run(decision);
        assert_eq!(told(&mut site), "submit_spam|as it was|Old||abc", "{decision}");
    }
}

#[test]
fn akismet_is_told_what_the_row_says_where_it_was_asked_about_another() {
    for decision in
        ["SELECT spamcheck.report_spam('comments', '1')", "UPDATE comments SET status = 'spam'"]
    {
        let mut site = asked("of the deleted row");
        site.run("DELETE FROM comments");
        site.policy("types = '{trackback}'");
        site.run("INSERT INTO comments (id, body, author, ip) VALUES (1, 'of the new row', 'New', '192.0.2.2')");
        site.run(decision);
        assert_eq!(told(&mut site), "submit_spam|of the new row|New|reconstructed|", "{decision}");
    }
}

#[test]
fn rows_that_say_when_they_were_made_are_told_apart_by_that() {
    let made = "ALTER TABLE comments ADD created_at timestamptz DEFAULT '2026-01-02 03:04:05Z'; SELECT spamcheck.protect('comments', on_update => false);
        UPDATE spamcheck._checked SET submission = submission || '{\"created_at\": \"2026-01-02T03:04:05Z\"}'";
    let mut site = asked("as it was");
    site.run(&format!("{made}; UPDATE comments SET body = 'edited since'; SELECT spamcheck.report_spam('comments', '1')"));
    assert_eq!(told(&mut site), "submit_spam|as it was|Old||abc");
    let mut site = asked("as it was");
    site.run(&format!(
        "{made}; DELETE FROM comments; UPDATE spamcheck.policy SET types = '{{trackback}}';
         INSERT INTO comments (id, body, author, ip, created_at) VALUES (1, 'as it was', 'Old', '192.0.2.1', now()); SELECT spamcheck.report_spam('comments', '1')"
    ));
    assert_eq!(told(&mut site), "submit_spam|as it was|Old|reconstructed|");
}

#[test]
fn what_was_no_spam_is_told_with_the_text_that_was_found_though_the_row_was_edited() {
    let mut site = asked("as it was");
    // Akismet's finding about that text; later the row is edited, and what it says then is found, too.
    site.run(
        "INSERT INTO spamcheck.spam_checklog (relation, row_key, submission_id, policy, check_name, action, outcome, why, author, comment, _protection, _former)
         SELECT 'public.comments', row_key, nextval('spamcheck._submission_id_seq'), 'default', 'akismet', 'spam', 'suppressed', 'so it says', 'Old', 'as it was', protection, '{\"status\": \"approved\"}'
           FROM spamcheck._checked;
         UPDATE comments SET body = 'casino'",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|unchanged");
    assert_eq!(told(&mut site), "submit_ham|as it was|Old||abc");
}
