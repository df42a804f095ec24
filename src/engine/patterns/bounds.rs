//! Owns the proofs that lists of many similar patterns stay within bounds and find what their entries would find one by
//! one. It must not be compiled but for tests.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;
use crate::pattern::Pattern;

fn list(entries: &[String]) -> Patterns {
    Patterns::compile(&mut entries.iter().map(String::as_str)).unwrap()
}

fn built(patterns: &Patterns) -> u64 {
    patterns.automata.borrow().built()
}

/// Entries that no piece of text tells apart.
fn alike(count: usize) -> Vec<String> {
    let letter = |n: usize| char::from(b'a' + (n % 20) as u8);
    let entry =
        |n: usize| format!("^[{}_][{}_][{}_]@mail$", letter(n), letter(n / 20), letter(n / 400));
    (0..count).map(entry).collect()
}

#[test]
fn patterns_of_one_provider_are_compiled_for_the_texts_they_are_about_alone() {
    for (form, honest, bad) in [
        (r"[a-z]+N[0-9]*@gmail\.com$", "ann@gmail.com", "ann1500@gmail.com"),
        (r"(promo|deal)N[0-9]+@.*\.example$", "ann7@mail.example", "deal15001@a.example"),
        (r"^[a-z]+N[0-9]*@.*\.ru$", "ann@mail.ru", "ann1500@mail.ru"),
    ] {
        let entries: Vec<String> =
            (1000..3000).map(|n| form.replace('N', &n.to_string())).collect();
        let patterns = list(&entries);
        assert_eq!(patterns.find(honest).unwrap(), None);
        assert_eq!(built(&patterns), 0, "{form}");
        assert_eq!(patterns.find(bad).unwrap(), Some(&*entries[500]));
        assert!(built(&patterns) < 5, "{form}: {}", built(&patterns));
    }
}

#[test]
fn what_is_compiled_stays_within_its_bytes_and_finds_the_same() {
    let entries = alike(4000);
    let patterns = list(&entries);
    let most = 3 << 20;
    patterns.automata.replace(Automata::within(most));
    for (text, first) in [("tjd@mail", 1399), ("aaa@mail", 0), ("ttj@mail", 3999)] {
        assert_eq!(patterns.find(text).unwrap(), Some(&*entries[first]));
        assert!(patterns.automata.borrow().bytes() <= most);
    }
    assert_eq!(patterns.find("zzz@mail").unwrap(), None);
    let before = built(&patterns);
    assert_eq!(patterns.find("zzz@mail").unwrap(), None);
    // What fits is not built anew for each text.
    let anew = built(&patterns) - before;
    assert!((1..8).contains(&anew), "{anew}");
}

#[test]
fn a_search_that_is_ended_goes_on_the_next_time() {
    let entries = alike(4000);
    let patterns = list(&entries);
    let mut ended = 0;
    let found = loop {
        // Each time only one step is done.
        let known = built(&patterns);
        let pause = || assert!(built(&patterns) == known, "enough");
        let search = || patterns.locate("ttj@mail", &pause).unwrap();
        match catch_unwind(AssertUnwindSafe(search)) {
            Ok(found) => break found,
            Err(_) => ended += 1,
        }
        assert!(ended < 20);
    };
    assert_eq!(found, Some((&*entries[3999], 0)));
    assert!(ended > 5);
    let asked = Cell::new(0);
    patterns.locate("ttj@mail", &|| asked.set(asked.get() + 1)).unwrap();
    assert_eq!(built(&patterns), 9);
    assert!(asked.get() >= 8);
}

/// The rule, one entry after the other: a pattern is tried on texts that have its longest piece.
fn first_by_one(entries: &[String], text: &str) -> Option<usize> {
    let has = |piece: Vec<u8>| {
        text.as_bytes().windows(piece.len()).any(|part| part.eq_ignore_ascii_case(&piece))
    };
    let alone = |pattern: &str| {
        regex::RegexBuilder::new(pattern).case_insensitive(true).build().unwrap().is_match(text)
    };
    entries.iter().position(|entry| {
        let whole = || Pattern::build(entry).unwrap().is_match(text);
        if let Some(piece) = pieces::of_plain(entry) {
            return has(piece) && whole();
        }
        let spelling = spelling(entry).unwrap();
        [Some(spelling.written), spelling.normal].into_iter().flatten().any(|pattern| {
            let piece = pieces::of_pattern(&regex_syntax::parse(&pattern).unwrap());
            piece.map_or_else(|| alone(&pattern), |piece| has(piece) && whole())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn entries_that_share_a_piece_find_what_they_would_one_by_one(
        entries in prop::collection::vec(
            r"\^?([a-k]\+|[1-3s]|ｆ|\(a\|k\)|\[ſa\]|\.){0,4}@ski\\\.s?(\[0-9k\]\*|\$|\\b|e\u{301})?", 20..60),
        start in "[a-fsſkK1-3 f]{0,6}",
        end in r"(@ski\.|@ſKI\.|@SKI\.s|@ski\.é|@sKi\.)([0-9a-z])?"
    ) {
        let patterns = list(&entries);
        let text = start + &end;
        let expected = first_by_one(&entries, &text);
        let found = patterns.find(&text).unwrap();
        prop_assert_eq!(found, expected.map(|index| &*entries[index]), "{}", text);
    }
}
