//! Every column of spam_checklog for every outcome that a judgement has, as interface section 8 promises
//! it. Outcomes that only staff give are shown with the functions of moderators.

use crate::site::Site;

/// A table with a column for everything that the log has one for.
const TABLE: &str = "
    CREATE TABLE comments (id int, lang text, author text, email text, ip inet, url text, user_agent text, page text,
        body text, status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
        PRIMARY KEY (id, lang));
    SELECT spamcheck.protect('comments');
    INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino'), ('ip_allow', '192.0.2.0/24');
    UPDATE spamcheck.check_setting SET enabled = false WHERE check_name NOT IN ('content', 'ip_allow')";

/// The columns that say what was found, on whom; then those about the row.
const FOUND: &str = "
    SELECT check_name, action, outcome, score, total_score, why, allowed, reversed, reversed_at, reversed_by, policy
      FROM spamcheck.spam_checklog ORDER BY id";
const ABOUT: &str = "
    SELECT relation, row_key, author, email, ip, url, user_agent, page, comment, submission IS NOT NULL,
           submission_id IS NOT NULL AND logged_at BETWEEN now() - interval '1 minute' AND clock_timestamp()
      FROM spamcheck.spam_checklog ORDER BY id";

fn site() -> Site {
    let mut site = Site::bare();
    site.run(TABLE);
    site
}

/// Inserts one comment; a refusal is what some outcomes are about.
fn comment(site: &mut Site, ip: &str) {
    let _ = site.client.batch_execute(&format!(
        "INSERT INTO comments (id, lang, author, email, ip, url, user_agent, page, body)
         VALUES (7, 'de', 'Ann', 'ann@example.com', '{ip}', 'https://ann.example/', 'Mozilla', 'About us', 'a casino')"
    ));
}

#[test]
fn every_outcome_fills_every_column() {
    // What sets the check, the policy and the sender; action, outcome, score, sum; whether it was stored.
    let cases = [
        ("action = 'spam'", "keep = 'full'", "10.0.0.1", "spam|suppressed|0|0", true),
        (
            "action = 'score', score = 2.5",
            "keep = 'full'",
            "10.0.0.1",
            "score|flagged|2.5|2.5",
            true,
        ),
        ("action = 'score', score = 7", "keep = 'full'", "10.0.0.1", "score|moderated|7|7", true),
        ("action = 'log', score = 7", "keep = 'full'", "10.0.0.1", "log|flagged|0|0", true),
        ("action = 'moderate'", "keep = 'full'", "10.0.0.1", "moderate|moderated|0|0", true),
        ("action = 'spam'", "mode = 'trial'", "10.0.0.1", "spam|flagged|0|0", true),
        ("action = 'reject'", "keep = 'full'", "10.0.0.1", "reject|rejected|0|0", false),
        ("action = 'reject'", "on_reject = 'drop'", "10.0.0.1", "reject|rejected|0|0", false),
    ];
    for (check, policy, ip, found, stored) in cases {
        let mut site = site();
        site.check("content", check);
        site.policy(policy);
        comment(&mut site, ip);
        let case = format!("{check}, {policy}");
        let why = r#"banned word "casino" in body"#;
        assert_eq!(site.ask(FOUND), format!("content|{found}|{why}|f|f|||default"), "{case}");
        let key = if stored { r#"{"id": 7, "lang": "de"}"# } else { "" };
        let whole = if stored { "f" } else { "t" };
        assert_eq!(
            site.ask(ABOUT),
            format!(
                "public.comments|{key}|Ann|ann@example.com|{ip}|https://ann.example/|Mozilla|About us|a casino|{whole}|t"
            ),
            "{case}"
        );
        let detail = site.ask("SELECT detail ->> 'list', detail ->> 'entry', detail ->> 'field' FROM spamcheck.spam_checklog");
        assert_eq!(detail, "banned_words|casino|body", "{case}");
    }
}

#[test]
fn what_was_allowed_is_logged_with_what_allowed_it() {
    let mut site = site();
    comment(&mut site, "192.0.2.1");
    let found = site.ask(FOUND);
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 2, "{found}");
    assert!(lines[0].starts_with("ip_allow|allow|allowed|0|0|"), "{found}");
    assert!(lines[1].starts_with("content|spam|allowed|0|0|banned word"), "{found}");
    assert!(lines.iter().all(|line| line.ends_with("|t|f|||default")), "{found}");
    assert_eq!(site.ask("SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog"), "1");
}

#[test]
fn a_check_that_fails_is_an_error_with_its_reason() {
    let mut site = site();
    site.run("DELETE FROM spamcheck.list WHERE name = 'banned_words'");
    comment(&mut site, "10.0.0.1");
    let found = site.ask(FOUND);
    assert!(
        found.starts_with("content|error|error|0|0|there is no list \"banned_words\"|f|f|"),
        "{found}"
    );
    assert_eq!(site.ask("SELECT detail ? 'error' FROM spamcheck.spam_checklog"), "t");
    assert!(site.ask(ABOUT).contains("|a casino|f|t"));
}

#[test]
fn a_policy_that_keeps_less_keeps_no_more_of_any_outcome() {
    let long = format!("a casino {}", "ä".repeat(500));
    let hash = |site: &mut Site| {
        site.ask(&format!("SELECT encode(sha256(convert_to('{long}', 'UTF8')), 'hex')"))
    };
    for action in ["spam", "moderate", "reject"] {
        for keep in ["excerpt", "hash"] {
            let mut site = site();
            site.check("content", &format!("action = '{action}'"));
            site.policy(&format!("keep = '{keep}'"));
            let _ = site.client.batch_execute(&format!(
                "INSERT INTO comments (id, lang, body) VALUES (1, 'de', '{long}')"
            ));
            let kept = site.ask("SELECT comment, submission FROM spamcheck.spam_checklog");
            let expected = match keep {
                "excerpt" => long.chars().take(200).collect(),
                _ => hash(&mut site),
            };
            assert_eq!(kept, format!("{expected}|"), "{action} {keep}");
            let whole = site.ask("SELECT to_jsonb(l)::text FROM spamcheck.spam_checklog l");
            assert!(!whole.contains(&"ä".repeat(201)), "{action} {keep}: {whole}");
        }
    }
}

#[test]
fn recent_has_the_log_newest_first() {
    let mut site = site();
    site.run(
        "INSERT INTO comments (id, lang, body) SELECT n, 'de', 'a casino' FROM generate_series(1, 5) n;
         UPDATE spamcheck.spam_checklog SET logged_at = now() + interval '1 hour' WHERE row_key ->> 'id' = '2'",
    );
    assert_eq!(
        site.ask("SELECT string_agg(key, ' ') FROM (SELECT row_key ->> 'id' AS key FROM spamcheck.recent) r"),
        "2 5 4 3 1"
    );
}
