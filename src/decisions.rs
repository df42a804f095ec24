//! What others do to a row that was judged: a status that a human or the app sets is a decision, which no
//! later answer may override, which the log notes and of which Akismet is told; a row with another key is
//! still the same row. Owns how the guard tells, and which changes are the extension's own; what queue,
//! log and memory do about it is theirs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pgrx::pg_sys;
use serde_json::Value as Json;

use crate::feedback::{self, Word};
use crate::lookups::Moved;
use crate::moderation::findings::{self, Finding};
use crate::protection::Protection;
use crate::row::Row;
use crate::stash::Depth;
use crate::trigger::Trigger;
use crate::whole_row::{self, Values};
use crate::{calls, checked, key, lookups, memory, restore, rights, submission};

thread_local! {
    static APPLYING: Cell<bool> = const { Cell::new(false) };
    /// The protection whose row a statement of ours changes, and where that statement stands.
    static OURS: Cell<Option<(i32, Depth)>> = const { Cell::new(None) };
    /// The values that the row of that statement is to have.
    static VALUES: RefCell<Option<Rc<Values>>> = const { RefCell::new(None) };
}

/// Runs `work`, whose one statement on a protected table carries out a decision: its rows are not judged,
/// and it is nobody's plain UPDATE. What triggers of the table do besides is judged as ever.
pub fn while_deciding<T>(protection: i32, work: impl FnOnce() -> T) -> T {
    deciding(protection, None, work)
}

/// [`while_deciding`] for a row that is to have these values, whatever triggers of the table make of them: they
/// ran when it was refused.
pub fn while_storing<T>(protection: i32, values: Rc<Values>, work: impl FnOnce() -> T) -> T {
    deciding(protection, Some(values), work)
}

fn deciding<T>(protection: i32, values: Option<Rc<Values>>, work: impl FnOnce() -> T) -> T {
    struct Reset(Option<(i32, Depth)>, Option<Rc<Values>>);
    impl Drop for Reset {
        fn drop(&mut self) {
            OURS.set(self.0);
            VALUES.set(self.1.take());
        }
    }
    let ours = OURS.replace(Some((protection, Depth::in_statement().within())));
    let _reset = Reset(ours, VALUES.replace(values));
    work()
}

/// The row that a decision stores, as a BEFORE trigger gives it back.
pub fn stored(trigger: &Trigger) -> pg_sys::Datum {
    let values = VALUES.with_borrow(Clone::clone);
    values.map_or_else(|| trigger.unchanged(), |values| whole_row::put_back(trigger, &values))
}

/// Whether the row at hand is one that a decision changes.
pub fn is_ours(protection: i32) -> bool {
    OURS.get().is_some_and(|ours| ours == (protection, Depth::in_trigger()))
}

/// Runs `work`, which writes verdicts into rows: they are no decisions.
pub fn while_applying<T>(work: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            APPLYING.set(false);
        }
    }
    APPLYING.set(true);
    let _reset = Reset;
    work()
}

/// An edited row that nothing holds as it is now may have been held as it was: its own status then.
pub fn held_no_longer(protection: &Protection, trigger: &Trigger) -> Option<Json> {
    let columns = protection.key.iter().map(|key| key.column);
    let columns = columns.chain(protection.status.columns.iter().map(|(_, column)| *column));
    let width = columns.map(|column| column.index + 1).max()?;
    // SAFETY: the slot holds the new row, which has these columns.
    let row = unsafe { Row::of_slot(trigger.new_slot(), width) };
    let (key, status) = (key::of_row(protection, row)?, lookups::status(protection, row)?);
    lookups::release(protection.id, &key, &status)
}

/// Looks at an update, before the row is judged again; `moved` is its statement's.
pub fn follow(protection: &Protection, trigger: &Trigger, moved: &RefCell<Moved>) {
    if protection.key.is_empty() {
        return;
    }
    let status = || protection.status.columns.iter().map(|(_, column)| *column);
    let columns = protection.key.iter().map(|key| key.column).chain(status());
    let Some(width) = columns.map(|column| column.index + 1).max() else { return };
    // SAFETY: the slots hold the old and the new row, of the same type, which has these columns.
    let (old, new) = unsafe {
        (Row::of_slot(trigger.old_slot(), width), Row::of_slot(trigger.new_slot(), width))
    };
    let renamed = protection.key.iter().any(|key| old.differs(new, key.column));
    if renamed && protection.remembers {
        // SAFETY: as above; all its columns are read now.
        let whole = unsafe { Row::of_slot(trigger.old_slot(), trigger.columns()) };
        memory::rename(protection, whole, new);
    }
    // The worker's own verdicts are no decisions.
    if calls::is_worker() || APPLYING.get() {
        return;
    }
    // Also while the policy asks nobody: lookups wait until it does again.
    let decided = status().any(|column| old.differs(new, column));
    if !renamed && !decided {
        return;
    }
    let Some(before) = key::of_row(protection, old) else { return };
    if decided {
        checked::decided_by_statement(protection.id, &before, &mut moved.borrow_mut().checked);
        if !applies_what_was_decided() {
            note(protection, trigger, old, new, &before);
        }
        lookups::decided(protection.id, &before, &moved.borrow());
    }
    if renamed && let Some(after) = key::of_row(protection, new) {
        checked::rename_row(protection.id, &before, &after, &mut moved.borrow_mut().checked);
        lookups::rename_row(protection.id, &before, &after, &mut moved.borrow_mut());
    }
}

/// Whether rows come from where they were decided about: another server, a dump.
fn applies_what_was_decided() -> bool {
    // SAFETY: a static of the server.
    let role = unsafe { pg_sys::SessionReplicationRole };
    role == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 || restore::running()
}

/// Staff set a status by a plain UPDATE. Out of what a verdict wrote, at once or by way of another one such as WordPress'
/// trash, into that of ham or its own: the findings are taken back. Into spam: they stand, or one is made. Other
/// changes say nothing about spam.
fn note(protection: &Protection, trigger: &Trigger, old: Row<'_>, new: Row<'_>, row_key: &Json) {
    let status = &protection.status;
    let (was_kept, is_kept) = (status.keeps_back(old), status.keeps_back(new));
    let was_spam = status.tells_spam(old);
    let spam = status.tells_spam(new) && !was_spam;
    let straight = was_kept && !is_kept;
    let by_way = !was_kept && !is_kept;
    if !(spam || straight || by_way) {
        return;
    }
    // SAFETY: the slots hold the old and the new row; all their columns are read now.
    let (whole, edited) = unsafe {
        let columns = trigger.columns();
        let whole = Row::of_slot(trigger.old_slot(), columns);
        let now = Row::of_slot(trigger.new_slot(), columns);
        (whole, protection.watched.iter().any(|(_, column)| whole.differs(now, *column)))
    };
    // Who writes a text and a status with it has edited the row: nothing is said of the text that was.
    if edited {
        return;
    }
    let known = findings::latest_of(protection.id, row_key);
    // The last text of the row need not be the one for which it is kept back.
    let standing = if spam || known.is_empty() {
        Vec::new()
    } else {
        findings::of_row(protection.id, row_key).into_iter().filter(Finding::stands).collect()
    };
    // What was only logged has never kept the row from anybody.
    let kept_back = |one: &Finding| one.outcome().is_some_and(|outcome| status.writes(outcome));
    let ham = straight || by_way && standing.iter().any(kept_back);
    if ham {
        let own = standing.iter().filter_map(|one| one.former.clone());
        let own: Vec<Json> =
            own.chain(lookups::status_before_hold(protection.id, row_key)).collect();
        if !status.lets_go(old, new, &own, straight) {
            return;
        }
    }
    let akismet = protection.policy.akismet().is_some();
    if ham {
        findings::reverse(&known, None);
        findings::reverse_row(protection.id, row_key);
    }
    // Moderated rows that are released say nothing to Akismet, unless it had called them spam.
    let told = spam
        || was_spam
        || known
            .iter()
            .chain(&standing)
            .any(|one| one.check_name == "akismet" || one.is("suppressed"));
    let told = akismet && told;
    if !(spam || told) {
        return;
    }
    let submission = submission::whole(protection, whole);
    let mut submission_id = known.first().map(|one| one.submission_id);
    if spam {
        let waits = lookups::status_before_hold(protection.id, row_key);
        let former = waits.or_else(|| lookups::status(protection, old));
        let about = findings::About { protection, row_key, former: former.as_ref() };
        let did = "set its status to spam";
        submission_id = Some(findings::mark_spam(&about, &known, did, &submission));
    }
    if told {
        let fingerprint = submission::fingerprints(protection, whole);
        let (content, by) = (submission.clone(), rights::session_user());
        let word = Word {
            protection: protection.id,
            relation: &protection.relation,
            row_key: Some(row_key),
            is_spam: spam,
            submission_id,
            submission,
            reporter: Some(&by),
        };
        feedback::queue(word, |original| original.is_of_row(&fingerprint, &content));
    }
}
