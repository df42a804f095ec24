//! Owns the check `email_syntax`: what was given as a mail address is none. It must not ask whether
//! the address exists.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::hosts;
use crate::options::{OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::text::{Class, class};

/// How many characters of a wrong address the reason repeats.
const SHOWN: usize = 100;

/// The check `email_syntax` (Serendipity: check e-mail addresses; its real form asks for an `@`).
pub struct EmailSyntax;

impl Check for EmailSyntax {
    fn name(&self) -> &'static str {
        "email_syntax"
    }

    fn summary(&self) -> &'static str {
        "The mail address is none"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[]
    }

    fn purpose(&self) -> &'static str {
        "Something was given as a mail address and is none. An empty address is not its \
         business: `required` asks for one. Nobody is asked whether the address exists."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (email, body) VALUES ('ellen@mail.example', 'Nice.'), ('nothing', 'Nice.'), (NULL, 'Nice.') RETURNING email, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
       email        |  status
--------------------+----------
 ellen@mail.example | approved
 nothing            | pending
                    | approved
(3 rows)

  check_name  |  outcome  |                     why
--------------+-----------+----------------------------------------------
 email_syntax | moderated | "nothing" is not a mail address: it has no @
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        _options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        Ok(Compiled::local(Syntax))
    }
}

struct Syntax;

impl LocalCheck for Syntax {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Email])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let Some(email) = facts.text(Field::Email).map(str::trim) else { return Ok(None) };
        let Some(fault) = fault(email).filter(|_| !email.is_empty()) else { return Ok(None) };
        let shown: String = email.chars().take(SHOWN).collect();
        Ok(Some(Hit::new(
            format!("\"{shown}\" is not a mail address: {fault}"),
            json!({"field": "email", "fault": fault}),
        )))
    }
}

/// What keeps a text from being the address of a mailbox on the Internet, if anything does: RFC
/// 5321, section 4.1.2, with its lengths, opened to every script by RFC 6531. Quoted local parts
/// and address literals are legal; a display name, comments and several addresses are not part of
/// an address. A domain without a full stop takes no mail from outside (RFC 7085).
pub(super) fn fault(email: &str) -> Option<&'static str> {
    let Some((local, domain)) = email.rsplit_once('@') else { return Some("it has no @") };
    if local.is_empty() {
        return Some("nothing is before the @");
    }
    if domain.is_empty() {
        return Some("nothing is behind the @");
    }
    if email.len() > 254 || local.len() > 64 {
        return Some("it is too long");
    }
    local_fault(local).or_else(|| domain_fault(domain))
}

fn local_fault(local: &str) -> Option<&'static str> {
    if let Some(quoted) = local.strip_prefix('"') {
        let Some(quoted) = quoted.strip_suffix('"') else {
            return Some("its quotation mark is not closed");
        };
        let mut escaped = false;
        for letter in quoted.chars() {
            match letter {
                _ if letter.is_control() => return Some("it has a control character"),
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Some("its quotation mark is not closed"),
                _ => {}
            }
        }
        return escaped.then_some("its quotation mark is not closed");
    }
    let letter = |letter: char| match letter {
        '.' => true,
        letter if letter.is_ascii() => {
            letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter)
        }
        letter => class(letter) != Class::Space && !letter.is_control(),
    };
    if let Some(wrong) = local.chars().find(|part| !letter(*part)) {
        return Some(match wrong {
            '@' => "it has more than one @",
            wrong if wrong.is_whitespace() => "it has a blank",
            _ => "it has a character that must be quoted",
        });
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Some("a full stop is in the wrong place");
    }
    None
}

fn domain_fault(domain: &str) -> Option<&'static str> {
    if let Some(literal) = domain.strip_prefix('[') {
        let address = literal.strip_suffix(']').unwrap_or_default();
        let known = match address.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
                address[5..].parse::<std::net::Ipv6Addr>().is_ok()
            }
            _ => address.parse::<std::net::Ipv4Addr>().is_ok(),
        };
        return if known { None } else { Some("its address literal is none") };
    }
    if domain.contains(|letter: char| letter.is_whitespace()) {
        return Some("it has a blank");
    }
    if domain.contains('%') || domain.ends_with('.') {
        return Some("its domain is none");
    }
    let canonical;
    let domain = if domain.is_ascii() {
        domain
    } else {
        canonical = hosts::canonical(domain);
        &canonical
    };
    let label = |label: &str| {
        (1..=63).contains(&label.chars().count())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|part| match part {
                '-' => true,
                part if part.is_ascii() => part.is_ascii_alphanumeric(),
                part => class(part) != Class::Space && !part.is_control(),
            })
    };
    if !domain.split('.').all(label) {
        return Some("its domain is none");
    }
    match domain.rsplit_once('.') {
        None => Some("its domain has no full stop"),
        Some((_, top)) if top.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some("its domain is none")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_of_every_legal_kind_pass() {
        for email in [
            "doe@mail.example",
            "John.Doe+tag@sub.mail.example",
            "o'neil_99@mail.example",
            "!#$%&'*+-/=?^_`{|}~@mail.example",
            "\"john doe\"@mail.example",
            "\"a\\\"b@c\"@mail.example",
            "x@xn--e1afmkfd.xn--p1ai",
            "почта@пример.рф",
            "用户@例え。テスト",
            "bücher@bücher.example",
            "x@[192.0.2.1]",
            "x@[IPv6:2001:db8::1]",
            "x@3com.example",
            "1@2.co",
        ] {
            assert_eq!(fault(email), None, "{email}");
        }
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(63));
        assert_eq!(fault(&long), None);
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (email, why) in [
            ("nothing", "it has no @"),
            ("@", "nothing is before the @"),
            ("@mail.example", "nothing is before the @"),
            ("doe@", "nothing is behind the @"),
            ("a@b@mail.example", "it has more than one @"),
            ("john doe@mail.example", "it has a blank"),
            ("doe@mail example", "it has a blank"),
            ("Doe <doe@mail.example>", "it has a blank"),
            ("doe@mail.example, joe@mail.example", "it has more than one @"),
            ("doe(at)x@mail.example", "it has a character that must be quoted"),
            (".doe@mail.example", "a full stop is in the wrong place"),
            ("doe.@mail.example", "a full stop is in the wrong place"),
            ("d..e@mail.example", "a full stop is in the wrong place"),
            ("\"doe@mail.example", "its quotation mark is not closed"),
            ("\"a\"b\"@mail.example", "its quotation mark is not closed"),
            ("doe@localhost", "its domain has no full stop"),
            ("doe@mail..example", "its domain is none"),
            ("doe@-mail.example", "its domain is none"),
            ("doe@mail_x.example", "its domain is none"),
            ("doe@mail.example.", "its domain is none"),
            ("doe@192.0.2.1", "its domain is none"),
            ("doe@[192.0.2]", "its address literal is none"),
            ("doe@http://mail.example", "its domain is none"),
        ] {
            assert_eq!(fault(email), Some(why), "{email}");
        }
        assert_eq!(fault(&format!("{}@mail.example", "a".repeat(65))), Some("it is too long"));
    }

    proptest! {
        #[test]
        fn any_text_is_told_from_an_address(text in "\\PC{0,20}|[a@.\"\\\\\\[\\]: -]{0,12}") {
            let _ = fault(&text);
        }

        #[test]
        fn plain_addresses_pass(text in "[a-z][a-z0-9]{0,9}(\\.[a-z]{1,5})?@[a-z]{1,9}\\.[a-z]{2,5}") {
            prop_assert_eq!(fault(&text), None);
        }
    }
}
