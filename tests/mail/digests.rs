//! What a digest says, about which rows, to whom, and how often.

use std::time::Duration;

use support::wait;

use crate::world::{SOON, World};

#[test]
fn a_moderated_row_is_mailed_with_what_a_moderator_needs() {
    let mut site = World::shared().site();
    let (mods, boss) = (site.moderator("mods"), site.moderator("boss"));
    site.policy(&format!("mail_to = '{{{mods},{boss}}}'"));
    site.run("INSERT INTO comments (author, email, ip, body) VALUES ('Jörg', 'j@secret.example', '203.0.113.7', E'ein casino,\nschön')");
    let letter = site.letter(1);
    assert_eq!(letter.to, [mods.clone(), boss.clone()], "one mail for all of them");
    assert_eq!(letter.header("To"), format!("{mods}, {boss}"));
    let name = site.db.name().to_owned();
    assert_eq!(
        letter.header("Subject"),
        format!("1 submission to moderate in {name} (policy default)")
    );
    assert!(letter.header("From").contains("pg_spamcheck"), "{}", letter.text);
    assert_eq!(letter.header("Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
    assert!(
        !letter.header("Date").is_empty() && letter.header("Message-ID").starts_with("<spamcheck.")
    );
    let body = letter.body();
    for part in [
        "\npublic.comments {\"id\":1}\n",
        "\n  by    Jörg\n",
        "\n  text  ein casino, schön\n",
        "\n  why   content: banned word \"casino\" in body\n",
        "SELECT spamcheck.approve('public.comments', '{\"id\":1}');\n",
    ] {
        assert!(body.contains(part), "{part:?}\n{body}");
    }
    assert!(!letter.text.contains("secret.example") && !letter.text.contains("203.0.113.7"));
    site.until_sent();
    assert_eq!(site.health(), "ok|0 moderated rows wait to be mailed");
}

#[test]
fn there_is_one_digest_a_minute_and_it_has_all_that_came_meanwhile() {
    let mut site = World::shared().site();
    site.moderated("one");
    site.letter(1);
    site.until_sent();
    for text in ["two", "three", "four"] {
        site.moderated(text);
    }
    let minute = "SELECT next_at - sent_at BETWEEN interval '50 seconds' AND interval '1 minute' FROM spamcheck._mailing";
    assert_eq!(site.ask(minute), "t");
    // Several of the worker's ticks.
    let early = wait::poll(Duration::from_secs(4), || (site.letters().len() > 1).then_some(()));
    assert_eq!((early, site.waiting()), (None, "3".to_owned()));
    site.time_passes();
    let letter = site.letter(2);
    let body = letter.body();
    for text in ["casino two", "casino three", "casino four", "casino time passed"] {
        assert!(body.contains(text), "{text}\n{body}");
    }
    assert!(!body.contains("casino one"));
    assert!(letter.header("Subject").starts_with("4 submissions"));
    site.until_sent();
    assert_eq!(site.letters().len(), 2);
}

#[test]
fn who_is_named_twice_gets_one_mail() {
    let mut site = World::shared().site();
    let (mods, loud) = (site.moderator("mods"), site.moderator("MODS"));
    site.policy(&format!("mail_to = '{{{mods},{loud},{mods}}}'"));
    site.moderated("one");
    assert_eq!(site.letter(1).to, [mods]);
    site.until_sent();
}

#[test]
fn policies_have_their_own_digests_for_their_own_moderators() {
    let mut site = World::shared().site();
    let other = site.moderator("other");
    site.run("SELECT spamcheck.create_policy('second')");
    site.run(&format!(
        "UPDATE spamcheck.policy SET mail_to = '{{{other}}}' WHERE name = 'second';
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content';
         CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', 'second', status => '{{}}')"
    ));
    site.moderated("a comment");
    site.run("INSERT INTO notes VALUES (1, 'casino note')");
    site.letter(2);
    let mut letters: Vec<(String, bool)> = site
        .letters()
        .iter()
        .map(|letter| (letter.to.join(" "), letter.body().contains("public.notes")))
        .collect();
    letters.sort();
    assert_eq!(letters, [(site.moderator("mods"), false), (other, true)]);
}

#[test]
fn only_moderated_rows_that_are_there_are_mailed_about() {
    let mut site = World::shared().site();
    site.run("INSERT INTO comments (body) VALUES ('fine')");
    site.run("INSERT INTO comments (body, ip) VALUES ('casino spam', '10.0.0.1')");
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino rolled back'); ROLLBACK");
    site.run("BEGIN; SAVEPOINT a; INSERT INTO comments (body) VALUES ('casino undone'); ROLLBACK TO a; COMMIT");
    site.run(
        "INSERT INTO comments (id, body) VALUES (1, 'casino conflict') ON CONFLICT DO NOTHING",
    );
    site.policy("mode = 'trial'");
    site.run("INSERT INTO comments (body) VALUES ('casino trial')");
    site.policy("mode = 'enforce'");
    site.run("UPDATE spamcheck.check_setting SET action = 'log' WHERE check_name = 'content'");
    site.run("INSERT INTO comments (body) VALUES ('casino logged')");
    assert_eq!(site.waiting(), "0");
    site.run("UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'");
    site.moderated("moderated");
    let body = site.letter(1).body();
    assert!(site.letters()[0].header("Subject").starts_with("1 submission "), "{body}");
}

#[test]
fn an_edit_that_is_moderated_is_mailed_and_names_that_steer_are_shown_as_they_are() {
    let mut site = World::shared().site();
    site.run("INSERT INTO comments (author, body) VALUES (E'Ann\\u202e\\r\\nBcc: x@evil.example', 'fine')");
    site.run("UPDATE comments SET body = E'casino\\u0007\\u001b[31m' || repeat('ä', 500)");
    let letter = site.letter(1);
    let body = letter.body();
    assert!(body.contains("  by    Ann\\u{202e} Bcc: x@evil.example\n"), "{body}");
    assert!(body.contains("  text  casino\\u{7}\\u{1b}[31mää"), "{body}");
    assert!(body.contains('…') && !body.contains(&"ä".repeat(201)), "{body}");
    assert_eq!(letter.to.len(), 1);
    assert!(letter.head().iter().all(|line| !line.starts_with("Bcc")), "{}", letter.text);
}

#[test]
fn a_policy_that_keeps_a_hash_mails_no_text() {
    let mut site = World::shared().site();
    site.policy("keep = 'hash'");
    site.moderated("and a secret");
    let letter = site.letter(1);
    assert!(!letter.body().contains("secret") && !letter.body().contains("  text"));
    assert!(letter.body().contains("  why   content"));
}

#[test]
fn a_wave_fits_into_few_mails_and_every_row_is_named() {
    let mut site = World::shared().site();
    site.run("BEGIN");
    site.run("INSERT INTO comments (author, body) SELECT 'Ann', 'casino number ' || n FROM generate_series(1, 2300) n; COMMIT");
    let first = site.letter(1);
    wait::until(SOON, "the first two thousand to go", || site.waiting() == "300");
    site.time_passes();
    let second = site.letter(2);
    let named = |id: i32| {
        let part = format!("public.comments {{\"id\":{id}}}");
        [&first, &second].iter().filter(|letter| letter.body().contains(&part)).count()
    };
    let missing: Vec<i32> = (1..=2300).filter(|id| named(*id) != 1).collect();
    assert_eq!(missing, Vec::<i32>::new());
    site.until_sent();
}

#[test]
fn each_row_that_still_waits_is_mailed_about_once() {
    let mut site = World::shared().site();
    site.moderated("first");
    site.letter(1);
    site.until_sent();
    // In the minute after: edited, decided in each way, deleted, given another key.
    for name in ["twice", "approved", "reported", "updated", "deleted", "moved", "edited to spam"] {
        site.run(&format!("INSERT INTO comments (author, body) VALUES ('{name}', 'casino')"));
    }
    site.run(
        "UPDATE comments SET body = 'casino, the newest' WHERE author = 'twice';
         SELECT spamcheck.approve('comments', id::text) FROM comments WHERE author = 'approved';
         SELECT spamcheck.report_spam('comments', id::text) FROM comments WHERE author = 'reported';
         UPDATE comments SET status = 'approved' WHERE author = 'updated';
         DELETE FROM comments WHERE author = 'deleted';
         UPDATE comments SET id = 1000 WHERE author = 'moved';
         UPDATE comments SET body = 'now spam', ip = '10.0.0.1' WHERE author = 'edited to spam'",
    );
    assert_eq!(site.ask("SELECT status FROM comments WHERE author = 'edited to spam'"), "spam");
    site.time_passes();
    let letter = site.letter(2);
    let body = letter.body();
    assert!(letter.header("Subject").starts_with("3 submissions"), "{body}");
    let parts = ["by    twice", "text  casino, the newest", "{\"id\":1000}", "casino time passed"];
    assert!(parts.iter().all(|part| body.contains(part)), "{body}");
    assert_eq!(body.matches("by    twice").count(), 1, "{body}");
    site.until_sent();
    // Who was mailed about a row is not mailed about its edits, unless it was released meanwhile.
    site.run("UPDATE comments SET body = 'casino, edited later' WHERE author = 'twice'");
    assert_eq!(site.waiting(), "0");
    site.run("UPDATE comments SET status = 'approved' WHERE author = 'twice'");
    site.run("UPDATE comments SET body = 'casino, once more' WHERE author = 'twice'");
    assert_eq!(site.waiting(), "1");
}

#[test]
fn a_digest_that_comes_to_nothing_is_not_sent_and_costs_no_minute() {
    let mut site = World::shared().site();
    site.moderated("first");
    site.letter(1);
    site.until_sent();
    site.moderated("second");
    site.run("DELETE FROM comments; UPDATE spamcheck._mailing SET next_at = now()");
    site.run("INSERT INTO comments (body) VALUES ('fine')");
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino'); DELETE FROM comments; COMMIT");
    site.until_sent();
    site.moderated("third");
    assert!(site.letter(2).body().contains("casino third"));
}
