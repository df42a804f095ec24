//! How the extension speaks to clients: the error of a refused submission (message, DETAIL as JSON,
//! HINT, SQLSTATE, constraint), and refusals of bad input as errors. No other file chooses a SQLSTATE
//! or words a public message; what a spammer must not learn stays out of them.

use std::ffi::{c_char, c_int};
use std::panic::UnwindSafe;

use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::{PgLogLevel, PgSqlErrorCode, PgTryBuilder, function_name, pg_sys};
use spamcheck_engine::refusal::Refusal;

use crate::row;

/// The constraint that a rejection names.
pub const REJECT_CONSTRAINT: &str = "spamcheck_reject";

/// The constraint that the refusal of a sender who tries too often names.
pub const RATE_LIMIT_CONSTRAINT: &str = "spamcheck_rate_limit";

/// The constraint that the refusal of who has a captcha to solve names.
pub const CAPTCHA_CONSTRAINT: &str = "spamcheck_captcha";

/// A rejection, in memory of the server: raising it must leave no Rust value behind.
#[derive(Clone, Copy)]
pub struct Rejection {
    sqlstate: c_int,
    message: *mut c_char,
    detail: *mut c_char,
    hint: *mut c_char,
    constraint: *mut c_char,
    schema: *mut c_char,
    table: *mut c_char,
}

/// What a submission is refused for.
pub enum Ground {
    /// What is in it; findings are in the log file alone, or not.
    Content {
        /// Whether they are.
        filed: bool,
    },
    /// Nothing: it could not be judged, and the policy takes none that are not.
    Unjudged,
    /// Its sender tried too often, and may try again after so many seconds.
    TooOften(i64),
    /// Nothing, once its visitor has solved a captcha.
    Challenge {
        /// The challenge, as the app gets it.
        challenge: serde_json::Value,
        /// Whether the answer comes in a column, not in the session's setting.
        mapped: bool,
    },
}

/// Prepares the rejection of a submission to `relation` (its display name, and its two parts).
/// `sqlstate` is the policy's five characters.
pub fn rejection(
    ground: Ground,
    relation: &str,
    schema: &str,
    table: &str,
    sqlstate: &str,
) -> Rejection {
    let (constraint, message, hint) = match &ground {
        Ground::Content { filed } => (
            REJECT_CONSTRAINT,
            "This submission was refused as spam.",
            if *filed {
                "Change its content and try again. Moderators find it, with the reason, in the log file of pg_spamcheck."
            } else {
                "Change its content and try again. Moderators find it, with the reason, in spamcheck.spam_checklog."
            },
        ),
        Ground::Unjudged => (
            REJECT_CONSTRAINT,
            "This submission cannot be checked for spam at the moment.",
            "Nothing is wrong with it: pg_spamcheck is not in shared_preload_libraries, and the policy's on_error is reject.",
        ),
        Ground::TooOften(_) => (
            RATE_LIMIT_CONSTRAINT,
            "Sorry, please wait a minute and try again",
            "The DETAIL has the seconds to wait as retry_after. The limit is check rate_limit in spamcheck.check_setting.",
        ),
        Ground::Challenge { mapped, .. } => (
            CAPTCHA_CONSTRAINT,
            "Please solve the captcha and send this again.",
            if *mapped {
                "The DETAIL has the challenge. Repeat the statement with its answer in the column that is mapped to captcha."
            } else {
                "The DETAIL has the challenge. SET LOCAL pg_spamcheck.captcha to its answer and repeat the statement."
            },
        ),
    };
    let mut detail = serde_json::json!({ "code": constraint, "relation": relation });
    match ground {
        Ground::Content { .. } | Ground::Unjudged => {}
        Ground::TooOften(seconds) => detail["retry_after"] = seconds.into(),
        Ground::Challenge { challenge, .. } => detail["challenge"] = challenge,
    }
    Rejection {
        sqlstate: pack_sqlstate(sqlstate),
        message: palloc_text(message),
        detail: palloc_text(&detail.to_string()),
        hint: palloc_text(hint),
        constraint: palloc_text(constraint),
        schema: palloc_text(schema),
        table: palloc_text(table),
    }
}

fn palloc_text(text: &str) -> *mut c_char {
    let text = row::to_server(&row::fitting(text));
    // SAFETY: pstrdup copies a valid C string into the current memory context.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}

/// Five characters to the server's packed form (MAKE_SQLSTATE); not five: check_violation.
fn pack_sqlstate(text: &str) -> c_int {
    let bytes = text.as_bytes();
    let bytes = if bytes.len() == 5 { bytes } else { b"23514" };
    bytes.iter().rev().fold(0, |packed, b| (packed << 6) + ((c_int::from(*b) - 0x30) & 0x3f))
}

unsafe extern "C-unwind" {
    fn errstart(elevel: c_int, domain: *const c_char) -> bool;
    fn errfinish(filename: *const c_char, lineno: c_int, funcname: *const c_char);
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errmsg(fmt: *const c_char, ...) -> c_int;
    fn errdetail(fmt: *const c_char, ...) -> c_int;
    fn errhint(fmt: *const c_char, ...) -> c_int;
    fn err_generic_string(field: c_int, str: *const c_char) -> c_int;
}

/// Raises a rejection; does not return. pgrx's own reports can carry neither a constraint nor a
/// SQLSTATE of the user's choice.
///
/// # Safety
/// Jumps over the caller's frame: no value with a destructor may be alive there.
pub unsafe fn raise(rejection: &Rejection) -> ! {
    // SAFETY: the ereport sequence of elog.h with C strings made by palloc_text.
    unsafe {
        errstart(PgLogLevel::ERROR as c_int, std::ptr::null());
        errcode(rejection.sqlstate);
        errmsg(c"%s".as_ptr(), rejection.message);
        errdetail(c"%s".as_ptr(), rejection.detail);
        errhint(c"%s".as_ptr(), rejection.hint);
        err_generic_string(pg_sys::PG_DIAG_CONSTRAINT_NAME as c_int, rejection.constraint);
        err_generic_string(pg_sys::PG_DIAG_SCHEMA_NAME as c_int, rejection.schema);
        err_generic_string(pg_sys::PG_DIAG_TABLE_NAME as c_int, rejection.table);
        errfinish(c"report.rs".as_ptr(), 0, c"raise".as_ptr());
    }
    unreachable!("errfinish(ERROR) does not return")
}

/// Raises a refusal of bad input as an error with the given code.
#[track_caller]
pub fn refuse(code: PgSqlErrorCode, refusal: Refusal) -> ! {
    let message = in_any_encoding(refusal.message);
    let mut report = ErrorReport::new(code, message, function_name!());
    if let Some(detail) = refusal.detail {
        report = report.set_detail(in_any_encoding(detail));
    }
    if let Some(hint) = refusal.hint {
        report = report.set_hint(in_any_encoding(hint));
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Raises a refusal of a value that an option, a column or an argument does not take.
#[track_caller]
pub fn refuse_value(refusal: Refusal) -> ! {
    refuse(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, refusal)
}

/// Runs `work`; an error of the server with that code leaves it with a hint besides.
pub fn with_hint<T>(
    code: PgSqlErrorCode,
    hint: &'static str,
    work: impl FnOnce() -> T + UnwindSafe,
) -> T {
    PgTryBuilder::new(work)
        .catch_when(code, move |error| match error {
            CaughtError::PostgresError(error) => {
                let report = ErrorReport::new(code, error.message().to_owned(), function_name!());
                let report = match error.detail() {
                    Some(detail) => report.set_detail(detail),
                    None => report,
                };
                report.set_hint(hint).report(PgLogLevel::ERROR);
                unreachable!("an ERROR does not return")
            }
            other => other.rethrow(),
        })
        .execute()
}

/// An error leaves Rust as UTF-8 whatever the database's encoding is: where that is another one, what is
/// not ASCII is written as JSON escapes it.
fn in_any_encoding(text: String) -> String {
    if text.is_ascii() || row::any_text_fits() {
        return text;
    }
    let text = text.replace('…', "...");
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_ascii() => escaped.push(character),
            _ => character
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    escaped
}

/// A NOTICE to whoever called.
pub fn notice(text: &str) {
    say(PgLogLevel::NOTICE, PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, text, None, None);
}

/// [`notice`], with what to do about it.
pub fn notice_with_hint(text: &str, hint: &str) {
    let code = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
    say(PgLogLevel::NOTICE, code, text, None, Some(hint));
}

/// A line for the server's log and the client.
pub fn warn(code: PgSqlErrorCode, message: String, detail: String, hint: &str) {
    say(PgLogLevel::WARNING, code, &message, Some(&detail), Some(hint));
}

/// A line for the server's log alone.
pub fn log(code: PgSqlErrorCode, message: &str, detail: &str) {
    say(PgLogLevel::LOG, code, message, Some(detail), None);
}

/// Reports below an error, in the database's encoding: pgrx's own hands over UTF-8 as it is.
fn say(
    level: PgLogLevel,
    code: PgSqlErrorCode,
    message: &str,
    detail: Option<&str>,
    hint: Option<&str>,
) {
    let message = palloc_text(message);
    let detail = detail.map_or(std::ptr::null_mut(), palloc_text);
    let hint = hint.map_or(std::ptr::null_mut(), palloc_text);
    // SAFETY: the ereport sequence of elog.h with C strings made by palloc_text; an interrupt that is
    // served at its end passes no value with a destructor.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            if errstart(level as c_int, std::ptr::null()) {
                errcode(code as c_int);
                errmsg(c"%s".as_ptr(), message);
                if !detail.is_null() {
                    errdetail(c"%s".as_ptr(), detail);
                }
                if !hint.is_null() {
                    errhint(c"%s".as_ptr(), hint);
                }
                errfinish(c"report.rs".as_ptr(), 0, c"say".as_ptr());
            }
        });
        pg_sys::pfree(message.cast());
        [detail, hint]
            .into_iter()
            .filter(|text| !text.is_null())
            .for_each(|text| pg_sys::pfree(text.cast()));
    }
}
