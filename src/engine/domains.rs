//! Owns lists of host names; an entry stands for its subdomains too. It must not know URLs. Hosts are
//! compared in one form, that of `hosts`.

use crate::hosts::canonical;
use crate::refusal::Refusal;

/// A compiled list of host names. An entry costs its bytes and about 16 more.
#[derive(Debug, Default)]
pub struct Domains {
    /// Canonical forms, one after the other, and where each ends.
    text: String,
    ends: Vec<u32>,
    /// Entries as they were written, where that is not their canonical form, in order.
    written: Vec<(u32, Box<str>)>,
    /// Open addressing by hash: entry number + 1, or 0.
    slots: Vec<u32>,
}

/// The longest host name, in bytes (RFC 1035, section 2.3.4).
const MAX_BYTES: usize = 253;

/// Checks an entry.
///
/// # Errors
/// Refuses what is not a host name.
pub fn validate(entry: &str) -> Result<(), Refusal> {
    check(entry, &canonical(entry))
}

fn check(entry: &str, host: &str) -> Result<(), Refusal> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|part| part.is_alphanumeric() || matches!(part, '-' | '_') || !part.is_ascii())
    };
    // An address may hide its host behind percent signs; who writes a list has no reason to.
    if host.len() > MAX_BYTES || entry.contains('%') || !host.split('.').all(label) {
        let hint = if entry.trim().starts_with("*.") {
            "An entry covers its subdomains: leave out \"*.\"."
        } else {
            "Write example.com, without http:// and path."
        };
        return Err(
            Refusal::new(format!("{} is not a host name", Refusal::quote(entry))).with_hint(hint)
        );
    }
    Ok(())
}

/// FNV-1a, whose lower bits are mixed once more because they choose the slot.
fn hash(host: &str) -> usize {
    let mixed = host.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    usize::try_from((mixed ^ mixed >> 29) & 0xFFFF_FFFF).unwrap_or_default()
}

impl Domains {
    /// Compiles entries; of those that mean the same the first one stays.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        let mut domains = Self::default();
        for entry in entries {
            let host = canonical(entry);
            check(entry, &host)?;
            if host != entry {
                domains.written.push((number(domains.ends.len()), entry.into()));
            }
            domains.text.push_str(&host);
            domains.ends.push(number(domains.text.len()));
        }
        domains.text.shrink_to_fit();
        domains.ends.shrink_to_fit();
        let count = domains.ends.len();
        domains.slots = vec![0; (count * 3 / 2).next_power_of_two().max(16)];
        for index in 0..count {
            let host = domains.host(number(index));
            let slot = domains.slot(host);
            if domains.slots[slot] == 0 {
                domains.slots[slot] = number(index) + 1;
            }
        }
        Ok(domains)
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let written: usize = self.written.iter().map(|(_, entry)| entry.len() + 24).sum();
        self.text.capacity() + 4 * (self.ends.capacity() + self.slots.capacity()) + written
    }

    fn host(&self, index: u32) -> &str {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[index] as usize]
    }

    /// The slot that holds the host, or the empty one where it would be.
    fn slot(&self, host: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(host) & mask;
        while self.slots[slot] != 0 && self.host(self.slots[slot] - 1) != host {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// The entry, as it was written, that is the host or a parent domain of it. The host is taken as
    /// an address writes it: with upper case, percent-encoded or in Punycode.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<&str> {
        if self.is_empty() {
            return None;
        }
        let host = canonical(host);
        let parents = host.match_indices('.').map(|(at, _)| &host[at + 1..]);
        let entry = std::iter::once(&*host)
            .chain(parents)
            // No entry is longer; each name looked up costs its length.
            .filter(|name| name.len() <= MAX_BYTES)
            .find_map(|parent| self.slots[self.slot(parent)].checked_sub(1))?;
        Some(match self.written.binary_search_by_key(&entry, |(entry, _)| *entry) {
            Ok(found) => &self.written[found].1,
            Err(_) => self.host(entry),
        })
    }
}

/// A list has fewer than 4 GB of text.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domains(entries: &[&str]) -> Domains {
        Domains::compile(&mut entries.iter().copied()).unwrap()
    }

    #[test]
    fn an_entry_stands_for_itself_and_its_subdomains() {
        let domains = domains(&["gb.com", "Пример.рф"]);
        assert_eq!(domains.find("gb.com"), Some("gb.com"));
        assert_eq!(domains.find("www.GB.com."), Some("gb.com"));
        assert_eq!(domains.find("shop.пример.рф"), Some("Пример.рф"));
        for host in ["rgb.com", "gb.com.example", "com", "", "пример"] {
            assert_eq!(domains.find(host), None, "{host}");
        }
    }

    #[test]
    fn however_a_host_is_written_it_is_the_same() {
        let domains = domains(&["bad.example", "пример.рф", "xn--mnchen-3ya.example", "bücher.de"]);
        for (host, entry) in [
            ("B%61D.example", "bad.example"),
            ("%62%61%64%2Eexample", "bad.example"),
            ("ｂａｄ．example", "bad.example"),
            ("bad。example", "bad.example"),
            ("bad｡EXAMPLE", "bad.example"),
            ("b\u{AD}ad.example", "bad.example"),
            ("xn--e1afmkfd.xn--p1ai", "пример.рф"),
            ("www.XN--E1AFMKFD.xn--p1ai.", "пример.рф"),
            ("%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.%D1%80%D1%84", "пример.рф"),
            ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
            ("xn--bcher-kva.de", "bücher.de"),
        ] {
            assert_eq!(domains.find(host), Some(entry), "{host}");
        }
        for host in ["bad%.example", "b%zzd.example", "bad%FF.example", "xn--.example", "xn--é.de"]
        {
            assert_eq!(domains.find(host).filter(|entry| *entry != "bad.example"), None, "{host}");
        }
    }

    #[test]
    fn a_host_of_any_length_is_looked_up_by_its_end() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        let domains = domains(&[&longest, "bad.example"]);
        assert_eq!(domains.find(&longest), Some(&*longest));
        assert_eq!(domains.find(&format!("www.{longest}")), Some(&*longest));
        let long = format!("{}bad.example", "www.".repeat(250_000));
        assert_eq!(domains.find(&long), Some("bad.example"));
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

    #[test]
    fn a_hundred_thousand_hosts_stay_small_and_are_all_found() {
        let entries: Vec<String> = (0..100_000).map(|n| format!("shop{n}.example.com")).collect();
        let domains = Domains::compile(&mut entries.iter().map(String::as_str)).unwrap();
        assert!(domains.bytes() < 4 << 20, "{} bytes", domains.bytes());
        for entry in &entries {
            assert_eq!(domains.find(&format!("www.{entry}")), Some(entry.as_str()));
        }
        assert_eq!(domains.find("shop100000.example.com"), None);
    }

    proptest! {
        #[test]
        fn finds_what_one_by_one_would_find(
            entries in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){0,2}", 0..12),
            host in "[ab]{1,2}(\\.[ab]{1,2}){0,3}"
        ) {
            let compiled = Domains::compile(&mut entries.iter().map(String::as_str)).unwrap();
            let expected = entries.iter().any(|e| host == *e || host.ends_with(&format!(".{e}")));
            prop_assert_eq!(compiled.find(&host).is_some(), expected);
        }

        #[test]
        fn never_panics(host in "\\PC{0,30}|(xn--)?[a-z0-9%.-]{0,40}") {
            let _ = domains(&["a.example"]).find(&host);
            let _ = validate(&host);
        }
    }
}
