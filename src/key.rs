//! How a row is named in the log and in lookups: the columns of its primary key as `to_jsonb` gives
//! them, and the condition that finds the row again by it.

use pgrx::pg_sys;
use serde_json::Value as Json;

use crate::protection::{KeyColumn, Protection};
use crate::rights;
use crate::row::{self, Reader, Row};
use crate::spi::{self, Arg, quoted};

/// The row's key as a JSON object; None: the table has none.
pub fn of_row(protection: &Protection, row: Row<'_>) -> Option<Json> {
    if protection.key.is_empty() {
        return None;
    }
    let columns = protection.key.iter().map(|key| (key.name.clone(), value(key, row)));
    Some(Json::Object(columns.collect()))
}

fn value(key: &KeyColumn, row: Row<'_>) -> Json {
    let Some(text) = row.text(key.column) else { return Json::Null };
    match (key.column.reader, key.column.type_oid) {
        (Reader::Integer(_), _) => text.parse::<i64>().map_or(Json::String(text), Json::from),
        (Reader::Text | Reader::Padded, _) | (_, pg_sys::UUIDOID) => Json::String(text),
        (_, pg_sys::BOOLOID) => Json::Bool(text == "t"),
        (_, pg_sys::NUMERICOID) => serde_json::from_str(&text).unwrap_or(Json::String(text)),
        // Rare types in a key: the server itself says what to_jsonb makes of them.
        _ => {
            // A key is the same key in every session, whatever its time zone.
            let query = format!(
                "SELECT convert_to(to_jsonb(convert_from($1, 'UTF8')::{})::text, 'UTF8')",
                key.type_name
            );
            row::with_portable_output(|| {
                let text = row.text(key.column).unwrap_or_default();
                spi::json_once(&query, &[Arg::Text(&text)]).unwrap_or(Json::Null)
            })
        }
    }
}

/// The row's key in one text, for the memory: the column's own, or a JSON array of several. Columns are
/// not named, so a renaming changes nothing. Empty when the table has no key.
pub fn compact(protection: &Protection, row: Row<'_>) -> String {
    let text = |key: &KeyColumn| match (key.column.reader, key.column.type_oid) {
        (Reader::Integer(_) | Reader::Text | Reader::Padded, _) | (_, pg_sys::UUIDOID) => {
            row.text(key.column)
        }
        _ => row::with_portable_output(|| row.text(key.column)),
    };
    match protection.key.as_slice() {
        [] => String::new(),
        [one] => text(one).unwrap_or_default(),
        several => several.iter().map(text).collect::<Json>().to_string(),
    }
}

/// The texts of the columns of a [`compact`] key; None: it is not one of this table's present key.
pub fn parts(protection: &Protection, compact: &str) -> Option<Vec<String>> {
    match protection.key.as_slice() {
        [_] => Some(vec![compact.to_owned()]),
        several => {
            let parts: Vec<String> = serde_json::from_str(compact).ok()?;
            (parts.len() == several.len()).then_some(parts)
        }
    }
}

/// The condition that finds the row in `t`, and its parameters from `$1` on, which are of type text.
pub fn condition(key: &[KeyColumn], row_key: &Json) -> Option<(String, Vec<String>)> {
    if key.is_empty() {
        return None;
    }
    let mut conditions = Vec::with_capacity(key.len());
    let mut parameters = Vec::with_capacity(key.len());
    for (n, column) in key.iter().enumerate() {
        let (text, whole) = match part(key, row_key, &column.name)? {
            // JSON has a null of its own.
            text if is_json(&column.type_name) => (text.to_string(), false),
            Json::Null => return None,
            Json::String(text) => (text.clone(), false),
            part @ (Json::Array(_) | Json::Object(_)) => (part.to_string(), true),
            part => (part.to_string(), false),
        };
        let name = quoted(&column.name);
        let value = format!("${}", n + 1);
        conditions.push(if whole {
            // No type reads the JSON of an array or a row; the row is found without its index.
            format!(
                "pg_catalog.to_jsonb(t.{name}) OPERATOR(pg_catalog.=) {value}::pg_catalog.jsonb"
            )
        } else {
            format!("t.{name} {} {value}::{}", column.operator, column.type_name)
        });
        parameters.push(text);
    }
    Some((conditions.join(" AND "), parameters))
}

/// Whether the values of a key's column are JSON themselves: `"s"` is another one than the text s. A domain over jsonb
/// is described as jsonb.
pub fn is_json(type_name: &str) -> bool {
    type_name == "jsonb"
}

/// Whether a column's values are never arrays or objects in JSON: numbers, texts, times and the like.
pub fn is_of_one_value(type_name: &str) -> bool {
    let of_one = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to((t.typcategory IN ('N', 'S', 'D', 'T', 'B', 'I', 'E') OR t.oid = 'uuid'::regtype)::text, 'UTF8')
               FROM pg_type t WHERE t.oid = to_regtype(convert_from($1, 'UTF8'))",
            &[Arg::Text(type_name)],
        )
    });
    of_one.unwrap_or_default()
}

/// One column's value in a stored key. A key of one column is found also after the column's renaming.
fn part<'a>(key: &[KeyColumn], row_key: &'a Json, name: &str) -> Option<&'a Json> {
    let columns = row_key.as_object()?;
    match columns.get(name) {
        None if key.len() == 1 && columns.len() == 1 => {
            columns.iter().find(|(name, _)| !name.ends_with(DROPPED)).map(|(_, value)| value)
        }
        found => found,
    }
}

/// How a key is told whose column was dropped: another one of its name does not find the row.
const DROPPED: &str = " (dropped)";

/// Whether a key names a column that was dropped.
pub fn is_dropped(row_key: &Json) -> bool {
    row_key.as_object().is_some_and(|columns| columns.keys().any(|name| name.ends_with(DROPPED)))
}

/// A column of a protected table was dropped: a key that has it finds no row any more.
pub fn drop_column(table: &str, of: &str, protection: i32, name: &str) {
    rename_column(table, of, &["row_key"], protection, [name, &format!("{name}{DROPPED}")]);
}

/// A column of a protected table was renamed: what one of our tables keeps of its rows by column name, in
/// `columns` of type jsonb, follows. `of` is the column that says whose row it is.
pub fn rename_column(table: &str, of: &str, columns: &[&str], protection: i32, names: [&str; 2]) {
    let renamed = |c: &&str| {
        format!(
            "{c} = CASE WHEN t.{c} ? n.old THEN t.{c} - n.old || jsonb_build_object(n.new, t.{c} -> n.old) ELSE t.{c} END"
        )
    };
    let sets: Vec<String> = columns.iter().map(renamed).collect();
    let named: Vec<String> = columns.iter().map(|c| format!("t.{c} ? n.old")).collect();
    let [old, new] = names;
    spi::write(
        &format!(
            "UPDATE spamcheck.{table} t SET {}
               FROM (SELECT convert_from($2, 'UTF8') AS old, convert_from($3, 'UTF8') AS new) n
              WHERE t.{of} = $1 AND ({})",
            sets.join(", "),
            named.join(" OR ")
        ),
        &[Arg::Int(protection), Arg::Text(old), Arg::Text(new)],
    );
}
