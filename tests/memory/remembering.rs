//! `CALL spamcheck.remember()`: rows that were there before are known with their times, in batches that
//! commit; a cancelled call goes on, and another call adds nothing.

use std::thread;
use std::time::Duration;

use support::wait;

use crate::blog::{MAPPING, blog, enable, options, pending, unprotected};
use crate::site::{Site, ask, refused, run};

const LIMIT: Duration = Duration::from_secs(60);

/// A site whose comments were there before it was protected: one a minute, each its own text.
fn old(rows: u32, checks: &[&str]) -> Site {
    let mut site = unprotected();
    site.run(&format!(
        "INSERT INTO comments (body, ip, author, email, created_at)
         SELECT 'comment number ' || n, '10.0.0.0'::inet + n % 1000, 'Ann', 'ann@site.example', now() - ({rows} - n) * interval '1 minute'
           FROM generate_series(1, {rows}) n;
         SELECT spamcheck.protect('comments', columns => {MAPPING})"
    ));
    enable(&mut site, checks);
    site
}

/// Calls it; what it says.
fn remember(site: &Site) -> String {
    let output = site.db.cluster().psql_output(
        site.db.name(),
        "postgres",
        "CALL spamcheck.remember('comments')",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    said.split_once("NOTICE:").map_or_else(|| said.to_string(), |(_, text)| text.trim().to_owned())
}

#[test]
fn rows_that_were_there_before_are_known_with_their_times() {
    let mut site = old(12_000, &["duplicate", "ip_interval"]);
    options(&mut site, "ip_interval", r#"{"interval": "90 minutes"}"#);
    site.run("INSERT INTO comments (body) VALUES ('Comment number 7')");
    assert_eq!(pending(&mut site), "");
    site.run("DELETE FROM comments WHERE id > 12000");
    assert_eq!(
        remember(&site),
        "12000 rows of table public.comments were read, and 12090 traces of them were new"
    );
    assert_eq!(
        remember(&site),
        "12000 rows of table public.comments were read, and 0 traces of them were new"
    );
    // The last came now, and the one of 80 minutes ago from 10.0.3.152.
    site.run(
        "INSERT INTO comments (id, body, ip) VALUES (20001, 'COMMENT number  7', NULL),
             (20002, 'a comment of its own', '10.0.3.152'), (20003, 'another one of its own', '10.0.3.132')",
    );
    assert_eq!(pending(&mut site), "20001 20002");
    options(&mut site, "duplicate", r#"{"window": "1 day"}"#);
    site.run(
        "INSERT INTO comments (id, body) VALUES (20004, 'comment number 8'), (20005, 'comment number 11000')",
    );
    assert_eq!(pending(&mut site), "20001 20002 20005");
    // What came by the trigger is known already.
    assert_eq!(
        remember(&site),
        "12005 rows of table public.comments were read, and 0 traces of them were new"
    );
}

#[test]
fn a_cancelled_call_goes_on_where_it_stopped() {
    let mut site = old(20_000, &["duplicate"]);
    let mut client = site.db.client();
    let pid = ask(&mut client, "SELECT pg_backend_pid()");
    let reached = "SELECT convert_from(reached, 'UTF8') FROM spamcheck._remembering";
    thread::scope(|scope| {
        // The second batch waits for a lock that this one does not mind.
        site.run("BEGIN; LOCK TABLE spamcheck._remembering IN SHARE MODE");
        let call = scope.spawn(move || client.batch_execute("CALL spamcheck.remember('comments')"));
        wait::until(LIMIT, "the call to wait", || {
            site.ask(&format!("SELECT cardinality(pg_blocking_pids({pid})) > 0")) == "t"
        });
        site.run("COMMIT");
        wait::until(LIMIT, "the first batch", || !site.ask(reached).is_empty());
        site.run(&format!("SELECT pg_cancel_backend({pid})"));
        let failed = call.join().unwrap().unwrap_err();
        assert_eq!(failed.code().unwrap().code(), "57014");
    });
    let at: u32 = site.ask(reached).parse().unwrap();
    assert!((5_000..20_000).contains(&at), "{at}");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck._seen"), at.to_string());
    let left = 20_000 - at;
    assert_eq!(
        remember(&site),
        format!(
            "{left} rows of table public.comments were read, and {left} traces of them were new"
        )
    );
    assert_eq!(
        site.ask("SELECT count(*), count(DISTINCT key) FROM spamcheck._seen"),
        "20000|20000"
    );
    assert_eq!(site.ask(reached), "");
}

#[test]
fn rows_that_share_a_trace_are_all_known() {
    let mut site = old(6_000, &[]);
    site.run("UPDATE comments SET body = 'one text for all of them'");
    enable(&mut site, &["duplicate"]);
    assert!(remember(&site).contains("6000 traces"));
    assert!(remember(&site).contains(" 0 traces"));
    site.run("DELETE FROM comments WHERE id <> 2500");
    site.run("INSERT INTO comments (id, body) VALUES (20001, 'one text for all of them')");
    assert_eq!(pending(&mut site), "20001");
}

#[test]
fn keys_of_several_columns_and_partitions_are_gone_through_whole() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE comments (tenant text COLLATE \"C\", id integer, body text, status text NOT NULL DEFAULT 'approved'
             CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (tenant, id)) PARTITION BY HASH (tenant);
         CREATE TABLE comments_0 PARTITION OF comments FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE comments_1 PARTITION OF comments FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO comments SELECT 'tenant ' || n % 3, n, 'comment number ' || n FROM generate_series(1, 11000) n;
         SELECT spamcheck.protect('comments')",
    );
    enable(&mut site, &["duplicate"]);
    assert!(remember(&site).contains("11000 traces"));
    assert_eq!(site.ask("SELECT count(DISTINCT key) FROM spamcheck._seen"), "11000");
    site.run("INSERT INTO comments SELECT 'new', n, 'comment number ' || n FROM generate_series(1, 11000, 100) n");
    assert_eq!(site.ask("SELECT count(*) FROM comments WHERE status = 'pending'"), "110");
}

#[test]
fn it_says_what_stands_against_it() {
    let mut site = blog(&[]);
    let call = "CALL spamcheck.remember('comments')";
    let error = refused(&mut site.client, call);
    assert!(error.message().contains("no enabled check of policy \"default\""), "{error:?}");
    assert!(error.hint().unwrap().contains("duplicate"));
    enable(&mut site, &["duplicate"]);
    site.run("BEGIN");
    assert_eq!(refused(&mut site.client, call).code().code(), "25001");
    site.run("ROLLBACK");
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_pkey");
    assert!(refused(&mut site.client, call).message().contains("no primary key"));
    site.run("CREATE TABLE plain (id int PRIMARY KEY)");
    let error = refused(&mut site.client, "CALL spamcheck.remember('plain')");
    assert!(error.message().contains("not protected"), "{error:?}");
    refused(&mut site.client, "CALL spamcheck.remember(NULL)");
}

#[test]
fn it_takes_an_administrator_who_owns_the_table() {
    let mut site = blog(&["duplicate"]);
    let (owner, other) = (site.role("owner"), site.role("other"));
    site.run(&format!("ALTER TABLE comments OWNER TO {owner}"));
    let call = "CALL spamcheck.remember('comments')";
    refused(&mut site.db.client_as(&owner), call);
    site.run(&format!(
        "SELECT spamcheck.grant_access('{owner}', 'admin'), spamcheck.grant_access('{other}', 'admin')"
    ));
    run(&mut site.db.client_as(&owner), call);
    let error = refused(&mut site.db.client_as(&other), call);
    assert!(error.message().contains("must be owner"), "{error:?}");
    site.run(&format!("SELECT spamcheck.revoke_access('{owner}')"));
    refused(&mut site.db.client_as(&owner), call);
}

#[test]
fn what_came_while_the_check_was_off_is_read_by_the_next_call() {
    let mut site = old(100, &["duplicate"]);
    for change in [
        "spamcheck.check_setting SET enabled = enabled",
        "spamcheck.policy SET unsubscribe = unsubscribe",
    ] {
        stopped_at_50(&mut site);
        site.run(&format!("UPDATE {change}"));
        assert!(remember(&site).starts_with("50 rows"), "{change} says nothing about rows");
    }
    for (off, on) in [
        (
            "spamcheck.check_setting SET enabled = false",
            "spamcheck.check_setting SET enabled = true",
        ),
        ("spamcheck.policy SET mode = 'off'", "spamcheck.policy SET mode = 'enforce'"),
        ("spamcheck.policy SET types = '{petition}'", "spamcheck.policy SET types = NULL"),
    ] {
        stopped_at_50(&mut site);
        let only = if off.contains("enabled") { " WHERE check_name = 'duplicate'" } else { "" };
        site.run(&format!("UPDATE {off}{only}"));
        site.run("DELETE FROM comments WHERE id = 0; INSERT INTO comments (id, body) VALUES (0, 'it came while it was off')");
        site.run(&format!("UPDATE {on}{only}"));
        assert!(remember(&site).starts_with("101 rows"), "{off}");
        site.run("DELETE FROM comments WHERE id > 20000");
        site.run("INSERT INTO comments (id, body) VALUES (20001, 'it came while it was off')");
        assert_eq!(pending(&mut site), "20001", "{off}");
        site.run("DELETE FROM comments WHERE id = 20001");
    }
}

/// As if a call had been cancelled behind the fiftieth row.
fn stopped_at_50(site: &mut Site) {
    site.run(
        "INSERT INTO spamcheck._remembering (protection, kinds, reached)
         SELECT p.id, 63, convert_to('50', 'UTF8') FROM spamcheck._protection p
         ON CONFLICT (protection) DO UPDATE SET reached = excluded.reached, kinds = excluded.kinds",
    );
}

#[test]
fn a_row_from_the_future_came_by_now() {
    let mut site = old(1, &["ip_interval"]);
    options(&mut site, "ip_interval", r#"{"interval": "1 second"}"#);
    site.run("UPDATE comments SET created_at = now() + interval '1 hour', ip = '10.9.9.9'; DELETE FROM spamcheck._seen");
    remember(&site);
    let seen = "SELECT count(*), bool_and(at <= clock_timestamp()) FROM spamcheck._seen";
    assert_eq!(site.ask(seen), "1|t");
}

#[test]
fn a_trackback_is_an_earlier_row_to_a_comment_and_is_not_asked_about() {
    let mut site = blog(&["ip_interval"]);
    site.run(
        "INSERT INTO comments (id, ip, body, kind) VALUES (1, '10.9.9.9', 'a trackback', 'trackback'), (2, '10.9.9.9', 'another', 'pingback');
         INSERT INTO comments (id, ip, body, kind) VALUES (3, '10.9.9.9', 'a comment', 'comment')",
    );
    assert_eq!(pending(&mut site), "3");
}
