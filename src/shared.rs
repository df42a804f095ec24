//! The shared memory of the extension: which databases have work for a worker, the counters of each,
//! and the slots of the mailbox. Owns layout, reservation and start-up only; atomics everywhere, no
//! lock is ever held, so a process that dies leaves nothing locked. Protocols live with their users. The
//! table of senders is reserved here, too, and is rate.rs's own.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use pgrx::pg_sys;

use crate::statistics::{Cost, MOST_CHECKS};
use crate::{rate, settings};

/// Databases that can be served at the same time. The launcher frees entries of databases that do not
/// have the extension.
pub const MAX_DATABASES: usize = 64;
/// Images that are known as tried at the same time; a multiple of 8.
pub const IMAGES: usize = 8_192;

/// Bytes of text that one slot of the mailbox carries at a time; longer letters go in pieces.
pub const PIECE: usize = 8_000;

/// One database that has, or may have, the extension. Zeroed means free.
#[repr(C)]
pub struct Database {
    /// OID of the database; 0: the entry is free.
    pub oid: AtomicU32,
    /// 1 when a worker is asked for.
    pub wanted: AtomicBool,
    /// Lookups were committed that the worker has not seen.
    pub lookups: AtomicBool,
    /// Somebody wants lookups to be tried at once, whatever speaks against it.
    pub retry: AtomicBool,
    /// Whether lookups of trackbacks are among them; see [`Queued`].
    pub trackbacks: AtomicU32,
    /// A list got another source, or is to be fetched.
    pub lists: AtomicBool,
    /// Letters wait in the mailbox.
    pub letters: AtomicBool,
    /// Senders were refused oftener than the log knows.
    pub refusals: AtomicBool,
    /// A prepared transaction holds lookups: they will show up without a word.
    pub prepared: AtomicBool,
    /// Rows were remembered that the worker has not looked at.
    pub memory: AtomicBool,
    /// Moderators are to be mailed about rows that the worker has not looked at.
    pub mail: AtomicBool,
    /// A prepared transaction holds such rows: they will show up without a word.
    pub mail_prepared: AtomicBool,
    /// Answers to captchas were used that will have to be forgotten.
    pub answers: AtomicBool,
    /// What stands against each captcha service; see [`Service`].
    pub services: [AtomicU32; 3],
    /// The worker was told to end: that is no failure.
    pub told_to_end: AtomicBool,
    /// What stood against the last start of a worker; see [`Refused`].
    pub refused: AtomicU32,
    /// The worker's process id; 0: no worker runs.
    pub pid: AtomicU32,
    /// The worker's latch, valid while pid is not 0 (a stale one costs a spurious wake-up).
    pub latch: AtomicPtr<pg_sys::Latch>,
    /// Why the Akismet lane stands still; see [`Lane`].
    pub lane: AtomicU32,
    /// The alert that came with Akismet's last answer, by its number; 0: none.
    pub alert: AtomicU32,
    /// When the worker started, in microseconds as the server counts.
    pub started_at: AtomicI64,
    /// Lookups that were answered.
    pub answered: AtomicU64,
    /// Requests that gave no answer.
    pub unanswered: AtomicU64,
    /// Verdicts that changed a row.
    pub applied: AtomicU64,
    /// Rejected rows whose log entry was committed.
    pub logged: AtomicU64,
    /// Rejected rows whose log entry could not be committed.
    pub unlogged: AtomicU64,
    /// The worker's jobs that fail, as bits; see worker/jobs.rs.
    pub failing: AtomicU32,
    /// Requests that are out now.
    pub in_flight: AtomicU32,
    /// Findings that were not written to the log file although their policy says so.
    pub unfiled: AtomicU64,
    /// Submissions whose ip was no address.
    pub unreadable_ips: AtomicU64,
    /// OID of the table that the latest of them went to.
    pub unreadable_ip_in: AtomicU32,
    /// What each check costs, in the order of the catalogue.
    pub costs: [Cost; MOST_CHECKS],
}

/// Whether lookups of trackbacks were committed that the worker has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Queued {
    /// None.
    No = 0,
    /// Something was queued, or made due by hand: who wrote it does not know the kinds.
    Perhaps = 1,
    /// Some.
    Surely = 2,
}

impl Queued {
    /// Reads the stored number.
    pub fn of(number: u32) -> Queued {
        match number {
            0 => Queued::No,
            1 => Queued::Perhaps,
            _ => Queued::Surely,
        }
    }
}

/// State of a database's Akismet lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Lane {
    /// Lookups are made.
    Open = 0,
    /// There is no key.
    NoKey = 1,
    /// Akismet calls the key invalid.
    InvalidKey = 2,
    /// Akismet cannot be reached or does not answer as it should.
    Down = 3,
    /// The secrets file cannot be used.
    BadSecrets = 4,
    /// A setting cannot be used, or leads to no Akismet.
    BadSettings = 5,
}

impl Lane {
    /// Reads the stored number.
    pub fn of(number: u32) -> Lane {
        match number {
            1 => Lane::NoKey,
            2 => Lane::InvalidKey,
            3 => Lane::Down,
            4 => Lane::BadSecrets,
            5 => Lane::BadSettings,
            _ => Lane::Open,
        }
    }
}

/// What stands against a captcha service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Service {
    /// Nothing, as far as is known.
    Fine = 0,
    /// It refuses our secret.
    Refuses = 1,
    /// It cannot be reached or does not answer as it should.
    Down = 2,
}

impl Service {
    /// Reads the stored number.
    pub fn of(number: u32) -> Service {
        match number {
            1 => Service::Refuses,
            2 => Service::Down,
            _ => Service::Fine,
        }
    }
}

/// What stood against starting a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Refused {
    /// Nothing.
    No = 0,
    /// As many run as pg_spamcheck.max_workers allows.
    MaxWorkers = 1,
    /// The server has no free one of max_worker_processes.
    MaxWorkerProcesses = 2,
}

impl Refused {
    /// Reads the stored number.
    pub fn of(number: u32) -> Refused {
        match number {
            1 => Refused::MaxWorkers,
            2 => Refused::MaxWorkerProcesses,
            _ => Refused::No,
        }
    }
}

/// One slot of the mailbox; the protocol is in mailbox.rs.
#[repr(C)]
pub struct Slot {
    /// A state of mailbox.rs; 0: free.
    pub state: AtomicU32,
    /// The database whose worker the letter is for.
    pub database: AtomicU32,
    /// Which letter this is, so that pieces of different letters are told apart.
    pub letter: AtomicU64,
    /// The sender's latch.
    pub sender: AtomicPtr<pg_sys::Latch>,
    /// Bytes used in `piece`.
    pub length: AtomicU32,
    /// Which piece of the letter this is, from 0.
    pub number: AtomicU32,
    /// 1: more pieces follow.
    pub more: AtomicBool,
    /// The text; belongs to whom `state` says.
    pub piece: std::cell::UnsafeCell<[u8; PIECE]>,
}

/// The head of the segment; the slots follow it.
#[repr(C)]
pub struct Shared {
    /// The launcher's latch; null: no launcher runs.
    pub launcher: AtomicPtr<pg_sys::Latch>,
    /// What images are signed with where the secrets file has no key; written before anybody reads it.
    pub image_key: [u8; 32],
    /// Images that were tried; see captcha/tried.rs.
    pub images: [AtomicU64; IMAGES],
    /// Databases.
    pub databases: [Database; MAX_DATABASES],
    /// Slots that follow.
    pub slots: AtomicU32,
}

// SAFETY: everything is atomic but `piece`, whose owner is told by `state`.
unsafe impl Sync for Slot {}
// SAFETY: as above; the raw latch pointers are only passed to SetLatch.
unsafe impl Sync for Shared {}

static SEGMENT: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());
static mut PREVIOUS_STARTUP: pg_sys::shmem_startup_hook_type = None;
#[cfg(not(any(feature = "pg13", feature = "pg14")))]
static mut PREVIOUS_REQUEST: pg_sys::shmem_request_hook_type = None;

fn size() -> usize {
    size_of::<Shared>() + settings::mailbox_slots() * size_of::<Slot>()
}

/// Reserves the segment and hooks its start-up; only while the server preloads libraries.
pub fn reserve() {
    // SAFETY: hooks are chained single-threaded in the postmaster, as their authors ask.
    unsafe {
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        {
            PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
            pg_sys::shmem_request_hook = Some(request);
        }
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::RequestAddinShmemSpace(size() + rate::size());
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[cfg(not(any(feature = "pg13", feature = "pg14")))]
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by the postmaster at the time when memory may be asked for.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST {
            previous();
        }
        pg_sys::RequestAddinShmemSpace(size() + rate::size());
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the postmaster once the memory is there; ShmemInitStruct returns memory of
    // the size asked for, and zeroes are a valid value of every field.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP {
            previous();
        }
        let mut found = false;
        let segment =
            pg_sys::ShmemInitStruct(c"pg_spamcheck".as_ptr(), size(), &mut found).cast::<Shared>();
        if !found {
            std::ptr::write_bytes(segment.cast::<u8>(), 0, size());
            pg_sys::pg_strong_random((&raw mut (*segment).image_key).cast(), 32);
            (*segment).slots.store(settings::mailbox_slots() as u32, Ordering::Relaxed);
        }
        SEGMENT.store(segment, Ordering::Release);
        rate::start();
    }
}

/// The segment; None when the library was not preloaded.
pub fn shared() -> Option<&'static Shared> {
    // SAFETY: set once from ShmemInitStruct, valid for the life of the process.
    unsafe { SEGMENT.load(Ordering::Acquire).as_ref() }
}

impl Shared {
    /// The mailbox's slots.
    pub fn slots(&'static self) -> &'static [Slot] {
        let count = self.slots.load(Ordering::Relaxed) as usize;
        // SAFETY: startup() made room for that many behind the head; Slot's alignment divides the
        // head's size since both hold 8-byte atomics.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).add(1).cast::<Slot>(), count) }
    }

    /// The entry of a database, if it has one.
    pub fn database(&'static self, oid: pg_sys::Oid) -> Option<&'static Database> {
        self.databases.iter().find(|d| d.oid.load(Ordering::Acquire) == oid.to_u32())
    }

    /// The entry of a database, taking a free one if it has none; None when all are taken.
    pub fn enlist(&'static self, oid: pg_sys::Oid) -> Option<&'static Database> {
        if let Some(entry) = self.database(oid) {
            return Some(entry);
        }
        let taken = self.databases.iter().find(|d| {
            d.oid.compare_exchange(0, oid.to_u32(), Ordering::AcqRel, Ordering::Acquire).is_ok()
        });
        // Two processes may have enlisted the same database; the first entry counts for both.
        let first = self.database(oid);
        if let (Some(mine), Some(first)) = (taken, first)
            && !std::ptr::eq(mine, first)
        {
            mine.oid.store(0, Ordering::Release);
        }
        first
    }

    /// Asks the launcher for a worker in this database and wakes whoever is there to hear it.
    pub fn call_worker(&'static self, oid: pg_sys::Oid) {
        if let Some(entry) = self.enlist(oid) {
            entry.wanted.store(true, Ordering::Release);
            entry.wake();
        }
        set_latch(&self.launcher);
    }
}

impl Database {
    /// Wakes the worker, if one runs.
    pub fn wake(&self) {
        if self.runs() {
            set_latch(&self.latch);
        }
    }

    /// The state of its Akismet lane.
    pub fn lane(&self) -> Lane {
        Lane::of(self.lane.load(Ordering::Acquire))
    }

    /// Whether a worker runs.
    pub fn runs(&self) -> bool {
        self.pid.load(Ordering::Acquire) != 0
    }

    /// Sets what is counted for people to read back to zero.
    pub fn reset_counters(&self) {
        for counter in [
            &self.answered,
            &self.unanswered,
            &self.applied,
            &self.logged,
            &self.unlogged,
            &self.unfiled,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        self.costs.iter().for_each(Cost::reset);
    }

    /// Gives the entry back: the database has no extension, or is gone.
    pub fn free(&self) {
        self.wanted.store(false, Ordering::Relaxed);
        self.lookups.store(false, Ordering::Relaxed);
        self.trackbacks.store(Queued::No as u32, Ordering::Relaxed);
        self.lists.store(false, Ordering::Relaxed);
        self.letters.store(false, Ordering::Relaxed);
        self.refusals.store(false, Ordering::Relaxed);
        self.prepared.store(false, Ordering::Relaxed);
        self.refused.store(Refused::No as u32, Ordering::Relaxed);
        self.memory.store(false, Ordering::Relaxed);
        self.mail.store(false, Ordering::Relaxed);
        self.mail_prepared.store(false, Ordering::Relaxed);
        self.answers.store(false, Ordering::Relaxed);
        self.services.iter().for_each(|s| s.store(Service::Fine as u32, Ordering::Relaxed));
        self.lane.store(Lane::Open as u32, Ordering::Relaxed);
        self.alert.store(0, Ordering::Relaxed);
        self.in_flight.store(0, Ordering::Relaxed);
        self.unreadable_ips.store(0, Ordering::Relaxed);
        self.reset_counters();
        self.oid.store(0, Ordering::Release);
    }
}

/// Sets a latch that another process may own.
pub fn set_latch(latch: &AtomicPtr<pg_sys::Latch>) {
    let latch = latch.load(Ordering::Acquire);
    if !latch.is_null() {
        // SAFETY: latches of processes live in shared memory for as long as the server does.
        unsafe { pg_sys::SetLatch(latch) };
    }
}
