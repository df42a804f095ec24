//! Rows whose table is not what it was: partitioned, moved, renamed, dropped, protected anew.

use crate::site::{Site, refused};
use crate::{call, outcomes, site};

fn partitioned() -> Site {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (id int, year int, body text, status text DEFAULT 'approved' CONSTRAINT c CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (id, year))
             PARTITION BY LIST (year);
         CREATE TABLE posts_1 PARTITION OF posts FOR VALUES IN (1);
         -- Its columns are in another order.
         CREATE TABLE posts_2 (status text DEFAULT 'approved' CONSTRAINT c CHECK (status IN ('approved', 'pending', 'spam')), gone int, body text, year int NOT NULL, id int NOT NULL);
         ALTER TABLE posts_2 DROP gone; ALTER TABLE posts ATTACH PARTITION posts_2 FOR VALUES IN (2);
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         SELECT spamcheck.protect('posts');
         INSERT INTO posts VALUES (1, 1, 'casino'), (2, 2, 'casino')",
    );
    site
}

#[test]
fn a_row_that_moved_to_another_partition_is_found_there() {
    let mut site = partitioned();
    site.run("UPDATE posts SET year = 2 WHERE id = 1");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(
        site.ask("SELECT tableoid::regclass, status FROM posts WHERE id = 1"),
        "posts_2|approved"
    );
    assert_eq!(call(&mut site, "delete_spam(2)"), "done|deleted");
}

#[test]
fn a_partition_stands_for_its_table() {
    let mut site = partitioned();
    assert_eq!(call(&mut site, "approve('posts_2', '{\"id\": 2, \"year\": 2}')"), "done|restored");
    assert_eq!(call(&mut site, "report_spam('posts', '{\"id\": 2, \"year\": 2}')"), "done|spam");
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE relation <> 'public.posts'"),
        "0"
    );
}

#[test]
fn rows_of_child_tables_with_the_same_key_are_others() {
    let mut site = site();
    site.run("CREATE TABLE child () INHERITS (comments); INSERT INTO child (id, body, status) VALUES (1, 'x', 'spam'); INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(
        site.ask("SELECT tableoid::regclass, status FROM comments ORDER BY 1"),
        "comments|approved\nchild|spam"
    );
}

#[test]
fn columns_and_tables_may_be_renamed_meanwhile() {
    let mut site = site();
    site.run(
        "CREATE SCHEMA s; INSERT INTO comments (body) VALUES ('casino'), ('maybe');
         ALTER TABLE comments RENAME id TO nr; ALTER TABLE comments RENAME status TO \"State\"; ALTER TABLE comments SET SCHEMA s; ALTER TABLE s.comments RENAME TO remarks",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(call(&mut site, "approve('s.remarks', '2')"), "done|restored");
    assert_eq!(
        site.ask("SELECT nr, \"State\" FROM s.remarks ORDER BY 1"),
        "1|approved\n2|approved"
    );
}

#[test]
fn a_row_with_another_key_is_still_the_same() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); UPDATE comments SET id = 100");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "100 approved");
}

#[test]
fn a_deleted_row_leaves_the_log_to_be_reversed() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('casino too'); DELETE FROM comments");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|gone");
    assert_eq!(call(&mut site, "delete_spam(2)"), "done|gone");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, content deleted");
    assert_eq!(call(&mut site, "not_spam(1)"), "already|");
}

#[test]
fn a_table_that_is_gone_or_unprotected_is_told_of_in_a_sentence() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'), ('casino too'), ('casino'); SELECT spamcheck.unprotect('comments')");
    let message = |site: &mut Site, call: &str| {
        site.ask(&format!(
            "SELECT a ->> 'status', a ->> 'row', a ->> 'message' FROM (SELECT spamcheck.{call} AS a) x"
        ))
    };
    let unprotected =
        "Table public.comments is not protected any more, so its rows were left as they are.";
    assert_eq!(
        message(&mut site, "not_spam(1)"),
        format!("done|unchanged|The findings are taken back. {unprotected}")
    );
    assert_eq!(site.statuses(), "1 spam\n2 spam\n3 spam");
    for function in ["approve", "report_spam"] {
        let error =
            refused(&mut site.client, &format!("SELECT spamcheck.{function}('comments', '2')"));
        assert!(error.message().contains("not protected") && error.hint().is_some(), "{error:?}");
    }
    // Protected again, under another number.
    site.run("SELECT spamcheck.protect('comments')");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
    assert_eq!(site.statuses(), "1 spam\n2 approved\n3 spam");
    site.run("DROP TABLE comments");
    let gone = "Table public.comments is gone, and its rows with it.";
    assert_eq!(
        message(&mut site, "delete_spam(3)"),
        format!("done|gone|The log notes that it is spam. {gone}")
    );
    // Nobody deleted the row.
    assert_eq!(
        message(&mut site, "not_spam(3)"),
        format!("already|gone|Somebody has called it spam. {gone}")
    );
}

#[test]
fn another_table_that_has_got_the_name_is_left_alone() {
    let mut site = site();
    site.run(&format!(
        "INSERT INTO comments (author, body) VALUES ('Ann', 'casino'), ('Ann', 'casino'); DROP TABLE comments;
         CREATE TABLE comments ({}); SELECT spamcheck.protect('comments');
         INSERT INTO comments (author, body) VALUES ('Ann', 'another casino'), ('Bob', 'casino')",
        crate::site::COLUMNS
    ));
    assert_eq!(call(&mut site, "not_spam(1)"), "done|gone");
    assert_eq!(call(&mut site, "delete_spam(2)"), "done|gone");
    assert_eq!(site.statuses(), "1 spam\n2 spam");
}

#[test]
fn a_row_that_its_owner_cannot_see_is_not_taken_for_gone() {
    let mut site = site();
    let owner = site.role("owner");
    site.run(&format!(
        "ALTER TABLE comments OWNER TO {owner}; INSERT INTO comments (body) VALUES ('casino');
         ALTER TABLE comments ENABLE ROW LEVEL SECURITY; ALTER TABLE comments FORCE ROW LEVEL SECURITY"
    ));
    let error = refused(&mut site.client, "SELECT spamcheck.not_spam(1)");
    assert!(error.message().contains("row-level security"), "{error:?}");
    assert_eq!(outcomes(&mut site), "content suppressed");
}
