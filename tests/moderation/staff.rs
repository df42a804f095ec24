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
