//! How often senders were refused by a rate limit: one log entry stands for all refusals of a block, and
//! here its number is brought up to date. Must not run a statement when no number has changed.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

use pgrx::ereport;

use crate::shared::Database;
use crate::worker::presence::transaction;
use crate::{checklog, rate, subtransaction};

/// Writes the numbers that have changed; false: the extension is gone.
pub fn bring_up_to_date(database: &Database) -> bool {
    if !database.refusals.swap(false, Ordering::AcqRel) {
        return true;
    }
    let done = transaction("counting refusals", || {
        let home = rate::home();
        let blocks = rate::unfetched(home);
        if blocks.is_empty() {
            return None;
        }
        let numbers = blocks.iter().map(|block| (block.submission, block.refused));
        let written =
            subtransaction::attempt(AssertUnwindSafe(|| checklog::count_refused(numbers)));
        let in_log = written.unwrap_or_else(|failure| {
            ereport!(
                LOG,
                failure.code,
                "pg_spamcheck could not log how often senders were refused",
                failure.message.clone()
            );
            Vec::new()
        });
        Some((home, blocks, in_log))
    });
    match done {
        None => return false,
        // Only once it is committed.
        Some(Some((home, blocks, in_log))) => {
            if rate::fetched(home, &blocks, |submission| in_log.contains(&submission)) {
                database.refusals.store(true, Ordering::Release);
            }
        }
        Some(None) => {}
    }
    true
}
