//! Owns one regular expression: what is taken as one, and its search in a text. It must not know
//! lists of them.

use regex::{Regex, RegexBuilder};

use crate::compiled;
use crate::pieces;
use crate::python::{self, Spelling};
use crate::refusal::Refusal;

/// The greatest size of one compiled pattern.
pub const PATTERN_BYTES: usize = 1 << 20;

/// A pattern as it was written and, where that differs, in the normal form of its letters: texts
/// are searched as they are and in theirs.
#[derive(Debug)]
pub struct Pattern {
    written: Regex,
    normal: Option<Regex>,
}

impl Pattern {
    /// Compiles an entry.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn build(entry: &str) -> Result<Self, Refusal> {
        let spelling = spelling(entry)?;
        let normal = spelling.normal.map(|normal| build(entry, &normal)).transpose()?;
        Ok(Self { written: build(entry, &spelling.written)?, normal })
    }

    /// Whether it is found in the text.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let normal = || self.normal.as_ref().is_some_and(|normal| normal.is_match(text));
        self.written.is_match(text) || normal()
    }

    /// The byte where the leftmost match begins.
    #[must_use]
    pub fn locate(&self, text: &str) -> Option<usize> {
        let both = [Some(&self.written), self.normal.as_ref()].into_iter().flatten();
        both.filter_map(|pattern| pattern.find(text)).map(|found| found.start()).min()
    }
}

/// How an entry is spelled. A normal form that matches the empty text is none: what is left of a
/// pattern for hidden characters would match everything.
///
/// # Errors
/// As [`python::translate`].
pub fn spelling(entry: &str) -> Result<Spelling, Refusal> {
    let spelling = python::translate(entry)?;
    let says_something = |normal: &String| {
        let parsed = regex_syntax::parse(normal);
        parsed.is_ok_and(|hir| hir.properties().minimum_len() != Some(0))
    };
    Ok(Spelling { normal: spelling.normal.filter(says_something), ..spelling })
}

fn build(entry: &str, pattern: &str) -> Result<Regex, Refusal> {
    let built = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => too_big(entry),
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

/// Why an entry is refused that takes more than [`PATTERN_BYTES`].
pub fn too_big(entry: &str) -> Refusal {
    Refusal::new(format!("pattern {} is too big", Refusal::quote(entry)))
        .with_detail(format!("Compiled, it takes more than {PATTERN_BYTES} bytes."))
        .with_hint("Use smaller numbers of repetitions.")
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
    let spelling = spelling(entry)?;
    let small = |pattern: &String| compiled::at_most(pattern).is_some_and(|b| b <= PATTERN_BYTES);
    if small(&spelling.written) && spelling.normal.as_ref().is_none_or(small) {
        return Ok(());
    }
    // Perhaps too big, or none: which, and what is wrong with it, comes out when it is compiled.
    Pattern::build(entry).map(drop)
}

/// The pattern that finds a text and nothing else: every character stands for itself. Case does not count, as
/// in any pattern.
#[must_use]
pub fn exactly(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 8);
    pattern.push('^');
    for character in text.chars() {
        match character {
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '|' => {
                pattern.extend(['\\', character]);
            }
            // Entries are single lines.
            '\n' => pattern.push_str(r"\n"),
            '\r' => pattern.push_str(r"\r"),
            '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => pattern.push_str(r"\s"),
            _ => pattern.push(character),
        }
    }
    pattern.push('$');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patterns::Patterns;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_exact_pattern_finds_its_text_and_nothing_longer(text in "[ -~а-я\\n\\r\u{0B}\u{2028}éß]{1,40}") {
            let pattern = exactly(&text);
            let one_line = pattern.lines().count() == 1 && !pattern.contains(char::is_control);
            prop_assert!(one_line);
            for (before, after, expected) in [("", "", true), ("x", "", false), ("", "x", false)] {
                let around = [before, &text, after].concat();
                prop_assert_eq!(found(&pattern, &around), expected);
            }
        }
    }

    fn found(entry: &str, text: &str) -> bool {
        validate(entry).unwrap();
        let found = Pattern::build(entry).unwrap().is_match(text);
        // A list finds the same.
        let list = Patterns::compile(&mut [entry].into_iter()).unwrap();
        assert_eq!(list.find(text).unwrap().is_some(), found, "{entry} {text}");
        found
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
            (r"a\012b", "a\nb", "ab"),
            (r"\07x", "\u{7}x", "07x"),
            (r"[\0]y", "\0y", "0y"),
            ("[a[:x]z", "[z", "bz"),
            ("[a[:x] and y[:]w", ": and y:w", "b and y:w"),
            ("(?x) buy [ ] now", "buy now", "buynow"),
            ("(?x)buy[ _]now", "buy now", "buynow"),
            ("(?x)[#]a # b", "#a", "a"),
        ] {
            assert!(found(entry, hit), "{entry} {hit}");
            assert!(!found(entry, miss), "{entry} {miss}");
        }
    }

    #[test]
    fn properties_code_points_and_borders_keep_their_braces() {
        for (entry, hit, miss) in [
            (r"\p{Cyrillic}", "Казино", "casino"),
            (r"^\P{L}+$", "123", "12a"),
            (r"^\p{Greek}+\d{2}$", "οδος12", "odos12"),
            (r"\pL{3}", "éñж", "éñ1"),
            (r"^[\p{Han}x]{2}$", "赌x", "赌y"),
            (r"\x{1F600}", "so \u{1F600}", "so :)"),
            (r"caf\u{e9}", "CAFÉ", "cafe"),
            (r"\U{0001F600}+x", "\u{1F600}x", "x"),
            (r"\x41{2}", "aa", "a"),
            (r"\b{start}x", "y x", "yx"),
            (r"x\b{end-half}", "x y", "xy"),
            (r"x\b{spam}", "x{spam}", "x spam"),
            (r"a\\p{L}", r"a\p{L}", "ab"),
        ] {
            assert_eq!((found(entry, hit), found(entry, miss)), (true, false), "{entry}");
        }
        assert_eq!(
            validate(r"\p{Klingon}").unwrap_err().detail.unwrap(),
            "Unicode property not found."
        );
        for bad in [r"\p{L", r"\x{110000}", r"\p", r"\x{"] {
            assert!(validate(bad).unwrap_err().message.ends_with("is not a regular expression"));
        }
    }

    #[test]
    fn letters_of_a_pattern_count_in_their_normal_form_too() {
        for (entry, hit, miss) in [
            ("^cafe\u{301}s?$", "café", "cafe"),
            ("^cafe\u{301}s?$", "CAFE\u{301}S", "cafes"),
            ("a\u{A0}b", "a b", "ab"),
            ("a\u{200B}b", "ab", "a b"),
            ("vi\u{AD}agra", "viagra", "vi agra"),
            ("\u{FEFF}viagra", "viagra", "vi agra"),
            ("ｆｏｏ", "foo", "fo"),
            ("ｆｏｏ", "ＦＯＯ", "fo"),
            ("ﬁne|x{3}", "fine", "ne"),
            ("^straße+$", "strasse", "strass"),
            ("^ß{2}$", "ssss", "sss"),
            ("^(?P<maß>İ)$", "i", "ii"),
            ("^[ｆ１]$", "1", "2"),
            ("^[e\u{301}]$", "é", "x"),
            ("^[ａ-ｃ]$", "ｂ", "-"),
            ("^a（b$", "a(b", "ab"),
            ("(?x) a\u{A0}b # ｘ", "a b", "a\u{A0}x"),
            (r"^\x4e\u{301}$", "N\u{301}", "n"),
            // Said how often, what is hidden is meant.
            ("^❤\u{FE0F}?$", "❤", ""),
            ("^a(\u{200B}|b)$", "a\u{200B}", "a"),
            ("^a\u{200B}+b$", "a\u{200B}\u{200B}b", "ab"),
        ] {
            assert_eq!((found(entry, hit), found(entry, miss)), (true, false), "{entry}");
        }
        // Nothing but what is hidden is not everything.
        for entry in
            ["\u{200B}", "^\u{200B}$", r"\b\u{200B}\b", "a\u{301}?", "\u{200B}x*", "x|\u{AD}"]
        {
            assert!(!found(entry, "b c") && !found(entry, ""), "{entry}");
        }
        assert!(found("\u{200B}", "a\u{200B}b"));
    }

    #[test]
    fn what_differs_in_case_alone_is_compiled_once() {
        for entry in ["viagra.*", "КАЗИНО", "Café[é-ñ]*", "在线赌场", r"\u{200B}", "\u{200B}"]
        {
            assert_eq!(spelling(entry).unwrap().normal, None, "{entry}");
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
        for entry in ["(?a)x", "(?iL)x", "(?a:x)"] {
            let refusal = validate(entry).unwrap_err();
            assert!(refusal.message.ends_with("sets the flag a or L of Python"), "{entry}");
        }
        validate("(?P<aL>x)(?i-s:y)(?<a>z)").unwrap();
        validate(r"[(?=]\\1\(?=").unwrap();
        for taken in [r"a\++", "[+]+", "(a+)+", "a+?", "(?:a*)?", "a{1,2}b+", "[a*]+", r"\{2}+"] {
            validate(taken).unwrap();
        }
    }

    proptest! {
        #[test]
        fn plain_text_is_found_in_its_normal_form(
            text in "[a-zA-Zé\u{301}\u{200b}\u{ad}\u{3099}かﾞ한\u{11a8}ßΣς½（ ]{1,12}"
        ) {
            let normal = crate::text::normalise(&text);
            prop_assume!(!normal.is_empty());
            let entry = text.replace(|letter: char| letter.is_ascii() && !letter.is_alphabetic(), " ");
            prop_assert!(found(&entry, &normal), "{:?} {:?}", entry, normal);
            prop_assert!(found(&entry, &entry));
        }

        #[test]
        fn the_normal_form_of_a_pattern_is_a_pattern(
            entry in "([aéｆ\u{301}\u{200b}ß½＊（\u{a0}<-]|\\[\\^?|\\]|[(|)?*+]|\\{2\\}|\\\\[px]|\\(\\?P<n>){0,12}"
        ) {
            if let Ok(spelling) = python::translate(&entry)
                && let Some(normal) = spelling.normal
                && regex_syntax::parse(&spelling.written).is_ok()
            {
                prop_assert!(regex_syntax::parse(&normal).is_ok(), "{} {}", spelling.written, normal);
            }
        }
    }
}
