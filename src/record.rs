//! The AFTER ROW trigger and its WHEN clause: what was found about a row is written down once the row
//! is stored, in the row's own transaction, so a log row exists exactly when its row does. Entries are
//! gathered and written a statement at a time. Rejected rows have no AFTER: their entries go out by the
//! mailbox, past the rollback.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::verdict::{Judgement, Verdict};
use spamcheck_engine::{Facts, Field, FieldSet};

use crate::checklog::{self, About};
use crate::gathered::Gathered;
use crate::mailbox::{self, Unsettled};
use crate::notice::{self, Notice};
use crate::protection::Protection;
use crate::rate::Claim;
use crate::row::Row;
use crate::stash::{self, Address, Pending};
use crate::submission::{self, Elsewhere};
use crate::subscription::Subscription;
use crate::trigger::{Event, Trigger, VERSION_1};
use crate::wait::Asked;
use crate::whole_row::WholeRow;
use crate::{
    captcha, checked, key, logfile, lookups, mail, memory, report, rulebook, settings, shared,
};

/// Entries that are written at once at most, so that a COPY of millions stays small.
const AT_ONCE: usize = 500;

/// Bytes of texts that are written at once at most.
const BYTES_AT_ONCE: usize = 16 << 20;

/// What is to be written about one row.
#[derive(Default)]
struct Written {
    entries: Vec<Json>,
    mail: Option<Json>,
    lookups: Vec<Json>,
    /// The protection and key of a row that was inserted without a question: what is still asked about a former row of
    /// that key is moot.
    former: Option<(i32, Json)>,
    /// What Akismet has said already.
    checked: Option<Json>,
    /// Who is to get no mail any more, and the submission that it is for.
    unsubscribe: Option<(Subscription, Option<i64>)>,
    /// Bytes of texts in both.
    bytes: usize,
}

thread_local! {
    static GATHERED: RefCell<Gathered<Written>> = const { RefCell::new(Gathered::new()) };
    /// Rows, by protection and key, whose edit was written while inserts were still to be: a trigger of the table
    /// may have edited what its statement has just inserted.
    static EDITED: RefCell<Gathered<(i64, Json)>> = const { RefCell::new(Gathered::new()) };
}

/// The version-1 calling convention's record for `spamcheck_record`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_record() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_judged`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_judged() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// `_judged(protection integer, tableoid oid, ctid tid) RETURNS boolean`: whether something is to be
/// written about the row that was just stored there.
///
/// # Safety
/// To be called by the server with three arguments of these types, none of them NULL.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_judged(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the function is declared STRICT with three arguments; tid is passed by reference.
    unsafe {
        let args = (*fcinfo).args.as_slice(3);
        let protection = args[0].value.value() as i32;
        let table = pg_sys::Oid::from(args[1].value.value() as u32);
        let tid = args[2].value.cast_mut_ptr::<pg_sys::ItemPointerData>();
        let address = Address::new(table, *tid);
        memory::stored(protection);
        captcha::stored(protection);
        pg_sys::Datum::from(stash::stored(protection, address))
    }
}

/// The AFTER trigger.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_record(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: Trigger checks the protocol; the tuple is of the relation's row type.
    unsafe {
        let trigger = Trigger::of(fcinfo);
        let tuple = trigger.new_tuple();
        let address = Address::new((*trigger.relation()).rd_id, (*tuple).t_self);
        if let Some(pending) = stash::take(address) {
            let row = Row::of_tuple(tuple, trigger.tupdesc());
            gather(&trigger, row, pending);
        }
    }
    if !stash::waiting() {
        flush();
    }
    pg_sys::Datum::null()
}

fn gather(trigger: &Trigger, row: Row<'_>, pending: Pending) {
    // A row that moved was judged in one partition and is stored in another, whose columns may be
    // numbered otherwise.
    // SAFETY: the server keeps the trigger's relation open.
    let here = unsafe { rulebook::protection(trigger.protection_id(), trigger.relation()) };
    let protection = here.unwrap_or_else(|_| pending.protection.clone());
    let row_key = key::of_row(&protection, row);
    tell(&protection, row_key.as_ref(), &pending);
    let edited = trigger.event == Event::Update || pending.edited;
    // Rows that are asked about see to that themselves.
    let forgets = !edited && !pending.judgement.lookups.any() && lookups::may_be_out(&protection);
    let former = row_key.as_ref().filter(|_| forgets).map(|key| (protection.id, key.clone()));
    if pending.is_ham_alone() {
        if former.is_some() {
            keep(Written { former, ..Written::default() });
        }
        return;
    }
    let elsewhere = Elsewhere::new(&protection, row);
    let submission = submission::read(&protection, row, FieldSet::of(&Field::ALL), &elsewhere);
    let facts = Facts::new(&submission, settings::max_checked_chars(), submission::now());
    let mut submission_id = None;
    let mut entries = Vec::new();
    if !pending.judgement.findings.is_empty() {
        let id = checklog::next_submission_id();
        submission_id = Some(id);
        let about = About {
            protection: protection.id,
            relation: &protection.relation,
            row_key: row_key.as_ref(),
            former: pending.former.as_ref(),
            whole_row: None,
        };
        entries = checklog::entries(&protection.policy, &about, &facts, &pending.judgement, id);
    }
    let lookups = if pending.judgement.lookups.any() {
        lookups::entries(
            &protection,
            row,
            row_key.as_ref(),
            &facts.to_json(),
            submission_id,
            &pending,
            edited,
        )
    } else {
        Vec::new()
    };
    let checked = pending.asked.as_ref().and_then(|asked| {
        Some(checked::entry(&protection, row, row_key.as_ref()?, asked, &pending))
    });
    let mut mail = mail::entry(&protection.policy, pending.judgement.verdict, &entries);
    if let (Some(mail), true) = (&mut mail, edited) {
        let waits = pending.former.as_ref().is_some_and(|f| protection.status.was_moderate(f));
        mail["again"] = waits.into();
    }
    let unsubscribe = Subscription::to_end(&protection, row, pending.judgement.verdict)
        .map(|subscription| (subscription, submission_id));
    let texts = lookups.iter().chain(&checked).map(|entry| text_bytes(&entry["submission"]));
    let bytes = entries.iter().map(checklog::bytes).sum::<usize>() + texts.sum::<usize>();
    keep(Written { entries, mail, lookups, former, checked, unsubscribe, bytes });
}

/// Keeps what is to be written, and writes when it is enough.
fn keep(written: Written) {
    let full = GATHERED.with_borrow_mut(|all| {
        all.push(written);
        let (count, bytes) = all.here().fold((0, 0), |(n, bytes), g| (n + 1, bytes + g.bytes));
        count >= AT_ONCE || bytes >= BYTES_AT_ONCE
    });
    if full {
        flush();
    }
}

/// Notifies of the verdict on a stored row, if the policy says so. A row that is held is a moderated one
/// until the answer comes.
fn tell(protection: &Protection, row_key: Option<&Json>, pending: &Pending) {
    let verdict = if pending.held.any() { Verdict::Moderate } else { pending.judgement.verdict };
    let notice = Notice::of(&protection.policy, &protection.relation, row_key, verdict);
    if let Some(notice) = notice {
        notice::at_commit(notice);
    }
}

/// The bytes of the texts in a submission.
fn text_bytes(submission: &Json) -> usize {
    match submission {
        Json::String(text) => text.len(),
        Json::Object(all) => all.values().map(text_bytes).sum(),
        _ => 0,
    }
}

/// Writes what was gathered in this subtransaction. What an outer one gathered must not be written
/// here: it would go with a rollback that does not concern its rows.
fn flush() {
    let gathered = GATHERED.with_borrow_mut(Gathered::take_here);
    if gathered.is_empty() {
        forget_edits();
        return;
    }
    let mut entries = Vec::new();
    let mut mails = Vec::new();
    let mut queue = Vec::new();
    let mut former = Vec::new();
    let mut answers = Vec::new();
    let mut unsubscribe = Vec::new();
    for one in gathered {
        entries.extend(one.entries);
        mails.extend(one.mail);
        queue.extend(one.lookups);
        former.extend(one.former);
        answers.extend(one.checked);
        unsubscribe.extend(one.unsubscribe);
    }
    if !entries.is_empty() {
        checklog::log(entries);
    }
    if !mails.is_empty() {
        mail::queue(mails);
    }
    let late = overtaken(&mut queue, &mut former);
    if !former.is_empty() {
        lookups::forget_former(&former);
    }
    if !queue.is_empty() {
        lookups::enqueue(queue);
    }
    lookups::leave_to_edits(late);
    forget_edits();
    if !answers.is_empty() {
        checked::keep_inserted(answers);
    }
    // Each once, and in one order, so that two statements do not wait for each other.
    unsubscribe.sort_by_cached_key(|(subscription, _)| subscription.name());
    unsubscribe.dedup_by_key(|(subscription, _)| subscription.name());
    for (subscription, submission_id) in &unsubscribe {
        subscription.unsubscribe_or_log(*submission_id);
    }
}

/// Takes out the lookups of inserts whose rows were edited, and the edit written, before the insert had come so far; nor
/// is what was asked about the edit to be forgotten as if it were about a former row.
fn overtaken(queue: &mut Vec<Json>, former: &mut Vec<(i32, Json)>) -> Vec<Json> {
    let row_of = |entry: &Json| {
        (entry["_protection"].as_i64().unwrap_or_default(), entry["row_key"].clone())
    };
    let is_edit = |entry: &Json| entry["reason"] == "edit";
    EDITED.with_borrow_mut(|all| {
        if queue.iter().any(is_edit) && stash::has_inserts() {
            queue.iter().filter(|entry| is_edit(entry)).for_each(|edit| all.push(row_of(edit)));
        }
        if all.is_empty() {
            return Vec::new();
        }
        // A row may have several lookups.
        let mut known: Vec<(i64, Json)> = Vec::new();
        let mut is_edited = |row: (i64, Json)| {
            let edited = known.contains(&row) || all.remove(&row);
            if edited && !known.contains(&row) {
                known.push(row);
            }
            edited
        };
        former.retain(|(protection, key)| !is_edited((i64::from(*protection), key.clone())));
        let (late, others) = std::mem::take(queue)
            .into_iter()
            .partition(|entry| !is_edit(entry) && is_edited(row_of(entry)));
        *queue = others;
        late
    })
}

/// Once no insert is on its way any more, rows that come later under these keys are others.
fn forget_edits() {
    if !stash::has_inserts() {
        EDITED.with_borrow_mut(Gathered::clear);
    }
}

/// Before a commit: writes what a statement's AFTER triggers did not get to. Nothing in the server is
/// known to leave them out, but a log that lacks a row is worse than one look at an empty list.
///
/// Then the log file's turn comes: what cannot go there goes to the table while there is time.
pub fn flush_leftovers(prepared: bool) {
    if GATHERED.with_borrow(|all| !all.is_empty()) {
        with_snapshot(flush);
    }
    EDITED.with_borrow_mut(Gathered::clear);
    notice::before_commit(prepared);
    let unfiled = logfile::before_commit(prepared);
    if !unfiled.is_empty() {
        with_snapshot(|| checklog::write(&Json::Array(unfiled).to_string()));
    }
}

fn with_snapshot(work: impl FnOnce()) {
    // SAFETY: the transaction still runs; SPI needs a snapshot.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    work();
    // SAFETY: pairs with the push above.
    unsafe { pg_sys::PopActiveSnapshot() };
}

/// The transaction is rolled back.
pub fn discard() {
    GATHERED.with_borrow_mut(Gathered::clear);
    EDITED.with_borrow_mut(Gathered::clear);
}

/// A subtransaction, and all inside it, is rolled back.
pub fn discard_from(subtransaction: pg_sys::SubTransactionId) {
    GATHERED.with_borrow_mut(|all| all.discard_from(subtransaction));
    EDITED.with_borrow_mut(|all| all.discard_from(subtransaction));
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: pg_sys::SubTransactionId, parent: pg_sys::SubTransactionId) {
    GATHERED.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
    EDITED.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
}

/// Logs a row that is silently not inserted; its transaction goes on.
pub fn log_dropped(
    protection: &Rc<Protection>,
    facts: &Facts<'_>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    whole_row: WholeRow,
) {
    let id = checklog::next_submission_id();
    checklog::log(rejected_entries(protection, facts, judgement, asked, whole_row, id));
    let relation = &protection.relation;
    if let Some(notice) = Notice::of(&protection.policy, relation, None, judgement.verdict) {
        notice::at_commit(notice);
    }
}

/// Logs a row whose rejection is about to roll its transaction back: by way of the worker, which
/// commits for itself. When that cannot be, the server's log and a counter say so.
pub fn log_rejected(
    protection: &Rc<Protection>,
    facts: &Facts<'_>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    whole_row: WholeRow,
) {
    let id = checklog::next_submission_id();
    let notice = Notice::of(&protection.policy, &protection.relation, None, judgement.verdict);
    post(protection, rejected_entries(protection, facts, judgement, asked, whole_row, id), notice);
}

/// Logs the refusal that stands for a block of a rate limit, or would be one but for the trial. Also when
/// the row goes in or is dropped it goes by way of the worker: the block lasts, whatever becomes of the
/// transaction.
pub fn log_block(
    protection: &Rc<Protection>,
    facts: &Facts<'_>,
    judgement: &Judgement,
    about: &About<'_>,
    claim: Claim,
) {
    let id = checklog::next_submission_id();
    let policy = &protection.policy;
    let notice = Notice::of(policy, &protection.relation, about.row_key, judgement.verdict);
    if post(protection, checklog::entries(policy, about, facts, judgement, id), notice) {
        claim.logged(id);
    }
}

/// Hands entries to the worker, as far as they become rows, and what is to be notified once they are;
/// whether they are safe.
fn post(protection: &Protection, entries: Vec<Json>, notice: Option<Notice>) -> bool {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    let entry = shared::shared().and_then(|shared| shared.enlist(database));
    let mut letter = checklog::log_past_rollback(entries);
    letter.extend(notice.map(|notice| json!({ "notice": notice })));
    if letter.is_empty() {
        return true;
    }
    let letter = Json::Array(letter).to_string();
    let sent = match entry {
        Some(entry) => mailbox::send(entry, letter.as_bytes()),
        None => Err(Unsettled::NoWorker),
    };
    let Err(unsettled) = sent else { return true };
    if let Some(entry) = entry
        && unsettled != Unsettled::Late
    {
        entry.unlogged.fetch_add(1, Ordering::Relaxed);
    }
    report::log(
        PgSqlErrorCode::ERRCODE_WARNING,
        &format!(
            "the rejection of a submission to {} is not in spam_checklog yet",
            protection.relation
        ),
        &format!("{}.", first_upper(unsettled.reason())),
    );
    unsettled == Unsettled::Late
}

fn first_upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn rejected_entries(
    protection: &Rc<Protection>,
    facts: &Facts<'_>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    whole_row: WholeRow,
    id: i64,
) -> Vec<Json> {
    let about = About::rejected(protection, whole_row);
    let mut entries = checklog::entries(&protection.policy, &about, facts, judgement, id);
    if let (Some(asked), Some(entry)) = (asked, entries.first_mut()) {
        entry[checked::ASKED] = checked::said(asked);
    }
    entries
}
