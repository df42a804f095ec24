//! Members that rows have added whose storing is not certain yet: of a row that is never stored, one would
//! make an older row with its key look new, so it is forgotten again. Owns which member was added for which
//! row; when it is over, unstored.rs knows.

use std::cell::RefCell;

use pgrx::pg_sys::SubTransactionId;

use super::chain::Chain;
use crate::rights;
use crate::unstored::{self, Unstored};

#[derive(Clone)]
struct Added {
    chain: Chain,
    n: i32,
    key: String,
}

thread_local! {
    static ADDED: RefCell<Unstored<Added>> = const { RefCell::new(Unstored::new()) };
}

/// The row that is judged became member `n`.
pub fn add(chain: Chain, n: i32, key: &str) {
    let added = Added { chain, n, key: key.to_owned() };
    ADDED.with_borrow_mut(|all| all.add(chain.protection, added));
}

/// The row that was judged last is stored.
pub fn stored(protection: i32) {
    ADDED.with_borrow_mut(|all| all.stored(protection));
}

/// A row is about to be judged: those that were judged before it and are not stored will never be.
pub fn take_back() {
    forget(&ADDED.with_borrow_mut(|all| all.take_over(None)));
}

/// The transaction is about to commit.
pub fn take_back_all() {
    let gone = ADDED.with_borrow_mut(Unstored::take_all);
    if !gone.is_empty() {
        unstored::before_commit(|| forget(&gone));
    }
}

fn forget(gone: &[Added]) {
    if !gone.is_empty() {
        rights::as_extension_by_index(|| {
            gone.iter().for_each(|one| one.chain.forget(one.n, &one.key))
        });
    }
}

/// The transaction is over.
pub fn clear() {
    ADDED.with_borrow_mut(Unstored::clear);
}

/// A subtransaction is rolled back; its children are numbered above it.
pub fn forget_from(subtransaction: SubTransactionId) {
    ADDED.with_borrow_mut(|all| all.forget_from(subtransaction));
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: SubTransactionId, parent: SubTransactionId) {
    ADDED.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
}
