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
                "Write it without look-around, back-references, conditionals, recursion, atomic \
                 groups and possessive quantifiers, perhaps as several entries.",
            ))
    };
    if entry.is_empty() {
        return Err(Refusal::new("a pattern must not be empty: it would match everything")
            .with_hint(r"Write what is to be found, such as @example\.com$."));
    }
    let several_lines = has_flag(entry, 'm');
    let mut pattern = String::with_capacity(entry.len() + 8);
    let mut rest = entry;
    let mut in_class = false;
    // Whether what came last says how often the thing before it is repeated.
    let mut repeated = false;
    while let Some(character) = rest.chars().next() {
        let (mut length, mut written) = (character.len_utf8(), None);
        let repeated_before = std::mem::take(&mut repeated);
        match character {
            '\\' => {
                let escaped = rest[1..].chars().next();
                length += escaped.map_or(0, char::len_utf8);
                match escaped {
                    Some('Z') if !in_class => written = Some(r"\z".to_owned()),
                    // Escaped, these would be the borders of a word.
                    Some(angle @ ('<' | '>')) => written = Some(angle.to_string()),
                    Some('1'..='9' | 'g' | 'k') if !in_class => {
                        return lacking("a back-reference");
                    }
                    // A backspace, in a class.
                    Some('b') if in_class => written = Some(r"\x08".to_owned()),
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
            _ if in_class => {}
            // Python's also stands before a line break at the end.
            '$' if !several_lines => written = Some(r"(?:\n?\z)".to_owned()),
            '+' if repeated_before => return lacking("a possessive quantifier"),
            '*' | '+' | '?' => repeated = !(repeated_before && character == '?'),
            '{' => match counted(rest) {
                Some(Count { length: counted, spelling }) => {
                    length = counted;
                    written = Some(spelling);
                    repeated = true;
                }
                // Anything else in braces is text.
                None => written = Some(r"\{".to_owned()),
            },
            '(' if rest.starts_with("(*") => return lacking("a verb of PCRE"),
            '(' if rest.starts_with("(?") => match &rest[2..] {
                more if more.starts_with(['=', '!']) => return lacking("a look-ahead"),
                more if more.starts_with("<=") || more.starts_with("<!") => {
                    return lacking("a look-behind");
                }
                more if more.starts_with("P=") => return lacking("a back-reference"),
                more if more.starts_with('(') => return lacking("a conditional"),
                more if more.starts_with('>') => return lacking("an atomic group"),
                more if more
                    .starts_with(['R', '&', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
                    || more.starts_with("P>") =>
                {
                    return lacking("a recursion");
                }
                more if more.starts_with('#') => {
                    length = rest.find(')').map_or(rest.len(), |end| end + 1);
                    written = Some(String::new());
                    repeated = repeated_before;
                }
                // Flags and names are no quantifiers.
                _ => length = 2,
            },
            _ => {}
        }
        pattern.push_str(written.as_deref().unwrap_or(&rest[..length]));
        rest = &rest[length..];
    }
    Ok(pattern)
}

/// Whether the pattern sets a flag anywhere, such as the `m` of `(?im)` or `(?m:…)`.
fn has_flag(entry: &str, flag: char) -> bool {
    entry.match_indices("(?").any(|(at, _)| {
        let set = entry[at + 2..].chars().take_while(char::is_ascii_alphabetic);
        { set }.any(|letter| letter == flag)
    })
}

/// A quantifier in braces.
struct Count {
    length: usize,
    spelling: String,
}

/// The quantifier that begins with this brace: `{3}`, `{3,}`, `{3,5}` or `{,5}`.
fn counted(rest: &str) -> Option<Count> {
    let inside = &rest[1..rest.find('}')?];
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(least) || !digits(most) || inside.is_empty() {
        return None;
    }
    let least = if least.is_empty() { "0" } else { least };
    let spelling = match inside.contains(',') {
        true => format!("{{{least},{most}}}"),
        false => format!("{{{least}}}"),
    };
    Some(Count { length: inside.len() + 2, spelling })
}
