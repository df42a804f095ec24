//! The view spamcheck.checks: what there is, with defaults that are true.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Json;

use crate::site::Site;

#[test]
fn the_view_lists_every_check_with_its_options() {
    let mut site = Site::bare();
    let rows = site.ask("SELECT name, seeds, action FROM spamcheck.checks");
    for line in ["ip_allow|{actionkit}|allow", "links|{serendipity}|moderate"] {
        assert!(rows.to_lowercase().lines().any(|row| row == line), "{line} is not in\n{rows}");
    }
    for check in ["ip_allow", "ip_block", "email_pattern", "content", "links", "akismet"] {
        assert!(
            rows.lines().any(|row| row.starts_with(&format!("{check}|"))),
            "{check} is not in\n{rows}"
        );
    }
    assert_eq!(
        site.ask(
            "SELECT count(*) FROM spamcheck.checks WHERE summary IS NULL OR summary = \
        '' OR seeds IS NULL OR action IS NULL OR score IS NULL OR options IS NULL"
        ),
        "0"
    );
    let incomplete = "SELECT c.name, o FROM spamcheck.checks c, jsonb_array_elements(c.options) o
                      WHERE NOT o ?& ARRAY['name', 'type', 'default', 'meaning'] OR o ->> \
                      'meaning' = ''";
    assert_eq!(site.ask(incomplete), "");
}

/// The other way round, that a corpus file has a check and enough examples, the engine's tests say.
#[test]
fn every_check_of_the_view_but_those_that_need_a_server_has_a_corpus_of_examples() {
    let mut site = Site::bare();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files: BTreeSet<String> = std::fs::read_dir(corpus)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap().replace(".txt", ""))
        .collect();
    let checks: BTreeSet<String> =
        site.ask("SELECT name FROM spamcheck.checks").lines().map(str::to_owned).collect();
    let without: Vec<&String> = checks.difference(&files).collect();
    assert_eq!(without, ["akismet", "captcha", "custom", "duplicate", "ip_interval"]);
    assert!(files.is_subset(&checks), "{files:?}");
    // Each of them has a row in every policy, and its default options are good ones.
    let lacking = "SELECT p.name, c.name FROM spamcheck.policy p, spamcheck.checks c
                    WHERE NOT EXISTS (SELECT FROM spamcheck.check_setting s
                                       WHERE s.policy = p.name AND s.check_name = c.name)";
    assert_eq!(site.ask(lacking), "");
}

#[test]
fn the_defaults_that_are_shown_are_accepted_and_change_nothing() {
    let mut site = Site::new();
    let options = site.ask("SELECT jsonb_object_agg(name, options) FROM spamcheck.checks");
    let all: Json = serde_json::from_str(&options).unwrap();
    for (check, options) in all.as_object().unwrap() {
        let given: serde_json::Map<String, Json> = options
            .as_array()
            .unwrap()
            .iter()
            .map(|option| (option["name"].as_str().unwrap().to_owned(), option["default"].clone()))
            .collect();
        let given = Json::Object(given).to_string().replace('\'', "''");
        site.check(check, &format!("options = '{given}'"));
    }
    site.run("INSERT INTO comments (ip, body) VALUES ('10.0.0.1', 'casino'), (NULL, 'nice')");
    assert_eq!(site.log(), "1 content\n1 ip_block");
    assert_eq!(
        site.ask(&format!(
            "INSERT INTO comments (body) VALUES ('{}') RETURNING status",
            "www.a.example ".repeat(8)
        )),
        "pending"
    );
}

#[test]
fn the_defaults_are_those_of_the_documented_interface() {
    let mut site = Site::bare();
    let default = |site: &mut Site, check: &str, option: &str| {
        site.ask(&format!(
            "SELECT o -> 'default' FROM spamcheck.checks c, jsonb_array_elements(c.options) o \
                WHERE c.name = '{check}' AND o ->> 'name' = '{option}'"
        ))
    };
    for (check, option, expected) in [
        ("ip_allow", "lists", r#"["ip_allow"]"#),
        ("ip_block", "lists", r#"["ip_block"]"#),
        ("email_pattern", "lists", r#"["email_block"]"#),
        ("content", "lists", r#"["banned_words"]"#),
        ("content", "fields", r#"["title", "author", "body", "fields"]"#),
        ("links", "over", "7"),
        ("links", "reject_over", "13"),
        ("bypass", "db_roles", "[]"),
        ("bypass", "user_roles", "[]"),
        ("bypass", "user_ids", "[]"),
        ("bypass", "approved_before", "null"),
        ("shutdown", "types", "null"),
        ("required", "fields", r#"["author", "body"]"#),
        ("required", "types", r#"["comment"]"#),
        ("wordfilter", "author", r#"["author_filter"]"#),
        ("wordfilter", "url", r#"["url_filter"]"#),
        ("wordfilter", "body", r#"["body_filter"]"#),
        ("wordfilter", "email", r#"["email_filter"]"#),
        ("url_blocklist", "lists", r#"["url_block"]"#),
        ("url_blocklist", "scan", r#"["url", "body"]"#),
        ("title_only", "ignore_case", "true"),
        ("article_age", "comment_days", "30"),
        ("article_age", "comment_action", r#""moderate""#),
        ("article_age", "trackback_days", "30"),
        ("article_age", "trackback_action", r#""moderate""#),
        ("api_source", "sources", r#"["api"]"#),
        ("api_source", "types", r#"["trackback", "pingback"]"#),
        ("form_time", "min_seconds", "3"),
        ("akismet", "mode", r#""async""#),
        ("akismet", "wait_ms", "1500"),
        ("akismet", "on_failure", r#""accept""#),
        ("akismet", "blog", "null"),
        ("akismet", "comment_type", "{}"),
        ("akismet", "anonymize", "false"),
        ("akismet", "is_test", "false"),
        ("akismet", "discard_blatant", "false"),
        ("akismet", "give_up_after", r#""15 days""#),
    ] {
        assert_eq!(default(&mut site, check, option), expected, "{check}.{option}");
    }
    let send: Json = serde_json::from_str(&default(&mut site, "akismet", "send")).unwrap();
    for field in ["author", "email", "ip", "user_agent", "referrer", "permalink"] {
        assert_eq!(send[field], true, "{field}");
    }
}
