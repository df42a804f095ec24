//! captcha_new(), explain(), health() and who may do what; keys that are missing.

use serde_json::Value;
use support::captcha::{picture, solve};
use support::cluster::ClusterOptions;

use crate::site::{Site, World};

fn new(site: &mut Site<'_>, arguments: &str) -> Value {
    let text = site.get(&format!("SELECT spamcheck.captcha_new({arguments})::text AS c"));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_new_captcha_is_for_the_first_content_that_it_comes_with() {
    let mut site = World::shared().site("{}");
    for arguments in ["", "'altcha'", "NULL, 'comments'", "relation => 'comments'"] {
        let answer = solve(&new(&mut site, arguments));
        site.comment("A fine day", Some(&answer)).unwrap_or_else(|e| panic!("{arguments}: {e:?}"));
        site.comment("Another day", Some(&answer)).expect_err("it was used");
    }
    site.run("CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', status => '{}')");
    let answer = solve(&new(&mut site, "'altcha', 'notes'"));
    site.comment("A fine day", Some(&answer)).expect_err("it is for another table");
}

#[test]
fn without_a_provider_it_is_the_one_of_the_policy() {
    let mut site = World::shared().site(r#"{"provider": "image", "background": "1,2,3"}"#);
    let image = new(&mut site, "NULL, 'comments'");
    let pixels = picture(image["png"].as_str().expect("base64")).pixels;
    assert!(pixels.contains(&[1, 2, 3]));
    assert_eq!(new(&mut site, "")["algorithm"], "SHA-256");
    let white = new(&mut site, "'image'");
    assert!(picture(white["png"].as_str().expect("base64")).pixels.contains(&[255; 3]));
    assert_eq!(new(&mut site, "'turnstile'")["field"], "cf-turnstile-response");
}

#[test]
fn what_cannot_be_made_says_why() {
    let mut site = World::shared().site("{}");
    let mut error = |call: &str| {
        let error =
            site.client.batch_execute(&format!("SELECT {call}")).expect_err("it is refused");
        let error = error.as_db_error().expect("the server says so").clone();
        (error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
    };
    let (message, hint) = error("spamcheck.captcha_new('recaptca')");
    assert_eq!(message, "there is no captcha provider \"recaptca\"");
    assert_eq!(hint, "The providers are altcha, image, recaptcha, hcaptcha, turnstile.");
    assert!(error("spamcheck.captcha_new(NULL, 'pg_class')").0.contains("not a protected table"));
}

#[test]
fn without_a_key_there_is_no_challenge_and_on_error_decides() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    world.cluster.write_secrets(&serde_json::json!({ "akismet": "x" }));
    let error = site.client.batch_execute("SELECT spamcheck.captcha_new()").expect_err("no key");
    let error = error.as_db_error().expect("the server says so");
    assert_eq!(error.message(), "no captcha can be made");
    assert!(error.hint().is_some_and(|hint| hint.contains("pg_spamcheck.secrets_file")));
    for (on_error, outcome) in [("accept", "approved"), ("moderate", "approved,pending")] {
        site.run(&format!("UPDATE spamcheck.policy SET on_error = '{on_error}'"));
        site.comment("A fine day", None).expect("it goes in");
        assert_eq!(site.statuses(), outcome);
        let why = "the secrets file has no \"altcha\" to sign challenges with";
        assert_eq!(site.log(), [format!("captcha error error: {why}")]);
    }
    site.run("UPDATE spamcheck.policy SET on_error = 'reject'");
    let refused = site.comment("A fine day", None).expect_err("it is rejected");
    assert_eq!(refused.constraint, "spamcheck_reject");
    let health =
        "SELECT concat(state, ' ', message) FROM spamcheck.health() WHERE item = 'captcha'";
    assert!(site.get(health).starts_with("error altcha: the secrets file has no \"altcha\""));
    // Images need no key of anybody's.
    site.captcha(r#"{"provider": "image"}"#);
    assert_ne!(site.challenge("A fine day")["png"], Value::Null);
    assert_eq!(site.get(health), "ok answers can be verified: image");
    // A key that others may read is none.
    let secrets = world.cluster.write_secrets(&serde_json::json!({ "altcha": "hidden" }));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&secrets, open).expect("it is ours");
    site.captcha("{}");
    let message = site.get(health);
    assert!(message.contains("0644") && !message.contains("hidden"), "{message}");
}

#[test]
fn explain_says_what_would_be_and_uses_nothing() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    let submission = |body: &str, answer: &str| {
        serde_json::json!({ "author": "Ann", "body": body, "captcha": answer }).to_string()
    };
    let mut said = |submission: String| {
        site.get(&format!(
            "SELECT concat(action, ': ', why, detail ->> 'skipped') FROM spamcheck.explain('comments', '{submission}') WHERE check_name = 'captcha'"
        ))
    };
    for _ in 0..2 {
        assert_eq!(said(submission("A fine day", &answer)), ": captcha solved");
    }
    let why = "challenge: there is no answer to the captcha";
    assert_eq!(said(submission("A fine day", "")), why);
    let why = "challenge: the answer is for another content";
    assert_eq!(said(submission("Another day", &answer)), why);
    site.comment("A fine day", Some(&answer)).expect("it goes in");
    let used = "challenge: the answer was used before";
    let text = submission("A fine day", &answer);
    let query = format!(
        "SELECT concat(action, ': ', why) FROM spamcheck.explain('comments', '{text}') WHERE check_name = 'captcha'"
    );
    assert_eq!(site.get(&query), used);
    site.captcha(r#"{"when": "suspicious"}"#);
    let query = format!(
        "SELECT detail ->> 'skipped' FROM spamcheck.explain('comments', '{text}') WHERE check_name = 'captcha'"
    );
    assert_eq!(site.get(&query), "no other finding asks to challenge");
    site.captcha(r#"{"provider": "recaptcha"}"#);
    let query = format!(
        "SELECT why FROM spamcheck.explain('comments', '{text}') WHERE check_name = 'captcha'"
    );
    assert_eq!(site.get(&query), "recaptcha would be asked");
    assert_eq!(World::shared().siteverify.asked(&answer), 0);
}

#[test]
fn an_app_may_ask_for_captchas_and_do_nothing_else() {
    let mut site = World::shared().site("{}");
    let role = format!("app_{}", site.database.name());
    site.run(&format!(
        "CREATE ROLE {role}; GRANT INSERT ON comments TO {role}; GRANT USAGE ON SEQUENCE comments_id_seq TO {role}; SET ROLE {role}"
    ));
    assert!(site.client.batch_execute("SELECT spamcheck.captcha_new()").is_err());
    site.run(&format!(
        "RESET ROLE; SELECT spamcheck.grant_access('{role}', 'app'); SET ROLE {role}"
    ));
    let answer = solve(&new(&mut site, "NULL, 'comments'"));
    site.comment("A fine day", Some(&answer)).expect("it goes in");
    for forbidden in [
        "SELECT * FROM spamcheck._captcha_used",
        "DELETE FROM spamcheck._captcha_used",
        "SELECT * FROM spamcheck.spam_checklog",
    ] {
        assert!(site.client.batch_execute(forbidden).is_err(), "{forbidden}");
    }
    site.run(&format!("RESET ROLE; SELECT spamcheck.revoke_access('{role}'); DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn options_are_checked_when_they_are_set() {
    let mut site = World::shared().site("{}");
    for (options, word) in [
        (r#"{"provider": "friendly"}"#, "provider"),
        (r#"{"when": "never"}"#, "when"),
        (r#"{"after_days": "7"}"#, "after_days"),
        (r#"{"provider": "image", "background": "white"}"#, "background"),
        (r#"{"style": "scrambled"}"#, "style"),
        (r#"{"min_score": 0.5}"#, "min_score"),
    ] {
        let update = format!(
            "UPDATE spamcheck.check_setting SET options = '{options}' WHERE check_name = 'captcha'"
        );
        let error = site.client.batch_execute(&update).expect_err("it is refused");
        let message = error.as_db_error().expect("the server says so").message();
        assert!(message.contains(&format!("\"{word}\"")), "{message}");
    }
}

#[test]
fn a_key_that_can_be_guessed_is_warned_of() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let health = "SELECT concat(state, ' ', message, ' ', hint) FROM spamcheck.health() WHERE item = 'captcha'";
    let mut said = |secret: &str, options: &str| {
        world.cluster.write_secrets(&serde_json::json!({ "altcha": secret }));
        site.captcha(options);
        site.get(health)
    };
    for (options, name) in [("{}", "altcha"), (r#"{"provider": "image"}"#, "image")] {
        for short in ["x", "0123456789abcdef0123456789abcde"] {
            let said = said(short, options);
            assert!(said.starts_with(&format!("warning {name}: the secret \"altcha\"")), "{said}");
            assert!(
                said.contains("32 characters") && said.contains("openssl rand -hex 32"),
                "{said}"
            );
            assert!(!said.contains("0123456789abc"), "{said}");
        }
        let long = said("0123456789abcdef0123456789abcdef", options);
        assert_eq!(long, format!("ok answers can be verified: {name} "));
    }
}
