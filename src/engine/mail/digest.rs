//! Owns what a mail to moderators says: one digest of the rows that were moderated since the last one.
//! Everything in it that visitors wrote is theirs: characters that would steer a terminal or a mail
//! program are shown as what they are, and nothing of it gets into a header.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::time;

/// Characters of a text that a digest shows (the same as `keep = excerpt` keeps).
pub const EXCERPT: usize = 200;

/// Rows that are told of in full. What comes after them has a line each.
const IN_FULL: usize = 200;

/// Characters of a name or a reason that are shown.
const LONGEST: usize = 300;

/// A row that waits for a moderator.
#[derive(Clone, Debug, Deserialize)]
pub struct Waiting {
    /// The protected table.
    pub relation: String,
    /// The row's key.
    #[serde(default)]
    pub row_key: Json,
    /// When it was moderated, in microseconds since the Unix epoch.
    pub at: i64,
    /// Its author.
    pub author: Option<String>,
    /// What the policy lets be told of its text.
    pub excerpt: Option<String>,
    /// Check and reason of each finding.
    pub why: Vec<(String, String)>,
}

/// A digest.
pub struct Digest<'a> {
    /// The database.
    pub database: &'a str,
    /// The policy.
    pub policy: &'a str,
    /// The rows.
    pub rows: &'a [Waiting],
    /// Whether the texts are left out: a mail server took them for spam.
    pub without_texts: bool,
}

impl Digest<'_> {
    /// The subject: one line, and nothing in it that a visitor wrote.
    #[must_use]
    pub fn subject(&self) -> String {
        let (database, policy) = (visible(self.database, 64), visible(self.policy, 64));
        match self.rows.len() {
            1 => format!("1 submission to moderate in {database} (policy {policy})"),
            count => format!("{count} submissions to moderate in {database} (policy {policy})"),
        }
    }

    /// The body: plain text.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = format!(
            "Moderated in database {} under policy {}:\n",
            visible(self.database, 64),
            visible(self.policy, 64)
        );
        for row in self.rows.iter().take(IN_FULL) {
            self.tell(&mut text, row);
        }
        if self.rows.len() > IN_FULL {
            text.push_str("\nAnd besides:\n\n");
        }
        for row in self.rows.iter().skip(IN_FULL) {
            let checks: Vec<String> = row.why.iter().map(|(check, _)| visible(check, 64)).collect();
            text.push_str(&format!("{}: {}\n", name(row), checks.join(", ")));
        }
        if self.without_texts {
            text.push_str("\nThe mail server refused a mail with the texts in it.\n");
        }
        text.push_str(
            "\nThe log has all of it: SELECT * FROM spamcheck.recent;\n\
             pg_spamcheck sends this to mail_to of the policy, at most once a minute.\n",
        );
        text
    }

    fn tell(&self, text: &mut String, row: &Waiting) {
        text.push_str(&format!("\n{}\n  {}\n", name(row), time::iso(row.at)));
        if let Some(author) = row.author.as_ref().filter(|_| !self.without_texts) {
            text.push_str(&format!("  by    {}\n", visible(author, LONGEST)));
        }
        if let Some(excerpt) = row.excerpt.as_ref().filter(|_| !self.without_texts) {
            text.push_str(&format!("  text  {}\n", visible(excerpt, EXCERPT)));
        }
        for (check, why) in &row.why {
            let why = if self.without_texts { String::new() } else { visible(why, LONGEST) };
            text.push_str(
                format!("  why   {}: {why}", visible(check, 64)).trim_end_matches([':', ' ']),
            );
            text.push('\n');
        }
        if !row.row_key.is_null() {
            let quoted = |text: &str| format!("'{}'", visible(text, 2_000).replace('\'', "''"));
            text.push_str(&format!(
                "  good? SELECT spamcheck.approve({}, {});\n",
                quoted(&row.relation),
                quoted(&row.row_key.to_string())
            ));
        }
    }
}

/// The row's name: its table and its key.
fn name(row: &Waiting) -> String {
    let table = visible(&row.relation, 200);
    match &row.row_key {
        Json::Null => table,
        key => format!("{table} {}", visible(&key.to_string(), LONGEST)),
    }
}

/// A text on one line, cut, with every character that is not seen or that moves others shown as its
/// number: control characters, marks of direction, characters without width.
#[must_use]
pub fn visible(text: &str, longest: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(4 * longest));
    let mut characters = text.chars();
    for character in characters.by_ref().take(longest) {
        match character {
            '\n' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            '\r' => {}
            hidden if is_hidden(hidden) => shown.extend(hidden.escape_unicode()),
            seen => shown.push(seen),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(id: i64) -> Waiting {
        Waiting {
            relation: "public.comments".into(),
            row_key: json!({ "id": id }),
            at: 1_700_000_000_000_000,
            author: Some("Ann\u{202E}\r\nBcc: x@y.example".into()),
            excerpt: Some("cheap\npills\u{1b}[31m".into()),
            why: vec![("links".into(), "9 links in the body".into())],
        }
    }

    fn digest(rows: &[Waiting], without_texts: bool) -> String {
        Digest { database: "blog", policy: "default", rows, without_texts }.body()
    }

    #[test]
    fn a_row_is_told_with_author_text_and_reason() {
        let body = digest(&[row(17)], false);
        for part in [
            "public.comments {\"id\":17}\n  2023-11-14T22:13:20Z\n",
            "  by    Ann\\u{202e} Bcc: x@y.example\n",
            "  text  cheap pills\\u{1b}[31m\n",
            "  why   links: 9 links in the body\n",
            "SELECT spamcheck.approve('public.comments', '{\"id\":17}');\n",
        ] {
            assert!(body.contains(part), "{part}\n{body}");
        }
        assert!(body.chars().all(|c| c == '\n' || !c.is_control()));
    }

    #[test]
    fn a_mail_without_texts_has_nothing_that_a_visitor_wrote() {
        let body = digest(&[row(17)], true);
        assert!(
            !body.contains("pills") && !body.contains("Ann") && body.contains("  why   links\n")
        );
    }

    #[test]
    fn many_rows_have_a_line_each_and_none_is_left_out() {
        let rows: Vec<Waiting> = (1..=1_000).map(row).collect();
        let body = digest(&rows, false);
        assert_eq!(body.matches("  text  ").count(), IN_FULL);
        assert!(body.contains("public.comments {\"id\":1000}: links\n"));
        let subject =
            Digest { database: "a\nb", policy: "p\u{202E}", rows: &rows, without_texts: false };
        assert_eq!(subject.subject(), "1000 submissions to moderate in a b (policy p\\u{202e})");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(visible("äöü", 3), "äöü");
        assert_eq!(visible("äöüß", 3), "äöü…");
    }
}
