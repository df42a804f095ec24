//! Owns one automaton: of an entry by itself, which tells where it is found, or of several entries together, which
//! tells the first of them. It must not know which automata are kept, or for how long.

use regex_automata::hybrid::dfa::{Cache as DfaCache, DFA};
use regex_automata::meta::{Cache, Regex};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, NFA, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, PatternSet};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use super::narrowed::narrowed;
use crate::pattern::PATTERN_BYTES;

/// The greatest size of an automaton of several entries, without the states that texts lead it to.
const SET_BYTES: usize = 8 << 20;

/// The texts that an automaton can search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Texts {
    /// Those of ASCII alone: most, and for them a class has few states.
    Ascii,
    /// All.
    Any,
}

impl Texts {
    /// Those that a text is of.
    pub const fn of(text: &str) -> Self {
        if text.is_ascii() { Self::Ascii } else { Self::Any }
    }

    fn parse(self, pattern: &str) -> Option<Hir> {
        let hir = ParserBuilder::new().case_insensitive(true).build().parse(pattern).ok()?;
        Some(match self {
            Self::Ascii => narrowed(&hir),
            Self::Any => hir,
        })
    }
}

/// Of one entry: its spellings.
#[derive(Debug)]
pub struct One(Vec<(Regex, Cache)>);

impl One {
    /// Compiles the spellings of an entry; `None`: one is too big.
    pub fn build(patterns: &[String], texts: Texts) -> Option<Self> {
        let config = Regex::config()
            .nfa_size_limit(Some(PATTERN_BYTES))
            .hybrid_cache_capacity(PATTERN_BYTES);
        let built = patterns.iter().map(|pattern| {
            let hir = texts.parse(pattern)?;
            let regex = Regex::builder().configure(config.clone()).build_from_hir(&hir).ok()?;
            let cache = regex.create_cache();
            Some((regex, cache))
        });
        built.collect::<Option<_>>().map(Self)
    }

    /// Whether it is found in the text.
    pub fn is_match(&mut self, text: &str) -> bool {
        let input = Input::new(text).earliest(true);
        self.0.iter_mut().any(|(regex, cache)| regex.search_half_with(cache, &input).is_some())
    }

    /// The byte where the leftmost match begins.
    pub fn locate(&mut self, text: &str) -> Option<usize> {
        let input = Input::new(text);
        let found = self.0.iter_mut().filter_map(|(regex, cache)| regex.search_with(cache, &input));
        found.map(|found| found.start()).min()
    }

    /// What it takes at the moment.
    pub fn bytes(&self) -> usize {
        let each = self
            .0
            .iter()
            .map(|(regex, cache)| size_of::<Cache>() + regex.memory_usage() + cache.memory_usage());
        each.sum()
    }
}

/// Of several entries.
#[derive(Debug)]
pub struct Several {
    dfa: DFA,
    cache: DfaCache,
    /// The entry of each pattern.
    numbers: Vec<u32>,
}

impl Several {
    /// Compiles patterns, each with the number of its entry, in the order of those. It keeps so many bytes of states
    /// that texts lead it to. `None`: they are too big together.
    pub fn build(patterns: &[(u32, String)], texts: Texts, states: usize) -> Option<Self> {
        let hirs: Option<Vec<Hir>> =
            patterns.iter().map(|(_, pattern)| texts.parse(pattern)).collect();
        let hirs = hirs?;
        let nfa = Compiler::new()
            .configure(
                NFA::config().which_captures(WhichCaptures::None).nfa_size_limit(Some(SET_BYTES)),
            )
            .build_many_from_hir(&hirs)
            .ok()?;
        let prefilter = Prefilter::from_hirs_prefix(MatchKind::All, &hirs);
        // As the `regex` crate has it: a search that finds new states all the time is given up.
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .specialize_start_states(prefilter.is_some())
            .prefilter(prefilter)
            .unicode_word_boundary(true)
            .cache_capacity(states)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        let cache = dfa.create_cache();
        Some(Self { dfa, cache, numbers: patterns.iter().map(|(number, _)| *number).collect() })
    }

    /// The first entry that is found in the text.
    pub fn first(&mut self, text: &str) -> Option<u32> {
        let input = Input::new(text);
        let one = self.dfa.try_search_fwd(&mut self.cache, &input.clone().earliest(true));
        if let Ok(None) = one {
            return None;
        }
        let mut found = PatternSet::new(self.numbers.len());
        let all = one.and_then(|_| {
            self.dfa.try_which_overlapping_matches(&mut self.cache, &input, &mut found)
        });
        if all.is_err() {
            // It was given up, or there is a letter beyond ASCII where a border of a word is sought.
            found.clear();
            self.step_by_step(&input, &mut found);
        }
        found.iter().next().map(|pattern| self.numbers[pattern.as_usize()])
    }

    fn step_by_step(&self, input: &Input<'_>, found: &mut PatternSet) {
        let config = PikeVM::config().match_kind(MatchKind::All);
        let nfa = self.dfa.get_nfa().clone();
        if let Ok(machine) = PikeVM::builder().configure(config).build_from_nfa(nfa) {
            machine.which_overlapping_matches(&mut machine.create_cache(), input, found);
        }
    }

    /// What it takes at the moment.
    pub fn bytes(&self) -> usize {
        let prefilter = self.dfa.get_config().get_prefilter().map_or(0, Prefilter::memory_usage);
        self.dfa.get_nfa().memory_usage()
            + self.cache.memory_usage()
            + prefilter
            + size_of_val(&*self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn several(patterns: &[&str], texts: Texts, states: usize) -> Several {
        let numbered: Vec<_> =
            (0..).zip(patterns.iter().map(|&pattern| pattern.to_owned())).collect();
        Several::build(&numbered, texts, states).unwrap()
    }

    #[test]
    fn borders_of_words_are_found_beside_letters_beyond_ascii() {
        let mut set = several(&[r"\bcat\b", r"\w+ж\b"], Texts::Any, 1 << 16);
        for (text, first) in
            [("a cat", Some(0)), ("жcat", None), ("cat? ж", Some(0)), ("ёж", Some(1))]
        {
            assert_eq!(set.first(text), first, "{text}");
        }
    }

    #[test]
    fn an_automaton_that_may_keep_hardly_any_state_finds_the_same() {
        let mut set = several(&["[ab]{3}c.{9}d", "a[bc]{9}a"], Texts::Ascii, 1);
        let text = "abcbabbcbaabca".repeat(500);
        assert_eq!(set.first(&text), None);
        assert_eq!(set.first(&(text.clone() + "abcbcbcbcba")), Some(1));
        assert_eq!(set.first(&(text + "aabc123456789d")), Some(0));
    }

    #[test]
    fn ascii_takes_far_fewer_bytes() {
        let patterns = [r"\w+\s\w+", "[^@]+@.*"];
        let (ascii, any) = (several(&patterns, Texts::Ascii, 1), several(&patterns, Texts::Any, 1));
        assert!(ascii.bytes() * 5 < any.bytes(), "{} {}", ascii.bytes(), any.bytes());
    }
}
