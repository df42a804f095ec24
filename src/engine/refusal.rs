//! Owns the one error type for bad input: a sentence with detail and hint, the way PostgreSQL
//! reports. It must not know about SQLSTATEs or about how a refusal reaches the user.

use std::fmt;

use serde_json::Value as Json;

/// How many characters of the user's input a message repeats: enough to know it by.
const SHOWN: usize = 100;

/// Why an option, an entry or a setting was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence without a full stop: what is wrong, what it got and what it takes.
    pub message: String,
    /// What else is known about this case.
    pub detail: Option<String>,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal with a message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None }
    }

    /// Adds the detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Text that the user gave, in double quotes, as a message repeats it: its first 100 characters
    /// and "…" where there are more.
    #[must_use]
    pub fn quote(text: &str) -> String {
        format!("\"{}\"", Self::cut(text))
    }

    /// A value that the user gave, as JSON writes it, cut as [`Refusal::quote`] cuts; a string
    /// keeps its closing quote.
    #[must_use]
    pub fn shown(value: &Json) -> String {
        let written = value.to_string();
        match written.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) => Self::quote(text),
            None => Self::cut(&written),
        }
    }

    /// The first 100 characters of the user's input, and "…" where there are more.
    #[must_use]
    pub fn cut(text: &str) -> String {
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        for more in [&self.detail, &self.hint].into_iter().flatten() {
            write!(out, "; {more}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
