//! ALTCHA's proof of work: the way through the web, and what does not get through.

use serde_json::Value;
use support::captcha::{signed, solve, solve_v2};

use crate::site::{ALTCHA, World};

const EVER: &str = "0123456789abcdef01234567?expires=4102444800&";

#[test]
fn a_refusal_has_a_challenge_and_its_answer_lets_the_submission_in() {
    let mut site = World::shared().site("{}");
    let refused = site.comment("A fine day", None).expect_err("it is refused");
    assert_eq!(refused.sqlstate, "23514");
    assert_eq!(refused.detail["code"], "spamcheck_captcha");
    assert_eq!(refused.detail["relation"], "public.comments");
    assert_eq!(site.log(), ["captcha challenge challenged: there is no answer to the captcha"]);
    let kept = "SELECT submission ->> 'body' FROM spamcheck.recent WHERE row_key IS NULL";
    assert_eq!(site.get(kept), "A fine day", "it is in the log although it was rolled back");

    let answer = solve(refused.challenge());
    // A browser sends other line ends and blanks.
    site.comment(" A fine\r\nday ", Some(&answer)).expect("it goes in");
    assert_eq!(site.statuses(), "approved");
    assert_eq!(site.log(), ["captcha challenge allowed: captcha solved"]);
    let logged = "SELECT concat(allowed, ' ', row_key) FROM spamcheck.recent LIMIT 1";
    assert_eq!(site.get(logged), "t {\"id\": 2}");
}

#[test]
fn widgets_of_the_present_protocol_find_their_challenge_too() {
    let mut site = World::shared().site("{}");
    let challenge = site.challenge("A fine day");
    let answer = solve_v2(&challenge["v2"]);
    let other = site.comment("Another day", Some(&answer)).expect_err("it is for the first");
    assert_eq!(other.constraint, "spamcheck_captcha");
    assert_eq!(site.log(), ["captcha challenge challenged: the answer is for another content"]);
    site.comment("A fine day", Some(&answer)).expect("it goes in");
}

#[test]
fn an_answer_counts_once() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    site.comment("A fine day", Some(&answer)).expect("it goes in");
    for again in [answer.clone(), format!(" {answer} ")] {
        let refused = site.comment("A fine day", Some(&again)).expect_err("it was used");
        assert_ne!(refused.challenge()["salt"], Value::Null, "there is a new one");
        assert_eq!(site.log(), ["captcha challenge challenged: the answer was used before"]);
    }
    assert_eq!(site.get("SELECT count(*) FROM comments"), "1");
}

#[test]
fn both_forms_of_a_challenge_are_one() {
    let mut site = World::shared().site("{}");
    let solved = |challenge: &Value| (solve(challenge), solve_v2(&challenge["v2"]));
    let refusal = solved(&site.challenge("A fine day"));
    let (v2, v1) = solved(&site.challenge("A fine day"));
    for (first, second) in [refusal, (v1, v2)] {
        site.comment("A fine day", Some(&first)).expect("it goes in");
        site.comment("A fine day", Some(&second)).expect_err("it is the same challenge");
        assert_eq!(site.log(), ["captcha challenge challenged: the answer was used before"]);
    }
    // One that was made for a form is no other.
    let new = site.get("SELECT spamcheck.captcha_new()::text AS c");
    let (v1, v2) = solved(&serde_json::from_str(&new).expect("JSON"));
    site.comment("Another day", Some(&v2)).expect("it goes in");
    site.comment("Yet another", Some(&v1)).expect_err("it is the same challenge");
    assert_eq!(site.get("SELECT count(*) FROM comments"), "3");
}

#[test]
fn an_answer_is_for_its_table() {
    let mut site = World::shared().site("{}");
    site.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, author text, body text, captcha text);
         SELECT spamcheck.protect('notes', status => '{}')",
    );
    let answer = solve(&site.challenge("A fine day"));
    let insert = "INSERT INTO notes (author, body, captcha) VALUES ('Ann', 'A fine day', $1)";
    assert!(site.client.execute(insert, &[&answer]).is_err());
    assert_eq!(site.log(), ["captcha challenge challenged: the answer is for another table"]);
    // It is still good where it came from.
    site.comment("A fine day", Some(&answer)).expect("it goes in");
}

#[test]
fn what_is_forged_expired_or_junk_is_refused() {
    let mut site = World::shared().site("{}");
    let mut why = |answer: &str| {
        site.comment("A fine day", Some(answer)).expect_err("it is refused");
        site.log().concat().trim_start_matches("captcha challenge challenged: ").to_owned()
    };
    assert_eq!(why(&signed("another key", EVER)), "the challenge was not signed with our key");
    assert_eq!(why(&signed(ALTCHA, "ab?expires=1700000000&")), "the challenge has expired");
    assert_eq!(
        why(&signed(ALTCHA, "ab?expires=4102444800&k=1")),
        "the salt does not end with an ampersand"
    );
    assert_eq!(why(&signed(ALTCHA, "ab")), "the salt does not end with an ampersand");
    assert_eq!(why("I am no robot"), "the answer is not base64");
    assert_eq!(why("e30="), "the answer is not an ALTCHA payload");
    assert_eq!(why(&"A".repeat(5_000)), "the answer is longer than 4096 bytes");
    assert_eq!(site.get("SELECT count(*) FROM comments"), "0");
}

#[test]
fn a_challenge_that_an_app_made_with_the_same_key_is_good_once() {
    let mut site = World::shared().site("{}");
    let answer = signed(ALTCHA, EVER);
    site.comment("One", Some(&answer)).expect("it goes in");
    assert!(site.comment("Two", Some(&answer)).is_err());
}

#[test]
fn the_answer_may_come_by_the_setting() {
    let mut site = World::shared().site("{}");
    let insert = "INSERT INTO comments (author, body) VALUES ('Ann', 'A fine day')";
    let hint = |error: &postgres::Error| {
        error.as_db_error().and_then(|error| error.hint()).unwrap_or_default().to_owned()
    };
    let error = site.client.execute(insert, &[]).expect_err("it is refused");
    assert!(hint(&error).contains("in the column that is mapped to captcha"), "{error:?}");
    site.run("ALTER TABLE comments DROP COLUMN captcha; SELECT spamcheck.protect('comments')");
    let error = site.client.execute(insert, &[]).expect_err("it is refused");
    assert!(hint(&error).contains("SET LOCAL pg_spamcheck.captcha to its answer"), "{error:?}");
    let answer = solve(crate::site::refused(&error).challenge());
    site.run(&format!("BEGIN; SET LOCAL pg_spamcheck.captcha = '{answer}'; {insert}; COMMIT"));
    assert_eq!(site.statuses(), "approved");
}
