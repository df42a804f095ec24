//! The log as a file: one JSON object a line for each finding, for policies with `log_to` file or both.
//! Lines of stored rows wait here until their transaction is committed; those of rejected ones are
//! written at once. Owns the file and the waiting lines; what a line says is checklog.rs's.
//!
//! Lines that cannot be written go to the table as long as the transaction runs: the file is opened just
//! before the commit, while there is still a way back. What fails after it is counted, and the server's
//! log says so. Nothing here may raise an error: after a commit that would bring the server down.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::Value as Json;

use crate::gathered::Gathered;
use crate::{calls, report, settings, shared};

/// Bytes of lines that one transaction may keep waiting; what comes after goes to the table.
const MOST_WAITING: usize = 64 << 20;

/// Times, a millisecond apart, that the file's lock is tried: a commit must not hang on it.
const LOCK_TRIES: usize = 200;

/// Flags of open(2): the setting may name a pipe, which must not stop a commit.
const O_NONBLOCK: i32 = 0o4000;

/// The columns of spam_checklog, as each line has them.
const COLUMNS: [&str; 25] = [
    "id",
    "logged_at",
    "relation",
    "row_key",
    "submission_id",
    "policy",
    "check_name",
    "action",
    "outcome",
    "score",
    "total_score",
    "why",
    "detail",
    "allowed",
    "author",
    "email",
    "ip",
    "url",
    "user_agent",
    "page",
    "comment",
    "submission",
    "reversed",
    "reversed_at",
    "reversed_by",
];

/// A finding that waits for its commit.
struct Waiting {
    line: String,
    /// The entry, if it is nowhere but here: it goes to the table when the file cannot be had.
    only: Option<Json>,
}

thread_local! {
    static WAITING: RefCell<Gathered<Waiting>> = const { RefCell::new(Gathered::new()) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
    /// Lines that there was no room for and whose findings are in the table.
    static MISSED: Cell<usize> = const { Cell::new(0) };
    /// The file, between the last moment before a commit and the first after it.
    static OPENED: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// The line for an entry of checklog.rs.
fn line(entry: &Json) -> String {
    let mut line = String::from("{");
    for (n, column) in COLUMNS.into_iter().enumerate() {
        if n > 0 {
            line.push(',');
        }
        let value = match column {
            "reversed" => &Json::Bool(false),
            column => &entry[column],
        };
        if let ("score" | "total_score", Some(score)) = (column, value.as_f64()) {
            // As the table's type shows it: 0.1, not 0.10000000149011612.
            line.push_str(&format!("\"{column}\":{}", score as f32));
            continue;
        }
        line.push_str(&format!("\"{column}\":{value}"));
    }
    line.push_str("}\n");
    line
}

/// Keeps an entry's line until the commit; `only`: it is not in the table as well. False: there is no
/// room for it, or no file is set.
pub fn wait(entry: &Json, only: bool) -> bool {
    let line = line(entry);
    if settings::log_file().is_none() {
        return false;
    }
    calls::register();
    if BYTES.get() + line.len() > MOST_WAITING {
        MISSED.set(MISSED.get() + usize::from(!only));
        return false;
    }
    BYTES.set(BYTES.get() + line.len());
    let waiting = Waiting { line, only: only.then(|| entry.clone()) };
    WAITING.with_borrow_mut(|all| all.push(waiting));
    true
}

/// Writes lines of entries whose fate is already decided.
pub fn write_now(entries: &[&Json]) -> Result<(), String> {
    let lines: String = entries.iter().map(|entry| line(entry)).collect();
    let result = open().and_then(|mut file| append(&mut file, &lines));
    result.map_err(|error| error.to_string())
}

/// Just before the commit: opens the file. Gives the entries that have to go to the table instead.
/// `prepared`: the commit comes from another session, if ever, so that all have to.
pub fn before_commit(prepared: bool) -> Vec<Json> {
    if WAITING.with_borrow(Gathered::is_empty) {
        return Vec::new();
    }
    let why = if prepared {
        "the transaction is prepared, and is committed elsewhere".to_owned()
    } else {
        match open() {
            Ok(file) => {
                OPENED.set(Some(file));
                return Vec::new();
            }
            Err(error) => error.to_string(),
        }
    };
    let waiting = WAITING.with_borrow_mut(Gathered::take);
    let (only, both): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|waiting| waiting.only).partition(Option::is_some);
    BYTES.set(0);
    lost(both.len() + MISSED.replace(0), &why);
    only.into_iter().flatten().collect()
}

/// The transaction is committed: its lines are written.
pub fn committed() {
    lost(MISSED.replace(0), "the transaction had more than can wait for a commit");
    let Some(mut file) = OPENED.take() else { return };
    let all = WAITING.with_borrow_mut(Gathered::take);
    BYTES.set(0);
    let lines: String = all.iter().map(|waiting| waiting.line.as_str()).collect();
    if let Err(error) = append(&mut file, &lines) {
        lost(all.len(), &error.to_string());
    }
}

/// The transaction is rolled back.
pub fn discard() {
    OPENED.set(None);
    WAITING.with_borrow_mut(Gathered::clear);
    BYTES.set(0);
    MISSED.set(0);
}

/// A subtransaction, and all inside it, is rolled back.
pub fn discard_from(subtransaction: pg_sys::SubTransactionId) {
    WAITING.with_borrow_mut(|all| {
        if !all.is_empty() {
            all.discard_from(subtransaction);
            BYTES.set(all.iter().map(|waiting| waiting.line.len()).sum());
        }
    });
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: pg_sys::SubTransactionId, parent: pg_sys::SubTransactionId) {
    WAITING.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
}

/// Why the file cannot be had now; None: it can. Makes it if it is not there.
pub fn fault() -> Option<String> {
    open().err().map(|error| error.to_string())
}

/// Opened anew each time, so that a file which was rotated away or removed is made again.
fn open() -> io::Result<File> {
    let path =
        settings::log_file().ok_or_else(|| io::Error::other("pg_spamcheck.log_file is not set"))?;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("pg_spamcheck.log_file is not a plain file"))
    }
}

/// One write, which the system does not mix with that of another session. The lock is for looking at
/// what is there: who could read half of a write that goes on would take it for a cut line. It goes with
/// the file's closing, and nobody waits for it long.
fn append(file: &mut File, lines: &str) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        if file.try_lock().is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == [b'\n'] {
        return file.write_all(lines.as_bytes());
    }
    // A full disk cut the line before in two.
    file.write_all(format!("\n{lines}").as_bytes())
}

/// Lines that are not in the file: counted for health(), and told to the server's log.
pub fn lost(count: usize, why: &str) {
    if count == 0 {
        return;
    }
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.enlist(database)) {
        entry.unfiled.fetch_add(count as u64, Ordering::Relaxed);
    }
    report::log(
        PgSqlErrorCode::ERRCODE_WARNING,
        &format!(
            "{count} line{} could not be written to pg_spamcheck.log_file",
            if count == 1 { "" } else { "s" }
        ),
        &format!("The reason: {why}."),
    );
}
