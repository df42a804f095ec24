//! Owns lists of regular expressions: searches a text for many of them at once. It must not know
//! fields. Most patterns hold a piece of plain text that every match contains; they are found by
//! four bytes of it and compiled only when a text has the whole piece, so that a list costs little
//! until it hits. Those that share a piece, or have none, are told apart by shorter ones, and what
//! is left shares automata. Whatever the list, what is compiled stays within bounds.

mod automata;
mod automaton;
#[cfg(test)]
mod bounds;
mod group;
mod narrowed;

use std::cell::RefCell;
use std::ops::Range;

use automata::{Automata, Automaton, Key};
use automaton::{One, Several, Texts};
use group::{Group, MOST_SHARED};

use crate::pattern::{PATTERN_BYTES, spelling, too_big, validate};
use crate::pieces::{self, Pieces};
use crate::python::Spelling;
use crate::refusal::Refusal;

/// How many patterns share an automaton: beyond that its states no longer fit its cache.
const SET_PATTERNS: usize = 500;

/// The fewest bytes of states that such an automaton keeps.
const LEAST_STATES: usize = 64 << 10;

/// A compiled list of patterns.
#[derive(Debug, Default)]
pub struct Patterns {
    /// The entries, one after the other, and where each ends.
    text: String,
    ends: Vec<u32>,
    /// For patterns with a piece of text in every match: their entries, and after the last of
    /// those, the groups of entries that share one.
    pieces: Pieces,
    groups: Vec<Group>,
    /// The patterns without.
    without: Group,
    /// The members of the groups.
    members: Vec<Member>,
    automata: RefCell<Automata>,
}

/// An entry in a group.
#[derive(Clone, Copy, Debug)]
struct Member {
    number: u32,
    form: Form,
}

/// The spellings of an entry that a group is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Written,
    Normal,
    Both,
}

/// A search for the first entry in a text.
struct Search<'s> {
    text: &'s str,
    texts: Texts,
    pause: &'s dyn Fn(),
    first: Option<u32>,
    fault: Option<Refusal>,
}

impl Search<'_> {
    fn is_earlier(&self, number: u32) -> bool {
        self.first.is_none_or(|first| number < first)
    }
}

impl Patterns {
    /// Compiles entries.
    ///
    /// # Errors
    /// Names the first entry that is no pattern. One that is only too big is told when it is
    /// needed; [`validate`] keeps it out of a list.
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        let mut patterns = Self::default();
        let mut without = Vec::new();
        for entry in entries {
            let number = u32::try_from(patterns.ends.len()).unwrap_or(u32::MAX);
            patterns.text.push_str(entry);
            patterns.ends.push(u32::try_from(patterns.text.len()).unwrap_or(u32::MAX));
            if let Some(piece) = pieces::of_plain(entry) {
                patterns.pieces.add(number, &piece);
                continue;
            }
            let Spelling { written, normal } = spelling(entry)?;
            for (form, pattern) in [(Form::Written, Some(written)), (Form::Normal, normal)] {
                let Some(pattern) = pattern else { continue };
                let Ok(hir) = regex_syntax::parse(&pattern) else {
                    validate(entry)?;
                    continue;
                };
                match pieces::of_pattern(&hir) {
                    Some(piece) => patterns.pieces.add(number, &piece),
                    None => without.push(Member { number, form }),
                }
            }
        }
        patterns.text.shrink_to_fit();
        patterns.ends.shrink_to_fit();
        patterns.add_groups(without);
        patterns.pieces.index();
        Ok(patterns)
    }

    fn add_groups(&mut self, without: Vec<Member>) {
        for (piece, numbers) in self.pieces.take_shared(MOST_SHARED) {
            let members: Vec<Member> =
                numbers.iter().map(|&number| Member { number, form: Form::Both }).collect();
            let group = self.group(members);
            let id = u32::try_from(self.ends.len() + self.groups.len()).unwrap_or(u32::MAX);
            self.pieces.add(id, &piece);
            self.groups.push(group);
        }
        // One automaton is as good as any other way.
        if without.len() > SET_PATTERNS {
            self.without = self.group(without);
        } else {
            let start = self.members.len();
            self.members.extend(without);
            self.without.untold = start..self.members.len();
        }
        self.members.shrink_to_fit();
        self.groups.shrink_to_fit();
    }

    fn group(&mut self, members: Vec<Member>) -> Group {
        let (group, order) = Group::divide(self.members.len(), &members, |member: Member| {
            // With two spellings, an entry may be found by either.
            let spelling = spelling(self.entry(member.number)).ok()?;
            spelling.normal.is_none().then_some((member.number, spelling.written))
        });
        self.members.extend(order);
        group
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
        Ok(self.first_in(text, &|| ())?.map(|number| self.entry(number)))
    }

    /// The first entry that is found in the text, and the byte where its leftmost match begins.
    /// `pause` is called before each step that takes some time. It may end the search by unwinding:
    /// what was compiled by then is there for the next one.
    ///
    /// # Errors
    /// When an entry turns out not to compile.
    pub fn locate(&self, text: &str, pause: &dyn Fn()) -> Result<Option<(&str, usize)>, Refusal> {
        let Some(number) = self.first_in(text, pause)? else { return Ok(None) };
        let at = self.with_one(number, Texts::of(text), pause, |one| one.locate(text))?;
        Ok(Some((self.entry(number), at.unwrap_or(0))))
    }

    fn first_in(&self, text: &str, pause: &dyn Fn()) -> Result<Option<u32>, Refusal> {
        let mut found = Vec::new();
        self.pieces.each_in(text, |id| found.push(id));
        let nothing_else = self.without.told.is_empty() && self.without.untold.is_empty();
        if found.is_empty() && nothing_else {
            return Ok(None);
        }
        found.sort_unstable();
        found.dedup();
        let entries = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let (entries, groups) = found.split_at(found.partition_point(|id| *id < entries));
        let texts = Texts::of(text);
        let mut search = Search { text, texts, pause, first: None, fault: None };
        self.automata.borrow_mut().begin();
        self.try_each(entries, &mut search);
        for id in groups {
            self.try_group(&self.groups[*id as usize - self.ends.len()], &mut search);
        }
        self.try_group(&self.without, &mut search);
        match (search.first, search.fault) {
            (Some(number), _) => Ok(Some(number)),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(None),
        }
    }

    /// Tries entries, in their order, one by one.
    fn try_each(&self, numbers: &[u32], search: &mut Search<'_>) {
        for number in numbers {
            if !search.is_earlier(*number) {
                return;
            }
            let is_match = |one: &mut One| one.is_match(search.text);
            match self.with_one(*number, search.texts, search.pause, is_match) {
                Ok(true) => search.first = Some(*number),
                Ok(false) => {}
                Err(refusal) => search.fault = Some(refusal),
            }
        }
    }

    fn try_group(&self, group: &Group, search: &mut Search<'_>) {
        match group.told_in(search.text) {
            Some(numbers) => self.try_each(&numbers, search),
            None => self.try_members(&group.told, search),
        }
        self.try_members(&group.untold, search);
    }

    /// Tries members of a group, so many at once.
    fn try_members(&self, range: &Range<usize>, search: &mut Search<'_>) {
        for start in range.clone().step_by(SET_PATTERNS) {
            self.try_set(start..range.end.min(start + SET_PATTERNS), search);
        }
    }

    /// Tries members at once, or if they are too big together, each half of them.
    fn try_set(&self, range: Range<usize>, search: &mut Search<'_>) {
        let members = &self.members[range.clone()];
        if !search.is_earlier(members[0].number) {
            return;
        }
        (search.pause)();
        let start = u32::try_from(range.start).unwrap_or(u32::MAX);
        let length = u32::try_from(range.len()).unwrap_or(u32::MAX);
        let sets = self.members.len().div_ceil(SET_PATTERNS);
        let states = (automata::MOST_BYTES / 4 / sets).clamp(LEAST_STATES, PATTERN_BYTES);
        let build = || {
            let patterns: Vec<(u32, String)> =
                members.iter().flat_map(|member| self.spelled(*member)).collect();
            Several::build(&patterns, search.texts, states)
                .map(|several| Automaton::Several(Box::new(several)))
        };
        let first = |automaton: &mut Automaton| match automaton {
            Automaton::Several(several) => several.first(search.text),
            Automaton::One(_) => None,
        };
        let key = Key::Several(start, length, search.texts);
        let tried = self.automata.borrow_mut().with(key, build, first);
        match tried {
            Some(first) => {
                let earlier = first.filter(|number| search.is_earlier(*number));
                search.first = earlier.or(search.first);
            }
            None if members.len() == 1 => self.try_each(&[members[0].number], search),
            None => {
                let middle = range.start + members.len() / 2;
                self.try_set(range.start..middle, search);
                self.try_set(middle..range.end, search);
            }
        }
    }

    /// The spellings of a member.
    fn spelled(&self, member: Member) -> impl Iterator<Item = (u32, String)> + use<> {
        let spelling = spelling(self.entry(member.number)).ok();
        let (written, normal) = spelling.map_or((None, None), |s| (Some(s.written), s.normal));
        let of = |form, pattern: Option<String>| {
            pattern.filter(|_| member.form == form || member.form == Form::Both)
        };
        let both = [of(Form::Written, written), of(Form::Normal, normal)];
        both.into_iter().flatten().map(move |pattern| (member.number, pattern))
    }

    /// Uses the automaton of an entry.
    fn with_one<T>(
        &self,
        number: u32,
        texts: Texts,
        pause: &dyn Fn(),
        then: impl FnOnce(&mut One) -> T,
    ) -> Result<T, Refusal> {
        pause();
        let build = || {
            let both = self.spelled(Member { number, form: Form::Both });
            let patterns: Vec<String> = both.map(|(_, pattern)| pattern).collect();
            One::build(&patterns, texts).map(Automaton::One)
        };
        let then = |automaton: &mut Automaton| match automaton {
            Automaton::One(one) => Some(then(one)),
            Automaton::Several(_) => None,
        };
        let told = self.automata.borrow_mut().with(Key::One(number, texts), build, then);
        told.flatten().ok_or_else(|| too_big(self.entry(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;
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
        assert_eq!(patterns.locate("é Casino cas1no", &|| ()).unwrap(), Some(("cas[i1]no", 3)));
        assert_eq!(patterns.locate("12 1234", &|| ()).unwrap(), Some(("[0-9]{4}", 3)));
        assert_eq!(patterns.locate("пожар", &|| ()).unwrap(), Some(("жар.*", 4)));
        assert_eq!(patterns.locate("nothing", &|| ()).unwrap(), None);
        let patterns = Patterns::compile(&mut ["é", "e\u{301}x"].into_iter()).unwrap();
        assert_eq!(patterns.locate("12éx", &|| ()).unwrap(), Some(("é", 2)));
        assert_eq!(patterns.locate("12e\u{301}x", &|| ()).unwrap(), Some(("e\u{301}x", 2)));
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
