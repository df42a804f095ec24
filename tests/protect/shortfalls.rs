//! What a policy asks for and a table does not have: said by protect(), and by health() as long as it is so.

use super::{log, notices, run, start, text};
use postgres::Client;

/// An action of ActionKit's, as a newcomer has it: its type is its page's.
const ACTIONS: &str = "
    CREATE TABLE actions (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, comment text, email text, ip_address inet, page_type text,
                          status text DEFAULT 'complete' CHECK (status IN ('complete', 'moderated', 'spam')));
    SELECT spamcheck.create_policy('ak', 'actionkit');
    UPDATE spamcheck.policy SET mode = 'enforce' WHERE name = 'ak';
    UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'ak' AND check_name = 'content'";

/// What health() says about the tables.
fn health(client: &mut Client) -> String {
    text(client, "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'tables'")
}

#[test]
fn a_table_without_a_type_under_a_policy_with_types_is_told_of() {
    let (database, mut client) = start();
    run(&mut client, ACTIONS);
    let unjudged = "rows of table public.actions have no type and count as comment, which policy \"ak\" does not check \
                    (petition, letter, signup, survey): none is judged";
    let protect = "SELECT spamcheck.protect('actions', 'ak')";
    assert_eq!(notices(&database, protect), [format!("NOTICE: {unjudged}")]);
    assert_eq!(health(&mut client), format!("warning: {unjudged}"));
    // As it said.
    run(&mut client, "INSERT INTO actions (comment) VALUES ('http://spam')");
    assert_eq!(log(&mut client), "");
    // Each way of the hint mends it.
    let hint = text(&mut client, "SELECT hint FROM spamcheck.health() WHERE item = 'tables'");
    let call = hint.split("SELECT * FROM ").nth(1).unwrap().split(" or ").next().unwrap();
    let mapped = format!("SELECT {}", call.replace("a_column", "page_type"));
    assert_eq!(notices(&database, &mapped), [""; 0]);
    assert_eq!(health(&mut client), "ok: 1 table is protected");
    let fixed = "SELECT spamcheck.protect('actions', 'ak', columns => '{\"type\": {\"value\": \"petition\"}}')";
    assert!(hint.contains(r#"columns => '{"type": {"value": "petition"}}'"#), "{hint}");
    assert_eq!(notices(&database, fixed), [""; 0]);
    run(&mut client, "INSERT INTO actions (comment) VALUES ('http://spam')");
    assert_eq!(log(&mut client), "public.actions {\"id\": 2} content suppressed");
    notices(&database, protect);
    let all = hint.split("all types checked: ").nth(1).unwrap().trim_end_matches('.');
    assert_eq!(notices(&database, all), [""; 0]);
    assert_eq!(health(&mut client), "ok: 1 table is protected");
}

#[test]
fn types_that_leave_a_table_unjudged_are_warned_of() {
    let (database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (id int PRIMARY KEY, body text);
         CREATE TABLE mixed (id int PRIMARY KEY, body text, type text);
         SELECT spamcheck.protect('notes', status => '{}'), spamcheck.protect('mixed', status => '{}')",
    );
    let set = |types: &str| {
        notices(
            &database,
            &format!("UPDATE spamcheck.policy SET types = {types}, retention = '1 day'"),
        )
    };
    assert_eq!(set("'{trackback, Normal}'"), [""; 0]);
    assert_eq!(
        set("'{trackback}'"),
        [
            "WARNING: rows of table public.notes have no type and count as comment, which policy \"default\" does not check \
             (trackback): none is judged"
        ]
    );
    // Who changes something else is not told again, but health() knows.
    assert_eq!(set("types"), [""; 0]);
    assert!(health(&mut client).starts_with("warning: rows of table public.notes"));
    run(
        &mut client,
        r#"SELECT spamcheck.protect('notes', columns => '{"type": {"value": "letter"}}', status => '{}')"#,
    );
    assert_eq!(
        set("'{comment}'"),
        [
            "WARNING: rows of table public.notes are all of type \"letter\", which policy \"default\" does not check \
             (comment): none is judged"
        ]
    );
    run(&mut client, "UPDATE spamcheck.policy SET mode = 'off'");
    assert_eq!(health(&mut client), "ok: 2 tables are protected");
    assert_eq!(set("NULL"), [""; 0]);
}

#[test]
fn checks_that_never_hit_for_want_of_a_source_are_named_in_one_notice() {
    let (database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE entries (id int PRIMARY KEY, written timestamptz);
         CREATE TABLE notes (id int PRIMARY KEY, entry_id int, author text, body text, type text, role text,
                             status text CHECK (status IN ('approved', 'pending')));
         SELECT spamcheck.create_policy('blog', 'serendipity')",
    );
    let never = |checks: &str| {
        format!(
            "NOTICE: enabled checks of policy \"blog\" never hit in table public.notes, which has no source for what they go by: \
             {checks}"
        )
    };
    let heard = |arguments: &str| {
        notices(&database, &format!("SELECT spamcheck.protect('notes', {arguments})"))
    };
    assert_eq!(heard("'blog'"), [never("bypass (user_role), article_age (article_created_at)")]);
    assert_eq!(
        heard("'blog', columns => '{\"type\": null, \"user_role\": \"role\"}'"),
        [never("article_age (article_created_at, type), trackback_ip (type)")]
    );
    let whole = r#"'blog', columns => '{"user_role": "role"}',
        article => '{"table": "entries", "key": "id", "from": "entry_id", "created_at": "written"}'"#;
    assert_eq!(heard(whole), [""; 0]);
    run(
        &mut client,
        r#"UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'blog' AND check_name IN ('form_time', 'rate_limit', 'ip_interval');
           UPDATE spamcheck.check_setting SET options = '{"key": "email"}' WHERE policy = 'blog' AND check_name = 'rate_limit'"#,
    );
    assert_eq!(heard(whole), [never("rate_limit (email), form_time (form_seconds)")]);
    // A table has no bad address where it has none, and a form need not have a hidden field.
    assert_eq!(heard("'default'"), [""; 0]);
}
