//! What a policy makes of the check: other actions, conditions, trials, edits, and other checks' findings.

use support::captcha::solve;

use crate::site::World;

#[test]
fn another_action_does_what_it_does_for_every_check() {
    let mut site = World::shared().site("{}");
    let mut act = |action: &str| {
        site.run(&format!("UPDATE spamcheck.check_setting SET action = '{action}', score = 7 WHERE check_name = 'captcha'"));
        let done = site.comment("A fine day", None).map_err(|refused| refused.constraint);
        (done, site.log().concat())
    };
    let why = "there is no answer to the captcha";
    assert_eq!(act("moderate"), (Ok(()), format!("captcha moderate moderated: {why}")));
    assert_eq!(act("spam"), (Ok(()), format!("captcha spam suppressed: {why}")));
    assert_eq!(act("score"), (Ok(()), format!("captcha score moderated: {why}")));
    assert_eq!(act("log"), (Ok(()), format!("captcha log flagged: {why}")));
    let rejected = Err("spamcheck_reject".to_owned());
    assert_eq!(act("reject"), (rejected, format!("captcha reject rejected: {why}")));
    assert_eq!(site.statuses(), "pending,spam,pending,approved");
}

#[test]
fn it_asks_only_where_it_applies() {
    let mut site = World::shared().site(r#"{"after_days": 7, "pages": ["Guest Book"]}"#);
    let mut asked = |kind: &str, page: &str, age: &str| {
        let insert = format!(
            "INSERT INTO comments (author, body, type, page, article_created_at)
             VALUES ('Ann', 'A fine day', '{kind}', '{page}', now() - interval '{age}')"
        );
        site.client.batch_execute(&insert).is_err()
    };
    assert!(asked("comment", "guest book", "8 days"));
    assert!(!asked("comment", "guest book", "7 days"), "strictly older");
    assert!(!asked("comment", "contact", "8 days"));
    assert!(!asked("trackback", "guest book", "8 days"));
    site.captcha(r#"{"after_days": 7}"#);
    site.comment("of an article of unknown age", None).expect("it goes in");
}

#[test]
fn what_another_check_challenges_is_moderated_unless_somebody_can_be_asked() {
    let mut site = World::shared().site(r#"{"when": "suspicious"}"#);
    site.links("challenge");
    site.comment("A fine day", None).expect("nothing speaks against it");
    let refused = site.comment("www.example.com", None).expect_err("it is refused");
    assert_eq!(
        site.log(),
        [
            "links challenge challenged: 1 link in the body, more than 0",
            "captcha challenge challenged: there is no answer to the captcha"
        ]
    );
    let answer = solve(refused.challenge());
    site.comment("www.example.com", Some(&answer)).expect("it goes in");
    assert_eq!(
        site.log(),
        [
            "links challenge allowed: 1 link in the body, more than 0",
            "captcha challenge allowed: captcha solved"
        ]
    );
    site.run(
        "INSERT INTO comments (author, body, type) VALUES ('Ann', 'www.example.com', 'trackback')",
    );
    assert_eq!(site.log(), ["links challenge moderated: 1 link in the body, more than 0"]);
    site.run("UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'captcha'");
    site.comment("www.example.com", None).expect("it is moderated");
    assert_eq!(site.log(), ["links challenge moderated: 1 link in the body, more than 0"]);
    assert_eq!(site.statuses(), "approved,approved,pending,pending");
}

#[test]
fn a_solved_captcha_does_not_take_back_what_moderates_or_rejects() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("see casino"));
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'",
    );
    site.comment("see casino", Some(&answer)).expect("it goes in");
    assert_eq!(
        site.log(),
        [
            "content moderate moderated: banned word \"casino\" in body",
            "captcha challenge allowed: captcha solved"
        ]
    );
    site.run("UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'");
    let refused = site.comment("see casino", None).expect_err("it is refused");
    assert_eq!(refused.constraint, "spamcheck_reject");
}

#[test]
fn a_bypass_needs_no_captcha() {
    let mut site = World::shared().site("{}");
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = true, options = '{\"db_roles\": [\"postgres\"]}' WHERE check_name = 'bypass'",
    );
    site.comment("A fine day", None).expect("it goes in");
}

#[test]
fn a_trial_refuses_nobody_and_writes_what_it_would_have_done() {
    let mut site = World::shared().site("{}");
    site.run("UPDATE spamcheck.policy SET mode = 'trial'");
    site.comment("A fine day", None).expect("it goes in");
    assert_eq!(site.log(), ["captcha challenge flagged: there is no answer to the captcha"]);
    site.captcha(r#"{"provider": "recaptcha"}"#);
    site.comment("A fine day", Some("good in a trial")).expect("it goes in");
    assert_eq!(World::shared().siteverify.asked("good in a trial"), 0, "nobody waits in a trial");
    assert_eq!(site.statuses(), "approved,approved");
}

#[test]
fn a_refusal_has_the_policys_sqlstate_and_is_never_silent() {
    let mut site = World::shared().site("{}");
    site.run("UPDATE spamcheck.policy SET reject_sqlstate = 'PT403', on_reject = 'drop'");
    let refused =
        site.comment("A fine day", None).expect_err("a visitor who sees nothing solves nothing");
    assert_eq!(
        (refused.sqlstate.as_str(), refused.constraint.as_str()),
        ("PT403", "spamcheck_captcha")
    );
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.spam_checklog"), "1");
}

#[test]
fn an_edit_is_asked_about_only_where_something_speaks_against_it() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    site.comment("A fine day", Some(&answer)).expect("it goes in");
    site.run("UPDATE comments SET body = 'A rainy day'");
    site.links("challenge");
    let edit = "UPDATE comments SET body = 'see www.example.com', captcha = $1";
    let error = site.client.execute(edit, &[&None::<String>]).expect_err("it is refused");
    let answer = solve(crate::site::refused(&error).challenge());
    site.client.execute(edit, &[&answer]).expect("it goes through");
    assert_eq!(site.get("SELECT body FROM comments"), "see www.example.com");
}

#[test]
fn a_table_without_a_column_for_answers_is_asked_all_the_same() {
    let mut site = World::shared().site("{}");
    site.run(
        "CREATE TABLE issues (id serial PRIMARY KEY, title text, description text);
         SELECT spamcheck.protect('issues', columns => '{\"body\": [\"title\", \"description\"]}', status => '{}')",
    );
    let insert = "INSERT INTO issues (title, description) VALUES ('It', 'breaks')";
    let error = site.client.execute(insert, &[]).expect_err("it is refused");
    let answer = solve(crate::site::refused(&error).challenge());
    site.run(&format!(
        "SET pg_spamcheck.captcha = '{answer}'; {insert}; RESET pg_spamcheck.captcha"
    ));
    assert_eq!(site.get("SELECT count(*) FROM issues"), "1");
}
