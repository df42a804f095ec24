//! Long lists are read in one piece that the worker makes: it holds as long as nobody touches an entry.

use std::time::Duration;

use crate::site::{Site, ask, run};

const SOON: Duration = Duration::from_secs(60);

/// A site whose list of banned words has 3,000 entries, packed.
fn packed() -> Site {
    let mut site = Site::new();
    site.run(
        "SELECT spamcheck.import_list('banned_words', string_agg('spamword' || n, E'\\n')) FROM generate_series(1, 3000) n",
    );
    until_packed(&site);
    site
}

const HOLDS: &str = "SELECT count(*) FILTER (WHERE list = 'banned_words') = 1 AND count(*) FILTER (WHERE entries IS NULL) = 0
                       FROM spamcheck._packed_list";

#[track_caller]
fn until_packed(site: &Site) {
    let mut client = site.db.client();
    support::wait::until(SOON, "the packed list", || ask(&mut client, HOLDS) == "t");
}

/// What becomes of a comment in a session that has used no list yet.
fn status(site: &Site, body: &str) -> String {
    let insert = format!("INSERT INTO comments (body) VALUES ('{body}') RETURNING status");
    ask(&mut site.db.client(), &insert)
}

#[test]
fn the_first_use_reads_the_piece_and_not_the_entries() {
    let site = packed();
    let mut client = site.db.client();
    run(&mut client, "BEGIN");
    assert_eq!(
        ask(&mut client, "INSERT INTO comments (body) VALUES ('a spamword2999!') RETURNING status"),
        "spam"
    );
    let read = "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_all_tables WHERE relid = 'spamcheck.list_entry'::regclass";
    assert_eq!(ask(&mut client, read), "0");
    assert_eq!(status(&site, "a word"), "approved");
}

#[test]
fn every_change_counts_at_once() {
    let mut site = packed();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'brand new')");
    assert_eq!(status(&site, "a brand new offer"), "spam");
    until_packed(&site);
    assert_eq!(status(&site, "a brand new offer"), "spam");
    site.run("DELETE FROM spamcheck.list_entry WHERE value = 'brand new'");
    assert_eq!(status(&site, "a brand new offer"), "approved");
    site.run("UPDATE spamcheck.list_entry SET value = 'newer' WHERE value = 'spamword7'");
    assert_eq!(
        (status(&site, "spamword7").as_str(), status(&site, "newer").as_str()),
        ("approved", "spam")
    );
    until_packed(&site);
    site.run("TRUNCATE spamcheck.list_entry");
    assert_eq!(status(&site, "spamword9"), "approved");
}

#[test]
fn a_session_sees_what_it_has_changed_itself_and_others_see_it_once_it_is_committed() {
    let mut site = packed();
    site.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM comments; INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'mine')");
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('mine') RETURNING status"), "spam");
    assert_eq!(status(&site, "mine"), "approved");
    // Another change is committed meanwhile; the worker cannot pack while somebody is at the entries.
    run(
        &mut site.db.client(),
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'others')",
    );
    assert_eq!(status(&site, "others"), "spam");
    site.run("COMMIT");
    assert_eq!(status(&site, "mine"), "spam");
    until_packed(&site);
    assert_eq!(
        (status(&site, "mine").as_str(), status(&site, "others").as_str()),
        ("spam", "spam")
    );
    site.run("BEGIN; DELETE FROM spamcheck.list_entry WHERE value = 'mine'; ROLLBACK");
    assert_eq!(ask(&mut site.client, HOLDS), "t", "what was rolled back touches nothing");
}

#[test]
fn an_entry_that_expires_ends_the_piece() {
    let mut site = packed();
    site.run("INSERT INTO spamcheck.list_entry (list, value, expires_at) VALUES ('banned_words', 'for now', clock_timestamp() + interval '12 seconds')");
    until_packed(&site);
    assert_eq!(status(&site, "for now"), "spam");
    support::wait::until(SOON, "its end", || status(&site, "for now") == "approved");
    assert_eq!(status(&site, "spamword8"), "spam");
    until_packed(&site);
}
