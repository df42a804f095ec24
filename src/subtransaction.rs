//! The one place where an error of the server is caught. Catching without a subtransaction would leave
//! locks, buffers and half-done writes behind, so the two go together and nothing else calls
//! BeginInternalSubTransaction.

use std::panic::{AssertUnwindSafe, UnwindSafe};

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

/// An error as its reader needs it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The error's SQLSTATE class.
    pub code: PgSqlErrorCode,
    /// The primary message.
    pub message: String,
}

/// Runs `work` in a subtransaction: its result is kept, an error rolls back what it did and is
/// returned. A cancel, a statement_timeout and a shutdown are not caught: they are not about `work`.
pub fn attempt<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, Failure> {
    // SAFETY: the sequence is that of PL/pgSQL's exception blocks: begin, run, release or roll back,
    // then restore the memory context and resource owner that the caller had.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let outcome = PgTryBuilder::new(AssertUnwindSafe(|| Ok(work())))
            .catch_others(|error| match error {
                CaughtError::PostgresError(e) | CaughtError::ErrorReport(e) => Err(Box::new(e)),
                CaughtError::RustPanic { ereport, .. } => Err(Box::new(ereport)),
            })
            .catch_rust_panic(|error| match error {
                CaughtError::PostgresError(e) | CaughtError::ErrorReport(e) => Err(Box::new(e)),
                CaughtError::RustPanic { ereport, .. } => Err(Box::new(ereport)),
            })
            .execute();
        match outcome {
            Ok(value) => {
                pg_sys::ReleaseCurrentSubTransaction();
                pg_sys::MemoryContextSwitchTo(context);
                pg_sys::CurrentResourceOwner = owner;
                Ok(value)
            }
            Err(error) => {
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
                pg_sys::MemoryContextSwitchTo(context);
                pg_sys::CurrentResourceOwner = owner;
                rethrow_stops(error)
            }
        }
    }
}

fn rethrow_stops<T>(error: Box<ErrorReportWithLevel>) -> Result<T, Failure> {
    let code = error.sql_error_code();
    if matches!(
        code,
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED
            | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
    ) {
        CaughtError::PostgresError(*error).rethrow();
    }
    Err(Failure { code, message: error.message().to_string() })
}
