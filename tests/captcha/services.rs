//! reCAPTCHA, hCaptcha and Turnstile by their siteverify: what is asked, what an answer means, and what
//! becomes of a submission when there is none.

use std::time::{Duration, Instant};

use serde_json::json;
use support::captcha::SECRET;
use support::cluster::ClusterOptions;
use support::http::Reply;

use crate::site::{Site, World};

fn site(provider: &str) -> Site<'static> {
    World::shared().site(&format!(r#"{{"provider": "{provider}"}}"#))
}

fn why(site: &mut Site<'_>) -> String {
    let log = site.log().concat();
    log.split_once(": ").expect("an entry").1.to_owned()
}

#[test]
fn a_good_token_lets_the_submission_in_once_at_every_service() {
    for provider in ["recaptcha", "hcaptcha", "turnstile"] {
        let mut site = site(provider);
        let challenge = site.challenge("A fine day");
        assert_eq!(challenge["provider"], provider);
        let token = format!("good {provider}");
        let insert = "INSERT INTO comments (author, body, ip, permalink, captcha) VALUES ('Ann', 'A fine day', '203.0.113.7', 'https://www.blog.example/1', $1)";
        site.client.execute(insert, &[&token]).expect("it goes in");
        assert_eq!(site.log(), ["captcha challenge allowed: captcha solved"]);
        let requests = World::shared().siteverify.about(&token);
        let [request] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!((request.method(), request.path()), ("POST", format!("/{provider}").as_str()));
        assert_eq!(request.param("secret").as_deref(), Some(SECRET));
        assert_eq!(request.param("remoteip").as_deref(), Some("203.0.113.7"));
        assert_eq!(request.param("idempotency_key").is_some(), provider == "turnstile");
        // It is known as used here; nobody is asked again.
        assert!(site.client.execute(insert, &[&token]).is_err());
        assert_eq!(why(&mut site), "the answer was used before");
        assert_eq!(World::shared().siteverify.asked(&token), 1);
    }
}

#[test]
fn a_token_that_is_worth_nothing_is_asked_for_again() {
    let mut site = site("turnstile");
    let service = &World::shared().siteverify;
    service.answer(
        "spent",
        Reply::json(&json!({"success": false, "error-codes": ["timeout-or-duplicate"]})),
    );
    service.answer("elsewhere", Reply::json(&json!({"success": true, "hostname": "evil.example"})));
    let insert = "INSERT INTO comments (author, body, permalink, captcha) VALUES ('Ann', 'A fine day', 'https://blog.example/1', $1)";
    for (token, reason) in [
        ("bad", "turnstile says invalid-input-response"),
        ("spent", "turnstile says timeout-or-duplicate"),
        ("elsewhere", "turnstile says it was solved on another site"),
    ] {
        let error = site.client.execute(insert, &[&token]).expect_err("it is refused");
        assert_eq!(crate::site::refused(&error).constraint, "spamcheck_captcha");
        assert_eq!(why(&mut site), reason);
    }
    let long = "x".repeat(4_097);
    assert!(site.client.execute(insert, &[&long]).is_err());
    assert_eq!(service.asked(&long), 0);
}

#[test]
fn a_doubtful_score_of_recaptcha_v3_is_no_success() {
    let mut site = site("recaptcha");
    let service = &World::shared().siteverify;
    for (token, score) in [("score low", 0.3), ("score high", 0.9)] {
        service.answer(
            token,
            Reply::json(&json!({"success": true, "score": score, "action": "comment"})),
        );
    }
    assert!(site.comment("A fine day", Some("score low")).is_err());
    site.comment("A fine day", Some("score high")).expect("it goes in");
}

#[test]
fn an_ill_service_leaves_the_submission_to_a_moderator() {
    let mut site = site("hcaptcha");
    let service = &World::shared().siteverify;
    let html = "<html>success: true</html>";
    for (n, reply) in [
        Reply::status(500),
        Reply::text(html),
        Reply::text(""),
        Reply::json(&json!({"success": "true"})),
        Reply::json(&json!({"success": false, "error-codes": ["internal-error"]})),
        Reply::status(302).header("Location", "https://evil.example/"),
        Reply::reset(),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("ill {n}");
        service.answer(&token, reply);
        site.comment("A fine day", Some(&token)).unwrap_or_else(|e| panic!("{n}: {e:?}"));
        assert!(
            site.log().concat().starts_with("captcha moderate moderated: hcaptcha"),
            "{n}: {:?}",
            site.log()
        );
        assert_eq!(service.asked(&token), 2, "{n}: there is one more try");
    }
    assert_eq!(site.statuses(), ["pending"; 7].join(","));
    let health =
        "SELECT concat(state, ' ', message) FROM spamcheck.health() WHERE item = 'captcha'";
    assert_eq!(
        site.get(health),
        "warning hcaptcha does not answer as it should; submissions are moderated"
    );
    site.comment("A fine day", Some("good again")).expect("it goes in");
    assert_eq!(site.get(health), "ok answers can be verified: hcaptcha");
}

#[test]
fn a_lost_answer_is_asked_for_once_more() {
    let mut site = site("turnstile");
    let service = &World::shared().siteverify;
    service.answer_once("good but lost", Reply::hang_up());
    site.comment("A fine day", Some("good but lost")).expect("it goes in");
    assert_eq!(site.statuses(), "approved");
    let keys: Vec<_> =
        service.about("good but lost").iter().map(|r| r.param("idempotency_key")).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1], "the same use");
}

#[test]
fn a_service_that_hangs_keeps_nobody_longer_than_three_seconds_and_a_half() {
    let mut site = site("recaptcha");
    World::shared().siteverify.answer("hangs", Reply::silence());
    let start = Instant::now();
    site.comment("A fine day", Some("hangs")).expect("it goes in");
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(5_500), "{took:?}");
    assert_eq!(site.statuses(), "pending");
}

#[test]
fn a_cancel_and_a_statement_timeout_end_the_wait() {
    // The machine has other things to do: the quickest counts.
    let times = ["first", "second", "third"].map(cancelled_and_timed_out);
    assert!(times.iter().any(|took| *took < Duration::from_millis(2_800)), "{times:?}");
}

/// How long a submission took that ran into its timeout, and one that was cancelled.
fn cancelled_and_timed_out(nth: &str) -> Duration {
    let mut site = site("recaptcha");
    let service = &World::shared().siteverify;
    let (on, too) = (format!("{nth} hangs on"), format!("{nth} hangs too"));
    service.answer(&on, Reply::silence());
    service.answer(&too, Reply::silence());
    let insert = |token: &str| {
        format!(
            "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', '{token}')"
        )
    };
    let start = Instant::now();
    let error = site
        .client
        .batch_execute(&format!("SET statement_timeout = '300ms'; {}", insert(&on)))
        .expect_err("it is cancelled");
    assert_eq!(error.code().expect("the server says so").code(), "57014");
    site.run("RESET statement_timeout");
    let waiting = site.client.cancel_token();
    let text = insert(&too);
    let canceller = std::thread::spawn(move || {
        support::wait::until(crate::site::SOON, "the question", || {
            World::shared().siteverify.asked(&too) > 0
        });
        waiting.cancel_query(postgres::NoTls).expect("it can be asked for");
    });
    let error = site.client.batch_execute(&text).expect_err("it is cancelled");
    assert_eq!(error.code().expect("the server says so").code(), "57014");
    canceller.join().expect("it ends");
    start.elapsed()
}

#[test]
fn a_wrong_secret_is_our_fault_and_health_says_so_without_it() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"provider": "recaptcha"}"#);
    let health =
        "SELECT concat(state, ' ', message) FROM spamcheck.health() WHERE item = 'captcha'";
    let mut with = |secrets: serde_json::Value, token: &str| {
        world.cluster.write_secrets(&secrets);
        site.comment("A fine day", Some(token)).expect("it goes in");
        (site.log().concat(), site.get(health))
    };
    let (log, health) = with(json!({"recaptcha": "not-the-secret"}), "good 1");
    assert_eq!(log, "captcha moderate moderated: recaptcha says invalid-input-secret");
    assert_eq!(health, "error recaptcha does not accept our secret; submissions are moderated");
    let (log, health) = with(json!({}), "good 2");
    assert_eq!(log, "captcha moderate moderated: the secrets file has no \"recaptcha\"");
    assert!(health.starts_with("error recaptcha: the secrets file has no secret"), "{health}");
    let (log, _) = with(json!({"recaptcha": SECRET}), "good 3");
    assert_eq!(log, "captcha challenge allowed: captcha solved");
    let server = world.cluster.log();
    assert!(server.contains("recaptcha does not accept our secret"));
    assert!(!server.contains("not-the-secret") && !server.contains(SECRET), "{server}");
}

#[test]
fn without_a_worker_a_moderator_looks() {
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.max_workers", 1));
    let first = world.site(r#"{"provider": "recaptcha"}"#);
    let database = world.cluster.database();
    let mut site = Site { client: database.client(), database };
    site.run("CREATE TABLE comments (id serial PRIMARY KEY, author text, body text, captcha text, status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')))");
    site.run("SELECT spamcheck.protect('comments')");
    site.captcha(r#"{"provider": "recaptcha"}"#);
    site.comment("A fine day", Some("good, but nobody asks")).expect("it goes in");
    assert_eq!(site.statuses(), "pending");
    assert_eq!(world.siteverify.asked("good, but nobody asks"), 0);
    drop(first);
}
