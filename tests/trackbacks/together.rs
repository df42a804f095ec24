//! Several lookups of one row: it is released when all that hold it have passed, and what one of them finds
//! counts for the others.

use std::time::Duration;

use support::akismet::{Akismet, Endpoint};
use support::cluster::{Cluster, ClusterOptions};
use support::http::{Reply, Server};
use support::wait;

use crate::site::{SOON, Site, linking, open, pages};

/// A server that visits loopback and calls a stand-in of Akismet.
fn with_akismet() -> (&'static Cluster, Akismet) {
    let options = ClusterOptions::default().with("pg_spamcheck.allow_private_hosts", "on");
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(options)));
    let akismet = Akismet::start();
    akismet.attach(cluster);
    (cluster, akismet)
}

const BOTH: [(&str, &str); 2] =
    [("trackback_ip", "action = 'moderate'"), ("trackback_link", "action = 'reject'")];

#[test]
fn a_row_is_released_when_the_last_that_holds_it_has_passed() {
    let pages = pages();
    pages.once(|_| true, linking().delay(Duration::from_millis(700)));
    let mut site = Site::new(open(), &BOTH);
    let (id, _) = site.trackback(&format!("http://localhost:{}/", pages.port()));
    // The name is answered at once, the page is not.
    site.until("SELECT string_agg(kind, ' ') FROM spamcheck.lookup", "trackback_link");
    assert_eq!(site.status(id), "pending");
    site.until_done();
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), [""; 0]);
}

#[test]
fn a_hit_of_one_is_not_undone_by_the_other() {
    let pages = pages();
    pages.once(|_| true, linking().delay(Duration::from_millis(700)));
    let mut site = Site::new(open(), &BOTH);
    let (id, _) = site.trackback_by("203.0.113.5", &format!("http://localhost:{}/", pages.port()));
    site.until("SELECT string_agg(kind, ' ') FROM spamcheck.lookup", "trackback_link");
    assert_eq!(site.log(), ["trackback_ip moderate moderated"]);
    site.until_done();
    assert_eq!(site.status(id), "pending");
    assert_eq!(site.log(), ["trackback_ip moderate moderated"]);
}

#[test]
fn what_both_find_is_one_submission_in_the_log_and_their_scores_add_up() {
    let pages = Server::start(|_| Reply::html("nothing").delay(Duration::from_millis(300)));
    let mut site = Site::new(
        open(),
        &[
            ("trackback_ip", "action = 'score', score = 3"),
            ("trackback_link", "action = 'score', score = 2.5"),
        ],
    );
    let (id, status) =
        site.trackback_by("203.0.113.5", &format!("http://localhost:{}/", pages.port()));
    assert_eq!(status, "pending");
    site.until_done();
    // 3 alone is below moderate_at, 5.5 is not.
    assert_eq!(site.status(id), "pending");
    assert_eq!(site.log(), ["trackback_ip score flagged", "trackback_link score moderated"]);
    assert_eq!(site.get("SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog"), "1");
    assert_eq!(site.get("SELECT max(total_score) FROM spamcheck.spam_checklog"), "5.5");
}

#[test]
fn spam_by_one_ends_the_others() {
    let pages = Server::start(|_| Reply::silence());
    let mut site = Site::new(
        open(),
        &[("trackback_ip", "action = 'spam'"), ("trackback_link", "action = 'reject'")],
    );
    let (id, _) = site.trackback_by("203.0.113.5", &format!("http://localhost:{}/", pages.port()));
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    site.until_done();
    pages.close_connections();
    assert_eq!(site.log(), ["trackback_ip spam suppressed"]);
}

#[test]
fn akismet_and_a_page_are_asked_about_the_same_row() {
    let (cluster, akismet) = with_akismet();
    let pages = pages();
    let mut site = Site::new(cluster, &[("trackback_link", "action = 'moderate'")]);
    site.check("akismet", "action = 'spam', options = '{\"blog\": \"https://blog.example/\"}'");
    // Both are content.
    let (id, _) = site.trackback(&pages.url());
    site.until_done();
    assert_eq!(site.status(id), "approved");
    assert_eq!((akismet.calls(Endpoint::CommentCheck), pages.counts().requests), (1, 1));
    // Akismet is not, and answers last: the page has given the row back its own status by then.
    akismet.always(
        Endpoint::CommentCheck.any(),
        Reply::text("true").delay(Duration::from_millis(700)),
    );
    let (id, _) = site.trackback(&pages.url());
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
    site.until_done();
}

#[test]
fn a_lane_without_a_key_keeps_no_trackback_waiting() {
    let pages = pages();
    let mut site = Site::new(open(), &[("trackback_link", "action = 'moderate'")]);
    site.check("akismet", "action = 'spam', options = '{\"blog\": \"https://blog.example/\"}'");
    site.run("INSERT INTO comments (body) SELECT 'Comment ' || n FROM generate_series(1, 200) n");
    let (id, _) = site.trackback(&pages.url());
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup WHERE kind = 'akismet'"), "201");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup WHERE kind <> 'akismet'"), "0");
}

#[test]
fn pages_that_hang_keep_no_comment_waiting() {
    let (cluster, akismet) = with_akismet();
    let pages = Server::start(|_| Reply::silence());
    let mut site = Site::new(cluster, &[("trackback_link", "action = 'moderate'")]);
    for n in 0..40 {
        site.trackback(&format!("http://127.0.0.{}:{}/", n % 20 + 1, pages.port()));
    }
    wait::until(SOON, "a visit", || pages.counts().connections > 0);
    site.check("akismet", "action = 'spam', options = '{\"blog\": \"https://blog.example/\"}'");
    site.run("INSERT INTO comments (body) VALUES ('Comment')");
    wait::until(Duration::from_secs(4), "Akismet's turn", || {
        akismet.calls(Endpoint::CommentCheck) == 1
    });
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE kind = 'akismet'", "0");
}

#[test]
fn a_prepared_trackback_is_looked_up_when_it_is_committed() {
    let pages = pages();
    let options = ClusterOptions::default()
        .with("pg_spamcheck.allow_private_hosts", "on")
        .with("max_prepared_transactions", 5);
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(options)));
    let mut site = Site::new(cluster, &[("trackback_link", "action = 'moderate'")]);
    site.run("BEGIN");
    let (id, _) = site.trackback(&pages.url());
    site.run("PREPARE TRANSACTION 'trackback'");
    site.run("COMMIT PREPARED 'trackback'");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
}

#[test]
fn a_renamed_table_and_a_new_key_keep_their_lookups() {
    let pages = Server::start(|_| linking());
    pages.times(1, |_| true, Reply::status(503));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    site.until("SELECT attempts || ' ' || state FROM spamcheck.lookup", "1 queued");
    site.run(&format!(
        "ALTER TABLE comments RENAME TO remarks;
         ALTER TABLE remarks RENAME COLUMN status TO state;
         UPDATE remarks SET id = 4711 WHERE id = {id}"
    ));
    site.hurry();
    assert_eq!(site.get("SELECT state FROM remarks WHERE id = 4711"), "approved");
}
