//! What the caller's transaction has put off, and what a decision would have to put off.

use postgres::error::SqlState;

use crate::site::{Site, refused};
use crate::{call, site};

/// A site with a table of others whose foreign key is put off.
fn site_beside_others() -> Site {
    let mut site = site();
    site.run(
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO comments (body) VALUES ('casino'), ('maybe'), ('fine'), ('casino again')",
    );
    site
}

const CALLS: [&str; 4] =
    ["not_spam(1)", "approve('comments', '2')", "report_spam('comments', '3')", "delete_spam(3)"];

#[test]
fn constraints_of_other_tables_are_left_alone_before_and_after_a_call() {
    let mut site = site_beside_others();
    for (n, call) in CALLS.iter().enumerate() {
        site.run(&format!("BEGIN; INSERT INTO child VALUES ({n}); SELECT spamcheck.{call}; INSERT INTO child VALUES (1{n});
            INSERT INTO parent VALUES ({n}), (1{n}); COMMIT"));
    }
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 spam");
}

#[test]
fn what_a_transaction_has_put_off_itself_stays_so() {
    let mut site = site_beside_others();
    site.run("ALTER TABLE child ALTER CONSTRAINT child_id_fkey DEFERRABLE INITIALLY IMMEDIATE");
    site.run("BEGIN; SET CONSTRAINTS ALL DEFERRED; SELECT spamcheck.not_spam(1); INSERT INTO child VALUES (7); INSERT INTO parent VALUES (7); COMMIT");
    assert_eq!(site.statuses().lines().next(), Some("1 approved"));
}

/// A trigger of the table whose work is put off.
const LATE: &str = "CREATE TABLE seen (who name);
    CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (current_user); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER late AFTER UPDATE OR DELETE ON comments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()";

#[test]
fn the_tables_own_constraints_are_looked_at_at_once_and_can_be_put_off_again() {
    let mut site = site_beside_others();
    let owner = site.role("owner");
    site.run(LATE);
    site.run(&format!("GRANT INSERT ON seen TO {owner}; ALTER TABLE comments OWNER TO {owner}"));
    for (n, call) in CALLS.iter().enumerate() {
        site.run(&format!("BEGIN; INSERT INTO child VALUES ({n}); SELECT spamcheck.{call}"));
        assert_eq!(site.ask("SELECT count(*) FROM seen"), format!("{}", n + 1), "{call}");
        // Put off again: it comes with the commit, and as who does it.
        site.run(&format!(
            "UPDATE comments SET views = views + 1 WHERE id = 1; INSERT INTO parent VALUES ({n})"
        ));
        assert_eq!(site.ask("SELECT count(*) FROM seen"), format!("{}", n + 1), "{call}");
        site.run("COMMIT; DELETE FROM seen WHERE who = 'postgres'");
    }
    assert_eq!(site.ask("SELECT DISTINCT who FROM seen"), owner);
    // Put off by the transaction alone.
    site.run("DROP TRIGGER late ON comments; CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON comments DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION late()");
    site.run("DELETE FROM seen; BEGIN; SET CONSTRAINTS ALL DEFERRED; SELECT spamcheck.not_spam((SELECT max(id) FROM spamcheck.spam_checklog)); UPDATE comments SET views = 0 WHERE id = 1");
    assert_eq!(site.ask("SELECT count(*) FROM seen"), "1");
    site.run("COMMIT");
    assert_eq!(site.ask("SELECT count(*) FROM seen"), "2");
}

#[test]
fn triggers_may_write_where_constraints_are_put_off() {
    let mut site = site_beside_others();
    site.run(
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO child VALUES (NEW.id); RETURN NULL; END';
         CREATE TRIGGER audit AFTER UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION audit(); INSERT INTO parent VALUES (1)",
    );
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.ask("SELECT * FROM child"), "1");
    let error = refused(&mut site.client, "SELECT spamcheck.approve('comments', '2')");
    assert_eq!(error.code(), &SqlState::FOREIGN_KEY_VIOLATION);
    assert!(site.statuses().contains("2 pending"));
}
