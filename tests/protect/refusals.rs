//! What protect() refuses, each with its own sentence and a hint: relations that cannot be protected
//! and mappings that make no sense. Refusals of status values are in status_refusals.rs, those of
//! other tables in other_tables.rs.

use super::{protect, refusal, run, start, text};

const TABLE: &str = "CREATE TABLE notes (id int PRIMARY KEY, body text, author text, added date,
                     shout text GENERATED ALWAYS AS (upper(body)) STORED)";

/// Script, SQLSTATE, part of the message, part of the hint.
type Refused<'a> = (&'a str, &'a str, &'a str, &'a str);

#[track_caller]
fn all_refused(client: &mut postgres::Client, cases: &[Refused<'_>]) {
    let mut sentences = Vec::new();
    for (script, code, message, hint) in cases {
        let error = refusal(client, script);
        assert_eq!(error.code().code(), *code, "{script}: {error:?}");
        assert!(error.message().contains(message), "{script}: {error:?}");
        assert!(error.hint().is_some_and(|given| given.contains(hint)), "{script}: {error:?}");
        sentences.push(error.message().to_owned());
    }
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), cases.len(), "each has a sentence of its own: {sentences:#?}");
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzzz%'";
    assert_eq!(text(client, left), "0");
    assert_eq!(text(client, "SELECT count(*) FROM spamcheck._protection"), "0");
}

#[test]
fn what_is_no_ordinary_table_is_refused() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "CREATE VIEW shown AS SELECT * FROM notes;
         CREATE MATERIALIZED VIEW copied AS SELECT * FROM notes;
         CREATE SEQUENCE numbers;
         CREATE TYPE pair AS (body text, author text);
         CREATE EXTENSION file_fdw;
         CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE lines (body text) SERVER files OPTIONS (filename '/dev/null');
         CREATE TEMPORARY TABLE passing (id int PRIMARY KEY, body text);",
    );
    all_refused(
        &mut client,
        &[
            ("SELECT spamcheck.protect('shown')", "42809", "shown is a view", "under it"),
            (
                "SELECT spamcheck.protect('copied')",
                "42809",
                "copied is a materialized view",
                "made from",
            ),
            ("SELECT spamcheck.protect('lines')", "42809", "lines is a foreign table", "server"),
            (
                "SELECT spamcheck.protect('passing')",
                "42809",
                "passing is a temporary table",
                "ordinary table",
            ),
            ("SELECT spamcheck.protect('numbers')", "42809", "numbers is not a table", "table"),
            ("SELECT spamcheck.protect('pair'::regclass)", "42809", "pair is not a table", "table"),
            (
                "SELECT spamcheck.protect('notes_pkey')",
                "42809",
                "notes_pkey is not a table",
                "table",
            ),
            (
                "SELECT spamcheck.protect('spamcheck.policy')",
                "42809",
                "policy is one of pg_spamcheck's own tables",
                "app",
            ),
            (
                "SELECT spamcheck.protect('spamcheck.spam_checklog')",
                "42809",
                "spam_checklog is one of pg_spamcheck's own tables",
                "app",
            ),
        ],
    );
}

#[test]
fn unprotect_refuses_what_is_not_protected() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(&mut client, "CREATE VIEW shown AS SELECT * FROM notes");
    all_refused(
        &mut client,
        &[
            (
                "SELECT spamcheck.unprotect('notes')",
                "55000",
                "table public.notes is not protected",
                "spamcheck.protected_table",
            ),
            ("SELECT spamcheck.unprotect('shown')", "42809", "shown is a view", "under it"),
        ],
    );
}

#[test]
fn a_missing_policy_is_named() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    all_refused(
        &mut client,
        &[(
            "SELECT spamcheck.protect('notes', 'strict')",
            "42704",
            "policy \"strict\" does not exist",
            "spamcheck.create_policy",
        )],
    );
}

#[test]
fn a_table_with_nothing_to_judge_is_refused_with_its_columns() {
    let (_database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE hits (id int PRIMARY KEY, page_id int, ip inet, at timestamptz)",
    );
    let error = refusal(&mut client, "SELECT spamcheck.protect('hits')");
    assert!(error.message().contains("public.hits has nothing to judge"), "{error:?}");
    assert_eq!(
        error.detail().unwrap(),
        "Its columns are: id (integer), page_id (integer), ip (inet), at (timestamp with time zone)."
    );
    assert!(error.hint().unwrap().contains("columns =>"), "{error:?}");
    // A table of other words is not refused once it is told what they mean.
    run(&mut client, "ALTER TABLE hits ADD poem text");
    assert!(
        refusal(&mut client, "SELECT spamcheck.protect('hits')").detail().unwrap().contains("poem")
    );
    let found = protect(&mut client, r#"'hits', columns => '{"body":"poem"}', status => '{}'"#);
    assert!(found.starts_with("body=poem "), "{found}");
    // Nor is one whose only text was unmapped by hand taken.
    run(&mut client, TABLE);
    let error = refusal(
        &mut client,
        r#"SELECT spamcheck.protect('notes', columns => '{"body":null,"author":null}')"#,
    );
    assert!(error.message().contains("nothing to judge"), "{error:?}");
}

#[test]
fn a_mapping_that_makes_no_sense_is_refused_by_its_fault() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    let given =
        |columns: &str| format!("SELECT spamcheck.protect('notes', columns => '{columns}')");
    let cases = [
        (given("[1]"), "columns takes a JSON object of field to source, not [1]", "body"),
        (given("\"body\""), "columns takes a JSON object of field to source, not \"body\"", "body"),
        (given(r#"{"boddy":"body"}"#), "\"boddy\", which is not a field", "Did you mean \"body\"?"),
        (given(r#"{"body":"bodi"}"#), "the column \"bodi\"", "Did you mean \"body\"?"),
        (given(r#"{"body":"Body"}"#), "the column \"Body\"", "Did you mean \"body\"?"),
        (
            given(r#"{"body":"shout"}"#),
            "field \"body\" cannot be read from the generated column \"shout\"",
            "computed from",
        ),
        (
            given(r#"{"title":["author","shout"]}"#),
            "field \"title\" cannot be read from the generated column \"shout\"",
            "computed from",
        ),
        (given(r#"{"body":7}"#), "a column, an array of columns, or an object, not 7", "setting"),
        (given(r#"{"body":[]}"#), "not []", "setting"),
        (given(r#"{"body":["body",null]}"#), "not [\"body\",null]", "setting"),
        (given(r#"{"body":{"column":"body"}}"#), "\"body\" lacks the key \"table\"", "setting"),
        (
            given(r#"{"body":{"table":"t","key":"id","from":"id"}}"#),
            "\"body\" lacks the key \"column\"",
            "setting",
        ),
        (
            given(r#"{"ip":{"setting":"a.b","value":"c"}}"#),
            "\"ip\" has no key \"value\"",
            "setting",
        ),
        (given(r#"{"fields":7}"#), "an array of columns, or one jsonb or hstore column", "setting"),
    ];
    let cases: Vec<Refused<'_>> = cases
        .iter()
        .map(|(script, message, hint)| (script.as_str(), "22023", *message, *hint))
        .collect();
    all_refused(&mut client, &cases);
}

#[test]
fn a_wrong_column_is_answered_with_the_columns_there_are() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    let error = refusal(
        &mut client,
        r#"SELECT spamcheck.protect('notes', columns => '{"email":"postbox"}')"#,
    );
    assert_eq!(
        error.detail().unwrap(),
        "Its columns are: id (integer), body (text), author (text), added (date), shout (text)."
    );
    let error =
        refusal(&mut client, r#"SELECT spamcheck.protect('notes', columns => '{"mood":"body"}')"#);
    let listed = error.detail().unwrap();
    for field in ["body", "user_agent", "article_created_at", "honeypot", "fields"] {
        assert!(listed.contains(field), "{listed}");
    }
}

#[test]
fn a_setting_that_the_tables_owner_may_not_read_is_refused() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    let given = |name: &str| {
        format!(
            r#"SELECT spamcheck.protect('notes', columns => '{{"title":{{"setting":"{name}"}}}}')"#
        )
    };
    let error = refusal(&mut client, &given("no setting"));
    assert!(error.message().contains("no setting") && error.hint().is_some(), "{error:?}");
    run(&mut client, &given("app.not_set_yet"));
    // A superuser's own table may use any, and nobody's insert fails of it.
    run(&mut client, &given("data_directory"));
    run(
        &mut client,
        "CREATE ROLE refusals_app; GRANT INSERT ON notes TO refusals_app; SET ROLE refusals_app;
         INSERT INTO notes VALUES (1, 'casino'); RESET ROLE;
         ALTER TABLE notes OWNER TO refusals_app",
    );
    assert_eq!(text(&mut client, "SELECT outcome FROM spamcheck.recent"), "suppressed");
    let error = refusal(&mut client, &given("data_directory"));
    assert_eq!(error.code().code(), "42501");
    assert!(error.message().contains("data_directory") && error.hint().is_some(), "{error:?}");
    run(&mut client, "DROP OWNED BY refusals_app CASCADE; DROP ROLE refusals_app");
}

#[test]
fn a_relation_or_an_argument_that_is_null_or_gone_is_named() {
    let (_database, mut client) = start();
    for (script, code, message) in [
        ("SELECT spamcheck.protect(NULL)", "22004", "relation"),
        ("SELECT spamcheck.unprotect(NULL)", "22004", "relation"),
        ("SELECT spamcheck.protect(4000000::regclass)", "42P01", "4000000"),
    ] {
        let error = refusal(&mut client, script);
        assert_eq!(error.code().code(), code, "{error:?}");
        assert!(error.message().contains(message), "{error:?}");
    }
}

#[test]
fn nobody_protects_the_catalogs() {
    let (_database, mut client) = start();
    let error = refusal(
        &mut client,
        r#"SELECT spamcheck.protect('pg_description', columns => '{"body":"description"}')"#,
    );
    assert!(error.message().contains("pg_description"), "{error:?}");
    run(&mut client, "COMMENT ON SCHEMA public IS 'casino'");
}
