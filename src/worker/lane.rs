//! The Akismet lane: whether lookups may be made now, and with which key. Owns the circuit breaker: when
//! the key is refused or the service is down, everything waits and one request at a time tries, later
//! and later. Neither is the fault of the lookups that wait, so their attempts are not counted then.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::{PgSqlErrorCode, ereport};
use serde_json::{Value as Json, json};
use spamcheck_engine::akismet::{Key, Notice};

use crate::secrets::Secrets;
use crate::settings::Network;
use crate::shared::{Database, Lane as State};

/// Failures in a row after which the service counts as down.
const DOWN_AFTER: u32 = 3;
/// No wait that the service asks for is longer.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The lane.
pub struct Lane {
    database: &'static Database,
    secrets: Secrets,
    looked: Option<Instant>,
    state: State,
    /// What speaks against requests.
    reason: String,
    /// What Akismet last had to say about the account.
    notice: Option<Notice>,
    /// Whether a refusal may not be Akismet's own, so that the key is to be verified.
    doubts: bool,
    failures: u32,
    probes: u32,
    resume: Option<Instant>,
}

/// The number that stands for a notice without one.
const UNNUMBERED: u32 = u32::MAX;

impl Lane {
    /// A lane that is open until something speaks against it.
    pub fn new(database: &'static Database) -> Self {
        database.lane.store(State::Open as u32, Ordering::Release);
        database.alert.store(0, Ordering::Release);
        Self {
            database,
            secrets: Secrets::default(),
            looked: None,
            state: State::Open,
            reason: String::new(),
            notice: None,
            doubts: false,
            failures: 0,
            probes: 0,
            resume: None,
        }
    }

    /// Whether nothing speaks against requests.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// How many requests may be out, of `free` at most.
    pub fn room(&self, free: usize) -> usize {
        match self.state {
            State::Open => free,
            State::NoKey | State::BadSecrets => 0,
            State::InvalidKey | State::Down | State::BadSettings => {
                usize::from(self.resume.is_none_or(|at| Instant::now() >= at)).min(free)
            }
        }
    }

    /// How long nothing needs to be tried; None: no limit from here.
    pub fn pause(&self) -> Option<Duration> {
        match self.state {
            State::Open => None,
            State::NoKey | State::BadSecrets => Some(Duration::from_secs(1)),
            State::InvalidKey | State::Down | State::BadSettings => Some(
                self.resume
                    .map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now())),
            ),
        }
    }

    /// The key. Looks at the secrets file again, at most once a second.
    pub fn key(&mut self, network: &Network) -> Option<Key> {
        let due = self.looked.is_none_or(|at| at.elapsed() >= Duration::from_secs(1));
        if due {
            self.looked = Some(Instant::now());
            let news = self.secrets.refresh(network.secrets_file.as_deref());
            match (self.secrets.fault(), self.secrets.akismet()) {
                (Some(fault), _) => {
                    let fault = fault.to_owned();
                    self.turn(State::BadSecrets, &fault);
                }
                (None, None) => self.turn(State::NoKey, "The secrets file has no \"akismet\"."),
                (None, Some(_))
                    if news || matches!(self.state, State::NoKey | State::BadSecrets) =>
                {
                    self.open();
                }
                (None, Some(_)) => {}
            }
        }
        self.secrets.akismet().cloned()
    }

    /// A verdict came: all is well.
    pub fn answered(&mut self) {
        self.open();
    }

    /// The key or the site is not accepted.
    pub fn refused(&mut self, reason: &str) {
        self.turn(State::InvalidKey, reason);
        self.back_off();
    }

    /// What answers where a setting leads to is no Akismet.
    pub fn misled(&mut self, reason: &str) {
        self.turn(State::BadSettings, reason);
        self.back_off();
    }

    /// No request can be made with the settings as they are; not tried again before.
    pub fn unusable(&mut self, reason: &str, pause: Duration) {
        self.turn(State::BadSettings, reason);
        self.resume = Some(Instant::now() + pause);
    }

    /// Settings changed: those that could not be used may be other ones now.
    pub fn settings_changed(&mut self) {
        if self.state == State::BadSettings {
            self.open();
        }
        self.try_again();
    }

    /// The request was refused, perhaps by something on the way to Akismet: whether the key is good is to
    /// be found out.
    pub fn doubted(&mut self, reason: &str) {
        self.doubts = true;
        self.failed(reason);
    }

    /// Whether the key is to be verified; said once.
    pub fn doubts(&mut self) -> bool {
        std::mem::take(&mut self.doubts)
    }

    /// A request failed for reasons that may pass. Whether it is the service's fault rather than the
    /// request's: then the attempt does not count.
    pub fn failed(&mut self, reason: &str) -> bool {
        self.failures += 1;
        if self.state == State::Open && self.failures < DOWN_AFTER {
            return false;
        }
        if !matches!(self.state, State::InvalidKey | State::BadSettings) {
            self.turn(State::Down, reason);
        }
        self.back_off();
        true
    }

    /// The service asked to be left alone for a while: by all, not by one lookup.
    pub fn asked_to_wait(&mut self, reason: &str, time: Duration) {
        if !matches!(self.state, State::InvalidKey | State::BadSettings) {
            self.turn(State::Down, reason);
        }
        let until = Instant::now() + time.min(LONGEST_ASKED);
        self.resume = Some(self.resume.map_or(until, |at| at.max(until)));
    }

    /// What Akismet has to say about the account; None: nothing any more. A line in the server's log for
    /// each change.
    pub fn note(&mut self, notice: Option<Notice>) {
        if self.notice == notice {
            return;
        }
        let same = |a: &Notice, b: &Notice| a.code == b.code;
        let news = notice.as_ref().filter(|n| !self.notice.as_ref().is_some_and(|o| same(n, o)));
        if let Some(Notice { code, message, degraded }) = news {
            let sqlstate = PgSqlErrorCode::ERRCODE_WARNING;
            let text = format!("Akismet has a notice about the account: {code} {message}");
            let detail = if *degraded {
                "Akismet restricts the account, or is about to."
            } else {
                "Verdicts still come."
            };
            ereport!(WARNING, sqlstate, text, detail.to_owned());
        }
        let number = |n: &Notice| n.code.parse().ok().filter(|n| *n > 0).unwrap_or(UNNUMBERED);
        self.database.alert.store(notice.as_ref().map_or(0, number), Ordering::Release);
        self.notice = notice;
    }

    /// What speaks against requests and what Akismet has to say about the account, for health().
    pub fn told(&self) -> Json {
        let notice = self
            .notice
            .as_ref()
            .map(|n| json!({ "code": n.code, "message": n.message, "degraded": n.degraded }));
        json!({ "reason": self.reason, "notice": notice })
    }

    /// Why there is no key.
    pub fn keyless(&self) -> &'static str {
        match self.state {
            State::BadSecrets => "pg_spamcheck.secrets_file cannot be used",
            _ => "there is no Akismet key",
        }
    }

    /// Something changed: the next request need not wait.
    pub fn try_again(&mut self) {
        self.resume = None;
    }

    fn open(&mut self) {
        self.failures = 0;
        self.probes = 0;
        self.resume = None;
        self.turn(State::Open, "");
    }

    /// 1, 2, 4, … seconds, at most a minute. Requests that were out together fail together: only the
    /// first of them makes the pause longer.
    fn back_off(&mut self) {
        if self.resume.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let pause = Duration::from_secs(1 << self.probes.min(6)).min(LONGEST_PAUSE);
        self.probes += 1;
        self.resume = Some(Instant::now() + pause);
    }

    /// One line in the server's log for each change.
    fn turn(&mut self, state: State, reason: &str) {
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
        }
        if self.state == state {
            return;
        }
        self.state = state;
        self.database.lane.store(state as u32, Ordering::Release);
        let code = PgSqlErrorCode::ERRCODE_CONNECTION_EXCEPTION;
        match state {
            State::Open => ereport!(LOG, code, "pg_spamcheck asks Akismet again"),
            // The usual state of a database that does not use Akismet.
            State::NoKey => {
                ereport!(DEBUG1, code, "pg_spamcheck has no Akismet key", reason.to_owned())
            }
            State::BadSecrets => ereport!(
                WARNING,
                PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
                "pg_spamcheck.secrets_file cannot be used; lookups wait",
                reason.to_owned()
            ),
            State::BadSettings => ereport!(
                WARNING,
                PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
                "Akismet cannot be asked with the settings as they are; lookups wait",
                reason.to_owned()
            ),
            State::InvalidKey => ereport!(
                WARNING,
                PgSqlErrorCode::ERRCODE_INVALID_PASSWORD,
                "Akismet does not accept the key; lookups wait",
                reason.to_owned()
            ),
            State::Down => ereport!(
                WARNING,
                code,
                "Akismet does not answer as it should; lookups wait and are tried again",
                reason.to_owned()
            ),
        }
    }
}
