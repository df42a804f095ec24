//! Which rows of a table are ham, as a condition in SQL: those of ham's value if that is known, and none that a verdict
//! hides, now or under a former mapping of the status. Owns that condition; what a row's status tells one by one is
//! protection/status.rs's.

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::{Assignments, Status, StatusValue, is_told_without_time};

use crate::protect::{Described, DescribedColumn};
use crate::protection::{PROTECT_AGAIN, Stored};
use crate::spi::{self, Arg, quoted};
use crate::{report, rights};

/// The condition, of the table as `t`; None: no verdict writes anything.
pub fn condition(relation: pg_sys::Oid, stored: &Stored, described: &Described) -> Option<String> {
    let table = Rows { relation, described };
    let status = Status::from_json(&stored.status).unwrap_or_default();
    for (name, value) in status.values() {
        if let Some(misfit) = table.misfit(name, value) {
            report::refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Refusal::new(format!(
                    "the ham rows of table {} cannot be told",
                    described.display()
                ))
                .with_detail(misfit)
                .with_hint(PROTECT_AGAIN),
            );
        }
    }
    let [ham, moderate, spam] = verdicts(&status);
    let mut all: Vec<String> = ham.iter().filter_map(|is| table.have(is, &status)).collect();
    let hidden = [&moderate, &spam].into_iter().flatten();
    all.extend(hidden.filter_map(|is| table.have(is, &status)).map(not));
    if all.is_empty() {
        return None;
    }
    for former in stored.former_status.iter().flatten() {
        let Ok(former) = Status::from_json(former) else { continue };
        let [_, moderate, spam] = verdicts(&former);
        for is in [moderate, spam].into_iter().flatten() {
            // What stood for spam may stand for ham now; and no row has what its column does not take any more.
            let is_ham = ham.as_ref().is_some_and(|ham| is.iter().all(|pair| ham.contains(pair)));
            let misfit = is.iter().any(|(name, value)| {
                table.column(name).is_none() || table.misfit(name, value).is_some()
            });
            if is_ham || misfit {
                continue;
            }
            let hidden = table.have(&is, &former).map(not);
            all.extend(hidden.filter(|hidden| !all.contains(hidden)));
        }
    }
    Some(all.join(" AND "))
}

fn verdicts(status: &Status) -> [Option<Assignments>; 3] {
    [&status.ham, &status.moderate, &status.spam]
        .map(|one| one.clone().filter(|one| !one.is_empty()))
}

fn not(condition: String) -> String {
    format!("{condition} IS NOT TRUE")
}

struct Rows<'a> {
    relation: pg_sys::Oid,
    described: &'a Described,
}

impl Rows<'_> {
    fn column(&self, name: &str) -> Option<&DescribedColumn> {
        self.described.columns.iter().find(|column| column.name == *name)
    }

    /// Why a column does not take a value any more, as a sentence.
    fn misfit(&self, name: &str, value: &StatusValue) -> Option<String> {
        let (StatusValue::Text(text), column) = (value, self.column(name)?) else { return None };
        column.misfit(self.relation, text)?;
        Some(format!("Column \"{name}\" no longer takes \"{text}\"."))
    }

    /// The condition that rows have what a verdict of `status` writes. The time of the verdict counts only where nothing
    /// else tells it from every other one, as for rows one by one.
    fn have(&self, verdict: &Assignments, status: &Status) -> Option<String> {
        let all = verdicts(status);
        let others = all.iter().flatten().filter(|other| *other != verdict);
        let told_apart = is_told_without_time(verdict, others);
        let is_ham = status.ham.as_ref() == Some(verdict);
        let each = verdict.iter().filter_map(|(name, value)| {
            let column = self.column(name)?;
            let left = format!("t.{}", quoted(name));
            match value {
                // A flag without a default is NULL where nobody has set it.
                StatusValue::Text(text)
                    if is_ham && column.type_oid == pg_sys::BOOLOID.to_u32() && text == "false" =>
                {
                    Some(format!("{left} IS NOT TRUE"))
                }
                StatusValue::Text(text) => Some(format!(
                    "{left}::pg_catalog.text OPERATOR(pg_catalog.=) ('{}'::{})::pg_catalog.text",
                    text.replace('\'', "''"),
                    type_name(column.type_oid, column.type_modifier)
                )),
                StatusValue::Null => Some(format!("{left} IS NULL")),
                StatusValue::Now => (!told_apart).then(|| format!("{left} IS NOT NULL")),
            }
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("({})", each.join(" AND ")))
    }
}

/// A column's type as SQL writes it, schema and all.
fn type_name(oid: u32, modifier: i32) -> String {
    rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(format_type($1, $2), 'UTF8')",
            &[Arg::Oid(pg_sys::Oid::from(oid)), Arg::Int(modifier)],
        )
    })
    .unwrap_or_default()
}
