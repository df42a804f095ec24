//! Owns what counts as a link in a text: `http://` and `https://` addresses, `www.` hosts, BBCode
//! `[url]` and `[link]`, and `href=`. It must not know limits or lists. Each link counts once: the
//! address inside a tag belongs to the tag, and so does the same address as the tag's text; the
//! same address written in two places is two links, as Serendipity counts.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

use crate::text::{self, Class, class};
use crate::{hosts, href};

/// One link; the ranges are bytes of the text that was searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The address as written, without the tag around it.
    pub url: Range<usize>,
    /// The host in it: without user, password and port; empty for a link within the site.
    pub host: Range<usize>,
    /// Whether it is the value of an `href`, written in HTML.
    pub in_html: bool,
}

impl Link {
    /// The address that it leads to, of the text that was searched.
    #[must_use]
    pub fn address<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let written = &text[self.url.clone()];
        if self.in_html { href::decoded(written) } else { written.into() }
    }
}

/// The text in which the links of a written one are found: its normal form, in which what hides between
/// an address and the next one still divides them. It has the characters of [`separated`].
#[must_use]
pub fn searched(written: &str) -> Cow<'_, str> {
    match separated(written) {
        Cow::Borrowed(written) => text::normalise(written),
        Cow::Owned(separated) => Cow::Owned(text::normalise(&separated).into_owned()),
    }
}

/// The text with a blank for each hidden character that an address follows at once: the normal form
/// drops those, and two addresses would be one.
#[must_use]
pub fn separated(written: &str) -> Cow<'_, str> {
    let hides = |at: usize, hidden: char| {
        text::is_ignorable(hidden) && begins_address(&written.as_bytes()[at + hidden.len_utf8()..])
    };
    if written.is_ascii() || !written.char_indices().any(|(at, letter)| hides(at, letter)) {
        return written.into();
    }
    let letters = written.char_indices();
    letters.map(|(at, letter)| if hides(at, letter) { ' ' } else { letter }).collect()
}

/// The links of [`searched`] as ranges of what was written: hosts are not compared as words are.
#[must_use]
pub fn as_written(written: &str, links: &[Link]) -> Vec<Link> {
    let ends = links.iter().flat_map(|link| [link.url.start, link.url.end]);
    let ends = text::sources(written, ends);
    let ranges = ends.chunks_exact(2).map(|ends| ends[0]..ends[1]);
    let links = ranges.zip(links);
    links
        .map(|(url, link)| Link { host: url.start..url.start, url, in_html: link.in_html })
        .collect()
}

/// Finds the links of a text, in order. Upper and lower case are one; the caller normalises what
/// is not ASCII, so full-width letters and zero-width characters do not hide a link.
#[must_use]
pub fn find(text: &str) -> Vec<Link> {
    let mut search = Search { text, links: Vec::new(), tag: None, from: 0 };
    let bytes = text.as_bytes();
    // The two kinds of places where a link can be seen, each searched for on its own.
    let mut sign = memchr3(b':', b'.', b'=', bytes);
    let mut bracket = memchr(b'[', bytes);
    loop {
        let at = match (sign, bracket) {
            (Some(sign), Some(bracket)) => sign.min(bracket),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return search.links,
        };
        if at >= search.from {
            match bytes[at] {
                b':' => search.address(at),
                b'.' => search.bare_host(at),
                b'=' => search.href(at),
                _ => search.bbcode(at),
            }
        }
        let next = search.from.max(at + 1);
        if sign.is_some_and(|sign| sign < next) {
            sign = memchr3(b':', b'.', b'=', &bytes[next..]).map(|found| found + next);
        }
        if bracket.is_some_and(|bracket| bracket < next) {
            bracket = memchr(b'[', &bytes[next..]).map(|found| found + next);
        }
    }
}

/// A tag whose text may repeat its address.
struct Tag {
    url: Range<usize>,
    end: &'static [u8],
    seen: usize,
    in_html: bool,
}

struct Search<'t> {
    text: &'t str,
    links: Vec<Link>,
    tag: Option<Tag>,
    /// Nothing before this byte begins a link any more.
    from: usize,
}

impl Search<'_> {
    fn before(&self, at: usize) -> &[u8] {
        &self.text.as_bytes()[self.from.min(at)..at]
    }

    /// `http://` or `https://` with its colon here.
    fn address(&mut self, colon: usize) {
        let before = self.before(colon);
        let scheme = match () {
            () if ends_with(before, b"https") => 5,
            () if ends_with(before, b"http") => 4,
            () => return,
        };
        if !self.text.as_bytes()[colon..].starts_with(b"://") {
            return;
        }
        let end = address_end(self.text, colon + 3);
        if end > colon + 3 {
            self.found(colon - scheme..end);
        }
    }

    /// `www.` with its full stop here.
    fn bare_host(&mut self, stop: usize) {
        let before = self.before(stop);
        if !ends_with(before, b"www") {
            return;
        }
        let start = stop - 3;
        let fresh = self.text[..start]
            .chars()
            .next_back()
            .is_none_or(|left| class(left) != Class::Word && !matches!(left, '.' | '@' | '-'));
        let named = self.text[stop + 1..]
            .chars()
            .next()
            .is_some_and(|right| matches!(class(right), Class::Word | Class::Character));
        if fresh && named {
            self.found(start..address_end(self.text, start));
        }
    }

    /// `href = value` with its equals sign here.
    fn href(&mut self, equals: usize) {
        let name = self.before(equals).trim_ascii_end();
        if !ends_with(name, b"href") {
            return;
        }
        let left = name.len().checked_sub(5).map(|left| name[left]);
        if left.is_some_and(|left| left.is_ascii_alphanumeric() || matches!(left, b'_' | b'-')) {
            return;
        }
        let value = value(self.text, equals + 1, b'>');
        self.from = value.range.start;
        let written = &self.text[value.range.clone()];
        // What goes on behind a blank is no word of an address, but perhaps of a sentence about them.
        let leads = value.whole || written.contains([':', '/', '\\', '.']);
        if leads && !written.is_empty() && !written.starts_with('#') {
            self.tagged(value.range, b"</a", true);
        }
    }

    /// `[url]`, `[url=…]`, `[link]` or `[link=…]` with its bracket here.
    fn bbcode(&mut self, bracket: usize) {
        let inside = &self.text.as_bytes()[bracket + 1..];
        let (name, end): (usize, &'static [u8]) = match () {
            () if starts_with(inside, b"url") => (3, b"[/url"),
            () if starts_with(inside, b"link") => (4, b"[/link"),
            () => return,
        };
        let bytes = self.text.as_bytes();
        let start = bracket + name + 2;
        let value = match inside.get(name) {
            Some(b'=') => {
                let value = value(self.text, start, b']').range;
                // A tag that is not closed is none.
                let closing = memchr2(b'[', b']', &bytes[value.end..]);
                if closing.is_none_or(|closing| bytes[value.end + closing] != b']') {
                    return;
                }
                value
            }
            Some(b']') => {
                let Some(length) = memchr(b'[', &bytes[start..]) else { return };
                let between = trim(self.text, start..start + length);
                // `[url]some words[/url]` is no address; one among the words is found by itself.
                if !starts_with(&bytes[start + length..], end)
                    || self.text[between.clone()].contains(char::is_whitespace)
                {
                    return;
                }
                value(self.text, between.start, b']').range
            }
            _ => return,
        };
        if !value.is_empty() {
            self.tagged(value, end, false);
        }
    }

    fn tagged(&mut self, url: Range<usize>, end: &'static [u8], in_html: bool) {
        self.from = url.end;
        self.push(url.clone(), in_html);
        self.tag = Some(Tag { seen: url.end, url, end, in_html });
    }

    /// An address in running text.
    fn found(&mut self, url: Range<usize>) {
        self.from = url.end;
        if !self.repeats(&url) {
            self.push(url, false);
        }
    }

    /// Whether the address is the text of the tag it stands in, or of a Markdown link before it.
    fn repeats(&mut self, url: &Range<usize>) -> bool {
        let bytes = self.text.as_bytes();
        if let Some(tag) = &mut self.tag {
            let closed = contains(&bytes[tag.seen..url.start], tag.end);
            // A closing mark may straddle two looks.
            tag.seen = url.start.saturating_sub(tag.end.len()).max(tag.seen);
            if closed {
                self.tag = None;
            } else {
                let (address, text) = (&self.text[tag.url.clone()], &self.text[url.clone()]);
                // The text of a tag is HTML, too, and browsers need no reference for an ampersand.
                if same(address, text)
                    || tag.in_html && same(&href::decoded(address), &href::decoded(text))
                {
                    // Once: a tag that is never closed has all the rest as its text.
                    self.tag = None;
                    return true;
                }
            }
        }
        self.links.last().is_some_and(|last| {
            self.text.get(last.url.end..url.start) == Some("](")
                && same(&self.text[last.url.clone()], &self.text[url.clone()])
        })
    }

    fn push(&mut self, url: Range<usize>, in_html: bool) {
        let host = host(self.text, &url);
        self.links.push(Link { url, host, in_html });
    }
}

/// Whether two addresses are one but for scheme, `www.`, case and a slash at the end.
fn same(one: &str, other: &str) -> bool {
    fn bare(url: &str) -> &str {
        let url = url.split_once("://").map_or(url, |(_, rest)| rest);
        let url = match url.get(..4) {
            Some(www) if www.eq_ignore_ascii_case("www.") => &url[4..],
            _ => url,
        };
        url.trim_end_matches('/')
    }
    // The scheme, `www.` and a slash make up at most 13 bytes: most pairs need no closer look.
    one.len().abs_diff(other.len()) <= 16 && bare(one).eq_ignore_ascii_case(bare(other))
}

/// Where an address in running text ends: at white space, quotes, brackets, at a symbol beyond
/// ASCII, and where another address follows a separator or a letter beyond ASCII. In a host the
/// full stop of Chinese and Japanese divides labels if the next one is Latin.
fn address_end(text: &str, start: usize) -> usize {
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

fn in_brackets(host: &[u8]) -> bool {
    host.first() == Some(&b'[') && !host.contains(&b']')
}

fn begins_address(bytes: &[u8]) -> bool {
    starts_with(bytes, b"http://") || starts_with(bytes, b"https://") || starts_with(bytes, b"www.")
}

/// Whether a second address begins here, right behind a letter or digit of the first.
fn runs_on(bytes: &[u8], start: usize, at: usize) -> bool {
    at > start
        && bytes[at - 1].is_ascii_alphanumeric()
        && (starts_with(&bytes[at..], b"http://") || starts_with(&bytes[at..], b"https://"))
}

/// What may stand around a value: also as HTML escapes it.
const QUOTES: [&[u8]; 6] = [b"\"", b"'", b"&quot;", b"&#34;", b"&#39;", b"&apos;"];

/// The value of an attribute or of a BBCode tag.
struct Value {
    range: Range<usize>,
    /// Not cut short by a blank inside the quotes.
    whole: bool,
}

/// The value that begins here: in quotes or not, up to white space or the tag's end. A blank ends it in
/// quotes too (behind one no host goes on), and so does a second address as in running text: whoever
/// leaves the closing quote out hides nothing.
fn value(text: &str, start: usize, tag_end: u8) -> Value {
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

fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + (inner.len() - inner.trim_start().len());
    start..start + inner.trim().len()
}

/// The host of an address: behind scheme and user, before port and path, as browsers find it: they
/// take a backslash for a slash, and any number of slashes behind `http:`.
fn host(text: &str, url: &Range<usize>) -> Range<usize> {
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

fn starts_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn ends_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.len() >= word.len() && bytes[bytes.len() - word.len()..].eq_ignore_ascii_case(word)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = memchr(word[0], &bytes[from..]) {
        if starts_with(&bytes[from + found..], word) {
            return true;
        }
        from += found + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn urls(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|link| &text[link.url]).collect()
    }

    fn hosts(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|link| &text[link.host]).collect()
    }

    #[test]
    fn addresses_in_running_text() {
        assert_eq!(
            urls("see http://a.example/x, HTTPS://B.example."),
            ["http://a.example/x", "HTTPS://B.example"]
        );
        assert_eq!(
            urls("(www.a.example) and WWW.b.example/c"),
            ["www.a.example", "WWW.b.example/c"]
        );
        assert_eq!(urls("http://www.a.example is one"), ["http://www.a.example"]);
        assert_eq!(
            urls("http://en.example/a_(b) (http://c.example)"),
            ["http://en.example/a_(b)", "http://c.example"]
        );
        assert_eq!(urls("смотри http://пример.рф/путь。дальше"), ["http://пример.рф/путь"]);
        assert_eq!(
            urls("http://bad。example/x。y www.a.example。你好"),
            ["http://bad。example/x", "www.a.example"]
        );
        assert_eq!(
            urls("http://a.example。http://b.example"),
            ["http://a.example", "http://b.example"]
        );
    }

    #[test]
    fn what_is_no_link() {
        for text in [
            "http: //x",
            "http:// x",
            "awww. sure",
            "www.",
            "me@www.a.example",
            "ratio 3:4",
            "a=b",
            "<a href=\"#top\">up</a>",
            "<a href=''>x</a>",
            "xhref=1",
            "[urls]",
            "[url][/url]",
            "[url]some words[/url]",
            "ftp.example.com",
            "http",
        ] {
            assert_eq!(urls(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_tag_and_its_text_are_one_link() {
        for text in [
            "<a href=\"http://a.example/\">http://a.example</a>",
            "<A HREF = 'http://a.example'>www.a.example</A>",
            "<a href=http://a.example>here</a>",
            "[url=http://a.example]http://a.example[/url]",
            "[URL=\"http://a.example\"]here[/URL]",
            "[url]http://a.example[/url]",
            "[url]a.example[/url]",
            "[link=http://a.example]x[/link]",
            "[http://a.example](http://a.example)",
            "<a href='http://a.example/?b=1&amp;c=2'>http://a.example/?b=1&c=2</a>",
            "<a href='http://a.example/?b=1&amp;c=2'>http://a.example/?b=1&amp;c=2</a>",
            "<a href='http://a.example/?b=1&c=2'>http://a.example/?b=1&amp;c=2</a>",
        ] {
            assert_eq!(urls(text).len(), 1, "{text}");
            assert!(hosts(text)[0].ends_with("a.example"), "{text}");
        }
    }

    #[test]
    fn another_address_or_another_place_is_another_link() {
        assert_eq!(urls("<a href='http://bad.example'>http://good.example</a>").len(), 2);
        assert_eq!(urls("<a href='http://a.example'>x</a> http://a.example").len(), 2);
        assert_eq!(urls("[url]http://a.example[/url] [url]http://a.example[/url]").len(), 2);
        assert_eq!(urls(&"http://a.example/x ".repeat(14)).len(), 14);
        assert_eq!(urls("http://a.example,http://b.example;www.c.example").len(), 3);
        assert_eq!(urls("<http://a.example><http://b.example>").len(), 2);
    }

    #[test]
    fn a_quote_or_a_tag_that_is_not_closed_hides_nothing() {
        let many = |before: &str, between: &str| {
            let links: Vec<String> = (0..40).map(|n| format!("http://l{n}.example/x")).collect();
            format!("{before}{}", links.join(between))
        };
        for text in [
            many("href=\" ", "  "),
            many("href='", " "),
            many("href=\"", "\n"),
            many("he said \"href=\" and then ", " "),
            many("[url=", ","),
            many("[url]", "|"),
            many("href=", ","),
            many("[link=\"", ";"),
            many("", "\u{200B}"),
            many("ä ", "\u{AD}").replace("/x", "/"),
        ] {
            assert_eq!(find(&searched(&text)).len(), 40, "{text}");
        }
        assert_eq!(urls("href=x,http://a.example/,http://b.example").len(), 3);
        assert_eq!(
            urls(&format!("[url=http://a.example] {}", "http://a.example ".repeat(9))).len(),
            9
        );
        assert_eq!(urls("[url]x|http://a.example"), ["http://a.example"]);
    }

    #[test]
    fn every_address_in_a_value_is_found() {
        for text in [
            "href=\" http://a.example http://bad.example http://c.example",
            "href='x http://a.example http://bad.example",
            "he said \"href=\" and then http://bad.example and \"more\"",
            "<a href=\"http://good.example http://bad.example\">",
            "<a href='javascript:location=\"http://bad.example\"'>",
            "<a href=&quot;http://bad.example&quot;>x</a>",
            "<a href=&#39;http://bad.example&#39;>x</a>",
            "&lt;a href=&quot;//bad.example&quot;&gt;x&lt;/a&gt;",
            "<a href=\"//bad.example/a b\">x</a>",
            "[url=http://a.example/,http://bad.example,http://c.example",
            "[url=http://a.example/,http://bad.example]x[/url]",
            "href=x,http://a.example/,http://bad.example",
            "http://a.examplehttp://bad.example",
            "[url]\"http://bad.example\"[/url]",
        ] {
            assert!(hosts(text).contains(&"bad.example"), "{text}: {:?}", urls(text));
        }
        assert_eq!(hosts("[url=http://[2001:db8::1]/x]y[/url]"), ["[2001:db8::1]"]);
        assert_eq!(urls("<a href=' http://a.example '>x</a>"), ["http://a.example"]);
    }

    #[test]
    fn an_address_inside_an_address_is_part_of_it() {
        assert_eq!(urls("http://a.example/?to=http://b.example&x=www.c.example").len(), 1);
        assert_eq!(urls("https://archive.example/2020/http://b.example/").len(), 1);
    }

    #[test]
    fn the_host_is_where_the_link_leads() {
        for (text, host) in [
            ("http://good.example@bad.example/", "bad.example"),
            ("http://user:secret@bad.example:8080/x?y", "bad.example"),
            ("https://[2001:db8::1]:80/", "[2001:db8::1]"),
            ("<a href='//bad.example/x'>", "bad.example"),
            ("<a href='/about'>", ""),
            ("www.a.example?q=1", "www.a.example"),
            ("http://good.example:80@bad.example/", "bad.example"),
            ("http://good.example%2F@bad.example/", "bad.example"),
            ("http://good.example@also.good@bad.example?x@y", "bad.example"),
            ("http://bad.example\\@good.example/", "bad.example"),
            ("http://bad.example#@good.example/", "bad.example"),
            ("http://bad.example?@good.example/", "bad.example"),
            ("<a href='http:\\\\bad.example\\x'>", "bad.example"),
            ("<a href='http:/bad.example'>", "bad.example"),
            ("<a href='HTTPS:bad.example'>", "bad.example"),
            ("<a href='http:////bad.example'>", "bad.example"),
            ("<a href='\\\\bad.example/x'>", "bad.example"),
            ("<a href='/\\bad.example/x'>", "bad.example"),
            ("<a href='ftp://bad.example/x'>", "bad.example"),
            ("<a href='mailto:me@a.example'>", ""),
            ("<a href='javascript:alert(1)'>", ""),
            ("<a href='?page=2'>", ""),
            ("[url]bad.example:8080/x[/url]", "bad.example"),
            ("[url=//bad.example/x]here[/url]", "bad.example"),
            ("HTTP://BAD.EXAMPLE:80", "BAD.EXAMPLE"),
            ("http://b%61d.example/", "b%61d.example"),
            ("http://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai"),
            ("http://пример.рф", "пример.рф"),
            ("http://bad.example,你好", "bad.example"),
            ("see http://bad.example;x", "bad.example"),
            ("(http://bad.example)more", "bad.example"),
            ("http://bad.example&nbsp;more", "bad.example"),
            ("<a href='http://bad。example/'>", "bad。example"),
        ] {
            assert_eq!(hosts(text), [host], "{text}");
        }
    }

    proptest! {
        #[test]
        fn case_does_not_change_the_count(text in "(http|https|www|href|url|link|://|[=\\[\\]./<>\"' a@#-]){0,30}") {
            prop_assert_eq!(find(&text).len(), find(&text.to_uppercase()).len());
        }

        #[test]
        fn any_text_gives_ranges_inside_it(text in "(http://|www\\.|href=|\\[url|\\[/url\\]|\\PC){0,30}") {
            let mut last = 0;
            for link in find(&text) {
                prop_assert!(last <= link.url.start);
                prop_assert!(!text[link.url.clone()].is_empty());
                prop_assert!(text.get(link.host.clone()).is_some());
                last = link.url.end;
            }
        }
    }
}
