//! The page's lines, from top to bottom.

use serde_json::json;
use support::akismet::{KEY, SPAM};

use crate::project::{Issue, Project, spam};

#[test]
fn the_creation_of_spam_issues_is_prevented() {
    let mut project = Project::new();
    assert!(project.takes(&Issue::default()));
    let error = project.create(&spam()).expect_err("it is spam");
    assert_eq!((error.code().code(), error.constraint()), ("23514", Some("spamcheck_reject")));
    assert_eq!(error.detail(), Some(r#"{"code":"spamcheck_reject","relation":"public.issues"}"#));
    assert_eq!(project.site.get("SELECT count(*) FROM issues"), "1");
}

#[test]
fn issues_from_the_web_and_from_the_api_are_submitted() {
    let mut project = Project::new();
    for source in ["form", "api"] {
        assert!(project.takes(&Issue { source, ..Issue::default() }), "{source}");
        assert!(!project.takes(&Issue { source, ..spam() }), "{source}");
    }
    assert_eq!(project.site.requests().len(), 4);
}

#[test]
fn all_issues_are_submitted_also_those_of_members_of_the_project() {
    let mut project = Project::new();
    assert!(!project.takes(&Issue { author: 2, ..spam() }));
    // Earlier versions let members pass, and in the web UI everybody. Both can be had again.
    project.site.run(
        r#"UPDATE spamcheck.check_setting SET enabled = true, options = '{"user_roles": ["member"]}'
            WHERE policy = 'issues' AND check_name = 'bypass'"#,
    );
    assert!(project.takes(&Issue { author: 2, ..spam() }));
    assert!(!project.takes(&Issue { author: 1, ..spam() }));
    assert_eq!(project.site.requests().len(), 2, "nobody is asked about a member's issue");
}

#[test]
fn title_and_description_are_judged() {
    let mut project = Project::new();
    assert!(!project.takes(&Issue { title: SPAM.into(), ..Issue::default() }), "the title");
    assert!(!project.takes(&spam()), "the description");
}

#[test]
fn edits_are_submitted_too() {
    let mut project = Project::new();
    let id = project.create(&Issue::default()).expect("it is fine");
    let edit = |what: &str| format!("UPDATE issues SET {what} WHERE id = {id}");
    let error = project.site.client.batch_execute(&edit(&format!("description = '{SPAM}'")));
    let error = error.expect_err("it is spam now");
    assert_eq!(error.as_db_error().and_then(|e| e.constraint()), Some("spamcheck_reject"));
    let description = "SELECT description FROM issues";
    assert_eq!(project.site.get(description), "It stays cold.");
    // What is no text is nobody's business.
    project.site.run(&edit("state_id = 2, weight = 3, confidential = true"));
    assert_eq!(project.site.requests().len(), 2);
}

#[test]
fn detected_spam_is_an_entry_of_the_spam_log_that_can_be_reviewed() {
    let mut project = Project::new();
    assert!(!project.takes(&spam()));
    let entry = "SELECT concat_ws('|', relation, check_name, action, outcome, author, email, host(ip), user_agent, comment)
                   FROM spamcheck.recent";
    let text = format!("Buy now: {SPAM}");
    assert_eq!(
        project.site.get(entry),
        format!(
            "public.issues|akismet|reject|rejected|Ann Baker|ann@mail.example|203.0.113.5|Mozilla/5.0 (X11)|{text}"
        )
    );
    // All of it, since it is nowhere else: enough to create the issue after all.
    let kept = "SELECT concat_ws('|', submission ->> 'title', submission ->> 'body', submission -> 'row' ->> 'author_id',
                       submission ->> 'type', row_key) FROM spamcheck.recent";
    assert_eq!(project.site.get(kept), format!("The oven does not heat|{text}|1|issue"));
}

#[test]
fn an_entry_is_there_although_the_apps_transaction_is_rolled_back() {
    let mut project = Project::new();
    project.site.run("BEGIN; CREATE TABLE gone ()");
    assert!(!project.takes(&spam()));
    project.site.run("ROLLBACK");
    assert_eq!(project.site.get("SELECT to_regclass('gone') IS NULL"), "true");
    assert_eq!(project.site.log(), ["akismet reject rejected"]);
}

#[test]
fn ip_and_user_agent_are_submitted_to_akismet() {
    let mut project = Project::new();
    assert!(project.takes(&Issue::default()));
    let sent = |project: &Project| {
        let requests = project.site.requests();
        let last = requests.last().expect("it is asked");
        ["user_ip", "user_agent", "comment_author", "comment_author_email", "comment_content"]
            .map(|name| last.param(name).unwrap_or_default())
    };
    let [ip, agent, author, email, content] = sent(&project);
    assert_eq!([ip, agent], ["203.0.113.5", "Mozilla/5.0 (X11)"]);
    assert_eq!([author, email], ["Ann Baker", "ann@mail.example"]);
    assert!(
        content.contains("The oven does not heat") && content.contains("It stays cold."),
        "{content}"
    );
    // And who does not want that may leave out the one or the other.
    project.options(&json!({"send": {"user_agent": false, "email": false}}));
    assert!(project.takes(&Issue::default()));
    let [ip, agent, _, email, _] = sent(&project);
    assert_eq!([ip, agent, email], ["203.0.113.5", "", ""]);
}

#[test]
fn the_enable_akismet_checkbox() {
    let mut project = Project::new();
    project.akismet("enabled = false");
    assert!(project.takes(&spam()));
    assert_eq!(project.site.requests().len(), 0);
    project.akismet("enabled = true");
    assert!(!project.takes(&spam()), "at once");
}

#[test]
fn it_is_on_in_the_preset_and_rejects_while_the_visitor_waits() {
    let mut project = Project::new();
    project.site.run("SELECT spamcheck.create_policy('fresh', 'gitlab')");
    let preset = "SELECT string_agg(concat_ws(' ', check_name, action, options ->> 'mode'), ', ')
                    FROM spamcheck.check_setting WHERE policy = 'fresh' AND enabled";
    assert_eq!(project.site.get(preset), "akismet reject wait");
    let policy = "SELECT concat_ws(' ', mode, coalesce(types::text, 'all'), keep) FROM spamcheck.policy WHERE name = 'fresh'";
    assert_eq!(
        project.site.get(policy),
        "enforce all full",
        "all types, and rejected texts are kept"
    );
}

#[test]
fn the_api_key_is_used_and_shown_nowhere() {
    let mut project = Project::new();
    assert!(!project.takes(&spam()));
    let requests = project.site.requests();
    assert_eq!(requests[0].param("api_key").as_deref(), Some(KEY), "Akismet knows who asks");
    for text in [
        "SELECT string_agg(l::text, '') FROM spamcheck.spam_checklog l",
        "SELECT string_agg(s::text, '') FROM spamcheck.check_setting s",
        "SELECT string_agg(setting, ' ') FROM pg_settings WHERE name LIKE 'pg\\_spamcheck.%'",
        "SELECT string_agg(h::text, '') FROM spamcheck.health() h",
    ] {
        let text = project.site.get(text);
        assert!(!text.contains(KEY), "{text}");
        assert_ne!(text, "-");
    }
}
