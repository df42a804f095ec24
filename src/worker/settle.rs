//! What an answer means for its row: the verdict is applied once, to the row that it was asked about,
//! as the table's owner. A row that was edited, decided by a human, moved or deleted meanwhile keeps
//! what it has. Row, log and queue change in one transaction.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};
use serde_json::{Value as Json, json};
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::verdict::{Judgement, Verdict, sum};
use spamcheck_engine::{Facts, Policy, Submission};

use crate::checklog::{self, About};
use crate::key;
use crate::lookups::{self, Claimed, Postponed};
use crate::notice::Notice;
use crate::protection::{Described, Protection, Stored};
use crate::row::{Column, Row, to_server};
use crate::rulebook;
use crate::settings;
use crate::shared::Database;
use crate::spi::{self, quoted};
use crate::submission::{hash_of, wall_clock};
use crate::{mail, protection, rights, subtransaction};

/// Tries to write a verdict into a row before the lookup counts as failed.
const MAX_TRIES: i32 = 20;

/// What the table's own triggers may take for one row: the worker has other rows to see to.
const LONGEST: Duration = Duration::from_secs(2);

/// An answered lookup.
pub struct Answered {
    /// The lookup.
    pub lookup: Claimed,
    /// Whether Akismet calls it spam.
    pub spam: bool,
    /// What the log's detail says.
    pub detail: Json,
}

/// What became of a verdict.
enum Settled {
    /// It is in the row, or had nothing to change there.
    Done,
    /// It changed the row.
    Applied,
    /// The row is not what was asked about any more.
    Overtaken,
}

/// Settles answers, in the transaction at hand; whether some have to be tried again.
pub fn settle(database: &Database, answered: Vec<Answered>) -> bool {
    let mut finished = Vec::with_capacity(answered.len());
    let mut postponed = Vec::new();
    for one in answered {
        database.answered.fetch_add(1, Ordering::Relaxed);
        if !one.spam && !one.lookup.held {
            // Ham: what the local checks made of the row stands.
            finished.push(one.lookup.id);
            continue;
        }
        match subtransaction::attempt_within(LONGEST, AssertUnwindSafe(|| settle_one(&one))) {
            Ok(settled) => {
                if matches!(settled, Settled::Applied) {
                    database.applied.fetch_add(1, Ordering::Relaxed);
                }
                finished.push(one.lookup.id);
            }
            Err(failure) => postponed.push(cannot_write(&one, failure.message)),
        }
    }
    lookups::finish(&finished);
    lookups::postpone(&postponed);
    !postponed.is_empty()
}

/// The table's own triggers or locks stand against it: the answer is kept, nobody is asked again.
fn cannot_write(one: &Answered, error: String) -> Postponed {
    let failed = one.lookup.attempts >= MAX_TRIES;
    Postponed {
        id: one.lookup.id,
        state: if failed { "failed" } else { "queued" },
        error: Some(format!("the verdict could not be written: {error}")),
        counted: true,
        seconds: f64::from(1 << one.lookup.attempts.clamp(0, 9)),
        answer: Some(json!({ "spam": one.spam, "detail": one.detail })),
        reason: None,
    }
}

fn settle_one(one: &Answered) -> Settled {
    let Some(now) = lookups::current(one.lookup.id) else { return Settled::Overtaken };
    let lookup = Claimed {
        row_key: now.row_key,
        fingerprint: now.fingerprint,
        status: now.status,
        former: now.former,
        ..one.lookup.clone()
    };
    let lookup = &lookup;
    let Some(described) = rights::as_extension(|| rulebook::describe(lookup.protection)) else {
        return Settled::Overtaken;
    };
    let Some((stored, policy)) = stored(lookup.protection) else { return Settled::Overtaken };
    let root = pg_sys::Oid::from(described.root);
    let judgement = judgement(&policy, one);
    rights::as_owner_of(root, || {
        limit_locks();
        apply(&stored, &described, &policy, lookup, &judgement)
    })
    .map_or(Settled::Overtaken, |changed| {
        let before = before(&policy, lookup);
        if !judgement.findings.is_empty() {
            log(&policy, &described, lookup, &judgement, before);
        }
        if judgement.verdict != before {
            tell(&policy, &described, lookup, &judgement);
        }
        if changed { Settled::Applied } else { Settled::Done }
    })
}

fn stored(id: i32) -> Option<(Stored, Rc<Policy>)> {
    let stored = rights::as_extension(|| rulebook::stored(id))?;
    let policy = rulebook::policy(&stored.policy)?;
    Some((stored, policy))
}

/// What the answer comes to under the policy as it is now.
fn judgement(policy: &Policy, one: &Answered) -> Judgement {
    let mut judgement = Judgement {
        verdict: Verdict::Ham,
        total: one.lookup.total,
        findings: Vec::new(),
        allowed: false,
        lookups: false,
    };
    let Some(akismet) = policy.akismet().filter(|_| one.spam) else { return judgement };
    let finding = akismet.finding(one.detail.clone());
    judgement.total = sum(judgement.total, finding.score);
    let verdict = akismet.action.verdict().max(policy.threshold(judgement.total));
    judgement.verdict = match verdict {
        // There is no undoing an insert that the app has seen, and nobody is there to be asked.
        Verdict::Reject => Verdict::Spam,
        Verdict::Challenge => Verdict::Moderate,
        other => other,
    };
    judgement.findings.push(finding);
    judgement
}

/// Limits for what the table's own triggers and other sessions' locks may take.
fn limit_locks() {
    // SAFETY: a plain setting for the rest of the subtransaction's nest level.
    unsafe {
        pg_sys::set_config_option(
            c"lock_timeout".as_ptr(),
            c"200ms".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Writes the verdict; whether the row changed. None: it is not the row that was asked about.
fn apply(
    stored: &Stored,
    described: &Described,
    policy: &Rc<Policy>,
    lookup: &Claimed,
    judgement: &Judgement,
) -> Option<bool> {
    // A key is unique in one table: children that inherit from it may have the same.
    let only = if described.partitioned { "" } else { "ONLY " };
    let table = format!("{only}{}.{}", quoted(&described.schema), quoted(&described.name));
    if described.key.is_empty() {
        // In a restore the key may come after the triggers.
        pgrx::error!("the table has no primary key to find the row by");
    }
    let (condition, parameters) = condition(described, &lookup.row_key)?;
    let args = as_texts(&parameters);
    let query = to_server(&format!("SELECT t.* FROM {table} t WHERE {condition} FOR UPDATE"));
    let writes = Spi::connect_mut(|client| {
        let found = client.update(query.as_c_str(), Some(1), &args).ok()?;
        if found.is_empty() && described.forced {
            // Being invisible is not being gone.
            pgrx::error!("row-level security may hide the row from the table's owner");
        }
        if found.is_empty() {
            return None;
        }
        // SAFETY: the SPI call has one row, of the type that its descriptor describes; it is read
        // before the next SPI call.
        unsafe {
            let rows = pg_sys::SPI_tuptable;
            let tupdesc = (*rows).tupdesc;
            let protection =
                Protection::bind(stored, described, policy.clone(), tupdesc, None).ok()?;
            let row = Row::of_tuple(*(*rows).vals, tupdesc);
            if !is_as_it_was(lookup, row, tupdesc) {
                return None;
            }
            Some(writes(&protection, policy.settings.mode, lookup, judgement.verdict))
        }
    })?;
    if writes.is_empty() {
        return Some(false);
    }
    update(&table, &condition, parameters, &writes);
    Some(true)
}

/// Whether nobody edited the row or decided about it since the lookup was queued. What counts are the
/// columns of then, as far as they are still there: the mapping may be another one by now.
///
/// # Safety
/// The row must be of the type that `tupdesc` describes.
unsafe fn is_as_it_was(lookup: &Claimed, row: Row<'_>, tupdesc: pg_sys::TupleDesc) -> bool {
    let nothing = serde_json::Map::new();
    let texts = lookup.fingerprint.as_object().unwrap_or(&nothing).iter();
    let statuses = lookup.status.as_ref().and_then(Json::as_object).unwrap_or(&nothing).iter();
    // SAFETY: the caller's promise.
    let column = |name: &String| unsafe { protection::column(tupdesc, name) };
    let same_text = |(name, hash): (&String, &Json)| {
        column(name).is_none_or(|c| hash.as_u64() == Some(hash_of(row, c)))
    };
    let same_status = |(name, text): (&String, &Json)| {
        column(name).is_none_or(|c| row.text(c).as_deref() == text.as_str())
    };
    texts.into_iter().all(same_text) && statuses.into_iter().all(same_status)
}

fn as_texts(parameters: &[String]) -> Vec<DatumWithOid<'_>> {
    let text = |parameter: &String| {
        // SAFETY: the datum is a text, in a memory context that outlives the statement.
        unsafe { DatumWithOid::new(spi::text_datum(parameter), pg_sys::TEXTOID) }
    };
    parameters.iter().map(text).collect()
}

fn condition(described: &Described, row_key: &Json) -> Option<(String, Vec<String>)> {
    let nowhere = Column {
        index: 0,
        type_oid: pg_sys::InvalidOid,
        modifier: -1,
        reader: crate::row::Reader::Output,
    };
    let columns: Vec<_> = described
        .key
        .iter()
        .map(|(name, type_name, operator)| protection::KeyColumn {
            name: name.clone(),
            type_name: type_name.clone(),
            operator: operator.clone(),
            column: nowhere,
        })
        .collect();
    key::condition(&columns, row_key)
}

/// Column and value: those of the verdict, or the row's own ones when it was held and is ham.
fn writes(
    protection: &Protection,
    mode: Mode,
    lookup: &Claimed,
    verdict: Verdict,
) -> Vec<(String, String, StatusValue)> {
    let name_of = |column: Column| {
        protection
            .status
            .columns
            .iter()
            .find(|(_, c)| c.index == column.index)
            .map(|(n, _)| n.clone())
    };
    let typed = |column: Column| protection::type_name(column.type_oid);
    if mode != Mode::Enforce {
        return Vec::new();
    }
    let assignments = match verdict {
        Verdict::Spam | Verdict::Reject => protection.status.spam.as_ref(),
        Verdict::Moderate | Verdict::Challenge => protection.status.moderate.as_ref(),
        Verdict::Ham => {
            let former = lookup.former.as_ref().and_then(Json::as_object);
            return former.map_or_else(Vec::new, |former| {
                protection
                    .status
                    .columns
                    .iter()
                    .filter_map(|(name, column)| {
                        let value = match former.get(name)? {
                            Json::String(text) => StatusValue::Text(text.clone()),
                            _ => StatusValue::Null,
                        };
                        Some((name.clone(), typed(*column), value))
                    })
                    .collect()
            });
        }
    };
    assignments.map_or_else(Vec::new, |all| {
        all.iter()
            .filter_map(|(column, value)| Some((name_of(*column)?, typed(*column), value.clone())))
            .collect()
    })
}

fn update(
    table: &str,
    condition: &str,
    mut parameters: Vec<String>,
    writes: &[(String, String, StatusValue)],
) {
    let mut sets = Vec::with_capacity(writes.len());
    for (name, type_name, value) in writes {
        let value = match value {
            StatusValue::Null => "NULL".to_owned(),
            StatusValue::Now => "pg_catalog.now()".to_owned(),
            StatusValue::Text(text) => {
                parameters.push(text.clone());
                format!("${}::{type_name}", parameters.len())
            }
        };
        sets.push(format!("{} = {value}", quoted(name)));
    }
    let args = as_texts(&parameters);
    // Deferred triggers could not run: at the commit nobody has the owner's rights any more.
    Spi::connect_mut(|client| {
        if let Err(error) = client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[]) {
            pgrx::error!("constraints could not be made immediate: {error}");
        }
    });
    let statement =
        to_server(&format!("UPDATE {table} t SET {} WHERE {condition}", sets.join(", ")));
    Spi::connect_mut(|client| {
        if let Err(error) = client.update(statement.as_c_str(), None, &args) {
            pgrx::error!("the status could not be written: {error}");
        }
        // SAFETY: the count of the statement that has just run.
        if unsafe { pg_sys::SPI_processed } == 0 {
            pgrx::error!("a trigger of the table kept the row from being written");
        }
    });
}

/// The verdict that the row had so far, as who is told of verdicts heard it. More than moderated it was
/// not, or nobody would have been asked.
fn before(policy: &Policy, lookup: &Claimed) -> Verdict {
    if policy.settings.notify_channel.is_none() && policy.settings.mail_to.is_none() {
        return Verdict::Ham;
    }
    let moderated = lookup.held
        || lookup.submission_id.is_some_and(|id| rights::as_extension(|| checklog::moderated(id)));
    if moderated { Verdict::Moderate } else { Verdict::Ham }
}

/// Notifies of a verdict that the answer has changed.
fn tell(policy: &Policy, described: &Described, lookup: &Claimed, judgement: &Judgement) {
    let relation = format!("{}.{}", quoted(&described.schema), quoted(&described.name));
    let notice = Notice::of(policy, &relation, Some(&lookup.row_key), judgement.verdict);
    if let Some(notice) = notice {
        notice.send();
    }
}

fn log(
    policy: &Policy,
    described: &Described,
    lookup: &Claimed,
    judgement: &Judgement,
    before: Verdict,
) {
    let Ok(submission) = Submission::from_json(&lookup.submission) else { return };
    let facts = Facts::new(&submission, settings::max_checked_chars(), wall_clock());
    let relation = format!("{}.{}", quoted(&described.schema), quoted(&described.name));
    let about = About {
        protection: lookup.protection,
        relation: &relation,
        row_key: Some(&lookup.row_key),
        former: lookup.former.as_ref(),
        whole_row: None,
    };
    let id = lookup.submission_id.unwrap_or_else(checklog::next_submission_id);
    let entries = checklog::entries(policy, &about, &facts, judgement, id);
    // One that was only held is news; one that local checks moderated was mailed about.
    if lookup.held || before != Verdict::Moderate {
        let mails: Vec<Json> =
            mail::entry(policy, judgement.verdict, &entries).into_iter().collect();
        if !mails.is_empty() {
            mail::queue(mails);
        }
    }
    checklog::log(entries);
}
