//! report_spam: a row becomes spam because somebody says so.

use crate::{call, outcomes, site};

#[test]
fn a_row_that_nobody_suspected_becomes_spam_and_the_log_says_who_said_so() {
    let mut site = site();
    site.run("INSERT INTO comments (author, body) VALUES ('Ann', 'buy now')");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "done|spam");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(
        site.ask("SELECT relation, row_key, check_name, action, outcome, why, author, comment FROM spamcheck.recent"),
        "public.comments|{\"id\": 1}|staff|spam|suppressed|postgres reported it as spam|Ann|buy now"
    );
}

#[test]
fn again_it_changes_nothing() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('buy now'); SELECT spamcheck.report_spam('comments', '1')");
    let before = site.ask("SELECT l FROM spamcheck.spam_checklog l");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "already|unchanged");
    assert_eq!(site.ask("SELECT l FROM spamcheck.spam_checklog l"), before);
}

#[test]
fn it_can_be_taken_back_and_said_again() {
    let mut site = site();
    site.run("INSERT INTO comments (body, status) VALUES ('buy now', 'approved'); SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(outcomes(&mut site), "staff not_spam by postgres");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "done|spam");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(outcomes(&mut site), "staff not_spam by postgres, staff suppressed");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn a_moderated_row_becomes_spam_and_its_own_status_is_not_forgotten() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('maybe')");
    assert_eq!(site.statuses(), "1 pending");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "done|spam");
    assert_eq!(outcomes(&mut site), "wordfilter suppressed, staff suppressed");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved", "not pending, which was the checks' word");
    assert_eq!(outcomes(&mut site), "wordfilter not_spam by postgres, staff not_spam by postgres");
}

#[test]
fn what_was_taken_back_is_not_found_again() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino'); SELECT spamcheck.not_spam(1)");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "done|spam");
    assert_eq!(outcomes(&mut site), "content not_spam by postgres, staff suppressed");
}

#[test]
fn what_the_checks_found_to_be_spam_is_confirmed() {
    let mut site = site();
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "already|unchanged");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "already|unchanged");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2");
}

#[test]
fn in_a_trial_staff_may_suppress_what_was_only_flagged() {
    let mut site = site();
    site.policy("mode = 'trial'");
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(call(&mut site, "report_spam('comments', '1')"), "done|spam");
    assert_eq!(site.statuses(), "1 spam");
    assert_eq!(outcomes(&mut site), "content flagged, staff suppressed");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(site.statuses(), "1 approved");
}

#[test]
fn a_table_without_a_status_has_it_in_the_log() {
    let mut site = site();
    site.run(
        "CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', status => '{}');
         INSERT INTO notes VALUES (1, 'buy')",
    );
    assert_eq!(call(&mut site, "report_spam('notes', '1')"), "done|unchanged");
    assert_eq!(call(&mut site, "report_spam('notes', '1')"), "already|unchanged");
    assert_eq!(outcomes(&mut site), "staff suppressed");
}

#[test]
fn reported_again_a_row_gets_back_what_it_had_the_last_time() {
    for again in
        ["SELECT spamcheck.report_spam('comments', '1')", "UPDATE comments SET status = 'spam'"]
    {
        let mut site = site();
        site.run(
            "ALTER TABLE comments DROP CONSTRAINT comments_status_check; INSERT INTO comments (body) VALUES ('fine');
             SELECT spamcheck.report_spam('comments', '1'); SELECT spamcheck.not_spam(1);
             UPDATE comments SET status = 'hidden'",
        );
        let role = site.role("second");
        site.run(&format!("ALTER ROLE {role} SUPERUSER; SET SESSION AUTHORIZATION {role}; {again}; RESET SESSION AUTHORIZATION"));
        assert_eq!(
            site.ask(
                "SELECT why LIKE 'second_%', reversed FROM spamcheck.spam_checklog ORDER BY id"
            ),
            "f|t\nt|f",
            "{again}"
        );
        assert_eq!(call(&mut site, "not_spam(2)"), "done|restored", "{again}");
        assert_eq!(site.statuses(), "1 hidden", "{again}");
    }
}

#[test]
fn a_row_that_waits_for_an_answer_gets_its_own_status_back() {
    let mut site = site();
    // Without a key nobody is asked, so no answer comes.
    site.check(
        "akismet",
        "enabled = true, options = '{\"blog\": \"https://blog.example/\", \"mode\": \"hold\"}'",
    );
    site.run(
        "ALTER TABLE comments DROP CONSTRAINT comments_status_check;
         INSERT INTO comments (body, ip, status) VALUES ('a', '192.0.2.1', 'hidden'), ('b', '192.0.2.1', 'hidden')",
    );
    assert_eq!(site.statuses(), "1 pending\n2 pending");
    site.run("SELECT spamcheck.report_spam('comments', '1'); UPDATE comments SET status = 'spam' WHERE id = 2");
    assert_eq!(call(&mut site, "not_spam(1)"), "done|restored");
    assert_eq!(call(&mut site, "not_spam(2)"), "done|restored");
    assert_eq!(site.statuses(), "1 hidden\n2 hidden");
}
