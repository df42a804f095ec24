//! Proves the reading of answers, one test for each case of the conformance list. Tests only.

use std::time::Duration;

use super::answer::{Answer, KeyReading, Notice, Reading};
use super::request::Key;

const NOW: i64 = 784_111_777 * 1_000_000;
const GUID: &str = "0123456789abcdef0123456789abcdef";

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn check(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reading {
    let headers = owned(headers);
    let answer = Answer { status, headers: &headers, body: body.as_ref() };
    answer.comment_check(&Key::new("123YourAPIKey"), NOW)
}

fn spam(discard: bool) -> Reading {
    Reading::Spam { discard, guid: None, notice: None }
}

fn ham(seconds: Option<u64>) -> Reading {
    Reading::Ham { guid: None, recheck_after: seconds.map(Duration::from_secs), notice: None }
}

fn config(reason: &str) -> Reading {
    Reading::Config { reason: reason.to_owned(), doubtful: false }
}

fn transient(reason: &str) -> Reading {
    Reading::Transient { reason: reason.to_owned(), retry_after: None }
}

#[test]
fn s_01_true_is_spam_and_keeps_the_guid() {
    let reading = check(200, &[("X-akismet-guid", GUID)], "true");
    assert_eq!(
        reading,
        Reading::Spam { discard: false, guid: Some(GUID.to_owned()), notice: None }
    );
    assert_eq!(check(200, &[], "\u{feff} true\r\n"), spam(false));
}

#[test]
fn s_02_false_is_ham() {
    assert_eq!(check(200, &[], "false"), ham(None));
    assert_eq!(check(200, &[], "false\n"), ham(None));
}

#[test]
fn s_03_discard_is_said_of_spam() {
    assert_eq!(check(200, &[("X-akismet-pro-tip", "discard")], "true"), spam(true));
    for other in ["Discard", "discard!", ""] {
        assert_eq!(check(200, &[("X-akismet-pro-tip", other)], "true"), spam(false), "{other}");
    }
}

#[test]
fn s_04_discard_says_nothing_of_ham() {
    assert_eq!(check(200, &[("X-akismet-pro-tip", "discard")], "false"), ham(None));
}

#[test]
fn s_07_invalid_with_help_calls_the_administrator() {
    let help = [("X-akismet-debug-help", "We were unable to parse your blog URI")];
    assert_eq!(
        check(200, &help, "invalid"),
        config("Akismet answered: We were unable to parse your blog URI")
    );
}

#[test]
fn s_08_invalid_without_help_does_too() {
    assert_eq!(check(200, &[], "invalid"), config("Akismet answered \"invalid\""));
    // Only the word alone.
    let longer = check(200, &[], "invalid key, true");
    assert_eq!(longer, transient("Akismet answered \"invalid key, true\""));
}

#[test]
fn s_09_a_missing_field_refuses_the_request() {
    let reading = check(200, &[], "Missing required field: blog.");
    let reason = "Akismet answered \"Missing required field: blog.\"".to_owned();
    assert_eq!(reading, Reading::RequestRefused { reason });
}

#[test]
fn s_10_an_empty_body_is_transient() {
    assert_eq!(check(200, &[], ""), transient("Akismet answered with an empty body"));
    assert_eq!(check(200, &[], " \n"), transient("Akismet answered with an empty body"));
}

#[test]
fn s_11_a_page_that_contains_true_is_no_verdict() {
    let page = "<html><script>var a = true;</script><p>Please log in to the network</p></html>";
    assert_eq!(
        check(200, &[], page),
        transient("Akismet answered \"<html><script>var a = true;</script><p>Please log \"")
    );
    for near in ["True", "TRUE", "true.", "truefalse", "\"true\"", "1", "{\"spam\":true}"] {
        assert!(matches!(check(200, &[], near), Reading::Transient { .. }), "{near}");
    }
    assert!(matches!(check(200, &[], [0xff, 0xfe, b't']), Reading::Transient { .. }));
}

#[test]
fn s_12_thanks_are_no_answer_to_a_check() {
    let reading = check(200, &[], "Thanks for making the web a better place.");
    assert!(matches!(reading, Reading::Transient { .. }));
}

#[test]
fn s_13_an_account_error_holds_the_row_whatever_the_body_says() {
    for body in ["true", "false", "", "invalid"] {
        let reading = check(200, &[("x-akismet-error", "suspended")], body);
        assert_eq!(reading, Reading::Held { reason: "suspended".to_owned(), notice: None });
    }
}

#[test]
fn s_14_an_alert_comes_beside_the_verdict() {
    let headers = [("X-akismet-alert-code", "10508"), ("X-akismet-alert-msg", "Over the limit")];
    let notice =
        Notice { code: "10508".to_owned(), message: "Over the limit".to_owned(), degraded: true };
    assert_eq!(
        check(200, &headers, "true"),
        Reading::Spam { discard: false, guid: None, notice: Some(notice) }
    );
    let Reading::Ham { notice: Some(notice), .. } =
        check(200, &[("X-akismet-alert-code", "30001")], "false")
    else {
        panic!("ham with a notice was expected");
    };
    assert!(!notice.degraded);
    // Without a verdict a restricted account is the administrator's matter.
    assert_eq!(check(200, &headers, "?"), config("Akismet answered: alert 10508 Over the limit"));
}

#[test]
fn s_16_an_empty_account_error_is_none() {
    assert_eq!(check(200, &[("X-akismet-error", " ")], "true"), spam(false));
}

#[test]
fn s_17_ham_may_be_provisional() {
    assert_eq!(check(200, &[("X-akismet-recheck-after", "120")], "false"), ham(Some(120)));
    for junk in ["0", "-5", "soon", "1.5", ""] {
        assert_eq!(check(200, &[("X-akismet-recheck-after", junk)], "false"), ham(None), "{junk}");
    }
}

#[test]
fn s_19_spam_is_never_provisional() {
    assert_eq!(check(200, &[("X-akismet-recheck-after", "120")], "true"), spam(false));
}

#[test]
fn s_20_a_bad_request_fails_its_row_alone() {
    for status in [400, 413, 414, 422] {
        assert!(matches!(check(status, &[], "true"), Reading::RequestRefused { .. }), "{status}");
    }
}

#[test]
fn s_21_no_access_calls_the_administrator() {
    for status in [401, 403] {
        let helped = check(status, &[("X-akismet-debug-help", "revoked")], "");
        assert_eq!(helped, config(&format!("status {status}: revoked")));
        assert_eq!(check(status, &[], "invalid"), config(&format!("status {status} \"invalid\"")));
        // A firewall's page may say so too: the key has to be verified before it counts.
        let page = check(status, &[], "<html>Blocked</html>");
        assert!(matches!(page, Reading::Config { doubtful: true, .. }), "{status}");
    }
}

#[test]
fn s_22_a_wrong_path_calls_the_administrator() {
    for status in [404, 405] {
        let reading = check(status, &[], "");
        let reason = format!("status {status} with an empty body");
        assert_eq!(reading, Reading::Misled { reason });
    }
}

#[test]
fn s_23_trouble_on_their_side_is_transient() {
    for status in [408, 425, 500, 502, 503, 504, 520, 521, 527] {
        let reading = check(status, &[], "true");
        assert_eq!(reading, transient(&format!("status {status} \"true\"")), "{status}");
    }
}

#[test]
fn s_24_a_wait_in_seconds_is_kept() {
    for status in [429, 503] {
        let Reading::Transient { retry_after, .. } = check(status, &[("retry-after", "7")], "")
        else {
            panic!("{status} is transient");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
    }
}

#[test]
fn s_25_a_wait_until_a_date_is_kept() {
    let Reading::Transient { retry_after, .. } =
        check(429, &[("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")], "")
    else {
        panic!("429 is transient");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(60)));
}

#[test]
fn s_27_a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let reading = check(status, &[("Location", "https://elsewhere.example/")], "");
        let reason = format!("redirect with status {status} with an empty body");
        assert_eq!(reading, transient(&reason));
    }
}

#[test]
fn s_29_header_names_have_no_case() {
    for name in ["X-AKISMET-PRO-TIP", "x-akismet-pro-tip", "X-Akismet-Pro-Tip"] {
        assert_eq!(check(200, &[(name, "discard")], "true"), spam(true), "{name}");
    }
}

#[test]
fn s_30_the_first_of_two_alerts_counts() {
    let headers = [("X-akismet-alert-code", "10010"), ("x-akismet-alert-code", "10508")];
    let Reading::Spam { notice: Some(notice), .. } = check(200, &headers, "true") else {
        panic!("spam with a notice was expected");
    };
    assert_eq!((notice.code.as_str(), notice.degraded), ("10010", false));
}

#[test]
fn q_04_only_the_whole_thanks_settle_feedback() {
    let key = Key::new("k");
    let read = |body: &str| {
        Answer { status: 200, headers: &[], body: body.as_bytes() }.feedback(&key, NOW)
    };
    assert_eq!(read("Thanks for making the web a better place."), Reading::Accepted);
    let without_stop = read("Thanks for making the web a better place");
    assert!(matches!(without_stop, Reading::Transient { .. }));
    assert_eq!(read("invalid"), config("Akismet answered \"invalid\""));
    assert!(matches!(read("<html>Thanks</html>"), Reading::Transient { .. }));
    assert!(matches!(read(""), Reading::Transient { .. }));
    assert!(matches!(read("true"), Reading::Transient { .. }));
}

#[test]
fn q_22_only_the_word_valid_makes_a_key_valid() {
    let key = Key::new("k");
    let read = |status, body: &str| {
        Answer { status, headers: &[], body: body.as_bytes() }.verify_key(&key, NOW)
    };
    assert_eq!(read(200, "valid\n"), KeyReading::Valid { notice: None });
    assert!(matches!(read(200, "invalid"), KeyReading::Invalid { .. }));
    for (status, body) in [(200, "<html>valid</html>"), (500, "valid"), (200, ""), (403, "invalid")]
    {
        assert!(matches!(read(status, body), KeyReading::Unknown { .. }), "{status} {body}");
    }
}

#[test]
fn usage_is_an_object_or_a_failure() {
    let key = Key::new("k");
    let read =
        |body: &str| Answer { status: 200, headers: &[], body: body.as_bytes() }.usage(&key, NOW);
    assert_eq!(read(r#"{"limit":"none","usage":7}"#).unwrap()["usage"], 7);
    assert_eq!(read("invalid"), Err(config("Akismet answered \"invalid\"")));
    assert!(matches!(read("[1]"), Err(Reading::Transient { .. })));
}

#[test]
fn no_reason_repeats_the_key_or_more_than_fifty_characters() {
    let body = format!("{}123yourapikey{}", "ä".repeat(40), "x".repeat(4000));
    let reading = format!("{:?}", check(200, &[], &body));
    assert!(!reading.to_lowercase().contains("123your"), "{reading}");
    assert!(!reading.contains(&"x".repeat(6)), "{reading}");
    let headers = [
        ("X-akismet-debug-help", "no such key: 123YourAPIKey"),
        ("X-akismet-guid", "123YourAPIKey"),
        ("X-akismet-error", "key 123YourAPIKey\nsuspended"),
        ("X-akismet-alert-code", "1"),
        ("X-akismet-alert-msg", "123YourAPIKey"),
    ];
    for (status, body) in [(200, "true"), (200, "invalid"), (401, ""), (500, "123YourAPIKey")] {
        let reading = format!("{:?}", check(status, &headers, body));
        assert!(!reading.contains("123YourAPIKey"), "{reading}");
        assert!(!reading.contains("\\n"), "{reading}");
    }
}
