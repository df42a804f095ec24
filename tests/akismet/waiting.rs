//! Mode `wait`: the insert waits for the answer as long as it may, then goes on without.

use std::time::{Duration, Instant};

use support::cluster::ClusterOptions;
use support::http::Reply;
use support::wait;

use crate::gate::Gate;
use crate::site::{SOON, Site, World};

const PATIENT: &str = r#"{"mode": "wait", "wait_ms": 20000}"#;
/// How long a statement waits for a worker that does not run.
const ARRIVAL: Duration = Duration::from_secs(1);
const SPAM: &str = "akismet-guaranteed-spam";

fn act(site: &mut Site<'_>, action: &str) {
    site.run(&format!(
        "UPDATE spamcheck.check_setting SET action = '{action}' WHERE policy = 'default' AND check_name = 'akismet'"
    ));
}

#[test]
fn the_answer_is_there_when_the_insert_returns() {
    let mut site = World::shared().site(PATIENT).with_worker();
    let (ham, spam) = (site.comment("a fine day"), site.comment(SPAM));
    assert_eq!((site.status(ham), site.status(spam)), ("approved".into(), "spam".into()));
    assert_eq!(site.log(), ["akismet spam suppressed"]);
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    // An edit asks again, and waits too.
    site.run(&format!("UPDATE comments SET body = '{SPAM}' WHERE id = {ham}"));
    assert_eq!(site.status(ham), "spam");
    let reasons: Vec<_> =
        site.requests().iter().map(|request| request.param("recheck_reason")).collect();
    assert_eq!(reasons, [None, None, Some("edit".into())]);
}

#[test]
fn a_worker_that_is_just_starting_is_waited_for() {
    let mut site = World::shared().site(PATIENT).with_worker();
    for n in 0..5 {
        let worker = wait::found(SOON, "the worker", || site.database.worker_pid());
        site.run(&format!("SELECT pg_terminate_backend({worker})"));
        wait::until(SOON, "the end of the worker", || site.database.worker_pid() != Some(worker));
        let asked = Instant::now();
        let id = site.comment(&format!("{SPAM} {n}"));
        // One that takes longer than that on a busy machine is not waited for to the end.
        if asked.elapsed() < ARRIVAL {
            assert_eq!(site.status(id), "spam");
        }
    }
}

#[test]
fn where_no_worker_can_come_a_statement_waits_once() {
    // The launcher has the only place.
    let world = World::new(ClusterOptions::default().with("max_worker_processes", "1"));
    let mut site = world.site(PATIENT);
    let start = Instant::now();
    site.run("INSERT INTO comments (body) SELECT 'in vain ' || n FROM generate_series(1, 30) n");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "30");
}

#[test]
fn an_answer_in_time_can_reject() {
    let mut site = World::shared().site(PATIENT).with_worker();
    act(&mut site, "reject");
    let error = site
        .client
        .execute("INSERT INTO comments (body, ip) VALUES ($1, '203.0.113.7')", &[&SPAM])
        .expect_err("it is rejected");
    let error = error.as_db_error().expect("the server says so");
    assert_eq!((error.code().code(), error.constraint()), ("23514", Some("spamcheck_reject")));
    assert_eq!(site.log(), ["akismet reject rejected"]);
    assert_eq!(site.get("SELECT count(*) FROM comments"), "0");
    assert_eq!(
        site.get("SELECT submission ->> 'body' FROM spamcheck.spam_checklog"),
        SPAM,
        "the rejected text is kept"
    );
}

#[test]
fn its_score_adds_to_that_of_the_other_checks() {
    let mut site = World::shared().site(PATIENT).with_worker();
    act(&mut site, "score");
    site.run(
        "UPDATE spamcheck.check_setting SET score = 6 WHERE check_name = 'akismet';
         UPDATE spamcheck.check_setting SET action = 'score', score = 4 WHERE check_name = 'content';
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    let both = site.comment(&format!("{SPAM} casino"));
    let one = site.comment(SPAM);
    assert_eq!((site.status(both), site.status(one)), ("spam".into(), "pending".into()));
}

#[test]
fn a_local_verdict_of_spam_asks_nobody() {
    let mut site = World::shared().site(PATIENT).with_worker();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    site.comment("casino");
    assert_eq!(site.requests().len(), 0);
}

#[test]
fn a_late_answer_is_used_and_nobody_asked_twice() {
    for on_failure in ["accept", "hold"] {
        let text = format!("late with on_failure {on_failure}");
        let mut site = Gate::shared()
            .site(&format!(r#"{{"mode": "wait", "wait_ms": 300, "on_failure": "{on_failure}"}}"#));
        let start = Instant::now();
        let id = site.comment(&text);
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
        let meanwhile = if on_failure == "hold" { "pending" } else { "approved" };
        assert_eq!(site.status(id), meanwhile);
        assert_eq!(site.log(), [""; 0]);
        Gate::shared().say(&text, true);
        site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
        site.until_all_answered();
        assert_eq!(Gate::shared().asked(&text), 1);
        assert_eq!(site.log(), ["akismet spam suppressed"]);
    }
}

#[test]
fn the_time_limit_is_one_for_all_rows_of_a_statement() {
    for (on_failure, meanwhile) in [("accept", "approved"), ("hold", "pending")] {
        let texts = ["first", "second", "third", "fourth", "fifth", "sixth"]
            .map(|nth| format!("{nth} of many with {on_failure}"));
        let mut site = Gate::shared()
            .site(&format!(r#"{{"mode": "wait", "wait_ms": 1000, "on_failure": "{on_failure}"}}"#))
            .with_worker();
        let all = format!("'{}'", texts.join("', '"));
        // The first is answered while the statement waits, so the wait for it counts as well.
        Gate::shared().say(&texts[0], true);
        let start = Instant::now();
        site.run(&format!(
            "INSERT INTO comments (body, ip) SELECT b, '203.0.113.7' FROM unnest(ARRAY[{all}]) b"
        ));
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(1_000), "{waited:?}");
        assert!(waited < Duration::from_millis(5_000), "a second for each: {waited:?}");
        let statuses = site.get("SELECT string_agg(status, ' ' ORDER BY id) FROM comments");
        let rest = [meanwhile; 5].join(" ");
        assert_eq!(statuses, format!("spam {rest}"));
        texts.iter().for_each(|text| Gate::shared().say(text, true));
        site.until_all_answered();
        assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "spam");
        assert!(texts.iter().all(|text| Gate::shared().asked(text) == 1), "nobody is asked twice");
        // Another statement has a time of its own.
        let text = format!("alone with {on_failure}");
        let start = Instant::now();
        site.run(&format!("INSERT INTO comments (body) VALUES ('{text}'); SELECT 1"));
        assert!(start.elapsed() >= Duration::from_millis(1_000), "{:?}", start.elapsed());
        Gate::shared().say(&text, false);
        site.until_all_answered();
    }
}

#[test]
fn a_late_answer_of_ham_lets_a_held_row_go() {
    let text = "late and fine";
    let mut site = Gate::shared().site(r#"{"mode": "wait", "wait_ms": 200, "on_failure": "hold"}"#);
    let id = site.comment(text);
    assert_eq!(site.status(id), "pending");
    Gate::shared().say(text, false);
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
}

#[test]
fn an_insert_that_is_rolled_back_leaves_nothing_to_ask() {
    let text = "rolled back while it is out";
    let mut site = Gate::shared().site(r#"{"mode": "wait", "wait_ms": 200}"#);
    site.run(&format!(
        "BEGIN; INSERT INTO comments (body, ip) VALUES ('{text}', '203.0.113.7'); ROLLBACK"
    ));
    Gate::shared().say(text, true);
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(site.log(), [""; 0]);
}

#[test]
fn a_cancel_and_a_statement_timeout_end_the_wait() {
    let mut site = Gate::shared().site(PATIENT).with_worker();
    let start = Instant::now();
    let error = site
        .client
        .batch_execute(
            "SET statement_timeout = '300ms'; INSERT INTO comments (body, ip) VALUES ('too long for the statement', '203.0.113.7')",
        )
        .expect_err("it is cancelled");
    assert_eq!(error.code().expect("the server says so").code(), "57014");
    site.run("RESET statement_timeout");
    let waiting = site.client.cancel_token();
    let canceller = std::thread::spawn(move || {
        Gate::shared().until_asked("too long for the visitor");
        waiting.cancel_query(postgres::NoTls).expect("it can be asked for");
    });
    let error = site
        .client
        .batch_execute(
            "INSERT INTO comments (body, ip) VALUES ('too long for the visitor', '203.0.113.7')",
        )
        .expect_err("it is cancelled");
    assert_eq!(error.code().expect("the server says so").code(), "57014");
    canceller.join().expect("it ends");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(site.get("SELECT count(*) FROM comments"), "0");
}

#[test]
fn an_error_of_the_service_ends_the_wait_and_is_asked_again() {
    let mut site = World::shared().site(PATIENT).with_worker();
    let broken = site.answer("breaks", Reply::status(500));
    let id = site.comment(&format!("breaks {SPAM}"));
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "1");
    broken.off();
    site.run("SELECT spamcheck.retry_lookups()");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
}

#[test]
fn what_was_asked_without_a_verdict_is_not_asked_again_at_once() {
    let mut site = World::shared().site(PATIENT).with_worker();
    site.answer("breaks once", Reply::status(500));
    site.answer("lacks", Reply::text("Missing required field: blog."));
    site.comment("breaks once");
    site.until("SELECT attempts || ' ' || (last_error LIKE '%500%') || ' ' || (next_at > now()) FROM spamcheck.lookup WHERE state = 'queued'", "1 true true");
    assert_eq!(site.requests_about("breaks once").len(), 1);
    site.run("SELECT spamcheck.retry_lookups()");
    site.until_asked("breaks once", 2);
    let asked = site.requests_about("breaks once");
    assert_eq!(asked[1].param("recheck_reason").as_deref(), Some("retry"));
    // What no try makes better fails at the first.
    site.comment("lacks a field");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE state = 'failed'", "1");
    assert_eq!(site.requests_about("lacks a field").len(), 1);
}

#[test]
fn a_provisional_ham_goes_in_and_is_asked_about_again() {
    let mut site = World::shared().site(PATIENT).with_worker();
    let provisional =
        site.answer("for now", Reply::text("false").header("X-akismet-recheck-after", "2"));
    let id = site.comment(&format!("for now {SPAM}"));
    assert_eq!(site.status(id), "approved");
    site.until("SELECT reason FROM spamcheck.lookup", "recheck_queue");
    provisional.off();
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert_eq!(site.requests().len(), 2);
}

#[test]
fn texts_that_the_service_stumbles_over_close_it_for_nobody_else() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    site.answer("stumble", Reply::status(500));
    for n in 0..5 {
        site.comment(&format!("stumble {n}"));
    }
    site.until("SELECT akismet FROM spamcheck.stat_worker", "down");
    // A fresh comment is the one that finds out that the service answers.
    let id = site.comment(SPAM);
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "down");
    site.ask_with(PATIENT);
    // Nobody waits long for a service that is down, and somebody gets through soon.
    let start = Instant::now();
    wait::until(SOON, "an insert that gets through", || {
        let id = site.comment(SPAM);
        site.status(id) == "spam"
    });
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn without_a_key_nobody_waits() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(PATIENT).with_worker();
    let empty = world.cluster.write_secrets(&serde_json::json!({}));
    world.cluster.set("pg_spamcheck.secrets_file", &empty.display().to_string());
    site.until("SELECT akismet FROM spamcheck.stat_worker", "no key");
    let start = Instant::now();
    let id = site.comment(SPAM);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "1");
}

#[test]
fn a_trial_keeps_nobody_waiting() {
    let text = "on trial";
    let mut site = Gate::shared().site(PATIENT).with_worker();
    site.run("UPDATE spamcheck.policy SET mode = 'trial'");
    let id = site.comment(text);
    Gate::shared().say(text, true);
    site.until_all_answered();
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), ["akismet spam flagged"]);
}

#[test]
fn many_wait_at_the_same_time_and_more_than_there_are_slots() {
    let world = World::new(
        ClusterOptions::default()
            .with("pg_spamcheck.mailbox_slots", "16")
            .with("max_connections", "100"),
    );
    world.akismet.set_latency(Duration::from_millis(20));
    let mut site = world.site(PATIENT).with_worker();
    act(&mut site, "reject");
    let refused: usize = std::thread::scope(|scope| {
        let database = &site.database;
        let one = |n: usize| {
            let mut client = database.client();
            let body =
                if n.is_multiple_of(2) { format!("{SPAM} {n}") } else { format!("fine {n}") };
            let insert = "INSERT INTO comments (body, ip) VALUES ($1, '203.0.113.7')";
            usize::from(client.execute(insert, &[&body]).is_err())
        };
        let all: Vec<_> = (0..64).map(|n| scope.spawn(move || one(n))).collect();
        all.into_iter().map(|one| one.join().expect("it ends")).sum()
    });
    assert_eq!(refused, 32);
    assert_eq!(site.get("SELECT count(*) FROM comments"), "32");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(site.requests().len(), 64);
    assert_eq!(site.log().len(), 32);
}

#[test]
fn rejections_are_logged_while_others_wait_in_all_slots() {
    let gate = Gate::new(
        ClusterOptions::default()
            .with("pg_spamcheck.mailbox_slots", "4")
            .with("max_connections", "50"),
    );
    let mut site = gate.site(PATIENT).with_worker();
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'",
    );
    std::thread::scope(|scope| {
        let database = &site.database;
        for n in 0..8 {
            scope.spawn(move || {
                let body = format!("sits and waits {n}");
                let insert = "INSERT INTO comments (body, ip) VALUES ($1, '203.0.113.7')";
                database.client().execute(insert, &[&body]).expect("it goes in");
            });
        }
        let out = || (0..8).filter(|n| gate.asked(&format!("sits and waits {n}")) > 0).count();
        wait::until(SOON, "three that wait", || out() == 3);
        let mut client = database.client();
        assert!(client.batch_execute("INSERT INTO comments (body) VALUES ('casino')").is_err());
        let logged = client.query_one("SELECT count(*) FROM spamcheck.spam_checklog", &[]);
        assert_eq!(logged.expect("a row").get::<_, i64>(0), 1);
        (0..8).for_each(|n| gate.say(&format!("sits and waits {n}"), false));
    });
    assert_eq!(site.get("SELECT count(*) FROM comments"), "8");
}

#[test]
fn an_upsert_asks_once() {
    let mut site = World::shared().site(PATIENT).with_worker();
    let upsert = |text: &str| {
        format!(
            "INSERT INTO comments (id, body) VALUES (7, '{text}')
             ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        )
    };
    site.run(&upsert("upserted first"));
    site.run(&upsert("upserted second"));
    assert_eq!(site.requests_about("upserted").len(), 2);
    // The same words in another statement are another question.
    site.run(
        "UPDATE comments SET body = 'upserted third'; UPDATE comments SET body = 'upserted second'",
    );
    assert_eq!(site.requests_about("upserted second").len(), 2);
}

#[test]
fn a_text_that_a_firewall_refuses_does_not_stand_for_all() {
    let mut site = World::shared().site(PATIENT).with_worker();
    act(&mut site, "reject");
    site.answer("dislikes", Reply::text("no").with_status(403));
    site.comment("what the firewall dislikes");
    site.until("SELECT last_error LIKE '%403%' FROM spamcheck.lookup", "true");
    for n in 0..4 {
        let insert = format!("INSERT INTO comments (body) VALUES ('{SPAM} {n}')");
        assert!(site.client.batch_execute(&insert).is_err(), "{n}\n{}", site.queue());
    }
    assert_eq!(site.get("SELECT akismet FROM spamcheck.stat_worker"), "open");
}
