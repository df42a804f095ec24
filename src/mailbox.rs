//! The mailbox: letters from backends to the worker of their database, each answered within a bounded
//! time. Owns the slots' protocol. It carries bytes and must not know what they say: they are log
//! entries of rejected rows, which have to outlive the rollback of their transaction, and questions of
//! inserts that wait for their answer.
//!
//! A slot's state says whose turn it is. FREE -> (sender) FILLING -> FULL -> (worker) TAKEN -> either
//! CONSUMED, and the sender writes the next piece, or DONE/FAILED, and the sender frees the slot. A
//! sender that cannot wait any longer leaves its last piece as an ORPHAN, which the worker settles and
//! frees by itself: late, but not lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::shared::{self, Database, PIECE, Slot};

const FREE: u32 = 0;
const FILLING: u32 = 1;
const FULL: u32 = 2;
const FULL_ORPHAN: u32 = 3;
const TAKEN: u32 = 4;
const TAKEN_ORPHAN: u32 = 5;
const CONSUMED: u32 = 6;
const DONE: u32 = 7;
const FAILED: u32 = 8;

/// How long a sender waits, all in all. Long enough for a commit on a slow disk, short enough for a
/// visitor who is about to see an error anyway.
pub const PATIENCE: Duration = Duration::from_millis(1_000);

/// How much of it the sender of a letter waits for a worker to come at all. Short, since rejections come
/// in floods.
const ARRIVAL: Duration = Duration::from_millis(300);

/// Why a letter was not settled in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// No worker runs for this database.
    NoWorker,
    /// All slots were taken all the time.
    Full,
    /// The worker did not take all pieces in time; the letter is lost.
    Slow,
    /// The worker has the whole letter and will settle it when it can.
    Late,
    /// The worker tried and could not.
    Failed,
}

impl Unsettled {
    /// The reason as the server's log gives it.
    pub fn reason(self) -> &'static str {
        match self {
            Unsettled::NoWorker => "no pg_spamcheck worker runs in this database",
            Unsettled::Full => "all slots of the mailbox were taken (pg_spamcheck.mailbox_slots)",
            Unsettled::Slow => "the pg_spamcheck worker did not take it in time",
            Unsettled::Late => {
                "the pg_spamcheck worker is slow; it has the entry and will write it"
            }
            Unsettled::Failed => {
                "the pg_spamcheck worker could not write it; its own message says why"
            }
        }
    }
}

/// A slot held by a sender. Freed when dropped, also when a cancelled wait unwinds.
struct Held<'a> {
    slot: &'a Slot,
    whole: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let state = &self.slot.state;
        loop {
            let now = state.load(Ordering::Acquire);
            let next = match now {
                FULL if self.whole => FULL_ORPHAN,
                TAKEN if self.whole => TAKEN_ORPHAN,
                // The worker is between two pieces of a letter that will not be finished: it frees it.
                TAKEN => TAKEN_ORPHAN,
                FREE | FULL_ORPHAN | TAKEN_ORPHAN => return,
                _ => FREE,
            };
            if state.compare_exchange(now, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }
}

/// Hands `letter` to the worker of this database and waits until it is settled.
pub fn send(database: &'static Database, letter: &[u8]) -> Result<(), Unsettled> {
    let deadline = Instant::now() + PATIENCE;
    if !worker_comes(database, ARRIVAL) {
        return Err(Unsettled::NoWorker);
    }
    let held = take_slot(database, usize::MAX, deadline)?;
    deliver(database, held, letter, deadline).map(drop)
}

/// Hands a question to the worker of this database and waits until `deadline` for the answer. Questions
/// never take more than three slots in four, so that log entries find one.
pub fn ask(
    database: &'static Database,
    question: &[u8],
    deadline: Instant,
) -> Result<Vec<u8>, Unsettled> {
    let slots = shared::shared().map_or(0, |shared| shared.slots().len());
    let held = take_slot(database, slots - slots / 4, deadline)?;
    deliver(database, held, question, deadline)
}

fn deliver(
    database: &'static Database,
    mut held: Held<'_>,
    letter: &[u8],
    deadline: Instant,
) -> Result<Vec<u8>, Unsettled> {
    let mut pieces = letter.chunks(PIECE).zip(0..).peekable();
    while let Some((piece, number)) = pieces.next() {
        let slot = held.slot;
        slot.number.store(number, Ordering::Relaxed);
        // SAFETY: in state FILLING or CONSUMED the piece belongs to the sender.
        unsafe { (&mut *slot.piece.get())[..piece.len()].copy_from_slice(piece) };
        slot.length.store(piece.len() as u32, Ordering::Relaxed);
        slot.more.store(pieces.peek().is_some(), Ordering::Relaxed);
        held.whole = pieces.peek().is_none();
        slot.state.store(FULL, Ordering::Release);
        database.letters.store(true, Ordering::Release);
        database.wake();
        match wait_for_answer(slot, database, deadline) {
            Some(CONSUMED) => {}
            Some(DONE) => {
                let length = (slot.length.load(Ordering::Relaxed) as usize).min(PIECE);
                // SAFETY: in state DONE the piece belongs to the sender again.
                return Ok(unsafe { &(&*slot.piece.get())[..length] }.to_vec());
            }
            Some(_) => return Err(Unsettled::Failed),
            None if held.whole => return Err(Unsettled::Late),
            None => return Err(Unsettled::Slow),
        }
    }
    Err(Unsettled::Slow)
}

/// Whether a worker runs, or one that is called comes soon: a database may be new, or its worker just
/// starting anew.
pub fn worker_comes(database: &'static Database, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    while !database.runs() {
        if Instant::now() >= deadline {
            return false;
        }
        let oid = database.oid.load(Ordering::Relaxed);
        if let Some(shared) = shared::shared() {
            shared.call_worker(oid.into());
        }
        doze(Duration::from_millis(20));
    }
    true
}

/// One of the first `slots` slots, once one is free.
fn take_slot(
    database: &'static Database,
    slots: usize,
    deadline: Instant,
) -> Result<Held<'static>, Unsettled> {
    static LETTERS: AtomicU64 = AtomicU64::new(0);
    let shared = shared::shared().ok_or(Unsettled::NoWorker)?;
    loop {
        let free = shared.slots().iter().take(slots).find(|s| {
            s.state.compare_exchange(FREE, FILLING, Ordering::AcqRel, Ordering::Acquire).is_ok()
        });
        if let Some(slot) = free {
            // SAFETY: MyLatch and MyProcPid are set in every backend.
            unsafe {
                slot.sender.store(pg_sys::MyLatch, Ordering::Release);
                let own = LETTERS.fetch_add(1, Ordering::Relaxed);
                slot.letter.store(((pg_sys::MyProcPid as u64) << 32) | own, Ordering::Relaxed);
            }
            slot.database.store(database.oid.load(Ordering::Relaxed), Ordering::Release);
            return Ok(Held { slot, whole: false });
        }
        if Instant::now() >= deadline {
            return Err(Unsettled::Full);
        }
        free_forgotten(shared);
        doze(Duration::from_millis(5));
    }
}

/// Orphans for a database that has no worker any more, nor the extension, are nobody's.
fn free_forgotten(shared: &'static shared::Shared) {
    for slot in shared.slots() {
        let state = slot.state.load(Ordering::Acquire);
        let oid = slot.database.load(Ordering::Acquire);
        if matches!(state, FULL_ORPHAN | TAKEN_ORPHAN) && shared.database(oid.into()).is_none() {
            let _ = slot.state.compare_exchange(state, FREE, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

fn wait_for_answer(slot: &Slot, database: &Database, deadline: Instant) -> Option<u32> {
    loop {
        let state = slot.state.load(Ordering::Acquire);
        if !matches!(state, FULL | TAKEN) {
            return Some(state);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // A worker that went away will not answer; its successor finds the letter.
        if left.is_zero() || !database.runs() {
            return None;
        }
        doze(left.min(Duration::from_millis(100)));
    }
}

/// Sleeps on the latch; a cancel or statement_timeout interrupts it by an error that unwinds.
fn doze(time: Duration) {
    let events = (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32;
    // SAFETY: plain latch calls on the process's own latch.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events,
            time.as_millis().max(1) as std::ffi::c_long,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

/// The worker's side: letters as they come in, and the slots that wait for an answer.
#[derive(Default)]
pub struct Reader {
    /// Pieces of letters that are not whole yet, by slot.
    parts: HashMap<usize, (u64, Vec<u8>)>,
}

/// A whole letter; must be settled.
pub struct Letter {
    slot: usize,
    /// What the sender wrote.
    pub text: Vec<u8>,
}

impl Reader {
    /// Takes up what a predecessor left when it was stopped in the middle.
    pub fn reclaim(&mut self, oid: pg_sys::Oid) {
        let Some(shared) = shared::shared() else { return };
        for slot in
            shared.slots().iter().filter(|s| s.database.load(Ordering::Acquire) == oid.to_u32())
        {
            let _ = slot.state.compare_exchange(TAKEN, FULL, Ordering::AcqRel, Ordering::Acquire);
            let _ = slot.state.compare_exchange(
                TAKEN_ORPHAN,
                FULL_ORPHAN,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
    }

    /// All letters for this database that are whole now, and how many are lost whose senders do not wait.
    pub fn collect(&mut self, oid: pg_sys::Oid) -> (Vec<Letter>, usize) {
        let Some(shared) = shared::shared() else { return (Vec::new(), 0) };
        let (mut letters, mut lost) = (Vec::new(), 0);
        for (index, slot) in shared.slots().iter().enumerate() {
            if slot.database.load(Ordering::Acquire) != oid.to_u32() || !take(slot) {
                continue;
            }
            let length = (slot.length.load(Ordering::Relaxed) as usize).min(PIECE);
            // SAFETY: in state TAKEN the piece belongs to the worker.
            let piece = unsafe { &(&*slot.piece.get())[..length] };
            let letter = slot.letter.load(Ordering::Relaxed);
            let part = self.parts.entry(index).or_insert_with(|| (letter, Vec::new()));
            if part.0 != letter {
                *part = (letter, Vec::new());
            }
            let number = slot.number.load(Ordering::Relaxed) as usize;
            if part.1.len() != number * PIECE {
                // The pieces before went down with the worker that had taken them.
                self.parts.remove(&index);
                lost += usize::from(answer(slot, FAILED));
                continue;
            }
            part.1.extend_from_slice(piece);
            if slot.more.load(Ordering::Relaxed) {
                answer(slot, CONSUMED);
            } else if let Some((_, text)) = self.parts.remove(&index) {
                letters.push(Letter { slot: index, text });
            }
        }
        (letters, lost)
    }
}

impl Letter {
    /// Whether the sender does not wait any more.
    pub fn is_forgotten(&self) -> bool {
        shared::shared().is_none_or(|shared| {
            shared.slots()[self.slot].state.load(Ordering::Acquire) == TAKEN_ORPHAN
        })
    }

    /// Tells the sender how it went; true: it does not wait any more.
    pub fn settle(self, written: bool) -> bool {
        self.reply(written.then_some(&[]))
    }

    /// Answers the sender, at most a slot's piece; None: there is no answer. True: it does not wait any
    /// more.
    pub fn reply(self, reply: Option<&[u8]>) -> bool {
        let Some(shared) = shared::shared() else { return true };
        let slot = &shared.slots()[self.slot];
        let Some(reply) = reply.filter(|reply| reply.len() <= PIECE) else {
            return answer(slot, FAILED);
        };
        // SAFETY: the letter was taken, so the piece belongs to the worker until it is answered.
        unsafe { (&mut *slot.piece.get())[..reply.len()].copy_from_slice(reply) };
        slot.length.store(reply.len() as u32, Ordering::Relaxed);
        answer(slot, DONE)
    }
}

fn take(slot: &Slot) -> bool {
    let take = |from, to| {
        slot.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    };
    take(FULL, TAKEN) || take(FULL_ORPHAN, TAKEN_ORPHAN)
}

/// Answers a letter; true: nobody waits for it, and the slot is free.
fn answer(slot: &Slot, state: u32) -> bool {
    // Read before answering: afterwards the slot may belong to somebody else.
    let sender = slot.sender.load(Ordering::Acquire);
    let orphan =
        slot.state.compare_exchange(TAKEN, state, Ordering::AcqRel, Ordering::Acquire).is_err();
    if orphan {
        slot.state.store(FREE, Ordering::Release);
    } else {
        shared::set_latch(&sender.into());
    }
    orphan
}
