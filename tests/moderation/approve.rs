//! approve: a row that waits is released.

use crate::site::{Site, refused};
use crate::{call, outcomes, site};

#[test]
fn a_moderated_row_gets_its_own_status_back() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('maybe')");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(outcomes(&mut site), "wordfilter not_spam by postgres");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "already|unchanged");
}

#[test]
fn a_row_that_the_app_had_waiting_itself_becomes_ham() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (body, status) VALUES ('maybe', 'pending'), ('fine', 'pending')",
    );
    assert_eq!(site.statuses(), "1 pending\n2 pending");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|released");
    assert_eq!(call(&mut site, "approve('comments', '2')"), "done|released");
    assert_eq!(site.statuses(), "1 approved\n2 approved");
}

#[test]
fn a_spam_row_is_released_too() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "done|restored");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres");
}

#[test]
fn a_row_that_is_ham_is_left_alone() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('fine')");
    assert_eq!(call(&mut site, "approve('comments', '1')"), "already|unchanged");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn without_a_value_for_ham_it_says_so() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE posts (id int PRIMARY KEY, body text, state text);
         SELECT spamcheck.protect('posts', status => '{\"column\": \"state\", \"moderate\": \"held\"}');
         INSERT INTO posts VALUES (1, 'fine', 'held')",
    );
    let error = refused(&mut site.client, "SELECT spamcheck.approve('posts', '1')");
    assert!(
        error.message().contains("ham") && error.hint().is_some_and(|h| h.contains("protect")),
        "{error:?}"
    );
}

#[test]
fn what_follows_in_the_transaction_can_be_put_off_as_before() {
    let mut site = site();
    site.run(
        "CREATE SCHEMA \"O'ther\"; CREATE TABLE \"O'ther\".parents (id int PRIMARY KEY);
         CREATE TABLE \"O'ther\".children (id int CONSTRAINT \"of a\" REFERENCES \"O'ther\".parents DEFERRABLE INITIALLY DEFERRED,
             nr int UNIQUE DEFERRABLE INITIALLY IMMEDIATE, CONSTRAINT same UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE \"O'ther\".others (id int CONSTRAINT same CHECK (id > 0));
         INSERT INTO comments (body) VALUES ('casino')",
    );
    let moderator = site.role("moderator");
    site.run(&format!("SELECT spamcheck.grant_access('{moderator}', 'moderator')"));
    for call in [
        "approve('comments', '1')",
        "report_spam('comments', '1')",
        "not_spam(1)",
        "delete_spam(1)",
    ] {
        site.run(&format!(
            "BEGIN; SET LOCAL ROLE {moderator}; SELECT spamcheck.{call}; RESET ROLE;
             INSERT INTO \"O'ther\".children VALUES (7); INSERT INTO \"O'ther\".parents VALUES (7); COMMIT;
             TRUNCATE \"O'ther\".children, \"O'ther\".parents"
        ));
    }
}
