//! grant_access and revoke_access, level by level.

use postgres::Client;
use postgres::error::SqlState;

use crate::denied;
use crate::site::{Site, ask, refused, run};

/// What can be done, and by which levels.
const DEEDS: [(&str, &[&str]); 45] = [
    ("SELECT * FROM spamcheck.stat_check", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.stat_table", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.stat_daily", &["admin", "moderator", "analyst"]),
    ("SELECT spamcheck.stat_reset()", &["admin"]),
    ("SELECT * FROM spamcheck.privacy_report('comments')", &["admin", "moderator"]),
    ("SELECT spamcheck.erase_subject('nobody@example.com')", &["admin", "moderator"]),
    ("SELECT * FROM spamcheck._mail", &[]),
    ("SELECT spamcheck.captcha_new('image', 'comments')", &["admin", "moderator", "app"]),
    ("DELETE FROM spamcheck._mailing", &[]),
    ("SELECT * FROM spamcheck.spam_checklog", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.recent", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.checks", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.protected_table", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.stat_worker", &["admin", "moderator", "analyst"]),
    ("SELECT * FROM spamcheck.list", &["admin", "moderator"]),
    (
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'poker')",
        &["admin", "moderator"],
    ),
    (
        "UPDATE spamcheck.list_entry SET note = 'why' WHERE value = 'casino'",
        &["admin", "moderator"],
    ),
    ("DELETE FROM spamcheck.list_entry WHERE value = 'poker'", &["admin", "moderator"]),
    ("SELECT * FROM spamcheck.health()", &["admin", "moderator"]),
    ("SELECT * FROM spamcheck.lookup", &["admin", "moderator"]),
    ("SELECT * FROM spamcheck.subscription_history", &["admin", "moderator"]),
    ("SELECT spamcheck.not_spam(1)", &["admin", "moderator"]),
    ("SELECT spamcheck.report_spam('comments', '1')", &["admin", "moderator"]),
    ("SELECT spamcheck.approve('comments', '1')", &["admin", "moderator"]),
    ("SELECT spamcheck.block_from_log(1, 'ip', '1 hour')", &["admin", "moderator"]),
    ("SELECT spamcheck.resubscribe('ann@mail.example', true)", &["admin", "moderator"]),
    ("SELECT spamcheck.subscriber_status('ann@mail.example')", &["admin", "moderator"]),
    (
        "SELECT * FROM spamcheck.explain('comments', '{\"body\": \"casino\"}')",
        &["admin", "moderator"],
    ),
    ("SELECT spamcheck.delete_spam(1)", &["admin", "moderator"]),
    ("DELETE FROM spamcheck.subscription_history", &[]),
    (
        "INSERT INTO spamcheck.subscription_history (subscriber, relation, change, changed_by, _protection) VALUES \
            ('x', 'x', 'resubscribe', 'x', 1)",
        &[],
    ),
    ("UPDATE spamcheck.policy SET moderate_at = 4", &["admin"]),
    ("UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'links'", &["admin"]),
    ("SELECT spamcheck.create_policy('another')", &["admin"]),
    ("SELECT spamcheck.drop_policy('another')", &["admin"]),
    ("SELECT spamcheck.retry_lookups()", &["admin"]),
    ("DELETE FROM spamcheck.spam_checklog", &[]),
    ("UPDATE spamcheck.spam_checklog SET why = ''", &[]),
    (
        "INSERT INTO spamcheck.spam_checklog (relation, submission_id, policy, check_name, \
            action, outcome, why, _protection) VALUES ('x', 1, 'x', 'x', 'x', 'x', 'x', 1)",
        &[],
    ),
    ("TRUNCATE spamcheck.spam_checklog", &[]),
    ("DELETE FROM spamcheck.lookup", &[]),
    (
        "INSERT INTO spamcheck._protection (policy, columns, status, on_update) VALUES \
            ('default', '{}', '{}', true)",
        &[],
    ),
    ("SELECT nextval('spamcheck.spam_checklog_id_seq')", &[]),
    (
        "CREATE TRIGGER t BEFORE INSERT ON spamcheck.spam_checklog FOR EACH ROW EXECUTE FUNCTION \
            suppress_redundant_updates_trigger()",
        &[],
    ),
    ("CREATE TABLE spamcheck.mine (id integer)", &[]),
];

/// A site with something in its log to decide about.
fn site_with_a_finding() -> Site {
    let mut site = Site::new();
    site.run("INSERT INTO comments (author, ip, body) VALUES ('Ann', '192.0.2.7', 'casino')");
    site
}

fn may(client: &mut Client, sql: &str) -> bool {
    match client.batch_execute(sql) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}: {error:?}");
            false
        }
    }
}

#[test]
fn a_second_level_comes_on_top_of_the_first_and_that_is_said() {
    let mut site = Site::new();
    let role = site.role("second");
    let heard = |level: &str| {
        let grant = format!("SELECT spamcheck.grant_access('{role}', '{level}')");
        let output = site.db.cluster().psql_output(site.db.name(), "postgres", &grant);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(heard("analyst"), "");
    assert_eq!(heard("analyst"), "", "nothing is new");
    assert_eq!(heard("admin"), "", "an analyst's rights are an admin's, too");
    assert!(heard("analyst").contains("keeps what it could do before"));
}

#[test]
fn each_level_may_do_what_it_is_for_and_no_more() {
    for level in ["admin", "moderator", "analyst", "app", "nobody"] {
        let mut site = site_with_a_finding();
        let role = site.role(level);
        if level != "nobody" {
            site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        }
        let mut client = site.db.client_as(&role);
        for (deed, levels) in DEEDS {
            assert_eq!(may(&mut client, deed), levels.contains(&level), "{level}: {deed}");
        }
    }
}

#[test]
fn those_who_may_hand_over_what_akismet_posts_get_as_far_as_its_key() {
    for (level, may) in [("admin", true), ("app", true), ("moderator", false), ("analyst", false)] {
        let mut site = Site::new();
        let role = site.role(level);
        site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        let mut client = site.db.client_as(&role);
        let error = refused(&mut client, "SELECT spamcheck.akismet_webhook('{\"key\": \"x\"}')");
        assert_eq!(error.code() != &SqlState::INSUFFICIENT_PRIVILEGE, may, "{level}: {error:?}");
    }
}

#[test]
fn a_table_in_a_schema_of_its_own_takes_usage_of_it_or_another_name() {
    let mut site = site_with_a_finding();
    let role = site.role("mod");
    site.run(&format!(
        "CREATE SCHEMA s; ALTER TABLE comments SET SCHEMA s; SELECT spamcheck.grant_access('{role}', 'moderator')"
    ));
    let mut client = site.db.client_as(&role);
    denied(&mut client, "SELECT spamcheck.approve('s.comments', '1')");
    run(&mut client, "SELECT spamcheck.not_spam(1)");
    let by_view = "SELECT spamcheck.report_spam((SELECT relation FROM spamcheck.protected_table), '1') ->> 'row'";
    assert_eq!(ask(&mut client, by_view), "spam");
    site.run(&format!("GRANT USAGE ON SCHEMA s TO {role}"));
    assert_eq!(
        ask(&mut client, "SELECT spamcheck.approve('s.comments', '1') ->> 'row'"),
        "restored"
    );
}

#[test]
fn what_is_taken_away_is_gone_and_may_be_given_again() {
    let mut site = site_with_a_finding();
    let role = site.role("staff");
    for level in ["admin", "moderator", "analyst", "app"] {
        site.run(&format!(
            "SELECT spamcheck.grant_access('{role}', '{level}'); SELECT \
            spamcheck.grant_access('{role}', '{level}')"
        ));
        site.run(&format!(
            "SELECT spamcheck.revoke_access('{role}'); SELECT spamcheck.revoke_access('{role}')"
        ));
        let mut client = site.db.client_as(&role);
        for (deed, _) in DEEDS {
            denied(&mut client, deed);
        }
        // Nothing is left that would keep the role from being dropped.
        let left = format!(
            "SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND \
                refobjid = '{role}'::regrole"
        );
        assert_eq!(site.ask(&left), "0", "{level}");
    }
    site.run(&format!("SELECT spamcheck.grant_access('{role}', 'analyst')"));
    let mut client = site.db.client_as(&role);
    ask(&mut client, "SELECT * FROM spamcheck.recent");
}

#[test]
fn a_level_is_inherited_by_members_of_the_role() {
    let mut site = Site::new();
    let (team, member) = (site.role("team"), site.role("member"));
    site.run(&format!(
        "SELECT spamcheck.grant_access('{team}', 'moderator'); GRANT {team} TO {member}"
    ));
    let mut client = site.db.client_as(&member);
    run(
        &mut client,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'poker')",
    );
    assert_eq!(site.ask("SELECT added_by FROM spamcheck.list_entry WHERE value = 'poker'"), member);
}

#[test]
fn unknown_levels_and_roles_are_refused_with_a_hint() {
    let mut site = Site::new();
    let role = site.role("x");
    let error =
        refused(&mut site.client, &format!("SELECT spamcheck.grant_access('{role}', 'root')"));
    assert!(
        error.message().contains("root")
            && error.hint().is_some_and(|hint| hint.contains("moderator")),
        "{error:?}"
    );
    for wrong in [
        format!("SELECT spamcheck.grant_access('{role}', NULL)"),
        format!("SELECT spamcheck.grant_access('{role}', 'Admin')"),
        "SELECT spamcheck.grant_access('nobody_of_this_name', 'admin')".into(),
        "SELECT spamcheck.grant_access(0, 'admin')".into(),
        "SELECT spamcheck.grant_access(NULL, 'admin')".into(),
        "SELECT spamcheck.revoke_access(NULL)".into(),
        "SELECT spamcheck.revoke_access(4294967295)".into(),
    ] {
        refused(&mut site.client, &wrong);
    }
}

#[test]
fn nobody_without_access_gives_access() {
    let mut site = Site::new();
    for level in ["moderator", "analyst", "app"] {
        let role = site.role(level);
        site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        let mut client = site.db.client_as(&role);
        denied(&mut client, &format!("SELECT spamcheck.grant_access('{role}', 'admin')"));
        denied(&mut client, &format!("SELECT spamcheck.revoke_access('{role}')"));
    }
}

#[test]
fn an_admin_says_who_else_has_access() {
    let mut site = site_with_a_finding();
    let (admin, other) = (site.role("admin"), site.role("other"));
    site.run(&format!("SELECT spamcheck.grant_access('{admin}', 'admin')"));
    let mut client = site.db.client_as(&admin);
    for level in ["moderator", "analyst", "app", "admin"] {
        run(&mut client, &format!("SELECT spamcheck.grant_access('{other}', '{level}')"));
        let mut given = site.db.client_as(&other);
        for (deed, levels) in DEEDS {
            assert_eq!(may(&mut given, deed), levels.contains(&level), "{level}: {deed}");
        }
        run(&mut client, &format!("SELECT spamcheck.revoke_access('{other}')"));
        for (deed, _) in DEEDS {
            denied(&mut given, deed);
        }
    }
    // It is no way to more than the levels give: not to the rights of the extension's owner, and not
    // out of the database's own.
    for beyond in [
        "TRUNCATE spamcheck.policy",
        "ALTER TABLE spamcheck.policy ADD COLUMN x int",
        "DELETE FROM spamcheck.spam_checklog",
    ] {
        denied(&mut client, beyond);
    }
    // An admin may go, too.
    run(&mut client, &format!("SELECT spamcheck.revoke_access('{admin}')"));
    denied(&mut client, &format!("SELECT spamcheck.grant_access('{other}', 'app')"));
}

#[test]
fn nobody_takes_access_from_the_owner_of_the_extension() {
    let mut site = Site::new();
    let admin = site.role("admin");
    site.run(&format!("SELECT spamcheck.grant_access('{admin}', 'admin')"));
    let mut client = site.db.client_as(&admin);
    let error = refused(&mut client, "SELECT spamcheck.revoke_access('postgres')");
    assert!(error.message().contains("owns pg_spamcheck") && error.hint().is_some(), "{error:?}");
    assert_eq!(
        site.ask("SELECT has_table_privilege('postgres', 'spamcheck.policy', 'SELECT'), relacl IS NULL OR
            relacl::text LIKE '%postgres=arwdDxt/postgres%' FROM pg_class WHERE oid = 'spamcheck.policy'::regclass"),
        "t|t"
    );
}

#[test]
fn a_moderators_change_of_a_list_counts_like_a_superusers() {
    let mut site = Site::new();
    let role = site.role("mod");
    site.run(&format!("SELECT spamcheck.grant_access('{role}', 'moderator')"));
    let mut client = site.db.client_as(&role);
    run(
        &mut client,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'poker')",
    );
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('poker') RETURNING status"), "spam");
    let error = refused(
        &mut client,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '(')",
    );
    assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE);
    run(&mut client, "DELETE FROM spamcheck.list_entry WHERE value = 'poker'");
    assert_eq!(
        site.ask("INSERT INTO comments (body) VALUES ('poker') RETURNING status"),
        "approved"
    );
}

#[test]
fn a_moderator_decides_about_rows_and_sees_none_of_the_table() {
    let mut site = site_with_a_finding();
    let role = site.role("mod");
    site.run(&format!("SELECT spamcheck.grant_access('{role}', 'moderator')"));
    let mut client = site.db.client_as(&role);
    for own in [
        "SELECT * FROM comments",
        "UPDATE comments SET status = 'approved'",
        "DELETE FROM comments",
    ] {
        denied(&mut client, own);
    }
    run(&mut client, "SELECT spamcheck.not_spam(1)");
    assert_eq!(site.statuses(), "1 approved");
    run(&mut client, "SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(site.statuses(), "1 spam");
    run(&mut client, "SELECT spamcheck.delete_spam(1)");
    assert_eq!(site.statuses(), "");
    assert_eq!(
        ask(&mut client, "SELECT check_name, outcome FROM spamcheck.recent"),
        "staff|deleted\ncontent|not_spam"
    );
    // Nor any other table than the protected ones.
    site.run(
        "CREATE TABLE secrets (id int PRIMARY KEY, body text); INSERT INTO secrets VALUES (1, 'x')",
    );
    let error = refused(&mut client, "SELECT spamcheck.report_spam('secrets', '1')");
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    denied(&mut client, "SELECT * FROM secrets");
}

#[test]
fn what_runs_for_a_moderator_has_the_owners_rights_and_cannot_keep_more() {
    let mut site = site_with_a_finding();
    let (owner, role) = (site.role("owner"), site.role("mod"));
    site.run(&format!(
        "SELECT spamcheck.grant_access('{role}', 'moderator'); ALTER TABLE comments OWNER TO {owner}; GRANT USAGE ON SCHEMA public TO {owner};
         CREATE TABLE seen (who text, session text, super text); ALTER TABLE seen OWNER TO {owner}"
    ));
    let mut owner = site.db.client_as(&owner);
    site.run(
        "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.seen VALUES (current_user, session_user, current_setting('search_path'));
             BEGIN
                 SET SESSION AUTHORIZATION DEFAULT;
                 INSERT INTO public.seen VALUES ('became ' || current_user);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
             BEGIN
                 SET ROLE NONE;
                 INSERT INTO public.seen VALUES ('became ' || current_user);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
             RETURN coalesce(NEW, OLD);
         END $$;
         CREATE TRIGGER spy BEFORE UPDATE OR DELETE ON comments FOR EACH ROW EXECUTE FUNCTION spy();
         CREATE CONSTRAINT TRIGGER later AFTER UPDATE OR DELETE ON comments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spy()",
    );
    // A superuser moderates, whose rights are worth stealing.
    site.run("SELECT spamcheck.not_spam(1); SELECT spamcheck.report_spam('comments', '1'); SELECT spamcheck.delete_spam(1)");
    assert_eq!(
        site.ask("SELECT DISTINCT who FROM seen"),
        ask(&mut owner, "SELECT current_user"),
        "never {}",
        site.ask("SELECT string_agg(DISTINCT s::text, ' ') FROM seen s")
    );
    assert_eq!(site.ask("SELECT count(*) FROM seen"), "6");
}
