//! NOTIFY of verdicts, for policies with a `notify_channel`: who listens hears of a verdict when its row is
//! committed, or when the log entry of a rejected one is. Owns what a notification says and how it waits
//! for the commit; when a verdict falls is guard.rs's and the worker's.
//!
//! Notifications wait here, and not in the server's own list, until the commit begins: a transaction with
//! one in that list cannot be prepared, and an app must not fail because somebody listens.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};

use pgrx::{PgLogLevel, PgSqlErrorCode, function_name, pg_sys};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use spamcheck_engine::policy::{Mode, Policy};
use spamcheck_engine::verdict::Verdict;

use crate::gathered::Gathered;
use crate::{calls, row};

/// The server takes fewer bytes than this of a payload (NOTIFY_PAYLOAD_MAX_LENGTH in async.c, for pages of
/// 8 kB).
const PAYLOAD: usize = 8_000;

unsafe extern "C-unwind" {
    fn Async_Notify(channel: *const c_char, payload: *const c_char);
}

/// A notification.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Notice {
    channel: String,
    payload: String,
}

impl Notice {
    /// What is told of a verdict; None: the policy tells nobody.
    pub fn of(
        policy: &Policy,
        relation: &str,
        key: Option<&Json>,
        verdict: Verdict,
    ) -> Option<Self> {
        let channel = policy.settings.notify_channel.clone()?;
        let trial = policy.settings.mode != Mode::Enforce;
        let whole = payload(relation, key, verdict, trial, false);
        // In the database's encoding it may have more bytes.
        let payload = if row::to_server(&whole).count_bytes() < PAYLOAD {
            whole
        } else {
            payload(relation, None, verdict, trial, true)
        };
        Some(Self { channel, payload })
    }

    /// Notifies in the transaction at hand.
    pub fn send(&self) {
        let (channel, payload) = (row::to_server(&self.channel), row::to_server(&self.payload));
        notify(&channel, &payload);
    }
}

fn payload(
    relation: &str,
    key: Option<&Json>,
    verdict: Verdict,
    trial: bool,
    truncated: bool,
) -> String {
    let key = key.unwrap_or(&Json::Null);
    let mut text = format!(
        "{{\"relation\":{},\"key\":{key},\"verdict\":\"{}\"",
        json!(relation),
        verdict.name()
    );
    if trial {
        text.push_str(",\"trial\":true");
    }
    if truncated {
        text.push_str(",\"truncated\":true");
    }
    text.push('}');
    text
}

fn notify(channel: &CStr, payload: &CStr) {
    // SAFETY: in a transaction; the server copies both.
    unsafe { Async_Notify(channel.as_ptr(), payload.as_ptr()) };
}

thread_local! {
    static WAITING: RefCell<Gathered<Notice>> = const { RefCell::new(Gathered::new()) };
}

/// Notifies once the transaction at hand is committed.
pub fn at_commit(notice: Notice) {
    calls::register();
    WAITING.with_borrow_mut(|all| all.push(notice));
}

/// The commit begins. `prepared`: it comes from another session, if ever, which knows nothing of this one.
pub fn before_commit(prepared: bool) {
    let waiting = WAITING.with_borrow_mut(Gathered::take);
    if waiting.is_empty() {
        return;
    }
    if prepared {
        pg_sys::panic::ErrorReport::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("{} verdicts of a prepared transaction are not notified", waiting.len()),
            function_name!(),
        )
        .set_detail("PostgreSQL has no NOTIFY for prepared transactions.".to_owned())
        .report(PgLogLevel::LOG);
        return;
    }
    for notice in &waiting {
        notice.send();
    }
}

/// The transaction is rolled back.
pub fn discard() {
    WAITING.with_borrow_mut(Gathered::clear);
}

/// A subtransaction, and all inside it, is rolled back.
pub fn discard_from(subtransaction: pg_sys::SubTransactionId) {
    WAITING.with_borrow_mut(|all| all.discard_from(subtransaction));
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: pg_sys::SubTransactionId, parent: pg_sys::SubTransactionId) {
    WAITING.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
}
