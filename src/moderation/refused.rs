//! A row that was refused and is stored after all, with the values that the log kept: inserted, or, where an
//! edit was refused, that edit is made. Owns these two statements; which findings they follow from is decided
//! elsewhere.

use std::rc::Rc;

use pgrx::{PgSqlErrorCode, Spi, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;

use super::held::{self, Held};
use super::place::Place;
use crate::checked;
use crate::constraints::{self, Reach};
use crate::lookups::{self, Moved};
use crate::row::{self, to_server};
use crate::spi::{self, Arg, quoted};
use crate::stored_row::{self, as_texts, condition};
use crate::whole_row::{Values, fingerprint};
use crate::{decisions, nest_level, report, rights};

/// Inserts a row with all its values; the row. A reason that the table has against it is an error: nothing
/// is decided then.
pub fn insert(place: &Place, values: &Values) -> Held {
    let (mut names, mut given, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
    // What the table has got since takes its default; what it has lost is lost.
    for (name, type_name) in &columns(place) {
        let Some(value) = values.get(name) else { continue };
        names.push(quoted(name));
        given.push(written(value, type_name, &mut parameters));
    }
    let statement = format!(
        "INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE VALUES ({}) RETURNING t.*",
        place.relation(),
        names.join(", "),
        given.join(", ")
    );
    store(place, &statement, &parameters, values, "rejected row cannot be inserted into")
}

/// Makes a refused edit of a row; the row as it is then, and the columns that were left alone. None: it was edited
/// otherwise since, or what was to be edited is not there any more, and it is left as it is.
pub fn edit(
    place: &Place,
    held: &Held,
    values: &Values,
    edit: &Json,
) -> Option<(Held, Vec<String>)> {
    let was = edit["was"].as_object()?;
    // What is not the submission's may have moved on, and stays where it is: a count, the time of the last change.
    let watched = held.protection.watched.iter().filter_map(|(name, _)| was.get_key_value(name));
    let same = |name, was| held.values.get(name).map(fingerprint).as_ref() == Some(was);
    if !watched.into_iter().all(|(name, was)| same(name, was)) {
        return None;
    }
    let (condition, mut parameters) = condition(&place.described, &held.row_key)?;
    let (mut sets, mut wanted, mut left) = (Vec::new(), Values::new(), Vec::new());
    for (name, type_name) in &columns(place) {
        let Some(was) = was.get(name) else { continue };
        if !same(name, was) {
            left.push(name.clone());
            continue;
        }
        let value = values.get(name)?;
        sets.push(format!("{} = {}", quoted(name), written(value, type_name, &mut parameters)));
        wanted.insert(name.clone(), value.clone());
    }
    let statement = format!(
        "UPDATE {} t SET {} WHERE {condition} RETURNING t.*",
        stored_row::table(&place.described),
        sets.join(", ")
    );
    let edited = store(place, &statement, &parameters, &wanted, "rejected edit cannot be made in");
    if edited.row_key != held.row_key {
        let mut moved = Moved::default();
        checked::rename_row(place.id(), &held.row_key, &edited.row_key, &mut moved.checked);
        lookups::rename_row(place.id(), &held.row_key, &edited.row_key, &mut moved);
    }
    Some((edited, left))
}

/// The columns that can be written, each with its type.
fn columns(place: &Place) -> Vec<(String, String)> {
    let columns = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, -1)) ORDER BY a.attnum), '[]')::text, 'UTF8')
               FROM pg_attribute a
              WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
            &[Arg::Oid(place.root())],
        )
    });
    columns.unwrap_or_default()
}

fn written(value: &Json, type_name: &str, parameters: &mut Vec<String>) -> String {
    let Some(text) = value.as_str() else { return "NULL".to_owned() };
    parameters.push(text.to_owned());
    format!("${}::{type_name}", parameters.len())
}

fn store(
    place: &Place,
    statement: &str,
    parameters: &[String],
    values: &Values,
    what: &str,
) -> Held {
    let values = Rc::new(values.clone());
    let statement = to_server(statement);
    let relation = place.relation();
    let stored = constraints::attempt(place.root(), &[&relation], Reach::All, || {
        let values = values.clone();
        as_the_log_writes(place, || {
            decisions::while_storing(place.id(), values, || {
                let args = as_texts(parameters);
                Spi::connect_mut(|client| {
                    let stored = match client.update(statement.as_c_str(), None, &args) {
                        Ok(stored) => stored,
                        Err(error) => pgrx::error!("the row could not be stored: {error}"),
                    };
                    if stored.is_empty() {
                        pgrx::error!("a trigger of the table kept the row from being stored");
                    }
                    // SAFETY: the SPI call has one row, of the type that its descriptor describes; it is
                    // read before the next SPI call that could free it.
                    unsafe {
                        let rows = pg_sys::SPI_tuptable;
                        held::read(place, *(*rows).vals, (*rows).tupdesc)
                    }
                })
            })
        })
    });
    stored.unwrap_or_else(|failure| {
        let refusal =
            Refusal::new(format!("the {what} {}: {}", place.relation(), failure.message));
        let detail = failure.detail.unwrap_or_else(|| "Nothing was changed.".to_owned());
        let hint = match failure.code {
            PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => {
                "Perhaps it was submitted again. Otherwise change or delete the row that is in the way, and call again."
            }
            _ => "Change what stands against it, and call again; the log keeps the row meanwhile.",
        };
        report::refuse(failure.code, refusal.with_detail(detail).with_hint(hint))
    })
}

/// Runs `work` as the table's owner, with values read as the log has them: of money no word says which it is.
fn as_the_log_writes<T>(place: &Place, work: impl FnOnce() -> T) -> T {
    rights::as_owner_of(place.root(), || nest_level::within(&[row::MONEY], work))
}
