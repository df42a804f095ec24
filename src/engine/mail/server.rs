//! Owns what `pg_spamcheck.smtp_url` may be: which server takes the mail, how the way there is secured,
//! and whom the mail is from. A password is never part of it: settings can be read.

use std::net::IpAddr;

use crate::mail::address::{is_host, is_mailbox};

/// How the way to the server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all: the server is on this machine.
    None,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// TLS after STARTTLS; without it no mail goes out.
    StartTls,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is secured.
    pub security: Security,
    /// The address that mail is from, if the URL says so.
    pub from: Option<String>,
}

impl MailServer {
    /// Reads a URL: `smtps://host`, `smtp+starttls://host` (the same as `smtp://host?tls=required`), or
    /// `smtp://localhost`, each with a port and `?from=address` if wanted.
    ///
    /// # Errors
    /// A sentence that says what is not taken, without repeating what might be a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let shape = "It is no URL such as smtps://mail.example.com.";
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(shape.into());
        }
        let (scheme, rest) = url.split_once("://").ok_or(shape)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains('@') {
            return Err("A URL with a user name in it is not taken; \"smtp_user\" and \
                        \"smtp_password\" belong into the secrets file."
                .into());
        }
        let (host, port) = split_port(place).ok_or(shape)?;
        let (mut tls, mut from) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("tls", word)) => tls = Some(word),
                Some(("from", address)) => {
                    let address = address.replace("%40", "@");
                    if !is_mailbox(&address) {
                        return Err("Its \"from\" is not a mail address.".into());
                    }
                    from = Some(address);
                }
                _ => return Err("After the \"?\" only tls and from are taken.".into()),
            }
        }
        let (security, usual) = security(scheme, tls, &host)?;
        Ok(Self { host, port: port.unwrap_or(usual), security, from })
    }
}

fn security(scheme: &str, tls: Option<&str>, host: &str) -> Result<(Security, u16), String> {
    match (scheme, tls) {
        ("smtps", None | Some("required")) => Ok((Security::Tls, 465)),
        ("smtp+starttls", None | Some("required")) | ("smtp", Some("required")) => {
            Ok((Security::StartTls, 587))
        }
        ("smtp", None) if is_loopback(host) => Ok((Security::None, 25)),
        ("smtp", None) => Err("Plain smtp is taken for loopback hosts only; use smtps:// or \
                               smtp+starttls://."
            .into()),
        ("smtp" | "smtps" | "smtp+starttls", Some(_)) => {
            Err("Its \"tls\" can only be required: whoever sits on the way could strip what is \
                 optional."
                .into())
        }
        _ => Err("The scheme is not taken; use smtps:// or smtp+starttls://.".into()),
    }
}

fn split_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, after)
        }
        None => {
            let end = place.find(':').unwrap_or(place.len());
            is_host(&place[..end]).then_some(place.split_at(end))?
        }
    };
    let port = match port {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?),
    };
    Some((host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, u16, Security) {
        let server = MailServer::parse(url).unwrap();
        (server.host, server.port, server.security)
    }

    #[test]
    fn the_ways_to_a_server() {
        let known = |host: &str, port, security| (host.to_owned(), port, security);
        assert_eq!(read("smtps://m.example"), known("m.example", 465, Security::Tls));
        assert_eq!(read("smtps://m.example:1465/"), known("m.example", 1465, Security::Tls));
        for starttls in ["smtp+starttls://m.example", "smtp://m.example?tls=required"] {
            assert_eq!(read(starttls), known("m.example", 587, Security::StartTls));
        }
        assert_eq!(read("smtp://localhost"), known("localhost", 25, Security::None));
        assert_eq!(read("smtp://127.0.0.1:2525"), known("127.0.0.1", 2525, Security::None));
        assert_eq!(read("smtp://[::1]:26"), known("::1", 26, Security::None));
        let from = MailServer::parse("smtps://m.example/?from=spam@b.example").unwrap().from;
        assert_eq!(from.as_deref(), Some("spam@b.example"));
        let from = MailServer::parse("smtp://localhost?from=spam%40b.example").unwrap().from;
        assert_eq!(from.as_deref(), Some("spam@b.example"));
    }

    #[test]
    fn what_would_give_mail_or_a_password_away_is_refused() {
        for bad in [
            "smtp://m.example",
            "smtp://10.0.0.1",
            "smtp://127.0.0.1.example",
            "smtp://m.example?tls=opportunistic",
            "smtps://m.example?tls=none",
            "smtps://user:hunter2@m.example",
            "smtps://m.example/?from=a@b.example%0d%0aBcc",
            "smtps://m.example/?from=x",
            "smtps://m.example/?user=x",
            "smtps://m.example/path",
            "smtps://m.example:0",
            "smtps://m.example:99999",
            "smtps://m example",
            "smtps://m.example\r\nx",
            "smtps://",
            "https://m.example",
            "m.example",
            "",
        ] {
            let why = MailServer::parse(bad).expect_err(bad);
            assert!(!why.contains("hunter2") && why.ends_with('.'), "{bad}: {why}");
        }
    }
}
