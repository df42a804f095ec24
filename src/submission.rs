//! From a row to a submission: the mapping is applied, settings fill what no column holds, and columns
//! of other tables are fetched only when something asks for them. Owns no judgement of what it reads.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use spamcheck_engine::{Facts, Field, FieldSet, Remote, Submission, Value, json_text};

use crate::protection::{Bound, Protection, foreign_query};
use crate::row::{Column, EPOCH_OFFSET, Reader, Row};
use crate::spi;
use crate::{rights, settings, subtransaction};

/// A row and what it takes to read the rest of its submission from other tables.
pub struct Elsewhere<'a> {
    protection: &'a Protection,
    row: Row<'a>,
}

impl<'a> Elsewhere<'a> {
    /// For one row.
    pub fn new(protection: &'a Protection, row: Row<'a>) -> Self {
        Self { protection, row }
    }
}

impl Remote for Elsewhere<'_> {
    fn fetch(&self, field: Field) -> Result<Value<'static>, String> {
        let found = self.protection.sources.iter().find(|(f, _)| *f == field);
        let Some((_, Bound::Foreign { table, key, from, column, query })) = found else {
            return Ok(Value::Absent);
        };
        let Some(texts) = from.iter().map(|c| self.row.text(*c)).collect::<Option<Vec<_>>>() else {
            return Ok(Value::Absent);
        };
        let args = spi::values(&texts);
        // With the rights of the table's owner, who set the mapping up, never with more.
        let root = self.protection.root;
        let read = subtransaction::attempt(AssertUnwindSafe(|| {
            let query = query
                .get_or_init(|| rights::as_extension(|| foreign_query(field, table, key, column)));
            match query {
                Some(query) => rights::as_reader_of(root, || spi::text_once(query, &args)),
                None => pgrx::error!("table {table} is not what it was when protect() was called"),
            }
        }));
        match read {
            Ok(Some(text)) => Ok(Value::Text(text.into())),
            Ok(None) => Ok(Value::Absent),
            Err(failure) => {
                Err(format!("field \"{}\" could not be read: {}", field.name(), failure.message))
            }
        }
    }
}

/// The submission in a row, as far as `wanted` goes; columns of other tables are left for later.
pub fn read<'a>(
    protection: &'a Protection,
    row: Row<'a>,
    wanted: FieldSet,
    elsewhere: &'a Elsewhere<'a>,
) -> Submission<'a> {
    let mut submission = Submission::new().with_remote(elsewhere);
    for (field, bound) in &protection.sources {
        if wanted.contains(*field) {
            set(&mut submission, *field, bound, row);
        }
    }
    submission
}

/// Runs `work` on all that a row says; `now` in microseconds.
pub fn with_facts<T>(
    protection: &Protection,
    row: Row<'_>,
    now: i64,
    work: impl for<'e> FnOnce(&'e Facts<'e>) -> T,
) -> T {
    let elsewhere = Elsewhere::new(protection, row);
    let submission = read(protection, row, FieldSet::of(&Field::ALL), &elsewhere);
    work(&Facts::new(&submission, settings::max_checked_chars(), now))
}

/// The submission in a stored row as the log and a lookup keep it.
pub fn whole(protection: &Protection, row: Row<'_>) -> serde_json::Value {
    with_facts(protection, row, now(), |facts| facts.to_json())
}

fn set<'a>(submission: &mut Submission<'a>, field: Field, bound: &'a Bound, row: Row<'a>) {
    match bound {
        Bound::Column(column) => submission.set(field, row.value(*column, field)),
        Bound::Joined(columns) => {
            let texts: Vec<Cow<'a, str>> = columns
                .iter()
                .filter_map(|c| row.readable(*c, field))
                .filter(|t| !t.trim().is_empty())
                .collect();
            if !texts.is_empty() {
                submission.set(field, Value::Text(texts.join("\n").into()));
            }
        }
        Bound::Texts(columns) => {
            for (name, column) in columns {
                match (column.reader, row.text_borrowed(*column)) {
                    (_, None) => {}
                    (Reader::Json, Some(text)) => {
                        texts_inside(submission, name, column.reader, &text)
                    }
                    (_, Some(text)) => submission.push_field(name.as_str().into(), text),
                }
            }
        }
        Bound::TextsInside(column) => {
            if let Some(text) = row.text(*column) {
                texts_inside(submission, "", column.reader, &text);
            }
        }
        Bound::Setting(name) => {
            if let Some(text) = settings::by_name(name) {
                submission.set(field, Value::Text(text.into()));
            }
        }
        Bound::Value(text) => submission.set(field, Value::Text(text.as_str().into())),
        Bound::Foreign { .. } => submission.set(field, Value::Later),
    }
}

/// The strings inside JSON, or else the values of an hstore.
fn texts_inside(submission: &mut Submission<'_>, name: &str, reader: Reader, text: &str) {
    if reader != Reader::Json {
        return hstore_texts(submission, text);
    }
    let (before, all) = (submission.fields().len(), json_text::strings(text));
    if let Ok(json) = serde_json::from_str(text) {
        submission.push_strings(name.to_owned(), &json);
    }
    // A parser has names for them, and may have missed some: then they all count without.
    if submission.fields().len() - before < all.len() {
        for text in all {
            submission.push_field(name.to_owned().into(), text.into());
        }
    }
}

/// The values of an hstore's text form, `"a"=>"1", "b"=>NULL`, which quotes every key and value.
fn hstore_texts(submission: &mut Submission<'_>, text: &str) {
    let mut rest = text;
    while let Some((key, after)) = quoted(rest) {
        let Some(after) = after.strip_prefix("=>") else { return };
        rest = match quoted(after) {
            Some((value, after)) => {
                submission.push_field(key.into(), value.into());
                after
            }
            None => after.strip_prefix("NULL").unwrap_or(""),
        };
        rest = rest.trim_start_matches([',', ' ']);
    }
}

/// A quoted string at the start of `text`, unescaped, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// Now, for the engine: the transaction's start, in microseconds since the Unix epoch.
pub fn now() -> i64 {
    // SAFETY: plain call.
    unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }.saturating_add(EPOCH_OFFSET)
}

/// A hash of the watched columns together.
pub fn fingerprint(protection: &Protection, row: Row<'_>) -> u64 {
    let each = protection.watched.iter().map(|(_, column)| hash_of(row, *column));
    each.fold(0, |all, one| (all.rotate_left(5) ^ one).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A hash of each watched column by name, to tell later whether the row was edited, whatever has
/// become of the mapping by then.
pub fn fingerprints(protection: &Protection, row: Row<'_>) -> serde_json::Value {
    let each = protection.watched.iter();
    each.map(|(name, column)| (name.clone(), serde_json::Value::from(hash_of(row, *column))))
        .collect()
}

/// A hash of one column's text.
pub fn hash_of(row: Row<'_>, column: Column) -> u64 {
    match row.text_borrowed(column) {
        Some(text) => xxhash_rust::xxh3::xxh3_64(text.as_bytes()),
        None => 0,
    }
}

/// The time by the clock, in microseconds since the Unix epoch.
pub fn wall_clock() -> i64 {
    // SAFETY: plain call.
    unsafe { pg_sys::GetCurrentTimestamp() }.saturating_add(EPOCH_OFFSET)
}
