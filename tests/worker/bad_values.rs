//! Values in the extension's own tables that nobody should have written: a superuser did, past all triggers.
//! What meets them fails and says so; the worker, its other jobs and other lookups go on.

use support::cluster::ClusterOptions;
use support::wait;

use crate::site::{SOON, Site, World};

const SPAM: &str = "akismet-guaranteed-spam";
const WORKER: &str =
    "SELECT concat_ws(' | ', state, message, hint) FROM spamcheck.health() WHERE item = 'worker'";

/// Writes past all triggers, also those that fire in a replica.
fn write(site: &mut Site<'_>, statements: &str) {
    let triggers = "SELECT format('ALTER TABLE %s %s TRIGGER %I', t.tgrelid::regclass,
                           CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, t.tgname)
                      FROM pg_trigger t
                     WHERE NOT t.tgisinternal AND t.tgrelid IN ('spamcheck.policy'::regclass, 'spamcheck.check_setting'::regclass)";
    let rows = site.client.query(triggers, &[]).expect("they can be read");
    let enable: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    site.run(&format!(
        "BEGIN; SET LOCAL session_replication_role = replica;
         ALTER TABLE spamcheck.policy DISABLE TRIGGER USER; ALTER TABLE spamcheck.check_setting DISABLE TRIGGER USER;
         {statements}; {}; COMMIT",
        enable.join(";")
    ));
}

/// Has the worker hear that settings changed.
fn change_settings(site: &mut Site<'_>) {
    site.run("UPDATE spamcheck.policy SET moderate_at = moderate_at WHERE name = 'default'");
}

/// Inserts a comment that Akismet calls spam and waits for the verdict.
#[track_caller]
fn until_judged(site: &mut Site<'_>) {
    let id = site.comment(SPAM);
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
}

#[test]
fn a_job_that_fails_stops_neither_the_worker_nor_the_others_and_health_says_so() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    until_judged(&mut site);
    let pid = wait::found(SOON, "the worker", || site.database.worker_pid());
    site.run("SELECT spamcheck.create_policy('broken')");
    write(
        &mut site,
        "UPDATE spamcheck.policy SET retention = '300000 years', mail_to = '{mods@b.example}' WHERE name = 'broken'",
    );
    change_settings(&mut site);
    site.until(&format!("SELECT ({WORKER}) LIKE 'error | % fails and tries again at: purging the log | %server''s log%'"), "true");
    assert!(world.cluster.log().contains("pg_spamcheck failed at purging the log"));
    for _ in 0..3 {
        until_judged(&mut site);
    }
    // Once it is mended, it is done as ever.
    site.run(
        "UPDATE spamcheck.spam_checklog SET logged_at = '2020-01-01';
         UPDATE spamcheck.policy SET retention = '1 year' WHERE name = 'default'",
    );
    write(&mut site, "UPDATE spamcheck.policy SET retention = NULL WHERE name = 'broken'");
    world.cluster.reload();
    site.until("SELECT count(*) FROM spamcheck.spam_checklog", "0");
    site.until(&format!("SELECT split_part(({WORKER}), ' ', 1)"), "ok");
    assert_eq!(site.database.worker_pid(), Some(pid), "it is the same process");
}

#[test]
fn a_policy_or_a_lookup_that_makes_no_sense_keeps_no_other_lookup_from_its_answer() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    until_judged(&mut site);
    let pid = wait::found(SOON, "the worker", || site.database.worker_pid());
    site.run(
        "SELECT spamcheck.create_policy('broken');
         UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'broken' AND check_name = 'akismet'",
    );
    world.akismet.go_down();
    for (column, value) in [
        ("attempts", "2147483647"),
        ("attempts", "-2147483648"),
        ("created_at", "'-infinity'"),
        ("next_at", "'-infinity'"),
        ("submission", "'[]'"),
        ("submission", "'{\"body\": {\"a\": [1]}, \"created_at\": []}'"),
        ("row_key", "'7'"),
        ("_total", "'NaN'"),
        ("_fingerprint", "'\"x\"'"),
        ("_status", "'[1]'"),
        ("_former", "'[1]'"),
        ("_answer", "'[1]'"),
        ("policy", "'broken'"),
        ("policy", "'no such policy'"),
        ("_protection", "-7"),
        ("kind", "'no such kind'"),
    ] {
        let id = site.comment("odd");
        write(
            &mut site,
            &format!(
                "UPDATE spamcheck.lookup SET {column} = {value} WHERE (row_key ->> 'id')::int = {id}"
            ),
        );
    }
    write(
        &mut site,
        "UPDATE spamcheck.policy SET types = '{a,NULL}', spam_at = 'NaN', mode = 'enforce' WHERE name = 'broken';
         UPDATE spamcheck.check_setting SET options = '{\"give_up_after\": \"whenever\", \"mode\": 7}'
          WHERE policy = 'broken' AND check_name = 'akismet';
         UPDATE spamcheck.check_setting SET options = '[]' WHERE policy = 'broken' AND check_name = 'links'",
    );
    change_settings(&mut site);
    world.akismet.come_back();
    site.run("SELECT spamcheck.retry_lookups()");
    for _ in 0..3 {
        until_judged(&mut site);
    }
    // While nobody is asked, what has waited too long expires all the same.
    site.ask_with(r#"{"mode": "hold", "give_up_after": "1 second"}"#);
    world.akismet.go_down();
    let id = site.comment(SPAM);
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "approved");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE state = 'failed' AND last_error LIKE '%could not understand its own queue%'", "2");
    let checks = "SELECT message FROM spamcheck.health() WHERE item = 'checks'";
    assert!(site.get(checks).contains("policy \"broken\" cannot be read"), "{}", site.get(checks));
    site.until(&format!("SELECT split_part(({WORKER}), ' ', 1)"), "ok");
    assert_eq!(site.database.worker_pid(), Some(pid), "it is the same process");
}

#[test]
fn a_lane_that_fails_rests_while_others_work_and_goes_on_with_all_its_lookups() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    until_judged(&mut site);
    let pid = wait::found(SOON, "the worker", || site.database.worker_pid());
    site.run(
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content';
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$",
    );
    // Where lookups are claimed, and where they are done.
    for (n, event) in ["UPDATE", "DELETE"].into_iter().enumerate() {
        site.run(&format!(
            "CREATE TRIGGER fails BEFORE {event} ON spamcheck.lookup FOR EACH ROW EXECUTE FUNCTION fails()"
        ));
        let ids = [site.comment(SPAM), site.comment(SPAM)];
        site.until(
            &format!("SELECT ({WORKER}) LIKE 'error | % tries again at: asking Akismet |%'"),
            "true",
        );
        let rejected = "INSERT INTO comments (body, ip) VALUES ('casino', '203.0.113.7')";
        assert!(site.client.batch_execute(rejected).is_err());
        let logged = "SELECT count(*) FROM spamcheck.spam_checklog WHERE outcome = 'rejected'";
        assert_eq!(site.get(logged), (n + 1).to_string());
        site.run("DROP TRIGGER fails ON spamcheck.lookup");
        world.cluster.reload();
        for id in ids {
            site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
        }
        site.until_all_answered();
        site.until(&format!("SELECT split_part(({WORKER}), ' ', 1)"), "ok");
    }
    let warnings = world.cluster.log().matches("pg_spamcheck failed at asking Akismet").count();
    assert!((2..8).contains(&warnings), "{warnings} tries");
    assert_eq!(site.database.worker_pid(), Some(pid), "it is the same process");
}
