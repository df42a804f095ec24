//! GitLab's way: what Akismet calls spam is challenged, and goes in once somebody has solved the captcha.

use support::akismet::{Endpoint, SPAM};
use support::captcha::solve;
use support::http::Reply;

use crate::site::{Site, World, refused};

/// A database with GitLab's issues under its preset. Texts are told from other tests' by `name`.
fn gitlab(world: &'static World, name: &str) -> Site<'static> {
    let mut site = world.site("{}");
    site.run(&format!(
        r#"CREATE TABLE issues (id serial PRIMARY KEY, title text, description text, state text);
           SELECT spamcheck.create_policy('gitlab', 'gitlab');
           UPDATE spamcheck.check_setting SET options = options || '{{"wait_ms": 20000, "blog": "https://{name}.example/"}}'
            WHERE policy = 'gitlab' AND check_name = 'akismet';
           SELECT spamcheck.protect('issues', 'gitlab', columns => '{{"body": ["title", "description"]}}', status => '{{}}')"#
    ));
    site
}

fn asked(world: &World, name: &str) -> usize {
    let blog = format!("https://{name}.example/");
    let checks = world.akismet.requests_for(Endpoint::CommentCheck);
    checks.iter().filter(|request| request.param("blog").as_deref() == Some(&*blog)).count()
}

fn insert(site: &mut Site<'_>, description: &str, answer: &str) -> Result<(), postgres::Error> {
    let mut transaction = site.client.transaction()?;
    transaction.execute("SELECT set_config('pg_spamcheck.captcha', $1, true)", &[&answer])?;
    transaction.execute(
        "INSERT INTO issues (title, description) VALUES ('It breaks', $1)",
        &[&description],
    )?;
    transaction.commit()
}

#[test]
fn an_issue_that_akismet_calls_spam_goes_in_once_the_captcha_is_solved() {
    let world = World::shared();
    let mut site = gitlab(world, "flow");
    let error = insert(&mut site, SPAM, "").expect_err("it is refused");
    assert_eq!(refused(&error).constraint, "spamcheck_reject", "there is no captcha yet");

    site.run("UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'gitlab' AND check_name = 'captcha'");
    insert(&mut site, "a honest report", "").expect("nothing speaks against it");
    let error = insert(&mut site, SPAM, "").expect_err("it is refused");
    let challenged = refused(&error);
    assert_eq!(
        site.log(),
        [
            "akismet challenge challenged: Akismet calls it spam",
            "captcha challenge challenged: there is no answer to the captcha"
        ]
    );
    let before = asked(world, "flow");
    insert(&mut site, SPAM, &solve(challenged.challenge())).expect("it goes in");
    assert_eq!(site.log(), ["captcha challenge allowed: captcha solved"]);
    assert_eq!(asked(world, "flow"), before, "Akismet is not asked about it again");
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    assert_eq!(site.get("SELECT count(*) FROM issues"), "2");
}

#[test]
fn an_answer_that_was_got_beforehand_does_when_akismet_objects() {
    let world = World::shared();
    let mut site = gitlab(world, "beforehand");
    site.run("UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'gitlab' AND check_name = 'captcha'");
    let challenge: String =
        site.get("SELECT spamcheck.captcha_new(relation => 'issues')::text AS c");
    let answer = solve(&serde_json::from_str(&challenge).expect("JSON"));
    // Not used up by what nobody objects to.
    insert(&mut site, "a honest report", &answer).expect("it goes in");
    insert(&mut site, SPAM, &answer).expect("it goes in");
    assert_eq!(
        site.log(),
        [
            "akismet challenge allowed: Akismet calls it spam",
            "captcha challenge allowed: captcha solved"
        ]
    );
    assert!(insert(&mut site, SPAM, &answer).is_err());
}

#[test]
fn what_akismet_calls_blatant_gets_no_captcha() {
    let world = World::shared();
    let mut site = gitlab(world, "blatant");
    site.run("UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'gitlab' AND check_name = 'captcha'");
    let of_this_test = Endpoint::CommentCheck.with("blog", "https://blatant.example/");
    world.akismet.always(of_this_test, Reply::text("true").header("X-akismet-pro-tip", "discard"));
    let error = insert(&mut site, "cheap", "").expect_err("it is refused");
    assert_eq!(refused(&error).constraint, "spamcheck_reject");
    assert_eq!(
        site.log(),
        ["akismet reject rejected: Akismet calls it spam that nobody needs to review"]
    );
}

#[test]
fn a_captcha_for_everybody_does_not_soften_akismet() {
    let world = World::shared();
    let mut site = gitlab(world, "always");
    site.run("UPDATE spamcheck.check_setting SET enabled = true, options = '{\"types\": null}' WHERE policy = 'gitlab' AND check_name = 'captcha'");
    let error = insert(&mut site, SPAM, "").expect_err("it is refused");
    assert_eq!(asked(world, "always"), 0, "who has to solve a captcha anyway is told so at once");
    let answer = solve(refused(&error).challenge());
    let error = insert(&mut site, SPAM, &answer).expect_err("it is refused");
    assert_eq!(refused(&error).constraint, "spamcheck_reject");
}

#[test]
fn a_late_answer_moderates_whom_a_timely_one_would_have_challenged() {
    let world = World::new(support::cluster::ClusterOptions::default());
    let mut site = world.site("{}");
    site.run(
        r#"CREATE TABLE issues (id serial PRIMARY KEY, title text, description text,
               state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'review', 'spam')));
           SELECT spamcheck.create_policy('gitlab', 'gitlab');
           UPDATE spamcheck.check_setting SET enabled = true WHERE policy = 'gitlab' AND check_name = 'captcha';
           UPDATE spamcheck.check_setting SET options = options || '{"wait_ms": 100, "blog": "https://late.example/"}'
            WHERE policy = 'gitlab' AND check_name = 'akismet';
           SELECT spamcheck.protect('issues', 'gitlab', columns => '{"body": ["title", "description"]}',
               status => '{"column": "state", "ham": "open", "moderate": "review", "spam": "spam"}')"#,
    );
    let late = Endpoint::CommentCheck.with("blog", "https://late.example/");
    world.akismet.always(late, Reply::text("true").delay(std::time::Duration::from_millis(400)));
    site.run("INSERT INTO issues (title, description) VALUES ('It', 'late')");
    site.until("SELECT state FROM issues", "review");
    assert_eq!(site.log(), ["akismet challenge moderated: Akismet calls it spam"]);
}
