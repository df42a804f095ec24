//! Writes into the row that a lookup was about: as the table's owner, found by its key, and only if it is
//! still what was asked about. Owns the statements on users' tables; what is to be written is settle.rs's.

use std::rc::Rc;

use pgrx::{Spi, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::{Policy, Verdict};

use crate::lookups::{self, Claimed};
use crate::protection::{self, Described, Protection, Stored};
use crate::row::{Column, Row, to_server};
use crate::stored_row::{self, as_texts, condition, update};
use crate::submission::hash_of;
use crate::subscription::Subscription;

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
    /// Whom the policy unsubscribes for it.
    pub subscription: Option<Subscription>,
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
    let table = stored_row::table(described);
    if described.key.is_empty() {
        // In a restore the key may come after the triggers.
        pgrx::error!("the table has no primary key to find the row by");
    }
    let (condition, parameters) = condition(described, &lookup.row_key)?;
    let args = as_texts(&parameters);
    let query = to_server(&format!("SELECT t.* FROM {table} t WHERE {condition} FOR UPDATE"));
    let (writes, subscription) = Spi::connect_mut(|client| {
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
            let subscription = match change {
                Change::To(verdict) => Subscription::to_end(&protection, row, verdict),
                Change::Nothing | Change::Release => None,
            };
            Some((writes(&protection, policy.settings.mode, lookup, change), subscription))
        }
    })?;
    if writes.is_empty() {
        return Some(Written { changed: false, status: None, subscription });
    }
    update(&table, &condition, parameters.clone(), &writes);
    let bound = (stored, described, policy);
    let status = if others { status_now(bound, &table, &condition, &parameters) } else { None };
    Some(Written { changed: true, status, subscription })
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
