//! What Akismet was asked is kept for decisions: with its values of then, where the row goes, and not for
//! longer than it helps.

use support::akismet::SPAM;
use support::wait;

use crate::site::{SOON, Site, World};

fn checked(site: &mut Site<'_>) -> String {
    site.get(
        "SELECT string_agg(concat_ws(' ', c.row_key ->> 'id', c.result, c.submission ->> 'body', length(c.guid)), ', ' ORDER BY c.checked_at)
           FROM spamcheck._checked c",
    )
}

#[test]
fn every_answer_is_kept_with_what_was_asked_and_an_edit_replaces_it() {
    for mode in ["async", "hold", "wait"] {
        let options = format!(r#"{{"mode": "{mode}", "wait_ms": 20000}}"#);
        let mut site = World::shared().site(&options).with_worker();
        let ham = site.comment("a fine day");
        site.until_all_answered();
        let spam = site.comment(SPAM);
        site.until_all_answered();
        let both = format!("{ham} ham a fine day 32, {spam} spam {SPAM} 32");
        assert_eq!(checked(&mut site), both, "{mode}");
        site.run(&format!("UPDATE comments SET body = 'another day' WHERE id = {ham}"));
        site.until_all_answered();
        let both = format!("{spam} spam {SPAM} 32, {ham} ham another day 32");
        assert_eq!(checked(&mut site), both, "{mode}");
    }
}

#[test]
fn a_rolled_back_insert_leaves_nothing_and_a_rejected_one_what_was_asked() {
    let mut site = World::shared().site(r#"{"mode": "wait", "wait_ms": 20000}"#).with_worker();
    site.run(
        "BEGIN; INSERT INTO comments (body, ip) VALUES ('rolled back', '203.0.113.7'); ROLLBACK",
    );
    assert_eq!(checked(&mut site), "-");
    site.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'akismet'");
    let insert = format!("INSERT INTO comments (body, ip) VALUES ('{SPAM}', '203.0.113.7')");
    assert!(site.client.batch_execute(&insert).is_err());
    let kept = "SELECT concat_ws(' ', c.row_key, c.result, c.submission ->> 'body', length(c.guid),
                                 c.submission_id = (SELECT l.submission_id FROM spamcheck.spam_checklog l), c.submission ? 'row')
                  FROM spamcheck._checked c";
    assert_eq!(site.get(kept), format!("spam {SPAM} 32 t f"));
    // Dropped silently, it is the same; what the policy does not keep is not kept here either.
    site.run("UPDATE spamcheck.policy SET on_reject = 'drop'");
    site.run(&insert);
    assert_eq!(site.get("SELECT count(*) FROM spamcheck._checked"), "2");
    site.run("UPDATE spamcheck.policy SET keep = 'hash'");
    site.run(&insert);
    assert_eq!(site.get("SELECT count(*) FROM spamcheck._checked"), "2");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.spam_checklog"), "3");
}

#[test]
fn what_was_asked_survives_a_restart_and_goes_after_fifteen_days() {
    let world = World::new(support::cluster::ClusterOptions::default());
    let mut site = world.site("{}");
    for n in 0..4 {
        site.comment(&format!("number {n}"));
    }
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM spamcheck._checked"), "4");
    site.run(
        "UPDATE spamcheck._checked SET checked_at = now() - interval '15 days 1 hour' WHERE row_key = '{\"id\": 1}';
         UPDATE spamcheck._checked SET checked_at = now() - interval '14 days' WHERE row_key = '{\"id\": 2}';
         -- What belongs to no protection goes after a day.
         UPDATE spamcheck._checked SET protection = -1, checked_at = now() - interval '25 hours' WHERE row_key = '{\"id\": 3}';
         UPDATE spamcheck._checked SET protection = -1 WHERE row_key = '{\"id\": 4}'",
    );
    // A worker that starts looks within a minute or so.
    world.cluster.restart();
    site.client = site.database.client();
    wait::until(SOON * 4, "the old ones to go", || {
        site.get("SELECT count(*) FROM spamcheck._checked") == "2"
    });
    let left = "SELECT string_agg(row_key ->> 'id', ' ' ORDER BY row_key) FROM spamcheck._checked";
    assert_eq!(site.get(left), "2 4");
}
