//! When a row came: by the clock, or when it was created, if it says so and that is earlier. An import
//! of old rows is no flood. Owns the doubts about what a row says; a doubt must not make it look old, or
//! a check would be off without a word.

use pgrx::pg_sys;
use spamcheck_engine::{Facts, Field, FieldSet};

use crate::protection::{Bound, Protection};
use crate::row::{Column, EPOCH_OFFSET, Reader, Row};
use crate::settings;
use crate::submission::{self, Elsewhere};

const DAY: i64 = 86_400_000_000;

/// The time of a row that comes now, in microseconds since the Unix epoch; `clock` is the latest.
pub fn came(protection: &Protection, row: Row<'_>, clock: i64) -> i64 {
    let Some((_, bound)) = protection.sources.iter().find(|(f, _)| *f == Field::CreatedAt) else {
        return clock;
    };
    let elsewhere = Elsewhere::new(protection, row);
    let wanted = FieldSet::of(&[Field::CreatedAt]);
    let submission = submission::read(protection, row, wanted, &elsewhere);
    let facts = Facts::new(&submission, settings::max_checked_chars(), clock);
    let Some(created) = facts.time(Field::CreatedAt) else { return clock };
    let created = match bound {
        Bound::Column(column) if created < clock => latest_meant(*column, created, clock),
        _ => created,
    };
    // DEFAULT now() is the start of the transaction, which may be old when it inserts.
    if created < submission::now() { created.min(clock) } else { clock }
}

/// A time without a time zone is read as UTC; where it was written in the session's, it may mean later.
fn latest_meant(column: Column, created: i64, clock: i64) -> i64 {
    // SAFETY: a catalog look-up by OID.
    let zoneless = || unsafe { pg_sys::getBaseType(column.type_oid) } == pg_sys::TIMESTAMPOID;
    match column.reader {
        // It may have been at the end of the day.
        Reader::Date => created.max(created.saturating_sub(offset(clock))).saturating_add(DAY),
        Reader::Time if zoneless() => {
            let local = created.saturating_sub(offset(clock));
            if local <= clock { created.max(local) } else { created }
        }
        _ => created,
    }
}

/// How far the session's time zone is ahead of UTC now, in microseconds.
fn offset(clock: i64) -> i64 {
    let clock = clock.saturating_sub(EPOCH_OFFSET);
    // SAFETY: the function takes a timestamptz and gives a timestamp, both by value.
    let local = unsafe {
        pgrx::direct_function_call_as_datum(
            pg_sys::timestamptz_timestamp,
            &[Some(pg_sys::Datum::from(clock))],
        )
    };
    local.map_or(0, |local| (local.value() as i64).saturating_sub(clock))
}
