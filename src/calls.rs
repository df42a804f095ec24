//! What a transaction tells the worker once it is committed: that there are lookups, lists, mail, something to
//! forget. Flags of the backend, which transaction.rs has turned into calls, or forgotten. Also knows whether
//! this process is the worker itself, which needs no telling.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use pgrx::pg_sys;

use crate::shared::{self, Queued};

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

static AT_FIRST: OnceLock<fn()> = OnceLock::new();

/// What a backend does when it first has something to do at the end of a transaction.
pub fn at_first(work: fn()) {
    let _ = AT_FIRST.set(work);
}

/// Has this backend hear of the ends of transactions, if it does not yet.
pub fn register() {
    if !REGISTERED.replace(true)
        && let Some(work) = AT_FIRST.get()
    {
        work();
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

/// The transaction is committed, or prepared: then its rows show up at COMMIT PREPARED, in whatever session,
/// without a word to us.
pub fn make(prepared: bool) {
    if REMEMBERED.replace(false) {
        tell_of_memory();
    }
    if MAIL_QUEUED.replace(false) {
        tell_of_mail(prepared);
    }
    if CALL_WORKER.replace(false) {
        wake(prepared);
    }
}

/// The transaction is rolled back.
pub fn discard() {
    for flag in [&MAIL_QUEUED, &CALL_WORKER, &RETRY, &TRACKBACKS, &LISTS, &REMEMBERED] {
        flag.set(false);
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
