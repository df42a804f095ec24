//! Writes into the row that a lookup was about: as the table's owner, found by its key, and only if it is
//! still what was asked about. Owns the statements on users' tables; what is to be written is settle.rs's.

use std::ffi::CStr;
use std::rc::Rc;

use pgrx::pg_sys;
use serde_json::Value as Json;
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::{Policy, Verdict};

use crate::constraints;
use crate::key;
use crate::lookups::{self, Claimed};
use crate::nest_level;
use crate::protection::{self, Bound, Described, Protection};
use crate::row::{Column, Row};
use crate::rulebook::Table;
use crate::spi::{self, Arg};
use crate::stored_row::{self, condition, update};
use crate::submission::{self, hash_of};
use crate::subscription::Subscription;

/// How long the worker waits for other sessions' locks: less than the server takes to call it a deadlock, so
/// that it is never a session that has to give way.
pub const LOCKS_LIMIT: (&CStr, &CStr) = (c"lock_timeout", c"200ms");

/// For queries by key: a plan that was made while the table was small would read all of it once it has grown.
const BY_INDEX: (&CStr, &CStr) = (c"enable_seqscan", c"off");

/// Limits for what the table's own triggers and other sessions' locks may take.
pub fn limit_locks() {
    // SAFETY: a plain setting for the rest of the subtransaction's nest level.
    unsafe { nest_level::set(LOCKS_LIMIT.0, LOCKS_LIMIT.1) };
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
    /// Its key, if that is another one than the lookup has: the table got another primary key meanwhile.
    pub row_key: Option<Json>,
    /// Whom the policy unsubscribes for it.
    pub subscription: Option<Subscription>,
}

/// Why nothing was written.
pub enum Unwritten {
    /// It is not the row that was asked about.
    Overtaken,
    /// Its text was edited and nobody was asked about that: what to ask now.
    Edited(Box<Anew>),
    /// Somebody else has locked it. Whoever waits for it here holds lookups that the other may want.
    Locked,
}

/// A row as it is now, to be asked about.
pub struct Anew {
    /// The fields of the submission.
    pub submission: Json,
    /// Hashes of the watched columns, by name.
    pub fingerprint: Json,
}

/// Writes a change, and reads the status back if `others` want to know it.
pub fn apply(
    table: &Table,
    found_by: Option<&Described>,
    policy: &Rc<Policy>,
    lookup: &Claimed,
    change: Change,
    others: bool,
) -> Result<Written, Unwritten> {
    let Table { stored, described } = table;
    let name = stored_row::table(described);
    if described.key.is_empty() {
        // In a restore the key may come after the triggers.
        pgrx::error!("the table has no primary key to find the row by");
    }
    let Some(found_by) = found_by else {
        pgrx::error!("columns of the key that the row had are gone: {}", lookup.row_key);
    };
    let Some((condition, parameters)) = condition(found_by, &lookup.row_key) else {
        return Err(Unwritten::Overtaken);
    };
    let root = pg_sys::Oid::from(described.root);
    // SAFETY: a lock until the end of the transaction, if it can be had at once.
    if !unsafe { pg_sys::ConditionalLockRelationOid(root, pg_sys::RowExclusiveLock as i32) } {
        return Err(Unwritten::Locked);
    }
    let args = spi::values(&parameters);
    let select = format!("SELECT t.* FROM {name} t WHERE {condition}");
    let mut found = by_index(&format!("{select} FOR UPDATE SKIP LOCKED"), &args, |found| {
        // SAFETY: the tuple is of the type that its descriptor describes.
        unsafe {
            let tupdesc = found.tupdesc;
            let bound = Protection::bind(stored, described, policy.clone(), tupdesc, None);
            let Ok(protection) = bound else { return Err(Unwritten::Overtaken) };
            let row = Row::of_tuple(found.tuple, tupdesc);
            match since(lookup, row, tupdesc) {
                Since::Nothing => {}
                Since::Decision => return Err(Unwritten::Overtaken),
                Since::Edit => {
                    // Without a status to compare, nobody knows whether somebody has decided.
                    if lookup.status.is_none() && !protection.status.columns.is_empty() {
                        return Err(Unwritten::Overtaken);
                    }
                    let anew = Anew::of(&protection, row, &lookup.submission);
                    return Err(Unwritten::Edited(Box::new(anew)));
                }
            }
            let subscription = match change {
                Change::To(verdict) => Subscription::to_end(&protection, row, verdict),
                Change::Nothing | Change::Release => None,
            };
            let former = !stored_row::has_key(described, &lookup.row_key);
            let row_key = if former { key::of_row(&protection, row) } else { None };
            Ok((
                writes(&protection, policy.settings.mode, lookup, change, tupdesc),
                subscription,
                row_key,
            ))
        }
    });
    if found.len() > 1 {
        pgrx::error!("several rows have the key that the row had: {}", lookup.row_key);
    }
    let Some(found) = found.pop() else {
        if !by_index(&select, &args, |_| ()).is_empty() {
            return Err(Unwritten::Locked);
        }
        if described.forced {
            // Being invisible is not being gone.
            pgrx::error!("row-level security may hide the row from the table's owner");
        }
        return Err(Unwritten::Overtaken);
    };
    let (writes, subscription, row_key) = found?;
    if writes.is_empty() {
        return Ok(Written { changed: false, status: None, row_key, subscription });
    }
    constraints::all_at_once();
    update(&name, &condition, parameters.clone(), &writes, |_, _| ());
    let status = if others { status_now(table, policy, &select, &args) } else { None };
    Ok(Written { changed: true, status, row_key, subscription })
}

impl Anew {
    fn of(protection: &Protection, row: Row<'_>, before: &Json) -> Anew {
        let now = submission::wall_clock();
        let present = submission::with_facts(protection, row, now, |facts| facts.to_json());
        // What came from the session's settings came with the row; the session is not here.
        let mut submission = before.clone();
        if let Some(fields) = submission.as_object_mut() {
            for (field, bound) in &protection.sources {
                if !matches!(bound, Bound::Setting(_)) {
                    fields.remove(field.name());
                    if let Some(value) = present.get(field.name()) {
                        fields.insert(field.name().to_owned(), value.clone());
                    }
                }
            }
        }
        Anew { submission, fingerprint: submission::fingerprints(protection, row) }
    }
}

/// Whether the table can be read without waiting for anybody: it is locked for that until the end of the
/// transaction.
pub fn can_be_read(described: &Described) -> bool {
    let root = pg_sys::Oid::from(described.root);
    // SAFETY: a lock, if it can be had at once.
    unsafe { pg_sys::ConditionalLockRelationOid(root, pg_sys::AccessShareLock as i32) }
}

/// Those lookups whose rows are surely not there any more; as the table's owner.
pub fn gone(described: &Described, lookups: &[&Claimed]) -> Vec<i64> {
    if described.key.is_empty() || described.forced || !can_be_read(described) {
        return Vec::new();
    }
    let table = stored_row::table(described);
    nest_level::within(&[BY_INDEX], || {
        let named = lookups.iter().filter(|l| stored_row::has_key(described, &l.row_key));
        let gone = named.filter(|lookup| {
            let Some((condition, key)) = condition(described, &lookup.row_key) else {
                return false;
            };
            let query = format!("SELECT FROM {table} t WHERE {condition}");
            let key = spi::values(&key);
            let mut there = false;
            spi::repeatedly(&query, |run| run(&key, &mut |_| there = true));
            !there
        });
        gone.map(|lookup| lookup.id).collect()
    })
}

/// Whether the row may still wait for a moderator: it is there, and has the status of moderated rows if there
/// is one. As the table's owner; what cannot be told is true.
pub fn may_wait(table: &Table, policy: &Rc<Policy>, row_key: &Json) -> bool {
    let Table { stored, described } = table;
    if described.forced || !stored_row::has_key(described, row_key) {
        return true;
    }
    let Some((condition, parameters)) = condition(described, row_key) else { return true };
    let name = stored_row::table(described);
    let query = format!("SELECT t.* FROM {name} t WHERE {condition}");
    let args = spi::values(&parameters);
    let waits = by_index(&query, &args, |found| {
        // SAFETY: as in `apply`.
        unsafe {
            let bound = Protection::bind(stored, described, policy.clone(), found.tupdesc, None);
            let Ok(protection) = bound else { return true };
            let writes = protection.status.moderate.as_ref().is_some_and(|all| !all.is_empty());
            !writes || protection.status.is_moderate(Row::of_tuple(found.tuple, found.tupdesc))
        }
    });
    waits.into_iter().any(|waits| waits)
}

/// The status columns as they are now: the table's own triggers may have had their say.
fn status_now(table: &Table, policy: &Rc<Policy>, query: &str, key: &[Arg<'_>]) -> Option<Json> {
    let Table { stored, described } = table;
    let mut found = by_index(query, key, |found| {
        // SAFETY: as in `apply`.
        unsafe {
            let bound = Protection::bind(stored, described, policy.clone(), found.tupdesc, None);
            lookups::status(&bound.ok()?, Row::of_tuple(found.tuple, found.tupdesc))
        }
    });
    found.pop().flatten()
}

/// Runs a query that finds rows by their key. As a statement that may write: it sees what this transaction
/// has written.
fn by_index<T>(query: &str, key: &[Arg<'_>], each: impl FnMut(&spi::Found) -> T) -> Vec<T> {
    nest_level::within(&[BY_INDEX], || spi::rows_kept(query, key, each))
}

/// What happened to a row since its lookup was queued.
enum Since {
    Nothing,
    /// Somebody set its status.
    Decision,
    /// Its text was edited, and nothing else.
    Edit,
}

/// Whether somebody edited the row or decided about it since the lookup was queued. What counts are the
/// columns of then, as far as they are still there: the mapping may be another one by now.
///
/// # Safety
/// The row must be of the type that `tupdesc` describes.
unsafe fn since(lookup: &Claimed, row: Row<'_>, tupdesc: pg_sys::TupleDesc) -> Since {
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
    match (statuses.into_iter().all(same_status), texts.into_iter().all(same_text)) {
        (true, true) => Since::Nothing,
        (true, false) => Since::Edit,
        (false, _) => Since::Decision,
    }
}

/// Column and value: those of the verdict, or the row's own ones when it was held and is no longer. What held
/// the row may have been columns that the mapping does not name any more.
///
/// # Safety
/// `tupdesc` must be the row's.
unsafe fn writes(
    protection: &Protection,
    mode: Mode,
    lookup: &Claimed,
    change: Change,
    tupdesc: pg_sys::TupleDesc,
) -> Vec<(String, String, StatusValue)> {
    let status = &protection.status;
    let typed = |column: Column| protection::type_name(column.type_oid);
    let assigned = match change {
        Change::To(Verdict::Spam | Verdict::Reject) => status.spam.as_ref(),
        Change::To(Verdict::Moderate | Verdict::Challenge) => status.moderate.as_ref(),
        Change::Nothing | Change::Release | Change::To(Verdict::Ham) => None,
    };
    let assigned = assigned.filter(|_| mode == Mode::Enforce).into_iter().flatten();
    let mut writes: Vec<_> = assigned
        .filter_map(|(column, value)| {
            let (name, _) = status.columns.iter().find(|(_, c)| c.index == column.index)?;
            Some((name.clone(), typed(*column), value.clone()))
        })
        .collect();
    let released = |name: &String| match change {
        Change::Release => true,
        Change::To(_) => lookup.held && status.columns.iter().all(|(mapped, _)| mapped != name),
        Change::Nothing => false,
    };
    let former = lookup.former.as_ref().and_then(Json::as_object).into_iter().flatten();
    writes.extend(former.filter(|(name, _)| released(name)).filter_map(|(name, value)| {
        // SAFETY: the caller's promise.
        let column = unsafe { protection::column(tupdesc, name) }?;
        let value = match value {
            Json::String(text) => StatusValue::Text(text.clone()),
            _ => StatusValue::Null,
        };
        Some((name.clone(), typed(column), value))
    }));
    writes
}
