//! What judged rows have written whose storing is not certain yet. A row may be judged and then not be
//! stored (ON CONFLICT, on_reject `drop`, a later trigger); what it has written is taken back then, when
//! the next row is judged, or before the commit. Owns the list and its way through subtransactions. Which
//! row is stored, the AFTER trigger's WHEN clause says, as it does to stash.rs; how something is taken back
//! is for whoever wrote it.

use pgrx::pg_sys::{self, SubTransactionId};

use crate::nesting;
use crate::stash::{self, Depth};

/// What was written for rows that may not be stored.
pub struct Unstored<T>(Vec<Written<T>>);

struct Written<T> {
    what: T,
    protection: i32,
    depth: Depth,
    statement: u64,
    subtransaction: SubTransactionId,
    /// The subtransaction that took it back; rolled back, it is there again.
    gone: Option<SubTransactionId>,
}

impl<T: Clone> Unstored<T> {
    /// Nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds what was written for the row that is being judged.
    pub fn add(&mut self, protection: i32, what: T) {
        self.0.push(Written {
            what,
            protection,
            depth: Depth::in_trigger(),
            statement: nesting::statement(),
            subtransaction: stash::current(),
            gone: None,
        });
    }

    /// The row that was judged last is stored.
    pub fn stored(&mut self, protection: i32) {
        if !self.0.is_empty() {
            let depth = Depth::in_statement();
            self.0.retain(|one| {
                one.protection != protection || one.depth != depth || one.gone.is_some()
            });
        }
    }

    /// A row is about to be judged: what is to be taken back of those that were judged before it, since
    /// they will never be stored. With `upserted`, what this statement has written for a row of that
    /// protection stays: the edit at hand is how it is stored.
    pub fn take_over(&mut self, upserted: Option<i32>) -> Vec<T> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (here, statement) = (Depth::in_trigger(), nesting::statement());
        self.take_those(|one| {
            let same = one.depth == here && one.statement == statement;
            one.depth.is_over_at(here) && !(same && Some(one.protection) == upserted)
        })
    }

    /// The transaction is about to commit: what is to be taken back.
    pub fn take_all(&mut self) -> Vec<T> {
        self.take_those(|_| true)
    }

    fn take_those(&mut self, over: impl Fn(&Written<T>) -> bool) -> Vec<T> {
        let here = stash::current();
        let those = self.0.iter_mut().filter(|one| one.gone.is_none() && over(one));
        let taken = those.map(|one| {
            one.gone = Some(here);
            one.what.clone()
        });
        let taken = taken.collect();
        self.forget_gone();
        taken
    }

    /// What was taken back where it was written comes and goes with it.
    fn forget_gone(&mut self) {
        self.0.retain(|one| one.gone != Some(one.subtransaction));
    }

    /// The transaction is over.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A subtransaction is rolled back; its children are numbered above it.
    pub fn forget_from(&mut self, subtransaction: SubTransactionId) {
        self.0.retain(|one| one.subtransaction < subtransaction);
        for one in &mut self.0 {
            one.gone = one.gone.filter(|gone| *gone < subtransaction);
        }
    }

    /// A subtransaction became part of its parent.
    pub fn hand_up(&mut self, subtransaction: SubTransactionId, parent: SubTransactionId) {
        for one in &mut self.0 {
            if one.subtransaction == subtransaction {
                one.subtransaction = parent;
            }
            if one.gone == Some(subtransaction) {
                one.gone = Some(parent);
            }
        }
        self.forget_gone();
    }
}

/// Runs what takes something back before a commit, between statements.
pub fn before_commit(work: impl FnOnce()) {
    // SAFETY: the transaction still runs; the server wants a snapshot for each statement.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    work();
    // SAFETY: pairs with the push above.
    unsafe { pg_sys::PopActiveSnapshot() };
}
