//! Members that rows have added whose storing is not certain yet. A row may be judged and then not be
//! inserted (ON CONFLICT, on_reject `drop`, a later trigger), and what it added would make an older row
//! with its key look new. So it is taken back when the next row is judged, or before the commit. Owns
//! the list; which row is stored, the AFTER trigger's WHEN clause says, as it does to stash.rs.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys::{self, SubTransactionId};

use super::chain::Chain;
use crate::rights;
use crate::stash::{self, Depth};

struct Added {
    chain: Chain,
    n: i32,
    key: String,
    depth: Depth,
    subtransaction: SubTransactionId,
    /// The subtransaction that took it back; rolled back, it is there again.
    gone: Option<SubTransactionId>,
}

thread_local! {
    static ANY: Cell<bool> = const { Cell::new(false) };
    static ADDED: RefCell<Vec<Added>> = const { RefCell::new(Vec::new()) };
}

/// The row that is judged became member `n`.
pub fn add(chain: Chain, n: i32, key: &str) {
    let (depth, subtransaction) = (Depth::in_trigger(), stash::current());
    let added = Added { chain, n, key: key.to_owned(), depth, subtransaction, gone: None };
    ADDED.with_borrow_mut(|all| all.push(added));
    ANY.set(true);
}

/// The row that was judged last is stored.
pub fn stored(protection: i32) {
    if ANY.get() {
        let depth = Depth::in_statement();
        retain(|added| {
            added.chain.protection != protection || added.depth != depth || added.gone.is_some()
        });
    }
}

/// A row is about to be judged: those that were judged before it and are not stored will never be.
pub fn take_back() {
    if ANY.get() {
        let here = Depth::in_trigger();
        take_back_those(|added| added.depth.is_over_at(here));
    }
}

/// The transaction is about to commit.
pub fn take_back_all() {
    if ANY.get() {
        // SAFETY: the transaction still runs, between its statements; the server wants a snapshot for each.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
        take_back_those(|_| true);
        // SAFETY: pairs with the push above.
        unsafe { pg_sys::PopActiveSnapshot() };
    }
}

fn take_back_those(over: impl Fn(&Added) -> bool) {
    let here = stash::current();
    let gone: Vec<(Chain, i32, String)> = ADDED.with_borrow_mut(|all| {
        let gone = all.iter_mut().filter(|added| added.gone.is_none() && over(added));
        gone.map(|added| {
            added.gone = Some(here);
            (added.chain, added.n, added.key.clone())
        })
        .collect()
    });
    forget_gone();
    if !gone.is_empty() {
        rights::as_extension_by_index(|| {
            gone.iter().for_each(|(chain, n, key)| chain.forget(*n, key))
        });
    }
}

/// What was taken back where it was added comes and goes with it.
fn forget_gone() {
    retain(|added| added.gone != Some(added.subtransaction));
}

/// The transaction is over.
pub fn clear() {
    if ANY.get() {
        retain(|_| false);
    }
}

/// A subtransaction is rolled back; its children are numbered above it.
pub fn forget_from(subtransaction: SubTransactionId) {
    if ANY.get() {
        retain(|added| added.subtransaction < subtransaction);
        ADDED.with_borrow_mut(|all| {
            for added in all.iter_mut() {
                added.gone = added.gone.filter(|gone| *gone < subtransaction);
            }
        });
    }
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: SubTransactionId, parent: SubTransactionId) {
    if ANY.get() {
        ADDED.with_borrow_mut(|all| {
            for added in all.iter_mut() {
                if added.subtransaction == subtransaction {
                    added.subtransaction = parent;
                }
                if added.gone == Some(subtransaction) {
                    added.gone = Some(parent);
                }
            }
        });
        forget_gone();
    }
}

fn retain(keep: impl Fn(&Added) -> bool) {
    let any = ADDED.with_borrow_mut(|all| {
        all.retain(keep);
        !all.is_empty()
    });
    ANY.set(any);
}
