//! The BEFORE ROW trigger: row -> submission -> judgement -> pass, mark or refuse. Owns that decision
//! and nothing that comes after it: what was found waits in the stash until the row is stored. The path
//! of a ham row runs no SQL, takes no lock and allocates nothing worth naming.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::{PgMemoryContexts, PgSqlErrorCode, pg_sys};
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::policy::{Mode, OnError, OnReject, Policy};
use spamcheck_engine::verdict::{Action, Finding, Judgement, Verdict};
use spamcheck_engine::{Facts, FieldSet, LookupKind, Lookups, Submission};

use crate::captcha::Asking;
use crate::checklog::About;
use crate::lookups::Moved;
use crate::protection::Protection;
use crate::rate::Claim;
use crate::report::{self, Ground, Rejection};
use crate::row::{self, Column, Row};
use crate::rulebook::{self, Unusable};
use crate::stash::{self, Pending};
use crate::submission::{self, Elsewhere};
use crate::surroundings::Around;
use crate::trigger::{Event, Trigger};
use crate::wait::Asked;
use crate::{decisions, key, memory, record, settings, shared, statistics, wait};

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
        memory::take_back();
    }
    // Where nothing is judged, decisions and new keys are followed all the same.
    if decisions::is_ours(id) || trigger.event == Event::Insert && !settings::enabled() {
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
            memory::take_back();
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

fn judge(trigger: &Trigger, protection: &Rc<Protection>, row: Row<'_>, edited: bool) -> Decision {
    let policy = &protection.policy;
    let elsewhere = Elsewhere::new(protection, row);
    let submission = submission::read(protection, row, protection.needs(), &elsewhere);
    let around = Around { protection, row: Some(row), dry: false, edited, claim: Cell::default() };
    let facts =
        Facts::new(&submission, settings::max_checked_chars(), submission::now()).within(&around);
    let told = policy.settings.notify_channel.is_some() && policy.covers(facts.kind());
    let mut judgement = if shared::shared().is_none() {
        policy.weigh(vec![failure("policy", "pg_spamcheck is not in shared_preload_libraries")])
    } else {
        catch_unwind(AssertUnwindSafe(|| statistics::judge(policy, &facts))).unwrap_or_else(
            |panic| {
                if panic.is::<CaughtError>() || panic.is::<ErrorReportWithLevel>() {
                    // An error of the server that is not about the check: a cancel, a shutdown.
                    resume_unwind(panic);
                }
                policy.weigh(vec![failure("policy", "a check panicked; please report it")])
            },
        )
    };
    if facts.unreadable_ip().is_some() {
        note_unreadable_ip(protection);
    }
    // SAFETY: the slot holds the new row; all its columns are read then.
    let whole = || unsafe { Row::of_slot(trigger.new_slot(), trigger.columns()) };
    let mut captcha = Asking::about(protection, &facts, &judgement, edited, &whole);
    if let Some(captcha) = &mut captcha {
        judgement = captcha.before_lookups(judgement);
    }
    if judgement.lookups.any() && protection.key.is_empty() {
        // A verdict that comes later has to find its row again.
        for kind in judgement.lookups.kinds() {
            judgement.findings.push(failure(kind.name(), NO_KEY));
        }
        judgement = Judgement { lookups: Lookups::NONE, ..policy.weigh(judgement.findings) };
    }
    let mut asked = None;
    if judgement.lookups.has(LookupKind::Akismet) {
        (judgement, asked) = wait::with_answer(protection, whole(), edited, judgement);
    }
    let idle = judgement.findings.iter().position(|finding| is_idle_block(policy, finding));
    if let Some(at) = idle {
        let refused = judgement.findings.remove(at);
        // One entry for a block here too: a flood must not fill the log.
        if let Some(claim) = around.claim.take() {
            flag_block(trigger, protection, row, &policy.weigh(vec![refused]), claim);
        }
        let lookups = judgement.lookups;
        judgement = Judgement { lookups, ..policy.weigh(judgement.findings) };
    }
    let mut challenge = None;
    if let Some(captcha) = &mut captcha {
        judgement = captcha.after_lookups(judgement);
        challenge = captcha.challenge(&judgement);
    }
    let held = held(protection, &judgement);
    let own = if trigger.event == Event::Update && !held.any() && policy.may_hold() {
        decisions::held_no_longer(protection, trigger)
    } else {
        None
    };
    let nothing = judgement.findings.is_empty() && !judgement.lookups.any() && asked.is_none();
    if nothing && (idle.is_some() || !told) && own.is_none() {
        return Decision::Pass(trigger.unchanged());
    }
    let claim = around.claim.take();
    follow(trigger, protection, row, judgement, Beside { asked, own, claim, challenge })
}

/// Why nothing can be looked up about a row that nobody could find again.
pub const NO_KEY: &str =
    "it cannot be looked up: the table has no primary key to find the row by later";

/// Has an edit remembered that is not judged.
fn leave_traces(protection: &Rc<Protection>, row: Row<'_>) {
    if shared::shared().is_some() {
        let elsewhere = Elsewhere::new(protection, row);
        let submission = submission::read(protection, row, protection.needs(), &elsewhere);
        let around =
            Around { protection, row: Some(row), dry: false, edited: true, claim: Cell::default() };
        let facts = Facts::new(&submission, settings::max_checked_chars(), submission::now());
        protection.policy.leave_traces(&facts.within(&around));
    }
}

/// Counts a submission that no check by address can judge. Nothing else says so where none hits.
fn note_unreadable_ip(protection: &Protection) {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.enlist(database)) {
        entry.unreadable_ips.fetch_add(1, Ordering::Relaxed);
        entry.unreadable_ip_in.store(protection.root.to_u32(), Ordering::Relaxed);
    }
}

/// Whether a finding is that of a limit which only takes note of who exceeds it.
fn is_idle_block(policy: &Policy, finding: &Finding) -> bool {
    let noted = policy.settings.mode != Mode::Enforce || finding.action == Action::Log;
    noted && finding.check == "rate_limit" && finding.detail.get("refused").is_some()
}

/// A check that could not be made.
fn failure(check: &'static str, why: &str) -> Finding {
    Finding {
        check,
        action: Action::Error,
        score: 0.0,
        why: why.to_owned(),
        detail: serde_json::Value::Null,
        allowed: false,
    }
}

/// What there is beside a judgement.
struct Beside {
    /// What Akismet has said already.
    asked: Option<Asked>,
    /// The row's own status, if it was held and is no longer.
    own: Option<serde_json::Value>,
    /// The right to log a block of the rate limit.
    claim: Option<Claim>,
    /// The captcha to be solved.
    challenge: Option<serde_json::Value>,
}

fn follow(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    row: Row<'_>,
    mut judgement: Judgement,
    beside: Beside,
) -> Decision {
    let Beside { asked, own, claim, challenge } = beside;
    let settings = &protection.policy.settings;
    let enforced = settings.mode == Mode::Enforce;
    if judgement.verdict == Verdict::Challenge {
        if let Some(challenge) = challenge.filter(|_| enforced) {
            log_refused(trigger, protection, &judgement, asked.as_ref(), None, OnReject::Error);
            return Decision::Refuse(rejection(protection, Ground::Challenge(challenge)));
        }
        // Nobody is there to be asked: a moderator looks.
        judgement.verdict = Verdict::Moderate;
    }
    if enforced && judgement.verdict == Verdict::Reject {
        return reject(trigger, protection, &judgement, asked.as_ref(), claim);
    }
    let held = held(protection, &judgement);
    let released = own.as_ref().map(|own| status_of(protection, own));
    let writes = match judgement.verdict {
        _ if !enforced => None,
        Verdict::Spam | Verdict::Reject => protection.status.spam.as_deref(),
        Verdict::Moderate | Verdict::Challenge => protection.status.moderate.as_deref(),
        Verdict::Ham if held.any() => protection.status.moderate.as_deref(),
        Verdict::Ham => released.as_deref(),
    };
    let former = own.or_else(|| former_status(trigger, protection, row));
    let tuple = match writes {
        Some(writes) if !writes.is_empty() => mark(trigger, writes),
        _ => trigger.unchanged(),
    };
    let edited = trigger.event == Event::Update;
    let protection = protection.clone();
    stash::keep(Pending { protection, judgement, former, edited, held, asked });
    Decision::Pass(tuple)
}

/// The lookups until whose answers the row is moderated.
fn held(protection: &Protection, judgement: &Judgement) -> Lookups {
    let policy = &protection.policy;
    if policy.settings.mode != Mode::Enforce || judgement.verdict != Verdict::Ham {
        return Lookups::NONE;
    }
    policy.holding(judgement.lookups)
}

/// A status as it is kept, column to text or null, as it is written.
fn status_of(protection: &Protection, kept: &serde_json::Value) -> Vec<(Column, StatusValue)> {
    let value = |(name, column): &(String, Column)| {
        let value = match kept.get(name)? {
            serde_json::Value::String(text) => StatusValue::Text(text.clone()),
            _ => StatusValue::Null,
        };
        Some((*column, value))
    };
    protection.status.columns.iter().filter_map(value).collect()
}

/// The row's own values of the status columns, to be put back when a decision is reversed.
fn former_status(
    trigger: &Trigger,
    protection: &Protection,
    _row: Row<'_>,
) -> Option<serde_json::Value> {
    if protection.status.columns.is_empty() {
        return None;
    }
    let width = protection.status.columns.iter().map(|(_, c)| c.index + 1).max().unwrap_or(0);
    // SAFETY: as for the row itself; status columns may lie behind the mapped ones.
    let row = unsafe { Row::of_slot(trigger.new_slot(), width) };
    let values = protection.status.columns.iter().map(|(name, column)| {
        (name.clone(), row.text(*column).map_or(serde_json::Value::Null, Into::into))
    });
    Some(serde_json::Value::Object(values.collect()))
}

/// The row with the verdict in its status columns.
fn mark(trigger: &Trigger, writes: &[(Column, StatusValue)]) -> pg_sys::Datum {
    let mut numbers: Vec<i32> = writes.iter().map(|(c, _)| c.index as i32 + 1).collect();
    let mut nulls: Vec<bool> = writes.iter().map(|(_, v)| *v == StatusValue::Null).collect();
    let mut values: Vec<pg_sys::Datum> =
        writes.iter().map(|(column, value)| status_datum(*column, value)).collect();
    // SAFETY: the three arrays have the same length; the tuple is of the relation's row type.
    unsafe {
        let tuple = pg_sys::heap_modify_tuple_by_cols(
            trigger.new_tuple(),
            trigger.tupdesc(),
            numbers.len() as i32,
            numbers.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
        );
        pg_sys::Datum::from(tuple)
    }
}

fn status_datum(column: Column, value: &StatusValue) -> pg_sys::Datum {
    let text = match value {
        StatusValue::Null => return pg_sys::Datum::null(),
        StatusValue::Text(text) => row::to_server(text),
        // SAFETY: returns a C string in static memory, copied at once.
        StatusValue::Now => unsafe {
            let now = pg_sys::GetCurrentTransactionStartTimestamp();
            std::ffi::CStr::from_ptr(pg_sys::timestamptz_to_str(now)).to_owned()
        },
    };
    row::input_c(column.type_oid, column.modifier, &text)
}

/// Refuses the row. Its log entry outlives the rollback by way of the mailbox; a dropped row has no
/// rollback, so its entry is written in the transaction.
fn reject(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    claim: Option<Claim>,
) -> Decision {
    let settings = &protection.policy.settings;
    let ground = ground(judgement);
    // Of a block, one refusal is logged; the others are only counted, and must stay cheap.
    match &ground {
        Ground::TooOften(_) if claim.is_none() => {}
        Ground::TooOften(_) => {
            log_refused(trigger, protection, judgement, asked, claim, settings.on_reject);
        }
        Ground::Unjudged => {}
        _ => log_refused(trigger, protection, judgement, asked, None, settings.on_reject),
    }
    match settings.on_reject {
        OnReject::Drop => Decision::Pass(pg_sys::Datum::null()),
        OnReject::Error => Decision::Refuse(rejection(protection, ground)),
    }
}

fn rejection(protection: &Protection, ground: Ground) -> Rejection {
    report::rejection(
        ground,
        &protection.relation,
        &protection.schema,
        &protection.table,
        &protection.policy.settings.reject_sqlstate,
    )
}

/// Logs the row of a trial that would have been the first refused of a block.
fn flag_block(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    row: Row<'_>,
    judgement: &Judgement,
    claim: Claim,
) {
    let former = former_status(trigger, protection, row);
    // SAFETY: the slot holds the new row; all its columns are read now.
    let row = unsafe { Row::of_slot(trigger.new_slot(), trigger.columns()) };
    let elsewhere = Elsewhere::new(protection, row);
    let submission: Submission<'_> =
        submission::read(protection, row, FieldSet::of(&spamcheck_engine::Field::ALL), &elsewhere);
    let facts = Facts::new(&submission, settings::max_checked_chars(), submission::now());
    let row_key = key::of_row(protection, row);
    let about = About {
        protection: protection.id,
        relation: &protection.relation,
        row_key: row_key.as_ref(),
        former: former.as_ref(),
        whole_row: None,
    };
    record::log_block(protection, &facts, judgement, &about, claim);
}

/// A refusal by rate_limit ends the judgement, so it is the last finding.
fn ground(judgement: &Judgement) -> Ground {
    if shared::shared().is_none() {
        return Ground::Unjudged;
    }
    let last = judgement.findings.last();
    match last.filter(|last| last.check == "rate_limit" && last.action == Action::Reject) {
        Some(last) => Ground::TooOften(last.detail["retry_after"].as_i64().unwrap_or(1)),
        None => Ground::Content,
    }
}

fn log_refused(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    claim: Option<Claim>,
    on_reject: OnReject,
) {
    // SAFETY: the slot holds the new row; all its columns are read now.
    let row = unsafe { Row::of_slot(trigger.new_slot(), trigger.columns()) };
    let elsewhere = Elsewhere::new(protection, row);
    let submission: Submission<'_> =
        submission::read(protection, row, FieldSet::of(&spamcheck_engine::Field::ALL), &elsewhere);
    let facts = Facts::new(&submission, settings::max_checked_chars(), submission::now());
    let whole_row = trigger.row_as_json(row);
    match (claim, on_reject) {
        (Some(claim), _) => {
            let about = About::rejected(protection, whole_row);
            record::log_block(protection, &facts, judgement, &about, claim);
        }
        (None, OnReject::Drop) => {
            record::log_dropped(protection, &facts, judgement, asked, whole_row);
        }
        (None, OnReject::Error) => {
            record::log_rejected(protection, &facts, judgement, asked, whole_row);
        }
    }
}
