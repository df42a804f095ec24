//! Decisions that Akismet is told: once, with the values that it was asked about, until it takes them.

use std::sync::Arc;

use serde_json::json;
use support::akismet::{Endpoint, KEY, SPAM};
use support::cluster::ClusterOptions;
use support::http::{Reply, Request};
use support::wait;

use crate::site::{SOON, Site, World};

/// Queues what a moderator's decision about a row queues.
fn decide(site: &mut Site<'_>, kind: &str, id: i64, feedback: serde_json::Value) {
    let statement = "INSERT INTO spamcheck.lookup (kind, relation, row_key, policy, submission, _protection, _fingerprint, _feedback)
                     SELECT $1, 'public.comments', c.row_key, 'default', c.submission, c.protection, '{}', $3
                       FROM spamcheck._checked c WHERE c.row_key = jsonb_build_object('id', $2::bigint)";
    let queued = site.client.execute(statement, &[&kind, &id, &feedback]).expect("it is queued");
    assert_eq!(queued, 1, "{}", site.queue());
}

/// The feedback for this site so far.
fn told(site: &Site<'_>, endpoint: Endpoint) -> Vec<Arc<Request>> {
    let all = site.akismet().requests_for(endpoint).into_iter();
    all.filter(|request| request.param("blog").as_deref() == Some(&*site.blog)).collect()
}

#[test]
fn a_decision_is_told_with_the_values_of_the_check_and_once() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"is_test": true}"#);
    let id = site.comment("a fine day");
    site.until_all_answered();
    let guid = site.get("SELECT guid FROM spamcheck._checked");
    decide(
        &mut site,
        "submit_spam",
        id,
        json!({"guid": &guid, "said_spam": false, "reporter": "Ellen"}),
    );
    site.until_all_answered();
    let told = told(&site, Endpoint::SubmitSpam);
    assert_eq!(told.len(), 1);
    let check = site.requests()[0].clone();
    let mut expected: Vec<_> = check
        .params()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .filter(|(name, _)| name != "recheck_reason")
        .collect();
    for (name, value) in
        [("reporter", "Ellen"), ("comment_check_response", "false"), ("guid", &guid)]
    {
        expected.push((name.to_owned(), value.to_owned()));
    }
    expected.sort();
    let mut sent: Vec<_> =
        told[0].params().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    sent.sort();
    assert_eq!(sent, expected);
    assert_eq!(told[0].param("is_test").as_deref(), Some("1"));
    world.akismet.assert_no_problems();
    assert_eq!(site.status(id), "approved", "what a moderator does to the row is not Akismet's");
}

#[test]
fn every_answer_but_the_thanks_is_tried_again_or_fails_as_a_check_would() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let thanks = "Thanks for making the web a better place.";
    let submits = || {
        let blog = site.blog.clone();
        move |request: &Request| {
            Endpoint::of(request) == Some(Endpoint::SubmitHam)
                && request.param("blog").as_deref() == Some(&*blog)
        }
    };
    let (again, refused) = (submits(), submits());
    let id = site.comment(SPAM);
    site.until_all_answered();
    for (reply, word) in [
        (Reply::text(&thanks[..thanks.len() - 1]), "Thanks"),
        (Reply::text(""), "empty"),
        (Reply::text(format!("<html>{thanks}</html>")), "html"),
        (Reply::text("true"), "true"),
        (Reply::text(thanks).with_status(503), "503"),
        (Reply::reset(), ""),
        (Reply::text("invalid"), "invalid"),
    ] {
        world.akismet.once(again.clone(), reply);
        decide(&mut site, "submit_ham", id, json!({"said_spam": true}));
        let failed = format!(
            "SELECT last_error LIKE '%{word}%' AND last_error NOT LIKE '%{KEY}%' FROM spamcheck.lookup"
        );
        site.until(&failed, "true");
        // Then it is taken.
        site.run("SELECT spamcheck.retry_lookups('submit_ham')");
        site.until_all_answered();
    }
    // A request that can never pass.
    world.akismet.once(refused, Reply::text("Missing required field: user_ip."));
    decide(&mut site, "submit_ham", id, json!({}));
    site.until("SELECT state FROM spamcheck.lookup", "failed");
    let health = site.get("SELECT message || hint FROM spamcheck.health() WHERE item = 'lookups'");
    assert!(
        health.contains("1 failed of kind submit_ham") && health.contains("retry_lookups"),
        "{health}"
    );
    assert_eq!(site.get("SELECT spamcheck.retry_lookups('submit_ham')"), "1");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn decisions_outlast_an_outage_and_expire_as_checks_do() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let id = site.comment("a fine day");
    site.until_all_answered();
    world.akismet.go_down();
    decide(&mut site, "submit_spam", id, json!({"said_spam": false}));
    site.until("SELECT last_error ILIKE '%refused%' FROM spamcheck.lookup", "true");
    // The row's own life does not touch what Akismet is to be told.
    site.run("UPDATE comments SET status = 'spam'; UPDATE comments SET body = 'edited', status = 'pending'; DELETE FROM comments");
    assert_eq!(
        site.get("SELECT string_agg(kind, ' ') FROM spamcheck.lookup WHERE kind LIKE 'submit%'"),
        "submit_spam"
    );
    world.akismet.come_back();
    site.until_all_answered();
    let told = told(&site, Endpoint::SubmitSpam);
    assert_eq!(told.last().and_then(|r| r.param("comment_content")).as_deref(), Some("a fine day"));
    // What nobody takes expires.
    let id = site.comment("another day");
    site.until_all_answered();
    site.ask_with(r#"{"give_up_after": "1 second"}"#);
    world.akismet.always(Endpoint::SubmitSpam.any(), Reply::status(500));
    decide(&mut site, "submit_spam", id, json!({}));
    site.until("SELECT state FROM spamcheck.lookup", "expired");
    let health = site.get("SELECT message FROM spamcheck.health() WHERE item = 'lookups'");
    assert!(health.contains("1 expired of kind submit_spam"), "{health}");
}

#[test]
fn a_decision_is_not_told_while_the_policy_does_not_ask_akismet() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let id = site.comment("a fine day");
    site.until_all_answered();
    site.run("UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'akismet'");
    decide(&mut site, "submit_spam", id, json!({}));
    site.until("SELECT last_error LIKE '%is off%' FROM spamcheck.lookup", "true");
    assert_eq!(told(&site, Endpoint::SubmitSpam).len(), 0);
    site.run("UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'akismet'");
    site.run("SELECT spamcheck.retry_lookups()");
    wait::until(SOON, "it is told", || told(&site, Endpoint::SubmitSpam).len() == 1);
}
