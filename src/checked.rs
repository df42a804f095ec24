//! What Akismet was asked and what it said, kept for 15 days in `spamcheck._checked`: a moderator's
//! decision is reported with these values, and a verdict that comes later finds its row by them. Owns
//! every statement that touches the table; what is sent of it is feedback.rs's and the worker's.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::rights;
use crate::spi::{self, Arg};

/// An answer that is to be kept, of a lookup.
pub struct Said {
    /// The lookup.
    pub lookup: i64,
    /// Whether Akismet calls it spam.
    pub spam: bool,
    /// Its name for the check.
    pub guid: Option<String>,
}

const KEEP: &str =
    "INSERT INTO spamcheck._checked AS c (protection, row_key, result, guid, submission, fingerprint, status, former, total)
         SELECT DISTINCT ON (l._protection, l.row_key)
                l._protection, l.row_key, CASE WHEN r.spam THEN 'spam' ELSE 'ham' END, r.guid, l.submission, l._fingerprint,
                CASE WHEN l._held THEN l._former ELSE l._status END, l._former, l._total
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS r(lookup bigint, spam boolean, guid text)
           JOIN spamcheck.lookup l ON l.id = r.lookup
          WHERE l.kind = 'akismet' AND l.row_key IS NOT NULL
          ORDER BY l._protection, l.row_key, l.id DESC
         ON CONFLICT (protection, row_key) WHERE row_key IS NOT NULL DO UPDATE
            SET result = excluded.result, guid = excluded.guid, checked_at = excluded.checked_at, decided = false,
                submission = excluded.submission, fingerprint = excluded.fingerprint, status = excluded.status,
                former = excluded.former, total = excluded.total";

/// Keeps answers, before their lookups go: those that were taken back meanwhile are passed over.
pub fn keep(said: &[Said]) {
    if said.is_empty() {
        return;
    }
    let rows: Vec<Json> = said
        .iter()
        .map(|s| json!({ "lookup": s.lookup, "spam": s.spam, "guid": s.guid }))
        .collect();
    rights::as_extension(|| spi::write_json(KEEP, &Json::Array(rows).to_string()));
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
}

/// The check of a row, or of a rejected submission.
pub fn original(
    protection: i32,
    row_key: Option<&Json>,
    submission_id: Option<i64>,
) -> Option<Original> {
    let row_key = row_key.unwrap_or(&Json::Null).to_string();
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(jsonb_build_object('result', c.result, 'guid', c.guid, 'submission', c.submission)::text, 'UTF8')
               FROM (SELECT c.* FROM spamcheck._checked c
                      WHERE c.protection = $1 AND c.row_key = convert_from($2, 'UTF8')::jsonb
                     UNION ALL
                     SELECT c.* FROM spamcheck._checked c
                      WHERE c.protection = $1 AND c.row_key IS NULL AND c.submission_id = $3) c
              ORDER BY c.checked_at DESC LIMIT 1",
            &[Arg::Int(protection), Arg::Text(&row_key), Arg::Big(submission_id.unwrap_or(-1))],
        )
    })
}
