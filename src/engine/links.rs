//! Owns what counts as a link in a text: `http://` and `https://` addresses, `www.` hosts, BBCode
//! `[url]` and `[link]`, and `href=`. It must not know limits or lists. Each link counts once: the
//! address inside a tag belongs to the tag, and so does the same address as the tag's text; the
//! same address written in two places is two links, as Serendipity counts.

mod extent;

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

use crate::href;
use crate::text::{self, Class, class};
use extent::{address_end, begins_address, contains, ends_with, host, starts_with, trim, value};

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

#[cfg(test)]
mod tests;
