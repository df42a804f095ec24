//! What stands between a subscriber and the end of a subscription: what can be got over is, and the rest is
//! told of as it is.

use support::wait;

use crate::site::{cluster, run};
use crate::{history, site, users};

/// A trigger of the subscribers' table whose work is put off.
const LATE: &str = "CREATE TABLE told (who text);
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO told VALUES (NEW.email); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER tell AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell()";

#[test]
fn a_deferred_constraint_of_the_subscribers_table_ends_the_subscription_at_the_insert() {
    let mut site = site();
    site.run(LATE);
    site.run(
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
         BEGIN; INSERT INTO child VALUES (1); INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')",
    );
    assert_eq!(site.ask("SELECT who FROM told"), "ann@mail.example");
    // The app's own constraints are still put off, those of the subscribers' table too.
    site.run("INSERT INTO child VALUES (2); UPDATE users SET changes = 7 WHERE email LIKE 'bob%'");
    assert_eq!(site.ask("SELECT who FROM told"), "ann@mail.example");
    site.run("INSERT INTO parent VALUES (1), (2); COMMIT");
    assert_eq!(
        site.ask("SELECT string_agg(who, ' ' ORDER BY who) FROM told"),
        "ann@mail.example bob@mail.example"
    );
    assert_eq!(history(&mut site), "ann unsubscribe_spamcheck postgres 1");
    // The same by other ways.
    site.run("SELECT spamcheck.not_spam(1); SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(users(&mut site), "ann unsubscribed 3, bob subscribed 1");
}

#[test]
fn health_says_that_nobody_can_be_unsubscribed() {
    let health = "SELECT state, message FROM spamcheck.health() WHERE item = 'tables'";
    for (change, gone) in [
        (
            "ALTER TABLE users DROP COLUMN subscription_status",
            "column subscription_status in public.users of public.comments",
        ),
        ("ALTER TABLE users DROP COLUMN email", "column email in public.users of public.comments"),
        ("DROP TABLE users", "table public.users of public.comments"),
    ] {
        let mut site = site();
        assert_eq!(site.ask(health), "ok|1 table is protected");
        site.run(change);
        let said = format!(
            "warning|subscribers cannot be unsubscribed, since what a mapping names is gone: {gone}"
        );
        assert_eq!(site.ask(health), said);
    }
}

#[test]
fn constraints_that_only_the_transaction_has_put_off_are_no_obstacle_either() {
    let mut site = site();
    site.run(&LATE.replace("INITIALLY DEFERRED", "INITIALLY IMMEDIATE"));
    site.run(
        "BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino');
         UPDATE users SET changes = 7 WHERE email LIKE 'bob%'",
    );
    assert_eq!(site.ask("SELECT who FROM told"), "ann@mail.example");
    site.run("COMMIT");
    assert_eq!(site.ask("SELECT count(*) FROM told"), "2");
}

/// What the server's log says of the first failure that it names with this text.
fn logged(text: &str) -> String {
    let log = || {
        let log = cluster().log();
        let at = log.find(text)?;
        let end = log[at..]
            .find("HINT")
            .and_then(|hint| log[at + hint..].find('\n').map(|end| hint + end));
        end.map(|end| log[at..at + end].to_owned())
    };
    wait::until(std::time::Duration::from_secs(20), "the log", || log().is_some());
    log().unwrap_or_default()
}

#[test]
fn the_servers_log_does_not_blame_rights_for_what_is_not_their_fault() {
    let mut site = site();
    let hints_at_rights = |entry: &str| entry.contains("needs UPDATE");
    site.run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not in the rain''; END';
         CREATE TRIGGER fail BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail();
         INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')",
    );
    assert!(!hints_at_rights(&logged("not in the rain")));
    site.run("CREATE SCHEMA gone; ALTER TABLE users SET SCHEMA gone; DROP SCHEMA gone CASCADE; INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert!(!hints_at_rights(&logged("table gone.users is gone")));
    let mut other = crate::site();
    let owner = other.role("owner");
    other.run(&format!("ALTER TABLE users RENAME TO \"users of {owner}\"; GRANT SELECT ON \"users of {owner}\" TO {owner}; ALTER TABLE comments OWNER TO {owner}"));
    other.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino')");
    assert!(hints_at_rights(&logged(&format!("permission denied for table users of {owner}"))));
}

#[test]
fn a_plain_update_leaves_the_subscriber_to_not_spam() {
    let mut site = site();
    site.run("INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'), ('bob@mail.example', 'casino'); UPDATE comments SET status = 'approved'");
    assert_eq!(users(&mut site), "ann unsubscribed 1, bob unsubscribed 1");
    let answer =
        "SELECT a ->> 'status', a ->> 'subscriber' FROM (SELECT spamcheck.not_spam(1) AS a) x";
    assert_eq!(site.ask(answer), "done|resubscribed");
    assert_eq!(site.ask(answer), "already|");
    assert_eq!(users(&mut site), "ann subscribed 2, bob unsubscribed 1");
    // What another row has ended since is not given back by this one.
    site.run("INSERT INTO comments (email, body) VALUES ('bob@mail.example', 'fine'); SELECT spamcheck.resubscribe('bob@mail.example'); SELECT spamcheck.report_spam('comments', '3')");
    assert_eq!(site.ask("SELECT spamcheck.not_spam(2) ->> 'status'"), "already");
    assert_eq!(users(&mut site), "ann subscribed 2, bob unsubscribed 3");
}

#[test]
fn whom_a_plain_update_left_unsubscribed_not_spam_of_any_entry_subscribes_again() {
    let mut site = site();
    let mut client = site.db.client();
    run(
        &mut client,
        "INSERT INTO comments (email, body) VALUES ('ann@mail.example', 'casino'); UPDATE comments SET status = 'approved'; UPDATE comments SET status = 'spam'",
    );
    assert_eq!(users(&mut site), "ann unsubscribed 1");
    assert_eq!(site.ask("SELECT spamcheck.not_spam(1) ->> 'subscriber'"), "resubscribed");
    assert_eq!(users(&mut site), "ann subscribed 2");
}
