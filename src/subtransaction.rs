//! The one place where an error of the server is caught. Catching without a subtransaction would leave
//! locks, buffers and half-done writes behind, so the two go together and nothing else calls
//! BeginInternalSubTransaction.

use std::panic::{AssertUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};
use spamcheck_engine::Refusal;

/// An error as its reader needs it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The error's SQLSTATE class.
    pub code: PgSqlErrorCode,
    /// The primary message.
    pub message: String,
    /// Its DETAIL.
    pub detail: Option<String>,
    /// Its HINT.
    pub hint: Option<String>,
}

impl From<Failure> for Refusal {
    /// The same error, raised again.
    fn from(failure: Failure) -> Self {
        Self { message: failure.message, detail: failure.detail, hint: failure.hint }
    }
}

/// Runs `work` in a subtransaction: its result is kept, an error rolls back what it did and is
/// returned. A cancel, a statement_timeout and a shutdown are not caught: they are not about `work`.
pub fn attempt<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, Failure> {
    within(work, true)
}

/// [`attempt`] whose doings are rolled back in any case: its result is all that stays.
pub fn rehearse<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, Failure> {
    within(work, false)
}

/// Runs `work`; an error of it, be it a panic, is returned. What the server did for it is as it was when the
/// error came: who calls rolls back.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Box<ErrorReportWithLevel>> {
    fn report<T>(error: CaughtError) -> Result<T, Box<ErrorReportWithLevel>> {
        match error {
            CaughtError::PostgresError(e) | CaughtError::ErrorReport(e) => Err(Box::new(e)),
            CaughtError::RustPanic { ereport, .. } => Err(Box::new(ereport)),
        }
    }
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(work())))
        .catch_others(report)
        .catch_rust_panic(report)
        .execute()
}

fn within<T>(work: impl FnOnce() -> T + UnwindSafe, keep: bool) -> Result<T, Failure> {
    // SAFETY: the sequence is that of PL/pgSQL's exception blocks: begin, run, release or roll back,
    // then restore the memory context and resource owner that the caller had.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        match caught(work) {
            Ok(value) => {
                if keep {
                    pg_sys::ReleaseCurrentSubTransaction();
                } else {
                    pg_sys::RollbackAndReleaseCurrentSubTransaction();
                }
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

/// Runs `work` of a background worker that begins and ends transactions of its own, outside of any: an
/// error rolls back the one that it came from and is returned. What ends the process is not caught.
pub fn attempt_job<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    caught(work).or_else(|error| {
        // SAFETY: as the server's own processes do after an error: everything that the transaction held
        // is given back; outside of one there is nothing to do.
        unsafe {
            pg_sys::AbortCurrentTransaction();
            pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        }
        rethrow_stops(error)
    })
}

unsafe extern "C-unwind" {
    fn enable_timeout_after(id: std::ffi::c_int, delay_ms: std::ffi::c_int);
    fn disable_timeout(id: std::ffi::c_int, keep_indicator: bool);
}

/// The server's timeout that cancels a statement, the same number in all majors.
const STATEMENT_TIMEOUT: std::ffi::c_int = 3;

/// [`attempt`] within a time limit, for background workers, where `statement_timeout` itself does
/// nothing. What takes longer is cancelled and is a failure like any other.
pub fn attempt_within<T>(
    limit: Duration,
    work: impl FnOnce() -> T + UnwindSafe,
) -> Result<T, Failure> {
    let started = Instant::now();
    // SAFETY: the timeout was registered when the process connected to its database.
    unsafe { enable_timeout_after(STATEMENT_TIMEOUT, limit.as_millis() as std::ffi::c_int) };
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| attempt(work)))
        .catch_when(PgSqlErrorCode::ERRCODE_QUERY_CANCELED, |error| {
            if started.elapsed() < limit {
                error.rethrow();
            }
            let message = "canceled since it took too long".to_owned();
            let code = PgSqlErrorCode::ERRCODE_QUERY_CANCELED;
            Err(Failure { code, message, detail: None, hint: None })
        })
        .execute();
    // SAFETY: as above.
    unsafe { disable_timeout(STATEMENT_TIMEOUT, false) };
    outcome
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
    let detail = error.detail().map(str::to_owned);
    let hint = error.hint().map(str::to_owned);
    Err(Failure { code, message: error.message().to_string(), detail, hint })
}
