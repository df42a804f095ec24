//! What moderators decide, as a panel of theirs would ask for it: what becomes of the row, of its findings,
//! of the next moderator, and what Akismet is to be told. Who may decide is for tests/roles.rs to prove, and
//! what subscribers get of it for tests/subscribers.rs.

#[path = "moderation/approve.rs"]
mod approve;
#[path = "moderation/block_from_log.rs"]
mod block_from_log;
#[path = "moderation/deferred.rs"]
mod deferred;
#[path = "moderation/delete_spam.rs"]
mod delete_spam;
#[path = "moderation/keys.rs"]
mod keys;
#[path = "moderation/not_spam.rs"]
mod not_spam;
#[path = "moderation/obstacles.rs"]
mod obstacles;
#[path = "moderation/present.rs"]
mod present;
#[path = "moderation/rejected.rs"]
mod rejected;
#[path = "moderation/report_spam.rs"]
mod report_spam;
#[path = "statements/site.rs"]
mod site;
#[path = "moderation/staff.rs"]
mod staff;
#[path = "moderation/tables.rs"]
mod tables;
#[path = "moderation/told.rs"]
mod told;
#[path = "moderation/two.rs"]
mod two;

use site::Site;

/// A body that moderates, beside the word that suppresses.
fn site() -> Site {
    let mut site = Site::new();
    site.run(
        "INSERT INTO spamcheck.list (name, kind) VALUES ('doubtful', 'regex');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('doubtful', 'maybe');
         UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate', options = '{\"body\": [\"doubtful\"]}'
          WHERE check_name = 'wordfilter'",
    );
    site
}

/// Calls a function about the newest log entry; its answer's keys `status` and `row`.
#[track_caller]
fn call(site: &mut Site, call: &str) -> String {
    site.ask(&format!("SELECT a ->> 'status', a ->> 'row' FROM (SELECT spamcheck.{call} AS a) x"))
}

/// The id of the oldest log entry.
fn first(site: &mut Site) -> String {
    site.ask("SELECT min(id) FROM spamcheck.spam_checklog")
}

/// The log as `check outcome`, reversed ones with who did it, oldest first.
fn outcomes(site: &mut Site) -> String {
    site.ask(
        "SELECT string_agg(check_name || ' ' || outcome || coalesce(' by ' || reversed_by || CASE WHEN reversed \
            AND reversed_at <= now() THEN '' ELSE '?' END, ''), ', ' ORDER BY id) FROM spamcheck.spam_checklog",
    )
}
