//! Lists that are fetched: one at a time, when it is due. Owns the fetch and what its answer is; which list
//! is due and what happens to its entries is sources.rs's. A list is read on a thread, so that checking a
//! hundred thousand lines keeps nobody waiting.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use spamcheck_engine::import;
use spamcheck_engine::location::Location;

use crate::settings::Network;
use crate::shared::Database;
use crate::sources::{self, Outcome, Source};
use crate::subtransaction;
use crate::worker::fetch::{self, Rules};
use crate::worker::pool::{Bell, Job, Pool};
use crate::worker::presence::{self, transaction};

/// How long unusable network settings, or a list that cannot be written, keep the lists from being fetched.
const RETRY: Duration = Duration::from_secs(60);
/// No list is waited for longer without a look.
const LONGEST: Duration = Duration::from_secs(3600);

struct Fetch {
    source: Arc<Source>,
    rules: Rules,
}

impl Job for Fetch {
    type Done = Outcome;

    fn run(&self) -> Outcome {
        fetched(&self.source, &self.rules).unwrap_or_else(Outcome::Failed)
    }

    fn failed(&self, why: String) -> Outcome {
        Outcome::Failed(why)
    }
}

fn fetched(source: &Source, rules: &Rules) -> Result<Outcome, String> {
    let at = Location::parse(&source.url)?;
    let mut conditions = Vec::new();
    if let Some(etag) = &source.etag {
        conditions.push(("If-None-Match", etag.as_str()));
    }
    if let Some(time) = &source.last_modified {
        conditions.push(("If-Modified-Since", time.as_str()));
    }
    let fetched = fetch::get(rules, &at, &conditions).map_err(|trouble| trouble.why)?;
    match fetched.status {
        304 if !conditions.is_empty() => return Ok(Outcome::Same),
        200 => {}
        status => return Err(format!("{} answered with status {status}", fetched.at)),
    }
    if !fetched.whole {
        return Err(format!("{} has more than {} MB", fetched.at, rules.size >> 20));
    }
    if fetched.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
    {
        return Err(format!("{} is a page in HTML and no list", fetched.at));
    }
    let text = String::from_utf8_lossy(&fetched.body);
    let sifted =
        import::sift(source.kind, &text).map_err(|why| format!("{}: {why}", fetched.at))?;
    let kept = |name: &str| {
        let header = fetched.header(name)?;
        (header.len() <= 1000 && header.is_ascii()).then(|| header.to_owned())
    };
    Ok(Outcome::Fetched { sifted, etag: kept("etag"), last_modified: kept("last-modified") })
}

/// The lists.
pub struct Feeds {
    database: &'static Database,
    pool: Pool<Fetch>,
    out: Option<Arc<Source>>,
    /// When to look next; None: when something changes.
    due: Option<Instant>,
}

impl Feeds {
    /// One that looks at once what is due.
    pub fn new(database: &'static Database, bell: Bell) -> Self {
        Self { database, pool: Pool::new(bell), out: None, due: Some(Instant::now()) }
    }

    /// Settings changed: what is due is looked at again.
    pub fn try_again(&mut self) {
        self.due = Some(Instant::now());
    }

    /// How long nothing here needs to be done; None: until something comes.
    pub fn pause(&self) -> Option<Duration> {
        if self.out.is_some() {
            return None;
        }
        if self.database.lists.load(Ordering::Acquire) {
            return Some(Duration::ZERO);
        }
        self.due.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Does what there is; false: the extension is gone.
    pub fn turn(&mut self, network: &Network) -> bool {
        for outcome in self.pool.collect() {
            let Some(source) = self.out.take() else { continue };
            if !self.settle(&source, outcome) {
                return false;
            }
        }
        if self.out.is_some() {
            return true;
        }
        if self.database.lists.swap(false, Ordering::AcqRel) {
            self.due = Some(Instant::now());
        }
        if self.due.is_none_or(|at| Instant::now() < at) {
            return true;
        }
        let Some(next) = transaction("looking for lists to fetch", sources::next) else {
            return false;
        };
        let Some(source) = next else {
            self.due = None;
            return true;
        };
        if source.due > 0.0 {
            let pause = Duration::try_from_secs_f64(source.due).unwrap_or(LONGEST);
            self.due = Some(Instant::now() + pause.min(LONGEST));
            return true;
        }
        match Rules::for_lists(network) {
            Ok(rules) => {
                let source = Arc::new(source);
                self.pool.send(Fetch { source: source.clone(), rules });
                self.out = Some(source);
                true
            }
            Err(why) => self.settle(&source, Outcome::Failed(why)),
        }
    }

    fn settle(&mut self, source: &Source, outcome: Outcome) -> bool {
        self.due = Some(Instant::now());
        let settled = transaction("refreshing a list", || {
            // Who edits the list just now keeps nobody else waiting: letters come meanwhile.
            presence::set(c"lock_timeout", c"200ms", pg_sys::GucAction::GUC_ACTION_LOCAL);
            let written =
                subtransaction::attempt(AssertUnwindSafe(|| sources::settle(source, outcome)));
            let Err(failure) = written else { return true };
            let why = format!("its entries could not be written: {}", failure.message);
            let noted = AssertUnwindSafe(|| sources::settle(source, Outcome::Failed(why)));
            subtransaction::attempt(noted).is_ok()
        });
        if settled == Some(false) {
            self.due = Some(Instant::now() + RETRY);
        }
        settled.is_some()
    }
}
