//! One check as a policy has set it: its answer becomes a finding, its failure too. What follows from
//! findings is the policy's.

use serde_json::json;

use crate::checks::LocalCheck;
use crate::facts::Facts;
use crate::submission::FieldSet;
use crate::surroundings::Memory;
use crate::verdict::{Action, Finding};

/// An enabled check that answers by itself.
pub struct EnabledCheck {
    /// The check's name.
    pub name: &'static str,
    pub(super) action: Action,
    pub(super) score: f32,
    /// A check that could not be compiled says why, on every submission.
    pub(super) check: Result<Box<dyn LocalCheck>, String>,
}

impl EnabledCheck {
    /// Why it cannot be made, if it cannot: then it fails on every submission.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.check.as_ref().err().map(String::as_str)
    }

    /// What its findings do, unless one says otherwise.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// What it needs to have remembered of earlier rows, if it asks for them.
    #[must_use]
    pub fn remembers(&self) -> Vec<Memory> {
        self.check.as_ref().map_or_else(|_| Vec::new(), |check| check.remembers())
    }

    /// Has a row remembered that it is not asked about.
    pub(super) fn leave_traces(&self, facts: &Facts<'_>) {
        if let Ok(check) = &self.check {
            // What cannot be told of a row that is not judged is nobody's loss.
            let _ = check.leave_traces(facts);
        }
    }

    /// The fields that it looks at.
    #[must_use]
    pub fn reads(&self) -> FieldSet {
        self.check.as_ref().map_or(FieldSet::of(&[]), |check| check.reads())
    }

    /// The fields without which it never hits: one of each of these sets has to have a source.
    pub(super) fn depends_on(&self) -> Vec<FieldSet> {
        self.check.as_ref().map_or_else(|_| Vec::new(), |check| check.depends_on())
    }

    /// The fields of which its findings may tell what is in them.
    #[must_use]
    pub fn quotes(&self) -> FieldSet {
        self.check.as_ref().map_or(FieldSet::of(&[]), |check| check.quotes())
    }

    /// Its finding on a submission, if it hits or fails.
    #[must_use]
    pub fn ask(&self, facts: &Facts<'_>) -> Option<Finding> {
        let failures = facts.failure_count();
        let answer = match &self.check {
            Ok(check) => check.ask(facts),
            Err(failure) => Err(failure.clone()),
        };
        // A value that could not be fetched makes any answer worthless.
        if let Some(failure) = facts.failures_since(failures) {
            return Some(self.failed(failure));
        }
        let hit = match answer {
            Ok(None) => return None,
            Ok(Some(hit)) => hit,
            Err(failure) => return Some(self.failed(failure)),
        };
        let mut action = hit.action.unwrap_or(self.action);
        if self.action == Action::Log {
            action = Action::Log;
        }
        // What the finding adds to the sum: the log's scores add up to its total.
        let score = hit.score.unwrap_or(self.score);
        let score = if action == Action::Score { score } else { 0.0 };
        let (why, detail) = (hit.why, hit.detail);
        Some(Finding { check: self.name, action, score, why, detail, allowed: false })
    }

    fn failed(&self, failure: String) -> Finding {
        let detail = json!({ "error": failure });
        let action = Action::Error;
        Finding { check: self.name, action, score: 0.0, why: failure, detail, allowed: false }
    }
}
