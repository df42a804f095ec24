//! Lookups expire by the clock: while Akismet is not asked, nothing else would end those that have waited
//! longer than their policy's `give_up_after`. Owns when the worker looks; what expires as an attempt
//! fails is the pipeline's. It runs no statement while Akismet is asked or nothing waits.

use std::time::{Duration, Instant};

use super::presence::transaction;
use crate::{intervals, lookups, rights, spi};

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
    /// Whether anything has expired since that was last asked.
    expired: bool,
}

impl GivingUp {
    /// A worker that has just started does not know what waits.
    pub fn new() -> Self {
        Self { waiting: true, due: Instant::now(), expired: false }
    }

    /// Whether a lookup has expired since this was last asked.
    pub fn has_expired(&mut self) -> bool {
        std::mem::take(&mut self.expired)
    }

    /// Looks, if Akismet is not `asked` and it is time to; `queued`: lookups wait, as far as the worker
    /// knows. False: the extension is gone.
    pub fn turn(&mut self, asked: bool, queued: bool) -> bool {
        self.waiting |= queued;
        let begun = Instant::now();
        if asked || !self.waiting || begun < self.due {
            return true;
        }
        let looked = transaction("giving up lookups", || {
            let patience = patience();
            (lookups::expire(&patience, AT_ONCE), lookups::next_to_expire(&patience))
        });
        let Some((gone, next)) = looked else { return false };
        self.expired |= gone > 0;
        self.waiting = next.is_some();
        let next =
            next.map_or(PAUSES.1, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e6)));
        let pause =
            if gone >= AT_ONCE as usize { PAUSES.0 } else { next.clamp(PAUSES.0, PAUSES.1) };
        self.due = Instant::now() + pause.max(begun.elapsed() * SHARE);
        true
    }
}

/// Policies, and after how many seconds each gives up what Akismet is asked or told. One that never does, or
/// whose interval is none, is left out.
fn patience() -> Vec<(String, f64)> {
    let texts: Vec<(String, Option<String>)> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(jsonb_build_array(s.policy,
                        CASE WHEN s.options ? 'give_up_after' THEN s.options ->> 'give_up_after' ELSE '15 days' END)), '[]')::text, 'UTF8')
               FROM spamcheck.check_setting s WHERE s.check_name = 'akismet'",
            &[],
        )
    })
    .unwrap_or_default();
    let seconds = |(policy, text): (String, Option<String>)| {
        Some((policy, intervals::seconds(text.as_deref()?)?))
    };
    texts.into_iter().filter_map(seconds).collect()
}
