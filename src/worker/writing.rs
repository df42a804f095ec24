//! Writes into the row that a lookup was about: as the table's owner, found by its key, and only if it is
//! still what was asked about. Owns the statements on users' tables; what is to be written is settle.rs's.

use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::{Policy, Verdict};

use crate::key;
use crate::lookups::{self, Claimed};
use crate::protection::{self, Described, Protection, Stored};
use crate::row::{Column, Row, to_server};
use crate::spi::{self, quoted};
use crate::submission::hash_of;

/// Limits for what the table's own triggers and other sessions' locks may take.
pub fn limit_locks() {
    // SAFETY: a plain setting for the rest of the subtransaction's nest level.
    unsafe {
        pg_sys::set_config_option(
            c"lock_timeout".as_ptr(),
            c"200ms".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// What an answer changes about a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// It gets its own status back.
    Release,
    /// It gets the status of a verdict.
    To(Verdict),
}

/// What was written.
pub struct Written {
    /// Whether the row changed.
    pub changed: bool,
    /// Its status columns afterwards, if they were asked for and written.
    pub status: Option<Json>,
}

/// Writes a change, and reads the status back if `others` want to know it. None: it is not the row that
/// was asked about.
pub fn apply(
    stored: &Stored,
    described: &Described,
    policy: &Rc<Policy>,
    lookup: &Claimed,
    change: Change,
    others: bool,
) -> Option<Written> {
    // A key is unique in one table: children that inherit from it may have the same.
    let only = if described.partitioned { "" } else { "ONLY " };
    let table = format!("{only}{}.{}", quoted(&described.schema), quoted(&described.name));
    if described.key.is_empty() {
        // In a restore the key may come after the triggers.
        pgrx::error!("the table has no primary key to find the row by");
    }
    let (condition, parameters) = condition(described, &lookup.row_key)?;
    let args = as_texts(&parameters);
    let query = to_server(&format!("SELECT t.* FROM {table} t WHERE {condition} FOR UPDATE"));
    let writes = Spi::connect_mut(|client| {
        let found = client.update(query.as_c_str(), Some(1), &args).ok()?;
        if found.is_empty() && described.forced {
            // Being invisible is not being gone.
            pgrx::error!("row-level security may hide the row from the table's owner");
        }
        if found.is_empty() {
            return None;
        }
        // SAFETY: the SPI call has one row, of the type that its descriptor describes; it is read
        // before the next SPI call.
        unsafe {
            let rows = pg_sys::SPI_tuptable;
            let tupdesc = (*rows).tupdesc;
            let protection =
                Protection::bind(stored, described, policy.clone(), tupdesc, None).ok()?;
            let row = Row::of_tuple(*(*rows).vals, tupdesc);
            if !is_as_it_was(lookup, row, tupdesc) {
                return None;
            }
            Some(writes(&protection, policy.settings.mode, lookup, change))
        }
    })?;
    if writes.is_empty() {
        return Some(Written { changed: false, status: None });
    }
    update(&table, &condition, parameters.clone(), &writes);
    let bound = (stored, described, policy);
    let status = if others { status_now(bound, &table, &condition, &parameters) } else { None };
    Some(Written { changed: true, status })
}

/// The status columns as they are now: the table's own triggers may have had their say.
fn status_now(
    (stored, described, policy): (&Stored, &Described, &Rc<Policy>),
    table: &str,
    condition: &str,
    parameters: &[String],
) -> Option<Json> {
    let args = as_texts(parameters);
    let query = to_server(&format!("SELECT t.* FROM {table} t WHERE {condition}"));
    Spi::connect_mut(|client| {
        // As a statement that may write: it must see what this transaction has written.
        let found = client.update(query.as_c_str(), Some(1), &args).ok()?;
        if found.is_empty() {
            return None;
        }
        // SAFETY: as in `apply`.
        unsafe {
            let rows = pg_sys::SPI_tuptable;
            let tupdesc = (*rows).tupdesc;
            let protection =
                Protection::bind(stored, described, policy.clone(), tupdesc, None).ok()?;
            lookups::status(&protection, Row::of_tuple(*(*rows).vals, tupdesc))
        }
    })
}

/// Whether nobody edited the row or decided about it since the lookup was queued. What counts are the
/// columns of then, as far as they are still there: the mapping may be another one by now.
///
/// # Safety
/// The row must be of the type that `tupdesc` describes.
unsafe fn is_as_it_was(lookup: &Claimed, row: Row<'_>, tupdesc: pg_sys::TupleDesc) -> bool {
    let nothing = serde_json::Map::new();
    let texts = lookup.fingerprint.as_object().unwrap_or(&nothing).iter();
    let statuses = lookup.status.as_ref().and_then(Json::as_object).unwrap_or(&nothing).iter();
    // SAFETY: the caller's promise.
    let column = |name: &String| unsafe { protection::column(tupdesc, name) };
    let same_text = |(name, hash): (&String, &Json)| {
        column(name).is_none_or(|c| hash.as_u64() == Some(hash_of(row, c)))
    };
    let same_status = |(name, text): (&String, &Json)| {
        column(name).is_none_or(|c| row.text(c).as_deref() == text.as_str())
    };
    texts.into_iter().all(same_text) && statuses.into_iter().all(same_status)
}

fn as_texts(parameters: &[String]) -> Vec<DatumWithOid<'_>> {
    let text = |parameter: &String| {
        // SAFETY: the datum is a text, in a memory context that outlives the statement.
        unsafe { DatumWithOid::new(spi::text_datum(parameter), pg_sys::TEXTOID) }
    };
    parameters.iter().map(text).collect()
}

fn condition(described: &Described, row_key: &Json) -> Option<(String, Vec<String>)> {
    let nowhere = Column {
        index: 0,
        type_oid: pg_sys::InvalidOid,
        modifier: -1,
        reader: crate::row::Reader::Output,
    };
    let columns: Vec<_> = described
        .key
        .iter()
        .map(|(name, type_name, operator)| protection::KeyColumn {
            name: name.clone(),
            type_name: type_name.clone(),
            operator: operator.clone(),
            column: nowhere,
        })
        .collect();
    key::condition(&columns, row_key)
}

/// Column and value: those of the verdict, or the row's own ones when it was held and is ham.
fn writes(
    protection: &Protection,
    mode: Mode,
    lookup: &Claimed,
    change: Change,
) -> Vec<(String, String, StatusValue)> {
    let name_of = |column: Column| {
        protection
            .status
            .columns
            .iter()
            .find(|(_, c)| c.index == column.index)
            .map(|(n, _)| n.clone())
    };
    let typed = |column: Column| protection::type_name(column.type_oid);
    if mode != Mode::Enforce {
        return Vec::new();
    }
    let assignments = match change {
        Change::To(Verdict::Spam | Verdict::Reject) => protection.status.spam.as_ref(),
        Change::To(Verdict::Moderate | Verdict::Challenge) => protection.status.moderate.as_ref(),
        Change::Nothing | Change::To(Verdict::Ham) => None,
        Change::Release => {
            let former = lookup.former.as_ref().and_then(Json::as_object);
            return former.map_or_else(Vec::new, |former| {
                protection
                    .status
                    .columns
                    .iter()
                    .filter_map(|(name, column)| {
                        let value = match former.get(name)? {
                            Json::String(text) => StatusValue::Text(text.clone()),
                            _ => StatusValue::Null,
                        };
                        Some((name.clone(), typed(*column), value))
                    })
                    .collect()
            });
        }
    };
    assignments.map_or_else(Vec::new, |all| {
        all.iter()
            .filter_map(|(column, value)| Some((name_of(*column)?, typed(*column), value.clone())))
            .collect()
    })
}

fn update(
    table: &str,
    condition: &str,
    mut parameters: Vec<String>,
    writes: &[(String, String, StatusValue)],
) {
    let mut sets = Vec::with_capacity(writes.len());
    for (name, type_name, value) in writes {
        let value = match value {
            StatusValue::Null => "NULL".to_owned(),
            StatusValue::Now => "pg_catalog.now()".to_owned(),
            StatusValue::Text(text) => {
                parameters.push(text.clone());
                format!("${}::{type_name}", parameters.len())
            }
        };
        sets.push(format!("{} = {value}", quoted(name)));
    }
    let args = as_texts(&parameters);
    // Deferred triggers could not run: at the commit nobody has the owner's rights any more.
    Spi::connect_mut(|client| {
        if let Err(error) = client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[]) {
            pgrx::error!("constraints could not be made immediate: {error}");
        }
    });
    let statement =
        to_server(&format!("UPDATE {table} t SET {} WHERE {condition}", sets.join(", ")));
    Spi::connect_mut(|client| {
        if let Err(error) = client.update(statement.as_c_str(), None, &args) {
            pgrx::error!("the status could not be written: {error}");
        }
        // SAFETY: the count of the statement that has just run.
        if unsafe { pg_sys::SPI_processed } == 0 {
            pgrx::error!("a trigger of the table kept the row from being written");
        }
    });
}
