//! Owns hashes with a key, and how two of them are compared: in constant time. It must not know what
//! they are of.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The key that challenges are signed with. It shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(…)")
    }
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// HMAC-SHA-256 of the parts, one behind the other.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.signer().map_or([0; 32], |signer| signed(signer, parts))
    }

    /// Signs again and again, each time what the last signature was; all of them together by XOR, as
    /// PBKDF2 does (RFC 8018, section 5.2).
    pub(super) fn sign_rounds(&self, first: &[&[u8]], rounds: u64) -> [u8; 32] {
        let Some(signer) = self.signer() else { return [0; 32] };
        let mut last = signed(signer.clone(), first);
        let mut all = last;
        for _ in 1..rounds {
            last = signed(signer.clone(), &[&last]);
            all.iter_mut().zip(last).for_each(|(byte, more)| *byte ^= more);
        }
        all
    }

    /// HMAC takes keys of every length, so there always is one.
    fn signer(&self) -> Option<Hmac<Sha256>> {
        <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).ok()
    }
}

fn signed(mut signer: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().for_each(|part| signer.update(part));
    signer.finalize().into_bytes().into()
}

/// SHA-256 of the parts, one behind the other.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Whether two hashes are the same; how long it takes says nothing about where they differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// In lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits of either case, in pairs.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    pairs.map(byte).collect()
}
