//! Purges rows of the log that are older than their policy's `retention`, or the one that it had when it was
//! dropped, in small batches. Owns when it looks and what goes; must not wait for anybody's lock, and runs no statement while nothing is due.

use std::time::{Duration, Instant};

use super::presence::transaction;
use crate::spi::{self, Arg};
use crate::{rights, rulebook};

/// Rows that go in one transaction.
const ROWS: i32 = 5_000;
/// How soon after a change of settings, and between two looks, at the earliest.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(3600);

/// When the worker purges.
pub struct Purging {
    /// When to look next; None: no policy has a retention.
    due: Option<Instant>,
    settings: u64,
}

impl Purging {
    /// A worker that has just started does not know what is there.
    pub fn new() -> Self {
        Self { due: Some(Instant::now() + PAUSE), settings: rulebook::changes() }
    }

    /// Purges, if it is time to; false: the extension is gone.
    pub fn turn(&mut self) -> bool {
        let settings = rulebook::changes();
        if settings != self.settings {
            self.settings = settings;
            self.due = Some(Instant::now() + PAUSE);
        }
        if self.due.is_none_or(|due| Instant::now() < due) {
            return true;
        }
        let looked = transaction("purging the log", || {
            // Before the look: what it may have missed is news.
            rulebook::listen();
            let settings = rulebook::changes();
            rights::as_extension(|| {
                let gone = purge();
                forget();
                (settings, gone, next_due())
            })
        });
        let Some((settings, gone, next)) = looked else { return false };
        self.settings = settings;
        let more = gone >= ROWS as usize;
        self.due = next.map(|seconds| {
            let wait = Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64()));
            Instant::now() + if more { Duration::ZERO } else { wait.max(PAUSE) }
        });
        true
    }
}

/// Each policy's retention. One that was made anew under the name of a dropped one takes over.
macro_rules! retentions {
    () => {
        "(SELECT p.name, p.retention FROM spamcheck.policy p WHERE p.retention IS NOT NULL
          UNION ALL
          SELECT d.policy, d.retention FROM spamcheck._dropped_policy d
           WHERE NOT EXISTS (SELECT FROM spamcheck.policy p WHERE p.name = d.policy)) r"
    };
}

/// Purges one batch: how many rows went. Rows that somebody holds go at a later look.
fn purge() -> usize {
    spi::write(
        concat!(
            "DELETE FROM spamcheck.spam_checklog l
              WHERE l.ctid = ANY (ARRAY(
                    SELECT o.ctid FROM ",
            retentions!(),
            " CROSS JOIN LATERAL (SELECT i.ctid FROM spamcheck.spam_checklog i
                                   WHERE i.policy = r.name AND i.logged_at < clock_timestamp() - r.retention
                                   ORDER BY i.logged_at LIMIT $1 FOR UPDATE SKIP LOCKED) o
                     LIMIT $1))"
        ),
        &[Arg::Int(ROWS)],
    )
}

/// Dropped policies of which nothing is left are forgotten: transactions of their time may log for a day. Only
/// where there is one, since a DELETE is news to all sessions.
fn forget() {
    let gone = spi::json_now::<Vec<String>>(
        "SELECT convert_to(coalesce(json_agg(d.policy), '[]')::text, 'UTF8') FROM spamcheck._dropped_policy d
          WHERE d.dropped_at < clock_timestamp() - interval '1 day'
            AND NOT EXISTS (SELECT FROM spamcheck.spam_checklog l WHERE l.policy = d.policy)",
        &[],
    );
    for policy in gone.unwrap_or_default() {
        spi::write(
            "DELETE FROM spamcheck._dropped_policy d WHERE d.policy = convert_from($1, 'UTF8')",
            &[Arg::Text(&policy)],
        );
    }
}

/// Seconds until the next row is too old, or could be if one is logged now; None: nothing is purged.
fn next_due() -> Option<f64> {
    spi::json_now::<Option<f64>>(
        concat!(
            "SELECT convert_to(coalesce(extract(epoch FROM min(least(o.logged_at, clock_timestamp()) + r.retention) - clock_timestamp())::text, 'null'), 'UTF8')
               FROM ",
            retentions!(),
            " LEFT JOIN LATERAL (SELECT i.logged_at FROM spamcheck.spam_checklog i
                                  WHERE i.policy = r.name ORDER BY i.logged_at LIMIT 1) o ON true"
        ),
        &[],
    )
    .flatten()
}
