//! Owns addresses of pages as the worker may visit them: http and https, a host and a port, and nothing
//! that could mean two things. It is stricter than browsers, where `hosts` is as forgiving as they are.
//! It must not resolve names or judge addresses.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::addresses::in_numbers;
use crate::punycode;
use crate::text::normalise;

/// Bytes of an address that are taken.
const LONGEST: usize = 4096;

/// Where a page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Whether by TLS.
    pub https: bool,
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Path and query, from the slash on, in ASCII.
    pub path: String,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower case and ASCII, without the root's full stop.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != self.usual_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

impl Location {
    /// Reads an address; a fragment is dropped.
    ///
    /// # Errors
    /// A part of a sentence that says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let url = url.trim();
        if url.len() > LONGEST {
            return Err(format!("it has more than {LONGEST} bytes"));
        }
        if url.chars().any(char::is_control) {
            return Err("it has control characters in it".into());
        }
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err("it does not begin with http:// or https://".into());
        };
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("it does not begin with http:// or https://".into()),
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return Err("it does not begin with http:// or https://".into());
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it has a user name in it".into());
        }
        let (host, port) = divide(authority)?;
        let usual = if https { 443 } else { 80 };
        let port = match port {
            None | Some("") => usual,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port > 0).ok_or("its port does not exist")?
            }
            Some(_) => return Err("its port is no number".into()),
        };
        Ok(Self { https, host: host_of(host)?, port, path: path_of(path) })
    }

    /// Where a link on this page leads.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn join(&self, link: &str) -> Result<Self, String> {
        let link: String =
            link.trim().chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        let scheme = link.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        });
        if scheme.is_some() {
            return Self::parse(&link);
        }
        if link.starts_with("//") {
            let scheme = if self.https { "https" } else { "http" };
            return Self::parse(&format!("{scheme}:{link}"));
        }
        let link = link.split('#').next().unwrap_or_default();
        let (base, query) =
            self.path.split_once('?').map_or((&*self.path, None), |(p, q)| (p, Some(q)));
        let path = match link.as_bytes().first() {
            None => query.map_or_else(|| base.to_owned(), |query| format!("{base}?{query}")),
            Some(b'?') => format!("{base}{link}"),
            Some(b'/') => link.to_owned(),
            Some(_) => {
                let folder = base.rfind('/').map_or("/", |slash| &base[..=slash]);
                format!("{folder}{link}")
            }
        };
        Ok(Self { path: path_of(&path), ..self.clone() })
    }

    /// The port that goes without saying.
    #[must_use]
    pub const fn usual_port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }

    /// Whether the port is one that the web uses.
    #[must_use]
    pub const fn is_web_port(&self) -> bool {
        matches!(self.port, 80 | 443)
    }
}

/// Host and port of an authority.
fn divide(authority: &str) -> Result<(&str, Option<&str>), String> {
    if authority.starts_with('[') {
        let Some(end) = authority.find(']') else {
            return Err("its host has no closing bracket".into());
        };
        let (host, rest) = authority.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("its host is no address".into()),
        };
    }
    Ok(authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))))
}

fn host_of(host: &str) -> Result<Host, String> {
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.trim_end_matches(']');
        // A zone (fe80::1%eth0) is of this machine only.
        return match inside.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Host::Address(address.into())),
            Err(_) => Err("its host is no address".into()),
        };
    }
    let host: Cow<'_, str> = if host.is_ascii() {
        host.to_ascii_lowercase().into()
    } else {
        let normal = normalise(host);
        let labels = normal.split(['.', '\u{3002}', '\u{FF61}']);
        let labels: Option<Vec<String>> = labels.map(ascii).collect();
        labels.ok_or("its host cannot be written in ASCII")?.join(".").into()
    };
    let host = host.strip_suffix('.').unwrap_or(&host);
    if host.is_empty() {
        return Err("it has no host".into());
    }
    match in_numbers(host) {
        Some(Some(address)) => return Ok(Host::Address(address.into())),
        Some(None) => return Err("its host is neither a name nor an address".into()),
        None => {}
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("its host is no name".into());
    }
    Ok(Host::Name(host.to_owned()))
}

fn ascii(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_owned());
    }
    Some(format!("xn--{}", punycode::encode(label)?))
}

/// Path and query without the fragment and without dots, in ASCII: what is not, is encoded, and what is stays as it is.
fn path_of(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.into() } else { Cow::from(format!("/{path}")) };
    let path = without_dots(&path);
    let mut written = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            0x21..=0x7E
                if !matches!(
                    byte,
                    b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
                ) =>
            {
                written.push(char::from(byte));
            }
            b'\\' => written.push('/'),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4); its query stays.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if parts.peek().is_none() {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    let path = format!("/{}", kept.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_location_has_one_spelling() {
        for (url, spelling) in [
            ("http://blog.example", "http://blog.example/"),
            (" HTTPS://Blog.Example.:443/A?b=c#d ", "https://blog.example/A?b=c"),
            ("http://blog.example:443/", "http://blog.example:443/"),
            ("http://blog.example?x", "http://blog.example/?x"),
            ("http://bücher.example/größe", "http://xn--bcher-kva.example/gr%C3%B6%C3%9Fe"),
            ("http://ПРИМЕР.рф/", "http://xn--e1afmkfd.xn--p1ai/"),
            ("http://xn--e1afmkfd.xn--p1ai/", "http://xn--e1afmkfd.xn--p1ai/"),
            ("http://127.1/", "http://127.0.0.1/"),
            ("http://0x7f000001:8080/", "http://127.0.0.1:8080/"),
            ("http://[::FFFF:127.0.0.1]/x", "http://[::ffff:127.0.0.1]/x"),
            ("http://localhost./", "http://localhost/"),
            ("http://a_b.example/a b", "http://a_b.example/a%20b"),
        ] {
            assert_eq!(Location::parse(url).unwrap().to_string(), spelling, "{url}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_none() {
        for url in [
            "",
            "blog.example",
            "//blog.example/",
            "ftp://blog.example/",
            "file:///etc/passwd",
            "gopher://blog.example/",
            "javascript:alert(1)",
            "unix:/var/run/x.sock",
            "http:blog.example",
            "http:/blog.example",
            "http:\\\\blog.example",
            "http://",
            "http:///x",
            "http://good.example@bad.example/",
            "http://user:password@blog.example/",
            "http://blog.example:0/",
            "http://blog.example:65536/",
            "http://blog.example:80x/",
            "http://blog.example:-1/",
            "http://[::1",
            "http://[fe80::1%25eth0]/",
            "http://[::1]x/",
            "http://256.1.1.1/",
            "http://1.2.3.4.5/",
            "http://bl og.example/",
            "http://blog%2Eexample/",
            "http://blog\u{0}.example/",
            "http://blog.example/\r\nHost: x",
            "http://-.example..com/",
        ] {
            assert!(Location::parse(url).is_err(), "{url}: {:?}", Location::parse(url));
        }
        assert!(Location::parse(&format!("http://blog.example/{}", "x".repeat(5000))).is_err());
    }

    #[test]
    fn links_lead_from_where_they_are() {
        let page = Location::parse("https://blog.example/a/b/c?d=e").unwrap();
        for (link, leads) in [
            ("", "https://blog.example/a/b/c?d=e"),
            ("#top", "https://blog.example/a/b/c?d=e"),
            ("?x=y", "https://blog.example/a/b/c?x=y"),
            ("f", "https://blog.example/a/b/f"),
            ("./f/", "https://blog.example/a/b/f/"),
            ("../f", "https://blog.example/a/f"),
            ("../..", "https://blog.example/"),
            ("../../../../f", "https://blog.example/f"),
            ("/f?g#h", "https://blog.example/f?g"),
            ("//other.example/f", "https://other.example/f"),
            ("http://other.example:8080", "http://other.example:8080/"),
            ("a/b:c", "https://blog.example/a/b/a/b:c"),
        ] {
            assert_eq!(page.join(link).unwrap().to_string(), leads, "{link}");
        }
        for link in ["mailto:a@b.example", "javascript:void(0)", "file:///x", "gopher://x/"] {
            assert!(page.join(link).is_err(), "{link}");
        }
    }

    proptest! {
        #[test]
        fn a_spelling_is_its_own(url in "(http|https)://[a-zß0-9.\\[\\]:@-]{0,12}[/?#a-zé% ]{0,12}") {
            if let Ok(location) = Location::parse(&url) {
                let spelling = location.to_string();
                prop_assert!(spelling.is_ascii());
                prop_assert_eq!(Location::parse(&spelling).unwrap(), location);
            }
        }
    }
}
