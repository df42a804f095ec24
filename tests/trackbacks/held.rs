//! A row that waits: moderated meanwhile, and afterwards what it was, or what the check says.

use support::http::{After, Reply, Server};

use crate::site::{ARTICLE, SOON, Site, linking, open, pages};
use support::wait;

#[test]
fn a_trackback_waits_as_moderated_and_gets_its_own_status_back() {
    let pages = pages();
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let insert = "INSERT INTO comments (type, url, ip, permalink, body, status)
                  VALUES ('pingback', $1, '127.0.0.1', $2, 'Rye!', 'quiet') RETURNING id, status";
    let url = format!("{}/my-rye", pages.url());
    let row = site.client.query_one(insert, &[&url, &ARTICLE]).unwrap();
    assert_eq!(row.get::<_, String>(1), "pending");
    site.until_done();
    assert_eq!(site.status(row.get(0)), "quiet");
    assert_eq!(site.log(), [""; 0]);
    let asked = pages.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method(), asked[0].target()), ("GET", "/my-rye"));
    assert!(asked[0].header("user-agent").is_some_and(|agent| agent.starts_with("pg_spamcheck/")));
    assert_eq!(asked[0].header("accept-encoding"), None, "nothing is ever unpacked");
}

#[test]
fn a_page_without_the_link_gets_what_the_action_says_and_never_more() {
    for (action, status, outcome) in [
        ("log", "approved", "flagged"),
        ("score", "approved", "flagged"),
        ("challenge", "pending", "moderated"),
        ("moderate", "pending", "moderated"),
        ("spam", "spam", "suppressed"),
        // There is no undoing an insert that the app has seen.
        ("reject", "spam", "suppressed"),
    ] {
        let pages = Server::start(|_| Reply::html("<p>Cheap pills.</p>"));
        let mut site =
            Site::new(open(), &[("trackback_link", &format!("action = '{action}', score = 1.5"))]);
        let (id, _) = site.trackback(&pages.url());
        site.until_done();
        assert_eq!(site.status(id), status, "{action}");
        assert_eq!(site.log(), [format!("trackback_link {action} {outcome}")]);
        assert_eq!(
            site.get("SELECT detail ->> 'page' FROM spamcheck.spam_checklog"),
            format!("{}/", pages.url())
        );
        assert!(site.why().ends_with("does not link to the article"), "{}", site.why());
        assert_eq!(
            site.get("SELECT row_key::text FROM spamcheck.spam_checklog"),
            format!("{{\"id\": {id}}}")
        );
    }
}

#[test]
fn a_shadow_holds_no_row() {
    let pages = pages();
    pages.always(|_| true, Reply::html("nothing").delay(std::time::Duration::from_millis(300)));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'log'")]);
    let (id, status) = site.trackback(&pages.url());
    assert_eq!(status, "approved");
    site.until_done();
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), ["trackback_link log flagged"]);
}

#[test]
fn a_trial_asks_and_touches_nothing() {
    let pages = Server::start(|_| Reply::html("nothing"));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    site.run("UPDATE spamcheck.policy SET mode = 'trial'");
    let (id, status) = site.trackback(&pages.url());
    assert_eq!(status, "approved");
    site.until_done();
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), ["trackback_link reject flagged"]);
}

#[test]
fn comments_and_rows_that_are_spam_anyway_are_not_looked_up() {
    let pages = pages();
    let mut site = Site::new(
        open(),
        &[("trackback_link", "action = 'reject'"), ("trackback_ip", "action = 'reject'")],
    );
    site.run("SELECT spamcheck.import_list('banned_words', 'pills')");
    site.check("content", "action = 'spam'");
    site.run(&format!(
        "INSERT INTO comments (type, url, ip, permalink, body) VALUES
                (NULL, '{0}/1', '127.0.0.1', '{ARTICLE}', 'Rye!'),
                ('trackback', '{0}/2', '127.0.0.1', '{ARTICLE}', 'Cheap pills')",
        pages.url()
    ));
    assert_eq!(
        site.get("SELECT string_agg(status, ' ' ORDER BY id) FROM comments"),
        "approved spam"
    );
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    // What is not asked at all is nowhere in the queue behind this one either.
    let (id, _) = site.trackback(&format!("{}/3", pages.url()));
    site.until_done();
    assert_eq!(site.status(id), "approved");
    assert_eq!(pages.requests().len(), 1);
}

#[test]
fn what_a_person_decides_meanwhile_stays() {
    let pages = Server::start(|_| Reply::html("nothing"));
    pages.always(|_| true, Reply::silence());
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    wait::until(SOON, "the visit", || pages.counts().requests == 1);
    site.run(&format!("UPDATE comments SET status = 'approved' WHERE id = {id}"));
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0", "nobody needs an answer");
    pages.close_connections();
    // The next one is done after whatever became of the first.
    pages.forget_script();
    let (second, _) = site.trackback(&format!("{}/second", pages.url()));
    site.until(&format!("SELECT status FROM comments WHERE id = {second}"), "spam");
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), ["trackback_link reject suppressed"]);
}

#[test]
fn an_edited_trackback_is_looked_up_anew_and_still_gets_its_own_status_back() {
    let pages = Server::start(|_| Reply::html("nothing"));
    pages.always(|request| request.target() == "/slow", Reply::silence());
    pages.always(|request| request.target() == "/new", linking().after(After::Close));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&format!("{}/slow", pages.url()));
    wait::until(SOON, "the visit", || pages.counts().requests == 1);
    site.run(&format!("UPDATE comments SET url = '{}/new' WHERE id = {id}", pages.url()));
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    site.until_done();
    assert_eq!(site.log(), [""; 0]);
}

#[test]
fn an_edited_trackback_is_not_held_by_a_question_that_holds_nothing() {
    let pages = Server::start(|_| Reply::html("nothing"));
    pages.always(|request| request.target() == "/slow", Reply::silence());
    pages.always(|request| request.target() == "/new", linking().after(After::Close));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    // Without a key it waits.
    site.check("akismet", "action = 'spam', options = '{\"blog\": \"https://blog.example/\"}'");
    let (id, _) = site.trackback(&format!("{}/slow", pages.url()));
    wait::until(SOON, "the visit", || pages.counts().requests == 1);
    site.run(&format!("UPDATE comments SET url = '{}/new' WHERE id = {id}", pages.url()));
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    assert_eq!(site.get("SELECT string_agg(kind, ' ') FROM spamcheck.lookup"), "akismet");
}

#[test]
fn a_held_row_that_is_edited_into_a_comment_is_held_no_longer() {
    let pages = Server::start(|_| Reply::silence());
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, status) = site.trackback(&pages.url());
    assert_eq!(status, "pending");
    site.run(&format!("UPDATE comments SET type = 'comment', body = 'By hand' WHERE id = {id}"));
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
}

#[test]
fn lookups_outlive_a_crash() {
    let pages = Server::start(|_| Reply::silence());
    let cluster = support::cluster::Cluster::start(
        support::cluster::ClusterOptions::default()
            .with("pg_spamcheck.allow_private_hosts", "on")
            .with("pg_spamcheck.request_timeout", "60s"),
    );
    // The cluster of this test lives as long as the process.
    let cluster: &'static _ = Box::leak(Box::new(cluster));
    let mut site = Site::new(cluster, &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    wait::until(SOON, "the visit", || pages.counts().requests == 1);
    pages.always(|_| true, linking());
    cluster.kill9();
    cluster.start_again();
    site.client = site.database.client();
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    site.until_done();
}

#[test]
fn lookups_come_along_with_a_dump() {
    let pages = Server::start(|_| Reply::status(503));
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    site.trackback(&pages.url());
    site.until("SELECT attempts || ' ' || state FROM spamcheck.lookup", "1 queued");
    site.run("UPDATE spamcheck.lookup SET next_at = now() + interval '1 hour'");
    let dump = open().program("pg_dump").arg(site.database.name()).output().expect("pg_dump runs");
    assert!(dump.status.success());
    pages.always(|_| true, linking());
    let restored = open().empty_database();
    restored.psql(&String::from_utf8(dump.stdout).unwrap());
    let mut site = Site { client: restored.client(), database: restored };
    assert_eq!(site.get("SELECT status FROM comments"), "pending");
    site.hurry();
    assert_eq!(site.get("SELECT status FROM comments"), "approved");
}

#[test]
fn many_pages_of_one_slow_host_keep_no_other_host_waiting() {
    let slow = Server::start(|_| Reply::silence());
    let pages = pages();
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    site.run(&format!(
        "INSERT INTO comments (type, author, url, ip, permalink, body)
         SELECT 'trackback', 'Slow', '{}/' || n, '198.51.100.7', '{ARTICLE}', 'slow'
           FROM generate_series(1, 60) n",
        slow.url()
    ));
    let (id, _) = site.trackback(&pages.url().replace("127.0.0.1", "localhost"));
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    // One at a time, and the first has not been given up yet, or only just.
    assert!(slow.counts().requests <= 2, "{:?}", slow.counts());
    let waiting =
        site.get("SELECT count(*) FROM comments WHERE author = 'Slow' AND status = 'pending'");
    assert_eq!(waiting, "60");
    site.run("DELETE FROM comments WHERE author = 'Slow'");
}
