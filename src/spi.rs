//! SQL that the extension itself runs. Every value crosses as UTF-8 bytes, JSON where it has parts, so
//! that databases in other encodings work; nothing is ever pasted into a statement but quoted names.
//! Callers are inside rights::as_extension or rights::as_owner_of, which pin the search_path: that is
//! what makes unqualified built-in functions and operators safe here.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::{OwnedPreparedStatement, Spi, SpiClient, SpiResult, SpiTupleTable};
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

impl Arg<'_> {
    fn type_oid(&self) -> pgrx::PgOid {
        match self {
            Arg::Text(_) => pg_sys::BYTEAOID.into(),
            Arg::Int(_) => pg_sys::INT4OID.into(),
            Arg::Big(_) => pg_sys::INT8OID.into(),
            Arg::Oid(_) => pg_sys::OIDOID.into(),
        }
    }
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

thread_local! {
    /// Plans of statements that are written out in the code, by their text's address.
    static PLANS: RefCell<HashMap<*const u8, OwnedPreparedStatement>> = RefCell::new(HashMap::new());
}

/// Plans a statement of the code once per session, and runs `with` it.
fn planned<T>(
    text: &'static str,
    args: &[Arg<'_>],
    with: impl FnOnce(&OwnedPreparedStatement) -> T,
) -> T {
    let key = text.as_ptr();
    let plan = PLANS.with_borrow_mut(|plans| plans.remove(&key)).unwrap_or_else(|| {
        let types: Vec<pgrx::PgOid> = args.iter().map(Arg::type_oid).collect();
        Spi::connect_mut(|client| match client.prepare_mut(text, &types) {
            Ok(plan) => plan.keep(),
            Err(error) => pgrx::error!("pg_spamcheck could not prepare a statement: {error}"),
        })
    });
    // Not borrowed while it runs: what it fires may come back here.
    let result = with(&plan);
    PLANS.with_borrow_mut(|plans| plans.insert(key, plan));
    result
}

/// Runs a query whose one column is `convert_to(…, 'UTF8')`; reads with the newest snapshot, also
/// in a transaction that keeps an older one, because settings count from their commit on.
pub fn texts_now(query: &'static str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    planned(query, args, |plan| read_now(|client| client.select(plan, None, &datums(args))))
}

fn read_now(
    select: impl for<'c> FnOnce(&'c SpiClient<'c>) -> SpiResult<SpiTupleTable<'c>>,
) -> Vec<Option<String>> {
    // SAFETY: the snapshot is popped again on success; on an error the abort does it.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let rows = Spi::connect(|client| match select(client) {
        Ok(table) => texts(table),
        Err(error) => pgrx::error!("pg_spamcheck could not read its tables: {error}"),
    });
    // SAFETY: pairs with the push above.
    unsafe { pg_sys::PopActiveSnapshot() };
    rows
}

/// The first row of [`texts_now`].
pub fn text_now(query: &'static str, args: &[Arg<'_>]) -> Option<String> {
    texts_now(query, args).into_iter().next().flatten()
}

/// [`text_now`] for a query that is made up as needed.
pub fn text_once(query: &str, args: &[Arg<'_>]) -> Option<String> {
    // In the database's encoding, which names in it may need.
    let query = row::to_server(query);
    read_now(|client| client.select(query.as_c_str(), None, &datums(args)))
        .into_iter()
        .next()
        .flatten()
}

/// The first row of [`texts_now`], read as JSON.
pub fn json_now<T: DeserializeOwned>(query: &'static str, args: &[Arg<'_>]) -> Option<T> {
    text_now(query, args).map(|text| parse(&text))
}

/// The first row of [`text_once`], read as JSON.
pub fn json_once<T: DeserializeOwned>(query: &str, args: &[Arg<'_>]) -> Option<T> {
    text_once(query, args).map(|text| parse(&text))
}

fn parse<T: DeserializeOwned>(text: &str) -> T {
    match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => pgrx::error!("pg_spamcheck could not understand its own tables: {error}"),
    }
}

/// Runs a statement that may write and gives back its one column, `convert_to(…, 'UTF8')`.
pub fn write_returning(statement: &'static str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    planned(statement, args, |plan| {
        Spi::connect_mut(|client| match client.update(plan, None, &datums(args)) {
            Ok(table) => texts(table),
            Err(error) => pgrx::error!("pg_spamcheck could not write: {error}"),
        })
    })
}

/// Runs a statement that may write; the number of rows.
pub fn write(statement: &str, args: &[Arg<'_>]) -> usize {
    let statement = row::to_server(statement);
    Spi::connect_mut(|client| match client.update(statement.as_c_str(), None, &datums(args)) {
        Ok(table) => table.len(),
        Err(error) => pgrx::error!("pg_spamcheck could not write: {error}"),
    })
}

/// Runs a statement of the code that may write, with one JSON text. What the database's encoding does
/// not have is replaced: a log must not fail over a character.
pub fn write_json(statement: &'static str, json: &str) -> Option<String> {
    let fitting = row::fitting(json);
    write_returning(statement, &[Arg::Text(&fitting)]).into_iter().next().flatten()
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
