//! Owns how text falls into tokens: words, characters of scripts without spaces, symbols; and how a
//! phrase is hashed token by token. It must not know lists. The text is ASCII in any case, or
//! normalised.

use crate::text::{Class, class, normalise};

const SEED: u64 = 0x51_7C_C1_B7_27_22_0A_95;
pub const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// One step a character, cheap because it is taken for every letter of every text.
pub const fn mix(hash: u64, code: u32) -> u64 {
    hash.rotate_left(5) ^ code as u64
}

/// The upper bits depend on every character.
const fn finish(hash: u64) -> u32 {
    (hash.wrapping_mul(MULTIPLIER) >> 32) as u32
}

/// The hash of a phrase and one more token, which may follow with or without white space.
pub const fn join(phrase: u32, spaced: bool, token: u32) -> u32 {
    let both = ((phrase as u64) << 32 | token as u64) ^ ((spaced as u64) << 63);
    let mixed = (both ^ both >> 29).wrapping_mul(MULTIPLIER);
    (mixed >> 32) as u32
}

/// What an ASCII byte is to the scanner: a part of a word (its lower case), or one of these.
pub const SYMBOL: u8 = 0;
pub const SPACE: u8 = 1;
pub const BEYOND: u8 = 2;

pub const BYTES: [u8; 256] = {
    let mut table = [SYMBOL; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            letter @ (b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_') => {
                letter.to_ascii_lowercase()
            }
            b' ' | b'\t'..=b'\r' => SPACE,
            0x80.. => BEYOND,
            _ => SYMBOL,
        };
        byte += 1;
    }
    table
};

/// One token of a text.
pub struct Token {
    pub end: usize,
    pub hash: u32,
    pub symbol: bool,
}

/// The token that begins at a byte of ASCII or normalised text that is not white space.
#[inline]
pub fn token(text: &str, start: usize) -> Token {
    let bytes = text.as_bytes();
    let (mut at, mut hash) = (start, SEED);
    loop {
        while let Some(&byte) = bytes.get(at) {
            let folded = BYTES[byte as usize];
            if folded <= BEYOND {
                break;
            }
            hash = mix(hash, u32::from(folded));
            at += 1;
        }
        // Beyond ASCII a word may go on, or another token begin.
        let Some(character) = text[at..].chars().next().filter(|next| !next.is_ascii()) else {
            break;
        };
        let class = class(character);
        let goes_on = match class {
            Class::Word => true,
            Class::Mark => at > start,
            _ => false,
        };
        if !goes_on && at > start {
            break;
        }
        let next = at + character.len_utf8();
        hash = mix(hash, character as u32);
        at = next;
        if !goes_on {
            // A vowel sign or a tone belongs to the character that carries it.
            while class == Class::Character
                && let Some(mark) = text[at..].chars().next()
                && crate::text::class(mark) == Class::Mark
            {
                hash = mix(hash, mark as u32);
                at += mark.len_utf8();
            }
            return Token { end: at, hash: finish(hash), symbol: class != Class::Character };
        }
    }
    if at == start {
        return Token { end: at + 1, hash: finish(mix(SEED, u32::from(bytes[at]))), symbol: true };
    }
    Token { end: at, hash: finish(hash), symbol: false }
}

/// The end of the white space that begins at a byte.
pub fn skip_space(text: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(character) = text[at..].chars().next() {
        if class(character) != Class::Space {
            break;
        }
        at += character.len_utf8();
    }
    at
}

/// The normal form of an entry: white space between words is one blank.
pub fn normal_entry(entry: &str) -> String {
    let normal = normalise(entry);
    let mut words = normal.split_whitespace();
    let mut joined = String::with_capacity(normal.len());
    joined.push_str(words.next().unwrap_or_default());
    for word in words {
        joined.push(' ');
        joined.push_str(word);
    }
    joined
}

/// The hashes of an entry in normal form: of its first token and of all; and how many there are.
pub struct Hashes {
    pub first: u32,
    pub all: u32,
    pub count: usize,
    pub symbol: bool,
}

pub fn hashes(normal: &str) -> Hashes {
    let first = token(normal, 0);
    let mut hashes = Hashes { first: first.hash, all: first.hash, count: 1, symbol: first.symbol };
    let mut at = first.end;
    while at < normal.len() {
        let start = skip_space(normal, at);
        let next = token(normal, start);
        hashes.all = join(hashes.all, start > at, next.hash);
        hashes.count += 1;
        at = next.end;
    }
    hashes
}
