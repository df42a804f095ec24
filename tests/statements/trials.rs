//! Modes that judge without touching a row, and those that do not judge.

use postgres::error::SqlState;

use crate::site::{Site, ask, refused, run};

#[test]
fn trial_mode_logs_everything_and_touches_no_row() {
    let mut site = Site::new();
    site.policy("mode = 'trial'");
    site.check("ip_block", "action = 'reject'");
    site.check("links", "action = 'moderate'");
    let links = "http://a.example ".repeat(9);
    let stored = site.ask(&format!(
        "INSERT INTO comments (ip, body, status) VALUES ('10.0.0.1', 'casino', 'approved'), \
            (NULL, '{links}', 'pending'),
                (NULL, 'nice', 'approved') RETURNING id, status"
    ));
    assert_eq!(stored, "1|approved\n2|pending\n3|approved");
    assert_eq!(
        site.ask(
            "SELECT row_key, check_name, action, outcome FROM spamcheck.spam_checklog ORDER BY id"
        ),
        "{\"id\": 1}|ip_block|reject|flagged\n{\"id\": 1}|content|spam|flagged\n{\"id\": \
            2}|links|moderate|flagged"
    );
    // Edits, too.
    assert_eq!(
        site.ask("UPDATE comments SET body = 'casino' WHERE id = 3 RETURNING status"),
        "approved"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "4");
}

#[test]
fn trial_mode_stores_the_very_bytes_that_a_table_without_protection_stores() {
    let mut site = Site::new();
    site.policy("mode = 'trial'");
    site.run(&format!("CREATE TABLE plain ({})", crate::site::COLUMNS));
    let rows = "SELECT n, CASE WHEN n % 2 = 0 THEN 'casino ' ELSE 'nice ' END || \
        repeat(md5(n::text), n * 13)
                  FROM generate_series(1, 300) n";
    for table in ["comments", "plain"] {
        site.run(&format!("INSERT INTO {table} (id, body) {rows}"));
    }
    assert_eq!(
        site.ask(
            "SELECT count(*) FROM comments c JOIN plain p ON c::text = p::text AND c.ctid = p.ctid"
        ),
        "300"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "150");
}

#[test]
fn a_policy_that_is_off_judges_nothing() {
    let mut site = Site::new();
    site.policy("mode = 'off'");
    site.check("content", "action = 'reject'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.log(), "");
    site.policy("mode = 'enforce'");
    assert_eq!(
        refused(&mut site.client, "INSERT INTO comments (body) VALUES ('casino')").code(),
        &SqlState::CHECK_VIOLATION
    );
}

#[test]
fn a_superuser_may_switch_judging_off_for_a_restore() {
    let mut site = Site::new();
    site.run("SET pg_spamcheck.enabled = off");
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    site.run("UPDATE comments SET body = 'casino again'");
    assert_eq!(site.statuses(), "1 approved\n2 approved");
    assert_eq!(site.log(), "");
    // Only for that session.
    let mut other = site.db.client();
    assert_eq!(
        ask(&mut other, "INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
    site.run("RESET pg_spamcheck.enabled; INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.log(), "3 content\n4 content");
}

#[test]
fn a_role_without_superuser_cannot_switch_judging_off() {
    let mut site = Site::new();
    let app = site.role("app");
    site.run(&format!(
        "GRANT INSERT ON comments TO {app}; GRANT USAGE ON SEQUENCE comments_id_seq TO {app}"
    ));
    let mut client = site.db.client_as(&app);
    for attempt in [
        "SET pg_spamcheck.enabled = off",
        "SET LOCAL pg_spamcheck.enabled = off",
        "SELECT set_config('pg_spamcheck.enabled', 'off', false)",
        "SET session_replication_role = replica",
        &format!("ALTER ROLE {app} SET pg_spamcheck.enabled = off"),
        "ALTER TABLE comments DISABLE TRIGGER ALL",
        "SET pg_spamcheck.max_checked_chars = 256",
    ] {
        let error = refused(&mut client, attempt);
        let expected = [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::CANT_CHANGE_RUNTIME_PARAM];
        assert!(expected.contains(error.code()), "{attempt}: {error:?}");
    }
    run(&mut client, "INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.statuses(), "1 spam");
}

#[test]
fn disabled_and_replica_triggers_are_the_owners_choice_and_leave_no_trace() {
    let mut site = Site::new();
    site.run(
        "SET session_replication_role = replica; INSERT INTO comments (body) VALUES \
        ('casino'); RESET session_replication_role",
    );
    site.run("ALTER TABLE comments DISABLE TRIGGER ALL");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    site.run("ALTER TABLE comments ENABLE TRIGGER ALL");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 spam");
    assert_eq!(site.log(), "3 content");
}

#[test]
fn one_half_of_the_triggers_alone_logs_nothing_wrong() {
    let mut site = Site::new();
    site.run("ALTER TABLE comments DISABLE TRIGGER zzzz_spamcheck_guard");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    site.run("ALTER TABLE comments ENABLE TRIGGER zzzz_spamcheck_guard");
    assert_eq!(site.log(), "");
    site.run("ALTER TABLE comments DISABLE TRIGGER zzzz_spamcheck_record");
    site.run(
        "BEGIN; INSERT INTO comments (body) VALUES ('casino'), ('nice'); INSERT INTO \
        comments (body) VALUES ('nice')",
    );
    site.run("ALTER TABLE comments ENABLE TRIGGER zzzz_spamcheck_record");
    site.run("INSERT INTO comments (body) VALUES ('nice'), ('casino'); COMMIT");
    assert_eq!(site.log(), "6 content");
}

#[test]
fn unprotect_in_the_middle_of_a_transaction_ends_judging_at_once() {
    let mut site = Site::new();
    site.run(
        "BEGIN; INSERT INTO comments (body) VALUES ('casino'); SELECT \
        spamcheck.unprotect('comments')",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    site.run(
        "SELECT spamcheck.protect('comments'); INSERT INTO comments (body) VALUES \
        ('casino'); COMMIT",
    );
    assert_eq!(site.statuses(), "1 spam\n2 approved\n3 spam");
    assert_eq!(site.log(), "1 content\n3 content");
}
