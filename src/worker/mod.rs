//! The worker of one database: it makes the lookups and writes the log entries that outlive a rollback.
//! Owns the loop and its transactions. No transaction is open while a request is out, no statement runs
//! while there is nothing to do, and it gets out of the way of DROP EXTENSION and DROP DATABASE.

mod account;
mod akismet;
mod expiry;
mod feeds;
mod fetch;
mod forgetting;
mod giving_up;
pub mod http;
mod incoming;
pub mod jobs;
mod lane;
pub mod launcher;
mod letters;
mod mailing;
mod names;
mod outcomes;
mod packing;
mod pipeline;
mod pool;
mod presence;
mod process;
mod purging;
mod questions;
mod refusals;
mod releasing;
mod resolve;
pub mod settle;
pub mod siteverify;
mod smtp;
mod spent;
mod trackback;
mod turns;
mod writing;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::{FromDatum, pg_sys, prelude::*};
use spamcheck_engine::Refusal;

use crate::calls;
use crate::lookups::{self, Progress};
use crate::mailbox::Reader;
use crate::rate;
use crate::report;
use crate::rulebook;
use crate::settings::{self, Network};
use crate::shared::{self, Database, Shared};
use expiry::Expiry;
use feeds::Feeds;
use forgetting::Forgetting;
use giving_up::GivingUp;
use jobs::{Job, Jobs};
use lane::Lane;
use mailing::Mailing;
use packing::Packing;
use pipeline::Pipeline;
use pool::Bell;
use presence::{in_the_way, installed, settle_in, transaction};
use purging::Purging;
use releasing::Releasing;
use siteverify::Siteverify;
use spent::Spent;
use trackback::Trackbacks;

/// How often an idle worker looks whether it stands in somebody's way. DROP DATABASE waits five
/// seconds for others to leave.
const TICK: Duration = Duration::from_secs(1);
/// How often lookups of prepared transactions are looked for while there are any.
const PREPARED_POLL: Duration = Duration::from_secs(2);

struct Worker {
    oid: pg_sys::Oid,
    database: &'static Database,
    network: Network,
    bell: Bell,
    lane: Lane,
    letters: Reader,
    pipeline: Pipeline,
    progress: Progress,
    siteverify: Siteverify,
    forgetting: Forgetting,
    giving_up: GivingUp,
    releasing: Releasing,
    trackbacks: Trackbacks,
    expiry: Expiry,
    purging: Purging,
    mailing: Mailing,
    feeds: Feeds,
    spent: Spent,
    packing: Packing,
    jobs: Jobs,
    /// When to claim again; None: when woken.
    due: Option<Instant>,
    ticked: Instant,
}

/// The worker's main function; its argument is the database's OID.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn spamcheck_worker(argument: pg_sys::Datum) {
    // SAFETY: the launcher passes an OID.
    let oid = unsafe { pg_sys::Oid::from_datum(argument, false) }.unwrap_or(pg_sys::Oid::INVALID);
    if let Some(entry) = shared::shared().and_then(|shared| shared.database(oid)) {
        process::tell_launcher_of_dismissal(&entry.told_to_end);
    }
    process::start();
    // SAFETY: connects as the bootstrap superuser; every piece of work changes to whom it needs.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0) };
    let Some(shared) = shared::shared() else { return };
    let Some(mut worker) = Worker::enter(oid, shared) else { return };
    while worker.turn() {}
    rate::forget(oid);
    worker.database.free();
}

impl Worker {
    /// Takes the database over; None: it has no extension, or another worker, or this one may only look.
    fn enter(oid: pg_sys::Oid, shared: &'static Shared) -> Option<Worker> {
        match transaction("starting", presence::only_one) {
            None => {
                rate::forget(oid);
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
        if BackgroundWorker::get_extra() == launcher::LOOK_ONLY {
            // The launcher starts one when there is room for it.
            shared.enlist(oid).inspect(|entry| entry.wanted.store(true, Ordering::Release));
            return None;
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
        process::tell_launcher_of_dismissal(&database.told_to_end);
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
        settle_in();
        calls::never_call_worker();
        let bell = Bell::new().unwrap_or_else(|error| {
            report::refuse(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
                Refusal::new(format!("pg_spamcheck worker has no descriptor to wait for: {error}")),
            )
        });
        let mut worker = Worker {
            oid,
            database,
            network: settings::network(),
            bell: bell.clone(),
            lane: Lane::new(database),
            letters: Reader::default(),
            mailing: Mailing::new(&settings::network(), bell.clone()),
            pipeline: Pipeline::new(database, bell.clone()),
            progress: Progress::default(),
            siteverify: Siteverify::new(database, bell.clone()),
            trackbacks: Trackbacks::new(database, bell.clone()),
            feeds: Feeds::new(database, bell),
            forgetting: Forgetting::new(),
            giving_up: GivingUp::new(),
            releasing: Releasing::new(),
            jobs: Jobs::new(database),
            spent: Spent::new(),
            expiry: Expiry::new(),
            purging: Purging::new(),
            packing: Packing::new(),
            due: Some(Instant::now()),
            ticked: Instant::now(),
        };
        worker.letters.reclaim(oid);
        worker.database.letters.store(true, Ordering::Release);
        worker.database.refusals.store(true, Ordering::Release);
        // A transaction may have been prepared before the server was restarted.
        worker.database.prepared.store(true, Ordering::Release);
        transaction("reclaiming lookups", lookups::reclaim)?;
        Some(worker)
    }

    /// One round: sleep, then do what there is. False: the extension is gone.
    fn turn(&mut self) -> bool {
        process::sleep(self.sleep(), Some(self.bell.descriptor()));
        self.bell.silence();
        if process::told_to_end() {
            process::before_the_end(|| self.last_entries());
        }
        pgrx::check_for_interrupts!();
        if process::reload_if_asked() {
            self.reconfigure();
        }
        let tick = self.ticked.elapsed() >= TICK;
        if tick {
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
            self.pipeline.mend(&self.network, &mut self.lane);
            if !self.now_and_then() {
                return false;
            }
        }
        self.siteverify.answer();
        self.read_letters()
            && self.attempt(Job::Mail, |w| w.mailing.collect())
            && (!tick || self.attempt(Job::Refusals, |w| refusals::bring_up_to_date(w.database)))
            && self.attempt(Job::Akismet, |w| w.answers() && w.claim())
            && self.attempt(Job::Trackbacks, |w| w.trackbacks.turn(&w.network))
            && self.attempt(Job::Lists, |w| w.feeds.turn(&w.network))
    }

    /// What shared memory has for the log, and would take with it.
    fn last_entries(&mut self) {
        let entry = self.database;
        if entry.letters.load(Ordering::Acquire) || entry.refusals.load(Ordering::Acquire) {
            presence::set(c"lock_timeout", c"500ms", pg_sys::GucAction::GUC_ACTION_SET);
            let _ = self.read_letters() && refusals::bring_up_to_date(self.database);
        }
    }

    fn sleep(&self) -> Duration {
        let fresh = self.database.lookups.load(Ordering::Acquire);
        let resting = self.jobs.rest(Job::Akismet).is_some();
        let hungry = !resting && self.pipeline.appetite(&self.network, &self.lane, fresh) > 0;
        if self.database.letters.load(Ordering::Acquire) || fresh && hungry {
            return Duration::ZERO;
        }
        let mut sleep = TICK.saturating_sub(self.ticked.elapsed());
        let lanes = [
            (Job::Akismet, self.pipeline.pause()),
            (Job::Trackbacks, self.trackbacks.pause()),
            (Job::Lists, self.feeds.pause()),
        ];
        for (job, pause) in lanes {
            let pause = self.jobs.rest(job).or(pause);
            sleep = pause.map_or(sleep, |pause| sleep.min(pause));
        }
        if let Some(due) = self.due.filter(|_| !resting) {
            let until_due = due.saturating_duration_since(Instant::now());
            if hungry {
                sleep = sleep.min(until_due);
            } else if let Some(pause) = self.lane.pause() {
                // A lane that stands still is not asked before it may move.
                sleep = sleep.min(until_due.max(pause));
            }
        }
        sleep
    }

    fn reconfigure(&mut self) {
        let now = settings::network();
        // A file of authorities is read again: its name alone does not say what is in it.
        if now != self.network || now.ca_file.is_some() || !self.pipeline.is_usable() {
            self.network = now;
            self.lane.settings_changed();
            self.pipeline.configure(&self.network, &mut self.lane);
            self.siteverify.configure();
            self.trackbacks.try_again();
            self.feeds.try_again();
        }
        self.lane.try_again();
        self.jobs.try_again();
        self.due = Some(Instant::now());
    }

    /// Answers that came in: read at once, so that the next requests can go out, and settled together.
    fn answers(&mut self) -> bool {
        let key = self.lane.key(&self.network);
        self.pipeline.collect(&mut self.lane, key.as_ref(), &self.network);
        match &key {
            Some(key) if self.lane.is_open() => {
                self.pipeline.send(&mut self.lane, key, &self.network);
            }
            Some(key) => {
                // One that waits may be the one that finds out whether the lane is open again.
                self.pipeline.send(&mut self.lane, key, &self.network);
                self.pipeline.questions.refuse();
                self.pipeline.give_back();
            }
            None => {
                self.pipeline.calls.refuse(self.lane.keyless());
                self.pipeline.questions.refuse();
                self.pipeline.give_back();
            }
        }
        match self.pipeline.settle() {
            None => false,
            Some(postponed) => {
                if postponed {
                    // The claim asks when the next one is due.
                    self.due = Some(Instant::now());
                }
                true
            }
        }
    }

    /// Takes up what is due, as far as there is room.
    fn claim(&mut self) -> bool {
        if self.database.retry.swap(false, Ordering::AcqRel) {
            self.lane.try_again();
        }
        let fresh = self.database.lookups.load(Ordering::Acquire);
        if !fresh && self.due.is_none_or(|at| Instant::now() < at) {
            return true;
        }
        let Some(key) = self.lane.key(&self.network) else {
            // The queue keeps; a key turns up by the tick.
            self.due = Some(Instant::now() + TICK);
            return true;
        };
        let room = self.pipeline.appetite(&self.network, &self.lane, fresh);
        if room == 0 {
            return true;
        }
        self.database.lookups.store(false, Ordering::Release);
        let prepared = self.database.prepared.load(Ordering::Acquire);
        let probing = !self.lane.is_open();
        let (pipeline, progress) = (&mut self.pipeline, &mut self.progress);
        let Some((claimed, prepared)) = transaction("claiming lookups", || {
            // Before the claim: what is committed between the two is seen by one of them.
            let prepared = prepared && lookups::prepared_transactions();
            let claimed = if probing {
                lookups::claim_probe()
            } else {
                lookups::claim(lookups::Lane::Akismet, room, progress)
            };
            let number = claimed.len();
            pipeline.take(claimed);
            (number, prepared)
        }) else {
            return false;
        };
        self.pipeline.send(&mut self.lane, &key, &self.network);
        // Not before: somebody may wait for what was claimed.
        let next = if claimed < room {
            let next = transaction("looking ahead", || lookups::next_due(lookups::Lane::Akismet));
            let Some(next) = next else { return false };
            let missed = next == Some(0.0);
            let whole = missed && self.progress.begin_anew();
            if whole && claimed == 0 {
                // Somebody has it locked, or the claim had not heard of its table yet.
                rulebook::read_anew();
                Some(lookups::NOT_FREE)
            } else {
                next
            }
        } else {
            Some(0.0)
        };
        self.database.prepared.store(prepared, Ordering::Release);
        self.due = next
            .map(|seconds| Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)));
        if prepared {
            let poll = Instant::now() + PREPARED_POLL;
            self.due = Some(self.due.map_or(poll, |due| due.min(poll)));
        }
        true
    }
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
