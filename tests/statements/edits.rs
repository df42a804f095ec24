//! UPDATE: an edit of what people read is judged again, and nothing else is.

use crate::site::{Site, ask};

fn with_rows(rows: &str) -> Site {
    let mut site = Site::new();
    site.run(&format!("INSERT INTO comments (id, body) VALUES {rows}"));
    site
}

#[test]
fn an_edit_of_a_mapped_text_is_judged_and_logged() {
    let mut site = with_rows("(1, 'nice'), (2, 'nice'), (3, 'nice')");
    let stored =
        site.ask("UPDATE comments SET body = body || ' casino' WHERE id < 3 RETURNING id, status");
    assert_eq!(stored, "1|spam\n2|spam");
    assert_eq!(site.log(), "1 content\n2 content");
    // Each edit that hits is a submission of its own.
    site.run("UPDATE comments SET body = 'another casino' WHERE id = 1");
    assert_eq!(site.log(), "1 content\n1 content\n2 content");
    assert_eq!(site.ask("SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog"), "3");
    // The author and the address are texts, too.
    site.run("UPDATE comments SET author = 'the casino' WHERE id = 3");
    assert_eq!(site.log(), "1 content\n1 content\n2 content\n3 content");
}

#[test]
fn other_updates_are_never_judged() {
    let mut site = with_rows("(1, 'casino'), (2, 'nice')");
    // What a moderator decided stays.
    site.run("UPDATE comments SET status = 'approved' WHERE id = 1");
    site.run("UPDATE comments SET views = views + 1");
    site.run("UPDATE comments SET body = body, author = author, status = status");
    site.run("UPDATE comments SET body = 'casi' || 'no' WHERE id = 1");
    // An address is not text that people read.
    site.run("UPDATE comments SET ip = '10.0.0.1'");
    assert_eq!(site.statuses(), "1 approved\n2 approved");
    assert_eq!(site.log(), "1 content");
    // An edit by the author is.
    site.run("UPDATE comments SET body = 'casino!', views = 0 WHERE id = 1");
    assert_eq!(site.statuses(), "1 spam\n2 approved");
    assert_eq!(site.log(), "1 content\n1 content\n1 ip_block");
}

#[test]
fn an_edit_to_ham_leaves_the_status_as_it_is() {
    let mut site = with_rows("(1, 'casino')");
    site.run("UPDATE comments SET body = 'sorry' WHERE id = 1");
    assert_eq!(site.statuses(), "1 spam", "a ham verdict never writes a status");
    assert_eq!(site.log(), "1 content");
}

#[test]
fn a_moderator_who_edits_and_approves_at_once_is_overruled_only_by_the_rules() {
    let mut site = with_rows("(1, 'casino'), (2, 'casino')");
    site.run("UPDATE comments SET body = 'cleaned', status = 'approved' WHERE id = 1");
    site.run("UPDATE comments SET body = 'still a casino', status = 'approved' WHERE id = 2");
    assert_eq!(site.statuses(), "1 approved\n2 spam");
}

#[test]
fn a_text_that_is_stored_out_of_line_is_compared_by_content() {
    let mut site = Site::new();
    site.run("ALTER TABLE comments ALTER body SET STORAGE EXTERNAL");
    site.run("INSERT INTO comments (id, body) SELECT 1, 'casino ' || repeat('long text ', 20000)");
    site.run("UPDATE comments SET status = 'approved'");
    // Written anew, with the same letters.
    site.run("UPDATE comments SET body = 'casino ' || repeat('long text ', 20000), views = 1");
    site.run("UPDATE comments SET views = 2");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(site.log(), "1 content");
    site.run("UPDATE comments SET body = 'casino ' || repeat('long texT ', 20000)");
    assert_eq!(site.statuses(), "1 spam");
}

#[test]
fn null_and_empty_are_edits_like_others() {
    let mut site = with_rows("(1, NULL), (2, 'casino')");
    site.run("UPDATE comments SET body = 'casino' WHERE id = 1");
    site.run("UPDATE comments SET status = 'approved', body = NULL WHERE id = 2");
    site.run("UPDATE comments SET body = '' WHERE id = 2");
    assert_eq!(site.statuses(), "1 spam\n2 approved");
    assert_eq!(site.log(), "1 content\n2 content");
}

#[test]
fn a_table_protected_without_on_update_judges_inserts_only() {
    let mut site = Site::new();
    site.run("SELECT spamcheck.protect('comments', on_update => false)");
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice'), (2, 'casino')");
    site.run("UPDATE comments SET body = 'casino' WHERE id = 1");
    assert_eq!(site.statuses(), "1 approved\n2 spam");
    // The other half of an upsert is an edit as well.
    site.run(
        "INSERT INTO comments (id, body) VALUES (1, 'more casino'), (3, 'casino')
         ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    );
    assert_eq!(site.log(), "2 content\n3 content");
}

#[test]
fn update_from_another_table_and_of_many_rows_is_judged_row_by_row() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) SELECT n, 'nice' FROM generate_series(1, 2000) n");
    site.run(
        "UPDATE comments c SET body = n.body
           FROM (SELECT n AS id, CASE WHEN n % 5 = 0 THEN 'casino' ELSE 'nicer' END AS body
                   FROM generate_series(1, 2000, 2) n) n
          WHERE n.id = c.id",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "200");
}

#[test]
fn an_edit_of_a_changed_primary_key_is_logged_under_the_new_one() {
    let mut site = with_rows("(1, 'nice')");
    site.run("UPDATE comments SET id = 77, body = 'casino' WHERE id = 1");
    assert_eq!(site.log(), "77 content");
    // A new key alone is no edit, and the log follows it.
    site.run("UPDATE comments SET id = 78");
    assert_eq!(site.log(), "78 content");
}

#[test]
fn an_edit_that_waited_for_another_session_is_judged_as_it_is_stored() {
    let mut site = with_rows("(1, 'nice')");
    let mut other = site.db.client();
    site.run("BEGIN; UPDATE comments SET body = body || ' and a casino' WHERE id = 1");
    let pid = ask(&mut other, "SELECT pg_backend_pid()");
    let waiting = std::thread::spawn(move || {
        ask(
            &mut other,
            "UPDATE comments SET body = body || ', says bob', author = 'bob' WHERE id = 1 \
                RETURNING status, body",
        )
    });
    site.run("SAVEPOINT polling");
    support::wait::until(std::time::Duration::from_secs(20), "the second session to wait", || {
        site.ask(&format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}"))
            == "Lock"
    });
    site.run("COMMIT");
    assert_eq!(waiting.join().unwrap(), "spam|nice and a casino, says bob");
    assert_eq!(site.log(), "1 content\n1 content");
}

#[test]
fn rows_that_cannot_be_deleted_twice_are_not_logged_by_deletes() {
    let mut site = with_rows("(1, 'casino'), (2, 'nice')");
    site.run("DELETE FROM comments");
    site.run("TRUNCATE comments");
    assert_eq!(site.log(), "1 content", "what was logged of a deleted row stays");
}

#[test]
fn a_key_with_a_time_is_one_key_in_every_time_zone() {
    let mut site = Site::new();
    site.run(
        "CREATE TABLE events (id int, at timestamptz, body text, PRIMARY KEY (id, at),
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('events');
         SET timezone = 'Asia/Kolkata';
         INSERT INTO events VALUES (1, '2024-02-03 10:00+00', 'a casino');
         SET timezone = 'America/St_Johns';
         UPDATE events SET body = 'a casino again'",
    );
    assert_eq!(
        site.ask("SELECT string_agg(DISTINCT row_key->>'at', ' ') FROM spamcheck.spam_checklog WHERE relation = 'public.events'"),
        "2024-02-03T10:00:00+00:00"
    );
}
