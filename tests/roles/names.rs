//! Names that would be SQL if they were pasted into a statement (A28 of the abuse list).

use crate::site::{Site, ask, run};

const NAMES: [&str; 8] = [
    r#"x"; DROP TABLE canary; --"#,
    "x'; DROP TABLE canary; --",
    "two words.and.dots",
    "$$ || pg_sleep(100) || $$",
    r"back\slash %s %1$I",
    "Ünïcødé 漢字 😀",
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg",
    "select",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn tables_schemas_columns_and_policies_may_have_any_name() {
    let mut site = Site::bare();
    site.run("CREATE TABLE canary (id integer)");
    for name in NAMES {
        let (table, column) = (
            format!(
                "{}.{}",
                quoted(&format!("s{name}").chars().take(15).collect::<String>()),
                quoted(name)
            ),
            quoted(name),
        );
        let schema = table.split_once("\".\"").map_or_else(
            || table.rsplit_once('.').unwrap().0.to_owned(),
            |(schema, _)| format!("{schema}\""),
        );
        site.run(&format!("CREATE SCHEMA {schema}"));
        site.run(&format!(
            "CREATE TABLE {schema}.{column} ({column} text, key text PRIMARY KEY, status text \
                CHECK (status IN ('ok', 'pending', 'spam')))"
        ));
        let table = format!("{schema}.{column}");
        site.run(&format!("SELECT spamcheck.create_policy({})", literal(name)));
        let columns = serde_json::json!({ "body": name }).to_string();
        site.run(&format!(
            "SELECT spamcheck.protect({}, {}, {})",
            literal(&table),
            literal(name),
            literal(&columns)
        ));
        site.run(&format!("INSERT INTO {table} VALUES ({0}, {0}, 'ok')", literal(name)));
        assert_eq!(site.ask(&format!("SELECT status FROM {table}")), "ok", "{name}");
        assert_eq!(
            site.ask(&format!(
                "SELECT policy = {} FROM spamcheck.protected_table WHERE relation = {}::regclass",
                literal(name),
                literal(&table)
            )),
            "t"
        );
        // As a word that is banned, in the text and in the key of the log.
        site.run(&format!(
            "INSERT INTO spamcheck.list_entry (list, value, note) VALUES \
            ('banned_words', {0}, {0}) ON CONFLICT DO NOTHING",
            literal(name)
        ));
        site.run(&format!(
            "INSERT INTO {table} VALUES ({}, {}, 'ok')",
            literal(&format!("see {name} !")),
            literal(&format!("2{name}"))
        ));
        let logged = site.ask(&format!(
            "SELECT row_key ->> 'key' = {}, relation::regclass = {}::regclass, policy = {}, \
                detail ->> 'entry' FROM spamcheck.recent LIMIT 1",
            literal(&format!("2{name}")),
            literal(&table),
            literal(name)
        ));
        assert!(logged.starts_with("t|t|t|"), "{name}: {logged}");
        site.run(&format!(
            "UPDATE spamcheck.check_setting SET action = 'reject' WHERE policy = {} \
            AND check_name = 'content'",
            literal(name)
        ));
        let error = crate::site::refused(
            &mut site.client,
            &format!(
                "INSERT INTO {table} VALUES ({}, 'x', 'ok')",
                literal(&format!("{name} again"))
            ),
        );
        let detail: serde_json::Value = serde_json::from_str(error.detail().unwrap()).unwrap();
        assert_eq!(error.table(), Some(name));
        assert_eq!(
            site.ask(&format!(
                "SELECT {}::regclass = {}::regclass",
                literal(detail["relation"].as_str().unwrap()),
                literal(&table)
            )),
            "t"
        );
        site.run(&format!(
            "SELECT spamcheck.unprotect({}); SELECT spamcheck.drop_policy({})",
            literal(&table),
            literal(name)
        ));
        site.run(&format!("DELETE FROM spamcheck.list_entry; DROP SCHEMA {schema} CASCADE"));
    }
    assert_eq!(site.ask("SELECT count(*) FROM canary"), "0");
}

#[test]
fn roles_of_any_name_get_access() {
    let mut site = Site::new();
    site.run("CREATE TABLE canary (id integer)");
    for name in NAMES {
        let role: String = format!("{}{name}", site.db.name()).chars().take(40).collect();
        let quoted = quoted(&role);
        site.run(&format!("CREATE ROLE {quoted} LOGIN"));
        site.run(&format!("SELECT spamcheck.grant_access({}, 'moderator')", literal(&quoted)));
        let mut client = site.db.client_as(&role);
        run(
            &mut client,
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'poker')",
        );
        assert_eq!(
            ask(
                &mut client,
                "DELETE FROM spamcheck.list_entry WHERE value = 'poker' RETURNING added_by = \
                    current_user"
            ),
            "t",
            "{name}"
        );
        drop(client);
        site.run(&format!(
            "SELECT spamcheck.revoke_access({}); DROP ROLE {quoted}",
            literal(&quoted)
        ));
    }
    site.run("SELECT * FROM canary");
}

#[test]
fn texts_that_would_be_commands_are_logged_as_they_are() {
    let mut site = Site::new();
    let nasty = "casino'); DROP TABLE comments; -- \u{1b}[31m \u{202e}evil\r\n\\copy x \"q\" \
        <script>alert(1)</script> =1+1 $1 %s \\u0000";
    site.client
        .execute("INSERT INTO comments (author, email, body) VALUES ($1, $1, $1)", &[&nasty])
        .unwrap();
    let row = site
        .client
        .query_one(
            "SELECT author = $1 AND email = $1 AND comment = $1 FROM spamcheck.spam_checklog
              WHERE check_name = 'content'",
            &[&nasty],
        )
        .unwrap();
    assert!(row.get::<_, bool>(0));
    site.check("content", "action = 'reject'");
    let failed = site
        .client
        .execute("INSERT INTO comments (author, email, body) VALUES ($1, $1, $1)", &[&nasty])
        .unwrap_err();
    let error = failed.as_db_error().unwrap();
    assert!(!format!("{error:?}").contains("script"), "{error:?}");
}
