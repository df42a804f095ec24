//! What Akismet was asked and what it said, kept for 15 days in `spamcheck._checked`: a moderator's
//! decision is reported with these values, and a verdict that comes later finds its row by them. Owns
//! every statement that touches the table; what is sent of it is feedback.rs's and the worker's.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::verdict::Verdict;

use crate::key;
use crate::lookups;
use crate::protection::Protection;
use crate::rights;
use crate::row::Row;
use crate::spi::{self, Arg};
use crate::stash::Pending;
use crate::submission::fingerprints;
use crate::wait::Asked;

/// An answer that is to be kept, of a lookup.
pub struct Said {
    /// The lookup.
    pub lookup: i64,
    /// Whether Akismet calls it spam.
    pub spam: bool,
    /// Its name for the check.
    pub guid: Option<String>,
}

/// The lookups are collected first: a join that has to come sorted reads the whole queue in the order of an index,
/// where sorts are switched off. Each by itself (OFFSET 0): a join that was planned for an empty queue reads all of
/// a long one.
const KEEP: &str =
    "WITH said AS (SELECT r.* FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS r(lookup bigint, spam boolean, guid text)),
         asked AS MATERIALIZED (
             SELECT l.id, l._protection, l.row_key, r.spam, r.guid, l.submission, l._fingerprint, l._held, l._status, l._former, l._total
               FROM said r CROSS JOIN LATERAL (SELECT o.* FROM spamcheck.lookup o WHERE o.id = r.lookup OFFSET 0) l
              WHERE l.kind = 'akismet' AND l.row_key IS NOT NULL
                AND (SELECT k.protection FROM spamcheck._checked k
                      WHERE k.protection = l._protection AND k.row_key = l.row_key AND k.checked_at > l.created_at
                        AND k.fingerprint <> l._fingerprint LIMIT 1) IS NULL
                AND (SELECT y.id FROM spamcheck.lookup y
                      WHERE y._protection = l._protection AND y.row_key = l.row_key AND y.kind = 'akismet' AND y.id - l.id > 0 LIMIT 1) IS NULL)
         INSERT INTO spamcheck._checked AS c (protection, row_key, result, guid, submission, fingerprint, status, former, total)
         SELECT DISTINCT ON (l._protection, l.row_key)
                l._protection, l.row_key, CASE WHEN l.spam THEN 'spam' ELSE 'ham' END, l.guid, l.submission, l._fingerprint,
                CASE WHEN l._held THEN l._former ELSE l._status END, l._former, l._total
           FROM asked l
          ORDER BY l._protection, l.row_key, l.id DESC
         ON CONFLICT (protection, row_key) WHERE row_key IS NOT NULL DO UPDATE
            SET result = excluded.result, guid = excluded.guid, checked_at = excluded.checked_at, decided = false,
                submission = excluded.submission, fingerprint = excluded.fingerprint, status = excluded.status,
                former = excluded.former, total = excluded.total";

/// Keeps answers, before their lookups go: those that were taken back meanwhile are passed over, and so are late ones
/// about a row whose key another one has, which Akismet was asked about since.
pub fn keep(said: &[Said]) {
    if said.is_empty() {
        return;
    }
    let rows: Vec<Json> = said
        .iter()
        .map(|s| json!({ "lookup": s.lookup, "spam": s.spam, "guid": s.guid }))
        .collect();
    rights::as_extension_by_index(|| spi::write_json(KEEP, &Json::Array(rows).to_string()));
}

/// What is known of a check.
#[derive(Clone, Debug, Deserialize)]
pub struct Original {
    /// `spam` or `ham`.
    pub result: String,
    /// Akismet's name for the check.
    pub guid: Option<String>,
    /// What it was asked about.
    pub submission: Json,
    /// Hashes of the row's columns then; none of a rejected one.
    fingerprint: Json,
    /// The submission, of a rejected one.
    submission_id: Option<i64>,
}

impl Original {
    /// Whether it was about the row that has this content by now. An edited row is still the same, as long as
    /// it says when it was made; else the columns that are there have to be as they were then, since another
    /// row may have got the key, and nobody is to be called a spammer for what somebody else has written.
    pub fn is_of_row(&self, fingerprint: &Json, submission: &Json) -> bool {
        let (then, now) = (&self.submission["created_at"], &submission["created_at"]);
        // Of a day alone there may be two.
        let is_day = then.as_str().is_some_and(|time| time.contains("T00:00:00"));
        if then.is_null() || now.is_null() {
            // Nothing is known of that.
        } else if then != now {
            return false;
        } else if !is_day {
            return true;
        }
        let then = self.fingerprint.as_object();
        let then = then.into_iter().flatten();
        let mut both =
            then.filter_map(|(name, hash)| Some((hash, fingerprint.get(name)?))).peekable();
        if both.peek().is_some() {
            return both.all(|(then, now)| then == now);
        }
        let texts = ["author", "email", "url", "title", "body", "fields"];
        texts.iter().all(|field| self.submission[field] == submission[field])
    }

    /// Whether it was about this submission, which was rejected.
    pub fn is_of(&self, submission_id: Option<i64>) -> bool {
        submission_id.is_some() && self.submission_id == submission_id
    }
}

/// Whether the last answer about the row with that key was about this content.
pub fn is_about(protection: i32, row_key: &Json, fingerprint: &Json) -> bool {
    let found = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck._checked c
              WHERE c.protection = $1 AND c.row_key = convert_from($2, 'UTF8')::jsonb
                AND c.fingerprint = convert_from($3, 'UTF8')::jsonb",
            &[
                Arg::Int(protection),
                Arg::Text(&row_key.to_string()),
                Arg::Text(&fingerprint.to_string()),
            ],
        )
    });
    found.is_some()
}

/// What is known of a row, and of submissions that were rejected before it was stored, the latest first.
/// Another row may have had the key: callers see whether they are about theirs.
pub fn originals(
    protection: i32,
    row_key: Option<&Json>,
    submission_id: Option<i64>,
) -> Vec<Original> {
    let row_key = row_key.unwrap_or(&Json::Null).to_string();
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.checked_at DESC), '[]')::text, 'UTF8')
               FROM (SELECT c.* FROM spamcheck._checked c
                      WHERE c.protection = $1 AND c.row_key = convert_from($2, 'UTF8')::jsonb
                     UNION ALL
                     SELECT c.* FROM spamcheck._checked c
                      WHERE c.protection = $1 AND c.row_key IS NULL
                        AND c.submission_id IN (
                                SELECT $3
                                 UNION SELECT l.submission_id FROM spamcheck.spam_checklog l
                                        WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb)) c",
            &[Arg::Int(protection), Arg::Text(&row_key), Arg::Big(submission_id.unwrap_or(-1))],
        )
    })
    .unwrap_or_default()
}

const KEEP_INSERTED: &str =
    "INSERT INTO spamcheck._checked AS c (protection, row_key, result, guid, submission, fingerprint, status, former, total)
         SELECT DISTINCT ON (r.protection, r.row_key)
                r.protection, r.row_key, r.result, r.guid, r.submission, r.fingerprint,
                nullif(r.status, 'null'), nullif(r.former, 'null'), r.total
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
             AS r(protection integer, row_key jsonb, result text, guid text, submission jsonb, fingerprint jsonb,
                  status jsonb, former jsonb, total real, n bigint)
          ORDER BY r.protection, r.row_key, r.n DESC
         ON CONFLICT (protection, row_key) WHERE row_key IS NOT NULL DO UPDATE
            SET result = excluded.result, guid = excluded.guid, checked_at = excluded.checked_at, decided = false,
                submission = excluded.submission, fingerprint = excluded.fingerprint, status = excluded.status,
                former = excluded.former, total = excluded.total";

/// Keeps what inserts that waited were told about their rows.
pub fn keep_inserted(mut rows: Vec<Json>) {
    // Of one row that was asked about twice the later answer counts.
    for (n, row) in rows.iter_mut().enumerate() {
        row["n"] = n.into();
    }
    rights::as_extension(|| spi::write_json(KEEP_INSERTED, &Json::Array(rows).to_string()));
}

/// What was said, as a log entry of a rejected submission carries it.
pub fn said(asked: &Asked) -> Json {
    json!({ "result": result(asked.spam), "guid": asked.guid })
}

fn result(spam: bool) -> &'static str {
    if spam { "spam" } else { "ham" }
}

/// What is kept about a row whose insert waited.
pub fn entry(
    protection: &Protection,
    row: Row<'_>,
    row_key: &Json,
    asked: &Asked,
    pending: &Pending,
) -> Json {
    let status = match asked.spam {
        true => without_akismet(protection, asked.local, pending.former.as_ref()),
        false => lookups::status(protection, row),
    };
    json!({
        "protection": protection.id,
        "row_key": row_key,
        "result": result(asked.spam),
        "guid": asked.guid,
        "submission": asked.submission,
        "fingerprint": fingerprints(protection, row),
        "status": status,
        "former": pending.former,
        "total": pending.judgement.total,
    })
}

/// The status that a row would have by the local checks alone.
fn without_akismet(protection: &Protection, local: Verdict, former: Option<&Json>) -> Option<Json> {
    let mut status = former?.clone();
    let moderated = matches!(local, Verdict::Moderate | Verdict::Challenge);
    for (column, value) in protection.status.moderate.iter().flatten().filter(|_| moderated) {
        let name = protection.status.columns.iter().find(|(_, c)| c.index == column.index);
        if let (Some((name, _)), Some(status)) = (name, status.as_object_mut()) {
            match value {
                StatusValue::Text(text) => status.insert(name.clone(), text.as_str().into()),
                StatusValue::Null => status.insert(name.clone(), Json::Null),
                StatusValue::Now => status.remove(name),
            };
        }
    }
    Some(status)
}

/// The key of a log entry that says what Akismet said about a rejected submission.
pub const ASKED: &str = "_asked";

/// Keeps what was said about rejected submissions, given the entries of their log: as far as these keep
/// the submission itself.
pub fn keep_rejected(entries: &str) {
    if entries.contains(ASKED) {
        spi::write_json(
            "INSERT INTO spamcheck._checked (protection, submission_id, result, guid, submission, fingerprint)
             SELECT r._protection, r.submission_id, r._asked ->> 'result', r._asked ->> 'guid', r.submission - 'row' - 'kept', '{}'
               FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(_protection integer, submission_id bigint, submission jsonb, _asked jsonb)
              WHERE jsonb_typeof(r._asked) = 'object' AND jsonb_typeof(r.submission) = 'object'",
            entries,
        );
    }
}

/// What one statement has given other keys so far. A statement that shifts keys passes through states in
/// which a row has the key that another one is about to leave; what was there waits here.
#[derive(Default)]
pub struct Moved {
    /// Keys whose checks are of rows that have just got them.
    arrived: HashSet<String>,
    /// The checks that these have displaced, by key.
    displaced: HashMap<String, Json>,
}

/// Somebody else than Akismet set a row's status.
pub fn decided(protection: i32, row_key: &Json) {
    decided_by_statement(protection, row_key, &mut Moved::default());
}

/// [`decided`], by a statement that may give rows other keys.
pub fn decided_by_statement(protection: i32, row_key: &Json, moved: &mut Moved) {
    let key = row_key.to_string();
    if moved.arrived.contains(&key) {
        if let Some(check) = moved.displaced.get_mut(&key) {
            check["decided"] = true.into();
        }
        return;
    }
    rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck._checked c SET decided = true
              WHERE c.protection = $1 AND c.row_key = convert_from($2, 'UTF8')::jsonb AND NOT c.decided
             RETURNING NULL::bytea",
            &[Arg::Int(protection), Arg::Text(&key)],
        )
    });
}

/// A row got another key: what was asked about it follows.
pub fn rename_row(protection: i32, from: &Json, to: &Json, moved: &mut Moved) {
    let (from_key, to_key) = (from.to_string(), to.to_string());
    rights::as_extension(|| {
        let own = if moved.arrived.contains(&from_key) {
            moved.displaced.remove(&from_key)
        } else {
            take(protection, &from_key)
        };
        let Some(mut own) = own else { return };
        if let Some(other) = take(protection, &to_key) {
            moved.displaced.insert(to_key.clone(), other);
        }
        own["row_key"] = to.clone();
        spi::write_json(
            "INSERT INTO spamcheck._checked
             SELECT (jsonb_populate_record(NULL::spamcheck._checked, convert_from($1, 'UTF8')::jsonb)).*",
            &own.to_string(),
        );
        moved.arrived.insert(to_key);
    });
}

fn take(protection: i32, key: &str) -> Option<Json> {
    let taken = spi::write_returning(
        "DELETE FROM spamcheck._checked c WHERE c.protection = $1 AND c.row_key = convert_from($2, 'UTF8')::jsonb
         RETURNING convert_to(to_jsonb(c)::text, 'UTF8')",
        &[Arg::Int(protection), Arg::Text(key)],
    );
    taken.into_iter().flatten().next().and_then(|text| serde_json::from_str(&text).ok())
}

/// A column of a protected table was renamed: what is stored about its rows by column name follows.
pub fn rename_column(protection: i32, old: &str, new: &str) {
    let columns = ["row_key", "fingerprint", "status", "former"];
    key::rename_column("_checked", "protection", &columns, protection, [old, new]);
}

/// A column of the table was dropped.
pub fn drop_column(protection: i32, name: &str) {
    key::drop_column("_checked", "protection", protection, name);
}

/// Removes what is older than 15 days from a stretch of pages, and what belongs to no protection after a
/// day: in the middle of a restore it may come before the protections. How many went.
pub fn expire(page: i32, pages: i32, most: i32) -> usize {
    spi::write(
        "DELETE FROM spamcheck._checked c
          WHERE c.ctid = ANY (ARRAY(
                SELECT o.ctid FROM spamcheck._checked o
                 WHERE o.ctid >= format('(%s,0)', $1)::tid AND o.ctid < format('(%s,0)', $1 + $2)::tid
                   AND (o.checked_at < clock_timestamp() - interval '15 days'
                        OR o.checked_at < clock_timestamp() - interval '1 day'
                           AND NOT EXISTS (SELECT FROM spamcheck._protection p WHERE p.id = o.protection))
                 LIMIT $3 FOR UPDATE SKIP LOCKED))",
        &[Arg::Int(page), Arg::Int(pages), Arg::Int(most)],
    )
}

/// The checks that Akismet calls by this name, each with its table.
pub fn by_guid<T: serde::de::DeserializeOwned>(guid: &str) -> Vec<T> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(to_jsonb(c) || jsonb_build_object('relation', (
                        SELECT quote_ident(n.nspname) || '.' || quote_ident(k.relname)
                          FROM spamcheck._protected_relation r JOIN pg_class k ON k.oid = r.relation
                          JOIN pg_namespace n ON n.oid = k.relnamespace WHERE r.id = c.protection))), '[]')::text, 'UTF8')
               FROM (SELECT * FROM spamcheck._checked c WHERE c.guid = $1::text LIMIT 3) c",
            &[Arg::Value(guid)],
        )
    })
    .unwrap_or_default()
}

/// Akismet says something else about a row by now.
pub fn changed_mind(protection: i32, row_key: &Json, result: &str) {
    rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck._checked c SET result = convert_from($3, 'UTF8')
              WHERE c.protection = $1 AND c.row_key = convert_from($2, 'UTF8')::jsonb
             RETURNING NULL::bytea",
            &[Arg::Int(protection), Arg::Text(&row_key.to_string()), Arg::Text(result)],
        )
    });
}
