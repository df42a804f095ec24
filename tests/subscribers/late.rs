//! A verdict that comes after the insert unsubscribes too: it is the worker who does it then.

use support::akismet::{Endpoint, SPAM};
use support::http::Request;
use support::wait;

use crate::world::{SOON, World};
use crate::{SUBSCRIBER, USERS};

#[test]
fn akismets_late_verdict_unsubscribes_with_the_rights_of_the_tables_owner() {
    let world = World::shared();
    let mut site = world.site("{\"mode\": \"async\"}");
    site.run(USERS);
    let owner = format!("owner_{}", site.database.name());
    site.run(&format!(
        "CREATE ROLE {owner}; ALTER TABLE comments OWNER TO {owner}; GRANT USAGE ON SCHEMA public TO {owner}; GRANT SELECT, UPDATE ON users TO {owner};
         ALTER TABLE users ADD who text; CREATE FUNCTION who() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.who := current_user; RETURN NEW; END';
         CREATE TRIGGER who BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION who();
         SELECT spamcheck.protect('comments', subscriber => '{SUBSCRIBER}'); UPDATE spamcheck.policy SET unsubscribe = true"
    ));
    site.run(&format!("INSERT INTO comments (email, ip, body) VALUES ('bob@mail.example', '203.0.113.7', 'fine'), ('ann@mail.example', '203.0.113.7', '{SPAM}')"));
    site.until("SELECT status FROM comments WHERE id = 2", "spam");
    site.until_all_answered();
    assert_eq!(site.get("SELECT string_agg(email || ' ' || subscription_status || ' ' || who, ', ') FROM users WHERE changes > 0"),
        format!("ann@mail.example unsubscribed {owner}"));
    assert_eq!(site.get("SELECT concat_ws(' ', h.subscriber, h.change, l.check_name) FROM spamcheck.subscription_history h JOIN spamcheck.spam_checklog l ON l.id = h.log_id"),
        "ann@mail.example unsubscribe_spamcheck akismet");
    // And back again.
    site.run("SELECT spamcheck.not_spam(log_id) FROM spamcheck.subscription_history");
    assert_eq!(site.status(2), "approved");
    assert_eq!(
        site.get("SELECT subscription_status FROM users WHERE email LIKE 'ann%'"),
        "subscribed"
    );
    // Akismet hears of it, with the text that it was asked about.
    let told = |request: &Request| {
        Endpoint::of(request) == Some(Endpoint::SubmitHam)
            && request.param("blog").as_deref() == Some(&*site.blog)
            && request.param("comment_content").is_some_and(|text| text == SPAM)
    };
    wait::until(SOON, "Akismet to be told", || {
        site.akismet().requests().iter().any(|request| told(request))
    });
    site.until_all_answered();
    assert_eq!(site.status(2), "approved", "no later answer overrides it");
}

#[test]
fn a_trial_unsubscribes_nobody_later_either() {
    let world = World::shared();
    let mut site = world.site("{\"mode\": \"async\"}");
    site.run(USERS);
    site.run(&format!(
        "SELECT spamcheck.protect('comments', subscriber => '{SUBSCRIBER}'); UPDATE spamcheck.policy SET unsubscribe = true, mode = 'trial'"
    ));
    site.run(&format!("INSERT INTO comments (email, ip, body) VALUES ('ann@mail.example', '203.0.113.7', '{SPAM}')"));
    site.until("SELECT count(*) FROM spamcheck.spam_checklog", "1");
    assert_eq!(site.get("SELECT count(*) FROM users WHERE changes > 0"), "0");
}

#[test]
fn a_subscriber_whom_somebody_holds_is_waited_for_without_holding_others_up() {
    let world = World::shared();
    let mut site = world.site("{\"mode\": \"async\"}");
    site.run(USERS);
    site.run(&format!(
        "SELECT spamcheck.protect('comments', subscriber => '{SUBSCRIBER}'); UPDATE spamcheck.policy SET unsubscribe = true"
    ));
    let mut app = site.database.client();
    let mut run = |statements: &str| app.batch_execute(statements).expect(statements);
    run("BEGIN; UPDATE users SET changes = 0 WHERE email LIKE 'ann%'");
    site.run(&format!(
        "INSERT INTO comments (email, ip, body) VALUES ('bob@mail.example', '203.0.113.7', '{SPAM}'), ('ann@mail.example', '203.0.113.7', '{SPAM}')"
    ));
    site.until("SELECT status FROM comments WHERE id = 1", "spam");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE _answer IS NOT NULL", "1");
    // That is no failure of the verdict, which is all in or not at all.
    assert_eq!(site.get("SELECT max(last_error) FROM spamcheck.lookup"), "-");
    assert_eq!((site.status(1), site.status(2)), ("spam".into(), "approved".into()));
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.spam_checklog"), "1");
    // Whoever holds the subscriber may want the rows: it is not he who has to give way.
    for _ in 0..3 {
        run("UPDATE comments SET likes = likes + 1");
    }
    run("COMMIT");
    site.until("SELECT status FROM comments WHERE id = 2", "spam");
    site.until_all_answered();
    assert_eq!(
        site.get("SELECT string_agg(split_part(email, '@', 1) || ' ' || subscription_status, ', ' ORDER BY email) FROM users WHERE email < 'c'"),
        "ann unsubscribed, bob unsubscribed"
    );
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.spam_checklog"), "2");
}
