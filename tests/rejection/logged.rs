//! The log entry of a refused row: there when the client has the error, and whole.

use serde_json::{Value as Json, json};

use crate::refusing;
use crate::site::{Site, ask, refused, run};

fn submission(site: &mut Site) -> Json {
    serde_json::from_str(&site.ask("SELECT submission FROM spamcheck.recent LIMIT 1"))
        .expect("a submission")
}

#[test]
fn the_entry_is_committed_when_the_client_has_the_error() {
    let mut site = refusing();
    let mut other = site.db.client();
    for n in 1..=60 {
        refused(&mut site.client, &format!("INSERT INTO comments (body) VALUES ('casino {n}')"));
        let seen = ask(
            &mut other,
            "SELECT count(*), max(comment) FILTER (WHERE submission_id = (SELECT \
                max(submission_id) FROM spamcheck.spam_checklog)) FROM spamcheck.spam_checklog",
        );
        assert_eq!(seen, format!("{n}|casino {n}"));
    }
    assert_eq!(
        ask(&mut other, "SELECT rejections_logged, rejections_unlogged FROM spamcheck.stat_worker"),
        "60|0"
    );
}

#[test]
fn the_entry_is_committed_while_the_refused_transaction_is_still_open() {
    let mut site = refusing();
    site.run(
        "BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO comments (ip, body) VALUES \
        ('10.0.0.1', 'nice')",
    );
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')");
    let mut other = site.db.client();
    assert_eq!(
        ask(&mut other, "SELECT comment, outcome FROM spamcheck.spam_checklog"),
        "casino|rejected"
    );
    site.run("ROLLBACK");
    assert_eq!(ask(&mut other, "SELECT count(*) FROM spamcheck.spam_checklog"), "1");
}

#[test]
fn all_findings_of_a_refused_row_are_logged_as_one_submission() {
    let mut site = refusing();
    let links = "http://a.example ".repeat(9);
    refused(
        &mut site.client,
        &format!(
            "INSERT INTO comments (ip, author, email, body) VALUES ('10.1.2.3', 'bob', \
                'bob@example.com', 'casino {links}')"
        ),
    );
    assert_eq!(
        site.ask(
            "SELECT check_name, action, outcome, row_key IS NULL, author, email, ip, \
            submission IS NOT NULL FROM spamcheck.spam_checklog ORDER BY check_name"
        ),
        "content|reject|rejected|t|bob|bob@example.com|10.1.2.3|t\nip_block|spam|rejected|t|bob|bob@example.com|10.1.2.3|t\nlinks|moderate|rejected|t|bob|bob@example.com|10.1.2.3|t"
    );
    assert_eq!(site.ask("SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog"), "1");
}

#[test]
fn the_submission_holds_every_field_wherever_it_comes_from() {
    let mut site = refusing();
    site.run(
        r#"ALTER TABLE comments ADD title text, ADD post integer, ADD custom jsonb, ADD
            created_at timestamptz;
           CREATE TABLE posts (id integer PRIMARY KEY, title text, url text, published_at date);
           INSERT INTO posts VALUES (7, 'On "quotes"', 'https://blog.example/7', '2026-01-02');
           SELECT spamcheck.protect('comments', columns => '{"fields": "custom", "page": {"value": "Blog"}}',
               article => '{"table": "posts", "key": "id", "from": "post", "title": "title", "created_at": "published_at", "permalink": "url"}')"#,
    );
    site.run("SET pg_spamcheck.user_agent = 'Browser/7'");
    refused(
        &mut site.client,
        r#"INSERT INTO comments (title, post, ip, author, email, body, custom, created_at)
           VALUES ('Hi', 7, '192.0.2.1', 'Zoë', 'zoe@example.com', E'casino\n\t"x" \\ 漢',
           '{"city": "Rom", "deep": {"er": "y"}}', '2026-02-03 04:05:06+00')"#,
    );
    let submission = submission(&mut site);
    for (field, value) in [
        ("title", json!("Hi")),
        ("author", json!("Zoë")),
        ("email", json!("zoe@example.com")),
        ("ip", json!("192.0.2.1")),
        ("body", json!("casino\n\t\"x\" \\ 漢")),
        ("user_agent", json!("Browser/7")),
        ("page", json!("Blog")),
        ("article_title", json!("On \"quotes\"")),
        ("permalink", json!("https://blog.example/7")),
    ] {
        assert_eq!(submission[field], value, "{field}");
    }
    assert!(
        submission["created_at"].as_str().unwrap().starts_with("2026-02-03T04:05:06"),
        "{submission}"
    );
    assert_eq!(submission["fields"]["city"], "Rom");
    assert!(submission["fields"].to_string().contains("\"y\""), "{submission}");
}

#[test]
fn the_row_can_be_inserted_again_from_what_the_log_keeps() {
    let mut site = refusing();
    site.run(
        r#"CREATE TYPE mood AS ENUM ('good', 'bad "one"');
           CREATE TABLE many (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Body ""x"""
           text, a numeric, b timestamptz, c interval, d bytea, e jsonb,
               f text[], g mood, h double precision, i inet, j boolean, k char(5), l tsrange, m
               uuid, n point, gone text, o integer GENERATED ALWAYS AS (7 * 6) STORED);
           ALTER TABLE many DROP gone;
           CREATE TABLE copy (LIKE many);
           SELECT spamcheck.protect('many', status => '{}', columns => '{"body": "Body \"x\""}')"#,
    );
    let values = r#"E'casino\n"x"', 12345678901234567890.123456789,
        '2026-02-03 04:05:06.789012+02', '1 mon 2 days 03:04:05.678', '\x00ff27',
        '{"a": [1, null, "ü"]}', ARRAY['a,b', NULL, '"q"', '{}'], 'bad "one"', 0.1::float8 + 0.2,
        '192.0.2.1/24', true, 'ab', '[2026-01-01,)', '00000000-0000-0000-0000-00000000000a',
        '(1.5,-2)'"#;
    let columns = r#""Body ""x""", a, b, c, d, e, f, g, h, i, j, k, l, m, n"#;
    // Settings that change how values are shown.
    site.run(
        "SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'; SET \
        extra_float_digits = -3; SET bytea_output = 'escape'; SET timezone = 'Asia/Tokyo'",
    );
    refused(&mut site.client, &format!("INSERT INTO many ({columns}) VALUES ({values})"));
    run(&mut site.client, "RESET ALL");
    site.run(&format!("INSERT INTO copy (id, {columns}) VALUES (0, {values})"));
    site.run(
        &format!(
            r#"INSERT INTO copy (id, {columns})
           SELECT 1, {columns} FROM (SELECT submission -> 'row' AS row FROM
           spamcheck.spam_checklog) l, jsonb_populate_record(NULL::many, (
               SELECT jsonb_object_agg(key, value) FROM jsonb_each(l.row) WHERE key <> 'f' AND
               key <> 'e')) r
           , LATERAL (SELECT (l.row ->> 'f')::text[] AS f2, (l.row ->> 'e')::jsonb AS e2) x"#
        )
        .replace(
            &format!("SELECT 1, {columns}"),
            r#"SELECT 1, "Body ""x""", a, b, c, d, e2, f2, g,
        h, i, j, k, l, m, n"#,
        )
        .replace(
            "AS row FROM spamcheck.spam_checklog) l,",
            "AS row FROM \
        spamcheck.spam_checklog) l (row),",
        ),
    );
    assert_eq!(
        site.ask(&format!("SELECT count(DISTINCT ROW({columns})::text) FROM copy")),
        "1",
        "{}",
        site.ask("SELECT * FROM copy")
    );
    let keys = site.ask(
        "SELECT string_agg(key, ' ' ORDER BY key) FROM spamcheck.spam_checklog, \
        jsonb_object_keys(submission -> 'row') key",
    );
    assert_eq!(keys, "Body \"x\" a b c d e f g h i id j k l m n");
}

#[test]
fn large_bodies_arrive_whole() {
    let mut site = refusing();
    // Far more than one piece of the mailbox, in texts that a mix-up would show.
    for (characters, unit) in
        [(300_000, "abc\u{e9}\"\\\n"), (8_000, "x"), (7_999, "漢"), (2_000_000, "0123456789 ")]
    {
        let body = format!("casino {}", unit.repeat(characters / unit.chars().count()));
        let failed = site.client.execute("INSERT INTO comments (body) VALUES ($1)", &[&body]);
        let error = failed.unwrap_err();
        assert_eq!(
            error.as_db_error().and_then(|e| e.constraint()),
            Some("spamcheck_reject"),
            "{error:?}"
        );
        let same = site
            .client
            .query_one(
                "SELECT submission ->> 'body' = $1, submission -> 'row' ->> 'body' = $1, \
                comment = $1 FROM spamcheck.recent LIMIT 1",
                &[&body],
            )
            .unwrap();
        assert_eq!(
            (same.get(0), same.get(1), same.get(2)),
            (true, true, true),
            "{characters} of {unit:?}"
        );
    }
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "4");
}

#[test]
fn four_megabytes_reach_the_client_in_time_and_the_log_or_its_counter() {
    let mut site = refusing();
    let body = format!("casino {}", "four megabytes of text ".repeat(4_000_000 / 23));
    let started = std::time::Instant::now();
    let failed = site.client.execute("INSERT INTO comments (body) VALUES ($1)", &[&body]);
    let took = started.elapsed();
    assert_eq!(
        failed.unwrap_err().as_db_error().and_then(|e| e.constraint()),
        Some("spamcheck_reject")
    );
    // The wait is bounded; the rest is what reading and writing four megabytes takes.
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    support::wait::until(std::time::Duration::from_secs(20), "the entry or the counter", || {
        site.ask("SELECT rejections_logged + rejections_unlogged FROM spamcheck.stat_worker") == "1"
    });
    if site.ask("SELECT rejections_logged FROM spamcheck.stat_worker") == "1" {
        let same = site
            .client
            .query_one("SELECT submission ->> 'body' = $1 FROM spamcheck.recent", &[&body])
            .unwrap();
        assert!(same.get::<_, bool>(0));
    }
    // The next one is as quick as ever.
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino, short')");
    assert_eq!(site.ask("SELECT comment FROM spamcheck.recent LIMIT 1"), "casino, short");
}

#[test]
fn a_policy_that_keeps_less_keeps_less_of_refused_rows_too() {
    let mut site = refusing();
    for keep in ["excerpt", "hash"] {
        site.policy(&format!("keep = '{keep}'"));
        refused(
            &mut site.client,
            &format!(
                "INSERT INTO comments (body) VALUES ('casino {} the end')",
                "secret ".repeat(60)
            ),
        );
        let kept = site
            .ask("SELECT coalesce(submission::text, '') || comment FROM spamcheck.recent LIMIT 1");
        assert!(!kept.contains("the end"), "{keep}: {kept}");
    }
}

#[test]
fn a_lock_on_the_log_delays_the_entry_and_not_the_answer() {
    let mut site = refusing();
    let mut other = site.db.client();
    run(&mut other, "BEGIN; LOCK spamcheck.spam_checklog IN ACCESS EXCLUSIVE MODE");
    let started = std::time::Instant::now();
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')");
    let took = started.elapsed();
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
    run(&mut other, "COMMIT");
    support::wait::until(std::time::Duration::from_secs(20), "the entry", || {
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog") == "1"
    });
    // Held by the refused transaction itself.
    site.run("BEGIN; LOCK spamcheck.spam_checklog IN ACCESS EXCLUSIVE MODE");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino 2')");
    site.run("ROLLBACK");
    support::wait::until(std::time::Duration::from_secs(20), "the second entry", || {
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog") == "2"
    });
}
