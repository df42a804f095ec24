//! Pages that do not answer: tried again, and in the end a person looks. No failure ever rejects.

use std::time::{Duration, Instant};

use support::http::{Reply, Server};

use crate::site::{Site, linking, open};

#[test]
fn a_page_that_fails_at_first_is_tried_again() {
    let pages = Server::start(|_| linking());
    pages.times(1, |_| true, Reply::status(503));
    pages.times(1, |_| true, Reply::reset());
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    site.until(
        "SELECT last_error FROM spamcheck.lookup",
        &format!("{}/ answered with status 503", pages.url()),
    );
    assert_eq!(site.status(id), "pending");
    site.hurry();
    assert_eq!(site.status(id), "approved");
    assert_eq!(pages.counts().requests, 3);
    assert_eq!(site.log(), [""; 0]);
}

#[test]
fn a_server_that_asks_to_be_left_alone_is() {
    let pages = Server::start(|_| linking());
    pages.times(1, |_| true, Reply::status(429).header("Retry-After", 600));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    site.trackback(&pages.url());
    site.until("SELECT attempts || ' ' || state FROM spamcheck.lookup", "1 queued");
    let wait =
        site.get("SELECT extract(epoch FROM next_at - clock_timestamp()) FROM spamcheck.lookup");
    let wait: f64 = wait.parse().unwrap();
    assert!((580.0..=600.0).contains(&wait), "{wait}: {}", site.queue());
}

#[test]
fn what_never_answers_is_for_a_person_whatever_the_action() {
    for action in ["log", "moderate", "spam", "reject"] {
        let pages = Server::start(|_| Reply::status(500));
        let mut site = Site::new(open(), &[("trackback_link", &format!("action = '{action}'"))]);
        let (id, _) = site.trackback(&pages.url());
        site.hurry();
        let (status, said) = match action {
            "log" => ("approved", "trackback_link log flagged"),
            _ => ("pending", "trackback_link moderate moderated"),
        };
        assert_eq!(site.status(id), status, "{action}");
        assert_eq!(site.log(), [said]);
        assert!(site.why().contains("could not be looked at"), "{}", site.why());
        assert_eq!(pages.counts().requests, 6, "{action}");
    }
}

#[test]
fn what_is_not_there_is_asked_once() {
    for reply in [
        Reply::status(404),
        Reply::status(302),
        Reply::html("x").header("Content-Encoding", "gzip"),
    ] {
        let pages = Server::start(move |_| reply.clone());
        let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
        let (id, _) = site.trackback(&pages.url());
        site.until_done();
        assert_eq!(site.status(id), "pending");
        assert_eq!(site.log(), ["trackback_link moderate moderated"]);
        assert_eq!(pages.counts().requests, 1);
    }
}

#[test]
fn a_page_that_drips_and_one_that_never_ends_take_five_seconds_at_most() {
    let drip = (0..100)
        .fold(Reply::html("<p>"), |reply, _| reply.then(Duration::from_millis(500), "drip "));
    let pages = Server::start(move |request| match request.path() {
        "/drip" => drip.clone().chunked(),
        _ => Reply::silence(),
    });
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let started = Instant::now();
    site.trackback(&format!("{}/drip", pages.url()));
    site.trackback(&format!("http://localhost:{}/silence", pages.port()));
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NOT NULL", "2");
    // On a busy machine the clock is a wide one; the page itself would take 50 s.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let errors = site.get("SELECT string_agg(last_error, '; ') FROM spamcheck.lookup");
    assert!(errors.contains("did not answer in time") || errors.contains("broke off"), "{errors}");
}

#[test]
fn one_host_is_asked_one_question_at_a_time() {
    let pages = Server::start(|_| linking().delay(Duration::from_millis(30)));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    site.run(&format!(
        "INSERT INTO comments (type, url, ip, permalink, body)
         SELECT 'trackback', '{}/' || n, '127.0.0.1', '{}', 'Rye ' || n FROM generate_series(1, 20) n",
        pages.url(),
        crate::site::ARTICLE
    ));
    site.until_done();
    assert_eq!(site.get("SELECT count(*) FROM comments WHERE status = 'approved'"), "20");
    assert_eq!(pages.counts().most_in_flight, 1);
}

#[test]
fn a_check_that_is_switched_off_waits_and_goes_on() {
    let pages = Server::start(|_| linking());
    pages.times(1, |_| true, Reply::status(503));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    site.until("SELECT attempts || ' ' || state FROM spamcheck.lookup", "1 queued");
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'trackback_link'",
    );
    site.run("SELECT spamcheck.retry_lookups('trackback_link')");
    site.until(
        "SELECT last_error FROM spamcheck.lookup",
        "check trackback_link of policy \"default\" is off",
    );
    assert_eq!(site.status(id), "pending");
    site.check("trackback_link", "action = 'reject'");
    site.run("SELECT spamcheck.retry_lookups()");
    site.until_done();
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_lookup_that_is_too_old_expires_and_can_be_retried() {
    let pages = Server::start(|_| Reply::status(500));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    site.until("SELECT attempts || ' ' || state FROM spamcheck.lookup", "1 queued");
    site.run(
        "UPDATE spamcheck.lookup SET created_at = now() - interval '16 days', next_at = now()",
    );
    site.until("SELECT state FROM spamcheck.lookup", "expired");
    assert_eq!(site.status(id), "pending");
    pages.always(|_| true, linking());
    site.run("UPDATE spamcheck.lookup SET created_at = now()");
    site.run("SELECT spamcheck.retry_lookups('trackback_link')");
    site.until_done();
    assert_eq!(site.status(id), "approved");
}
