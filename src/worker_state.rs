//! The worker's counters, for the view stat_worker. Reads shared memory only.

use std::sync::atomic::Ordering;

use pgrx::{JsonB, pg_sys, prelude::*};
use serde_json::json;

use crate::row::EPOCH_OFFSET;
use crate::shared::{self, Lane};
use crate::{rights, spi};

#[pg_extern(sql = false)]
fn worker_state() -> JsonB {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    let Some(entry) = shared::shared().and_then(|s| s.database(database)) else {
        return JsonB(json!([]));
    };
    let name = rights::as_extension(|| {
        spi::text_now("SELECT convert_to(current_database(), 'UTF8')", &[])
    });
    let pid = entry.pid.load(Ordering::Acquire);
    let started = entry.started_at.load(Ordering::Acquire);
    JsonB(json!([{
        "database": name,
        "pid": (pid != 0).then_some(pid),
        "started_at": (pid != 0).then(|| timestamp(started)),
        "akismet": match entry.lane() {
            Lane::Open => "open",
            Lane::NoKey => "no key",
            Lane::InvalidKey => "invalid key",
            Lane::Down => "down",
            Lane::BadSecrets => "bad secrets file",
            Lane::BadSettings => "bad settings",
        },
        "in_flight": entry.in_flight.load(Ordering::Relaxed),
        "answered": entry.answered.load(Ordering::Relaxed),
        "unanswered": entry.unanswered.load(Ordering::Relaxed),
        "applied": entry.applied.load(Ordering::Relaxed),
        "rejections_logged": entry.logged.load(Ordering::Relaxed),
        "rejections_unlogged": entry.unlogged.load(Ordering::Relaxed),
    }]))
}

/// Microseconds as the server counts, in ISO 8601.
fn timestamp(microseconds: i64) -> String {
    spamcheck_engine::time::iso(microseconds.saturating_add(EPOCH_OFFSET))
}
