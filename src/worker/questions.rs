//! Questions of inserts that wait (mode `wait`): asked at once, ahead of the queue. Owns what becomes of
//! an answer that comes too late: the insert has queued a lookup by then, which takes the answer, so
//! nobody is asked twice. It must not touch rows: those are settle.rs's.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::akismet::Options;

use crate::lookups::{Claimed, Postponed};
use crate::mailbox::Letter;
use crate::worker::account::Account;
use crate::worker::akismet::Verdict;

/// How long an answer is kept for a lookup that has not come: its insert was rolled back, perhaps.
const KEPT: Duration = Duration::from_secs(300);
/// Answers that are kept at most.
const MOST: usize = 10_000;

/// What a session asks the worker, as it says it in its letter: each for one lane.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Asked {
    /// Akismet's verdict, for an insert that waits for it.
    CommentCheck(Check),
    /// Something about the account at Akismet.
    Account(Account),
    /// Whether a visitor's token is good, at the service that gave it.
    Siteverify(crate::worker::siteverify::Token),
}

/// The submission that Akismet is asked about.
#[derive(Deserialize)]
pub struct Check {
    /// The policy in force.
    pub policy: String,
    /// `edit`, or none.
    pub reason: Option<String>,
    /// The fields of the submission.
    pub submission: Json,
}

/// A question, with the letter that waits for the answer.
pub struct Question {
    letter: Letter,
    /// The request is made as that of a lookup, whose id is negative.
    pub lookup: Claimed,
    /// The options to make it with.
    pub options: Options,
    content: u64,
}

/// What is known about a lookup.
pub enum Known {
    /// Nothing: it has to be made.
    Nothing(Claimed),
    /// The answer.
    Answer(Claimed, Verdict),
    /// Its question is out; it gets the answer.
    Asked,
}

/// All questions in the worker's hands.
#[derive(Default)]
pub struct Questions {
    ready: VecDeque<Question>,
    out: HashMap<i64, Question>,
    /// Lookups for questions that are out, whose inserts wait no longer.
    expected: HashMap<u64, Claimed>,
    late: HashMap<u64, (Instant, Verdict)>,
    asked: i64,
}

impl Questions {
    /// Takes a question; without options there is nobody to ask.
    pub fn take(&mut self, letter: Letter, asked: Check, options: Option<Options>) {
        let Some(options) = options else {
            letter.reply(None);
            return;
        };
        self.asked += 1;
        let content = content(&asked.policy, &asked.submission);
        let lookup = Claimed {
            id: -self.asked,
            policy: asked.policy,
            reason: asked.reason,
            submission: asked.submission,
            attempts: 1,
            ..Claimed::default()
        };
        self.ready.push_back(Question { letter, lookup, options, content });
    }

    /// Requests that are out.
    pub fn out(&self) -> usize {
        self.out.len()
    }

    /// Whether some are to be asked.
    pub fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next one to be asked, whose request goes out now. One that nobody waits for any more is left
    /// to its lookup.
    pub fn next(&mut self) -> Option<&Question> {
        loop {
            let question = self.ready.pop_front()?;
            if question.letter.is_forgotten() {
                question.letter.reply(None);
                continue;
            }
            let id = question.lookup.id;
            self.out.insert(id, question);
            return self.out.get(&id);
        }
    }

    /// Nobody can be asked now: the inserts go on without an answer.
    pub fn refuse(&mut self) {
        for question in self.ready.drain(..) {
            question.letter.reply(None);
        }
    }

    /// The question that an answer is for.
    pub fn answered(&self, id: i64) -> Option<&Claimed> {
        self.out.get(&id).map(|question| &question.lookup)
    }

    /// Hands an answer to the insert that waits for it, or else to the lookup that it became: that one is
    /// given back. What has neither yet is kept.
    pub fn settle(&mut self, id: i64, verdict: Verdict) -> Option<(Claimed, Verdict)> {
        let Question { letter, content, .. } = self.out.remove(&id)?;
        let reply = match &verdict {
            Verdict::Spam { detail } => Some(json!({ "spam": true, "detail": detail }).to_string()),
            Verdict::Ham { guid } => {
                Some(json!({ "spam": false, "detail": { "guid": guid } }).to_string())
            }
            // The lookup that follows asks again when it is time, be it that there was no verdict.
            Verdict::Provisional { .. } | Verdict::None(_) | Verdict::Taken => None,
        };
        let forgotten = letter.reply(reply.as_deref().map(str::as_bytes));
        if reply.is_some() && !forgotten {
            return None;
        }
        if let Some(lookup) = self.expected.remove(&content) {
            let verdict = verdict.of(lookup.id);
            return Some((lookup, verdict));
        }
        self.keep(content, verdict);
        None
    }

    fn keep(&mut self, content: u64, verdict: Verdict) {
        self.late.retain(|_, (at, _)| at.elapsed() < KEPT);
        if self.late.len() < MOST {
            self.late.insert(content, (Instant::now(), verdict));
        }
    }

    /// What is known about a lookup that was claimed, as an insert asked the same before.
    pub fn known(&mut self, lookup: Claimed) -> Known {
        if self.out.is_empty() && self.late.is_empty() {
            return Known::Nothing(lookup);
        }
        let content = content(&lookup.policy, &lookup.submission);
        if let Some((at, verdict)) = self.late.remove(&content) {
            let verdict = verdict.of(lookup.id).earlier(at.elapsed());
            return Known::Answer(lookup, verdict);
        }
        let out = self.out.values().any(|question| question.content == content);
        if out && !self.expected.contains_key(&content) {
            self.expected.insert(content, lookup);
            return Known::Asked;
        }
        Known::Nothing(lookup)
    }
}

impl Verdict {
    /// The same for a lookup of this id.
    fn of(self, id: i64) -> Self {
        match self {
            Self::Provisional { again, guid } => {
                Self::Provisional { again: Postponed { id, ..again }, guid }
            }
            Self::None(postponed) => Self::None(Postponed { id, ..postponed }),
            other => other,
        }
    }

    /// The same, some time later.
    fn earlier(self, time: Duration) -> Self {
        let sooner = |postponed: Postponed| Postponed {
            seconds: (postponed.seconds - time.as_secs_f64()).max(0.0),
            ..postponed
        };
        match self {
            Self::Provisional { again, guid } => Self::Provisional { again: sooner(again), guid },
            Self::None(postponed) => Self::None(sooner(postponed)),
            other => other,
        }
    }
}

/// What tells one question from another.
fn content(policy: &str, submission: &Json) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{policy}\0{submission}").as_bytes())
}
