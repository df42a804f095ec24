//! What a transaction gathers until its end, each thing with the subtransaction that it goes with: one that
//! is rolled back takes its own along. Owns no callback, and does not know what is gathered.

use pgrx::pg_sys::SubTransactionId;

use crate::stash;

/// Things in the order in which they came.
pub struct Gathered<T>(Vec<(SubTransactionId, T)>);

impl<T> Gathered<T> {
    /// Nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds what belongs to the subtransaction at hand.
    pub fn push(&mut self, one: T) {
        self.0.push((stash::current(), one));
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, one)| one)
    }

    /// What belongs to the subtransaction at hand itself.
    pub fn here(&self) -> impl Iterator<Item = &T> {
        let here = stash::current();
        self.0.iter().filter(move |(subtransaction, _)| *subtransaction == here).map(|(_, one)| one)
    }

    /// Takes what belongs to the subtransaction at hand itself.
    pub fn take_here(&mut self) -> Vec<T> {
        let here = stash::current();
        let (ours, others) =
            std::mem::take(&mut self.0).into_iter().partition(|(owner, _)| *owner == here);
        self.0 = others;
        ours.into_iter().map(|(_, one)| one).collect()
    }

    /// Takes one out; false: it is not there.
    pub fn remove(&mut self, one: &T) -> bool
    where
        T: PartialEq,
    {
        let at = self.0.iter().position(|(_, other)| other == one);
        at.map(|at| self.0.swap_remove(at)).is_some()
    }

    /// Takes all of it.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0).into_iter().map(|(_, one)| one).collect()
    }

    /// The transaction is over.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A subtransaction, and all inside it, is rolled back: its children are numbered above it.
    pub fn discard_from(&mut self, subtransaction: SubTransactionId) {
        self.0.retain(|(owner, _)| *owner < subtransaction);
    }

    /// A subtransaction became part of its parent.
    pub fn hand_up(&mut self, subtransaction: SubTransactionId, parent: SubTransactionId) {
        for (owner, _) in self.0.iter_mut().filter(|(owner, _)| *owner == subtransaction) {
            *owner = parent;
        }
    }
}
