//! Answers of the three services, as they document them and as they should not be.

use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn reading(provider: Provider, status: u16, answer: &Json, host: Option<&str>) -> Reading {
    read(provider, status, answer.to_string().as_bytes(), host, NOW)
}

fn of(answer: &Json) -> Reading {
    reading(Provider::Recaptcha, 200, answer, Some("www.blog.example"))
}

fn is_wrong(reading: &Reading) -> bool {
    matches!(reading, Reading::Wrong(_))
}

#[test]
fn success_is_true_and_nothing_like_it() {
    assert_eq!(of(&json!({"success": true})), Reading::Solved);
    for answer in [
        json!({"success": "true"}),
        json!({"success": 1}),
        json!({}),
        json!([true]),
        json!(true),
        json!({"success": null}),
    ] {
        assert!(matches!(of(&answer), Reading::Transient(_)), "{answer}");
    }
    assert!(is_wrong(&of(&json!({"success": false}))));
    let elsewhere = reading(Provider::Turnstile, 201, &json!({"success": true}), None);
    assert!(matches!(elsewhere, Reading::Transient(_)), "the visitor cannot help it");
}

#[test]
fn codes_tell_whose_fault_it_is() {
    let code = |code: &str| of(&json!({"success": false, "error-codes": [code]}));
    for token in ["timeout-or-duplicate", "invalid-input-response", "expired-input-response"] {
        assert!(is_wrong(&code(token)), "{token}");
    }
    for ours in ["invalid-input-secret", "missing-input-secret", "bad-request", "invalid-sitekey"] {
        assert!(matches!(code(ours), Reading::Config(_)), "{ours}");
    }
    for ill in ["internal-error", "something-new"] {
        assert!(matches!(code(ill), Reading::Transient(_)), "{ill}");
    }
    let both = json!({"success": false, "error-codes": ["invalid-input-response", "invalid-input-secret"]});
    assert!(matches!(of(&both), Reading::Config(_)));
    // Turnstile gives such answers with status 400.
    let bad = json!({"success": false, "error-codes": ["invalid-input-secret"]});
    assert!(matches!(reading(Provider::Turnstile, 400, &bad, None), Reading::Config(_)));
}

#[test]
fn an_ill_service_gives_no_answer() {
    for (status, body) in
        [(500, r#"{"success":true}"#), (200, "<html>success: true</html>"), (200, ""), (429, "{}")]
    {
        let reading = read(Provider::Hcaptcha, status, body.as_bytes(), None, NOW);
        assert!(matches!(reading, Reading::Transient(_)), "{status} {body}");
    }
}

#[test]
fn it_counts_where_and_when_it_was_solved() {
    let at = |host: &str| of(&json!({"success": true, "hostname": host}));
    for host in ["www.blog.example", "blog.example", "WWW.Blog.Example", "testkey.google.com"] {
        assert_eq!(at(host), Reading::Solved, "{host}");
    }
    for host in ["evil.example", "notblog.example", "blog.example.evil.test", "example"] {
        assert!(is_wrong(&at(host)) || host == "example", "{host}");
    }
    let stamped = |time: &str| of(&json!({"success": true, "challenge_ts": time}));
    assert_eq!(stamped("2027-01-15T08:00:00Z"), Reading::Solved);
    assert!(is_wrong(&stamped("2027-01-15T07:49:00Z")));
    assert!(is_wrong(&stamped("2026-01-15T08:00:00Z")));
}

#[test]
fn a_score_that_is_no_number_is_no_success() {
    for score in [json!("0.1"), json!([0.9]), json!({}), json!(true)] {
        let reading = of(&json!({"success": true, "score": score}));
        assert!(matches!(reading, Reading::Transient(_)), "{score}");
    }
    assert_eq!(of(&json!({"success": true, "score": null})), Reading::Solved);
}

#[test]
fn a_score_is_of_people_or_of_risk() {
    let scored = |provider, score: f64| {
        reading(provider, 200, &json!({"success": true, "score": score}), None)
    };
    assert_eq!(scored(Provider::Recaptcha, 0.5), Reading::Solved);
    assert!(is_wrong(&scored(Provider::Recaptcha, 0.4)));
    assert_eq!(scored(Provider::Hcaptcha, 0.4), Reading::Solved);
    assert!(is_wrong(&scored(Provider::Hcaptcha, 0.6)));
}

#[test]
fn a_request_says_what_the_service_takes() {
    let ip = "203.0.113.7".parse().ok();
    assert_eq!(
        body(Provider::Recaptcha, "s&cret", "to ken", ip, "id"),
        "secret=s%26cret&response=to+ken&remoteip=203.0.113.7"
    );
    assert_eq!(
        body(Provider::Turnstile, "s", "t", None, "id"),
        "secret=s&response=t&idempotency_key=id"
    );
}
