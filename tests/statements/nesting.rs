//! Rows that other triggers, rules and constraints store, or get in the way of.

use crate::site::{Site, run};

/// A trigger on comments that runs `body`.
fn trigger(site: &mut Site, name: &str, when: &str, body: &str) {
    site.run(&format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
         CREATE TRIGGER {name} {when} ON comments FOR EACH ROW EXECUTE FUNCTION {name}()"
    ));
}

#[test]
fn an_app_trigger_that_changes_the_text_before_ours_is_judged_by_what_it_makes() {
    let mut site = Site::new();
    trigger(
        &mut site,
        "clean",
        "BEFORE INSERT",
        "NEW.body := replace(NEW.body, 'xxx', 'casino'); RETURN NEW;",
    );
    site.run("INSERT INTO comments (body) VALUES ('my xxx'), ('nice')");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content");
}

#[test]
fn a_trigger_behind_ours_that_drops_rows_drops_their_log_rows() {
    let mut site = Site::new();
    trigger(
        &mut site,
        "zzzzz_drop",
        "BEFORE INSERT",
        "IF NEW.author = 'nobody' THEN RETURN NULL; END IF; RETURN NEW;",
    );
    site.run(
        "INSERT INTO comments (author, body) VALUES ('nobody', 'casino'), ('ann', 'nice'), \
            ('nobody', 'casino'),
                ('bob', 'casino'), ('nobody', 'casino')",
    );
    site.run("INSERT INTO comments (author, body) VALUES ('carl', 'nice')");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "4 content");
}

#[test]
fn a_trigger_behind_ours_with_an_exception_block_does_not_lose_log_rows() {
    let mut site = Site::new();
    trigger(
        &mut site,
        "zzzzz_careful",
        "BEFORE INSERT OR UPDATE",
        "BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NEW;",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('casino')");
    site.log_agrees(&["comments"]);
    site.run("UPDATE comments SET body = 'another casino' WHERE id = 2");
    assert_eq!(site.log(), "1 content\n2 content\n3 content");
}

#[test]
fn errors_of_statements_inside_triggers_and_constraints_do_not_lose_log_rows() {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE once (n integer PRIMARY KEY);
         INSERT INTO once VALUES (1);
         CREATE FUNCTION tries(author text) RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN
             IF author IS DISTINCT FROM 'robot' THEN
                 BEGIN
                     INSERT INTO comments (author, body) VALUES ('robot', 'casino');
                     INSERT INTO once SELECT 1 FROM generate_series(1, 3);
                 EXCEPTION WHEN unique_violation THEN NULL;
                 END;
             END IF;
             RETURN true;
         END $$;
         ALTER TABLE comments ADD CONSTRAINT tries CHECK (tries(author))",
    );
    trigger(&mut site, "zzzzz_tries", "BEFORE INSERT", "PERFORM tries(NEW.author); RETURN NEW;");
    trigger(
        &mut site,
        "zzzzz_tries_after",
        "AFTER INSERT",
        "PERFORM tries(NEW.author); RETURN NULL;",
    );
    // The first statement of a session, within a savepoint that it began before.
    let mut fresh = site.db.client();
    run(&mut fresh, "BEGIN; SAVEPOINT a");
    assert!(fresh.batch_execute("INSERT INTO once SELECT 1 FROM generate_series(1, 3)").is_err());
    run(&mut fresh, "ROLLBACK TO a");
    for _ in 0..3 {
        run(&mut fresh, "INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('casino')");
    }
    run(&mut fresh, "COMMIT");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "6");
}

#[test]
fn constraints_and_generated_columns_with_exception_blocks_do_not_lose_log_rows() {
    let mut site = Site::new();
    site.run(
        "CREATE FUNCTION careful(text) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$
         BEGIN
             RETURN $1::integer;
         EXCEPTION WHEN invalid_text_representation THEN
             RETURN 0;
         END $$;
         ALTER TABLE comments ADD CONSTRAINT careful CHECK (careful(body) = 0);
         ALTER TABLE comments ADD number integer GENERATED ALWAYS AS (careful(body)) STORED;
         CREATE INDEX ON comments (careful(body))",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('casino')");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content\n3 content");
}

#[test]
fn a_constraint_whose_function_inserts_comments_does_not_mix_up_findings() {
    let mut site = Site::new();
    site.run(
        "CREATE FUNCTION told(author text, body text) RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN
             IF author IS DISTINCT FROM 'robot' THEN
                 INSERT INTO comments (author, body) VALUES ('robot', 'nice, not ' || body), \
                 ('robot', 'nice');
                 INSERT INTO comments (id, author, body) VALUES (1, 'robot', 'casino, not \
                 stored') ON CONFLICT DO NOTHING;
             END IF;
             RETURN true;
         END $$;
         INSERT INTO comments (author, body) VALUES ('robot', 'nice');
         ALTER TABLE comments ADD CONSTRAINT told CHECK (told(author, body)) NOT VALID",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('more casino')");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "4");
}

#[test]
fn a_trigger_behind_ours_that_inserts_comments_does_not_mix_up_findings() {
    let mut site = Site::new();
    trigger(
        &mut site,
        "zzzzz_greet",
        "BEFORE INSERT",
        "IF NEW.author IS NULL THEN
             INSERT INTO comments (author, body) VALUES ('robot', 'answer to: ' || NEW.body), \
             ('robot', 'casino robot'), ('robot', 'nice');
         END IF;
         RETURN NEW;",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('more casino')");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "12");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "7");
}

#[test]
fn after_triggers_that_insert_comments_are_judged_at_every_depth() {
    let mut site = Site::new();
    for name in ["a_first", "zzzzz_last"] {
        trigger(
            &mut site,
            name,
            "AFTER INSERT",
            "IF pg_trigger_depth() < 4 THEN
                 INSERT INTO comments (body) VALUES ('deeper ' || NEW.body), ('nice');
             END IF;
             RETURN NULL;",
        );
    }
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('casino')");
    site.log_agrees(&["comments"]);
    // 3 rows, each with 4 rows of depth two, each of those with 4 of depth three, …
    assert_eq!(site.ask("SELECT count(*) FROM comments"), (3 * (1 + 4 + 16 + 64)).to_string());
}

#[test]
fn after_triggers_with_exception_blocks_take_back_only_their_own_rows() {
    let mut site = Site::new();
    trigger(
        &mut site,
        "zzzzz_try",
        "AFTER INSERT",
        "IF NEW.author = 'robot' THEN RETURN NULL; END IF;
         BEGIN
             INSERT INTO comments (author, body) VALUES ('robot', 'casino robot');
             RAISE EXCEPTION 'no';
         EXCEPTION WHEN raise_exception THEN NULL;
         END;
         RETURN NULL;",
    );
    // More rows than are written to the log at once.
    site.run("INSERT INTO comments (body) SELECT 'casino ' || n FROM generate_series(1, 1200) n");
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "1200");
}

#[test]
fn lookups_share_the_fate_of_their_rows_inside_exception_blocks() {
    let mut site = Site::new();
    site.check("akismet", r#"enabled = true, options = '{"blog": "https://blog.example/"}'"#);
    trigger(
        &mut site,
        "zzzzz_try",
        "AFTER INSERT",
        "IF NEW.author = 'robot' THEN RETURN NULL; END IF;
         BEGIN
             INSERT INTO comments (author, body) VALUES ('robot', 'hello');
             RAISE EXCEPTION 'no';
         EXCEPTION WHEN raise_exception THEN NULL;
         END;
         RETURN NULL;",
    );
    site.run("INSERT INTO comments (body) SELECT 'nice ' || n FROM generate_series(1, 1200) n");
    let missing = "SELECT count(*) FROM comments c WHERE NOT EXISTS
                     (SELECT FROM spamcheck.lookup l WHERE l.row_key = jsonb_build_object('id', \
                     c.id))";
    assert_eq!(site.ask(missing), "0");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.lookup"), "1200");
}

#[test]
fn an_after_trigger_that_edits_the_new_row_is_judged_as_an_edit() {
    let mut site = Site::new();
    trigger(
        &mut site,
        "zzzzz_sign",
        "AFTER INSERT",
        "UPDATE comments SET body = body || ' (casino)' WHERE id = NEW.id AND NEW.author = \
            'sign'; RETURN NULL;",
    );
    site.run(
        "INSERT INTO comments (author, body) VALUES ('sign', 'nice'), ('ann', 'nice'), \
        ('sign', 'casino')",
    );
    assert_eq!(site.statuses(), "1 spam\n2 approved\n3 spam");
    assert_eq!(site.log(), "1 content\n3 content\n3 content");
}

#[test]
fn triggers_of_other_tables_insert_comments_in_one_statement_with_their_own() {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE letters (LIKE comments INCLUDING ALL); SELECT spamcheck.protect('letters')",
    );
    site.run(
        "CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO comments (body) VALUES ('re: ' || NEW.body);
             RETURN NEW;
         END $$;
         CREATE TRIGGER zzzzz_answer BEFORE INSERT ON letters FOR EACH ROW EXECUTE FUNCTION \
         answer();
         CREATE TRIGGER answer AFTER INSERT ON letters FOR EACH ROW EXECUTE FUNCTION answer()",
    );
    site.run("INSERT INTO letters (body) VALUES ('casino'), ('nice'), ('casino')");
    site.log_agrees(&["comments", "letters"]);
    assert_eq!(
        site.ask("SELECT relation, count(*) FROM spamcheck.spam_checklog GROUP BY 1 ORDER BY 1"),
        "public.comments|4\npublic.letters|2"
    );
}

#[test]
fn rules_that_store_rows_also_or_instead_are_judged() {
    let mut site = Site::new();
    site.run("CREATE TABLE drafts (body text)");
    site.run(
        "CREATE RULE copied AS ON INSERT TO drafts DO ALSO INSERT INTO comments (body) \
        VALUES (NEW.body)",
    );
    site.run("INSERT INTO drafts VALUES ('casino'), ('nice')");
    assert_eq!(site.ask("SELECT count(*) FROM drafts"), "2");
    site.run(
        "CREATE RULE led AS ON INSERT TO drafts DO INSTEAD INSERT INTO comments (body) \
        VALUES (NEW.body || '!')",
    );
    site.run("DROP RULE copied ON drafts; INSERT INTO drafts VALUES ('casino'), ('nice')");
    assert_eq!(site.ask("SELECT count(*) FROM drafts"), "2");
    site.log_agrees(&["comments"]);
    assert_eq!(
        site.ask("SELECT comment FROM spamcheck.spam_checklog ORDER BY id"),
        "casino\ncasino!"
    );
}

#[test]
fn edits_by_foreign_keys_are_judged_like_others() {
    let mut site = Site::new();
    site.run("CREATE TABLE people (name text PRIMARY KEY)");
    site.run("INSERT INTO people VALUES ('ann'), ('bob'), ('carl')");
    site.run(
        "ALTER TABLE comments ADD FOREIGN KEY (author) REFERENCES people ON UPDATE CASCADE \
        ON DELETE SET NULL",
    );
    site.run(
        "INSERT INTO comments (author, body) VALUES ('ann', 'nice'), ('bob', 'nice'), \
        ('bob', 'fine'), ('carl', 'nice')",
    );
    site.run("UPDATE people SET name = 'casino bob' WHERE name = 'bob'");
    assert_eq!(site.statuses(), "1 approved\n2 spam\n3 spam\n4 approved");
    assert_eq!(site.log(), "2 content\n3 content");
    site.run("DELETE FROM people WHERE name = 'carl'");
    assert_eq!(site.log(), "2 content\n3 content");
}

#[test]
fn a_cascade_that_deletes_rows_of_the_same_statement_is_survived() {
    let mut site = Site::new();
    site.run("ALTER TABLE comments ADD parent integer REFERENCES comments ON DELETE CASCADE");
    trigger(
        &mut site,
        "a_delete",
        "AFTER INSERT",
        "DELETE FROM comments WHERE id = NEW.id AND NEW.author = 'gone'; RETURN NULL;",
    );
    site.run(
        "INSERT INTO comments (id, author, body) VALUES (1, 'gone', 'casino'), (2, 'ann', \
        'casino'), (3, 'gone', 'nice')",
    );
    assert_eq!(site.statuses(), "2 spam");
    let of_rows = "SELECT count(*) FROM spamcheck.spam_checklog WHERE row_key = '{\"id\": 2}'";
    assert_eq!(site.ask(of_rows), "1");
}

#[test]
fn statement_triggers_with_transition_tables_see_the_verdict() {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE seen (status text, count bigint);
         CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO seen SELECT status, count(*) FROM new_rows GROUP BY 1;
             IF pg_trigger_depth() = 1 THEN
                 INSERT INTO comments (body) VALUES ('casino, repeated');
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER count_new AFTER INSERT ON comments REFERENCING NEW TABLE AS new_rows
             FOR EACH STATEMENT EXECUTE FUNCTION count_new()",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('nice'), ('casino')");
    assert_eq!(
        site.ask("SELECT status, count FROM seen ORDER BY count, status"),
        "approved|1\nspam|1\nspam|2"
    );
    site.log_agrees(&["comments"]);
}
