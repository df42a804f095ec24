//! Rows that are stored: each judged one is told of with its commit, and none that is rolled back.

use crate::listener::Listener;
use crate::site::{Site, refused, run};

fn site() -> (Site, Listener) {
    let mut site = Site::new();
    site.policy("notify_channel = 'spam'");
    let listener = Listener::on(&site.db, "spam");
    (site, listener)
}

fn told(id: i32, verdict: &str) -> String {
    format!(r#"{{"relation":"public.comments","key":{{"id":{id}}},"verdict":"{verdict}"}}"#)
}

#[test]
fn every_verdict_is_told_with_its_commit_ham_too() {
    let (mut site, mut listener) = site();
    site.check("ip_block", "action = 'moderate'");
    site.run("BEGIN; INSERT INTO comments (body, ip) VALUES ('fine', NULL), ('casino', NULL), ('fine', '10.0.0.1')");
    assert_eq!(listener.all(), [""; 0], "nothing before the commit");
    site.run("COMMIT");
    assert_eq!(listener.all(), [told(1, "ham"), told(2, "spam"), told(3, "moderate")]);
}

#[test]
fn what_is_rolled_back_or_not_stored_is_not_told() {
    let (mut site, mut listener) = site();
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino'); ROLLBACK");
    site.run(
        "BEGIN; INSERT INTO comments (id, body) VALUES (10, 'fine');
         SAVEPOINT a; INSERT INTO comments (id, body) VALUES (11, 'casino'); ROLLBACK TO a;
         SAVEPOINT b; INSERT INTO comments (id, body) VALUES (12, 'casino'); RELEASE b; COMMIT",
    );
    site.run("INSERT INTO comments (id, body) VALUES (10, 'casino') ON CONFLICT DO NOTHING");
    site.run(
        "DO $$ BEGIN
           BEGIN INSERT INTO comments (id, body) VALUES (13, 'casino'); RAISE 'no'; EXCEPTION WHEN raise_exception THEN END;
           INSERT INTO comments (id, body) VALUES (14, 'fine');
         END $$",
    );
    assert_eq!(listener.all(), [told(10, "ham"), told(12, "spam"), told(14, "ham")]);
}

#[test]
fn an_edit_that_is_judged_again_is_told_and_another_update_is_not() {
    let (mut site, mut listener) = site();
    site.run("INSERT INTO comments (body) VALUES ('fine')");
    site.run("UPDATE comments SET views = 7");
    site.run("UPDATE comments SET body = 'a casino'");
    assert_eq!(listener.all(), [told(1, "ham"), told(1, "spam")]);
}

#[test]
fn what_is_not_checked_is_not_told() {
    let (mut site, mut listener) = site();
    site.run("ALTER TABLE comments ADD kind text; SELECT spamcheck.protect('comments', columns => '{\"type\":\"kind\"}')");
    site.policy("types = '{comment}'");
    site.run(
        "INSERT INTO comments (body, kind) VALUES ('casino', 'trackback'), ('casino', 'comment')",
    );
    site.policy("mode = 'off'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    site.policy("mode = 'enforce', notify_channel = NULL");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(listener.all(), [told(2, "spam")]);
    // Also with no check at all: then there is nothing that would read the type.
    site.run("UPDATE spamcheck.check_setting SET enabled = false");
    site.policy("notify_channel = 'spam'");
    site.run("INSERT INTO comments (body, kind) VALUES ('x', 'trackback'), ('x', 'comment')");
    assert_eq!(listener.all(), [told(6, "ham")]);
}

#[test]
fn a_trial_says_that_it_is_one() {
    let (mut site, mut listener) = site();
    site.policy("mode = 'trial'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(
        listener.next(),
        r#"{"relation":"public.comments","key":{"id":1},"verdict":"spam","trial":true}"#
    );
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn names_and_keys_are_as_in_the_log_and_a_key_that_is_too_long_is_left_out() {
    let (mut site, mut listener) = site();
    site.run(
        r#"CREATE TABLE "Mé ""x" (a text, "b c" int, body text, PRIMARY KEY (a, "b c"));
           SELECT spamcheck.protect('"Mé ""x"', columns => '{"body":"body"}', status => '{}');
           CREATE TABLE bare (body text); SELECT spamcheck.protect('bare', status => '{}');"#,
    );
    site.run(r#"INSERT INTO "Mé ""x" VALUES (E'q"u\\o\nté', 2, 'casino'); INSERT INTO bare VALUES ('casino')"#);
    let logged = site.ask(
        "SELECT jsonb_build_object('relation', relation, 'key', row_key, 'verdict', 'spam') FROM spamcheck.spam_checklog ORDER BY id",
    );
    let same =
        |site: &mut Site, payload: String| site.ask(&format!("SELECT $q${payload}$q$::jsonb"));
    let payloads: Vec<String> = (0..2).map(|_| listener.next()).collect();
    let payloads: Vec<String> = payloads.into_iter().map(|p| same(&mut site, p)).collect();
    assert_eq!(payloads.join("\n"), logged);
    for length in [2_400, 8_000, 30_000] {
        // Bytes count, not characters. A key this long needs a type that is not packed away.
        run(
            &mut site.client,
            &format!(
                r#"TRUNCATE "Mé ""x"; ALTER TABLE "Mé ""x" DROP CONSTRAINT IF EXISTS "Mé ""x_pkey"; ALTER TABLE "Mé ""x" ADD PRIMARY KEY (a, "b c");
                   INSERT INTO "Mé ""x" VALUES (repeat('x', {length}), 1, 'fine')"#
            ),
        );
        let payload = listener.next();
        if length < 7_000 {
            assert!(payload.contains(&"x".repeat(length)), "it fits");
        } else {
            let short = r#","key":null,"verdict":"ham","truncated":true}"#;
            assert!(payload.ends_with(short), "{payload}");
        }
    }
}

#[test]
fn a_copy_and_a_partitioned_table_tell_of_each_row() {
    let (mut site, mut listener) = site();
    site.run(
        "CREATE TABLE notes (id int, region text, body text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
         CREATE TABLE notes_eu PARTITION OF notes FOR VALUES IN ('eu');
         CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us');
         SELECT spamcheck.protect('notes', status => '{}');
         INSERT INTO notes SELECT n, CASE n % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'fine' FROM generate_series(1, 1500) n;
         UPDATE notes SET region = 'us', body = 'a casino' WHERE id = 2",
    );
    let all = listener.all();
    assert_eq!(all.len(), 1_501);
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 1_501);
    assert!(
        all[1_500].contains(r#""region":"us""#) && all[1_500].contains("spam"),
        "{}",
        all[1_500]
    );
}

#[test]
fn a_prepared_transaction_goes_through_and_is_not_told() {
    let (mut site, mut listener) = site();
    let name = site.db.name().to_owned();
    site.run(&format!(
        "BEGIN; INSERT INTO comments (body) VALUES ('casino'); PREPARE TRANSACTION '{name}'"
    ));
    site.run(&format!("COMMIT PREPARED '{name}'"));
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(listener.all(), [told(2, "spam")]);
    assert_eq!(site.log(), "1 content\n2 content");
}

#[test]
fn a_channel_is_a_name() {
    let (mut site, _) = site();
    let error =
        refused(&mut site.client, "UPDATE spamcheck.policy SET notify_channel = repeat('x', 64)");
    assert!(error.message().contains("1 to 63 bytes"), "{error:?}");
    site.policy("notify_channel = 'Mods \"and\" more'");
    let mut listener = Listener::on(&site.db, "Mods \"\"and\"\" more");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(listener.next(), told(1, "spam"));
}
