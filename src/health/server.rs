//! What the server has to provide: the preloaded library, a worker, room for senders, a log file, readable
//! addresses, and rejections that are logged.

use std::sync::atomic::Ordering;

use pgrx::pg_sys;

use super::{Item, RELOAD, bad, ok, switch};
use crate::shared::{self, Database, Refused};
use crate::spi::{self, Arg};
use crate::worker::jobs;
use crate::{logfile, rate, rights, settings};

pub fn preload() -> Item {
    if shared::shared().is_some() {
        let on = || ok("preload", "pg_spamcheck is in shared_preload_libraries");
        switch::off().unwrap_or_else(on)
    } else {
        bad(
            "preload",
            "error",
            "pg_spamcheck is not in shared_preload_libraries: nothing is judged",
            format!("Add {} to postgresql.conf and restart the server.", settings::PRELOAD_LINE),
        )
    }
}

pub fn worker(entry: Option<&Database>) -> Item {
    // SAFETY: plain call.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return ok("worker", "this server is a standby; the worker starts when it is promoted");
    }
    if let Some(pid) = entry.map(|e| e.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0) {
        let failing = jobs::failing(entry.map_or(0, |e| e.failing.load(Ordering::Relaxed)));
        if failing.is_empty() {
            return ok("worker", format!("runs with process id {pid}"));
        }
        return bad(
            "worker",
            "error",
            format!(
                "runs with process id {pid}, but fails and tries again at: {}",
                failing.join(", ")
            ),
            "The server's log says why, in a WARNING that begins with \"pg_spamcheck failed at\". Once it is mended, SELECT pg_reload_conf() has it tried at once.",
        );
    }
    let none =
        "no pg_spamcheck worker runs in this database: no lookups, and rejections are not logged";
    let most = settings::max_workers();
    match entry.map_or(Refused::No, |e| Refused::of(e.refused.load(Ordering::Acquire))) {
        Refused::No => bad(
            "worker",
            "error",
            none,
            "It starts within a second or two. If it does not, see the server's log.",
        ),
        Refused::MaxWorkers => bad(
            "worker",
            "error",
            format!("{none}. Other databases have all {most} that pg_spamcheck.max_workers allows"),
            format!(
                "Set pg_spamcheck.max_workers to the number of databases with the extension (it is {most}), max_worker_processes to have room for that, and restart the server."
            ),
        ),
        Refused::MaxWorkerProcesses => bad(
            "worker",
            "error",
            format!("{none}. The server has no free one of its max_worker_processes"),
            "Raise max_worker_processes by the number of databases with the extension and one more for the launcher, and restart the server.",
        ),
    }
}

/// Whether the settings of the network can be used, whoever would make the requests.
pub fn network(fault: Option<&str>) -> Item {
    match fault {
        None => ok("network", "nothing in the settings stands against requests"),
        Some(fault) => bad("network", "error", format!("no request can be made: {fault}"), RELOAD),
    }
}

pub fn senders() -> Item {
    match rate::displaced() {
        0 => ok("rate_limit", "the table of senders has room for all that count"),
        displaced => bad(
            "rate_limit",
            "warning",
            format!(
                "the table of senders was full: {displaced} were forgotten while they still counted"
            ),
            "Raise pg_spamcheck.rate_limit_entries; it takes effect when the server starts.",
        ),
    }
}

pub fn addresses(entry: Option<&Database>) -> Item {
    let count = entry.map_or(0, |e| e.unreadable_ips.load(Ordering::Relaxed));
    if count == 0 {
        return ok("addresses", "every ip that was given since the server started is an address");
    }
    let table = entry.map_or(0, |e| e.unreadable_ip_in.load(Ordering::Relaxed));
    let table = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(format('%I.%I', n.nspname, c.relname), 'UTF8')
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[Arg::Oid(table.into())],
        )
    });
    let latest = table.map_or_else(String::new, |table| format!(", the latest in {table}"));
    let submissions = if count == 1 { "1 submission" } else { &format!("{count} submissions") };
    bad(
        "addresses",
        "warning",
        format!(
            "{submissions} since the server started had an ip that is no address{latest}: to rate_limit, ip_allow, \
             ip_block, ip_interval and Akismet they have none"
        ),
        "Store one address, such as 192.0.2.1, 192.0.2.1:8080 or 2001:db8::1. Of the header X-Forwarded-For that is the \
         entry that your own proxy added, the last one mostly; the others are the visitor's own words. \
         SELECT detail -> 'notes' FROM spamcheck.explain('a_table', '{\"ip\": \"…\"}') tells how a text is read.",
    )
}

pub fn rejections(entry: Option<&Database>) -> Item {
    match entry.map_or(0, |e| e.unlogged.load(Ordering::Relaxed)) {
        0 => ok("rejections", "all rejections since the server started are in the log"),
        n => bad(
            "rejections",
            "warning",
            format!("{n} rejections since the server started could not be logged"),
            "The server's log names each; see the worker's state, and pg_spamcheck.mailbox_slots.",
        ),
    }
}

pub fn log_file(entry: Option<&Database>) -> Item {
    let wanted = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck.policy p WHERE p.log_to <> 'table' LIMIT 1",
            &[],
        )
    });
    let unfiled = entry.map_or(0, |e| e.unfiled.load(Ordering::Relaxed));
    let fault = wanted.as_ref().and_then(|_| logfile::fault());
    match (wanted, fault) {
        (_, Some(why)) => bad(
            "log_file",
            "error",
            format!("the log file cannot be written: {why}; findings are logged in the table"),
            "Set pg_spamcheck.log_file to a file in a folder where the server's user may write.",
        ),
        _ if unfiled > 0 => bad(
            "log_file",
            "warning",
            format!(
                "{unfiled} finding{} since the server started could not be written to the log file",
                if unfiled == 1 { "" } else { "s" }
            ),
            "The server's log says why: a full disk, a prepared transaction, or a very large one.",
        ),
        (None, None) => ok("log_file", "no policy logs to a file"),
        (Some(_), None) => ok("log_file", "the log file can be written"),
    }
}
