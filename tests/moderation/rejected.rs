//! A rejected submission is inserted by not_spam as the row that it would have been.

use std::time::Duration;

use postgres::error::SqlState;
use support::wait;

use crate::site::{Site, ask, refused};
use crate::{call, first, outcomes};

/// A site where the word `casino` is rejected.
fn site(columns: &str) -> Site {
    let mut site = Site::bare();
    site.run(&format!(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE posts ({columns});
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content';
         SELECT spamcheck.protect('posts', status => '{{}}')"
    ));
    site
}

fn rejected(site: &mut Site, insert: &str) -> String {
    refused(&mut site.client, insert);
    first(site)
}

#[test]
fn it_has_all_its_original_values() {
    let mut site = site(
        "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, upper_body text GENERATED ALWAYS AS (upper(body)) STORED,
         moods mood[], mood mood, bytes bytea, doc jsonb, plain json, at timestamptz, day date, span interval, price numeric(8,2), ratio float8,
         ip inet, tags text[], code varchar(8), flag char(3), nothing text DEFAULT 'default', made_at timestamptz DEFAULT clock_timestamp(), who uuid",
    );
    let insert = r#"INSERT INTO posts (body, moods, mood, bytes, doc, plain, at, day, span, price, ratio, ip, tags, code, flag, nothing, who) VALUES
        (E'casino "quoted" \\ back''slash\nline', '{glad,NULL,sad}', 'sad', '\x00ff27', '{"a": [1, "é"]}', '{"b" : 1}', '2001-02-03 04:05:06.789+02',
         '1999-12-31', '1 year 2 mons 3 days 04:05:06.7', 12.30, 0.1::float8 + 0.2, '192.0.2.1/24', ARRAY['a,b', 'c"d', NULL], 'x', 'y', NULL,
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')"#;
    // The session that rejects and the session that inserts write dates and times differently.
    site.run("SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET timezone = 'Asia/Kolkata'; SET bytea_output = 'escape'; SET extra_float_digits = 0");
    let before = site.ask("SELECT clock_timestamp()::timestamptz(6)::text");
    let id = rejected(&mut site, insert);
    let mut moderator = site.db.client();
    let answer = ask(
        &mut moderator,
        &format!(
            "SELECT a ->> 'status', a ->> 'row', a -> 'row_key' FROM (SELECT spamcheck.not_spam({id}) AS a) x"
        ),
    );
    assert_eq!(answer, "done|inserted|{\"id\": 1}");
    site.run("RESET ALL; RESET timezone");
    let same = r#"SELECT body = E'casino "quoted" \\ back''slash\nline' AND upper_body = upper(body) AND moods = '{glad,NULL,sad}' AND mood = 'sad'
        AND bytes = '\x00ff27' AND doc = '{"a": [1, "é"]}' AND plain::text = '{"b" : 1}' AND at = '2001-02-03 04:05:06.789+02' AND day = '1999-12-31'
        AND span = '1 year 2 mons 3 days 04:05:06.7' AND price = 12.30 AND ratio = 0.1::float8 + 0.2 AND ip = '192.0.2.1/24'
        AND tags IS NOT DISTINCT FROM ARRAY['a,b', 'c"d', NULL] AND code = 'x' AND flag = 'y' AND nothing IS NULL
        AND who = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' FROM posts"#;
    assert_eq!(site.ask(same), "t", "{}", site.ask("SELECT p FROM posts p"));
    // Also what a default gave it then.
    let logged =
        "SELECT made_at <= (SELECT min(logged_at) FROM spamcheck.spam_checklog) FROM posts";
    assert_eq!(site.ask(logged), "t", "{before}");
}

#[test]
fn columns_of_a_fixed_length_keep_it() {
    let mut site =
        site("id int PRIMARY KEY, body text, c char(8), cs char(4)[], b bit(6), v varchar(3)");
    let id = rejected(
        &mut site,
        "INSERT INTO posts VALUES (1, 'casino', 'ab cd', '{ab,cd}', '101100', 'xyz')",
    );
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
    assert_eq!(
        site.ask("SELECT c::text, cs, b, v FROM posts"),
        "ab cd|{\"ab  \",\"cd  \"}|101100|xyz"
    );
}

#[test]
fn names_and_amounts_of_money_are_what_they_were_in_the_session_that_was_refused() {
    let mut site = site(
        "id int PRIMARY KEY, body text, rc regclass, rt regtype, own regtype, fn regproc, price money",
    );
    site.run(
        "CREATE SCHEMA s; CREATE TABLE s.c (); CREATE TABLE public.c (); CREATE TYPE s.mood AS ENUM ('so'); CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
         SET search_path = s, public",
    );
    let id = rejected(
        &mut site,
        "INSERT INTO public.posts VALUES (1, 'casino', 'c', 'text', 'mood', 'f', 1234.56::numeric::money)",
    );
    // What the session that was refused called s.c is another table to this one.
    let mut moderator = site.db.client();
    let answer = ask(&mut moderator, &format!("SELECT spamcheck.not_spam({id}) ->> 'row'"));
    assert_eq!(answer, "inserted");
    assert_eq!(
        ask(&mut moderator, "SELECT rc, rt, own, fn, price FROM posts"),
        "s.c|text|s.mood|s.f|$1,234.56"
    );
}

#[test]
fn its_findings_get_the_rows_key_and_it_is_not_judged_again() {
    let mut site = site("id serial PRIMARY KEY, body text, ip inet");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_block', '10.0.0.0/8')");
    let id = rejected(&mut site, "INSERT INTO posts (body, ip) VALUES ('casino', '10.0.0.1')");
    assert_eq!(outcomes(&mut site), "ip_block rejected, content rejected");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
    assert_eq!(outcomes(&mut site), "ip_block not_spam by postgres, content not_spam by postgres");
    assert_eq!(site.ask("SELECT DISTINCT row_key FROM spamcheck.spam_checklog"), "{\"id\": 1}");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "already|");
    assert_eq!(site.ask("SELECT count(*) FROM posts"), "1");
    // From now on it is a row like any other.
    assert_eq!(call(&mut site, "report_spam('posts', '1')"), "done|unchanged");
    assert_eq!(call(&mut site, &format!("delete_spam({id})")), "done|deleted");
    assert_eq!(site.ask("SELECT count(*) FROM posts"), "0");
}

#[test]
fn a_row_in_the_way_is_an_error_and_nothing_is_decided() {
    let mut site = site("id serial PRIMARY KEY, body text, slug text UNIQUE");
    let id = rejected(&mut site, "INSERT INTO posts (body, slug) VALUES ('casino', 'a')");
    site.run("INSERT INTO posts (body, slug) VALUES ('fine', 'a')");
    let error = refused(&mut site.client, &format!("SELECT spamcheck.not_spam({id})"));
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(
        error.message().starts_with("the rejected row cannot be inserted into public.posts"),
        "{error:?}"
    );
    assert!(
        error.detail().is_some_and(|d| d.contains("(slug)=(a)")) && error.hint().is_some(),
        "{error:?}"
    );
    assert_eq!(outcomes(&mut site), "content rejected");
    site.run("DELETE FROM posts");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
}

#[test]
fn columns_that_came_went_or_were_renamed_since_are_no_obstacle() {
    let mut site = site("id serial PRIMARY KEY, body text, old text, gone text");
    let id = rejected(&mut site, "INSERT INTO posts (body, old, gone) VALUES ('casino', 'o', 'g')");
    site.run("ALTER TABLE posts RENAME old TO young; ALTER TABLE posts DROP gone; ALTER TABLE posts ADD fresh text NOT NULL DEFAULT 'f'");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
    assert_eq!(site.ask("SELECT * FROM posts"), "1|casino|o|f");
}

#[test]
fn it_goes_into_the_partition_that_fits() {
    let mut site =
        site("id serial, year int, body text, PRIMARY KEY (id, year)) PARTITION BY LIST (year");
    site.run("CREATE TABLE posts_1 (body text, year int NOT NULL, id int NOT NULL); ALTER TABLE posts ATTACH PARTITION posts_1 FOR VALUES IN (1)");
    let id = rejected(&mut site, "INSERT INTO posts (year, body) VALUES (1, 'casino')");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
    assert_eq!(site.ask("SELECT tableoid::regclass, id, body FROM posts"), "posts_1|1|casino");
    assert_eq!(site.ask("SELECT row_key FROM spamcheck.spam_checklog"), "{\"id\": 1, \"year\": 1}");
}

#[test]
fn what_the_log_did_not_keep_whole_is_not_inserted_and_the_answer_says_so() {
    let mut site = site("id serial PRIMARY KEY, body text");
    site.run("UPDATE spamcheck.policy SET keep = 'excerpt'");
    let id = rejected(&mut site, "INSERT INTO posts (body) VALUES ('casino')");
    let answer = site.ask(&format!(
        "SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam({id}) AS a) x"
    ));
    assert!(answer.starts_with("not kept|") && answer.contains("keep"), "{answer}");
    assert_eq!(site.ask("SELECT count(*) FROM posts"), "0");
    site.run("UPDATE spamcheck.policy SET keep = 'full'; DELETE FROM spamcheck.spam_checklog");
    refused(
        &mut site.client,
        "INSERT INTO posts (body) VALUES ('casino ' || repeat('long ', 900000))",
    );
    wait::until(Duration::from_secs(20), "the entry", || !first(&mut site).is_empty());
    let id = first(&mut site);
    let answer = site.ask(&format!(
        "SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam({id}) AS a) x"
    ));
    assert!(answer.starts_with("not kept|") && answer.contains("body"), "{answer}");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}

#[test]
fn deferred_constraints_are_looked_at_at_once() {
    let mut site = site("id serial PRIMARY KEY, body text, author_id int");
    site.run(
        "CREATE TABLE people (id int PRIMARY KEY); INSERT INTO people VALUES (1);
         ALTER TABLE posts ADD FOREIGN KEY (author_id) REFERENCES people DEFERRABLE INITIALLY DEFERRED",
    );
    let id = rejected(&mut site, "INSERT INTO posts (body, author_id) VALUES ('casino', 1)");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
    site.run("DELETE FROM spamcheck.spam_checklog; DELETE FROM posts; DELETE FROM people");
    let id = rejected(&mut site, "INSERT INTO posts (body, author_id) VALUES ('casino', 1)");
    let error = refused(&mut site.client, &format!("SELECT spamcheck.not_spam({id})"));
    assert_eq!(error.code(), &SqlState::FOREIGN_KEY_VIOLATION);
}

#[test]
fn a_trigger_that_takes_the_row_away_is_told_of() {
    let mut site = site("id serial PRIMARY KEY, body text");
    let id = rejected(&mut site, "INSERT INTO posts (body) VALUES ('casino')");
    site.run(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER a BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION nothing()",
    );
    let error = refused(&mut site.client, &format!("SELECT spamcheck.not_spam({id})"));
    assert!(error.message().contains("trigger"), "{error:?}");
    assert_eq!(outcomes(&mut site), "content rejected");
}

/// A table whose rows are stamped, and whose texts are dressed up, by triggers of its own.
const DRESSED: &str = "CREATE FUNCTION dress() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.n := NEW.n + 1; NEW.body := NEW.body || '!'; NEW.made_by := current_user; NEW.made_at := clock_timestamp(); RETURN NEW; END $$;
    CREATE TRIGGER dress BEFORE INSERT OR UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION dress()";

#[test]
fn triggers_of_the_table_do_not_change_it_a_second_time() {
    let mut site = site(
        "id serial PRIMARY KEY, body text, n int DEFAULT 0, made_by name, made_at timestamptz, twice text GENERATED ALWAYS AS (body || body) STORED",
    );
    let owner = site.role("owner");
    site.run(DRESSED);
    site.run(&format!("ALTER TABLE posts OWNER TO {owner}"));
    let id = rejected(&mut site, "INSERT INTO posts (body) VALUES ('casino')");
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "done|inserted");
    assert_eq!(
        site.ask("SELECT id, body, n, made_by, twice FROM posts"),
        "1|casino!|1|postgres|casino!casino!"
    );
    let same = "SELECT made_at = (submission -> 'row' ->> 'made_at')::timestamptz FROM posts, spamcheck.spam_checklog";
    assert_eq!(site.ask(same), "t");
}

#[test]
fn an_edit_is_made_and_nothing_else_of_the_row_changes() {
    let mut site = site(
        "id int PRIMARY KEY, body text, views int DEFAULT 0, n int DEFAULT 0, made_by name, made_at timestamptz",
    );
    site.run(DRESSED);
    site.run("INSERT INTO posts VALUES (1, 'fine'), (2, 'fine'), (3, 'fine')");
    let id = rejected(&mut site, "UPDATE posts SET body = 'casino' WHERE id = 1");
    // Whoever says that it is spam does not delete what was there before.
    refused(&mut site.client, "UPDATE posts SET body = 'casino' WHERE id = 3");
    site.run(
        "ALTER TABLE posts DISABLE TRIGGER dress; UPDATE posts SET views = 7, made_at = now(); ALTER TABLE posts ENABLE TRIGGER dress",
    );
    let answer = site.ask(&format!(
        "SELECT a ->> 'status', a ->> 'row', a -> 'row_key' FROM (SELECT spamcheck.not_spam({id}) AS a) x"
    ));
    assert_eq!(answer, "done|edited|{\"id\": 1}");
    assert_eq!(
        site.ask("SELECT id, body, views, n FROM posts ORDER BY id"),
        "1|casino!|7|2\n2|fine!|7|1\n3|fine!|7|1"
    );
    assert_eq!(call(&mut site, &format!("not_spam({id})")), "already|");
    assert_eq!(call(&mut site, "delete_spam(2)"), "done|gone");
    assert_eq!(site.ask("SELECT count(*) FROM posts"), "3");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, content rejected");
}

#[test]
fn an_edit_leaves_alone_what_others_have_written_since() {
    let mut site = site("id int PRIMARY KEY, title text, body text, n int DEFAULT 0, seen_by text");
    site.run("INSERT INTO posts VALUES (1, 'one', 'fine', 1)");
    refused(
        &mut site.client,
        "UPDATE posts SET body = 'casino', n = n + 1, seen_by = 'Ann' WHERE id = 1",
    );
    site.run("UPDATE posts SET n = 50");
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("edited|") && answer.contains("left as it is: n."), "{answer}");
    assert_eq!(site.ask("SELECT * FROM posts"), "1|one|casino|50|Ann");
}

#[test]
fn an_edit_of_a_row_that_is_another_by_now_is_not_made() {
    let mut site = site("a int, b text, body text, PRIMARY KEY (a, b)");
    site.run("INSERT INTO posts VALUES (1, 'x', 'fine'), (2, 'x', 'fine'), (3, 'x', 'fine')");
    for id in 1..=3 {
        refused(
            &mut site.client,
            &format!("UPDATE posts SET body = 'casino', b = 'y' WHERE a = {id}"),
        );
    }
    site.run(
        "UPDATE posts SET body = 'better' WHERE a = 1; DELETE FROM posts WHERE a = 2;
         ALTER TABLE posts RENAME body TO text; ALTER TABLE posts RENAME b TO letter",
    );
    let answer =
        site.ask("SELECT a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.not_spam(1) AS a) x");
    assert!(answer.starts_with("unchanged|") && answer.contains("since"), "{answer}");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|gone");
    assert_eq!(call(&mut site, "not_spam(3)"), "done|edited");
    assert_eq!(site.ask("SELECT * FROM posts ORDER BY 1"), "1|x|better\n3|y|casino");
    assert_eq!(
        site.ask(
            "SELECT count(*) FROM spamcheck.spam_checklog WHERE reversed AND outcome = 'not_spam'"
        ),
        "3"
    );
}
