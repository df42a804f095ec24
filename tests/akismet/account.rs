//! What an administrator asks about the account, what Akismet tells by itself, and what health() makes
//! of both.

use postgres::error::SqlState;
use support::akismet::{Endpoint, KEY};
use support::cluster::ClusterOptions;
use support::http::Reply;

use crate::site::{Site, World};

const VERIFY: &str = "SELECT spamcheck.akismet_verify_key()";

fn health(site: &mut Site<'_>, item: &str) -> String {
    site.get(&format!(
        "SELECT coalesce((SELECT concat_ws(' | ', state, message, hint) FROM spamcheck.health() WHERE item = '{item}'), 'none')"
    ))
}

#[test]
fn a_key_is_verified_with_its_site_and_only_the_words_themselves_count() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    assert_eq!(site.get(VERIFY), "valid");
    let asked = world.akismet.requests_for(Endpoint::VerifyKey);
    let names: Vec<_> = asked[0].params().map(|(name, value)| format!("{name}={value}")).collect();
    let blog = &site.blog;
    assert_eq!(names, [format!("key={KEY}"), format!("blog={blog}"), format!("api_key={KEY}")]);
    let verify = Endpoint::VerifyKey.any();
    for (reply, said) in [
        (Reply::text("invalid").header("X-akismet-debug-help", "no such key"), "invalid"),
        (Reply::text("<html>invalid</html>"), "failed: Akismet answered \"<html>"),
        (Reply::text(""), "failed: Akismet answered with an empty body"),
        (Reply::text("VALID"), "failed: "),
        (Reply::text("valid").with_status(500), "failed: status 500"),
        (Reply::reset(), "failed: "),
        (Reply::text(format!("you sent {KEY}")), "failed: "),
        (Reply::text("valid\n"), "valid"),
    ] {
        world.akismet.once(verify_again(), reply);
        let answer = site.get(VERIFY);
        assert!(answer.starts_with(said), "{answer}, not {said}");
        assert!(!answer.contains(KEY), "{answer}");
    }
    assert!(world.akismet.requests_for(Endpoint::VerifyKey).iter().all(|r| verify(r)));
    world.akismet.assert_no_problems();
}

fn verify_again() -> impl Fn(&support::http::Request) -> bool + Send + Sync + 'static {
    Endpoint::VerifyKey.any()
}

#[test]
fn a_key_that_verifies_lets_the_lookups_go_on_at_once() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let refused =
        site.answer("", Reply::text("invalid").header("X-akismet-debug-help", "no such key"));
    let id = site.comment("akismet-guaranteed-spam");
    let lane = "SELECT akismet FROM spamcheck.stat_worker";
    site.until(lane, "invalid key");
    // By now it tries once in a few seconds.
    site.until_asked("akismet-guaranteed-spam", 3);
    let told = health(&mut site, "akismet");
    assert!(told.starts_with("error | ") && told.contains("no such key"), "{told}");
    assert!(told.contains("akismet_verify_key()"), "{told}");
    refused.off();
    // What is no answer changes nothing.
    world.akismet.once(verify_again(), Reply::text("<html>valid</html>"));
    assert!(site.get(VERIFY).starts_with("failed"));
    assert_eq!(site.get(lane), "invalid key");
    assert_eq!(site.get(VERIFY), "valid");
    assert_eq!(site.get(lane), "open");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    assert_eq!(health(&mut site, "akismet").split(" | ").next(), Some("ok"));
    // The other way round.
    world.akismet.once(verify_again(), Reply::text("invalid"));
    assert_eq!(site.get(VERIFY), "invalid");
    assert_eq!(site.get(lane), "invalid key");
}

#[test]
fn the_usage_comes_as_akismet_gives_it_by_a_post() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    assert_eq!(site.get("SELECT spamcheck.akismet_usage() ->> 'usage'"), "7463");
    let asked = world.akismet.requests_for(Endpoint::UsageLimit);
    assert_eq!((asked[0].method(), asked[0].target()), ("POST", "/1.2/usage-limit"));
    assert_eq!(asked[0].param("api_key").as_deref(), Some(KEY));
    world.akismet.assert_no_problems();
    for reply in [Reply::text("invalid"), Reply::text("[1]"), Reply::status(503)] {
        world.akismet.once(Endpoint::UsageLimit.any(), reply);
        let error =
            site.client.query("SELECT spamcheck.akismet_usage()", &[]).expect_err("no usage");
        let error = error.as_db_error().expect("the server says so");
        assert!(error.hint().is_some() && !format!("{error:?}").contains(KEY), "{error:?}");
    }
    // A key that is throttled is told of before the first comment shows it.
    let throttled = serde_json::json!({"limit": 500, "usage": 9000, "percentage": "1800.00", "throttled": true});
    world.akismet.once(Endpoint::UsageLimit.any(), Reply::json(&throttled));
    assert_eq!(site.get("SELECT spamcheck.akismet_usage() ->> 'throttled'"), "true");
    let told = health(&mut site, "akismet_account");
    assert!(told.starts_with("error | ") && told.contains("9000 of 500"), "{told}");
}

#[test]
fn a_question_about_the_account_can_be_cancelled_and_needs_a_worker() {
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.request_timeout", "60s"));
    let mut site = world.site("{}");
    world.akismet.once(verify_again(), Reply::silence());
    site.run("SET statement_timeout = '500ms'");
    let error = site.client.query(VERIFY, &[]).expect_err("it is cancelled");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    site.run("RESET statement_timeout");
    assert_eq!(site.get(VERIFY), "valid");
    // Without a key there is nobody to ask.
    world.cluster.set("pg_spamcheck.secrets_file", "");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "no key");
    assert_eq!(site.get(VERIFY), "failed: there is no Akismet key");
}

#[test]
fn without_a_worker_the_error_says_what_to_do() {
    let world = World::new(ClusterOptions::default().with("max_worker_processes", "1"));
    let mut site = world.site("{}");
    let error = site.client.query(VERIFY, &[]).expect_err("no worker");
    let error = error.as_db_error().expect("the server says so");
    assert!(error.message().contains("no pg_spamcheck worker"), "{error:?}");
    assert!(error.hint().unwrap_or_default().contains("health()"), "{error:?}");
}

#[test]
fn only_administrators_ask_about_the_account_and_only_apps_hand_over_webhooks() {
    let mut site = World::shared().site("{}");
    let role = site.database.name().to_owned() + "_account";
    site.run(&format!("CREATE ROLE {role} LOGIN"));
    let calls = [
        "SELECT spamcheck.akismet_verify_key()",
        "SELECT spamcheck.akismet_usage()",
        "SELECT spamcheck.akismet_webhook('{\"key\": \"wrong\"}')",
    ];
    for (level, may) in [
        (None, [false, false, false]),
        (Some("analyst"), [false, false, false]),
        (Some("moderator"), [false, false, false]),
        (Some("app"), [false, false, true]),
        (Some("admin"), [true, true, true]),
    ] {
        site.run(&format!("SELECT spamcheck.revoke_access('{role}')"));
        if let Some(level) = level {
            site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        }
        let mut client = site.database.client_as(&role);
        for (call, may) in calls.iter().zip(may) {
            let denied = client.query(*call, &[]).err().and_then(|error| error.code().cloned());
            let denied = denied == Some(SqlState::INSUFFICIENT_PRIVILEGE);
            assert_eq!(denied, !may, "{level:?}: {call}");
        }
    }
}

#[test]
fn alerts_come_beside_verdicts_and_go_when_akismet_does_not_repeat_them() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    assert_eq!(health(&mut site, "akismet_account"), "none");
    let alert = |code: &str, message: &str| {
        Reply::text("true")
            .header("X-akismet-alert-code", code)
            .header("X-akismet-alert-msg", message)
    };
    let over = site.answer("over", alert("10501", "You are over your limit."));
    let id = site.comment("over the limit");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    let told = health(&mut site, "akismet_account");
    assert!(told.starts_with("warning | Akismet says 10501: You are over your limit."), "{told}");
    assert!(told.contains("akismet.com/errors/10501"), "{told}");
    // Of two headers the first counts; this one means that calls are about to be refused.
    let restricted = site
        .answer("restricted", alert("10508", "Restricted.").header("X-akismet-alert-code", "1"));
    let id = site.comment("restricted");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    let told = health(&mut site, "akismet_account");
    assert!(told.starts_with("error | Akismet says 10508: Restricted."), "{told}");
    assert_eq!(world.cluster.log().matches("notice about the account: 10508").count(), 1);
    over.off();
    restricted.off();
    site.comment("all is well again");
    site.until_all_answered();
    assert_eq!(health(&mut site, "akismet_account"), "none");
}

#[test]
fn an_alert_instead_of_a_verdict_stops_the_lane_until_the_account_is_well() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let denied = site.answer(
        "",
        Reply::text("")
            .header("X-akismet-alert-code", "10508")
            .header("X-akismet-alert-msg", "Denied."),
    );
    let ids: Vec<i64> =
        (0..5).map(|n| site.comment(&format!("akismet-guaranteed-spam {n}"))).collect();
    site.until("SELECT akismet FROM spamcheck.stat_worker", "invalid key");
    let told = health(&mut site, "akismet_account");
    assert!(told.starts_with("error | Akismet says 10508: Denied."), "{told}");
    assert!(site.requests().len() <= 7, "after the first answers one asks for all");
    denied.off();
    assert_eq!(site.get(VERIFY), "valid");
    site.until_all_answered();
    assert_eq!(site.status(ids[4]), "spam");
    assert_eq!(health(&mut site, "akismet_account"), "none");
}

#[test]
fn an_account_problem_is_no_verdict_and_shows_at_once() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let problem = site.answer(
        "",
        Reply::text("false").header("X-akismet-error", format!("key {KEY} is suspended")),
    );
    let id = site.comment("akismet-guaranteed-spam");
    site.until("SELECT last_error LIKE '%suspended%' FROM spamcheck.lookup", "true");
    let told = health(&mut site, "akismet_account");
    assert!(told.starts_with("error | ") && told.contains("is suspended"), "{told}");
    assert!(!told.contains(KEY), "{told}");
    assert_eq!(site.status(id), "approved");
    problem.off();
    site.run("SELECT spamcheck.retry_lookups('akismet')");
    site.until_all_answered();
    assert_eq!(health(&mut site, "akismet_account"), "none");
}

#[test]
fn a_refusal_that_may_be_a_firewalls_is_cleared_up_by_verifying_the_key() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let page = "<html>Request blocked by the firewall</html>";
    let blocked = site.answer("", Reply::text(page).with_status(403));
    let id = site.comment("akismet-guaranteed-spam");
    let lane = "SELECT akismet FROM spamcheck.stat_worker";
    site.until(lane, "down");
    assert!(health(&mut site, "akismet").starts_with("warning"), "the key is good");
    let verified = world.akismet.requests_for(Endpoint::VerifyKey);
    assert_eq!(verified[0].param("blog"), Some(site.blog.clone()));
    // The same, but the key is bad too.
    world.akismet.always(verify_again(), Reply::text("invalid"));
    site.until(lane, "invalid key");
    world.akismet.forget_script();
    blocked.off();
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.get(lane), "open");
}
