//! COPY, which stores rows by another way than INSERT does.

use std::io::Write;

use postgres::Client;
use postgres::error::SqlState;

use crate::site::{Site, ask, run};

fn copy(client: &mut Client, statement: &str, data: &[u8]) -> Result<u64, postgres::Error> {
    let mut writer = client.copy_in(statement)?;
    writer.write_all(data).expect("the server reads");
    writer.finish()
}

#[test]
fn copy_of_thousands_of_rows_logs_exactly_those_that_hit() {
    let mut site = Site::new();
    let mut data = String::new();
    for n in 0..6000 {
        let ip = if n % 11 == 0 { "10.2.3.4" } else { "\\N" };
        let word = if n % 4 == 0 { "casino" } else { "nice" };
        data.push_str(&format!("{ip}\t{word} {n}\n"));
    }
    let stored = copy(&mut site.client, "COPY comments (ip, body) FROM stdin", data.as_bytes());
    assert_eq!(stored.unwrap(), 6000);
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2046");
}

#[test]
fn copy_that_is_all_spam_or_ends_in_ham_loses_no_entry() {
    let mut site = Site::new();
    // Around the number of entries that are written at once.
    for (rows, last) in
        [(499, "casino"), (500, "casino"), (501, "nice"), (1000, "nice"), (1, "casino")]
    {
        let mut data = "casino\n".repeat(rows - 1);
        data.push_str(last);
        data.push('\n');
        copy(&mut site.client, "COPY comments (body) FROM stdin", data.as_bytes()).unwrap();
        site.log_agrees(&["comments"]);
    }
}

#[test]
fn binary_copy_is_judged_as_text_is() {
    let mut site = Site::new();
    site.run("CREATE TABLE source (id integer, ip inet, body text)");
    site.run(
        "INSERT INTO source VALUES (1, '10.0.0.9', 'casino'), (2, NULL, 'nice'), (3, \
        '192.0.2.1', 'a casino')",
    );
    let mut data = Vec::new();
    let mut reader =
        site.client.copy_out("COPY source (id, ip, body) TO stdout (FORMAT binary)").unwrap();
    std::io::Read::read_to_end(&mut reader, &mut data).unwrap();
    drop(reader);
    let stored =
        copy(&mut site.client, "COPY comments (id, ip, body) FROM stdin (FORMAT binary)", &data);
    assert_eq!(stored.unwrap(), 3);
    assert_eq!(site.statuses(), "1 spam\n2 approved\n3 spam");
    site.log_agrees(&["comments"]);
}

#[test]
fn csv_copy_with_a_condition_logs_only_rows_that_pass_it() {
    let mut site = Site::new();
    let data = "body\n\"casino, they say\"\n\"casino, hidden\"\nnice\n\"a \"\"casino\"\"\"\n";
    let statement =
        "COPY comments (body) FROM stdin (FORMAT csv, HEADER) WHERE body NOT LIKE '%hidden%'";
    assert_eq!(copy(&mut site.client, statement, data.as_bytes()).unwrap(), 3);
    assert_eq!(
        site.ask("SELECT body, status FROM comments ORDER BY id"),
        "casino, they say|spam\nnice|approved\na \"casino\"|spam"
    );
    site.log_agrees(&["comments"]);
}

#[test]
fn copy_that_fails_in_its_middle_leaves_neither_rows_nor_log() {
    let mut site = Site::new();
    let mut data = "casino\tx\n".repeat(700);
    data.push_str("casino\n");
    let failed = copy(&mut site.client, "COPY comments (body, author) FROM stdin", data.as_bytes());
    let error = failed.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::BAD_COPY_FILE_FORMAT), "{error:?}");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "0");
    assert_eq!(site.log(), "");
    // The session is as good as before.
    copy(&mut site.client, "COPY comments (body) FROM stdin", b"casino\n").unwrap();
    assert_eq!(site.ask("SELECT comment, outcome FROM spamcheck.recent"), "casino|suppressed");
}

#[test]
fn copy_into_a_table_of_the_same_transaction_with_freeze_is_judged() {
    let mut site = Site::new();
    site.run("BEGIN; TRUNCATE comments");
    copy(&mut site.client, "COPY comments (body) FROM stdin (FREEZE)", b"casino\nnice\n").unwrap();
    site.run("COMMIT");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content");
}

#[test]
fn copy_within_a_savepoint_goes_with_it() {
    let mut site = Site::new();
    site.run("BEGIN");
    copy(&mut site.client, "COPY comments (body) FROM stdin", b"casino 1\nnice 2\n").unwrap();
    site.run("SAVEPOINT s");
    copy(&mut site.client, "COPY comments (body) FROM stdin", "casino\n".repeat(600).as_bytes())
        .unwrap();
    site.run("ROLLBACK TO s");
    copy(&mut site.client, "COPY comments (body) FROM stdin", b"nice\ncasino 4\n").unwrap();
    site.run("COMMIT");
    site.log_agrees(&["comments"]);
    assert_eq!(
        site.ask("SELECT comment FROM spamcheck.spam_checklog ORDER BY id"),
        "casino 1\ncasino 4"
    );
}

#[test]
fn copy_judges_rows_of_several_tables_in_one_transaction_each_by_its_own_policy() {
    let mut site = Site::new();
    site.run("CREATE TABLE letters (LIKE comments INCLUDING ALL)");
    site.run("SELECT spamcheck.create_policy('strict')");
    site.run(
        "UPDATE spamcheck.check_setting SET action = 'moderate' WHERE policy = 'strict' AND \
            check_name = 'content'",
    );
    site.run("SELECT spamcheck.protect('letters', 'strict')");
    site.run("BEGIN");
    for table in ["comments", "letters", "comments"] {
        let statement = format!("COPY {table} (body) FROM stdin");
        copy(&mut site.client, &statement, b"casino\nnice\n").unwrap();
    }
    site.run("COMMIT");
    let logged = ask(
        &mut site.client,
        "SELECT relation, policy, outcome, count(*) FROM spamcheck.spam_checklog GROUP BY 1, 2, 3 \
            ORDER BY 1",
    );
    assert_eq!(logged, "public.comments|default|suppressed|2\npublic.letters|strict|moderated|1");
    assert_eq!(site.ask("SELECT status FROM letters ORDER BY id"), "pending\napproved");
    run(&mut site.client, "DELETE FROM letters");
}
