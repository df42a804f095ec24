//! A status that staff set by a plain UPDATE is a decision like any.

use crate::{call, outcomes, site};

#[test]
fn spam_that_is_set_to_ham_is_reversed_in_the_log() {
    let mut site = site();
    let role = site.role("staff");
    site.run(&format!(
        "INSERT INTO comments (body, ip) VALUES ('casino', '10.0.0.1'), ('casino too', NULL);
         GRANT SELECT, UPDATE ON comments TO {role}"
    ));
    let mut staff = site.db.client_as(&role);
    crate::site::run(&mut staff, "UPDATE comments SET status = 'approved' WHERE id = 1");
    assert_eq!(
        outcomes(&mut site),
        format!("ip_block not_spam by {role}, content not_spam by {role}, content suppressed")
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "already|");
}

#[test]
fn ham_that_is_set_to_spam_is_logged_as_theirs_and_can_be_taken_back() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('buy'); UPDATE comments SET status = 'spam'");
    assert_eq!(
        site.ask("SELECT check_name, outcome, why FROM spamcheck.recent"),
        "staff|suppressed|postgres set its status to spam"
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn what_was_taken_back_stays_so_when_staff_set_it_to_spam() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); UPDATE comments SET status = 'approved'; UPDATE comments SET status = 'spam'");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, staff suppressed");
    site.run("UPDATE comments SET status = 'approved'");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, staff not_spam by postgres");
}

#[test]
fn a_moderated_row_that_is_released_is_reversed_and_one_that_is_put_back_is_not() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('maybe'), ('maybe'); UPDATE comments SET status = 'approved' WHERE id = 1");
    assert_eq!(outcomes(&mut site), "wordfilter not_spam by postgres, wordfilter moderated");
    site.run("UPDATE comments SET status = 'pending' WHERE id = 1");
    assert_eq!(outcomes(&mut site), "wordfilter not_spam by postgres, wordfilter moderated");
}

/// A table whose verdicts write different columns, as Django's comments have them.
fn with_flags(site: &mut crate::site::Site) {
    site.run(
        r#"CREATE TABLE answers (id serial PRIMARY KEY, body text, ip inet DEFAULT '203.0.113.7', visible boolean NOT NULL DEFAULT true, removed boolean NOT NULL DEFAULT false, removed_at timestamptz);
           SELECT spamcheck.protect('answers', status => '{"ham": {"visible": true, "removed": false}, "moderate": {"visible": false}, "spam": {"removed": true, "removed_at": "$now"}}')"#,
    );
}

#[test]
fn a_moderated_row_that_is_made_spam_is_spam_where_both_are_different_columns() {
    let mut site = site();
    site.check("akismet", r#"enabled = true, options = '{"blog":"https://b.example/"}'"#);
    with_flags(&mut site);
    site.run("INSERT INTO answers (body) VALUES ('maybe'); UPDATE answers SET removed = true");
    assert_eq!(outcomes(&mut site), "wordfilter suppressed, staff suppressed");
    let told = "SELECT string_agg(kind, ' ') FROM spamcheck.lookup WHERE kind <> 'akismet'";
    assert_eq!(site.ask(told), "submit_spam");
    // It waits again, which says nothing.
    site.run("UPDATE answers SET removed = false");
    assert_eq!(outcomes(&mut site), "wordfilter suppressed, staff suppressed");
    site.run("UPDATE answers SET visible = true");
    assert_eq!(outcomes(&mut site), "wordfilter not_spam by postgres, staff not_spam by postgres");
    // Where spam is a time alone, it is the same.
    site.run(
        r#"CREATE TABLE notes (id serial PRIMARY KEY, body text, visible boolean DEFAULT true, gone_at timestamptz);
           SELECT spamcheck.protect('notes', status => '{"ham": {"visible": true}, "moderate": {"visible": false}, "spam": {"gone_at": "$now"}}');
           INSERT INTO notes (body) VALUES ('maybe'); UPDATE notes SET gone_at = now()"#,
    );
    assert!(outcomes(&mut site).ends_with("wordfilter suppressed, staff suppressed"));
    // One that nobody had anything against is hidden and marked.
    site.run("INSERT INTO answers (body) VALUES ('fine'); UPDATE answers SET removed = true, visible = false WHERE id = 2");
    assert!(outcomes(&mut site).ends_with(", staff suppressed"), "{}", outcomes(&mut site));
}

#[test]
fn spam_that_is_published_by_way_of_the_trash_is_let_go_whatever_was_found_there() {
    let mut site = site();
    site.check("required", "enabled = true, action = 'log'");
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body) VALUES ('casino'); UPDATE comments SET status = 'trash';
         UPDATE comments SET body = 'nice'; UPDATE comments SET status = 'approved'",
    );
    let standing = "SELECT count(*) FROM spamcheck.spam_checklog WHERE outcome = 'suppressed'";
    assert_eq!(site.ask(standing), "0", "{}", outcomes(&mut site));
}

#[test]
fn a_draft_that_no_verdict_has_kept_back_is_published_without_a_word() {
    let mut site = site();
    site.run(
        r#"CREATE TABLE posts (id serial PRIMARY KEY, body text, status text DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'spam')));
           SELECT spamcheck.protect('posts', status => '{"column": "status", "ham": "published", "spam": "spam"}');
           INSERT INTO posts (body) VALUES ('maybe'); UPDATE posts SET status = 'published'"#,
    );
    assert_eq!(outcomes(&mut site), "wordfilter moderated");
}

#[test]
fn a_row_that_a_failed_check_keeps_back_is_let_go_like_any() {
    let mut site = site();
    site.run(
        "CREATE FUNCTION fails(s jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$;
         UPDATE spamcheck.policy SET on_error = 'moderate'",
    );
    site.check("custom", r#"enabled = true, options = '{"function": "public.fails"}'"#);
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body) VALUES ('fine'); UPDATE comments SET status = 'trash'; UPDATE comments SET status = 'approved'",
    );
    assert_eq!(outcomes(&mut site), "custom not_spam by postgres");
}

#[test]
fn spam_that_is_put_among_those_that_wait_is_not_let_go() {
    let mut site = site();
    site.check("akismet", r#"enabled = true, options = '{"blog":"https://b.example/"}'"#);
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'); UPDATE comments SET status = 'pending'",
    );
    assert_eq!(outcomes(&mut site), "content suppressed");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.lookup WHERE kind = 'submit_ham'"), "0");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn what_is_thrown_away_is_not_let_go() {
    let mut site = site();
    site.check("akismet", r#"enabled = true, options = '{"blog":"https://b.example/"}'"#);
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body, status) VALUES ('casino', 'approved'), ('casino', 'featured'), ('maybe', 'approved');
         UPDATE comments SET status = 'trash'",
    );
    let said =
        "SELECT count(*) FROM spamcheck.spam_checklog WHERE reversed OR outcome = 'not_spam'";
    assert_eq!(site.ask(said), "0");
    let told = "SELECT count(*) FROM spamcheck.lookup WHERE kind = 'submit_ham'";
    assert_eq!(site.ask(told), "0");
    // Out of spam into its own former status, or into that of ham: each is a release.
    site.run("UPDATE comments SET status = 'spam'; UPDATE comments SET status = CASE id WHEN 2 THEN 'featured' ELSE 'approved' END");
    assert_eq!(site.ask("SELECT count(*) FROM comments c WHERE EXISTS (SELECT FROM spamcheck.spam_checklog l WHERE l.row_key = jsonb_build_object('id', c.id) AND l.reversed)"), "3");
}

#[test]
fn what_is_published_out_of_the_trash_is_let_go() {
    let mut site = site();
    site.check("akismet", r#"enabled = true, options = '{"blog":"https://b.example/"}'"#);
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body, ip, status) VALUES ('casino', '192.0.2.1', 'approved'), ('casino', '192.0.2.1', 'featured'),
                                                       ('maybe', '192.0.2.1', 'approved'), ('fine', '192.0.2.1', 'approved');
         UPDATE comments SET status = 'trash';
         UPDATE comments SET status = 'archived'",
    );
    let told = "SELECT count(*) FROM spamcheck.lookup WHERE kind = 'submit_ham'";
    assert_eq!(site.ask(told), "0");
    assert_eq!(outcomes(&mut site), "content suppressed, content suppressed, wordfilter moderated");
    site.run("UPDATE comments SET status = CASE id WHEN 2 THEN 'featured' ELSE 'approved' END");
    let reversed = "content not_spam by postgres, content not_spam by postgres, wordfilter not_spam by postgres";
    assert_eq!(outcomes(&mut site), reversed);
    assert_eq!(site.ask(told), "2", "what only waited says nothing to Akismet");
    // Nothing is left to be said.
    site.run("UPDATE comments SET status = 'trash'; UPDATE comments SET status = 'approved'");
    assert_eq!((outcomes(&mut site).as_str(), site.ask(told).as_str()), (reversed, "2"));
}

#[test]
fn a_flag_says_it_without_the_time_beside_it() {
    let mut site = crate::site::Site::bare();
    site.run(
        r#"CREATE TABLE answers (id int PRIMARY KEY, body text, visible boolean NOT NULL DEFAULT true,
                                removed boolean NOT NULL DEFAULT false, removed_at timestamptz, hidden_at timestamptz);
           SELECT spamcheck.protect('answers', status => '{"ham": {"visible": true, "removed": false},
               "moderate": {"visible": false, "hidden_at": "$now"}, "spam": {"removed": true, "removed_at": "$now"}}');
           INSERT INTO answers VALUES (1, 'fine'), (2, 'fine');
           UPDATE answers SET removed = true WHERE id = 1; UPDATE answers SET visible = false WHERE id = 2"#,
    );
    assert_eq!(outcomes(&mut site), "staff suppressed");
    site.run("UPDATE answers SET removed = false WHERE id = 1");
    assert_eq!(outcomes(&mut site), "staff not_spam by postgres");
    // Where the time alone tells two verdicts apart, it counts.
    site.run(
        r#"SELECT spamcheck.unprotect('answers');
           SELECT spamcheck.protect('answers', status => '{"ham": {"visible": true}, "moderate": {"visible": false, "hidden_at": "$now"},
               "spam": {"visible": false, "removed_at": "$now"}}');
           INSERT INTO answers VALUES (3, 'fine'), (4, 'fine');
           UPDATE answers SET visible = false WHERE id = 3;
           UPDATE answers SET visible = false, removed_at = now() WHERE id = 4"#,
    );
    let marked = "SELECT row_key FROM spamcheck.spam_checklog WHERE check_name = 'staff' AND row_key ->> 'id' <> '1'";
    assert_eq!(site.ask(marked), r#"{"id": 4}"#);
}

#[test]
fn other_updates_and_other_statuses_say_nothing() {
    let mut site = site();
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body) VALUES ('casino'), ('fine');
         UPDATE comments SET views = views + 1; UPDATE comments SET status = status; UPDATE comments SET status = 'draft' WHERE id = 2",
    );
    assert_eq!(outcomes(&mut site), "content suppressed");
}

#[test]
fn where_spam_waits_like_moderated_rows_only_a_release_says_something() {
    let mut site = crate::site::Site::bare();
    site.run(
        "CREATE TABLE posts (id int PRIMARY KEY, body text, status text);
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         SELECT spamcheck.protect('posts', status => '{\"column\": \"status\", \"ham\": \"approved\", \"moderate\": \"pending\", \"spam\": \"pending\"}');
         INSERT INTO posts VALUES (1, 'casino', 'approved'), (2, 'fine', 'approved');
         UPDATE posts SET status = 'pending' WHERE id = 2",
    );
    assert_eq!(outcomes(&mut site), "content suppressed");
    site.run("UPDATE posts SET status = 'approved'");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}

#[test]
fn rows_that_come_from_elsewhere_were_decided_about_there() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body) VALUES ('casino'), ('fine');
         ALTER TABLE comments ENABLE ALWAYS TRIGGER zzzz_spamcheck_guard;
         SET session_replication_role = replica; UPDATE comments SET status = 'approved' WHERE id = 1; UPDATE comments SET status = 'spam' WHERE id = 2",
    );
    assert_eq!(outcomes(&mut site), "content suppressed");
}

#[test]
fn what_is_rolled_back_was_never_said() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); BEGIN; SAVEPOINT s; UPDATE comments SET status = 'approved'; ROLLBACK TO s; COMMIT");
    assert_eq!(outcomes(&mut site), "content suppressed");
}

#[test]
fn an_edit_that_sets_a_status_besides_says_nothing_of_the_text_that_was() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); UPDATE comments SET body = 'harmless', status = 'approved'");
    assert_eq!(outcomes(&mut site), "content suppressed");
    assert_eq!(site.statuses(), "1 approved");
}
