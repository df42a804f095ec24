//! INSERT in all its forms on an ordinary table.

use postgres::types::Type;
use std::collections::BTreeSet;

use crate::site::{Site, ask, run};

#[test]
fn a_single_insert_gets_its_verdict_and_its_log_row() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (author, body) VALUES ('ann', 'what a nice day')");
    assert_eq!(site.log(), "", "a ham row is not logged");
    site.run(
        "INSERT INTO comments (author, email, body) VALUES ('bob', 'bob@example.com', 'come \
        to my casino')",
    );
    assert_eq!(site.statuses(), "1 approved\n2 spam");
    let entry = site.ask(
        "SELECT relation, row_key, policy, check_name, action, outcome, allowed, author, email, \
            comment,
                submission IS NULL, reversed, logged_at BETWEEN now() - interval '1 minute' AND \
                clock_timestamp()
           FROM spamcheck.recent",
    );
    assert_eq!(
        entry,
        "public.comments|{\"id\": 2}|default|content|spam|suppressed|f|bob|bob@example.com|\
         come to my casino|t|f|t"
    );
    site.log_agrees(&["comments"]);
}

#[test]
fn findings_of_a_row_share_a_submission_and_rows_do_not() {
    let mut site = Site::new();
    site.run(
        "INSERT INTO comments (ip, body) VALUES
           ('10.1.2.3', 'my casino'), ('192.0.2.1', 'nice'), ('10.1.2.3', 'casino, too'), \
           ('10.9.9.9', 'hello')",
    );
    assert_eq!(site.log(), "1 content\n1 ip_block\n3 content\n3 ip_block\n4 ip_block");
    assert_eq!(site.ask("SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog"), "3");
    site.log_agrees(&["comments"]);
}

#[test]
fn every_row_of_a_long_insert_select_is_judged_by_itself() {
    let mut site = Site::new();
    site.run(
        "INSERT INTO comments (ip, body)
         SELECT CASE WHEN n % 7 = 0 THEN '10.0.0.1'::inet END,
                CASE WHEN n % 3 = 0 THEN 'casino ' ELSE 'nice ' END || n
           FROM generate_series(1, 5000) n",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2380");
}

#[test]
fn inserting_a_table_into_itself_judges_the_copies() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('a casino')");
    site.run("INSERT INTO comments (body) SELECT body FROM comments");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content\n3 content\n4 content\n6 content");
}

#[test]
fn returning_shows_the_row_as_it_is_stored() {
    let mut site = Site::new();
    let returned = site.ask(
        "INSERT INTO comments (body, status) VALUES ('casino', 'pending'), ('nice', 'pending')
         RETURNING id, status, body",
    );
    assert_eq!(returned, "1|spam|casino\n2|pending|nice");
}

#[test]
fn a_row_of_defaults_and_nulls_is_ham() {
    let mut site = Site::new();
    site.run("INSERT INTO comments DEFAULT VALUES");
    site.run(
        "INSERT INTO comments (author, email, ip, body) VALUES (NULL, NULL, NULL, NULL), \
        ('', '', NULL, '')",
    );
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 approved");
    assert_eq!(site.log(), "");
}

#[test]
fn prepared_statements_judge_each_execution() {
    let mut site = Site::new();
    // The extended protocol; more than five times, so that a generic plan is made.
    let typed = [Type::TEXT];
    let statement = site
        .client
        .prepare_typed("INSERT INTO comments (body) VALUES ($1) RETURNING status", &typed)
        .unwrap();
    for (body, status) in [("nice", "approved"), ("casino", "spam")].repeat(5) {
        let row = site.client.query_one(&statement, &[&body]).unwrap();
        assert_eq!(row.get::<_, &str>(0), status, "{body}");
    }
    // The simple one.
    site.run("PREPARE say (text) AS INSERT INTO comments (body) VALUES ($1)");
    for _ in 0..7 {
        site.run("EXECUTE say('casino again'); EXECUTE say('nice again')");
    }
    site.log_agrees(&["comments"]);
}

#[test]
fn a_portal_that_is_read_in_parts_stores_and_logs_all_rows() {
    let mut site = Site::new();
    let mut transaction = site.client.transaction().unwrap();
    let portal = transaction
        .bind(
            "INSERT INTO comments (body) SELECT 'casino ' || n FROM generate_series(1, 10) n \
                RETURNING id",
            &[],
        )
        .unwrap();
    let first: Vec<i32> =
        transaction.query_portal(&portal, 3).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(first, [1, 2, 3]);
    transaction.commit().unwrap();
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "10");
}

#[test]
fn rows_written_in_loops_over_cursors_are_judged() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('casino too')");
    site.run(
        "DO $$
         DECLARE
             old CURSOR FOR SELECT * FROM comments ORDER BY id FOR UPDATE;
             stored record;
             seen text := '';
         BEGIN
             FOR comment IN old LOOP
                 INSERT INTO comments (body) VALUES (comment.body || ' copied') RETURNING * INTO \
                 stored;
                 seen := seen || stored.status || ' ';
                 UPDATE comments SET views = views + 1 WHERE CURRENT OF old;
             END LOOP;
             FOR stored IN INSERT INTO comments (body) VALUES ('casino x'), ('y') RETURNING * LOOP
                 seen := seen || stored.status || ' ';
             END LOOP;
             IF seen <> 'spam approved spam spam approved ' THEN RAISE EXCEPTION 'seen: %', seen; \
             END IF;
         END $$",
    );
    assert_eq!(site.log(), "1 content\n3 content\n4 content\n6 content\n7 content");
}

#[test]
fn writable_ctes_judge_every_row_that_they_store() {
    let mut site = Site::new();
    let stored = site.ask(
        "WITH first AS (INSERT INTO comments (body) VALUES ('casino 1'), ('nice 2') RETURNING *),
              second AS (INSERT INTO comments (body) SELECT body || ', quoted' FROM first \
              RETURNING *)
         INSERT INTO comments (body) SELECT body || ', again' FROM second RETURNING body, status",
    );
    assert_eq!(stored, "casino 1, quoted, again|spam\nnice 2, quoted, again|approved");
    site.log_agrees(&["comments"]);
    // One that nobody reads runs all the same.
    site.run("WITH unread AS (INSERT INTO comments (body) VALUES ('casino 7')) SELECT 1");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "4");
}

#[test]
fn functions_that_insert_where_a_row_is_being_made_do_not_mix_up_findings() {
    let mut site = Site::new();
    site.run(
        "CREATE FUNCTION quote_of(body text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO comments (body) VALUES ('quoted: ' || body);
             RETURN body;
         END $$",
    );
    // In the target list and in VALUES, each around spam and ham.
    site.run(
        "INSERT INTO comments (body) SELECT quote_of(body) FROM (VALUES ('casino'), \
        ('nice'), ('casino 2')) v (body)",
    );
    site.run(
        "INSERT INTO comments (body) VALUES (quote_of('casino 3')), ('nice 4'), \
        (quote_of('nice 5')), ('casino 6')",
    );
    site.log_agrees(&["comments"]);
    // In a default, which is no address of mail.
    site.check("email_syntax", "enabled = false");
    site.run("ALTER TABLE comments ALTER email SET DEFAULT quote_of('casino by default')");
    site.run(
        "CREATE OR REPLACE FUNCTION quote_of(body text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO comments (body, email) VALUES ('quoted: ' || body, 'x@x.example');
             RETURN body;
         END $$",
    );
    site.run("INSERT INTO comments (body) VALUES ('nice 7'), ('casino 8')");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "10");
}

#[test]
fn a_row_key_names_every_column_of_the_primary_key_as_to_jsonb_does() {
    let mut site = Site::bare();
    site.run(
        r#"CREATE TYPE place AS ENUM ('blog', 'wall');
           CREATE TABLE keyed (
               "Site ""A""" uuid, at timestamptz, price numeric(9, 3), spot place, day date, flag
               boolean, part "char", tag varchar(20),
               body text, status text CHECK (status IN ('approved', 'pending', 'spam')),
               PRIMARY KEY ("Site ""A""", at, price, spot, day, flag, part, tag));
           SELECT spamcheck.protect('keyed')"#,
    );
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    // Session settings change how values are shown, not how they are logged.
    site.run(
        "SET datestyle = 'German, DMY'; SET timezone = 'Asia/Kolkata'; SET extra_float_digits = -5",
    );
    site.run(
        r#"INSERT INTO keyed VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
            '2026-02-03 04:05:06.789+00', 12.5, 'wall',
                                     '2026-12-31', true, 'x', 'é "quoted" \', 'casino')"#,
    );
    // One name in all sessions: as to_jsonb gives it in this time zone.
    site.run("SET timezone = 'UTC'");
    let same = site.ask(
        r#"SELECT (SELECT row_key FROM spamcheck.spam_checklog)
                = (SELECT to_jsonb(k) - 'body' - 'status' FROM keyed k),
                  (SELECT count(*) FROM jsonb_object_keys((SELECT row_key FROM
                  spamcheck.spam_checklog)))"#,
    );
    assert_eq!(same, "t|8", "{}", site.ask("SELECT row_key FROM spamcheck.spam_checklog"));
}

#[test]
fn a_table_without_a_primary_key_is_judged_and_logged_without_a_key() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE comments (body text, status text CHECK (status IN ('approved', \
        'pending', 'spam')))",
    );
    site.run("SELECT spamcheck.protect('comments')");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    assert_eq!(
        site.ask(
            "INSERT INTO comments VALUES ('casino', 'approved'), ('nice', 'approved') \
            RETURNING status"
        ),
        "spam\napproved"
    );
    assert_eq!(
        site.ask("SELECT row_key IS NULL, check_name, outcome, comment FROM spamcheck.recent"),
        "t|content|suppressed|casino"
    );
}

#[test]
fn sessions_that_insert_at_the_same_time_each_log_their_own_rows() {
    let mut site = Site::new();
    let db = &site.db;
    std::thread::scope(|scope| {
        for session in 0..8 {
            scope.spawn(move || {
                let mut client = db.client();
                for n in 0..50 {
                    let word = if (n + session) % 2 == 0 { "casino" } else { "nice" };
                    run(
                        &mut client,
                        &format!("INSERT INTO comments (body) VALUES ('{word} {session} {n}')"),
                    );
                }
            });
        }
    });
    site.log_agrees(&["comments"]);
    let ids = site.ask("SELECT submission_id FROM spamcheck.spam_checklog");
    assert_eq!(ids.lines().collect::<BTreeSet<_>>().len(), 200, "ids are not shared");
}

#[test]
fn the_ids_of_the_log_do_not_depend_on_a_session_cache() {
    let mut site = Site::new();
    // DISCARD ALL is what poolers send between clients.
    site.run("INSERT INTO comments (body) VALUES ('casino 1')");
    site.run("DISCARD ALL");
    site.run("INSERT INTO comments (body) VALUES ('casino 2')");
    let mut other = site.db.client();
    run(&mut other, "DISCARD PLANS; DISCARD SEQUENCES; DISCARD TEMP");
    run(&mut other, "INSERT INTO comments (body) VALUES ('casino 3')");
    site.log_agrees(&["comments"]);
    assert_eq!(ask(&mut other, "SELECT count(*) FROM spamcheck.spam_checklog"), "3");
}

#[test]
fn statements_that_carry_an_insert_inside_them_store_judged_rows() {
    let mut site = Site::new();
    let mut told = String::new();
    let insert = "INSERT INTO comments (body) VALUES ('casino'), ('nice') RETURNING status";
    let mut reader = site.client.copy_out(&format!("COPY ({insert}) TO stdout")).unwrap();
    std::io::Read::read_to_string(&mut reader, &mut told).unwrap();
    drop(reader);
    assert_eq!(told, "spam\napproved\n");
    site.run(&format!("EXPLAIN (ANALYZE, BUFFERS) {insert}"));
    // Explained alone, nothing is stored and nothing logged.
    site.run(&format!("EXPLAIN {insert}"));
    site.run(
        "EXPLAIN ANALYZE INSERT INTO comments (body) SELECT 'casino' FROM generate_series(1, 3)",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "5");
}

#[test]
fn functions_in_sql_and_sets_that_insert_lazily_store_judged_rows() {
    let mut site = Site::new();
    site.run(
        "CREATE FUNCTION post(text) RETURNS SETOF comments LANGUAGE sql AS
             'INSERT INTO comments (body) VALUES ($1), ($1 || '' again'') RETURNING *';
         CREATE FUNCTION post_twice(text) RETURNS text LANGUAGE sql AS
             'INSERT INTO comments (body) VALUES ($1);
              INSERT INTO comments (body) VALUES ($1) RETURNING status'",
    );
    assert_eq!(site.ask("SELECT status FROM post('casino') LIMIT 1"), "spam");
    assert_eq!(
        site.ask("SELECT post_twice(body) FROM (VALUES ('casino'), ('nice')) v (body)"),
        "spam\napproved"
    );
    assert_eq!(site.ask("SELECT (post('casino')).status"), "spam\nspam");
    site.log_agrees(&["comments"]);
}
