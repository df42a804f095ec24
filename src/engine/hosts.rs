//! Owns where an address on the web leads: which host a browser would go to, and the one form in
//! which hosts are compared. It must not know lists or find addresses in a text.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use unicode_normalization::UnicodeNormalization;

use crate::punycode;
use crate::text;

/// What hosts are mapped to before they are looked up (UTS 46, section 4, not transitional): NFKC in lower
/// case, without what is hidden. Unlike in words, a `ß`, an `ı` or a line through a letter stays: domains
/// that differ in these alone are of different owners.
fn mapped(host: &str) -> Cow<'_, str> {
    if host.is_ascii() {
        return if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            host.to_ascii_lowercase().into()
        } else {
            host.into()
        };
    }
    let hidden = |letter: &char| text::is_ignorable(*letter) && !text::is_line(*letter);
    let visible = host.chars().filter(|letter| !hidden(letter));
    let composed = visible.nfkc().filter(|letter| !hidden(letter));
    composed.flat_map(char::to_lowercase).nfkc().collect::<String>().into()
}

/// The form in which hosts are compared: percent signs and punycode decoded, in lower case, without
/// the root's full stop; numbers that are an IPv4 address are that address. What browsers drop (tabs
/// and line breaks) is dropped.
#[must_use]
pub fn canonical(host: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
    let numeric = |host: &str| {
        host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()))
    };
    // The common case needs no closer look; a label in punycode has hyphens.
    if !host.ends_with('.') && host.bytes().all(plain) && !numeric(host) {
        return host.to_owned();
    }
    let decoded = percent_decoded(host);
    let normal = mapped(&decoded);
    if let Some(address) = normal.strip_prefix('[').and_then(|inside| inside.strip_suffix(']'))
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        return address
            .to_ipv4_mapped()
            .map_or_else(|| format!("[{address}]"), |v4| v4.to_string());
    }
    let mut canonical = String::with_capacity(normal.len());
    // The full stops of other scripts divide labels too (UTS 46, section 2.3).
    for label in normal.split(['.', '\u{3002}', '\u{FF61}']) {
        // What Punycode says is what it is.
        let label: Cow<'_, str> = match label.trim().strip_prefix("xn--").and_then(punycode::decode)
        {
            Some(decoded) => decoded.into(),
            None => label.trim().into(),
        };
        if !canonical.is_empty() {
            canonical.push('.');
        }
        canonical.extend(label.chars().filter(|letter| !matches!(letter, '\t' | '\n' | '\r')));
    }
    canonical.truncate(canonical.trim_end_matches('.').len());
    match numeric(&canonical).then(|| ipv4(&canonical)).flatten() {
        Some(address) => address.to_string(),
        None => canonical,
    }
}

/// The address that up to four numbers are, decimal, octal (`0…`) or hexadecimal (`0x…`), of which the
/// last fills what is left of it (WHATWG URL, "IPv4 parser").
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| {
        let hex = part.strip_prefix("0x");
        let octal = part.strip_prefix('0').filter(|digits| !digits.is_empty());
        let (digits, radix) = hex
            .map_or_else(|| octal.map_or((part, 10), |digits| (digits, 8)), |digits| (digits, 16));
        match digits {
            "" if radix == 16 => Some(0),
            digits if digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                u64::from_str_radix(digits, radix).ok()
            }
            _ => None,
        }
    };
    let numbers = host.split('.').map(number).collect::<Option<Vec<u64>>>()?;
    let (last, first) = numbers.split_last()?;
    let left = u32::try_from(4_usize.checked_sub(first.len())?).ok().filter(|left| *left > 0)?;
    if first.iter().any(|part| *part > 255) || *last >= 1 << (8 * left) {
        return None;
    }
    let high = first.iter().fold(0, |all, part| all << 8 | part);
    u32::try_from(high << (8 * left) | last).ok().map(Ipv4Addr::from)
}

/// The host that a browser goes to for an address, in its canonical form: behind scheme and user,
/// before port and path, whether written `http://host/`, `//host/`, `host/path` or with the
/// backslashes that browsers forgive. `None` for a place within the site and for no address at all.
#[must_use]
pub fn of_url(url: &str) -> Option<String> {
    let url = mapped(url);
    let url = url.trim().trim_matches(|edge: char| edge.is_control());
    let slash = |letter: char| matches!(letter, '/' | '\\');
    let rest = match url.split_once(':') {
        Some((scheme, rest))
            if is_scheme(scheme) && (rest.starts_with(slash) || on_web(scheme)) =>
        {
            rest.trim_start_matches(slash)
        }
        _ if url.starts_with(slash) && !url[1..].starts_with(slash) => return None,
        _ => url.trim_start_matches(slash),
    };
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.trim_start();
    let mut host = canonical(&host[..end(host)]);
    // Percent signs may have hidden where it ends.
    host.truncate(end(&host));
    (!host.is_empty()).then_some(host)
}

/// Where the host ends that an authority begins with: behind the brackets of an IPv6 address, else
/// at the first character that no host has, such as the port's colon or the punctuation of the text
/// around it. Letters and symbols of all scripts, hidden characters and what browsers drop go on.
#[must_use]
pub fn end(authority: &str) -> usize {
    if authority.starts_with('[')
        && let Some(bracket) = authority.find(']')
    {
        return bracket + 1;
    }
    let within =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%' | b'.');
    let mut after_stop = false;
    let ends = |(_, character): &(usize, char)| {
        let mut buffer = [0; 4];
        let normal = mapped(character.encode_utf8(&mut buffer));
        if normal.is_empty() || matches!(character, '\t' | '\n' | '\r') {
            return false;
        }
        let stop = matches!(&*normal, "." | "\u{3002}");
        // No label is empty: what has two full stops are the dots of a text.
        let two = normal.contains("..") || stop && std::mem::replace(&mut after_stop, true);
        after_stop = stop;
        two || normal.chars().any(|part| {
            u8::try_from(part).map_or(part.is_whitespace(), |byte| byte.is_ascii() && !within(byte))
        })
    };
    authority.char_indices().find(ends).map_or(authority.len(), |(end, _)| end)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Schemes for which browsers do without the slashes.
fn on_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn percent_decoded(host: &str) -> Cow<'_, str> {
    if !host.contains('%') {
        return host.into();
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let bytes = host.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = match byte {
            b'%' => digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))),
            _ => None,
        };
        let coded = code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(coded.unwrap_or(byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_host_has_one_form() {
        for (host, form) in [
            ("bad.example", "bad.example"),
            ("BAD.Example.", "bad.example"),
            ("b%61d%2Eexample", "bad.example"),
            ("ｂａｄ．example", "bad.example"),
            ("bad\u{3002}example", "bad.example"),
            ("b\u{AD}ad.exa\tmple", "bad.example"),
            ("xn--e1afmkfd.xn--p1ai", "пример.рф"),
            ("ПРИМЕР.рф", "пример.рф"),
            ("%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.рф", "пример.рф"),
            ("XN--E1AFMKFD.рф", "пример.рф"),
            ("xn--BCHER-kva.example", "bücher.example"),
            ("xn--!.example", "xn--!.example"),
            // Domains that look alike, or are one word, and are not one domain.
            ("straße.de", "straße.de"),
            ("STRAẞE.de", "straße.de"),
            ("l\u{131}nkedin.com", "l\u{131}nkedin.com"),
            ("xn--lnkedin-rfb.com", "l\u{131}nkedin.com"),
            ("g\u{336}oogle.com", "g\u{336}oogle.com"),
            // Numbers as browsers read them.
            ("192.0.2.66", "192.0.2.66"),
            ("0xc0000242", "192.0.2.66"),
            ("0XC0000242.", "192.0.2.66"),
            ("3221226050", "192.0.2.66"),
            ("0300.0.02.0102", "192.0.2.66"),
            ("192.0.578", "192.0.2.66"),
            ("192.0x24e", "192.0.2.78"),
            ("[::ffff:192.0.2.66]", "192.0.2.66"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("192.0.2.256", "192.0.2.256"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("09.1", "09.1"),
            ("a.example.1x", "a.example.1x"),
            ("50%.example", "50%.example"),
            ("", ""),
            (".", ""),
        ] {
            assert_eq!(canonical(host), form, "{host}");
        }
    }

    #[test]
    fn an_address_leads_where_a_browser_goes() {
        for (url, host) in [
            ("http://bad.example/", "bad.example"),
            ("HTTPS://BAD.EXAMPLE:8443/x?y#z", "bad.example"),
            ("bad.example", "bad.example"),
            ("bad.example:8080/x", "bad.example"),
            ("www.bad.example/good.example", "www.bad.example"),
            ("//bad.example/x", "bad.example"),
            ("http:bad.example", "bad.example"),
            ("http:/bad.example", "bad.example"),
            ("http:\\\\bad.example\\@good.example", "bad.example"),
            ("http:////bad.example", "bad.example"),
            ("http://good.example@bad.example/", "bad.example"),
            ("http://good.example:80%2F@bad.example/", "bad.example"),
            ("http://bad.example?@good.example", "bad.example"),
            ("http://bad.example#@good.example", "bad.example"),
            ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
            ("ftp://bad.example", "bad.example"),
            (" http://bad.\nexample ", "bad.example"),
            ("http://bad.example，你好", "bad.example"),
            ("http://bad.example！你好", "bad.example"),
            ("http://bad.example）你好", "bad.example"),
            ("http://bad.example,cheap!", "bad.example"),
            ("http://bad.example;x", "bad.example"),
            ("http://bad.example…more", "bad.example"),
            ("http://bad.example...more", "bad.example"),
            ("http://bad.example)more", "bad.example"),
            ("http://bad.example]more", "bad.example"),
            ("http://bad.example&nbsp;more", "bad.example"),
            ("http://bad.example%2Cmore", "bad.example"),
            ("http://bad.example%20more", "bad.example"),
            ("http://bad.example%EF%BC%8C", "bad.example"),
            ("http://bad.example more", "bad.example"),
            ("http://user,name@bad.example", "bad.example"),
            ("http://b\u{AD}ad。ｅxample！", "bad.example"),
            ("http://sub_domain.bücher.example", "sub_domain.bücher.example"),
            ("http://हिन्दी.example", "हिन्दी.example"),
            ("http://\u{1F4A9}.example/", "\u{1F4A9}.example"),
        ] {
            assert_eq!(of_url(url).as_deref(), Some(host), "{url}");
        }
        for url in ["", "/about", "?x=bad.example", "#bad.example", "http://", "http:///?x", "//"] {
            assert_eq!(of_url(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn one_form_is_the_last(host in "[a-zA-Zß0-9.\u{3002}ｂé\u{AD} -]{0,20}") {
            prop_assume!(!host.to_lowercase().contains("xn--"));
            let once = canonical(&host);
            prop_assert_eq!(canonical(&once), once);
        }

        #[test]
        fn any_text_has_a_host_or_none(url in "(http|:|/|@|%6|xn--|[a-z.]|\\PC){0,20}") {
            let _ = of_url(&url);
        }
    }
}
