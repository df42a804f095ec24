//! What a session asks about the account at Akismet: akismet_verify_key() and akismet_usage(), and for
//! others what the worker knows of it. Sessions never touch the network nor the key: the worker is asked
//! by the mailbox, and the session sleeps on its latch until the answer comes.

use std::time::{Duration, Instant};

use pgrx::{AnyElement, PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::Refusal;

use crate::arguments::jsonb;
use crate::mailbox::{self, Unsettled};
use crate::report;
use crate::rights;
use crate::row;
use crate::settings;
use crate::shared;
use crate::spi;

/// How long the worker may take beside the request itself.
const MARGIN: Duration = Duration::from_secs(3);
/// How long a worker that does not run may take to come.
const ARRIVAL: Duration = Duration::from_secs(3);

#[pg_extern(sql = false)]
fn akismet_verify_key() -> Vec<u8> {
    row::to_server(&row::fitting(&verify_key())).into_bytes()
}

fn verify_key() -> String {
    let blog = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(s.options ->> 'blog', 'UTF8') FROM spamcheck.check_setting s
              WHERE s.check_name = 'akismet' AND s.options ->> 'blog' <> ''
              ORDER BY s.enabled DESC, s.policy <> 'default', s.policy LIMIT 1",
            &[],
        )
    });
    let answer = ask(&json!({ "about": "verify_key", "blog": blog }), of_request());
    if let Some(reason) = answer["invalid"].as_str() {
        report::notice(reason);
        return "invalid".to_owned();
    }
    match answer["failed"].as_str() {
        None if answer["valid"] == true => "valid".to_owned(),
        why => format!("failed: {}", why.unwrap_or("the worker gave no answer")),
    }
}

#[pg_extern(sql = false)]
fn akismet_usage() -> Option<AnyElement> {
    let answer = ask(&json!({ "about": "usage_limit" }), of_request());
    if answer["usage"].is_object() {
        return jsonb(&answer["usage"]);
    }
    let why = answer["failed"].as_str().unwrap_or("the worker gave no answer");
    report::refuse(
        PgSqlErrorCode::ERRCODE_CONNECTION_EXCEPTION,
        Refusal::new(format!("Akismet did not say how much of the account is used: {why}"))
            .with_hint("SELECT spamcheck.akismet_verify_key() tells whether it takes the key; spamcheck.health() tells more."),
    )
}

/// How long a request of the worker may take.
fn of_request() -> Duration {
    Duration::from_millis(settings::network().request_timeout_ms) + MARGIN
}

/// Asks the worker something about the account; without a worker, or in vain, it is an error.
pub fn ask(question: &Json, patience: Duration) -> Json {
    try_ask(question, patience, ARRIVAL).unwrap_or_else(|unsettled| {
        let refusal = Refusal::new("Akismet cannot be asked: no pg_spamcheck worker answers")
            .with_detail(format!("It could not be asked since {}.", unsettled.reason()))
            .with_hint("SELECT * FROM spamcheck.health() says what keeps the worker from running.");
        report::refuse(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, refusal)
    })
}

/// [`ask`], for those who can do without an answer.
pub fn try_ask(question: &Json, patience: Duration, arrival: Duration) -> Result<Json, Unsettled> {
    // SAFETY: statics that are set for the life of the backend; plain call.
    let (oid, standby) = unsafe { (pg_sys::MyDatabaseId, pg_sys::RecoveryInProgress()) };
    let database = shared::shared().filter(|_| !standby).and_then(|shared| shared.enlist(oid));
    let Some(database) = database else { return Err(Unsettled::NoWorker) };
    if !mailbox::worker_comes(database, arrival) {
        return Err(Unsettled::NoWorker);
    }
    let mut question = question.clone();
    question["ask"] = "account".into();
    let answer =
        mailbox::ask(database, question.to_string().as_bytes(), Instant::now() + patience)?;
    serde_json::from_slice(&answer).map_err(|_| Unsettled::Failed)
}
