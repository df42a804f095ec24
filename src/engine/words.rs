//! Owns lists of words and phrases and finds the first of them in a text, in one pass whose cost
//! does not depend on how many entries there are. It must not know fields. An entry is a sequence
//! of tokens (a word, a character of a script without spaces, a symbol); its hash is looked up
//! wherever a token of the text begins that begins some entry.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::phrases::{
    BYTES, Hashes, MULTIPLIER, SPACE, SYMBOL, Token, hashes, join, mix, normal_entry, skip_space,
    token,
};
use crate::refusal::Refusal;
use crate::text::{Class, class, is_ignorable};

/// Entries of more tokens than this are refused: each token that begins an entry may cost as many
/// steps as the longest of its entries has tokens.
const MAX_TOKENS: usize = 64;

/// A compiled list of words. An entry costs its bytes and about 24 more.
#[derive(Debug, Default)]
pub struct Words {
    /// The normal forms, one after the other, and where each ends.
    text: String,
    ends: Vec<u32>,
    /// Entries as they were written, where that is not their normal form, in order.
    written: Vec<(u32, Box<str>)>,
    /// Open addressing by the hash of all tokens: entry number + 1, or 0.
    slots: Vec<u32>,
    /// For the first tokens of entries with several tokens: which numbers of tokens there are.
    longer: HashMap<u32, u64, BuildHasherDefault<AsIs>>,
    /// Which first tokens there may be: most tokens of a text end here.
    filter: Vec<u64>,
    /// Whether some entry begins with a symbol.
    symbols: bool,
}

/// Hashes of tokens are good keys as they are.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0, u32::from(*byte));
        }
    }

    fn write_u32(&mut self, key: u32) {
        self.0 = u64::from(key).wrapping_mul(MULTIPLIER);
    }
}

/// Checks an entry.
///
/// # Errors
/// Refuses what has no visible character, and what is too long to be a phrase.
pub fn validate(entry: &str) -> Result<(), Refusal> {
    let visible = |character: char| !character.is_whitespace() && !is_ignorable(character);
    if !entry.contains(visible) {
        return Err(Refusal::new(format!("{} is not a word", Refusal::quote(entry)))
            .with_hint("An entry of a list of kind word is a word or several words."));
    }
    let normal = normal_entry(entry);
    if normal.is_empty() || hashes(&normal).count > MAX_TOKENS {
        return Err(Refusal::new(format!("{} is not a word or a phrase", Refusal::quote(entry)))
            .with_detail(format!("A phrase has at most {MAX_TOKENS} words and symbols."))
            .with_hint("Write the few words of it that nobody else writes."));
    }
    Ok(())
}

impl Words {
    /// Compiles entries; of those that mean the same the first one stays.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        let mut words = Self::default();
        let mut keys: Vec<Hashes> = Vec::new();
        for entry in entries {
            let start = words.text.len();
            if plain(entry) {
                words.text.push_str(entry);
            } else {
                let normal = normal_entry(entry);
                if normal.is_empty() {
                    validate(entry)?;
                }
                words.text.push_str(&normal);
                if normal != entry {
                    words.written.push((number(keys.len()), entry.into()));
                }
            }
            let key = hashes(&words.text[start..]);
            if key.count > MAX_TOKENS {
                validate(entry)?;
            }
            keys.push(key);
            words.ends.push(number(words.text.len()));
        }
        words.text.shrink_to_fit();
        words.ends.shrink_to_fit();
        words.index(&keys);
        Ok(words)
    }

    fn index(&mut self, keys: &[Hashes]) {
        if keys.is_empty() {
            return;
        }
        self.slots = vec![0; (keys.len() * 3 / 2).next_power_of_two().max(16)];
        self.filter = vec![0; (keys.len() / 4).next_power_of_two().max(64)];
        for (index, key) in keys.iter().enumerate() {
            self.symbols |= key.symbol;
            let (word, bit) = self.filter_bit(key.first);
            self.filter[word] |= bit;
            if key.count > 1 {
                *self.longer.entry(key.first).or_default() |= 1 << (key.count - 1);
            }
            let mask = self.slots.len() - 1;
            let mut slot = key.all as usize & mask;
            while self.slots[slot] != 0
                && self.entry(self.slots[slot] - 1) != self.entry(number(index))
            {
                slot = (slot + 1) & mask;
            }
            if self.slots[slot] == 0 {
                self.slots[slot] = number(index) + 1;
            }
        }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let written: usize = self.written.iter().map(|(_, entry)| entry.len() + 24).sum();
        self.text.capacity()
            + 4 * (self.ends.capacity() + self.slots.capacity())
            + 8 * self.filter.capacity()
            + 17 * self.longer.capacity()
            + written
    }

    fn entry(&self, index: u32) -> &str {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[index] as usize]
    }

    fn written(&self, index: u32) -> &str {
        match self.written.binary_search_by_key(&index, |(entry, _)| *entry) {
            Ok(found) => &self.written[found].1,
            Err(_) => self.entry(index),
        }
    }

    #[inline]
    fn filter_bit(&self, first: u32) -> (usize, u64) {
        ((first >> 6) as usize & (self.filter.len() - 1), 1 << (first & 63))
    }

    /// The first entry in the text, as it was written, and the byte where it begins. The text is
    /// ASCII or normalised.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<(&str, usize)> {
        if self.is_empty() {
            return None;
        }
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match BYTES[byte as usize] {
                SPACE => at += 1,
                SYMBOL if !self.symbols => at += 1,
                _ => {
                    let token = token(text, at);
                    let (word, bit) = self.filter_bit(token.hash);
                    if self.filter[word] & bit != 0
                        && let Some(entry) = self.begins(text, at, &token)
                    {
                        return Some((self.written(entry), at));
                    }
                    at = token.end;
                }
            }
        }
        None
    }

    /// The shortest entry that begins with this token of the text.
    #[cold]
    fn begins(&self, text: &str, start: usize, first: &Token) -> Option<u32> {
        if let Some(entry) = self.look_up(first.hash, &text[start..first.end]) {
            return Some(entry);
        }
        let counts = self.longer.get(&first.hash).copied().unwrap_or_default();
        let (mut all, mut at) = (first.hash, first.end);
        for count in 1..u64::BITS - counts.leading_zeros() {
            let next = skip_space(text, at);
            if next == text.len() {
                return None;
            }
            let token = token(text, next);
            all = join(all, next > at, token.hash);
            at = token.end;
            if counts & (1 << count) != 0
                && let Some(entry) = self.look_up(all, &text[start..at])
            {
                return Some(entry);
            }
        }
        None
    }

    fn look_up(&self, hash: u32, found: &str) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.slots[slot].checked_sub(1)?;
            if equal(self.entry(entry), found) {
                return Some(entry);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Whether an entry is its own normal form, seen from its bytes alone.
fn plain(entry: &str) -> bool {
    let bytes = entry.as_bytes();
    let lower = |byte: &u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    !bytes.is_empty() && bytes.iter().all(lower)
}

/// Whether a piece of text reads as an entry: a blank stands for any white space.
fn equal(entry: &str, found: &str) -> bool {
    if entry.len() == found.len() && entry.eq_ignore_ascii_case(found) {
        return true;
    }
    let mut found = found.char_indices().peekable();
    for expected in entry.chars() {
        let Some((_, character)) = found.next() else { return false };
        if expected == ' ' {
            if class(character) != Class::Space {
                return false;
            }
            while found.next_if(|(_, more)| class(*more) == Class::Space).is_some() {}
        } else if expected != character.to_ascii_lowercase() {
            return false;
        }
    }
    found.next().is_none()
}

/// A list has fewer than 4 GB of text.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalise;
    use proptest::prelude::*;

    fn words(entries: &[&str]) -> Words {
        Words::compile(&mut entries.iter().copied()).unwrap()
    }

    fn found(entries: &[&str], text: &str) -> Option<String> {
        words(entries).find(&normalise(text)).map(|(entry, _)| entry.to_owned())
    }

    #[test]
    fn words_match_as_a_whole_in_any_case() {
        for text in ["viagra", "Buy VIAGRA now", "(viagra)", "a-viagra.", "\u{201C}Viagra\u{201D}"]
        {
            assert_eq!(found(&["viagra"], text).as_deref(), Some("viagra"), "{text}");
        }
        for text in ["viagras", "aviagra", "via gra", "viagra_x", "viagraé", ""] {
            assert_eq!(found(&["viagra"], text), None, "{text}");
        }
        assert_eq!(found(&["Viagra"], "viagra").unwrap(), "Viagra");
        assert_eq!(found(&["казино"], "Онлайн КАЗИНО!").unwrap(), "казино");
        assert_eq!(found(&["казино"], "казиношка"), None);
    }

    #[test]
    fn phrases_take_any_white_space_between_words() {
        let entries = ["buy  cheap now", "buy it"];
        for text in ["buy cheap now", "BUY\n\tcheap \u{3000} now!", "buy buy cheap now"] {
            assert_eq!(found(&entries, text).unwrap(), "buy  cheap now", "{text}");
        }
        for text in ["buy cheap nowhere", "buy, cheap now", "buycheap now", "buy cheap", "buy"] {
            assert_eq!(found(&entries, text), None, "{text}");
        }
    }

    #[test]
    fn symbols_match_literally_with_borders_at_words_only() {
        for (entry, text) in [
            ("c++", "I like C++."),
            ("c++", "c+++"),
            ("$$$", "win$$$$now"),
            ("very good site!", "VERY good  site!!"),
            ("example.com", "see http://Example.com/x"),
            ("@spam", "me@spam"),
            ("💊", "get 💊💊"),
        ] {
            assert_eq!(found(&[entry], text).as_deref(), Some(entry), "{text}");
        }
        for (entry, text) in [
            ("c++", "cc++"),
            ("c++", "c + +"),
            ("example.com", "myexample.com"),
            ("example.com", "example.community"),
            ("@spam", "@spammer"),
        ] {
            assert_eq!(found(&[entry], text), None, "{text}");
        }
    }

    #[test]
    fn scripts_without_spaces_match_inside_running_text() {
        assert_eq!(found(&["赌场"], "最好的在线赌场欢迎你").unwrap(), "赌场");
        assert_eq!(found(&["カジノ"], "オンラインｶｼﾞﾉへようこそ").unwrap(), "カジノ");
        assert_eq!(found(&["คาสิโน"], "เล่นคาสิโนออนไลน์").unwrap(), "คาสิโน");
        assert_eq!(found(&["a片"], "看A片吧").unwrap(), "a片");
        assert_eq!(found(&["a片"], "看aa片吧"), None);
        assert_eq!(found(&["赌场"], "赌 场"), None);
        assert_eq!(found(&["카지노"], "온라인카지노"), None);
    }

    #[test]
    fn combining_marks_belong_to_what_carries_them() {
        for text in
            ["´casino´", "¨casino¨", "\u{301}casino", "c\u{336}a\u{336}s\u{336}ino", "CASİNO"]
        {
            assert_eq!(found(&["casino"], text).as_deref(), Some("casino"), "{text}");
        }
        assert_eq!(found(&["casino"], "casino\u{301}"), None);
        assert_eq!(found(&["casinó"], "casino\u{301}").unwrap(), "casinó");
        // A tone makes another syllable; Devanagari's vowel signs are part of its words.
        assert_eq!(found(&["กา"], "กา\u{E48}"), None);
        assert_eq!(found(&["ก"], "กั"), None);
        assert_eq!(found(&["हिन्दी"], "यह हिन्दी है").unwrap(), "हिन्दी");
        assert_eq!(found(&["हिन्द"], "यह हिन्दी है"), None);
        assert_eq!(found(&["كازينو"], "أفضل كازينو!").unwrap(), "كازينو");
        assert_eq!(found(&["קזינו"], "(קזינו)").unwrap(), "קזינו");
    }

    #[test]
    fn the_byte_found_is_where_the_entry_begins() {
        assert_eq!(words(&["b c", "x"]).find("a\tB  C x"), Some(("b c", 2)));
        assert_eq!(words(&["场"]).find("赌场"), Some(("场", 3)));
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for entry in ["", "  ", "\u{200B}\u{AD}", &"a ".repeat(65)] {
            assert!(validate(entry).is_err(), "{entry}");
            assert!(Words::compile(&mut ["ok", entry].into_iter()).is_err(), "{entry}");
        }
        validate(&"a ".repeat(64)).unwrap();
    }

    #[test]
    fn a_hundred_thousand_entries_stay_small_and_are_all_found() {
        let entries: Vec<String> = (0..100_000)
            .map(|n| match n % 3 {
                0 => format!("word{n}"),
                1 => format!("buy {n} pills"),
                _ => format!("shop{n}.example"),
            })
            .collect();
        let words = Words::compile(&mut entries.iter().map(String::as_str)).unwrap();
        assert!(words.bytes() < 12 << 20, "{} bytes", words.bytes());
        for entry in &entries {
            assert_eq!(words.find(&format!("so {entry}, yes")), Some((entry.as_str(), 3)));
        }
        assert_eq!(words.find("word1 buy 2 pills shop3.example word"), None);
    }

    proptest! {
        #[test]
        fn an_entry_is_found_in_any_text_that_holds_it(
            entry in "[a-zA-Zé赌ß+$ж ]{1,8}", left in "[ .,()]{1,3}", right in "[ .,()]{1,3}"
        ) {
            prop_assume!(validate(&entry).is_ok());
            let text = format!("x{left}{entry}{right}y");
            let normal = normalise(&text);
            let words = words(&[&entry]);
            let hit = words.find(&normal);
            prop_assert!(hit.is_some());
            prop_assert!(normal.is_char_boundary(hit.unwrap().1));
        }

        #[test]
        fn ascii_needs_no_normal_form(text in "[a-cA-C +.]{0,30}") {
            let words = words(&["a b", "c+", "b.a", "cab"]);
            let normal = normalise(&text);
            prop_assert_eq!(words.find(&text), words.find(&normal));
        }

        #[test]
        fn never_panics(entry in "\\PC{1,12}", text in "\\PC{0,60}") {
            if validate(&entry).is_ok() {
                let words = words(&[&entry]);
                let normal = normalise(&text);
                if let Some((_, at)) = words.find(&normal) {
                    prop_assert!(normal.is_char_boundary(at));
                }
            }
        }
    }
}
