//! What becomes of mail when its server fails: the rows stay, it is tried again later and later, and who
//! looks is told.

use support::smtp::{MailServer, Mishap};
use support::wait;

use crate::world::{SOON, Site, World};

fn until_failed(site: &mut Site<'_>, failures: u32) {
    wait::until(SOON, "a failure", || {
        site.ask("SELECT failures FROM spamcheck._mailing") == failures.to_string()
    });
}

#[test]
fn whatever_goes_wrong_the_mail_is_tried_again_and_comes_once() {
    let world = World::new(MailServer::start());
    let mut site = world.site();
    let says = |line: &str| Mishap::Says(line.into());
    let cases = [
        ("GREETING", says("554 5.3.2 not now")),
        ("GREETING", Mishap::Closes),
        ("EHLO", says("garbage")),
        ("MAIL", says("451 4.3.0 try later")),
        ("MAIL", says("550 5.7.1 no")),
        ("RCPT", says("450 4.2.0 greylisted")),
        ("RCPT", says("550 5.1.1 nobody here")),
        ("DATA", says("451 4.3.0 try later")),
        ("DATA", Mishap::Closes),
        ("TEXT", says("452 4.3.1 full")),
    ];
    for (n, (command, mishap)) in cases.into_iter().enumerate() {
        world.mail.mishap(1, command, "", mishap.clone());
        let text = format!("case {n}");
        site.run("UPDATE spamcheck._mailing SET next_at = now()");
        site.moderated(&text);
        until_failed(&mut site, 1);
        let health = site.health();
        assert!(
            health.starts_with("warning|1 moderated rows wait to be mailed: "),
            "{mishap:?}: {health}"
        );
        site.time_passes();
        let letter = site.letter(n + 1);
        assert!(letter.body().contains(&text), "{command} {mishap:?}");
        site.until_sent();
        wait::until(SOON, "all to be well", || site.health().starts_with("ok|"));
    }
}

#[test]
fn a_server_that_hangs_costs_its_time_and_holds_up_nobody_else() {
    let world = World::new(MailServer::start());
    let mut site = world.site();
    world.mail.mishap(1, "MAIL", "", Mishap::Hangs);
    site.moderated("one");
    wait::until(SOON, "the hang", || world.mail.hanging() == 1);
    let worker = "SELECT concat_ws(' ', state, xact_start, backend_xmin) FROM pg_stat_activity
                   WHERE backend_type = 'pg_spamcheck worker' AND datname = current_database()";
    // The claim's transaction ends a moment after its mail has left.
    let idle = wait::poll(SOON, || (site.ask(worker) == "idle").then_some(()));
    assert!(idle.is_some(), "no transaction is open meanwhile");
    site.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'ip_block'");
    let refused =
        site.client.batch_execute("INSERT INTO comments (body, ip) VALUES ('x', '10.0.0.1')");
    assert!(refused.is_err());
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE outcome = 'rejected'"),
        "1"
    );
    until_failed(&mut site, 1);
    world.mail.go_on();
    site.time_passes();
    assert!(site.letter(1).body().contains("casino one"));
}

#[test]
fn each_failure_makes_the_pause_longer_up_to_an_hour() {
    let mut site = World::shared().site();
    // At the first sign of this site's recipient.
    let to = site.moderator("mods");
    World::shared().mail.mishap(9, "RCPT", &to, Mishap::Says("451 4.3.0 later".into()));
    site.moderated("one");
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let waits = format!(
            "SELECT round(extract(epoch FROM next_at - now()) / 60) FROM spamcheck._mailing WHERE failures > 0 AND next_at > now() + interval '{} seconds'",
            minutes * 60 - 30
        );
        wait::until(SOON, "the next pause", || site.ask(&waits) == minutes.to_string());
        site.time_passes();
    }
}

#[test]
fn a_recipient_that_is_refused_does_not_cost_the_others_their_mail() {
    let world = World::shared();
    let mut site = world.site();
    let (mods, gone, grey) =
        (site.moderator("mods"), site.moderator("gone"), site.moderator("grey"));
    site.policy(&format!("mail_to = '{{{mods},{gone},{grey}}}'"));
    world.mail.mishap(9, "RCPT", &gone, Mishap::Says("550 5.1.1 nobody here".into()));
    world.mail.mishap(1, "RCPT", &grey, Mishap::Says("450 4.2.0 greylisted".into()));
    site.moderated("one");
    assert_eq!(site.letter(1).to, std::slice::from_ref(&mods));
    wait::until(SOON, "the rest to wait", || {
        site.ask("SELECT recipients FROM spamcheck._mail") == format!("{{{grey}}}")
    });
    let health = site.health();
    assert!(health.contains("nobody here") && health.contains("greylisted"), "{health}");
    site.run("UPDATE spamcheck._mailing SET next_at = now()");
    // A new row has the worker look; the old ones go first, to whom has not had them.
    site.moderated("two");
    let second = site.letter(2);
    assert_eq!(second.to, std::slice::from_ref(&grey));
    assert!(second.body().contains("casino one") && !second.body().contains("casino two"));
    site.time_passes();
    let third = site.letter(3);
    assert_eq!(third.to, [mods, grey]);
    assert!(third.body().contains("casino two") && !third.body().contains("casino one"));
}

#[test]
fn texts_that_a_server_takes_for_spam_are_left_out_of_the_next_try() {
    let world = World::shared();
    let mut site = world.site();
    let to = site.moderator("mods");
    world.mail.mishap(1, "TEXT", &to, Mishap::Says("554 5.7.1 this is spam".into()));
    site.moderated("cheap pills");
    until_failed(&mut site, 1);
    assert!(site.health().contains("this is spam"));
    site.run("UPDATE spamcheck._mailing SET next_at = now()");
    site.moderated("more pills");
    let body = site.letter(1).body();
    assert!(!body.contains("pills") && body.contains("public.comments {\"id\":1}"), "{body}");
    assert!(body.contains("The mail server refused a mail with the texts in it."), "{body}");
    site.until_sent();
    site.time_passes();
    assert!(site.letter(2).body().contains("casino time passed"), "the next one has them again");
}

#[test]
fn a_crash_after_the_server_took_the_mail_sends_the_same_mail_again() {
    let world = World::new(MailServer::start());
    let mut site = world.site();
    world.cluster.set("pg_spamcheck.request_timeout", "60s");
    world.mail.mishap(1, "TAKEN", "", Mishap::Hangs);
    site.moderated("one");
    let first = site.letter(1);
    wait::until(SOON, "the hang", || world.mail.hanging() == 1);
    // The minute counts over a crash, too; here it is over.
    site.run("UPDATE spamcheck._mailing SET next_at = now()");
    world.cluster.kill9();
    world.cluster.start_again();
    site.client = site.db.client();
    let second = site.letter(2);
    assert_eq!(second.header("Message-ID"), first.header("Message-ID"));
    assert_eq!(second.body(), first.body());
    site.until_sent();
    world.mail.go_on();
    assert_eq!(site.letters().len(), 2);
}

/// Nobody can tell whether it has the mail: the next try is the same one, so that a mail program can.
#[test]
fn what_a_server_may_have_goes_again_as_it_was_and_what_came_meanwhile_after_it() {
    let world = World::new(MailServer::start());
    let mut site = world.site();
    world.mail.mishap(1, "TAKEN", "", Mishap::Closes);
    site.moderated("one");
    let first = site.letter(1);
    until_failed(&mut site, 1);
    world.mail.mishap(1, "TEXT", "", Mishap::Closes);
    site.time_passes();
    until_failed(&mut site, 2);
    site.time_passes();
    let again = site.letter(2);
    assert_eq!(again.header("Message-ID"), first.header("Message-ID"));
    assert_eq!(again.body(), first.body());
    wait::until(SOON, "the server to have it", || site.waiting() == "2");
    site.time_passes();
    let next = site.letter(3);
    assert_ne!(next.header("Message-ID"), first.header("Message-ID"));
    assert_eq!(next.body().matches("casino time passed").count(), 3);
    assert!(!next.body().contains("casino one"));
    site.until_sent();
    assert_eq!(site.letters().len(), 3);
}

#[test]
fn the_minute_counts_over_a_restart() {
    let world = World::new(MailServer::start());
    let mut site = world.site();
    site.moderated("one");
    site.letter(1);
    site.until_sent();
    site.moderated("two");
    world.cluster.restart();
    site.client = site.db.client();
    let early =
        wait::poll(std::time::Duration::from_secs(4), || (site.letters().len() > 1).then_some(()));
    assert_eq!((early, site.waiting()), (None, "1".to_owned()), "it waits, and is not lost");
    site.time_passes();
    assert!(site.letter(2).body().contains("casino two"));
}
