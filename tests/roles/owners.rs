//! Owners of tables and admins of the extension: protecting a table takes both.

use crate::denied;
use crate::site::{COLUMNS, Site, ask, refused, run};

/// An owner of a table `theirs` who is no admin, and an admin who owns nothing.
fn owner_and_admin(site: &mut Site) -> (postgres::Client, postgres::Client) {
    let (owner, admin) = (site.role("owner"), site.role("admin"));
    site.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {owner}, {admin}; SELECT \
        spamcheck.grant_access('{admin}', 'admin')"
    ));
    let mut owner = site.db.client_as(&owner);
    run(&mut owner, &format!("CREATE TABLE theirs ({COLUMNS})"));
    (owner, site.db.client_as(&admin))
}

#[test]
fn neither_an_owner_nor_an_admin_alone_can_protect_a_table() {
    let mut site = Site::new();
    let (mut owner, mut admin) = owner_and_admin(&mut site);
    denied(&mut owner, "SELECT spamcheck.protect('theirs')");
    denied(&mut admin, "SELECT spamcheck.protect('theirs')");
    denied(&mut admin, "SELECT spamcheck.unprotect('comments')");
    denied(&mut admin, "SELECT spamcheck.protect('comments')");
    let error = refused(&mut admin, "SELECT spamcheck.protect('theirs')");
    assert!(
        error.message().contains("owner")
            && error.hint().is_some_and(|hint| hint.contains("owner_")),
        "{error:?}"
    );
    assert_eq!(site.ask("SELECT relation FROM spamcheck.protected_table"), "comments");
}

#[test]
fn an_owner_with_admin_access_and_a_superuser_can() {
    let mut site = Site::new();
    let (mut owner, mut admin) = owner_and_admin(&mut site);
    run(&mut admin, &format!("CREATE TABLE own ({COLUMNS})"));
    run(&mut admin, "SELECT spamcheck.protect('own')");
    assert_eq!(
        ask(&mut admin, "INSERT INTO own (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
    run(
        &mut admin,
        "SELECT spamcheck.unprotect('own'); SELECT spamcheck.protect('own', 'default', \
            '{\"author\": null}')",
    );
    site.run("SELECT spamcheck.protect('theirs')");
    assert_eq!(
        ask(&mut owner, "INSERT INTO theirs (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
    // Through membership in the role that owns it.
    let owners = ask(&mut owner, "SELECT current_user");
    let admins = ask(&mut admin, "SELECT current_user");
    site.run(&format!("GRANT {owners} TO {admins}"));
    let mut admin = site.db.client_as(&admins);
    run(&mut admin, "SELECT spamcheck.unprotect('theirs')");
    assert_eq!(
        ask(&mut owner, "INSERT INTO theirs (body) VALUES ('casino') RETURNING status"),
        "approved"
    );
}

#[test]
fn an_owner_may_switch_off_drop_and_change_the_table_and_nothing_else() {
    let mut site = Site::new();
    let (mut owner, _) = owner_and_admin(&mut site);
    site.run("SELECT spamcheck.protect('theirs')");
    // Triggers are the table's: its owner decides on them as on any.
    run(
        &mut owner,
        "ALTER TABLE theirs DISABLE TRIGGER zzzz_spamcheck_guard; INSERT INTO theirs (body) \
            VALUES ('casino'); ALTER TABLE theirs ENABLE TRIGGER zzzz_spamcheck_guard",
    );
    run(&mut owner, "ALTER TABLE theirs RENAME body TO text; ALTER TABLE theirs ADD more text");
    assert_eq!(
        ask(&mut owner, "INSERT INTO theirs (text) VALUES ('casino') RETURNING status"),
        "spam"
    );
    denied(&mut owner, "SELECT * FROM spamcheck.spam_checklog");
    denied(&mut owner, "UPDATE spamcheck.policy SET mode = 'off'");
    // To moderate takes access, too; an owner may well set a status, which is a decision.
    denied(&mut owner, "SELECT spamcheck.approve('theirs', '1')");
    denied(&mut owner, "SELECT spamcheck.not_spam(1)");
    run(&mut owner, "UPDATE theirs SET status = 'approved' WHERE status = 'spam'");
    assert_eq!(
        site.ask("SELECT reversed_by::text = (SELECT r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = 'theirs'::regclass) FROM spamcheck.spam_checklog"),
        "t"
    );
    run(&mut owner, "DROP TABLE theirs");
    assert_eq!(site.ask("SELECT relation FROM spamcheck.protected_table"), "comments");
    assert_eq!(site.ask("SELECT relation FROM spamcheck.spam_checklog"), "public.theirs");
}

#[test]
fn an_admin_cannot_read_through_a_mapping_what_the_role_may_not_read() {
    let mut site = Site::new();
    let (_, mut admin) = owner_and_admin(&mut site);
    site.run(
        "CREATE TABLE secrets (id integer PRIMARY KEY, word text); INSERT INTO secrets \
        VALUES (1, 'xyzzy')",
    );
    run(
        &mut admin,
        "CREATE TABLE own (id serial PRIMARY KEY, secret integer, body text, status text)",
    );
    let protect = r#"SELECT spamcheck.protect('own', status => '{}', columns =>
        '{"title": {"table": "secrets", "key": "id", "from": "secret", "column": "word"}}')"#;
    denied(&mut admin, protect);
    // Rights that are taken away later count as well.
    let name = ask(&mut admin, "SELECT current_user");
    site.run(&format!("GRANT SELECT ON secrets TO {name}"));
    run(&mut admin, protect);
    run(
        &mut admin,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'xyzzy')",
    );
    run(&mut admin, "INSERT INTO own (secret, body) VALUES (1, 'x')");
    assert_eq!(
        site.ask("SELECT check_name, outcome FROM spamcheck.spam_checklog"),
        "content|suppressed"
    );
    site.run(&format!("REVOKE SELECT ON secrets FROM {name}"));
    run(&mut admin, "INSERT INTO own (secret, body) VALUES (1, 'x')");
    assert_eq!(site.ask("SELECT outcome FROM spamcheck.recent LIMIT 1"), "error");
    assert_eq!(
        site.ask(
            "SELECT count(*) FROM spamcheck.spam_checklog WHERE id = (SELECT max(id) \
        FROM spamcheck.spam_checklog) AND (why || coalesce(detail::text, '')) LIKE \
        '%xyzzy%'"
        ),
        "0"
    );
}

#[test]
fn functions_behind_a_mapping_run_as_the_tables_owner() {
    let mut site = Site::new();
    let (_, mut admin) = owner_and_admin(&mut site);
    run(
        &mut admin,
        "CREATE TABLE seen (who text); GRANT INSERT ON seen TO PUBLIC;
         CREATE TABLE people (id integer PRIMARY KEY, mail text); INSERT INTO people VALUES (1, \
         'bob@example.com');
         CREATE FUNCTION spy(text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.seen VALUES (current_user);
             RETURN $1;
         END $$;
         CREATE VIEW addresses AS SELECT id, public.spy(mail) AS mail FROM people;
         CREATE TABLE own (id serial PRIMARY KEY, person integer, body text, status text)",
    );
    run(
        &mut admin,
        r#"SELECT spamcheck.protect('own', status => '{}', columns =>
            '{"email": {"table": "addresses", "key": "id", "from": "person", "column": "mail"}}')"#,
    );
    run(&mut admin, "INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', 'bob')");
    // A superuser inserts; the function is the admin's.
    site.run("INSERT INTO own (person, body) VALUES (1, 'hi')");
    let name = ask(&mut admin, "SELECT current_user");
    assert_eq!(site.ask("SELECT DISTINCT who FROM seen"), name);
    assert_eq!(site.log(), "1 email_pattern");
}

#[test]
fn the_extensions_own_tables_stay_the_extensions() {
    let mut site = Site::new();
    let (_, mut admin) = owner_and_admin(&mut site);
    for table in
        ["spamcheck.spam_checklog", "spamcheck.lookup", "spamcheck.policy", "spamcheck.list_entry"]
    {
        assert!(
            admin.batch_execute(&format!("SELECT spamcheck.protect('{table}')")).is_err(),
            "{table}"
        );
        let error = refused(&mut site.client, &format!("SELECT spamcheck.protect('{table}')"));
        assert!(error.hint().is_some(), "{table}: {error:?}");
        denied(&mut admin, &format!("ALTER TABLE {table} ADD x integer"));
        denied(&mut admin, &format!("CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING"));
    }
}

#[test]
fn the_owner_of_a_partitioned_table_adds_partitions_as_ever() {
    let mut site = Site::new();
    let (owner, heir) = (site.role("owner"), site.role("heir"));
    site.run(&format!("GRANT CREATE ON SCHEMA public TO {owner}, {heir}"));
    let mut client = site.db.client_as(&owner);
    run(
        &mut client,
        "CREATE TABLE monthly (month integer, body text, status text DEFAULT 'approved'
             CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam'))) PARTITION BY LIST (month);
         CREATE TABLE m0 PARTITION OF monthly FOR VALUES IN (0)",
    );
    site.run("SELECT spamcheck.protect('monthly')");
    let add =
        |month: i32| format!("CREATE TABLE m{month} PARTITION OF monthly FOR VALUES IN ({month})");
    run(&mut client, &add(1));
    run(
        &mut client,
        "CREATE TABLE m2 (LIKE monthly INCLUDING ALL); ALTER TABLE monthly ATTACH PARTITION m2 FOR VALUES IN (2)",
    );
    for month in [1, 2] {
        let insert = format!("INSERT INTO monthly VALUES ({month}, 'casino') RETURNING status");
        assert_eq!(ask(&mut client, &insert), "spam");
    }
    // Access that is given and taken is another matter.
    site.run(&format!(
        "SELECT spamcheck.grant_access('{owner}', 'admin'); SELECT spamcheck.revoke_access('{owner}')"
    ));
    run(&mut client, &add(3));
    // The right goes with the table.
    let may = "SELECT string_agg(r.rolname, ' ') FROM pg_roles r WHERE NOT r.rolsuper
        AND has_function_privilege(r.oid, 'spamcheck._guard()', 'EXECUTE')";
    assert_eq!(site.ask(may), owner);
    site.run(&format!("ALTER TABLE monthly OWNER TO {heir}"));
    assert_eq!(site.ask(may), heir);
    run(&mut site.db.client_as(&heir), &add(4));
    site.run(&format!("REASSIGN OWNED BY {heir} TO {owner}"));
    run(&mut client, &add(5));
    assert_eq!(site.ask(may), owner);
    site.run("SELECT spamcheck.unprotect('monthly')");
    assert_eq!(site.ask("SELECT count(*) FROM pg_proc WHERE proname IN ('_guard', '_record') AND array_length(proacl, 1) > 1"), "0");
    site.run("SELECT spamcheck.protect('monthly')");
    run(&mut client, "DROP TABLE monthly");
    assert_eq!(site.ask("SELECT count(*) FROM pg_proc WHERE proname IN ('_guard', '_record') AND array_length(proacl, 1) > 1"), "0");
}

#[test]
fn the_owner_of_a_table_gets_nobody_elses_rights_by_the_domain_of_its_status() {
    let mut site = Site::new();
    let (owner, moderator) = (site.role("owner"), site.role("moderator"));
    site.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {owner}; SELECT spamcheck.grant_access('{moderator}', 'moderator')"
    ));
    let mut client = site.db.client_as(&owner);
    run(
        &mut client,
        "CREATE TABLE posts (id integer PRIMARY KEY, body text, status text DEFAULT 'ok' CHECK (status IN ('ok', 'vip', 'pending', 'spam')))",
    );
    site.run("SELECT spamcheck.protect('posts')");
    run(
        &mut client,
        "CREATE FUNCTION noted(value text) RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN RAISE LOG 'the status was read as %.', current_user; RETURN true; END $$;
         CREATE DOMAIN states AS text CHECK (noted(value));
         ALTER TABLE posts ALTER status TYPE states;
         INSERT INTO posts (id, body, status) VALUES (1, 'casino', 'vip'), (2, 'casino', 'ok'), (3, 'casino', 'ok')",
    );
    let mut others = site.db.client_as(&moderator);
    run(
        &mut others,
        "SELECT spamcheck.not_spam(1); SELECT spamcheck.approve('posts', '2'); SELECT spamcheck.report_spam('posts', '2')",
    );
    site.run("SELECT spamcheck.delete_spam(3); SELECT * FROM spamcheck.health()");
    let log = site.db.cluster().log();
    let roles = log
        .lines()
        .filter_map(|line| line.split_once("the status was read as ")?.1.split_once('.'));
    let roles: std::collections::BTreeSet<&str> =
        roles.map(|(role, _)| role).filter(|role| *role != "%").collect();
    assert_eq!(roles.into_iter().collect::<Vec<_>>(), [owner.as_str()]);
}
