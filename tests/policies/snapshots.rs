//! One statement sees one policy, however long it runs and whoever changes it meanwhile.

use std::thread;
use std::time::Duration;

use support::wait;

use crate::site::{Site, ask};

/// A function that waits, at the second row, until `site` lets it go on.
const PAUSE: &str = "CREATE FUNCTION pause(n integer) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        IF n = 2 THEN PERFORM pg_advisory_xact_lock(7); END IF;
        RETURN 'casino';
    END $$";

/// Runs `insert` in a session of its own, changes the policy while it waits in its middle, and gives
/// what it returned.
fn changed_meanwhile(site: &mut Site, insert: &'static str) -> String {
    site.run(PAUSE);
    site.run("SELECT pg_advisory_lock(7)");
    let mut other = site.db.client();
    let pid = ask(&mut other, "SELECT pg_backend_pid()");
    let inserting = thread::spawn(move || ask(&mut other, insert));
    wait_for_its_middle(site, &pid);
    soften(site);
    inserting.join().unwrap()
}

fn wait_for_its_middle(site: &mut Site, pid: &str) {
    let waits = format!(
        "SELECT count(*) FROM pg_locks WHERE pid = {pid} AND locktype = 'advisory' AND NOT granted"
    );
    wait::until(Duration::from_secs(20), "the statement to reach its middle", || {
        site.ask(&waits) == "1"
    });
}

/// Changes the policy and lets the statement go on.
fn soften(site: &mut Site) {
    site.run("UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'");
    site.run("SELECT pg_advisory_unlock(7)");
}

#[test]
fn a_change_in_the_middle_of_a_statement_waits_for_the_next_one() {
    let mut site = Site::new();
    let statuses = changed_meanwhile(
        &mut site,
        "INSERT INTO comments (body) SELECT pause(n) FROM generate_series(1, 4) n RETURNING status",
    );
    assert_eq!(statuses, "spam\nspam\nspam\nspam");
    assert_eq!(
        site.ask("INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
        "pending"
    );
}

#[test]
fn partitions_that_a_statement_comes_to_later_are_judged_by_the_same_policy() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE comments (id integer, body text, status text NOT NULL DEFAULT 'approved' \
            CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (id))
             PARTITION BY LIST (id);
         CREATE TABLE c1 PARTITION OF comments FOR VALUES IN (1); CREATE TABLE c2 PARTITION OF \
         comments FOR VALUES IN (2);
         CREATE TABLE c3 PARTITION OF comments FOR VALUES IN (3); CREATE TABLE c4 PARTITION OF \
         comments FOR VALUES IN (4)",
    );
    site.run(crate::site::RULES);
    site.run("SELECT spamcheck.protect('comments')");
    let statuses = changed_meanwhile(
        &mut site,
        "INSERT INTO comments (id, body) SELECT n, pause(n) FROM generate_series(1, 4) n \
            RETURNING status",
    );
    assert_eq!(statuses, "spam\nspam\nspam\nspam");
}

#[test]
fn a_statement_that_changes_the_policy_by_itself_is_judged_by_the_one_it_began_with() {
    let mut site = Site::new();
    site.run(
        "CREATE FUNCTION soften() RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content';
             RETURN 'casino';
         END $$",
    );
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    let statuses = site.ask(
        "INSERT INTO comments (body) SELECT CASE WHEN n = 2 THEN soften() \
        ELSE 'casino' END FROM generate_series(1, 3) n RETURNING status",
    );
    assert_eq!(statuses, "spam\nspam\nspam");
    assert_eq!(
        site.ask("INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
        "pending"
    );
}

#[test]
fn a_copy_that_takes_its_time_is_judged_by_the_policy_that_it_began_with() {
    use std::io::Write;
    let mut site = Site::new();
    site.run(PAUSE);
    site.run(
        "CREATE FUNCTION paused() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN NEW.author := pause(NEW.id); NEW.author := NULL; RETURN NEW; END';
         CREATE TRIGGER a_paused BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION paused()",
    );
    site.run("SELECT pg_advisory_lock(7)");
    let mut other = site.db.client();
    let pid = ask(&mut other, "SELECT pg_backend_pid()");
    let copying = thread::spawn(move || {
        let mut copy = other.copy_in("COPY comments (id, body) FROM stdin").unwrap();
        copy.write_all(b"1\tcasino\n2\tcasino\n3\tcasino\n").unwrap();
        copy.finish().unwrap()
    });
    wait_for_its_middle(&mut site, &pid);
    soften(&mut site);
    assert_eq!(copying.join().unwrap(), 3);
    assert_eq!(site.statuses(), "1 spam\n2 spam\n3 spam");
    assert_eq!(
        site.ask("INSERT INTO comments (id, body) VALUES (4, 'casino') RETURNING status"),
        "pending"
    );
}

#[test]
fn commands_that_are_sent_together_each_see_the_policy_of_their_own_moment() {
    let mut site = Site::new();
    let soften =
        "UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'";
    let harden = "UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content'";
    for store in [
        "INSERT INTO comments (body) VALUES ('casino')",
        "COPY comments (body) FROM PROGRAM 'echo casino'",
    ] {
        site.run("TRUNCATE comments RESTART IDENTITY");
        site.run(&format!("{store}; {soften}; {store}; {harden}; {store}"));
        assert_eq!(site.statuses(), "1 spam\n2 pending\n3 spam", "{store}");
        let store = store.replace('\'', "''");
        site.run(&format!(
            "DO $$ BEGIN EXECUTE '{store}'; {soften}; EXECUTE '{store}'; {harden}; EXECUTE '{store}'; END $$"
        ));
        assert_eq!(
            site.statuses(),
            "1 spam\n2 pending\n3 spam\n4 spam\n5 pending\n6 spam",
            "{store} in a block"
        );
    }
}
