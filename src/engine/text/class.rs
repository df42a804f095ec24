//! What a character is for whole-word matching, in any script. Knows no text.

use std::sync::OnceLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

/// What a character is for whole-word matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// White space.
    Space,
    /// Neither white space nor part of a word.
    Symbol,
    /// Part of a word: what a regular expression's `\w` matches.
    Word,
    /// Part of the word or character before it, and of none that only follows: a combining mark.
    /// (NFKC turns the accents around `´word´` into blanks with a mark on them.)
    Mark,
    /// A word by itself: a character of a script that is written without spaces.
    Character,
}

const fn ascii_class(byte: u8) -> Class {
    match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => Class::Word,
        b' ' | b'\t'..=b'\r' => Class::Space,
        _ => Class::Symbol,
    }
}

/// The class of a character.
#[must_use]
pub fn class(character: char) -> Class {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => ascii_class(byte),
        _ => Classes::get().of(character),
    }
}

/// The classes of all characters, as ranges, with a table for the plane in common use.
struct Classes {
    plane: Box<[Class; 0x1_0000]>,
    ranges: Vec<(u32, u32, Class)>,
}

impl Classes {
    fn get() -> &'static Self {
        static CLASSES: OnceLock<Classes> = OnceLock::new();
        CLASSES.get_or_init(|| {
            let sources = [
                (r"\w", Class::Word),
                // The prolonged sound mark belongs to both kana scripts, hence to neither.
                (
                    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー&&\w]",
                    Class::Character,
                ),
                (r"\p{M}", Class::Mark),
                (r"\s", Class::Space),
            ];
            let mut plane = Box::new([Class::Symbol; 0x1_0000]);
            let mut ranges = Vec::new();
            for (pattern, class) in sources {
                for (first, last) in members(pattern) {
                    for code in first..=last.min(0xFFFF) {
                        plane[code as usize] = class;
                    }
                    if last > 0xFFFF {
                        ranges.push((first, last, class));
                    }
                }
            }
            Self { plane, ranges }
        })
    }

    fn of(&self, character: char) -> Class {
        let code = character as u32;
        if let Some(&class) = self.plane.get(code as usize) {
            return class;
        }
        // The last source that holds the character decides, as in the plane.
        let found =
            self.ranges.iter().rev().find(|(first, last, _)| (*first..=*last).contains(&code));
        found.map_or(Class::Symbol, |(_, _, class)| *class)
    }
}

/// The ranges of a character class in regular-expression syntax.
pub(super) fn members(pattern: &str) -> Vec<(u32, u32)> {
    let Ok(hir) = regex_syntax::parse(pattern) else { return Vec::new() };
    match hir.kind() {
        HirKind::Class(HirClass::Unicode(class)) => {
            class.iter().map(|range| (range.start() as u32, range.end() as u32)).collect()
        }
        _ => Vec::new(),
    }
}
