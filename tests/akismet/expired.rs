//! What becomes of a row that was held for an answer which nobody gave in time: on_failure says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::akismet::Endpoint;
use support::cluster::ClusterOptions;
use support::http::{Reply, Server};
use support::wait;

use crate::gate::Gate;
use crate::site::{SOON, Site, World};

const SPAM: &str = "akismet-guaranteed-spam";
const STATES: &str =
    "SELECT string_agg(DISTINCT state || ' ' || (last_error <> ''), ', ') FROM spamcheck.lookup";

fn statuses(site: &mut Site<'_>) -> String {
    site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments")
}

#[test]
fn on_failure_says_what_becomes_of_rows_that_were_held_in_vain() {
    for (on_failure, left) in [(r#""accept""#, "approved"), (r#""hold""#, "pending")] {
        let world = World::new(ClusterOptions::default());
        let mut site = world.site(&format!(r#"{{"mode": "hold", "on_failure": {on_failure}}}"#));
        // Most expire by the clock, since one at a time is asked; some as an attempt fails.
        world.akismet.always(Endpoint::CommentCheck.any(), Reply::text("invalid"));
        for n in 0..12 {
            site.comment(&format!("nobody answers {n}"));
        }
        assert_eq!(statuses(&mut site), "pending");
        site.ask_with(&format!(
            r#"{{"mode": "hold", "on_failure": {on_failure}, "give_up_after": "2 seconds"}}"#
        ));
        site.until(STATES, "expired true");
        site.until("SELECT string_agg(DISTINCT status, ' ') FROM comments", left);
        assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "12", "they stay");
        // Who is left to a person is in the log, once.
        let logged = if left == "pending" { "12" } else { "0" };
        site.until("SELECT count(*) FROM spamcheck.spam_checklog", logged);
        let health =
            "SELECT state || ' ' || message FROM spamcheck.health() WHERE item = 'lookups'";
        assert_eq!(site.get(health), "warning 0 waiting, 12 expired of kind akismet");
        // Who changes his mind about it frees them.
        if left == "pending" {
            site.ask_with(r#"{"mode": "hold", "on_failure": "accept"}"#);
            site.until("SELECT string_agg(DISTINCT status, ' ') FROM comments", "approved");
            site.until("SELECT waiting FROM spamcheck.stat_table", "0");
        }
    }
}

#[test]
fn a_row_about_which_akismet_will_not_say_anything_is_not_forgotten() {
    for (on_failure, status, waiting) in [("accept", "approved", "0"), ("hold", "pending", "1")] {
        let options = format!(r#"{{"mode": "hold", "on_failure": "{on_failure}"}}"#);
        let mut site = World::shared().site(&options);
        site.answer("", Reply::status(400));
        site.comment("no try would make it better");
        site.until(STATES, "failed true");
        site.until("SELECT status FROM comments", status);
        site.until("SELECT waiting FROM spamcheck.stat_table", waiting);
    }
    let mut site = World::shared()
        .site(r#"{"mode": "hold", "on_failure": "hold", "give_up_after": "1 second"}"#);
    site.run(
        "UPDATE spamcheck.check_setting SET action = 'log' WHERE check_name = 'content';
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    site.answer("", Reply::status(500));
    site.comment("a shadow has noted the casino");
    let log = ["content log flagged", "akismet moderate moderated"];
    wait::until(SOON, "the row in the log", || site.log() == log);
}

#[test]
fn an_answer_that_comes_after_all_ends_the_wait_for_a_person() {
    let mut site = World::shared()
        .site(r#"{"mode": "hold", "on_failure": "hold", "give_up_after": "1 second"}"#);
    let failing = site.answer("", Reply::status(500));
    site.comment("fine, after all");
    site.comment(SPAM);
    let waiting = "SELECT waiting FROM spamcheck.stat_table";
    site.until(waiting, "2");
    assert_eq!(site.log(), ["akismet moderate moderated", "akismet moderate moderated"]);
    failing.off();
    site.run("SELECT spamcheck.retry_lookups()");
    site.until_all_answered();
    assert_eq!(
        site.get("SELECT string_agg(status, ' ' ORDER BY id) FROM comments"),
        "approved spam"
    );
    assert_eq!(site.get(waiting), "0");
    let said = "SELECT outcome || ' ' || (why LIKE '%; the row has its own status again') FROM spamcheck.spam_checklog WHERE row_key ->> 'id' = '1'";
    assert_eq!(site.get(said), "flagged true");
}

#[test]
fn an_edit_that_is_answered_ends_the_wait_for_a_person() {
    let mut site = World::shared()
        .site(r#"{"mode": "hold", "on_failure": "hold", "give_up_after": "1 second"}"#);
    let failing = site.answer("", Reply::status(500));
    let id = site.comment("fine, but nobody says so");
    let waiting = "SELECT waiting FROM spamcheck.stat_table";
    site.until(waiting, "1");
    failing.off();
    site.run("UPDATE comments SET body = 'edited, and still fine'");
    site.until_all_answered();
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.get(waiting), "0");
}

#[test]
fn a_row_that_cannot_get_its_verdict_waits_for_a_person() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold", "on_failure": "hold"}"#);
    site.run(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF NEW.status <> OLD.status THEN RAISE EXCEPTION 'out of order'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER fails BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION fails()",
    );
    site.comment("cannot be written");
    let error = "SELECT count(*) FROM spamcheck.lookup WHERE last_error LIKE 'the verdict could not be written%'";
    site.until(error, "1");
    site.run("UPDATE spamcheck.lookup SET attempts = 19, next_at = now()");
    site.until("SELECT state FROM spamcheck.lookup", "failed");
    site.until("SELECT waiting FROM spamcheck.stat_table", "1");
    assert_eq!(site.log(), ["akismet moderate moderated"]);
    let why = "SELECT why LIKE '%verdict%out of order%' FROM spamcheck.spam_checklog";
    assert_eq!(site.get(why), "true");
}

#[test]
fn a_row_that_expired_as_an_attempt_failed_is_freed_and_a_retry_still_counts() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_status_check");
    site.run("SELECT spamcheck.protect('comments', status => '{\"column\":\"status\",\"moderate\":\"pending\",\"spam\":\"spam\"}')");
    let failing = site.answer("", Reply::status(500));
    site.run(&format!(
        "INSERT INTO comments (body, ip, status) VALUES ('{SPAM}', '203.0.113.7', 'featured'), ('fine', '203.0.113.7', 'quiet')"
    ));
    let statuses = "SELECT string_agg(status, ' ' ORDER BY id) FROM comments";
    assert_eq!(site.get(statuses), "pending pending");
    site.ask_with(r#"{"mode": "hold", "give_up_after": "1 second"}"#);
    site.until(statuses, "featured quiet");
    assert_eq!(site.get(STATES), "expired true");
    failing.off();
    site.run("SELECT spamcheck.retry_lookups()");
    site.until_all_answered();
    assert_eq!(site.get(statuses), "spam quiet");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn what_was_asked_for_a_policy_that_is_gone_is_given_up_all_the_same() {
    let mut site = World::shared().site("{}");
    site.run(
        "BEGIN; INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', 'hello');
         UPDATE spamcheck.lookup SET next_at = now() + interval '1 hour'; COMMIT;
         SELECT spamcheck.create_policy('new'); SELECT spamcheck.protect('comments', 'new');
         SELECT spamcheck.drop_policy('default')",
    );
    assert_eq!(site.get("SELECT state FROM spamcheck.lookup"), "queued");
    site.run(
        "UPDATE spamcheck.lookup SET created_at = now() - interval '16 days', next_at = now()",
    );
    site.until(STATES, "expired true");
    assert!(site.requests().is_empty());
}

#[test]
fn a_row_that_another_lookup_holds_is_freed_when_that_one_has_passed() {
    let (gate, pages) = (Gate::shared(), PagesThatWait::start());
    gate.cluster.set("pg_spamcheck.allow_private_hosts", "on");
    let text = "held by two";
    let mut site = gate.bare_site(r#"{"mode": "hold", "give_up_after": "2 seconds"}"#);
    site.run(
        "CREATE TABLE comments (id int PRIMARY KEY, type text, url text, permalink text, body text,
             status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments');
         UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'trackback_link'",
    );
    // Akismet fails until the lookup has expired, the page says nothing until then.
    gate.answer(text, Reply::status(500));
    site.run(&format!(
        "INSERT INTO comments VALUES (1, 'trackback', '{}', 'https://blog.example/7', '{text}')",
        pages.url()
    ));
    site.until(
        "SELECT state || ' ' || _held FROM spamcheck.lookup WHERE kind = 'akismet'",
        "expired false",
    );
    assert_eq!(statuses(&mut site), "pending", "its page is not read yet");
    pages.answer();
    site.until("SELECT status FROM comments", "approved");
    assert_eq!(site.get(STATES), "expired true");
}

/// A page that links to the article, given once that is wanted; until then the connection breaks off.
struct PagesThatWait {
    server: Server,
    ready: Arc<AtomicBool>,
}

impl PagesThatWait {
    fn start() -> Self {
        let ready = Arc::new(AtomicBool::new(false));
        let theirs = ready.clone();
        let server = Server::start(move |_| {
            if theirs.load(Ordering::Relaxed) {
                Reply::html("<a href=\"https://blog.example/7\">rye</a>")
            } else {
                Reply::status(503)
            }
        });
        Self { server, ready }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn answer(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_was_decided_or_edited_meanwhile_stays_as_it_is() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    world.akismet.always(Endpoint::CommentCheck.any(), Reply::text("invalid"));
    let [decided, gone, held] = ["decided", "gone", "held"].map(|body| site.comment(body));
    site.run(&format!(
        "UPDATE comments SET status = 'spam' WHERE id = {decided}; DELETE FROM comments WHERE id = {gone}"
    ));
    site.ask_with(r#"{"mode": "hold", "give_up_after": "3 seconds"}"#);
    site.until(&format!("SELECT status FROM comments WHERE id = {held}"), "approved");
    assert_eq!(site.status(decided), "spam");
    // The word about the one that is spam may have gone out before the key was refused, or may not.
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE kind = 'akismet'", "1");
}

#[test]
fn a_row_that_cannot_be_written_keeps_no_other_from_being_freed() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold", "give_up_after": "1 second"}"#);
    site.run(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF NEW.body = 'bad' THEN RAISE EXCEPTION 'out of order'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER fails BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION fails()",
    );
    let empty = world.cluster.write_secrets(&serde_json::json!({}));
    world.cluster.set("pg_spamcheck.secrets_file", &empty.display().to_string());
    site.until("SELECT akismet FROM spamcheck.stat_worker", "no key");
    let (bad, good) = (site.comment("bad"), site.comment("good"));
    site.until(&format!("SELECT status FROM comments WHERE id = {good}"), "approved");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error LIKE 'the row could not be given its own status back: out of order%'", "1");
    assert_eq!(site.status(bad), "pending");
    site.run("DROP TRIGGER fails ON comments; UPDATE spamcheck.lookup SET next_at = now()");
    world.cluster.restart();
    site.client = site.database.client();
    site.until(&format!("SELECT status FROM comments WHERE id = {bad}"), "approved");
}

#[test]
fn what_waits_for_a_check_that_is_off_is_said_by_health() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    world.akismet.go_down();
    site.comment("waits");
    let health = "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'lookups'";
    assert_eq!(site.get(health), "ok: 1 waiting, none failed");
    for off in [
        "UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'akismet'",
        "UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'akismet' AND policy = 'default';
         UPDATE spamcheck.policy SET mode = 'off'",
    ] {
        site.run(off);
        let told = site.get(health);
        let expected = "warning: 1 waiting, of which 1 for check akismet of policy \"default\", which is off (1 with a row that is held for it), none failed";
        assert_eq!(told, expected);
        let hint = site.get("SELECT hint FROM spamcheck.health() WHERE item = 'lookups'");
        assert!(hint.contains("spamcheck.check_setting") && hint.contains("approve"), "{hint}");
    }
    // What the hint says helps.
    site.run("SELECT spamcheck.approve('comments', '1')");
    assert_eq!(statuses(&mut site), "approved");
    site.run("DELETE FROM spamcheck.lookup");
    assert_eq!(site.get(health), "ok: 0 waiting, none failed");
}

#[test]
fn a_policy_that_is_dropped_has_no_lookups_left_and_health_tells_of_those_that_a_restore_leaves() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    world.akismet.go_down();
    site.comment("waits");
    site.run("SELECT spamcheck.create_policy('another')");
    let database = site.database.name().to_owned();
    let told = |statement: &str| {
        let output = world.cluster.psql_output(&database, "postgres", statement);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let notice = told("SELECT spamcheck.protect('comments', 'another')");
    assert!(
        notice.contains(
            "1 lookup of table public.comments will wait until policy \"another\" asks Akismet"
        ),
        "{notice}"
    );
    assert_eq!(told("SELECT spamcheck.drop_policy('default')"), "");
    // Each kind waits for a check of its own.
    site.run("UPDATE spamcheck.lookup SET kind = 'trackback_link'; SELECT spamcheck.create_policy('third')");
    site.run("UPDATE spamcheck.check_setting SET enabled = true, options = '{\"blog\": \"https://b.example/\"}' WHERE policy = 'third' AND check_name = 'akismet'");
    let notice = told("SELECT spamcheck.protect('comments', 'third')");
    assert!(
        notice.contains("will wait until policy \"third\" enables check trackback_link"),
        "{notice}"
    );
    site.run("UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'another' AND check_name = 'trackback_link'");
    let notice = told("SELECT spamcheck.protect('comments', 'another')");
    assert!(!notice.contains("will wait"), "{notice}");
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'trackback_link'",
    );
    site.run("UPDATE spamcheck.lookup SET kind = 'akismet'");
    let health = "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'lookups'";
    let told = site.get(health);
    let expected = "check akismet of policy \"another\", which is off";
    assert!(told.starts_with("warning: 1 waiting") && told.contains(expected), "{told}");
    site.run("UPDATE spamcheck.lookup SET policy = 'default'");
    let told = site.get(health);
    let expected = "of policy \"default\", which does not exist (1 with a row that is held for it)";
    assert!(told.starts_with("warning: 1 waiting") && told.contains(expected), "{told}");
}
