//! What came of lookups, until it is written: verdicts, decisions that were taken, lookups that go back into
//! the queue. Owns when that is done and in how large lots; how a verdict is applied is settle.rs's.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::checked::{self, Said};
use crate::lookups::{self, Claimed, Postponed};
use crate::shared::Database;
use crate::worker::akismet::Verdict;
use crate::worker::presence::transaction;
use crate::worker::settle::{self, Answered};

/// How long answers wait whose lookups somebody else has locked.
const LOCKED: Duration = Duration::from_millis(100);
/// Answers that are settled without waiting any longer.
const ENOUGH: usize = 128;
/// Lookups that are claimed, or answers that are settled, in one transaction: a fresh row waits for its end.
pub const LOT: usize = 128;
/// So few go with a fresh row: it is claimed with no more others, and as few fresh answers are settled by
/// themselves. Their transaction is over the sooner.
pub const FEW: usize = 32;
/// Answers that may wait to be settled while further lookups are claimed.
const MOST: usize = 1024;

/// What waits to be written.
pub struct Outcomes {
    database: &'static Database,
    /// Fresh ones first.
    answered: VecDeque<Answered>,
    /// What Akismet said, to be kept.
    said: Vec<Said>,
    /// Decisions that Akismet took, and questions about rows that are gone.
    taken: Vec<i64>,
    postponed: Vec<Postponed>,
    /// When the first of these came.
    since: Option<Instant>,
    /// Somebody else has lookups locked: not tried again before.
    not_before: Option<Instant>,
    given_up: bool,
}

impl Outcomes {
    /// Nothing.
    pub fn new(database: &'static Database) -> Self {
        Self {
            database,
            answered: VecDeque::new(),
            said: Vec::new(),
            taken: Vec::new(),
            postponed: Vec::new(),
            since: None,
            not_before: None,
            given_up: false,
        }
    }

    /// How long nothing needs to be written when answers wait so long for others; None: there is nothing.
    pub fn pause(&self, patience: Duration) -> Option<Duration> {
        let since = self.since?;
        Some(match self.not_before {
            Some(at) => at.saturating_duration_since(Instant::now()),
            None => patience.saturating_sub(since.elapsed()),
        })
    }

    /// Whether rows are slow to write, so that no more is to be claimed.
    pub fn are_many(&self) -> bool {
        self.answered.len() >= MOST
    }

    /// Whether the answer to a fresh lookup is among what waits.
    pub fn any_fresh(&self) -> bool {
        self.answered.front().is_some_and(|one| one.lookup.is_fresh())
    }

    /// Whether a lookup was given up since this was last asked.
    pub fn has_given_up(&mut self) -> bool {
        std::mem::take(&mut self.given_up)
    }

    /// What the answer to a request came to.
    pub fn add(&mut self, lookup: Claimed, verdict: Verdict) {
        match verdict {
            Verdict::Spam { detail } => {
                let guid = detail["guid"].as_str().map(str::to_owned);
                self.gather().said.push(Said { lookup: lookup.id, spam: true, guid });
                self.take(Answered { lookup, spam: true, detail });
            }
            Verdict::Ham { guid } => {
                self.gather().said.push(Said { lookup: lookup.id, spam: false, guid });
                self.take(Answered { lookup, spam: false, detail: Json::Null });
            }
            Verdict::Provisional { again, guid } => {
                self.database.answered.fetch_add(1, Ordering::Relaxed);
                self.gather().said.push(Said { lookup: lookup.id, spam: false, guid });
                self.postponed.push(again);
            }
            Verdict::Taken => {
                self.database.answered.fetch_add(1, Ordering::Relaxed);
                self.gather().taken.push(lookup.id);
            }
            Verdict::None(postponed) => {
                self.database.unanswered.fetch_add(1, Ordering::Relaxed);
                self.postpone(&lookup, postponed);
            }
        }
    }

    /// An answer that came earlier and could not be applied then.
    pub fn again(&mut self, lookup: Claimed, answer: &Json) {
        let spam = answer["spam"].as_bool().unwrap_or(false);
        let detail = answer["detail"].clone();
        self.gather().take(Answered { lookup, spam, detail });
    }

    fn take(&mut self, one: Answered) {
        if one.lookup.is_fresh() {
            let fresh = self.answered.partition_point(|other| other.lookup.is_fresh());
            self.answered.insert(fresh, one);
        } else {
            self.answered.push_back(one);
        }
    }

    /// Nobody is to be asked: the row is gone.
    pub fn moot(&mut self, id: i64) {
        self.gather().taken.push(id);
    }

    /// It was not answered, and expires if that has been so for too long.
    pub fn postpone(&mut self, lookup: &Claimed, postponed: Postponed) {
        self.gather().postponed.push(postponed.or_expired(lookup));
    }

    /// It was not asked about.
    pub fn put_back(&mut self, lookup: &Claimed, error: Option<String>) {
        self.gather().postponed.push(put_back(lookup, error));
    }

    /// Writes what is due to be written. None: the extension is gone. Some(true): something went back into
    /// the queue.
    pub fn settle(&mut self, patience: Duration) -> Option<bool> {
        let gathered = self.answered.len() + self.postponed.len() + self.taken.len();
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return Some(false);
        }
        self.not_before = None;
        let due = self.pause(patience).is_some_and(|pause| pause.is_zero()) || gathered >= ENOUGH;
        if gathered == 0 || !due {
            return Some(false);
        }
        let since = self.since.take();
        let fresh = self.answered.partition_point(|one| one.lookup.is_fresh());
        let lot = if (1..FEW).contains(&fresh) { fresh } else { LOT };
        let later = self.answered.split_off(self.answered.len().min(lot));
        let answered: Vec<Answered> = std::mem::take(&mut self.answered).into();
        let postponed = std::mem::take(&mut self.postponed);
        let taken = std::mem::take(&mut self.taken);
        let said_later = later.iter().map(|one| one.lookup.id).collect::<HashSet<_>>();
        let (said_later, said): (Vec<_>, Vec<_>) = std::mem::take(&mut self.said)
            .into_iter()
            .partition(|said| said_later.contains(&said.lookup));
        let database = self.database;
        self.given_up |= postponed.iter().any(|p| p.state != "queued");
        let (again, given_up, pause, locked) = transaction("settling verdicts", || {
            let ids = answered.iter().map(|one| one.lookup.id);
            let ids = ids.chain(postponed.iter().map(|p| p.id)).chain(taken.iter().copied());
            let held = lookups::lock(&ids.collect::<Vec<_>>());
            let (answered, mut answered_later) = held.split(answered, |one| one.lookup.id);
            let (postponed, postponed_later) = held.split(postponed, |p| p.id);
            let (taken, taken_later) = held.split(taken, |id| *id);
            let (said, said_later) = held.split(said, |s| s.lookup);
            checked::keep(&said);
            let left = settle::settle(database, answered);
            lookups::finish(&taken);
            lookups::postpone(&postponed);
            let pause = if answered_later.is_empty() { left.pause } else { left.pause.max(LOCKED) };
            answered_later.extend(left.rest);
            (
                left.again || !postponed.is_empty(),
                left.given_up,
                pause,
                (answered_later, postponed_later, taken_later, said_later),
            )
        })?;
        self.given_up |= given_up;
        let answered_later: Vec<Answered>;
        (answered_later, self.postponed, self.taken, self.said) = locked;
        self.answered = answered_later.into();
        let locked = !(self.postponed.is_empty() && self.taken.is_empty());
        if locked || !self.answered.is_empty() {
            let pause = if locked { pause.max(LOCKED) } else { pause };
            self.since = Some(Instant::now());
            self.not_before = Some(Instant::now() + pause);
        }
        if !later.is_empty() {
            self.since = since;
            self.answered.extend(later);
            self.said.extend(said_later);
        }
        Some(again)
    }

    fn gather(&mut self) -> &mut Self {
        self.since.get_or_insert_with(Instant::now);
        self
    }
}

/// A lookup that goes back into the queue as it came.
pub fn put_back(lookup: &Claimed, error: Option<String>) -> Postponed {
    Postponed {
        id: lookup.id,
        state: "queued",
        error,
        counted: false,
        seconds: 0.0,
        answer: None,
        reason: None,
    }
}
