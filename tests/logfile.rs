//! The log as a file: policies with `log_to` file and both, what is kept of texts, and what happens when
//! the file cannot be written.

#[path = "logfile/failures.rs"]
mod failures;
#[path = "logfile/kept.rs"]
mod kept;
#[path = "logfile/lines.rs"]
mod lines;
#[path = "logfile/rotation.rs"]
mod rotation;
#[path = "statements/site.rs"]
mod site;
#[path = "logfile/transactions.rs"]
mod transactions;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;
use support::cluster::{Cluster, ClusterOptions, Database};

use site::{ask, run};

/// A server whose log file is `spam.jsonl` in its data directory, and a database with a protected table.
struct Filed {
    cluster: &'static Cluster,
    db: Database<'static>,
    client: postgres::Client,
}

impl Filed {
    /// With a policy that logs there; `log_to`: file or both.
    fn new(log_to: &str) -> Filed {
        Filed::with(ClusterOptions::default().with("pg_spamcheck.log_file", "spam.jsonl"), log_to)
    }

    fn with(options: ClusterOptions, log_to: &str) -> Filed {
        // A cluster stops with its last owner: these live as long as the test program.
        let cluster: &'static Cluster =
            Box::leak(Box::new(Cluster::start(options.with("max_prepared_transactions", 5))));
        let db = cluster.database();
        let client = db.client();
        let mut filed = Filed { cluster, db, client };
        filed.run(&format!("CREATE TABLE comments ({})", site::COLUMNS));
        filed.run(site::RULES);
        filed.run("SELECT spamcheck.protect('comments')");
        filed.run(&format!("UPDATE spamcheck.policy SET log_to = '{log_to}'"));
        filed
    }

    #[track_caller]
    fn run(&mut self, sql: &str) {
        run(&mut self.client, sql);
    }

    #[track_caller]
    fn ask(&mut self, sql: &str) -> String {
        ask(&mut self.client, sql)
    }

    fn path(&self) -> PathBuf {
        self.cluster.data_folder().join("spam.jsonl")
    }

    /// The lines of the file; each has to be JSON.
    #[track_caller]
    fn lines(&self) -> Vec<Json> {
        read(&self.path())
    }

    /// The texts of the lines.
    #[track_caller]
    fn comments(&self) -> Vec<String> {
        self.lines().iter().map(|l| l["comment"].as_str().unwrap_or("-").to_owned()).collect()
    }

    /// The texts of the table's rows.
    fn rows(&mut self) -> String {
        self.ask("SELECT comment FROM spamcheck.spam_checklog ORDER BY id")
    }

    fn health(&mut self) -> String {
        self.ask("SELECT state, message FROM spamcheck.health() WHERE item = 'log_file'")
    }

    fn wait_for_worker(&self) {
        let db = &self.db;
        support::wait::until(Duration::from_secs(30), "the worker", || db.worker_pid().is_some());
    }
}

#[track_caller]
fn read(path: &std::path::Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "the file ends within a line");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
