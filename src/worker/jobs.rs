//! What the worker does, job by job: one that fails, be it for a value in our own tables that nobody should
//! have written, rests for a while and is tried again, and the others go on. Owns how long it rests and
//! who is told; what a job is, its own file knows.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::{PgSqlErrorCode, ereport};

use super::Worker;
use super::presence::transaction;
use crate::lookups;
use crate::shared::Database;
use crate::subtransaction::{self, Failure};

/// The first rest; each further one is twice as long, up to the longest.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// A job that has not failed for so long after its rest is well again: not every turn comes to what failed.
const PROOF: Duration = Duration::from_secs(3);

/// A job of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Job {
    /// Asking and telling Akismet.
    Akismet,
    /// Asking about trackbacks.
    Trackbacks,
    /// Fetching lists.
    Lists,
    /// Mail to moderators.
    Mail,
    /// Purging the log.
    Purging,
    /// Forgetting earlier rows.
    Forgetting,
    /// Forgetting used answers to captchas.
    Captchas,
    /// Forgetting what Akismet was asked.
    Checked,
    /// Packing lists.
    Packing,
    /// Giving up lookups, and the rows that were held for them.
    GivingUp,
    /// Counting the refused in the log.
    Refusals,
}

/// What each job is called where people read it, in the order of [`Job`].
const NAMES: [&str; 11] = [
    "asking Akismet",
    "looking up trackbacks",
    "fetching lists",
    "mailing moderators",
    "purging the log",
    "forgetting earlier rows",
    "forgetting used captchas",
    "forgetting what Akismet was asked",
    "packing lists",
    "giving up lookups",
    "counting refusals",
];

/// The names of the jobs that fail, of what shared memory has.
pub fn failing(bits: u32) -> Vec<&'static str> {
    (0..NAMES.len()).filter(|n| bits & (1 << n) != 0).map(|n| NAMES[n]).collect()
}

#[derive(Clone, Copy, Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
}

/// How the jobs are doing.
pub struct Jobs {
    database: &'static Database,
    all: [State; NAMES.len()],
}

impl Jobs {
    /// All are well, as far as a worker knows that has just started.
    pub fn new(database: &'static Database) -> Self {
        database.failing.store(0, Ordering::Relaxed);
        Self { database, all: [State::default(); NAMES.len()] }
    }

    /// How long a job still rests; None: it does not.
    pub fn rest(&self, job: Job) -> Option<Duration> {
        let left = self.all[job as usize].until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Something changed: none need rest.
    pub fn try_again(&mut self) {
        for state in self.all.iter_mut().filter(|state| state.failures > 0) {
            state.until = Some(Instant::now());
        }
    }

    /// A job was done.
    pub fn done(&mut self, job: Job) {
        let state = &mut self.all[job as usize];
        let proven = state.until.is_none_or(|until| until.elapsed() >= PROOF);
        if state.failures == 0 || !proven {
            return;
        }
        *state = State::default();
        self.tell();
        let name = NAMES[job as usize];
        let code = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
        ereport!(LOG, code, format!("pg_spamcheck goes on with {name}"));
    }

    /// A job failed.
    pub fn failed(&mut self, job: Job, failure: &Failure) {
        let state = &mut self.all[job as usize];
        let rest = (FIRST * (1 << state.failures.min(5))).min(LONGEST);
        state.failures += 1;
        state.until = Some(Instant::now() + rest);
        self.tell();
        let name = NAMES[job as usize];
        let detail =
            failure.detail.as_ref().map_or_else(String::new, |detail| format!(" {detail}"));
        ereport!(
            WARNING,
            failure.code,
            format!("pg_spamcheck failed at {name} and tries again in {} seconds", rest.as_secs()),
            format!("{}.{detail}", failure.message.trim_end_matches('.'))
        );
    }

    fn tell(&self) {
        let failing = self.all.iter().enumerate().filter(|(_, state)| state.failures > 0);
        let bits = failing.fold(0, |bits, (n, _)| bits | 1 << n);
        self.database.failing.store(bits, Ordering::Relaxed);
    }
}

impl Worker {
    /// What need not be done at every turn; false: the extension is gone.
    pub(super) fn now_and_then(&mut self) -> bool {
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
        if self.giving_up.has_expired() | self.pipeline.has_given_up() {
            self.releasing.look();
        }
        self.releasing.turn(self.database)
    }

    /// Does a job, unless it rests since it has failed: an error is no reason to end, or to leave the other
    /// jobs undone. False: the extension is gone.
    pub(super) fn attempt(&mut self, job: Job, work: impl FnOnce(&mut Worker) -> bool) -> bool {
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
}
