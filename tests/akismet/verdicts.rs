//! What an answer does to the row and the log: modes, actions, local findings beside it, trial mode.

use crate::site::{Site, World};

const SPAM: &str = "akismet-guaranteed-spam";

fn site(options: &str) -> Site<'static> {
    World::shared().site(options)
}

#[test]
fn an_async_row_goes_in_as_it_is_and_becomes_spam_when_akismet_says_so() {
    let mut site = site("{}");
    let row = site
        .client
        .query_one(
            "INSERT INTO comments (author, email, url, ip, user_agent, body)
             VALUES ('Zoë', 'z@example.org', 'https://z.example/', '203.0.113.7', 'Agent',
                     'akismet-guaranteed-spam') RETURNING id, status",
            &[],
        )
        .expect("it is taken");
    let (id, status): (i64, String) = (row.get(0), row.get(1));
    assert_eq!(status, "approved");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
    let entry = site.get(
        "SELECT (SELECT to_jsonb(l) FROM spamcheck.recent l)
                - '{id,logged_at,submission_id,detail,why,score,total_score}'::text[]",
    );
    let entry: serde_json::Value = serde_json::from_str(&entry).expect("jsonb is JSON");
    let expected = serde_json::json!({
        "relation": "public.comments", "row_key": {"id": id}, "policy": "default",
        "check_name": "akismet", "action": "spam", "outcome": "suppressed", "allowed": false,
        "author": "Zoë", "email": "z@example.org", "ip": "203.0.113.7", "url": "https://z.example/",
        "user_agent": "Agent", "page": null, "comment": SPAM, "submission": null,
        "reversed": false, "reversed_at": null, "reversed_by": null
    });
    assert_eq!(entry, expected);
    let guid = site.get("SELECT detail->>'guid' FROM spamcheck.recent");
    assert_eq!(guid.len(), 32, "Akismet's name of the check is kept: {guid}");
}

#[test]
fn ham_changes_nothing_and_leaves_nothing() {
    let mut site = site("{}");
    let id = site.comment("lovely day");
    site.until_asked("lovely", 1);
    site.until_all_answered();
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), [""; 0]);
    assert_eq!(site.get("SELECT ctid FROM comments"), "(0,1)", "the row was not even updated");
}

#[test]
fn a_held_row_waits_as_moderate_and_gets_its_own_status_back() {
    let mut site = site(r#"{"mode": "hold"}"#);
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_status_check");
    let hold = site.answer("", support::http::Reply::status(503));
    for (own, body) in [("approved", "ham one"), ("featured", "ham two"), ("approved", SPAM)] {
        let insert = "INSERT INTO comments (ip, body, status) VALUES ('203.0.113.7', $1, $2)
                      RETURNING status";
        let status: String = site.client.query_one(insert, &[&body, &own]).expect("taken").get(0);
        assert_eq!(status, "pending");
    }
    hold.off();
    site.until_all_answered();
    let statuses = site.get("SELECT string_agg(status, ' ' ORDER BY id) FROM comments");
    assert_eq!(statuses, "approved featured spam");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn several_status_columns_come_back_together() {
    let mut site = World::shared().bare_site(r#"{"mode": "hold"}"#);
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, body text, is_public boolean, is_removed boolean,
                                removed_at timestamptz, flag text);
         SELECT spamcheck.protect('comments', status =>
             '{\"ham\": {\"is_public\": true, \"is_removed\": false},
               \"moderate\": {\"is_public\": false, \"flag\": \"held\"},
               \"spam\": {\"is_removed\": true, \"removed_at\": \"$now\"}}')",
    );
    let insert = |site: &mut Site<'_>, body: &str| {
        let insert = "INSERT INTO comments (body, is_public, is_removed) VALUES ($1, true, false)
                      RETURNING (is_public, flag)::text";
        let row = site.client.query_one(insert, &[&body]).expect("it is taken");
        assert_eq!(row.get::<_, String>(0), "(f,held)");
    };
    insert(&mut site, "ham");
    insert(&mut site, SPAM);
    site.until_all_answered();
    let ham = "SELECT (is_public, is_removed, removed_at, flag)::text FROM comments WHERE id = 1";
    assert_eq!(site.get(ham), "(t,f,,)");
    let spam =
        "SELECT is_removed AND removed_at > now() - interval '1 minute' FROM comments WHERE id = 2";
    assert_eq!(site.get(spam), "true");
}

#[test]
fn what_a_local_check_moderated_stays_so_after_ham_and_becomes_spam_after_spam() {
    for mode in ["async", "hold"] {
        let mut site = site(&format!(r#"{{"mode": "{mode}"}}"#));
        site.run(
            "UPDATE spamcheck.check_setting SET action = 'moderate', options = '{\"over\": 0}'
              WHERE check_name = 'links'",
        );
        let ham = site.comment("see https://one.example/ please");
        let spam = site.comment("see https://two.example/ akismet-guaranteed-spam");
        assert_eq!((site.status(ham), site.requests().len() <= 2), ("pending".into(), true));
        site.until_all_answered();
        assert_eq!(
            (site.status(ham), site.status(spam)),
            ("pending".into(), "spam".into()),
            "{mode}"
        );
        let mut log = site.log();
        log.sort();
        let links = "links moderate moderated";
        assert_eq!(log, ["akismet spam suppressed", links, links], "{mode}");
        let submissions = "SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog";
        assert_eq!(site.get(submissions), "2", "all findings on a row have one submission_id");
    }
}

#[test]
fn nobody_is_asked_about_what_is_spam_already() {
    let mut site = site("{}");
    site.run(
        "INSERT INTO spamcheck.list (name, kind) VALUES ('w_bad', 'word'), ('w_worse', 'word');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('w_bad', 'casino'), ('w_worse', 'exploit');
         UPDATE spamcheck.check_setting SET action = 'spam', enabled = true, options = '{\"lists\": [\"w_bad\"]}'
          WHERE check_name = 'content'",
    );
    let spam = site.comment("my casino");
    site.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    let rejected = site.client.execute("INSERT INTO comments (body) VALUES ('a casino')", &[]);
    assert!(rejected.is_err());
    // The marker is asked about after them.
    site.comment("the marker");
    site.until_asked("the marker", 1);
    site.until_all_answered();
    assert_eq!(site.status(spam), "spam");
    assert_eq!(site.requests_about("casino").len(), 0);
}

#[test]
fn each_action_does_what_its_name_says() {
    let mut site = site("{}");
    site.run("UPDATE spamcheck.policy SET moderate_at = 5, spam_at = 10, reject_at = NULL");
    for (action, score, status, log) in [
        ("log", 0.0, "approved", "akismet log flagged"),
        ("score", 4.0, "approved", "akismet score flagged"),
        ("score", 5.0, "pending", "akismet score moderated"),
        ("score", 10.0, "spam", "akismet score suppressed"),
        ("challenge", 0.0, "pending", "akismet challenge moderated"),
        ("moderate", 0.0, "pending", "akismet moderate moderated"),
        ("spam", 0.0, "spam", "akismet spam suppressed"),
        ("reject", 0.0, "spam", "akismet reject suppressed"),
    ] {
        site.run(&format!(
            "UPDATE spamcheck.check_setting SET action = '{action}', score = {score} WHERE check_name = 'akismet';
             DELETE FROM spamcheck.spam_checklog"
        ));
        let id = site.comment(SPAM);
        site.until_all_answered();
        assert_eq!(site.status(id), status, "{action} {score}");
        assert_eq!(site.log(), [log], "{action} {score}");
    }
}

#[test]
fn scores_of_local_checks_and_akismet_add_up() {
    let mut site = site("{}");
    site.run(
        "UPDATE spamcheck.policy SET moderate_at = 5, spam_at = 10;
         UPDATE spamcheck.check_setting SET action = 'score', score = 4 WHERE check_name = 'akismet';
         UPDATE spamcheck.check_setting SET action = 'score', score = 2, options = '{\"over\": 0}'
          WHERE check_name = 'links'",
    );
    let id = site.comment("https://one.example/ akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "pending", "2 + 4 reaches 5");
    let totals =
        "SELECT string_agg(total_score::text, ' ' ORDER BY id) FROM spamcheck.spam_checklog";
    assert_eq!(site.get(totals), "2 6");
}

#[test]
fn trial_mode_asks_and_logs_but_touches_no_row() {
    for mode in ["async", "hold"] {
        let mut site = site(&format!(r#"{{"mode": "{mode}"}}"#));
        site.run("UPDATE spamcheck.policy SET mode = 'trial'");
        let id = site.comment(SPAM);
        assert_eq!(site.status(id), "approved");
        site.until_asked(SPAM, 1);
        site.until_all_answered();
        assert_eq!(site.status(id), "approved");
        assert_eq!(site.log(), ["akismet spam flagged"], "{mode}");
        assert_eq!(site.get("SELECT ctid FROM comments"), "(0,1)", "nobody updated the row");
    }
}

#[test]
fn a_table_without_status_column_has_its_verdict_in_the_log() {
    let mut site = World::shared().bare_site(r#"{"mode": "hold"}"#);
    site.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, body text);
         SELECT spamcheck.protect('notes', status => '{}');
         INSERT INTO notes (body) VALUES ('akismet-guaranteed-spam')",
    );
    site.until_all_answered();
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn what_a_policy_stopped_asking_about_waits_until_it_asks_again() {
    let mut site = site("{}");
    let failing = site.answer("", support::http::Reply::status(500));
    let id = site.comment(SPAM);
    site.until_asked(SPAM, 1);
    site.run("UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'akismet'");
    failing.off();
    site.run("SELECT spamcheck.retry_lookups()");
    site.until(
        "SELECT last_error FROM spamcheck.lookup",
        "check akismet of policy \"default\" is off",
    );
    assert_eq!(site.status(id), "approved");
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'akismet';
         SELECT spamcheck.retry_lookups()",
    );
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
}

#[test]
fn types_that_the_policy_does_not_check_are_not_asked_about() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE actions (id serial PRIMARY KEY, type text, body text);
         SELECT spamcheck.protect('actions', status => '{}');
         UPDATE spamcheck.policy SET types = '{letter}';
         INSERT INTO actions (type, body) VALUES ('petition', 'a petition'), ('Letter', 'a letter')",
    );
    site.until_asked("a letter", 1);
    site.until_all_answered();
    assert_eq!(site.requests().len(), 1);
}

#[test]
fn a_provisional_ham_is_asked_about_again_and_may_turn() {
    let mut site = site("{}");
    let provisional = site.answer(
        "provisional",
        support::http::Reply::text("false").header("X-akismet-recheck-after", "2"),
    );
    let turns = site.comment("provisional akismet-guaranteed-spam");
    let human = site.comment("provisional akismet-guaranteed-spam, but a moderator knows better");
    site.until_asked("provisional", 2);
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE state = 'queued'", "2");
    assert_eq!(site.status(turns), "approved");
    provisional.off();
    site.run(&format!("UPDATE comments SET status = 'pending' WHERE id = {human}"));
    site.until_all_answered();
    assert_eq!((site.status(turns), site.status(human)), ("spam".into(), "pending".into()));
    let requests = site.requests();
    // What the moderator decided is not asked about any more.
    assert_eq!(requests.len(), 3);
    assert!(requests[2].at - requests[1].at >= std::time::Duration::from_millis(1_900));
    // A second provisional answer is final.
    site.answer(
        "again",
        support::http::Reply::text("false").header("X-akismet-recheck-after", "1"),
    );
    site.comment("again and again");
    site.until_all_answered();
    assert_eq!(site.requests_about("again and again").len(), 2);
}
