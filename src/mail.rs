//! What moderators are to be mailed about: newly moderated rows wait in `spamcheck._mail`, written in the
//! row's own transaction, until the worker has handed them to a mail server. Owns what is kept of a row for
//! that; who gets it and when is worker/mailing.rs's.

use pgrx::{pg_guard, pg_sys};
use serde_json::{Value as Json, json};
use spamcheck_engine::mail::digest::EXCERPT;
use spamcheck_engine::policy::{Keep, Mode, Policy};
use spamcheck_engine::verdict::Verdict;

use crate::spi::{self, Arg};
use crate::trigger::VERSION_1;
use crate::{calls, rights};

/// Findings of a row that a mail tells of.
const MOST_FINDINGS: usize = 20;

/// Characters of one text that are kept for the mail.
const LONGEST: usize = 1_000;

/// What is kept of a row with that verdict, made of its entries for the log; None: nobody is mailed about
/// it. A trial moderates nothing.
pub fn entry(policy: &Policy, verdict: Verdict, entries: &[Json]) -> Option<Json> {
    let settings = &policy.settings;
    let wanted = verdict == Verdict::Moderate
        && settings.mode == Mode::Enforce
        && settings.mail_to.as_ref().is_some_and(|mail_to| !mail_to.is_empty());
    let first = entries.first().filter(|_| wanted)?;
    let cut = |name: &str, longest: usize| {
        first[name].as_str().map(|text| text.chars().take(longest).collect::<String>())
    };
    // A hash tells a reader nothing.
    let excerpt = if settings.keep == Keep::Hash { None } else { cut("comment", EXCERPT + 1) };
    let why: Vec<Json> = entries
        .iter()
        .take(MOST_FINDINGS)
        .map(|entry| {
            let why: String = entry["why"].as_str().unwrap_or("").chars().take(LONGEST).collect();
            json!([entry["check_name"], why])
        })
        .collect();
    Some(json!({
        "policy": settings.name,
        "_protection": first["_protection"],
        "relation": first["relation"],
        "row_key": first["row_key"],
        "submission_id": first["submission_id"],
        "author": cut("author", LONGEST),
        "email": first["email"],
        "ip": first["ip"],
        "excerpt": excerpt,
        "why": why,
    }))
}

/// An edit of a row that waits for a moderator `again` is no news to those who were mailed about it. Before
/// that, the latest entry is the one that is mailed.
const QUEUE: &str =
    "INSERT INTO spamcheck._mail (policy, relation, row_key, submission_id, author, email, ip, excerpt, why)
     SELECT r.policy, r.relation, nullif(r.row_key, 'null'), r.submission_id, r.author, r.email, r.ip, r.excerpt, r.why
       FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
         AS r(policy text, _protection integer, relation text, row_key jsonb, submission_id bigint, author text, email text,
              ip inet, excerpt text, why jsonb, again boolean)
      WHERE r.again IS NOT TRUE
         OR EXISTS (SELECT FROM spamcheck._mail q
                     WHERE q.policy = r.policy AND q.relation = r.relation AND q.row_key = r.row_key)
         OR NOT EXISTS (SELECT FROM spamcheck.spam_checklog l
                         WHERE l._protection = r._protection AND l.row_key = r.row_key AND l.outcome = 'moderated'
                           AND NOT l.reversed AND l.submission_id <> r.submission_id)";

/// The version-1 calling convention's record for `spamcheck_mail_queued`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_mail_queued() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// AFTER STATEMENT on the queue: the worker hears of it at commit.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_mail_queued(
    _fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    calls::mail_queued();
    pg_sys::Datum::null()
}

/// Queues what [`entry`] gave, in the transaction at hand.
pub fn queue(entries: Vec<Json>) {
    rights::as_extension(|| spi::write_json(QUEUE, &Json::Array(entries).to_string()));
}

/// A protected table has another name: moderators are told the one by which they find its rows.
pub fn rename_table(was: &str, is: &str) {
    spi::write(
        "UPDATE spamcheck._mail q SET relation = convert_from($2, 'UTF8')
          WHERE q.relation = convert_from($1, 'UTF8')",
        &[Arg::Text(was), Arg::Text(is)],
    );
}
