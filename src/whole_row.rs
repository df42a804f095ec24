//! The whole row of a submission that was refused, so that it can be stored after all: every column's value
//! as its type's output function gives it, in forms that no session setting changes. Owns that form, what the
//! log notes of an edit, and how values get into a row again.

use std::ffi::CStr;

use pgrx::pg_sys;
use serde_json::{Map, Value as Json, json};

use crate::checklog::sha256;
use crate::key;
use crate::protection::Protection;
use crate::row::{self, Column, Reader, Row};
use crate::trigger::{Event, Trigger};

/// Column to text or null.
pub type Values = Map<String, Json>;

/// A row as it would have been.
pub struct WholeRow {
    /// Its values.
    pub values: Values,
    /// For an edit, the row that it was to change: its `key`, and by the name of each column that was to change
    /// the hash of what it `was`.
    pub edit: Option<Json>,
}

impl WholeRow {
    /// That of a BEFORE trigger of INSERT or UPDATE.
    pub fn of(trigger: &Trigger, protection: &Protection) -> Self {
        // SAFETY: the slots hold rows of the relation's type; all their columns are read now.
        let values = unsafe {
            values(Row::of_slot(trigger.new_slot(), trigger.columns()), trigger.tupdesc())
        };
        let edit = (trigger.event == Event::Update).then(|| {
            // SAFETY: as above.
            let old = unsafe { Row::of_slot(trigger.old_slot(), trigger.columns()) };
            // SAFETY: as above.
            let before = unsafe { self::values(old, trigger.tupdesc()) };
            let changed = before.iter().filter(|(name, value)| values.get(*name) != Some(value));
            let was: Values =
                changed.map(|(name, value)| (name.clone(), fingerprint(value))).collect();
            json!({ "key": key::of_row(protection, old), "was": was })
        });
        Self { values, edit }
    }
}

/// What a value is known by, where the value itself is none of the log's business.
pub fn fingerprint(value: &Json) -> Json {
    value.as_str().map_or(Json::Null, |text| sha256(text).into())
}

fn columns(tupdesc: pg_sys::TupleDesc) -> Vec<(String, Column)> {
    // SAFETY: callers have a descriptor of an open relation or of a result.
    let tupdesc = unsafe { pgrx::PgTupleDesc::from_pg_unchecked(tupdesc) };
    let columns =
        tupdesc.iter().enumerate().filter(|(_, a)| !a.attisdropped && a.attgenerated == 0);
    let columns = columns.map(|(index, attribute)| {
        // SAFETY: names are C strings within their array.
        let name = unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) };
        let column = Column {
            index,
            type_oid: attribute.atttypid,
            modifier: attribute.atttypmod,
            reader: Reader::Output,
        };
        (row::from_server(name.to_bytes()).into_owned(), column)
    });
    columns.collect()
}

/// The values of a row.
///
/// # Safety
/// The row must be of the type that `tupdesc` describes.
pub unsafe fn values(row: Row<'_>, tupdesc: pg_sys::TupleDesc) -> Values {
    row::with_portable_output(|| {
        let values = columns(tupdesc)
            .into_iter()
            .map(|(name, column)| (name, row.text(column).map_or(Json::Null, Into::into)));
        values.collect()
    })
}

/// The new row of a BEFORE trigger with these values, whatever triggers before it have made of them.
pub fn put_back(trigger: &Trigger, wanted: &Values) -> pg_sys::Datum {
    // SAFETY: as in `of`.
    let now =
        unsafe { values(Row::of_slot(trigger.new_slot(), trigger.columns()), trigger.tupdesc()) };
    let columns = columns(trigger.tupdesc()).into_iter().filter_map(|(name, column)| {
        let value = wanted.get(&name).filter(|value| now.get(&name) != Some(value))?;
        let datum = value.as_str().map(|text| row::input(column.type_oid, column.modifier, text));
        Some((column, datum))
    });
    trigger.changed(&columns.collect::<Vec<_>>())
}
