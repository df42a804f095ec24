//! Owns the spelling of regular expressions: turns Python's (and PCRE's, where they agree) into the
//! `regex` crate's. It must not compile them.

use crate::refusal::Refusal;
use crate::text;

/// A pattern as the `regex` crate spells it.
#[derive(Debug, PartialEq, Eq)]
pub struct Spelling {
    /// With its letters as they were written.
    pub written: String,
    /// With its letters in their normal form, as the texts that it is searched in, where that
    /// differs from `written` in more than case. It may match less or more: even nothing at all.
    pub normal: Option<String>,
}

/// Turns Python's spelling into the `regex` crate's.
///
/// # Errors
/// Refuses what the crate lacks, by name, and an empty pattern.
pub fn translate(entry: &str) -> Result<Spelling, Refusal> {
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
    let spaced_out = has_flag(entry, 'x');
    let mut pattern = String::with_capacity(entry.len() + 8);
    let mut normal = (!entry.is_ascii()).then(String::new);
    let mut rest = entry;
    let mut in_class = false;
    // Whether what came last says how often the thing before it is repeated.
    let mut repeated = false;
    while let Some(character) = rest.chars().next() {
        let (mut length, mut written) = (character.len_utf8(), None);
        let repeated_before = std::mem::take(&mut repeated);
        if let Some(normal) = &mut normal
            && is_literal(character, in_class)
        {
            let (literal, composed) = literal(rest, in_class, &pattern);
            normal.push_str(composed.as_deref().unwrap_or(literal));
            pattern.push_str(literal);
            rest = &rest[literal.len()..];
            continue;
        }
        match character {
            '\\' => {
                let escaped = rest[1..].chars().next();
                length += escaped.map_or(0, char::len_utf8);
                length += escaped.map_or(0, |kind| continued(kind, in_class, &rest[length..]));
                match escaped {
                    Some('Z') if !in_class => written = Some(r"\z".to_owned()),
                    // Escaped, these would be the borders of a word.
                    Some(angle @ ('<' | '>')) => written = Some(angle.to_string()),
                    // Up to three digits, octal.
                    Some('0') => {
                        let octal = |digit: &u8| matches!(digit, b'0'..=b'7');
                        let digits = rest[2..].bytes().take(2).take_while(octal).count();
                        length += digits;
                        let code = u32::from_str_radix(&rest[1..length], 8).unwrap_or(0);
                        written = Some(format!(r"\x{{{code:X}}}"));
                    }
                    Some('1'..='9' | 'g' | 'k') if !in_class => {
                        return lacking("a back-reference");
                    }
                    // A backspace, in a class.
                    Some('b') if in_class => written = Some(r"\x08".to_owned()),
                    _ => {}
                }
            }
            '[' if in_class => match posix_class(rest) {
                Some(name) => length = name,
                None => written = Some(r"\[".to_owned()),
            },
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
            // The flag leaves out blanks and what follows `#`, but not of a class.
            _ if in_class && spaced_out && (character == '#' || character.is_whitespace()) => {
                written = Some(format!(r"\x{{{:X}}}", u32::from(character)));
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
                more if more.starts_with(['a', 'L']) || flags(more).contains(['a', 'L']) => {
                    return Err(Refusal::new(format!(
                        "pattern {} sets the flag a or L of Python",
                        Refusal::quote(entry)
                    ))
                    .with_detail("Patterns are of Unicode; there are no others.")
                    .with_hint("Leave it out; for ASCII alone write [0-9], [A-Za-z0-9_] or [ \\t\\r\\n]. Flags that are taken: i, m, s, u, x."));
                }
                // Flags and names are neither quantifiers nor text.
                more => length = 2 + flags_or_name(more),
            },
            _ => {}
        }
        let written = written.as_deref().unwrap_or(&rest[..length]);
        pattern.push_str(written);
        if let Some(normal) = &mut normal {
            normal.push_str(written);
        }
        rest = &rest[length..];
    }
    Ok(Spelling { normal: normal.filter(|normal| *normal != pattern), written: pattern })
}

/// How far an escape goes on after its letter: a property or a code point in braces, a property
/// of one letter, hexadecimal digits, the kind of a word's border.
fn continued(kind: char, in_class: bool, rest: &str) -> usize {
    let braced = || rest.strip_prefix('{').and_then(|inside| Some((inside, inside.find('}')?)));
    let digits = match kind {
        'p' | 'P' => 1,
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // Other braces behind a border are text, or say how often.
        'b' if !in_class => {
            let border =
                |inside: &str| matches!(inside, "start" | "end" | "start-half" | "end-half");
            return match braced() {
                Some((inside, end)) if border(&inside[..end]) => end + 2,
                _ => 0,
            };
        }
        _ => return 0,
    };
    match braced() {
        Some((_, end)) => end + 2,
        None => rest.bytes().take(digits).take_while(u8::is_ascii_alphanumeric).count(),
    }
}

/// How far flags or a name go that begin a group, after its `(?`.
fn flags_or_name(rest: &str) -> usize {
    if rest.starts_with(['<', 'P']) {
        return rest.find('>').map_or(0, |end| end + 1);
    }
    let flags = flags(rest).len();
    flags + usize::from(rest[flags..].starts_with(':'))
}

/// The letters behind `(?`, unless a name follows.
fn flags(rest: &str) -> &str {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '-';
    let flags = &rest[..rest.find(|c| !letter(c)).unwrap_or(rest.len())];
    if flags.starts_with('P') { "" } else { flags }
}

/// How long a class with a name is, such as `[:digit:]`, if one stands here.
fn posix_class(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix("[:")?;
    let name = name.strip_prefix('^').unwrap_or(name);
    let end = name.find(|c: char| !c.is_ascii_lowercase())?;
    let length = rest.len() - name.len() + end + 2;
    name[end..].starts_with(":]").then_some(length)
}

/// Whether a character stands for itself wherever it begins a piece of a pattern.
fn is_literal(character: char, in_class: bool) -> bool {
    !character.is_ascii()
        || character.is_ascii_alphanumeric()
        || !in_class && !r"\.+*?()|[]{}^$".contains(character)
}

/// The letter that a pattern goes on with, with all that belongs to it, and its spelling in the
/// normal form where that differs in more than case. `before` is the pattern so far.
fn literal<'r>(rest: &'r str, in_class: bool, before: &str) -> (&'r str, Option<String>) {
    let mut cluster = text::cluster(rest);
    if cluster.len() == 1 {
        return (cluster, None);
    }
    let hidden = cluster.chars().next_back().filter(|last| text::is_ignorable(*last));
    if let (false, Some(hidden)) = (in_class, hidden)
        && is_quantifier(&rest[cluster.len()..])
    {
        // Who says how often something hidden comes means it, and it alone.
        if cluster.len() == hidden.len_utf8() {
            return (cluster, None);
        }
        cluster = &cluster[..cluster.len() - hidden.len_utf8()];
    }
    let after = &rest[cluster.len()..];
    let composed = text::composed(cluster);
    if composed == cluster {
        return (cluster, None);
    }
    let mut letters = composed.chars();
    let single = letters.next().is_some() && letters.next().is_none();
    // Blanks do not count under the flag `x` unless they are escaped.
    let spelled = regex_syntax::escape(&composed).replace(' ', r"\x20");
    let spelled = match in_class {
        // A member more. A range has no normal form.
        true if before.ends_with('-') || after.starts_with('-') => return (cluster, None),
        true if single => format!("{cluster}{spelled}"),
        true => return (cluster, None),
        // Something hidden by itself goes only where a letter that it may hide in is next.
        false if composed.is_empty() => {
            let lost = after.chars().next().is_some_and(|next| is_literal(next, false));
            return (cluster, lost.then(String::new));
        }
        false if single => spelled,
        // A quantifier is about all of it.
        false => format!("(?:{spelled})"),
    };
    (cluster, Some(spelled))
}

/// Whether what follows says how often the thing before it is repeated.
fn is_quantifier(rest: &str) -> bool {
    rest.starts_with(['*', '+', '?']) || rest.starts_with('{') && counted(rest).is_some()
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
