//! Owns which addresses belong to the open internet, so that no sender of a trackback can make the
//! server visit its own network. It must not resolve names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not the open internet (IANA's registry of special-purpose addresses).
const SPECIAL_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "of this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a provider"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay of 6to4"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// IPv6 networks within global unicast that are not the open internet.
const SPECIAL_V6: &[(u128, u32, &str)] = &[
    (0x2001_0000_0000_0000 << 64, 23, "of a protocol such as Teredo"),
    (0x2001_0db8_0000_0000 << 64, 32, "for documentation"),
    (0x2002_0000_0000_0000 << 64, 16, "of 6to4"),
    (0x3fff_0000_0000_0000 << 64, 20, "for documentation"),
];

/// What speaks against an address as one of the open internet; `None`: nothing. Addresses that carry
/// an IPv4 address (v4-mapped, NAT64) are what that one is.
#[must_use]
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    let within = |network: Ipv4Addr, length: u32| {
        (bits ^ u32::from(network)).checked_shr(32 - length).unwrap_or(0) == 0
    };
    SPECIAL_V4.iter().find(|(network, length, _)| within(*network, *length)).map(|found| found.2)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    let within =
        |network: u128, length: u32| (bits ^ network).checked_shr(128 - length).unwrap_or(0) == 0;
    if let Some(mapped) = address.to_ipv4_mapped() {
        return special_v4(mapped);
    }
    // The well-known prefix of NAT64 (RFC 6052); networks choose others out of 64:ff9b:1::/48, and
    // nobody outside knows what they lead to.
    if within(0x0064_ff9b_0000_0000 << 64, 96) {
        return special_v4(Ipv4Addr::from(bits as u32));
    }
    match address {
        Ipv6Addr::LOCALHOST => Some("loopback"),
        Ipv6Addr::UNSPECIFIED => Some("of this network"),
        _ if within(0xfc00 << 112, 7) => Some("private"),
        _ if within(0xfe80 << 112, 10) => Some("link-local"),
        _ if within(0xff00 << 112, 8) => Some("multicast"),
        // Global unicast is 2000::/3; what else there is carries addresses of other kinds, or is
        // reserved.
        _ if !within(0x2000 << 112, 3) => Some("reserved"),
        _ => SPECIAL_V6
            .iter()
            .find(|(network, length, _)| within(*network, *length))
            .map(|found| found.2),
    }
}

/// Whether two addresses are the same host's: an IPv4 address may be written as an IPv6 one.
#[must_use]
pub fn same(one: IpAddr, other: IpAddr) -> bool {
    one.to_canonical() == other.to_canonical()
}

/// The IPv4 address that a host written in numbers means, as browsers and the C library read it:
/// `127.1`, `0x7f000001`, `0177.0.0.1`. `None`: its last part is no number, so it is a name.
/// `Some(None)`: it is neither.
#[must_use]
pub fn in_numbers(host: &str) -> Option<Option<Ipv4Addr>> {
    let mut parts: Vec<&str> = host.split('.').collect();
    if parts.len() > 1 && parts.last() == Some(&"") {
        parts.pop();
    }
    let last = *parts.last()?;
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if !digits && number(last).is_none() {
        return None;
    }
    Some(from_parts(&parts))
}

fn from_parts(parts: &[&str]) -> Option<Ipv4Addr> {
    let (last, first) = parts.split_last()?;
    if first.len() > 3 {
        return None;
    }
    let mut address = 0_u64;
    for (place, part) in first.iter().enumerate() {
        let part = number(part).filter(|part| *part <= 255)?;
        address |= part << (8 * (3 - place));
    }
    let rest = number(last)?;
    // The last part stands for all bytes that are left.
    if rest >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    Some(Ipv4Addr::from(u32::try_from(address | rest).ok()?))
}

/// Decimal, octal behind `0`, or hexadecimal behind `0x`.
fn number(part: &str) -> Option<u64> {
    let (digits, base) = match part.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&part[2..], 16),
        [b'0', _, ..] => (&part[1..], 8),
        _ => (part, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    match digits {
        // Browsers read `0x` as zero.
        "" if base == 16 => Some(0),
        _ => u64::from_str_radix(digits, base).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_internet_is_what_is_left() {
        for address in [
            "93.184.216.34",
            "8.8.8.8",
            "172.32.0.1",
            "172.15.255.255",
            "100.63.255.255",
            "100.128.0.1",
            "192.169.0.1",
            "223.255.255.255",
            "2606:2800:220:1:248:1893:25c8:1946",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
        for (address, what) in [
            ("0.0.0.0", "of this network"),
            ("0.1.2.3", "of this network"),
            ("10.255.0.1", "private"),
            ("100.64.0.1", "shared by a provider"),
            ("100.127.255.255", "shared by a provider"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("192.0.0.8", "reserved"),
            ("192.88.99.1", "a relay of 6to4"),
            ("198.19.0.1", "for benchmarks"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "of this network"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::7f00:1", "reserved"),
            ("64:ff9b::7f00:1", "loopback"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("64:ff9b:1::808:808", "reserved"),
            ("fc00::1", "private"),
            ("fdff::1", "private"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("100::1", "reserved"),
            ("2001::1", "of a protocol such as Teredo"),
            ("2001:db8::1", "for documentation"),
            ("2002:7f00:1::", "of 6to4"),
            ("3fff::1", "for documentation"),
        ] {
            assert_eq!(special(address.parse().unwrap()), Some(what), "{address}");
        }
    }

    #[test]
    fn hosts_in_numbers_are_read_as_browsers_read_them() {
        for (host, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("127.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0X7F.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("0", "0.0.0.0"),
            ("169.254.43518", "169.254.169.254"),
        ] {
            assert_eq!(in_numbers(host), Some(Some(address.parse().unwrap())), "{host}");
        }
        for host in ["256.0.0.1", "1.2.3.4.5", "127.0.0.256", "4294967296", "a.1", "1..2", "08.1"] {
            assert_eq!(in_numbers(host), Some(None), "{host}");
        }
        for host in
            ["example.com", "1.example", "localhost", "localhost.", "127.0.0.1.nip.io", "", "0xg"]
        {
            assert_eq!(in_numbers(host), None, "{host}");
        }
    }

    #[test]
    fn an_address_is_the_same_in_both_spellings() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(same(address("::ffff:203.0.113.5"), address("203.0.113.5")));
        assert!(same(address("2001:db8::5"), address("2001:DB8:0::5")));
        assert!(!same(address("203.0.113.5"), address("203.0.113.6")));
    }
}
