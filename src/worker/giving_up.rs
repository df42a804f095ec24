//! Lookups expire by the clock: while Akismet is not asked, nothing else would end those that have waited
//! longer than their policy's `give_up_after`. Owns when the worker looks and which go; what expires as an
//! attempt fails is the pipeline's. It runs no statement while Akismet is asked or nothing waits.

use std::time::{Duration, Instant};

use super::presence::transaction;
use crate::rights;
use crate::spi::{self, Arg};

/// Lookups that expire in one transaction.
const AT_ONCE: i32 = 5_000;
/// The pause between two looks, at the least and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A look is this much shorter than the pause after it.
const SHARE: u32 = 20;

/// When the worker looks.
pub struct GivingUp {
    /// Whether anything may wait.
    waiting: bool,
    due: Instant,
}

impl GivingUp {
    /// A worker that has just started does not know what waits.
    pub fn new() -> Self {
        Self { waiting: true, due: Instant::now() }
    }

    /// Looks, if Akismet is not `asked` and it is time to; `queued`: lookups wait, as far as the worker
    /// knows. False: the extension is gone.
    pub fn turn(&mut self, asked: bool, queued: bool) -> bool {
        self.waiting |= queued;
        let begun = Instant::now();
        if asked || !self.waiting || begun < self.due {
            return true;
        }
        let looked =
            transaction("giving up lookups", || rights::as_extension(|| (expire(), next())));
        let Some((gone, next)) = looked else { return false };
        self.waiting = next.is_some();
        let next =
            next.map_or(PAUSES.1, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e6)));
        let pause =
            if gone >= AT_ONCE as usize { PAUSES.0 } else { next.clamp(PAUSES.0, PAUSES.1) };
        self.due = Instant::now() + pause.max(begun.elapsed() * SHARE);
        true
    }
}

/// Policies, and after how long each gives up what Akismet is asked or told.
macro_rules! given_up {
    () => {
        "(SELECT s.policy, CASE WHEN s.options ? 'give_up_after' THEN s.options ->> 'give_up_after' ELSE '15 days' END::interval AS after
            FROM spamcheck.check_setting s WHERE s.check_name = 'akismet') g
           JOIN spamcheck.lookup o ON o.policy = g.policy AND o.state = 'queued' AND isfinite(o.created_at) AND o._answer IS NULL
            AND o.kind <> ALL (ARRAY['trackback_ip', 'trackback_link'])"
    };
}

/// How many have expired. One that is locked expires at a later look; an answer that is there counts.
fn expire() -> usize {
    spi::write(
        concat!(
            "UPDATE spamcheck.lookup l
                SET state = 'expired', last_error = coalesce(l.last_error, 'Akismet could not be asked within give_up_after')
              WHERE l.id = ANY (ARRAY(SELECT o.id FROM ",
            given_up!(),
            " WHERE o.created_at < clock_timestamp() - g.after LIMIT $1 FOR UPDATE OF o SKIP LOCKED))"
        ),
        &[Arg::Int(AT_ONCE)],
    )
}

/// Seconds until the next one expires; None: none ever does.
fn next() -> Option<f64> {
    spi::json_now::<Option<f64>>(
        concat!(
            "SELECT convert_to(coalesce(extract(epoch FROM min(o.created_at + g.after) - clock_timestamp())::text, 'null'), 'UTF8') FROM ",
            given_up!()
        ),
        &[],
    )
    .flatten()
}
