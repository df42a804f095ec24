//! Owns what text is made of: its normal form (NFKC, case folded, without zero-width characters
//! and soft hyphens) and its words. It must not know lists or checks. Characters of the common
//! scripts go through one table each; whatever the table calls intricate goes, together with the
//! character before it, through the full Unicode algorithm.

mod class;

use std::borrow::Cow;
use std::sync::OnceLock;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

pub use class::{Class, class};

/// Whether normalising removes the character: what Unicode calls default ignorable (zero-width
/// characters, soft hyphens, joiners, marks of writing direction, variation selectors), and the
/// lines through, under and over letters that make a word look struck out or underlined.
#[must_use]
pub const fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
        || is_line(character)
}

/// Whether the character is a line through, under or over the letter before it.
#[must_use]
pub const fn is_line(character: char) -> bool {
    matches!(character, '\u{305}' | '\u{332}'..='\u{337}' | '\u{33F}')
}

/// Full case folding, and a little more: what shares its upper or lower case is one (`ß`, `ẞ` and
/// `ss`, `ı`, `İ` and `i`, both forms of sigma).
fn fold(character: char) -> impl Iterator<Item = char> {
    let lower = character.to_lowercase();
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Without the dot above that an `i` has anyway: the lower case of `İ` is an `i` with one more.
fn without_second_dot(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    let mut before = None;
    text.filter(move |character| {
        let second = *character == '\u{307}' && before == Some('i');
        if !second {
            before = Some(*character);
        }
        !second
    })
}

/// The normal form of what stands together, by the book.
fn normal_form(text: &str) -> impl Iterator<Item = char> {
    let visible = text.chars().filter(|character| !is_ignorable(*character));
    // A double low line becomes a blank with a line under it.
    let composed = visible.nfkc().filter(|character| !is_ignorable(*character));
    without_second_dot(composed.flat_map(fold)).nfkc()
}

/// The end of the scripts that have a table: up to and with Thai, Lao, Tibetan and Myanmar.
const TABLE_END: usize = 0x10A0;
const INTRICATE: u16 = 0;

/// The normal form of a character that has one by itself, whatever stands around it.
fn simple(character: char) -> Option<char> {
    static TABLE: OnceLock<Box<[u16; TABLE_END]>> = OnceLock::new();
    let code = character as usize;
    match code {
        0..0x80 => Some(character.to_ascii_lowercase()),
        0x80..TABLE_END => {
            let table = TABLE.get_or_init(|| {
                let mut table = Box::new([INTRICATE; TABLE_END]);
                for (code, entry) in table.iter_mut().enumerate().skip(0x80) {
                    *entry =
                        u32::try_from(code).ok().and_then(char::from_u32).map_or(INTRICATE, alone);
                }
                table
            });
            match table[code] {
                INTRICATE => None,
                folded => char::from_u32(u32::from(folded)),
            }
        }
        // Dashes and quotation marks, kana, Han, Hangul syllables, pictographs: as they are.
        0x2012..=0x2016
        | 0x2018..=0x2023
        | 0x3001..=0x3002
        | 0x3041..=0x3096
        | 0x30A1..=0x30FA
        | 0x30FC
        | 0x4E00..=0x9FFF
        | 0xAC00..=0xD7A3
        | 0x1_F300..=0x1_FAFF => Some(character),
        _ => None,
    }
}

fn alone(character: char) -> u16 {
    let normal = |character| is_nfkc_quick(std::iter::once(character)) == IsNormalized::Yes;
    let mut folded = fold(character);
    let (Some(one), None) = (folded.next(), folded.next()) else { return INTRICATE };
    let combines = unicode_normalization::char::canonical_combining_class(character) != 0;
    if combines || is_ignorable(character) || !normal(character) || !normal(one) {
        return INTRICATE;
    }
    u16::try_from(one as u32).unwrap_or(INTRICATE)
}

/// Whether normalising may join the character to the one before it, or removes it.
fn joins(character: char) -> bool {
    let mut first = None;
    unicode_normalization::char::decompose_compatible(character, |part| {
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(character);
    is_ignorable(character)
        || unicode_normalization::char::canonical_combining_class(first) != 0
        || is_nfkc_quick(std::iter::once(first)) != IsNormalized::Yes
}

/// The first character of a text, with what normalising joins to it or removes behind it.
#[must_use]
pub fn cluster(text: &str) -> &str {
    let mut rest = text.char_indices().skip(1);
    let end = rest.find(|(_, next)| simple(*next).is_some() || !joins(*next));
    end.map_or(text, |(end, _)| &text[..end])
}

/// The normal form of a cluster, but in the case in which it is written where case is all that
/// folding would change.
#[must_use]
pub fn composed(cluster: &str) -> Cow<'_, str> {
    let mut characters = cluster.chars();
    if let (Some(one), None) = (characters.next(), characters.next())
        && simple(one).is_some_and(|plain| plain == one || one.to_lowercase().eq([plain]))
    {
        return cluster.into();
    }
    let visible = cluster.chars().filter(|character| !is_ignorable(*character));
    let composed: String = visible.nfkc().filter(|character| !is_ignorable(*character)).collect();
    let normal = normalise(cluster);
    match composed.chars().flat_map(char::to_lowercase).eq(normal.chars()) {
        true => composed.into(),
        false => normal,
    }
}

/// The normal form of a text, but in the case in which it is written where case is all that folding
/// would change: for what tells upper from lower case itself.
#[must_use]
pub fn cased(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut cased = String::with_capacity(text.len());
    each_cased(text, |_, letters| {
        cased.push_str(letters);
        true
    });
    cased.into()
}

/// Where in `text`, counted in characters, the byte `at` of what [`cased`] gives comes from.
#[must_use]
pub fn cased_offset(text: &str, at: usize) -> usize {
    if text.is_ascii() {
        return at.min(text.len());
    }
    let (mut written, mut found) = (0, text.len());
    each_cased(text, |source, letters| {
        if written + letters.len() > at {
            found = source;
            return false;
        }
        written += letters.len();
        true
    });
    text[..found].chars().count()
}

fn each_cased(text: &str, mut sink: impl FnMut(usize, &str) -> bool) {
    let mut at = 0;
    while at < text.len() {
        let cluster = cluster(&text[at..]);
        if !sink(at, &composed(cluster)) {
            return;
        }
        at += cluster.len();
    }
}

/// Gives the normal form character by character, each with the byte of `text` where its source
/// begins; stops when `sink` says no.
fn each(text: &str, mut sink: impl FnMut(usize, char) -> bool) {
    // A character waits until the next one shows that nothing joins it.
    let mut held: Option<(usize, char)> = None;
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let plain = simple(character);
        let start = match held {
            Some((source, _)) if plain.is_none() && joins(character) => source,
            Some((source, before)) => {
                if !sink(source, before) {
                    return;
                }
                at
            }
            None => at,
        };
        held = plain.map(|plain| (at, plain));
        if held.is_some() {
            continue;
        }
        let mut end = at + character.len_utf8();
        while let Some((next, more)) =
            rest.next_if(|(_, next)| simple(*next).is_none() && joins(*next))
        {
            end = next + more.len_utf8();
        }
        if !normal_form(&text[start..end]).all(|character| sink(start, character)) {
            return;
        }
    }
    if let Some((source, plain)) = held {
        sink(source, plain);
    }
}

/// The normal form; borrows when nothing changes.
#[must_use]
pub fn normalise(text: &str) -> Cow<'_, str> {
    let same = |character: char| simple(character) == Some(character);
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            text.into()
        };
    }
    if text.chars().all(same) {
        return text.into();
    }
    let mut normal = String::with_capacity(text.len());
    each(text, |_, character| {
        normal.push(character);
        true
    });
    normal.into()
}

/// Where in `text`, counted in characters, the byte `at` of its normal form comes from. Inside
/// what was joined the answer is the beginning of it.
#[must_use]
pub fn original_offset(text: &str, at: usize) -> usize {
    let source = sources(text, std::iter::once(at));
    text[..source[0]].chars().count()
}

/// Where in `text`, in bytes, these bytes of its normal form come from. They must be in order; one past
/// the end is the end.
#[must_use]
pub fn sources(text: &str, ats: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut ats = ats.peekable();
    let mut found = Vec::new();
    if !text.is_ascii() {
        let mut written = 0;
        each(text, |source, character| {
            while ats.next_if(|at| written >= *at).is_some() {
                found.push(source);
            }
            written += character.len_utf8();
            ats.peek().is_some()
        });
        found.extend(ats.map(|_| text.len()));
    } else {
        found.extend(ats.map(|at| at.min(text.len())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    /// The same normal form by the book, without the tables.
    fn by_the_book(text: &str) -> String {
        normal_form(text).collect()
    }

    #[test]
    fn width_case_and_invisible_characters_do_not_count() {
        for (text, normal) in [
            ("Viagra", "viagra"),
            ("ＶＩＡＧＲＡ", "viagra"),
            ("vi\u{200B}ag\u{AD}ra", "viagra"),
            ("STRASSE straße", "strasse strasse"),
            ("Cafe\u{301}", "café"),
            ("КАЗИНО", "казино"),
            ("ΟΔΟΣ οδός", "οδοσ οδόσ"),
            ("ﬁne №", "fine no"),
            ("ガ", "ガ"),
            ("か\u{3099}", "が"),
            ("e\u{200B}\u{301}x", "éx"),
            ("STRAẞE", "strasse"),
            ("CASİNO casıno CASINO I\u{307}x i\u{307}x", "casino casino casino ix ix"),
            ("v\u{336}i\u{336}a\u{332}g\u{305}ra", "viagra"),
            ("ﬀ ﬁ ﬂ ½ ㎏ ⒱ 𝓿𝕚𝐚𝗴𝚛𝒶 ⓋⒾⒶⒼⓇⒶ", "ff fi fl 1⁄2 kg (v) viagra viagra"),
            ("Ｋ K ſ", "k k s"),
        ] {
            assert_eq!(normalise(text), normal, "{text}");
        }
    }

    #[test]
    fn the_cased_form_keeps_upper_case_and_its_offsets() {
        for (written, form) in [
            ("Müller CASINO", "Müller CASINO"),
            ("é ＣＡＳＩＮＯ", "é CASINO"),
            ("Stra\u{DF}e ẞ İ", "Strasse ss i"),
            ("Cafe\u{301} V\u{336}ia\u{200B}gra", "Café Viagra"),
        ] {
            assert_eq!(cased(written), form);
            assert_eq!(normalise(&cased(written)), normalise(written));
        }
        assert_eq!(cased_offset("é ＣＡＳＩＮＯ x", "é CASINO ".len()), 9);
        assert_eq!(cased_offset("\u{200B}ＣＡ", 1), 2);
    }

    #[test]
    fn what_is_normal_is_borrowed() {
        for text in ["plain text", "казино", "在线赌场", ""] {
            assert!(matches!(normalise(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn every_tabled_character_is_as_by_the_book() {
        for character in (0..0x2_0000).filter_map(char::from_u32) {
            let text = format!("A{character}b");
            assert_eq!(normalise(&text), by_the_book(&text), "{:x}", character as u32);
        }
    }

    /// All characters but those of the planes of Han and of private use, which are as they are.
    fn every() -> impl Iterator<Item = char> {
        (0..0x3400)
            .chain(0x9F00..0xAC10)
            .chain(0xD790..0x2_0000)
            .chain(0xE_0000..0xE_0200)
            .filter_map(char::from_u32)
    }

    #[test]
    fn what_is_one_letter_in_two_cases_has_one_normal_form() {
        for character in every() {
            let normal = by_the_book(&character.to_string());
            let range = ClassUnicodeRange::new(character, character);
            let mut class = ClassUnicode::new([range]);
            class.case_fold_simple();
            let orbit = class.iter().flat_map(|range| range.start()..=range.end());
            let cases = character.to_uppercase().collect::<String>();
            for other in orbit.map(String::from).chain([cases]) {
                assert_eq!(normal, by_the_book(&other), "{character:?} {other:?}");
            }
        }
    }

    #[test]
    fn nothing_ignorable_is_left_and_normal_is_normal() {
        let ignorable = class::members(r"\p{Default_Ignorable_Code_Point}");
        for character in every() {
            let code = character as u32;
            if ignorable.iter().any(|(first, last)| (*first..=*last).contains(&code)) {
                assert!(is_ignorable(character), "{code:x}");
            }
            let normal = by_the_book(&character.to_string());
            assert!(!normal.contains(is_ignorable), "{code:x}");
            assert_eq!(by_the_book(&normal), normal, "{code:x}");
        }
    }

    #[test]
    fn classes_follow_the_script() {
        for (character, expected) in [
            ('a', Class::Word),
            ('_', Class::Word),
            ('é', Class::Word),
            ('ж', Class::Word),
            ('한', Class::Word),
            ('\u{301}', Class::Mark),
            ('\u{E31}', Class::Mark),
            ('\u{94D}', Class::Mark),
            ('赌', Class::Character),
            ('の', Class::Character),
            ('ー', Class::Character),
            ('ก', Class::Character),
            ('\u{20000}', Class::Character),
            ('\u{3000}', Class::Space),
            ('。', Class::Symbol),
            ('😀', Class::Symbol),
        ] {
            assert_eq!(class(character), expected, "{character}");
        }
    }

    #[test]
    fn offsets_lead_back_to_the_original() {
        assert_eq!(normalise("№ ßx"), "no ssx");
        assert_eq!(original_offset("№ ßx", 5), 3);
        assert_eq!(original_offset("v\u{200B}\u{200B}i x", 3), 5);
        assert_eq!(original_offset("オンラインｶｼﾞﾉ", "オンライン".len()), 5);
        assert_eq!(original_offset("plain", 2), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_normalised_by_the_book(text in "\\PC{0,40}|[a-zA-Zé\u{301}\u{200b}\u{ad}\u{3099}かﾞ한\u{11a8}ßΣ ]{0,20}") {
            prop_assert_eq!(normalise(&text), by_the_book(&text));
        }

        #[test]
        fn offsets_stay_inside(text in "\\PC{0,20}", at in 0_usize..80) {
            prop_assert!(original_offset(&text, at) <= text.chars().count());
        }
    }
}
