//! Proves what requests say, one test for each case of the conformance list. Tests only.

use serde_json::{Value as Json, json};

use super::options::Options;
use super::request::{Feedback, Key, Recheck, Request, Target, user_agent};

fn target() -> Target {
    Target { key: Key::new("123YourAPIKey\n"), blog: "https://example.com/".into(), lang: None }
}

fn options(json: &Json) -> Options {
    Options::parse(json).unwrap()
}

/// The body of a check of this submission with these options.
fn body(submission: &Json, given: &Json) -> String {
    Request::comment_check(&target(), submission, &options(given), None).body().to_owned()
}

/// The pairs of a body, decoded as a server does.
fn decoded(body: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decode(name), decode(value)));
    body.split('&').map(|text| pair(text).unwrap()).collect()
}

fn value(body: &str, name: &str) -> Option<String> {
    decoded(body).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn everything() -> Json {
    json!({
        "body": "text", "title": "head", "author": "Jane\nDoe", "email": "jane@example.org",
        "url": "https://jane.example/", "ip": "203.0.113.7", "user_agent": "UA",
        "referrer": "https://example.com/form", "permalink": "https://example.com/post",
        "type": "trackback", "created_at": "2026-01-02T03:04:05.678Z",
        "article_created_at": "2025-12-01T00:00:00Z", "parent_id": 17, "user_id": 4,
        "user_role": "editor", "honeypot": "", "form_seconds": 3, "captcha": "x", "page": "p",
        "article_title": "t", "subscriber": "s", "source": "form",
        "fields": {"city": "Bonn", "job": "none"}
    })
}

#[test]
fn r_01_a_minimal_row() {
    let submission = json!({"ip": "203.0.113.7", "body": "hi"});
    let request = Request::comment_check(&target(), &submission, &options(&json!({})), None);
    assert_eq!(request.path(), "/1.1/comment-check");
    assert_eq!(
        request.body(),
        "api_key=123YourAPIKey&blog=https%3A%2F%2Fexample.com%2F&user_ip=203.0.113.7\
         &comment_type=comment&comment_content=hi&blog_charset=UTF-8"
    );
}

#[test]
fn r_02_golden_bytes() {
    let submission = json!({
        "ip": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
        "type": "forum-post", "author": "Zoë & Söhne",
        "body": "100% free+cheap=yes?\r\nA&B \u{2028} 😀 ~*-._", "created_at": "2026-01-02T03:04:05Z"
    });
    assert_eq!(
        body(&submission, &json!({"is_test": true})),
        "api_key=123YourAPIKey&blog=https%3A%2F%2Fexample.com%2F&user_ip=203.0.113.7\
         &user_agent=Mozilla%2F5.0+%28X11%3B+Linux+x86_64%29&comment_type=forum-post\
         &comment_author=Zo%C3%AB+%26+S%C3%B6hne&comment_content=100%25+free%2Bcheap%3Dyes%3F%0D%0A\
         A%26B+%E2%80%A8+%F0%9F%98%80+~%2A-._&comment_date_gmt=2026-01-02T03%3A04%3A05Z\
         &blog_charset=UTF-8&is_test=1"
    );
}

#[test]
fn r_02_names_and_order_of_all_parameters() {
    let names: Vec<String> =
        decoded(&body(&everything(), &json!({}))).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names.join(" "),
        "api_key blog user_ip user_agent referrer permalink comment_type comment_author \
         comment_author_email comment_author_url comment_content comment_date_gmt \
         comment_post_modified_gmt comment_parent user_role honeypot_field_name honeypot \
         blog_charset"
    );
}

#[test]
fn r_02_text_is_title_body_and_fields_and_names_are_one_line() {
    let body = body(&everything(), &json!({}));
    assert_eq!(value(&body, "comment_content").unwrap(), "head\ntext\nBonn\nnone");
    assert_eq!(value(&body, "comment_author").unwrap(), "Jane Doe");
    assert_eq!(value(&body, "comment_parent").unwrap(), "17");
    assert_eq!(value(&body, "comment_post_modified_gmt").unwrap(), "2025-12-01T00:00:00Z");
}

#[test]
fn r_04_the_user_agent_names_server_and_extension() {
    assert_eq!(user_agent("17.2", "0.1.0"), "PostgreSQL/17.2 | pg_spamcheck/0.1.0");
    let debian = user_agent("15.9 (Debian 15.9-0+deb12u1)", "0.1.0\r\nX: y");
    assert_eq!(debian, "PostgreSQL/15.9 | pg_spamcheck/0.1.0");
}

#[test]
fn r_05_addresses_without_netmask() {
    for (written, sent) in [
        ("203.0.113.7/32", Some("203.0.113.7")),
        ("2001:db8::1/64", Some("2001:db8::1")),
        ("::ffff:198.51.100.1", Some("198.51.100.1")),
        ("unknown", None),
    ] {
        let body = body(&json!({"ip": written, "body": "x"}), &json!({}));
        assert_eq!(value(&body, "user_ip").as_deref(), sent, "{written}");
    }
}

#[test]
fn r_07_null_and_empty_are_left_out_but_not_an_empty_honeypot() {
    let submission = json!({"body": "x", "author": "", "email": null, "url": "  ", "honeypot": ""});
    let sent = body(&submission, &json!({}));
    for name in ["comment_author", "comment_author_email", "comment_author_url", "user_ip"] {
        assert_eq!(value(&sent, name), None, "{name}");
    }
    assert!(sent.contains("&honeypot_field_name=honeypot&honeypot=&"), "{sent}");
    assert!(!body(&json!({"body": "x"}), &json!({})).contains("honeypot"));
}

#[test]
fn r_13_an_edit_and_r_14_a_retry_say_why() {
    let check = |recheck| {
        Request::comment_check(&target(), &everything(), &options(&json!({})), recheck)
            .body()
            .to_owned()
    };
    assert_eq!(value(&check(Some(Recheck::Edit)), "recheck_reason").unwrap(), "edit");
    let retry = check(Some(Recheck::Retry));
    assert_eq!(value(&retry, "recheck_reason").unwrap(), "retry");
    assert_eq!(value(&retry, "comment_date_gmt").unwrap(), "2026-01-02T03:04:05Z");
    assert_eq!(value(&check(None), "recheck_reason"), None);
}

#[test]
fn r_14_dates_are_seconds_in_utc_whatever_they_came_as() {
    for date in [json!("2026-01-02 05:04:05.9+02"), json!(1_767_323_045), json!("1767323045123")] {
        let body = body(&json!({"body": "x", "created_at": date}), &json!({}));
        assert_eq!(value(&body, "comment_date_gmt").unwrap(), "2026-01-02T03:04:05Z", "{date}");
    }
    let junk = body(&json!({"body": "x", "created_at": "soon"}), &json!({}));
    assert_eq!(value(&junk, "comment_date_gmt"), None);
}

#[test]
fn r_15_anonymous_mode_sends_no_person() {
    let sent = body(&everything(), &json!({"anonymize": true}));
    assert_eq!(value(&sent, "comment_author").unwrap(), "Anonymous");
    assert_eq!(value(&sent, "comment_author_email"), None);
    assert_eq!(value(&sent, "comment_author_url"), None);
    assert_eq!(value(&sent, "user_ip").unwrap(), "203.0.113.0");
    let v6 = body(&json!({"ip": "2001:db8:1:2:3:4:5:6"}), &json!({"anonymize": true}));
    assert_eq!(value(&v6, "user_ip").unwrap(), "2001:db8:1::");
    for secret in ["jane", "Jane", "203.0.113.7"] {
        assert!(!sent.contains(secret), "{secret}");
    }
}

#[test]
fn r_15_what_is_not_to_be_sent_is_left_out() {
    for (field, name) in [
        ("author", "comment_author"),
        ("email", "comment_author_email"),
        ("ip", "user_ip"),
        ("user_agent", "user_agent"),
        ("referrer", "referrer"),
        ("permalink", "permalink"),
    ] {
        let sent = body(&everything(), &json!({"send": {field: false}}));
        assert_eq!(value(&sent, name), None, "{field}");
        assert_eq!(decoded(&sent).len(), decoded(&body(&everything(), &json!({}))).len() - 1);
    }
}

#[test]
fn r_16_a_role_is_sent_only_from_its_own_field() {
    let claimed =
        json!({"body": "x", "author": "administrator", "fields": {"user_role": "administrator"}});
    assert_eq!(value(&body(&claimed, &json!({})), "user_role"), None);
    assert_eq!(value(&body(&everything(), &json!({})), "user_role").unwrap(), "editor");
}

#[test]
fn r_17_tests_are_marked_on_every_call() {
    for (given, expected) in [(json!({"is_test": true}), Some("1")), (json!({}), None)] {
        let options = options(&given);
        let check = Request::comment_check(&target(), &everything(), &options, None);
        assert_eq!(value(check.body(), "is_test").as_deref(), expected);
        for spam in [true, false] {
            let report =
                Request::feedback(&target(), &everything(), &options, spam, &Feedback::default());
            assert_eq!(value(report.unwrap().body(), "is_test").as_deref(), expected);
        }
    }
}

#[test]
fn r_18_keys_are_verified_and_counted_by_post() {
    let verify = Request::verify_key(&target());
    assert_eq!(verify.path(), "/1.1/verify-key");
    assert_eq!(
        verify.body(),
        "key=123YourAPIKey&blog=https%3A%2F%2Fexample.com%2F&api_key=123YourAPIKey"
    );
    let usage = Request::usage_limit(&target().key);
    assert_eq!((usage.path(), usage.body()), ("/1.2/usage-limit", "api_key=123YourAPIKey"));
}

#[test]
fn q_01_feedback_adds_what_the_check_said() {
    let feedback =
        Feedback { guid: Some("abc".into()), said_spam: Some(false), reporter: Some("mod".into()) };
    let options = options(&json!({}));
    let report = Request::feedback(&target(), &everything(), &options, true, &feedback).unwrap();
    assert_eq!(report.path(), "/1.1/submit-spam");
    let check = Request::comment_check(&target(), &everything(), &options, None);
    let added = report.body().strip_prefix(check.body()).unwrap();
    assert_eq!(added, "&reporter=mod&comment_check_response=false&guid=abc");
    let ham = Request::feedback(&target(), &everything(), &options, false, &feedback).unwrap();
    assert_eq!(ham.path(), "/1.1/submit-ham");
}

#[test]
fn q_09_and_q_10_feedback_needs_text_and_address() {
    let report = |submission: &Json| {
        Request::feedback(&target(), submission, &options(&json!({})), true, &Feedback::default())
    };
    let no_text = report(&json!({"ip": "203.0.113.7", "body": " \n"})).unwrap_err();
    assert!(no_text.message.ends_with("has no text"), "{no_text}");
    let no_address = report(&json!({"body": "x"})).unwrap_err();
    assert!(no_address.message.ends_with("has no IP address"), "{no_address}");
}

#[test]
fn types_have_akismets_names() {
    for (kind, given, sent) in [
        (json!(null), json!({}), "comment"),
        (json!("NORMAL"), json!({}), "comment"),
        (json!("Pingback"), json!({}), "pingback"),
        (json!("petition"), json!({}), "signup"),
        (json!("letter"), json!({}), "contact-form"),
        (json!("letter"), json!({"comment_type": {"letter": "message"}}), "message"),
        (json!("issue"), json!({}), "comment"),
        (json!("wiki_revision"), json!({}), "wiki-revision"),
    ] {
        let sent_body = body(&json!({"body": "x", "type": kind}), &given);
        assert_eq!(value(&sent_body, "comment_type").unwrap(), sent, "{kind}");
    }
}

#[test]
fn long_text_is_cut_between_characters_and_known_to_be() {
    let long = json!({"body": format!("a{}", "ä".repeat(40_000)), "author": "b"});
    let request = Request::comment_check(&target(), &long, &options(&json!({})), None);
    let sent = value(request.body(), "comment_content").unwrap();
    assert_eq!(sent.len(), 64 * 1024 - 1);
    assert!(request.truncated());
    let short = Request::comment_check(&target(), &everything(), &options(&json!({})), None);
    assert!(!short.truncated());
    // However long everything is, the body stays below 256 KiB.
    let huge = "\u{10ffff}".repeat(100_000);
    let all: serde_json::Map<String, Json> =
        everything().as_object().unwrap().keys().map(|name| (name.clone(), json!(huge))).collect();
    let request = Request::comment_check(&target(), &Json::Object(all), &options(&json!({})), None);
    assert!(request.body().len() < 256 * 1024, "{}", request.body().len());
}

#[test]
fn q_23_nothing_that_prints_shows_the_key() {
    let request = Request::verify_key(&target());
    let printed = format!("{:?} {:?} {request:?}", target(), target().key);
    assert!(!printed.contains("123YourAPIKey"), "{printed}");
    assert_eq!(target().key.redact("a 123yourAPIkey b"), "a [key] b");
    assert_eq!(Key::new(" ").redact("a b"), "a b");
}
