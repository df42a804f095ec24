//! What a policy's `keep` leaves of texts, in the table and in the file, and that even the longest texts
//! are logged.

use serde_json::Value as Json;

use crate::Filed;
use crate::site::refused;

/// A text of 300 characters with a word in it that is nowhere else.
const SECRET: &str = "geheim";

fn long() -> String {
    format!("casino {}{SECRET}{}", "ä".repeat(230), "x".repeat(57))
}

/// A site with everything that texts can be in.
fn filed(keep: &str) -> Filed {
    let mut filed = Filed::new("both");
    filed.wait_for_worker();
    filed.run(
        "ALTER TABLE comments ADD title text, ADD city text; SELECT spamcheck.protect('comments', columns => '{\"fields\": [\"city\"]}')",
    );
    filed.run(&format!("UPDATE spamcheck.policy SET keep = '{keep}'"));
    filed
}

/// Everything that is in table and file.
fn everything(filed: &mut Filed) -> String {
    let file = std::fs::read_to_string(filed.path()).unwrap_or_default();
    let table = filed.ask("SELECT to_jsonb(l) FROM spamcheck.spam_checklog l");
    format!("{table}\n{file}")
}

fn insert_everywhere(filed: &mut Filed) {
    let text = long();
    filed.run(&format!(
        "INSERT INTO comments (body, title, city) VALUES ('{text}', '{text}', '{text}'), (NULL, '{text}', '{text}'), (NULL, NULL, '{text}')"
    ));
    filed.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    for values in ["'{text}', NULL, NULL", "NULL, '{text}', NULL", "NULL, NULL, '{text}'"] {
        let values = values.replace("{text}", &text);
        refused(
            &mut filed.client,
            &format!("INSERT INTO comments (body, title, city) VALUES ({values})"),
        );
    }
}

#[test]
fn full_keeps_texts_and_rejected_submissions_whole() {
    let mut filed = filed("full");
    insert_everywhere(&mut filed);
    let text = long();
    assert_eq!(
        filed.ask(&format!("SELECT DISTINCT comment = '{text}' FROM spamcheck.spam_checklog")),
        "t"
    );
    assert!(filed.lines().iter().all(|line| line["comment"] == text.as_str()));
    assert_eq!(
        filed.ask(&format!(
            "SELECT submission -> 'row' ->> 'body' = '{text}' AND submission ->> 'body' = '{text}' FROM spamcheck.spam_checklog
              WHERE submission -> 'row' ->> 'body' IS NOT NULL"
        )),
        "t"
    );
}

#[test]
fn an_excerpt_is_200_characters_and_nothing_else_of_the_text() {
    let mut filed = filed("excerpt");
    insert_everywhere(&mut filed);
    let excerpt: String = long().chars().take(200).collect();
    assert_eq!(
        filed.ask(&format!(
            "SELECT DISTINCT comment = '{excerpt}', submission IS NULL FROM spamcheck.spam_checklog"
        )),
        "t|t"
    );
    assert!(filed.lines().iter().all(|line| line["comment"] == excerpt.as_str()));
    let all = everything(&mut filed);
    assert!(!all.contains(SECRET), "{all}");
}

#[test]
fn a_hash_is_that_of_the_whole_text_and_nothing_else_is_kept() {
    let mut filed = filed("hash");
    insert_everywhere(&mut filed);
    let hash =
        filed.ask(&format!("SELECT encode(sha256(convert_to('{}', 'UTF8')), 'hex')", long()));
    assert_eq!(
        filed.ask(&format!(
            "SELECT DISTINCT comment = '{hash}', submission IS NULL FROM spamcheck.spam_checklog"
        )),
        "t|t"
    );
    assert!(filed.lines().iter().all(|line| line["comment"] == hash.as_str()));
    let all = everything(&mut filed);
    assert!(!all.contains(SECRET) && !all.contains("ääää"), "{all}");
}

#[test]
fn a_hash_alone_keeps_nothing_of_what_a_hidden_field_says() {
    for (keep, why) in
        [("hash", "the hidden field says …"), ("full", "the hidden field says \"geheim\"")]
    {
        let mut filed = filed(keep);
        filed.run(r#"SELECT spamcheck.protect('comments', columns => '{"honeypot": "city"}')"#);
        filed.run(&format!("INSERT INTO comments (body, city) VALUES ('nice', '{SECRET}')"));
        assert_eq!(
            filed.ask("SELECT check_name, why FROM spamcheck.recent"),
            format!("honeypot|{why}")
        );
        assert_eq!(everything(&mut filed).contains(SECRET), keep == "full");
    }
}

#[test]
fn a_text_of_more_than_256_megabytes_is_stored_and_logged_in_part() {
    let mut filed = Filed::new("both");
    filed.wait_for_worker();
    // Two statements' worth of memory is enough for the table, not for a JSON of it.
    filed.run("INSERT INTO comments (body) SELECT 'casino ' || repeat(repeat('x', 1000), 270000)");
    assert_eq!(
        filed.ask(
            "SELECT c.status, length(c.body), length(l.comment), l.detail -> 'kept' FROM comments c, spamcheck.spam_checklog l"
        ),
        "spam|270000007|4194304|{\"body\": 4194304}"
    );
    assert_eq!(filed.comments()[0].len(), 4_194_304);
}

#[test]
fn a_lookup_and_a_rejection_keep_four_megabytes_of_a_text() {
    let mut filed = Filed::new("table");
    filed.wait_for_worker();
    filed.run(
        r#"UPDATE spamcheck.check_setting SET enabled = true, options = '{"blog": "https://blog.example/"}' WHERE check_name = 'akismet'"#,
    );
    filed.run("INSERT INTO comments (body) SELECT repeat('漢', 20000000)");
    assert_eq!(
        filed.ask("SELECT octet_length(submission ->> 'body') FROM spamcheck.lookup"),
        "4194303"
    );
    filed.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    refused(
        &mut filed.client,
        "INSERT INTO comments (body) SELECT 'casino ' || repeat('x', 9000000)",
    );
    let waits = std::time::Duration::from_secs(30);
    support::wait::until(waits, "the rejection in the log", || ask_count(&mut filed) == "1");
    let kept: Json = serde_json::from_str(
        &filed.ask("SELECT submission -> 'kept' FROM spamcheck.spam_checklog"),
    )
    .unwrap();
    // Whoever wants to put the row back sees that it is not all there.
    assert_eq!(kept, serde_json::json!({"body": 4_194_304, "row.body": 4_194_304}));
    assert_eq!(
        filed.ask(
            "SELECT length(submission ->> 'body'), length(submission -> 'row' ->> 'body'), length(comment), detail -> 'kept' = submission -> 'kept' FROM spamcheck.spam_checklog"
        ),
        "4194304|4194304|4194304|t"
    );
}

fn ask_count(filed: &mut Filed) -> String {
    filed.ask("SELECT count(*) FROM spamcheck.spam_checklog")
}

#[test]
fn many_long_texts_in_one_statement_are_logged() {
    let mut filed = Filed::new("table");
    filed.run("INSERT INTO comments (body) SELECT 'casino ' || repeat('x', 1000000) || n FROM generate_series(1, 60) n");
    assert_eq!(
        filed.ask("SELECT count(*), min(length(comment)) FROM spamcheck.spam_checklog"),
        "60|1000008"
    );
}
