//! What Akismet is told about content beyond the plain comment: types, edits, retries, dates, further
//! fields, other encodings.

use support::http::{Reply, Request};

use crate::site::{Site, World};

/// The only request about `part` so far.
#[track_caller]
fn asked(site: &mut Site<'_>, part: &str) -> std::sync::Arc<Request> {
    site.until_asked(part, 1);
    site.requests_about(part).remove(0)
}

#[test]
fn title_body_and_further_fields_are_one_text() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE actions (id serial PRIMARY KEY, title text, body text, custom jsonb);
         SELECT spamcheck.protect('actions', columns => '{\"fields\": \"custom\"}', status => '{}');
         INSERT INTO actions (title, body, custom)
         VALUES ('Head', E'first\\nsecond', '{\"city\": \"Bonn\", \"n\": 7, \"more\": [\"x\", {\"deep\": \"end\"}]}')",
    );
    let content = asked(&mut site, "first").param("comment_content").expect("there is a text");
    let lines: Vec<&str> = content.lines().collect();
    assert_eq!(lines[..3], ["Head", "first", "second"]);
    let mut further = lines[3..].to_vec();
    further.sort_unstable();
    assert_eq!(further, ["Bonn", "end", "x"]);
}

#[test]
fn types_get_akismets_names_unless_an_option_says_otherwise() {
    let mut site = World::shared().bare_site(r#"{"comment_type": {"letter": "message"}}"#);
    site.run(
        "CREATE TABLE actions (id serial PRIMARY KEY, type text, body text);
         SELECT spamcheck.protect('actions', status => '{}');
         INSERT INTO actions (type, body) VALUES (NULL, 'b0'), ('', 'b1'), ('NORMAL', 'b2'),
             ('regular', 'b3'), ('Pingback', 'b4'), ('letter', 'b5'), ('wiki_revision', 'b6')",
    );
    site.until_all_answered();
    let expected =
        ["comment", "comment", "comment", "comment", "pingback", "message", "wiki-revision"];
    for (n, word) in expected.into_iter().enumerate() {
        let request = asked(&mut site, &format!("b{n}"));
        assert_eq!(request.param("comment_type").as_deref(), Some(word), "b{n}");
    }
}

#[test]
fn an_edit_is_asked_about_as_an_edit_and_other_updates_are_not() {
    let mut site = World::shared().site("{}");
    let id = site.comment("first words");
    site.until_all_answered();
    assert_eq!(asked(&mut site, "first words").param("recheck_reason"), None);
    site.run(&format!(
        "UPDATE comments SET likes = 1 WHERE id = {id};
         UPDATE comments SET body = body WHERE id = {id};
         UPDATE comments SET status = 'pending' WHERE id = {id};
         UPDATE comments SET body = 'second words' WHERE id = {id}"
    ));
    let edit = asked(&mut site, "second words");
    assert_eq!(edit.param("recheck_reason").as_deref(), Some("edit"));
    site.until_all_answered();
    assert_eq!(site.requests().len(), 2, "the updates of other columns ask nothing");
}

#[test]
fn a_retry_says_so_and_keeps_the_date_of_the_row() {
    let mut site = World::shared().site("{}");
    let failing = site.answer("please", Reply::status(500));
    site.run(
        "INSERT INTO comments (body, ip, created_at)
         VALUES ('please answer', '203.0.113.7', '2026-01-02 03:04:05+00')",
    );
    site.until_asked("please", 1);
    failing.off();
    site.until_all_answered();
    let requests = site.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].param("recheck_reason"), None);
    assert_eq!(requests[1].param("recheck_reason").as_deref(), Some("retry"));
    for request in requests {
        assert_eq!(request.param("comment_date_gmt").as_deref(), Some("2026-01-02T03:04:05Z"));
    }
}

#[test]
fn every_retry_after_an_outage_says_so() {
    let mut site = World::shared().site("{}");
    let failing = site.answer("row", Reply::status(503));
    site.run("INSERT INTO comments (body, ip) SELECT 'row ' || n || '.', '203.0.113.7' FROM generate_series(1, 8) n");
    for n in 1..=8 {
        site.until_asked(&format!("row {n}."), 1);
    }
    failing.off();
    site.until_all_answered();
    for n in 1..=8 {
        let requests = site.requests_about(&format!("row {n}."));
        let last = requests.last().expect("it was asked about");
        assert_eq!(last.param("recheck_reason").as_deref(), Some("retry"), "row {n}");
    }
}

#[test]
fn dates_of_every_kind_are_sent_in_utc() {
    let mut site = World::shared().bare_site("{}");
    site.run("SET TimeZone = 'Asia/Kolkata'");
    for (kind, value, part) in [
        ("timestamptz", "'2026-01-02 05:04:05.9+02'", "tz"),
        ("bigint", "1767323045", "seconds"),
        ("bigint", "1767323045123", "milliseconds"),
    ] {
        site.run(&format!(
            "CREATE TABLE {part} (id serial PRIMARY KEY, body text, created_at {kind});
             SELECT spamcheck.protect('{part}', columns => '{{\"created_at\": \"created_at\"}}', status => '{{}}');
             INSERT INTO {part} (body, created_at) VALUES ('date {part}.', {value})"
        ));
        let request = asked(&mut site, &format!("date {part}."));
        let date = request.param("comment_date_gmt");
        assert_eq!(date.as_deref(), Some("2026-01-02T03:04:05Z"), "{kind} {value}");
    }
}

#[test]
fn a_test_is_marked_and_otherwise_nothing_is() {
    let mut site = World::shared().site(r#"{"is_test": true}"#);
    site.comment("with");
    assert_eq!(asked(&mut site, "with").param("is_test").as_deref(), Some("1"));
    site.ask_with(r#"{"is_test": false}"#);
    site.comment("lacking");
    assert_eq!(asked(&mut site, "lacking").param("is_test"), None);
}

#[test]
fn the_article_tells_the_permalink_and_its_date() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE posts (id serial PRIMARY KEY, title text, url text, published_at timestamptz);
         CREATE TABLE comments (id serial PRIMARY KEY, post_id integer, body text);
         SELECT spamcheck.protect('comments', status => '{}', article =>
             '{\"table\":\"posts\",\"key\":\"id\",\"from\":\"post_id\",\"title\":\"title\",\"created_at\":\"published_at\",\"permalink\":\"url\"}');
         INSERT INTO posts (title, url, published_at)
         VALUES ('News', 'https://blog.example.org/news', '2025-12-01 00:00:00+00');
         INSERT INTO comments (post_id, body) VALUES (1, 'below the news')",
    );
    let request = asked(&mut site, "below the news");
    assert_eq!(request.param("permalink").as_deref(), Some("https://blog.example.org/news"));
    let modified = request.param("comment_post_modified_gmt");
    assert_eq!(modified.as_deref(), Some("2025-12-01T00:00:00Z"));
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let mut site = World::shared().site("{}");
    let long = format!("long a{}", "ä".repeat(60_000));
    site.comment(&long);
    let request = asked(&mut site, "long");
    let content = request.param("comment_content").expect("there is a text");
    assert!(long.starts_with(&content), "no broken character at its end");
    assert!((60_000..=64 * 1024).contains(&content.len()), "{} bytes", content.len());
}

#[test]
fn other_encodings_are_sent_as_utf8() {
    let world = World::shared();
    for (encoding, bytes, expected) in [
        ("LATIN1", r"\x5a6feb", "comment_author=Zo%C3%AB&"),
        ("SQL_ASCII", r"\x5a6fff", "comment_author=Zo%EF%BF%BD&"),
    ] {
        let name = format!("in_{}", encoding.to_lowercase());
        world.cluster.psql(
            "postgres",
            &format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0;"),
        );
        let blog = format!("https://{name}.example/");
        world.cluster.psql(
            &name,
            &format!(
                "CREATE EXTENSION pg_spamcheck;
                 UPDATE spamcheck.check_setting SET enabled = true, options = '{{\"blog\": \"{blog}\"}}'
                  WHERE check_name = 'akismet';
                 CREATE TABLE comments (id serial PRIMARY KEY, author text, body text, status text
                     CHECK (status IN ('approved', 'pending', 'spam')));
                 SELECT spamcheck.protect('comments');
                 INSERT INTO comments (author, body, status)
                 VALUES (convert_from('{bytes}', '{encoding}'), 'akismet-guaranteed-spam', 'approved');"
            ),
        );
        let gone = || {
            let left =
                "SELECT count(*) || ' ' || (SELECT status FROM comments) FROM spamcheck.lookup";
            world.cluster.psql(&name, left) == "0 spam"
        };
        support::wait::until(crate::site::SOON, &format!("the verdict in {encoding}"), gone);
        let requests = world.akismet.requests();
        let own = requests.iter().find(|r| r.param("blog").as_deref() == Some(&*blog));
        let body = String::from_utf8_lossy(&own.expect("it was asked").body).into_owned();
        assert!(body.contains(expected), "{encoding}: {body}");
        world.cluster.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}

#[test]
fn without_a_blog_the_permalinks_site_is_named() {
    let mut site = World::shared().site("{}");
    site.run(
        "UPDATE spamcheck.check_setting SET options = '{}' WHERE check_name = 'akismet';
         INSERT INTO comments (body, ip, permalink)
         VALUES ('no blog is set', '203.0.113.7', 'https://only-here.example:8443/a/b?c#d')",
    );
    site.until_all_answered();
    let requests = site.akismet().requests();
    let content = |r: &Request| r.param("comment_content").is_some_and(|c| c == "no blog is set");
    let own = requests.iter().find(|request| content(request)).expect("it was asked");
    assert_eq!(own.param("blog").as_deref(), Some("https://only-here.example:8443/"));
}
