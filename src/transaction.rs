//! What happens at the ends of transactions, and in which order: what was found is written before the
//! commit, stashes go with what is rolled back, the worker is told. Callbacks are registered once in a
//! backend's life and do nothing for transactions that touched no protected table.

use pgrx::pg_sys;

use crate::{calls, captcha, logfile, memory, nesting, notice, record, rulebook, stash};

/// Has the callbacks registered in the backends that need them.
pub fn install() {
    calls::at_first(register);
}

fn register() {
    // SAFETY: the callbacks are functions of this library, which is never unloaded.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_subtransaction), std::ptr::null_mut());
        rulebook::register_invalidation();
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_transaction(
    event: pg_sys::XactEvent::Type,
    _arg: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PRE_COMMIT, XACT_EVENT_PRE_PREPARE,
        XACT_EVENT_PREPARE,
    };
    match event {
        XACT_EVENT_PRE_COMMIT => {
            memory::take_back_all();
            captcha::take_back_all();
            record::flush_leftovers(false);
        }
        XACT_EVENT_PRE_PREPARE => {
            memory::take_back_all();
            captcha::take_back_all();
            record::flush_leftovers(true);
        }
        XACT_EVENT_COMMIT => {
            logfile::committed();
            stash::clear();
            memory::clear();
            captcha::clear();
            nesting::clear(false);
            calls::make(false);
        }
        XACT_EVENT_PREPARE => {
            stash::clear();
            memory::clear();
            captcha::clear();
            calls::make(true);
        }
        XACT_EVENT_ABORT => {
            stash::clear();
            memory::clear();
            captcha::clear();
            nesting::clear(true);
            record::discard();
            logfile::discard();
            notice::discard();
            calls::discard();
        }
        _ => {}
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    subtransaction: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => nesting::begin(subtransaction),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            nesting::end(subtransaction, true);
            stash::forget_from(subtransaction);
            memory::forget_from(subtransaction);
            captcha::forget_from(subtransaction);
            record::discard_from(subtransaction);
            logfile::discard_from(subtransaction);
            notice::discard_from(subtransaction);
        }
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
            nesting::end(subtransaction, false);
            stash::hand_up(subtransaction, parent);
            memory::hand_up(subtransaction, parent);
            captcha::hand_up(subtransaction, parent);
            record::hand_up(subtransaction, parent);
            logfile::hand_up(subtransaction, parent);
            notice::hand_up(subtransaction, parent);
        }
        _ => {}
    }
}
