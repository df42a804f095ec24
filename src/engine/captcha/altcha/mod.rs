//! Owns ALTCHA's proof of work: challenges of both protocols (v1 for widgets up to 2, v2 for widget 3)
//! and what their answers prove. The order of the tests matters: size, form, expiry, signature, and only
//! then what costs time. It must not know which challenges were answered before.

mod v1;
mod v2;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::keyed::hash;
use super::{Key, LONGEST_ANSWER, Proof, Purpose};

/// Random bytes that a challenge takes.
pub const RANDOM: usize = 48;

/// A challenge as JSON: v1's members, and v2's whole challenge as `v2`. They are one challenge: an answer to
/// either uses up both.
#[must_use]
pub fn challenge(key: &Key, purpose: &Purpose, expires: i64, random: &[u8; RANDOM]) -> Json {
    let mut challenge = v1::challenge(key, purpose, expires, &random[..16]);
    let first = challenge["signature"].as_str().unwrap_or_default();
    challenge["v2"] = v2::challenge(key, purpose, expires, &random[16..], first);
    challenge
}

/// What an answer proves about a submission.
///
/// # Errors
/// A sentence, when it proves nothing.
pub fn verify(key: &Key, answer: &str, submission: &Purpose, now: i64) -> Result<Proof, String> {
    verify_with(key, key, answer, submission, now)
}

/// [`verify`] with a key of its own for derived keys, as ALTCHA's libraries may have one.
fn verify_with(
    key: &Key,
    derived: &Key,
    answer: &str,
    submission: &Purpose,
    now: i64,
) -> Result<Proof, String> {
    let answer = answer.trim();
    if answer.len() > LONGEST_ANSWER {
        return Err(format!("the answer is longer than {LONGEST_ANSWER} bytes"));
    }
    let decoded = STANDARD.decode(answer).map_err(|_| "the answer is not base64".to_owned())?;
    let text = str::from_utf8(&decoded).map_err(|_| "the answer is not text".to_owned())?;
    if let Ok(payload) = serde_json::from_str(text) {
        return v1::verify(key, &payload, submission, now);
    }
    match serde_json::from_str(text) {
        Ok(payload) => v2::verify(key, derived, &payload, submission, now),
        Err(_) => Err("the answer is not an ALTCHA payload".to_owned()),
    }
}

/// The proof that a challenge with this signature was answered. Its bytes count: digits have two cases.
fn proof(signature: &[u8], expires: i64, of_refusal: bool) -> Proof {
    Proof { challenge: hash(&[b"altcha\0", signature]), expires, of_refusal }
}

fn alive(expires: i64, now: i64) -> Result<(), String> {
    if expires > now { Ok(()) } else { Err("the challenge has expired".to_owned()) }
}

const OTHER_KEY: &str = "the challenge was not signed with our key";

#[cfg(test)]
mod tests;
