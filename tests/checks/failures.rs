//! Checks that cannot be made: on_error decides, and the log says so.

use crate::site::{Site, refused, run};

fn newest(site: &mut Site) -> String {
    site.ask(
        "SELECT check_name, action, outcome FROM spamcheck.spam_checklog
          WHERE submission_id = (SELECT max(submission_id) FROM spamcheck.spam_checklog) ORDER BY \
          id",
    )
}

/// A check that names a list which is not there.
fn without_list() -> Site {
    let mut site = Site::new();
    site.check("content", r#"options = '{"lists": ["banned_words", "gone"]}'"#);
    site
}

#[test]
fn a_missing_list_is_accepted_moderated_or_rejected_as_the_policy_says() {
    let mut site = without_list();
    assert_eq!(
        site.ask("INSERT INTO comments (body) VALUES ('nice') RETURNING status"),
        "approved"
    );
    assert_eq!(newest(&mut site), "content|error|error");
    assert!(site.ask("SELECT why FROM spamcheck.recent").contains("\"gone\""));
    site.policy("on_error = 'moderate'");
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('nice') RETURNING status"), "pending");
    assert_eq!(newest(&mut site), "content|error|error");
    site.policy("on_error = 'reject'");
    let error = refused(&mut site.client, "INSERT INTO comments (body) VALUES ('nice')");
    assert_eq!((error.code().code(), error.constraint()), ("23514", Some("spamcheck_reject")));
    support::wait::until(std::time::Duration::from_secs(20), "the rejection in the log", || {
        site.ask("SELECT row_key IS NULL, outcome FROM spamcheck.recent LIMIT 1") == "t|error"
    });
    // It is mended by making the list.
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('gone', 'word')");
    assert_eq!(
        site.ask("INSERT INTO comments (body) VALUES ('nice') RETURNING status"),
        "approved"
    );
}

#[test]
fn the_failure_of_a_shadow_is_noted_and_does_nothing() {
    let mut site = without_list();
    site.check("content", "action = 'log'");
    for on_error in ["moderate", "reject"] {
        site.policy(&format!("on_error = '{on_error}'"));
        let insert = "INSERT INTO comments (body) VALUES ('nice') RETURNING status";
        assert_eq!(site.ask(insert), "approved", "on_error {on_error}");
        assert_eq!(newest(&mut site), "content|error|error");
    }
    // What is found beside it decides alone.
    site.run("INSERT INTO comments (ip, body) VALUES ('10.0.0.1', 'nice')");
    assert_eq!(newest(&mut site), "ip_block|spam|suppressed\ncontent|error|error");
    let decided = "SELECT count(*) FROM spamcheck.spam_checklog WHERE detail ? 'decided'";
    assert_eq!(site.ask(decided), "0");
    // The same failure of a check that is no shadow.
    site.check("content", "action = 'score'");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('nice')");
}

#[test]
fn a_list_of_another_kind_is_a_failure_of_the_check() {
    let mut site = Site::new();
    site.policy("on_error = 'moderate'");
    // The list comes after the setting, as in a restore: elsewhere a list of that kind is refused.
    site.check("content", r#"options = '{"lists": ["later"]}'"#);
    site.run(
        "SET row_security = off; SET check_function_bodies = off;
         INSERT INTO spamcheck.list (name, kind) VALUES ('later', 'ip');
         RESET row_security; RESET check_function_bodies",
    );
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('later', '192.0.2.1')");
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('nice') RETURNING status"), "pending");
    assert_eq!(newest(&mut site), "content|error|error");
}

#[test]
fn other_checks_go_on_when_one_fails() {
    let mut site = without_list();
    site.run("INSERT INTO comments (ip, body) VALUES ('10.0.0.1', 'nice')");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(newest(&mut site), "ip_block|spam|suppressed\ncontent|error|error");
    // An allowed address needs no check to work.
    site.policy("on_error = 'reject'");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.1')");
    assert_eq!(
        site.ask("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'nice') RETURNING status"),
        "approved"
    );
}

#[test]
fn trial_mode_touches_no_row_for_a_failure_either() {
    let mut site = without_list();
    site.policy("mode = 'trial', on_error = 'reject'");
    assert_eq!(
        site.ask("INSERT INTO comments (body) VALUES ('nice') RETURNING status"),
        "approved"
    );
    assert_eq!(newest(&mut site), "content|error|error");
}

#[test]
fn a_column_of_another_table_that_cannot_be_read_is_a_failure() {
    let mut site = Site::new();
    site.check("email_syntax", "enabled = false");
    site.run(
        "CREATE TABLE people (login text PRIMARY KEY, mail text); INSERT INTO people VALUES \
        ('bob', 'bob@spam.example')",
    );
    site.run(
        r#"SELECT spamcheck.protect('comments', columns => '{"email": {"table": "people", "key": "login", "from": "author", "column": "mail"}}');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block',
           '@spam\.example$')"#,
    );
    site.policy("on_error = 'moderate'");
    let say = "INSERT INTO comments (author, body) VALUES ('bob', 'nice') RETURNING status";
    assert_eq!(site.ask(say), "spam");
    // A view in its place that fails for this row.
    site.run(
        "ALTER TABLE people RENAME TO people_old; CREATE TABLE people (login text PRIMARY \
        KEY, mail integer)",
    );
    let owner = site.role("owner");
    site.run(&format!(
        "DROP TABLE people; ALTER TABLE people_old RENAME TO people; ALTER TABLE \
        comments OWNER TO {owner}"
    ));
    let mut other = site.db.client();
    run(&mut other, "SELECT 1");
    // The owner of comments may not read people any more.
    assert_eq!(site.ask(say), "pending");
    assert_eq!(newest(&mut site), "email_pattern|error|error");
    site.run(&format!("GRANT SELECT ON people TO {owner}"));
    assert_eq!(site.ask(say), "spam");
    // Nobody of that name is no failure.
    assert_eq!(
        site.ask(
            "INSERT INTO comments (author, body) VALUES ('ann', 'nice'), (NULL, \
        'nice') RETURNING status"
        ),
        "approved\napproved"
    );
}

#[test]
fn an_error_in_the_middle_of_judging_does_not_harm_the_session() {
    let mut site = without_list();
    site.policy("on_error = 'reject'");
    site.run("BEGIN; SAVEPOINT s");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('nice')");
    site.run("ROLLBACK TO s");
    site.check("content", "options = '{}'");
    site.run("INSERT INTO comments (body) VALUES ('casino'); COMMIT");
    assert_eq!(site.ask("SELECT status FROM comments"), "spam");
}
