//! What Akismet answers when no test scripts it: bodies and headers as documented, failures under
//! status 200 included. It reads what a request asks for and objects to nothing beyond what the
//! real service would answer with.

use super::{Endpoint, KEY, SPAM};
use crate::http::{Reply, Request};

// Akismet's older name for the author that is always spam.
const OLDER_SPAM_AUTHOR: &str = "viagra-test-123";
const SPAM_EMAIL: &str = "akismet-guaranteed-spam@example.com";

/// The answer to a request; `serial` makes the ids of checks differ.
pub(super) fn answer(endpoint: Endpoint, request: &Request, serial: u64) -> Reply {
    let param = |name: &str| request.param(name).unwrap_or_default();
    let key = if endpoint == Endpoint::VerifyKey { param("key") } else { param("api_key") };
    if key != KEY {
        return Reply::text("invalid")
            .header("X-akismet-debug-help", "We were unable to find your API key");
    }
    if endpoint != Endpoint::UsageLimit && param("blog").is_empty() {
        return Reply::text("Missing required field: blog.")
            .header("X-akismet-debug-help", "Empty \"blog\" value");
    }
    match endpoint {
        Endpoint::VerifyKey => Reply::text("valid"),
        Endpoint::CommentCheck => check(request, serial),
        Endpoint::SubmitSpam | Endpoint::SubmitHam => {
            Reply::text("Thanks for making the web a better place.")
        }
        Endpoint::UsageLimit => Reply::json(&serde_json::json!({
            "limit": 350_000, "usage": 7463, "percentage": "2.13", "throttled": false
        })),
    }
}

fn check(request: &Request, serial: u64) -> Reply {
    let (mut spam, mut administrator, mut discard, mut alert) = (false, false, false, None);
    for (name, value) in request.params() {
        match name.as_ref() {
            "comment_author" => spam |= value == SPAM || value == OLDER_SPAM_AUTHOR,
            "comment_author_email" => spam |= value == SPAM_EMAIL,
            "comment_content" => spam |= value.contains(SPAM),
            "user_role" => administrator |= value.split(',').any(|role| role == "administrator"),
            "test_discard" => discard = true,
            "test_alert_code" => alert = Some(value),
            _ => {}
        }
    }
    let spam = spam && !administrator;
    let mut reply = Reply::text(if spam { "true" } else { "false" })
        .header("X-akismet-guid", format!("{:032x}", guid(serial)));
    if spam && discard {
        reply = reply.header("X-akismet-pro-tip", "discard");
    }
    if let Some(code) = alert {
        reply = reply
            .header("X-akismet-alert-code", &code)
            .header("X-akismet-alert-msg", format!("Test alert {code}"));
    }
    reply
}

/// A number that looks like Akismet's ids and differs for each serial (both factors are odd).
fn guid(serial: u64) -> u128 {
    u128::from(serial + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}
