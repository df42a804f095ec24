//! Owns lists: what kinds there are, what an entry of each may be, and the compiled list that
//! checks match against. It must not know where entries are stored or which check uses them.

use serde::Deserialize;

use crate::domains::Domains;
use crate::networks::Networks;
use crate::patterns::Patterns;
use crate::refusal::Refusal;
use crate::verdict::words;
use crate::words::Words;

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// Words and phrases, matched as a whole.
    Word,
    /// Regular expressions, searched.
    Regex,
    /// Addresses and networks.
    Ip,
    /// Host names, which stand for their subdomains too.
    Domain,
}

words!(ListKind: Word = "word", Regex = "regex", Ip = "ip", Domain = "domain");

/// A compiled list, ready to be matched against.
#[derive(Debug)]
pub enum List {
    /// Of kind `word`.
    Words(Words),
    /// Of kind `regex`.
    Patterns(Box<Patterns>),
    /// Of kind `ip`.
    Networks(Networks),
    /// Of kind `domain`.
    Domains(Domains),
}

impl List {
    /// Compiles the entries of a list.
    ///
    /// # Errors
    /// Names the first entry that is not one of this kind.
    pub fn compile(
        kind: ListKind,
        entries: &mut dyn Iterator<Item = &str>,
    ) -> Result<Self, Refusal> {
        Ok(match kind {
            ListKind::Word => Self::Words(Words::compile(entries)?),
            ListKind::Regex => Self::Patterns(Box::new(Patterns::compile(entries)?)),
            ListKind::Ip => Self::Networks(Networks::compile(entries)?),
            ListKind::Domain => Self::Domains(Domains::compile(entries)?),
        })
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ListKind {
        match self {
            Self::Words(_) => ListKind::Word,
            Self::Patterns(_) => ListKind::Regex,
            Self::Networks(_) => ListKind::Ip,
            Self::Domains(_) => ListKind::Domain,
        }
    }

    /// Whether nothing can match it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Words(words) => words.is_empty(),
            Self::Patterns(patterns) => patterns.is_empty(),
            Self::Networks(networks) => networks.is_empty(),
            Self::Domains(domains) => domains.is_empty(),
        }
    }
}

/// The most bytes of an entry. It is part of a key, and an index row of PostgreSQL's B-trees has
/// room for 2704 bytes, which the list's name shares.
const MAX_BYTES: usize = 2000;

/// Checks an entry before it is stored.
///
/// # Errors
/// Says what is wrong with it and what the kind takes. Refuses entries of more than 2000 bytes.
pub fn validate_entry(kind: ListKind, entry: &str) -> Result<(), Refusal> {
    if entry.len() > MAX_BYTES {
        return Err(Refusal::new(format!(
            "entry {} is {} bytes long, and the most is {MAX_BYTES}",
            Refusal::quote(entry),
            entry.len()
        ))
        .with_hint("Write several shorter entries: each of them is matched for itself."));
    }
    match kind {
        ListKind::Word => crate::words::validate(entry),
        ListKind::Regex => crate::pattern::validate(entry),
        ListKind::Ip => crate::networks::parse(entry).map(drop),
        ListKind::Domain => crate::domains::validate(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_fits_an_index_row() {
        let pattern = |bytes: usize| validate_entry(ListKind::Regex, &"a".repeat(bytes));
        pattern(2000).unwrap();
        let refusal = pattern(2001).unwrap_err();
        assert!(refusal.message.contains("is 2001 bytes long"), "{refusal}");
        // Bytes count, not characters.
        assert!(validate_entry(ListKind::Regex, &"ж".repeat(1001)).is_err());
    }

    #[test]
    fn each_kind_takes_its_own_entries() {
        for (kind, good, bad) in [
            (ListKind::Word, "very good site!", " \u{200B} "),
            (ListKind::Regex, r"@example\.com\Z", "("),
            (ListKind::Ip, "10.0.0.0/8", "10.0.0"),
            (ListKind::Domain, "spam.example", "<html>"),
        ] {
            validate_entry(kind, good).unwrap();
            let refusal = validate_entry(kind, bad).unwrap_err();
            assert!(refusal.message.contains(bad), "{refusal}");
            assert!(!List::compile(kind, &mut [good].into_iter()).unwrap().is_empty());
            assert_eq!(List::compile(kind, &mut [good].into_iter()).unwrap().kind(), kind);
            assert!(List::compile(kind, &mut [bad].into_iter()).is_err());
            assert!(List::compile(kind, &mut std::iter::empty()).unwrap().is_empty());
        }
    }
}
