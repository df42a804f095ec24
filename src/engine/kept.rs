//! Owns how much of a submission the log and the queue keep: enough for every comment that a person
//! wrote, and never so much that storing it fails or takes seconds. What is cut is told by name. It
//! must not know who keeps it.

use serde_json::{Map, Value as Json};

/// The bytes of one text that are kept at least. PostgreSQL's jsonb takes 256 MB of one string.
pub const KEPT_BYTES: usize = 4 << 20;

/// The bytes that all texts of one submission may have together.
const TOGETHER: usize = 64 << 20;

/// What is kept of the texts of one submission.
#[derive(Debug)]
pub struct Keeper {
    each: usize,
    left: usize,
    cuts: Map<String, Json>,
}

impl Keeper {
    /// Keeps of each text the greater of [`KEPT_BYTES`] and `max_checked_chars`, in bytes.
    #[must_use]
    pub fn new(max_checked_chars: usize) -> Self {
        Self { each: KEPT_BYTES.max(max_checked_chars), left: TOGETHER, cuts: Map::new() }
    }

    /// What is kept of a text, which the note calls by this name.
    pub fn keep<'t>(&mut self, name: &str, text: &'t str) -> &'t str {
        let most = self.each.min(self.left);
        let kept = if text.len() <= most { text } else { &text[..text.floor_char_boundary(most)] };
        self.left -= kept.len();
        if kept.len() < text.len() {
            self.note(name.to_owned(), kept.len());
        }
        kept
    }

    /// Notes that only so many bytes were kept of what has this name.
    pub fn note(&mut self, name: String, bytes: usize) {
        self.cuts.insert(name, Json::from(bytes));
    }

    /// The note about what was cut: name to bytes kept; `None`: nothing was.
    #[must_use]
    pub fn cuts(self) -> Option<Json> {
        (!self.cuts.is_empty()).then_some(Json::Object(self.cuts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_texts_are_kept_whole_and_nothing_is_noted() {
        let mut keeper = Keeper::new(65_536);
        let long = "x".repeat(KEPT_BYTES);
        assert_eq!(keeper.keep("body", &long), long);
        assert_eq!(keeper.keep("title", ""), "");
        assert_eq!(keeper.cuts(), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_noted() {
        let mut keeper = Keeper::new(65_536);
        let long = format!("x{}", "漢".repeat(KEPT_BYTES));
        // A character of three bytes does not fit into the last one.
        assert_eq!(keeper.keep("body", &long).len(), KEPT_BYTES);
        let long = "漢".repeat(KEPT_BYTES);
        assert_eq!(keeper.keep("title", &long).len(), KEPT_BYTES - 1);
        assert_eq!(keeper.cuts(), Some(json!({"body": KEPT_BYTES, "title": KEPT_BYTES - 1})));
    }

    #[test]
    fn what_is_checked_is_kept_too() {
        let mut keeper = Keeper::new(5 << 20);
        assert_eq!(keeper.keep("body", &"x".repeat(6 << 20)).len(), 5 << 20);
    }

    #[test]
    fn many_long_texts_have_a_limit_together() {
        let (mut keeper, long) = (Keeper::new(0), "x".repeat(2 << 20));
        let kept: usize = (0..100).map(|n| keeper.keep(&n.to_string(), &long).len()).sum();
        assert_eq!(kept, TOGETHER);
        assert_eq!(keeper.cuts().unwrap()["99"], 0);
    }
}
