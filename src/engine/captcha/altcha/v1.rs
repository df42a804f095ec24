//! Owns ALTCHA's first protocol: find the number whose hash with the salt is the challenge. It must not
//! believe anything in an answer before its signature.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::super::keyed::{Key, hash, hex, same, unhex};
use super::super::{Proof, Purpose};
use super::{OTHER_KEY, alive, proof};

/// The only algorithm that we ask for, so the only one that is taken.
const ALGORITHM: &str = "SHA-256";

/// The greatest number that is looked for: about a second of a telephone's time.
const MOST: u32 = 50_000;

/// What a widget sends.
#[derive(Deserialize)]
pub(super) struct Payload {
    algorithm: String,
    challenge: String,
    number: u64,
    salt: String,
    signature: String,
}

/// A challenge; takes 16 random bytes.
pub(super) fn challenge(key: &Key, purpose: &Purpose, expires: i64, random: &[u8]) -> Json {
    let (salt, number) = random.split_at(12);
    let number = number.iter().fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
    let mut salt = format!("{}?expires={expires}&", hex(salt));
    for (name, value) in purpose.parameters() {
        // Each ends with an ampersand: without the last one, digits could move over to the number.
        salt.push_str(&format!("{name}={value}&"));
    }
    let challenge = solved(&salt, u64::from(number % (MOST + 1)));
    let signature = hex(&key.sign(&[challenge.as_bytes()]));
    json!({ "algorithm": ALGORITHM, "challenge": challenge, "maxnumber": MOST, "salt": salt,
            "signature": signature })
}

fn solved(salt: &str, number: u64) -> String {
    hex(&hash(&[salt.as_bytes(), number.to_string().as_bytes()]))
}

/// What an answer proves.
pub(super) fn verify(
    key: &Key,
    payload: &Payload,
    submission: &Purpose,
    now: i64,
) -> Result<Proof, String> {
    if payload.algorithm != ALGORITHM {
        return Err(format!("the answer is not by {ALGORITHM}"));
    }
    let (_, parameters) = payload.salt.split_once('?').unwrap_or_default();
    if !parameters.ends_with('&') {
        return Err("the salt does not end with an ampersand".to_owned());
    }
    let parameter = |wanted: &str| {
        let pairs = parameters.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        let value = values.next();
        // Which of two would count is nothing to guess about.
        if values.next().is_some() { Some("") } else { value }
    };
    let expires = parameter("expires").and_then(|time| time.parse().ok());
    let expires = expires.ok_or("the challenge does not say when it expires")?;
    alive(expires, now)?;
    let signature = unhex(&payload.signature).ok_or(OTHER_KEY)?;
    if !same(&signature, &key.sign(&[payload.challenge.as_bytes()])) {
        return Err(OTHER_KEY.to_owned());
    }
    let challenge = solved(&payload.salt, payload.number);
    if !same(challenge.as_bytes(), payload.challenge.as_bytes()) {
        return Err("the number does not solve the challenge".to_owned());
    }
    let of_refusal = Purpose::of_parameters(parameter).fits(submission)?;
    Ok(proof(&signature, expires, of_refusal))
}
