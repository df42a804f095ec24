//! What Akismet requires of a request and never says when it is missing: names, encodings, headers.
//! Akismet ignores a parameter whose name it does not know, so a client's slip in a name shows
//! nowhere but in its accuracy; here it shows. Source: Akismet's API documentation and its PHP SDK.

use std::collections::HashSet;
use std::net::IpAddr;

use super::Endpoint;
use crate::http::Request;

const NAMES: &[&str] = &[
    "api_key",
    "blog",
    "blog_charset",
    "blog_lang",
    "callback",
    "comment_author",
    "comment_author_email",
    "comment_author_url",
    "comment_check_response",
    "comment_content",
    "comment_context",
    "comment_date_gmt",
    "comment_parent",
    "comment_post_modified_gmt",
    "comment_type",
    "extended",
    "guid",
    "honeypot_field_name",
    "is_test",
    "key",
    "permalink",
    "recheck_reason",
    "referrer",
    "reporter",
    "site_domain",
    "test_alert_code",
    "test_discard",
    "user_agent",
    "user_ip",
    "user_role",
];

// Of the server variables that may be sent along, these would hand the visitor's session to Akismet.
const PRIVATE: &[&str] =
    &["HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_CSRF_TOKEN"];

/// What is wrong with a request, a sentence each.
pub(super) fn problems(request: &Request) -> Vec<String> {
    let path = request.path();
    let Some(endpoint) = Endpoint::of(request) else {
        return vec![format!("Akismet has no {path}")];
    };
    let mut problems = Vec::new();
    let mut object = |problem: String| problems.push(format!("{path}: {problem}"));
    envelope(request, &mut object);
    fields(endpoint, request, &mut object);
    problems
}

fn envelope(request: &Request, object: &mut impl FnMut(String)) {
    if request.method() != "POST" {
        object(format!("the method is {}, not POST", request.method()));
    }
    if request.target().contains('?') {
        object("it has a query string, which ends up in the logs of every proxy".into());
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let form = "application/x-www-form-urlencoded";
    if content_type != form && content_type != format!("{form}; charset=UTF-8") {
        object(format!("the Content-Type is \"{content_type}\", not {form}"));
    }
    if request.header("content-length").is_none() {
        object("it has no Content-Length".into());
    }
    for name in ["transfer-encoding", "expect"] {
        if let Some(value) = request.header(name) {
            object(format!("it has the header {name}: {value}"));
        }
    }
    if let Some(key) = request.param("api_key").filter(|key| key.len() > 5)
        && request.head.contains(&key)
    {
        object("the key stands in its head, not only in its body".into());
    }
    let agent = request.header("user-agent").unwrap_or_default();
    let mut halves = agent.split(" | ").map(|half| {
        half.split_once('/').filter(|(_, version)| !version.is_empty() && !half.contains(' '))
    });
    let known = halves.next().flatten().is_some_and(|(name, _)| name == "PostgreSQL")
        && halves.next().flatten().is_some_and(|(name, _)| name == "pg_spamcheck")
        && halves.next().is_none();
    if !known {
        object(format!("the User-Agent is \"{agent}\", not \"PostgreSQL/… | pg_spamcheck/…\""));
    }
}

fn fields(endpoint: Endpoint, request: &Request, object: &mut impl FnMut(String)) {
    let honeypot = request.param("honeypot_field_name");
    let mut seen = HashSet::new();
    for (name, value) in request.params() {
        let is_honeypot = honeypot.as_deref() == Some(&*name);
        if !is_honeypot && !known(&name) {
            object(format!("\"{name}\" is no parameter of Akismet's"));
        }
        if PRIVATE.iter().any(|private| name.starts_with(private)) {
            object(format!("it gives away the visitor's {name}"));
        }
        if value.is_empty() && !is_honeypot {
            object(format!("\"{name}\" is sent without a value"));
        }
        if let Some(expected) = wrong(&name, &value) {
            object(format!("\"{name}\" is \"{value}\", not {expected}"));
        }
        if value.contains('\u{fffd}') && !request.body.windows(9).any(|w| w == b"%EF%BF%BD") {
            object(format!("\"{name}\" is not UTF-8"));
        }
        if !seen.insert(name.clone()) {
            object(format!("\"{name}\" is sent twice"));
        }
    }
    let required: &[&str] = match endpoint {
        Endpoint::VerifyKey => &["key", "blog"],
        Endpoint::UsageLimit => &["api_key"],
        Endpoint::CommentCheck | Endpoint::SubmitSpam | Endpoint::SubmitHam => {
            &["api_key", "blog", "user_ip"]
        }
    };
    for name in required.iter().filter(|name| !seen.contains(**name)) {
        object(format!("\"{name}\" is missing"));
    }
}

fn known(name: &str) -> bool {
    // A list is sent as comment_context[0], comment_context[1], …
    let whole = name.split('[').next().unwrap_or(name);
    let server_variable = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    NAMES.contains(&whole) || server_variable || name.starts_with("POST_")
}

/// What a value should have been, when it is not.
fn wrong(name: &str, value: &str) -> Option<&'static str> {
    let (fits, expected) = match name {
        "user_ip" => (value.parse().is_ok_and(|ip| !is_mapped(ip)), "a plain address"),
        "blog" => {
            let fits = value.starts_with("https://") || value.starts_with("http://");
            (fits, "a URL with its scheme")
        }
        "is_test" => (value == "1", "1"),
        "comment_check_response" => (value == "true" || value == "false", "true or false"),
        "comment_date_gmt" | "comment_post_modified_gmt" => {
            (is_utc(value), "a time like 2026-01-02T03:04:05Z")
        }
        _ => return None,
    };
    (!fits).then_some(expected)
}

fn is_mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some())
}

fn is_utc(value: &str) -> bool {
    let pattern = "0000-00-00T00:00:00Z";
    value.len() == pattern.len()
        && value.bytes().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'0' => byte.is_ascii_digit(),
            _ => byte == expected,
        })
}
