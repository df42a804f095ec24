//! Lookups that are out: locked while they are settled, done, put back into the queue, or asked anew. What an
//! answer means is worker/settle.rs's; which lookups are claimed, and in what order, claim.rs's.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Claimed;
use crate::rights;
use crate::spi;

const FINISH: &str =
    "DELETE FROM spamcheck.lookup l
          WHERE l.id = ANY (ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e))";
const LOCK: &str =
    "WITH given AS (SELECT e::bigint AS id FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e),
         locked AS (SELECT l.id FROM spamcheck.lookup l
                     WHERE l.id = ANY (ARRAY(SELECT g.id FROM given g)) FOR UPDATE SKIP LOCKED)
         SELECT convert_to(jsonb_build_object(
                    'there', (SELECT coalesce(jsonb_agg(l.id), '[]') FROM spamcheck.lookup l
                               WHERE l.id = ANY (ARRAY(SELECT g.id FROM given g))),
                    'locked', (SELECT coalesce(jsonb_agg(k.id), '[]') FROM locked k))::text, 'UTF8')";
const POSTPONE: &str =
    "WITH given AS (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(id bigint, state text, error text, reason text, uncounted integer, seconds double precision, answer jsonb))
         UPDATE spamcheck.lookup l
            SET state = r.state, last_error = coalesce(r.error, l.last_error), attempts = greatest(l.attempts, 1) - r.uncounted,
                reason = coalesce(r.reason, l.reason),
                next_at = clock_timestamp() + r.seconds * interval '1 second',
                _answer = coalesce(nullif(r.answer, 'null'), l._answer)
           FROM given r
          WHERE l.id = r.id AND l.id = ANY (ARRAY(SELECT g.id FROM given g))";

/// Removes lookups that are done.
pub fn finish(ids: &[i64]) {
    if !ids.is_empty() {
        rights::as_extension(|| spi::write_json(FINISH, &json!(ids).to_string()));
    }
}

/// What becomes of a lookup that is not done.
pub struct Postponed {
    /// Which.
    pub id: i64,
    /// `queued`, `failed` or `expired`.
    pub state: &'static str,
    /// Why, for its last_error; None: that stays as it is.
    pub error: Option<String>,
    /// Whether the attempt counts: it does not when the fault lies with the key or the network.
    pub counted: bool,
    /// Not before so many seconds from now.
    pub seconds: f64,
    /// The answer, when there is one that could not be applied.
    pub answer: Option<Json>,
    /// Why it is asked again, when that is not what it was.
    pub reason: Option<&'static str>,
}

impl Postponed {
    /// The same, but for a lookup that has waited for longer than its policy gives it: that one expires.
    pub fn or_expired(self, lookup: &Claimed) -> Postponed {
        if self.state == "queued" && lookup.is_too_old() {
            return Postponed { state: "expired", seconds: 0.0, ..self };
        }
        self
    }

    /// A lookup that no further try would make better.
    pub fn failed(id: i64, error: String) -> Postponed {
        Postponed {
            id,
            state: "failed",
            error: Some(error),
            counted: true,
            seconds: 0.0,
            answer: None,
            reason: None,
        }
    }
}

/// Which of these lookups are there, and which of them are free: locked now, for this transaction.
#[derive(Deserialize)]
pub struct Held {
    /// Not yet deleted, as far as is committed.
    pub there: HashSet<i64>,
    /// Of these, the ones that nobody else is changing or deleting.
    pub locked: HashSet<i64>,
}

impl Held {
    /// Those to be seen to now, and those to be seen to later; what is gone is dropped.
    pub fn split<T>(&self, all: Vec<T>, id: impl Fn(&T) -> i64) -> (Vec<T>, Vec<T>) {
        let there = all.into_iter().filter(|one| self.there.contains(&id(one)));
        there.partition(|one| self.locked.contains(&id(one)))
    }
}

/// Locks lookups that are out, before anything is done about their rows: a migration that drops tables
/// deletes their lookups, and who waits for it while holding another table's row would deadlock.
pub fn lock(ids: &[i64]) -> Held {
    let text = rights::as_extension(|| spi::write_json(LOCK, &json!(ids).to_string()));
    let nothing = || Held { there: HashSet::new(), locked: HashSet::new() };
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(nothing)
}

/// Puts lookups back.
pub fn postpone(all: &[Postponed]) {
    if all.is_empty() {
        return;
    }
    let rows: Vec<Json> = all
        .iter()
        .map(|p| {
            json!({ "id": p.id, "state": p.state, "error": p.error, "reason": p.reason, "uncounted": i32::from(!p.counted),
                    "seconds": p.seconds, "answer": p.answer })
        })
        .collect();
    rights::as_extension(|| spi::write_json(POSTPONE, &Json::Array(rows).to_string()));
}

/// The row that a lookup is about was edited, and nobody has asked about that: it does now, as an edit, which is a
/// question as new as any. What holds the row still holds it.
pub fn ask_anew(id: i64, submission: &Json, fingerprint: &Json, held: bool) {
    let anew =
        json!({ "id": id, "submission": submission, "fingerprint": fingerprint, "held": held });
    rights::as_extension(|| {
        spi::write_json(
            "UPDATE spamcheck.lookup l
                SET state = 'queued', reason = 'edit', attempts = 0, created_at = clock_timestamp(), next_at = clock_timestamp(), last_error = NULL,
                    _answer = NULL, submission = r.submission, _fingerprint = r.fingerprint, _held = r.held
               FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                      AS r(id bigint, submission jsonb, fingerprint jsonb, held boolean)
              WHERE l.id = r.id",
            &anew.to_string(),
        )
    });
}
