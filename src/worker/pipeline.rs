//! The lookups in the worker's hands: claimed and ready, out as requests, answered and to be settled.
//! Claims and settlements are transactions, so both are done for many at once: a window's worth is
//! claimed ahead, and answers wait a few milliseconds for company while other requests are out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use spamcheck_engine::akismet::{Key, Options};

use crate::checked::{self, Said};
use crate::lookups::{self, Claimed, Postponed};
use crate::rulebook;
use crate::settings::Network;
use crate::shared::Database;
use crate::worker::account::Calls;
use crate::worker::akismet::{self, Verdict};
use crate::worker::http::{Done, Http};
use crate::worker::lane::Lane;
use crate::worker::pool::Bell;
use crate::worker::presence::transaction;
use crate::worker::questions::{Known, Questions};
use crate::worker::settle::{self, Answered};

/// How long an answer waits for others.
const COMPANY: Duration = Duration::from_millis(4);
/// The same while a backlog drains: a transaction costs as much as many answers.
const CROWD: Duration = Duration::from_millis(15);
/// How long unusable network settings keep requests from being tried.
const RETRY: Duration = Duration::from_secs(30);
/// How long answers wait whose lookups somebody else has locked.
const LOCKED: Duration = Duration::from_millis(100);
/// How long a lookup waits whose policy does not ask Akismet now.
const UNASKED: Duration = Duration::from_secs(10);
/// Answers that are settled without waiting any longer.
const ENOUGH: usize = 128;
/// Lookups that are claimed, or answers that are settled, in one transaction: a fresh row waits for its end.
const LOT: usize = 128;
/// Answers that may wait to be settled while further lookups are claimed.
const MOST: usize = 1024;

/// A claimed lookup and the options to make it with, or why its policy does not ask Akismet now.
struct Ready {
    lookup: Claimed,
    options: Result<Options, String>,
}

/// The pipeline.
pub struct Pipeline {
    database: &'static Database,
    bell: Bell,
    http: Option<Http>,
    ready: VecDeque<Ready>,
    /// Requests that are out, and half a window of those that go out as soon as these are answered: a
    /// slot must not stay empty while the worker writes rows.
    out: HashMap<i64, Claimed>,
    answered: Vec<Answered>,
    /// What Akismet said, to be kept.
    said: Vec<Said>,
    /// Decisions that Akismet took, and questions about rows that are gone.
    taken: Vec<i64>,
    postponed: Vec<Postponed>,
    /// Those of inserts that wait.
    pub questions: Questions,
    /// What sessions ask about the account.
    pub calls: Calls,
    /// The site of the last lookup.
    blog: Option<String>,
    /// When the first of these came.
    since: Option<Instant>,
    /// Somebody else has lookups locked: not tried again before.
    not_before: Option<Instant>,
    expired: bool,
}

impl Pipeline {
    /// An empty one.
    pub fn new(database: &'static Database, bell: Bell) -> Self {
        Self {
            database,
            bell,
            http: None,
            ready: VecDeque::new(),
            out: HashMap::new(),
            answered: Vec::new(),
            said: Vec::new(),
            taken: Vec::new(),
            calls: Calls::default(),
            blog: None,
            postponed: Vec::new(),
            questions: Questions::default(),
            since: None,
            not_before: None,
            expired: false,
        }
    }

    /// How long nothing here needs to be done; None: until an answer comes.
    pub fn pause(&self) -> Option<Duration> {
        let since = self.since?;
        if let Some(at) = self.not_before {
            return Some(at.saturating_duration_since(Instant::now()));
        }
        let wait = match (self.out.is_empty(), self.ready.is_empty()) {
            (true, _) => Duration::ZERO,
            (false, true) => COMPANY,
            (false, false) => CROWD,
        };
        Some(wait.saturating_sub(since.elapsed()))
    }

    /// Lookups that may be claimed now: up to a window ahead, but not one by one. A `fresh` row does not
    /// wait for the others that are ready.
    pub fn appetite(&self, network: &Network, lane: &Lane, fresh: bool) -> usize {
        let window = network.max_in_flight;
        if self.answered.len() >= MOST {
            // Rows are slow to write.
            return 0;
        }
        let room = lane.room(window);
        if room < window {
            // The lane is closed, or tries one.
            return room.saturating_sub(self.out.len() + self.ready.len());
        }
        let space = (2 * window).saturating_sub(self.out.len() + self.ready.len()).min(LOT);
        match space {
            _ if space * 2 >= window.min(LOT) => space,
            _ if fresh => space.max(window / 8).max(1),
            _ => 0,
        }
    }

    /// Takes claimed lookups; in the transaction that claimed them. The newest go first.
    pub fn take(&mut self, claimed: Vec<Claimed>) {
        let moot = settle::moot(&claimed);
        for mut lookup in claimed {
            if let Some(answer) = lookup.answer.take() {
                let spam = answer["spam"].as_bool().unwrap_or(false);
                let detail = answer["detail"].clone();
                self.gather().answered.push(Answered { lookup, spam, detail });
                continue;
            }
            let lookup = match self.questions.known(lookup) {
                Known::Nothing(lookup) => lookup,
                Known::Answer(lookup, verdict) => {
                    self.take_verdict(lookup, verdict);
                    continue;
                }
                Known::Asked => continue,
            };
            if moot.contains(&lookup.id) {
                self.gather().taken.push(lookup.id);
                continue;
            }
            let options = options(&lookup.policy);
            self.ready.push_front(Ready { lookup, options });
        }
    }

    /// Something went wrong that no answer is to blame for: what is in hand goes, and is claimed again. What
    /// inserts wait for is not in the queue and stays.
    pub fn start_over(&mut self) {
        let _ = self.http.as_ref().map(Http::recall);
        self.ready.clear();
        self.out.clear();
        self.answered.clear();
        self.said.clear();
        self.taken.clear();
        self.postponed.clear();
        self.since = None;
        self.not_before = None;
        self.count(0);
    }

    /// Whether a lookup has expired since this was last asked.
    pub fn has_expired(&mut self) -> bool {
        std::mem::take(&mut self.expired)
    }

    /// Sends what is ready, as far as the lane and the window let it. Network settings that cannot be
    /// used close the lane; they are no reason to die, since letters have to be written.
    pub fn send(&mut self, lane: &mut Lane, key: &Key, network: &Network) {
        let anything =
            self.calls.any_ready() || self.questions.any_ready() || !self.ready.is_empty();
        if self.http.is_none() && anything {
            self.http = Some(Http::new(network, &akismet::user_agent(), self.bell.clone()));
        }
        if let Some((why, _)) = self.http.as_ref().and_then(Http::fault) {
            let why = format!("pg_spamcheck cannot make requests: {why}");
            lane.unusable(&why, RETRY);
            self.calls.refuse(&why);
            self.questions.refuse();
            return self.give_back();
        }
        let Some(http) = &self.http else { return };
        let window = network.max_in_flight;
        http.limit(window);
        // These ask whether the lane can be open.
        self.calls.send(|request| http.send_first(request), key, network);
        // Somebody sits and waits for these, so they go first.
        while self.may_ask(lane, window)
            && let Some(question) = self.questions.next()
        {
            let request =
                akismet::request(&question.lookup, &question.options, key.clone(), network);
            // Only a decision is refused, and nobody waits for one.
            if let Ok(request) = request {
                http.send_first(request);
            }
        }
        while let Some(next) = self.ready.front() {
            if next.options.is_ok() && !self.may_send(lane, window) {
                break;
            }
            let Some(Ready { mut lookup, options }) = self.ready.pop_front() else { break };
            let options = match options {
                Ok(options) => options,
                Err(why) => {
                    self.since.get_or_insert_with(Instant::now);
                    self.postponed.push(expire(&lookup, unasked(&lookup, why)));
                    continue;
                }
            };
            match akismet::request(&lookup, &options, key.clone(), network) {
                Ok(request) => {
                    self.blog = Some(akismet::blog(&options, &lookup));
                    http.send(request);
                    // Read again when a verdict is settled: hundreds of texts are out at a time.
                    lookup.submission = Json::Null;
                    self.out.insert(lookup.id, lookup);
                }
                Err(failed) => {
                    self.since.get_or_insert_with(Instant::now);
                    self.postponed.push(failed);
                }
            }
        }
        self.count(window);
    }

    fn may_ask(&self, lane: &Lane, window: usize) -> bool {
        let room = lane.room(window);
        if room < window { self.is_out() < room } else { self.questions.out() < window }
    }

    fn may_send(&self, lane: &Lane, window: usize) -> bool {
        let room = lane.room(window);
        self.is_out() < if room < window { room } else { window + window / 2 }
    }

    /// Requests that nobody has begun are not made, and their lookups go back into the queue.
    fn recall(&mut self) {
        for id in self.http.as_ref().map(Http::recall).unwrap_or_default() {
            if let Some(lookup) = self.out.remove(&id) {
                self.gather().postponed.push(put_back(&lookup, None));
            }
        }
    }

    /// Takes new network settings. With unusable ones nobody is asked, as after a restart: the former ones
    /// are not what the administrator wants.
    pub fn configure(&mut self, network: &Network, lane: &mut Lane) {
        self.recall();
        let Some(http) = &mut self.http else { return };
        http.configure(network, &akismet::user_agent());
        match http.fault() {
            Some((why, _)) => {
                lane.unusable(&format!("pg_spamcheck cannot make requests: {why}"), RETRY);
            }
            None => lane.settings_changed(),
        }
    }

    /// Looks from time to time whether settings that could not be used can be: a file may have come.
    pub fn mend(&mut self, network: &Network, lane: &mut Lane) {
        let fault = self.http.as_ref().and_then(Http::fault);
        if fault.is_some_and(|(_, since)| since >= RETRY) {
            self.configure(network, lane);
        }
    }

    /// Whether nothing stands against requests in the settings, as far as is known.
    pub fn is_usable(&self) -> bool {
        self.http.as_ref().is_none_or(|http| http.fault().is_none())
    }

    /// Reads the answers that came in. Without a key nobody can tell what they mean.
    pub fn collect(&mut self, lane: &mut Lane, key: Option<&Key>, network: &Network) {
        let Some(http) = &self.http else { return };
        for Done { id, answer } in http.collect() {
            if Calls::owns(id) {
                self.calls.read(id, answer, key, lane);
                continue;
            }
            if id < 0 {
                let Some(lookup) = self.questions.answered(id) else { continue };
                let verdict = match key {
                    Some(key) => akismet::read(lookup, answer, key, lane),
                    None => Verdict::None(put_back(lookup, Some("the key was taken away".into()))),
                };
                self.database.answered.fetch_add(1, Ordering::Relaxed);
                if let Some((lookup, verdict)) = self.questions.settle(id, verdict) {
                    self.take_verdict(lookup, verdict);
                }
                continue;
            }
            let Some(lookup) = self.out.remove(&id) else { continue };
            let Some(key) = key else {
                let postponed = put_back(&lookup, Some("the key was taken away".into()));
                self.gather().postponed.push(postponed);
                continue;
            };
            let verdict = akismet::read(&lookup, answer, key, lane);
            self.take_verdict(lookup, verdict);
        }
        if lane.doubts() {
            self.calls.doubt(self.blog.clone());
        }
        if key.is_none() || !lane.is_open() {
            self.recall();
        }
        if let Some(http) = &self.http {
            http.go_on();
        }
        self.count(network.max_in_flight);
    }

    fn take_verdict(&mut self, lookup: Claimed, verdict: Verdict) {
        match verdict {
            Verdict::Spam { detail } => {
                let guid = detail["guid"].as_str().map(str::to_owned);
                self.gather().said.push(Said { lookup: lookup.id, spam: true, guid });
                self.answered.push(Answered { lookup, spam: true, detail });
            }
            Verdict::Ham { guid } => {
                self.gather().said.push(Said { lookup: lookup.id, spam: false, guid });
                self.answered.push(Answered { lookup, spam: false, detail: Json::Null });
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
                let postponed = expire(&lookup, postponed);
                self.gather().postponed.push(postponed);
            }
        }
    }

    /// Requests that are out or about to go out.
    fn is_out(&self) -> usize {
        self.out.len() + self.questions.out()
    }

    /// What is ready goes back into the queue: the lane is closed, and nobody knows for how long.
    pub fn give_back(&mut self) {
        for Ready { lookup, .. } in std::mem::take(&mut self.ready) {
            let postponed = put_back(&lookup, None);
            self.gather().postponed.push(postponed);
        }
    }

    /// Settles what is due to be settled. None: the extension is gone. Some(true): something went back
    /// into the queue.
    pub fn settle(&mut self) -> Option<bool> {
        let gathered = self.answered.len() + self.postponed.len() + self.taken.len();
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return Some(false);
        }
        self.not_before = None;
        let due = self.pause().is_some_and(|pause| pause.is_zero()) || gathered >= ENOUGH;
        if gathered == 0 || !due {
            return Some(false);
        }
        let since = self.since.take();
        let later = self.answered.split_off(self.answered.len().min(LOT));
        let answered = std::mem::take(&mut self.answered);
        let postponed = std::mem::take(&mut self.postponed);
        let taken = std::mem::take(&mut self.taken);
        let said_later = later.iter().map(|one| one.lookup.id).collect::<HashSet<_>>();
        let (said_later, said): (Vec<_>, Vec<_>) = std::mem::take(&mut self.said)
            .into_iter()
            .partition(|said| said_later.contains(&said.lookup));
        let database = self.database;
        self.expired |= postponed.iter().any(|p| p.state == "expired");
        let (again, pause, locked) = transaction("settling verdicts", || {
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
                pause,
                (answered_later, postponed_later, taken_later, said_later),
            )
        })?;
        (self.answered, self.postponed, self.taken, self.said) = locked;
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

    fn count(&self, window: usize) {
        let in_flight = self.is_out().min(window);
        self.database.in_flight.store(in_flight as u32, Ordering::Relaxed);
    }
}

fn put_back(lookup: &Claimed, error: Option<String>) -> Postponed {
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

/// The options by which a policy asks Akismet, or why it does not now: it was switched off, or a restore has
/// not brought it yet, or something is wrong with what is stored of it.
fn options(policy: &str) -> Result<Options, String> {
    match rulebook::attempt_policy(policy) {
        Ok(found) => found
            .and_then(|policy| policy.akismet().map(|akismet| akismet.options.clone()))
            .ok_or_else(|| format!("check akismet of policy \"{policy}\" is off")),
        Err(why) => Err(format!("policy \"{policy}\" cannot be read: {why}")),
    }
}

fn unasked(lookup: &Claimed, why: String) -> Postponed {
    Postponed { seconds: UNASKED.as_secs_f64(), ..put_back(lookup, Some(why)) }
}

/// A lookup without an answer for too long expires.
fn expire(lookup: &Claimed, postponed: Postponed) -> Postponed {
    if postponed.state == "queued" && lookup.is_too_old() {
        return Postponed { state: "expired", seconds: 0.0, ..postponed };
    }
    postponed
}
