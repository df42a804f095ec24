//! bypass: who is exempt, by database role, by what the app says of its user, and that the log tells
//! what was let through.

use crate::site::{Site, ask, refused, run};

/// A site whose comments say who wrote them.
fn site() -> Site {
    let mut site = Site::new();
    site.run(
        "ALTER TABLE comments ADD user_id bigint, ADD user_role text;
         SELECT spamcheck.protect('comments')",
    );
    site
}

fn set(site: &mut Site, options: &str) {
    site.check("bypass", &format!("enabled = true, options = '{options}'"));
}

const INSERT: &str = "INSERT INTO comments (body, author, user_id, user_role) VALUES";

#[test]
fn users_are_exempt_by_their_number_or_role_and_the_log_says_so() {
    let mut site = site();
    set(&mut site, r#"{"user_roles": ["Editor"], "user_ids": [7]}"#);
    site.run(&format!(
        "{INSERT} ('casino', 'a', 7, NULL), ('casino', 'a', NULL, 'member, editor'),
                  ('casino', 'editor', 70, 'editors'), ('nice', 'a', 7, NULL)"
    ));
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 spam\n4 approved");
    assert_eq!(
        site.ask("SELECT row_key ->> 'id', check_name, outcome, allowed, why FROM spamcheck.spam_checklog ORDER BY id"),
        "1|bypass|allowed|t|user 7 is exempt\n1|content|allowed|t|banned word \"casino\" in body\n\
         2|bypass|allowed|t|users with role editor are exempt\n\
         2|content|allowed|t|banned word \"casino\" in body\n\
         3|content|suppressed|f|banned word \"casino\" in body"
    );
}

#[test]
fn what_json_says_of_a_user_may_be_a_number() {
    let mut site = Site::new();
    site.run(
        r#"ALTER TABLE comments ADD account jsonb, ADD roles jsonb;
           SELECT spamcheck.protect('comments', columns => '{"user_id": "account", "user_role": "roles"}')"#,
    );
    set(&mut site, r#"{"user_roles": ["editor", "7"], "user_ids": [70]}"#);
    site.run(
        r#"INSERT INTO comments (body, account, roles) VALUES ('casino', '70', NULL), ('casino', '"70"', NULL), ('casino', '7', '[7]'),
           ('casino', '1', '["editor"]'), ('casino', '1', '[8]')"#,
    );
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 approved\n4 approved\n5 spam");
}

#[test]
fn members_of_a_database_role_are_exempt_and_a_superuser_is_not_by_itself() {
    let mut site = site();
    let staff = site.role("staff");
    let member = site.role("member");
    let other = site.role("other");
    site.run(&format!(
        "GRANT {staff} TO {member};
         GRANT INSERT, SELECT ON comments TO {staff}, {other};
         GRANT USAGE ON SEQUENCE comments_id_seq TO {staff}, {other}"
    ));
    set(&mut site, &format!(r#"{{"db_roles": ["{staff}", "nobody_of_that_name"]}}"#));
    let insert = "INSERT INTO comments (body) VALUES ('casino') RETURNING status";
    for (role, status) in [(&staff, "approved"), (&member, "approved"), (&other, "spam")] {
        let mut client = site.db.client();
        run(&mut client, &format!("SET ROLE {role}"));
        assert_eq!(ask(&mut client, insert), status, "{role}");
    }
    assert_eq!(site.ask(insert), "spam", "a superuser is a member of every role, but not here");
    // Whose function inserts says nothing of whose session it is.
    site.run(&format!(
        "CREATE FUNCTION said(by text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
             INSERT INTO comments (body, author) VALUES ('casino', by) RETURNING status $$;
         GRANT EXECUTE ON FUNCTION said(text) TO {staff}, {other}; ALTER FUNCTION said(text) OWNER TO {staff}"
    ));
    for (role, status) in [(&member, "approved"), (&other, "spam")] {
        let mut client = site.db.client();
        run(&mut client, &format!("SET ROLE {role}"));
        assert_eq!(ask(&mut client, "SELECT said('a')"), status, "{role}");
    }
}

#[test]
fn nobody_is_exempt_by_name_or_by_the_number_that_visitors_share() {
    let mut site = site();
    set(&mut site, r#"{"approved_before": 1}"#);
    site.run(&format!("{INSERT} ('nice', 'Ann', 0, NULL), ('nice', 'Ann', NULL, NULL)"));
    site.run(&format!("{INSERT} ('casino', 'Ann', 0, NULL), ('casino', 'Ann', NULL, NULL)"));
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 spam\n4 spam");
}

#[test]
fn each_member_of_several_roles_counts() {
    let (roles, insert) = (r#"{"user_roles": ["editor"]}"#, "INSERT INTO comments");
    let mut site = site();
    set(&mut site, roles);
    site.run(
        "ALTER TABLE comments ADD roles text[], ADD first text, ADD second varchar(20)[];
         CREATE TABLE members (id int PRIMARY KEY, roles text[]);
         INSERT INTO members VALUES (1, '{reader,editor}'), (2, '{reader}'), (3, NULL)",
    );
    let map = |source: &str| {
        format!(r#"SELECT spamcheck.protect('comments', columns => '{{"user_role": {source}}}')"#)
    };
    site.run(&map(r#""roles""#));
    site.run(&format!(
        r#"{insert} (body, roles) VALUES ('casino', '{{reader,editor}}'), ('casino', '{{NULL,"Editor"}}'), ('casino', '{{}}'),
            ('casino', '{{"an editor"}}'), ('casino', NULL)"#
    ));
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 spam\n4 spam\n5 spam");
    site.run(&format!("DELETE FROM comments; {}", map(r#"["first", "second"]"#)));
    site.run(&format!(
        "{insert} (body, first, second) VALUES ('casino', 'reader', '{{author,editor}}'), ('casino', 'editor', NULL), ('casino', 'reader', '{{edit,or}}')"
    ));
    assert_eq!(site.statuses(), "6 approved\n7 approved\n8 spam");
    let elsewhere = r#"{"table": "members", "key": "id", "from": "user_id", "column": "roles"}"#;
    site.run(&format!("DELETE FROM comments; {}", map(elsewhere)));
    site.run(&format!(
        "{insert} (body, user_id) VALUES ('casino', 1), ('casino', 2), ('casino', 3)"
    ));
    assert_eq!(site.statuses(), "9 approved\n10 spam\n11 spam");
    let explained = "SELECT count(*) FROM spamcheck.explain('comments', '{\"user_role\": [\"reader\", \"editor\"]}') WHERE action = 'allow'";
    assert_eq!(site.ask(explained), "1");
}

#[test]
fn a_bypass_may_be_a_shadow_too() {
    let mut site = site();
    set(&mut site, r#"{"user_ids": ["7"]}"#);
    site.check("bypass", "action = 'log'");
    site.run(&format!("{INSERT} ('casino', 'a', 7, NULL)"));
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(site.log(), "1 bypass\n1 content");
}

#[test]
fn wrong_options_are_refused_with_what_they_take() {
    let mut site = Site::bare();
    for (options, words) in [
        (r#"{"approved_before": -1}"#, "an integer from 0 to 1000, not -1"),
        (r#"{"user_ids": [1.5]}"#, "an array of texts or integers, not [1.5]"),
        (r#"{"user_ids": 7}"#, "an array of texts or integers, not 7"),
        (r#"{"db_roles": "staff"}"#, "an array of texts, not \"staff\""),
    ] {
        let update = format!(
            "UPDATE spamcheck.check_setting SET options = '{options}' WHERE check_name = 'bypass'"
        );
        let error = refused(&mut site.client, &update);
        assert!(error.message().contains(words), "{error:?}");
    }
}
