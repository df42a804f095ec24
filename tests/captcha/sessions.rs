//! One answer in several sessions and transactions.

use support::captcha::solve;
use support::wait;

use crate::site::{SOON, World};

#[test]
fn of_two_sessions_with_one_answer_the_later_waits_and_is_refused() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    let insert = "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', $1)";
    let mut first = site.database.client();
    let mut transaction = first.transaction().expect("it begins");
    transaction.execute(insert, &[&answer]).expect("it goes in");
    let (mut second, theirs) = (site.database.client(), answer.clone());
    let waiting = std::thread::spawn(move || second.execute(insert, &[&theirs]).is_err());
    site.until(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'",
        "1",
    );
    transaction.commit().expect("it is committed");
    assert!(waiting.join().expect("it ends"), "the second is refused");
    assert_eq!(site.get("SELECT count(*) FROM comments"), "1");
}

#[test]
fn what_is_rolled_back_has_used_nothing() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    let insert = "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', $1)";
    let mut first = site.database.client();
    let mut transaction = first.transaction().expect("it begins");
    transaction.execute(insert, &[&answer]).expect("it goes in");
    let (mut second, theirs) = (site.database.client(), answer.clone());
    let waiting = std::thread::spawn(move || second.execute(insert, &[&theirs]).is_ok());
    site.until(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'",
        "1",
    );
    transaction.rollback().expect("it is rolled back");
    assert!(waiting.join().expect("it ends"), "the second is let in");
    // A savepoint is a small one.
    let answer = solve(&site.challenge("A fine evening"));
    site.run(&format!(
        "BEGIN; SAVEPOINT a;
         INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine evening', '{answer}');
         ROLLBACK TO a;
         INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine evening', '{answer}');
         COMMIT"
    ));
    assert_eq!(site.get("SELECT count(*) FROM comments"), "2");
}

#[test]
fn twenty_sessions_at_once_get_one_row_in() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    let passed: usize = std::thread::scope(|scope| {
        let (database, answer) = (&site.database, &answer);
        let one = move || {
            let insert =
                "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', $1)";
            usize::from(database.client().execute(insert, &[answer]).is_ok())
        };
        let all: Vec<_> = (0..20).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().expect("it ends")).sum()
    });
    assert_eq!(passed, 1);
    assert_eq!(site.get("SELECT count(*) FROM comments"), "1");
}

#[test]
fn an_old_transaction_cannot_use_what_was_used_since() {
    let mut site = World::shared().site("{}");
    let answer = solve(&site.challenge("A fine day"));
    let mut old = site.database.client();
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM comments")
        .expect("it begins");
    site.comment("A fine day", Some(&answer)).expect("it goes in");
    let insert = "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', $1)";
    assert!(old.execute(insert, &[&answer]).is_err());
}

#[test]
fn one_answer_does_for_an_upsert_and_for_no_second_row() {
    let mut site = World::shared().site(r#"{"when": "suspicious"}"#);
    site.links("challenge");
    site.run("INSERT INTO comments (id, author, body) VALUES (1000, 'Ann', 'a draft')");
    let body = "see www.example.com";
    let answer = solve(&site.challenge(body));
    site.run(&format!(
        "INSERT INTO comments (id, author, body, captcha) VALUES (1000, 'Ann', '{body}', '{answer}')
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, captcha = excluded.captcha"
    ));
    assert_eq!(site.get("SELECT body FROM comments"), body);
    let answer = solve(&site.challenge("see www.example.org"));
    let twice = format!(
        "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'see www.example.org', '{answer}'),
                ('Ann', 'see www.example.org', '{answer}')"
    );
    assert!(site.client.batch_execute(&twice).is_err());
}

#[test]
fn used_answers_are_forgotten_once_they_have_expired() {
    let mut site = World::shared().site("{}");
    site.run(
        "INSERT INTO spamcheck._captcha_used SELECT decode(md5(n::text), 'hex'), now() - interval '1 second'
           FROM generate_series(1, 10500) n;
         INSERT INTO spamcheck._captcha_used VALUES ('\\x01', now() + interval '1 hour')",
    );
    // A new worker looks soon.
    site.run("SELECT pg_terminate_backend(pid) FROM spamcheck.stat_worker");
    wait::until(SOON, "the expired to be gone", || {
        site.get("SELECT count(*) FROM spamcheck._captcha_used") == "1"
    });
    assert_eq!(site.get("SELECT encode(challenge, 'hex') FROM spamcheck._captcha_used"), "01");
}

/// An INSERT of Ann's comment with an answer that stores nothing, since there is such an id.
fn of_nothing(body: &str, answer: &str) -> String {
    format!(
        "INSERT INTO comments (id, author, body, captcha) VALUES (1000, 'Ann', '{body}', '{answer}')
         ON CONFLICT DO NOTHING"
    )
}

#[test]
fn a_row_that_is_not_stored_has_used_nothing() {
    let mut site = World::shared().site("{}");
    let first = solve(&site.challenge("The first day"));
    site.run(&of_nothing("The first day", &first));
    // Now the id is taken. In one transaction, and in the next one.
    let answer = solve(&site.challenge("A fine day"));
    let nothing = of_nothing("A fine day", &answer);
    site.run(&format!(
        "BEGIN; {nothing}; {nothing};
         INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', '{answer}'); COMMIT"
    ));
    assert!(site.client.batch_execute(&nothing).is_err(), "it is used up now");
    let answer = solve(&site.challenge("A fine evening"));
    site.run(&of_nothing("A fine evening", &answer));
    assert_eq!(site.get("SELECT count(*) FROM spamcheck._captcha_used"), "2");
    site.comment("A fine evening", Some(&answer)).expect("it goes in");
    site.comment("A fine evening", Some(&answer)).expect_err("it was used");
    assert_eq!(site.get("SELECT count(*) FROM comments"), "3");
}

#[test]
fn whoever_waits_for_a_row_that_is_not_stored_gets_in_and_nobody_after_him() {
    let mut site = World::shared().site("{}");
    let first = solve(&site.challenge("The first day"));
    site.run(&of_nothing("The first day", &first));
    let answer = solve(&site.challenge("A fine day"));
    let mut theirs = site.database.client();
    theirs
        .batch_execute(&format!("BEGIN; {}", of_nothing("A fine day", &answer)))
        .expect("it runs");
    let insert = "INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'A fine day', $1)";
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (mut client, answer) = (site.database.client(), answer.clone());
            std::thread::spawn(move || usize::from(client.execute(insert, &[&answer]).is_ok()))
        })
        .collect();
    site.until(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'",
        "3",
    );
    theirs.batch_execute("COMMIT").expect("it is committed");
    let passed: usize = waiting.into_iter().map(|one| one.join().expect("it ends")).sum();
    assert_eq!(passed, 1);
    assert_eq!(site.get("SELECT count(*) FROM comments"), "2");
}

#[test]
fn what_a_savepoint_took_back_is_taken_back_again_after_it() {
    let mut site = World::shared().site("{}");
    let first = solve(&site.challenge("The first day"));
    site.run(&of_nothing("The first day", &first));
    let (one, other) = (solve(&site.challenge("One")), solve(&site.challenge("Other")));
    site.run(&format!(
        "BEGIN; {}; SAVEPOINT a; INSERT INTO comments (author, body, captcha) VALUES ('Ann', 'Other', '{other}');
         ROLLBACK TO a; COMMIT",
        of_nothing("One", &one)
    ));
    site.comment("One", Some(&one)).expect("it goes in");
    site.comment("Other", Some(&other)).expect("it goes in");
    for (body, answer) in [("One", one), ("Other", other)] {
        site.comment(body, Some(&answer)).expect_err("it was used");
    }
}

#[test]
fn a_row_that_another_trigger_keeps_out_has_used_nothing() {
    let mut site = World::shared().site("{}");
    site.run(
        "CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER zzzzz_last BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION keep_out()",
    );
    let answer = solve(&site.challenge("A fine day"));
    site.comment("A fine day", Some(&answer)).expect("it runs");
    assert_eq!(site.get("SELECT count(*) FROM comments"), "0");
    site.run("DROP TRIGGER zzzzz_last ON comments");
    site.comment("A fine day", Some(&answer)).expect("it goes in");
    site.comment("A fine day", Some(&answer)).expect_err("it was used");
}

#[test]
fn an_upsert_that_edits_a_row_uses_its_answer_up() {
    let mut site = World::shared().site("{}");
    let first = solve(&site.challenge("The first day"));
    site.run(&of_nothing("The first day", &first));
    let answer = solve(&site.challenge("A fine day"));
    let upsert = format!(
        "INSERT INTO comments (id, author, body, captcha) VALUES (1000, 'Ann', 'A fine day', '{answer}')
         ON CONFLICT (id) DO UPDATE SET body = excluded.body"
    );
    // Not where its condition does not hold.
    site.run(&format!("{upsert} WHERE comments.author = 'Bob'"));
    assert_eq!(site.get("SELECT body FROM comments"), "The first day");
    site.run(&upsert);
    assert_eq!(site.get("SELECT body FROM comments"), "A fine day");
    site.comment("A fine day", Some(&answer)).expect_err("it was used");
    assert!(site.client.batch_execute(&upsert).is_err());
}
