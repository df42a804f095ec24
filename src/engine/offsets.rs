//! Owns one proof: whatever hits, the original text at the offset that the log gives normalises to
//! something that begins with the match. It must not be compiled but for tests.

use proptest::prelude::*;

use crate::links;
use crate::patterns::Patterns;
use crate::text::{normalise, original_offset};
use crate::words::Words;

/// Texts of pieces whose normal form is longer, shorter, joined or gone, around some that hit.
const TEXT: &str = "(ﬁ|½|㎏|ẞ|ß|№|İ|ı|e\u{301}|\u{301}|\u{200B}|\u{AD}|\u{336}|´|ｶﾞ|か\u{3099}|각|\u{1100}\u{1161}\u{11A8}|ก\u{E31}|𝓿|Ⓐ|…|\
    \u{3000}| |a|赌场|V\u{336}İagra|ｖiag\u{AD}ra|buy\u{3000} cheap|ca\u{301}s1no|ｃａｓ9no|HT\u{200B}TP://a.example/ﬁ|ｗｗｗ．b.example|\\PC){0,24}";

/// The text from a character on, in its normal form, and how long that of the first character is.
fn from(text: &str, at: usize) -> (String, usize) {
    let start = text.char_indices().nth(at).map_or(text.len(), |(start, _)| start);
    let rest = &text[start..];
    let first = rest.chars().next().map_or(0, |first| normalise(&first.to_string()).len());
    (normalise(rest).into_owned(), first)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn a_word_is_where_the_log_says(text in TEXT) {
        let entries = ["viagra", "buy cheap", "赌场", "fi", "ss", "2", "kg", "ガ", "각"];
        let words = Words::compile(&mut entries.into_iter()).unwrap();
        let normal = normalise(&text);
        if let Some((entry, at)) = words.find(&normal) {
            let (rest, first) = from(&text, original_offset(&text, at));
            let (again, inside) = words.find(&rest).expect("still there");
            prop_assert_eq!(again, entry);
            // Inside the first character where that becomes several, as in ½.
            prop_assert!(inside == 0 || inside < first, "{:?} {} {}", text, inside, first);
        }
    }

    #[test]
    fn a_pattern_is_where_the_log_says(text in TEXT) {
        let patterns = Patterns::compile(&mut ["cas[0-9]no", "vi.?gra", "赌"].into_iter()).unwrap();
        let normal = normalise(&text);
        if let Some((entry, at)) = patterns.locate(&normal, &|| ()).unwrap() {
            let (rest, _) = from(&text, original_offset(&text, at));
            let alone = Patterns::compile(&mut [entry].into_iter()).unwrap();
            prop_assert_eq!(alone.locate(&rest, &|| ()).unwrap(), Some((entry, 0)));
        }
    }

    #[test]
    fn a_link_is_where_the_log_says(text in TEXT) {
        let normal = normalise(&text);
        for link in links::find(&normal) {
            let (rest, _) = from(&text, original_offset(&text, link.url.start));
            prop_assert!(rest.starts_with(&normal[link.url.clone()]), "{:?} {:?}", text, rest);
        }
    }
}
