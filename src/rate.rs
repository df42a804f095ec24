//! The table of senders in shared memory, by which all sessions count tries together. Owns its layout, its
//! locks and its clock; how a try is counted is the engine's (`engine/rate.rs`), what follows is the
//! guard's. Each set of the table has a lock of its own, held for some hundred instructions that neither
//! allocate nor fail; a process that is killed inside takes the server's shared memory with it anyway.
//!
//! A sender is a database, a policy, a limit and a key: who changes a limit starts counting anew. Only a
//! hash is kept, with a seed that nobody outside knows, so nobody can choose senders that share a set. The
//! memory is fixed (`pg_spamcheck.rate_limit_entries`): in a flood of new senders those that no longer
//! count give way, then those with the fewest tries, and blocked ones only when a whole set is blocked.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use spamcheck_engine::rate::{self, Block, Entry, Key, WAYS};
use spamcheck_engine::surroundings::{RateLimit, Refused};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::{rights, settings, shared};

/// Ended blocks whose numbers wait for the worker. Blocks end without having been fetched only within
/// its second; of more at a time, the oldest are forgotten.
const ENDED: usize = 512;

/// How often the log is asked for the entry of an ended block, which may still be on its way.
const LOOKS: u32 = 5;

/// Blocks that are fetched at a time.
const AT_ONCE: usize = 1_000;

/// The set with which the worker begins.
static START: AtomicUsize = AtomicUsize::new(0);

/// How long a lock can be taken by others: longer only if the server is broken.
const STUCK: Duration = Duration::from_secs(2);

/// The head of the table; the heads of the sets follow it, and then their entries.
#[repr(C)]
struct Table {
    seed: AtomicU64,
    sets: AtomicU32,
    /// Senders that lost their place while they still counted.
    displaced: AtomicU64,
    lock: AtomicU32,
    /// Where the next ended block goes. Under `lock`, as they are.
    next: AtomicU32,
    ended: UnsafeCell<[Ended; ENDED]>,
}

/// A block that ended before its number was fetched; of no home: none.
#[derive(Clone, Copy)]
#[repr(C)]
struct Ended {
    block: Block,
    looks: u32,
}

/// The head of a set.
#[repr(C)]
struct Head {
    lock: AtomicU32,
    /// 1: it has numbers that the log does not have. Changed under the lock.
    unfetched: AtomicU32,
}

static TABLE: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

fn sets() -> usize {
    settings::rate_limit_entries().div_ceil(WAYS)
}

/// Bytes of shared memory.
pub fn size() -> usize {
    size_of::<Table>() + sets() * (size_of::<Head>() + WAYS * size_of::<Entry>())
}

/// Takes the memory over, as the server starts.
///
/// # Safety
/// In the postmaster, when shared memory is handed out.
pub unsafe fn start() {
    // SAFETY: the memory has the size asked for, and zeroes are a valid value of everything in it.
    unsafe {
        let mut found = false;
        let table = pg_sys::ShmemInitStruct(c"pg_spamcheck senders".as_ptr(), size(), &mut found);
        let table = table.cast::<Table>();
        if !found {
            std::ptr::write_bytes(table.cast::<u8>(), 0, size());
            let mut seed = 0_u64;
            pg_sys::pg_strong_random(std::ptr::from_mut(&mut seed).cast(), size_of::<u64>());
            (*table).seed.store(seed, Ordering::Relaxed);
            (*table).sets.store(sets() as u32, Ordering::Relaxed);
        }
        TABLE.store(table, Ordering::Release);
    }
}

/// A lock that is held.
struct Held<'a>(&'a AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

fn hold(lock: &AtomicU32) -> Result<Held<'_>, String> {
    let mut since = None;
    for round in 1_u32.. {
        if lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            break;
        }
        if round % 100 != 0 {
            std::hint::spin_loop();
            continue;
        }
        // Its holder may have lost the processor.
        std::thread::sleep(Duration::from_micros(50));
        if since.get_or_insert_with(Instant::now).elapsed() > STUCK {
            return Err("tries cannot be counted: the table of senders is locked".to_owned());
        }
    }
    Ok(Held(lock))
}

/// A set that is held.
struct Set<'a> {
    head: &'a Head,
    entries: &'a mut [Entry],
    _held: Held<'a>,
}

impl Table {
    fn get() -> Option<&'static Table> {
        // SAFETY: set once from ShmemInitStruct, valid for the life of the process.
        unsafe { TABLE.load(Ordering::Acquire).as_ref() }
    }

    fn heads(&'static self) -> &'static [Head] {
        let sets = self.sets.load(Ordering::Relaxed) as usize;
        // SAFETY: size() made room for that many behind the table; all are aligned to at most 8 bytes,
        // and their sizes are multiples of that.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).add(1).cast::<Head>(), sets) }
    }

    fn hold(&'static self, set: usize) -> Result<Set<'static>, String> {
        let heads = self.heads();
        let held = hold(&heads[set].lock)?;
        // SAFETY: as in heads(); the entries of a set belong to whoever holds its lock.
        let entries = unsafe {
            let first = heads.as_ptr_range().end.cast::<Entry>().add(set * WAYS);
            std::slice::from_raw_parts_mut(first.cast_mut(), WAYS)
        };
        Ok(Set { head: &heads[set], entries, _held: held })
    }

    fn hold_for(&'static self, key: Key) -> Result<Set<'static>, String> {
        let sets = self.sets.load(Ordering::Relaxed);
        let high = (key.hash >> 64) as u64;
        self.hold(((u128::from(high) * u128::from(sets)) >> 64) as usize)
    }

    fn key(&self, policy: &str, sender: &str, limit: RateLimit) -> Key {
        let home = home();
        let mut text = Vec::with_capacity(64 + policy.len() + sender.len());
        for number in [home as i64, i64::from(limit.max), limit.per, limit.block] {
            text.extend_from_slice(&number.to_ne_bytes());
        }
        text.extend_from_slice(policy.as_bytes());
        text.push(0);
        text.extend_from_slice(sender.as_bytes());
        Key { home, hash: xxh3_128_with_seed(&text, self.seed.load(Ordering::Relaxed)) }
    }

    /// Keeps the number of a block that ended.
    fn keep(&self, block: Block) {
        let Ok(_held) = hold(&self.lock) else { return };
        let next = self.next.load(Ordering::Relaxed) as usize % ENDED;
        self.next.store(next as u32 + 1, Ordering::Relaxed);
        // SAFETY: under the lock.
        unsafe { (*self.ended.get())[next] = Ended { block, looks: 0 } };
    }
}

/// This database, as long as it has the extension that it has now.
pub fn home() -> u64 {
    // SAFETY: a static that is set for the life of the process.
    let database = unsafe { pg_sys::MyDatabaseId };
    u64::from(database.to_u32()) << 32 | u64::from(rights::own_relation(c"policy").to_u32())
}

/// Microseconds of a clock that never goes back, the same for all processes.
fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the struct.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.saturating_mul(1_000_000) + time.tv_nsec / 1_000 + 1
}

/// A refusal that is to be logged, by whoever has this. Dropped, a later one of the block is.
pub struct Claim {
    key: Key,
    until: i64,
    refused: u64,
}

impl Claim {
    /// The refusal was logged under this number.
    pub fn logged(self, submission: i64) {
        self.settle(Some((submission, self.refused)));
        std::mem::forget(self);
    }

    fn settle(&self, entry: Option<(i64, u64)>) {
        let Some(Ok(set)) = Table::get().map(|table| table.hold_for(self.key)) else { return };
        if rate::logged(set.entries, self.key, self.until, entry) {
            set.head.unfetched.store(1, Ordering::Release);
            drop(set);
            call_worker();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.settle(None);
    }
}

/// Counts a try of a sender under a policy.
pub fn count(
    policy: &str,
    sender: &str,
    limit: RateLimit,
) -> Result<(Option<Refused>, Option<Claim>), String> {
    let table = Table::get().ok_or("pg_spamcheck is not in shared_preload_libraries")?;
    let key = table.key(policy, sender, limit);
    let set = table.hold_for(key)?;
    let counted = rate::count(set.entries, key, limit, now());
    if counted.changed {
        set.head.unfetched.store(1, Ordering::Release);
    }
    drop(set);
    if counted.displaced {
        table.displaced.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(block) = counted.ended {
        table.keep(block);
    }
    if counted.changed || counted.ended.is_some() {
        call_worker();
    }
    let refused = counted.refused.map_or(0, |refused| refused.count);
    Ok((counted.refused, counted.claim.map(|until| Claim { key, until, refused })))
}

/// What a try would come to, without counting it.
pub fn peek(policy: &str, sender: &str, limit: RateLimit) -> Result<Option<Refused>, String> {
    let Some(table) = Table::get() else { return Ok(None) };
    let key = table.key(policy, sender, limit);
    let set = table.hold_for(key)?;
    Ok(rate::peek(set.entries, key, limit, now()))
}

/// Tells the worker of this database, which looks each second, that numbers have changed.
fn call_worker() {
    // SAFETY: a static that is set for the life of the process.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.database(database)) {
        entry.refusals.store(true, Ordering::Release);
    }
}

/// Senders that lost their place while they still counted, since the server started.
pub fn displaced() -> u64 {
    Table::get().map_or(0, |table| table.displaced.load(Ordering::Relaxed))
}

/// Blocks of `home` with numbers that the log does not have; not more than are handled at a time.
pub fn unfetched(home: u64) -> Vec<Block> {
    let Some(table) = Table::get() else { return Vec::new() };
    let mut all = Vec::with_capacity(AT_ONCE + WAYS);
    if let Ok(_held) = hold(&table.lock) {
        // SAFETY: under the lock.
        let ended = unsafe { &mut *table.ended.get() };
        for one in ended.iter_mut().filter(|one| one.block.home == home) {
            one.looks += 1;
            all.push(one.block);
        }
    }
    // From where it stopped last time, or those behind would wait for ever in a flood.
    let heads = table.heads();
    let start = START.load(Ordering::Relaxed) % heads.len().max(1);
    for number in (start..heads.len()).chain(0..start) {
        if all.len() >= AT_ONCE {
            START.store(number, Ordering::Relaxed);
            break;
        }
        let head = &heads[number];
        if head.unfetched.load(Ordering::Acquire) == 0 {
            continue;
        }
        let Ok(set) = table.hold(number) else { continue };
        let mut found = [Block::default(); WAYS];
        let (count, _) = rate::unfetched(set.entries, home, &mut found);
        drop(set);
        all.extend_from_slice(&found[..count]);
    }
    all
}

/// These numbers are in the log, as far as it has their entries. True: there are more.
pub fn fetched(home: u64, blocks: &[Block], in_log: impl Fn(i64) -> bool) -> bool {
    let Some(table) = Table::get() else { return false };
    let mut more = blocks.len() >= AT_ONCE;
    if let Ok(_held) = hold(&table.lock) {
        // SAFETY: under the lock.
        let ended = unsafe { &mut *table.ended.get() };
        for one in ended.iter_mut().filter(|one| one.block.home == home && one.looks > 0) {
            if one.looks >= LOOKS || in_log(one.block.submission) {
                one.block = Block::default();
            } else {
                more = true;
            }
        }
    }
    for (number, head) in table.heads().iter().enumerate() {
        if head.unfetched.load(Ordering::Acquire) == 0 {
            continue;
        }
        let Ok(set) = table.hold(number) else { continue };
        for block in blocks {
            rate::fetched(set.entries, *block);
        }
        let (left, others) = rate::unfetched(set.entries, home, &mut [Block::default(); WAYS]);
        if left == 0 && !others {
            set.head.unfetched.store(0, Ordering::Release);
        }
    }
    more
}

/// Forgets a database that is gone, or has the extension no more.
pub fn forget(database: pg_sys::Oid) {
    let Some(table) = Table::get() else { return };
    let gone = |home: u64| (home >> 32) as u32 == database.to_u32();
    for number in 0..table.heads().len() {
        let Ok(set) = table.hold(number) else { continue };
        for entry in set.entries.iter_mut().filter(|entry| gone(entry.home())) {
            *entry = Entry::FREE;
        }
    }
    if let Ok(_held) = hold(&table.lock) {
        // SAFETY: under the lock.
        let ended = unsafe { &mut *table.ended.get() };
        for one in ended.iter_mut().filter(|one| gone(one.block.home)) {
            one.block = Block::default();
        }
    }
}
