//! Owns captchas that are images, but for the drawing: which letters one shows, what its id says, and whether
//! an answer is right. Nothing is stored about one: its id carries a keyed hash of the right answer, which
//! only the key can make. It must not know how letters are drawn, nor which images were answered before;
//! that a wrong answer is the last one to an image is for whoever keeps the book.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keyed::{hash, same};
use super::{Key, Proof, Purpose};

/// What an answer is made of: letters and digits without look-alikes (0 O D Q, 1 I L, 2 Z, 5 S, 6 G, 8 B, U V,
/// and W, which is two V).
pub const ALPHABET: &[u8] = b"ACEFHJKMNPRTVXY3479";

/// Characters of an answer.
pub const LENGTH: usize = 5;

/// Random bytes that a challenge takes.
pub const RANDOM: usize = NONCE + 4 * LENGTH;

/// Parts of an id, in bytes: nonce, expiry, table, content, hash of the answer, hash of it all.
const NONCE: usize = 12;
const SIGNED: usize = NONCE + 8 + 8 + 16;
const TAG: usize = 16;

/// What is to be drawn, and what an answer to it has to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What the answer begins with: `id:answer`.
    pub id: String,
    /// The right answer, for whoever draws it and nobody else.
    pub letters: String,
}

/// An answer, read but not yet counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Tells the image from others; an image that was tried and not solved is not to be tried again.
    pub image: u64,
    /// Whether the answer is right.
    pub right: bool,
    /// What it proves then.
    pub proof: Proof,
}

/// A new challenge.
#[must_use]
pub fn challenge(key: &Key, purpose: &Purpose, expires: i64, random: &[u8; RANDOM]) -> Challenge {
    let (nonce, numbers) = random.split_at(NONCE);
    // Four bytes for each, so that no letter is likelier than another by more than one in 200 million.
    let number = |four: &[u8]| four.iter().fold(0, |all, byte| (all << 8) | usize::from(*byte));
    let letter = |four: &[u8]| char::from(ALPHABET[number(four) % ALPHABET.len()]);
    let letters: String = numbers.chunks_exact(4).map(letter).collect();
    let mut id = Vec::with_capacity(SIGNED + 2 * TAG);
    id.extend_from_slice(nonce);
    id.extend_from_slice(&expires.to_be_bytes());
    id.extend_from_slice(&purpose.relation.unwrap_or_default());
    id.extend_from_slice(&purpose.content.unwrap_or_default());
    let solution = tag(key, b"spamcheck answer\0", &[&id, letters.as_bytes()]);
    id.extend_from_slice(&solution);
    let whole = tag(key, b"spamcheck image\0", &[&id]);
    id.extend_from_slice(&whole);
    Challenge { id: URL_SAFE_NO_PAD.encode(id), letters }
}

/// Reads an answer, `id:answer`; letters of either case.
///
/// # Errors
/// A sentence, when it is no answer to an image of ours that could still be answered so.
pub fn read(key: &Key, answer: &str, submission: &Purpose, now: i64) -> Result<Try, String> {
    let form = || "the answer is not of the form id:answer".to_owned();
    let (id, answer) = answer.trim().split_once(':').ok_or_else(form)?;
    let id = URL_SAFE_NO_PAD.decode(id).map_err(|_| form())?;
    if id.len() != SIGNED + 2 * TAG {
        return Err(form());
    }
    let (signed, whole) = id.split_at(SIGNED + TAG);
    if !same(whole, &tag(key, b"spamcheck image\0", &[signed])) {
        return Err("the image is not one of ours".to_owned());
    }
    let (head, solution) = signed.split_at(SIGNED);
    let (nonce, rest) = head.split_at(NONCE);
    let (expires, rest) = rest.split_at(8);
    let (relation, content) = rest.split_at(8);
    let expires = expires.try_into().map_or(0, i64::from_be_bytes);
    if expires <= now {
        return Err("the image has expired".to_owned());
    }
    let given = Purpose {
        relation: relation.try_into().ok().filter(|tag| *tag != [0; 8]),
        content: content.try_into().ok().filter(|tag| *tag != [0; 16]),
    };
    let of_refusal = given.fits(submission)?;
    let answer = answer.trim().to_ascii_uppercase();
    let right = same(solution, &tag(key, b"spamcheck answer\0", &[head, answer.as_bytes()]));
    let image = nonce.iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte));
    let proof = Proof { challenge: hash(&[b"image\0", &id]), expires, of_refusal };
    Ok(Try { image, right, proof })
}

fn tag(key: &Key, label: &[u8], parts: &[&[u8]]) -> [u8; TAG] {
    let parts: Vec<&[u8]> = std::iter::once(label).chain(parts.iter().copied()).collect();
    let mut tag = [0; TAG];
    tag.copy_from_slice(&key.sign(&parts)[..TAG]);
    tag
}

#[cfg(test)]
mod tests;
