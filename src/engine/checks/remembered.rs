//! A table of earlier rows for the tests of checks that ask for them: each is found by the traces that
//! the check leaves of it. Answers as the server would, without one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use crate::facts::Facts;
use crate::lists::List;
use crate::policy::{Backing, CheckSetting, Policy, PolicySettings};
use crate::submission::Submission;
use crate::surroundings::{Earlier, Surroundings, Trace, TraceKind};
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

/// The rows of a table, as a policy remembers them: each by the traces that it left.
struct Remembered<'t> {
    table: &'t Table,
    traces: Vec<Vec<(TraceKind, String)>>,
}

impl<'t> Remembered<'t> {
    fn by(policy: &Policy, table: &'t Table) -> Self {
        let traces = table.rows.iter().map(|(at, submission)| {
            let (left, submission) = (Left::default(), Submission::from_json(submission).unwrap());
            policy.leave_traces(&Facts::new(&submission, 65_536, *at).within(&left));
            left.0.into_inner()
        });
        Self { table, traces: traces.collect() }
    }
}

impl Surroundings for Remembered<'_> {
    fn earlier(
        &self,
        trace: Trace<'_>,
        wanted: u32,
        counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        self.table.asked.set(self.table.asked.get() + 1);
        let mut found = 0;
        for ((at, submission), left) in self.table.rows.iter().zip(&self.traces).rev() {
            let same = left.iter().any(|(kind, value)| *kind == trace.kind && value == trace.value);
            let late = trace.since.is_none_or(|since| *at > since);
            if found == wanted || !same || !late {
                continue;
            }
            let submission = Submission::from_json(submission).unwrap();
            let facts = Facts::new(&submission, 65_536, *at);
            found += u32::from(counts(&Earlier { facts: &facts, at: *at, ham: true }));
        }
        Ok(found)
    }
}

/// Takes note of the traces that a row leaves.
#[derive(Default)]
struct Left(RefCell<Vec<(TraceKind, String)>>);

impl Surroundings for Left {
    fn earlier(
        &self,
        trace: Trace<'_>,
        wanted: u32,
        _counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        assert_eq!(wanted, 0, "a row that leaves traces asks for none");
        self.0.borrow_mut().push((trace.kind, trace.value.to_owned()));
        Ok(0)
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
    let policy = policy(check, options);
    let table = Remembered::by(&policy, table);
    let facts = Facts::new(&submission, 65_536, NOW).within(&table);
    let finding = policy.judge(&facts).findings.into_iter().next();
    assert!(finding.as_ref().is_none_or(|f| f.action.name() == "moderate"), "{finding:?}");
    finding
}

/// Why a check cannot be set like this.
pub fn refused(check: &str, options: &Json) -> String {
    let policy = policy(check, options);
    let failure = policy.checks().find_map(|check| check.failure().map(str::to_owned));
    failure.unwrap_or_else(|| json!(null).to_string())
}
