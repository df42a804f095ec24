//! What waits to be mailed: it keeps through missing settings, prepared transactions, renamed policies and
//! dumps, and goes when nobody wants it any more.

use support::cluster::{Cluster, ClusterOptions};
use support::smtp::MailServer;
use support::wait;

use crate::world::{SOON, World};

#[test]
fn without_a_mail_server_rows_wait_and_health_says_so() {
    let world =
        World { mail: MailServer::start(), cluster: Cluster::start(ClusterOptions::default()) };
    let mut site = world.site();
    site.moderated("one");
    assert_eq!(
        site.health(),
        "error|pg_spamcheck.smtp_url is not set: 1 moderated rows wait to be mailed"
    );
    let database = site.db.name().to_owned();
    let hint = world.cluster.psql(&database, "UPDATE spamcheck.policy SET mail_to = mail_to");
    assert_eq!(hint, "");
    let output = world.cluster.psql_output(
        &database,
        "postgres",
        "UPDATE spamcheck.policy SET mail_to = mail_to",
    );
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.contains("mail_to names addresses and there is no mail server"), "{warning}");
    world.cluster.set("pg_spamcheck.smtp_url", &world.mail.url());
    assert!(site.letter(1).body().contains("casino one"));
    site.until_sent();
}

#[test]
fn a_prepared_transactions_rows_are_mailed_once_it_is_committed() {
    let mut site = World::shared().site();
    let name = site.db.name().to_owned();
    site.run(&format!(
        "BEGIN; INSERT INTO comments (body) VALUES ('casino later'); PREPARE TRANSACTION '{name}'"
    ));
    site.run(&format!("COMMIT PREPARED '{name}'"));
    assert!(site.letter(1).body().contains("casino later"));
}

#[test]
fn what_waits_follows_a_renamed_policy_and_goes_when_nobody_wants_it() {
    let mut site = World::shared().site();
    site.moderated("one");
    site.letter(1);
    site.until_sent();
    site.moderated("two");
    site.run("UPDATE spamcheck.policy SET name = 'renamed' WHERE name = 'default'");
    assert_eq!(site.ask("SELECT DISTINCT policy FROM spamcheck._mail UNION ALL SELECT policy FROM spamcheck._mailing"), "renamed\nrenamed");
    site.time_passes();
    assert!(site.letter(2).header("Subject").ends_with("(policy renamed)"));
    site.until_sent();
    site.moderated("three");
    assert_eq!(site.waiting(), "1");
    let mods = site.moderator("mods");
    site.run("UPDATE spamcheck.policy SET mail_to = NULL");
    site.run(&format!("SELECT spamcheck.create_policy('other'); UPDATE spamcheck.policy SET mail_to = '{{{mods}}}' WHERE name = 'other';
        CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', 'other', status => '{{}}');
        UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content';
        INSERT INTO notes VALUES (1, 'casino')"));
    site.until_sent();
    assert!(!site.letter(3).body().contains("casino three"));
    assert_eq!(site.letters().len(), 3);
}

#[test]
fn what_waits_goes_by_the_name_that_its_table_has_by_now() {
    let mut site = World::shared().site();
    site.moderated("one");
    site.letter(1);
    site.until_sent();
    site.moderated("two");
    site.run(
        r#"CREATE SCHEMA "our guests"; ALTER TABLE comments SET SCHEMA "our guests";
           SET search_path = "our guests""#,
    );
    site.time_passes();
    let letter = site.letter(2);
    assert!(letter.body().contains(r#""our guests".comments"#), "{}", letter.body());
    assert!(!letter.body().contains("public.comments"), "{}", letter.body());
}

#[test]
fn who_is_no_longer_named_gets_nothing_and_who_is_new_gets_all() {
    let mut site = World::shared().site();
    site.moderated("one");
    site.letter(1);
    site.until_sent();
    site.moderated("two");
    let new = site.moderator("new");
    site.policy(&format!("mail_to = '{{{new}}}'"));
    site.time_passes();
    assert_eq!(site.letter(2).to, [new]);
}

#[test]
fn a_dump_carries_what_waits() {
    let world =
        World { mail: MailServer::start(), cluster: Cluster::start(ClusterOptions::default()) };
    let mut site = world.site();
    site.moderated("one");
    let copy = world.cluster.empty_database();
    let dump = world.cluster.program("pg_dump").arg(site.db.name()).output().expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    world.cluster.psql(copy.name(), &String::from_utf8_lossy(&dump.stdout));
    world.cluster.set("pg_spamcheck.smtp_url", &world.mail.url());
    // The original mails it, and so does the copy.
    site.letter(2);
    let subjects: Vec<String> =
        site.letters().iter().map(|letter| letter.header("Subject")).collect();
    for name in [site.db.name(), copy.name()] {
        assert!(subjects.iter().any(|subject| subject.contains(name)), "{subjects:?}");
    }
    wait::until(SOON, "both queues to be empty", || {
        world.cluster.psql(copy.name(), "SELECT count(*) FROM spamcheck._mail") == "0"
    });
}
