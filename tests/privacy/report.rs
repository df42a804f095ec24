//! privacy_report(): who gets which field, and what is kept of it.

use crate::site::{Site, ask, refused};

fn row(site: &mut Site, field: &str) -> String {
    site.ask(&format!("SELECT source, sent_to, kept FROM spamcheck.privacy_report('comments') WHERE field = '{field}'"))
}

#[test]
fn nothing_leaves_a_database_that_asks_nobody() {
    let mut site = Site::new();
    assert_eq!(
        site.ask("SELECT field, source FROM spamcheck.privacy_report('comments')"),
        "body|body\nauthor|author\nemail|email\nip|ip\nuser_agent|{\"setting\":\"pg_spamcheck.user_agent\"}\n\
         referrer|{\"setting\":\"pg_spamcheck.referrer\"}\nsource|{\"setting\":\"pg_spamcheck.source\"}\n\
         captcha|{\"setting\":\"pg_spamcheck.captcha\"}"
    );
    assert_eq!(site.ask("SELECT count(sent_to) FROM spamcheck.privacy_report('comments')"), "0");
    assert_eq!(row(&mut site, "email"), "email||log");
    assert_eq!(row(&mut site, "body"), "body||log");
    assert_eq!(
        row(&mut site, "referrer"),
        "{\"setting\":\"pg_spamcheck.referrer\"}||log, if rejected"
    );
    site.policy("keep = 'hash', retention = '90 days'");
    assert_eq!(row(&mut site, "email"), "email||log, for 90 days");
    assert_eq!(row(&mut site, "body"), "body||log, a hash, for 90 days");
    assert_eq!(row(&mut site, "referrer"), "{\"setting\":\"pg_spamcheck.referrer\"}||");
    site.policy("mode = 'off'");
    assert_eq!(
        site.ask("SELECT count(sent_to) + count(kept) FROM spamcheck.privacy_report('comments')"),
        "0"
    );
}

#[test]
fn akismet_and_moderators_are_named_with_what_they_get() {
    let mut site = Site::new();
    let akismet = |site: &mut Site, options: &str| {
        site.check("akismet", &format!("enabled = true, options = '{{\"blog\":\"https://b.example/\"}}'::jsonb || '{options}'"));
    };
    akismet(&mut site, "{}");
    let kept = "lookups, until they are answered; 15 days, for decisions to be reported";
    assert_eq!(row(&mut site, "email"), format!("email|Akismet|log; {kept}"));
    assert_eq!(row(&mut site, "body"), format!("body|Akismet|log; {kept}"));
    assert_eq!(
        row(&mut site, "source"),
        format!("{{\"setting\":\"pg_spamcheck.source\"}}||log, if rejected; {kept}")
    );
    akismet(&mut site, r#"{"send":{"email":false}}"#);
    assert_eq!(row(&mut site, "email"), format!("email||log; {kept}"));
    akismet(&mut site, r#"{"anonymize":true}"#);
    let sent = "SELECT field, sent_to FROM spamcheck.privacy_report('comments') WHERE field IN ('author', 'email', 'ip')";
    assert_eq!(
        site.ask(sent),
        "author|Akismet (\"Anonymous\" in its place)\nemail|\nip|Akismet (its network alone)"
    );
    site.policy("mail_to = '{mods@example.com}'");
    assert_eq!(
        site.ask("SELECT field, sent_to FROM spamcheck.privacy_report('comments') WHERE sent_to LIKE '%mail%'"),
        "body|Akismet; mods@example.com by mail, of moderated rows, 200 characters\n\
         author|Akismet (\"Anonymous\" in its place); mods@example.com by mail, of moderated rows"
    );
    site.check("ip_interval", "enabled = true");
    assert!(
        row(&mut site, "ip").ends_with("; a hash, for checks of earlier rows"),
        "{}",
        row(&mut site, "ip")
    );
}

#[test]
fn moderators_read_it_and_others_do_not() {
    let mut site = Site::new();
    let (moderator, analyst) = (site.role("moderator"), site.role("analyst"));
    site.run(&format!("SELECT spamcheck.grant_access('{moderator}', 'moderator'), spamcheck.grant_access('{analyst}', 'analyst')"));
    let query = "SELECT count(*) FROM spamcheck.privacy_report('comments')";
    assert_ne!(ask(&mut site.db.client_as(&moderator), query), "0");
    refused(&mut site.db.client_as(&analyst), query);
    let error = refused(&mut site.client, "SELECT * FROM spamcheck.privacy_report('pg_class')");
    assert!(error.message().contains("is not a protected table"), "{error:?}");
}
