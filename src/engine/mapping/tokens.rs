//! Owns how the name of a column falls into words: `comment_author_IP`, `InsertIPAddress` and
//! `ipaddress` alike. It must not know which field a word stands for.

/// The lower-case words of a name: parted at anything but letters and digits, where the case or
/// digits begin, and inside runs that are known words glued together.
pub(super) fn words(name: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    runs(name).into_iter().flat_map(|run| glued(&run, known).unwrap_or_else(|| vec![run])).collect()
}

/// The runs of letters or digits, parted where the case says so too.
fn runs(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut runs: Vec<String> = Vec::new();
    let mut open = false;
    for (index, &this) in chars.iter().enumerate() {
        if !this.is_alphanumeric() {
            open = false;
            continue;
        }
        let starts = match index.checked_sub(1).map(|before| chars[before]) {
            None => true,
            Some(before) => {
                let hump = this.is_uppercase() && before.is_lowercase();
                // The last capital of IPAddress begins a word, unless it is a plural's: URLs.
                let after = chars.get(index + 1).is_some_and(|next| next.is_lowercase());
                let tail = chars.get(index + 1) == Some(&'s') && chars.len() == index + 2;
                let last = this.is_uppercase() && before.is_uppercase() && after && !tail;
                hump || last || this.is_numeric() != before.is_numeric()
            }
        };
        if starts || !open {
            runs.push(String::new());
            open = true;
        }
        if let Some(run) = runs.last_mut() {
            run.extend(this.to_lowercase());
        }
    }
    runs
}

/// The fewest known words that make up the run, if there are such.
pub(super) fn glued(run: &str, known: &dyn Fn(&str) -> bool) -> Option<Vec<String>> {
    if !run.is_ascii() {
        return None;
    }
    // best[end]: how many words make up the first `end` bytes, and where the last one starts.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; run.len() + 1];
    best[0] = Some((0, 0));
    for end in 1..=run.len() {
        for start in (0..end.saturating_sub(1)).rev() {
            if let Some((count, _)) = best[start]
                && best[end].is_none_or(|(fewest, _)| count + 1 < fewest)
                && known(&run[start..end])
            {
                best[end] = Some((count + 1, start));
            }
        }
    }
    let mut parts = Vec::new();
    let mut end = run.len();
    while end > 0 {
        let (_, start) = best[end]?;
        parts.push(run[start..end].to_owned());
        end = start;
    }
    parts.reverse();
    Some(parts)
}

/// The singular of an English noun, as far as names of tables need it.
pub(super) fn singular(word: &str) -> String {
    match word {
        _ if word.ends_with("ies") && word.len() > 4 => format!("{}y", &word[..word.len() - 3]),
        _ if word.ends_with("ss") || word.len() < 4 => word.to_owned(),
        _ => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words_in_every_style() {
        let known = |word: &str| {
            ["ip", "address", "user", "agent", "page", "text", "name", "time", "stamp", "timestamp"]
                .contains(&word)
        };
        for (name, expected) in [
            ("comment_author_IP", "comment author ip"),
            ("InsertIPAddress", "insert ip address"),
            ("insertipaddress", "insertipaddress"),
            ("ipaddress", "ip address"),
            ("pagetext", "page text"),
            ("UserAgent", "user agent"),
            ("address1", "address 1"),
            ("timestamp", "timestamp"),
            ("usernames", "usernames"),
            ("e-mail", "e mail"),
            ("relatedURLs", "related urls"),
            ("größe_x", "größe x"),
            ("", ""),
        ] {
            assert_eq!(words(name, &known).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn singulars_of_table_names() {
        for (plural, one) in [("comments", "comment"), ("entries", "entry"), ("address", "address")]
        {
            assert_eq!(singular(plural), one);
        }
    }
}
