//! SQL that the extension itself runs. Every value crosses as UTF-8 bytes, JSON where it has parts, so
//! that databases in other encodings work; nothing is ever pasted into a statement but quoted names.
//! Callers are inside rights::as_extension or rights::as_owner_of, which pin the search_path: that is
//! what makes unqualified built-in functions and operators safe here.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::{OwnedPreparedStatement, Spi, SpiTupleTable};
use serde::de::DeserializeOwned;

use crate::row;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// UTF-8 text, to be used as `convert_from($n, 'UTF8')`.
    Text(&'a str),
    /// integer
    Int(i32),
    /// bigint
    Big(i64),
    /// oid
    Oid(pg_sys::Oid),
}

impl<'a> From<&Arg<'a>> for DatumWithOid<'a> {
    fn from(arg: &Arg<'a>) -> Self {
        match *arg {
            Arg::Text(text) => text.as_bytes().into(),
            Arg::Int(number) => number.into(),
            Arg::Big(number) => number.into(),
            Arg::Oid(oid) => oid.into(),
        }
    }
}

fn datums<'a>(args: &[Arg<'a>]) -> Vec<DatumWithOid<'a>> {
    args.iter().map(Into::into).collect()
}

/// Rows of one bytea column, as text.
fn texts(table: SpiTupleTable<'_>) -> Vec<Option<String>> {
    table
        .map(|row| {
            row.get::<&[u8]>(1)
                .ok()
                .flatten()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        })
        .collect()
}

/// Runs a query whose one column is `convert_to(…, 'UTF8')`; reads with the newest snapshot, also
/// in a transaction that keeps an older one, because settings count from their commit on.
pub fn texts_now(query: &str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    // SAFETY: the snapshot is popped again on success; on an error the abort does it.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let rows = Spi::connect(|client| match client.select(query, None, &datums(args)) {
        Ok(table) => texts(table),
        Err(error) => pgrx::error!("pg_spamcheck could not read its tables: {error}"),
    });
    // SAFETY: pairs with the push above.
    unsafe { pg_sys::PopActiveSnapshot() };
    rows
}

/// The first row of [`texts_now`].
pub fn text_now(query: &str, args: &[Arg<'_>]) -> Option<String> {
    texts_now(query, args).into_iter().next().flatten()
}

/// The first row of [`texts_now`], read as JSON.
pub fn json_now<T: DeserializeOwned>(query: &str, args: &[Arg<'_>]) -> Option<T> {
    let text = text_now(query, args)?;
    match serde_json::from_str(&text) {
        Ok(value) => Some(value),
        Err(error) => pgrx::error!("pg_spamcheck could not understand its own tables: {error}"),
    }
}

/// Runs a statement that may write and gives back its one column, `convert_to(…, 'UTF8')`.
pub fn write_returning(statement: &str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    Spi::connect_mut(|client| match client.update(statement, None, &datums(args)) {
        Ok(table) => texts(table),
        Err(error) => pgrx::error!("pg_spamcheck could not write: {error}"),
    })
}

/// Runs a statement that may write; the number of rows.
pub fn write(statement: &str, args: &[Arg<'_>]) -> usize {
    Spi::connect_mut(|client| match client.update(statement, None, &datums(args)) {
        Ok(table) => table.len(),
        Err(error) => pgrx::error!("pg_spamcheck could not write: {error}"),
    })
}

/// A statement that is planned once per session and run with one JSON text.
pub struct Kept {
    statement: &'static str,
    plan: std::cell::OnceCell<OwnedPreparedStatement>,
}

impl Kept {
    /// The statement; `$1` is bytea, to be used as `convert_from($1, 'UTF8')`.
    pub const fn new(statement: &'static str) -> Self {
        Self { statement, plan: std::cell::OnceCell::new() }
    }

    /// Runs it.
    pub fn write(&self, json: &str) {
        self.read(json);
    }

    /// Runs it and gives back the first row of its one column, `convert_to(…, 'UTF8')`, if it has one.
    pub fn read(&self, json: &str) -> Option<String> {
        Spi::connect_mut(|client| {
            let plan = self.plan.get_or_init(|| {
                match client.prepare_mut(self.statement, &[pg_sys::BYTEAOID.into()]) {
                    Ok(plan) => plan.keep(),
                    Err(error) => {
                        pgrx::error!("pg_spamcheck could not prepare a statement: {error}")
                    }
                }
            });
            let fitting = row::fitting(json);
            match client.update(plan, None, &[fitting.as_bytes().into()]) {
                Ok(table) => texts(table).into_iter().next().flatten(),
                Err(error) => pgrx::error!("pg_spamcheck could not write: {error}"),
            }
        })
    }
}

/// An identifier, quoted where SQL needs it.
pub fn quoted(identifier: &str) -> String {
    let plain = identifier.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && identifier.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !is_keyword(identifier) {
        return identifier.to_owned();
    }
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn is_keyword(identifier: &str) -> bool {
    let Ok(name) = std::ffi::CString::new(identifier) else { return true };
    // SAFETY: quote_identifier returns its argument itself exactly when no quotes are needed.
    unsafe { !std::ptr::eq(pg_sys::quote_identifier(name.as_ptr()), name.as_ptr()) }
}
