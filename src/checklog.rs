//! The one writer of spam_checklog: findings become entries, entries become rows. Owns what the log
//! keeps of a submission; when an entry is written, and by whom, is record.rs's and the worker's.

use pgrx::pg_sys;
use serde_json::{Value as Json, json};
use spamcheck_engine::policy::{Keep, Mode};
use spamcheck_engine::verdict::Judgement;
use spamcheck_engine::{Facts, Field, Policy, Value};

use crate::rights;
use crate::spi::{self, Arg};

/// Characters of a text that policies with `keep = excerpt` log (interface section 5).
const EXCERPT: usize = 200;

/// The row that a judgement is about, as the log names it.
pub struct About<'a> {
    /// The protection in force.
    pub protection: i32,
    /// The protected table.
    pub relation: &'a str,
    /// The row's primary key; None: it was rejected.
    pub row_key: Option<&'a Json>,
    /// The row's own status before the verdict.
    pub former: Option<&'a Json>,
    /// The row as it would have been, for a rejected one.
    pub whole_row: Option<Json>,
}

/// The next id that ties the findings of one submission together.
pub fn next_submission_id() -> i64 {
    rights::as_extension(|| {
        let sequence = rights::own_relation(c"_submission_id_seq");
        // SAFETY: nextval_oid takes one OID and returns an int8.
        let id = unsafe {
            pgrx::direct_function_call::<i64>(pg_sys::nextval_oid, &[Some(sequence.into())])
        };
        id.unwrap_or_default()
    })
}

/// An entry for each finding.
pub fn entries(
    policy: &Policy,
    about: &About<'_>,
    facts: &Facts<'_>,
    judgement: &Judgement,
    submission_id: i64,
) -> Vec<Json> {
    let settings = &policy.settings;
    let texts = Texts::of(settings.keep, facts, about);
    judgement
        .findings
        .iter()
        .map(|finding| {
            json!({
                "relation": about.relation,
                "row_key": about.row_key,
                "submission_id": submission_id,
                "policy": settings.name,
                "check_name": finding.check,
                "action": finding.action.name(),
                "outcome": outcome(judgement, finding, settings.mode),
                "score": finding.score,
                "total_score": judgement.total,
                "why": finding.why,
                "detail": with_notes(&finding.detail, facts),
                "allowed": finding.allowed,
                "author": facts.text(Field::Author),
                "email": facts.text(Field::Email),
                "ip": facts.ip().map(|ip| ip.to_string()),
                "url": facts.text(Field::Url),
                "user_agent": facts.text(Field::UserAgent),
                "page": facts.text(Field::Page).or_else(|| facts.text(Field::ArticleTitle)),
                "comment": texts.comment,
                "hash": settings.keep == Keep::Hash,
                "submission": texts.submission,
                "_protection": about.protection,
                "_former": about.former,
            })
        })
        .collect()
}

fn outcome(judgement: &Judgement, finding: &spamcheck_engine::Finding, mode: Mode) -> &'static str {
    judgement.outcome(finding, mode).name()
}

/// What the facts have to say about how they were read goes into the detail.
fn with_notes(detail: &Json, facts: &Facts<'_>) -> Json {
    let notes = facts.notes();
    if notes.is_empty() {
        return detail.clone();
    }
    let mut detail = if detail.is_object() { detail.clone() } else { json!({}) };
    detail["notes"] = json!(notes);
    detail
}

/// What is kept of the texts.
struct Texts {
    comment: Option<String>,
    submission: Option<Json>,
}

impl Texts {
    fn of(keep: Keep, facts: &Facts<'_>, about: &About<'_>) -> Self {
        let text = comment(facts);
        // Only a rejected submission is kept whole: it is nowhere else.
        let whole = about.whole_row.as_ref().filter(|_| keep == Keep::Full).map(|row| {
            let mut submission = facts.to_json();
            submission["row"] = row.clone();
            submission
        });
        let comment = match keep {
            Keep::Excerpt => text.map(|t| t.chars().take(EXCERPT).collect()),
            Keep::Full | Keep::Hash => text,
        };
        Self { comment, submission: whole }
    }
}

/// The submission's text, uncut: its body, or else its title, or else its further texts.
fn comment(facts: &Facts<'_>) -> Option<String> {
    for field in [Field::Body, Field::Title] {
        if let Value::Text(text) = facts.value(field) {
            return Some(text.to_string());
        }
    }
    let texts: Vec<&str> = facts.submission().fields().iter().map(|(_, t)| t.as_ref()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

const INSERT: &str =
    "INSERT INTO spamcheck.spam_checklog
                (relation, row_key, submission_id, policy, check_name, action, outcome, score, total_score,
                 why, detail, allowed, author, email, ip, url, user_agent, page, comment, submission,
                 _protection, _former)
         SELECT r.relation, nullif(r.row_key, 'null'), r.submission_id, r.policy, r.check_name, r.action, r.outcome,
                r.score, r.total_score, r.why, nullif(r.detail, 'null'), r.allowed, r.author, r.email, r.ip, r.url,
                r.user_agent, r.page,
                CASE WHEN r.hash THEN encode(sha256(convert_to(r.comment, 'UTF8')), 'hex') ELSE r.comment END,
                nullif(r.submission, 'null'), r._protection, nullif(r._former, 'null')
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
             AS r(relation text, row_key jsonb, submission_id bigint, policy text, check_name text, action text,
                  outcome text, score real, total_score real, why text, detail jsonb, allowed boolean,
                  author text, email text, ip inet, url text, user_agent text, page text, comment text,
                  hash boolean, submission jsonb, _protection integer, _former jsonb)";

/// Writes entries, a JSON array of them, with the rights of the extension.
pub fn write(entries: &str) {
    rights::as_extension(|| spi::write_json(INSERT, entries));
}

const REFUSED: &str = "UPDATE spamcheck.spam_checklog l
            SET detail = jsonb_set(l.detail, '{refused}', to_jsonb(r.refused))
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS r(id bigint, refused bigint)
          WHERE l.submission_id = r.id AND l.check_name = 'rate_limit'
      RETURNING convert_to(r.id::text, 'UTF8')";

/// Writes how many submissions the blocks of rate limits have refused by now, into the entries of those
/// blocks; which of them have one.
pub fn count_refused(blocks: impl Iterator<Item = (i64, u64)>) -> Vec<i64> {
    let blocks: Vec<Json> =
        blocks.map(|(id, refused)| json!({ "id": id, "refused": refused })).collect();
    let written = rights::as_extension(|| {
        spi::write_returning(REFUSED, &[Arg::Text(&Json::Array(blocks).to_string())])
    });
    written.into_iter().flatten().filter_map(|id| id.parse().ok()).collect()
}
