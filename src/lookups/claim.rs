//! Taking up what is due, each lane for itself: one that stands still, or has a long queue, must not keep
//! the other waiting. Owns which lookups go first; the conditions are those of the two partial indexes on
//! spamcheck.lookup, word by word, or the server would not use them.

use std::time::{Duration, Instant};

use super::Claimed;
use crate::rights;
use crate::rulebook;
use crate::spi::{self, Arg};

/// How often all that is due is looked at.
const WHOLE: Duration = Duration::from_secs(10);

/// Seconds until lookups are claimed again that are due and could not be: somebody has them locked.
pub const NOT_FREE: f64 = 0.1;

/// Whose work a lookup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everything that Akismet is asked or told.
    Akismet,
    /// Names and pages of those who send trackbacks.
    Trackbacks,
}

/// The condition of a lane's lookups.
macro_rules! of_lane {
    (akismet) => {
        "l.kind <> ALL (ARRAY['trackback_ip', 'trackback_link'])"
    };
    (trackbacks) => {
        "l.kind = ANY (ARRAY['trackback_ip', 'trackback_link'])"
    };
}

/// A statement that claims the lookups whose ids its `WITH` collects as `picked`. What is asked for a policy that
/// is gone is given up all the same.
macro_rules! claim {
    ($($picked:tt)+) => {
        concat!(
            "WITH ",
            $($picked)+,
            " UPDATE spamcheck.lookup l SET state = 'running', attempts = least(l.attempts, 1000000) + 1
               WHERE l.id = ANY (ARRAY(SELECT p.id FROM picked p))
              RETURNING convert_to((to_jsonb(l) - ARRAY['relation', 'state', 'next_at', '_fingerprint', '_status', '_former'] || jsonb_build_object(
                  '_at', CASE WHEN isfinite(l.next_at) THEN (extract(epoch FROM l.next_at) * 1000000)::bigint END,
                  'age', CASE WHEN isfinite(l.created_at) THEN extract(epoch FROM clock_timestamp() - l.created_at) ELSE 0 END,
                  'patience', (SELECT CASE WHEN s.options ? 'give_up_after' THEN s.options ->> 'give_up_after' ELSE '15 days' END
                                      FROM (VALUES (l.policy)) p(name) LEFT JOIN spamcheck.check_setting s ON s.policy = p.name AND s.check_name = CASE WHEN l.kind IN ('submit_spam', 'submit_ham') THEN 'akismet' ELSE l.kind END)))::text, 'UTF8')"
        )
    };
}

/// Three in four are the newest of the last seconds, the others the oldest: a fresh comment does not wait behind a
/// backlog, and the backlog moves all the same. Both scans begin behind what was claimed before: while some
/// old snapshot is open, a dump's for instance, the index keeps all that was claimed since, and whoever looks for
/// what is left would read that each time.
macro_rules! claim_of {
    ($lane:tt) => {
        claim!(
            "newest AS (
                 SELECT l.id FROM spamcheck.lookup l
                  WHERE l.state = 'queued' AND ",
            of_lane!($lane),
            " AND l.next_at <= (SELECT clock_timestamp()) AND l.next_at > (SELECT clock_timestamp() - interval '5 seconds')
                    AND l._protection = ANY ((SELECT convert_from($1, 'UTF8')::integer[])::integer[])
                  ORDER BY l.next_at DESC LIMIT $2 FOR UPDATE SKIP LOCKED),
             oldest AS (
                 SELECT l.id FROM spamcheck.lookup l
                  WHERE l.state = 'queued' AND ",
            of_lane!($lane),
            " AND l.next_at <= (SELECT clock_timestamp()) AND l.next_at >= $4
                    AND l._protection = ANY ((SELECT convert_from($1, 'UTF8')::integer[])::integer[])
                  ORDER BY l.next_at LIMIT $3 - (SELECT count(*) FROM newest) FOR UPDATE SKIP LOCKED),
             picked AS (SELECT n.id FROM newest n UNION SELECT o.id FROM oldest o)"
        )
    };
}

macro_rules! next_of {
    ($lane:tt) => {
        concat!(
            "SELECT convert_to(coalesce((CASE WHEN min(l.next_at) <= clock_timestamp() THEN 0 ELSE extract(epoch FROM min(l.next_at) - clock_timestamp()) END)::text, 'null'), 'UTF8')
               FROM spamcheck.lookup l
              WHERE l.state = 'queued' AND ",
            of_lane!($lane),
            " AND l.next_at < 'infinity'
                AND l._protection = ANY (ARRAY(SELECT p.id FROM spamcheck._protected_relation r JOIN spamcheck._protection p ON p.id = r.id))"
        )
    };
}

/// Takes up to `limit` lookups of a lane that are due and whose protection is whole: in the middle of a restore
/// the queue may come before the triggers that say which table it is about, and before the mapping.
pub fn claim(lane: Lane, limit: usize, progress: &mut Progress) -> Vec<Claimed> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let newest = limit - (limit + 3) / 4;
    let statement = match lane {
        Lane::Akismet => claim_of!(akismet),
        Lane::Trackbacks => claim_of!(trackbacks),
    };
    let protected = rulebook::ids();
    let from = Arg::Time(progress.begin());
    let args = [Arg::Text(&protected), Arg::Int(newest), Arg::Int(limit), from];
    let claimed = claimed(statement, &args);
    let mut times: Vec<i64> = claimed.iter().filter_map(|lookup| lookup.at).collect();
    times.sort_unstable();
    // At least so many of them are the oldest.
    let oldest = (limit - newest) as usize;
    progress.from = times.get(oldest.min(times.len()).wrapping_sub(1)).copied().or(progress.from);
    claimed
}

/// How far a lane's claims have got. Transactions commit later than they queue, and other sessions have lookups
/// locked: so it is looked at all that is due from time to time, and whenever a claim may have missed some.
#[derive(Default)]
pub struct Progress {
    /// When the oldest lookup was due that may still wait, in microseconds since the Unix epoch.
    from: Option<i64>,
    /// When all were looked at last.
    whole: Option<Instant>,
    /// Whether the last claim has looked at a part.
    partly: bool,
}

impl Progress {
    /// The next claim looks at all that is due; whether the last one did.
    pub fn begin_anew(&mut self) -> bool {
        self.from = None;
        !std::mem::take(&mut self.partly)
    }

    fn begin(&mut self) -> i64 {
        let known = self.whole.is_some_and(|whole| whole.elapsed() < WHOLE);
        let from = self.from.filter(|_| known);
        self.partly = from.is_some();
        from.unwrap_or_else(|| {
            self.whole = Some(Instant::now());
            i64::MIN
        })
    }
}

/// Takes one lookup to find out whether Akismet answers again: of the newest that are due one that has
/// not failed yet, if there is any. A text that the service stumbles over must not stand for all.
pub fn claim_probe() -> Vec<Claimed> {
    claimed(
        claim!(
            "due AS (
                 SELECT l.id, l.last_error, l.next_at FROM spamcheck.lookup l
                  WHERE l.state = 'queued' AND ",
            of_lane!(akismet),
            " AND l.next_at <= (SELECT clock_timestamp())
                    AND l._protection = ANY ((SELECT convert_from($1, 'UTF8')::integer[])::integer[])
                  ORDER BY l.next_at DESC LIMIT 100 FOR UPDATE SKIP LOCKED),
             picked AS (SELECT d.id FROM due d ORDER BY d.last_error IS NOT NULL, d.next_at DESC LIMIT 1)"
        ),
        &[Arg::Text(&rulebook::ids())],
    )
}

fn claimed(statement: &'static str, args: &[Arg<'_>]) -> Vec<Claimed> {
    let texts = rights::as_extension(|| spi::write_returning(statement, args));
    Claimed::read_all(texts)
}

/// Seconds until the next lookup of a lane is due; None: there is none. The tables are those that the catalogs
/// say: a claim may not have heard yet of one whose rows it was woken for.
pub fn next_due(lane: Lane) -> Option<f64> {
    let query = match lane {
        Lane::Akismet => next_of!(akismet),
        Lane::Trackbacks => next_of!(trackbacks),
    };
    rights::as_extension(|| spi::json_now::<Option<f64>>(query, &[]).flatten())
}
