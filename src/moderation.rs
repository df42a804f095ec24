//! What moderators call, as SQL sees it: the arguments, and the answer as jsonb. Each function is a file of
//! its own below; what they share is what the log has (findings.rs), the protected table (place.rs) and
//! the row (held.rs). Rows are locked before their findings, as a plain UPDATE by staff does it too, so
//! that two who decide at once wait for each other in turn and never for each other at once.

mod answer;
mod approve;
mod block_from_log;
mod delete_spam;
pub mod findings;
mod held;
mod not_spam;
mod place;
mod refused;
mod report_spam;
mod resubscribe;

use pgrx::{AnyElement, PgSqlErrorCode, pg_sys, prelude::*};
use spamcheck_engine::Refusal;

use crate::arguments::{given, preloaded};
use crate::report;
use crate::row;
use findings::Finding;

#[pg_extern(sql = false)]
fn not_spam(log_id: Option<i64>) -> AnyElement {
    preloaded();
    not_spam::not_spam(given(log_id, "log_id")).into_jsonb()
}

#[pg_extern(sql = false)]
fn report_spam(relation: Option<pg_sys::Oid>, key: Option<&[u8]>) -> AnyElement {
    preloaded();
    let key = row::from_server(given(key, "key"));
    report_spam::report_spam(given(relation, "relation"), &key).into_jsonb()
}

#[pg_extern(sql = false)]
fn approve(relation: Option<pg_sys::Oid>, key: Option<&[u8]>) -> AnyElement {
    preloaded();
    let key = row::from_server(given(key, "key"));
    approve::approve(given(relation, "relation"), &key).into_jsonb()
}

#[pg_extern(sql = false)]
fn delete_spam(log_id: Option<i64>) -> AnyElement {
    preloaded();
    delete_spam::delete_spam(given(log_id, "log_id")).into_jsonb()
}

#[pg_extern(sql = false)]
fn block_from_log(
    log_id: Option<i64>,
    what: Option<&[u8]>,
    expires_in: Option<Interval>,
) -> Vec<u8> {
    preloaded();
    let what = row::from_server(given(what, "what"));
    let entry = block_from_log::block_from_log(given(log_id, "log_id"), &what, expires_in);
    row::to_server(&row::fitting(&entry)).into_bytes()
}

#[pg_extern(sql = false)]
fn resubscribe(subscriber: Option<&[u8]>, restore_rows: Option<bool>) -> AnyElement {
    preloaded();
    let subscriber = row::from_server(given(subscriber, "subscriber"));
    resubscribe::resubscribe(&subscriber, restore_rows.unwrap_or(false)).into_jsonb()
}

#[pg_extern(sql = false)]
fn subscriber_status(subscriber: Option<&[u8]>) -> Option<Vec<u8>> {
    let subscriber = row::from_server(given(subscriber, "subscriber"));
    resubscribe::subscriber_status(&subscriber).map(|text| row::to_server(&text).into_bytes())
}

/// The finding with an id, as a moderator names it.
fn finding(log_id: i64) -> Finding {
    findings::find(log_id).unwrap_or_else(|| {
        report::refuse(
            PgSqlErrorCode::ERRCODE_NO_DATA_FOUND,
            Refusal::new(format!("there is no log entry {log_id}"))
                .with_detail("It was never written, or it was purged by the policy's retention.")
                .with_hint("SELECT id FROM spamcheck.recent shows those there are."),
        )
    })
}
