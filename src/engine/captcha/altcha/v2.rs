//! Owns ALTCHA's second protocol: find the counter whose derived key begins with a prefix. What it costs
//! to verify is said by the challenge, so nothing is derived before the signature is found to be ours,
//! and never more than a cap.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::super::keyed::{Key, hash, hex, same, unhex};
use super::super::{Proof, Purpose};
use super::{OTHER_KEY, alive, proof};

/// What we ask for: a derived key takes this many rounds, and one in 256 has the prefix.
const ALGORITHM: &str = "PBKDF2/SHA-256";
const COST: u64 = 2_000;
const PREFIX: &str = "00";

/// No challenge, whoever signed it, takes more rounds than this: a few milliseconds.
const MOST: u64 = 20_000;
/// The parameter that names v1's challenge of the same refusal, by its signature.
const FIRST: &str = "spamcheck_v1";

/// Bytes of a derived key: one block of SHA-256.
const KEY_LENGTH: u64 = 32;

/// What a widget sends.
#[derive(Deserialize)]
pub(super) struct Payload {
    challenge: Challenge,
    solution: Solution,
}

#[derive(Deserialize)]
struct Challenge {
    parameters: Map<String, Json>,
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Solution {
    counter: u64,
    derived_key: String,
}

/// A challenge, the other form of v1's with the signature `first`; takes 32 random bytes.
pub(super) fn challenge(
    key: &Key,
    purpose: &Purpose,
    expires: i64,
    random: &[u8],
    first: &str,
) -> Json {
    let (nonce, salt) = random.split_at(16);
    let data: Map<String, Json> = purpose
        .parameters()
        .chain([(FIRST, first.to_owned())])
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let parameters = json!({ "algorithm": ALGORITHM, "cost": COST, "keyLength": KEY_LENGTH,
        "keyPrefix": PREFIX, "nonce": hex(nonce), "salt": hex(salt), "expiresAt": expires, "data": data });
    let signature = hex(&key.sign(&[canonical(&parameters).as_bytes()]));
    json!({ "parameters": parameters, "signature": signature })
}

/// As it is signed: members sorted by name, nothing between them, no nulls.
pub(super) fn canonical(json: &Json) -> String {
    match json {
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, v)| !v.is_null()).collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            let members = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Json::from(name.as_str()), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Json::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// What an answer proves.
pub(super) fn verify(
    key: &Key,
    derived: &Key,
    payload: &Payload,
    submission: &Purpose,
    now: i64,
) -> Result<Proof, String> {
    let Payload { challenge: Challenge { parameters, signature }, solution } = payload;
    let expires = parameters.get("expiresAt").and_then(Json::as_i64);
    let expires = expires.ok_or("the challenge does not say when it expires")?;
    alive(expires, now)?;
    let signature = unhex(signature).ok_or(OTHER_KEY)?;
    let signed = canonical(&Json::Object(parameters.clone()));
    if !same(&signature, &key.sign(&[signed.as_bytes()])) {
        return Err(OTHER_KEY.to_owned());
    }
    let given = unhex(&solution.derived_key).ok_or("the derived key is not hexadecimal")?;
    let prefix = bytes(parameters, "keyPrefix")?;
    if prefix.is_empty() || given.len() < prefix.len() || !same(&given[..prefix.len()], &prefix) {
        // Tested in every case: a key that was derived from any counter is no work (counter 0).
        return Err("the derived key does not begin with the prefix".to_owned());
    }
    let right = match parameters.get("keySignature").and_then(Json::as_str) {
        Some(known) => {
            let known = unhex(known).ok_or("the key's signature is not hexadecimal")?;
            same(&known, &derived.sign(&[&given]))
        }
        None => same(&given, &derive(parameters, solution.counter)?),
    };
    if !right {
        return Err("the counter does not solve the challenge".to_owned());
    }
    let data = parameters.get("data").unwrap_or(&Json::Null);
    let of_refusal = Purpose::of_parameters(|name| data[name].as_str()).fits(submission)?;
    // Under the name of the other form, so that one answer is all there is; an app's own has none.
    let first = data[FIRST].as_str().and_then(unhex).filter(|name| name.len() == 32);
    Ok(proof(first.as_deref().unwrap_or(&signature), expires, of_refusal))
}

fn bytes(parameters: &Map<String, Json>, name: &str) -> Result<Vec<u8>, String> {
    let text = parameters.get(name).and_then(Json::as_str).unwrap_or_default();
    unhex(text).ok_or_else(|| format!("the challenge's {name} is not hexadecimal"))
}

/// The key that a counter gives.
fn derive(parameters: &Map<String, Json>, counter: u64) -> Result<Vec<u8>, String> {
    let number = |name: &str, default| parameters.get(name).map_or(Some(default), Json::as_u64);
    let cost = number("cost", 1).filter(|cost| (1..=MOST).contains(cost));
    let cost = cost.ok_or_else(|| format!("the challenge takes more than {MOST} rounds"))?;
    let length = number("keyLength", KEY_LENGTH).filter(|n| (1..=KEY_LENGTH).contains(n));
    let length = length.ok_or("the challenge's keyLength is not from 1 to 32")?;
    let counter = u32::try_from(counter).map_err(|_| "the counter is not of 32 bits".to_owned())?;
    let mut password = bytes(parameters, "nonce")?;
    match parameters.get("counterMode").and_then(Json::as_str) {
        Some("string") => password.extend_from_slice(counter.to_string().as_bytes()),
        _ => password.extend_from_slice(&counter.to_be_bytes()),
    }
    let salt = bytes(parameters, "salt")?;
    let key = match parameters.get("algorithm").and_then(Json::as_str) {
        Some("PBKDF2/SHA-256") => pbkdf2(&password, &salt, cost),
        Some("SHA-256") => (1..cost).fold(hash(&[&salt, &password]), |key, _| hash(&[&key])),
        _ => return Err("the challenge is not by PBKDF2/SHA-256 or SHA-256".to_owned()),
    };
    Ok(key[..length as usize].to_vec())
}

/// The first block of PBKDF2 with HMAC-SHA-256 (RFC 8018, section 5.2).
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u64) -> [u8; 32] {
    Key::new(password).sign_rounds(&[salt, &1_u32.to_be_bytes()], rounds)
}
