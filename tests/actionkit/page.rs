//! "Trial Mode", "More Details", "How Spam Checking Works" and "Spam Check Settings" of the page.

use serde_json::json;
use support::akismet::SPAM;
use support::http::Reply;

use crate::campaign::{Action, Campaign, by, from, saying, spam, with};

#[test]
fn by_default_suspect_actions_are_only_logged() {
    let mut campaign = Campaign::new();
    assert_eq!(campaign.status(&spam()), "complete");
    campaign.site.until_all_answered();
    assert_eq!(campaign.get("SELECT status FROM core_action"), "complete");
    assert_eq!(campaign.site.log(), ["akismet spam flagged"]);
}

#[test]
fn spam_checking_may_be_disabled_completely() {
    let mut campaign = Campaign::new();
    campaign.policy("mode = 'off'");
    assert_eq!(campaign.status(&spam()), "complete");
    campaign.run("SELECT spamcheck.unprotect('core_action')");
    assert_eq!(campaign.status(&spam()), "complete");
    assert_eq!(campaign.get("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    assert_eq!(campaign.site.requests().len(), 0);
}

#[test]
fn a_trial_shows_what_would_be_caught_and_checks_can_be_made_stricter_and_looser_meanwhile() {
    let mut campaign = Campaign::new();
    campaign.check("akismet", "enabled = false");
    campaign.check("content", "enabled = true");
    campaign.status(&saying("see http://pills.example"));
    // Too lax: it misses this one.
    campaign.status(&saying("cheap pills"));
    campaign.run("SELECT spamcheck.import_list('actionkit_banned_words', 'pills', 'words')");
    campaign.status(&saying("cheap pills"));
    // Too strict: a petition about them.
    campaign.run("DELETE FROM spamcheck.list_entry WHERE value = 'pills'");
    campaign.status(&saying("no more pills"));
    assert_eq!(campaign.site.log(), ["content spam flagged", "content spam flagged"]);
    assert_eq!(campaign.get("SELECT count(*) FROM core_action WHERE status <> 'complete'"), "0");
    // Then the switch is turned.
    campaign.policy("mode = 'enforce'");
    assert_eq!(campaign.status(&saying("see http://pills.example")), "spam");
}

#[test]
fn each_check_is_switched_on_by_itself() {
    let mut campaign = Campaign::suppressing();
    let enabled =
        "SELECT string_agg(check_name, ' ' ORDER BY check_name) FROM spamcheck.check_setting
                    WHERE policy = 'actions' AND enabled";
    assert_eq!(campaign.get(enabled), "akismet rate_limit");
    campaign.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_block', '192.0.2.66'), ('email_block', '@bulk')",
    );
    let link = saying("http://pills.example");
    let tries = |campaign: &mut Campaign| {
        [&spam(), &link, &by("x@bulk.example"), &from("192.0.2.66")].map(|a| campaign.status(a))
    };
    assert_eq!(tries(&mut campaign), ["spam", "complete", "complete", "complete"]);
    campaign.check("akismet", "enabled = false");
    campaign.check("content", "enabled = true");
    assert_eq!(tries(&mut campaign), ["complete", "spam", "complete", "complete"]);
    campaign.check("content", "enabled = false");
    campaign.check("email_pattern", "enabled = true");
    assert_eq!(tries(&mut campaign), ["complete", "complete", "spam", "complete"]);
    campaign.check("email_pattern", "enabled = false");
    campaign.check("ip_block", "enabled = true");
    assert_eq!(tries(&mut campaign), ["complete", "complete", "complete", "spam"]);
}

#[test]
fn a_hit_blocks_neither_its_address_nor_its_email_for_others() {
    let mut campaign = Campaign::suppressing();
    for check in ["ip_block", "email_pattern"] {
        campaign.check(check, "enabled = true");
    }
    assert_eq!(campaign.status(&spam()), "spam");
    assert_eq!(campaign.status(&Action::default()), "complete", "the same address and e-mail");
    let listed =
        "SELECT count(*) FROM spamcheck.list_entry WHERE list IN ('ip_block', 'email_block')";
    assert_eq!(campaign.get(listed), "0");
}

#[test]
fn a_narrow_content_check_may_be_set_up_for_a_short_time() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    campaign.check("rate_limit", "enabled = false");
    campaign.run(
        "INSERT INTO spamcheck.list_entry (list, value, expires_at)
         VALUES ('actionkit_banned_words', 'raffle ticket', clock_timestamp() + interval '2 seconds')",
    );
    assert_eq!(campaign.status(&saying("Win with a raffle ticket!")), "spam");
    support::wait::until(crate::site::SOON, "the end of the check", || {
        campaign.status(&saying("Win with a raffle ticket!")) == "complete"
    });
}

#[test]
fn the_threat_score_is_adjusted_up_or_down() {
    let mut campaign = Campaign::suppressing();
    campaign.check("akismet", "action = 'score', score = 4");
    campaign.check("content", "enabled = true, action = 'score', score = 3");
    let both = saying(&format!("{SPAM} http://pills.example"));
    campaign.policy("moderate_at = NULL, spam_at = 7");
    assert_eq!([&spam(), &both].map(|action| campaign.status(action)), ["complete", "spam"]);
    assert_eq!(campaign.log("total_score")[..2], ["7", "7"]);
    campaign.policy("spam_at = 8");
    assert_eq!(campaign.status(&both), "complete");
    campaign.policy("spam_at = 4");
    assert_eq!(campaign.status(&spam()), "spam");
}

#[test]
fn actions_are_checked_once_they_are_valid_and_before_anything_is_sent_about_them() {
    let mut campaign = Campaign::suppressing();
    // An action that is not valid is no business of the checks: it leaves no trace.
    let invalid = Action { email: "nobody".into(), ..spam() };
    let error = campaign.act(&invalid).expect_err("it is not valid");
    assert_eq!(error.constraint(), Some("core_action_email_check"));
    assert_eq!(campaign.get("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    // The app that would confirm it reads in the same statement that it is spam.
    campaign.run("BEGIN");
    assert_eq!(campaign.status(&spam()), "spam");
    assert_eq!(campaign.status(&Action::default()), "complete");
    campaign.run("COMMIT");
    assert_eq!(campaign.site.log(), ["akismet spam suppressed"]);
}

#[test]
fn a_time_limit_lets_the_action_go_on_and_a_second_pass_catches_it() {
    let mut campaign = Campaign::new();
    campaign.policy("mode = 'enforce'");
    // The limit of the preset, and an Akismet that takes longer for its first answer.
    let limit = "SELECT mode || ' ' || wait_ms FROM (SELECT options ->> 'mode' AS mode,
        coalesce(options ->> 'wait_ms', (SELECT o ->> 'default' FROM spamcheck.checks, jsonb_array_elements(options) o
                                          WHERE name = 'akismet' AND o ->> 'name' = 'wait_ms')) AS wait_ms
        FROM spamcheck.check_setting WHERE policy = 'actions' AND check_name = 'akismet') o";
    assert_eq!(campaign.get(limit), "wait 1500");
    campaign.options("akismet", &json!({"wait_ms": 50}));
    let silent = campaign.site.answer(SPAM, Reply::silence());
    assert_eq!(campaign.status(&spam()), "complete");
    assert_eq!(campaign.get("SELECT count(*) FROM spamcheck.lookup"), "1");
    silent.off();
    campaign.site.until("SELECT status FROM core_action", "spam");
    assert_eq!(campaign.site.log(), ["akismet spam suppressed"]);
}

#[test]
fn only_the_page_types_to_check_are_checked_and_others_can_be_added() {
    let mut campaign = Campaign::suppressing();
    assert_eq!(
        campaign.get("SELECT types FROM spamcheck.policy WHERE name = 'actions'"),
        r#"["petition","letter","signup","survey"]"#
    );
    let on = |campaign: &mut Campaign, page| campaign.status(&Action { page, ..spam() });
    for page in ["Petition", "Letter", "Signup", "Survey"] {
        assert_eq!(on(&mut campaign, page), "spam", "{page}");
    }
    assert_eq!(on(&mut campaign, "Donation"), "complete");
    assert_eq!(campaign.site.requests().len(), 4, "the donation is not looked at");
    campaign.policy("types = types || '{donation}'");
    assert_eq!(on(&mut campaign, "Donation"), "spam");
}

#[test]
fn suppressed_actions_are_marked_and_reports_leave_them_out_by_their_status() {
    let mut campaign = Campaign::suppressing();
    let report = "SELECT count(*) FROM core_action WHERE status = 'complete'";
    assert_eq!(campaign.status(&spam()), "spam");
    assert_eq!(campaign.status(&saying("Keep it!")), "complete");
    assert_eq!(campaign.get(report), "1");
    // Switched off again, they are logged and counted.
    campaign.policy("mode = 'trial'");
    assert_eq!(campaign.status(&spam()), "complete");
    campaign.site.until_all_answered();
    assert_eq!(campaign.get(report), "2");
    assert_eq!(campaign.log("outcome"), ["flagged", "suppressed"]);
}

#[test]
fn akismet_is_asked_about_an_action_with_all_that_was_typed() {
    let mut campaign = Campaign::suppressing();
    let mut action = with("city", &json!("Bath"));
    action.columns["custom"] = json!({"comment": "Keep it open!"});
    assert_eq!(campaign.status(&action), "complete");
    let requests = campaign.site.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    let content = request.param("comment_content").expect("the text");
    assert!(content.contains("Bath") && content.contains("Keep it open!"), "{content}");
    assert_eq!(request.param("comment_author_email").as_deref(), Some("ann@mail.example"));
    assert_eq!(request.param("user_ip").as_deref(), Some("203.0.113.5"));
    // Off, it is not.
    campaign.check("akismet", "enabled = false");
    assert_eq!(campaign.status(&spam()), "complete");
    assert_eq!(campaign.site.requests().len(), 1);
}
