//! One key's tries, its block, and what the log knows of that. Owns the cells and their arithmetic; which
//! entry is whose is the set's.

use super::{Block, Key};
use crate::surroundings::{RateLimit, Refused};

/// Cells of an entry: up to this `max`, every try has its own.
pub const CELLS: usize = 32;

/// Parts of `per` that share a cell when tries have none of their own: with those at both ends, and what
/// rounding adds, they fill the cells.
const PARTS: i64 = CELLS as i64 - 2;

/// Bits of a shared cell that hold its number of tries; the others hold its time.
const COUNT_BITS: u32 = 20;

/// The greatest `max` that a cell can count.
pub const MAX: u32 = (1 << COUNT_BITS) - 1;

/// The log of a block.
const UNKNOWN: u32 = 0;
const CLAIMED: u32 = 1;
const LOGGED: u32 = 2;

/// The tries of one key. Zeroed means free.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    home: u64,
    hash: [u64; 2],
    /// When the last try was counted.
    last: i64,
    /// When nothing in it will count any more; 0: it is free.
    idle_at: i64,
    /// When the block ends; 0: there is none.
    until: i64,
    /// The block's entry in the log.
    submission: i64,
    /// Refusals of this block, and how many of them the log has.
    refused: u64,
    known: u64,
    log: u32,
    /// Tries in the cells when the last one was counted.
    tries: u32,
    /// The oldest cell, and how many there are.
    first: u32,
    used: u32,
    cells: [u32; CELLS],
}

/// How a limit's times fit into cells.
struct Scale {
    /// Microseconds that a cell's time counts by.
    unit: i64,
    /// Bits of a cell that hold the number of tries; 0: a cell is one try.
    count_bits: u32,
    /// Tries of one such part of time share a cell; 0: none do.
    part: i64,
}

impl Scale {
    fn of(limit: RateLimit) -> Self {
        if limit.max as usize <= CELLS {
            return Self { unit: divided(limit.per, 1 << 30), count_bits: 0, part: 0 };
        }
        let unit = divided(limit.per, 1 << 10);
        Self { unit, count_bits: COUNT_BITS, part: divided(limit.per, PARTS) }
    }

    /// Times are counted around: what is in the cells is never further apart than half of a turn.
    fn time(&self, now: i64) -> u32 {
        let turn = u64::from(u32::MAX >> self.count_bits);
        ((now / self.unit) as u64 & turn) as u32
    }

    fn cell(&self, now: i64) -> u32 {
        self.time(now) << self.count_bits | u32::from(self.count_bits > 0)
    }

    fn tries(&self, cell: u32) -> u32 {
        if self.count_bits == 0 { 1 } else { cell & MAX }
    }

    /// How long ago a cell's last try was, at least.
    fn age(&self, cell: u32, now: i64) -> i64 {
        let turn = u32::MAX >> self.count_bits;
        let units = self.time(now).wrapping_sub(cell >> self.count_bits) & turn;
        let whole = if self.unit == 1 { units } else { units.saturating_sub(1) };
        i64::from(whole) * self.unit
    }

    /// By how much rounding can keep a try too long.
    const fn slack(&self) -> i64 {
        if self.unit == 1 { 0 } else { 2 * self.unit }
    }
}

/// `a / b`, rounded up, at least 1.
const fn divided(a: i64, b: i64) -> i64 {
    let parts = a / b + (a % b != 0) as i64;
    if parts < 1 { 1 } else { parts }
}

impl Entry {
    /// A free place.
    pub const FREE: Self = Self::new(Key { home: 0, hash: 0 });

    /// A key without tries.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self {
            home: key.home,
            hash: [key.hash as u64, (key.hash >> 64) as u64],
            last: 0,
            idle_at: 0,
            until: 0,
            submission: 0,
            refused: 0,
            known: 0,
            log: UNKNOWN,
            tries: 0,
            first: 0,
            used: 0,
            cells: [0; CELLS],
        }
    }

    /// Whether it is this key's.
    pub fn is(&self, key: Key) -> bool {
        self.idle_at != 0
            && self.home == key.home
            && self.hash == [key.hash as u64, (key.hash >> 64) as u64]
    }

    /// Whose it is; 0: nobody's.
    #[must_use]
    pub const fn home(&self) -> u64 {
        self.home
    }

    /// Whether something in it still counts.
    pub fn counts(&self, now: i64) -> bool {
        now < self.idle_at
    }

    /// What would be lost with it, the least first.
    pub fn worth(&self, now: i64) -> (u8, u64, i64) {
        match () {
            () if self.idle_at == 0 => (0, 0, 0),
            () if now >= self.idle_at => (1, self.refused - self.known, self.idle_at),
            () if self.until == 0 || now >= self.until => (2, u64::from(self.tries), self.last),
            () => (3, 0, self.until),
        }
    }

    /// Whether there was a block that has ended.
    pub fn block_is_over(&self, now: i64) -> bool {
        self.until != 0 && now >= self.until
    }

    /// The block is over: refusals are counted anew.
    pub fn let_go(&mut self) {
        (self.until, self.refused, self.known) = (0, 0, 0);
        (self.submission, self.log) = (0, UNKNOWN);
    }

    /// Counts a try; a block that is over has been let go.
    pub fn count(&mut self, limit: RateLimit, now: i64) -> Option<Refused> {
        if self.until == 0 {
            self.expire(limit, now);
            if self.tries < limit.max {
                self.push(limit, now);
                return None;
            }
            self.block(limit, now);
        }
        self.refused += 1;
        Some(Refused { count: self.refused, retry_after: (self.until - now).max(1) })
    }

    fn block(&mut self, limit: RateLimit, now: i64) {
        if limit.block > 0 {
            // Afterwards it starts anew.
            (self.used, self.tries) = (0, 0);
            self.until = now.saturating_add(limit.block);
            self.idle_at = self.until;
            return;
        }
        // Refused only until a try is out of sight.
        let scale = Scale::of(limit);
        let left = match self.used {
            0 => limit.per,
            _ => limit.per - scale.age(self.cells[self.first as usize], now) + scale.slack(),
        };
        self.until = now.saturating_add(left.max(1));
        self.idle_at = self.idle_at.max(self.until);
    }

    /// Drops the tries that are surely older than the limit's time.
    fn expire(&mut self, limit: RateLimit, now: i64) {
        let scale = Scale::of(limit);
        if now >= self.last.saturating_add(limit.per).saturating_add(scale.slack()) {
            (self.used, self.tries) = (0, 0);
        }
        while self.used > 0 {
            let cell = self.cells[self.first as usize];
            if scale.age(cell, now) < limit.per {
                break;
            }
            self.tries -= scale.tries(cell);
            self.first = (self.first + 1) % CELLS as u32;
            self.used -= 1;
        }
    }

    fn push(&mut self, limit: RateLimit, now: i64) {
        let scale = Scale::of(limit);
        let newest = (self.first + self.used + CELLS as u32 - 1) as usize % CELLS;
        let shares = self.used > 0
            && scale.part > 0
            && (now / scale.part == self.last / scale.part || self.used == CELLS as u32);
        if shares {
            self.cells[newest] = scale.cell(now) + scale.tries(self.cells[newest]);
        } else {
            self.cells[(newest + 1) % CELLS] = scale.cell(now);
            self.used += 1;
        }
        self.tries += 1;
        self.last = now;
        self.idle_at = now.saturating_add(limit.per).saturating_add(scale.slack());
    }

    /// Whether the refusal at hand is to be logged: the first one, and as long as it could not be, ever
    /// more rarely, a later one.
    pub fn claim(&mut self) -> Option<i64> {
        if self.log != UNKNOWN || !self.refused.is_power_of_two() {
            return None;
        }
        self.log = CLAIMED;
        Some(self.until)
    }

    /// What became of a claim.
    pub fn logged(&mut self, claim: i64, entry: Option<(i64, u64)>) {
        if self.log != CLAIMED || self.until != claim {
            return;
        }
        match entry {
            None => self.log = UNKNOWN,
            Some((submission, refused)) => {
                self.log = LOGGED;
                self.submission = submission;
                self.known = refused;
            }
        }
    }

    /// Its block, if refusals have come that the log does not have.
    pub fn unfetched(&self) -> Option<Block> {
        let (home, submission, refused) = (self.home, self.submission, self.refused);
        (self.log == LOGGED && refused > self.known).then_some(Block { home, submission, refused })
    }

    /// The log has so many refusals of this block.
    pub fn fetched(&mut self, block: Block) {
        if self.log == LOGGED && (self.home, self.submission) == (block.home, block.submission) {
            self.known = self.known.max(block.refused);
        }
    }
}
