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
    assert_eq!(
        row(&mut site, "body"),
        "body||log, a hash and what findings tell of it, for 90 days"
    );
    assert_eq!(row(&mut site, "referrer"), "{\"setting\":\"pg_spamcheck.referrer\"}||");
    site.policy("mode = 'off'");
    assert_eq!(
        site.ask("SELECT count(sent_to) + count(kept) FROM spamcheck.privacy_report('comments')"),
        "0"
    );
}

/// Nothing of pg_spamcheck takes a line out of the log file.
#[test]
fn the_log_file_is_not_kept_for_the_retention() {
    let mut site = Site::new();
    site.policy("log_to = 'both'");
    assert_eq!(row(&mut site, "ip"), "ip||log and log file");
    site.policy("retention = '30 days', keep = 'excerpt'");
    let until = "until it is rotated and deleted";
    assert_eq!(row(&mut site, "ip"), format!("ip||log, for 30 days; log file, {until}"));
    let told = ", 200 characters and what findings tell of it";
    assert_eq!(
        row(&mut site, "body"),
        format!("body||log{told}, for 30 days; log file{told}, {until}")
    );
    site.policy("log_to = 'file'");
    assert_eq!(row(&mut site, "ip"), "ip||log file");
    site.policy("log_to = 'table'");
    assert_eq!(row(&mut site, "ip"), "ip||log, for 30 days");
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
         author|Akismet (\"Anonymous\" in its place); mods@example.com by mail, of moderated rows\n\
         email|mods@example.com by mail, of moderated rows, where a finding tells of it\n\
         ip|Akismet (its network alone); mods@example.com by mail, of moderated rows, where a finding tells of it"
    );
    site.check("ip_interval", "enabled = true");
    assert!(
        row(&mut site, "ip").ends_with("; a hash, for checks of earlier rows"),
        "{}",
        row(&mut site, "ip")
    );
}

/// Why a row waits is in the mail: what that may tell depends on the checks, and is true of what is mailed.
#[test]
fn what_a_finding_tells_of_is_mailed_and_the_report_says_so() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, author text, email text, url text, ip inet, headline text, title text, referrer text, body text,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('notes', columns => '{\"title\":\"title\"}');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_block', '9.9.9.0/24'), ('url_block', 'bad.example'), ('email_block', 'never');
         UPDATE spamcheck.check_setting SET enabled = false WHERE check_name IN ('links', 'honeypot', 'content');
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name IN ('ip_block', 'email_syntax')",
    );
    site.policy("mail_to = '{mods@example.com}', keep = 'hash'");
    let mailed = "SELECT string_agg(field, ' ' ORDER BY field) FROM spamcheck.privacy_report('notes') WHERE sent_to LIKE 'mods@example.com by mail%'";
    assert_eq!(site.ask(mailed), "author email ip");
    let insert = "INSERT INTO notes (author, email, url, ip, title, referrer, body)
                  VALUES ('Ann', 'no-address', 'http://www.bad.example/', '9.9.9.9', 'a headline', 'https://from.example', 'a text')";
    site.run(insert);
    let why =
        "SELECT string_agg(w ->> 1, ' ') FROM spamcheck._mail m, jsonb_array_elements(m.why) w";
    let told = site.ask(why);
    assert!(told.contains("9.9.9.9") && told.contains("no-address"), "{told}");
    assert!(!told.contains("bad.example"), "{told}");
    site.check("url_blocklist", "enabled = true, action = 'moderate'");
    assert_eq!(site.ask(mailed), "author body email ip url");
    site.run(&format!("DELETE FROM spamcheck._mail; {insert}"));
    assert!(site.ask(why).contains("www.bad.example"));
    // A function may say anything.
    site.run("CREATE FUNCTION tell(submission jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('hit', true, 'why', submission ->> 'referrer') $$");
    site.check(
        "custom",
        "enabled = true, action = 'moderate', options = '{\"function\":\"public.tell\"}'",
    );
    assert_eq!(
        site.ask(mailed),
        site.ask(
            "SELECT string_agg(field, ' ' ORDER BY field) FROM spamcheck.privacy_report('notes')"
        )
    );
    site.run(&format!("DELETE FROM spamcheck._mail; {insert}"));
    assert!(site.ask(why).contains("https://from.example"));
    // What waits to be mailed is kept.
    let kept = "SELECT kept FROM spamcheck.privacy_report('notes') WHERE field = 'email'";
    assert_eq!(site.ask(kept), "log; the queue of mails, until a mail server has them");
    site.policy("mode = 'trial'");
    assert_eq!(site.ask(mailed), "");
    assert_eq!(site.ask(kept), "log");
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
