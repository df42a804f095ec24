//! The statements on `spamcheck._seen`. What left the same trace forms a chain: `n` counts its members in
//! the order of arrival, and the primary key makes whoever wants the next number wait for whoever took
//! it and has not committed. A row of a table is the lock here, since one lock in the server's lock
//! table for each hash would not survive a COPY of a million rows. Owns no question of what counts.
//!
//! A member that a follower has counted from is locked by it FOR KEY SHARE, and who forgets skips what
//! is locked: otherwise a chain could begin anew beside one whose newest member is not committed yet.

use pgrx::pg_sys;

use crate::row::{self, EPOCH_OFFSET};
use crate::spi::{self, Arg, Found};

/// How many members are read at once.
pub const PAGE: usize = 16;

/// A chain: the hash of a trace, under a protection.
#[derive(Clone, Copy)]
pub struct Chain {
    /// The hash with the kind in its two lowest bits.
    pub hash: i64,
    /// The protection's id.
    pub protection: i32,
}

/// A member of a chain.
pub struct Seen {
    /// Its number.
    pub n: i32,
    /// When the row came, in microseconds since the Unix epoch.
    pub at: i64,
    /// The row's key, as key::compact writes it.
    pub key: String,
    /// The latest time of this and of those that arrived before it: an old row may arrive late.
    pub latest: i64,
}

impl Seen {
    fn read(found: &Found) -> Seen {
        let datum = |column| found.datum(column).unwrap_or(pg_sys::Datum::null());
        // SAFETY: the third column is bytea; it is copied.
        let key = unsafe { String::from_utf8_lossy(row::bytes_of_datum(datum(3))).into_owned() };
        let time = |column| (datum(column).value() as i64).saturating_add(EPOCH_OFFSET);
        Seen { n: datum(1).value() as i32, at: time(2), key, latest: time(4) }
    }
}

impl Chain {
    /// Becomes the first member, if there is none; whether it did. Waits for whoever is about to.
    pub fn begin(self, at: i64, key: &str) -> bool {
        let args = [Arg::Big(self.hash), Arg::Time(at), Arg::Int(self.protection), Arg::Text(key)];
        let inserted = spi::rows_newest(
            "INSERT INTO spamcheck._seen AS s (hash, at, protection, n, key)
             SELECT $1, $2, $3, 0, $4
              WHERE NOT EXISTS (SELECT FROM spamcheck._seen o WHERE o.hash = $1 AND o.protection = $3)
             ON CONFLICT DO NOTHING RETURNING s.n",
            &args,
            |_| (),
        );
        !inserted.is_empty()
    }

    /// Becomes the member after `last`; its number. None: `last` is gone, or no longer the last.
    /// Waits for whoever is about to become it.
    pub fn follow(self, last: &Seen, at: i64, key: &str) -> Option<i32> {
        // Those of remember() are in no order, and it is not asked of them.
        let latest = if last.n < 0 { at } else { at.max(last.latest) };
        let args = [
            Arg::Big(self.hash),
            Arg::Time(at),
            Arg::Int(self.protection),
            Arg::Text(key),
            Arg::Int(last.n),
            Arg::Time(latest),
        ];
        let inserted = spi::rows_newest(
            "INSERT INTO spamcheck._seen AS s (hash, at, protection, n, key, latest)
             SELECT $1, $2, $3, greatest(l.n, -1) + 1, $4, nullif($6, $2)
               FROM (SELECT o.n FROM spamcheck._seen o
                      WHERE o.hash = $1 AND o.protection = $3 AND o.n = $5 FOR KEY SHARE) l
             ON CONFLICT DO NOTHING RETURNING s.n",
            &args,
            |found| found.datum(1).map(|n| n.value() as i32),
        );
        inserted.into_iter().next().flatten()
    }

    /// The next members below number `before`, newest first; fewer than [`PAGE`]: there are no more.
    pub fn below(self, before: i32) -> Vec<Seen> {
        spi::rows_newest(
            "SELECT s.n, s.at, s.key, coalesce(s.latest, s.at) FROM spamcheck._seen s
              WHERE s.hash = $1 AND s.protection = $2 AND s.n < $3 ORDER BY s.n DESC LIMIT 16",
            &[Arg::Big(self.hash), Arg::Int(self.protection), Arg::Int(before)],
            Seen::read,
        )
    }

    /// Gives a row's newest member another key. Just one: while keys move up by one, two rows have the
    /// same for a moment.
    pub fn rename(self, key: &str, to: &str) {
        spi::rows_newest(
            "UPDATE spamcheck._seen s SET key = $4
              WHERE s.ctid = ANY (ARRAY(SELECT o.ctid FROM spamcheck._seen o
                     WHERE o.hash = $1 AND o.protection = $2 AND o.key = $3
                     ORDER BY o.n DESC LIMIT 1))",
            &[Arg::Big(self.hash), Arg::Int(self.protection), Arg::Text(key), Arg::Text(to)],
            |_| (),
        );
    }

    /// Forgets a member that leads nowhere, unless somebody is about to follow it.
    pub fn forget(self, n: i32, key: &str) {
        spi::rows_newest(
            "DELETE FROM spamcheck._seen s
              WHERE s.ctid = ANY (ARRAY(SELECT o.ctid FROM spamcheck._seen o
                     WHERE o.hash = $1 AND o.protection = $2 AND o.n = $3 AND o.key = $4
                       FOR UPDATE SKIP LOCKED))",
            &[Arg::Big(self.hash), Arg::Int(self.protection), Arg::Int(n), Arg::Text(key)],
            |_| (),
        );
    }
}

/// Forgets all that is known of a protected table.
pub fn forget_all(protection: i32) {
    for table in ["_seen", "_remembering", "_unneeded"] {
        let statement = format!("DELETE FROM spamcheck.{table} s WHERE s.protection = $1");
        spi::write(&statement, &[Arg::Int(protection)]);
    }
}
