//! A row of a protected table as it is stored: found again by the key that the log and the queue know, and
//! its status written. Owns the statements, for the worker's verdicts and the moderators' decisions alike;
//! what is to be written is theirs to say. Callers have the rights of the table's owner.

use std::borrow::Cow;

use pgrx::datum::DatumWithOid;
use pgrx::{PgSqlErrorCode, Spi, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::StatusValue;

use crate::checked;
use crate::key;
use crate::lookups::{self, Moved};
use crate::protection::{self, Described};
use crate::report;
use crate::rights;
use crate::row::{Column, to_server};
use crate::spi::{self, quoted};

/// The table as it stands in a statement.
pub fn table(described: &Described) -> String {
    // A key is unique in one table: children that inherit from it may have the same.
    let only = if described.partitioned { "" } else { "ONLY " };
    format!("{only}{}.{}", quoted(&described.schema), quoted(&described.name))
}

/// Parameters of type text.
pub fn as_texts(parameters: &[String]) -> Vec<DatumWithOid<'_>> {
    let text = |parameter: &String| {
        // SAFETY: the datum is a text, in a memory context that outlives the statement.
        unsafe { DatumWithOid::new(spi::text_datum(parameter), pg_sys::TEXTOID) }
    };
    parameters.iter().map(text).collect()
}

/// Whether a key is made of the columns of the table's key as it is now.
pub fn has_key(described: &Described, row_key: &Json) -> bool {
    row_key.as_object().is_some_and(|columns| {
        columns.len() == described.key.len()
            && described.key.iter().all(|(name, ..)| columns.contains_key(name))
    })
}

/// The table as it would be with the columns of this key as its own: a row may have been named before the table
/// got another primary key. None: some of the columns are gone.
pub fn with_key_of<'d>(described: &'d Described, row_key: &Json) -> Option<Cow<'d, Described>> {
    if has_key(described, row_key) {
        return Some(Cow::Borrowed(described));
    }
    let name = format!("{}.{}", quoted(&described.schema), quoted(&described.name));
    let columns = rights::as_extension(|| protection::operators_of(&name));
    let former = row_key.as_object()?.keys().map(|name| {
        let (type_name, operator) = columns.get(name)?.clone();
        Some((name.clone(), type_name, operator))
    });
    let key = former.collect::<Option<Vec<_>>>()?;
    Some(Cow::Owned(Described { key, ..described.clone() }))
}

/// A row was found by the key that its table had before: what is known of it follows.
pub fn follow_key(protection: i32, from: &Json, to: &Json) {
    let mut moved = Moved::default();
    checked::rename_row(protection, from, to, &mut moved.checked);
    lookups::rename_row(protection, from, to, &mut moved);
}

/// The condition that finds the row in `t`, with its parameters; None: such a key finds nothing.
pub fn condition(described: &Described, row_key: &Json) -> Option<(String, Vec<String>)> {
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

/// Writes status columns, each with its type and value; what stands against it is an error. `read` gets the
/// row as it is stored then, which the table's own triggers may have changed.
pub fn update<T>(
    table: &str,
    condition: &str,
    mut parameters: Vec<String>,
    writes: &[(String, String, StatusValue)],
    read: impl FnOnce(pg_sys::HeapTuple, pg_sys::TupleDesc) -> T,
) -> T {
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
    let statement =
        format!("UPDATE {table} t SET {} WHERE {condition} RETURNING t.*", sets.join(", "));
    let statement = to_server(&statement);
    Spi::connect_mut(|client| {
        let written = match client.update(statement.as_c_str(), None, &args) {
            Ok(written) => written,
            Err(error) => pgrx::error!("the status could not be written: {error}"),
        };
        if written.is_empty() {
            let name = table.trim_start_matches("ONLY ");
            report::refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Refusal::new(format!("a trigger of {name} kept the row from being written"))
                    .with_detail("Nothing was changed.")
                    .with_hint("The status is set with the rights of the table's owner: see when its BEFORE UPDATE triggers return NULL."),
            );
        }
        // SAFETY: the SPI call has one row, of the type that its descriptor describes; it is read before the
        // next SPI call that could free it.
        unsafe {
            let rows = pg_sys::SPI_tuptable;
            read(*(*rows).vals, (*rows).tupdesc)
        }
    })
}
