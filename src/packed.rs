//! Lists in one piece, so that the first use of a session need not gather 100,000 rows: the worker
//! makes them, sessions read them. Owns when such a copy holds: no statement has touched the entries since
//! it was made, and none of its entries has expired.
//!
//! Whoever touches entries leaves a mark, in the same transaction. The worker makes copies while nobody
//! else is at the entries (it has the table's SHARE lock), and takes the marks away with it. So whoever
//! sees a copy and no mark sees all that was committed to it; whoever changes entries sees his own mark.

use pgrx::pg_sys;
use serde::Deserialize;

use crate::rights;
use crate::spi::{self, Arg};

/// Entries in all lists from which on it is worth it; then short lists are packed, too, since to look for
/// their few entries among the many takes as long.
const MANY: i32 = 2_000;

/// All entries of a list that have not expired, as [`gathered`] gives them; None: there is no such copy.
pub fn read(list: &str) -> Option<String> {
    spi::text_now(
        "SELECT p.entries FROM spamcheck._packed_list p
          WHERE p.list = convert_from($1, 'UTF8') AND (p.expires_at IS NULL OR p.expires_at > now())
            AND NOT EXISTS (SELECT FROM spamcheck._packed_list m WHERE m.entries IS NULL)",
        &[Arg::Text(list)],
    )
}

/// The entries of a list that have not expired, a line each, behind a line that says when the first of
/// them expires, in microseconds since the Unix epoch. Entries hold no line breaks (validation.rs).
pub fn gathered(list: &str) -> String {
    // One pass, and no sorting by the server's collation: both are felt in the first statement of a session.
    spi::text_now(
        "SELECT convert_to(concat(
                    (extract(epoch FROM min(e.expires_at) FILTER (WHERE e.expires_at < 'infinity')) * 1000000)::bigint,
                    E'\\n', string_agg(e.value, E'\\n')), 'UTF8')
           FROM spamcheck.list_entry e
          WHERE e.list = convert_from($1, 'UTF8') AND (e.expires_at IS NULL OR e.expires_at > now())",
        &[Arg::Text(list)],
    )
    .unwrap_or_default()
}

/// Somebody touches entries: copies no longer hold, for others from the commit on.
pub fn touched() {
    rights::as_extension(|| {
        // With the newest snapshot: a mark that is there stays as long as this transaction is at the entries.
        spi::rows_newest(
            "INSERT INTO spamcheck._packed_list (list)
             SELECT '' WHERE NOT EXISTS (SELECT FROM spamcheck._packed_list m WHERE m.entries IS NULL)",
            &[],
            |_| (),
        );
    });
}

/// What became of an attempt to make copies.
#[derive(Deserialize)]
pub struct Made {
    /// When the first of them no longer holds, in microseconds since the Unix epoch.
    pub until: Option<i64>,
}

/// Makes copies of the lists, where those that are there no longer hold; None: somebody is at the
/// entries. For the worker, in a transaction of its own.
pub fn make() -> Option<Made> {
    let hold = "SELECT convert_to('yes', 'UTF8')
                 WHERE NOT EXISTS (SELECT FROM spamcheck._packed_list m WHERE m.entries IS NULL OR m.expires_at <= now())";
    if spi::text_now(hold, &[]).is_none() {
        let table = rights::own_relation(c"list_entry");
        // SAFETY: a lock by OID, which the transaction gives back; nobody is waited for.
        if !unsafe { pg_sys::ConditionalLockRelationOid(table, pg_sys::ShareLock as i32) } {
            return None;
        }
        spi::write("DELETE FROM spamcheck._packed_list", &[]);
        spi::write(
            "INSERT INTO spamcheck._packed_list (list, entries, expires_at)
             SELECT e.list, convert_to(concat(
                        (extract(epoch FROM min(e.expires_at) FILTER (WHERE e.expires_at < 'infinity')) * 1000000)::bigint,
                        E'\\n', string_agg(e.value, E'\\n')), 'UTF8'),
                    min(e.expires_at) FILTER (WHERE e.expires_at < 'infinity')
               FROM spamcheck.list_entry e
              WHERE (e.expires_at IS NULL OR e.expires_at > now())
                AND (SELECT count(*) FROM spamcheck.list_entry) >= $1
              GROUP BY e.list
             UNION ALL
             SELECT l.name, convert_to(E'\n', 'UTF8'), NULL FROM spamcheck.list l
              WHERE NOT EXISTS (SELECT FROM spamcheck.list_entry e
                                 WHERE e.list = l.name AND (e.expires_at IS NULL OR e.expires_at > now()))
                AND (SELECT count(*) FROM spamcheck.list_entry) >= $1",
            &[Arg::Int(MANY)],
        );
    }
    spi::json_now(
        "SELECT convert_to(json_build_object('until', (extract(epoch FROM min(p.expires_at)) * 1000000)::bigint)::text, 'UTF8')
           FROM spamcheck._packed_list p",
        &[],
    )
}
