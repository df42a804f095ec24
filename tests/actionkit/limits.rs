//! "Ratelimit Actions" of the page.

use serde_json::{Value as Json, json};

use crate::campaign::{Action, Campaign, PROTECT, from};
use crate::site::SOON;

const SORRY: &str = "Sorry, please wait a minute and try again";

/// One try, and then none for an hour.
fn one(campaign: &mut Campaign) {
    campaign.options("rate_limit", &json!({"max": 1, "per": "1 hour", "block": "1 hour"}));
}

#[test]
fn over_twenty_actions_a_minute_from_one_address_are_blocked_on_all_page_types() {
    let mut campaign = Campaign::without_akismet();
    for n in 0..20 {
        let page = ["Petition", "Donation"][n % 2];
        assert_eq!(campaign.status(&Action { page, ..Action::default() }), "complete", "try {n}");
    }
    for page in ["Donation", "Letter"] {
        let error = campaign.act(&Action { page, ..Action::default() }).expect_err("it is blocked");
        assert_eq!((error.message(), error.constraint()), (SORRY, Some("spamcheck_rate_limit")));
    }
    assert_eq!(campaign.status(&from("203.0.113.6")), "complete", "another address");
    assert_eq!(campaign.get("SELECT count(*) FROM core_action"), "21", "the refused are not saved");
}

#[test]
fn an_api_is_told_too_many_requests_and_when_to_come_again() {
    let mut campaign = Campaign::without_akismet();
    campaign.options("rate_limit", &json!({"max": 0}));
    let error = campaign.act(&Action::default()).expect_err("it is blocked");
    let detail: Json = serde_json::from_str(error.detail().expect("a detail")).expect("JSON");
    assert_eq!(
        detail,
        json!({"code": "spamcheck_rate_limit", "relation": "public.core_action", "retry_after": 60}),
        "a minute's block, as by default"
    );
}

#[test]
fn the_block_is_lifted_after_its_time() {
    let mut campaign = Campaign::without_akismet();
    campaign.options("rate_limit", &json!({"max": 1, "per": "1 second", "block": "1 second"}));
    assert!(campaign.act(&Action::default()).is_ok());
    let blocked = campaign.act(&Action::default()).expect_err("it is blocked");
    assert_eq!(blocked.message(), SORRY);
    support::wait::until(SOON, "the end of the block", || campaign.act(&Action::default()).is_ok());
}

#[test]
fn submissions_in_bulk_with_credentials_are_not_limited() {
    let mut campaign = Campaign::without_akismet();
    one(&mut campaign);
    let role = format!("bulk_{}", campaign.site.database.name());
    campaign.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT INSERT ON core_action TO {role};
         GRANT USAGE ON SEQUENCE core_action_id_seq TO {role}"
    ));
    campaign.check("bypass", &format!(r#"enabled = true, options = '{{"db_roles": ["{role}"]}}'"#));
    let mut bulk = campaign.site.database.client_as(&role);
    let insert = "INSERT INTO core_action (page_id, ip_address) VALUES (1, '203.0.113.5')";
    for _ in 0..30 {
        assert_eq!(bulk.execute(insert, &[]).expect("it is not limited"), 1);
    }
    assert!(campaign.act(&Action::default()).is_ok(), "nor does it use up what others have");
    assert!(campaign.act(&Action::default()).is_err());
}

#[test]
fn a_request_may_pass_the_users_address_through() {
    let mut campaign = Campaign::without_akismet();
    one(&mut campaign);
    // X-AK-User-IP: the app says it for its transaction, and it is stored with the action.
    campaign.run(
        "ALTER TABLE core_action ALTER ip_address SET DEFAULT nullif(current_setting('pg_spamcheck.ip', true), '')",
    );
    let mut passed_on = |ip: &str| {
        let insert = format!(
            "BEGIN; SET LOCAL pg_spamcheck.ip = '{ip}'; INSERT INTO core_action (page_id) VALUES (1); COMMIT"
        );
        let sent = campaign.site.client.batch_execute(&insert);
        campaign.site.run("ROLLBACK");
        sent.is_ok()
    };
    assert_eq!(["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(&mut passed_on), [true, false, true]);
    let stored = "SELECT string_agg(ip_address, ' ' ORDER BY id) FROM core_action";
    assert_eq!(campaign.get(stored), "192.0.2.1 192.0.2.2");
    // Where the table has no column for it, the setting alone does.
    campaign.run(&PROTECT.replace(r#""author""#, r#""ip": null, "author""#));
    let mut passed_on = |ip: &str| {
        campaign.run(&format!("SET pg_spamcheck.ip = '{ip}'"));
        campaign.act(&Action::default()).is_ok()
    };
    assert_eq!(["192.0.2.3", "192.0.2.3", "192.0.2.4"].map(&mut passed_on), [true, false, true]);
}

#[test]
fn the_filter_can_be_turned_off() {
    let mut campaign = Campaign::without_akismet();
    one(&mut campaign);
    assert!(campaign.act(&Action::default()).is_ok());
    assert!(campaign.act(&Action::default()).is_err());
    campaign.check("rate_limit", "enabled = false");
    assert!((0..30).all(|_| campaign.act(&Action::default()).is_ok()));
}

#[test]
fn while_nothing_is_suppressed_those_too_many_are_let_in_and_noted() {
    let mut campaign = Campaign::new();
    campaign.check("akismet", "enabled = false");
    one(&mut campaign);
    assert!((0..3).all(|_| campaign.act(&Action::default()).is_ok()));
    assert_eq!(campaign.site.log(), ["rate_limit reject flagged"]);
}
