//! What a function's answer does to the row, and what the setting takes.

use crate::site::refused;
use crate::{asking, define, newest, status};

#[test]
fn the_score_of_the_function_counts_instead_of_the_settings() {
    let mut site = asking(
        r#"RETURN jsonb_build_object('hit', submission ->> 'body' LIKE 'x%', 'why', 'begins with x',
            'score', length(submission ->> 'body'));"#,
    );
    assert_eq!(status(&mut site, "nice"), "approved");
    assert_eq!(site.log(), "");
    assert_eq!(status(&mut site, "x234"), "approved");
    assert_eq!(newest(&mut site), "score|flagged|4|begins with x");
    assert_eq!(status(&mut site, "x2345"), "pending");
    assert_eq!(newest(&mut site), "score|moderated|5|begins with x");
    assert_eq!(status(&mut site, "x234567890"), "spam");
    // An action of the setting holds, whatever the score.
    site.check("custom", "action = 'moderate'");
    assert_eq!(status(&mut site, "x234567890"), "pending");
    assert_eq!(newest(&mut site), "moderate|moderated|0|begins with x");
    site.check("custom", "action = 'reject'");
    refused(&mut site.client, "INSERT INTO comments (body) VALUES ('x')");
}

#[test]
fn without_a_score_or_reason_the_settings_count() {
    let mut site = asking(r#"RETURN '{"hit": true}';"#);
    assert_eq!(status(&mut site, "nice"), "pending");
    assert_eq!(newest(&mut site), "score|moderated|5|function app.judge says so");
    define(&mut site, r#"RETURN '{"hit": true, "detail": {"age": 3}}';"#);
    site.check("custom", "score = 11");
    assert_eq!(status(&mut site, "nice"), "spam");
    assert_eq!(
        site.ask("SELECT detail FROM spamcheck.recent LIMIT 1"),
        r#"{"detail": {"age": 3}, "function": "app.judge"}"#
    );
}

#[test]
fn null_and_no_hit_leave_the_row_alone() {
    let mut site = asking("RETURN NULL;");
    assert_eq!(status(&mut site, "nice"), "approved");
    define(&mut site, r#"RETURN '{"hit": false, "score": 100}';"#);
    assert_eq!(status(&mut site, "nice"), "approved");
    assert_eq!(site.log(), "");
    // As the documentation writes it, on a row without a body.
    define(
        &mut site,
        "RETURN jsonb_build_object('hit', submission ->> 'body' = upper(submission ->> 'body'), 'why', 'it shouts', 'score', 6);",
    );
    site.policy("on_error = 'reject'");
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES (NULL) RETURNING status"), "approved");
    assert_eq!(site.log(), "");
    assert_eq!(status(&mut site, "NICE"), "pending");
}

#[test]
fn the_function_sees_the_fields_wherever_they_come_from() {
    let mut site =
        asking(r#"RETURN jsonb_build_object('hit', true, 'score', 0, 'detail', submission);"#);
    site.run(
        r#"ALTER TABLE comments ADD post int, ADD city text; CREATE TABLE posts (id int PRIMARY KEY, title text);
           INSERT INTO posts VALUES (7, 'Zoë''s "post"');
           SELECT spamcheck.protect('comments', columns => '{"fields": ["city"]}',
                                    article => '{"table": "posts", "key": "id", "from": "post", "title": "title"}')"#,
    );
    site.run("SET pg_spamcheck.user_agent = 'Browser/7'");
    site.run("INSERT INTO comments (body, ip, post, city) VALUES ('漢', '192.0.2.1', 7, 'Bonn')");
    let seen = site.ask("SELECT detail -> 'detail' FROM spamcheck.recent LIMIT 1");
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(
        seen,
        serde_json::json!({"body": "漢", "ip": "192.0.2.1", "user_agent": "Browser/7",
                           "type": "comment", "source": "form", "article_title": "Zoë's \"post\"", "fields": {"city": "Bonn"}})
    );
}

#[test]
fn the_type_is_given_as_the_checks_see_it() {
    let mut site =
        asking("RETURN jsonb_build_object('hit', true, 'score', 0, 'why', submission ->> 'type');");
    site.run("ALTER TABLE comments ADD type text; SELECT spamcheck.protect('comments')");
    for (written, seen) in
        [("' TrackBack '", "trackback"), ("'NORMAL'", "comment"), ("NULL", "comment")]
    {
        site.run(&format!("INSERT INTO comments (type) VALUES ({written})"));
        assert_eq!(newest(&mut site), format!("score|flagged|0|{seen}"));
    }
    assert_eq!(
        site.ask(r#"SELECT why FROM spamcheck.explain('comments', '{"type": "Regular"}') WHERE check_name = 'custom'"#),
        "comment"
    );
}

#[test]
fn a_failing_function_or_a_strange_answer_is_a_failure_of_the_check() {
    let mut site = asking("RETURN 1 / 0;");
    assert_eq!(status(&mut site, "nice"), "approved");
    assert_eq!(newest(&mut site), "error|error|0|function app.judge failed: division by zero");
    site.policy("on_error = 'moderate'");
    assert_eq!(status(&mut site, "nice"), "pending");
    define(&mut site, r#"RETURN '{"hit": "yes"}';"#);
    assert_eq!(status(&mut site, "nice"), "pending");
    assert!(newest(&mut site).contains(r#""hit" has to be true, false or null"#));
    define(&mut site, r#"RETURN '{"hit": true, "action": "reject"}';"#);
    assert_eq!(status(&mut site, "nice"), "pending");
    assert!(newest(&mut site).contains(r#"not "action""#));
    site.run("DROP FUNCTION app.judge");
    assert_eq!(status(&mut site, "nice"), "pending");
    assert_eq!(
        newest(&mut site),
        "error|error|0|there is no function app.judge(jsonb) that returns jsonb"
    );
}

#[test]
fn a_function_that_is_gone_is_told_by_health_and_keeps_nobody_from_switching_the_check_off() {
    let mut site = asking("RETURN NULL;");
    let health = "SELECT state, message FROM spamcheck.health() WHERE item = 'checks'";
    assert_eq!(site.ask(health), "ok|every enabled check can be made");
    site.run("REVOKE EXECUTE ON FUNCTION app.judge FROM PUBLIC; CREATE ROLE poster; ALTER TABLE comments OWNER TO poster");
    let told = site.ask(health);
    assert!(
        told.contains("the owner of public.comments may not call function app.judge"),
        "{told}"
    );
    site.run(
        "ALTER TABLE comments OWNER TO CURRENT_USER; DROP ROLE poster; DROP FUNCTION app.judge",
    );
    let told = site.ask(health);
    let why =
        "custom of policy \"default\": there is no function app.judge(jsonb) that returns jsonb";
    assert!(told.starts_with("error|") && told.contains(why), "{told}");
    site.check("custom", "action = 'log'");
    site.check("custom", "enabled = false");
    assert_eq!(site.ask(health), "ok|every enabled check can be made");
    let on = "UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'custom'";
    assert!(refused(&mut site.client, on).message().contains("there is no function app.judge"));
}

#[test]
fn settings_take_only_functions_that_are_there_and_fit() {
    let mut site = asking("RETURN NULL;");
    site.run(
        r#"CREATE FUNCTION app.of_text(t text) RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
           CREATE FUNCTION app.gives_text(j jsonb) RETURNS text LANGUAGE sql AS $$ SELECT NULL::text $$;
           CREATE FUNCTION app.gives_many(j jsonb) RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
           CREATE FUNCTION app."Judge ""2"""(j jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"hit": true}'::jsonb $$"#,
    );
    let set = |function: &str| {
        let options = serde_json::json!({ "function": function }).to_string();
        format!(
            "UPDATE spamcheck.check_setting SET options = $x${options}$x$ WHERE check_name = 'custom'"
        )
    };
    for (function, part) in [
        ("judge", "with its schema, not \"judge\""),
        ("app.judge(jsonb)", "with its schema"),
        ("app.judge; DROP TABLE comments", "with its schema"),
        ("", "with its schema"),
        ("app.missing", "there is no function app.missing(jsonb) that returns jsonb"),
        ("app.of_text", "there is no function app.of_text(jsonb)"),
        ("app.gives_text", "there is no function app.gives_text(jsonb)"),
        ("app.gives_many", "there is no function app.gives_many(jsonb)"),
    ] {
        let error = refused(&mut site.client, &set(function));
        assert!(error.message().contains(part), "{function}: {}", error.message());
        assert!(error.hint().is_some());
    }
    site.run(&set(r#"app."Judge ""2""""#));
    assert_eq!(status(&mut site, "nice"), "pending");
    // No function: nothing is asked.
    site.check("custom", r#"options = '{"function": null}'"#);
    assert_eq!(status(&mut site, "nice"), "approved");
}

#[test]
fn a_detail_that_is_nested_too_deep_is_left_out_and_the_hit_counts() {
    let mut site = asking(
        r#"RETURN jsonb_build_object('hit', true, 'why', 'deep', 'score', 5,
            'detail', (repeat('[', 300) || repeat(']', 300))::jsonb);"#,
    );
    assert_eq!(status(&mut site, "nice"), "pending");
    assert_eq!(newest(&mut site), "score|moderated|5|deep");
    assert_eq!(
        site.ask("SELECT detail ->> 'detail' FROM spamcheck.recent LIMIT 1"),
        "nested deeper than 127 levels"
    );
}
