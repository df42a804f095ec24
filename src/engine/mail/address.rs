//! Owns which mail addresses a policy may name. The strict ones of RFC 5321: what is odd enough to need
//! quotes is far more often a slip, or somebody's try to smuggle a header or a second recipient in.

/// Whether text is one plain address, `somebody@example.com`: at most 254 bytes of ASCII, 64 of them
/// before the `@` (RFC 5321, 4.5.3.1), and nothing that would have to be quoted. Names in other scripts
/// are written as their DNS has them (`xn--…`).
#[must_use]
pub fn is_mailbox(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else { return false };
    text.len() <= 254 && is_local_part(user) && is_host(host)
}

fn is_local_part(user: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    user.len() <= 64 && user.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

/// Whether text is the name of a host, by its labels.
#[must_use]
pub fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::is_mailbox;

    #[test]
    fn plain_addresses_pass() {
        for good in [
            "moderators@example.com",
            "a.b+spam@mail.example.co.uk",
            "root@localhost",
            "o'neill@example.org",
            "x@xn--mnchen-3ya.example",
        ] {
            assert!(is_mailbox(good), "{good}");
        }
    }

    #[test]
    fn what_could_be_more_than_an_address_is_none() {
        let long = format!("{}@example.com", "x".repeat(65));
        for bad in [
            "",
            "nobody",
            "@example.com",
            "a@",
            "a@b@c.example",
            "a@b.example\r\nBcc: c@d.example",
            "a@b.example,c@d.example",
            "Ann <a@b.example>",
            "<a@b.example>",
            "\"a b\"@b.example",
            "a b@b.example",
            " a@b.example",
            "a@[127.0.0.1]",
            ".a@b.example",
            "a..b@b.example",
            "a@b..example",
            "a@-b.example",
            "a@b.example.",
            "a@b.example>",
            "jörg@example.com",
            "a@münchen.example",
            "a\0@b.example",
            long.as_str(),
        ] {
            assert!(!is_mailbox(bad), "{bad}");
        }
    }
}
