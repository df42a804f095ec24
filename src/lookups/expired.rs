//! Lookups that were given up: they stay in the queue as `expired`, or `failed` where no further try would help, with
//! their reason, until somebody retries them. Owns which expire by the clock, and which of them hold a row in vain:
//! what becomes of those `on_failure` says. Rows are worker/releasing.rs's.

use serde_json::json;

use super::Claimed;
use crate::rights;
use crate::spi::{self, Arg};

/// After how many seconds a policy gives up what Akismet is asked or told.
pub type Patience = (String, f64);

/// The policies of `$1` with their lookups that wait; an answer that is there counts.
macro_rules! given_up {
    () => {
        "jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS g(policy text, seconds double precision)
           JOIN spamcheck.lookup o ON o.policy = g.policy AND o.state = 'queued' AND isfinite(o.created_at) AND o._answer IS NULL
            AND o.kind <> ALL (ARRAY['trackback_ip', 'trackback_link'])"
    };
}

/// How many have expired of those that wait. One that is locked expires at a later look.
pub fn expire(patience: &[Patience], at_most: i32) -> usize {
    let expired = rights::as_extension(|| {
        spi::write_returning(
            concat!(
                "UPDATE spamcheck.lookup l
                    SET state = 'expired', next_at = clock_timestamp(),
                        last_error = coalesce(l.last_error, 'Akismet could not be asked within give_up_after')
                  WHERE l.id = ANY (ARRAY(SELECT o.id FROM ",
                given_up!(),
                " WHERE extract(epoch FROM clock_timestamp() - o.created_at) > g.seconds LIMIT $2 FOR UPDATE OF o SKIP LOCKED))
                 RETURNING NULL::bytea"
            ),
            &[Arg::Text(&policies(patience)), Arg::Int(at_most)],
        )
    });
    expired.len()
}

/// Seconds until the next one expires; None: none ever does.
pub fn next_to_expire(patience: &[Patience]) -> Option<f64> {
    rights::as_extension(|| {
        spi::json_now::<Option<f64>>(
            concat!(
                "SELECT convert_to(coalesce(min(g.seconds - extract(epoch FROM clock_timestamp() - o.created_at))::text, 'null'), 'UTF8') FROM ",
                given_up!()
            ),
            &[Arg::Text(&policies(patience))],
        )
        .flatten()
    })
}

fn policies(patience: &[Patience]) -> String {
    let one = |(policy, seconds): &Patience| json!({ "policy": policy, "seconds": seconds });
    patience.iter().map(one).collect::<serde_json::Value>().to_string()
}

/// The lookups that hold a row and were given up; word by word the condition of the index lookup_expired.
macro_rules! given_up_and_held {
    () => {
        "l.state = ANY (ARRAY['expired', 'failed']) AND l._held AND l.kind = 'akismet'"
    };
}

/// Those whose policy accepts what nobody has answered: an answer that is there, and could not be written, counts.
macro_rules! in_vain {
    () => {
        concat!("FROM spamcheck.lookup l
          WHERE ", given_up_and_held!(), " AND l._answer IS NULL
            AND l.policy IN (SELECT s.policy FROM spamcheck.check_setting s
                              WHERE s.check_name = 'akismet' AND coalesce(s.options ->> 'on_failure', 'accept') = 'accept')")
    };
}

/// Lookups that hold a row in vain, locked for this transaction, and the seconds until the next ones
/// are to be seen to; None: there is none.
pub fn held_in_vain(at_most: i32) -> (Vec<Claimed>, Option<f64>) {
    rights::as_extension(|| {
        let found = spi::write_returning(
            concat!(
                "SELECT convert_to((to_jsonb(l) || '{\"age\": 0}')::text, 'UTF8') ",
                in_vain!(),
                " AND l.next_at <= clock_timestamp() ORDER BY l.next_at LIMIT $1 FOR UPDATE OF l SKIP LOCKED"
            ),
            &[Arg::Int(at_most)],
        );
        let next = spi::json_now::<Option<f64>>(
            concat!(
                "SELECT convert_to(coalesce((CASE WHEN min(l.next_at) <= clock_timestamp() THEN 0 ELSE extract(epoch FROM min(l.next_at) - clock_timestamp()) END)::text, 'null'), 'UTF8') ",
                in_vain!()
            ),
            &[],
        );
        // What became of the row of one that makes no sense nobody can tell: it is a moderator's.
        (Claimed::read_all(found), next.flatten())
    })
}

/// Given up lookups that hold a row which a person has to look at, and which nobody has been told of yet; locked for
/// this transaction.
pub fn held_untold(at_most: i32) -> Vec<Claimed> {
    rights::as_extension(|| {
        let found = spi::write_returning(
            concat!("SELECT convert_to((to_jsonb(l) || '{\"age\": 0}')::text, 'UTF8')
               FROM spamcheck.lookup l
              WHERE ", given_up_and_held!(), " AND NOT l._told
                AND l.next_at <= clock_timestamp()
                AND l.policy IN (SELECT s.policy FROM spamcheck.check_setting s JOIN spamcheck.policy p ON p.name = s.policy
                                  WHERE s.check_name = 'akismet' AND s.enabled AND s.options ->> 'on_failure' = 'hold'
                                    AND p.mode = 'enforce')
              ORDER BY l.next_at LIMIT $1 FOR UPDATE OF l SKIP LOCKED"),
            &[Arg::Int(at_most)],
        );
        Claimed::read_all(found)
    })
}

/// Moderators were told of the row of a lookup that was given up, by this submission in the log.
pub fn told(id: i64, submission_id: i64) {
    rights::as_extension(|| {
        spi::write(
            "UPDATE spamcheck.lookup l SET submission_id = $2, _told = true WHERE l.id = $1",
            &[Arg::Big(id), Arg::Big(submission_id)],
        )
    });
}

/// What became of a row that was held in vain.
#[derive(Clone, Debug)]
pub enum Unheld {
    /// It has its own status again.
    Released,
    /// Another lookup holds it, or nothing had to be written.
    Passed,
    /// It could not be written yet.
    Later {
        /// Not before so many seconds from now.
        seconds: f64,
        /// Why not, if that is to be told.
        error: Option<String>,
    },
}

/// Notes what became of the row of a lookup that was given up.
pub fn let_go(id: i64, unheld: &Unheld) {
    let (released, later, error) = match unheld {
        Unheld::Released => (true, None, None),
        Unheld::Passed => (false, None, None),
        Unheld::Later { seconds, error } => (false, Some(*seconds), error.as_deref()),
    };
    let note = json!({ "id": id, "released": released, "later": later, "error": error });
    rights::as_extension(|| {
        spi::write_json(
            "UPDATE spamcheck.lookup l
                SET _held = l._held AND r.later IS NOT NULL,
                    _status = CASE WHEN r.released THEN coalesce(l._former, l._status) ELSE l._status END,
                    next_at = clock_timestamp() + coalesce(r.later, 0) * interval '1 second',
                    last_error = coalesce(r.error, l.last_error)
               FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                      AS r(id bigint, released boolean, later double precision, error text)
              WHERE l.id = r.id",
            &note.to_string(),
        )
    });
}
