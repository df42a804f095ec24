//! The check rate_limit from outside: how tries are counted over sessions, what a refused sender is told,
//! what the log has of a block, and what the table of senders does when it is full.

#[path = "rate/answers.rs"]
mod answers;
#[path = "rate/counting.rs"]
mod counting;
#[path = "rate/logged.rs"]
mod logged;
#[path = "rate/senders.rs"]
mod senders;
#[path = "statements/site.rs"]
mod site;

use std::time::Duration;

use postgres::Client;
use site::{Site, run};
use support::cluster::{Cluster, Database};

/// A site whose default policy limits senders so, with its worker running.
fn limited(options: &str) -> Site {
    let mut site = Site::new();
    limit(&mut site, options);
    worker_runs(&site.db);
    site
}

/// Limits senders in the default policy.
fn limit(site: &mut Site, options: &str) {
    site.check("rate_limit", &format!("enabled = true, options = '{options}'"));
}

/// A database of a cluster of the test's own, with the table `comments` limited so.
fn limited_in<'c>(cluster: &'c Cluster, options: &str) -> Database<'c> {
    let db = cluster.database();
    let mut client = db.client();
    run(&mut client, &format!("CREATE TABLE comments ({})", site::COLUMNS));
    run(
        &mut client,
        &format!(
            "SELECT spamcheck.protect('comments'); UPDATE spamcheck.check_setting SET enabled = \
             true, options = '{options}' WHERE policy = 'default' AND check_name = 'rate_limit'"
        ),
    );
    worker_runs(&db);
    db
}

fn worker_runs(db: &Database<'_>) {
    support::wait::until(Duration::from_secs(30), "the worker", || db.worker_pid().is_some());
}

/// Inserts a comment from an address; whether it may.
#[track_caller]
fn sent(client: &mut Client, ip: &str) -> bool {
    sent_to(client, "comments", ip)
}

/// Inserts into a table with an address; whether it may. No other refusal is taken for an answer.
#[track_caller]
fn sent_to(client: &mut Client, table: &str, ip: &str) -> bool {
    passed(client, &format!("INSERT INTO {table} (ip, body) VALUES ('{ip}', 'hello')"))
}

/// Whether a statement passes the limit.
#[track_caller]
fn passed(client: &mut Client, sql: &str) -> bool {
    let Err(error) = client.batch_execute(sql) else { return true };
    let constraint = error.as_db_error().and_then(|error| error.constraint());
    assert_eq!(constraint, Some("spamcheck_rate_limit"), "{error:?}\n{sql}");
    false
}
