//! A row of a protected table as it is stored: found again by the key that the log and the queue know, and
//! its status written. Owns the statements, for the worker's verdicts and the moderators' decisions alike;
//! what is to be written is theirs to say. Callers have the rights of the table's owner.

use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::mapping::StatusValue;

use crate::key;
use crate::protection::{self, Described};
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

/// Writes status columns, each with its type and value; what stands against it is an error.
pub fn update(
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
    constraints_at_once();
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

/// Deferred triggers could not run: at the commit nobody has the owner's rights any more.
pub fn constraints_at_once() {
    Spi::connect_mut(|client| {
        if let Err(error) = client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[]) {
            pgrx::error!("constraints could not be made immediate: {error}");
        }
    });
}

/// After [`constraints_at_once`], in a transaction that is the caller's: its constraints are as their tables declare
/// them, so what may be put off can be put off again. What it has set itself is not known to anybody.
pub fn constraints_as_declared() {
    let names: Option<Vec<String>> = rights::as_extension(|| {
        // A name that a constraint of another kind has, too, cannot be set.
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT format('%I.%I', n.nspname, c.conname)), '[]')::text, 'UTF8')
               FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
              WHERE c.condeferred AND NOT pg_is_other_temp_schema(n.oid)
                AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.connamespace = c.connamespace AND x.conname = c.conname AND NOT x.condeferrable)",
            &[],
        )
    });
    let names = names.filter(|names| !names.is_empty());
    let Some(names) = names else { return };
    let statement = to_server(&format!("SET CONSTRAINTS {} DEFERRED", names.join(", ")));
    rights::as_extension(|| {
        Spi::connect_mut(|client| {
            if let Err(error) = client.update(statement.as_c_str(), None, &[]) {
                pgrx::error!("constraints could not be deferred again: {error}");
            }
        });
    });
}
