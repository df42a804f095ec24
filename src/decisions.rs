//! What others do to a row that was judged: a status that a human or the app sets is a decision, which no
//! later answer may override; a row with another key is still the same row. Owns how the guard tells, not
//! what the queue, the log and the memory do about it.

use std::cell::{Cell, RefCell};

use serde_json::Value as Json;

use crate::lookups::Moved;
use crate::protection::Protection;
use crate::row::Row;
use crate::trigger::Trigger;
use crate::{checked, key, lookups, memory, transaction};

thread_local! {
    static APPLYING: Cell<bool> = const { Cell::new(false) };
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
    if transaction::is_worker() || APPLYING.get() {
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
        lookups::decided(protection.id, &before, &moved.borrow());
    }
    if renamed && let Some(after) = key::of_row(protection, new) {
        checked::rename_row(protection.id, &before, &after, &mut moved.borrow_mut().checked);
        lookups::rename_row(protection.id, &before, &after, &mut moved.borrow_mut());
    }
}
