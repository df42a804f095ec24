//! The BEFORE ROW trigger: row -> submission -> judgement -> pass, mark or refuse. Owns when a row is judged,
//! and with the files of its folder that decision, and nothing that comes after it: what was found waits in the stash until the row is stored. The path
//! of a ham row runs no SQL, takes no lock and allocates nothing worth naming.

mod judging;
mod marking;
mod refusing;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pgrx::{PgMemoryContexts, PgSqlErrorCode, pg_sys};
use spamcheck_engine::policy::{Mode, OnError};

use crate::lookups::Moved;
use crate::protection::Protection;
use crate::report::{self, Rejection};
use crate::row::Row;
use crate::rulebook::{self, Unusable};
use crate::trigger::{Event, Trigger};
use crate::{captcha, decisions, memory, settings, shared, stash, submission};
use judging::{judge, leave_traces};

/// What a call comes to. Rejections are raised outside of all Rust frames.
#[derive(Clone, Copy)]
enum Decision {
    Pass(pg_sys::Datum),
    Refuse(Rejection),
}

/// The server's entry point.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn spamcheck_guard(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: pgrx's guard turns panics into errors; `raise` runs when no Rust value is left.
    unsafe {
        match pg_sys::panic::pgrx_extern_c_guard(|| guard(fcinfo)) {
            Decision::Pass(tuple) => tuple,
            Decision::Refuse(rejection) => report::raise(&rejection),
        }
    }
}

/// The version-1 calling convention's record for `spamcheck_guard`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_guard() -> &'static pg_sys::Pg_finfo_record {
    &crate::trigger::VERSION_1
}

/// What a statement knows of one trigger: kept in `fn_extra`, so one statement sees one policy.
struct Known {
    /// None: rows go in unjudged.
    protection: Option<Rc<Protection>>,
    moved: RefCell<Moved>,
    /// Whether the statement's client knows that nothing is judged.
    warned: Cell<bool>,
}

impl From<Option<Rc<Protection>>> for Known {
    fn from(protection: Option<Rc<Protection>>) -> Self {
        Self { protection, moved: RefCell::default(), warned: Cell::default() }
    }
}

fn guard(fcinfo: pg_sys::FunctionCallInfo) -> Decision {
    // SAFETY: called through the server's trigger protocol, which Trigger checks.
    let trigger = unsafe { Trigger::of(fcinfo) };
    trigger.must_be_before_row("_guard");
    let unchanged = Decision::Pass(trigger.unchanged());
    let id = trigger.protection_id();
    let arrived = match trigger.event {
        Event::Insert => stash::arrives(id),
        Event::Update => None,
        Event::Delete => {
            stash::leaves(id, trigger.old_address());
            return unchanged;
        }
    };
    if arrived.is_none() {
        stash::begin(id);
        take_back(&trigger);
    }
    // Where nothing is judged, decisions and new keys are followed all the same.
    if decisions::is_ours(id) {
        return Decision::Pass(decisions::stored(&trigger));
    }
    if trigger.event == Event::Insert && !settings::enabled() {
        return unchanged;
    }
    let known = known(&trigger);
    let Some(protection) = &known.protection else { return unchanged };
    let off = !settings::enabled() || protection.policy.settings.mode == Mode::Off;
    if off {
        if trigger.event == Event::Update {
            decisions::follow(protection, &trigger, &known.moved);
        }
        return unchanged;
    }
    // SAFETY: the slot holds the new row, which has all columns that the protection is bound to.
    let row = unsafe { Row::of_slot(trigger.new_slot(), protection.width) };
    match arrived {
        // What was found about it before it moved is written where it arrives.
        Some(content) if content == submission::fingerprint(protection, row) => {
            return unchanged;
        }
        Some(_) => {
            stash::begin(id);
            take_back(&trigger);
        }
        None => {}
    }
    if trigger.event == Event::Update {
        decisions::follow(protection, &trigger, &known.moved);
        if protection.is_partition {
            let content = submission::fingerprint(protection, row);
            stash::may_move(id, trigger.old_address(), content);
        }
        if !(protection.on_update || protection.remembers) || !edited(protection, &trigger, row) {
            return unchanged;
        }
        if !protection.on_update {
            leave_traces(protection, row);
            return unchanged;
        }
    }
    if shared::shared().is_none() {
        if !known.warned.replace(true) {
            not_preloaded(protection);
        }
        if protection.policy.settings.on_error == OnError::Accept {
            return unchanged;
        }
    }
    let edited = trigger.event == Event::Update || arrived.is_some();
    judge(&trigger, protection, row, edited)
}

/// Takes back what rows have left behind that were judged before this one and never stored. An upsert stores
/// the row that it has judged by editing another one.
fn take_back(trigger: &Trigger) {
    memory::take_back();
    let edits = trigger.event == Event::Update;
    captcha::take_back(edits.then_some(trigger.protection_id()));
}

/// The protection, looked up once a statement.
fn known<'a>(trigger: &Trigger) -> &'a Known {
    // SAFETY: fn_extra is ours to use; what is put there lives in fn_mcxt until the statement ends,
    // and the server keeps the trigger's relation open meanwhile.
    unsafe {
        let flinfo = trigger.flinfo();
        if (*flinfo).fn_extra.is_null() {
            let found = find(trigger);
            let extra = PgMemoryContexts::For((*flinfo).fn_mcxt).leak_and_drop_on_delete(found);
            (*flinfo).fn_extra = extra.cast();
        }
        &*(*flinfo).fn_extra.cast::<Known>()
    }
}

fn find(trigger: &Trigger) -> Known {
    let id = trigger.protection_id();
    // SAFETY: the server keeps the trigger's relation open.
    match unsafe { rulebook::protection_for_statement(id, trigger.relation()) } {
        Ok(protection) => Some(protection).into(),
        Err(_) if !settings::enabled() => None.into(),
        Err(unusable) => {
            let why = match unusable {
                Unusable::Unknown => {
                    format!("There is no protection {id} in spamcheck._protection.")
                }
                Unusable::Broken(why) => format!("{}.", why.trim_end_matches('.')),
            };
            report::warn(
                PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
                format!("rows of \"{}\" go in unjudged", trigger.table_name()),
                why,
                "Call spamcheck.protect() for the table again, or spamcheck.unprotect().",
            );
            None.into()
        }
    }
}

/// Without the preloaded library there is no worker, no mailbox and no setting: every row is a failure
/// of the checks, and the policy says what a failure does.
fn not_preloaded(protection: &Protection) {
    report::warn(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "pg_spamcheck is not in shared_preload_libraries: submissions are not judged".into(),
        format!(
            "Policy \"{}\" has on_error {} for {}.",
            protection.policy.settings.name,
            protection.policy.settings.on_error.name(),
            protection.relation
        ),
        &format!("Add {} to postgresql.conf and restart the server.", settings::PRELOAD_LINE),
    );
}

/// Whether a watched column changed.
fn edited(protection: &Protection, trigger: &Trigger, new: Row<'_>) -> bool {
    // SAFETY: the slot holds the old row, of the same type.
    let old = unsafe { Row::of_slot(trigger.old_slot(), protection.width) };
    protection.watched.iter().any(|(_, column)| old.differs(new, *column))
}
