//! delete_spam: the row goes, the log stays.

use postgres::error::SqlState;

use crate::site::refused;
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
