//! Owns the reading of CHECK constraints: which values does one allow for a column? It reads the
//! text that `pg_get_constraintdef` prints and must not try to understand other conditions.

/// A piece of a constraint's text.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// A name or a keyword, unquoted.
    Word(String),
    /// A string or a number.
    Literal(String),
    /// Anything else, one character (`::` and operators as they come).
    Sign(char),
}

/// The values that the constraints list for the column, in order; none if they list none.
pub(super) fn listed_values(checks: &[String], column: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for check in checks {
        let pieces = pieces(check);
        for (index, piece) in pieces.iter().enumerate() {
            let named = matches!(piece, Piece::Word(word) if word == column);
            if named && !is_argument(&pieces[..index]) {
                for value in compared_with(&pieces[index + 1..]) {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
        }
    }
    values
}

/// Whether what follows these pieces is the argument of a function: `length(status) = 4` says
/// nothing about the values of `status`.
fn is_argument(before: &[Piece]) -> bool {
    match before {
        [.., Piece::Word(word), Piece::Sign('(')] => {
            !["check", "and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
        }
        _ => false,
    }
}

/// The literals that the column before these pieces is compared with: `= 'a'`,
/// `= ANY (ARRAY['a', ...])`, `= ANY ('{a,...}')`, `IN ('a', ...)`.
fn compared_with(pieces: &[Piece]) -> Vec<String> {
    let rest = without_casts(pieces);
    let mut rest = rest.iter().skip_while(|piece| **piece == Piece::Sign(')')).peekable();
    let listed = match rest.next() {
        Some(Piece::Sign('=')) => {
            let any = matches!(
                rest.clone().find(|piece| **piece != Piece::Sign('(')),
                Some(Piece::Word(word)) if word.eq_ignore_ascii_case("any")
            );
            if !any {
                let value = rest.find(|piece| **piece != Piece::Sign('('));
                return match value {
                    Some(Piece::Literal(text)) => vec![text.clone()],
                    _ => Vec::new(),
                };
            }
            true
        }
        Some(Piece::Word(word)) => word.eq_ignore_ascii_case("in"),
        _ => false,
    };
    if !listed {
        return Vec::new();
    }
    let mut depth = 0;
    let mut values = Vec::new();
    for piece in rest {
        match piece {
            Piece::Sign('(' | '[') => depth += 1,
            Piece::Sign(')' | ']') => {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
            }
            Piece::Literal(text) => {
                match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
                    Some(inner) => {
                        values.extend(inner.split(',').map(|v| v.trim_matches('"').into()))
                    }
                    None => values.push(text.clone()),
                }
            }
            _ => {}
        }
    }
    values
}

/// The pieces without `::type` and its modifiers.
fn without_casts(pieces: &[Piece]) -> Vec<Piece> {
    let mut kept = Vec::new();
    let mut index = 0;
    while index < pieces.len() {
        if pieces[index..].starts_with(&[Piece::Sign(':'), Piece::Sign(':')]) {
            index += 2;
            // A type is words and dots, then perhaps (20) and []. A keyword after it ends it.
            while let Some(piece) = pieces.get(index) {
                let goes_on = match piece {
                    Piece::Word(word) => !["or", "and", "in"]
                        .iter()
                        .any(|keyword| word.eq_ignore_ascii_case(keyword)),
                    Piece::Sign('.') => true,
                    Piece::Sign('[') => pieces.get(index + 1) == Some(&Piece::Sign(']')),
                    Piece::Sign(']') => pieces[index - 1] == Piece::Sign('['),
                    _ => false,
                };
                if !goes_on {
                    break;
                }
                index += 1;
            }
        } else {
            kept.push(pieces[index].clone());
            index += 1;
        }
    }
    kept
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&letter) = chars.peek() {
        match letter {
            '\'' => pieces.push(Piece::Literal(quoted(&mut chars, '\''))),
            '"' => pieces.push(Piece::Word(quoted(&mut chars, '"'))),
            _ if letter.is_alphabetic() || letter == '_' => {
                let mut word = String::new();
                while let Some(next) =
                    chars.next_if(|next| next.is_alphanumeric() || matches!(next, '_' | '$'))
                {
                    word.push(next);
                }
                pieces.push(Piece::Word(word));
            }
            _ if letter.is_ascii_digit() => {
                let mut number = String::new();
                while let Some(next) = chars.next_if(|next| next.is_ascii_digit() || *next == '.') {
                    number.push(next);
                }
                if pieces.last() == Some(&Piece::Sign('-')) {
                    pieces.pop();
                    number.insert(0, '-');
                }
                pieces.push(Piece::Literal(number));
            }
            _ => {
                chars.next();
                if !letter.is_whitespace() {
                    pieces.push(Piece::Sign(letter));
                }
            }
        }
    }
    pieces
}

/// What stands between two such quotes; a doubled one is one of them.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars>, quote: char) -> String {
    let mut text = String::new();
    chars.next();
    while let Some(letter) = chars.next() {
        if letter == quote && chars.next_if_eq(&quote).is_none() {
            break;
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(check: &str) -> Vec<String> {
        listed_values(&[check.to_owned()], "status")
    }

    #[test]
    fn lists_are_read_as_postgresql_prints_them() {
        for (check, expected) in [
            ("CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))", "a b"),
            (
                "CHECK (((status)::text = ANY ((ARRAY['a'::character varying, \
                 'it''s'::character varying])::text[])))",
                "a it's",
            ),
            ("CHECK ((status = ANY ('{a,\"b\"}'::text[])))", "a b"),
            ("CHECK (((status = 'a'::text) OR (status = 'b'::text)))", "a b"),
            ("CHECK (((status)::text = 'a'::text OR (status)::text = 'b'::text))", "a b"),
            ("CHECK (status IN ('a', 'b'))", "a b"),
            ("CHECK ((\"status\" = ANY (ARRAY[0, 1, '-1'::integer, -2])))", "0 1 -1 -2"),
            ("CHECK ((status = ANY (ARRAY['a'::public.\"St\", 'b'::public.\"St\"])))", "a b"),
        ] {
            assert_eq!(values(check).join(" "), expected, "{check}");
        }
    }

    #[test]
    fn other_conditions_list_nothing() {
        for check in [
            "CHECK ((status <> 'gone'::text))",
            "CHECK ((status ~ '^[a-z]+$'::text))",
            "CHECK (((status >= 0) AND (status <= 2)))",
            "CHECK ((length(status) = 4))",
            "CHECK ((kind = ANY (ARRAY['a'::text])))",
            "CHECK ((status = kind))",
            "CHECK ((status <> ALL (ARRAY['a'::text])))",
        ] {
            assert!(values(check).is_empty(), "{check}");
        }
        // The list of another column in the same constraint is not this one's.
        assert_eq!(
            values("CHECK (((kind = ANY (ARRAY['x'::text])) AND (status = 'a'::text)))"),
            ["a"]
        );
    }
}
