//! The worker of one database: it makes the lookups and writes the log entries that outlive a rollback.
//! Owns the loop and its transactions. No transaction is open while a request is out, no statement runs
//! while there is nothing to do, and it gets out of the way of DROP EXTENSION and DROP DATABASE.

mod akismet;
mod http;
mod lane;
pub mod launcher;
mod letters;
mod presence;
mod process;
mod secrets;
mod settle;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::{FromDatum, pg_sys, prelude::*};
use serde_json::Value as Json;
use spamcheck_engine::Refusal;

use crate::lookups::{self, Claimed, Postponed};
use crate::mailbox::{Letter, Reader};
use crate::settings::{self, Network};
use crate::shared::{self, Database, Shared};
use crate::{report, rulebook};
use akismet::Verdict;
use http::{Done, Http};
use lane::Lane;
use presence::{in_the_way, installed, relax_commits, transaction};
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
        match transaction("starting", presence::only_one) {
            None => {
                shared.database(oid).inspect(|entry| entry.free());
                return None;
            }
            Some(false) => {
                // The launcher tries again.
                report::refuse(
                    PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                    Refusal::new("another pg_spamcheck worker serves this database"),
                );
            }
            Some(true) => {}
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
        let Some(written) = transaction("logging rejections", || letters::write(&texts)) else {
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
