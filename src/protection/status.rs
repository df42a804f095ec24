//! What the verdicts write into the status columns of one relation, and whether a row has what a verdict
//! writes. Owns that binding and comparison; who writes, and when, is guard.rs's, the worker's and the
//! moderators' to say.

use pgrx::pg_sys;
use spamcheck_engine::mapping::{Status, StatusValue, is_told_without_time};
use spamcheck_engine::verdict::Outcome;

use super::Columns;
use crate::row::{self, Column, Row};

/// Columns and the values that a verdict gives them.
pub type Writes = Vec<(Column, StatusValue)>;

/// What the verdicts write into the status columns.
#[derive(Default)]
pub struct BoundStatus {
    /// For a row that is released and whose own status is not known; None: nothing is written.
    pub ham: Option<Writes>,
    /// For a moderated row.
    pub moderate: Option<Writes>,
    /// For a spam row.
    pub spam: Option<Writes>,
    /// All columns that some verdict writes, with their names.
    pub columns: Vec<(String, Column)>,
    /// Why some value is none that its column takes any more, if one is.
    pub misfit: Option<String>,
}

impl BoundStatus {
    /// Whether a row has the status of moderated rows.
    pub fn is_moderate(&self, row: Row<'_>) -> bool {
        self.has(self.moderate.as_ref(), |column| row.text(column))
    }

    /// Whether a row has the status of spam.
    pub fn is_spam(&self, row: Row<'_>) -> bool {
        self.has(self.spam.as_ref(), |column| row.text(column))
    }

    /// Whether a row has the status of either.
    pub fn keeps_back(&self, row: Row<'_>) -> bool {
        self.is_moderate(row) || self.is_spam(row)
    }

    /// Whether the status of a row calls it spam, and not only moderated: where one says both, as where spam rows wait
    /// like moderated ones, it does not tell.
    pub fn tells_spam(&self, row: Row<'_>) -> bool {
        self.is_spam(row) && (!self.is_moderate(row) || self.has_spam_of_its_own())
    }

    /// Whether spam rows have something that moderated ones need not have.
    fn has_spam_of_its_own(&self) -> bool {
        let [mut spam, moderate] =
            [&self.spam, &self.moderate].map(|writes| writes.iter().flatten());
        // A time tells where moderated rows have none.
        spam.any(|one| {
            let time = is_time(one);
            let has = |other: &(Column, StatusValue)| one == other || time && one.0 == other.0;
            !moderate.clone().any(has)
        })
    }

    /// Whether a row has the status of ham, where that is known. A flag of something bad that nobody has set is NULL
    /// where it has no default.
    pub fn is_ham(&self, row: Row<'_>) -> Option<bool> {
        let ham = self.ham.as_ref().filter(|writes| !writes.is_empty())?;
        Some(self.has_by(Some(ham), |column, value| {
            let stored = row.text(column);
            let flag = column.type_oid == pg_sys::BOOLOID
                && matches!(value, StatusValue::Text(text) if text == "false");
            flag && stored.is_none() || is(column, value, stored.as_deref())
        }))
    }

    /// Whether each verdict writes something, so that a row's status tells what became of it.
    pub fn tells_all(&self) -> bool {
        self.writes(Outcome::Moderated) && self.writes(Outcome::Suppressed)
    }

    /// Whether verdicts of this outcome write something, so that a row can be kept back by one.
    pub fn writes(&self, outcome: Outcome) -> bool {
        let writes = match outcome {
            Outcome::Suppressed => &self.spam,
            Outcome::Moderated | Outcome::Challenged => &self.moderate,
            _ => return false,
        };
        writes.as_ref().is_some_and(|writes| !writes.is_empty())
    }

    /// Whether a status that was noted, as an object of column to text or null, is one that verdicts write.
    pub fn is_ours(&self, noted: &serde_json::Value) -> bool {
        self.was_moderate(noted) || self.was_spam(noted)
    }

    /// Whether one that was noted is that of spam.
    pub fn was_spam(&self, noted: &serde_json::Value) -> bool {
        self.has(self.spam.as_ref(), |column| self.noted(noted, column))
    }

    /// Whether one that was noted is that of moderated rows.
    pub fn was_moderate(&self, noted: &serde_json::Value) -> bool {
        self.has(self.moderate.as_ref(), |column| self.noted(noted, column))
    }

    /// Whether a row is let go by the status that it has now: that of ham, or one of its `own`, or where neither
    /// is known any, if it comes `straight` from that of a verdict. Another one, such as WordPress' trash, says
    /// nothing about spam.
    pub fn lets_go(
        &self,
        old: Row<'_>,
        new: Row<'_>,
        own: &[serde_json::Value],
        straight: bool,
    ) -> bool {
        let changed = self.columns.iter().filter(|(_, column)| old.differs(new, *column));
        changed.into_iter().all(|(name, column)| {
            let now = new.text(*column);
            let ham = self.ham.iter().flatten().filter(|(c, _)| c.index == column.index);
            let ham: Vec<bool> = ham.map(|(c, value)| is(*c, value, now.as_deref())).collect();
            let own = own.iter().filter_map(|own| own.get(name));
            let own: Vec<bool> = own.map(|own| own.as_str() == now.as_deref()).collect();
            let known = ham.len() + own.len() > 0;
            !known && straight || ham.into_iter().chain(own).any(|fits| fits)
        })
    }

    /// Whether columns have what a verdict writes. The time of the verdict does not count where the other columns
    /// tell it from every other verdict: staff who set a flag by hand need not set the time beside it.
    fn has(&self, writes: Option<&Writes>, text: impl Fn(Column) -> Option<String>) -> bool {
        self.has_by(writes, |column, value| is(column, value, text(column).as_deref()))
    }

    /// The same by another measure of what a column has.
    fn has_by(
        &self,
        writes: Option<&Writes>,
        holds: impl Fn(Column, &StatusValue) -> bool,
    ) -> bool {
        let Some(writes) = writes else { return false };
        let all = [&self.ham, &self.moderate, &self.spam].into_iter().flatten();
        let others = all.filter(|other| !std::ptr::eq(*other, writes));
        let told_apart = is_told_without_time(writes, others);
        let counts = |one: &&(Column, StatusValue)| !told_apart || !is_time(one);
        let mut counted = writes.iter().filter(counts).peekable();
        counted.peek().is_some() && counted.all(|(column, value)| holds(*column, value))
    }

    fn noted(&self, noted: &serde_json::Value, column: Column) -> Option<String> {
        let (name, _) = self.columns.iter().find(|(_, c)| c.index == column.index)?;
        noted[name].as_str().map(str::to_owned)
    }
}

fn is_time((_, value): &(Column, StatusValue)) -> bool {
    *value == StatusValue::Now
}

fn is(column: Column, value: &StatusValue, stored: Option<&str>) -> bool {
    match value {
        StatusValue::Null => stored.is_none(),
        StatusValue::Now => stored.is_some(),
        StatusValue::Text(value) => stored
            .is_some_and(|stored| stored == *value || stored == row::as_written(column, value)),
    }
}

/// Whether a row has all that was to be written into it.
pub fn holds(writes: &Writes, row: Row<'_>) -> bool {
    !writes.is_empty()
        && writes.iter().all(|(column, value)| is(*column, value, row.text(*column).as_deref()))
}

impl BoundStatus {
    /// A BEFORE trigger must not move a row to another partition: verdicts that would are only logged.
    pub(super) fn leave_alone(&mut self, partition_key: &[String]) {
        let columns = &self.columns;
        let moves = |column: &Column| {
            columns.iter().any(|(n, c)| c.index == column.index && partition_key.contains(n))
        };
        for writes in [&mut self.ham, &mut self.moderate, &mut self.spam].into_iter().flatten() {
            writes.retain(|(column, _)| !moves(column));
        }
    }
}

impl BoundStatus {
    /// A column may have changed since protect() looked at it (another type, a renamed label). A verdict
    /// that cannot be written is only logged: that is no reason to fail somebody's INSERT.
    pub(super) fn leave_out_misfits(&mut self, table: &str, root: pg_sys::Oid) {
        let mut misfit = None;
        let all = [&mut self.ham, &mut self.moderate, &mut self.spam];
        for writes in all.into_iter().flatten() {
            writes.retain(|one| {
                let Some((text, why)) = misfit_of(root, one) else { return true };
                let name = self.columns.iter().find(|(_, c)| c.index == one.0.index);
                let name = name.map_or("?", |(name, _)| name.as_str());
                let sentence =
                    format!("column \"{name}\" of table \"{table}\" no longer takes \"{text}\"");
                crate::report::warn(
                    pgrx::PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                    format!("{sentence}: such verdicts are only logged"),
                    format!("{why}."),
                    PROTECT_AGAIN,
                );
                misfit = Some(sentence);
                false
            });
        }
        self.misfit = misfit;
    }

    /// A mapping of the past, of which no row has what its columns do not take any more.
    pub(super) fn without_misfits(mut self, root: pg_sys::Oid) -> Self {
        for verdict in [&mut self.ham, &mut self.moderate, &mut self.spam] {
            if verdict.iter().flatten().any(|one| misfit_of(root, one).is_some()) {
                *verdict = None;
            }
        }
        self
    }
}

/// What helps where a column does not take a verdict's value any more.
pub const PROTECT_AGAIN: &str =
    "Call spamcheck.protect() again, with the values in argument \"status\".";

/// The value and why its column does not take it; None: it does.
fn misfit_of(root: pg_sys::Oid, (column, value): &(Column, StatusValue)) -> Option<(&str, String)> {
    let StatusValue::Text(text) = value else { return None };
    Some((text, row::misfit(root, (column.type_oid, column.modifier), text)?))
}

pub(super) fn bind_status(status: &Status, columns: &Columns) -> BoundStatus {
    let bind = |assignments: &Option<Vec<(String, StatusValue)>>| {
        assignments.as_ref().map(|all| {
            all.iter()
                .filter_map(|(name, value)| columns.find(name).map(|c| (c, value.clone())))
                .collect::<Vec<_>>()
        })
    };
    let (ham, moderate, spam) = (bind(&status.ham), bind(&status.moderate), bind(&status.spam));
    let names = status.columns();
    let columns =
        names.iter().filter_map(|n| columns.find(n).map(|c| (n.to_string(), c))).collect();
    BoundStatus { ham, moderate, spam, columns, misfit: None }
}
