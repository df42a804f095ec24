//! Answers of visitors: whether one is good for a submission, and that it is used then. Owns who is asked,
//! which is the engine, or a service by way of the worker; the network is the worker's alone.

use std::time::{Duration, Instant};

use pgrx::pg_sys;
use serde::Deserialize;
use serde_json::json;
use spamcheck_engine::captcha::{
    LONGEST_ANSWER, Options, Proof, Provider, Purpose, altcha, image, siteverify,
};
use spamcheck_engine::{Facts, Field, Value, hosts};

use super::{keys, tried, used};
use crate::submission::wall_clock;
use crate::{mailbox, shared};

/// How long a service may take, all in all, and the way to the worker and back.
const PATIENCE: Duration = Duration::from_millis(3_300);

/// How long a service's token is remembered as used, in seconds: longer than any of them lives.
const TOKEN_LIFE: i64 = 600;

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is right, and used from now on.
    Solved,
    /// There is none.
    Missing,
    /// It is wrong, for this reason.
    Wrong(String),
    /// It could not be verified, for a reason that the visitor cannot help.
    Unverified(String),
    /// Answers cannot be verified at all.
    Unusable(String),
    /// It was not tried.
    Untried,
}

/// What is asked about.
pub struct Asked<'a, 'f> {
    /// The options of the check.
    pub options: &'a Options,
    /// The table.
    pub relation: &'a str,
    /// The protection that it is under.
    pub protection: i32,
    /// The whole submission.
    pub facts: &'a Facts<'f>,
    /// Whether the row was there before.
    pub edited: bool,
    /// Whether nobody is to wait for a service.
    pub trial: bool,
}

/// The answer that a submission has. Not cut: it is no text that checks look at.
pub fn given<'a>(facts: &'a Facts<'_>) -> Option<&'a str> {
    match facts.value(Field::Captcha) {
        Value::Text(text) if !text.trim().is_empty() => Some(text.trim()),
        _ => None,
    }
}

/// Tries a submission's answer, and uses it if it is right. With `of_refusal` only one to the challenge of
/// this very content's refusal is tried; None: it is no such answer, and may be tried later.
pub fn tried(asked: &Asked<'_, '_>, of_refusal: bool) -> Option<Tried> {
    let provider = asked.options.provider;
    if let Err(why) = keys::of(provider) {
        // Nobody can give an answer, since nobody gets a challenge.
        return (!of_refusal).then_some(Tried::Unusable(why));
    }
    let Some(answer) = given(asked.facts) else {
        return (!of_refusal).then_some(Tried::Missing);
    };
    if provider.is_service() {
        return match (of_refusal, asked.trial) {
            (true, _) => None,
            (_, true) => Some(Tried::Untried),
            _ => Some(ask_service(asked, answer)),
        };
    }
    let read = match read(asked, answer) {
        Ok(read) => read,
        Err(other) => return (!of_refusal).then_some(other),
    };
    if of_refusal && !read.proof.of_refusal {
        return None;
    }
    if let Some((image, right)) = read.image {
        if !tried::claim(image) {
            return Some(Tried::Wrong("the image was tried before".to_owned()));
        }
        if !right {
            return Some(Tried::Wrong(WRONG_LETTERS.to_owned()));
        }
        tried::release(image);
    }
    Some(if used::spend(&read.proof, read.content, asked.edited, Some(asked.protection)) {
        Tried::Solved
    } else {
        Tried::Wrong(USED.to_owned())
    })
}

/// What [`tried`] would say, without using anything and without asking anybody.
pub fn tried_dry(asked: &Asked<'_, '_>) -> Tried {
    if let Err(why) = keys::of(asked.options.provider) {
        return Tried::Unusable(why);
    }
    let Some(answer) = given(asked.facts) else { return Tried::Missing };
    if asked.options.provider.is_service() {
        return Tried::Untried;
    }
    match read(asked, answer) {
        Err(other) => other,
        Ok(read) if read.image.is_some_and(|(_, right)| !right) => {
            Tried::Wrong(WRONG_LETTERS.to_owned())
        }
        Ok(read) if used::is_used(&read.proof) => Tried::Wrong(USED.to_owned()),
        Ok(_) => Tried::Solved,
    }
}

const USED: &str = "the answer was used before";
const WRONG_LETTERS: &str = "these are not the letters of the image";

/// An answer that we verify ourselves, as far as it can be told without the others.
struct Read {
    proof: Proof,
    content: Purpose,
    /// Which image, and whether the answer is right.
    image: Option<(u64, bool)>,
}

fn read(asked: &Asked<'_, '_>, answer: &str) -> Result<Read, Tried> {
    let provider = asked.options.provider;
    let key = keys::of(provider).map_err(Tried::Unusable)?;
    let content = Purpose::for_content(&key, asked.relation, asked.facts);
    let now = wall_clock() / 1_000_000;
    if provider == Provider::Altcha {
        let proof = altcha::verify(&key, answer, &content, now).map_err(Tried::Wrong)?;
        return Ok(Read { proof, content, image: None });
    }
    let one = image::read(&key, answer, &content, now).map_err(Tried::Wrong)?;
    Ok(Read { proof: one.proof, content, image: Some((one.image, one.right)) })
}

/// What the worker says about a token.
#[derive(Deserialize)]
#[serde(tag = "said", content = "why", rename_all = "snake_case")]
enum Said {
    Solved,
    Wrong(String),
    Unverified(String),
}

fn ask_service(asked: &Asked<'_, '_>, token: &str) -> Tried {
    let provider = asked.options.provider;
    if token.len() > LONGEST_ANSWER {
        return Tried::Wrong(format!("the answer is longer than {LONGEST_ANSWER} bytes"));
    }
    let proof = Proof {
        challenge: siteverify::token_hash(provider, token),
        expires: wall_clock() / 1_000_000 + TOKEN_LIFE,
        of_refusal: false,
    };
    let content = Purpose::for_content(&keys::image(), asked.relation, asked.facts);
    // Used before it is asked about: of two sessions with one token, one asks. And once it was asked about,
    // it is used up at the service, whatever becomes of the row.
    if !used::spend(&proof, content, asked.edited, None) {
        return Tried::Wrong(USED.to_owned());
    }
    let unverified =
        |why: &str| Tried::Unverified(format!("{} was not asked: {why}", provider.name()));
    // SAFETY: a static that is set for the life of the backend.
    let database = shared::shared().and_then(|s| s.database(unsafe { pg_sys::MyDatabaseId }));
    let Some(database) = database.filter(|database| database.runs()) else {
        return unverified("no pg_spamcheck worker runs in this database");
    };
    let permalink = asked.facts.text(Field::Permalink).unwrap_or_default();
    let question = json!({
        "ask": "siteverify", "provider": provider.name(), "token": token, "ip": asked.facts.ip(),
        "host": hosts::of_url(permalink), "idempotency": uuid(),
    });
    let deadline = Instant::now() + PATIENCE;
    match mailbox::ask(database, question.to_string().as_bytes(), deadline) {
        Ok(said) => match serde_json::from_slice(&said) {
            Ok(Said::Solved) => Tried::Solved,
            Ok(Said::Wrong(why)) => Tried::Wrong(why),
            Ok(Said::Unverified(why)) => Tried::Unverified(why),
            Err(_) => unverified("the worker's answer cannot be read"),
        },
        Err(unsettled) => unverified(unsettled.reason()),
    }
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let mut bytes: [u8; 16] = keys::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
