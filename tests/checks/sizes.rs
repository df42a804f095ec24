//! Texts of every size: what is looked at, what is logged, and that nothing breaks.

use std::time::{Duration, Instant};

use support::cluster::{Cluster, ClusterOptions};

use crate::site::{RULES, Site, ask, run};

#[test]
fn text_past_the_limit_is_not_looked_at_and_the_finding_says_so() {
    let mut site = Site::new();
    // 65,536 characters are looked at, of whatever length in bytes.
    for filler in ["x", "é", "漢", "😀"] {
        site.run("TRUNCATE comments RESTART IDENTITY; DELETE FROM spamcheck.spam_checklog");
        site.run(&format!(
            "INSERT INTO comments (body) VALUES
               (repeat('{filler}', 65529) || ' casino'),
               (repeat('{filler}', 65530) || ' casino'),
               ('casino ' || repeat('{filler}', 65529)),
               ('casino ' || repeat('{filler}', 65530))"
        ));
        assert_eq!(site.log(), "1 content\n3 content\n4 content", "{filler}");
        assert_eq!(
            site.ask("SELECT detail::text LIKE '%65536%' FROM spamcheck.spam_checklog ORDER BY id"),
            "f\nf\nt",
            "{filler}"
        );
    }
}

#[test]
fn the_limit_counts_for_each_field_and_for_links() {
    let mut site = Site::new();
    site.run(
        "INSERT INTO comments (author, body) VALUES
           (repeat('x', 65536) || ' casino', 'nice'),
           ('casino', repeat('x', 100000)),
           ('ann', repeat(' ', 65536) || repeat('http://a.example ', 20))",
    );
    assert_eq!(site.log(), "2 content");
}

#[test]
fn the_limit_can_be_changed_in_open_sessions_by_a_reload() {
    let cluster = Cluster::start(ClusterOptions::default());
    let db = cluster.database();
    let mut client = db.client();
    run(
        &mut client,
        "CREATE TABLE comments (id serial PRIMARY KEY, body text, status text CHECK (status IN \
            ('approved', 'pending', 'spam')))",
    );
    run(&mut client, RULES);
    run(&mut client, "SELECT spamcheck.protect('comments')");
    let say =
        "INSERT INTO comments (body) VALUES (repeat('x', 1000) || ' casino') RETURNING status";
    assert_eq!(ask(&mut client, say), "spam");
    cluster.set("pg_spamcheck.max_checked_chars", "1000");
    support::wait::until(Duration::from_secs(20), "the session to follow", || {
        ask(&mut client, say).is_empty()
    });
}

#[test]
fn ten_megabytes_are_judged_at_once() {
    let mut site = Site::new();
    let started = Instant::now();
    site.run(
        "INSERT INTO comments (body) VALUES
           ('casino ' || repeat('http://a.example ', 620000)), (repeat('漢', 3500000)), \
           (repeat('[url=', 2100000)), (repeat('<a href=', 1300000)),
           (repeat('www.', 2600000)), (repeat(E'\\u200b', 3400000)), (repeat(E'e\\u0301', \
           3400000)), (repeat(E'\\uFDFA', 3300000))",
    );
    let took = started.elapsed();
    assert_eq!(site.ask("SELECT status FROM comments WHERE id = 1"), "spam");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "8");
    // Long enough for a slow machine, far too short for anything that grows with the square.
    assert!(took < Duration::from_secs(30), "{took:?}");
    let kept = "SELECT left(c.body, 4194304) = l.comment FROM comments c JOIN spamcheck.spam_checklog l ON \
        l.row_key = jsonb_build_object('id', c.id) WHERE c.id = 1";
    assert_eq!(site.ask(kept), "t\nt", "of what is not looked at four megabytes are kept");
}

#[test]
fn texts_that_are_compressed_and_out_of_line_read_like_others() {
    let mut site = Site::new();
    for storage in ["PLAIN", "MAIN", "EXTERNAL", "EXTENDED"] {
        let length = if storage == "PLAIN" { 50 } else { 900 };
        site.run(&format!("ALTER TABLE comments ALTER body SET STORAGE {storage}"));
        site.run(&format!(
            "INSERT INTO comments (body) SELECT string_agg(md5(n::text), ' ') || ' casino ' || \
                string_agg(md5(n::text), ' ') FROM generate_series(1, {length}) n"
        ));
        assert_eq!(
            site.ask("SELECT status FROM comments ORDER BY id DESC LIMIT 1"),
            "spam",
            "{storage}"
        );
    }
    // Copied from one table to another, values arrive as they are stored.
    site.run("INSERT INTO comments (body) SELECT body FROM comments");
    assert_eq!(site.ask("SELECT status, count(*) FROM comments GROUP BY 1"), "spam|8");
    site.log_agrees(&["comments"]);
}

#[test]
fn a_policy_that_keeps_less_logs_less() {
    let mut site = Site::new();
    let body = format!("casino {}", "é".repeat(500));
    for (keep, expected) in [
        ("full", format!("SELECT comment = '{body}'")),
        ("excerpt", format!("SELECT comment = left('{body}', 200)")),
        (
            "hash",
            format!(
                "SELECT comment NOT LIKE '%é%' AND length(comment) = 64 AND comment = \
                    encode(sha256(convert_to('{body}', 'UTF8')), 'hex')"
            ),
        ),
    ] {
        site.policy(&format!("keep = '{keep}'"));
        site.run(&format!("INSERT INTO comments (body) VALUES ('{body}')"));
        assert_eq!(site.ask(&format!("{expected} FROM spamcheck.recent LIMIT 1")), "t", "{keep}");
    }
}

#[test]
fn a_table_of_many_columns_with_dropped_ones_among_them_is_read_right() {
    let mut site = Site::bare();
    let columns: Vec<String> = (0..1590).map(|n| format!("c{n} integer")).collect();
    site.run(&format!(
        "CREATE TABLE wide ({}, id integer PRIMARY KEY, body text)",
        columns.join(", ")
    ));
    site.run("ALTER TABLE wide DROP c7, DROP c1000, DROP c1588; ALTER TABLE wide ADD author text");
    site.run(RULES);
    site.run("SELECT spamcheck.protect('wide', status => '{}')");
    site.run(
        "INSERT INTO wide (id, body) VALUES (1, 'casino'), (2, 'nice'); INSERT INTO wide \
        (id, author) VALUES (3, 'casino')",
    );
    assert_eq!(site.log(), "1 content\n3 content");
    site.run("ALTER TABLE wide DROP author; INSERT INTO wide (id, body) VALUES (4, 'casino')");
    assert_eq!(site.log(), "1 content\n3 content\n4 content");
}
