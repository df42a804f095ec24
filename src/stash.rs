//! What the BEFORE trigger found, kept in the backend until the AFTER trigger writes it down. A row may
//! be judged and then not be inserted (ON CONFLICT DO NOTHING, a later trigger): the AFTER trigger's
//! WHEN clause, `_judged(id, tableoid, ctid)`, is evaluated right after a row is stored and before the
//! next one is judged, so it ties a stash to the row's own address. Nothing here outlives the
//! transaction, and what belongs to a rolled-back subtransaction goes with it.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

use pgrx::pg_sys::{self, SubTransactionId};
use spamcheck_engine::Lookups;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::verdict::{Judgement, Verdict};

use crate::nesting;

/// What is to be written about a row once it is stored.
pub struct Pending {
    /// The protection in force.
    pub protection: std::rc::Rc<crate::protection::Protection>,
    /// What the checks found.
    pub judgement: Judgement,
    /// The row's own status, as a JSON object of column to text or null; None: no status column.
    pub former: Option<serde_json::Value>,
    /// Whether the row was there before and was edited.
    pub edited: bool,
    /// The lookups until whose answers the row is moderated.
    pub held: Lookups,
    /// What Akismet has said about it already.
    pub asked: Option<crate::wait::Asked>,
}

impl Pending {
    /// Whether there is nothing to say about the row itself: nobody found anything, and nobody is asked.
    pub fn is_ham_alone(&self) -> bool {
        self.judgement.is_silent() && self.asked.is_none()
    }

    fn keeps_back_unseen(&self) -> bool {
        self.judgement.verdict > Verdict::Ham
            && self.protection.remembers
            && self.protection.policy.settings.mode == Mode::Enforce
            && !self.protection.status.tells_all()
    }
}

struct Judged {
    protection: i32,
    depth: Depth,
    subtransaction: SubTransactionId,
    pending: Pending,
}

struct Stored {
    address: Address,
    subtransaction: SubTransactionId,
    pending: Pending,
}

/// Where a row is stored: its table (a partition) and its place in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// OID of the table.
    pub table: pg_sys::Oid,
    /// Block and line.
    pub place: (u32, u16),
}

impl Address {
    /// The address in a table of what `tid` points to.
    pub fn new(table: pg_sys::Oid, tid: pg_sys::ItemPointerData) -> Self {
        let block = (u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo);
        Self { table, place: (block, tid.ip_posid) }
    }
}

/// An UPDATE whose row may go to another partition. The server then deletes it where it was, which
/// the guard sees, and inserts it elsewhere, with nothing in between.
#[derive(Clone, Copy)]
struct Move {
    protection: i32,
    depth: Depth,
    from: Address,
    content: u64,
    left: bool,
}

thread_local! {
    static ANY: Cell<bool> = const { Cell::new(false) };
    static JUDGED: RefCell<Vec<Judged>> = const { RefCell::new(Vec::new()) };
    static STORED: RefCell<VecDeque<Stored>> = const { RefCell::new(VecDeque::new()) };
    /// Those rows that are kept back, though their status does not say so.
    static KEPT_BACK: RefCell<HashSet<Address>> = RefCell::new(HashSet::new());
    static MOVE: Cell<Option<Move>> = const { Cell::new(None) };
}

/// A row is about to be judged: whatever the same trigger level had judged before was not stored.
pub fn begin(protection: i32) {
    forget_move();
    if ANY.get() {
        let depth = Depth::in_trigger();
        JUDGED.with_borrow_mut(|judged| {
            judged.retain(|j| j.protection != protection || j.depth != depth);
        });
        settle_any();
    }
}

/// Keeps what was found about the row that was just judged.
pub fn keep(pending: Pending) {
    let judged = Judged {
        protection: pending.protection.id,
        depth: Depth::in_trigger(),
        subtransaction: current(),
        pending,
    };
    JUDGED.with_borrow_mut(|all| all.push(judged));
    ANY.set(true);
}

/// The row that was judged last is stored at `address`. True: there is something to write about it.
pub fn stored(protection: i32, address: Address) -> bool {
    if MOVE.get().is_some_and(|m| m.depth == Depth::in_statement()) {
        MOVE.set(None);
    }
    if !ANY.get() {
        return false;
    }
    let depth = Depth::in_statement();
    let judged = JUDGED.with_borrow_mut(|all| {
        let at = all.iter().rposition(|j| j.protection == protection && j.depth == depth)?;
        Some(all.remove(at))
    });
    let Some(judged) = judged else { return false };
    if judged.pending.keeps_back_unseen() {
        KEPT_BACK.with_borrow_mut(|all| all.insert(address));
    }
    let stored = Stored { address, subtransaction: current(), pending: judged.pending };
    STORED.with_borrow_mut(|all| all.push_back(stored));
    true
}

/// Takes what is to be written about the row at `address`.
pub fn take(address: Address) -> Option<Pending> {
    let stored = STORED.with_borrow_mut(|all| {
        let at = all.iter().position(|s| s.address == address)?;
        all.remove(at)
    });
    settle_any();
    stored.map(|s| s.pending)
}

/// Whether the row at `address` was kept back in this transaction, though its status does not say so: the log says it
/// when its statement is over.
pub fn keeps_back(address: Address) -> bool {
    KEPT_BACK.with_borrow(|all| all.contains(&address))
}

/// Whether any inserted row waits for its AFTER trigger.
pub fn has_inserts() -> bool {
    STORED.with_borrow(|all| all.iter().any(|stored| !stored.pending.edited))
}

/// Whether rows of this subtransaction wait for their AFTER trigger.
pub fn waiting() -> bool {
    STORED.with_borrow(|all| !all.is_empty() && all.iter().any(|s| s.subtransaction == current()))
}

/// Remembers an UPDATE of the row at `from`, a partition.
pub fn may_move(protection: i32, from: Address, content: u64) {
    MOVE.set(Some(Move { protection, depth: Depth::in_trigger(), from, content, left: false }));
}

/// A row is deleted: if it is the one that was just updated, it is about to arrive elsewhere.
pub fn leaves(protection: i32, from: Address) {
    if let Some(known) = MOVE.get()
        && known.depth == Depth::in_trigger()
    {
        let left = known.protection == protection && known.from == from;
        MOVE.set(left.then_some(Move { left, ..known }));
    }
}

/// The content of the row that arrives by a move, if the INSERT at hand can be its second half.
pub fn arrives(protection: i32) -> Option<u64> {
    let known = MOVE.get()?;
    if known.depth != Depth::in_trigger() {
        return None;
    }
    MOVE.set(None);
    (known.left && known.protection == protection).then_some(known.content)
}

fn forget_move() {
    if MOVE.get().is_some_and(|m| m.depth == Depth::in_trigger()) {
        MOVE.set(None);
    }
}

/// The transaction is over.
pub fn clear() {
    MOVE.set(None);
    KEPT_BACK.with_borrow_mut(HashSet::clear);
    if ANY.get() {
        JUDGED.with_borrow_mut(Vec::clear);
        STORED.with_borrow_mut(VecDeque::clear);
        ANY.set(false);
    }
}

/// A subtransaction is rolled back; its children are numbered above it.
pub fn forget_from(subtransaction: SubTransactionId) {
    if ANY.get() {
        JUDGED.with_borrow_mut(|all| all.retain(|j| j.subtransaction < subtransaction));
        STORED.with_borrow_mut(|all| all.retain(|s| s.subtransaction < subtransaction));
        settle_any();
    }
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: SubTransactionId, parent: SubTransactionId) {
    if ANY.get() {
        let up = |s: &mut SubTransactionId| {
            if *s == subtransaction {
                *s = parent;
            }
        };
        JUDGED.with_borrow_mut(|all| all.iter_mut().for_each(|j| up(&mut j.subtransaction)));
        STORED.with_borrow_mut(|all| all.iter_mut().for_each(|s| up(&mut s.subtransaction)));
    }
}

fn settle_any() {
    let any = JUDGED.with_borrow(|j| !j.is_empty()) || STORED.with_borrow(|s| !s.is_empty());
    ANY.set(any);
}

/// The subtransaction at hand.
pub fn current() -> SubTransactionId {
    // SAFETY: plain call.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Where a statement stands: statements and triggers inside each other. Rows of statements that run
/// between a row's judgement and its storing are not mixed up with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Depth {
    statements: u32,
    triggers: i32,
}

impl Depth {
    /// That of the statement whose trigger runs.
    pub fn in_trigger() -> Self {
        let here = Self::in_statement();
        Self { triggers: here.triggers - 1, ..here }
    }

    /// That of the statement that runs.
    pub fn in_statement() -> Self {
        // SAFETY: pg_trigger_depth() reads a static and takes no argument.
        let triggers = unsafe { pg_sys::pg_trigger_depth(std::ptr::null_mut()).value() as i32 };
        Self { statements: nesting::level(), triggers }
    }

    /// That of a statement which is run from here.
    pub fn within(self) -> Self {
        Self { statements: self.statements + 1, ..self }
    }

    /// Whether a row at this depth is done with once another is judged at `here`: nothing that `here`
    /// stands in is as deep.
    pub fn is_over_at(self, here: Self) -> bool {
        self.statements >= here.statements && self.triggers >= here.triggers
    }
}
