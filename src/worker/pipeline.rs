//! The lookups in the worker's hands: claimed and ready, and out as requests; what came of them goes to
//! outcomes.rs. Claims and settlements are transactions, so both are done for many at once: a window's
//! worth is claimed ahead, and answers wait a few milliseconds for company while other requests are out.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value as Json;
use spamcheck_engine::akismet::{Key, Options};

use crate::lookups::{self, Claimed, Postponed};
use crate::rulebook;
use crate::settings::Network;
use crate::shared::Database;
use crate::worker::account::Calls;
use crate::worker::akismet::{self, Verdict};
use crate::worker::http::{Done, Http};
use crate::worker::lane::Lane;
use crate::worker::outcomes::{FEW, LOT, Outcomes, put_back};
use crate::worker::pool::Bell;
use crate::worker::questions::{Known, Questions};
use crate::worker::settle::{self, UNASKED};

/// How long an answer waits for others.
const COMPANY: Duration = Duration::from_millis(4);
/// The same while a backlog drains: a transaction costs as much as many answers.
const CROWD: Duration = Duration::from_millis(15);
/// How long unusable network settings keep requests from being tried.
const RETRY: Duration = Duration::from_secs(30);

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
    /// Requests that are out, and a window of those that go out as soon as these are answered: a slot must
    /// not stay empty while the worker writes rows, also when all answers come at once.
    out: HashMap<i64, Claimed>,
    outcomes: Outcomes,
    /// Those of inserts that wait.
    pub questions: Questions,
    /// What sessions ask about the account.
    pub calls: Calls,
    /// The site of the last lookup.
    blog: Option<String>,
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
            outcomes: Outcomes::new(database),
            calls: Calls::default(),
            blog: None,
            questions: Questions::default(),
        }
    }

    /// How long nothing here needs to be done; None: until an answer comes.
    pub fn pause(&self) -> Option<Duration> {
        self.outcomes.pause(self.patience())
    }

    /// How long answers wait for others now.
    fn patience(&self) -> Duration {
        match (self.out.is_empty(), self.ready.is_empty()) {
            (true, _) => Duration::ZERO,
            (false, true) => COMPANY,
            (false, false) if self.outcomes.any_fresh() => COMPANY,
            (false, false) => CROWD,
        }
    }

    /// Lookups that may be claimed now: up to a window ahead, but not one by one. A `fresh` row does not
    /// wait for the others that are ready, nor for many to be claimed with it.
    pub fn appetite(&self, network: &Network, lane: &Lane, fresh: bool) -> usize {
        let window = network.max_in_flight;
        if self.outcomes.are_many() {
            // Rows are slow to write.
            return 0;
        }
        let room = lane.room(window);
        if room < window {
            // The lane is closed, or tries one.
            return room.saturating_sub(self.out.len() + self.ready.len());
        }
        let in_hand = self.out.len() + self.ready.len();
        let space = (3 * window).saturating_sub(in_hand).min(LOT);
        // Places that only the fresh get.
        let kept_free = (3 * window + window / 2 + 1).saturating_sub(in_hand);
        match space {
            FEW.. if fresh => FEW,
            _ if fresh => kept_free.min((window / 8).max(1)),
            _ if space * 2 >= window.min(LOT) => space,
            _ => 0,
        }
    }

    /// Takes claimed lookups; in the transaction that claimed them. The newest go first.
    pub fn take(&mut self, claimed: Vec<Claimed>) {
        let moot = settle::moot(&claimed);
        for mut lookup in claimed {
            if let Some(answer) = lookup.answer.take() {
                self.outcomes.again(lookup, &answer);
                continue;
            }
            let lookup = match self.questions.known(lookup) {
                Known::Nothing(lookup) => lookup,
                Known::Answer(lookup, verdict) => {
                    self.outcomes.add(lookup, verdict);
                    continue;
                }
                Known::Asked => continue,
            };
            if moot.contains(&lookup.id) {
                self.outcomes.moot(lookup.id);
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
        self.outcomes = Outcomes::new(self.database);
        self.count(0);
    }

    /// Whether a lookup was given up since this was last asked.
    pub fn has_given_up(&mut self) -> bool {
        self.outcomes.has_given_up()
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
                    self.outcomes.postpone(&lookup, unasked(&lookup, why));
                    continue;
                }
            };
            match akismet::request(&lookup, &options, key.clone(), network) {
                Ok(request) => {
                    self.blog = Some(akismet::blog(&options, &lookup));
                    // It does not wait behind those that lie ready.
                    match lookup.is_fresh() {
                        true => http.send_first(request),
                        false => http.send(request),
                    }
                    // Read again when a verdict is settled: hundreds of texts are out at a time.
                    lookup.submission = Json::Null;
                    self.out.insert(lookup.id, lookup);
                }
                Err(failed) => self.outcomes.postpone(&lookup, failed),
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
        self.is_out() < if room < window { room } else { 2 * window }
    }

    /// Requests that nobody has begun are not made, and their lookups go back into the queue.
    fn recall(&mut self) {
        for id in self.http.as_ref().map(Http::recall).unwrap_or_default() {
            if let Some(lookup) = self.out.remove(&id) {
                self.outcomes.put_back(&lookup, None);
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
                    self.outcomes.add(lookup, verdict);
                }
                continue;
            }
            let Some(lookup) = self.out.remove(&id) else { continue };
            let Some(key) = key else {
                self.outcomes.put_back(&lookup, Some("the key was taken away".into()));
                continue;
            };
            let verdict = akismet::read(&lookup, answer, key, lane);
            self.outcomes.add(lookup, verdict);
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

    /// Requests that are out or about to go out.
    fn is_out(&self) -> usize {
        self.out.len() + self.questions.out()
    }

    /// What is ready goes back into the queue: the lane is closed, and nobody knows for how long.
    pub fn give_back(&mut self) {
        for Ready { lookup, .. } in std::mem::take(&mut self.ready) {
            self.outcomes.put_back(&lookup, None);
        }
    }

    /// Settles what is due to be settled. None: the extension is gone. Some(true): something went back
    /// into the queue.
    pub fn settle(&mut self) -> Option<bool> {
        self.outcomes.settle(self.patience())
    }

    fn count(&self, window: usize) {
        let in_flight = self.is_out().min(window);
        self.database.in_flight.store(in_flight as u32, Ordering::Relaxed);
    }
}

/// The options by which a policy asks Akismet, or why it does not now: it was switched off, or a restore has
/// not brought it yet, or something is wrong with what is stored of it.
fn options(policy: &str) -> Result<Options, String> {
    match rulebook::attempt_policy(policy) {
        Ok(found) => found
            .and_then(|policy| policy.akismet().map(|akismet| akismet.options.clone()))
            .ok_or_else(|| lookups::is_off("akismet", policy)),
        Err(why) => Err(format!("policy \"{policy}\" cannot be read: {why}")),
    }
}

fn unasked(lookup: &Claimed, why: String) -> Postponed {
    Postponed { seconds: UNASKED.as_secs_f64(), ..put_back(lookup, Some(why)) }
}
