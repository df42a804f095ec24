//! Owns what a pattern says of texts that are ASCII alone: the same with far fewer states, since most of those of a
//! class such as `\w` or `.` are for other letters. It must not compile.

use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look,
    Repetition,
};

const LAST: char = '\x7F';

/// What matches in a text of ASCII where `hir` does, with the same preference. Groups are not told.
pub fn narrowed(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.is_ascii() => Hir::literal(literal.0.clone()),
        HirKind::Literal(_) => Hir::fail(),
        HirKind::Class(Class::Unicode(class)) => {
            let inside = class.ranges().iter().take_while(|range| range.start() <= LAST);
            let ranges =
                inside.map(|range| ClassUnicodeRange::new(range.start(), range.end().min(LAST)));
            Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let inside = class.ranges().iter().take_while(|range| range.start().is_ascii());
            let ranges = inside
                .map(|range| ClassBytesRange::new(range.start(), range.end().min(LAST as u8)));
            Hir::class(Class::Bytes(ClassBytes::new(ranges)))
        }
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(narrowed(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => narrowed(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(narrowed).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(narrowed).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex_automata::meta::Regex;
    use regex_syntax::ParserBuilder;

    fn parsed(pattern: &str) -> Option<Hir> {
        ParserBuilder::new().case_insensitive(true).build().parse(pattern).ok()
    }

    #[test]
    fn a_class_has_no_letter_beyond_ascii_left() {
        for (pattern, left) in [("[a-zé]", "[a-z]"), ("[^@]", r"[\x00-?A-\x7F]"), ("[жb]", "b")] {
            let narrow = narrowed(&regex_syntax::parse(pattern).unwrap());
            let expected = regex_syntax::parse(left).unwrap();
            assert_eq!(narrow.to_string(), expected.to_string(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_in_ascii_is_the_same(
            pattern in r"([ak@.]|é|ſ|\\[wWdDsSbB]|\[\^?[a-k@]\]|[*+?|]|[*+?]\?|\{[0-3]\}|\(|\)|\^|\$|\(\?-u:\\b\)|\\b\{start\}|\\b\{end-half\}){0,10}",
            text in r"[aAkK@1 .\n]{0,12}"
        ) {
            if let Some(hir) = parsed(&pattern) {
                let whole = Regex::builder().build_from_hir(&hir).unwrap();
                let narrow = Regex::builder().build_from_hir(&narrowed(&hir)).unwrap();
                prop_assert_eq!(whole.find(&text), narrow.find(&text), "{}", pattern);
            }
        }
    }
}
