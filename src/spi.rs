//! SQL that the extension itself runs. Every value crosses as UTF-8 bytes, JSON where it has parts, so
//! that databases in other encodings work; nothing is ever pasted into a statement but quoted names.
//! Callers are inside rights::as_extension or rights::as_owner_of, which pin the search_path: that is
//! what makes unqualified built-in functions and operators safe here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::{IntoDatum, PgSqlErrorCode, pg_sys};
use serde::de::DeserializeOwned;
use spamcheck_engine::Refusal;

use crate::{report, row, subtransaction};

/// How often a statement is run that meets rows which somebody else is just changing.
const TRIES: u32 = 20;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// UTF-8 text, to be used as `convert_from($n, 'UTF8')`.
    Text(&'a str),
    /// The text form of a value, to be used as `$n::type`. Compared with a column it goes by the column's
    /// collation, and by its index: what convert_from gives has a collation of its own, "C".
    Value(&'a str),
    /// integer
    Int(i32),
    /// bigint
    Big(i64),
    /// oid
    Oid(pg_sys::Oid),
    /// timestamptz, in microseconds since the Unix epoch
    Time(i64),
}

impl Arg<'_> {
    fn type_oid(&self) -> pg_sys::Oid {
        match self {
            Arg::Text(_) => pg_sys::BYTEAOID,
            Arg::Value(_) => pg_sys::TEXTOID,
            Arg::Int(_) => pg_sys::INT4OID,
            Arg::Big(_) => pg_sys::INT8OID,
            Arg::Oid(_) => pg_sys::OIDOID,
            Arg::Time(_) => pg_sys::TIMESTAMPTZOID,
        }
    }

    fn datum(&self) -> pg_sys::Datum {
        match *self {
            Arg::Text(text) => text.as_bytes().into_datum().unwrap_or(pg_sys::Datum::null()),
            Arg::Value(text) => text_datum(text),
            Arg::Int(number) => number.into(),
            Arg::Big(number) => number.into(),
            Arg::Oid(oid) => oid.into(),
            Arg::Time(time) => time.saturating_sub(row::EPOCH_OFFSET).into(),
        }
    }
}

/// A parameter for each of the texts: [`Arg::Value`].
pub fn values(texts: &[impl AsRef<str>]) -> Vec<Arg<'_>> {
    texts.iter().map(|text| Arg::Value(text.as_ref())).collect()
}

/// A text in the database's encoding, of type text.
pub fn text_datum(text: &str) -> pg_sys::Datum {
    let text = row::to_server(text);
    // SAFETY: makes a text of a C string, in the current memory context.
    unsafe { pg_sys::Datum::from(pg_sys::cstring_to_text(text.as_ptr())) }
}

thread_local! {
    /// Plans of statements that are written out in the code, by their text's address.
    static PLANS: RefCell<HashMap<*const u8, pg_sys::SPIPlanPtr>> = RefCell::new(HashMap::new());
    /// Plans of queries that are made up: one for each protected table and layout of it.
    static BY_TEXT: RefCell<HashMap<String, pg_sys::SPIPlanPtr>> = RefCell::new(HashMap::new());
}

/// Runs a query with the newest snapshot, also in a transaction that keeps an older one: settings count
/// from their commit on. pgrx's own select goes back to the older one once the transaction has written.
fn with_newest<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the snapshot is popped again on success; on an error the abort does it.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let result = work();
    // SAFETY: pairs with the push above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Runs `work` connected to the server's SPI; an error ends the connection with its (sub)transaction.
fn connected<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: connect and finish pair up.
    unsafe {
        pg_sys::SPI_connect();
        let result = work();
        pg_sys::SPI_finish();
        result
    }
}

fn prepare(text: &CStr, args: &[Arg<'_>]) -> pg_sys::SPIPlanPtr {
    let mut types: Vec<pg_sys::Oid> = args.iter().map(Arg::type_oid).collect();
    // SAFETY: connected; the server copies the text and the types.
    let plan =
        unsafe { pg_sys::SPI_prepare(text.as_ptr(), types.len() as i32, types.as_mut_ptr()) };
    if plan.is_null() {
        // SAFETY: the code of the failure is in this variable.
        pgrx::error!("pg_spamcheck could not prepare a statement: SPI says {}", unsafe {
            pg_sys::SPI_result
        });
    }
    plan
}

/// The kept plan of a statement of the code.
fn kept(text: &'static str, args: &[Arg<'_>]) -> pg_sys::SPIPlanPtr {
    let key = text.as_ptr();
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).copied()) {
        return plan;
    }
    let plan = prepare(&row::to_server(text), args);
    // SAFETY: a plan that SPI_prepare made.
    unsafe { pg_sys::SPI_keepplan(plan) };
    PLANS.with_borrow_mut(|plans| plans.insert(key, plan));
    plan
}

/// Runs a plan: the texts in its one column if it gives rows, and how many rows there were.
fn execute(
    plan: pg_sys::SPIPlanPtr,
    args: &[Arg<'_>],
    read_only: bool,
) -> (Vec<Option<String>>, usize) {
    let mut values: Vec<pg_sys::Datum> = args.iter().map(Arg::datum).collect();
    // SAFETY: connected; the values are of the plan's types, and none is NULL.
    unsafe {
        let status =
            pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), std::ptr::null(), read_only, 0);
        if status < 0 {
            pgrx::error!("pg_spamcheck could not run a statement: SPI says {status}");
        }
        let count = pg_sys::SPI_processed as usize;
        let table = pg_sys::SPI_tuptable;
        if table.is_null() {
            return (Vec::new(), count);
        }
        let texts = (0..count).map(|n| {
            let mut null = false;
            let tuple = *(*table).vals.add(n);
            let datum = pg_sys::SPI_getbinval(tuple, (*table).tupdesc, 1, &mut null);
            (!null).then(|| String::from_utf8_lossy(row::bytes_of_datum(datum)).into_owned())
        });
        (texts.collect(), count)
    }
}

/// A row that a statement gives.
pub struct Found {
    /// The row.
    pub tuple: pg_sys::HeapTuple,
    /// Its type.
    pub tupdesc: pg_sys::TupleDesc,
}

impl Found {
    /// A column's value, counted from 1; None: NULL.
    pub fn datum(&self, column: i32) -> Option<pg_sys::Datum> {
        let mut null = false;
        // SAFETY: the tuple is of that type, and the server checks the column's number.
        let datum = unsafe { pg_sys::SPI_getbinval(self.tuple, self.tupdesc, column, &mut null) };
        (!null).then_some(datum)
    }
}

/// Runs a statement of the code, which may write, with the newest snapshot whatever the transaction's
/// isolation, and hands over its rows.
pub fn rows_newest<T>(
    statement: &'static str,
    args: &[Arg<'_>],
    each: impl FnMut(&Found) -> T,
) -> Vec<T> {
    connected(|| {
        let plan = kept(statement, args);
        let mut values: Vec<pg_sys::Datum> = args.iter().map(Arg::datum).collect();
        // SAFETY: connected; the values are of the plan's types, and none is NULL; the server copies
        // the snapshot before it moves it on to the command at hand.
        let status = unsafe {
            pg_sys::SPI_execute_snapshot(
                plan,
                values.as_mut_ptr(),
                std::ptr::null(),
                pg_sys::GetLatestSnapshot(),
                std::ptr::null_mut(),
                false,
                true,
                0,
            )
        };
        hand_over(status, each)
    })
}

/// Runs a query once, with these values, and hands over its rows.
pub type Run<'r> = &'r mut dyn FnMut(&[Arg<'_>], &mut dyn FnMut(&Found));

/// Runs queries that are the same but for their values, with the newest snapshot; their plan is kept
/// by the query's text. `work` runs it as often as it likes, through the function that it is given.
pub fn repeatedly<T>(query: &str, work: impl FnOnce(Run<'_>) -> T) -> T {
    with_newest(|| {
        connected(|| {
            work(&mut |args, each| {
                let plan = kept_by_text(query, args);
                let mut values: Vec<pg_sys::Datum> = args.iter().map(Arg::datum).collect();
                // SAFETY: connected; the values are of the plan's types, and none is NULL; what was
                // found is freed once it was handed over.
                unsafe {
                    let (values, nulls) = (values.as_mut_ptr(), std::ptr::null());
                    let status = pg_sys::SPI_execute_plan(plan, values, nulls, true, 0);
                    hand_over(status, each);
                    pg_sys::SPI_freetuptable(pg_sys::SPI_tuptable);
                }
            })
        })
    })
}

/// Runs a statement that is made up as needed and may write, and hands over its rows; its plan is kept by its
/// text.
pub fn rows_kept<T>(query: &str, args: &[Arg<'_>], each: impl FnMut(&Found) -> T) -> Vec<T> {
    connected(|| {
        let plan = kept_by_text(query, args);
        let mut values: Vec<pg_sys::Datum> = args.iter().map(Arg::datum).collect();
        // SAFETY: connected; the values are of the plan's types, and none is NULL.
        let status = unsafe {
            pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), std::ptr::null(), false, 0)
        };
        hand_over(status, each)
    })
}

fn hand_over<T>(status: i32, mut each: impl FnMut(&Found) -> T) -> Vec<T> {
    if status < 0 {
        pgrx::error!("pg_spamcheck could not run a statement: SPI says {status}");
    }
    // SAFETY: the results of the statement that has just run; `each` may run others of its own, which
    // have their own table.
    unsafe {
        let (count, table) = (pg_sys::SPI_processed as usize, pg_sys::SPI_tuptable);
        if table.is_null() {
            return Vec::new();
        }
        let rows = (0..count)
            .map(|n| each(&Found { tuple: *(*table).vals.add(n), tupdesc: (*table).tupdesc }));
        let rows = rows.collect();
        pg_sys::SPI_tuptable = table;
        rows
    }
}

/// The kept plan of a query that is made up as needed.
fn kept_by_text(query: &str, args: &[Arg<'_>]) -> pg_sys::SPIPlanPtr {
    if let Some(plan) = BY_TEXT.with_borrow(|plans| plans.get(query).copied()) {
        return plan;
    }
    let plan = prepare(&row::to_server(query), args);
    // SAFETY: plans that SPI_prepare made; none of the old ones is running, since it was not found.
    unsafe { pg_sys::SPI_keepplan(plan) };
    BY_TEXT.with_borrow_mut(|plans| plans.insert(query.to_owned(), plan));
    plan
}

/// Runs a query of the code whose one column is `convert_to(…, 'UTF8')`, with the newest snapshot.
pub fn texts_now(query: &'static str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    with_newest(|| connected(|| execute(kept(query, args), args, true).0))
}

/// The first row of [`texts_now`].
pub fn text_now(query: &'static str, args: &[Arg<'_>]) -> Option<String> {
    texts_now(query, args).into_iter().next().flatten()
}

/// [`text_now`] for a query that is made up as needed.
pub fn text_once(query: &str, args: &[Arg<'_>]) -> Option<String> {
    // In the database's encoding, which names in it may need.
    let query = row::to_server(query);
    with_newest(|| connected(|| execute(prepare(&query, args), args, true).0))
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

/// Runs a statement of the code that may write and gives back its one column, `convert_to(…, 'UTF8')`. It
/// sees the newest state of our tables at every isolation level: what the worker has done to its queue
/// since a transaction began is no conflict about the user's rows.
pub fn write_returning(statement: &'static str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    // SAFETY: a static of the server.
    let keeps_its_snapshot =
        unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as std::ffi::c_int;
    if !keeps_its_snapshot {
        return connected(|| execute(kept(statement, args), args, false).0);
    }
    for _ in 1..TRIES {
        match subtransaction::attempt(AssertUnwindSafe(|| write_newest(statement, args))) {
            Ok(texts) => return texts,
            // The worker was at it just then: with a snapshot of now it has been.
            Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE => {}
            Err(failure) => report::refuse(failure.code, Refusal::new(failure.message)),
        }
        pgrx::check_for_interrupts!();
    }
    write_newest(statement, args)
}

fn write_newest(statement: &'static str, args: &[Arg<'_>]) -> Vec<Option<String>> {
    rows_newest(statement, args, |found| {
        let datum = found.datum(1)?;
        // SAFETY: the column is bytea.
        Some(String::from_utf8_lossy(unsafe { row::bytes_of_datum(datum) }).into_owned())
    })
}

/// Runs a statement that may write and is made up as needed; the number of rows.
pub fn write(statement: &str, args: &[Arg<'_>]) -> usize {
    let statement = row::to_server(statement);
    connected(|| execute(prepare(&statement, args), args, false).1)
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
