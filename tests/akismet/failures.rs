//! Answers that are none: no verdict ever comes of junk, every question is asked again until it has an
//! answer, and what went wrong can be read without the key in it.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::akismet::{Endpoint, KEY};
use support::cluster::ClusterOptions;
use support::http::{After, Reply};
use support::wait;

use crate::site::{SOON, Site, World};

/// A server whose requests may take two seconds.
fn hasty() -> &'static World {
    static HASTY: OnceLock<World> = OnceLock::new();
    HASTY.get_or_init(|| {
        World::new(
            ClusterOptions::default()
                .with("pg_spamcheck.request_timeout", "2s")
                .with("pg_spamcheck.connect_timeout", "1s"),
        )
    })
}

/// What Akismet, or something on the way to it, may answer instead of a verdict, and a word of what
/// `last_error` says about it.
fn junk() -> Vec<(&'static str, Reply, &'static str)> {
    let text = |body: &str| Reply::text(body);
    let page = "<html><body>It is true: <b>false</b> alarm</body></html>";
    let reflected = format!("<html>you sent api_key={KEY}</html>");
    vec![
        ("empty", text(""), "empty"),
        ("upper case", text("TRUE"), "TRUE"),
        ("capitalised", text("True."), "True"),
        ("one", text("1"), "1"),
        ("word in a page", text(page), "html"),
        ("two words", text("true false"), "true false"),
        ("thanks", text("Thanks for making the web a better place."), "Thanks"),
        ("valid", text("valid"), "valid"),
        ("json", Reply::json(&serde_json::json!({"spam": true})), "spam"),
        ("not text", text("\u{0}true\u{0}"), "true"),
        ("status 500", text("true").with_status(500), "500"),
        ("status 503", text("true").with_status(503), "503"),
        ("status 408", text("true").with_status(408), "408"),
        ("status 204", Reply::status(204), "204"),
        ("status 201", text("true").with_status(201), "201"),
        ("cut off", text("true").after(After::Half), ""),
        ("reset", Reply::reset(), ""),
        ("hang up", Reply::hang_up(), ""),
        ("no http", Reply::raw("true\r\n\r\ntrue"), ""),
        ("silence", Reply::silence(), "time"),
        ("endless", text("tr").then(Duration::from_secs(60), "ue"), "time"),
        (
            "endless head",
            Reply::raw("HTTP/1.1 200 OK\r\n".to_string() + &"X-Filler: true\r\n".repeat(100_000)),
            "too many headers",
        ),
        (
            "long head",
            text("true").header("X-Filler", "true ".repeat(2_000)),
            "headers are longer than 8 kB",
        ),
        ("huge", text(&"true ".repeat(100_000)), ""),
        ("reflecting", text(&reflected), "html"),
        ("reflecting 500", text(&reflected).with_status(500), "500"),
        (
            "account problem",
            text("true").header("X-akismet-error", format!("key {KEY} suspended")),
            "suspended",
        ),
        (
            "redirect",
            Reply::status(302).header("Location", "http://127.0.0.1:9/1.1/comment-check"),
            "302",
        ),
        ("moved for good", Reply::status(308).header("Location", "/elsewhere"), "308"),
    ]
}

#[test]
fn junk_is_no_verdict_and_is_asked_about_again() {
    let mut site = hasty().site("{}");
    let junk = junk();
    let mut switches = Vec::new();
    for (name, reply, _) in &junk {
        switches.push(site.answer(&format!("[{name}]"), reply.clone()));
    }
    let bodies: Vec<String> =
        junk.iter().map(|(name, ..)| format!("[{name}] akismet-guaranteed-spam")).collect();
    let insert =
        "INSERT INTO comments (body, ip) SELECT b, '203.0.113.7' FROM unnest($1::text[]) b";
    site.client.execute(insert, &[&bodies]).expect("they are taken");
    // The first of them close the lane, which then tries one at a time, later and later; somebody who asks
    // for it need not wait.
    let all_asked = wait::poll(SOON, || {
        site.run("SELECT spamcheck.retry_lookups()");
        let unasked = "SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NULL";
        (site.get(unasked) == "0").then_some(())
    });
    assert!(all_asked.is_some(), "{}", site.queue());
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "approved");
    assert_eq!(site.log(), [""; 0]);
    for (name, _, word) in &junk {
        let error = site.get(&format!(
            "SELECT last_error FROM spamcheck.lookup WHERE submission->>'body' LIKE '[{name}]%'"
        ));
        assert!(error.contains(word) && error.len() > 5, "{name}: {error}");
        assert!(!error.contains(KEY), "{name}: {error}");
    }
    let odd = "SELECT count(*) FROM spamcheck.lookup WHERE state NOT IN ('queued', 'running')";
    assert_eq!(site.get(odd), "0", "none is given up");
    switches.iter().for_each(|switch| switch.off());
    // An account problem waits a minute by itself; and one request with junk for an answer may still be out.
    let all_answered = wait::poll(SOON, || {
        site.run("SELECT spamcheck.retry_lookups()");
        (site.get("SELECT count(*) FROM spamcheck.lookup") == "0").then_some(())
    });
    assert!(all_answered.is_some(), "{}", site.queue());
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "spam");
    let elsewhere = site.akismet().requests();
    assert!(elsewhere.iter().all(|r| Endpoint::of(r).is_some()), "redirects are not followed");
}

#[test]
fn one_failure_counts_as_one_attempt_and_waits() {
    let mut site = hasty().site("{}");
    let failing = site.answer("", Reply::status(500));
    let id = site.comment("akismet-guaranteed-spam");
    site.until("SELECT last_error IS NOT NULL FROM spamcheck.lookup", "true");
    let seen = "SELECT attempts || ' ' || state || ' ' || (next_at - created_at BETWEEN '0.9 s' AND '10 s')
                  FROM spamcheck.lookup";
    assert_eq!(site.get(seen), "1 queued true");
    failing.off();
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    let requests = site.requests();
    assert_eq!(requests.len(), 2);
    let pause = requests[1].at - requests[0].at;
    assert!(pause >= Duration::from_millis(900), "it waited {pause:?}");
}

/// The moment that an HTTP date some seconds ahead names, and the date.
fn http_date(site: &mut Site<'_>) -> (Instant, String) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    let moment = Duration::from_secs(since_epoch.as_secs() + 5);
    let date = site.get(&format!(
        "SELECT to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS \"GMT\"')",
        moment.as_secs()
    ));
    (Instant::now() + (moment - since_epoch), date)
}

#[test]
fn retry_after_is_honoured_for_everybody() {
    let mut sites = Vec::new();
    for form in ["date", "seconds"] {
        let mut site = hasty().site("{}");
        let (mut moment, mut value) = http_date(&mut site);
        if form == "seconds" {
            value = "4".to_string();
        }
        let busy = site.answer("first", Reply::status(429).header("Retry-After", value));
        site.comment("the first");
        site.until_asked("the first", 1);
        if form == "seconds" {
            moment = site.requests()[0].at + Duration::from_secs(4);
        }
        site.until("SELECT last_error LIKE '%429%' FROM spamcheck.lookup", "true");
        busy.off();
        site.comment("the second");
        sites.push((form, site, moment));
    }
    for (form, mut site, moment) in sites {
        site.until_all_answered();
        assert_eq!(site.requests().len(), 3);
        for request in &site.requests()[1..] {
            // The worker's clock may lag behind by the time that the answer took.
            let early = moment.saturating_duration_since(request.at);
            assert!(early < Duration::from_millis(50), "{early:?} too early ({form})");
        }
    }
}

#[test]
fn a_request_that_can_never_pass_fails_until_somebody_retries_it() {
    let mut site = hasty().site("{}");
    let replies = [
        Reply::status(400),
        Reply::status(413),
        Reply::status(422),
        Reply::text("Missing required field: user_ip."),
    ];
    let switches: Vec<_> = replies
        .into_iter()
        .enumerate()
        .map(|(n, reply)| site.answer(&format!("refused {n}"), reply))
        .collect();
    for n in 0..switches.len() {
        site.comment(&format!("refused {n} akismet-guaranteed-spam"));
    }
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE state = 'failed'", "4");
    let other = site.comment("akismet-guaranteed-spam");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE state <> 'failed'", "0");
    assert_eq!(site.status(other), "spam", "others pass");
    assert_eq!(site.get("SELECT state FROM spamcheck.health() WHERE item = 'lookups'"), "warning");
    switches.iter().for_each(|switch| switch.off());
    let unknown = site.client.batch_execute("SELECT spamcheck.retry_lookups('no_such_kind')");
    assert!(unknown.is_err_and(|e| e.as_db_error().is_some_and(|e| e.hint().is_some())));
    assert_eq!(site.get("SELECT spamcheck.retry_lookups('akismet')"), "4");
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'spam'"), "5");
}

#[test]
fn what_waits_too_long_expires_and_can_be_retried() {
    let mut site =
        hasty().site(r#"{"mode": "hold", "on_failure": "hold", "give_up_after": "1 second"}"#);
    let failing = site.answer("", Reply::status(500));
    let id = site.comment("nobody answers");
    site.until("SELECT state FROM spamcheck.lookup", "expired");
    let asked = site.requests().len();
    assert_eq!(site.status(id), "pending", "it is not let through unasked");
    let health = "SELECT state || ' ' || message FROM spamcheck.health() WHERE item = 'lookups'";
    let health = site.get(health);
    assert!(health.starts_with("warning") && health.contains("expired"), "{health}");
    failing.off();
    site.ask_with(r#"{"mode": "hold"}"#);
    assert_eq!(site.requests().len(), asked, "an expired one is left alone");
    assert_eq!(site.get("SELECT spamcheck.retry_lookups()"), "1");
    site.until_all_answered();
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_refused_key_ends_what_has_not_gone_out() {
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.max_in_flight", "2"));
    let mut site = world.site("{}");
    world.akismet.always(Endpoint::CommentCheck.any(), Reply::text("invalid"));
    world.akismet.set_latency(Duration::from_millis(300));
    site.run("INSERT INTO comments (body, ip) SELECT 'row ' || n, '203.0.113.7' FROM generate_series(1, 30) n");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "invalid key");
    let asked = site.requests().len();
    assert!(asked <= 2, "{asked} requests, with two in flight when the first was refused");
    let told = "SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NULL AND attempts = 0";
    site.until(told, "28");
}

#[test]
fn what_waits_too_long_expires_also_while_nobody_is_asked() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"give_up_after": "2 seconds"}"#);
    world.akismet.always(Endpoint::CommentCheck.any(), Reply::text("invalid"));
    site.comment("nobody answers");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "invalid key");
    for n in 1..20 {
        site.comment(&format!("nobody answers {n}"));
    }
    let expired = "SELECT count(*) FROM spamcheck.lookup WHERE state = 'expired'";
    site.until(expired, "20");
    assert!(site.requests().len() < 20, "one at a time is asked, later and later");
    // Without a key not even one is.
    world.cluster.set("pg_spamcheck.secrets_file", "");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "no key");
    let asked = site.requests().len();
    site.comment("nobody is asked");
    site.until(expired, "21");
    assert_eq!(site.requests().len(), asked);
}

#[test]
fn white_space_and_chunks_and_any_case_of_headers_do_not_hide_a_verdict() {
    let mut site = hasty().site("{}");
    let replies = [
        Reply::text("true\n"),
        Reply::text("tr").then(Duration::from_millis(20), "ue").chunked(),
        Reply::text("true").header("X-AKISMET-GUID", "aaaa").header("x-akismet-pro-tip", "Discard"),
        Reply::text("true").header("X-akismet-error", ""),
        Reply::text("true").header("X-akismet-recheck-after", "120"),
        Reply::text("true")
            .header("X-akismet-alert-code", "10508")
            .header("X-akismet-alert-msg", format!("over the limit of {KEY}")),
    ];
    let count = replies.len();
    for (n, reply) in replies.into_iter().enumerate() {
        site.answer(&format!("verdict {n}"), reply);
        site.comment(&format!("verdict {n}"));
    }
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'spam'"), count.to_string());
    let detail =
        site.get("SELECT string_agg(detail::text, ' ' ORDER BY id) FROM spamcheck.spam_checklog");
    assert!(detail.contains("aaaa") && detail.contains("10508"), "{detail}");
    assert!(!detail.contains(KEY), "{detail}");
}

#[test]
fn a_row_that_is_locked_gets_its_verdict_later_without_another_question() {
    let mut site = hasty().site("{}");
    let mut locker = site.database.client();
    let held = site.answer("", Reply::text("true").delay(Duration::from_millis(300)));
    let id = site.comment("locked when the answer comes");
    let mut lock = locker.transaction().expect("it begins");
    lock.execute("SELECT FROM comments FOR UPDATE", &[]).expect("it locks");
    site.until_asked("locked", 1);
    // Tried more than twice: each try sets another next_at.
    for _ in 0..2 {
        let next = site.get("SELECT next_at FROM spamcheck.lookup");
        let retried = format!(
            "SELECT count(*) FROM spamcheck.lookup WHERE next_at > '{next}' AND _answer IS NOT NULL AND last_error IS NULL"
        );
        site.until(&retried, "1");
    }
    held.off();
    lock.rollback().expect("it ends");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.requests().len(), 1, "Akismet is not asked again");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn a_failing_trigger_delays_its_own_row_only() {
    let mut site = hasty().site(r#"{"mode": "hold"}"#);
    site.run(
        "CREATE TABLE broken (yes boolean);
         CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.body LIKE 'bad%' AND EXISTS (SELECT FROM public.broken) THEN
                 RAISE EXCEPTION 'out of order';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fails BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION fails();
         INSERT INTO broken VALUES (true);
         INSERT INTO comments (body, ip) SELECT CASE n % 2 WHEN 0 THEN 'bad ' ELSE 'good ' END || n, '203.0.113.7'
           FROM generate_series(1, 10) n",
    );
    site.until(
        "SELECT count(*) FROM comments WHERE body LIKE 'good%' AND status = 'approved'",
        "5",
    );
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error LIKE '%out of order%'", "5");
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'pending'"), "5");
    site.run("TRUNCATE broken");
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'approved'"), "10");
    assert_eq!(site.requests().len(), 10, "nobody is asked twice");
}

#[test]
fn a_trigger_that_never_ends_delays_its_own_row_only() {
    let mut site = hasty().site("{}");
    site.run(
        "CREATE TABLE endless (yes boolean);
         CREATE FUNCTION naps() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.body LIKE 'endless%' AND EXISTS (SELECT FROM public.endless) THEN
                 PERFORM pg_sleep(1000);
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER naps BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION naps();
         INSERT INTO endless VALUES (true)",
    );
    let endless = site.comment("endless akismet-guaranteed-spam");
    site.until_asked("endless", 1);
    let other = site.comment("akismet-guaranteed-spam");
    site.until(&format!("SELECT status FROM comments WHERE id = {other}"), "spam");
    site.until("SELECT last_error LIKE '%could not be written%' FROM spamcheck.lookup", "true");
    site.run("TRUNCATE endless");
    site.until_all_answered();
    assert_eq!(site.status(endless), "spam");
    assert_eq!(site.requests().len(), 2, "nobody is asked twice");
}

#[test]
fn a_server_that_is_down_is_tried_once_at_a_time_and_drained_when_it_is_back() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    world.akismet.go_down();
    let insert = |site: &mut Site<'_>, rows: i32| {
        site.run(&format!(
            "INSERT INTO comments (body, ip)
             SELECT 'akismet-guaranteed-spam ' || n, '203.0.113.7' FROM generate_series(1, {rows}) n"
        ));
    };
    insert(&mut site, 5);
    let lane = "SELECT akismet FROM spamcheck.stat_worker";
    site.until(lane, "down");
    let state = "SELECT state FROM spamcheck.health() WHERE item = 'akismet'";
    assert_eq!(site.get(state), "warning");
    insert(&mut site, 100);
    // Tries one and three seconds after the first failure; without a pause they would take no time.
    let start = Instant::now();
    let tried = site.get("SELECT unanswered + 2 FROM spamcheck.stat_worker");
    site.until("SELECT unanswered FROM spamcheck.stat_worker", &tried);
    let spent = start.elapsed();
    assert!(spent >= Duration::from_millis(1_500), "two tries within {spent:?}");
    assert_eq!(site.get("SELECT max(attempts) < 3 FROM spamcheck.lookup"), "true");
    assert_eq!(site.get("SELECT min(last_error) ILIKE '%refused%' FROM spamcheck.lookup"), "true");
    world.akismet.come_back();
    site.until_all_answered();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'spam'"), "105");
    assert_eq!(site.get(lane), "open");
    assert_eq!(site.get(state), "ok");
}

/// A site whose service wants to be left alone for an hour, with one lookup that waits.
fn left_alone(text: &str) -> (Site<'static>, i64) {
    let mut site = World::shared().site("{}");
    site.run("ALTER TABLE comments DROP COLUMN created_at; SELECT spamcheck.protect('comments')");
    let busy = site.answer(text, Reply::status(429).header("Retry-After", 3600));
    let id = site.comment(text);
    site.until("SELECT last_error LIKE '%429%' FROM spamcheck.lookup", "true");
    busy.off();
    (site, id)
}

#[test]
fn a_retry_by_hand_does_not_wait_for_the_lane() {
    let (mut site, _) = left_alone("retried at once");
    let asked_at = site.get("SELECT extract(epoch FROM created_at)::bigint FROM spamcheck.lookup");
    site.run("SELECT spamcheck.retry_lookups()");
    site.until_all_answered();
    let requests = site.requests_about("retried at once");
    assert_eq!(requests.len(), 2);
    // The table does not say when the comment was made; the lookup does.
    let dates: Vec<_> = requests.iter().map(|r| r.param("comment_date_gmt")).collect();
    assert_eq!(dates[0], None);
    let date = dates[1].as_deref().expect("a late request is dated");
    let date = site.get(&format!("SELECT extract(epoch FROM '{date}'::timestamptz)::bigint"));
    let apart = date.parse::<i64>().unwrap() - asked_at.parse::<i64>().unwrap();
    assert!(apart.abs() <= 1, "{date} {asked_at}");
}

#[test]
fn nobody_is_asked_again_about_a_row_that_is_gone() {
    for (n, gone) in ["DELETE FROM comments", "TRUNCATE comments"].into_iter().enumerate() {
        let text = format!("taken back {n}");
        let (mut site, _) = left_alone(&text);
        site.run(gone);
        site.run("SELECT spamcheck.retry_lookups()");
        site.until_all_answered();
        assert_eq!(site.requests_about(&text).len(), 1, "{gone}");
    }
}
