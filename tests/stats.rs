//! The views that say how it goes: what each check found and what moderators said of it, what became of the
//! submissions of each table and day, and that all of it can be read in a terminal.

#[path = "statements/site.rs"]
mod site;

use site::Site;

/// Two rules, of which one is a shadow, and five comments: three hit by the first, two by the second.
fn site() -> Site {
    let mut site = Site::new();
    site.check("ip_block", "action = 'log'");
    site.run(
        "INSERT INTO comments (body, ip) VALUES ('fine', '192.0.2.1'), ('casino 1', '192.0.2.1'),
            ('casino 2', '10.0.0.1'), ('fine', '10.0.0.1'), ('casino 3', '192.0.2.1')",
    );
    site
}

fn check(site: &mut Site, name: &str) -> String {
    site.ask(&format!(
        "SELECT hits, suppressed, reversed, confirmed, unreviewed, precision, errors FROM spamcheck.stat_check WHERE check_name = '{name}'"
    ))
}

/// What the functions of moderators leave in the log.
fn decide(site: &mut Site, body: &str, spam: bool) {
    let set = if spam {
        "_decision = 'spam', _outcome = outcome, outcome = 'deleted'"
    } else {
        "_decision = 'ham', _outcome = outcome, outcome = 'not_spam', reversed = true"
    };
    site.run(&format!("UPDATE spamcheck.spam_checklog SET {set} WHERE comment = '{body}'"));
}

#[test]
fn precision_is_what_moderators_say_and_what_they_did_not_look_at_counts_on_neither_side() {
    let mut site = site();
    assert_eq!(check(&mut site, "content"), "3|3|0|0|3||0");
    assert_eq!(check(&mut site, "ip_block"), "2|0|0|0|2||0", "a shadow has hits, too");
    assert_eq!(check(&mut site, "links"), "0|0|0|0|0||0");
    decide(&mut site, "casino 1", true);
    assert_eq!(check(&mut site, "content"), "3|3|0|1|2|1|0");
    decide(&mut site, "casino 2", false);
    assert_eq!(check(&mut site, "content"), "3|3|1|1|1|0.5|0");
    assert_eq!(check(&mut site, "ip_block"), "2|0|1|0|1|0|0");
    decide(&mut site, "casino 3", true);
    assert_eq!(check(&mut site, "content"), "3|3|1|2|0|0.6666667|0");
}

#[test]
fn spam_that_was_let_in_speaks_against_the_check_that_let_it_in() {
    let mut site = Site::new();
    site.check("ip_allow", "enabled = true");
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '198.51.100.0/24');
         INSERT INTO comments (body, ip) VALUES ('casino', '198.51.100.1'), ('casino', '198.51.100.1')",
    );
    assert_eq!(check(&mut site, "ip_allow"), "2|0|0|0|2||0");
    site.run("SELECT spamcheck.report_spam('comments', '1')");
    assert_eq!(check(&mut site, "ip_allow"), "2|0|1|0|1|0|0");
    assert_eq!(check(&mut site, "content"), "2|0|0|1|1|1|0");
    site.run("SELECT spamcheck.not_spam(id) FROM spamcheck.spam_checklog WHERE row_key ->> 'id' = '2' AND check_name = 'content'");
    assert_eq!(check(&mut site, "ip_allow"), "2|0|1|1|0|0.5|0");
    assert_eq!(check(&mut site, "content"), "2|0|1|1|0|0.5|0");
}

#[test]
fn what_a_check_decided_by_failing_counts_for_the_table() {
    let mut site = Site::new();
    site.run("DELETE FROM spamcheck.list WHERE name = 'banned_words'");
    let counts = "SELECT logged, moderated, rejected, waiting FROM spamcheck.stat_table";
    site.run("INSERT INTO comments (body) VALUES ('accepted')");
    assert_eq!(site.ask(counts), "1|0|0|0");
    site.policy("on_error = 'moderate'");
    site.run("INSERT INTO comments (body) VALUES ('moderated')");
    assert_eq!(site.ask(counts), "2|1|0|1");
    site.policy("on_error = 'reject'");
    let refused = site.client.batch_execute("INSERT INTO comments (body) VALUES ('rejected')");
    assert!(refused.is_err());
    assert_eq!(site.ask(counts), "3|1|1|1");
    let decided = "SELECT outcome, detail ->> 'decided' FROM spamcheck.spam_checklog ORDER BY id";
    assert_eq!(site.ask(decided), "error|\nerror|moderated\nerror|rejected");
    site.run("SELECT spamcheck.approve('comments', '2')");
    assert_eq!(site.ask(counts), "3|1|1|0");
}

#[test]
fn a_check_that_fails_has_errors_and_no_hits() {
    let mut site = Site::new();
    site.run("DELETE FROM spamcheck.list WHERE name = 'banned_words'");
    site.run("INSERT INTO comments (body) VALUES ('x'), ('y')");
    assert_eq!(check(&mut site, "content"), "0|0|0|0|0||2");
    // What moderators say of the rows says nothing of a check that said nothing.
    decide(&mut site, "x", true);
    decide(&mut site, "y", false);
    assert_eq!(check(&mut site, "content"), "0|0|0|0|0||2");
}

#[test]
fn each_table_and_day_counts_submissions_once_whatever_hit_them() {
    let mut site = site();
    site.check("ip_block", "action = 'moderate'");
    site.run(
        "INSERT INTO comments (body, ip) VALUES ('held', '10.0.0.1'), ('casino both', '10.0.0.1')",
    );
    site.check("content", "action = 'reject'");
    assert!(site.client.batch_execute("INSERT INTO comments (body) VALUES ('casino no')").is_err());
    site.run("CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', status => '{}')");
    let tables = "SELECT relation, logged, moderated, suppressed, rejected, reversed, waiting, lookups FROM spamcheck.stat_table";
    assert_eq!(site.ask(tables), "comments|7|1|4|1|0|1|0\nnotes|0|0|0|0|0|0|0");
    site.run("SELECT spamcheck.stat_reset()");
    let waiting = "SELECT logged, moderated, waiting FROM spamcheck.stat_table WHERE logged > 0 OR waiting > 0";
    assert_eq!(site.ask(waiting), "0|0|1", "who waits, waits on");
    site.run("DELETE FROM spamcheck._stat_reset");
    decide(&mut site, "held", false);
    assert_eq!(site.ask(tables), "comments|7|1|4|1|1|0|0\nnotes|0|0|0|0|0|0|0");
    site.run("UPDATE spamcheck.spam_checklog SET logged_at = logged_at - interval '3 days' WHERE comment = 'casino 1'");
    assert_eq!(
        site.ask("SELECT current_date - day, logged, flagged, allowed, challenged, moderated, suppressed, rejected, errors, reversed FROM spamcheck.stat_daily"),
        "0|6|1|0|0|1|3|1|0|1\n3|1|0|0|0|0|1|0|0|0"
    );
}

#[test]
fn the_time_of_checks_is_measured_on_some_rows_of_any_session() {
    let mut site = Site::new();
    let times = "SELECT count(*) FROM spamcheck.stat_check WHERE time > 0 AND time < 1000000";
    assert_eq!(site.ask(times), "0");
    site.run("INSERT INTO comments (body) SELECT 'fine ' || n FROM generate_series(1, 200) n");
    let timed = "SELECT string_agg(check_name, ' ' ORDER BY check_name) FROM spamcheck.stat_check WHERE time > 0";
    assert!(site.ask(timed).contains("content"), "{}", site.ask(timed));
    site.run("SELECT spamcheck.stat_reset()");
    assert_eq!(site.ask(times), "0");
    // One row a session: in 64 sessions in a row of process ids, some session's turn comes.
    for _ in 0..200 {
        let mut client = site.db.client();
        site::run(&mut client, "INSERT INTO comments (body) VALUES ('fine')");
    }
    assert_ne!(site.ask(times), "0");
}

#[test]
fn counting_begins_anew_and_the_log_stays() {
    let mut site = site();
    site.run("SELECT spamcheck.stat_reset()");
    assert_eq!(check(&mut site, "content"), "0|0|0|0|0||0");
    assert_eq!(site.ask("SELECT sum(logged) FROM spamcheck.stat_table"), "0");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.stat_daily"), "0");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "5");
    site.run("INSERT INTO comments (body) VALUES ('casino 4')");
    assert_eq!(check(&mut site, "content"), "1|1|0|0|1||0");
    site.run("SELECT spamcheck.stat_reset()");
    assert_eq!(check(&mut site, "content"), "0|0|0|0|0||0");
}

#[test]
fn the_views_can_be_read_in_a_terminal_of_120_columns() {
    let mut site = site();
    let name = site.db.name().to_owned();
    let output = |sql: &str| {
        let mut psql = site.db.cluster().program("psql");
        let output = psql.args(["-X", "-d", &name, "-c", sql]).output().expect("psql runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for view in ["stat_check", "stat_table", "stat_daily"] {
        let text = output(&format!("SELECT * FROM spamcheck.{view}"));
        let widest = text.lines().map(|line| line.trim_end().chars().count()).max().unwrap_or(0);
        assert!(widest <= 120, "{view}: {widest}\n{text}");
    }
    // Wrapped, as psql does on its own for a terminal when it is told to.
    let text =
        output("\\pset format wrapped \\pset columns 120 \\\\ SELECT * FROM spamcheck.health()");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    site.run("SELECT 1");
}

#[test]
fn analysts_read_and_only_an_admin_resets() {
    let mut site = site();
    for (level, may_reset) in [("analyst", false), ("moderator", false), ("admin", true)] {
        let role = site.role(level);
        site.run(&format!("SELECT spamcheck.grant_access('{role}', '{level}')"));
        let mut client = site.db.client_as(&role);
        for view in ["stat_check", "stat_table", "stat_daily", "stat_worker"] {
            assert_ne!(
                site::ask(&mut client, &format!("SELECT count(*) FROM spamcheck.{view}")),
                "0",
                "{level} {view}"
            );
        }
        assert_eq!(
            client.batch_execute("SELECT spamcheck.stat_reset()").is_ok(),
            may_reset,
            "{level}"
        );
    }
}
