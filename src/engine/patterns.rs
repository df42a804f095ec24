//! Owns lists of regular expressions: searches a text for many of them at once. It must not know
//! fields. Most patterns hold a piece of plain text that every match contains; they are found by
//! four bytes of it and compiled only when a text has the whole piece, so that a list costs little
//! until it hits. The few others share an automaton.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{RegexSet, RegexSetBuilder};

use crate::pattern::{PATTERN_BYTES, Pattern, sentence, spelling, validate};
use crate::pieces::{self, Pieces};
use crate::refusal::Refusal;

/// The greatest size of one automaton of several patterns.
const SET_BYTES: usize = 8 << 20;

/// How many patterns share an automaton: beyond that its states no longer fit its cache.
const SET_PATTERNS: usize = 500;

/// How many automata a list may have beyond one for each so many patterns: half a gigabyte of them.
const MORE_SETS: usize = 64;

/// A compiled list of patterns.
#[derive(Debug, Default)]
pub struct Patterns {
    /// The entries, one after the other, and where each ends.
    text: String,
    ends: Vec<u32>,
    /// For patterns with a piece of text in every match.
    pieces: Pieces,
    /// Those of them that some text had the piece of.
    compiled: RefCell<HashMap<u32, Rc<Pattern>>>,
    /// For the others: automata, and the numbers of their entries.
    sets: Vec<(RegexSet, Vec<u32>)>,
}

impl Patterns {
    /// Compiles entries.
    ///
    /// # Errors
    /// Names the first entry that is no pattern. One that is only too big is told when it is
    /// needed; [`validate`] keeps it out of a list.
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        Self::within(MORE_SETS, entries)
    }

    /// Within so many automata more than one for each [`SET_PATTERNS`] patterns.
    pub(crate) fn within(
        most_more: usize,
        entries: &mut dyn Iterator<Item = &str>,
    ) -> Result<Self, Refusal> {
        let mut patterns = Self::default();
        let mut others: Vec<(u32, String)> = Vec::new();
        for entry in entries {
            let number = u32::try_from(patterns.ends.len()).unwrap_or(u32::MAX);
            patterns.text.push_str(entry);
            patterns.ends.push(u32::try_from(patterns.text.len()).unwrap_or(u32::MAX));
            match pieces::of_plain(entry) {
                Some(piece) => patterns.pieces.add(number, &piece),
                None => {
                    let spelling = spelling(entry)?;
                    for pattern in [Some(spelling.written), spelling.normal].into_iter().flatten() {
                        match pieces::of_pattern(&pattern) {
                            Some(piece) => patterns.pieces.add(number, &piece),
                            None => others.push((number, pattern)),
                        }
                    }
                }
            }
        }
        patterns.pieces.index();
        patterns.text.shrink_to_fit();
        patterns.ends.shrink_to_fit();
        let mut more = most_more;
        for others in others.chunks(SET_PATTERNS) {
            patterns.add_set(others, &mut more)?;
        }
        Ok(patterns)
    }

    /// Adds an automaton of these patterns; if it grows too big, two of half as many each, as long
    /// as there may be `more`.
    fn add_set(&mut self, others: &[(u32, String)], more: &mut usize) -> Result<(), Refusal> {
        let set = RegexSetBuilder::new(others.iter().map(|(_, pattern)| pattern))
            .case_insensitive(true)
            .size_limit(SET_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .build();
        match set {
            Ok(set) => {
                self.sets.push((set, others.iter().map(|(number, _)| *number).collect()));
                Ok(())
            }
            Err(regex::Error::CompiledTooBig(_)) if others.len() > 1 && *more > 0 => {
                *more -= 1;
                let (one, other) = others.split_at(others.len() / 2);
                self.add_set(one, more)?;
                self.add_set(other, more)
            }
            Err(error) => {
                // One by one the bad entry is found; else they are too big together.
                for (number, _) in others {
                    validate(self.entry(*number))?;
                }
                Err(Refusal::new("the patterns of the list are too big together")
                    .with_detail(sentence(&error.to_string()))
                    .with_hint(
                        "Use smaller numbers of repetitions, or spread the patterns over two \
                         lists and name both in the check's option \"lists\".",
                    ))
            }
        }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn entry(&self, number: u32) -> &str {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[number] as usize]
    }

    /// The first entry, in their order, that is found in the text.
    ///
    /// # Errors
    /// When an entry turns out not to compile.
    pub fn find(&self, text: &str) -> Result<Option<&str>, Refusal> {
        Ok(self.first_in(text)?.map(|number| self.entry(number)))
    }

    fn first_in(&self, text: &str) -> Result<Option<u32>, Refusal> {
        let mut first: Option<u32> = None;
        let mut fault = None;
        self.pieces.each_in(text, |number| {
            if first.is_none_or(|first| number < first) {
                match self.compiled(number) {
                    Ok(pattern) if pattern.is_match(text) => first = Some(number),
                    Ok(_) => {}
                    Err(refusal) => fault = Some(refusal),
                }
            }
        });
        for (set, numbers) in &self.sets {
            if set.is_match(text) {
                let matched = set.matches(text);
                let number = matched.iter().next().map(|index| numbers[index]);
                first = first.into_iter().chain(number).min();
            }
        }
        match (first, fault) {
            (Some(number), _) => Ok(Some(number)),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(None),
        }
    }

    /// The first entry that is found in the text, and the byte where its leftmost match begins.
    ///
    /// # Errors
    /// When an entry turns out not to compile.
    pub fn locate(&self, text: &str) -> Result<Option<(&str, usize)>, Refusal> {
        let Some(number) = self.first_in(text)? else { return Ok(None) };
        let at = self.compiled(number)?.locate(text).unwrap_or(0);
        Ok(Some((self.entry(number), at)))
    }

    fn compiled(&self, number: u32) -> Result<Rc<Pattern>, Refusal> {
        if let Some(pattern) = self.compiled.borrow().get(&number) {
            return Ok(pattern.clone());
        }
        let pattern = Rc::new(Pattern::build(self.entry(number))?);
        self.compiled.borrow_mut().insert(number, pattern.clone());
        Ok(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bad_entry_is_named_among_good_ones() {
        let refusal = Patterns::compile(&mut ["a", "(b", "c"].into_iter()).unwrap_err();
        assert_eq!(refusal.message, "\"(b\" is not a regular expression");
        assert_eq!(refusal.detail.unwrap(), "Unclosed group.");
        assert!(validate("").is_err());
        assert!(validate(r"\w{9999}").unwrap_err().message.contains("too big"));
    }

    #[test]
    fn patterns_too_big_for_one_automaton_share_several_within_bounds() {
        let many: Vec<String> = (0..300).map(|n| format!(r"[a-b]\w{{20}}|q{n}z")).collect();
        let entries = || many.iter().map(String::as_str);
        let patterns = Patterns::compile(&mut entries()).unwrap();
        assert!(patterns.sets.len() > 1);
        assert_eq!(patterns.find("Q299Z Q150Z").unwrap(), Some(&*many[150]));
        assert_eq!(patterns.find("q300z").unwrap(), None);
        let refusal = Patterns::within(1, &mut entries()).unwrap_err();
        assert_eq!(refusal.message, "the patterns of the list are too big together");
    }

    #[test]
    fn the_first_of_many_is_told() {
        let entries: Vec<String> = (0..1200).map(|n| format!("x{n}y")).collect();
        let patterns = Patterns::compile(&mut entries.iter().map(String::as_str)).unwrap();
        assert_eq!(patterns.find("__X1100Y__").unwrap(), Some("x1100y"));
        assert_eq!(patterns.find("x7y x1100y").unwrap(), Some("x7y"));
        assert_eq!(patterns.find("x1200y").unwrap(), None);
    }

    #[test]
    fn patterns_without_a_piece_of_text_are_searched_too() {
        let entries: Vec<String> = (0..1200).map(|n| format!("[a-b]{n}y|q{n}z")).collect();
        let mixed = entries.iter().map(String::as_str).chain(["plain"]);
        let patterns = Patterns::compile(&mut mixed.into_iter()).unwrap();
        assert_eq!(patterns.find("Q1100Z b7y plain").unwrap(), Some("[a-b]7y|q7z"));
        assert_eq!(patterns.find("q1100z").unwrap(), Some("[a-b]1100y|q1100z"));
        assert_eq!(patterns.find("PLAIN").unwrap(), Some("plain"));
        assert_eq!(patterns.find("q1200z").unwrap(), None);
    }

    #[test]
    fn the_byte_found_is_where_the_leftmost_match_begins() {
        let entries = ["cas[i1]no", "[0-9]{4}", "жар.*"];
        let patterns = Patterns::compile(&mut entries.into_iter()).unwrap();
        assert_eq!(patterns.locate("é Casino cas1no").unwrap(), Some(("cas[i1]no", 3)));
        assert_eq!(patterns.locate("12 1234").unwrap(), Some(("[0-9]{4}", 3)));
        assert_eq!(patterns.locate("пожар").unwrap(), Some(("жар.*", 4)));
        assert_eq!(patterns.locate("nothing").unwrap(), None);
        let patterns = Patterns::compile(&mut ["é", "e\u{301}x"].into_iter()).unwrap();
        assert_eq!(patterns.locate("12éx").unwrap(), Some(("é", 2)));
        assert_eq!(patterns.locate("12e\u{301}x").unwrap(), Some(("e\u{301}x", 2)));
    }

    const ENTRY: &str =
        r"(\^|\\A)?[abA.]{1,3}(a\+|b\?|[ab]{0,4}|\(ab\|ba\)|\\\.|@aab)[a-b@]{0,5}\$?";

    proptest! {
        #[test]
        fn finds_what_one_by_one_would_find(
            entries in prop::collection::vec(ENTRY, 1..8),
            text in "[abAB.@]{0,16}"
        ) {
            let patterns = Patterns::compile(&mut entries.iter().map(String::as_str)).unwrap();
            let expected = entries.iter().find(|entry| Pattern::build(entry).unwrap().is_match(&text));
            prop_assert_eq!(patterns.find(&text).unwrap(), expected.map(String::as_str));
        }


        #[test]
        fn never_panics(entry in "\\PC{0,20}|[\\[\\]()?\\\\<>=!&~a:^-]{0,12}") {
            let good = validate(&entry).is_ok();
            let compiled = Patterns::compile(&mut [entry.as_str()].into_iter());
            prop_assert_eq!(good, compiled.is_ok());
            if let Ok(patterns) = compiled {
                let _ = patterns.find(&entry).unwrap();
            }
        }
    }
}
