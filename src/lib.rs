//! pg_spamcheck protects tables of comments, petition actions and issues from spam, inside PostgreSQL.
//! This file is the table of contents; it must hold no logic beyond `_PG_init`.
//!
//! The nouns: a *protected table* is under a *policy*. One inserted row's content is a *submission*.
//! *Checks* ask one question each; a *finding* is one check's answer. The *verdict* is what follows
//! for the row. A *lookup* is work for the background worker.
//!
//! A row's way: `guard` (BEFORE) reads it through `row` and `submission`, has it judged by the engine
//! with what `rulebook` knows, marks it, refuses it through `report`, or leaves it alone; what was found
//! waits in `stash`; `record` (AFTER) writes it through `checklog` and `lookups`. A rejected row's log
//! entry goes through `mailbox` to the `worker`, which also makes the lookups. Nothing points back.

use pgrx::pg_sys;

pgrx::pg_module_magic!();

// A row's way, in order.
mod trigger;
mod guard;
mod rulebook;
mod protection;
mod row;
mod submission;
mod surroundings;
mod rate;
mod custom;
mod memory;
mod decisions;
mod stash;
mod gathered;
mod unstored;
mod nesting;
mod report;
mod record;
mod key;
mod checklog;
mod logfile;
mod notice;
mod mail;
mod lookups;
mod checked;
mod feedback;
mod stored_row;
mod constraints;
mod subscription;
mod mailbox;
mod wait;
mod captcha;

// What the DBA calls.
mod arguments;
mod protect;
mod catalogue;
mod explain;
mod lists;
mod moderation;
mod packed;
mod validation;
mod references;
mod attaching;
mod renames;
mod restore;
mod uncovered;
mod access;
mod account;
mod webhook;
mod health;
mod worker_state;
mod statistics;
mod privacy;

// What all of them stand on.
mod settings;
mod secrets;
mod sources;
mod shared;
mod transaction;
mod calls;
mod subtransaction;
mod rights;
mod nest_level;
mod intervals;
mod spi;

mod whole_row;
mod worker;

pgrx::extension_sql_file!("../sql/preload.sql", name = "preload", bootstrap);
pgrx::extension_sql_file!("../sql/tables.sql", name = "tables", requires = ["preload"]);
pgrx::extension_sql_file!("../sql/functions.sql", name = "functions", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/moderation.sql", name = "moderation", requires = ["functions"]);
pgrx::extension_sql_file!("../sql/views.sql", name = "views", requires = ["moderation"]);
pgrx::extension_sql_file!("../sql/triggers.sql", name = "triggers", requires = ["views"]);
pgrx::extension_sql_file!(
    "../sql/privileges.sql",
    name = "privileges",
    requires = ["triggers"],
    finalize
);

/// Called by the server when the library is loaded. Settings, shared memory and the launcher can only
/// be made while libraries are preloaded; loaded otherwise, the triggers say what is missing.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    transaction::install();
    // SAFETY: statics of the server, set before libraries are loaded.
    let (preloading, upgrading) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if preloading {
        // pgrx would put a backtrace into the DETAIL of errors that apps and visitors see.
        // SAFETY: the postmaster has one thread.
        unsafe {
            std::env::remove_var("RUST_BACKTRACE");
            std::env::remove_var("RUST_LIB_BACKTRACE");
        }
        settings::define();
        shared::reserve();
        nesting::install();
        if !upgrading {
            worker::launcher::register();
        }
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[path = "../pgrx-tests/mod.rs"]
mod pgrx_tests_suites;

/// How `cargo pgrx test` starts its server.
#[cfg(test)]
pub mod pg_test {
    /// Nothing to prepare.
    pub fn setup(_options: Vec<&str>) {}

    /// The lines that a DBA would add.
    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![crate::settings::PRELOAD_LINE]
    }
}
