//! A file that cannot be written fails nobody's statement, and loses nothing that can be kept.

use std::time::Duration;

use support::cluster::ClusterOptions;

use crate::Filed;
use crate::site::refused;

#[test]
fn without_a_file_findings_go_to_the_table_and_the_policy_warns() {
    let mut filed = Filed::with(ClusterOptions::default(), "file");
    filed.wait_for_worker();
    let said = filed.db.psql("UPDATE spamcheck.policy SET log_to = 'both'");
    let said = format!("{said}{}", warnings(&filed, "UPDATE spamcheck.policy SET log_to = 'file'"));
    assert!(said.contains("log_to is file and there is no log file"), "{said}");
    filed.run("INSERT INTO comments (body) VALUES ('casino 1')");
    assert_eq!(filed.rows(), "casino 1");
    assert!(
        filed
            .health()
            .starts_with("error|the log file cannot be written: pg_spamcheck.log_file is not set")
    );
    filed.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    refused(&mut filed.client, "INSERT INTO comments (body) VALUES ('casino 2')");
    assert_eq!(filed.rows(), "casino 1\ncasino 2");
    // The setting counts from a reload on, in open sessions too.
    filed.run("UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content'");
    filed.cluster.set("pg_spamcheck.log_file", "spam.jsonl");
    let path = filed.path();
    support::wait::until(Duration::from_secs(20), "the file", || {
        filed.run("INSERT INTO comments (body) VALUES ('casino 3')");
        path.exists()
    });
    assert_eq!(filed.comments(), ["casino 3"]);
}

fn warnings(filed: &Filed, sql: &str) -> String {
    let output = filed.cluster.psql_output(filed.db.name(), "postgres", sql);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_missing_folder_sends_findings_to_the_table() {
    let options = ClusterOptions::default().with("pg_spamcheck.log_file", "missing/spam.jsonl");
    let mut filed = Filed::with(options, "file");
    filed.wait_for_worker();
    filed.run("INSERT INTO comments (body) VALUES ('casino 1')");
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 2'); ROLLBACK");
    filed.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    refused(&mut filed.client, "INSERT INTO comments (body) VALUES ('casino 3')");
    assert_eq!(filed.rows(), "casino 1\ncasino 3");
    let health = filed.health();
    assert!(health.starts_with("error|the log file cannot be written: No such file"), "{health}");
    assert!(!health.contains("missing/"), "the path is a superuser's to know: {health}");
    // Once the folder is there, so are the lines.
    let folder = filed.cluster.data_folder().join("missing");
    std::fs::create_dir(&folder).unwrap();
    give(&folder, &filed.cluster.data_folder());
    filed.run("UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content'");
    filed.run("INSERT INTO comments (body) VALUES ('casino 4')");
    assert_eq!(crate::read(&folder.join("spam.jsonl")).len(), 1);
    assert_eq!(filed.rows(), "casino 1\ncasino 3");
    assert_eq!(filed.health(), "ok|the log file can be written");
}

/// Makes a folder belong to who owns another.
fn give(folder: &std::path::Path, like: &std::path::Path) {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(like).unwrap();
    std::os::unix::fs::chown(folder, Some(owner.uid()), Some(owner.gid())).unwrap();
}

#[test]
fn lines_of_a_policy_with_both_that_cannot_be_written_are_counted() {
    let options = ClusterOptions::default().with("pg_spamcheck.log_file", "missing/spam.jsonl");
    let mut filed = Filed::with(options, "both");
    filed.run("INSERT INTO comments (body) VALUES ('casino 1'), ('casino 2')");
    assert_eq!(filed.rows(), "casino 1\ncasino 2");
    filed.run("UPDATE spamcheck.policy SET log_to = 'table'");
    assert_eq!(
        filed.health(),
        "warning|2 findings since the server started could not be written to the log file"
    );
    let log = filed.cluster.log();
    assert!(log.contains("2 lines could not be written to pg_spamcheck.log_file"), "{log}");
}

#[test]
fn a_full_disk_fails_no_commit_and_is_counted() {
    // A device that is always full; it is no plain file, and a plain one cannot be had so easily.
    let options = ClusterOptions::default().with("pg_spamcheck.log_file", "/dev/full");
    let mut filed = Filed::with(options, "file");
    filed.run("INSERT INTO comments (body) VALUES ('casino 1')");
    assert_eq!(filed.rows(), "casino 1");
    assert!(filed.health().contains("not a plain file"));
}
