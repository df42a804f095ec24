//! Owns what a browser makes of the value of an `href`: character references of HTML are the characters
//! that they stand for, tabs and line breaks are nothing. It must not know which host that leads to.

use std::borrow::Cow;

/// References that stand for a character which has a place in an address, or hides one; the first four
/// also without a semicolon, as the oldest of them may be written.
const NAMED: [(&str, char); 28] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{A0}'),
    ("shy", '\u{AD}'),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("period", '.'),
    ("colon", ':'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("commat", '@'),
    ("num", '#'),
    ("quest", '?'),
    ("equals", '='),
    ("percnt", '%'),
    ("lowbar", '_'),
    ("comma", ','),
    ("semi", ';'),
    ("excl", '!'),
    ("plus", '+'),
    ("ast", '*'),
    ("lpar", '('),
    ("rpar", ')'),
    ("lsqb", '['),
    ("rsqb", ']'),
];

/// How many of [`NAMED`] need no semicolon.
const OLD: usize = 4;

/// The address that the value of an `href` is.
#[must_use]
pub fn decoded(value: &str) -> Cow<'_, str> {
    let dropped = |letter: char| matches!(letter, '\t' | '\n' | '\r');
    if !value.contains('&') && !value.contains(dropped) {
        return value.into();
    }
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match reference(rest) {
            Some((character, length)) => {
                decoded.push(character);
                rest = &rest[length..];
            }
            None => decoded.push('&'),
        }
    }
    decoded.push_str(rest);
    decoded.retain(|letter| !dropped(letter));
    decoded.into()
}

/// The character that a text behind an ampersand stands for, and how long that text is.
fn reference(text: &str) -> Option<(char, usize)> {
    let semicolon = |length: usize| length + usize::from(text[length..].starts_with(';'));
    if let Some(number) = text.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let (digits, radix) = hex.map_or((number, 10), |digits| (digits, 16));
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if end == 0 {
            return None;
        }
        // What is none is shown as the sign for that.
        let code = u32::from_str_radix(&digits[..end], radix).ok().filter(|code| *code != 0);
        let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        return Some((character, semicolon(text.len() - digits.len() + end)));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let place = NAMED.iter().position(|(name, _)| name.eq_ignore_ascii_case(&text[..end]))?;
    // `?a=1&lt=2` has a parameter of that name.
    let old = place < OLD && !text[end..].starts_with('=');
    (old || text[end..].starts_with(';')).then(|| (NAMED[place].1, semicolon(end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_are_the_characters_that_they_stand_for() {
        for (value, address) in [
            ("http://a.example/?b=1&c=2", "http://a.example/?b=1&c=2"),
            ("http://a.example/?b=1&amp;c=2", "http://a.example/?b=1&c=2"),
            ("http://bad&#46;example/", "http://bad.example/"),
            ("http://bad&#x2E;example/", "http://bad.example/"),
            ("http://bad&#X2eexample", "http://bad\u{2EE}xample"),
            ("http://bad&#46example/", "http://bad.example/"),
            ("&#104;ttp&colon;&sol;&sol;bad&period;example", "http://bad.example"),
            ("ht\ttp://bad.exa\r\nmple", "http://bad.example"),
            ("java&Tab;script&colon;x", "javascript:x"),
            ("?a=1&lt=2&lt;3&amp=4&amp", "?a=1&lt=2<3&amp=4&"),
            (
                "&period &unknown; &; &#; &#x; &#xD800; &#0;",
                "&period &unknown; &; &#; &#x; \u{FFFD} \u{FFFD}",
            ),
            ("&", "&"),
            ("&amp;amp;", "&amp;"),
        ] {
            assert_eq!(decoded(value), address, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_decoded(value in "(&|#|x|;|amp|[0-9a-f]|\\PC){0,20}") {
            let _ = decoded(&value);
        }
    }
}
