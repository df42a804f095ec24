//! How many statements run inside each other. Triggers can be told apart by pg_trigger_depth(), but a
//! CHECK constraint, a policy or an index expression may run statements too, between the moment when a
//! row is judged and the moment when it is stored. Owns the executor's hooks and the counter, and does
//! nothing else in them: every statement of the server passes here.
//!
//! The hooks are not guarded by pgrx on purpose: its guard would turn each error of each statement into a
//! Rust panic and back, and lose its constraint name and its SQLSTATE on the way. They hold no value
//! with a destructor, so an error may jump over them; the counter is then put right by the end of the
//! (sub)transaction.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys::{self, SubTransactionId};

thread_local! {
    static LEVEL: Cell<u32> = const { Cell::new(0) };
    /// The statement that runs, and how many have begun.
    static RUN: Cell<u64> = const { Cell::new(0) };
    static RUNS: Cell<u64> = const { Cell::new(0) };
    /// The last statement that ran inside no other one.
    static OUTERMOST: Cell<u64> = const { Cell::new(0) };
    /// The level at which each running subtransaction began, and the statement.
    static BEGAN: RefCell<Vec<(SubTransactionId, (u32, u64))>> = const { RefCell::new(Vec::new()) };
}

static mut PREVIOUS_RUN: pg_sys::ExecutorRun_hook_type = None;
static mut PREVIOUS_FINISH: pg_sys::ExecutorFinish_hook_type = None;

unsafe extern "C-unwind" {
    #[cfg(not(feature = "pg18"))]
    fn standard_ExecutorRun(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
        execute_once: bool,
    );
    #[cfg(feature = "pg18")]
    fn standard_ExecutorRun(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
    );
    fn standard_ExecutorFinish(query: *mut pg_sys::QueryDesc);
}

/// Installs the hooks; only while the server preloads libraries.
pub fn install() {
    // SAFETY: hooks are chained single-threaded in the postmaster.
    unsafe {
        PREVIOUS_RUN = pg_sys::ExecutorRun_hook;
        pg_sys::ExecutorRun_hook = Some(run);
        PREVIOUS_FINISH = pg_sys::ExecutorFinish_hook;
        pg_sys::ExecutorFinish_hook = Some(finish);
    }
}

#[cfg(not(feature = "pg18"))]
unsafe extern "C-unwind" fn run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    execute_once: bool,
) {
    let outer = enter();
    // SAFETY: the arguments are passed on as they came.
    unsafe {
        match PREVIOUS_RUN {
            Some(previous) => previous(query, direction, count, execute_once),
            None => standard_ExecutorRun(query, direction, count, execute_once),
        }
    }
    leave(outer);
}

#[cfg(feature = "pg18")]
unsafe extern "C-unwind" fn run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
) {
    let outer = enter();
    // SAFETY: the arguments are passed on as they came.
    unsafe {
        match PREVIOUS_RUN {
            Some(previous) => previous(query, direction, count),
            None => standard_ExecutorRun(query, direction, count),
        }
    }
    leave(outer);
}

unsafe extern "C-unwind" fn finish(query: *mut pg_sys::QueryDesc) {
    let outer = enter();
    // SAFETY: the argument is passed on as it came.
    unsafe {
        match PREVIOUS_FINISH {
            Some(previous) => previous(query),
            None => standard_ExecutorFinish(query),
        }
    }
    leave(outer);
}

fn enter() -> (u32, u64) {
    let run = RUNS.get() + 1;
    RUNS.set(run);
    if LEVEL.get() == 0 {
        OUTERMOST.set(run);
    }
    (LEVEL.replace(LEVEL.get() + 1), RUN.replace(run))
}

fn leave((level, run): (u32, u64)) {
    LEVEL.set(level);
    RUN.set(run);
}

/// The statement that runs, as a number; 0 or an outer one's for those that are not run by the executor.
pub fn statement() -> u64 {
    RUN.get()
}

/// The statement that runs inside no other one, as a number; of those that the executor does not run (COPY),
/// the one before.
pub fn outermost() -> u64 {
    OUTERMOST.get()
}

/// Statements that run inside each other right now.
pub fn level() -> u32 {
    LEVEL.get()
}

/// A subtransaction begins.
pub fn begin(subtransaction: SubTransactionId) {
    BEGAN.with_borrow_mut(|all| all.push((subtransaction, (LEVEL.get(), RUN.get()))));
}

/// A subtransaction ends; rolled back, it takes the statements that an error left running with it.
pub fn end(subtransaction: SubTransactionId, rolled_back: bool) {
    BEGAN.with_borrow_mut(|all| {
        while let Some((id, began)) = all.pop_if(|(id, _)| *id >= subtransaction) {
            if rolled_back && id == subtransaction {
                leave(began);
            }
        }
    });
}

/// The transaction is over.
pub fn clear(rolled_back: bool) {
    BEGAN.with_borrow_mut(Vec::clear);
    if rolled_back {
        LEVEL.set(0);
    }
}
