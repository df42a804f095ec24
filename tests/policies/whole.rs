//! Policies as wholes: one made by plain INSERT has its settings, and emptying a table is no way around
//! what a DELETE refuses or takes along.

use postgres::error::SqlState;

use crate::site::{Site, ask, refused, run};

const SAY: &str = "INSERT INTO comments (body) VALUES ('a casino') RETURNING status";

/// The settings of a policy that are not those of preset `default`.
fn differences(site: &mut Site, policy: &str) -> String {
    site.ask(&format!(
        "SELECT coalesce(a.check_name, b.check_name)
           FROM (SELECT * FROM spamcheck.check_setting WHERE policy = '{policy}') a
           FULL JOIN (SELECT * FROM spamcheck.check_setting WHERE policy = 'by preset') b USING (check_name)
          WHERE (a.enabled, a.action, a.score, a.options) IS DISTINCT FROM (b.enabled, b.action, b.score, b.options)"
    ))
}

#[test]
fn a_policy_made_by_plain_insert_has_a_setting_for_each_check() {
    let mut site = Site::new();
    site.run(
        "SELECT spamcheck.create_policy('by preset');
         INSERT INTO spamcheck.policy (name, mode) VALUES ('one', 'enforce'), ('two', 'trial')",
    );
    assert_eq!(differences(&mut site, "one"), "");
    assert_eq!(differences(&mut site, "two"), "");
    assert_eq!(
        site.ask(
            "SELECT (SELECT count(*) FROM spamcheck.check_setting WHERE policy = 'one')
                  = (SELECT count(*) FROM spamcheck.checks)"
        ),
        "t"
    );
    // They are in force like any other.
    site.run("SELECT spamcheck.protect('comments', 'one')");
    assert_eq!(site.ask(SAY), "spam");
    site.run(
        "UPDATE spamcheck.check_setting SET action = 'moderate' WHERE policy = 'one' AND check_name = 'content'",
    );
    assert_eq!(site.ask(SAY), "pending");
}

#[test]
fn settings_that_a_script_brings_itself_count() {
    let mut site = Site::bare();
    site.run("SELECT spamcheck.create_policy('by preset')");
    // In one transaction, in two, in one statement.
    for (name, script) in [
        (
            "a",
            "BEGIN; INSERT INTO spamcheck.policy (name) VALUES ('a');
             INSERT INTO spamcheck.check_setting VALUES ('a', 'links', false, 'spam', 2, '{}'); COMMIT",
        ),
        (
            "b",
            "BEGIN; INSERT INTO spamcheck.policy (name) VALUES ('b'); COMMIT;
             BEGIN; INSERT INTO spamcheck.check_setting VALUES ('b', 'links', false, 'spam', 2, '{}'); COMMIT",
        ),
        (
            "c",
            "INSERT INTO spamcheck.policy (name) VALUES ('c');
             UPDATE spamcheck.check_setting SET enabled = false, action = 'spam' WHERE policy = 'c' AND check_name = 'links'",
        ),
    ] {
        site.run(script);
        assert_eq!(differences(&mut site, name), "links", "{name}");
        // What somebody has set does not give way.
        site.run(&format!(
            "UPDATE spamcheck.check_setting SET score = 3 WHERE policy = '{name}' AND check_name = 'links'"
        ));
        let again = format!(
            "INSERT INTO spamcheck.check_setting VALUES ('{name}', 'links', true, 'log', 1, '{{}}')"
        );
        assert_eq!(refused(&mut site.client, &again).code(), &SqlState::UNIQUE_VIOLATION);
    }
}

#[test]
fn presets_make_the_settings_of_their_own_policies() {
    let mut site = Site::bare();
    site.run("SELECT spamcheck.create_policy('g', 'gitlab')");
    assert_eq!(
        site.ask(
            "SELECT check_name, action FROM spamcheck.check_setting WHERE policy = 'g' AND enabled"
        ),
        "akismet|reject"
    );
}

#[test]
fn truncating_policies_is_refused_while_tables_are_under_them() {
    let mut site = Site::new();
    for statement in [
        "TRUNCATE spamcheck.policy",
        "TRUNCATE spamcheck.check_setting, spamcheck.policy CASCADE",
        "SET LOCAL session_replication_role = replica; TRUNCATE spamcheck.policy",
    ] {
        let error = refused(&mut site.client, statement);
        assert_eq!(error.code(), &SqlState::DEPENDENT_OBJECTS_STILL_EXIST, "{statement}");
        assert_eq!(error.message(), "policy \"default\" is in use");
        assert!(error.detail().unwrap().contains("comments") && error.hint().is_some());
        assert_eq!(site.ask(SAY), "spam", "{statement}");
    }
    site.run("SELECT spamcheck.unprotect('comments'); TRUNCATE spamcheck.policy");
    assert_eq!(
        site.ask(
            "SELECT (SELECT count(*) FROM spamcheck.policy), (SELECT count(*) FROM spamcheck.check_setting)"
        ),
        "0|0"
    );
}

#[test]
fn truncating_lists_takes_their_entries_along() {
    let mut site = Site::new();
    site.run("TRUNCATE spamcheck.list");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.list_entry"), "0");
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('banned_words', 'word')");
    assert_eq!(site.ask(SAY), "approved");
}

#[test]
fn other_sessions_hear_of_tables_that_are_emptied() {
    let restore = "INSERT INTO spamcheck.list (name, kind) VALUES ('banned_words', 'word') ON CONFLICT DO NOTHING;
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino') ON CONFLICT DO NOTHING";
    for table in ["list_entry", "list", "check_setting"] {
        let mut site = Site::new();
        site.run(restore);
        let mut other = site.db.client();
        assert_eq!(ask(&mut other, SAY), "spam");
        site.run(&format!("TRUNCATE spamcheck.{table}"));
        assert_eq!(ask(&mut other, SAY), "approved", "{table}");
        // A TRUNCATE that is rolled back changes nothing.
        site.run(restore);
        run(&mut site.client, &format!("BEGIN; TRUNCATE spamcheck.{table}; ROLLBACK"));
        let now = if table == "check_setting" { "approved" } else { "spam" };
        assert_eq!(ask(&mut other, SAY), now, "{table}");
    }
}

#[test]
fn a_type_may_be_called_in_a_policy_what_it_may_be_called_in_a_row() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (id serial PRIMARY KEY, body text, type text, status text DEFAULT 'approved'
             CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('posts');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    for types in ["{normal}", "{Regular}", "{comment}", "{NORMAL,trackback}"] {
        site.run(&format!("UPDATE spamcheck.policy SET types = '{types}'"));
        for (kind, status) in [
            ("NULL", "spam"),
            ("''", "spam"),
            ("'Normal'", "spam"),
            ("'regular'", "spam"),
            ("'COMMENT'", "spam"),
            ("'letter'", "approved"),
        ] {
            let insert = format!(
                "INSERT INTO posts (body, type) VALUES ('a casino', {kind}) RETURNING status"
            );
            assert_eq!(site.ask(&insert), status, "{types} {kind}");
        }
    }
}
