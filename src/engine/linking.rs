//! Owns whether a page links to an article: the links that a reader of the page could follow, and when
//! two addresses mean the same page. It must not fetch anything.

use std::borrow::Cow;

use crate::location::{Host, Location};

/// What a page has to link to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host without `www.`; `None`: the permalink is a path, and any host will do.
    host: Option<Host>,
    port: u16,
    /// `None`: any page of the host.
    path: Option<String>,
}

impl Target {
    /// The article at a permalink, which may be a path alone.
    ///
    /// # Errors
    /// A part of a sentence that says what is wrong with it.
    pub fn article(permalink: &str) -> Result<Self, String> {
        let permalink = permalink.trim();
        if permalink.starts_with('/') && !permalink.starts_with("//") {
            // Only the path of it is looked at.
            let somewhere = Location::parse("http://localhost/").and_then(|l| l.join(permalink))?;
            return Ok(Self { host: None, port: 80, path: Some(same_path(&somewhere.path)) });
        }
        let place = Location::parse(permalink)?;
        let path = Some(same_path(&place.path));
        Ok(Self { path, ..Self::site_of(&place) })
    }

    /// Any page of the site that a permalink belongs to.
    ///
    /// # Errors
    /// A part of a sentence that says what is wrong with it.
    pub fn site(permalink: &str) -> Result<Self, String> {
        Location::parse(permalink).map(|place| Self::site_of(&place))
    }

    fn site_of(place: &Location) -> Self {
        Self { host: Some(same_host(&place.host)), port: same_port(place), path: None }
    }

    /// Whether a link leads there. `http` and `https`, with and without `www.`, with and without a slash
    /// at the end, with any fragment, and however percent signs encode it: it is the same page. The path
    /// is compared to the letter, and the query counts.
    #[must_use]
    pub fn is_at(&self, place: &Location) -> bool {
        let host = self.host.as_ref();
        host.is_none_or(|host| *host == same_host(&place.host) && self.port == same_port(place))
            && self.path.as_ref().is_none_or(|path| *path == same_path(&place.path))
    }
}

fn same_host(host: &Host) -> Host {
    match host {
        Host::Name(name) => Host::Name(name.strip_prefix("www.").unwrap_or(name).to_owned()),
        address => address.clone(),
    }
}

/// The ports of http and https are one.
fn same_port(place: &Location) -> u16 {
    if place.port == place.usual_port() { 80 } else { place.port }
}

fn same_path(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = unescaped(path);
    let path = path.trim_end_matches('/');
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", unescaped(query)) }
}

/// What percent signs encode without need (RFC 3986, section 2.3) is decoded, other codes are in capitals.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) => {
                let letter = char::from(byte);
                if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '~') {
                    plain.push(letter);
                } else {
                    plain.push_str(&format!("%{byte:02X}"));
                }
                rest = &rest[at + 3..];
            }
            None => {
                plain.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    plain + rest
}

/// Elements whose content is text, or is not shown.
const HIDDEN: &[&str] =
    &["script", "style", "template", "textarea", "title", "xmp", "iframe", "noembed"];

/// Whether a page in HTML, found at `at`, has a link that leads to the target. Links in comments, in
/// scripts and in text do not count: nobody can follow them.
#[must_use]
pub fn links_to(page: &str, at: &Location, target: &Target) -> bool {
    let mut base = Cow::Borrowed(at);
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            // `<!-->` and `<!--->` are whole comments.
            let short = ["->", ">"].iter().find_map(|end| comment.strip_prefix(end));
            let end = comment.find("-->").map(|end| &comment[end + 3..]);
            match short.or(end) {
                Some(after) => rest = after,
                None => return false,
            }
            continue;
        }
        let name_end = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
            .unwrap_or(rest.len());
        let name = rest[..name_end].to_ascii_lowercase();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let (href, after) = href_of(&rest[name_end..]);
        rest = after;
        match (name.as_str(), href) {
            ("base", Some(href)) => {
                if let Ok(place) = at.join(&decoded(href)) {
                    base = Cow::Owned(place);
                }
            }
            ("a" | "area" | "link", Some(href)) => {
                let leads = base.join(&decoded(href));
                if leads.is_ok_and(|place| target.is_at(&place)) {
                    return true;
                }
            }
            (name, _) if HIDDEN.contains(&name) => {
                let end = format!("</{name}");
                match find_ignoring_case(rest, &end) {
                    Some(at) => rest = &rest[at + end.len()..],
                    None => return false,
                }
            }
            _ => {}
        }
    }
    false
}

fn find_ignoring_case(text: &str, part: &str) -> Option<usize> {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    text.windows(part.len()).position(|window| window.eq_ignore_ascii_case(part))
}

/// The first attribute `href` of a tag, whose name has been read, and what follows the tag.
fn href_of(tag: &str) -> (Option<&str>, &str) {
    let mut href = None;
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return (href, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (href, after);
        }
        // An attribute may begin with an equals sign, whatever that is good for.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=');
        let end = rest[first..].find(ends).map_or(rest.len(), |end| first + end);
        let (name, after) = rest.split_at(end);
        rest = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let Some(value) = rest.strip_prefix('=') else { continue };
        let value = value.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => match value[1..].split_once(quote) {
                Some(divided) => divided,
                // A tag that never ends is none.
                None => return (None, ""),
            },
            None => {
                let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>');
                value.split_at(end.unwrap_or(value.len()))
            }
        };
        rest = after;
        if href.is_none() && name.eq_ignore_ascii_case("href") {
            href = Some(value);
        }
    }
}

/// Characters that an attribute's value writes as references: numbers, and the names that addresses
/// have use for.
fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return value.into();
    }
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest[1..].split_once(';').and_then(|(name, after)| {
            let letter = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "sol" => '/',
                "colon" => ':',
                "period" => '.',
                "quest" => '?',
                "num" => '#',
                "equals" => '=',
                "lowbar" => '_',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => number.parse(),
                    };
                    char::from_u32(code.ok()?)?
                }
            };
            Some((letter, after))
        });
        match reference {
            Some((letter, after)) => {
                plain.push(letter);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn linked(page: &str, permalink: &str) -> bool {
        let at = Location::parse("https://other.example/2026/my-post.html").unwrap();
        links_to(page, &at, &Target::article(permalink).unwrap())
    }

    #[test]
    fn one_article_has_many_addresses() {
        let permalink = "http://www.blog.example/archives/7-bread.html";
        for href in [
            "http://www.blog.example/archives/7-bread.html",
            "https://blog.example/archives/7-bread.html",
            "HTTPS://BLOG.EXAMPLE/archives/7-bread.html#comments",
            "//blog.example/archives/7-bread.html",
            "http://blog.example:80/archives/7-bread.html",
            "https://blog.example:443/archives/7-bread.html/",
            "http://blog.example/archives/7%2Dbread.html",
            "http://blog.example/x/../archives/./7-bread.html",
            "http&#58;//blog.example&#x2f;archives/7-bread.html",
            " http://blog.example/archives/\n7-bread.html ",
        ] {
            assert!(linked(&format!("<a href=\"{href}\">bread</a>"), permalink), "{href}");
        }
        for href in [
            "http://blog.example/",
            "http://blog.example/archives/7-BREAD.html",
            "http://blog.example/archives/7-bread.html?x=y",
            "http://blog.example/archives/70-bread.html",
            "http://blog.example:8080/archives/7-bread.html",
            "http://www2.blog.example/archives/7-bread.html",
            "http://blog.example.evil.example/archives/7-bread.html",
            "http://evil.example/?http://www.blog.example/archives/7-bread.html",
            "http://evil.example/archives/7-bread.html",
            "ftp://blog.example/archives/7-bread.html",
            "/archives/7-bread.html",
        ] {
            assert!(!linked(&format!("<a href=\"{href}\">bread</a>"), permalink), "{href}");
        }
    }

    #[test]
    fn only_what_a_reader_can_follow_is_a_link() {
        let permalink = "https://blog.example/?p=7&x=1";
        for page in [
            "<a href=https://blog.example/?p=7&amp;x=1>",
            "<A class='x' HREF = 'https://blog.example/?p=7&x=1' >bread</A>",
            "<p><a title=\"a > b\" href='//blog.example?p=7&#38;x=1'>",
            "<!-- > --><a href=\"https://blog.example/?p=7&x=1\">",
            "<script>if (a < b) '<a href=x>'</script><a/href=\"https://blog.example/?p=7&x=1\">",
            "<base href=\"https://blog.example/x/\"><a href=\"../?p=7&x=1\">",
            "1 < 2 <a href='https://blog.example/?p=7&x=1'>",
            "<map><area href='https://blog.example/?p=7&x=1'></map>",
        ] {
            assert!(linked(page, permalink), "{page}");
        }
        for page in [
            "",
            "https://blog.example/?p=7&x=1",
            "<!-- <a href=\"https://blog.example/?p=7&x=1\"> -->",
            "<!-- <a href=\"https://blog.example/?p=7&x=1\">",
            "<script><a href=\"https://blog.example/?p=7&x=1\"></script>",
            "<style><a href=\"https://blog.example/?p=7&x=1\">",
            "<textarea><a href=\"https://blog.example/?p=7&x=1\"></TextArea>",
            "<a title=\"href='https://blog.example/?p=7&x=1'\">",
            "<a data-href=\"https://blog.example/?p=7&x=1\">",
            "<img src=\"https://blog.example/?p=7&x=1\">",
            "<a href=\"x\" href=\"https://blog.example/?p=7&x=1\">",
            "<a href=\"https://blog.example/?p=7&x=1>",
            "<a href=\"?p=7&x=1\">",
            "<a",
            "<",
        ] {
            assert!(!linked(page, permalink), "{page}");
        }
    }

    #[test]
    fn a_path_alone_is_looked_for_on_any_host_and_a_site_on_any_page() {
        let page = "<a href=\"https://blog.example/archives/7.html\">";
        assert!(linked(page, "/archives/7.html"));
        assert!(!linked(page, "/archives/8.html"));
        let at = Location::parse("https://other.example/").unwrap();
        let site = |permalink: &str| links_to(page, &at, &Target::site(permalink).unwrap());
        assert!(site("http://www.blog.example/other.html"));
        assert!(!site("http://blogs.example/archives/7.html"));
        assert!(Target::article("7.html").is_err() && Target::site("/7.html").is_err());
    }

    proptest! {
        #[test]
        fn any_page_has_the_link_or_not(page in "(<|a|A| |href|=|\"|'|/|>|!--|-->|script|&#|;|é|http://b.example/){0,40}") {
            let _ = linked(&page, "http://b.example/");
        }
    }
}
