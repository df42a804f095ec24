//! The queue of lookups as a state machine: queued -> running -> gone, or back to queued with a later
//! next_at, or failed, or expired. Owns, with the files of its folder, every statement that touches
//! spamcheck.lookup; what an answer means for a row is settled in worker/settle.rs.

mod claim;
mod expired;
mod of_table;
mod out;
mod together;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use spamcheck_engine::LookupKind;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::verdict::Verdict;

use crate::calls;
use crate::checked;
use crate::intervals;
use crate::protection::Protection;
use crate::references;
use crate::rights;
use crate::row::Row;
use crate::spi::{self, Arg};
use crate::stash::Pending;
use crate::submission::fingerprints;

pub use claim::{Lane, NOT_FREE, Progress, claim, claim_probe, next_due};
pub use expired::{Unheld, expire, held_in_vain, held_untold, let_go, next_to_expire, told};
pub use of_table::{drop_all, drop_column, put_under, rename_column};
pub use out::{Postponed, ask_anew, finish, lock, postpone};
pub use together::{
    News, current, drop_others, hold, lock_holding, lock_others, pass, release, tell_others,
};

/// Why nothing can be looked up about a row that nobody could find again.
pub const NO_KEY: &str =
    "it cannot be looked up: the table has no primary key to find the row by later";

/// Seconds for which a lookup is fresh: its author may still look at the page.
const FRESH: f64 = 1.0;

/// A lookup that is due, as the worker claims it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Claimed {
    /// Its id.
    pub id: i64,
    /// What it asks, or tells.
    pub kind: String,
    /// Its state, where it was read without being claimed.
    #[serde(default)]
    pub state: String,
    /// The row's key.
    pub row_key: Json,
    /// Requests made, this one included.
    pub attempts: i32,
    /// The policy's name.
    pub policy: String,
    /// `edit`, `retry`, or none.
    pub reason: Option<String>,
    /// The fields of the submission.
    pub submission: Json,
    /// The submission's id in the log, if it has one.
    pub submission_id: Option<i64>,
    /// When it was due, in microseconds since the Unix epoch; None: it has no such time.
    #[serde(default, rename = "_at")]
    pub at: Option<i64>,
    /// Seconds since it was queued.
    pub age: f64,
    /// When it was queued.
    #[serde(default)]
    pub created_at: Json,
    /// After how long it is given up, as its policy says it.
    #[serde(default)]
    pub patience: Option<String>,
    /// The same in seconds.
    #[serde(skip)]
    pub give_up_after: Option<f64>,
    /// The protection.
    #[serde(rename = "_protection")]
    pub protection: i32,
    /// Why the request before gave no verdict, if there was one.
    pub last_error: Option<String>,
    /// Hashes of the watched columns when it was queued, by name. This and the next two are read when the
    /// answer is settled: hundreds of lookups are out at a time.
    #[serde(skip)]
    pub fingerprint: Json,
    /// The status columns as they were stored.
    #[serde(skip)]
    pub status: Option<Json>,
    /// The row's own status.
    #[serde(skip)]
    pub former: Option<Json>,
    /// Whether the row is moderated only until the answer comes.
    #[serde(rename = "_held")]
    pub held: bool,
    /// The sum of scores of the local checks.
    #[serde(rename = "_total")]
    pub total: f32,
    /// An answer that was got but could not be applied.
    #[serde(rename = "_answer")]
    pub answer: Option<Json>,
    /// What a decision adds to the submission; see feedback.rs.
    #[serde(rename = "_feedback")]
    pub feedback: Option<Json>,
}

/// Why nobody is asked: the check was switched off, or its policy, or a restore has not brought it yet.
pub fn is_off(check: &str, policy: &str) -> String {
    format!("check {check} of policy \"{policy}\" is off")
}

impl Claimed {
    /// Whether it had waited for no more than a moment when it was claimed.
    pub fn is_fresh(&self) -> bool {
        self.attempts <= 1 && self.age < FRESH
    }

    /// Reads a row of the queue. One that makes no sense is an error, with its id: it must not stand in
    /// the way of the others.
    fn read(text: &str) -> Result<Claimed, (i64, String)> {
        let nonsense = |why: String| {
            let row: Json = serde_json::from_str(text).unwrap_or_default();
            let why = format!("pg_spamcheck could not understand its own queue: {why}");
            (row["id"].as_i64().unwrap_or_default(), why)
        };
        let mut lookup: Claimed =
            serde_json::from_str(text).map_err(|e| nonsense(e.to_string()))?;
        if !lookup.submission.is_object() {
            return Err(nonsense("the submission is no object".to_owned()));
        }
        lookup.give_up_after = lookup.patience.as_deref().and_then(intervals::seconds);
        Ok(lookup)
    }

    /// Reads rows of the queue, in the transaction that has them locked; those that make no sense fail.
    fn read_all(texts: Vec<Option<String>>) -> Vec<Claimed> {
        let (mut claimed, mut nonsense) = (Vec::with_capacity(texts.len()), Vec::new());
        for text in texts.into_iter().flatten() {
            match Claimed::read(&text) {
                Ok(lookup) => claimed.push(lookup),
                Err((id, why)) => nonsense.push(Postponed::failed(id, why)),
            }
        }
        postpone(&nonsense);
        claimed
    }

    /// Whether it has waited for longer than its policy gives it.
    pub fn is_too_old(&self) -> bool {
        self.give_up_after.is_some_and(|patience| self.age > patience)
    }
}

/// The lookups for a stored row, one for each kind that its judgement asks for.
pub fn entries(
    protection: &Protection,
    row: Row<'_>,
    row_key: Option<&Json>,
    submission: &Json,
    submission_id: Option<i64>,
    pending: &Pending,
    edited: bool,
) -> Vec<Json> {
    let (fingerprint, status) = (fingerprints(protection, row), status(protection, row));
    let enforced = protection.policy.settings.mode == Mode::Enforce;
    let entry = |kind: LookupKind| {
        json!({
            "kind": kind.name(),
            "relation": protection.relation,
            "row_key": row_key,
            "policy": protection.policy.settings.name,
            "reason": edited.then_some("edit"),
            "submission": submission,
            "submission_id": submission_id,
            "_protection": protection.id,
            "_fingerprint": fingerprint,
            "_status": status,
            "_former": pending.former,
            "_held": pending.held.has(kind),
            "_total": pending.judgement.total,
            // What still holds an edited row goes on holding it, unless the row itself is moderated by now.
            "may_hold": !enforced || pending.judgement.verdict == Verdict::Ham,
        })
    };
    pending.judgement.lookups.kinds().map(entry).collect()
}

/// The status columns of a row, as an object of column to text or null; None: it has none.
pub fn status(protection: &Protection, row: Row<'_>) -> Option<Json> {
    let columns = &protection.status.columns;
    if columns.is_empty() {
        return None;
    }
    let values = columns
        .iter()
        .map(|(name, column)| (name.clone(), row.text(*column).map_or(Json::Null, Into::into)));
    Some(Json::Object(values.collect()))
}

/// What was asked about former rows that had the keys of the rows `given`, which were just inserted, is moot. Each is
/// looked for by itself (OFFSET 0): a join that was planned for an empty queue reads all of a long one.
macro_rules! forget_former {
    () => {
        "DELETE FROM spamcheck.lookup l WHERE l.id = ANY (ARRAY(
             SELECT o.id FROM given r
              CROSS JOIN LATERAL (SELECT f.id FROM spamcheck.lookup f
                                   WHERE f._protection = r._protection AND f.row_key = r.row_key
                                     AND f.kind IN ('akismet', 'trackback_ip', 'trackback_link') OFFSET 0) o
              WHERE r.reason IS NULL))"
    };
}

const FORGET_FORMER: &str = concat!(
    "WITH given AS MATERIALIZED (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(row_key jsonb, _protection integer, reason text)) ",
    forget_former!()
);
const ENQUEUE: &str = concat!(
    "WITH given AS MATERIALIZED (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(kind text, relation text, row_key jsonb, policy text, reason text, submission jsonb,
                      submission_id bigint, _protection integer, _fingerprint jsonb, _status jsonb,
                      _former jsonb, _held boolean, _total real)),
         former AS (",
    forget_former!(),
    ")
         INSERT INTO spamcheck.lookup (kind, relation, row_key, policy, reason, submission, submission_id,
                                       _protection, _fingerprint, _status, _former, _held, _total)
         SELECT r.kind, r.relation, r.row_key, r.policy, r.reason, r.submission, r.submission_id,
                r._protection, r._fingerprint, nullif(r._status, 'null'), nullif(r._former, 'null'), r._held, r._total
           FROM given r"
);
const SUPERSEDE: &str =
    "WITH edited AS (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(row_key jsonb, _protection integer, _status jsonb)),
         former AS (
             DELETE FROM spamcheck.lookup l USING edited e
              WHERE l._protection = e._protection AND l.row_key = e.row_key
                AND l.kind IN ('akismet', 'trackback_ip', 'trackback_link')
             RETURNING l.id, l._protection, l.row_key, l._status, l._former, l._held,
                       CASE WHEN l._told THEN l.submission_id END AS told)
         SELECT convert_to(coalesce(jsonb_agg(to_jsonb(f) ORDER BY f.id), '[]')::text, 'UTF8') FROM former f";

/// Rows were inserted about which nothing is asked: what is still out about former rows of their keys says nothing of
/// them.
pub fn forget_former(rows: &[(i32, Json)]) {
    let rows =
        rows.iter().map(|(protection, key)| json!({ "row_key": key, "_protection": protection }));
    let rows = rows.collect::<Json>().to_string();
    rights::as_extension_by_index(|| spi::write_json(FORGET_FORMER, &rows));
}

/// Queues lookups, as [`entries`] gives them.
pub fn enqueue(mut entries: Vec<Json>) {
    if entries.iter().any(|e| e["kind"] != LookupKind::Akismet.name()) {
        calls::trackbacks_queued();
    }
    rights::as_extension_by_index(|| {
        if entries.iter().any(|e| e["reason"] == "edit") {
            supersede(&mut entries);
        }
        spi::write_json(ENQUEUE, &Json::Array(entries).to_string());
    });
}

/// An edited row is asked about anew, and the question that was out before is moot. If the row was only
/// held for that one, its own status is the one it had before the hold, and it is held for the new one, also where the
/// policy has ceased to hold rows.
fn supersede(entries: &mut [Json]) {
    let edited: Vec<&Json> = entries.iter().filter(|e| e["reason"] == "edit").collect();
    let text = spi::write_json(SUPERSEDE, &json!(edited).to_string());
    let moot: Vec<Json> = text.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
    for entry in entries.iter_mut().filter(|e| e["reason"] == "edit") {
        let held = moot.iter().rev().find(|m| {
            m["_held"] == true
                && m["_protection"] == entry["_protection"]
                && m["row_key"] == entry["row_key"]
                && agree(&m["_status"], &entry["_former"])
        });
        let Some(held) = held else { continue };
        let own = entry["_former"].as_object().into_iter().flatten();
        let mut former: Map<String, Json> = own.map(|(n, v)| (n.clone(), v.clone())).collect();
        let before = held["_former"].as_object().into_iter().flatten();
        former.extend(before.map(|(n, v)| (n.clone(), v.clone())));
        entry["_former"] =
            if held["_former"].is_null() { Json::Null } else { Json::Object(former) };
        if entry["may_hold"] == true {
            entry["_held"] = true.into();
        }
        // Moderators were told of the row, and it waits for them no longer if the answer releases it.
        if entry["submission_id"].is_null() {
            entry["submission_id"] = held["told"].clone();
        }
    }
}

/// Whether two statuses that were noted have the same in the columns that both name: the mapping may have changed
/// between them.
fn agree(one: &Json, other: &Json) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return one == other;
    };
    one.iter().all(|(name, value)| other.get(name).is_none_or(|other| other == value))
}

/// What one statement has given other keys so far: a statement that shifts keys passes through states in
/// which a row has the key that another one is about to leave.
#[derive(Default)]
pub struct Moved {
    lookups: HashMap<String, Vec<i64>>,
    log: HashMap<String, Vec<i64>>,
    /// What Akismet was asked.
    pub checked: checked::Moved,
}

/// A row's own status, if it is moderated until a lookup is answered.
pub fn status_before_hold(protection: i32, row_key: &Json) -> Option<Json> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(l._former::text, 'UTF8') FROM spamcheck.lookup l
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb AND l._held AND l._former IS NOT NULL
              ORDER BY l.id LIMIT 1",
            &[Arg::Int(protection), Arg::Text(&row_key.to_string())],
        )
    })
}

/// A human decided about a row: nobody needs an answer about it any more; whether one was awaited. What Akismet is
/// still to be told stays.
pub fn decided(protection: i32, row_key: &Json, moved: &Moved) -> bool {
    let key = row_key.to_string();
    let others = ids(&moved.lookups, &key);
    let moot = rights::as_extension(|| {
        spi::write_returning(
            "DELETE FROM spamcheck.lookup l
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
                AND l.kind IN ('akismet', 'trackback_ip', 'trackback_link')
                AND NOT convert_from($3, 'UTF8')::jsonb @> to_jsonb(l.id)
             RETURNING NULL::bytea",
            &[Arg::Int(protection), Arg::Text(&key), Arg::Text(&others)],
        )
    });
    !moot.is_empty()
}

/// A row got another key: what waits for it, and what was logged about it, follows.
pub fn rename_row(protection: i32, from: &Json, to: &Json, moved: &mut Moved) {
    let (from, to) = (from.to_string(), to.to_string());
    let rename = |statement, moved: &mut HashMap<String, Vec<i64>>| {
        let others = ids(moved, &from);
        let args = [Arg::Int(protection), Arg::Text(&from), Arg::Text(&to), Arg::Text(&others)];
        let renamed = spi::write_returning(statement, &args);
        let renamed: Vec<i64> =
            renamed.into_iter().flatten().filter_map(|id| id.parse().ok()).collect();
        if !renamed.is_empty() {
            moved.entry(to.clone()).or_default().extend(renamed);
        }
    };
    rights::as_extension(|| {
        rename(
            "UPDATE spamcheck.lookup l SET row_key = convert_from($3, 'UTF8')::jsonb
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
                AND NOT convert_from($4, 'UTF8')::jsonb @> to_jsonb(l.id)
             RETURNING convert_to(l.id::text, 'UTF8')",
            &mut moved.lookups,
        );
        rename(
            "UPDATE spamcheck.spam_checklog l SET row_key = convert_from($3, 'UTF8')::jsonb
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
                AND NOT convert_from($4, 'UTF8')::jsonb @> to_jsonb(l.id)
             RETURNING convert_to(l.id::text, 'UTF8')",
            &mut moved.log,
        );
    });
}

/// Those that have this key only since the statement at hand, as a JSON array.
fn ids(moved: &HashMap<String, Vec<i64>>, key: &str) -> String {
    json!(moved.get(key).map_or(&[][..], Vec::as_slice)).to_string()
}

/// What a worker that was stopped left running is due again at once.
pub fn reclaim() {
    rights::as_extension(|| {
        spi::write("UPDATE spamcheck.lookup l SET state = 'queued' WHERE l.state = 'running'", &[]);
    });
}

/// What a lane had in its hands when it failed is due again at once.
pub fn reclaim_lane(lane: Lane) {
    let statement = match lane {
        Lane::Akismet => {
            "UPDATE spamcheck.lookup l SET state = 'queued' WHERE l.state = 'running' AND l.kind <> ALL (ARRAY['trackback_ip', 'trackback_link'])"
        }
        Lane::Trackbacks => {
            "UPDATE spamcheck.lookup l SET state = 'queued' WHERE l.state = 'running' AND l.kind = ANY (ARRAY['trackback_ip', 'trackback_link'])"
        }
    };
    rights::as_extension(|| spi::write(statement, &[]));
}

/// Lookups that were out when a dump was made came back with it, and nobody has them here.
pub fn nobody_has_them() {
    references::without_checks(reclaim);
}

/// Whether transactions are prepared in this database, whose lookups may show up any time.
pub fn prepared_transactions() -> bool {
    rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(count(*)::text, 'UTF8') FROM pg_prepared_xacts
              WHERE database = current_database() HAVING count(*) > 0",
            &[],
        )
        .is_some()
    })
}
