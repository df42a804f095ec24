//! Two moderators at once: one decides, the other waits and is told.

use std::time::Duration;

use postgres::Client;
use support::wait;

use crate::site::{Site, ask, run};
use crate::{outcomes, site};

/// Two moderators of their own names.
fn moderators(site: &mut Site) -> [(String, Client); 2] {
    ["ann", "bob"].map(|name| {
        let role = site.role(name);
        site.run(&format!("SELECT spamcheck.grant_access('{role}', 'moderator')"));
        let client = site.db.client_as(&role);
        (role, client)
    })
}

/// Has the first decide and wait with the commit until the second waits for it; the second's answer.
fn race(site: &mut Site, first: &str, second: &str) -> (String, String) {
    let [(ann, mut one), (bob, mut two)] = moderators(site);
    run(&mut one, &format!("BEGIN; SELECT {first}"));
    let second = format!(
        "SELECT a ->> 'status', a ->> 'row', a ->> 'decided_by' FROM (SELECT {second} AS a) x"
    );
    let waiting = std::thread::spawn(move || ask(&mut two, &second));
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{bob}' AND wait_event_type = 'Lock'"
    );
    wait::until(Duration::from_secs(20), "the second to wait", || site.ask(&waits) == "1");
    run(&mut one, "COMMIT");
    (waiting.join().expect("the second is answered"), ann)
}

#[test]
fn of_two_that_take_it_back_the_second_is_told_who_was_first() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let (answer, ann) = race(&mut site, "spamcheck.not_spam(1)", "spamcheck.not_spam(1)");
    assert_eq!(answer, format!("already||{ann}"));
    assert_eq!(outcomes(&mut site), format!("content not_spam by {ann}"));
}

#[test]
fn who_deletes_what_another_has_just_restored_is_told() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let (answer, ann) = race(&mut site, "spamcheck.not_spam(1)", "spamcheck.delete_spam(1)");
    assert_eq!(answer, format!("already|unchanged|{ann}"));
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn who_restores_what_another_has_just_deleted_is_told() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let (answer, _) = race(&mut site, "spamcheck.delete_spam(1)", "spamcheck.not_spam(1)");
    assert_eq!(answer, "already|deleted|");
    assert_eq!(site.statuses(), "");
}

#[test]
fn a_rejected_row_is_inserted_once() {
    let mut site = site();
    site.check("content", "action = 'reject'");
    crate::site::refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')");
    let (answer, ann) = race(&mut site, "spamcheck.not_spam(1)", "spamcheck.not_spam(1)");
    assert_eq!(answer, format!("already||{ann}"));
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn of_two_reports_one_counts() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('buy')");
    let (answer, ann) = race(
        &mut site,
        "spamcheck.report_spam('comments', '1')",
        "spamcheck.report_spam('comments', '1')",
    );
    assert_eq!(answer, format!("already|unchanged|{ann}"));
    assert_eq!(
        site.ask("SELECT why FROM spamcheck.spam_checklog"),
        format!("{ann} reported it as spam")
    );
}

#[test]
fn a_plain_update_and_a_call_about_the_same_row_do_not_lock_each_other_out() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let [(_, mut ann), _] = moderators(&mut site);
    site.run("BEGIN; UPDATE comments SET status = 'approved'");
    let waiting =
        std::thread::spawn(move || ask(&mut ann, "SELECT spamcheck.not_spam(1) ->> 'status'"));
    let mut other = site.db.client();
    wait::until(Duration::from_secs(20), "the moderator to wait", || {
        ask(
            &mut other,
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%not_spam(1)%' AND wait_event_type = 'Lock'",
        ) == "1"
    });
    site.run("COMMIT");
    assert_eq!(waiting.join().expect("answered"), "already");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}
