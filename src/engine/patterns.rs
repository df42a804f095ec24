//! Owns lists of regular expressions: searches a text for many of them at once. It must not know
//! fields. Most patterns hold a piece of plain text that every match contains; they are found by
//! four bytes of it and compiled only when a text has the whole piece, so that a list costs little
//! until it hits. The few others share an automaton.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::pieces::{self, Pieces};
use crate::python;
use crate::refusal::Refusal;
use once_cell::unsync::OnceCell;

/// The greatest size of one compiled pattern, and of one automaton of several.
const PATTERN_BYTES: usize = 1 << 20;
const SET_BYTES: usize = 8 << 20;

/// How many patterns share an automaton: beyond that its states no longer fit its cache.
const SET_PATTERNS: usize = 500;

/// A compiled list of patterns.
#[derive(Debug, Default)]
pub struct Patterns {
    entries: Vec<Box<str>>,
    /// For patterns with a piece of text in every match.
    pieces: Pieces,
    compiled: Vec<OnceCell<Box<Regex>>>,
    /// For the others: automata, and the numbers of their entries.
    sets: Vec<(RegexSet, Vec<u32>)>,
}

fn build(entry: &str) -> Result<Regex, Refusal> {
    let pattern = python::translate(entry)?;
    let built = RegexBuilder::new(&pattern)
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            Refusal::new(format!("pattern {} is too big", Refusal::quote(entry)))
                .with_detail(format!("Compiled, it takes more than {PATTERN_BYTES} bytes."))
                .with_hint("Use smaller numbers of repetitions.")
        }
        error => {
            // The last line names the fault; those before draw an arrow under the pattern.
            let text = error.to_string();
            let fault = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Refusal::new(format!("{} is not a regular expression", Refusal::quote(entry)))
                .with_detail(sentence(fault))
                .with_hint(
                    "Write it as Python does, with a backslash before each of . + * ? ( ) [ ] { } \
                     ^ $ | that stands for itself.",
                )
        }
    })
}

/// What the `regex` crate says, as a sentence.
fn sentence(fault: &str) -> String {
    let fault = Refusal::cut(fault.trim_end_matches('.'));
    let mut letters = fault.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Checks an entry.
///
/// # Errors
/// Says what is wrong with it, and for what the `regex` crate lacks, that it does.
pub fn validate(entry: &str) -> Result<(), Refusal> {
    // What is as plain as that always compiles, and long lists are mostly plain.
    if pieces::of_plain(entry).is_some() {
        return Ok(());
    }
    build(entry).map(drop)
}

impl Patterns {
    /// Compiles entries.
    ///
    /// # Errors
    /// Names the first entry that is no pattern. One that is only too big is told when it is
    /// needed; [`validate`] keeps it out of a list.
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        let mut patterns = Self::default();
        let mut others: Vec<(u32, String)> = Vec::new();
        for entry in entries {
            let number = u32::try_from(patterns.entries.len()).unwrap_or(u32::MAX);
            patterns.entries.push(entry.into());
            match pieces::of_plain(entry) {
                Some(piece) => patterns.pieces.add(number, &piece),
                None => {
                    let pattern = python::translate(entry)?;
                    match pieces::of_pattern(&pattern) {
                        Some(piece) => patterns.pieces.add(number, &piece),
                        None => others.push((number, pattern)),
                    }
                }
            }
        }
        patterns.pieces.index();
        patterns.compiled.resize_with(patterns.entries.len(), OnceCell::new);
        for others in others.chunks(SET_PATTERNS) {
            let set = RegexSetBuilder::new(others.iter().map(|(_, pattern)| pattern))
                .case_insensitive(true)
                .size_limit(SET_BYTES)
                .dfa_size_limit(PATTERN_BYTES)
                .build();
            match set {
                Ok(set) => {
                    let numbers = others.iter().map(|(number, _)| *number).collect();
                    patterns.sets.push((set, numbers));
                }
                Err(error) => {
                    // One by one the bad entry is found; else they are too big together.
                    for (number, _) in others {
                        validate(&patterns.entries[*number as usize])?;
                    }
                    return Err(Refusal::new("the patterns of the list are too big together")
                        .with_detail(sentence(&error.to_string()))
                        .with_hint(
                            "Use smaller numbers of repetitions, or spread the patterns over two \
                             lists and name both in the check's option \"lists\".",
                        ));
                }
            }
        }
        Ok(patterns)
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first entry, in their order, that is found in the text.
    ///
    /// # Errors
    /// When an entry turns out not to compile.
    pub fn find(&self, text: &str) -> Result<Option<&str>, Refusal> {
        Ok(self.first_in(text)?.map(|number| &*self.entries[number as usize]))
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
    pub fn find_at(&self, text: &str) -> Result<Option<(&str, usize)>, Refusal> {
        let Some(number) = self.first_in(text)? else { return Ok(None) };
        let at = self.compiled(number)?.find(text).map_or(0, |found| found.start());
        Ok(Some((&self.entries[number as usize], at)))
    }

    fn compiled(&self, number: u32) -> Result<&Regex, Refusal> {
        let cell = &self.compiled[number as usize];
        if let Some(pattern) = cell.get() {
            return Ok(pattern);
        }
        let pattern = build(&self.entries[number as usize])?;
        Ok(cell.get_or_init(|| Box::new(pattern)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(entry: &str, text: &str) -> bool {
        validate(entry).unwrap();
        Patterns::compile(&mut [entry].into_iter()).unwrap().find(text).unwrap().is_some()
    }

    #[test]
    fn the_examples_of_actionkits_page() {
        for (entry, hit, miss) in [
            (r"@example\.com$", "doe@example.com", "doe@example.com.test"),
            (r"\.exam\Z", "doe@test.exam", "doe@test.example"),
            (r"\A[0-9].*@", "1doe@test.example", "doe1@test.example"),
            (r"[0-9].*@", "doe1@test.example", "doe@test1.example"),
            ("@example", "doe@EXAMPLE.net", "example@doe.net"),
            ("exam", "doe@test.exam", "doe@test.net"),
            (r"^doe@example\.com$", "Doe@example.com", "jdoe@example.com"),
        ] {
            assert!(found(entry, hit), "{entry} {hit}");
            assert!(!found(entry, miss), "{entry} {miss}");
        }
    }

    #[test]
    fn pythons_spelling_is_taken() {
        for (entry, hit, miss) in [
            ("(?P<user>doe)@", "doe@x", "do@x"),
            (r"\<b\>", "<b>", "b"),
            ("[[a]b", "[b", "]b"),
            ("[]a]b", "]b", "cb"),
            ("[^]a]b", "cb", "]b"),
            ("[a&&b]c", "&c", "dc"),
            ("[--9]d", "5d", "ad"),
            ("[[:digit:]]x", "1x", "dx"),
            ("a(?#note)b", "ab", "a"),
            (r"[\]x]y", "]y", "y"),
            ("страна", "СТРАНА", "стран"),
            // Python's `$` also stands before a line break at the end, `\Z` does not.
            ("spam$", "buy spam\n", "spam\n\n"),
            ("spam$", "buy spam", "spam\nmore"),
            (r"spam\Z", "buy spam", "buy spam\n"),
            ("(?m)spam$", "spam\nmore", "spam!\nmore"),
            ("(?m:^spam$)", "x\nspam\nmore", "x spam\n"),
            (r"a\$b", "a$b", "a"),
            ("[$]b", "$b", "b"),
            (r"\d{3}", "٣٤٥", "12"),
            (r"^\w+$", "пример", "при мер"),
            ("{spin|tax}", "{spin", "spin"),
            ("x{,2}y$", "xxy", "x"),
            ("a{2}b", "aab", "ab b"),
            ("a{2,}?b", "aaab", "ab"),
            ("a{x}", "a{x}", "a"),
            (r"[\b]a", "\u{8}a", "ba"),
            ("a+?b", "aab", "b"),
            ("(?i)A(?-i)B", "aB", "ab"),
            ("(?s)a.b", "a\nb", "ab"),
            ("a.b", "axb", "a\nb"),
            ("(?x) a  b # note", "ab", "a b"),
            (r"\bcasino\b", "a casino.", "casinos"),
        ] {
            assert!(found(entry, hit), "{entry} {hit}");
            assert!(!found(entry, miss), "{entry} {miss}");
        }
    }

    #[test]
    fn what_linear_time_lacks_is_refused_with_a_hint() {
        for (entry, part) in [
            ("a(?=b)", "a look-ahead"),
            ("a(?!b)", "a look-ahead"),
            ("(?<=a)b", "a look-behind"),
            ("(?<!a)b", "a look-behind"),
            (r"(a)\1", "a back-reference"),
            ("(?P<x>a)(?P=x)", "a back-reference"),
            ("(a)?(?(1)b)", "a conditional"),
            ("(?>a)", "an atomic group"),
            ("a++b", "a possessive quantifier"),
            ("a*+", "a possessive quantifier"),
            ("a?+", "a possessive quantifier"),
            ("a{2,3}+", "a possessive quantifier"),
            (r"(?<x>a)\k<x>", "a back-reference"),
            (r"(a)\g1", "a back-reference"),
            ("(a(?R)?b)", "a recursion"),
            ("(?1)(a)", "a recursion"),
            ("(*SKIP)a", "a verb of PCRE"),
        ] {
            let refusal = validate(entry).unwrap_err();
            assert_eq!(refusal.message, format!("pattern \"{entry}\" uses {part}"));
            assert!(refusal.hint.unwrap().contains("look-around"));
        }
        validate(r"[(?=]\\1\(?=").unwrap();
        for taken in [r"a\++", "[+]+", "(a+)+", "a+?", "(?:a*)?", "a{1,2}b+", "[a*]+", r"\{2}+"] {
            validate(taken).unwrap();
        }
    }

    #[test]
    fn a_bad_entry_is_named_among_good_ones() {
        let refusal = Patterns::compile(&mut ["a", "(b", "c"].into_iter()).unwrap_err();
        assert_eq!(refusal.message, "\"(b\" is not a regular expression");
        assert_eq!(refusal.detail.unwrap(), "Unclosed group.");
        assert!(validate("").is_err());
        assert!(validate(r"\w{9999}").unwrap_err().message.contains("too big"));
        let many: Vec<String> = (0..300).map(|n| format!(r"[a-b]\w{{20}}|{n}")).collect();
        let refusal = Patterns::compile(&mut many.iter().map(String::as_str)).unwrap_err();
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
        assert_eq!(patterns.find_at("é Casino cas1no").unwrap(), Some(("cas[i1]no", 3)));
        assert_eq!(patterns.find_at("12 1234").unwrap(), Some(("[0-9]{4}", 3)));
        assert_eq!(patterns.find_at("пожар").unwrap(), Some(("жар.*", 4)));
        assert_eq!(patterns.find_at("nothing").unwrap(), None);
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
            let expected = entries.iter().find(|entry| build(entry).unwrap().is_match(&text));
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
