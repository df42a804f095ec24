//! What an answer means for its row: the verdict is applied once, to the row that it was asked about,
//! as the table's owner. A row that was edited, decided by a human, moved or deleted meanwhile keeps
//! what it has. Row, log and queue change in one transaction; how a row is written is writing.rs's.

mod later;
mod telling;
mod unanswered;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::{Value as Json, json};
use spamcheck_engine::lookup::Found;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::verdict::{Judgement, Verdict, sum};
use spamcheck_engine::{LookupKind, Lookups, Policy};

use crate::lookups::{self, Claimed, News};
use crate::rulebook;
use crate::shared::Database;
use crate::subscription::Subscription;
use crate::subtransaction::Failure;
use crate::worker::writing::{self, Anew, Change, LOCKS_LIMIT, Unwritten};
use crate::{calls, checked, decisions, nest_level, report, rights, stored_row, subtransaction};
use later::{cannot_write, switched_off, wait_for, wait_until_asked};
use telling::{before, log, tell};
pub(super) use unanswered::leave_to_person;

/// How long a lookup waits whose policy does not ask now.
pub(super) const UNASKED: Duration = Duration::from_secs(10);
/// What the table's own triggers may take for one row: the worker has other rows to see to.
const LONGEST: Duration = Duration::from_secs(2);
/// How long rows are written in one transaction, which holds locks that others may want.
pub(super) const AT_ONCE: Duration = Duration::from_millis(200);
/// A row that takes longer is slow: afterwards others are seen to for as long, up to [`LONGEST_REST`].
const SLOW: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Seconds for which a row that was just inserted is taken to be there.
const RECENT: f64 = 5.0;
/// Seconds after which a row is tried again that somebody else has locked.
pub(super) const LOCKED: f64 = 1.0;

/// A lookup that Akismet has answered.
pub struct Answered {
    /// The lookup.
    pub lookup: Claimed,
    /// Whether Akismet calls it spam.
    pub spam: bool,
    /// What the log's detail says.
    pub detail: Json,
}

/// A lookup of any kind that is answered.
pub struct Concluded {
    /// The lookup.
    pub lookup: Claimed,
    /// What there is against the row.
    pub found: Option<Found>,
}

impl From<Answered> for Concluded {
    fn from(answered: Answered) -> Self {
        let Answered { lookup, spam, detail } = answered;
        let found = Found { why: "Akismet calls it spam".to_owned(), detail, unsure: false };
        Self { lookup, found: spam.then_some(found) }
    }
}

impl Concluded {
    /// From an answer that could not be applied when it came.
    pub fn again(lookup: Claimed, answer: &Json) -> Self {
        let found = || Found {
            why: answer["why"].as_str().unwrap_or_default().to_owned(),
            detail: answer["detail"].clone(),
            unsure: answer["unsure"] == true,
        };
        Self { lookup, found: (answer["spam"] == true).then(found) }
    }

    fn to_json(&self) -> Json {
        match &self.found {
            None => json!({ "spam": false, "detail": null }),
            Some(f) => {
                json!({ "spam": true, "why": f.why, "detail": f.detail, "unsure": f.unsure })
            }
        }
    }
}

/// What became of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is in the row, or had nothing to change there.
    Done,
    /// It changed the row.
    Applied,
    /// The row is not what was asked about any more.
    Overtaken,
    /// The row was edited and nobody was asked about that: the lookup asks about it now.
    Anew,
    /// Somebody else has locked the row.
    Locked,
}

/// What is left of answers that were to be settled.
pub struct Left<A> {
    /// Whether something went back into the queue.
    pub again: bool,
    /// Whether some answer will not be applied any more.
    pub given_up: bool,
    /// Answers that are to be settled in another transaction.
    pub rest: Vec<A>,
    /// How long others are seen to before that.
    pub pause: Duration,
}

/// Settles answers, in the transaction at hand. Where rows are slow to write or have to be waited for, the
/// rest is left for the next one, rows of other tables first: nobody else's locks are held that long.
pub fn settle<A: Into<Concluded> + About>(database: &Database, answered: Vec<A>) -> Left<A> {
    let mut finished = Vec::with_capacity(answered.len());
    let mut postponed = Vec::new();
    let mut again = false;
    let mut pause = Duration::ZERO;
    let started = Instant::now();
    let mut answered = answered.into_iter();
    let mut at = 0;
    while started.elapsed() < AT_ONCE && pause.is_zero() {
        let Some(one) = answered.next() else { break };
        at = one.protection();
        let one = one.into();
        let stands = one.found.is_none() && !one.lookup.held;
        if !stands && let Some(why) = switched_off(&one.lookup) {
            postponed.push(wait_until_asked(&one, why));
            continue;
        }
        database.answered.fetch_add(1, Ordering::Relaxed);
        if stands {
            // Ham: what the local checks made of the row stands.
            finished.push(one.lookup.id);
            continue;
        }
        let begun = Instant::now();
        match settle_in_time(&one) {
            Ok(Settled::Anew) => again = true,
            Ok(Settled::Locked) => postponed.push(wait_for(&one)),
            Ok(settled) => {
                if matches!(settled, Settled::Applied) {
                    database.applied.fetch_add(1, Ordering::Relaxed);
                }
                finished.push(one.lookup.id);
            }
            Err(failure) if is_locked(&failure) => postponed.push(wait_for(&one)),
            Err(failure) => postponed.push(cannot_write(&one, failure.message)),
        }
        if begun.elapsed() >= SLOW {
            pause = begun.elapsed().min(LONGEST_REST);
        }
    }
    lookups::finish(&finished);
    lookups::postpone(&postponed);
    let (same, mut rest): (Vec<A>, Vec<A>) = answered.partition(|one| one.protection() == at);
    rest.extend(same);
    if rest.is_empty() {
        pause = Duration::ZERO;
    }
    let given_up = postponed.iter().any(|one| one.state != "queued");
    Left { again: again || !postponed.is_empty(), given_up, rest, pause }
}

/// Which table an answer is about.
pub trait About {
    /// The protection's id.
    fn protection(&self) -> i32;
}

impl About for Answered {
    fn protection(&self) -> i32 {
        self.lookup.protection
    }
}

impl About for Concluded {
    fn protection(&self) -> i32 {
        self.lookup.protection
    }
}

/// Of lookups that were claimed together, those that have waited for so long that their rows may be gone,
/// and are: nobody is to be told of a text that its author has taken back.
pub fn moot(claimed: &[Claimed]) -> HashSet<i64> {
    let mut waited: HashMap<i32, Vec<&Claimed>> = HashMap::new();
    for lookup in claimed {
        let asks = LookupKind::from_name(&lookup.kind).is_some();
        if asks && (lookup.attempts > 1 || lookup.age > RECENT) {
            waited.entry(lookup.protection).or_default().push(lookup);
        }
    }
    waited.into_iter().flat_map(|(protection, lookups)| gone(protection, &lookups)).collect()
}

/// Of lookups about rows of one table, those whose rows are gone; none if that cannot be found out in a
/// moment.
fn gone(protection: i32, lookups: &[&Claimed]) -> Vec<i64> {
    let gone = subtransaction::attempt_within(
        SLOW,
        AssertUnwindSafe(|| {
            let table = rulebook::table(protection)?;
            Some(rights::as_owner_of(pg_sys::Oid::from(table.described.root), || {
                writing::limit_locks();
                writing::gone(&table.described, lookups)
            }))
        }),
    );
    gone.ok().flatten().unwrap_or_default()
}

/// Which rows of a protected table, by their keys, wait for no moderator any more: they are gone, or have
/// another status. As many as can be looked at in a moment.
pub fn wait_no_longer(protection: i32, keys: &[&Json]) -> Vec<bool> {
    let looked = subtransaction::attempt_within(
        LONGEST,
        AssertUnwindSafe(|| {
            let table = rulebook::table(protection)?;
            let policy = rulebook::policy(&table.stored.policy)?;
            rights::as_owner_of(pg_sys::Oid::from(table.described.root), || {
                writing::limit_locks();
                if !writing::can_be_read(&table.described) {
                    return None;
                }
                let started = Instant::now();
                let looks = |key: &&Json| {
                    started.elapsed() < LONGEST / 2 && !writing::may_wait(&table, &policy, key)
                };
                Some(keys.iter().map(looks).collect())
            })
        }),
    );
    looked.ok().flatten().unwrap_or_else(|| vec![false; keys.len()])
}

/// Applies one verdict as the worker does: what the table's own triggers do takes no longer than is bearable.
pub(super) fn settle_in_time(one: &Concluded) -> Result<Settled, Failure> {
    subtransaction::attempt_within(LONGEST, AssertUnwindSafe(|| settle_one(one)))
}

/// Applies one verdict in a session, where it is nobody's decision.
pub fn settle_in_session(one: &Concluded) -> Result<Settled, Failure> {
    subtransaction::attempt(AssertUnwindSafe(|| decisions::while_applying(|| settle_one(one))))
}

/// A lookup that is out, as it is by now, and whether its row has others that will judge it; None: it was taken back.
fn as_stored(lookup: &Claimed) -> Option<(Claimed, bool)> {
    let now = lookups::current(lookup.id)?;
    let others = now.others;
    let lookup = Claimed {
        row_key: now.row_key,
        submission: now.submission,
        submission_id: now.submission_id,
        fingerprint: now.fingerprint,
        status: now.status,
        former: now.former,
        held: now.held,
        total: now.total,
        ..lookup.clone()
    };
    Some((lookup, others))
}

/// Applies one verdict.
pub fn settle_one(one: &Concluded) -> Settled {
    let Some((mut lookup, others)) = as_stored(&one.lookup) else { return Settled::Overtaken };
    let Some(table) = rulebook::table(lookup.protection) else { return Settled::Overtaken };
    let Some(policy) = rulebook::policy(&table.stored.policy) else { return Settled::Overtaken };
    let described = &table.described;
    if others && !lookups::lock_others(lookup.id) {
        return Settled::Locked;
    }
    let root = pg_sys::Oid::from(described.root);
    let judgement = judgement(&policy, &lookup, one.found.clone());
    let enforced = policy.settings.mode == Mode::Enforce;
    let change = match judgement.verdict {
        Verdict::Ham if !lookup.held => Change::Nothing,
        // A policy that touches no row any more lets go of those that it holds.
        verdict if verdict != Verdict::Ham && (enforced || !lookup.held) => Change::To(verdict),
        // What still holds the row gives it back its own status, or does not.
        _ if others && lookups::pass(lookup.id) => Change::Nothing,
        _ => Change::Release,
    };
    let found_by = stored_row::with_key_of(described, &lookup.row_key);
    let before = before(&policy, &lookup);
    let news = !matches!(change, Change::Nothing) && judgement.verdict != before;
    let written = rights::as_owner_of(root, || {
        writing::limit_locks();
        writing::apply(&table, found_by.as_deref(), &policy, &lookup, change, others)
    });
    let written = match written {
        Ok(written) => written,
        // Who is no worker has asked nobody, and leaves asking to the lookups that there are.
        Err(Unwritten::Edited(anew)) if calls::is_worker() && !is_asked(&lookup, &anew) => {
            lookups::ask_anew(lookup.id, &anew.submission, &anew.fingerprint, lookup.held);
            return Settled::Anew;
        }
        Err(Unwritten::Overtaken | Unwritten::Edited(_)) => return Settled::Overtaken,
        Err(Unwritten::Locked) => {
            if lookup.held {
                lookups::hold(lookup.id);
            }
            return Settled::Locked;
        }
    };
    if let Some(row_key) = &written.row_key {
        stored_row::follow_key(lookup.protection, &lookup.row_key, row_key);
        lookup.row_key.clone_from(row_key);
    }
    if matches!(change, Change::Release)
        && let Some(submission_id) = lookup.submission_id
    {
        unanswered::released(submission_id);
    }
    let submission_id = (!judgement.findings.is_empty())
        .then(|| log(&policy, described, &lookup, &judgement, before));
    if let Some(subscription) = &written.subscription {
        unsubscribe(subscription, submission_id);
    }
    if news {
        tell(&policy, described, &lookup, &judgement);
    }
    if others {
        match judgement.verdict {
            Verdict::Spam | Verdict::Reject if enforced => lookups::drop_others(lookup.id),
            verdict => lookups::tell_others(
                lookup.id,
                &News {
                    moderated: enforced && verdict > Verdict::Ham,
                    score: judgement.findings.iter().map(|finding| finding.score).sum(),
                    status: written.status,
                    submission_id,
                },
            ),
        }
    }
    if written.changed { Settled::Applied } else { Settled::Done }
}

/// Whether Akismet was asked about what is in the row now.
fn is_asked(lookup: &Claimed, now: &Anew) -> bool {
    lookup.kind == LookupKind::Akismet.name()
        && checked::is_about(lookup.protection, &lookup.row_key, &now.fingerprint)
}

/// Unsubscribes without waiting for long: the locks of the rows that were settled before are held meanwhile. A
/// subscriber whom somebody else has locked takes the verdict back, to be applied again with this.
fn unsubscribe(subscription: &Subscription, submission_id: Option<i64>) {
    let done = nest_level::within(&[LOCKS_LIMIT], || subscription.unsubscribe(submission_id));
    match done {
        Err(failure) if is_locked(&failure) => report::refuse(failure.code, failure.into()),
        Err(failure) => subscription.log(&failure),
        Ok(_) => {}
    }
}

/// Whether something failed because somebody else has locked what it needs.
fn is_locked(failure: &Failure) -> bool {
    matches!(
        failure.code,
        PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE | PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED
    )
}

/// What the answer comes to under the policy as it is now.
fn judgement(policy: &Policy, lookup: &Claimed, found: Option<Found>) -> Judgement {
    let mut judgement = Judgement {
        verdict: Verdict::Ham,
        total: lookup.total,
        findings: Vec::new(),
        allowed: false,
        lookups: Lookups::NONE,
    };
    let kind = LookupKind::from_name(&lookup.kind).unwrap_or(LookupKind::Akismet);
    let finding = found.and_then(|found| match kind {
        LookupKind::Akismet => {
            policy.akismet().map(|a| policy.challenging_instead(a.finding(found.detail)))
        }
        kind => policy.lookup(kind).map(|check| check.finding(found)),
    });
    let Some(finding) = finding else { return judgement };
    judgement.total = sum(judgement.total, finding.score);
    let verdict = finding.action.verdict().max(policy.threshold(judgement.total));
    judgement.verdict = match verdict {
        // There is no undoing an insert that the app has seen, and nobody is there to be asked.
        Verdict::Reject => Verdict::Spam,
        Verdict::Challenge => Verdict::Moderate,
        other => other,
    };
    judgement.findings.push(finding);
    judgement
}
