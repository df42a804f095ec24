//! The Spam Check Log of the page, column by column.

use serde_json::json;

use crate::campaign::{Action, Campaign, by, from, saying};

#[test]
fn an_entry_has_time_check_email_comment_page_and_why() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    campaign.status(&Action { page: "Letter", ..saying("Visit http://pills.example!") });
    let entry =
        "SELECT concat_ws('|', check_name, email, comment, page, why) FROM spamcheck.recent";
    // The comment is the custom field of that name, not all that was typed.
    assert_eq!(
        campaign.get(entry),
        "content|ann@mail.example|Visit http://pills.example!|Write to them|banned word \"http\" in fields.custom.comment"
    );
    let at_its_time = "SELECT l.logged_at BETWEEN a.created_at AND clock_timestamp() FROM spamcheck.recent l, core_action a";
    assert_eq!(campaign.get(at_its_time), "true");
}

#[test]
fn an_entry_leads_to_the_action_and_so_to_its_user() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    campaign.status(&Action::default());
    campaign.status(&saying("http://pills.example"));
    let action = "SELECT a.id || ' ' || a.status FROM spamcheck.recent l
                    JOIN core_action a ON l.relation = 'public.core_action' AND l.row_key ->> 'id' = a.id::text";
    assert_eq!(campaign.get(action), "2 spam");
}

#[test]
fn the_outcome_tells_suppressed_from_flagged_and_allowed() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    campaign.check("ip_allow", "enabled = true");
    campaign.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.7')");
    let link = saying("http://pills.example");
    campaign.status(&link);
    campaign.policy("mode = 'trial'");
    // "This action matched spam filters, but was not suppressed."
    campaign.status(&link);
    campaign.policy("mode = 'enforce'");
    // In the allow list: a green mark, whatever else matched.
    campaign.status(&Action { ip: "192.0.2.7", ..link });
    let log = campaign.log("check_name || ' ' || outcome || ' ' || allowed");
    assert_eq!(
        log,
        [
            "content allowed true",
            "ip_allow allowed true",
            "content flagged false",
            "content suppressed false"
        ]
    );
}

#[test]
fn an_allowed_address_alone_is_no_entry() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("ip_allow", "enabled = true");
    campaign.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.7')");
    campaign.status(&from("192.0.2.7"));
    assert_eq!(campaign.get("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
}

#[test]
fn nothing_is_reversed_until_somebody_reverses_it() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    campaign.status(&saying("http://pills.example"));
    assert_eq!(campaign.log("row(reversed, reversed_at, reversed_by)"), ["(f,,)"]);
}

#[test]
fn every_check_that_matched_has_its_entry_and_the_latest_comes_first() {
    let mut campaign = Campaign::without_akismet();
    for check in ["content", "email_pattern", "ip_block"] {
        campaign.check(check, "enabled = true");
    }
    campaign.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '@bulk')");
    campaign.status(&Action { email: "x@bulk.example".into(), ..saying("http://pills.example") });
    campaign.status(&by("y@bulk.example"));
    assert_eq!(
        campaign.log("check_name || ' ' || email"),
        ["email_pattern y@bulk.example", "content x@bulk.example", "email_pattern x@bulk.example"]
    );
    let sorted = "SELECT bool_and(later) FROM (SELECT logged_at <= lag(logged_at, 1, 'infinity') OVER () AS later
                    FROM spamcheck.recent) r";
    assert_eq!(campaign.get(sorted), "true");
}

#[test]
fn a_comment_among_other_custom_fields_is_found_in_any_spelling() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    for (custom, comment) in [
        (json!({"age": "7", "Comment": "http"}), "http"),
        (json!({"about": "http", "zip": "1"}), "http\n1"),
    ] {
        let mut action = Action::default();
        action.columns["custom"] = custom;
        campaign.status(&action);
        assert_eq!(campaign.log("comment")[0], comment);
    }
}
