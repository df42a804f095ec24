//! Owns the option `types` that several checks have: which types of submission they look at. It
//! must not know what a check does with them.

use crate::facts::{self, Facts};
use crate::options::OptionValues;

/// Types of submission, as [`Facts::kind`] gives them.
pub(super) struct Kinds(Option<Vec<String>>);

impl Kinds {
    /// What option `types` says; off, every type is meant.
    pub(super) fn of(options: &OptionValues) -> Self {
        if options.is_off("types") {
            return Self(None);
        }
        let kinds = options.texts("types");
        Self(Some(kinds.iter().map(|kind| facts::kind(kind).into_owned()).collect()))
    }

    /// Whether every type is meant.
    pub(super) const fn all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether no submission is of these types.
    pub(super) fn none(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether the submission is of one of these types.
    pub(super) fn hold(&self, facts: &Facts<'_>) -> bool {
        let holds = |kinds: &Vec<String>| kinds.iter().any(|kind| kind == facts.kind());
        self.0.as_ref().is_none_or(holds)
    }
}
