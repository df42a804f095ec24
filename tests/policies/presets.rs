//! create_policy and drop_policy, and what each preset starts with.

use postgres::error::SqlState;

use crate::site::{Site, refused};

#[test]
fn a_new_installation_has_the_default_policy_with_empty_lists() {
    let mut site = Site::bare();
    assert_eq!(
        site.ask(
            "SELECT name, mode, unsubscribe, types, moderate_at, spam_at, reject_at, \
            on_error, on_reject, reject_sqlstate, log_to, keep, retention, notify_channel, \
            mail_to FROM spamcheck.policy"
        ),
        "default|enforce|f||5|10||accept|error|23514|table|full|||"
    );
    assert_eq!(
        site.ask(
            "SELECT check_name FROM spamcheck.check_setting WHERE enabled AND policy = \
            'default' ORDER BY 1"
        ),
        "content\nemail_pattern\nemail_syntax\nhoneypot\nip_allow\nip_block\nlinks"
    );
    assert_eq!(
        site.ask("SELECT name || ' ' || kind FROM spamcheck.list ORDER BY 1"),
        "author_filter regex\nbanned_words word\nbody_filter regex\nemail_block regex\n\
         email_filter regex\nip_allow ip\nip_block ip\nurl_block domain\nurl_filter regex"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.list_entry"), "0");
    // Nothing is rejected, links moderate.
    assert_eq!(
        site.ask(
            "SELECT count(*) FROM spamcheck.check_setting WHERE enabled AND action = 'reject'"
        ),
        "0"
    );
    assert_eq!(
        site.ask("SELECT action, options FROM spamcheck.check_setting WHERE check_name = 'links'"),
        "moderate|{\"over\": 7, \"reject_over\": null}"
    );
    assert_eq!(
        site.ask("SELECT enabled FROM spamcheck.check_setting WHERE check_name = 'akismet'"),
        "f"
    );
}

#[test]
fn every_preset_has_a_row_for_every_check_and_judges() {
    let mut site = Site::new();
    for preset in ["default", "actionkit", "gitlab", "serendipity"] {
        site.run(&format!("SELECT spamcheck.create_policy('my {preset}', '{preset}')"));
        let missing = format!(
            "SELECT name FROM spamcheck.checks EXCEPT SELECT check_name FROM \
                spamcheck.check_setting WHERE policy = 'my {preset}'"
        );
        assert_eq!(site.ask(&missing), "", "{preset}");
        site.run(&format!("SELECT spamcheck.protect('comments', 'my {preset}')"));
        site.run("INSERT INTO comments (author, body) VALUES ('Marie', 'nice')");
    }
    // Lists belong to all policies: what was in them is still there.
    assert_eq!(
        site.ask(
            "SELECT value FROM spamcheck.list_entry WHERE list IN ('banned_words', \
        'ip_block') ORDER BY 1"
        ),
        "10.0.0.0/8\ncasino"
    );
}

#[test]
fn actionkit_is_a_trial_of_its_page_types_with_its_own_words() {
    let mut site = Site::new();
    site.run("ALTER TABLE comments ADD type text");
    site.run(
        "SELECT spamcheck.create_policy('ak', 'actionkit'); SELECT \
        spamcheck.protect('comments', 'ak')",
    );
    assert_eq!(
        site.ask("SELECT mode, types FROM spamcheck.policy WHERE name = 'ak'"),
        "trial|{petition,letter,signup,survey}"
    );
    assert_eq!(
        site.ask(
            "SELECT check_name FROM spamcheck.check_setting WHERE policy = 'ak' AND enabled ORDER \
                BY check_name"
        ),
        "akismet\nrate_limit"
    );
    site.run(
        "UPDATE spamcheck.check_setting SET enabled = check_name = 'content' WHERE policy = 'ak'",
    );
    site.run(
        "INSERT INTO comments (type, body) VALUES ('petition', 'see http://a.example'), \
        ('petition', 'nice'), ('comment', 'see http://a.example'), ('letter', 'HTTPS')",
    );
    assert_eq!(
        site.ask(
            "SELECT row_key ->> 'id', detail ->> 'entry', outcome FROM \
        spamcheck.spam_checklog ORDER BY id"
        ),
        "1|http|flagged\n4|https|flagged"
    );
    assert_eq!(site.ask("SELECT DISTINCT status FROM comments"), "approved");
}

#[test]
fn gitlab_rejects_and_serendipity_counts_links() {
    let mut site = Site::new();
    site.run(
        "SELECT spamcheck.create_policy('gl', 'gitlab'); SELECT \
        spamcheck.create_policy('s9y', 'serendipity')",
    );
    assert_eq!(
        site.ask(
            "SELECT enabled, action FROM spamcheck.check_setting WHERE policy = 'gl' \
        AND check_name = 'akismet'"
        ),
        "t|reject"
    );
    assert_eq!(
        site.ask("SELECT mode, types IS NULL, keep FROM spamcheck.policy WHERE name = 'gl'"),
        "enforce|t|full"
    );
    site.run("SELECT spamcheck.protect('comments', 's9y')");
    let links = |n: usize| {
        format!(
            "INSERT INTO comments (author, body) VALUES ('Marie', '{}') RETURNING status",
            "http://a.example ".repeat(n)
        )
    };
    assert_eq!(site.ask(&links(7)), "approved");
    assert_eq!(site.ask(&links(13)), "pending");
    assert_eq!(refused(&mut site.client, &links(14)).constraint(), Some("spamcheck_reject"));
}

#[test]
fn names_that_are_taken_missing_or_in_use_are_refused() {
    let mut site = Site::new();
    for (statement, code) in [
        ("SELECT spamcheck.create_policy('default')", SqlState::DUPLICATE_OBJECT),
        ("SELECT spamcheck.create_policy('x', 'wordpress')", SqlState::INVALID_PARAMETER_VALUE),
        ("SELECT spamcheck.create_policy('')", SqlState::INVALID_PARAMETER_VALUE),
        ("SELECT spamcheck.create_policy(NULL)", SqlState::NULL_VALUE_NOT_ALLOWED),
        ("SELECT spamcheck.drop_policy('nowhere')", SqlState::UNDEFINED_OBJECT),
        ("SELECT spamcheck.drop_policy(NULL)", SqlState::NULL_VALUE_NOT_ALLOWED),
        ("SELECT spamcheck.drop_policy('default')", SqlState::DEPENDENT_OBJECTS_STILL_EXIST),
        ("SELECT spamcheck.protect('comments', 'nowhere')", SqlState::UNDEFINED_OBJECT),
    ] {
        let error = refused(&mut site.client, statement);
        assert_eq!(error.code(), &code, "{statement}: {error:?}");
        assert!(
            error.hint().is_some_and(|hint| hint.ends_with('.') || hint.ends_with(';')),
            "{statement}: {error:?}"
        );
    }
    assert!(
        refused(&mut site.client, "SELECT spamcheck.create_policy('x', 'wordpress')")
            .hint()
            .unwrap()
            .contains("serendipity")
    );
    assert!(
        refused(&mut site.client, "SELECT spamcheck.drop_policy('default')")
            .detail()
            .unwrap()
            .contains("comments")
    );
}

#[test]
fn a_policy_can_go_once_no_table_is_under_it() {
    let mut site = Site::new();
    site.run(
        "SELECT spamcheck.create_policy('strict'); SELECT spamcheck.protect('comments', \
        'strict'); INSERT INTO comments (body) VALUES ('casino')",
    );
    site.run(
        "SELECT spamcheck.protect('comments', 'default'); SELECT spamcheck.drop_policy('strict')",
    );
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.check_setting WHERE policy = 'strict'"),
        "0"
    );
    assert_eq!(
        site.ask("SELECT policy FROM spamcheck.spam_checklog"),
        "strict",
        "what was logged stays"
    );
    site.run("DROP TABLE comments; SELECT spamcheck.drop_policy('default')");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.policy"), "0");
    // And may come back.
    site.run("SELECT spamcheck.create_policy('default')");
}

#[test]
fn a_preset_is_a_beginning_and_can_be_changed_like_any_policy() {
    let mut site = Site::new();
    site.run("SELECT spamcheck.create_policy('mine', 'gitlab')");
    site.run(
        "UPDATE spamcheck.policy SET mode = 'trial', reject_at = 20, types = '{comment}' \
        WHERE name = 'mine'",
    );
    site.run(
        r#"UPDATE spamcheck.check_setting SET enabled = true, action = 'score', score = 2.5,
        options = '{"over": 3}' WHERE policy = 'mine' AND check_name = 'links'"#,
    );
    assert_eq!(
        site.ask("SELECT mode, reject_at FROM spamcheck.policy WHERE name = 'default'"),
        "enforce|"
    );
    site.run("SELECT spamcheck.protect('comments', 'mine')");
    site.run(
        "INSERT INTO comments (body) VALUES ('http://a.example http://b.example \
        http://c.example http://d.example')",
    );
    assert_eq!(
        site.ask("SELECT policy, score, total_score, outcome FROM spamcheck.spam_checklog"),
        "mine|2.5|2.5|flagged"
    );
}
