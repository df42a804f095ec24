//! Sources that fail: the last good copy stays, the list says what is wrong, and a person is asked where a
//! person has to look.

use support::cluster::{Cluster, ClusterOptions};
use support::http::{Reply, Server};
use support::proxy::Proxy;
use support::wait;

use crate::site::{SOON, Site, domains};

/// A list that was fetched well once, and then answered like this.
fn then(reply: Reply) -> Site {
    let mut site = Site::new(reply);
    site.source.once(|_| true, Reply::text(domains(40)).header("ETag", "\"good\""));
    site.fetch_every("'1 day'");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "40");
    site.fetch_when_due();
    site
}

#[test]
fn the_last_good_copy_stays_whatever_comes_instead() {
    for (reply, error) in [
        (Reply::status(404), "answered with status 404"),
        (Reply::status(503), "answered with status 503"),
        (Reply::reset(), "could not be read"),
        (Reply::hang_up(), "could not be read"),
        (Reply::html("<p>bad.example</p>"), "is a page in HTML and no list"),
        (Reply::text("<!DOCTYPE html>\n<p>moved</p>"), "it is a page in HTML or XML and no list"),
        (Reply::text(""), "it has no entries"),
        (Reply::text("# all gone\n"), "it has no entries"),
        (
            Reply::text("no host\nnot one\nbad.example\n one more"),
            "3 of its lines are no entries of kind domain",
        ),
        (Reply::text(domains(40)).header("Content-Encoding", "gzip"), "is compressed, unasked"),
        (Reply::text(domains(30)).after(support::http::After::Half), "broke off"),
        (Reply::status(302).header("Location", "file:///etc/passwd"), "leads to where nobody goes"),
        (Reply::text(domains(19)), "it has 19 entries, and it had 40"),
    ] {
        let mut site = then(reply);
        let said = site.error();
        assert!(said.contains(error), "{error}: {said}");
        assert_eq!(site.count(), "40", "{error}");
        assert_eq!(site.get("SELECT failures FROM spamcheck._source"), "1");
        let health = site.health();
        assert!(health.starts_with("warning: ") && health.contains(error), "{health}");
        // Tried again in a minute, and still with the ETag of what is there.
        assert_eq!(
            site.get("SELECT next_at BETWEEN now() + interval '40 s' AND now() + interval '61 s' FROM spamcheck._source"),
            "true"
        );
        site.source.forget_requests();
        site.source.once(|_| true, Reply::status(304));
        site.fetch_when_due();
        assert_eq!(site.source.requests()[0].header("if-none-match"), Some("\"good\""));
        assert_eq!(site.error(), "-", "{error}");
        assert!(site.health().starts_with("ok"), "{}", site.health());
    }
}

#[test]
fn a_source_that_stays_down_is_asked_less_and_less_however_short_the_refresh() {
    let mut site = then(Reply::status(404));
    site.run("UPDATE spamcheck.list SET refresh = '1 minute' WHERE name = 'url_block'");
    site.until("SELECT failures = 1 AND next_at > now() FROM spamcheck._source", "true");
    for minutes in [2, 4, 8, 16, 32, 60, 60] {
        site.fetch_when_due();
        let about = format!(
            "SELECT next_at BETWEEN now() + interval '{minutes} minutes' - interval '20 s' AND now() + interval '{minutes} minutes' FROM spamcheck._source"
        );
        assert_eq!(site.get(&about), "true", "{minutes} minutes");
    }
}

#[test]
fn lines_that_are_no_entries_are_left_out_and_reported() {
    let mut site = then(Reply::text(format!("{}no host\nbad\u{0}.example\n", domains(41))));
    assert_eq!(site.count(), "41", "{}", site.error());
    let said = site.error();
    assert!(
        said.starts_with("2 of 43 lines are no entries and were left out: line 42: "),
        "{said}"
    );
    assert_eq!(site.get("SELECT failures FROM spamcheck._source"), "0");
    assert!(site.health().starts_with("warning"), "{}", site.health());
}

#[test]
fn a_shrink_to_under_half_needs_a_person() {
    let mut site = then(Reply::text(domains(19)));
    assert_eq!(site.count(), "40");
    let said = site.error();
    let way = "UPDATE spamcheck.list SET refreshed_at = NULL WHERE name = 'url_block'";
    assert!(said.contains(way), "{said}");
    site.fetch_when_due();
    assert_eq!(site.count(), "40");
    // The sentence says what to do, and it does it.
    site.run(way);
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "19");
    assert_eq!(site.error(), "-");
}

#[test]
fn who_asks_for_the_next_fetch_has_not_seen_the_one_after_an_outage() {
    let mut site = then(Reply::status(500));
    site.run("UPDATE spamcheck.list SET refreshed_at = NULL WHERE name = 'url_block'");
    site.until("SELECT failures FROM spamcheck._source", "1");
    site.source.forget_script();
    site.source.always(|_| true, Reply::text(domains(1)));
    site.fetch_when_due();
    assert_eq!(site.count(), "40");
    assert!(site.error().contains("it has 1 entries, and it had 40"), "{}", site.error());
}

#[test]
fn another_source_is_taken_as_it_is() {
    let mut site = then(Reply::text(domains(40)));
    site.source.always(|request| request.target() == "/other", Reply::text("other.example"));
    let url = format!("{}/other", site.source.url());
    site.run(&format!("UPDATE spamcheck.list SET source_url = '{url}' WHERE name = 'url_block'"));
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "1");
    assert_eq!(site.entries(), "other.example");
}

#[test]
fn sources_that_nobody_may_be_sent_to_are_refused() {
    let mut site = Site::new(Reply::text("bad.example"));
    for url in [
        "http://lists.example/x",
        "ftp://lists.example/x",
        "file:///etc/passwd",
        "https://user:password@lists.example/x",
        "lists.example",
        "",
    ] {
        let update = "UPDATE spamcheck.list SET source_url = $1 WHERE name = 'url_block'";
        let error = site.client.execute(update, &[&url]).expect_err(url);
        let message = error.as_db_error().expect("a refusal").message().to_owned();
        assert_eq!(message, "the source_url of list \"url_block\" cannot be fetched", "{url}");
    }
    // By another way in: a redirect to plain http of another machine.
    let mut site = then(Reply::status(302).header("Location", "http://192.0.2.1/list.txt"));
    assert!(site.error().contains("is not https"), "{}", site.error());
    assert_eq!(site.count(), "40");
}

#[test]
fn loopback_is_private_too_unless_the_setting_says_otherwise() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(ClusterOptions::default())));
    let source = Server::start(|_| Reply::text("bad.example"));
    let database = cluster.database();
    let mut site = Site { client: database.client(), database, source };
    site.fetch_every("'1 day'");
    site.until("SELECT failures FROM spamcheck._source", "1");
    let said = site.error();
    assert!(said.contains("loopback, and pg_spamcheck.allow_private_hosts is off"), "{said}");
    assert_eq!(site.source.counts().connections, 0);
    cluster.set("pg_spamcheck.allow_private_hosts", "on");
    site.fetch_anew();
    assert_eq!(site.entries(), "bad.example");
}

#[test]
fn a_list_that_changes_while_it_is_fetched_is_let_alone() {
    let mut site =
        Site::new(Reply::text("bad.example").delay(std::time::Duration::from_millis(800)));
    site.fetch_every("NULL");
    wait::until(SOON, "the request", || site.source.counts().requests == 1);
    site.run("UPDATE spamcheck.list SET source_url = NULL WHERE name = 'url_block'");
    wait::until(SOON, "the answer", || site.source.counts().in_flight == 0);
    // Another list is fetched after it, so what came of it is settled by then.
    let url = site.source.url();
    site.run(&format!(
        "INSERT INTO spamcheck.list (name, kind, source_url) VALUES ('second', 'domain', '{url}/second')"
    ));
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'second'", "1");
    assert_eq!(site.count(), "0");
    // A list that is dropped takes its source along.
    site.run("DELETE FROM spamcheck.list WHERE name = 'second'");
    site.fetch_every("NULL");
    site.until("SELECT string_agg(list, ' ') FROM spamcheck._source", "url_block");
}

#[test]
fn a_proxy_is_no_way_around_the_rules() {
    let proxy = Proxy::start();
    let source = Server::start(|_| Reply::status(302).header("Location", "http://192.0.2.1/list"));
    for (private, error) in [("off", "allow_private_hosts is off"), ("on", "is not https")] {
        let cluster = Cluster::start(
            ClusterOptions::default()
                .with("pg_spamcheck.http_proxy", proxy.url())
                .with("pg_spamcheck.allow_private_hosts", private),
        );
        let database = cluster.database();
        let mut client = database.client();
        let url = source.url();
        let set = "UPDATE spamcheck.list SET source_url = $1 WHERE name = 'url_block'";
        client.execute(set, &[&format!("{url}/list.txt")]).unwrap();
        let said = wait::poll(SOON, || {
            let said = "SELECT last_error FROM spamcheck.list WHERE name = 'url_block'";
            client.query_one(said, &[]).unwrap().get::<_, Option<String>>(0)
        });
        assert!(said.as_ref().is_some_and(|said| said.contains(error)), "{said:?}");
        let asked = proxy.asked();
        assert!(asked.iter().all(|asked| !asked.contains("192.0.2.1")), "{asked:?}");
        assert!(private == "on" || asked.is_empty(), "{asked:?}");
    }
}

#[test]
fn a_line_with_a_nul_is_left_out_like_other_junk() {
    let mut site = Site::new(Reply::text("plain words\nA\0B\ncaf\u{e9} pills\n"));
    let url = site.source.url();
    site.run(&format!(
        "UPDATE spamcheck.list SET source_url = '{url}/words.txt' WHERE name = 'banned_words'"
    ));
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'banned_words'", "2");
    let said = site.get("SELECT last_error FROM spamcheck.list WHERE name = 'banned_words'");
    assert!(said.contains("1 of 3 lines") && said.contains("NUL"), "{said}");
}

#[test]
fn what_the_databases_encoding_lacks_is_left_out_and_never_another_pattern() {
    let mut site = Site::new(Reply::text("viagra\\d\na\u{65e5}\nm\u{fc}ll\n"));
    let name = format!("latin_{}", site.database.name());
    site.run(&format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    let mut client = site.database.cluster().connect(&name, "postgres");
    let url = site.source.url();
    client
        .batch_execute(&format!(
            "CREATE EXTENSION pg_spamcheck;
             INSERT INTO spamcheck.list (name, kind, source_url) VALUES ('patterns', 'regex', '{url}/patterns.txt')"
        ))
        .unwrap();
    let said = wait::poll(SOON, || {
        let said = "SELECT last_error FROM spamcheck.list WHERE name = 'patterns'";
        client.query_one(said, &[]).unwrap().get::<_, Option<String>>(0)
    });
    assert!(said.as_ref().is_some_and(|s| s.contains("1 of 3") && s.contains("lacks")), "{said:?}");
    let entries = "SELECT string_agg(value, ' ' ORDER BY value) FROM spamcheck.list_entry WHERE list = 'patterns'";
    assert_eq!(client.query_one(entries, &[]).unwrap().get::<_, String>(0), "m\u{fc}ll viagra\\d");
    drop(client);
    site.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[test]
fn a_list_that_somebody_edits_keeps_no_log_entry_waiting() {
    let mut site = Site::new(Reply::text("bad.example"));
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, author text, body text);
         SELECT spamcheck.protect('comments');
         UPDATE spamcheck.check_setting SET enabled = true, action = 'reject' WHERE check_name = 'required'",
    );
    site.fetch_every("'1 minute'");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "1");
    site.until("SELECT next_at > now() FROM spamcheck._source", "true");
    // Due while the editor below holds the list.
    site.make_due("5 seconds");
    let mut editor = site.database.client();
    editor
        .batch_execute(
            "BEGIN; UPDATE spamcheck.list SET refresh = '2 minutes' WHERE name = 'url_block'",
        )
        .unwrap();
    let asked = site.source.counts().requests;
    wait::until(SOON, "a fetch meanwhile", || site.source.counts().requests > asked);
    for _ in 0..5 {
        site.client
            .batch_execute("INSERT INTO comments (body) VALUES ('x')")
            .expect_err("no author");
    }
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.spam_checklog"), "5");
    editor.batch_execute("COMMIT").unwrap();
}

#[test]
fn a_renamed_list_keeps_its_entries_and_its_source() {
    let mut site = Site::new(Reply::text("bad.example"));
    site.fetch_every("NULL");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "1");
    site.run("UPDATE spamcheck.list SET name = 'bad_hosts' WHERE name = 'url_block'");
    site.run("UPDATE spamcheck.list SET refreshed_at = NULL WHERE name = 'bad_hosts'");
    site.until(
        "SELECT refreshed_at IS NOT NULL FROM spamcheck.list WHERE name = 'bad_hosts'",
        "true",
    );
    site.until("SELECT string_agg(list || ' ' || url_is, ' ') FROM (SELECT list, url <> '' AS url_is FROM spamcheck._source) s", "bad_hosts true");
    assert_eq!(
        site.get("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'bad_hosts' AND _fetched"),
        "1"
    );
    assert_eq!(site.source.counts().requests, 2);
    let elsewhere = format!("{}/elsewhere.txt", site.source.url());
    site.run(&format!(
        "UPDATE spamcheck.list SET source_url = '{elsewhere}' WHERE name = 'bad_hosts'"
    ));
    wait::until(SOON, "a fetch from the new place", || site.source.counts().requests == 3);
}

#[test]
fn a_list_that_says_it_was_fetched_in_the_far_future_stops_no_worker() {
    let mut site = Site::new(Reply::text("bad.example"));
    let url = site.source.url();
    site.run(&format!(
        "INSERT INTO spamcheck.list (name, kind, source_url, refresh, refreshed_at)
         VALUES ('later', 'domain', '{url}/later.txt', '10 years', '294276-12-31')"
    ));
    site.fetch_every("'1 day'");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "1");
}
