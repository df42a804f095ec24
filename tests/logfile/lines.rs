//! What a line says, and which findings have one.

use serde_json::json;

use std::time::Duration;

use support::akismet::Akismet;
use support::wait;

use crate::Filed;
use crate::site::refused;

#[test]
fn a_line_has_the_columns_of_the_log() {
    let mut filed = Filed::new("both");
    filed.run(
        "UPDATE spamcheck.check_setting SET action = 'score', score = 0.1 WHERE check_name = 'content'",
    );
    filed.run(
        r#"INSERT INTO comments (author, email, ip, body) VALUES ('Zoë', 'z@example.com', '10.1.2.3', E'casino\n"x" \\ 漢')"#,
    );
    let lines = filed.lines();
    assert_eq!(lines.len(), 2);
    // Column by column the same as the table's rows, times with their zone.
    let same = filed.ask("SELECT to_jsonb(r) FROM spamcheck.recent r ORDER BY id");
    for (row, line) in same.lines().zip(&lines) {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let (row, line) = (row.as_object().unwrap(), line.as_object().unwrap());
        let names = |object: &serde_json::Map<String, serde_json::Value>| {
            object.keys().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(row), names(line));
        for (name, value) in row.iter().filter(|(name, _)| *name != "logged_at") {
            assert_eq!(value, &line[name], "{name}");
        }
        let at = line["logged_at"].as_str().unwrap();
        assert!(at.ends_with('Z'), "{at}");
        let id = &line["id"];
        assert_eq!(
            filed.ask(&format!(
                "SELECT logged_at = '{at}' AND logged_at > now() - interval '1 minute' FROM spamcheck.recent WHERE id = {id}"
            )),
            "t"
        );
    }
    // In the order of the columns, for people who read it.
    let text = std::fs::read_to_string(filed.path()).unwrap();
    assert!(text.starts_with("{\"id\":1,\"logged_at\":\"20"), "{text}");
    assert_eq!(filed.health(), "ok|the log file can be written");
}

#[test]
fn a_policy_with_file_writes_no_rows() {
    let mut filed = Filed::new("file");
    filed.run("INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    let lines = filed.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["id"], json!(null));
    assert_eq!(lines[0]["outcome"], "suppressed");
    assert_eq!(lines[0]["row_key"], json!({"id": 1}));
    assert_eq!(filed.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
}

#[test]
fn a_policy_with_table_writes_no_lines() {
    let mut filed = Filed::new("table");
    filed.run("INSERT INTO comments (body) VALUES ('casino')");
    assert!(!filed.path().exists());
    assert_eq!(filed.rows(), "casino");
    assert_eq!(filed.health(), "ok|no policy logs to a file");
}

#[test]
fn rejected_and_dropped_submissions_have_lines_with_all_of_them() {
    let mut filed = Filed::new("file");
    filed.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    let error = refused(
        &mut filed.client,
        "INSERT INTO comments (body, author) VALUES ('casino 1', 'ann')",
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("in the log file")), "{error:?}");
    // It is there when the client has the error, and the transaction is still open.
    filed.run("BEGIN");
    refused(&mut filed.client, "INSERT INTO comments (body) VALUES ('casino 2')");
    assert_eq!(filed.comments(), ["casino 1", "casino 2"]);
    filed.run("ROLLBACK; UPDATE spamcheck.policy SET on_reject = 'drop'");
    filed.run("INSERT INTO comments (body) VALUES ('casino 3')");
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 4'); ROLLBACK");
    assert_eq!(filed.comments(), ["casino 1", "casino 2", "casino 3"]);
    let first = &filed.lines()[0];
    assert_eq!((&first["row_key"], &first["outcome"]), (&json!(null), &json!("rejected")));
    assert_eq!(first["submission"]["body"], "casino 1");
    assert_eq!(first["submission"]["row"]["author"], "ann");
    assert_eq!(filed.rows(), "");
    assert_eq!(
        filed.ask("SELECT rejections_unlogged FROM spamcheck.stat_worker"),
        "0",
        "the worker was not needed"
    );
}

#[test]
fn rejections_of_a_policy_with_both_are_in_both() {
    let mut filed = Filed::new("both");
    filed.wait_for_worker();
    filed.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    refused(&mut filed.client, "INSERT INTO comments (body, ip) VALUES ('casino', '10.0.0.1')");
    let ids: Vec<String> = filed.lines().iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(filed.ask("SELECT id FROM spamcheck.spam_checklog ORDER BY id"), ids.join("\n"));
    assert_eq!(ids.len(), 2);
}

#[test]
fn updates_and_copies_have_lines_too() {
    let mut filed = Filed::new("file");
    filed.run("INSERT INTO comments (body) SELECT 'nice ' || n FROM generate_series(1, 1200) n");
    filed.run("UPDATE comments SET body = 'casino ' || id");
    let mut comments = filed.comments();
    assert_eq!(comments.len(), 1200);
    comments.sort();
    comments.dedup();
    assert_eq!(comments.len(), 1200);
}

#[test]
fn verdicts_that_the_worker_brings_have_lines() {
    let mut filed = Filed::new("file");
    let akismet = Akismet::start();
    akismet.attach(filed.cluster);
    filed.run(
        r#"UPDATE spamcheck.check_setting SET enabled = true, options = '{"blog": "https://blog.example/"}' WHERE check_name = 'akismet'"#,
    );
    filed.run("INSERT INTO comments (body) VALUES ('akismet-guaranteed-spam')");
    wait::until(Duration::from_secs(30), "the verdict", || {
        filed.ask("SELECT status FROM comments") == "spam"
    });
    wait::until(Duration::from_secs(10), "its line", || !filed.lines().is_empty());
    let lines = filed.lines();
    assert_eq!((&lines[0]["check_name"], lines.len()), (&json!("akismet"), 1));
    assert_eq!(lines[0]["row_key"], json!({"id": 1}));
    assert_eq!(filed.rows(), "");
}
