//! Rows that the worker's later verdict moderates are mailed about like others.

use std::time::Duration;

use support::akismet::{Akismet, SPAM};
use support::http::Reply;
use support::smtp::MailServer;
use support::wait;

use crate::world::{SOON, World};

#[test]
fn a_row_that_nobody_answered_for_is_left_to_the_moderators_and_they_are_told() {
    let world = World::new(MailServer::start());
    let akismet = Akismet::start();
    akismet.attach(&world.cluster);
    akismet.always(|_| true, Reply::status(500));
    let mut site = world.site();
    site.run(
        r#"UPDATE spamcheck.check_setting SET enabled = true,
                  options = '{"blog": "https://b.example/", "mode": "hold", "on_failure": "hold", "give_up_after": "1 second"}'
            WHERE check_name = 'akismet'"#,
    );
    site.run("INSERT INTO comments (author, body) VALUES ('Ann', 'left to a person')");
    let letter = site.letter(1);
    assert!(letter.body().contains("left to a person"), "{}", letter.body());
    let logged = "SELECT check_name, action, outcome, why LIKE 'Akismet has not answered within give_up_after: %' FROM spamcheck.recent";
    assert_eq!(site.ask(logged), "akismet|moderate|moderated|t");
    site.until_sent();
    // Its own status is known.
    site.run("SELECT spamcheck.approve('comments', '1')");
    assert_eq!(site.ask("SELECT status FROM comments"), "approved");
}

#[test]
fn a_late_verdict_that_moderates_is_mailed_and_one_that_agrees_is_not() {
    let world = World::new(MailServer::start());
    let akismet = Akismet::start();
    akismet.attach(&world.cluster);
    let mut site = world.site();
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate',
                options = '{\"blog\":\"https://b.example/\"}' WHERE check_name = 'akismet'",
    );
    let comment = |site: &mut crate::world::Site<'_>, body: &str| {
        site.run(&format!(
            "INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', '{body}')"
        ));
        wait::until(SOON, "the answer", || {
            site.ask("SELECT count(*) FROM spamcheck.lookup") == "0"
        });
    };
    comment(&mut site, "fine");
    comment(&mut site, &format!("only {SPAM}"));
    let body = site.letter(1).body();
    assert!(
        body.contains("  why   akismet: Akismet calls it spam\n")
            && body.contains(&format!("only {SPAM}")),
        "{body}"
    );
    site.until_sent();
    site.run("UPDATE spamcheck._mailing SET next_at = now()");
    comment(&mut site, &format!("casino {SPAM}"));
    let body = site.letter(2).body();
    assert!(body.contains("{\"id\":3}") && body.contains("  why   content: "), "{body}");
    site.until_sent();
    site.run("UPDATE spamcheck._mailing SET next_at = now()");
    let again = wait::poll(Duration::from_secs(3), || (site.letters().len() > 2).then_some(()));
    assert_eq!(again, None);
    assert_eq!(site.ask("SELECT check_name FROM spamcheck.spam_checklog WHERE row_key ->> 'id' = '3' ORDER BY id"), "content\nakismet");
}

#[test]
fn a_row_that_is_only_held_is_not_mailed_about() {
    let world = World::new(MailServer::start());
    let akismet = Akismet::start();
    akismet.attach(&world.cluster);
    let mut site = world.site();
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate',
                options = '{\"blog\":\"https://b.example/\",\"mode\":\"hold\"}' WHERE check_name = 'akismet'",
    );
    site.run("INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', 'fine')");
    wait::until(SOON, "the answer", || site.ask("SELECT count(*) FROM spamcheck.lookup") == "0");
    assert_eq!(site.ask("SELECT status FROM comments"), "approved");
    site.run(&format!(
        "INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', '{SPAM}')"
    ));
    let letter = site.letter(1);
    assert!(letter.header("Subject").starts_with("1 submission "), "{}", letter.body());
    assert!(letter.body().contains("{\"id\":2}"), "{}", letter.body());
}
