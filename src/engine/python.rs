//! Owns the spelling of regular expressions: turns Python's (and PCRE's, where they agree) into the
//! `regex` crate's. It must not compile them.

use crate::refusal::Refusal;

/// Turns Python's spelling into the `regex` crate's.
///
/// # Errors
/// Refuses what the crate lacks, by name, and an empty pattern.
pub fn translate(entry: &str) -> Result<String, Refusal> {
    let lacking = |what: &str| {
        Err(Refusal::new(format!("pattern {} uses {what}", Refusal::quote(entry)))
            .with_detail("Patterns are searched in linear time, which leaves that out.")
            .with_hint(
                "Write it without look-around, back-references, conditionals and atomic groups, \
                 perhaps as several entries.",
            ))
    };
    if entry.is_empty() {
        return Err(Refusal::new("a pattern must not be empty: it would match everything")
            .with_hint(r"Write what is to be found, such as @example\.com$."));
    }
    let mut pattern = String::with_capacity(entry.len() + 8);
    let mut rest = entry;
    let mut in_class = false;
    while let Some(character) = rest.chars().next() {
        let (mut length, mut written) = (character.len_utf8(), None);
        match character {
            '\\' => {
                let escaped = rest[1..].chars().next();
                length += escaped.map_or(0, char::len_utf8);
                match escaped {
                    Some('Z') if !in_class => written = Some(r"\z".to_owned()),
                    // Escaped, these would be the borders of a word.
                    Some(angle @ ('<' | '>')) => written = Some(angle.to_string()),
                    Some('1'..='9') if !in_class => return lacking("a back-reference"),
                    _ => {}
                }
            }
            '[' if in_class => {
                let named = rest.starts_with("[:");
                written = Some(if named { "[" } else { r"\[" }.to_owned());
                if named && let Some(end) = rest.find(":]") {
                    length = end + 2;
                    written = None;
                }
            }
            '[' => {
                in_class = true;
                // A closing bracket in the first place is a member.
                length += if rest[1..].starts_with('^') { 1 } else { 0 };
                length += if rest[length..].starts_with(']') { 1 } else { 0 };
            }
            ']' => in_class = false,
            // The operations of sets, which Python does not have.
            '&' | '-' | '~' if in_class && rest[1..].starts_with(character) => {
                written = Some(format!("\\{character}"));
            }
            '(' if !in_class && rest.starts_with("(?") => match &rest[2..] {
                more if more.starts_with(['=', '!']) => return lacking("a look-ahead"),
                more if more.starts_with("<=") || more.starts_with("<!") => {
                    return lacking("a look-behind");
                }
                more if more.starts_with("P=") => return lacking("a back-reference"),
                more if more.starts_with('(') => return lacking("a conditional"),
                more if more.starts_with('>') => return lacking("an atomic group"),
                more if more.starts_with('#') => {
                    length = rest.find(')').map_or(rest.len(), |end| end + 1);
                    written = Some(String::new());
                }
                _ => {}
            },
            _ => {}
        }
        pattern.push_str(written.as_deref().unwrap_or(&rest[..length]));
        rest = &rest[length..];
    }
    Ok(pattern)
}
