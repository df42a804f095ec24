//! Several lookups of one row: it gets its own status back when all that hold it have passed, and what one
//! of them finds concerns the others. Owns what they know of each other; rows are worker/settle.rs's.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Claimed;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg};

/// What is stored of a lookup that is out: a renaming, or another lookup of its row, may have changed it
/// since it was claimed.
#[derive(Deserialize)]
pub struct Current {
    /// The row's key.
    pub row_key: Json,
    /// The fields of the submission.
    pub submission: Json,
    /// The submission's id in the log, if it has one.
    pub submission_id: Option<i64>,
    /// Hashes of the watched columns when it was queued, by name.
    #[serde(rename = "_fingerprint")]
    pub fingerprint: Json,
    /// The status columns as they were stored.
    #[serde(rename = "_status")]
    pub status: Option<Json>,
    /// The row's own status.
    #[serde(rename = "_former")]
    pub former: Option<Json>,
    /// Whether the row is moderated only until the answer comes.
    #[serde(rename = "_held")]
    pub held: bool,
    /// The sum of scores so far.
    #[serde(rename = "_total")]
    pub total: f32,
    /// Whether the row has other lookups that will judge it.
    pub others: bool,
}

/// The lookup as it is now; None: it was taken back.
pub fn current(id: i64) -> Option<Current> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to((to_jsonb(l) || jsonb_build_object('others', EXISTS (
                        SELECT FROM spamcheck.lookup o
                         WHERE o._protection = l._protection AND o.row_key = l.row_key AND o.id <> l.id
                           AND o.kind IN ('akismet', 'trackback_ip', 'trackback_link'))))::text, 'UTF8')
               FROM spamcheck.lookup l WHERE l.id = $1",
            &[Arg::Big(id)],
        )
    })
}

/// Locks the other lookups of a row, before anything is done about it: who waits for them while holding
/// this one would deadlock with who deletes them all. False: somebody else has one of them.
pub fn lock_others(id: i64) -> bool {
    let locked = rights::as_extension(|| {
        spi::write_returning(
            "WITH others AS MATERIALIZED (
                 SELECT o.id FROM spamcheck.lookup l
                   JOIN spamcheck.lookup o ON o._protection = l._protection AND o.row_key = l.row_key AND o.id <> l.id
                  WHERE l.id = $1 AND o.kind IN ('akismet', 'trackback_ip', 'trackback_link')),
             locked AS (SELECT l.id FROM spamcheck.lookup l WHERE l.id IN (SELECT o.id FROM others o) FOR UPDATE SKIP LOCKED)
             SELECT convert_to('all', 'UTF8') WHERE (SELECT count(*) FROM others) = (SELECT count(*) FROM locked)",
            &[Arg::Big(id)],
        )
    });
    !locked.is_empty()
}

/// The lookup holds its row no longer; whether another one does.
pub fn pass(id: i64) -> bool {
    let held = rights::as_extension(|| {
        spi::write_returning(
            "WITH passed AS (
                 UPDATE spamcheck.lookup l SET _held = false WHERE l.id = $1 RETURNING l.id, l._protection, l.row_key)
             SELECT convert_to('held', 'UTF8') FROM spamcheck.lookup o, passed p
              WHERE o._protection = p._protection AND o.row_key = p.row_key AND o.id <> p.id AND o._held
              LIMIT 1",
            &[Arg::Big(id)],
        )
    });
    !held.is_empty()
}

/// The lookup, which has passed, could not release its row: it still holds it.
pub fn hold(id: i64) {
    rights::as_extension(|| {
        spi::write(
            "UPDATE spamcheck.lookup l SET _held = true WHERE l.id = $1 AND NOT l._held",
            &[Arg::Big(id)],
        )
    });
}

/// What a lookup that is done tells the others of its row.
pub struct News {
    /// The row is moderated for good: nobody gives it back its own status any more.
    pub moderated: bool,
    /// What it added to the sum of scores.
    pub score: f32,
    /// The status columns as they are now, if it wrote them.
    pub status: Option<Json>,
    /// The submission's id in the log, if it logged anything.
    pub submission_id: Option<i64>,
}

const TELL: &str = "UPDATE spamcheck.lookup o
            SET _held = o._held AND NOT n.moderated, _total = o._total + n.score,
                _status = coalesce(nullif(n.status, 'null'), o._status),
                submission_id = coalesce(o.submission_id, n.submission_id)
           FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                  AS n(id bigint, moderated boolean, score real, status jsonb, submission_id bigint)
           JOIN spamcheck.lookup l ON l.id = n.id
          WHERE o._protection = l._protection AND o.row_key = l.row_key AND o.id <> l.id
            AND o.kind IN ('akismet', 'trackback_ip', 'trackback_link')";

/// Those of these lookups that hold their rows, locked until the end of the transaction.
pub fn lock_holding(ids: &[i64]) -> Vec<Claimed> {
    let found = spi::write_returning(
        "SELECT convert_to((to_jsonb(l) || jsonb_build_object('age', 0))::text, 'UTF8') FROM spamcheck.lookup l
          WHERE l.id = ANY (ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e))
            AND l._held AND l.kind IN ('akismet', 'trackback_ip', 'trackback_link')
          ORDER BY l.id FOR UPDATE",
        &[Arg::Text(&json!(ids).to_string())],
    );
    found.into_iter().flatten().filter_map(|text| serde_json::from_str(&text).ok()).collect()
}

/// Tells the other lookups of a row.
pub fn tell_others(id: i64, news: &News) {
    let news = json!({ "id": id, "moderated": news.moderated, "score": news.score,
                       "status": news.status, "submission_id": news.submission_id });
    rights::as_extension(|| spi::write_json(TELL, &news.to_string()));
}

/// The row was edited and nothing holds it any more: the questions about what it was are moot. Its own
/// status, if one of them held it as it is.
pub fn release(protection: i32, row_key: &Json, status: &Json) -> Option<Json> {
    let moot = rights::as_extension(|| {
        spi::write_returning(
            "DELETE FROM spamcheck.lookup l
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
                AND l.kind IN ('akismet', 'trackback_ip', 'trackback_link')
             RETURNING convert_to(CASE WHEN l._held AND l._status = convert_from($3, 'UTF8')::jsonb THEN l._former::text END, 'UTF8')",
            &[
                Arg::Int(protection),
                Arg::Text(&row_key.to_string()),
                Arg::Text(&row::fitting(&status.to_string())),
            ],
        )
    });
    let former = moot.into_iter().flatten().next()?;
    serde_json::from_str(&former).ok()
}

/// The row is spam: nobody needs to know more.
pub fn drop_others(id: i64) {
    rights::as_extension(|| {
        spi::write(
            "DELETE FROM spamcheck.lookup o USING spamcheck.lookup l
              WHERE l.id = $1 AND o._protection = l._protection AND o.row_key = l.row_key AND o.id <> l.id
                AND o.kind IN ('akismet', 'trackback_ip', 'trackback_link')",
            &[Arg::Big(id)],
        )
    });
}
