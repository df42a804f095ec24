//! Owns how the services are asked whether an answer is right, and what their answers mean (reCAPTCHA v2
//! and v3, hCaptcha, Turnstile). It must not open a socket or look at a clock.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::Provider;
use super::keyed::hash;
use crate::akismet::form;
use crate::time;

/// How sure reCAPTCHA v3 has to be of a person, from 0 to 1: Google's own proposal to start with.
const SURE: f64 = 0.5;

/// No service's tokens live longer, and clocks differ by less than this, in seconds.
const LIFE: i64 = 600;

/// What a service's answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The visitor solved it.
    Solved,
    /// The token is worth nothing: the visitor is asked again. Why, for staff.
    Wrong(String),
    /// The service refuses us, not the visitor: a wrong secret.
    Config(String),
    /// No answer that counts: the service is ill. Worth another try.
    Transient(String),
}

/// The body of the request.
#[must_use]
pub fn body(
    provider: Provider,
    secret: &str,
    token: &str,
    ip: Option<IpAddr>,
    idempotency: &str,
) -> String {
    let mut body = String::new();
    form::append(&mut body, "secret", secret);
    form::append(&mut body, "response", token);
    if let Some(ip) = ip {
        form::append(&mut body, "remoteip", &ip.to_string());
    }
    if provider == Provider::Turnstile {
        // The same for a second try, which then is no second use.
        form::append(&mut body, "idempotency_key", idempotency);
    }
    body
}

/// What tells a token from all others.
#[must_use]
pub fn token_hash(provider: Provider, token: &str) -> [u8; 32] {
    hash(&[provider.name().as_bytes(), b"\0", token.as_bytes()])
}

/// Reads an answer. `host`: where the form was, if that is known; `now` is in seconds since the Unix
/// epoch. What a service says in its own words is not repeated, but for the codes that it documents.
#[must_use]
pub fn read(provider: Provider, status: u16, body: &[u8], host: Option<&str>, now: i64) -> Reading {
    let name = provider.name();
    let parsed: Option<Json> = serde_json::from_slice(body).ok().filter(Json::is_object);
    if status >= 500 || status == 429 || status == 408 {
        return Reading::Transient(format!("{name} answers with status {status}"));
    }
    let Some(answer) = parsed else {
        return Reading::Transient(format!("{name} answers with something else than JSON"));
    };
    match &answer["success"] {
        Json::Bool(true) if status == 200 => accepted(provider, &answer, host, now),
        Json::Bool(true) => {
            Reading::Transient(format!("{name} says yes, but with status {status}"))
        }
        Json::Bool(false) => refused(name, &answer),
        _ => Reading::Transient(format!("{name} does not say whether it is a success")),
    }
}

fn refused(name: &str, answer: &Json) -> Reading {
    let codes: Vec<&str> =
        answer["error-codes"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let known: Vec<&str> =
        codes.iter().copied().filter(|code| is_token(code) || is_ours(code)).collect();
    if codes.contains(&"internal-error") {
        return Reading::Transient(format!("{name} says internal-error"));
    }
    if let Some(code) = codes.iter().find(|code| is_ours(code)) {
        return Reading::Config(format!("{name} says {code}"));
    }
    if !codes.is_empty() && known.is_empty() {
        return Reading::Transient(format!("{name} refuses with a code that is not known"));
    }
    let said = if known.is_empty() { "no".to_owned() } else { known.join(", ") };
    Reading::Wrong(format!("{name} says {said}"))
}

/// What is wrong with the visitor's token.
fn is_token(code: &str) -> bool {
    matches!(
        code,
        "missing-input-response"
            | "invalid-input-response"
            | "timeout-or-duplicate"
            | "invalid-or-already-seen-response"
            | "expired-input-response"
            | "already-seen-response"
            | "browser-error"
    )
}

/// What is wrong with our request: the visitor cannot help it.
fn is_ours(code: &str) -> bool {
    matches!(
        code,
        "missing-input-secret"
            | "invalid-input-secret"
            | "bad-request"
            | "sitekey-secret-mismatch"
            | "not-using-dummy-passcode"
            | "not-using-dummy-secret"
            | "missing-remoteip"
            | "invalid-remoteip"
            | "missing-input-sitekey"
            | "invalid-sitekey"
    )
}

fn accepted(provider: Provider, answer: &Json, host: Option<&str>, now: i64) -> Reading {
    let name = provider.name();
    let solved_at = answer["challenge_ts"].as_str().and_then(time::parse);
    if solved_at.is_some_and(|at| (now - at / 1_000_000).abs() > LIFE) {
        return Reading::Wrong(format!("{name} says it was solved at another time"));
    }
    if let (Some(ours), Some(theirs)) = (host, answer["hostname"].as_str())
        && !same_site(ours, theirs)
        && !is_test(theirs)
    {
        return Reading::Wrong(format!("{name} says it was solved on another site"));
    }
    match (provider, answer["score"].as_f64()) {
        (Provider::Recaptcha, Some(score)) if score < SURE => {
            Reading::Wrong(format!("recaptcha gives a score of {score}, less than {SURE}"))
        }
        (Provider::Recaptcha, None) if !answer["score"].is_null() => {
            Reading::Transient("recaptcha gives a score that is no number".to_owned())
        }
        // hCaptcha's score is one of risk.
        (Provider::Hcaptcha, Some(score)) if score > SURE => {
            Reading::Wrong(format!("hcaptcha gives a risk of {score}, more than {SURE}"))
        }
        _ => Reading::Solved,
    }
}

/// Whether two hosts are one, or one is a subdomain of the other; a name like `com` is no site.
fn same_site(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    let under = |a: &str, b: &str| {
        let rest = a.strip_suffix(b);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.') && b.contains('.'))
    };
    under(&one, &other) || under(&other, &one)
}

/// What the services' public test keys give as the site; they solve nothing for a secret of one's own.
fn is_test(host: &str) -> bool {
    matches!(host, "testkey.google.com" | "dummy-key-pass")
}

#[cfg(test)]
mod tests;
