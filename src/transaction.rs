//! What happens at the ends of transactions: the worker is woken once lookups are committed, stashes
//! go with what is rolled back, and nothing that was found is left unwritten. Callbacks are registered
//! once in a backend's life and do nothing for transactions that touched no protected table.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use pgrx::pg_sys;

use crate::shared::Queued;
use crate::{captcha, logfile, memory, nesting, notice, record, rulebook, shared, stash};

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static TRACKBACKS: Cell<bool> = const { Cell::new(false) };
    static LISTS: Cell<bool> = const { Cell::new(false) };
    static CALL_WORKER: Cell<bool> = const { Cell::new(false) };
    static RETRY: Cell<bool> = const { Cell::new(false) };
    static REMEMBERED: Cell<bool> = const { Cell::new(false) };
    static MAIL_QUEUED: Cell<bool> = const { Cell::new(false) };
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Registers the callbacks of this backend, once.
pub fn register() {
    if REGISTERED.replace(true) {
        return;
    }
    // SAFETY: the callbacks are functions of this library, which is never unloaded.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_subtransaction), std::ptr::null_mut());
        rulebook::register_invalidation();
    }
}

/// Wakes the worker once this transaction is committed.
pub fn call_worker_at_commit() {
    if !IS_WORKER.get() {
        register();
        CALL_WORKER.set(true);
    }
}

/// Wakes the worker once this transaction is committed, and has it try at once what it would leave alone
/// for a while.
pub fn retry_at_commit() {
    call_worker_at_commit();
    RETRY.set(true);
}

/// Lookups of trackbacks are queued: their lane looks at once.
pub fn trackbacks_queued() {
    TRACKBACKS.set(true);
}

/// Has the worker look, once this transaction is committed, which lists are to be fetched.
pub fn lists_to_fetch() {
    LISTS.set(true);
    call_worker_at_commit();
}

/// Tells the worker once this transaction is committed that there is something that will have to be
/// forgotten one day. It is not woken.
pub fn remembered() {
    register();
    REMEMBERED.set(true);
}

/// Tells the worker once this transaction is committed that moderators are to be mailed. It is not woken:
/// it looks each second.
pub fn mail_queued() {
    register();
    MAIL_QUEUED.set(true);
}

fn tell_of_mail(prepared: bool) {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.enlist(database)) {
        let flag = if prepared { &entry.mail_prepared } else { &entry.mail };
        flag.store(true, Ordering::Release);
    }
}

fn tell_of_memory() {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.enlist(database)) {
        entry.memory.store(true, Ordering::Release);
    }
}

/// Whether this process is the worker.
pub fn is_worker() -> bool {
    IS_WORKER.get()
}

/// This process is the worker: it knows what it wrote.
pub fn never_call_worker() {
    IS_WORKER.set(true);
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
            record::flush_leftovers(false);
        }
        XACT_EVENT_PRE_PREPARE => {
            memory::take_back_all();
            record::flush_leftovers(true);
        }
        XACT_EVENT_COMMIT => {
            logfile::committed();
            stash::clear();
            memory::clear();
            captcha::clear();
            nesting::clear(false);
            if REMEMBERED.replace(false) {
                tell_of_memory();
            }
            if MAIL_QUEUED.replace(false) {
                tell_of_mail(false);
            }
            if CALL_WORKER.replace(false) {
                wake(false);
            }
        }
        XACT_EVENT_PREPARE => {
            stash::clear();
            memory::clear();
            captcha::clear();
            if REMEMBERED.replace(false) {
                tell_of_memory();
            }
            if MAIL_QUEUED.replace(false) {
                tell_of_mail(true);
            }
            // The rows show up at COMMIT PREPARED, in whatever session, without a word to us.
            if CALL_WORKER.replace(false) {
                wake(true);
            }
        }
        XACT_EVENT_ABORT => {
            stash::clear();
            memory::clear();
            captcha::clear();
            nesting::clear(true);
            record::discard();
            logfile::discard();
            notice::discard();
            MAIL_QUEUED.set(false);
            CALL_WORKER.set(false);
            RETRY.set(false);
            TRACKBACKS.set(false);
            LISTS.set(false);
            REMEMBERED.set(false);
        }
        _ => {}
    }
}

fn wake(prepared: bool) {
    let Some(shared) = shared::shared() else { return };
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared.enlist(database) {
        if prepared {
            entry.prepared.store(true, Ordering::Release);
        }
        let trackbacks = if TRACKBACKS.replace(false) { Queued::Surely } else { Queued::Perhaps };
        entry.trackbacks.fetch_max(trackbacks as u32, Ordering::AcqRel);
        if LISTS.replace(false) {
            entry.lists.store(true, Ordering::Release);
        }
        if RETRY.replace(false) {
            entry.retry.store(true, Ordering::Release);
        }
        entry.lookups.store(true, Ordering::Release);
    }
    shared.call_worker(database);
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
