//! Every search_path: what we run must not depend on it, and nothing that lies in it may run for us.

use crate::site::{Site, ask, run};

#[test]
fn it_works_with_every_search_path() {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE people (login varchar(20) PRIMARY KEY, mail text); INSERT INTO people \
        VALUES ('bob', 'bob@casino.example')",
    );
    site.run(
        r#"SELECT spamcheck.protect('comments', columns => '{"email": {"table": "people", "key": "login", "from": "author", "column": "mail"}}');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block',
           '@casino\.example$')"#,
    );
    site.run("CREATE SCHEMA empty; CREATE SCHEMA \"Odd \"\"one\"\"\"");
    for path in [
        "''",
        "pg_catalog",
        "empty",
        "\"Odd \"\"one\"\"\"",
        "nowhere, pg_temp",
        "pg_temp, public",
        "spamcheck",
    ] {
        let mut client = site.db.client();
        run(&mut client, &format!("SET search_path = {path}"));
        let stored = ask(
            &mut client,
            "INSERT INTO public.comments (author, body) VALUES ('bob', 'hi'), ('ann', 'casino'), \
                ('ann', 'nice') RETURNING status",
        );
        assert_eq!(stored, "spam\nspam\napproved", "with search_path {path}");
        run(
            &mut client,
            "UPDATE public.comments SET body = 'casino' WHERE author = 'ann' AND body = 'nice'",
        );
    }
    assert_eq!(
        site.ask("SELECT check_name, count(*) FROM spamcheck.spam_checklog GROUP BY 1 ORDER BY 1"),
        "content|14\nemail_pattern|7"
    );
}

/// Functions that shadow what SQL usually means: signature, result, what they return. Each leaves a
/// trace when it is used.
const FUNCTIONS: [(&str, &str, &str); 15] = [
    ("lower(text)", "text", "''"),
    ("now()", "timestamptz", "'-infinity'"),
    ("clock_timestamp()", "timestamptz", "'-infinity'"),
    ("nextval(regclass)", "bigint", "0"),
    ("convert_from(bytea, name)", "text", "''"),
    ("convert_from(bytea, text)", "text", "''"),
    ("convert_to(text, text)", "bytea", "''"),
    ("to_jsonb(text)", "jsonb", "'null'"),
    ("to_jsonb(varchar)", "jsonb", "'null'"),
    ("jsonb_to_recordset(jsonb)", "jsonb", "'null'"),
    ("_judged(integer, oid, tid)", "boolean", "false"),
    ("same(text, text)", "boolean", "false"),
    ("same(varchar, text)", "boolean", "false"),
    ("same(integer, integer)", "boolean", "false"),
    ("path(jsonb, text[])", "text", "NULL"),
];

/// Operators, tables and types of the same kind.
const OBJECTS: &str = "
    CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.same);
    CREATE OPERATOR hostile.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = hostile.same);
    CREATE OPERATOR hostile.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = hostile.same);
    CREATE OPERATOR hostile.#>> (LEFTARG = jsonb, RIGHTARG = text[], FUNCTION = hostile.path);
    CREATE DOMAIN hostile.text AS pg_catalog.text CHECK (false);
    CREATE DOMAIN hostile.jsonb AS pg_catalog.jsonb CHECK (false);
    CREATE DOMAIN hostile.integer AS pg_catalog.int4 CHECK (false);
    CREATE TABLE hostile.policy (name pg_catalog.text);
    CREATE TABLE hostile.pg_class (oid pg_catalog.oid);
    GRANT ALL ON SCHEMA hostile TO PUBLIC;
    GRANT ALL ON ALL TABLES IN SCHEMA hostile TO PUBLIC";

/// A schema of them.
fn hostile_schema() -> String {
    let functions = FUNCTIONS.map(|(signature, result, value)| {
        format!(
            "CREATE FUNCTION hostile.{signature} RETURNS {result} LANGUAGE plpgsql AS $$
             BEGIN
                 INSERT INTO hostile.trace VALUES ('{signature}', current_user);
                 RETURN {value};
             END $$;"
        )
    });
    format!(
        "CREATE SCHEMA hostile; CREATE TABLE hostile.trace (what text, who text); {} {OBJECTS}",
        functions.join("\n")
    )
}

/// A site whose comments get the address of their author from a table of people.
fn site_with_people() -> Site {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE people (login varchar(20) PRIMARY KEY, mail varchar(50)); INSERT INTO \
        people VALUES ('bob', 'bob@casino.example')",
    );
    site.run(
        r#"SELECT spamcheck.protect('comments', columns => '{"email": {"table": "people", "key": "login", "from": "author", "column": "mail"}}');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block',
           '@casino\.example$')"#,
    );
    site.run(&hostile_schema());
    site
}

#[test]
fn a_hostile_search_path_changes_no_verdict_and_runs_nothing() {
    let mut site = site_with_people();
    let mut client = site.db.client();
    run(&mut client, "SET search_path = hostile, pg_catalog, public");
    let stored = ask(
        &mut client,
        "INSERT INTO public.comments (id, author, body)
         VALUES (1, 'bob', 'hi'), (2, 'ann', 'casino'), (3, 'ann', 'nice') RETURNING status",
    );
    assert_eq!(stored, "spam\nspam\napproved");
    // In a temporary schema, which comes first for tables and types.
    run(
        &mut client,
        "CREATE TEMP TABLE policy (name pg_catalog.text); CREATE TEMP TABLE list_entry (list \
            pg_catalog.text, value pg_catalog.text);
         CREATE TEMP TABLE pg_trigger (tgname pg_catalog.name); CREATE TEMP TABLE spam_checklog \
         (id pg_catalog.int8);
         CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (false); CREATE DOMAIN \
         pg_temp.bigint AS pg_catalog.int8 CHECK (false);
         SET search_path = pg_temp, hostile, pg_catalog, public",
    );
    run(&mut client, "INSERT INTO public.comments (id, author, body) VALUES (4, 'bob', 'casino')");
    run(&mut client, "UPDATE spamcheck.policy SET moderate_at = 4");
    run(&mut client, "INSERT INTO public.comments (id, author, body) VALUES (5, 'bob', 'casino')");
    site.run("SET search_path = public");
    assert_eq!(
        site.log(),
        "1 email_pattern\n2 content\n4 content\n4 email_pattern\n5 content\n5 email_pattern"
    );
    assert_eq!(site.ask("SELECT what, count(*) FROM hostile.trace GROUP BY 1"), "");
    // The trap does work.
    run(&mut client, "SELECT 'a'::pg_catalog.varchar = 'b'::pg_catalog.text");
    assert_eq!(site.ask("SELECT what FROM hostile.trace"), "same(varchar, text)");
}

#[test]
fn hostile_objects_beside_a_protected_table_do_not_run_as_its_owner() {
    let mut site = site_with_people();
    // The table's own schema is the one place that its owner's triggers need: what lies in it must
    // not take part in our own SQL.
    site.run("ALTER TABLE people SET SCHEMA hostile; ALTER TABLE comments SET SCHEMA hostile");
    let mut client = site.db.client();
    let stored = ask(
        &mut client,
        "INSERT INTO hostile.comments (id, author, body) VALUES (1, 'bob', 'hi'), (2, 'ann', \
            'nice') RETURNING status",
    );
    assert_eq!(stored, "spam\napproved");
    assert_eq!(ask(&mut client, "SELECT what, who FROM hostile.trace"), "");
}
