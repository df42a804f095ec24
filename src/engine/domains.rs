//! Owns lists of host names; an entry stands for its subdomains too. It must not know URLs.

use std::collections::HashSet;

use crate::hosts::canonical;
use crate::refusal::Refusal;

/// A compiled list of host names.
#[derive(Debug, Default)]
pub struct Domains {
    hosts: HashSet<Box<str>>,
}

/// Checks an entry.
///
/// # Errors
/// Refuses what is not a host name.
pub fn validate(entry: &str) -> Result<(), Refusal> {
    let host = canonical(entry);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|part| part.is_alphanumeric() || matches!(part, '-' | '_') || !part.is_ascii())
    };
    // An address may hide its host behind percent signs; who writes a list has no reason to.
    if host.len() > 253 || entry.contains('%') || !host.split('.').all(label) {
        return Err(Refusal::new(format!("{} is not a host name", Refusal::quote(entry)))
            .with_hint("Write example.com, without http:// and path."));
    }
    Ok(())
}

impl Domains {
    /// Compiles entries.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        let mut domains = Self::default();
        for entry in entries {
            validate(entry)?;
            domains.hosts.insert(canonical(entry).into());
        }
        Ok(domains)
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The entry that is the host or a parent domain of it.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<&str> {
        if self.is_empty() {
            return None;
        }
        let host = canonical(host);
        let parents = host.match_indices('.').map(|(at, _)| &host[at + 1..]);
        std::iter::once(host.as_str())
            .chain(parents)
            .find_map(|parent| self.hosts.get(parent).map(|entry| &**entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_for_itself_and_its_subdomains() {
        let domains = Domains::compile(&mut ["gb.com", "Пример.рф"].into_iter()).unwrap();
        assert_eq!(domains.find("gb.com"), Some("gb.com"));
        assert_eq!(domains.find("www.GB.com."), Some("gb.com"));
        assert_eq!(domains.find("shop.пример.рф"), Some("пример.рф"));
        assert_eq!(domains.find("xn--e1afmkfd.xn--p1ai"), Some("пример.рф"));
        assert_eq!(domains.find("g%62.com"), Some("gb.com"));
        for host in ["rgb.com", "gb.com.example", "com", "", "пример"] {
            assert_eq!(domains.find(host), None, "{host}");
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for entry in [
            "",
            "http://a.example",
            "a..b",
            "a b.example",
            "-a.example",
            "<html>",
            "a.example/x",
            "%61.example",
        ] {
            assert!(validate(entry).unwrap_err().message.contains("is not a host name"), "{entry}");
        }
        validate("xn--e1afmkfd.xn--p1ai").unwrap();
        validate("localhost").unwrap();
    }
}
