//! akismet_webhook(): Akismet has changed its mind about submissions that it was asked about. The app's
//! endpoint hands over what came. Owns whose word counts: Akismet's own earlier one is replaced, a
//! human's stays. Rows are written as any verdict is, by worker/settle.rs, and if one cannot be written
//! now, the worker tries again. Source: the WordPress plugin's webhook (1.7 of Akismet's protocol).

use std::time::Duration;

use pgrx::{AnyElement, PgSqlErrorCode, pg_sys, prelude::*};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use spamcheck_engine::verdict::{Action, Finding, Verdict};
use spamcheck_engine::{Facts, Policy, Refusal, Submission};

use crate::arguments::jsonb;
use crate::arguments::{given, json as json_argument};
use crate::checklog::sha256;
use crate::constraints;
use crate::lookups::Claimed;
use crate::spi::{self, Arg};
use crate::submission::now;
use crate::worker::settle::{self, Answered, Settled};
use crate::{account, checked, checklog, lookups, nest_level, report, rights, rulebook, settings};

/// How long the worker may take to say whether the key is right.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the check that a guid names.
#[derive(Clone, Debug, Deserialize)]
struct Check {
    protection: i32,
    relation: Option<String>,
    row_key: Option<Json>,
    result: String,
    decided: bool,
    submission: Json,
    fingerprint: Json,
    status: Option<Json>,
    former: Option<Json>,
    total: f32,
}

#[pg_extern(sql = false)]
fn akismet_webhook(payload: Option<AnyElement>) -> Option<AnyElement> {
    nest_level::within(&[], || {
        // The payload has the key in it: what fails here must not bring the statement into the server's log.
        // SAFETY: within a level; on an error it is in force until the error has been reported.
        unsafe {
            let context = pg_sys::GucContext::PGC_SUSET;
            nest_level::set_as(context, c"log_min_error_statement", c"panic");
        }
        hear_all(json_argument(given(payload, "payload")))
    })
}

fn hear_all(payload: Json) -> Option<AnyElement> {
    must_know_key(payload["key"].as_str().unwrap_or_default());
    let Some(comments) = payload["comments"].as_array() else {
        report::refuse_value(
            Refusal::new("malformed_request: \"comments\" of the payload is not an array")
                .with_detail("Akismet posts {\"key\", \"endpoint\", \"comments\": [{\"guid\", \"result\"}]}.")
                .with_hint("Hand over the JSON body of the request as it came."),
        )
    };
    let endpoint = payload["endpoint"].as_str().unwrap_or_default();
    // What the caller has put off is done with the caller's own rights, before any of an owner's are taken.
    constraints::all_at_once();
    let mut answers = Map::new();
    for comment in comments {
        let Some(guid) = comment["guid"].as_str().filter(|guid| !guid.is_empty()) else { continue };
        let spam = match (comment["result"].as_str(), endpoint) {
            (Some("true"), _) | (None, "submit-spam") => Some(true),
            (Some("false"), _) | (None, "submit-ham") => Some(false),
            _ => comment["result"].as_bool(),
        };
        let answer = match spam {
            Some(spam) => hear(guid, spam),
            None => Err("its result is neither \"true\" nor \"false\"".to_owned()),
        };
        let (status, message) = match answer {
            Ok(message) => ("success", message.to_owned()),
            Err(message) => ("error", message),
        };
        answers.insert(guid.to_owned(), json!({ "status": status, "message": message }));
    }
    constraints::as_declared();
    jsonb(&json!({ "comments": answers }))
}

/// The worker has the key; it is told a hash. Akismet's own client compares keys without their case.
fn must_know_key(key: &str) {
    let hash = sha256(&key.trim().to_lowercase());
    let answer = account::ask(&json!({ "about": "knows_key", "hash": hash }), PATIENCE);
    if answer["knows"] == true {
        return;
    }
    if let Some(why) = answer["failed"].as_str() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("Akismet's webhook cannot be believed: {why}")).with_hint(
                "Put {\"akismet\": \"KEY\"} into the file that pg_spamcheck.secrets_file names.",
            ),
        );
    }
    report::refuse(
        PgSqlErrorCode::ERRCODE_INVALID_PASSWORD,
        Refusal::new("the payload does not have this site's Akismet key")
            .with_detail("Nothing was changed.")
            .with_hint("Answer the request with status 403: it does not come from Akismet."),
    );
}

/// What Akismet says now about one submission; an error is a sentence.
fn hear(guid: &str, spam: bool) -> Result<&'static str, String> {
    let found: Vec<Check> = checked::by_guid(guid);
    let [check] = found.as_slice() else {
        return Err(match found.len() {
            0 => "no submission with this guid is known".to_owned(),
            n => format!("{n} submissions have this guid"),
        });
    };
    let Some(row_key) = &check.row_key else {
        return Ok("noted: the submission was rejected, so there is no row to change");
    };
    let said = if spam { "spam" } else { "ham" };
    if check.result == said {
        return Ok(match (check.decided, spam) {
            (true, _) => "somebody has decided about it since; nothing was changed",
            (false, true) => "it is spam already",
            (false, false) => "it is ham already",
        });
    }
    let stored = rights::as_extension(|| rulebook::stored(check.protection));
    let policy = stored.and_then(|stored| rulebook::policy(&stored.policy));
    let Some((policy, relation)) =
        policy.filter(|p| p.akismet().is_some()).zip(check.relation.as_deref())
    else {
        return Err("the table's policy does not ask Akismet any more".to_owned());
    };
    if check.decided {
        checked::changed_mind(check.protection, row_key, said);
        if spam {
            log_in_vain(&policy, check, relation, guid);
        }
        return Ok("noted: somebody else has set the row's status since");
    }
    // What was to be asked again later has its answer.
    take_back(check.protection, row_key);
    let detail = json!({ "guid": guid, "webhook": true });
    let lookup = Claimed {
        kind: "akismet".to_owned(),
        row_key: row_key.clone(),
        attempts: 1,
        policy: policy.settings.name.clone(),
        submission: check.submission.clone(),
        protection: check.protection,
        fingerprint: check.fingerprint.clone(),
        // Without Akismet's word the row has the status that it had, and gets it back.
        status: if spam { check.status.clone() } else { None },
        former: if spam { check.former.clone() } else { check.status.clone() },
        held: !spam,
        total: check.total,
        ..Claimed::default()
    };
    let id = queue(&lookup, relation, &json!({ "spam": spam, "detail": detail }));
    let concluded = Answered { lookup: Claimed { id, ..lookup }, spam, detail }.into();
    let settled = settle::settle_in_session(&concluded);
    match settled {
        Ok(settled) if settled != Settled::Locked => {
            lookups::finish(&[id]);
            checked::changed_mind(check.protection, row_key, said);
            Ok(match (settled, spam) {
                (Settled::Overtaken, _) => {
                    "noted: the row is not what Akismet was asked about any more"
                }
                (_, true) => "the row is treated as spam now",
                (_, false) => {
                    log_reversed(check.protection, row_key);
                    "the row has its own status again"
                }
            })
        }
        _ => {
            checked::changed_mind(check.protection, row_key, said);
            Ok("the row cannot be changed at the moment; the worker will do it")
        }
    }
}

/// Takes back the question that was to be asked again later.
fn take_back(protection: i32, row_key: &Json) {
    rights::as_extension(|| {
        spi::write_returning(
            "DELETE FROM spamcheck.lookup l
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
                AND l.kind = 'akismet' AND l.reason = 'recheck_queue'
             RETURNING NULL::bytea",
            &[Arg::Int(protection), Arg::Text(&row_key.to_string())],
        )
    });
}

/// Queues a lookup that has its answer; its id.
fn queue(lookup: &Claimed, relation: &str, answer: &Json) -> i64 {
    let row = json!({
        "relation": relation,
        "row_key": lookup.row_key,
        "policy": lookup.policy,
        "submission": lookup.submission,
        "_protection": lookup.protection,
        "_fingerprint": lookup.fingerprint,
        "_status": lookup.status,
        "_former": lookup.former,
        "_held": lookup.held,
        "_total": lookup.total,
        "_answer": answer,
    });
    let id = rights::as_extension(|| {
        spi::write_json(
            "INSERT INTO spamcheck.lookup (kind, relation, row_key, policy, submission, _protection, _fingerprint, _status,
                                           _former, _held, _total, _answer)
             SELECT 'akismet', r.relation, r.row_key, r.policy, r.submission, r._protection, r._fingerprint,
                    nullif(r._status, 'null'), nullif(r._former, 'null'), r._held, r._total, r._answer
               FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                 AS r(relation text, row_key jsonb, policy text, submission jsonb, _protection integer, _fingerprint jsonb,
                      _status jsonb, _former jsonb, _held boolean, _total real, _answer jsonb)
             RETURNING convert_to(id::text, 'UTF8')",
            &row.to_string(),
        )
    });
    id.and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// A word of spam that changes nothing, since a human has decided.
fn log_in_vain(policy: &Policy, check: &Check, relation: &str, guid: &str) {
    let Some(akismet) = policy.akismet() else { return };
    let Ok(submission) = Submission::from_json(&check.submission) else { return };
    let facts = Facts::new(&submission, settings::max_checked_chars(), now());
    let finding = Finding {
        action: Action::Log,
        score: 0.0,
        why: "Akismet calls it spam now; somebody else has set the status since".to_owned(),
        ..akismet.finding(json!({ "guid": guid, "webhook": true }))
    };
    let mut judgement = policy.weigh(vec![finding]);
    (judgement.verdict, judgement.total) = (Verdict::Ham, check.total);
    let about = checklog::About {
        protection: check.protection,
        relation,
        row_key: check.row_key.as_ref(),
        former: check.former.as_ref(),
        whole_row: None,
    };
    let id = checklog::next_submission_id();
    checklog::log(checklog::entries(policy, &about, &facts, &judgement, id));
}

/// What the log says of Akismet's earlier word does not hold any more.
fn log_reversed(protection: i32, row_key: &Json) {
    rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.spam_checklog l
                SET reversed = true, reversed_at = clock_timestamp(), reversed_by = 'akismet', outcome = 'not_spam'
              WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
                AND l.check_name = 'akismet' AND NOT l.reversed
             RETURNING NULL::bytea",
            &[Arg::Int(protection), Arg::Text(&row_key.to_string())],
        )
    });
}
