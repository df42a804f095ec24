//! The worker of one database: it makes the lookups and writes the log entries that outlive a rollback.
//! Owns the loop and its transactions. No transaction is open while a request is out, no statement runs
//! while there is nothing to do, and it gets out of the way of DROP EXTENSION and DROP DATABASE.

mod akismet;
mod http;
mod lane;
pub mod launcher;
mod process;
mod secrets;
mod settle;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::{FromDatum, pg_sys, prelude::*};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;

use crate::lookups::{self, Claimed, Postponed};
use crate::mailbox::{Letter, Reader};
use crate::settings::{self, Network};
use crate::shared::{self, Database, Shared};
use crate::{checklog, report, rights, rulebook, spi, subtransaction};
use akismet::Verdict;
use http::{Done, Http};
use lane::Lane;
use settle::Answered;

/// How often an idle worker looks whether it stands in somebody's way. DROP DATABASE waits five
/// seconds for others to leave.
const TICK: Duration = Duration::from_secs(1);
/// How often lookups of prepared transactions are looked for while there are any.
const PREPARED_POLL: Duration = Duration::from_secs(2);

struct Worker {
    oid: pg_sys::Oid,
    database: &'static Database,
    network: Network,
    http: Option<Http>,
    lane: Lane,
    letters: Reader,
    out: HashMap<i64, Claimed>,
    /// When to claim again; None: when woken.
    due: Option<Instant>,
    ticked: Instant,
}

/// The worker's main function; its argument is the database's OID.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn spamcheck_worker(argument: pg_sys::Datum) {
    process::start();
    // SAFETY: the launcher passes an OID.
    let oid = unsafe { pg_sys::Oid::from_datum(argument, false) }.unwrap_or(pg_sys::Oid::INVALID);
    // SAFETY: connects as the bootstrap superuser; every piece of work changes to whom it needs.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0) };
    let Some(shared) = shared::shared() else { return };
    let Some(mut worker) = Worker::enter(oid, shared) else { return };
    while worker.turn() {}
    worker.database.free();
}

impl Worker {
    /// Takes the database over; None: it has no extension, or another worker.
    fn enter(oid: pg_sys::Oid, shared: &'static Shared) -> Option<Worker> {
        // In a transaction of its own: session locks outlive it.
        let owner = transaction("starting", || {
            rights::as_extension(|| {
                spi::text_now(
                    "SELECT convert_to(pg_try_advisory_lock(hashtext('pg_spamcheck'), hashtext('worker'))::text, 'UTF8')",
                    &[],
                )
            })
        });
        match owner {
            None => {
                shared.database(oid).inspect(|entry| entry.free());
                return None;
            }
            Some(got) if got.as_deref() != Some("true") => {
                // The launcher tries again.
                report::refuse(
                    PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                    Refusal::new("another pg_spamcheck worker serves this database"),
                );
            }
            Some(_) => {}
        }
        let Some(database) = shared.enlist(oid) else {
            ereport!(
                WARNING,
                PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                "pg_spamcheck serves no more databases",
                format!("{} are served.", shared::MAX_DATABASES)
            );
            return None;
        };
        // SAFETY: statics that are set in every process; the callback belongs to this library.
        unsafe {
            pg_sys::before_shmem_exit(
                Some(leave),
                pg_sys::Datum::from(std::ptr::from_ref(database)),
            );
            database.latch.store(pg_sys::MyLatch, Ordering::Release);
            database.started_at.store(pg_sys::GetCurrentTimestamp(), Ordering::Release);
            database.in_flight.store(0, Ordering::Relaxed);
            database.pid.store(pg_sys::MyProcPid as u32, Ordering::Release);
        }
        database.wanted.store(true, Ordering::Release);
        relax_commits();
        let mut worker = Worker {
            oid,
            database,
            network: settings::network(),
            http: None,
            lane: Lane::new(database),
            letters: Reader::default(),
            out: HashMap::new(),
            due: Some(Instant::now()),
            ticked: Instant::now(),
        };
        worker.letters.reclaim(oid);
        worker.database.letters.store(true, Ordering::Release);
        transaction("reclaiming lookups", lookups::reclaim)?;
        Some(worker)
    }

    /// One round: sleep, then do what there is. False: the extension is gone.
    fn turn(&mut self) -> bool {
        let bell = self.http.as_ref().map(Http::bell);
        process::wait(self.sleep(), bell);
        if process::reload_if_asked() {
            self.reconfigure();
        }
        if self.ticked.elapsed() >= TICK {
            self.ticked = Instant::now();
            if in_the_way(self.oid) {
                // Non-zero: the launcher comes back when the database is still there afterwards.
                report::refuse(
                    PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN,
                    Refusal::new(
                        "pg_spamcheck worker leaves the database to somebody who needs it alone",
                    ),
                );
            }
            if !installed() {
                return false;
            }
            // A key may have been put into its file.
            let _ = self.lane.key(&self.network);
        }
        self.write_letters() && self.settle() && self.claim()
    }

    fn sleep(&self) -> Duration {
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let busy = self.database.letters.load(Ordering::Acquire)
            || self.database.lookups.load(Ordering::Acquire)
                && self.lane.room(1) > 0
                && self.free() > 0;
        if busy {
            return Duration::ZERO;
        }
        let mut sleep = TICK.saturating_sub(self.ticked.elapsed());
        if let Some(due) = self.due
            && self.free() > 0
        {
            // A lane that stands still is not asked before it may move.
            sleep = sleep.min(until(due).max(self.lane.pause().unwrap_or_default()));
        }
        sleep
    }

    fn free(&self) -> usize {
        self.network.max_in_flight.saturating_sub(self.out.len())
    }

    fn reconfigure(&mut self) {
        let now = settings::network();
        if now != self.network {
            self.network = now;
            if let Some(http) = &mut self.http
                && let Err(why) = http.configure(&self.network, &akismet::user_agent())
            {
                ereport!(
                    WARNING,
                    PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
                    "pg_spamcheck goes on with its former network settings",
                    why
                );
            }
        }
        self.due = Some(Instant::now());
    }

    /// Log entries of rejected rows: written at once, one commit for all that wait.
    fn write_letters(&mut self) -> bool {
        if !self.database.letters.swap(false, Ordering::AcqRel) {
            return true;
        }
        let letters = self.letters.collect(self.oid);
        if letters.is_empty() {
            return true;
        }
        let texts: Vec<&[u8]> = letters.iter().map(|l| l.text.as_slice()).collect();
        let Some(written) = transaction("logging rejections", || write_entries(&texts)) else {
            self.answer_letters(letters, |_| false);
            return false;
        };
        self.answer_letters(letters, |n| written[n]);
        true
    }

    fn answer_letters(&mut self, letters: Vec<Letter>, written: impl Fn(usize) -> bool) {
        for (n, letter) in letters.into_iter().enumerate() {
            if written(n) {
                self.database.logged.fetch_add(1, Ordering::Relaxed);
            }
            self.letters.settle(letter, written(n));
        }
    }

    /// Answers that came in.
    fn settle(&mut self) -> bool {
        let Some(http) = &self.http else { return true };
        let done = http.collect();
        if done.is_empty() {
            return true;
        }
        let Some(key) = self.lane.key(&self.network) else {
            return self.put_back(done);
        };
        let mut answered = Vec::new();
        let mut postponed = Vec::new();
        for Done { id, answer } in done {
            let Some(lookup) = self.out.remove(&id) else { continue };
            match akismet::read(&lookup, answer, &key, &mut self.lane) {
                Verdict::Spam { detail } => answered.push(Answered { lookup, spam: true, detail }),
                Verdict::Ham => answered.push(Answered { lookup, spam: false, detail: Json::Null }),
                Verdict::None(p) => {
                    self.database.unanswered.fetch_add(1, Ordering::Relaxed);
                    postponed.push(expire(&lookup, p));
                }
            }
        }
        self.count_out();
        let database = self.database;
        // Postponed ones come back by their next_at.
        self.due = Some(Instant::now());
        transaction("settling verdicts", || {
            settle::settle(database, answered);
            lookups::postpone(&postponed);
        })
        .is_some()
    }

    /// The key was taken away while requests were out: their answers are not judged.
    fn put_back(&mut self, done: Vec<Done>) -> bool {
        let postponed: Vec<Postponed> = done
            .iter()
            .filter_map(|d| self.out.remove(&d.id))
            .map(|lookup| Postponed {
                id: lookup.id,
                state: "queued",
                error: "the key was taken away".into(),
                counted: false,
                seconds: 0.0,
                answer: None,
            })
            .collect();
        self.count_out();
        transaction("putting lookups back", || lookups::postpone(&postponed)).is_some()
    }

    fn count_out(&self) {
        self.database.in_flight.store(self.out.len() as u32, Ordering::Relaxed);
    }

    /// Takes up what is due, as far as there is room.
    fn claim(&mut self) -> bool {
        let woken = self.database.lookups.load(Ordering::Acquire);
        if !woken && self.due.is_none_or(|at| Instant::now() < at) {
            return true;
        }
        let Some(key) = self.lane.key(&self.network) else {
            // The queue keeps; a key turns up by the tick.
            self.due = Some(Instant::now() + TICK);
            return true;
        };
        let room = self.lane.room(self.free());
        if room == 0 {
            return true;
        }
        self.database.lookups.store(false, Ordering::Release);
        let network = self.network.clone();
        let prepared = self.database.prepared.load(Ordering::Acquire);
        let Some((claimed, next, prepared)) = transaction("claiming lookups", || {
            let claimed = lookups::claim(room);
            let next = if claimed.len() < room { lookups::next_due() } else { Some(0.0) };
            let prepared = prepared && lookups::prepared_transactions();
            (with_options(claimed), next, prepared)
        }) else {
            return false;
        };
        self.database.prepared.store(prepared, Ordering::Release);
        self.due = next
            .map(|seconds| Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)));
        if prepared {
            let poll = Instant::now() + PREPARED_POLL;
            self.due = Some(self.due.map_or(poll, |due| due.min(poll)));
        }
        self.send(claimed, &key, &network)
    }

    fn send(
        &mut self,
        claimed: Vec<Ready>,
        key: &spamcheck_engine::akismet::Key,
        network: &Network,
    ) -> bool {
        let mut answered = Vec::new();
        let mut unwanted = Vec::new();
        for Ready { lookup, options } in claimed {
            if let Some(answer) = &lookup.answer {
                let spam = answer["spam"].as_bool().unwrap_or(false);
                let detail = answer["detail"].clone();
                answered.push(Answered { lookup, spam, detail });
                continue;
            }
            let Some(options) = options else {
                unwanted.push(lookup.id);
                continue;
            };
            if self.http.is_none() {
                match Http::new(network, &akismet::user_agent()) {
                    Ok(http) => self.http = Some(http),
                    Err(why) => report::refuse(
                        PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
                        Refusal::new("pg_spamcheck cannot make requests").with_detail(why),
                    ),
                }
            }
            if let Some(http) = &self.http {
                http.send(akismet::request(&lookup, &options, key.clone(), network));
            }
            self.out.insert(lookup.id, lookup);
        }
        self.count_out();
        if answered.is_empty() && unwanted.is_empty() {
            return true;
        }
        let database = self.database;
        transaction("settling verdicts", || {
            settle::settle(database, answered);
            lookups::finish(&unwanted);
        })
        .is_some()
    }
}

/// A claimed lookup and the options to make it with; None: the policy does not ask Akismet any more.
struct Ready {
    lookup: Claimed,
    options: Option<spamcheck_engine::akismet::Options>,
}

fn with_options(claimed: Vec<Claimed>) -> Vec<Ready> {
    claimed
        .into_iter()
        .map(|lookup| {
            let policy = rulebook::policy(&lookup.policy);
            let options = policy.and_then(|p| p.akismet().map(|a| a.options.clone()));
            Ready { lookup, options }
        })
        .collect()
}

/// A lookup without an answer for too long expires.
fn expire(lookup: &Claimed, postponed: Postponed) -> Postponed {
    let give_up = lookup.give_up_after.unwrap_or(f64::INFINITY);
    if postponed.state == "queued" && lookup.age > give_up {
        return Postponed { state: "expired", ..postponed };
    }
    postponed
}

/// Writes letters' entries; which of them could be.
fn write_entries(letters: &[&[u8]]) -> Vec<bool> {
    // The sender's error must not reach its client before its entry is safe.
    set(c"synchronous_commit", c"on", pg_sys::GucAction::GUC_ACTION_LOCAL);
    let all: Vec<Json> = letters
        .iter()
        .filter_map(|text| serde_json::from_slice::<Vec<Json>>(text).ok())
        .flatten()
        .collect();
    let together = Json::Array(all).to_string();
    if subtransaction::attempt(AssertUnwindSafe(|| checklog::write(&together))).is_ok() {
        return vec![true; letters.len()];
    }
    let one_by_one = letters.iter().map(|text| {
        let text = String::from_utf8_lossy(text);
        subtransaction::attempt(AssertUnwindSafe(|| checklog::write(&text)))
            .inspect_err(|failure| {
                ereport!(
                    LOG,
                    failure.code,
                    "pg_spamcheck could not log a rejected submission",
                    failure.message.clone()
                );
            })
            .is_ok()
    });
    one_by_one.collect()
}

/// The worker's own commits need not wait for the disk: a claim or a verdict that a crash takes back
/// is simply done again. Letters are the exception, see [`write_entries`].
fn relax_commits() {
    set(c"synchronous_commit", c"off", pg_sys::GucAction::GUC_ACTION_SET);
}

fn set(name: &std::ffi::CStr, value: &std::ffi::CStr, action: pg_sys::GucAction::Type) {
    // SAFETY: a plain setting of this process.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}

/// Runs `work` in a transaction; None: the extension is not there, and nothing was run.
fn transaction<T>(activity: &str, work: impl FnOnce() -> T) -> Option<T> {
    let activity = std::ffi::CString::new(activity).unwrap_or_default();
    // SAFETY: the server copies the text.
    unsafe {
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr())
    };
    let result = BackgroundWorker::transaction(AssertUnwindSafe(|| hold_extension().then(work)));
    // SAFETY: between transactions.
    unsafe {
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
    result
}

/// Whether the extension is there, and stays for this transaction. DROP EXTENSION takes the stronger
/// lock on the extension before it touches any table, so the two cannot deadlock.
fn hold_extension() -> bool {
    // SAFETY: look-ups and a lock by OID, in a transaction.
    unsafe {
        let found = pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true);
        if found == pg_sys::InvalidOid {
            return false;
        }
        pg_sys::LockDatabaseObject(
            pg_sys::ExtensionRelationId,
            found,
            0,
            pg_sys::AccessShareLock as u16 as _,
        );
        pg_sys::AcceptInvalidationMessages();
        pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true) == found
    }
}

fn installed() -> bool {
    BackgroundWorker::transaction(|| {
        // SAFETY: a look-up by name, in a transaction. Taken without the lock: DROP EXTENSION may be
        // waiting for us.
        unsafe { pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true) != pg_sys::InvalidOid }
    })
}

/// Whether somebody (DROP DATABASE, CREATE DATABASE … TEMPLATE) holds or waits for a lock on the
/// database that needs all others out of it.
fn in_the_way(oid: pg_sys::Oid) -> bool {
    BackgroundWorker::transaction(|| {
        let tag = pg_sys::LOCKTAG {
            locktag_field1: 0,
            locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
            locktag_field3: oid.to_u32(),
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        // SAFETY: asks for the lock that a starting session takes, without waiting; the end of the
        // transaction gives it back.
        let got =
            unsafe { pg_sys::LockAcquire(&tag, pg_sys::RowExclusiveLock as i32, false, true) };
        got == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    })
}

#[pg_guard]
unsafe extern "C-unwind" fn leave(_code: std::ffi::c_int, database: pg_sys::Datum) {
    // SAFETY: the pointer was made from an entry of shared memory.
    let database = unsafe { &*database.cast_mut_ptr::<Database>() };
    database.in_flight.store(0, Ordering::Relaxed);
    database.pid.store(0, Ordering::Release);
    if let Some(shared) = shared::shared() {
        shared::set_latch(&shared.launcher);
    }
}
