//! A moderator's word for Akismet: what it called otherwise was spam (or ham). Owns which decisions are
//! queued, with which values, and that one word counts, the last; sending them is the worker's.
//! Source: Akismet's submit-spam and submit-ham, which want the values of the original check.

use serde_json::{Value as Json, json};
use spamcheck_engine::Refusal;
use spamcheck_engine::akismet::reportable;

use crate::checked::{self, Original};
use crate::rights;
use crate::rulebook;
use crate::spi;

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queued {
    /// Akismet will be told.
    Yes,
    /// It waits already.
    Already,
    /// The policy does not ask Akismet, so it is not told either.
    NotAsked,
    /// Akismet could not make anything of it; why.
    Refused(Refusal),
}

impl Queued {
    /// For a moderator's result: `queued`, `already queued`, `not asked`, or why it is refused.
    pub fn to_json(&self) -> Json {
        match self {
            Queued::Yes => json!("queued"),
            Queued::Already => json!("already queued"),
            Queued::NotAsked => json!("not asked"),
            Queued::Refused(refusal) => json!(format!("refused: {}", refusal.message)),
        }
    }
}

/// What somebody says of a submission.
pub struct Word<'a> {
    /// The protection of its table.
    pub protection: i32,
    /// The table.
    pub relation: &'a str,
    /// The row; None: it was rejected.
    pub row_key: Option<&'a Json>,
    /// Whether it is spam.
    pub is_spam: bool,
    /// The submission's id in the log.
    pub submission_id: Option<i64>,
    /// Its fields, as [`spamcheck_engine::Facts::to_json`] gives them.
    pub submission: Json,
    /// The moderator's name: personal data, which option `anonymize` keeps back.
    pub reporter: Option<&'a str>,
}

/// The same word about the same row waits already, as far as it is not to be tried again anyway.
const SAME: &str =
    "WITH same AS (
             UPDATE spamcheck.lookup l
                SET state = CASE l.state WHEN 'running' THEN 'running' ELSE 'queued' END,
                    next_at = CASE l.state WHEN 'failed' THEN clock_timestamp() WHEN 'expired' THEN clock_timestamp() ELSE l.next_at END,
                    created_at = CASE l.state WHEN 'expired' THEN clock_timestamp() ELSE l.created_at END
               FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                 AS r(kind text, row_key jsonb, submission_id bigint, _protection integer)
              WHERE l._protection = r._protection AND l.kind = r.kind
                AND (l.row_key = nullif(r.row_key, 'null') OR l.row_key IS NULL AND l.submission_id = r.submission_id)
             RETURNING l.id)
         SELECT convert_to(s.id::text, 'UTF8') FROM same s LIMIT 1";

const QUEUE: &str =
    "WITH r AS (
             SELECT * FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
               AS r(kind text, relation text, row_key jsonb, policy text, reason text, submission jsonb,
                    submission_id bigint, _protection integer, _feedback jsonb)),
         taken_back AS (
             DELETE FROM spamcheck.lookup l USING r
              WHERE l._protection = r._protection AND l.kind <> r.kind AND l.kind IN ('submit_spam', 'submit_ham')
                AND (l.row_key = nullif(r.row_key, 'null') OR l.row_key IS NULL AND l.submission_id = r.submission_id))
         INSERT INTO spamcheck.lookup (kind, relation, row_key, policy, reason, submission, submission_id, _protection,
                                       _fingerprint, _feedback)
         SELECT r.kind, r.relation, nullif(r.row_key, 'null'), r.policy, r.reason, r.submission, r.submission_id,
                r._protection, '{}', r._feedback
           FROM r";

/// Queues the word that a row of this protection is spam (or ham), in the moderator's transaction: a
/// lookup of kind `submit_spam` or `submit_ham`. The same word again changes nothing; the opposite takes
/// the one that waits back. What Akismet is told are the values that it was asked about, where they are
/// known and, as `fits` says, what the word is about; or else the word's own.
pub fn queue(word: Word<'_>, fits: impl Fn(&Original) -> bool) -> Queued {
    let Word { protection, relation, row_key, is_spam, submission_id, submission, reporter } = word;
    let stored = rights::as_extension(|| rulebook::stored(protection));
    let Some(policy) = stored.and_then(|stored| rulebook::policy(&stored.policy)) else {
        return Queued::NotAsked;
    };
    let Some(akismet) = policy.akismet() else { return Queued::NotAsked };
    let originals = checked::originals(protection, row_key, submission_id);
    let original = originals.into_iter().find(fits);
    let reconstructed = original.is_none();
    let (submission, guid, said_spam) = match original {
        Some(original) => (original.submission, original.guid, Some(original.result == "spam")),
        None => (submission, None, None),
    };
    if let Err(refusal) = reportable(&submission, &akismet.options) {
        return Queued::Refused(refusal);
    }
    let reporter = reporter.filter(|_| !akismet.options.anonymize);
    let entry = json!({
        "kind": if is_spam { "submit_spam" } else { "submit_ham" },
        "relation": relation,
        "row_key": row_key,
        "policy": policy.settings.name,
        "reason": reconstructed.then_some("reconstructed"),
        "submission": submission,
        "submission_id": submission_id,
        "_protection": protection,
        "_feedback": { "guid": guid, "said_spam": said_spam, "reporter": reporter },
    })
    .to_string();
    rights::as_extension(|| {
        let queued = match spi::write_json(SAME, &entry) {
            Some(_) => Queued::Already,
            None => Queued::Yes,
        };
        if queued == Queued::Yes {
            spi::write_json(QUEUE, &entry);
        }
        queued
    })
}
