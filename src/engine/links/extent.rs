//! How far an address reaches, and where in it the host is: in running text, in a value of HTML or BBCode.
//! Finds no address.

use std::ops::Range;

use memchr::memchr;

use crate::hosts;
use crate::text::{Class, class};

/// Where an address in running text ends: at white space, quotes, brackets, at a symbol beyond
/// ASCII, and where another address follows a separator or a letter beyond ASCII. In a host the
/// full stop of Chinese and Japanese divides labels if the next one is Latin.
pub(super) fn address_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut in_host) = (start, true);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'<' | b'>' | b'"' | b'\'' | b'`' | b'{' | b'}' | b'|' | b'\\' | b'^' | 0..=b' ' => {
                break;
            }
            // An IPv6 address may be the host.
            b'[' | b']' if byte == b']' && in_brackets(&bytes[start..at]) => at += 1,
            b'[' if at == start && bytes[at..].iter().take(48).any(|end| *end == b']') => at += 1,
            b'[' | b']' => break,
            b',' | b';' | b'(' | b')' if begins_address(&bytes[at + 1..]) => break,
            b'h' | b'H' if runs_on(bytes, start, at) => break,
            0x80.. => {
                let Some(character) = text[at..].chars().next() else { break };
                let next = at + character.len_utf8();
                let divides = in_host
                    && character == '\u{3002}'
                    && bytes.get(next).is_some_and(u8::is_ascii_alphanumeric);
                let beyond = !divides && matches!(class(character), Class::Space | Class::Symbol);
                // Scripts without spaces may run into an address, and from one into the next.
                if beyond || begins_address(&bytes[next..]) {
                    break;
                }
                at = next;
            }
            _ => {
                in_host &= !matches!(byte, b'/' | b'?' | b'#');
                at += 1;
            }
        }
    }
    let url = text[start..at].trim_end_matches(['.', ',', ':', ';', '!', '?', '*']);
    let open = url.contains('(');
    start + if open { url } else { url.trim_end_matches(')') }.len()
}

pub(super) fn in_brackets(host: &[u8]) -> bool {
    host.first() == Some(&b'[') && !host.contains(&b']')
}

pub(super) fn begins_address(bytes: &[u8]) -> bool {
    starts_with(bytes, b"http://") || starts_with(bytes, b"https://") || starts_with(bytes, b"www.")
}

/// Whether a second address begins here, right behind a letter or digit of the first.
pub(super) fn runs_on(bytes: &[u8], start: usize, at: usize) -> bool {
    at > start
        && bytes[at - 1].is_ascii_alphanumeric()
        && (starts_with(&bytes[at..], b"http://") || starts_with(&bytes[at..], b"https://"))
}

/// What may stand around a value: also as HTML escapes it.
pub(super) const QUOTES: [&[u8]; 6] = [b"\"", b"'", b"&quot;", b"&#34;", b"&#39;", b"&apos;"];

/// The value of an attribute or of a BBCode tag.
pub(super) struct Value {
    pub(super) range: Range<usize>,
    /// Not cut short by a blank inside the quotes.
    pub(super) whole: bool,
}

/// The value that begins here: in quotes or not, up to white space or the tag's end. A blank ends it in
/// quotes too (behind one no host goes on), and so does a second address as in running text: whoever
/// leaves the closing quote out hides nothing.
pub(super) fn value(text: &str, start: usize, tag_end: u8) -> Value {
    let bytes = text.as_bytes();
    let blanks =
        |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut start = start + blanks(start);
    let quote = QUOTES.into_iter().find(|quote| starts_with(&bytes[start..], quote));
    if let Some(quote) = quote {
        start += quote.len();
        start += blanks(start);
    }
    let closes = |at: usize| quote.is_some_and(|quote| starts_with(&bytes[at..], quote));
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let ends = match byte {
            b'<' | b'>' | b' ' | 0x0C => true,
            // Browsers drop these from what is quoted.
            b'\t' | b'\n' | b'\r' => quote.is_none() || begins_address(&bytes[at + 1..]),
            // An IPv6 address may be the host.
            b'[' if tag_end == b']' => {
                match bytes[at..].iter().take(48).position(|end| *end == b']') {
                    Some(length) if bytes[start..at].ends_with(b"/") => {
                        at += length;
                        false
                    }
                    _ => true,
                }
            }
            b']' if tag_end == b']' => true,
            _ if closes(at) => true,
            b',' | b';' | b'|' | b'(' | b')' | b'"' | b'\'' | b'`' | b'{' | b'}' | b'^' => {
                begins_address(&bytes[at + 1..])
            }
            b'h' | b'H' => runs_on(bytes, start, at),
            0xC0.. => {
                let length = text[at..].chars().next().map_or(1, char::len_utf8);
                begins_address(&bytes[at + length..])
            }
            _ => false,
        };
        if ends {
            break;
        }
        at += 1;
    }
    let end = start + text[start..at].trim_end().len();
    let whole = quote.is_none() || at == bytes.len() || closes(at + blanks(at));
    Value { range: start..end, whole }
}

pub(super) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + (inner.len() - inner.trim_start().len());
    start..start + inner.trim().len()
}

/// The host of an address: behind scheme and user, before port and path, as browsers find it: they
/// take a backslash for a slash, and any number of slashes behind `http:`.
pub(super) fn host(text: &str, url: &Range<usize>) -> Range<usize> {
    let written = &text[url.clone()];
    let none = url.start..url.start;
    let slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let slashes = |from: usize| written.as_bytes()[from..].iter().take_while(|b| slash(b)).count();
    let start = match written.find([':', '/', '\\', '?', '#']) {
        // Relative to the page's scheme, or to the page.
        Some(0) if slashes(0) >= 2 => slashes(0),
        Some(0) => return none,
        Some(colon) if written.as_bytes()[colon] == b':' => {
            let (scheme, behind) = (&written[..colon], colon + 1 + slashes(colon + 1));
            let web = ["http", "https"].iter().any(|web| web.eq_ignore_ascii_case(scheme));
            let named = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            match behind - colon - 1 {
                2.. => behind,
                _ if web => behind,
                // A host and its port, as in `[url]a.example:8080[/url]`.
                0 if named && scheme.contains('.') => 0,
                _ => return none,
            }
        }
        _ => 0,
    };
    let authority = &written[start..];
    let authority = &authority[..authority.find(['/', '?', '#', '\\']).unwrap_or(authority.len())];
    let user = authority.rfind('@').map_or(0, |at| at + 1);
    let length = hosts::end(&authority[user..]);
    let start = url.start + start + user;
    start..start + length
}

pub(super) fn starts_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

pub(super) fn ends_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.len() >= word.len() && bytes[bytes.len() - word.len()..].eq_ignore_ascii_case(word)
}

pub(super) fn contains(bytes: &[u8], word: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = memchr(word[0], &bytes[from..]) {
        if starts_with(&bytes[from + found..], word) {
            return true;
        }
        from += found + 1;
    }
    false
}
