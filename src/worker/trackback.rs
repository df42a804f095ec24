//! The lane of trackbacks: the names and pages of those who send them, for the checks trackback_ip and
//! trackback_link. Owns when they are looked at and how often; what is fetched how is fetch.rs's, what it
//! means the engine's, rows are settle.rs's. It needs no key and waits for nobody's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use spamcheck_engine::LookupKind;
use spamcheck_engine::lookup::{Found, Question};

use crate::lookups::{self, Claimed, Lane, Postponed, Progress};
use crate::rulebook;
use crate::settings::Network;
use crate::shared::{Database, Queued};
use crate::worker::fetch::{self, Rules, Trouble};
use crate::worker::pool::{Bell, Job, Pool};
use crate::worker::presence::transaction;
use crate::worker::resolve::{self, Unresolved};
use crate::worker::settle::{self, Concluded, UNASKED};
use crate::worker::turns::Turns;

/// Questions that are in hand at the same time.
const AT_ONCE: usize = 16;
/// How long it may take until lookups are noticed that were made due by hand.
const PERHAPS: Duration = Duration::from_secs(1);
/// How often lookups of prepared transactions are looked for while there are any.
const PREPARED_POLL: Duration = Duration::from_secs(2);
/// How long answers wait whose lookups somebody else has locked.
const LOCKED: Duration = Duration::from_millis(100);
/// Seconds between tries of what may be better the next time; after the last a person looks.
const AGAIN: [f64; 5] = [2.0, 10.0, 30.0, 120.0, 300.0];
/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// A question on its way.
struct Inquiry {
    id: i64,
    question: Question,
    rules: Arc<Rules>,
}

struct Done {
    id: i64,
    answer: Result<Option<Found>, Trouble>,
}

impl Job for Inquiry {
    type Done = Done;

    fn run(&self) -> Done {
        let answer = match &self.question {
            Question::Sender { host, .. } => match resolve::addresses(host, self.rules.time) {
                Ok(found) => Ok(self.question.of_addresses(&found)),
                Err(Unresolved::Unknown) => Ok(self.question.of_addresses(&[])),
                Err(Unresolved::Trouble(why)) => Err(Trouble::passing(why)),
            },
            Question::Link { page, .. } => fetch::get(&self.rules, page, &[]).and_then(|fetched| {
                if !(200..300).contains(&fetched.status) {
                    let why = format!("{} answered with status {}", fetched.at, fetched.status);
                    return Err(Trouble { why, passing: None });
                }
                let kind =
                    fetched.header("content-type").unwrap_or("text/html").to_ascii_lowercase();
                let markup = kind.contains("html") || kind.contains("xml");
                let page = if markup { String::from_utf8_lossy(&fetched.body) } else { "".into() };
                Ok(self.question.of_page(&page, &fetched.at, fetched.whole))
            }),
        };
        Done { id: self.id, answer }
    }

    fn failed(&self, why: String) -> Done {
        Done { id: self.id, answer: Err(Trouble::passing(why)) }
    }
}

/// A question that is out.
struct Out {
    lookup: Claimed,
    question: Question,
    since: Instant,
}

/// The lane.
pub struct Trackbacks {
    database: &'static Database,
    pool: Pool<Inquiry>,
    ready: VecDeque<(Claimed, Question)>,
    out: HashMap<i64, Out>,
    turns: Turns,
    concluded: Vec<Concluded>,
    postponed: Vec<Postponed>,
    /// When to claim again; None: when woken.
    due: Option<Instant>,
    /// Whether transactions are prepared, as far as this lane knows.
    prepared: bool,
    /// Somebody else has lookups locked: not tried again before.
    not_before: Option<Instant>,
}

impl Trackbacks {
    /// One that looks at once what is there.
    pub fn new(database: &'static Database, bell: Bell) -> Self {
        Self {
            database,
            pool: Pool::new(bell),
            ready: VecDeque::new(),
            out: HashMap::new(),
            turns: Turns::default(),
            concluded: Vec::new(),
            postponed: Vec::new(),
            due: Some(Instant::now()),
            prepared: true,
            not_before: None,
        }
    }

    /// Settings changed: what is due is looked at again.
    pub fn try_again(&mut self) {
        self.look_within(Duration::ZERO);
    }

    /// How long nothing here needs to be done; None: until something comes.
    pub fn pause(&self) -> Option<Duration> {
        if Queued::of(self.database.trackbacks.load(Ordering::Acquire)) != Queued::No {
            return Some(Duration::ZERO);
        }
        let due = self.due.filter(|_| self.room() > 0);
        let gathered = !(self.concluded.is_empty() && self.postponed.is_empty());
        let settle = gathered.then(|| self.not_before.unwrap_or_else(Instant::now));
        let next = [due, settle].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Does what there is; false: the extension is gone.
    pub fn turn(&mut self, network: &Network) -> bool {
        match Queued::of(self.database.trackbacks.swap(Queued::No as u32, Ordering::AcqRel)) {
            Queued::No => {}
            Queued::Perhaps => self.look_within(PERHAPS),
            Queued::Surely => self.look_within(Duration::ZERO),
        }
        if self.database.prepared.load(Ordering::Acquire) && !self.prepared {
            self.prepared = true;
            self.look_within(PREPARED_POLL);
        }
        self.collect();
        if !self.settle() || !self.claim() {
            return false;
        }
        self.send(network);
        true
    }

    /// Something went wrong that no answer is to blame for: what is in hand goes, and is claimed again.
    pub fn start_over(&mut self) {
        self.ready.clear();
        self.out.clear();
        self.concluded.clear();
        self.postponed.clear();
        self.not_before = None;
        self.look_within(Duration::ZERO);
    }

    fn look_within(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.out.len() + self.ready.len())
    }

    fn collect(&mut self) {
        for Done { id, answer } in self.pool.collect() {
            let Some(Out { lookup, question, since }) = self.out.remove(&id) else { continue };
            self.turns.answered(&host(&question), since.elapsed());
            match answer {
                Ok(found) => self.concluded.push(Concluded { lookup, found }),
                Err(trouble) => self.fail(lookup, &question, &trouble),
            }
        }
    }

    /// What may pass is tried again; in the end, and otherwise, a person looks.
    fn fail(&mut self, lookup: Claimed, question: &Question, trouble: &Trouble) {
        self.database.unanswered.fetch_add(1, Ordering::Relaxed);
        let tries = usize::try_from(lookup.attempts - 1).unwrap_or(0);
        match (trouble.passing, AGAIN.get(tries)) {
            (Some(asked), Some(pause)) => {
                let jittered = pause * (0.5 + random() / 2.0);
                let seconds = asked.min(LONGEST_ASKED).as_secs_f64().max(jittered);
                self.put_off(&lookup, trouble.why.clone(), seconds, true);
            }
            _ => {
                let found = Some(question.unanswered(&trouble.why));
                self.concluded.push(Concluded { lookup, found });
            }
        }
    }

    fn put_off(&mut self, lookup: &Claimed, why: String, seconds: f64, counted: bool) {
        let postponed = Postponed {
            id: lookup.id,
            state: "queued",
            error: Some(why),
            counted,
            seconds,
            answer: None,
            reason: None,
        };
        self.postponed.push(postponed.or_expired(lookup));
    }

    /// Takes up what is due, as far as there is room.
    fn claim(&mut self) -> bool {
        let room = self.room();
        if room == 0 || self.due.is_none_or(|at| Instant::now() < at) {
            return true;
        }
        let prepared = self.prepared;
        let Some((claimed, next, prepared)) = transaction("claiming trackbacks", || {
            // Before the claim: what is committed between the two is seen by one of them.
            let prepared = prepared && lookups::prepared_transactions();
            let claimed = lookups::claim(Lane::Trackbacks, room, &mut Progress::default());
            let mut next = Some(0.0);
            if claimed.len() < room {
                next = lookups::next_due(Lane::Trackbacks);
            }
            if claimed.is_empty() {
                next = next.map(|seconds| seconds.max(lookups::NOT_FREE));
            }
            (claimed.into_iter().map(question_of).collect::<Vec<_>>(), next, prepared)
        }) else {
            return false;
        };
        self.prepared = prepared;
        self.due = next
            .map(|seconds| Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)));
        if prepared {
            self.look_within(PREPARED_POLL);
        }
        for (mut lookup, asked) in claimed {
            if let Some(answer) = lookup.answer.take() {
                self.concluded.push(Concluded::again(lookup, &answer));
                continue;
            }
            match asked {
                Asked::Question(question) => match self.wait_for(&host(&question)) {
                    None => self.ready.push_front((lookup, question)),
                    Some(pause) => {
                        let why = format!("{} is asked one page at a time", host(&question));
                        self.put_off(&lookup, why, pause.as_secs_f64(), false);
                    }
                },
                Asked::Unanswerable(found) => {
                    self.concluded.push(Concluded { lookup, found: Some(found) });
                }
                Asked::Off(why) => {
                    self.put_off(&lookup, why, UNASKED.as_secs_f64(), false);
                }
            }
        }
        true
    }

    /// How long a question to a host waits in the queue; None: it can be taken in hand.
    fn wait_for(&mut self, name: &str) -> Option<Duration> {
        let out = self.out.values().filter(|out| host(&out.question) == name);
        let since: Vec<Duration> = out.map(|out| out.since.elapsed()).collect();
        let ready = self.ready.iter().filter(|(_, question)| host(question) == name).count();
        let longest = since.iter().max().copied().unwrap_or_default();
        self.turns.wait(name, since.len() + ready, longest)
    }

    /// Asks what is ready, one question a host at a time.
    fn send(&mut self, network: &Network) {
        if self.ready.is_empty() {
            return;
        }
        let rules = Rules::for_pages(network).map(Arc::new);
        let mut busy: HashSet<String> = self.out.values().map(|out| host(&out.question)).collect();
        for (lookup, question) in std::mem::take(&mut self.ready) {
            let rules = match &rules {
                Ok(rules) => rules.clone(),
                Err(why) => {
                    let why = format!("no request can be made: {why}");
                    self.put_off(&lookup, why, UNASKED.as_secs_f64(), false);
                    continue;
                }
            };
            if !busy.insert(host(&question)) {
                self.ready.push_back((lookup, question));
                continue;
            }
            self.pool.send(Inquiry { id: lookup.id, question: question.clone(), rules });
            let since = Instant::now();
            self.out.insert(lookup.id, Out { lookup, question, since });
        }
    }

    /// Settles what is answered; false: the extension is gone.
    fn settle(&mut self) -> bool {
        let nothing = self.concluded.is_empty() && self.postponed.is_empty();
        if nothing || self.not_before.is_some_and(|at| Instant::now() < at) {
            return true;
        }
        self.not_before = None;
        let concluded = std::mem::take(&mut self.concluded);
        let postponed = std::mem::take(&mut self.postponed);
        let database = self.database;
        let settled = transaction("settling trackbacks", || {
            let ids = concluded.iter().map(|one| one.lookup.id);
            let ids = ids.chain(postponed.iter().map(|p| p.id));
            let held = lookups::lock(&ids.collect::<Vec<_>>());
            let (concluded, mut concluded_later) = held.split(concluded, |one| one.lookup.id);
            let (postponed, postponed_later) = held.split(postponed, |p| p.id);
            let left = settle::settle(database, concluded);
            lookups::postpone(&postponed);
            concluded_later.extend(left.rest);
            (concluded_later, postponed_later, left.pause)
        });
        let Some((concluded, postponed, pause)) = settled else { return false };
        if !(concluded.is_empty() && postponed.is_empty()) {
            self.not_before = Some(Instant::now() + pause.max(LOCKED));
        }
        (self.concluded, self.postponed) = (concluded, postponed);
        // The claim asks when the next one is due.
        self.look_within(Duration::ZERO);
        true
    }
}

enum Asked {
    Question(Question),
    /// The submission has not what the check needs.
    Unanswerable(Found),
    /// Why the policy does not ask now: it was switched off, or a restore has not brought it yet, or
    /// something is wrong with what is stored of it.
    Off(String),
}

fn question_of(lookup: Claimed) -> (Claimed, Asked) {
    let policy = match rulebook::attempt_policy(&lookup.policy) {
        Ok(policy) => policy,
        Err(why) => {
            let why = format!("policy \"{}\" cannot be read: {why}", lookup.policy);
            return (lookup, Asked::Off(why));
        }
    };
    let kind = LookupKind::from_name(&lookup.kind);
    let setting = policy.as_ref().zip(kind).and_then(|(policy, kind)| policy.lookup(kind));
    let asked = match setting.map(|setting| setting.question(&lookup.submission)) {
        None => Asked::Off(lookups::is_off(&lookup.kind, &lookup.policy)),
        Some(Ok(question)) => Asked::Question(question),
        Some(Err(why)) => {
            let detail = serde_json::json!({ "error": why });
            Asked::Unanswerable(Found { why, detail, unsure: true })
        }
    };
    (lookup, asked)
}

fn host(question: &Question) -> String {
    match question {
        // The name service is nobody's blog.
        Question::Sender { host, sender } => format!("{host} {sender}"),
        Question::Link { page, .. } => page.host.to_string(),
    }
}

/// A number from 0 to 1 for jitter; not for secrets.
fn random() -> f64 {
    let number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
