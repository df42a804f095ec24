//! Log entries of rejected rows, as they come by the mailbox: written in a transaction of the worker's
//! own, together if that works and one by one if not. Must not answer the senders: the commit comes
//! after.

use std::panic::AssertUnwindSafe;

use pgrx::{ereport, pg_sys};
use serde_json::Value as Json;

use crate::checklog;
use crate::notice::Notice;
use crate::subtransaction;
use crate::worker::presence::set;

/// Writes letters' entries; which of them could be.
pub fn write(letters: &[&[u8]]) -> Vec<bool> {
    // The sender's error must not reach its client before its entry is safe.
    set(c"synchronous_commit", c"on", pg_sys::GucAction::GUC_ACTION_LOCAL);
    let parsed: Vec<Option<Vec<Json>>> =
        letters.iter().map(|text| serde_json::from_slice(text).ok()).collect();
    let readable = parsed.iter().map(Option::is_some).collect();
    let together: Vec<Json> = parsed.iter().flatten().flatten().cloned().collect();
    if subtransaction::attempt(AssertUnwindSafe(|| write_and_tell(together))).is_ok() {
        return readable;
    }
    let one_by_one = parsed.into_iter().map(|letter| {
        let Some(letter) = letter else { return false };
        subtransaction::attempt(AssertUnwindSafe(|| write_and_tell(letter)))
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

/// Writes entries, and notifies of what came along with them.
fn write_and_tell(letter: Vec<Json>) {
    let (notices, entries): (Vec<Json>, Vec<Json>) =
        letter.into_iter().partition(|one| one.get("notice").is_some());
    if !entries.is_empty() {
        checklog::write(&Json::Array(entries).to_string());
    }
    for notice in notices {
        if let Ok(notice) = serde_json::from_value::<Notice>(notice["notice"].clone()) {
            notice.send();
        }
    }
}
