//! Akismet's mode `wait`: the insert asks the worker and sleeps until the answer or the time limit, then
//! goes on as with any local finding. Owns the question and what the answer changes; the network is the
//! worker's alone, and what follows without an answer is guard.rs's.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::akismet::Mode;
use spamcheck_engine::policy::{self, AkismetSetting};
use spamcheck_engine::verdict::{Judgement, Verdict};
use spamcheck_engine::{Field, LookupKind, Lookups};

use crate::nesting;
use crate::protection::Protection;
use crate::row::Row;
use crate::shared::{self, Database, Lane};
use crate::stash::Depth;
use crate::submission;
use crate::{calls, mailbox};

/// How much of a statement's time limit may go to a worker that does not run: it may be just starting, or cannot.
const ARRIVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Deserialize)]
struct Answer {
    spam: bool,
    #[serde(default)]
    detail: Json,
}

/// What Akismet was asked, and what it said.
pub struct Asked {
    /// Whether it calls it spam.
    pub spam: bool,
    /// Its name for the check.
    pub guid: Option<String>,
    /// The submission that it was asked about.
    pub submission: Json,
    /// What the local checks made of it.
    pub local: Verdict,
}

/// The judgement with Akismet's answer, if the policy waits for one and it comes in time; without it,
/// the judgement as it is. A trial changes no row, so it does not keep one waiting either.
pub fn with_answer(
    protection: &Protection,
    row: Row<'_>,
    edited: bool,
    judgement: Judgement,
) -> (Judgement, Option<Asked>) {
    let policy = &protection.policy;
    let Some(akismet) = policy.akismet() else { return (judgement, None) };
    let waits = judgement.lookups.has(LookupKind::Akismet)
        && akismet.options.mode == Mode::Wait
        && policy.settings.mode == policy::Mode::Enforce
        && !calls::is_worker();
    let answer = if waits { ask(protection, row, edited, akismet) } else { None };
    let Some((answer, submission)) = answer else { return (judgement, None) };
    let asked = Asked {
        spam: answer.spam,
        guid: answer.detail["guid"].as_str().map(str::to_owned),
        submission,
        local: judgement.verdict,
    };
    let mut findings = judgement.findings;
    if answer.spam {
        findings.push(akismet.finding(answer.detail));
    }
    let others = judgement.lookups.without(LookupKind::Akismet);
    let judgement = policy.weigh(findings);
    let lookups = if judgement.verdict < Verdict::Spam { others } else { Lookups::NONE };
    (Judgement { lookups, ..judgement }, Some(asked))
}

fn ask(
    protection: &Protection,
    row: Row<'_>,
    edited: bool,
    akismet: &AkismetSetting,
) -> Option<(Answer, Json)> {
    let limit = Duration::from_millis(u64::from(akismet.options.wait_ms.unwrap_or(0)));
    let left = limit.saturating_sub(waited());
    let started = Instant::now();
    let deadline = started + left;
    // SAFETY: a static that is set for the life of the backend.
    let database = shared::shared()?.enlist(unsafe { pg_sys::MyDatabaseId })?;
    // Without a key there is nobody to ask. A service that does not answer is the worker's to judge: it lets
    // one question through from time to time, and refuses the others at once.
    let closed = matches!(
        database.lane(),
        Lane::NoKey | Lane::BadSecrets | Lane::InvalidKey | Lane::BadSettings
    );
    if left.is_zero() || closed {
        return None;
    }
    if !mailbox::worker_comes(database, left.min(ARRIVAL.saturating_sub(waited()))) {
        has_waited(started.elapsed());
        return None;
    }
    let asked = submission::whole(protection, row);
    // The UPDATE of an INSERT … ON CONFLICT is about the same text.
    let before = LAST.take();
    if let Some(last) = before.filter(|last| edited && last.is(protection.id, &asked)) {
        return last.answer.map(|answer| (answer, asked));
    }
    let answer = ask_worker(database, protection, edited, &asked, deadline);
    has_waited(started.elapsed());
    if !edited {
        let answer = answer.clone();
        LAST.set(Some(Last {
            protection: protection.id,
            at: statement(),
            submission: asked.clone(),
            answer,
        }));
    }
    Some((answer?, asked))
}

/// What an INSERT was just told.
struct Last {
    protection: i32,
    at: (i64, Depth),
    submission: Json,
    answer: Option<Answer>,
}

impl Last {
    fn is(&self, protection: i32, submission: &Json) -> bool {
        let same =
            |field: &Field| self.submission.get(field.name()) == submission.get(field.name());
        // When the row was made is the older one's to say.
        let mut fields = Field::ALL.iter().filter(|field| **field != Field::CreatedAt);
        self.protection == protection && self.at == statement() && fields.all(same)
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// The statement at hand: the client's, and how deep in triggers and functions it stands.
fn statement() -> (i64, Depth) {
    // SAFETY: plain call.
    (unsafe { pg_sys::GetCurrentStatementStartTimestamp() }, Depth::in_trigger())
}

/// A client's statement, with all that runs inside it: when it came, and which of those that came then.
type Outermost = (i64, u64);

thread_local! {
    /// How long the statement at hand has waited for answers.
    static WAITED: Cell<(Outermost, Duration)> = const { Cell::new(((0, 0), Duration::ZERO)) };
}

fn outermost() -> Outermost {
    // SAFETY: plain call.
    (unsafe { pg_sys::GetCurrentStatementStartTimestamp() }, nesting::outermost())
}

/// How long the statement at hand has waited so far: the limit is one for all its rows.
fn waited() -> Duration {
    let (statement, waited) = WAITED.get();
    if statement == outermost() { waited } else { Duration::ZERO }
}

fn has_waited(time: Duration) {
    WAITED.set((outermost(), waited() + time));
}

fn ask_worker(
    database: &'static Database,
    protection: &Protection,
    edited: bool,
    asked: &Json,
    deadline: Instant,
) -> Option<Answer> {
    let question = json!({ "ask": "comment_check", "policy": protection.policy.settings.name, "reason": edited.then_some("edit"), "submission": asked });
    let answer = mailbox::ask(database, question.to_string().as_bytes(), deadline).ok()?;
    serde_json::from_slice(&answer).ok()
}
