//! A list as its source has it: at once when the source is set, then every so often, without asking for what
//! has not changed, and beside what people add.

use support::http::{Reply, Server};
use support::wait;

use crate::site::{SOON, Site, domains};

#[test]
fn a_list_is_fetched_as_soon_as_its_source_is_set_and_checks_use_it() {
    let mut site = Site::new(Reply::text("# bad\nbad.example\r\nworse.example # why\n"));
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, url text, body text, status text DEFAULT 'approved'
                CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments');
         UPDATE spamcheck.check_setting SET enabled = true, action = 'spam' WHERE check_name = 'url_blocklist'",
    );
    let insert = "INSERT INTO comments (url, body) VALUES ('https://www.worse.example/', 'Hello') RETURNING status";
    assert_eq!(site.client.query_one(insert, &[]).unwrap().get::<_, String>(0), "approved");
    assert!(site.health().starts_with("ok: no list is fetched"), "{}", site.health());
    site.fetch_every("'1 hour'");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "2");
    assert_eq!(site.entries(), "bad.example worse.example");
    assert_eq!(site.client.query_one(insert, &[]).unwrap().get::<_, String>(0), "spam");
    assert_eq!(site.error(), "-");
    assert_eq!(site.get("SELECT now() - refreshed_at < interval '1 minute' FROM spamcheck.list WHERE name = 'url_block'"), "true");
    assert!(site.health().starts_with("ok: every list"), "{}", site.health());
    assert_eq!(site.source.requests()[0].target(), "/list.txt");
}

#[test]
fn a_list_is_fetched_again_every_so_often_and_asks_only_for_what_is_new() {
    let mut site = Site::new(Reply::status(500));
    site.source
        .always(|request| request.header("if-none-match") == Some("\"one\""), Reply::status(304));
    site.source.always(
        |_| true,
        Reply::text("bad.example")
            .header("ETag", "\"one\"")
            .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    );
    site.fetch_every("'1 minute'");
    site.until("SELECT count(*) FROM spamcheck._source WHERE etag IS NOT NULL", "1");
    let before = site.get("SELECT refreshed_at FROM spamcheck.list WHERE name = 'url_block'");
    site.fetch_when_due();
    site.fetch_when_due();
    let asked = site.source.requests();
    assert_eq!(asked[0].header("if-none-match"), None);
    assert_eq!(asked[1].header("if-none-match"), Some("\"one\""));
    assert_eq!(asked[1].header("if-modified-since"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(site.entries(), "bad.example");
    site.until(
        &format!("SELECT refreshed_at > '{before}' FROM spamcheck.list WHERE name = 'url_block'"),
        "true",
    );
    assert_eq!(site.error(), "-");
    // Another place knows nothing of that ETag.
    site.run("UPDATE spamcheck.list SET source_url = source_url || '?2', refresh = NULL WHERE name = 'url_block'");
    wait::until(SOON, "the other place", || {
        site.source.requests().iter().any(|request| request.target() == "/list.txt?2")
    });
    let asked = site.source.requests();
    let other = asked.iter().find(|request| request.target() == "/list.txt?2").unwrap();
    assert_eq!(other.header("if-none-match"), None);
}

/// A source that has not changed says nothing about entries that somebody has deleted here.
#[test]
fn entries_that_are_gone_come_back_though_the_source_has_not_changed() {
    let mut site = Site::new(Reply::status(500));
    site.source
        .always(|request| request.header("if-none-match") == Some("\"one\""), Reply::status(304));
    site.source
        .always(|_| true, Reply::text("a.example\nb.example\nc.example").header("ETag", "\"one\""));
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'mine.example')");
    site.fetch_every("'1 minute'");
    site.until("SELECT count(*) FROM spamcheck._source WHERE etag IS NOT NULL", "1");
    site.run("DELETE FROM spamcheck.list_entry WHERE list = 'url_block'");
    site.fetch_when_due();
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "3");
    assert_eq!(site.entries(), "a.example b.example c.example");
    site.fetch_when_due();
    // One for another is no less gone.
    site.run("UPDATE spamcheck.list_entry SET value = 'x.example' WHERE value = 'b.example'");
    site.fetch_when_due();
    site.until(
        "SELECT count(*) FROM spamcheck.list_entry WHERE value IN ('b.example', 'x.example')",
        "1",
    );
    assert_eq!(site.entries(), "a.example b.example c.example");
    // What people add, and note, is no reason to ask for all of it.
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'mine.example');
         UPDATE spamcheck.list_entry SET expires_at = now() WHERE value = 'a.example'",
    );
    site.fetch_when_due();
    let asked = site.source.requests();
    let conditions: Vec<_> =
        asked.iter().map(|request| request.header("if-none-match").is_some()).collect();
    assert_eq!(conditions, [false, false, true, false, true]);
}

#[test]
fn without_a_refresh_a_list_is_fetched_once() {
    let mut site = Site::new(Reply::text("bad.example"));
    site.fetch_every("NULL");
    site.until_error("-");
    site.until("SELECT next_at FROM spamcheck._source", "infinity");
    assert_eq!(site.source.counts().requests, 1);
    site.fetch_anew();
    assert_eq!(site.source.counts().requests, 2);
}

#[test]
fn entries_follow_the_source_and_those_of_people_stay() {
    let mut site = Site::new(Reply::status(500));
    site.source.once(|_| true, Reply::text("a.example\nb.example\nc.example\nd.example"));
    site.source.once(|_| true, Reply::text("b.example\nc.example\ne.example\nmine.example"));
    site.source.once(|_| true, Reply::text("b.example\nd.example"));
    site.run("INSERT INTO spamcheck.list_entry (list, value, note) VALUES ('url_block', 'mine.example', 'by hand')");
    site.fetch_every("NULL");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "5");
    site.run(
        "UPDATE spamcheck.list_entry SET note = 'our shop', expires_at = now() WHERE value = 'b.example';
         SELECT spamcheck.import_list('url_block', 'other.example')",
    );
    site.fetch_anew();
    assert_eq!(site.entries(), "b.example c.example e.example mine.example! other.example!");
    assert_eq!(
        site.get("SELECT note || ' ' || (expires_at < now()) FROM spamcheck.list_entry WHERE value = 'b.example'"),
        "our shop true"
    );
    site.fetch_anew();
    assert_eq!(site.entries(), "b.example d.example mine.example! other.example!");
}

#[test]
fn a_hundred_thousand_lines_keep_no_insert_waiting() {
    let mut site = Site::new(Reply::text(domains(100_000)));
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, url text, body text, status text DEFAULT 'approved'
                CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments');
         UPDATE spamcheck.check_setting SET enabled = true, action = 'spam' WHERE check_name = 'url_blocklist';
         SET lock_timeout = '1ms'",
    );
    site.fetch_every("'1 day'");
    // Whatever the worker writes meanwhile, no insert meets a lock.
    let done = wait::poll(SOON, || {
        site.run("INSERT INTO comments (url, body) VALUES ('https://bad99999.example/', 'Hello')");
        (site.get("SELECT max(status) FROM comments") == "spam").then_some(())
    });
    assert!(done.is_some(), "{}", site.error());
    assert_eq!(site.count(), "100000");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.list_entry WHERE _fetched"), "100000");
}

#[test]
fn a_redirect_is_followed_and_an_idle_worker_asks_nothing() {
    let elsewhere = Server::start(|_| Reply::text("bad.example"));
    let mut site =
        Site::new(Reply::status(301).header("Location", format!("{}/x", elsewhere.url())));
    site.fetch_every("'1 day'");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "1");
    assert_eq!(elsewhere.counts().requests, 1);
}
