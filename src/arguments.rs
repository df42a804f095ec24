//! What the SQL functions have in common: arguments that must be given, jsonb in databases of any encoding,
//! and the refusal when the library was not preloaded. Owns no function of its own.

use pgrx::{AnyElement, FromDatum, PgSqlErrorCode, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;

use crate::{report, row, settings, shared};

/// Fails unless the library was preloaded.
pub fn preloaded() {
    if shared::shared().is_none() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new("pg_spamcheck must be in shared_preload_libraries")
                .with_detail("Its background worker and shared memory are set up when the server starts.")
                .with_hint(format!(
                    "Add {} to postgresql.conf (after what is there already, separated by a comma) and restart the server.",
                    settings::PRELOAD_LINE
                )),
        );
    }
}

/// A jsonb argument. pgrx's own type reads UTF-8 only, and databases have other encodings.
pub fn json(argument: AnyElement) -> Json {
    // SAFETY: the function is declared with a jsonb argument; jsonb_out gives a C string.
    let text = unsafe {
        pgrx::direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(argument.datum())]).map(|c| {
            row::from_server(std::ffi::CStr::from_ptr(c.cast_mut_ptr()).to_bytes()).into_owned()
        })
    };
    text.map(|text| parsed(&text)).unwrap_or_default()
}

/// The JSON that the server gave.
pub fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| {
        // Whatever the server takes as JSON is one, but for its depth.
        report::refuse_value(Refusal::new("the JSON is nested deeper than 127 levels").with_hint(
            "Rows of a protected table may hold such JSON; arguments and settings may not.",
        ))
    })
}

/// An argument that must be given; refused if it is NULL.
pub fn given<T>(argument: Option<T>, name: &str) -> T {
    argument.unwrap_or_else(|| {
        report::refuse(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Refusal::new(format!("argument \"{name}\" must not be NULL"))
                .with_hint("\\df spamcheck.* shows the arguments of each function."),
        )
    })
}

/// A jsonb value, in the database's encoding; None: NULL.
pub fn jsonb(json: &Json) -> Option<AnyElement> {
    if json.is_null() {
        return None;
    }
    let text = json.to_string();
    let datum = row::input(pg_sys::JSONBOID, -1, &row::fitting(&text));
    // SAFETY: a value of that type.
    unsafe { AnyElement::from_polymorphic_datum(datum, false, pg_sys::JSONBOID) }
}
