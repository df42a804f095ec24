//! Owns what an answer is good for: the table that it was asked for, and the content of the submission
//! that was refused. Both are in a challenge as keyed hashes, so it gives nothing away. It must not know
//! any provider.

use super::keyed::{Key, hex, same};
use crate::facts::Facts;
use crate::submission::{Field, Value};

/// What a submission is, to an answer; or what a challenge is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The table; None: any.
    pub(super) relation: Option<[u8; 8]>,
    /// The content; None: any, once.
    pub(super) content: Option<[u8; 16]>,
}

impl Purpose {
    /// Any submission.
    pub const ANY: Self = Self { relation: None, content: None };

    /// Any submission to a table, by its schema-qualified name.
    #[must_use]
    pub fn for_table(key: &Key, relation: &str) -> Self {
        let tag = key.sign(&[b"spamcheck relation\0", relation.as_bytes()]);
        let mut short = [0; 8];
        short.copy_from_slice(&tag[..8]);
        Self { relation: Some(short), ..Self::ANY }
    }

    /// This submission: what people read of it. White space may differ, since forms change it, and
    /// so may whatever else a browser sends along.
    #[must_use]
    pub fn for_content(key: &Key, relation: &str, facts: &Facts<'_>) -> Self {
        let mut content = Vec::new();
        let mut add = |name: &str, text: &str| {
            content.extend_from_slice(name.as_bytes());
            for word in text.split_whitespace() {
                content.push(b' ');
                content.extend_from_slice(word.as_bytes());
            }
            content.push(0);
        };
        let text = |field: Field| match facts.value(field) {
            Value::Text(text) => Some(text.as_ref()),
            _ => None,
        };
        for field in [Field::Body, Field::Title, Field::Author, Field::Url] {
            add(field.name(), text(field).unwrap_or_default());
        }
        // A form may keep its answer among its other fields.
        let answer = text(Field::Captcha);
        for (name, value) in facts.submission().fields() {
            if Some(value.as_ref()) != answer {
                add(name, value);
            }
        }
        let tag = key.sign(&[b"spamcheck content\0", &content]);
        let mut short = [0; 16];
        short.copy_from_slice(&tag[..16]);
        Self { content: Some(short), ..Self::for_table(key, relation) }
    }

    /// Whether a challenge made for `self` may be answered for `submission`; then, whether it was made
    /// for its very content.
    ///
    /// # Errors
    /// A sentence, when it was made for something else.
    pub(super) fn fits(&self, submission: &Self) -> Result<bool, String> {
        let other = |ours: Option<&[u8]>, theirs: Option<&[u8]>| {
            ours.is_some_and(|ours| !theirs.is_some_and(|theirs| same(ours, theirs)))
        };
        if other(
            self.relation.as_ref().map(|t| &t[..]),
            submission.relation.as_ref().map(|t| &t[..]),
        ) {
            return Err("the answer is for another table".to_owned());
        }
        if other(self.content.as_ref().map(|t| &t[..]), submission.content.as_ref().map(|t| &t[..]))
        {
            return Err("the answer is for another content".to_owned());
        }
        Ok(self.content.is_some())
    }

    /// As parameters of a challenge: name and value.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let relation = self.relation.map(|tag| (RELATION, hex(&tag)));
        let content = self.content.map(|tag| (CONTENT, hex(&tag)));
        relation.into_iter().chain(content)
    }

    /// From a challenge's parameters. One that cannot be read fits nothing.
    pub(super) fn of_parameters<'p>(parameter: impl Fn(&str) -> Option<&'p str>) -> Self {
        fn tag<const N: usize>(text: &str) -> [u8; N] {
            super::keyed::unhex(text).and_then(|tag| tag.try_into().ok()).unwrap_or([0; N])
        }
        Self { relation: parameter(RELATION).map(tag), content: parameter(CONTENT).map(tag) }
    }
}

const RELATION: &str = "spamcheck_relation";
const CONTENT: &str = "spamcheck_content";
