//! Submissions that are refused: their transaction is gone, so the worker tells of them with the log entry.

use crate::listener::Listener;
use crate::site::{Site, refused};

const TOLD: &str = r#"{"relation":"public.comments","key":null,"verdict":"reject"}"#;

fn site() -> (Site, Listener) {
    let mut site = Site::new();
    site.policy("notify_channel = 'spam'");
    site.check("content", "action = 'reject'");
    let listener = Listener::on(&site.db, "spam");
    (site, listener)
}

#[test]
fn a_rejection_is_told_once_its_entry_is_committed() {
    let (mut site, mut listener) = site();
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(listener.next(), TOLD);
    assert_eq!(site.log(), "- content");
    assert_eq!(listener.all(), [""; 0]);
}

#[test]
fn a_rejection_that_is_logged_in_a_file_alone_is_told_too() {
    let (mut site, mut listener) = site();
    let file = site.db.cluster().folder().join(format!("{}.log", site.db.name()));
    site.db.cluster().set("pg_spamcheck.log_file", &file.display().to_string());
    site.policy("log_to = 'file'");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(listener.next(), TOLD);
    assert_eq!(site.log(), "");
    site.db.cluster().reset("pg_spamcheck.log_file");
}

#[test]
fn a_dropped_row_is_told_with_the_commit() {
    let (mut site, mut listener) = site();
    site.policy("on_reject = 'drop'");
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino'); ROLLBACK");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(listener.all(), [TOLD]);
}

#[test]
fn of_a_block_of_a_rate_limit_one_refusal_is_told() {
    let (mut site, mut listener) = site();
    site.check("rate_limit", "enabled = true, options = '{\"max\": 2}'");
    for _ in 0..2 {
        site.run("INSERT INTO comments (body, ip) VALUES ('fine', '192.0.2.1')");
    }
    for _ in 0..5 {
        refused(&mut site.client, "INSERT INTO comments (body, ip) VALUES ('fine', '192.0.2.1')");
    }
    let verdicts: Vec<String> = (0..3).map(|_| listener.next()).collect();
    assert!(verdicts[0].ends_with("\"ham\"}") && verdicts[2] == TOLD, "{verdicts:?}");
    assert_eq!(listener.all(), [""; 0]);
}
