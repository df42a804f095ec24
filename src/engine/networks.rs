//! Owns lists of addresses and networks: their entries as PostgreSQL's inet writes them, and the
//! search for an address. It must not know who sent a submission.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::refusal::Refusal;

/// Reads an entry: an address, or a network as `10.0.0.0/8`. Host bits are cleared, as inet's
/// `network()` does; an IPv4 address written as IPv6 is the IPv4 address.
///
/// # Errors
/// Refuses anything else with a sentence.
pub fn parse(entry: &str) -> Result<IpNetwork, Refusal> {
    let refusal = || {
        Refusal::new(format!("{} is neither an address nor a network", Refusal::quote(entry)))
            .with_hint("Write 192.0.2.7, 192.0.2.0/24, 2001:db8::7 or 2001:db8::/32.")
    };
    let (address, prefix) = match entry.trim().split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (entry.trim(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| refusal())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) => match digits.parse::<u8>() {
            Ok(prefix) if prefix <= bits && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix
            }
            _ => {
                let example = if bits == 32 { "192.0.2.0/24" } else { "2001:db8::/32" };
                return Err(Refusal::new(format!(
                    "{} has a prefix length that is not from 0 to {bits}",
                    Refusal::quote(entry)
                ))
                .with_hint(format!(
                    "Write after the slash how many leading bits the network fixes, as in {example}."
                )));
            }
        },
    };
    let (address, prefix) = match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) if prefix >= 96 => (IpAddr::V4(v4), prefix - 96),
            _ => (address, prefix),
        },
        IpAddr::V4(_) => (address, prefix),
    };
    let network = IpNetwork::new(address, prefix).map_err(|_| refusal())?;
    IpNetwork::new(network.network(), prefix).map_err(|_| refusal())
}

/// The network of an address as an entry: `2001:db8::/64`; the address itself when the prefix is all of it.
#[must_use]
pub fn around(address: IpAddr, prefix: u8) -> String {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    match IpNetwork::new(address, prefix) {
        Ok(network) if prefix < bits => format!("{}/{prefix}", network.network()),
        _ => address.to_string(),
    }
}

fn host_bits_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

fn host_bits_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

/// Networks in order, none inside another, so that one binary search answers. Starts and prefix
/// lengths lie apart: an entry costs five bytes, or 17.
#[derive(Debug, Default)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

#[derive(Debug, Default)]
struct Ranges<T> {
    starts: Vec<T>,
    prefixes: Vec<u8>,
}

impl<T: Ord + Copy> Ranges<T> {
    /// Keeps the networks that no other one contains.
    fn new(mut networks: Vec<(T, u8)>, last: impl Fn(T, u8) -> T) -> Self {
        networks.sort_unstable();
        let mut ranges = Self { starts: Vec::new(), prefixes: Vec::new() };
        let mut covered: Option<T> = None;
        for (start, prefix) in networks {
            if covered.is_none_or(|end| start > end) {
                covered = Some(last(start, prefix));
                ranges.starts.push(start);
                ranges.prefixes.push(prefix);
            }
        }
        ranges.starts.shrink_to_fit();
        ranges.prefixes.shrink_to_fit();
        ranges
    }

    fn find(&self, address: T, last: impl Fn(T, u8) -> T) -> Option<(T, u8)> {
        let index = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        let (start, prefix) = (self.starts[index], self.prefixes[index]);
        (address <= last(start, prefix)).then_some((start, prefix))
    }
}

fn last_v4(start: u32, prefix: u8) -> u32 {
    start | host_bits_v4(prefix)
}

fn last_v6(start: u128, prefix: u8) -> u128 {
    start | host_bits_v6(prefix)
}

impl Networks {
    /// Compiles entries.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn compile(entries: &mut dyn Iterator<Item = &str>) -> Result<Self, Refusal> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for entry in entries {
            let network = parse(entry)?;
            // Wider networks first among equals: the sort puts the shorter prefix in front.
            match network {
                IpNetwork::V4(v4_network) => v4.push((v4_network.ip().to_bits(), network.prefix())),
                IpNetwork::V6(v6_network) => v6.push((v6_network.ip().to_bits(), network.prefix())),
            }
        }
        Ok(Self { v4: Ranges::new(v4, last_v4), v6: Ranges::new(v6, last_v6) })
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.starts.is_empty() && self.v6.starts.is_empty()
    }

    /// The widest network that holds the address, as an entry. The address is canonical: an IPv4
    /// address written as IPv6 has been turned into IPv4.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<String> {
        let (start, prefix, bits) = match address {
            IpAddr::V4(v4) => {
                let (start, prefix) = self.v4.find(v4.to_bits(), last_v4)?;
                (IpAddr::V4(start.into()), prefix, 32)
            }
            IpAddr::V6(v6) => {
                let (start, prefix) = self.v6.find(v6.to_bits(), last_v6)?;
                (IpAddr::V6(start.into()), prefix, 128)
            }
        };
        Some(if prefix == bits { start.to_string() } else { format!("{start}/{prefix}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn networks(entries: &[&str]) -> Networks {
        Networks::compile(&mut entries.iter().copied()).unwrap()
    }

    fn found(entries: &[&str], address: &str) -> Option<String> {
        networks(entries).find(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_found_in_its_network_and_not_beside_it() {
        let entries = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "192.0.2.9", "192.0.2.8/32"];
        assert_eq!(found(&entries, "10.255.255.255").unwrap(), "10.0.0.0/8");
        assert_eq!(found(&entries, "192.0.2.7").unwrap(), "192.0.2.7");
        assert_eq!(found(&entries, "2001:db8:ffff::1").unwrap(), "2001:db8::/32");
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.10", "2001:db9::"] {
            assert_eq!(found(&entries, outside), None, "{outside}");
        }
        assert_eq!(found(&["0.0.0.0/0"], "255.1.2.3").unwrap(), "0.0.0.0/0");
        assert_eq!(found(&["::/0"], "ffff::").unwrap(), "::/0");
        assert_eq!(found(&["0.0.0.0/0"], "::1"), None);
    }

    #[test]
    fn networks_inside_others_do_not_hide_them() {
        let entries = ["10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "10.0.0.0/9"];
        assert_eq!(found(&entries, "10.200.0.1").unwrap(), "10.0.0.0/8");
        assert_eq!(found(&entries, "10.1.2.3").unwrap(), "10.0.0.0/8");
    }

    #[test]
    fn host_bits_are_cleared_and_mapped_addresses_are_ipv4() {
        assert_eq!(found(&["192.0.2.77/24"], "192.0.2.1").unwrap(), "192.0.2.0/24");
        assert_eq!(found(&["::ffff:10.0.0.0/104"], "10.9.9.9").unwrap(), "10.0.0.0/8");
        assert_eq!(found(&[" 2001:db8::1 "], "2001:db8::1").unwrap(), "2001:db8::1");
    }

    #[test]
    fn the_network_around_an_address_is_written_as_an_entry() {
        let written = |address: &str, prefix| around(address.parse().unwrap(), prefix);
        assert_eq!(written("2001:db8:1:2:3::4", 64), "2001:db8:1:2::/64");
        assert_eq!(written("2001:db8:1:2ff::4", 56), "2001:db8:1:200::/56");
        assert_eq!(written("2001:db8::4", 128), "2001:db8::4");
        assert_eq!(written("192.0.2.7", 32), "192.0.2.7");
        assert_eq!(written("ffff::", 0), "::/0");
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_sentence() {
        for entry in [
            "",
            "10.0.0",
            "example.com",
            "1.2.3.4/x",
            "1.2.3.4/33",
            "::1/129",
            "1.2.3.4/+8",
            "1.2.3.4-1.2.3.9",
            "256.1.1.1",
        ] {
            assert!(parse(entry).unwrap_err().message.starts_with(&format!("\"{entry}\"")));
        }
        assert!(parse("1.2.3.4/33").unwrap_err().message.contains("from 0 to 32"));
    }

    proptest! {
        #[test]
        fn finds_what_one_by_one_would_find(
            entries in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..30), address: u32
        ) {
            let text: Vec<String> = entries.iter()
                .map(|(start, prefix)| format!("{}/{prefix}", IpAddr::V4((*start).into()))).collect();
            let networks = Networks::compile(&mut text.iter().map(String::as_str)).unwrap();
            for address in entries.iter().map(|(start, _)| *start ^ 1).chain([address]) {
                let expected = entries.iter().any(|(start, prefix)|
                    start & !host_bits_v4(*prefix) == address & !host_bits_v4(*prefix));
                prop_assert_eq!(networks.find(IpAddr::V4(address.into())).is_some(), expected);
            }
        }
    }
}
