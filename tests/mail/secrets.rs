//! The way to the mail server: TLS, the user and the password, and what is refused because it would give
//! mail or a password away.

use serde_json::json;
use support::smtp::{MailServer, Security};
use support::tls::Authority;
use support::wait;

use crate::world::{SOON, World};

/// Has the cluster trust an authority.
fn trust(world: &World, right: bool) {
    let pem = if right { world.mail.authority() } else { Authority::new().pem() };
    let file = world.cluster.folder().join(format!("authority-{right}.pem"));
    std::fs::write(&file, pem).expect("it can be written");
    world.cluster.set("pg_spamcheck.ca_file", &file.display().to_string());
}

fn passwords(world: &World, password: &str) {
    let secrets = world
        .cluster
        .write_secrets(&json!({"smtp_user": "spam@b.example", "smtp_password": password}));
    world.cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
}

#[test]
fn mail_goes_over_tls_to_a_server_that_the_authorities_vouch_for() {
    for security in [Security::Tls, Security::StartTls] {
        let world = World::new(MailServer::with(security, Some(("spam@b.example", "hunter2"))));
        trust(&world, false);
        passwords(&world, "hunter2");
        let mut site = world.site();
        site.moderated("one");
        wait::until(SOON, "the refusal", || site.health().contains("certificate"));
        assert_eq!(world.mail.logins(), [""; 0], "no password for a stranger");
        trust(&world, true);
        site.time_passes();
        let letter = site.letter(1);
        assert!(letter.secured && letter.user.as_deref() == Some("spam@b.example"), "{letter:?}");
        assert_eq!(letter.from, "spam@b.example", "the user is an address");
    }
}

#[test]
fn where_tls_is_required_a_server_without_it_gets_nothing() {
    let world = World::new(MailServer::with(Security::None, Some(("u", "hunter2"))));
    passwords(&world, "hunter2");
    let url = world.mail.url().replace("smtp://", "smtp+starttls://");
    world.cluster.set("pg_spamcheck.smtp_url", &url);
    let mut site = world.site();
    site.moderated("one");
    wait::until(SOON, "the refusal", || site.health().contains("STARTTLS"));
    assert_eq!(world.mail.logins(), [""; 0]);
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn a_password_is_corrected_in_its_file_and_shows_nowhere() {
    let world = World::new(MailServer::with(Security::None, Some(("spam@b.example", "hunter2"))));
    passwords(&world, "swordfish");
    let mut site = world.site();
    site.moderated("one");
    wait::until(SOON, "the refusal", || site.health().contains("535"));
    assert_eq!(world.mail.logins(), ["\0spam@b.example\0swordfish"]);
    let told = site.health() + &site.state() + &site.ask("SELECT a::text FROM pg_stat_activity a");
    assert!(!told.contains("swordfish"), "{told}");
    // The worker sees the file change by itself, and does not wait for its next try.
    passwords(&world, "hunter2");
    let letter = site.letter(1);
    assert_eq!(letter.user.as_deref(), Some("spam@b.example"));
    let settings = site.ask("SELECT name || setting FROM pg_settings");
    for secret in ["swordfish", "hunter2"] {
        assert!(!world.cluster.log().contains(secret) && !settings.contains(secret), "{secret}");
    }
}

#[test]
fn the_sender_may_be_said_in_the_url() {
    let world = World::new(MailServer::start());
    world
        .cluster
        .set("pg_spamcheck.smtp_url", &format!("{}?from=spam@b.example", world.mail.url()));
    let mut site = world.site();
    site.moderated("one");
    let letter = site.letter(1);
    assert_eq!(letter.from, "spam@b.example");
    assert!(letter.header("From").contains("spam@b.example"));
}

#[test]
fn a_url_that_would_give_mail_or_a_password_away_is_refused() {
    let mut site = World::shared().site();
    for bad in [
        "smtp://mail.example.com",
        "smtps://user:hunter2@mail.example.com",
        "smtp://mail.example.com?tls=none",
        "mail.example.com",
    ] {
        let error = site
            .client
            .batch_execute(&format!("ALTER SYSTEM SET pg_spamcheck.smtp_url = '{bad}'"))
            .expect_err(bad);
        let error = error.as_db_error().expect("the server refuses it");
        let detail = error.detail().unwrap_or_default();
        assert!(!detail.is_empty() && !detail.contains("hunter2"), "{bad}: {error:?}");
    }
}

#[test]
fn odd_addresses_are_refused_when_written() {
    let mut site = World::shared().site();
    for bad in [
        "nobody",
        "a@b.example,c@d.example",
        "Ann <a@b.example>",
        "a@b.example\nBcc: c@d.example",
        "\"a b\"@c.example",
        "a@[127.0.0.1]",
    ] {
        let error = site
            .client
            .execute("UPDATE spamcheck.policy SET mail_to = ARRAY[$1]", &[&bad])
            .expect_err(bad);
        let error = error.as_db_error().expect("the server refuses it");
        assert!(
            error.detail().unwrap_or_default().contains("is not a mail address"),
            "{bad}: {error:?}"
        );
    }
}
