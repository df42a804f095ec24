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
pub mod jobs;
mod lane;
pub mod launcher;
mod letters;
mod mailing;
mod names;
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
mod writing;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::{FromDatum, pg_sys, prelude::*};
use spamcheck_engine::Refusal;

use crate::calls;
use crate::lookups;
use crate::mailbox::{Letter, Reader};
use crate::rate;
use crate::report;
use crate::rulebook;
use crate::settings::{self, Network};
use crate::shared::{self, Database, Shared};
use crate::subtransaction;
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
use questions::{Asked, Check};
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

    /// What need not be done at every turn; false: the extension is gone.
    fn now_and_then(&mut self) -> bool {
        self.attempt(Job::Forgetting, |w| w.forgetting.turn(w.database))
            && self.attempt(Job::Captchas, |w| w.spent.turn(w.database))
            && self.attempt(Job::Checked, |w| w.expiry.turn())
            && self.attempt(Job::Purging, |w| w.purging.turn())
            && self.attempt(Job::Mail, |w| w.mailing.turn(w.database, &w.network))
            && self.attempt(Job::Packing, |w| w.packing.turn())
            && self.attempt(Job::GivingUp, Worker::give_up)
    }

    fn give_up(&mut self) -> bool {
        // A key may have been put into its file.
        let keyed = self.lane.key(&self.network).is_some();
        // With a key, the last claim said when the next one is due.
        let queued = self.database.lookups.load(Ordering::Acquire) || keyed && self.due.is_some();
        if !self.giving_up.turn(self.lane.is_open(), queued) {
            return false;
        }
        if self.giving_up.has_expired() | self.pipeline.has_expired() {
            self.releasing.look();
        }
        self.releasing.turn(self.database)
    }

    /// Does a job, unless it rests since it has failed: an error is no reason to end, or to leave the other
    /// jobs undone. False: the extension is gone.
    fn attempt(&mut self, job: Job, work: impl FnOnce(&mut Worker) -> bool) -> bool {
        if self.jobs.rest(job).is_some() {
            if job == Job::Akismet {
                self.pipeline
                    .calls
                    .refuse("the worker failed and tries again; see the server's log");
                self.pipeline.questions.refuse();
            }
            return true;
        }
        match subtransaction::attempt_job(|| work(self)) {
            Ok(there) => {
                self.jobs.done(job);
                there
            }
            Err(failure) => {
                self.jobs.failed(job, &failure);
                self.start_over(job);
                true
            }
        }
    }

    /// A lane that has failed has nothing in its hands any more.
    fn start_over(&mut self, job: Job) {
        let lane = match job {
            Job::Akismet => {
                self.pipeline.start_over();
                self.due = Some(Instant::now());
                lookups::Lane::Akismet
            }
            Job::Trackbacks => {
                self.trackbacks.start_over();
                lookups::Lane::Trackbacks
            }
            _ => return,
        };
        // In vain, they are reclaimed when the worker starts the next time.
        let _ = subtransaction::attempt_job(|| {
            transaction("reclaiming lookups", || lookups::reclaim_lane(lane))
        });
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

    /// What came by the mailbox. Log entries of rejected rows are written at once, one commit for all
    /// that wait; questions of inserts that wait go to the pipeline.
    fn read_letters(&mut self) -> bool {
        if !self.database.letters.swap(false, Ordering::AcqRel) {
            return true;
        }
        let (letters, lost) = self.letters.collect(self.oid);
        self.database.unlogged.fetch_add(lost as u64, Ordering::Relaxed);
        let (questions, letters): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| letter.text.first() == Some(&b'{'));
        if !questions.is_empty() && !self.take_questions(questions) {
            return false;
        }
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

    /// Hands each question to its lane. False: the extension is gone.
    fn take_questions(&mut self, letters: Vec<Letter>) -> bool {
        let mut checks = Vec::new();
        for letter in letters {
            match serde_json::from_slice(&letter.text) {
                Ok(Asked::CommentCheck(check)) => checks.push((letter, check)),
                Ok(Asked::Account(account)) => {
                    let key = self.lane.key(&self.network);
                    account.answer(letter, key.as_ref(), &self.lane, &mut self.pipeline.calls);
                }
                Ok(Asked::Siteverify(token)) => {
                    self.siteverify.take(letter, token, &self.network);
                }
                Err(_) => {
                    letter.reply(None);
                }
            }
        }
        checks.is_empty() || self.take_checks(checks)
    }

    fn take_checks(&mut self, checks: Vec<(Letter, Check)>) -> bool {
        let options = transaction("reading policies", || {
            let options = |name: &String| {
                let policy = rulebook::attempt_policy(name).ok().flatten();
                (name.clone(), policy.and_then(|p| p.akismet().map(|a| a.options.clone())))
            };
            checks.iter().map(|(_, check)| options(&check.policy)).collect::<HashMap<_, _>>()
        });
        let there = options.is_some();
        let options = options.unwrap_or_default();
        for (letter, check) in checks {
            let options = options.get(&check.policy).cloned().flatten();
            self.pipeline.questions.take(letter, check, options);
        }
        there
    }

    fn answer_letters(&mut self, letters: Vec<Letter>, written: impl Fn(usize) -> bool) {
        for (n, letter) in letters.into_iter().enumerate() {
            let forgotten = letter.settle(written(n));
            match (written(n), forgotten) {
                (true, _) => self.database.logged.fetch_add(1, Ordering::Relaxed),
                // Who still waits counts it.
                (false, true) => self.database.unlogged.fetch_add(1, Ordering::Relaxed),
                (false, false) => 0,
            };
        }
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
        let pipeline = &mut self.pipeline;
        let Some((next, prepared)) = transaction("claiming lookups", || {
            // Before the claim: what is committed between the two is seen by one of them.
            let prepared = prepared && lookups::prepared_transactions();
            let claimed = if probing {
                lookups::claim_probe()
            } else {
                lookups::claim(lookups::Lane::Akismet, room)
            };
            let next = if claimed.len() < room {
                lookups::next_due(lookups::Lane::Akismet)
            } else {
                Some(0.0)
            };
            pipeline.take(claimed);
            (next, prepared)
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
        self.pipeline.send(&mut self.lane, &key, &self.network);
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
