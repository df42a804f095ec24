//! The queue of lookups as a state machine: queued -> running -> gone, or back to queued with a later
//! next_at, or failed, or expired. Owns, with the files of its folder, every statement that touches
//! spamcheck.lookup; what an answer means for a row is settled in worker/settle.rs.

mod claim;
mod expired;
mod of_table;
mod out;
mod queueing;
mod together;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::checked;
use crate::intervals;
use crate::references;
use crate::rights;
use crate::spi::{self, Arg};

pub use claim::{Lane, NOT_FREE, Progress, claim, claim_probe, next_due};
pub use expired::{Unheld, expire, held_in_vain, held_untold, let_go, next_to_expire, told};
pub use of_table::{drop_all, drop_column, put_under, rename_column};
pub use out::{Postponed, ask_anew, finish, lock, postpone};
pub use queueing::{enqueue, entries, forget_former, leave_to_edits, may_be_out, status};
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

/// What one statement has given other keys so far: a statement that shifts keys passes through states in
/// which a row has the key that another one is about to leave.
#[derive(Default)]
pub struct Moved {
    lookups: HashMap<String, Vec<i64>>,
    log: HashMap<String, Vec<i64>>,
    /// What Akismet was asked.
    pub checked: checked::Moved,
}

/// Whether a table has any.
pub fn any_of(protection: i32) -> bool {
    spi::text_now(
        "SELECT convert_to('yes', 'UTF8') FROM spamcheck.lookup l WHERE l._protection = $1 LIMIT 1",
        &[Arg::Int(protection)],
    )
    .is_some()
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
