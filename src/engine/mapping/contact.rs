//! Owns which columns may hold an e-mail or IP address, by their names: what is shown to everybody is
//! without them. Unlike the guess of a mapping, it errs on the side of more.

use super::tokens::words;
use super::vocabulary::{PHRASES, is_word};
use crate::submission::Field;

/// Words that mark a column as an address, whole.
const CONTACT_WORDS: &[&str] = &[
    "mail",
    "mails",
    "email",
    "emails",
    "ip",
    "ips",
    "ipv",
    "xff",
    "gravatar",
    "epost",
    "addr",
    "addrs",
    "remote",
    "forwarded",
    "xforwarded",
];

/// A word that stands beside them, glued on.
const BESIDE: &str = "for";

/// Whether a column's name says that an e-mail or IP address may be in it: one of the words above, or a
/// phrase that a mapping takes for either.
#[must_use]
pub fn is_contact_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    if lower.contains("email") || lower.contains("e_mail") {
        return true;
    }
    let words =
        words(name, &|word| is_word(word) || word == BESIDE || CONTACT_WORDS.contains(&word));
    words.iter().any(|word| CONTACT_WORDS.contains(&word.as_str()))
        || PHRASES
            .iter()
            .filter(|phrase| matches!(phrase.field, Field::Email | Field::Ip))
            .any(|phrase| words.windows(phrase.words.len()).any(|part| part == phrase.words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_by_their_names() {
        for name in [
            "email",
            "E-Mail",
            "contact_mail",
            "author_email_2",
            "EmailAddress",
            "emails",
            "ip",
            "last_ip",
            "lastip",
            "userIP",
            "InsertIPAddress",
            "comment_author_IP",
            "ips",
            "ip_list",
            "remote_addr",
            "REMOTE_ADDR",
            "remote_host",
            "forwarded_for",
            "x_forwarded_for",
            "xforwardedfor",
            "hostname",
            "client_address",
            "courriel",
            "ipv4",
            "client_ipv6",
            "xff",
            "gravatar_md5",
            "epost",
        ] {
            assert!(is_contact_name(name), "{name}");
        }
        for name in [
            "id",
            "author",
            "body",
            "description",
            "zip",
            "recipient",
            "shipping_address",
            "url",
            "clip",
            "membership",
            "posted_at",
            "user_agent",
            "ghost",
        ] {
            assert!(!is_contact_name(name), "{name}");
        }
    }

    #[test]
    fn every_name_of_the_vocabulary_is_known() {
        for phrase in PHRASES.iter().filter(|p| matches!(p.field, Field::Email | Field::Ip)) {
            assert!(is_contact_name(&phrase.words.join("_")), "{:?}", phrase.words);
            assert!(is_contact_name(&format!("his_{}", phrase.words.join("_"))));
        }
    }
}
