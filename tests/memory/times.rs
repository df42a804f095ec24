//! When a row came: by the clock, or when it was created if that was earlier; and what is judged but not
//! stored, or only edited, did not come again.

use crate::blog::{MAPPING, blog, enable, memory, options, pending, unprotected};
use crate::site::Site;

const SAME: &str = "the same text again";

/// The windows of both checks are two minutes.
fn recent() -> Site {
    let mut site = blog(&["duplicate", "ip_interval"]);
    options(&mut site, "duplicate", r#"{"window": "2 minutes"}"#);
    site
}

fn insert(body: &str, ip: &str, created: &str) -> String {
    format!(
        "INSERT INTO comments (body, ip, created_at) VALUES ('{body}', '192.0.2.{ip}', {created})"
    )
}

#[test]
fn a_row_that_was_created_earlier_came_then() {
    let mut site = recent();
    for age in ["10 minutes", "1 day", "3 minutes", "121 seconds"] {
        site.run(&insert(SAME, "1", &format!("now() - interval '{age}'")));
    }
    site.run(&insert(SAME, "1", "now()"));
    assert_eq!(pending(&mut site), "");
    // What came too long ago for any check is not remembered.
    assert_eq!(memory(&mut site), "0|5\n1|5");
    site.run(&insert(SAME, "2", "now()"));
    site.run(&insert("a text of its own", "1", "now()"));
    assert_eq!(site.log(), "6 duplicate\n7 ip_interval");
}

#[test]
fn a_row_that_was_created_a_moment_ago_counts_for_the_rest_of_the_time_only() {
    let mut site = recent();
    site.run(&insert(SAME, "1", "now() - interval '100 seconds'"));
    site.run(&insert(SAME, "1", "NULL"));
    assert_eq!(site.log(), "2 duplicate\n2 ip_interval");
    site.run("DELETE FROM comments WHERE id = 2");
    site.run("UPDATE spamcheck._seen SET at = at - interval '30 seconds'");
    site.run(&insert(SAME, "1", "NULL"));
    assert_eq!(pending(&mut site), "");
}

#[test]
fn a_creation_in_the_future_lengthens_nothing() {
    let mut site = recent();
    site.run(&insert(SAME, "1", "now() + interval '1 day'"));
    site.run("UPDATE spamcheck._seen SET at = at - interval '121 seconds', latest = latest - interval '121 seconds'");
    site.run(&insert(SAME, "1", "'infinity'"));
    assert_eq!(pending(&mut site), "");
}

#[test]
fn a_recent_row_is_found_below_older_ones_that_arrived_after_it() {
    let mut site = recent();
    options(&mut site, "duplicate", r#"{"window": "1 hour"}"#);
    options(&mut site, "ip_interval", r#"{"interval": "1 hour"}"#);
    site.run(&insert(SAME, "1", "now() - interval '10 minutes'"));
    site.run(&format!(
        "INSERT INTO comments (body, ip, created_at) SELECT '{SAME}', '192.0.2.1', now() - interval '50 minutes' FROM generate_series(1, 100);
         UPDATE comments SET status = 'approved'"
    ));
    options(&mut site, "duplicate", r#"{"window": "20 minutes"}"#);
    options(&mut site, "ip_interval", r#"{"interval": "20 minutes"}"#);
    site.run("DELETE FROM spamcheck.spam_checklog");
    site.run(&insert(SAME, "1", "now()"));
    assert_eq!(site.log(), "102 duplicate\n102 ip_interval");
    site.run("DELETE FROM comments WHERE id = 1 OR id = 102");
    site.run(&insert(SAME, "1", "now()"));
    assert_eq!(pending(&mut site), "");
}

#[test]
fn times_without_a_zone_and_dates_do_not_make_a_row_look_old() {
    for (kind, created, hit) in [
        ("timestamp", "DEFAULT", true),
        ("timestamp", "now() AT TIME ZONE 'UTC'", true),
        ("timestamp", "now() AT TIME ZONE 'UTC' - interval '10 hours'", false),
        ("date", "DEFAULT", true),
        ("date", "current_date - 3", false),
        ("integer", "extract(epoch FROM now())", true),
        ("integer", "extract(epoch FROM now()) - 600", false),
        ("text", "(now() - interval '10 minutes')::text", false),
    ] {
        for zone in ["America/New_York", "UTC", "Asia/Tokyo"] {
            let mut site = unprotected();
            let default = if kind == "integer" || kind == "text" { "NULL" } else { "now()" };
            site.run(&format!(
                "ALTER TABLE comments DROP created_at, ADD created_at {kind} DEFAULT {default};
                 SELECT spamcheck.protect('comments', columns => {MAPPING}); SET timezone = '{zone}'; SET datestyle = 'ISO'"
            ));
            enable(&mut site, &["ip_interval"]);
            site.run(&insert("one", "1", created));
            site.run(&insert("two", "1", created));
            let expected = if hit { "2" } else { "" };
            assert_eq!(pending(&mut site), expected, "{kind} {created} {zone}");
        }
    }
}

#[test]
fn a_row_that_came_long_ago_is_not_new_because_an_upsert_met_it() {
    let mut site = recent();
    // No column says when a row was created.
    site.run("ALTER TABLE comments DROP created_at");
    site.run(
        "INSERT INTO comments (id, body, ip) VALUES (1000, 'the same text again', '192.0.2.1')",
    );
    site.run("UPDATE spamcheck._seen SET at = at - interval '1 hour'");
    let before = memory(&mut site);
    let upsert = |then: &str| {
        format!(
            "INSERT INTO comments (id, body, ip) VALUES (1000, '{SAME}', '192.0.2.1') ON CONFLICT {then}"
        )
    };
    let nothing = upsert("DO NOTHING");
    let update = upsert("(id) DO UPDATE SET body = excluded.body, ip = excluded.ip");
    for (n, statement) in [
        nothing.clone(),
        update.clone(),
        format!("BEGIN; {nothing}; {update}; COMMIT"),
        format!(
            "BEGIN; SAVEPOINT s; {nothing}; RELEASE s; SAVEPOINT s; {update}; ROLLBACK TO s; COMMIT"
        ),
        format!("DO $$ BEGIN {nothing}; BEGIN {update}; END; END $$"),
    ]
    .into_iter()
    .enumerate()
    {
        site.run(&statement);
        assert_eq!(memory(&mut site), before, "{statement}");
        let id = n + 1;
        site.run(&format!(
            "INSERT INTO comments (id, body, ip) VALUES ({id}, '{SAME}', '192.0.2.1')"
        ));
        assert_eq!(pending(&mut site), "", "{statement}");
        site.run(&format!("DELETE FROM comments WHERE id = {id}; DELETE FROM spamcheck._seen WHERE convert_from(key, 'UTF8') = '{id}'"));
    }
    // Also for a row of the same statement, and of a function in the same transaction.
    site.run(&format!(
        "INSERT INTO comments (id, body, ip) VALUES (1000, '{SAME}', '192.0.2.1'), (1, '{SAME}', '192.0.2.1') ON CONFLICT DO NOTHING"
    ));
    site.run("DELETE FROM comments WHERE id = 1");
    site.run(&format!(
        "BEGIN; DO $$ BEGIN {nothing}; END $$; INSERT INTO comments (id, body, ip) VALUES (2, '{SAME}', '192.0.2.1'); COMMIT"
    ));
    assert_eq!(pending(&mut site), "");
}

#[test]
fn an_edit_does_not_make_a_row_new() {
    let mut site = recent();
    site.run("ALTER TABLE comments DROP created_at");
    let insert = format!("INSERT INTO comments (body) VALUES ('{SAME}')");
    site.run(&insert);
    site.run("UPDATE spamcheck._seen SET at = at - interval '1 hour'");
    site.run("UPDATE comments SET body = upper(body), author = 'Ann'");
    site.run(&insert);
    assert_eq!(pending(&mut site), "");
}
