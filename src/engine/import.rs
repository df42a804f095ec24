//! Owns the texts that whole lists come in: splits one into entries, by its format, and says where in
//! it an entry stands that cannot be taken. It must not store anything.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::lists::{ListKind, validate_entry};
use crate::refusal::Refusal;
use crate::verdict::words;

/// How a text divides into entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One entry a line. In lists of kind `ip` and `domain`, whose entries cannot hold them, `#` and
    /// `;` begin a comment; in a list of words `#1` is a word.
    Lines,
    /// Entries between white space (`ActionKit`'s banned words).
    Words,
    /// Entries between semicolons, as Serendipity's Spam Protector keeps its filters; a line break
    /// after the semicolon is taken, `\;` is a semicolon and `\@` an at sign of the entry.
    Serendipity,
}

words!(Format: Lines = "lines", Words = "words", Serendipity = "serendipity");

/// Reads a text: its entries, each once, checked. `pause` is called now and then, for the caller
/// to look whether it shall stop.
///
/// # Errors
/// Names the first entry that the kind does not take, and where it stands: its line, or its number
/// and line.
pub fn read<'t>(
    kind: ListKind,
    format: Format,
    text: &'t str,
    mut pause: impl FnMut(),
) -> Result<Vec<Cow<'t, str>>, Refusal> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut known = HashSet::new();
    let mut entries = Vec::new();
    let mut place = Place { text, looked: 0, line: 1 };
    let mut number = 0;
    let mut take = |part: &'t str| -> Result<(), Refusal> {
        let trimmed = match format {
            Format::Lines => without_comment(kind, part).trim(),
            _ => part.trim(),
        };
        if trimmed.is_empty() {
            return Ok(());
        }
        number += 1;
        if number % 256 == 0 {
            pause();
        }
        let entry = match format {
            Format::Serendipity => unescaped(trimmed),
            _ => Cow::Borrowed(trimmed),
        };
        if known.contains(&*entry) {
            return Ok(());
        }
        one_line(&entry).and_then(|()| validate_entry(kind, &entry)).map_err(|refusal| {
            let line = place.line_of(trimmed);
            let place = match format {
                Format::Lines => format!("line {line}"),
                _ => format!("entry {number} (line {line})"),
            };
            at(&place, refusal)
        })?;
        known.insert(entry.clone());
        entries.push(entry);
        Ok(())
    };
    match format {
        Format::Lines => text.split('\n').try_for_each(&mut take)?,
        Format::Words => text.split_whitespace().try_for_each(&mut take)?,
        Format::Serendipity => Items { rest: Some(text) }.try_for_each(&mut take)?,
    }
    Ok(entries)
}

/// A fetched text as far as it is a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// The entries, each once, in order.
    pub entries: Vec<String>,
    /// Lines that are no entries.
    pub junk: usize,
    /// The first of these, each with its number and what is wrong with it.
    pub examples: Vec<String>,
}

/// Lines of junk that are shown.
const SHOWN: usize = 3;

/// Reads a text that somebody else keeps, one entry a line: what is no entry is left out and counted, as
/// long as there are more entries than that.
///
/// # Errors
/// A sentence when it is no list at all: a page in HTML, a text of mostly other things, or nothing.
pub fn sift(kind: ListKind, text: &str) -> Result<Sifted, String> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let start = text.trim_start().get(..15).unwrap_or_default().to_ascii_lowercase();
    if start.starts_with("<!doctype") || start.starts_with("<html") || start.starts_with("<?xml") {
        return Err("it is a page in HTML or XML and no list".to_owned());
    }
    let mut sifted = Sifted::default();
    let mut known = HashSet::new();
    for (number, line) in text.split('\n').enumerate() {
        let entry = without_comment(kind, line).trim();
        if entry.is_empty() || known.contains(entry) {
            continue;
        }
        let fault = if entry.contains(char::REPLACEMENT_CHARACTER) {
            Err(Refusal::new(format!("{} is not valid UTF-8", Refusal::quote(entry))))
        } else if entry.contains('\0') {
            Err(Refusal::new(format!("{} has a NUL, which no text has", Refusal::quote(entry))))
        } else {
            one_line(entry).and_then(|()| validate_entry(kind, entry))
        };
        match fault {
            Ok(()) => {
                known.insert(entry);
                sifted.entries.push(entry.to_owned());
            }
            Err(refusal) => {
                sifted.junk += 1;
                if sifted.examples.len() < SHOWN {
                    sifted.examples.push(format!("line {}: {}", number + 1, refusal.message));
                }
            }
        }
    }
    let Sifted { entries, junk, examples } = &sifted;
    if entries.is_empty() && *junk == 0 {
        return Err("it has no entries".to_owned());
    }
    if *junk >= entries.len() {
        let count = entries.len();
        return Err(format!(
            "{junk} of its lines are no entries of kind {}, and only {count} are: {}",
            kind.name(),
            examples.join("; ")
        ));
    }
    Ok(sifted)
}

fn at(place: &str, mut refusal: Refusal) -> Refusal {
    refusal.message = format!("{place}: {}", refusal.message);
    refusal.detail = Some(match refusal.detail {
        Some(detail) => format!("{detail} Nothing was imported."),
        None => "Nothing was imported.".to_owned(),
    });
    refusal
}

fn one_line(entry: &str) -> Result<(), Refusal> {
    if !entry.contains(['\n', '\r']) {
        return Ok(());
    }
    Err(Refusal::new(format!("{} holds a line break", Refusal::quote(entry)))
        .with_hint("End each entry with the format's separator: lines with a line break, serendipity with a semicolon."))
}

/// What stands before a comment.
fn without_comment(kind: ListKind, line: &str) -> &str {
    if !matches!(kind, ListKind::Ip | ListKind::Domain) {
        return line;
    }
    let begins =
        |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices(['#', ';']).find(begins).map_or(line, |(at, _)| &line[..at])
}

/// The parts between semicolons that no backslash stands before.
struct Items<'t> {
    rest: Option<&'t str>,
}

impl<'t> Iterator for Items<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest?;
        let mut escaped = false;
        for (at, byte) in rest.bytes().enumerate() {
            if byte == b';' && !escaped {
                self.rest = Some(&rest[at + 1..]);
                return Some(&rest[..at]);
            }
            // A backslash and what it stands before are a pair.
            escaped = byte == b'\\' && !escaped;
        }
        self.rest = None;
        Some(rest)
    }
}

/// Without the backslashes that only the format needs; all others are the entry's own.
fn unescaped(item: &str) -> Cow<'_, str> {
    if !item.contains('\\') {
        return item.into();
    }
    let mut entry = String::with_capacity(item.len());
    let mut letters = item.chars();
    while let Some(letter) = letters.next() {
        match (letter, letters.clone().next()) {
            ('\\', Some(';' | '@')) => {}
            ('\\', Some(next)) => {
                entry.push('\\');
                entry.push(next);
                letters.next();
            }
            _ => entry.push(letter),
        }
    }
    entry.into()
}

/// Which line a part of the text is on.
struct Place<'t> {
    text: &'t str,
    looked: usize,
    line: usize,
}

impl Place<'_> {
    fn line_of(&mut self, part: &str) -> usize {
        let at = part.as_ptr().addr() - self.text.as_ptr().addr();
        let between = &self.text.as_bytes()[self.looked.min(at)..at];
        self.line += between.iter().filter(|byte| **byte == b'\n').count();
        self.looked = at;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(kind: ListKind, format: Format, text: &str) -> Vec<String> {
        let entries = super::read(kind, format, text, || {}).unwrap();
        entries.into_iter().map(Cow::into_owned).collect()
    }

    fn refused(kind: ListKind, format: Format, text: &str) -> Refusal {
        super::read(kind, format, text, || {}).unwrap_err()
    }

    #[test]
    fn what_is_no_entry_is_left_out_as_long_as_it_is_little() {
        let sifted = sift(
            ListKind::Domain,
            "\u{FEFF}# hosts\nbad.example\r\n worse.example ; why\nbad.example\n\nnot a host\nx.example",
        );
        let sifted = sifted.unwrap();
        assert_eq!(sifted.entries, ["bad.example", "worse.example", "x.example"]);
        assert_eq!((sifted.junk, sifted.examples.len()), (1, 1));
        assert!(sifted.examples[0].starts_with("line 6: "), "{:?}", sifted.examples);
        for text in [
            "",
            "\n# nothing\n",
            "<!DOCTYPE html>\n<p>404",
            "  <html><head>",
            "<?xml version=\"1.0\"?>",
            "not a host\nbad.example",
            "bad.example\nnot a host\nneither this",
        ] {
            assert!(sift(ListKind::Domain, text).is_err(), "{text}");
        }
        // In a list of words nearly every line is one; a page is told by how it begins.
        assert!(sift(ListKind::Word, "<!doctype HTML><title>Gone").is_err());
        assert_eq!(sift(ListKind::Word, "# 1\ncheap pills").unwrap().entries.len(), 2);
        assert_eq!(sift(ListKind::Ip, "10.0.0.0/8\n10.0.0.1\u{FFFD}\n::1").unwrap().junk, 1);
    }

    #[test]
    fn lines_are_entries_without_blanks_around_them() {
        let text = "\u{FEFF}one\r\n\r\n  two words\t\n\n#1 casino\none\n\u{3000}\nthree";
        assert_eq!(
            read(ListKind::Word, Format::Lines, text),
            ["one", "two words", "#1 casino", "three"]
        );
        assert_eq!(read(ListKind::Word, Format::Lines, ""), [""; 0]);
    }

    #[test]
    fn comments_are_left_out_where_no_entry_can_hold_them() {
        let text = "# a list\n10.0.0.0/8 ; SBL1\n;\n192.0.2.1 # office\n\n2001:db8::/32";
        assert_eq!(
            read(ListKind::Ip, Format::Lines, text),
            ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]
        );
        assert_eq!(read(ListKind::Domain, Format::Lines, "a.example #b\n#c"), ["a.example"]);
        assert!(super::read(ListKind::Domain, Format::Lines, "a.example#b", || {}).is_err());
        assert_eq!(read(ListKind::Regex, Format::Lines, "#a ; b\nx # y"), ["#a ; b", "x # y"]);
    }

    #[test]
    fn words_stand_between_white_space() {
        assert_eq!(
            read(ListKind::Word, Format::Words, " http https\n\tviagra\u{a0}http\r\n#1"),
            ["http", "https", "viagra", "#1"]
        );
    }

    #[test]
    fn serendipitys_filters_keep_their_own_backslashes() {
        for (text, entries) in [
            ("casino;poker", &["casino", "poker"][..]),
            (";casino ;\r\n  very good site!;;\n", &["casino", "very good site!"]),
            (r"8gold\.com;gb\.com", &[r"8gold\.com", r"gb\.com"]),
            (r"a\;b;c", &["a;b", "c"]),
            (r"me\@spam\.example", &[r"me@spam\.example"]),
            // The backslash before the semicolon is itself escaped.
            (r"a\\;b", &[r"a\\", "b"]),
            (r"a\\\;b", &[r"a\\;b"]),
            (r"[\]\;]x;y", &[r"[\];]x", "y"]),
            ("été;казино", &["été", "казино"]),
            (";", &[]),
        ] {
            assert_eq!(read(ListKind::Regex, Format::Serendipity, text), entries, "{text}");
        }
        // What a word ends with is its own.
        assert_eq!(read(ListKind::Word, Format::Serendipity, "a;b\\"), ["a", "b\\"]);
    }

    #[test]
    fn a_refusal_names_the_entry_and_its_place() {
        let refusal = refused(ListKind::Domain, Format::Lines, "a.example\n\n# c\nb..example\nc");
        assert_eq!(refusal.message, "line 4: \"b..example\" is not a host name");
        assert_eq!(refusal.detail.unwrap(), "Nothing was imported.");
        assert!(refusal.hint.is_some());
        let refusal = refused(ListKind::Ip, Format::Words, "10.0.0.1 10.0.0.2\n10.0.0.300 x");
        assert!(refusal.message.starts_with("entry 3 (line 2): \"10.0.0.300\""), "{refusal}");
        let refusal = refused(ListKind::Regex, Format::Serendipity, "casino;\n;po(ker;x");
        assert!(refusal.message.starts_with("entry 2 (line 2): \"po(ker\""), "{refusal}");
        assert_eq!(refusal.detail.unwrap(), "Unclosed group. Nothing was imported.");
        let refusal = refused(ListKind::Regex, Format::Serendipity, "a;b\nc;d");
        assert_eq!(refusal.message, "entry 2 (line 1): \"b\nc\" holds a line break");
        let long = format!("ok\n{}", "x".repeat(2001));
        assert!(refused(ListKind::Word, Format::Lines, &long).message.contains("2001 bytes"));
    }

    #[test]
    fn the_caller_may_stop_a_long_import() {
        let mut pauses = 0;
        super::read(ListKind::Word, Format::Words, &"a b ".repeat(1000), || pauses += 1).unwrap();
        assert!(pauses > 5);
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(entries in prop::collection::vec("[a-z;@.é]{1,6}", 1..6)) {
            let written: Vec<String> =
                entries.iter().map(|e| e.replace(';', r"\;").replace('@', r"\@")).collect();
            let mut distinct: Vec<String> = Vec::new();
            for entry in entries {
                if !distinct.contains(&entry) {
                    distinct.push(entry);
                }
            }
            prop_assert_eq!(read(ListKind::Word, Format::Serendipity, &written.join(" ;\n")), distinct);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z;\\\\@#\n\r\t ]{0,40}") {
            for format in Format::ALL {
                for kind in ListKind::ALL {
                    if let Ok(entries) = super::read(*kind, *format, &text, || {}) {
                        for entry in entries {
                            prop_assert!(validate_entry(*kind, &entry).is_ok());
                            prop_assert!(!entry.contains('\n'));
                        }
                    }
                }
            }
        }
    }
}
