//! Clients that insert comments while something terrible happens to their server, and the reckoning
//! afterwards: nothing that a client was told is stored may be missing, undecided or counted twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use postgres::NoTls;
use support::cluster::{Cluster, SUPERUSER};
use support::wait;

use crate::site::{SOON, Site};

const WRITERS: usize = 2;
// About what a busy site sees; the drain of a debug build keeps up with it.
const PAUSE: Duration = Duration::from_millis(8);

/// Says how far the clients are.
pub struct Load {
    stop: AtomicBool,
    stored: AtomicUsize,
}

impl Load {
    /// Waits until the clients have stored that many more rows.
    pub fn go_on(&self, rows: usize) {
        let goal = self.stored.load(Ordering::Relaxed) + rows;
        wait::until(SOON, "further rows", || self.stored.load(Ordering::Relaxed) >= goal);
    }
}

/// Lets clients insert into `comments` of a database while `faults` runs; every third row is spam.
/// Gives the texts whose commit was acknowledged.
pub fn under_load(cluster: &Cluster, database: &str, faults: impl FnOnce(&Load)) -> Vec<String> {
    let load = Load { stop: AtomicBool::new(false), stored: AtomicUsize::new(0) };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let load = &load;
                scope.spawn(move || write(cluster, database, writer, load))
            })
            .collect();
        // A failed expectation must not leave the clients running.
        let stop = StopAtEnd(&load);
        faults(&load);
        drop(stop);
        writers.into_iter().flat_map(|writer| writer.join().expect("it ends")).collect()
    })
}

struct StopAtEnd<'a>(&'a Load);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

fn write(cluster: &Cluster, database: &str, writer: usize, load: &Load) -> Vec<String> {
    let mut stored = Vec::new();
    let mut number = 0;
    let stopped = || load.stop.load(Ordering::Relaxed);
    while !stopped() {
        let connected = wait::poll(SOON, || {
            let connected = cluster.config(database, SUPERUSER).connect(NoTls).ok();
            if stopped() { Some(None) } else { connected.map(Some) }
        });
        let Some(mut client) = connected.expect("the server comes back") else { break };
        while !stopped() {
            number += 1;
            let word = if number % 3 == 0 { "akismet-guaranteed-spam" } else { "ham" };
            let body = format!("{word} {writer}/{number}");
            let insert = "INSERT INTO comments (body, ip) VALUES ($1, '203.0.113.7')";
            match client.execute(insert, &[&body]) {
                Ok(_) => stored.push(body),
                Err(_) => break,
            }
            load.stored.fetch_add(1, Ordering::Relaxed);
            wait::poll(PAUSE, || None::<()>);
        }
    }
    stored
}

/// Waits for the last verdict and holds the books against what clients were told.
#[track_caller]
pub fn reckon(site: &mut Site<'_>, stored: &[String]) {
    assert!(stored.len() > 50, "only {} rows were stored", stored.len());
    let undecided = "SELECT count(*) FROM spamcheck.lookup";
    wait::until(Duration::from_secs(60), "the last verdict", || site.get(undecided) == "0");
    let missing = site.client.query(
        "SELECT b FROM unnest($1::text[]) b WHERE NOT EXISTS (SELECT FROM comments c WHERE c.body = b)",
        &[&stored],
    );
    let missing: Vec<String> = missing.expect("a query").iter().map(|row| row.get(0)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    let wrong = "SELECT count(*) FROM comments
                  WHERE status <> CASE WHEN body LIKE 'akismet%' THEN 'spam' ELSE 'approved' END";
    assert_eq!(site.get(wrong), "0", "every row has its verdict");
    let logged = "SELECT count(*) = count(DISTINCT row_key)
                         AND count(*) = (SELECT count(*) FROM comments WHERE body LIKE 'akismet%')
                    FROM spamcheck.spam_checklog";
    assert_eq!(site.get(logged), "true", "every verdict is logged once");
    assert_eq!(site.get("SELECT count(*) = count(DISTINCT body) FROM comments"), "true");
}
