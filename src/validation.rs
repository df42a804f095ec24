//! The triggers on the extension's own tables: what is written there is checked at once, and every
//! session hears of it at commit. Owns the way from a row to the checks of its table, in the folder beside
//! it; what a policy, an option or an entry may be is the engine's to say.

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::{pg_sys, prelude::*};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;

use crate::calls;
use crate::catalogue;
use crate::lookups;
use crate::packed;
use crate::references;
use crate::report;
use crate::restore;
use crate::row::{Column, Reader, Row};
use crate::rulebook;
use crate::trigger::{self, Event, Trigger, VERSION_1};

mod check_settings;
mod intervals;
pub mod lists;
mod policies;

/// The version-1 calling convention's record for `spamcheck_valid`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_valid() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_changed`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_changed() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_emptied`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_emptied() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_completed`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_completed() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_queued`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_queued() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// AFTER STATEMENT on the queue: the worker hears of it at commit.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_queued(
    _fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    if restore::running() && !references::unchecked() {
        lookups::nobody_has_them();
    }
    calls::call_worker_at_commit();
    pg_sys::Datum::null()
}

/// AFTER STATEMENT: tells all sessions.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_changed(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the functions check the protocol.
    let (table, takes_away) =
        unsafe { (trigger::table_of(fcinfo), trigger::takes_rows_away(fcinfo)) };
    if table == "list_entry" {
        packed::touched();
    }
    if table == "_protection" {
        // In a restore, lookups may have waited for it.
        calls::call_worker_at_commit();
    }
    if table == "check_setting" && takes_away && !references::unchecked() && !restore::running() {
        references::warn_of_missing_settings();
    }
    rulebook::announce_change();
    pg_sys::Datum::null()
}

/// AFTER ROW: a policy made by plain INSERT gets its settings. Those of a dump come with it.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_completed(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: Trigger checks the protocol.
    let trigger = unsafe { Trigger::of(fcinfo) };
    if !references::unchecked() && !restore::running() {
        catalogue::complete_policy(text(&trigger.new_row_json(), "name"));
    }
    pg_sys::Datum::null()
}

/// BEFORE TRUNCATE of policies or lists: as if each row were deleted.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_emptied(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the function checks the protocol.
    let table = unsafe { trigger::table_to_empty(fcinfo) };
    references::drop_all_dependents(&table);
    pg_sys::Datum::null()
}

/// BEFORE ROW: refuses what makes no sense, with a sentence.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_valid(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: Trigger checks the protocol.
    let trigger = unsafe { Trigger::of(fcinfo) };
    if references::unchecked() {
        return trigger.unchanged();
    }
    if trigger.table_name() == "list_entry" {
        // Lists come by the hundred thousand.
        // SAFETY: the row is of the relation's type, and both columns are text.
        let (list, value) = unsafe {
            let row = Row::of_tuple(trigger.new_tuple(), trigger.tupdesc());
            (text_of(&trigger, row, c"list"), text_of(&trigger, row, c"value"))
        };
        if let Err(refusal) = lists::valid_entry(&list, &value) {
            report::refuse_value(refusal);
        }
        return trigger.unchanged();
    }
    let row = trigger.new_row_json();
    let old = (trigger.event == Event::Update).then(|| trigger.old_row_json());
    if trigger.event == Event::Delete {
        references::drop_dependents(&trigger.table_name(), text(&row, "name"));
        return trigger.unchanged();
    }
    let checked = match trigger.table_name().as_str() {
        "policy" => policies::valid(old.as_ref(), &row),
        "check_setting" => check_settings::valid(old.as_ref(), &row),
        "list" => lists::valid(old.as_ref(), &row),
        other => Err(Refusal::new(format!("table \"{other}\" is not checked by this trigger"))),
    };
    if let Err(refusal) = checked {
        report::refuse_value(refusal);
    }
    if let Some(old) = &old {
        references::rename_dependents(&trigger.table_name(), old, &row);
    }
    if !restore::running() {
        references::remember_anew(&trigger.table_name(), old.as_ref(), &row);
    }
    if trigger.event == Event::Insert {
        restore::give_way(&trigger.table_name(), &row);
    }
    trigger.unchanged()
}

fn text<'a>(row: &'a Json, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

/// A text column of our own tables; empty: NULL.
///
/// # Safety
/// The row must be the trigger's, and the column of type text.
unsafe fn text_of<'r>(trigger: &Trigger, row: Row<'r>, name: &CStr) -> Cow<'r, str> {
    // SAFETY: the caller's promise; the relation is open.
    unsafe {
        let number = pg_sys::SPI_fnumber(trigger.tupdesc(), name.as_ptr());
        let Ok(index) = usize::try_from(number - 1) else { return Cow::Borrowed("") };
        let column =
            Column { index, type_oid: pg_sys::TEXTOID, modifier: -1, reader: Reader::Text };
        row.text_borrowed(column).unwrap_or_default()
    }
}
