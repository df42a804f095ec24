//! Which rows are asked about: those that are committed, each of them, once.

use std::io::Write;
use std::time::Duration;

use postgres::Client;
use support::cluster::ClusterOptions;
use support::wait;

use crate::site::{SOON, Site, World};

/// The texts that were asked about, sorted.
fn asked(site: &Site<'_>) -> Vec<String> {
    let requests = site.requests();
    let texts = requests.iter().filter_map(|request| request.param("comment_content"));
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

#[test]
fn what_is_rolled_back_is_not_asked_about() {
    let mut site = World::shared().site("{}");
    site.run(
        "BEGIN;
         INSERT INTO comments (body, ip) VALUES ('rolled back', '203.0.113.7');
         ROLLBACK;
         BEGIN;
         INSERT INTO comments (body, ip) VALUES ('kept one', '203.0.113.7');
         SAVEPOINT a;
         INSERT INTO comments (body, ip) VALUES ('back to a', '203.0.113.7');
         SAVEPOINT b;
         INSERT INTO comments (body, ip) VALUES ('within b', '203.0.113.7');
         RELEASE b;
         ROLLBACK TO a;
         INSERT INTO comments (body, ip) VALUES ('kept two', '203.0.113.7');
         COMMIT",
    );
    let failed =
        "INSERT INTO comments (body, ip) VALUES ('fails later', '203.0.113.7'); SELECT 1/0";
    assert!(site.client.batch_execute(failed).is_err());
    site.run(
        "DO $$ BEGIN
             INSERT INTO comments (body, ip) VALUES ('in a block', '203.0.113.7');
             RAISE EXCEPTION 'no';
         EXCEPTION WHEN OTHERS THEN
             INSERT INTO comments (body, ip) VALUES ('kept three', '203.0.113.7');
         END $$;
         INSERT INTO comments (id, body, ip) VALUES (1, 'conflicting', '203.0.113.7')
             ON CONFLICT DO NOTHING;
         INSERT INTO comments (id, body, ip) VALUES (2, 'conflicting', '203.0.113.7')
             ON CONFLICT DO NOTHING",
    );
    site.until_asked("kept three", 1);
    site.until_all_answered();
    let ids = site.get("SELECT count(*) FROM comments WHERE body = 'conflicting'");
    let mut expected = vec!["kept one", "kept three", "kept two"];
    expected.splice(0..0, vec!["conflicting"; ids.parse().expect("a number")]);
    assert_eq!(asked(&site), expected);
}

#[test]
fn nobody_is_asked_before_the_commit() {
    let mut site = World::shared().site("{}");
    site.run("BEGIN; INSERT INTO comments (body, ip) VALUES ('still open', '203.0.113.7')");
    let mut other = site.database.client();
    other
        .batch_execute("INSERT INTO comments (body, ip) VALUES ('committed', '203.0.113.7')")
        .expect("it is taken");
    site.until_asked("committed", 1);
    assert_eq!(asked(&site), ["committed"]);
    site.run("COMMIT");
    site.until_asked("still open", 1);
}

#[test]
fn thousands_of_rows_by_copy_all_get_their_answer() {
    const ROWS: usize = 5_000;
    let mut site = World::shared().site("{}");
    let copy = "COPY comments (author, ip, body) FROM STDIN";
    let mut writer = site.client.copy_in(copy).expect("it starts");
    for n in 0..ROWS {
        let word = if n % 3 == 0 { "akismet-guaranteed-spam" } else { "ham" };
        writeln!(writer, "author {n}\t203.0.113.7\t{word} number {n}.").expect("it is taken");
    }
    assert_eq!(writer.finish().expect("it ends"), ROWS as u64);
    wait::until(Duration::from_secs(120), "the answers", || {
        site.get("SELECT count(*) FROM spamcheck.lookup") == "0"
    });
    let wrong = "SELECT count(*) FROM comments WHERE (status = 'spam') <> (body LIKE 'akismet%')";
    assert_eq!(site.get(wrong), "0");
    let texts = asked(&site);
    assert_eq!(texts.len(), ROWS, "each is asked about once");
    let distinct: std::collections::HashSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), ROWS);
    let logged = "SELECT count(*) || ' ' || count(DISTINCT row_key) FROM spamcheck.spam_checklog";
    let spam = ROWS.div_ceil(3);
    assert_eq!(site.get(logged), format!("{spam} {spam}"));
    let counted = "SELECT answered || ' ' || applied FROM spamcheck.stat_worker";
    assert_eq!(site.get(counted), format!("{ROWS} {spam}"));
}

#[test]
fn no_more_requests_are_out_than_the_setting_says() {
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.max_in_flight", "3"));
    world.akismet.set_latency(Duration::from_millis(20));
    let mut site = world.site("{}");
    site.run("INSERT INTO comments (body, ip) SELECT 'row ' || n, '203.0.113.7' FROM generate_series(1, 60) n");
    site.until_all_answered();
    assert_eq!(world.akismet.counts().most_in_flight, 3);
    world.cluster.set("pg_spamcheck.max_in_flight", "9");
    site.run("INSERT INTO comments (body, ip) SELECT 'more ' || n, '203.0.113.7' FROM generate_series(1, 60) n");
    site.until_all_answered();
    let most = world.akismet.counts().most_in_flight;
    assert!((4..=9).contains(&most), "after the reload {most} are out");
    let connections = world.akismet.counts().connections;
    assert!(connections <= 20, "connections are kept: {connections} for 120 requests");
}

fn prepare(client: &mut Client, name: &str) {
    let statements = format!(
        "BEGIN; INSERT INTO comments (body, ip) VALUES ('prepared as {name}', '203.0.113.7');
         PREPARE TRANSACTION '{name}'"
    );
    client.batch_execute(&statements).expect("it is prepared");
}

#[test]
fn prepared_transactions_are_served_when_they_are_committed() {
    let world = World::new(ClusterOptions::default().with("max_prepared_transactions", "10"));
    let mut site = world.site("{}");
    for name in ["one", "two", "three"] {
        prepare(&mut site.client, name);
    }
    site.run("INSERT INTO comments (body, ip) VALUES ('not prepared', '203.0.113.7')");
    site.until_asked("not prepared", 1);
    assert_eq!(asked(&site), ["not prepared"]);
    let mut other = site.database.client();
    other.batch_execute("COMMIT PREPARED 'two'").expect("it commits");
    site.until_asked("prepared as two", 1);
    site.until_all_answered();
    other.batch_execute("ROLLBACK PREPARED 'three'").expect("it rolls back");
    world.cluster.restart();
    site.client = site.database.client();
    site.run("COMMIT PREPARED 'one'");
    wait::until(SOON, "the question after the restart", || asked(&site).len() == 3);
    site.until_all_answered();
    assert_eq!(asked(&site), ["not prepared", "prepared as one", "prepared as two"]);
}

#[test]
fn a_fresh_comment_does_not_wait_behind_a_backlog() {
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.max_in_flight", "4"));
    world.akismet.set_latency(Duration::from_millis(40));
    let mut site = world.site("{}");
    // Some ten seconds of work.
    site.run("INSERT INTO comments (body, ip) SELECT 'backlog ' || n, '203.0.113.7' FROM generate_series(1, 1000) n");
    site.until_asked("backlog", 40);
    let id = site.comment("akismet-guaranteed-spam, fresh");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    let before = site.requests().iter().position(|request| {
        request.param("comment_content").is_some_and(|text| text.contains("fresh"))
    });
    let before = before.expect("it was asked about");
    assert!(before < 300, "{before} questions came before it");
}

#[test]
fn inserts_never_wait_for_the_service() {
    let mut site = World::shared().site(r#"{"mode": "hold"}"#);
    let hangs = site.answer("", support::http::Reply::silence());
    site.comment("the first, which hangs");
    site.until_asked("hangs", 1);
    let start = std::time::Instant::now();
    for n in 0..100 {
        site.comment(&format!("number {n}"));
    }
    assert!(start.elapsed() < Duration::from_secs(20), "100 inserts took {:?}", start.elapsed());
    hangs.off();
}
