//! Log entries of rejected rows, as they come by the mailbox: written in a transaction of the worker's
//! own, together if that works and one by one if not. Must not answer the senders: the commit comes
//! after.

use std::panic::AssertUnwindSafe;

use pgrx::{ereport, pg_sys};
use serde_json::Value as Json;

use crate::checklog;
use crate::subtransaction;
use crate::worker::presence::set;

/// Writes letters' entries; which of them could be.
pub fn write(letters: &[&[u8]]) -> Vec<bool> {
    // The sender's error must not reach its client before its entry is safe.
    set(c"synchronous_commit", c"on", pg_sys::GucAction::GUC_ACTION_LOCAL);
    let parsed: Vec<Option<Vec<Json>>> =
        letters.iter().map(|text| serde_json::from_slice(text).ok()).collect();
    let readable = parsed.iter().map(Option::is_some).collect();
    let together = Json::Array(parsed.into_iter().flatten().flatten().collect()).to_string();
    if subtransaction::attempt(AssertUnwindSafe(|| checklog::write(&together))).is_ok() {
        return readable;
    }
    let one_by_one = letters.iter().map(|text| {
        let text = String::from_utf8_lossy(text);
        subtransaction::attempt(AssertUnwindSafe(|| checklog::write(&text)))
            .inspect_err(|failure| {
                ereport!(
                    LOG,
                    failure.code,
                    "pg_spamcheck could not log a rejected submission",
                    failure.message.clone()
                );
            })
            .is_ok()
    });
    one_by_one.collect()
}
