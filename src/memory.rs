//! What is remembered of earlier rows: their traces, in `spamcheck._seen`. Answers how many of them count,
//! exactly, also between sessions, whatever the table's size, without an index on it. A trace is only a
//! promise: a row counts when it is found in its table by its key and the check, which sees it, says so.
//! Must not know what a check looks for.
//!
//! The row at hand joins the chain of those with the same trace before it looks at them, so of two
//! sessions the later waits until the earlier commits, and then sees it. What it joins with is an
//! ordinary row, of the transaction at hand: it goes with a rollback, and it must not be written in a
//! subtransaction, or a COPY of a million rows would take a million of their numbers.

mod came;
mod chain;
pub mod remember;
mod stored;
mod unstored;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

use pgrx::PgSqlErrorCode;
use spamcheck_engine::surroundings::{Earlier, Trace, TraceKind};

use crate::protection::Protection;
use crate::row::Row;
use crate::submission::{self, wall_clock};
use crate::surroundings::Around;
use crate::{calls, key, report, rights};
use chain::{Chain, PAGE, Seen};
use stored::{Look, Table};

pub use unstored::{clear, forget_from, hand_up, stored, take_back, take_back_all};

/// The number of a kind of trace, as the lowest bits of hashes hold it. Stored, so it must not change.
pub fn number(kind: TraceKind) -> i64 {
    match kind {
        TraceKind::Body => 0,
        TraceKind::Ip => 1,
        TraceKind::Author => 2,
        // There are two bits. What they are together with is in the value.
        TraceKind::BodyOfAuthor | TraceKind::BodyOfIp | TraceKind::BodyOfArticle => 3,
    }
}

/// The most rows that are there and do not count which one question looks at: those that left a trace and
/// were edited since, and an author's rows that are not ham.
const MOST: u32 = 1_000;

/// The hash of a trace, the same on every server.
fn hash(kind: TraceKind, value: &str) -> i64 {
    let hash = xxhash_rust::xxh3::xxh3_64(value.as_bytes()).cast_signed();
    hash & !3 | number(kind)
}

/// The hash of a trace, for who looks for what is remembered of somebody.
pub fn hash_of(kind: TraceKind, value: &str) -> i64 {
    hash(kind, value)
}

/// How many rows count of those that left a trace, up to `wanted`; see
/// `spamcheck_engine::Surroundings::earlier`.
pub fn earlier(
    around: &Around<'_>,
    trace: Trace<'_>,
    wanted: u32,
    counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
) -> Result<u32, String> {
    let protection = around.protection;
    // An edit is no arrival; and without a key, the row could not be told from itself.
    if around.edited && (trace.kind == TraceKind::Ip || protection.key.is_empty()) {
        return Ok(0);
    }
    // By the clock: the transaction may have begun long ago, or may wait for another one now.
    let clock = wall_clock();
    let since = trace.since.map(|since| clock.saturating_sub(submission::now() - since));
    let chain = Chain { hash: hash(trace.kind, trace.value), protection: protection.id };
    let own = around.row.map(|row| (row, key::compact(protection, row)));
    let newest = match &own {
        Some((row, key)) if !around.dry => {
            let at = came::came(protection, *row, clock);
            join(chain, &Joining { key, at, since, edited: around.edited })
        }
        _ if wanted == 0 => return Ok(0),
        _ => rights::as_extension_by_index(|| chain.below(i32::MAX)),
    };
    if newest.is_empty() || wanted == 0 {
        return Ok(0);
    }
    let own = own.map(|(_, key)| key).filter(|_| !protection.key.is_empty());
    let mut count = Count {
        protection,
        trace,
        since,
        own,
        wanted,
        counts,
        found: 0,
        looked: 0,
        hidden: false,
        counted: HashSet::new(),
        gone: Vec::new(),
    };
    let answer = count.all(chain, newest);
    if !around.dry && !count.gone.is_empty() {
        let gone = std::mem::take(&mut count.gone);
        rights::as_extension_by_index(|| gone.iter().for_each(|(n, key)| chain.forget(*n, key)));
    }
    answer
}

/// The row at hand, as it joins a chain.
struct Joining<'j> {
    key: &'j str,
    /// When it came.
    at: i64,
    /// One that came earlier matters to nobody.
    since: Option<i64>,
    edited: bool,
}

/// Adds the row at hand to a chain; the newest of those that are in it already. Nobody expects a check to
/// wait for another session, so an error that comes of it says why.
fn join(chain: Chain, joining: &Joining<'_>) -> Vec<Seen> {
    report::with_hint(
        PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED,
        "A row waits for a row with the same body, address or author that another transaction has inserted and not committed \
         (checks duplicate, ip_interval and bypass of pg_spamcheck). Try the transaction again; insert several rows in one order.",
        AssertUnwindSafe(|| join_in_turn(chain, joining)),
    )
}

fn join_in_turn(chain: Chain, joining: &Joining<'_>) -> Vec<Seen> {
    let Joining { key, since, edited, .. } = *joining;
    let matters = |at: i64| since.is_none_or(|since| at > since);
    if !matters(joining.at) {
        return rights::as_extension_by_index(|| chain.below(i32::MAX));
    }
    calls::remembered();
    let (n, earlier) = rights::as_extension_by_index(|| {
        loop {
            if chain.begin(joining.at, key) {
                return (Some(0), Vec::new());
            }
            let newest = chain.below(i32::MAX);
            // An edited row came when it came first.
            let same = newest.iter().filter(|seen| edited && seen.key == key).map(|seen| seen.at);
            let at = same.fold(joining.at, i64::min);
            if !matters(at) {
                return (None, newest);
            }
            if let Some(last) = newest.first()
                && let Some(n) = chain.follow(last, at, key)
            {
                return (Some(n), newest);
            }
            pgrx::check_for_interrupts!();
        }
    });
    if let Some(n) = n {
        unstored::add(chain, n, key);
    }
    earlier
}

/// Gives what is remembered of a row, as it was, another key.
pub fn rename(protection: &Protection, old: Row<'_>, new: Row<'_>) {
    let (key, to) = (key::compact(protection, old), key::compact(protection, new));
    let traces = remember::traces(protection, old, wall_clock());
    rights::as_extension_by_index(|| {
        for hash in traces {
            Chain { hash, protection: protection.id }.rename(&key, &to);
        }
    });
}

/// Forgets all that is known of a protected table; as the extension.
pub fn forget(protection: i32) {
    chain::forget_all(protection);
}

/// Counting the rows of a chain.
struct Count<'c> {
    protection: &'c Protection,
    trace: Trace<'c>,
    since: Option<i64>,
    /// The key of the row at hand: a row is not its own predecessor.
    own: Option<String>,
    wanted: u32,
    counts: &'c mut dyn FnMut(&Earlier<'_>) -> bool,
    found: u32,
    /// How many were there.
    looked: u32,
    hidden: bool,
    /// Those that count: an edited row may be in a chain twice.
    counted: HashSet<String>,
    /// Members whose row is gone.
    gone: Vec<(i32, String)>,
}

impl Count<'_> {
    /// From the newest on down to the oldest that is asked for.
    fn all(&mut self, chain: Chain, newest: Vec<Seen>) -> Result<u32, String> {
        let mut table = None;
        let mut page = newest;
        loop {
            let last = page.last().filter(|_| page.len() == PAGE).map(|last| last.n);
            // Those that arrived know the latest time of those below; those from remember() are in no order.
            let too_old = |at: i64| self.since.is_some_and(|since| at <= since);
            let rest_is_old = last.is_some_and(|n| n >= 0)
                && page.last().is_some_and(|seen| too_old(seen.latest));
            page.retain(|seen| !too_old(seen.at) && self.own.as_ref() != Some(&seen.key));
            if self.protection.key.is_empty() {
                self.count_unseen(page.len());
            } else if !page.is_empty() {
                let table = match &mut table {
                    Some(table) => table,
                    none => none.insert(Table::open(self.protection)?),
                };
                table.look_up(&page, &mut |seen, look| self.look(seen, look))?;
            }
            if self.found >= self.wanted {
                return Ok(self.found);
            }
            let Some(last) = last.filter(|_| self.looked < MOST) else { break };
            pgrx::check_for_interrupts!();
            let before = if rest_is_old { 0 } else { last };
            page = rights::as_extension_by_index(|| chain.below(before));
        }
        if self.hidden {
            return Err("row-level security may hide earlier rows from the table's owner".into());
        }
        Ok(self.found)
    }

    /// Takes note of a row; whether more are wanted.
    fn look(&mut self, seen: &Seen, look: Look<'_, '_>) -> bool {
        match look {
            Look::There(row) => {
                self.looked += 1;
                if !self.counted.contains(&seen.key) && (self.counts)(row) {
                    self.found += 1;
                    self.counted.insert(seen.key.clone());
                }
            }
            Look::Gone => self.gone.push((seen.n, seen.key.clone())),
            Look::Hidden => self.hidden = true,
        }
        self.found < self.wanted && self.looked < MOST
    }

    /// Without a key, the trace is all that is known of a row; not whether an author's was ham.
    fn count_unseen(&mut self, rows: usize) {
        if self.trace.kind != TraceKind::Author {
            self.found = self.wanted.min(self.found.saturating_add(rows as u32));
        }
    }
}
