//! The `#[pg_test]` suites: what only the inside of a server can show, such as values as they lie in
//! memory, whose rights a piece of work has, and what a caught error leaves behind. Each test is a
//! function that runs in a transaction of its own, which is rolled back. What takes commits, several
//! sessions or the network is in `tests/`. This file holds the ways to ask the server from Rust.

mod keys;
mod mailbox;
mod rights;
mod subtransactions;
mod values;

use std::panic::AssertUnwindSafe;

use pgrx::{Spi, pg_sys};

use crate::row::{self, Column, Row};
use crate::subtransaction::{self, Failure};

/// Runs statements that must succeed.
fn run(script: &str) {
    if let Err(error) = Spi::run(script) {
        panic!("{script}: {error}");
    }
}

/// The first column of a query's one row, as text.
fn text(query: &str) -> String {
    match Spi::get_one::<String>(&format!("SELECT ({query})::text")) {
        Ok(found) => found.unwrap_or_else(|| "NULL".to_owned()),
        Err(error) => panic!("{query}: {error}"),
    }
}

/// The error that `work` ends with.
fn failure(work: impl FnOnce()) -> Failure {
    match subtransaction::attempt(AssertUnwindSafe(work)) {
        Ok(()) => panic!("it should have failed"),
        Err(failure) => failure,
    }
}

/// Hands the one row of a query, and its columns as a trigger would bind them, to `look`.
fn with_row<T>(query: &str, look: impl FnOnce(Row<'_>, &[Column]) -> T) -> T {
    Spi::connect_mut(|client| {
        client.update(query, None, &[]).unwrap_or_else(|error| panic!("{query}: {error}"));
        // SAFETY: the query's rows are those of the SPI call just made, which lasts until the end of this
        // closure; the descriptor describes them.
        unsafe {
            let rows = pg_sys::SPI_tuptable;
            assert_eq!((*rows).numvals, 1, "{query}");
            let tupdesc = (*rows).tupdesc;
            let described = pgrx::PgTupleDesc::from_pg_unchecked(tupdesc);
            let columns: Vec<Column> = described
                .iter()
                .enumerate()
                .map(|(index, attribute)| Column {
                    index,
                    type_oid: attribute.atttypid,
                    modifier: attribute.atttypmod,
                    reader: row::reader(attribute.atttypid),
                })
                .collect();
            look(Row::of_tuple(*(*rows).vals, tupdesc), &columns)
        }
    })
}
