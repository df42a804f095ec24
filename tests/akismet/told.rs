//! From a moderator's decision to what Akismet is told: the original values, once, the last word; or why
//! nothing is told.

use std::sync::Arc;

use support::akismet::{Endpoint, SPAM};
use support::cluster::ClusterOptions;
use support::http::Request;

use crate::site::{Site, World};

/// What Akismet was told about this site, as `submit-… text`, in order.
fn told(site: &mut Site<'_>) -> Vec<String> {
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE kind LIKE 'submit%'", "0");
    let requests = feedback(site);
    let text = |request: &Arc<Request>| {
        let path = request.path().trim_start_matches("/1.1/");
        format!("{path} {}", request.param("comment_content").unwrap_or_default())
    };
    requests.iter().map(text).collect()
}

fn feedback(site: &Site<'_>) -> Vec<Arc<Request>> {
    let all = site.akismet().requests().into_iter();
    let ours = |request: &Arc<Request>| {
        request.path().starts_with("/1.1/submit")
            && request.param("blog").as_deref() == Some(&*site.blog)
    };
    all.filter(ours).collect()
}

#[test]
fn a_report_has_the_values_of_the_check_although_the_row_has_changed() {
    let mut site = World::shared().site("{}");
    let id = site.comment("a fine day");
    site.until_all_answered();
    // Not judged again, so the check stays the row's.
    site.run("SELECT spamcheck.protect('comments', on_update => false)");
    site.run("UPDATE comments SET body = 'rewritten', ip = '198.51.100.9', author = 'Somebody'");
    site.run(&format!("SELECT spamcheck.report_spam('comments', '{id}')"));
    assert_eq!(told(&mut site), ["submit-spam a fine day"]);
    let (check, report) = (site.requests()[0].clone(), feedback(&site)[0].clone());
    for name in ["user_ip", "comment_author", "comment_content", "comment_date_gmt", "comment_type"]
    {
        assert_eq!(report.param(name), check.param(name), "{name}");
    }
    assert_eq!(report.param("comment_check_response").as_deref(), Some("false"));
    assert_eq!(report.param("guid"), Some(site.get("SELECT guid FROM spamcheck._checked")));
    assert_eq!(report.param("reporter").as_deref(), Some("postgres"));
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_rejected_submission_that_is_no_spam_is_told_with_its_check() {
    let mut site = World::shared().site(r#"{"mode": "wait", "wait_ms": 20000}"#).with_worker();
    site.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'akismet'");
    let insert = format!("INSERT INTO comments (body, ip) VALUES ('{SPAM}', '203.0.113.7')");
    assert!(site.client.batch_execute(&insert).is_err());
    let guid = site.get("SELECT guid FROM spamcheck._checked");
    site.run("SELECT spamcheck.not_spam(id) FROM spamcheck.spam_checklog");
    assert_eq!(told(&mut site), [format!("submit-ham {SPAM}")]);
    let report = feedback(&site)[0].clone();
    assert_eq!(report.param("comment_check_response").as_deref(), Some("true"));
    assert_eq!(report.param("guid"), Some(guid));
    assert_eq!(site.get("SELECT status FROM comments"), "approved", "the row is there now");
}

#[test]
fn one_word_counts_the_last() {
    let mut site = World::shared().site("{}");
    let id = site.comment(SPAM);
    site.until_all_answered();
    // Twice in one transaction, and there and back again in another.
    site.run(
        "BEGIN; SELECT spamcheck.not_spam(id) FROM spamcheck.spam_checklog;
         SELECT spamcheck.not_spam(id) FROM spamcheck.spam_checklog; COMMIT",
    );
    assert_eq!(told(&mut site), [format!("submit-ham {SPAM}")]);
    site.run(&format!(
        "BEGIN; SELECT spamcheck.report_spam('comments', '{id}');
         UPDATE comments SET status = 'approved'; UPDATE comments SET status = 'spam'; COMMIT"
    ));
    assert_eq!(told(&mut site), [format!("submit-ham {SPAM}"), format!("submit-spam {SPAM}")]);
    // What is rolled back was never said; a deleted row says nothing.
    site.run("BEGIN; UPDATE comments SET status = 'approved'; ROLLBACK; DELETE FROM comments");
    assert_eq!(told(&mut site).len(), 2);
}

#[test]
fn what_akismet_was_never_asked_is_told_as_it_is_and_marked() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let id = site.comment("a fine day");
    site.until_all_answered();
    site.run("UPDATE comments SET author = 'Ellen'");
    // An edit is asked about, too.
    site.until_all_answered();
    site.run("DELETE FROM spamcheck._checked");
    world.akismet.go_down();
    site.run(&format!("SELECT spamcheck.report_spam('comments', '{id}')"));
    let queued =
        "SELECT concat_ws(' ', kind, reason, submission ->> 'author') FROM spamcheck.lookup";
    assert_eq!(site.get(queued), "submit_spam reconstructed Ellen");
    world.akismet.come_back();
    assert_eq!(told(&mut site), ["submit-spam a fine day"]);
    assert_eq!(feedback(&site)[0].param("guid"), None);
}

#[test]
fn what_akismet_could_make_nothing_of_is_not_queued_and_the_moderator_is_told() {
    let mut site = World::shared().site("{}");
    let call = |site: &mut Site<'_>, id: i64| {
        site.get(&format!("SELECT spamcheck.report_spam('comments', '{id}') ->> 'akismet'"))
    };
    for (values, why) in [("'   ', '203.0.113.7'", "no text"), ("'hello', NULL", "no IP address")] {
        site.run("UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'akismet'");
        site.run(&format!("INSERT INTO comments (body, ip) VALUES ({values})"));
        let id = site.get("SELECT max(id) FROM comments").parse().expect("a number");
        site.run("UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'akismet'");
        let answer = call(&mut site, id);
        assert!(answer.starts_with("refused") && answer.contains(why), "{answer}");
        assert_eq!(site.status(id), "spam", "the row is spam all the same");
    }
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(
        site.akismet()
            .requests_for(Endpoint::SubmitSpam)
            .iter()
            .filter(|r| r.param("blog").as_deref() == Some(&*site.blog))
            .count(),
        0
    );
}

#[test]
fn anonymized_reports_name_nobody() {
    let mut site = World::shared().site(r#"{"anonymize": true}"#);
    let id = site.comment("a fine day");
    site.until_all_answered();
    site.run(&format!("SELECT spamcheck.report_spam('comments', '{id}')"));
    assert_eq!(told(&mut site), ["submit-spam a fine day"]);
    let report = feedback(&site)[0].clone();
    assert_eq!(report.param("reporter"), None);
    assert_eq!(report.param("comment_author").as_deref(), Some("Anonymous"));
    assert_eq!(report.param("user_ip").as_deref(), Some("203.0.113.0"));
}
