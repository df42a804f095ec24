//! The launcher: one static process that knows which databases have the extension and keeps a worker
//! running in each. It is connected to no database, so it is in nobody's way, and runs no statement:
//! databases are found by a worker that starts, looks, and leaves when there is nothing for it, or no room.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker,
};
use pgrx::{IntoDatum, pg_sys, prelude::*};

use crate::rate;
use crate::report;
use crate::settings;
use crate::shared::{self, Database, Refused, Shared};
use crate::worker::{presence, process};

/// Before a worker that ended is started again; doubled with each start that came to nothing.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often the list of databases is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How soon a database is tried again that somebody needs alone, or for which there was no room.
const AGAIN: Duration = Duration::from_millis(500);
/// Tells a worker that it may look, and not stay: as many run as may.
pub const LOOK_ONLY: &str = "look";

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
    /// Databases that the server's log has told of: there was no room for their workers.
    told: HashSet<u32>,
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
            if name_of(oid.into()).is_none() {
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
            if oid == 0 || !entry.wanted.load(Ordering::Acquire) || entry.runs() || !due {
                continue;
            }
            if self.children.contains_key(&oid) {
                continue;
            }
            match place(oid.into()) {
                Place::Gone => {
                    self.waits.remove(&oid);
                    rate::forget(oid.into());
                    entry.free();
                }
                Place::Closed => {
                    let failures = self.waits.get(&oid).map_or(0, |w| w.0);
                    self.waits.insert(oid, (failures, Instant::now() + AGAIN));
                }
                Place::Open(name) => {
                    if let Err((refused, setting)) = self.start(oid.into(), false) {
                        entry.refused.store(refused as u32, Ordering::Release);
                        if self.told.insert(oid) {
                            no_room(&name, setting);
                        }
                    } else {
                        entry.refused.store(Refused::No as u32, Ordering::Release);
                        self.told.remove(&oid);
                    }
                }
            }
        }
    }

    /// A database may be made from a template that has the extension.
    fn find_new(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let found: HashSet<u32> = databases().into_iter().map(|(oid, _)| oid.to_u32()).collect();
        self.known.retain(|oid| found.contains(oid));
        self.told.retain(|oid| found.contains(oid));
        for oid in found {
            if self.known.insert(oid) {
                self.unseen.push_back(oid.into());
            }
        }
    }

    /// One after the other: looking into hundreds of databases must not take all worker slots. Where as many
    /// run as may, one more may look: nobody else can tell whether that is one too few.
    fn look_into_next(&mut self, shared: &'static Shared) {
        while let Some(oid) = self.unseen.front().copied() {
            // A worker of an earlier launcher may still be there.
            let runs = shared.database(oid).is_some_and(Database::runs);
            if runs || self.children.contains_key(&oid.to_u32()) {
                self.unseen.pop_front();
                continue;
            }
            match place(oid) {
                Place::Gone => {
                    self.unseen.pop_front();
                    continue;
                }
                Place::Closed => self.unseen.rotate_left(1),
                Place::Open(_) => {
                    let look = self.children.len() >= settings::max_workers();
                    if self.start(oid, look).is_ok() {
                        self.unseen.pop_front();
                    }
                }
            }
            return;
        }
    }

    /// Starts a worker, or says which setting is in the way.
    fn start(&mut self, oid: pg_sys::Oid, look: bool) -> Result<(), (Refused, &'static str)> {
        let most = settings::max_workers() + usize::from(look);
        let started = if self.children.len() >= most {
            Err((Refused::MaxWorkers, "pg_spamcheck.max_workers"))
        } else {
            BackgroundWorkerBuilder::new("pg_spamcheck worker")
                .set_type("pg_spamcheck worker")
                .set_library("pg_spamcheck")
                .set_function("spamcheck_worker")
                .set_argument(oid.into_datum())
                .set_extra(if look { LOOK_ONLY } else { "" })
                .set_restart_time(None)
                // SAFETY: set in every process.
                .set_notify_pid(unsafe { pg_sys::MyProcPid })
                .enable_spi_access()
                .load_dynamic()
                .map_err(|_| (Refused::MaxWorkerProcesses, "max_worker_processes"))
        };
        self.full |= started.is_err();
        self.children.insert(oid.to_u32(), Child { handle: started? });
        Ok(())
    }

    fn pause(&self) -> Duration {
        if !self.unseen.is_empty() || self.full {
            return AGAIN;
        }
        let now = Instant::now();
        let waits = self.waits.values().filter(|(_, at)| *at > now).map(|(_, at)| *at - now);
        waits.min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }
}

/// Says that a database with the extension has no worker. health() tells it, too, to whoever asks there.
fn no_room(database: &str, setting: &str) {
    report::warn(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        format!("pg_spamcheck could not start a worker for database \"{database}\""),
        format!(
            "{setting} is too small. Its lookups wait until another worker ends, and its rejections are not logged."
        ),
        "Set pg_spamcheck.max_workers to the number of databases with the extension, max_worker_processes to have room for that, and restart the server.",
    );
}

/// Whether a worker can enter a database.
enum Place {
    /// It can.
    Open(String),
    /// Somebody needs the database alone: who drops it, or copies it.
    Closed,
    /// It is there no longer, or nobody can connect to it.
    Gone,
}

fn place(oid: pg_sys::Oid) -> Place {
    // Before the look: who drops it holds the lock until it is gone.
    if presence::in_the_way(oid) {
        return Place::Closed;
    }
    name_of(oid).map_or(Place::Gone, Place::Open)
}

/// The name of a database that can be connected to.
fn name_of(oid: pg_sys::Oid) -> Option<String> {
    databases().into_iter().find_map(|(found, name)| (found == oid).then_some(name))
}

/// The databases that can be connected to, with their names.
fn databases() -> Vec<(pg_sys::Oid, String)> {
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
                    let name = CStr::from_ptr((*form).datname.data.as_ptr());
                    found.push(((*form).oid, name.to_string_lossy().into_owned()));
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        }
        found
    })
}
