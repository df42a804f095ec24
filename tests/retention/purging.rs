//! Rows that are too old go; all others stay.

use std::time::Duration;

use support::cluster::{Cluster, ClusterOptions};
use support::wait;

use crate::site::{Site, ask, run};

const SOON: Duration = Duration::from_secs(60);

/// Log rows of a policy, one for each hour back from now.
fn log(site: &mut Site, policy: &str, hours: i32) {
    site.run(&format!(
        "INSERT INTO spamcheck.spam_checklog (logged_at, relation, submission_id, policy, check_name, action, outcome, why, _protection)
         SELECT now() - n * interval '1 hour', 'public.comments', n, '{policy}', 'content', 'spam', 'suppressed', 'x', 1
           FROM generate_series(1, {hours}) n"
    ));
}

fn left(site: &mut Site) -> String {
    site.ask(
        "SELECT policy, count(*), max(submission_id) FROM spamcheck.spam_checklog GROUP BY policy ORDER BY policy",
    )
}

#[test]
fn each_policys_rows_go_at_their_own_age_and_those_of_others_stay() {
    let mut site = Site::new();
    site.run("SELECT spamcheck.create_policy('short'), spamcheck.create_policy('long')");
    for policy in ["default", "short", "long"] {
        log(&mut site, policy, 100);
    }
    site.run("UPDATE spamcheck.policy SET retention = '10 hours 30 minutes' WHERE name = 'short'");
    site.run("UPDATE spamcheck.policy SET retention = '2 days 30 minutes' WHERE name = 'long'");
    wait::until(SOON, "the purge", || {
        left(&mut site) == "default|100|100\nlong|48|48\nshort|10|10"
    });
    site.run(
        "UPDATE spamcheck.policy SET retention = '50 hours 30 minutes' WHERE name = 'default'",
    );
    wait::until(SOON, "another purge", || {
        left(&mut site) == "default|50|50\nlong|48|48\nshort|10|10"
    });
}

#[test]
fn a_row_goes_when_its_time_comes_and_nobody_has_to_ask() {
    let mut site = Site::new();
    site.policy("retention = '3 seconds'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.log(), "1 content");
    wait::until(SOON, "the purge", || site.log().is_empty());
    assert_eq!(site.statuses(), "1 spam", "the row itself stays");
}

#[test]
fn many_rows_go_in_small_batches_around_what_somebody_holds() {
    let mut site = Site::new();
    log(&mut site, "default", 12_000);
    let mut moderator = site.db.client();
    run(
        &mut moderator,
        "BEGIN; SELECT FROM spamcheck.spam_checklog WHERE submission_id = 11999 FOR UPDATE",
    );
    site.policy("retention = '1 hour'");
    wait::until(SOON, "all others to go", || left(&mut site) == "default|1|11999");
    run(&mut moderator, "COMMIT");
    // The next look may be an hour away; news of settings bring it forward.
    site.policy("retention = '2 hours'");
    wait::until(SOON, "the last one to go", || left(&mut site).is_empty());
}

#[test]
fn a_renamed_policy_takes_its_rows_along() {
    let mut site = Site::new();
    site.run("SELECT spamcheck.create_policy('old')");
    log(&mut site, "old", 5);
    site.run("UPDATE spamcheck.policy SET name = 'new', retention = '2 hours 30 minutes' WHERE name = 'old'");
    wait::until(SOON, "the purge", || left(&mut site) == "new|2|2");
}

/// Nobody sees to them any more, and what is in them is still somebody's.
#[test]
fn rows_of_a_dropped_policy_go_at_the_age_that_it_had_set() {
    let mut site = Site::new();
    site.run("SELECT spamcheck.create_policy('gone'), spamcheck.create_policy('kept')");
    log(&mut site, "kept", 5);
    site.run("CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', 'gone', status => '{}')");
    site.run("INSERT INTO notes VALUES (1, 'casino')");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE policy = 'gone'"), "1");
    site.run(
        "BEGIN;
         UPDATE spamcheck.policy SET retention = '3 seconds' WHERE name = 'gone';
         SELECT spamcheck.unprotect('notes'), spamcheck.drop_policy('gone'), spamcheck.drop_policy('kept');
         COMMIT",
    );
    wait::until(SOON, "the purge", || left(&mut site) == "kept|5|5");
    // A transaction of its time may still log.
    log(&mut site, "gone", 1);
    site.policy("retention = '1 year'");
    wait::until(SOON, "another purge", || left(&mut site) == "kept|5|5");
    // Of which nothing is left, that is forgotten, after a day.
    site.run("UPDATE spamcheck._dropped_policy SET dropped_at = now() - interval '2 days'");
    wait::until(SOON, "it to be forgotten", || {
        site.ask("SELECT count(*) FROM spamcheck._dropped_policy") == "0"
    });
}

#[test]
fn a_policy_that_is_made_anew_takes_over_the_rows_of_the_dropped_one() {
    let mut site = Site::new();
    site.run(
        "SELECT spamcheck.create_policy('again'), spamcheck.create_policy('other');
         UPDATE spamcheck.policy SET retention = '2 hours 30 minutes' WHERE name IN ('again', 'other');
         SELECT spamcheck.drop_policy('again'), spamcheck.create_policy('again')",
    );
    log(&mut site, "again", 5);
    log(&mut site, "other", 5);
    site.policy("retention = '1 year'");
    wait::until(SOON, "the purge", || left(&mut site).ends_with("other|2|2"));
    assert_eq!(left(&mut site), "again|5|5\nother|2|2", "it has no retention");
    // Dropped as it is now, its rows stay.
    site.run("SELECT spamcheck.drop_policy('again')");
    log(&mut site, "other", 5);
    site.policy("retention = '2 years'");
    wait::until(SOON, "another purge", || left(&mut site).ends_with("other|4|2"));
    assert_eq!(left(&mut site), "again|5|5\nother|4|2");
}

#[test]
fn a_worker_with_nothing_to_purge_runs_no_statement() {
    let options = ClusterOptions {
        preload: "pg_spamcheck,pg_stat_statements".into(),
        ..ClusterOptions::default().with("pg_stat_statements.track", "all")
    };
    let cluster = Cluster::start(options);
    let database = cluster.database();
    let mut client = database.client();
    let purges = "SELECT coalesce(sum(calls), 0) FROM public.pg_stat_statements WHERE query LIKE '%retention%LEFT JOIN LATERAL%'";
    let reset = "SELECT public.pg_stat_statements_reset()";
    run(&mut client, "CREATE EXTENSION pg_stat_statements SCHEMA public");
    // A worker looks when it has started, and when settings have changed; this is a look's last statement.
    wait::until(SOON, "the first look", || ask(&mut client, purges) != "0");
    run(&mut client, reset);
    run(
        &mut client,
        "UPDATE spamcheck.policy SET retention = '1 day', mail_to = '{mods@example.com}'",
    );
    wait::until(SOON, "a look at the new settings", || ask(&mut client, purges) != "0");
    run(&mut client, reset);
    // Several of the worker's ticks.
    let run_since = wait::poll(Duration::from_secs(4), || {
        let seen = ask(
            &mut client,
            "SELECT query FROM public.pg_stat_statements WHERE (query LIKE '%retention%' OR query LIKE '%spamcheck._mail%') AND query NOT LIKE '%pg_stat_statements%'",
        );
        (!seen.is_empty()).then_some(seen)
    });
    assert_eq!(run_since, None);
}
