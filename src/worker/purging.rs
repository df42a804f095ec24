//! Purges rows of the log that are older than their policy's `retention`, in small batches. Owns when it
//! looks and what goes; must not wait for anybody's lock, and runs no statement while nothing is due.

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
            rights::as_extension(|| (settings, purge(), next_due()))
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

/// Purges one batch: how many rows went. Rows that somebody holds go at a later look.
fn purge() -> usize {
    spi::write(
        "DELETE FROM spamcheck.spam_checklog l
          WHERE l.ctid = ANY (ARRAY(
                SELECT o.ctid FROM spamcheck.policy p
                 CROSS JOIN LATERAL (SELECT i.ctid FROM spamcheck.spam_checklog i
                                      WHERE i.policy = p.name AND i.logged_at < clock_timestamp() - p.retention
                                      ORDER BY i.logged_at LIMIT $1 FOR UPDATE SKIP LOCKED) o
                 WHERE p.retention IS NOT NULL
                 LIMIT $1))",
        &[Arg::Int(ROWS)],
    )
}

/// Seconds until the next row is too old, or could be if one is logged now; None: nothing is purged.
fn next_due() -> Option<f64> {
    spi::json_now::<Option<f64>>(
        "SELECT convert_to(coalesce(extract(epoch FROM min(least(o.logged_at, clock_timestamp()) + p.retention) - clock_timestamp())::text, 'null'), 'UTF8')
           FROM spamcheck.policy p
           LEFT JOIN LATERAL (SELECT i.logged_at FROM spamcheck.spam_checklog i
                               WHERE i.policy = p.name ORDER BY i.logged_at LIMIT 1) o ON true
          WHERE p.retention IS NOT NULL",
        &[],
    )
    .flatten()
}
