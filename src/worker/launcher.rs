//! The launcher: one static process that knows which databases have the extension and keeps a worker
//! running in each. It is connected to no database, so it is in nobody's way, and runs no statement:
//! databases are found by a worker that starts, looks, and leaves when there is nothing for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker,
};
use pgrx::{IntoDatum, pg_sys, prelude::*};

use crate::rate;
use crate::settings;
use crate::shared::{self, Database, Refused, Shared};
use crate::worker::process;

/// Before a worker that ended is started again; doubled with each start that came to nothing.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often the list of databases is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Registers the launcher with the postmaster.
pub fn register() {
    BackgroundWorkerBuilder::new("pg_spamcheck launcher")
        .set_type("pg_spamcheck launcher")
        .set_library("pg_spamcheck")
        .set_function("spamcheck_launcher")
        .set_restart_time(Some(Duration::from_secs(1)))
        .enable_spi_access()
        .load();
}

struct Child {
    handle: DynamicBackgroundWorker,
}

#[derive(Default)]
struct Launcher {
    /// Databases to look into once.
    unseen: VecDeque<pg_sys::Oid>,
    /// Databases that were looked into, or will be.
    known: HashSet<u32>,
    looked: Option<Instant>,
    children: HashMap<u32, Child>,
    /// Failures in a row, and when the next start may be.
    waits: HashMap<u32, (u32, Instant)>,
    full: bool,
}

/// The launcher's main function.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn spamcheck_launcher(_arg: pg_sys::Datum) {
    process::start();
    BackgroundWorker::connect_worker_to_spi(None, None);
    let Some(shared) = shared::shared() else { return };
    // SAFETY: set in every process.
    shared.launcher.store(unsafe { pg_sys::MyLatch }, Ordering::Release);
    let mut launcher = Launcher::default();
    loop {
        launcher.find_new();
        launcher.reap(shared);
        launcher.start_wanted(shared);
        launcher.look_into_next(shared);
        process::wait(launcher.pause(), None);
        process::reload_if_asked();
    }
}

impl Launcher {
    /// Notices workers that ended. One that failed at once starts again later and later.
    fn reap(&mut self, shared: &'static Shared) {
        let ended: Vec<u32> = self
            .children
            .iter()
            .filter(|(_, c)| {
                matches!(
                    c.handle.pid(),
                    Err(BackgroundWorkerStatus::Stopped | BackgroundWorkerStatus::PostmasterDied)
                )
            })
            .map(|(oid, _)| *oid)
            .collect();
        for oid in ended {
            self.children.remove(&oid);
            self.full = false;
            let Some(entry) = shared.database(oid.into()) else {
                self.waits.remove(&oid);
                continue;
            };
            if !databases().contains(&oid.into()) {
                rate::forget(oid.into());
                entry.free();
                continue;
            }
            let failures = match entry.told_to_end.swap(false, Ordering::AcqRel) {
                true => 0,
                false => self.waits.get(&oid).map_or(0, |w| w.0) + 1,
            };
            let wait = FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT);
            self.waits.insert(oid, (failures, Instant::now() + wait));
        }
    }

    fn start_wanted(&mut self, shared: &'static Shared) {
        for entry in &shared.databases {
            let oid = entry.oid.load(Ordering::Acquire);
            let due = self.waits.get(&oid).is_none_or(|(_, at)| Instant::now() >= *at);
            // A worker of an earlier launcher may still be there.
            if oid != 0 && entry.wanted.load(Ordering::Acquire) && !entry.runs() && due {
                self.start(oid.into());
            }
        }
    }

    /// A database may be made from a template that has the extension.
    fn find_new(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let found = databases();
        self.known.retain(|oid| found.contains(&(*oid).into()));
        for oid in found {
            if self.known.insert(oid.to_u32()) {
                self.unseen.push_back(oid);
            }
        }
    }

    /// One after the other: looking into hundreds of databases must not take all worker slots.
    fn look_into_next(&mut self, shared: &'static Shared) {
        while let Some(oid) = self.unseen.front().copied() {
            // A worker of an earlier launcher may still be there.
            let runs = shared.database(oid).is_some_and(Database::runs);
            if runs || self.children.contains_key(&oid.to_u32()) {
                self.unseen.pop_front();
                continue;
            }
            if self.start(oid) {
                self.unseen.pop_front();
            }
            return;
        }
    }

    fn start(&mut self, oid: pg_sys::Oid) -> bool {
        if self.children.contains_key(&oid.to_u32()) {
            return true;
        }
        let started = if self.children.len() >= settings::max_workers() {
            Err((Refused::MaxWorkers, "pg_spamcheck.max_workers"))
        } else {
            BackgroundWorkerBuilder::new("pg_spamcheck worker")
                .set_type("pg_spamcheck worker")
                .set_library("pg_spamcheck")
                .set_function("spamcheck_worker")
                .set_argument(oid.into_datum())
                .set_restart_time(None)
                // SAFETY: set in every process.
                .set_notify_pid(unsafe { pg_sys::MyProcPid })
                .enable_spi_access()
                .load_dynamic()
                .map_err(|_| (Refused::MaxWorkerProcesses, "max_worker_processes"))
        };
        // health() tells it to whoever asks in that database.
        if let Some(entry) = shared::shared().and_then(|s| s.database(oid)) {
            let refused = started.as_ref().err().map_or(Refused::No, |(refused, _)| *refused);
            entry.refused.store(refused as u32, Ordering::Release);
        }
        match started {
            Ok(handle) => {
                self.children.insert(oid.to_u32(), Child { handle });
                true
            }
            Err((_, setting)) => {
                if !std::mem::replace(&mut self.full, true) {
                    ereport!(
                        WARNING,
                        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
                        "pg_spamcheck could not start a worker for a database",
                        format!(
                            "{setting} is too small. Its lookups wait until another worker ends, and its rejections are not logged."
                        )
                    );
                }
                false
            }
        }
    }

    fn pause(&self) -> Duration {
        if !self.unseen.is_empty() || self.full {
            return Duration::from_millis(500);
        }
        let now = Instant::now();
        let waits = self.waits.values().filter(|(_, at)| *at > now).map(|(_, at)| *at - now);
        waits.min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }
}

/// The databases that can be connected to.
fn databases() -> Vec<pg_sys::Oid> {
    BackgroundWorker::transaction(|| {
        let mut found = Vec::new();
        // SAFETY: the scan of autovacuum's get_database_list: a shared catalog, no database needed.
        unsafe {
            let relation =
                pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
            let scan = pg_sys::systable_beginscan(
                relation,
                pg_sys::InvalidOid,
                false,
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            );
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
                if (*form).datallowconn {
                    found.push((*form).oid);
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        }
        found
    })
}
