//! What checks cost: one judged row in 64 is watched, and the time of each check goes into counters in
//! shared memory. Also sets the counters, and what the views `stat_…` count, back. Owns the counters; what was
//! found is counted in the log by the views themselves. A row that is not watched pays for nothing here but
//! one counter of its backend.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pgrx::{JsonB, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::policy::{EnabledCheck, Policy};
use spamcheck_engine::verdict::{Finding, Judgement};
use spamcheck_engine::{CHECKS, Facts};

use crate::shared::{self, Database};
use crate::{rights, spi};

/// One judged row in so many is watched.
const EVERY: u32 = 64;

/// Checks that there is room for.
pub const MOST_CHECKS: usize = 40;
const _: () = assert!(CHECKS.len() <= MOST_CHECKS, "shared memory has too few counters");

/// What one check has cost in the rows that were watched.
#[repr(C)]
pub struct Cost {
    nanoseconds: AtomicU64,
    rows: AtomicU64,
}

impl Cost {
    /// Sets it back.
    pub fn reset(&self) {
        self.nanoseconds.store(0, Ordering::Relaxed);
        self.rows.store(0, Ordering::Relaxed);
    }
}

thread_local! {
    static JUDGED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Whether the row at hand is to be watched. Sessions begin in different places, so that those of one row
/// each are watched, too.
fn is_watched() -> bool {
    // SAFETY: a static that is set for the life of the backend.
    let judged = JUDGED.get().unwrap_or(unsafe { pg_sys::MyProcPid } as u32).wrapping_add(1);
    JUDGED.set(Some(judged));
    judged.is_multiple_of(EVERY)
}

/// Judges a submission, and watches the checks if it is the row's turn.
pub fn judge(policy: &Policy, facts: &Facts<'_>) -> Judgement {
    if !is_watched() {
        return policy.judge(facts);
    }
    let mut times = [None; MOST_CHECKS];
    let judgement = policy.judge_by(facts, |check| watch(&mut times, check, facts));
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.database(database)) {
        for (cost, time) in entry.costs.iter().zip(times) {
            if let Some(nanoseconds) = time {
                cost.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
                cost.rows.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    judgement
}

fn watch(
    times: &mut [Option<u64>; MOST_CHECKS],
    check: &EnabledCheck,
    facts: &Facts<'_>,
) -> Option<Finding> {
    let start = Instant::now();
    let finding = check.ask(facts);
    let place = CHECKS.iter().position(|known| known.name() == check.name);
    if let Some(time) = place.and_then(|place| times.get_mut(place)) {
        *time = Some(start.elapsed().as_nanos() as u64);
    }
    finding
}

fn here() -> Option<&'static Database> {
    // SAFETY: a static that is set for the life of the backend.
    shared::shared()?.database(unsafe { pg_sys::MyDatabaseId })
}

/// Behind `stat_check`: the mean time of each check that was watched, in microseconds.
#[pg_extern(sql = false)]
fn check_times() -> JsonB {
    let Some(entry) = here() else { return JsonB(json!([])) };
    let times = CHECKS.iter().zip(&entry.costs).filter_map(|(check, cost)| {
        let rows = cost.rows.load(Ordering::Relaxed);
        let nanoseconds = cost.nanoseconds.load(Ordering::Relaxed);
        let mean = nanoseconds as f64 / rows as f64 / 1_000.0;
        (rows > 0).then(|| json!({ "check_name": check.name(), "time": mean as f32 }))
    });
    JsonB(Json::Array(times.collect()))
}

#[pg_extern(sql = false)]
fn stat_reset() {
    if let Some(entry) = here() {
        entry.reset_counters();
    }
    rights::as_extension(|| {
        spi::write(
            "INSERT INTO spamcheck._stat_reset (at) VALUES (clock_timestamp())
             ON CONFLICT (one) DO UPDATE SET at = excluded.at",
            &[],
        )
    });
}
