//! What the BEFORE trigger found, kept in the backend until the AFTER trigger writes it down. A row may
//! be judged and then not be inserted (ON CONFLICT DO NOTHING, a later trigger): the AFTER trigger's
//! WHEN clause, `_judged(id, tableoid, ctid)`, is evaluated right after a row is stored and before the
//! next one is judged, so it ties a stash to the row's own address. Nothing here outlives the
//! transaction, and what belongs to a rolled-back subtransaction goes with it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use pgrx::pg_sys;
use spamcheck_engine::verdict::Judgement;

/// What is to be written about a row once it is stored.
pub struct Pending {
    /// The protection in force.
    pub protection: std::rc::Rc<crate::protection::Protection>,
    /// What the checks found.
    pub judgement: Judgement,
    /// The row's own status, as a JSON object of column to text or null; None: no status column.
    pub former: Option<serde_json::Value>,
    /// Why a lookup is made: `edit`, or None for a first time. Only read when a lookup is due.
    pub edited: bool,
    /// Whether Akismet is to be asked.
    pub lookup: bool,
    /// Whether the row is moderated only until Akismet answers.
    pub held: bool,
}

struct Judged {
    protection: i32,
    depth: i32,
    pending: Pending,
}

struct Stored {
    address: Address,
    subtransaction: pg_sys::SubTransactionId,
    pending: Pending,
}

/// Where a row is stored: its table (a partition) and its place in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// OID of the table.
    pub table: pg_sys::Oid,
    /// Block and line.
    pub place: (u32, u16),
}

/// An UPDATE that may turn out to move its row to another partition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Move {
    protection: i32,
    depth: i32,
    command: pg_sys::CommandId,
    content: u64,
}

thread_local! {
    static ANY: Cell<bool> = const { Cell::new(false) };
    static JUDGED: RefCell<Vec<Judged>> = const { RefCell::new(Vec::new()) };
    static STORED: RefCell<VecDeque<Stored>> = const { RefCell::new(VecDeque::new()) };
    static MOVE: Cell<Option<Move>> = const { Cell::new(None) };
}

/// A row is about to be judged: whatever the same trigger level had judged before was not stored.
pub fn begin(protection: i32) {
    if ANY.get() {
        let depth = trigger_depth() - 1;
        JUDGED.with_borrow_mut(|judged| {
            judged.retain(|j| j.protection != protection || j.depth != depth);
        });
        settle_any();
    }
}

/// Keeps what was found about the row that was just judged.
pub fn keep(pending: Pending) {
    let judged = Judged { protection: pending.protection.id, depth: trigger_depth() - 1, pending };
    JUDGED.with_borrow_mut(|all| all.push(judged));
    ANY.set(true);
}

/// The row that was judged last is stored at `address`. True: there is something to write about it.
pub fn stored(protection: i32, address: Address) -> bool {
    if !ANY.get() {
        return false;
    }
    let depth = trigger_depth();
    let judged = JUDGED.with_borrow_mut(|all| {
        let at = all.iter().rposition(|j| j.protection == protection && j.depth == depth)?;
        Some(all.remove(at))
    });
    let Some(judged) = judged else { return false };
    // SAFETY: plain call.
    let subtransaction = unsafe { pg_sys::GetCurrentSubTransactionId() };
    STORED.with_borrow_mut(|all| {
        all.push_back(Stored { address, subtransaction, pending: judged.pending });
    });
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

/// Whether rows wait for their AFTER trigger.
pub fn waiting() -> bool {
    STORED.with_borrow(|all| !all.is_empty())
}

/// Remembers an UPDATE on a partition, since a move to another one shows as an INSERT there.
pub fn may_move(protection: i32, content: u64) {
    MOVE.set(Some(Move { protection, depth: trigger_depth(), command: command(), content }));
}

/// Whether an INSERT of this content is the second half of a move that was looked at before.
pub fn is_move(protection: i32, content: impl FnOnce() -> u64) -> bool {
    let Some(known) = MOVE.get() else { return false };
    known.protection == protection
        && known.depth == trigger_depth()
        && known.command == command()
        && known.content == content()
}

/// The transaction is over.
pub fn clear() {
    MOVE.set(None);
    if ANY.get() {
        JUDGED.with_borrow_mut(Vec::clear);
        STORED.with_borrow_mut(VecDeque::clear);
        ANY.set(false);
    }
}

/// A subtransaction, and all inside it, is rolled back.
pub fn forget_from(subtransaction: pg_sys::SubTransactionId) {
    if ANY.get() {
        JUDGED.with_borrow_mut(Vec::clear);
        STORED.with_borrow_mut(|all| all.retain(|s| s.subtransaction < subtransaction));
        settle_any();
    }
}

fn settle_any() {
    let any = JUDGED.with_borrow(|j| !j.is_empty()) || STORED.with_borrow(|s| !s.is_empty());
    ANY.set(any);
}

/// Triggers inside triggers: rows judged at another depth are not mixed up with this one's.
fn trigger_depth() -> i32 {
    // SAFETY: pg_trigger_depth() reads a static and takes no argument.
    unsafe { pg_sys::pg_trigger_depth(std::ptr::null_mut()).value() as i32 }
}

fn command() -> pg_sys::CommandId {
    // SAFETY: plain call; `false` does not use the command id up.
    unsafe { pg_sys::GetCurrentCommandId(false) }
}
