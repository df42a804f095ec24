//! What the client is told.

use postgres::error::{DbError, SqlState};
use serde_json::{Value as Json, json};

use crate::refusing;
use crate::site::{Site, ask, refused, run};

const SPAM: &str = "INSERT INTO comments (author, body) VALUES ('bob', 'my casino')";

fn detail(error: &DbError) -> Json {
    serde_json::from_str(error.detail().expect("a detail")).expect("JSON")
}

#[test]
fn a_refusal_carries_everything_that_an_app_can_ask_for() {
    let mut site = refusing();
    let error = refused(&mut site.client, SPAM);
    assert_eq!(error.severity(), "ERROR");
    assert_eq!(error.code(), &SqlState::CHECK_VIOLATION);
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
    assert_eq!((error.schema(), error.table()), (Some("public"), Some("comments")));
    assert_eq!(detail(&error), json!({"code": "spamcheck_reject", "relation": "public.comments"}));
    assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{error:?}");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "0");
}

#[test]
fn a_refusal_does_not_tell_the_spammer_what_hit() {
    let mut site = refusing();
    site.check("ip_block", "action = 'reject'");
    site.run(
        r"INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block',
        '@shady\.example$')",
    );
    let refusals = [
        refused(&mut site.client, SPAM),
        refused(
            &mut site.client,
            "INSERT INTO comments (ip, email, body) VALUES ('10.0.0.1', 'x@shady.example', 'nice')",
        ),
    ];
    let told: Vec<String> = refusals
        .iter()
        .map(|error| {
            format!(
                "{} {:?} {:?} {:?}",
                error.message(),
                error.detail(),
                error.hint(),
                error.where_()
            )
            .to_lowercase()
        })
        .collect();
    for text in &told {
        for secret in
            ["casino", "10.0.0", "shady", "banned_words", "ip_block", "content", "word", "address"]
        {
            // Saying that content can be changed gives nothing away.
            let text = text.replace("change its content", "");
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert_eq!(told[0], told[1], "one answer for every reason");
}

#[test]
fn a_policy_chooses_its_sqlstate() {
    let mut site = refusing();
    for code in ["SC001", "P0001", "23505", "45000", "ZZZZZ"] {
        site.policy(&format!("reject_sqlstate = '{code}'"));
        let error = refused(&mut site.client, SPAM);
        assert_eq!((error.code().code(), error.constraint()), (code, Some("spamcheck_reject")));
    }
}

#[test]
fn exception_handlers_catch_it_with_all_its_parts() {
    let mut site = refusing();
    let caught = "CREATE FUNCTION said(text) RETURNS text LANGUAGE plpgsql AS $$
        DECLARE
            code text; told text; which text; tab text; sch text; what jsonb; tip text;
        BEGIN
            INSERT INTO comments (body) VALUES ($1);
            RETURN 'stored';
        EXCEPTION WHEN check_violation THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, which = CONSTRAINT_NAME, tab = \
            TABLE_NAME, sch = SCHEMA_NAME,
                                    what = PG_EXCEPTION_DETAIL, tip = PG_EXCEPTION_HINT, told = \
                                    MESSAGE_TEXT;
            RETURN concat_ws(' ', code, which, sch, tab, what ->> 'code', what ->> 'relation', \
            tip <> '', told <> '');
        END $$";
    site.run(caught);
    assert_eq!(site.ask("SELECT said('nice')"), "stored");
    assert_eq!(
        site.ask("SELECT said('casino')"),
        "23514 spamcheck_reject public comments spamcheck_reject public.comments t t"
    );
    // Caught or not: it was refused, and the log says so.
    assert_eq!(
        site.ask("SELECT comment, outcome, row_key IS NULL FROM spamcheck.spam_checklog"),
        "casino|rejected|t"
    );
    // What the same transaction stored stays.
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "1");
}

#[test]
fn every_caught_refusal_of_a_loop_is_logged_and_nothing_else() {
    let mut site = refusing();
    site.run(
        "DO $$
         BEGIN
             FOR n IN 1..100 LOOP
                 BEGIN
                     INSERT INTO comments (ip, body) VALUES ('10.0.0.1', 'nice ' || n);
                     INSERT INTO comments (body) VALUES ('casino ' || n);
                 EXCEPTION WHEN check_violation THEN NULL;
                 END;
             END LOOP;
         END $$",
    );
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "0");
    assert_eq!(
        site.ask(
            "SELECT outcome, count(*), count(DISTINCT comment), count(DISTINCT \
        submission_id) FROM spamcheck.spam_checklog GROUP BY 1"
        ),
        "rejected|100|100|100"
    );
}

#[test]
fn savepoints_and_the_session_survive_a_refusal() {
    let mut site = refusing();
    site.run("BEGIN; INSERT INTO comments (ip, body) VALUES ('10.0.0.1', 'nice'); SAVEPOINT s");
    refused(&mut site.client, SPAM);
    let stopped = refused(&mut site.client, "SELECT 1");
    assert_eq!(stopped.code(), &SqlState::IN_FAILED_SQL_TRANSACTION);
    site.run("ROLLBACK TO s; INSERT INTO comments (body) VALUES ('nice'); COMMIT");
    assert_eq!(site.statuses(), "1 spam\n3 approved");
    assert_eq!(
        site.ask("SELECT row_key, outcome FROM spamcheck.spam_checklog ORDER BY outcome"),
        "|rejected\n{\"id\": 1}|suppressed"
    );
}

#[test]
fn one_refused_row_stops_a_copy_and_is_the_only_one_logged() {
    use std::io::Write;
    let mut site = refusing();
    let mut copy = site.client.copy_in("COPY comments (ip, body) FROM stdin").unwrap();
    copy.write_all(b"10.0.0.1\tnice\n\\N\tnice\n\\N\tthe casino\n\\N\tanother casino\n").unwrap();
    let error = copy.finish().unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.constraint()), ("23514", Some("spamcheck_reject")));
    assert_eq!(detail(error)["relation"], "public.comments");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "0");
    assert_eq!(
        site.ask("SELECT comment, outcome FROM spamcheck.spam_checklog"),
        "the casino|rejected"
    );
}

#[test]
fn a_refused_edit_leaves_the_row_as_it_was() {
    let mut site = refusing();
    site.run("INSERT INTO comments (author, body) VALUES ('ann', 'nice')");
    let error = refused(&mut site.client, "UPDATE comments SET body = 'casino', views = 5");
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
    assert_eq!(site.ask("SELECT body, views, status FROM comments"), "nice|0|approved");
    assert_eq!(
        site.ask("SELECT row_key IS NULL, author, comment, outcome FROM spamcheck.spam_checklog"),
        "t|ann|casino|rejected"
    );
    let error = refused(
        &mut site.client,
        "INSERT INTO comments (id, body) VALUES (1, 'casino') ON CONFLICT (id) DO UPDATE SET body \
            = excluded.body",
    );
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
}

#[test]
fn the_names_of_odd_tables_are_told_as_sql_quotes_them() {
    let mut site = refusing();
    site.run(
        r#"CREATE SCHEMA "My ""Blog"; CREATE TABLE "My ""Blog"."Comments.2\" (LIKE comments
        INCLUDING ALL)"#,
    );
    site.run(r#"SELECT spamcheck.protect('"My ""Blog"."Comments.2\"')"#);
    let error = refused(
        &mut site.client,
        r#"INSERT INTO "My ""Blog"."Comments.2\" (body) VALUES ('casino')"#,
    );
    assert_eq!((error.schema(), error.table()), (Some("My \"Blog"), Some("Comments.2\\")));
    assert_eq!(detail(&error)["relation"], r#""My ""Blog"."Comments.2\""#);
    assert_eq!(
        site.ask(
            "SELECT relation = $$\"My \"\"Blog\".\"Comments.2\\\"$$ FROM spamcheck.spam_checklog"
        ),
        "t"
    );
}

#[test]
fn a_partition_is_refused_in_the_name_of_the_protected_table() {
    let mut site = refusing();
    site.run(
        "CREATE TABLE parts (id integer, body text, status text CHECK (status IN ('approved', \
            'pending', 'spam')), PRIMARY KEY (id)) PARTITION BY RANGE (id);
         CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
         SELECT spamcheck.protect('parts')",
    );
    for table in ["parts", "part_1"] {
        let error = refused(&mut site.client, &format!("INSERT INTO {table} VALUES (1, 'casino')"));
        assert_eq!(error.table(), Some("parts"), "{table}");
        assert_eq!(detail(&error)["relation"], "public.parts");
    }
}

#[test]
fn the_first_refusal_of_a_fresh_session_is_like_any_other() {
    let mut site = refusing();
    for n in 1..=10 {
        let mut fresh = site.db.client();
        let error = refused(&mut fresh, SPAM);
        assert_eq!(error.constraint(), Some("spamcheck_reject"));
        assert_eq!(
            ask(&mut site.client, "SELECT count(*) FROM spamcheck.spam_checklog"),
            n.to_string()
        );
    }
    run(&mut site.client, "INSERT INTO comments (body) VALUES ('nice')");
}

#[test]
fn do_nothing_does_not_hide_a_refusal() {
    let mut site: Site = refusing();
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice')");
    let error = refused(
        &mut site.client,
        "INSERT INTO comments (id, body) VALUES (2, 'casino') ON CONFLICT DO NOTHING",
    );
    assert_eq!(error.constraint(), Some("spamcheck_reject"));
}
