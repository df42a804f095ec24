//! The view spamcheck.checks: what there is, with defaults that are true.

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
