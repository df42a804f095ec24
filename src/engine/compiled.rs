//! Owns how big a pattern can get once it is compiled, told from its syntax alone: to compile each entry of
//! a long list only to see that it is not too big takes minutes. It must not compile.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;

/// The most bytes of one state of an automaton, with its part of the states that lead to it.
const STATE: usize = 64;

/// The most bytes of one transition of a state that has several.
const TRANSITION: usize = 16;

/// What every automaton has: the search for a beginning, start states, the whole match.
const FRAME: usize = 16 * STATE;

/// The most bytes that a pattern, compiled without regard to case, takes; `None`: it is none.
#[must_use]
pub fn at_most(pattern: &str) -> Option<usize> {
    let mut parser = ParserBuilder::new().case_insensitive(true).build();
    let hir = parser.parse(pattern).ok()?;
    Some(bytes(&hir).saturating_add(FRAME))
}

fn bytes(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => STATE.saturating_mul(literal.0.len()),
        HirKind::Class(Class::Unicode(class)) => of_class(class),
        HirKind::Class(Class::Bytes(class)) => STATE + TRANSITION * class.ranges().len(),
        HirKind::Repetition(repetition) => {
            // The last of those without an end leads back to itself.
            let times = repetition.max.unwrap_or(repetition.min.max(1));
            let each = bytes(&repetition.sub).saturating_add(2 * STATE);
            each.saturating_mul(times as usize).saturating_add(2 * STATE)
        }
        HirKind::Capture(capture) => {
            let name = capture.name.as_ref().map_or(0, |name| 4 * name.len());
            bytes(&capture.sub).saturating_add(4 * STATE + name)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let each = parts.iter().map(|part| bytes(part).saturating_add(TRANSITION));
            each.fold(2 * STATE, usize::saturating_add)
        }
    }
}

/// Each sequence of bytes that a class matches, as if none shared a state with another one.
fn of_class(class: &ClassUnicode) -> usize {
    let sequences = |start: char, end: char| Utf8Sequences::new(start, end);
    let each = class.ranges().iter().map(|range| match range.end() {
        '\0'..='\x7F' => TRANSITION,
        end => {
            let sequences = sequences(range.start(), end);
            sequences.map(|sequence| sequence.len() * STATE + TRANSITION).sum()
        }
    });
    2 * STATE + each.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::RegexBuilder;

    fn fits(pattern: &str, bytes: usize) -> bool {
        let mut builder = RegexBuilder::new(pattern);
        builder.case_insensitive(true).size_limit(bytes).build().is_ok()
    }

    #[test]
    fn nothing_gets_bigger_than_it_says() {
        for pattern in [
            "",
            "a",
            "spam",
            r"\bspam\d+site17\.(com|net)\b",
            r"\w",
            r"\W+\s*\S",
            r"\w{20}",
            r"(?P<name>\p{Greek}|[а-я]+){3,7}",
            r"(a{1,50}){1,50}",
            r"x{0}y{0,3}z{5,}",
            r"(?s).{0,100}ß[^a-z]",
            r"((((a|b)*c)+d)?e)*",
            r"^\P{L}$|\b{start}[\x{1F600}-\x{1F64F}]",
        ] {
            let bytes = at_most(pattern).unwrap();
            assert!(fits(pattern, bytes), "{pattern}: more than {bytes}");
        }
    }

    #[test]
    fn it_is_not_far_off_and_tells_what_is_too_big() {
        // What lists are made of is accepted unseen.
        for pattern in [r"\bspam\d+site17\.(com|net)\b", r"^[^@]+@\w+\.example$", r"\w+\s\w+\s\w+"]
        {
            let bytes = at_most(pattern).unwrap();
            assert!(bytes < 1 << 20, "{pattern}: {bytes}");
        }
        assert!(at_most(r"\w{9999}").unwrap() > 1 << 20);
        assert!(at_most("(((a{99}){99}){99}){99}").unwrap() > 1 << 30);
        assert_eq!(at_most("(b"), None);
    }

    proptest! {
        #[test]
        fn no_pattern_gets_bigger_than_it_says(pattern in r"([a-zß.]|\\[wdsbWS]|\[[a-zа-я]\]|[*+?|]|\{[0-9]\}|\{[0-3],[4-9]?\}|\(|\)){0,14}") {
            if let Some(bytes) = at_most(&pattern) {
                prop_assume!(bytes < 1 << 20);
                prop_assert!(fits(&pattern, bytes), "{} {}", pattern, bytes);
            }
        }
    }
}
