//! How lookups come into the queue, after their row was stored, and what is moot from then on: what was asked about
//! the row before an edit, and about a former row of its key. Owns what a lookup knows of its row.

use std::cell::Cell;

use pgrx::pg_sys;
use serde_json::{Map, Value as Json, json};
use spamcheck_engine::LookupKind;
use spamcheck_engine::policy::Mode;
use spamcheck_engine::verdict::Verdict;

use crate::calls;
use crate::nesting;
use crate::protection::Protection;
use crate::rights;
use crate::row::Row;
use crate::spi;
use crate::stash::Pending;
use crate::submission::fingerprints;

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
            // Where keys may be there twice for a while, what has the key need not be gone.
            "keeps": protection.deferrable_key,
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

/// Deletes what was asked about the rows `given`, as far as the condition goes. Each is looked for by itself
/// (OFFSET 0): a join that was planned for an empty queue reads all of a long one.
macro_rules! forget {
    ($condition:literal) => {
        concat!(
            "DELETE FROM spamcheck.lookup l WHERE l.id = ANY (ARRAY(
                 SELECT o.id FROM given r
                  CROSS JOIN LATERAL (SELECT f.id FROM spamcheck.lookup f
                                       WHERE f._protection = r._protection AND f.row_key = r.row_key
                                         AND f.kind IN ('akismet', 'trackback_ip', 'trackback_link') OFFSET 0) o
                  WHERE ",
            $condition,
            "))"
        )
    };
}

/// What was asked about former rows that had the keys of rows which were just inserted is moot.
macro_rules! forget_former {
    () => {
        forget!("r.reason IS NULL AND r.keeps IS NOT TRUE")
    };
}

const FORGET_FORMER: &str = concat!(
    "WITH given AS MATERIALIZED (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(row_key jsonb, _protection integer, reason text, keeps boolean)) ",
    forget_former!()
);
const ENQUEUE: &str = concat!(
    "WITH given AS MATERIALIZED (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(kind text, relation text, row_key jsonb, policy text, reason text, submission jsonb,
                      submission_id bigint, _protection integer, _fingerprint jsonb, _status jsonb,
                      _former jsonb, _held boolean, _total real, keeps boolean)),
         former AS (",
    forget_former!(),
    ")
         INSERT INTO spamcheck.lookup (kind, relation, row_key, policy, reason, submission, submission_id,
                                       _protection, _fingerprint, _status, _former, _held, _total)
         SELECT r.kind, r.relation, r.row_key, r.policy, r.reason, r.submission, r.submission_id,
                r._protection, r._fingerprint, nullif(r._status, 'null'), nullif(r._former, 'null'), r._held, r._total
           FROM given r"
);
const SUPERSEDE: &str = concat!(
    "WITH given AS MATERIALIZED (
             SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(row_key jsonb, _protection integer)),
         former AS (",
    forget!("true"),
    "
             RETURNING l.id, l.kind, l._protection, l.row_key, l._status, l._former, l._held,
                       CASE WHEN l._told THEN l.submission_id END AS told)
         SELECT convert_to(coalesce(jsonb_agg(to_jsonb(f) ORDER BY f.id), '[]')::text, 'UTF8') FROM former f"
);

thread_local! {
    /// The statement that asked last whether there are lookups of a protection's rows, and the answer.
    static ASKED: Cell<Option<(i32, u64, i64, bool)>> = const { Cell::new(None) };
}

/// Whether there may be lookups of former rows: asked once in a statement, since a bulk load of rows that are exempt
/// is to cost no more than a queue that is empty.
pub fn may_be_out(protection: &Protection) -> bool {
    if !protection.has_lookups || protection.key.is_empty() || protection.deferrable_key {
        return false;
    }
    // SAFETY: plain call.
    let statement = (nesting::statement(), unsafe { pg_sys::GetCurrentStatementStartTimestamp() });
    match ASKED.get() {
        Some((id, run, at, any)) if id == protection.id && (run, at) == statement => any,
        _ => {
            let any = rights::as_extension(|| super::any_of(protection.id));
            ASKED.set(Some((protection.id, statement.0, statement.1, any)));
            any
        }
    }
}

/// Rows were inserted about which nothing is asked: what is still out about former rows of their keys says nothing of
/// them.
pub fn forget_former(rows: &[(i32, Json)]) {
    let rows =
        rows.iter().map(|(protection, key)| json!({ "row_key": key, "_protection": protection }));
    let rows = rows.collect::<Json>().to_string();
    rights::as_extension_by_index(|| spi::write_json(FORGET_FORMER, &rows));
}

/// Of rows that were edited, and about whose edit is asked, before their own insert had come so far: that question
/// counts, and gives the row back what it had before the insert held it.
const TAKE_OVER: &str =
    "UPDATE spamcheck.lookup l SET _former = nullif(r._former, 'null')
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
             AS r(kind text, row_key jsonb, _protection integer, _status jsonb, _former jsonb, _held boolean)
          WHERE r._held AND l._held AND l._protection = r._protection AND l.row_key = r.row_key AND l.kind = r.kind
            AND l._former = r._status";

/// The lookups of inserts whose rows were edited meanwhile are not made: the edit's are.
pub fn leave_to_edits(late: Vec<Json>) {
    if late.iter().any(|entry| entry["_held"] == true) {
        let late = Json::Array(late).to_string();
        rights::as_extension_by_index(|| spi::write_json(TAKE_OVER, &late));
    }
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
    let holding = entries.iter().filter(|e| e["_held"] == true);
    let holding: Vec<[Json; 2]> =
        holding.map(|e| [e["_protection"].clone(), e["row_key"].clone()]).collect();
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
        // What held the row holds it on, unless something else does by itself.
        let holds = |m: &Json| {
            m["_held"] == true
                && m["kind"] == entry["kind"]
                && m["_protection"] == entry["_protection"]
                && m["row_key"] == entry["row_key"]
        };
        let row = [&entry["_protection"], &entry["row_key"]].map(Json::clone);
        if entry["may_hold"] == true && (moot.iter().any(holds) || !holding.contains(&row)) {
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
