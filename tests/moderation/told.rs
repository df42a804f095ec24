//! What Akismet is to be told of decisions: which, and of which submission. That it is told is for
//! tests/akismet.rs to prove: here the worker has no key, so the queue keeps.

use crate::site::{Site, refused};
use crate::{call, site};

/// A site whose policy asks Akismet.
fn asking() -> Site {
    let mut site = site();
    site.check("akismet", "enabled = true, options = '{\"blog\": \"https://blog.example/\"}'");
    site
}

/// What is queued for Akismet, as `kind key body reporter`, oldest first.
fn queue(site: &mut Site) -> String {
    site.ask(
        "SELECT string_agg(concat_ws(' ', kind, row_key ->> 'id', submission ->> 'body', _feedback ->> 'reporter'), ', ' ORDER BY id) \
            FROM spamcheck.lookup",
    )
}

#[test]
fn what_was_no_spam_is_told_as_ham() {
    let mut site = asking();
    site.run("INSERT INTO comments (body, ip) VALUES ('casino', '192.0.2.1')");
    assert_eq!(queue(&mut site), "", "a local verdict needs no lookup");
    call(&mut site, "not_spam(1)");
    assert_eq!(queue(&mut site), "submit_ham 1 casino postgres");
    assert_eq!(site.ask("SELECT submission ->> 'ip' FROM spamcheck.lookup"), "192.0.2.1");
    call(&mut site, "not_spam(1)");
    assert_eq!(queue(&mut site), "submit_ham 1 casino postgres");
}

#[test]
fn the_last_word_about_a_row_is_the_one_that_is_told() {
    let mut site = asking();
    site.run("INSERT INTO comments (body, ip) VALUES ('buy', '192.0.2.1')");
    assert_eq!(queue(&mut site), "akismet 1 buy");
    call(&mut site, "report_spam('comments', '1')");
    assert_eq!(queue(&mut site), "submit_spam 1 buy postgres", "nobody needs the verdict any more");
    call(&mut site, "not_spam(1)");
    assert_eq!(queue(&mut site), "submit_ham 1 buy postgres");
    site.run("UPDATE comments SET status = 'spam'");
    assert_eq!(queue(&mut site), "submit_spam 1 buy postgres");
    site.run("UPDATE comments SET status = 'approved'");
    assert_eq!(queue(&mut site), "submit_ham 1 buy postgres");
}

#[test]
fn a_rejected_submission_is_told_with_what_it_was() {
    let mut site = asking();
    site.check("content", "action = 'reject'");
    refused(
        &mut site.client,
        "INSERT INTO comments (body, author, ip) VALUES ('casino', 'Ann', '192.0.2.1')",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|inserted");
    assert_eq!(
        site.ask("SELECT kind, submission ->> 'body', submission ->> 'author', submission ->> 'ip', submission ? 'row' FROM spamcheck.lookup"),
        "submit_ham|casino|Ann|192.0.2.1|f"
    );
}

#[test]
fn a_deleted_row_is_told_where_akismet_had_not_said_so() {
    let mut site = asking();
    site.run("INSERT INTO comments (body, ip) VALUES ('casino', '192.0.2.1'), ('casino too', '192.0.2.1')");
    call(&mut site, "delete_spam(1)");
    assert_eq!(queue(&mut site), "submit_spam 1 casino postgres");
    site.run("DELETE FROM spamcheck.lookup; UPDATE spamcheck.spam_checklog SET check_name = 'akismet' WHERE id = 2");
    call(&mut site, "delete_spam(2)");
    assert_eq!(queue(&mut site), "");
}

#[test]
fn moderated_rows_are_not_akismets_fault() {
    let mut site = asking();
    site.run(
        "INSERT INTO comments (body, ip) VALUES ('maybe', '192.0.2.1'), ('maybe not', '192.0.2.1')",
    );
    call(&mut site, "approve('comments', '1')");
    site.run("UPDATE comments SET status = 'approved' WHERE id = 2");
    assert_eq!(queue(&mut site), "");
}

#[test]
fn the_held_row_that_is_approved_gets_its_own_status_and_no_verdict_any_more() {
    let mut site = asking();
    site.check("akismet", "options = '{\"blog\": \"https://blog.example/\", \"mode\": \"hold\"}'");
    site.run("INSERT INTO comments (body, ip, status) VALUES ('fine', '192.0.2.1', 'approved')");
    assert_eq!(site.statuses(), "1 pending");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(queue(&mut site), "");
}

#[test]
fn a_row_that_is_gone_is_told_by_what_the_log_has() {
    let mut site = asking();
    site.run("INSERT INTO comments (body, author, ip) VALUES ('casino', 'Ann', '192.0.2.1'); DELETE FROM comments");
    call(&mut site, "not_spam(1)");
    assert_eq!(
        site.ask("SELECT kind, submission ->> 'body', submission ->> 'author', submission ->> 'ip' FROM spamcheck.lookup"),
        "submit_ham|casino|Ann|192.0.2.1"
    );
}

#[test]
fn without_akismet_nobody_is_told() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body, ip) VALUES ('casino', '192.0.2.1'), ('buy', '192.0.2.1')",
    );
    call(&mut site, "not_spam(1)");
    call(&mut site, "report_spam('comments', '2')");
    site.run("UPDATE comments SET status = CASE id WHEN 1 THEN 'spam' ELSE 'approved' END");
    assert_eq!(queue(&mut site), "");
    assert_eq!(
        site.ask("SELECT DISTINCT spamcheck.report_spam('comments', '1') ->> 'akismet' IS NULL FROM comments"),
        "t"
    );
}
