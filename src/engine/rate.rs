//! Owns how tries are counted against a limit: the tries of one key, and which keys keep a place when
//! there is not room for all. Plain data that may lie in memory that processes share; it has no clock, no
//! lock and no hash, allocates nothing and must not know what a key stands for.
//!
//! A key's tries are kept in [`CELLS`] cells. Up to that `max`, a cell is one try and every answer is
//! exact. Beyond, a cell holds all tries of one 30th of `per` under the time of the last of them: never
//! do more than `max` pass in any `per` without a block, a burst of `max` passes whole, and tries that were
//! spread out may count up to a 30th of `per` too long. After a block counting starts anew.

mod entry;

use crate::surroundings::{RateLimit, Refused};

pub use entry::{CELLS, Entry};

/// Entries of one set. A key has its place in one set alone.
pub const WAYS: usize = 16;

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whose key it is: with it, results are fetched and entries given back.
    pub home: u64,
    /// A hash of everything that tells it from others, its limit included.
    pub hash: u128,
}

/// What counting a try came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The try is one too many.
    pub refused: Option<Refused>,
    /// It is to be logged, by whoever asked: the end of the block, which tells this block from others.
    pub claim: Option<i64>,
    /// A block that ended, or whose entry was needed, before all of its refusals were fetched.
    pub ended: Option<Block>,
    /// Refusals have come that are not in the log.
    pub changed: bool,
    /// A key that still counted lost its place.
    pub displaced: bool,
}

/// A block with an entry in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Block {
    /// Whose it is.
    pub home: u64,
    /// The number of the log entry.
    pub submission: i64,
    /// Refusals so far.
    pub refused: u64,
}

/// Counts a try of a key in its set at the time `now` (microseconds, above 0, of a clock that never goes
/// back).
pub fn count(set: &mut [Entry], key: Key, limit: RateLimit, now: i64) -> Counted {
    let mut counted = Counted::default();
    let at = match set.iter().position(|entry| entry.is(key)) {
        Some(at) => at,
        None => {
            let at = place(set, now);
            counted.ended = set[at].unfetched();
            counted.displaced = set[at].counts(now);
            set[at] = Entry::new(key);
            at
        }
    };
    let entry = &mut set[at];
    if entry.block_is_over(now) {
        counted.ended = entry.unfetched();
        entry.let_go();
    }
    counted.refused = entry.count(limit, now);
    if counted.refused.is_some() {
        counted.claim = entry.claim();
        counted.changed = entry.unfetched().is_some();
    }
    counted
}

/// What a try would come to now, without counting it.
#[must_use]
pub fn peek(set: &[Entry], key: Key, limit: RateLimit, now: i64) -> Option<Refused> {
    let known = set.iter().find(|entry| entry.is(key)).copied();
    let mut entry = known.unwrap_or_else(|| Entry::new(key));
    if entry.block_is_over(now) {
        entry.let_go();
    }
    entry.count(limit, now)
}

/// A claimed block was logged as `submission`, with so many refusals (or could not be: None). True:
/// more have come since.
pub fn logged(set: &mut [Entry], key: Key, claim: i64, entry: Option<(i64, u64)>) -> bool {
    let Some(known) = set.iter_mut().find(|known| known.is(key)) else { return false };
    known.logged(claim, entry);
    known.unfetched().is_some()
}

/// Blocks of `home` with refusals that are not in the log, and whether other homes have such.
pub fn unfetched(set: &[Entry], home: u64, found: &mut [Block; WAYS]) -> (usize, bool) {
    let (mut count, mut others) = (0, false);
    for block in set.iter().filter_map(Entry::unfetched) {
        if block.home == home {
            found[count] = block;
            count += 1;
        } else {
            others = true;
        }
    }
    (count, others)
}

/// So many refusals of a block are in the log.
pub fn fetched(set: &mut [Entry], block: Block) {
    for entry in set.iter_mut() {
        entry.fetched(block);
    }
}

/// Where a new key goes: a free place, else that of a key that no longer counts, else of the one with
/// the fewest tries, the oldest of those, and only among blocked ones the one that is let go first.
fn place(set: &[Entry], now: i64) -> usize {
    let worth = |entry: &Entry| entry.worth(now);
    let least = set.iter().enumerate().min_by_key(|(_, entry)| worth(entry));
    least.map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests;
