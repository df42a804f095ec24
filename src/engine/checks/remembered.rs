//! A table of earlier rows for the tests of checks that ask for them: every row left every trace, so
//! what counts is told by the check alone. Answers as the server would, without one.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use crate::facts::Facts;
use crate::lists::List;
use crate::policy::{Backing, CheckSetting, Policy, PolicySettings};
use crate::submission::Submission;
use crate::surroundings::{Earlier, Surroundings, Trace};
use crate::verdict::Finding;

/// When the submission is judged.
const NOW: i64 = 1_000_000_000_000_000;

/// Rows that came before.
#[derive(Default)]
pub struct Table {
    rows: Vec<(i64, Json)>,
    asked: Cell<usize>,
}

impl Table {
    /// A row that came `after` microseconds after now.
    pub fn add(&mut self, after: i64, submission: Json) {
        self.rows.push((NOW + after, submission));
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.get()
    }
}

impl Surroundings for Table {
    fn earlier(
        &self,
        trace: Trace<'_>,
        wanted: u32,
        counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        self.asked.set(self.asked.get() + 1);
        let mut found = 0;
        for (at, submission) in self.rows.iter().rev() {
            if found == wanted || trace.since.is_some_and(|since| *at <= since) {
                continue;
            }
            let submission = Submission::from_json(submission).unwrap();
            let facts = Facts::new(&submission, 65_536, *at);
            found += u32::from(counts(&Earlier { facts: &facts, at: *at, ham: true }));
        }
        Ok(found)
    }
}

struct Intervals;

impl Backing for Intervals {
    fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
        Err(format!("there is no list \"{name}\""))
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        let parts = text.split_once(' ').and_then(|(n, unit)| Some((n.parse::<i64>().ok()?, unit)));
        match parts {
            Some((n, "seconds")) => Ok(n * 1_000_000),
            Some((n, "minutes")) => Ok(n * 60_000_000),
            Some((n, "hour")) => Ok(n * 3_600_000_000),
            _ => Err(format!("\"{text}\" is no interval")),
        }
    }
}

fn policy(check: &str, options: &Json) -> Policy {
    let setting = CheckSetting {
        check_name: check.to_owned(),
        enabled: true,
        action: "moderate".to_owned(),
        score: 1.0,
        options: options.clone(),
    };
    Policy::compile(PolicySettings::default(), vec![setting], &mut Intervals)
}

/// What a check set like this finds.
pub fn judged(check: &str, options: &Json, table: &Table, submission: &Json) -> Option<Finding> {
    let submission = Submission::from_json(submission).unwrap();
    let facts = Facts::new(&submission, 65_536, NOW).within(table);
    let finding = policy(check, options).judge(&facts).findings.into_iter().next();
    assert!(finding.as_ref().is_none_or(|f| f.action.name() == "moderate"), "{finding:?}");
    finding
}

/// Why a check cannot be set like this.
pub fn refused(check: &str, options: &Json) -> String {
    let policy = policy(check, options);
    let failure = policy.checks().find_map(|check| check.failure().map(str::to_owned));
    failure.unwrap_or_else(|| json!(null).to_string())
}
