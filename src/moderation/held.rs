//! A row that is decided about: found by its key, locked until the transaction ends, read as the checks read
//! it, and written with the rights of the table's owner. Owns these; which status it gets is
//! decided elsewhere.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use pgrx::{PgSqlErrorCode, Spi, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::StatusValue;

use super::findings::{self, Finding};
use super::place::Place;
use crate::constraints::{self, Reach};
use crate::protect::values;
use crate::protection::{self, BoundStatus, Protection, Writes};
use crate::row::{self, Column, Row, to_server};
use crate::spi::{self, Arg};
use crate::stored_row::{self, as_texts, condition, follow_key, with_key_of};
use crate::subscription::Subscription;
use crate::whole_row::{self, Values};
use crate::{decisions, key, lookups, report, rights, submission, subtransaction};

/// A row of a protected table.
pub struct Held {
    /// The protection, bound to the columns of the row.
    pub protection: Protection,
    /// Its key, as the log has it.
    pub row_key: Json,
    /// Its status columns; None: the table has none.
    pub status: Option<Json>,
    /// Whether it has the status of spam.
    pub is_spam: bool,
    /// Whether it has the status of moderated rows, which may be the same.
    pub is_moderate: bool,
    /// Whether its status calls it spam, and not only moderated.
    pub told_spam: bool,
    /// What verdicts wrote under a former mapping of the status, if the row has that.
    former: Option<BoundStatus>,
    /// Its content.
    pub submission: Json,
    /// Hashes of the columns whose edit is a new submission.
    pub fingerprint: Json,
    /// All its values.
    pub values: Values,
    /// Who is unsubscribed or resubscribed with it.
    pub subscription: Option<Subscription>,
}

const HIDDEN: &str = "row-level security may hide the row from the table's owner";

/// Locks the row with a key; None: there is none. A key that its columns do not take is an error.
pub fn hold(place: &Place, row_key: &Json) -> Option<Held> {
    let (condition, parameters) = condition(&place.described, row_key)?;
    hold_where(place, &condition, &parameters, row_key)
}

/// Locks the one row that a condition finds.
fn hold_where(
    place: &Place,
    condition: &str,
    parameters: &[String],
    row_key: &Json,
) -> Option<Held> {
    let table = stored_row::table(&place.described);
    let query = to_server(&format!("SELECT t.* FROM {table} t WHERE {condition} FOR UPDATE"));
    let held = subtransaction::attempt(AssertUnwindSafe(|| {
        rights::as_owner_of(place.root(), || {
            let args = as_texts(parameters);
            Spi::connect_mut(|client| {
                let found = client.update(query.as_c_str(), Some(2), &args).ok()?;
                if found.is_empty() && place.described.forced {
                    // Being invisible is not being gone.
                    pgrx::error!("{HIDDEN}");
                }
                if found.len() != 1 {
                    return None;
                }
                // SAFETY: the SPI call has one row, of the type that its descriptor describes; it is read
                // before the next SPI call that could free it.
                unsafe {
                    let rows = pg_sys::SPI_tuptable;
                    Some(read(place, *(*rows).vals, (*rows).tupdesc))
                }
            })
        })
    }));
    held.unwrap_or_else(|failure| {
        let class = failure.code as i32 & 0xFFF;
        if class == DATA_EXCEPTION && place.by_name {
            // Another table has the name by now, and keys of another type.
            return None;
        }
        let hidden = failure.message == HIDDEN;
        let code = failure.code;
        let mut refusal = Refusal::from(failure);
        if hidden {
            refusal = refusal.with_hint(format!(
                "Give the owner of {0} a row-level security policy that shows all rows, or ALTER TABLE {0} NO FORCE ROW LEVEL SECURITY.",
                place.relation()
            ));
        }
        // Class 22, data exceptions: the key is none of that type.
        if class == DATA_EXCEPTION {
            report::refuse_value(refusal.with_hint(format!(
                "The key asked for is {row_key}. See the columns of {} with \\d.",
                place.relation()
            )));
        }
        report::refuse(code, refusal)
    })
}

/// What is found where a finding's row was.
pub struct Found {
    /// The row, locked; None: it is gone.
    pub row: Option<Held>,
    /// Whether another row has its key by now.
    pub replaced: bool,
}

impl From<Held> for Found {
    fn from(held: Held) -> Self {
        Self { row: Some(held), replaced: false }
    }
}

/// Locks the row that a finding is about. A row with the same key may be another one by now: in a table of
/// which only the name is the same, its content has to be what was found. Elsewhere the content may have been
/// edited since; but the row that was found, and that nobody has released, has a status that keeps it back.
pub fn hold_found(place: &Place, finding: &Finding) -> Found {
    let Some(key) = &finding.row_key else {
        return Found { row: None, replaced: place.by_name };
    };
    let held = match with_key_of(&place.described, key) {
        Some(Cow::Owned(former)) => condition(&former, key)
            .and_then(|(condition, parameters)| hold_where(place, &condition, &parameters, key)),
        _ => hold(place, key),
    };
    let Some(held) = held else {
        return Found { row: None, replaced: place.by_name };
    };
    let same = if place.by_name {
        finding.describes(&held.submission)
    } else {
        finding.reversed || held.is_kept_back() || !finding.contradicts(&held.submission)
    };
    if same && held.row_key != *key && !place.by_name {
        follow_key(finding.protection, key, &held.row_key);
    }
    Found { row: same.then_some(held), replaced: !same }
}

/// The class of errors such as "invalid input syntax for type integer", as the server packs it.
const DATA_EXCEPTION: i32 = 2 + (2 << 6);

/// A row that is in the hand of whoever calls.
///
/// # Safety
/// The tuple must be of the type that `tupdesc` describes.
pub unsafe fn read(place: &Place, tuple: pg_sys::HeapTuple, tupdesc: pg_sys::TupleDesc) -> Held {
    // SAFETY: the caller's promise.
    let (bound, row) = unsafe {
        let bound =
            Protection::bind(&place.stored, &place.described, place.policy.clone(), tupdesc, None);
        (bound, Row::of_tuple(tuple, tupdesc))
    };
    let protection = bound.unwrap_or_else(|refusal| report::refuse_value(refusal));
    if let Some(misfit) = &protection.status.misfit {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("which status the row has cannot be told: {misfit}"))
                .with_detail("Nothing was changed.")
                .with_hint(protection::PROTECT_AGAIN),
        );
    }
    // SAFETY: the caller's promise.
    let former = unsafe { protection::former_status(&place.stored, place.root(), tupdesc) };
    let former = former.into_iter().rev().find(|status| status.keeps_back(row));
    Held {
        row_key: key::of_row(&protection, row).unwrap_or_default(),
        status: lookups::status(&protection, row),
        is_spam: protection.status.is_spam(row),
        is_moderate: protection.status.is_moderate(row),
        told_spam: protection.status.tells_spam(row),
        former,
        submission: submission::whole(&protection, row),
        fingerprint: submission::fingerprints(&protection, row),
        // SAFETY: the caller's promise.
        values: unsafe { whole_row::values(row, tupdesc) },
        subscription: Subscription::of_row(&protection, row),
        protection,
    }
}

impl Held {
    /// The row's own status: what it had before the verdicts that still count, as far as that is known. The
    /// status that one verdict found may be that of another one before it.
    pub fn own_status(&self, known: &[Finding]) -> Option<Json> {
        let mut own = self.own_status_of_now(known)?;
        // Columns of a former mapping have what they had before the first verdict that stands.
        let standing = || known.iter().rev().filter(|one| one.stands());
        for (name, _) in self.former_columns() {
            let before = standing().find_map(|one| one.former.as_ref()?.get(name));
            if let (Some(before), Some(own)) = (before, own.as_object_mut()) {
                own.entry(name.clone()).or_insert_with(|| before.clone());
            }
        }
        // A label may have been renamed since, or a constraint forbid it.
        self.takes(&own).then_some(own)
    }

    /// Whether the status columns still take what one of them had.
    fn takes(&self, own: &Json) -> bool {
        let root = self.protection.root;
        self.all_columns().all(|(name, column)| {
            let Some(text) = own.get(name).and_then(Json::as_str) else { return true };
            row::misfit(root, (column.type_oid, column.modifier), text).is_none()
                && values::breaks(root, root, name, text).is_none()
        })
    }

    fn own_status_of_now(&self, known: &[Finding]) -> Option<Json> {
        let mut own = None;
        for former in known.iter().filter_map(|one| one.former.as_ref()) {
            own = Some(former.clone());
            if !self.is_ours(former) {
                return own;
            }
        }
        lookups::status_before_hold(self.protection.id, &self.row_key).or(own)
    }

    /// Whether a status that was noted is one that verdicts write, or wrote under the former mapping.
    pub fn is_ours(&self, noted: &Json) -> bool {
        let wrote = |former: &BoundStatus| {
            former.columns.iter().all(|(name, _)| noted.get(name).is_some())
                && former.is_ours(noted)
        };
        self.protection.status.is_ours(noted) || self.former.as_ref().is_some_and(wrote)
    }

    fn former_columns(&self) -> impl Iterator<Item = &(String, Column)> {
        self.former.iter().flat_map(|former| &former.columns)
    }

    /// Whether the row has a status of moderated or spam rows; or that of a former mapping, and the log says that a
    /// verdict wrote it.
    pub fn is_kept_back(&self) -> bool {
        self.is_spam || self.is_moderate || self.is_kept_back_as_before()
    }

    fn is_kept_back_as_before(&self) -> bool {
        self.former.is_some() && self.findings().iter().any(Finding::stands)
    }

    /// All that was found about the row, newest first.
    pub fn findings(&self) -> Vec<Finding> {
        findings::of_row(self.protection.id, &self.row_key)
    }

    /// [`Self::findings`] with those that were made under another protection of the table, before it was
    /// protected anew.
    pub fn findings_since(&self, protection: i32) -> Vec<Finding> {
        let mut known = self.findings();
        if protection != self.protection.id {
            known.extend(findings::of_row(protection, &self.row_key));
        }
        known
    }

    /// What staff have said since findings were taken back: that the same text is spam all the same.
    pub fn reported_since(&self, taken_back: &[Finding]) -> Option<Finding> {
        let last = taken_back.last().filter(|one| one.reversed)?;
        let since =
            |one: &Finding| one.id > last.id && one.check_name == findings::STAFF && one.stands();
        let since = self.findings().into_iter().find(since);
        since.filter(|_| findings::describe(taken_back, &self.submission))
    }

    /// Gives the row back what it had.
    pub fn restore(&self, place: &Place, status: &Json) {
        let writes = self.all_columns().filter_map(|(name, column)| {
            let value = match status.get(name)? {
                Json::String(text) => StatusValue::Text(text.clone()),
                _ => StatusValue::Null,
            };
            Some((*column, value))
        });
        self.write(place, &writes.collect());
    }

    /// The columns that verdicts write, and those that they wrote under a former mapping, if the row has that.
    fn all_columns(&self) -> impl Iterator<Item = &(String, Column)> {
        let now = &self.protection.status.columns;
        let before = self.former_columns();
        now.iter().chain(before.filter(|(name, _)| now.iter().all(|(other, _)| other != name)))
    }

    /// Gives the row the status of ham. What a verdict wrote besides becomes what it was: `own`, as far as that
    /// is known, and a verdict's mark of the time is taken away.
    pub fn release(&self, place: &Place, own: Option<&Json>, ham: &Writes) {
        let status = &self.protection.status;
        let named = |column: &Column| ham.iter().any(|(ham, _)| ham.index == column.index);
        let marked = |writes: &Option<Writes>, column: &Column| {
            let mark = |(c, value): &(Column, StatusValue)| {
                c.index == column.index && *value == StatusValue::Now
            };
            writes.iter().flatten().any(mark)
        };
        let besides = self.all_columns().filter(|(_, column)| !named(column));
        let besides = besides.filter_map(|(name, column)| {
            let own = own.filter(|own| !(status.was_spam(own) && marked(&status.spam, column)));
            let value = match own.and_then(|own| own.get(name)) {
                Some(Json::String(text)) => StatusValue::Text(text.clone()),
                Some(_) => StatusValue::Null,
                None if !marked(&status.spam, column) && !marked(&status.moderate, column) => {
                    return None;
                }
                None if !takes_null(place, name) => return None,
                None => StatusValue::Null,
            };
            Some((*column, value))
        });
        self.write(place, &besides.chain(ham.iter().cloned()).collect());
    }

    /// Writes status columns.
    pub fn write(&self, place: &Place, writes: &Writes) {
        let named = writes.iter().filter_map(|(column, value)| {
            let columns = self.protection.status.columns.iter();
            let mut columns = columns.chain(self.former_columns());
            let (name, _) = columns.find(|(_, c)| c.index == column.index)?;
            Some((name.clone(), protection::type_name(column.type_oid), value.clone()))
        });
        let named: Vec<_> = named.collect();
        if named.is_empty() {
            return;
        }
        self.decide(place, |table, condition, parameters| {
            stored_row::update(table, condition, parameters, &named, |tuple, tupdesc| {
                // SAFETY: a row of this type, whose columns are read now.
                let row = unsafe { Row::of_tuple(tuple, tupdesc) };
                if !protection::holds(writes, row) {
                    kept_by_trigger(place);
                }
            });
        });
    }

    /// Deletes the row.
    pub fn delete(&self, place: &Place) {
        self.decide(place, |table, condition, parameters| {
            let statement = to_server(&format!("DELETE FROM {table} t WHERE {condition}"));
            let args = as_texts(&parameters);
            Spi::connect_mut(|client| {
                if let Err(error) = client.update(statement.as_c_str(), None, &args) {
                    pgrx::error!("the row could not be deleted: {error}");
                }
                // SAFETY: the count of the statement that has just run.
                if unsafe { pg_sys::SPI_processed } == 0 {
                    report::refuse(
                        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                        Refusal::new(format!("a trigger or rule of {} keeps the row from being deleted", place.relation()))
                            .with_detail("Nothing was changed.")
                            .with_hint("Where rows are only marked as deleted, SELECT spamcheck.report_spam() makes it spam."),
                    );
                }
            });
        });
    }

    fn decide(&self, place: &Place, work: impl Fn(&str, &str, Vec<String>)) {
        let table = stored_row::table(&place.described);
        let Some((condition, parameters)) = condition(&place.described, &self.row_key) else {
            return;
        };
        let done = constraints::attempt(place.root(), &[&place.relation()], Reach::All, || {
            rights::as_owner_of(place.root(), || {
                decisions::while_deciding(place.id(), || {
                    work(&table, &condition, parameters.clone());
                });
            });
        });
        if let Err(failure) = done {
            report::refuse(failure.code, failure.into());
        }
    }
}

fn kept_by_trigger(place: &Place) -> ! {
    report::refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Refusal::new(format!("a trigger of {} keeps the row from getting that status", place.relation()))
            .with_detail("Nothing was changed.")
            .with_hint("The status is set with the rights of the table's owner: see what its BEFORE UPDATE triggers ask for."),
    )
}

/// Whether a column of the table may be NULL.
fn takes_null(place: &Place, column: &str) -> bool {
    let takes_null = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to((NOT a.attnotnull)::text, 'UTF8') FROM pg_attribute a
              WHERE a.attrelid = $1 AND a.attname = convert_from($2, 'UTF8') AND NOT a.attisdropped",
            &[Arg::Oid(place.root()), Arg::Text(column)],
        )
    });
    takes_null.unwrap_or_default()
}
