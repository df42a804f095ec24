//! Owns the pieces of plain text that patterns require, and finds which of them are in a text by a
//! window of four bytes (or fewer), whatever their number. It must not compile patterns.

use std::collections::BTreeMap;

use regex_syntax::hir::{Hir, HirKind};

/// A shorter piece says too little.
const WINDOW: usize = 4;

/// Which entries to try on a text. No piece may be shorter than the window.
#[derive(Debug, Default)]
pub struct Pieces<const BYTES: usize = WINDOW> {
    /// The pieces, lower-case ASCII, one after the other.
    text: Vec<u8>,
    pieces: Vec<Piece>,
    /// By hash of the window: where its pieces begin in `pieces`; one more at the end.
    starts: Vec<u32>,
    filter: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    entry: u32,
    start: u32,
    length: u16,
    /// Where in the piece its window is.
    window: u16,
    hash: u32,
}

/// The longest piece of a pattern that has no operators but anchors, full stops and escaped
/// punctuation, told from its spelling: parsing every one of a long list would take too long.
/// `None` if it is not as plain as that or has no piece.
pub fn of_plain(entry: &str) -> Option<Vec<u8>> {
    let anchored = entry.strip_prefix('^').or_else(|| entry.strip_prefix(r"\A")).unwrap_or(entry);
    let inner = anchored.strip_suffix('$').or_else(|| anchored.strip_suffix(r"\Z"));
    let mut bytes = inner.unwrap_or(anchored).bytes();
    let (mut best, mut piece) = (Vec::new(), Vec::new());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'.' => {
                keep_longest(&mut best, &mut piece);
                continue;
            }
            // Escaped angle brackets differ between the two spellings.
            b'\\' => {
                bytes.next().filter(|byte| byte.is_ascii_punctuation() && !b"<>".contains(byte))?
            }
            b'^' | b'$' | b'*' | b'+' | b'?' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'|' => {
                return None;
            }
            byte if byte.is_ascii() => byte,
            _ => return None,
        };
        piece.push(byte.to_ascii_lowercase());
    }
    keep_longest(&mut best, &mut piece);
    (best.len() >= WINDOW).then_some(best)
}

/// The longest piece that every match of a pattern contains; `None` if there is none.
pub fn of_pattern(hir: &Hir) -> Option<Vec<u8>> {
    let mut best = Vec::new();
    each_literal(hir, &mut |literal| {
        if literal.len() > best.len() {
            best = literal.to_ascii_lowercase();
        }
    });
    (best.len() >= WINDOW).then_some(best)
}

/// Calls `found` for each different piece of any length that is in every match of a pattern, whatever the text. Those
/// of [`of_pattern`] may have `k` and `s` in them, which a match may have as the signs for kelvin or a long s.
pub fn parts_of(pattern: &str, found: &mut dyn FnMut(&[u8])) {
    let Ok(hir) = regex_syntax::parse(pattern) else { return };
    let mut parts = Vec::new();
    each_literal(&hir, &mut |literal| {
        let literal = literal.to_ascii_lowercase();
        let pieces = literal.split(|byte| matches!(byte, b'k' | b's'));
        parts.extend(pieces.filter(|part| !part.is_empty()).map(<[u8]>::to_vec));
    });
    parts.sort_unstable();
    parts.dedup();
    parts.iter().for_each(|part| found(part));
}

fn each_literal(hir: &Hir, found: &mut dyn FnMut(&[u8])) {
    match hir.kind() {
        HirKind::Literal(literal) if literal.0.is_ascii() => found(&literal.0),
        HirKind::Capture(capture) => each_literal(&capture.sub, found),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            each_literal(&repetition.sub, found);
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| each_literal(part, found)),
        _ => {}
    }
}

fn keep_longest(best: &mut Vec<u8>, piece: &mut Vec<u8>) {
    if piece.len() > best.len() {
        std::mem::swap(best, piece);
    }
    piece.clear();
}

const fn hash(window: u32) -> u32 {
    ((window as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

fn window(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |window, byte| window << 8 | u32::from(byte.to_ascii_lowercase()))
}

impl<const BYTES: usize> Pieces<BYTES> {
    /// The bits of a window.
    const MASK: u32 = u32::MAX >> (8 * (WINDOW - BYTES));

    /// Adds the piece of an entry.
    pub fn add(&mut self, entry: u32, piece: &[u8]) {
        // A pattern has at most 1 MB; what lies behind the first 64 kB of a piece is not needed.
        let piece = &piece[..piece.len().min(usize::from(u16::MAX))];
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(piece);
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        self.pieces.push(Piece { entry, start, length, window: 0, hash: 0 });
    }

    /// Takes out the pieces that more than so many entries have, with their entries in the order in which they came.
    pub fn take_shared(&mut self, most: usize) -> Vec<(Vec<u8>, Vec<u32>)> {
        // Most lists have none: this costs them a look at each piece.
        let slots = self.pieces.len().next_power_of_two();
        let slot = |piece: &[u8]| {
            let mix = |hash: u64, byte: &[u8]| {
                let word = byte.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
                (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
            };
            piece.chunks(8).fold(0, mix) as usize & (slots - 1)
        };
        let mut counts = vec![0_usize; slots];
        for piece in &self.pieces {
            counts[slot(self.bytes_of(piece))] += 1;
        }
        if counts.iter().all(|count| *count <= most) {
            return Vec::new();
        }
        let mut shared: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
        for piece in &self.pieces {
            let bytes = self.bytes_of(piece);
            if counts[slot(bytes)] > most {
                let entries = shared.entry(bytes).or_default();
                // Both spellings of an entry may have it.
                if entries.last() != Some(&piece.entry) {
                    entries.push(piece.entry);
                }
            }
        }
        shared.retain(|_, entries| entries.len() > most);
        let mut left = Self::default();
        for piece in &self.pieces {
            let bytes = self.bytes_of(piece);
            if !shared.contains_key(bytes) {
                left.add(piece.entry, bytes);
            }
        }
        let shared = shared.into_iter().map(|(piece, entries)| (piece.to_vec(), entries)).collect();
        *self = left;
        shared
    }

    fn bytes_of(&self, piece: &Piece) -> &[u8] {
        &self.text[piece.start as usize..][..usize::from(piece.length)]
    }

    /// Chooses a window for each piece, the one that fewest others have, and sorts by it.
    pub fn index(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let buckets = self.pieces.len().next_power_of_two().max(64);
        let shift = u32::BITS - buckets.trailing_zeros();
        let mut counts = vec![0_u32; buckets + 1];
        for piece in &mut self.pieces {
            let text = &self.text[piece.start as usize..][..usize::from(piece.length)];
            let mut fewest = u32::MAX;
            for (at, bytes) in text.windows(BYTES).enumerate().take(usize::from(u8::MAX)) {
                let hash = hash(window(bytes));
                let count = counts[(hash >> shift) as usize];
                if count < fewest {
                    fewest = count;
                    piece.hash = hash;
                    piece.window = u16::try_from(at).unwrap_or_default();
                }
            }
            counts[(piece.hash >> shift) as usize] += 1;
        }
        self.pieces.sort_by_key(|piece| piece.hash);
        let mut start = 0;
        for count in &mut counts {
            start += std::mem::replace(count, start);
        }
        self.starts = counts;
        self.text.shrink_to_fit();
        self.pieces.shrink_to_fit();
        self.filter = vec![0; (buckets / 4).max(64)];
        for piece in &self.pieces {
            let (word, bit) = filter_bit(piece.hash, self.filter.len());
            self.filter[word] |= bit;
        }
    }

    /// Calls `found` for each entry whose piece is in the text, upper and lower case alike.
    pub fn each_in(&self, text: &str, mut found: impl FnMut(u32)) {
        if self.pieces.is_empty() {
            return;
        }
        let shift = u32::BITS - (self.starts.len() - 1).trailing_zeros();
        let bytes = text.as_bytes();
        let mut rolling = 0;
        for (at, byte) in bytes.iter().enumerate() {
            rolling = (rolling << 8 | u32::from(byte.to_ascii_lowercase())) & Self::MASK;
            let hash = hash(rolling);
            let (word, bit) = filter_bit(hash, self.filter.len());
            if self.filter[word] & bit == 0 {
                continue;
            }
            let bucket = (hash >> shift) as usize;
            let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
            for piece in self.pieces[range].iter().filter(|piece| piece.hash == hash) {
                let wanted = &self.text[piece.start as usize..][..usize::from(piece.length)];
                let begin = (at + 1).checked_sub(BYTES + usize::from(piece.window));
                let there = begin.and_then(|begin| bytes.get(begin..begin + wanted.len()));
                if there.is_some_and(|there| there.eq_ignore_ascii_case(wanted)) {
                    found(piece.entry);
                }
            }
        }
    }
}

fn filter_bit(hash: u32, words: usize) -> (usize, u64) {
    ((hash >> 6) as usize & (words - 1), 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(entry: &str) -> Option<String> {
        of_plain(entry).map(|piece| String::from_utf8(piece).unwrap())
    }

    fn pattern(pattern: &str) -> Option<String> {
        let hir = regex_syntax::parse(pattern).unwrap();
        of_pattern(&hir).map(|piece| String::from_utf8(piece).unwrap())
    }

    #[test]
    fn the_longest_piece_of_a_plain_pattern_is_read_from_its_spelling() {
        assert_eq!(plain(r"@Spam\.example$").unwrap(), "@spam.example");
        assert_eq!(plain(r"\Aabcd.efghi\Z").unwrap(), "efghi");
        assert_eq!(plain(r"casino\-king").unwrap(), "casino-king");
        for other in
            ["abc", "abcde*", "(abcde)", r"abcde\d", "abcd|efgh", "абвгд", r"abcd\", "ab$cdef"]
        {
            assert_eq!(plain(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_every_match_contains_is_a_piece() {
        assert_eq!(pattern("offer[0-9]+@mail").unwrap(), "offer");
        assert_eq!(pattern("x(?P<name>Casino)+y").unwrap(), "casino");
        assert_eq!(pattern("(casino)*poker?").unwrap(), "poke");
        for none in ["(abcd)?e", "abcd|efgh", "(?i)abcd", "[a-z]{9}"] {
            assert_eq!(pattern(none), None, "{none}");
        }
    }

    #[test]
    fn pieces_are_found_wherever_they_are() {
        let mut pieces = <Pieces>::default();
        for (entry, piece) in (0..).zip(["@spam.example", "casino", "spam", "no-such"]) {
            pieces.add(entry, piece.as_bytes());
        }
        pieces.index();
        let found = |text: &str| {
            let mut entries = Vec::new();
            pieces.each_in(text, |entry| entries.push(entry));
            entries.sort_unstable();
            entries
        };
        assert_eq!(found("CASINO@spam.EXAMPLE"), [0, 1, 2]);
        assert_eq!(found("xcasino"), [1]);
        assert_eq!(found("@spam.exampl"), [2]);
        assert_eq!(found("casin casi cas"), [] as [u32; 0]);
        assert_eq!(found(""), [] as [u32; 0]);
    }
}
