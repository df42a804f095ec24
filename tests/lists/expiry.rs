//! Entries that expire.

use std::time::Duration;

use support::wait::until;

use crate::site::{Site, ask};

#[test]
fn an_expired_entry_no_longer_counts_in_a_session_that_has_compiled_it() {
    let mut site = Site::new();
    let mut other = site.db.client();
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value, expires_at) VALUES
           ('banned_words', 'poker', clock_timestamp() + interval '2 seconds'),
           ('banned_words', 'lottery', 'infinity'), ('banned_words', 'roulette', '-infinity'),
           ('banned_words', 'gone', now() - interval '1 minute')",
    );
    let mut say = |word: &str| {
        ask(&mut other, &format!("INSERT INTO comments (body) VALUES ('{word}') RETURNING status"))
    };
    assert_eq!(say("poker"), "spam");
    assert_eq!([say("lottery"), say("roulette"), say("gone")], ["spam", "approved", "approved"]);
    until(Duration::from_secs(20), "the expiry", || say("poker") == "approved");
    assert_eq!([say("lottery"), say("casino")], ["spam", "spam"]);
}

#[test]
fn an_import_brings_an_expired_entry_back() {
    let mut site = Site::new();
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value, note, expires_at) VALUES
           ('banned_words', 'poker', 'why', now() - interval '1 day'),
           ('banned_words', 'lottery', NULL, now() + interval '1 day')",
    );
    assert_eq!(
        site.ask("SELECT spamcheck.import_list('banned_words', 'poker lottery', 'words')"),
        "1"
    );
    assert_eq!(
        site.ask(
            "SELECT value, note, expires_at IS NULL FROM spamcheck.list_entry WHERE value IN \
             ('poker', 'lottery') ORDER BY value"
        ),
        "lottery||f\npoker|why|t"
    );
}
