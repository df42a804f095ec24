//! From findings to a verdict: severity, scores and thresholds, shadows, types of submission.

use crate::site::{Site, refused};

/// A site with three rules that are set apart: the word casino, the address 10.0.0.1, more than one link.
fn site() -> Site {
    let mut site = Site::new();
    site.check("links", r#"options = '{"over": 1, "reject_over": null}'"#);
    site
}

const LINKS: &str = "http://a.example http://b.example";

fn status(site: &mut Site, ip: bool, body: &str) -> String {
    let ip = if ip { "'10.0.0.1'" } else { "NULL" };
    site.ask(&format!("INSERT INTO comments (ip, body) VALUES ({ip}, '{body}') RETURNING status"))
}

fn newest(site: &mut Site) -> String {
    site.ask(
        "SELECT check_name, action, outcome, score, total_score FROM spamcheck.spam_checklog l
          WHERE submission_id = (SELECT max(submission_id) FROM spamcheck.spam_checklog) ORDER BY \
          id",
    )
}

#[test]
fn the_most_severe_action_wins_and_every_finding_is_logged() {
    let mut site = site();
    let casino_links = format!("casino {LINKS}");
    assert_eq!(status(&mut site, false, &casino_links), "spam");
    assert_eq!(newest(&mut site), "content|spam|suppressed|0|0\nlinks|moderate|suppressed|0|0");
    site.check("content", "action = 'moderate'");
    assert_eq!(status(&mut site, false, &casino_links), "pending");
    assert_eq!(newest(&mut site), "content|moderate|moderated|0|0\nlinks|moderate|moderated|0|0");
    site.check("links", "action = 'challenge'");
    assert_eq!(status(&mut site, false, LINKS), "pending");
    // Nobody can be challenged yet: what was done is moderation.
    assert_eq!(newest(&mut site), "links|challenge|moderated|0|0");
    assert_eq!(status(&mut site, false, &casino_links), "pending");
    assert_eq!(newest(&mut site), "content|moderate|moderated|0|0\nlinks|challenge|moderated|0|0");
    site.check("links", "action = 'reject'");
    refused(
        &mut site.client,
        &format!("INSERT INTO comments (ip, body) VALUES ('10.0.0.1', '{casino_links}')"),
    );
    support::wait::until(std::time::Duration::from_secs(20), "the rejection in the log", || {
        newest(&mut site)
            == "ip_block|spam|rejected|0|0\ncontent|moderate|rejected|0|0\nlinks|reject|rejected|0|0"
    });
}

#[test]
fn scores_add_up_to_thresholds() {
    let mut site = site();
    for (check, score) in [("content", 3.0), ("ip_block", 2.0), ("links", 5.5)] {
        site.check(check, &format!("action = 'score', score = {score}"));
    }
    let both = format!("casino {LINKS}");
    assert_eq!(status(&mut site, false, "casino"), "approved");
    assert_eq!(newest(&mut site), "content|score|flagged|3|3");
    // 5 moderates, and a threshold is reached when it is equalled.
    assert_eq!(status(&mut site, true, "casino"), "pending");
    assert_eq!(newest(&mut site), "ip_block|score|moderated|2|5\ncontent|score|moderated|3|5");
    assert_eq!(status(&mut site, false, &both), "pending");
    assert_eq!(status(&mut site, true, &both), "spam");
    assert_eq!(
        newest(&mut site),
        "ip_block|score|suppressed|2|10.5\ncontent|score|suppressed|3|10.5\nlinks|score|suppressed|5.5|10.5"
    );
    site.policy("moderate_at = 3, spam_at = 5, reject_at = 10");
    assert_eq!(status(&mut site, false, "casino"), "pending");
    assert_eq!(status(&mut site, true, "casino"), "spam");
    refused(
        &mut site.client,
        &format!("INSERT INTO comments (ip, body) VALUES ('10.0.0.1', '{both}')"),
    );
    // NULL switches a threshold off; the others stand for themselves.
    site.policy("moderate_at = NULL, spam_at = NULL, reject_at = NULL");
    assert_eq!(status(&mut site, true, &both), "approved");
    site.policy("spam_at = 8");
    assert_eq!(status(&mut site, true, &both), "spam");
}

#[test]
fn a_threshold_and_an_action_give_the_more_severe_of_both() {
    let mut site = site();
    site.check("content", "action = 'score', score = 5");
    assert_eq!(status(&mut site, true, "casino"), "spam");
    assert_eq!(newest(&mut site), "ip_block|spam|suppressed|0|5\ncontent|score|suppressed|5|5");
    site.check("ip_block", "action = 'moderate'");
    site.policy("spam_at = 5");
    assert_eq!(status(&mut site, true, "casino"), "spam");
}

#[test]
fn only_findings_of_action_score_count_for_the_sum() {
    let mut site = site();
    site.check("content", "action = 'moderate', score = 100");
    site.check("links", "action = 'log', score = 100");
    assert_eq!(status(&mut site, false, &format!("casino {LINKS}")), "pending");
    assert_eq!(site.ask("SELECT DISTINCT total_score FROM spamcheck.spam_checklog"), "0");
}

#[test]
fn a_shadow_is_logged_and_does_nothing() {
    let mut site = site();
    site.check("content", "action = 'log'");
    assert_eq!(status(&mut site, false, "casino"), "approved");
    assert_eq!(newest(&mut site), "content|log|flagged|0|0");
    assert_eq!(status(&mut site, true, "casino"), "spam");
    assert_eq!(newest(&mut site), "ip_block|spam|suppressed|0|0\ncontent|log|flagged|0|0");
}

#[test]
fn an_allow_list_set_to_a_lesser_action_does_not_allow() {
    let mut site = site();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '10.0.0.1')");
    site.check("ip_block", "enabled = false");
    site.check("ip_allow", "action = 'log'");
    assert_eq!(status(&mut site, true, "casino"), "spam");
    assert_eq!(newest(&mut site), "ip_allow|log|flagged|0|0\ncontent|spam|suppressed|0|0");
    site.check("ip_allow", "action = 'allow'");
    assert_eq!(status(&mut site, true, "casino"), "approved");
}

#[test]
fn a_disabled_check_finds_nothing() {
    let mut site = site();
    site.check("content", "enabled = false");
    assert_eq!(status(&mut site, false, "casino"), "approved");
    site.run("UPDATE spamcheck.check_setting SET enabled = false");
    assert_eq!(status(&mut site, true, LINKS), "approved");
    assert_eq!(site.log(), "");
}

#[test]
fn only_the_types_of_a_policy_are_checked() {
    let mut site = site();
    site.run("ALTER TABLE comments ADD type text; SELECT spamcheck.protect('comments')");
    let statuses = |site: &mut Site| {
        let types = [
            "'comment'",
            "NULL",
            "''",
            "'Normal'",
            "'regular'",
            "'TrackBack'",
            "'pingback '",
            "'Petition'",
        ];
        types
            .map(|kind| {
                site.ask(&format!(
                    "INSERT INTO comments (type, body) VALUES ({kind}, \
            'casino') RETURNING status = 'spam'"
                ))
            })
            .join("")
    };
    assert_eq!(statuses(&mut site), "tttttttt", "NULL: all");
    site.policy("types = '{comment}'");
    assert_eq!(statuses(&mut site), "tttttfff");
    site.policy("types = '{trackback,pingback}'");
    assert_eq!(statuses(&mut site), "ffffftt".to_owned() + "f");
    site.policy("types = '{PETITION}'");
    assert_eq!(statuses(&mut site), "fffffff".to_owned() + "t");
    // Without a column every row is a comment, unless the mapping gives a value.
    site.run("ALTER TABLE comments DROP type");
    assert_eq!(status(&mut site, false, "casino"), "approved");
    site.run(
        r#"SELECT spamcheck.protect('comments', columns => '{"type": {"value": "petition"}}')"#,
    );
    assert_eq!(status(&mut site, false, "casino"), "spam");
}

#[test]
fn a_spam_or_reject_verdict_makes_no_lookup_and_milder_ones_do() {
    let mut site = site();
    site.check("akismet", r#"enabled = true, options = '{"blog": "https://blog.example/"}'"#);
    site.run(&format!(
        "INSERT INTO comments (ip, body) VALUES (NULL, 'casino'), (NULL, '{LINKS}'), (NULL, 'nice')"
    ));
    assert_eq!(site.ask("SELECT row_key ->> 'id' FROM spamcheck.lookup ORDER BY 1"), "2\n3");
    // The lookup knows the submission in the log.
    assert_eq!(
        site.ask(
            "SELECT submission_id = (SELECT submission_id FROM spamcheck.spam_checklog WHERE \
            row_key = l.row_key) FROM spamcheck.lookup l ORDER BY id"
        ),
        "t\n"
    );
}
