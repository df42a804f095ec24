//! The strings inside a JSON text, all of them: a parser keeps only the last of equal keys, gives up at
//! some depth and at half a surrogate pair, and behind each of these a word could hide. The text comes
//! from a json or jsonb column, so it is JSON; this file only finds the strings in it.

use std::iter::Peekable;
use std::str::Chars;

/// Every string value, unescaped; keys are left out. What no text can hold shows as U+FFFD.
#[must_use]
pub fn strings(json: &str) -> Vec<String> {
    found(json, false)
}

/// The same with numbers, and `true`, as texts: where values are asked for and not what somebody wrote.
#[must_use]
pub fn values(json: &str) -> Vec<String> {
    found(json, true)
}

fn found(json: &str, all: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if all && (c == '-' || c == 't' || c.is_ascii_digit()) {
            let mut text = String::from(c);
            while let Some(more) =
                chars.next_if(|c| !matches!(c, ',' | ']' | '}') && !c.is_ascii_whitespace())
            {
                text.push(more);
            }
            found.push(text);
        }
        if c != '"' {
            continue;
        }
        let text = string(&mut chars);
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek() != Some(&':') {
            found.push(text);
        }
    }
    found
}

/// The rest of a string behind its opening quote.
fn string(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('u') => text.push(escaped(chars)),
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('b') => text.push('\u{8}'),
                Some('f') => text.push('\u{c}'),
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    text
}

/// A `\uXXXX`, and the second half that belongs to it.
fn escaped(chars: &mut Peekable<Chars<'_>>) -> char {
    let first = unit(chars);
    let mut units = vec![first];
    if (0xD800..0xDC00).contains(&first) {
        let mut ahead = chars.clone();
        if ahead.next() == Some('\\') && ahead.next() == Some('u') {
            let second = unit(&mut ahead);
            if (0xDC00..0xE000).contains(&second) {
                units.push(second);
                *chars = ahead;
            }
        }
    }
    match char::decode_utf16(units).next() {
        Some(Ok(c)) if c != '\0' => c,
        _ => char::REPLACEMENT_CHARACTER,
    }
}

fn unit(chars: &mut Peekable<Chars<'_>>) -> u16 {
    let digits: String = (0..4).filter_map(|_| chars.next_if(char::is_ascii_hexdigit)).collect();
    u16::from_str_radix(&digits, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{strings, values};

    #[test]
    fn every_value_and_no_key_is_found() {
        assert_eq!(
            strings(r#"{"a":"nice","a" : "casino","b":["x",{"c":"y"}],"n":7}"#),
            ["nice", "casino", "x", "y"]
        );
        assert_eq!(strings(r#""alone""#), ["alone"]);
        assert!(strings("{\"k\": 1}").is_empty());
        let json = r#"{"7": [-1.5e3, "x", true, false, null, {"k":2}], "t": " 3 "}"#;
        assert_eq!(values(json), ["-1.5e3", "x", "true", "2", " 3 "]);
        assert_eq!(values("7"), ["7"]);
    }

    #[test]
    fn escapes_are_read_and_halves_do_not_hide_the_rest() {
        let json = r#"{"a":"\u0063asino","b":"\ud800 x","c":"\ud83d\ude00","d":"q\"\\\n\u0000"}"#;
        assert_eq!(strings(json), ["casino", "\u{FFFD} x", "😀", "q\"\\\n\u{FFFD}"]);
    }

    #[test]
    fn no_depth_is_too_deep() {
        let json = format!("{}\"casino\"{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(strings(&json), ["casino"]);
    }
}
