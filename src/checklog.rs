//! The one writer of spam_checklog: findings become entries, entries become rows, or lines of the log
//! file. Owns what the log keeps of a submission; when an entry is written, and by whom, is record.rs's
//! and the worker's.

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::{IntoDatum, pg_sys};
use serde_json::{Value as Json, json};
use spamcheck_engine::policy::{Keep, LogTo, Mode};
use spamcheck_engine::verdict::{Action, Finding, Judgement, Verdict};
use spamcheck_engine::{Facts, Field, Keeper, Policy, Submission, Value, time};

use crate::checked;
use crate::logfile;
use crate::protection::Protection;
use crate::rights;
use crate::settings;
use crate::spi::{self, Arg};
use crate::submission::wall_clock;
use crate::whole_row::{Values, WholeRow};

/// Characters of a text that policies with `keep = excerpt` log (interface section 5).
pub const EXCERPT: usize = 200;

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
    pub whole_row: Option<WholeRow>,
}

impl<'a> About<'a> {
    /// A row that is not stored.
    pub const fn rejected(protection: &'a Protection, whole_row: WholeRow) -> Self {
        Self {
            protection: protection.id,
            relation: protection.relation.as_str(),
            row_key: None,
            former: None,
            whole_row: Some(whole_row),
        }
    }
}

/// The next id that ties the findings of one submission together.
pub fn next_submission_id() -> i64 {
    next_id(c"_submission_id_seq")
}

fn next_id(sequence: &CStr) -> i64 {
    rights::as_extension(|| {
        let sequence = rights::own_relation(sequence);
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
    // A row and a line of the same finding have the same id and time. A line alone has no id.
    let id = || (settings.log_to == LogTo::Both).then(|| next_id(c"spam_checklog_id_seq"));
    let logged_at = (settings.log_to != LogTo::Table).then(|| time::iso(wall_clock()));
    judgement
        .findings
        .iter()
        .map(|finding| {
            json!({
                "id": id(),
                "logged_at": logged_at,
                "log_to": settings.log_to.name(),
                "relation": about.relation,
                "row_key": about.row_key,
                "submission_id": submission_id,
                "policy": settings.name,
                "check_name": finding.check,
                "action": finding.action.name(),
                "outcome": outcome(judgement, finding, settings.mode),
                "score": finding.score,
                "total_score": judgement.total,
                "why": why(finding, settings.keep),
                "detail": decided(policy, judgement, finding, with_notes(finding, facts, &texts, settings.keep)),
                "allowed": finding.allowed,
                "author": facts.text(Field::Author),
                "email": facts.text(Field::Email),
                "ip": facts.ip().map(|ip| ip.to_string()),
                "url": facts.text(Field::Url),
                "user_agent": facts.text(Field::UserAgent),
                "page": facts.text(Field::Page).or_else(|| facts.text(Field::ArticleTitle)),
                "comment": texts.comment,
                "submission": texts.submission,
                "_protection": about.protection,
                "_former": about.former,
            })
        })
        .collect()
}

/// About how many bytes an entry has.
pub fn bytes(entry: &Json) -> usize {
    let texts = ["comment", "author", "email", "url", "user_agent", "page", "why"];
    1_000 + texts.iter().filter_map(|text| entry[text].as_str()).map(str::len).sum::<usize>()
}

fn outcome(judgement: &Judgement, finding: &Finding, mode: Mode) -> &'static str {
    judgement.outcome(finding, mode).name()
}

/// A check that failed may have decided about the row, by the policy's on_error: what, its detail says.
fn decided(policy: &Policy, judgement: &Judgement, finding: &Finding, mut detail: Json) -> Json {
    let enforced = policy.settings.mode == Mode::Enforce;
    let counts = finding.action == Action::Error && !policy.is_shadow(finding.check);
    if counts && enforced && judgement.verdict > Verdict::Ham {
        if !detail.is_object() {
            detail = json!({});
        }
        detail["decided"] = judgement.verdict.outcome().name().into();
    }
    detail
}

/// What the facts have to say about how they were read goes into the detail, and what was too long to
/// be kept. A policy that keeps a hash alone keeps no quotation of the text either.
fn with_notes(finding: &Finding, facts: &Facts<'_>, texts: &Texts, keep: Keep) -> Json {
    let notes = facts.notes();
    let quotes =
        keep == Keep::Hash && QUOTATIONS.iter().any(|name| finding.detail.get(name).is_some());
    if notes.is_empty() && texts.cuts.is_none() && !quotes {
        return finding.detail.clone();
    }
    let mut detail = if finding.detail.is_object() { finding.detail.clone() } else { json!({}) };
    if let Some(detail) = detail.as_object_mut().filter(|_| quotes) {
        QUOTATIONS.iter().for_each(|name| drop(detail.remove(*name)));
    }
    if !notes.is_empty() {
        detail["notes"] = json!(notes);
    }
    if let Some(cuts) = &texts.cuts {
        detail["kept"] = cuts.clone();
    }
    detail
}

/// The keys of a detail that quote the submission's text, by which checks agree.
const QUOTATIONS: [&str; 2] = ["matched", HIDDEN];

/// What was typed into the hidden field, which `why` repeats in quotes.
const HIDDEN: &str = "honeypot";

/// The reason; without what was typed where the policy keeps a hash alone.
fn why(finding: &Finding, keep: Keep) -> Cow<'_, str> {
    match finding.detail[HIDDEN].as_str() {
        Some(typed) if keep == Keep::Hash => {
            finding.why.replace(&format!("\"{typed}\""), "…").into()
        }
        _ => finding.why.as_str().into(),
    }
}

/// What is kept of the texts.
struct Texts {
    comment: Option<String>,
    submission: Option<Json>,
    /// What was too long: name to bytes kept.
    cuts: Option<Json>,
}

impl Texts {
    fn of(keep: Keep, facts: &Facts<'_>, about: &About<'_>) -> Self {
        let mut keeper = Keeper::new(facts.max_chars());
        let comment = comment(facts).map(|(name, text)| match keep {
            Keep::Excerpt => text.chars().take(EXCERPT).collect(),
            Keep::Hash => sha256(&text),
            Keep::Full => keeper.keep(&name, &text).to_owned(),
        });
        let mut cuts = keeper.cuts();
        // Only a rejected submission is kept whole: it is nowhere else.
        let whole = about.whole_row.as_ref().filter(|_| keep == Keep::Full).map(|whole| {
            let mut keeper = Keeper::new(facts.max_chars());
            let mut submission = facts.kept(&mut keeper);
            submission["row"] = kept_row(&whole.values, facts.max_chars(), &mut keeper);
            if let Some(edit) = &whole.edit {
                submission["edit"] = edit.clone();
            }
            cuts = keeper.cuts();
            if let Some(cuts) = &cuts {
                submission["kept"] = cuts.clone();
            }
            submission
        });
        Self { comment, submission: whole, cuts }
    }
}

/// The row as far as it is kept: one that was cut cannot be inserted again, and the note tells.
fn kept_row(columns: &Values, max_chars: usize, notes: &mut Keeper) -> Json {
    let mut keeper = Keeper::new(max_chars);
    let kept = columns.iter().map(|(name, value)| {
        let value = match value {
            Json::String(text) => {
                let kept = keeper.keep(name, text);
                if kept.len() < text.len() {
                    notes.note(format!("row.{name}"), kept.len());
                }
                Json::from(kept)
            }
            other => other.clone(),
        };
        (name.clone(), value)
    });
    Json::Object(kept.collect())
}

/// The submission's text, uncut, with its name: its body, or else its title, or else its further texts;
/// one of these that is called `comment` is the comment (ActionKit's log shows that custom field).
fn comment<'f>(facts: &'f Facts<'_>) -> Option<(String, Cow<'f, str>)> {
    for field in [Field::Body, Field::Title] {
        if let Value::Text(text) = facts.value(field) {
            return Some((field.name().to_owned(), Cow::Borrowed(text)));
        }
    }
    let fields = facts.submission().fields();
    let is_comment = |name: &str| {
        name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("comment"))
    };
    if let Some((name, text)) = fields.iter().find(|(name, _)| is_comment(name)) {
        return Some((format!("{}.{name}", Field::Fields.name()), Cow::Borrowed(text.as_ref())));
    }
    let texts: Vec<&str> = fields.iter().map(|(_, t)| t.as_ref()).collect();
    (!texts.is_empty()).then(|| (Field::Fields.name().to_owned(), texts.join("\n").into()))
}

/// [`comment`] of a submission as lookups keep it.
pub fn comment_of(submission: &Json) -> Option<String> {
    let submission = Submission::from_json(submission).ok()?;
    let facts = Facts::new(&submission, settings::max_checked_chars(), wall_clock());
    comment(&facts).map(|(_, text)| text.into_owned())
}

/// The hash of a text in UTF-8, as hexadecimal digits.
pub fn sha256(text: &str) -> String {
    // SAFETY: sha256_bytea takes one bytea and returns one.
    let hash = unsafe {
        pgrx::direct_function_call::<Vec<u8>>(pg_sys::sha256_bytea, &[text.as_bytes().into_datum()])
    };
    hash.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
}

const INSERT: &str =
    "INSERT INTO spamcheck.spam_checklog
                (id, logged_at, relation, row_key, submission_id, policy, check_name, action, outcome, score, total_score,
                 why, detail, allowed, author, email, ip, url, user_agent, page, comment, submission,
                 _protection, _former)
         SELECT coalesce(r.id, nextval('spamcheck.spam_checklog_id_seq')), coalesce(r.logged_at, clock_timestamp()),
                r.relation, nullif(r.row_key, 'null'), r.submission_id, r.policy, r.check_name, r.action, r.outcome,
                r.score, r.total_score, r.why, nullif(r.detail, 'null'), r.allowed, r.author, r.email, r.ip, r.url,
                r.user_agent, r.page, r.comment, nullif(r.submission, 'null'), r._protection, nullif(r._former, 'null')
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
             AS r(id bigint, logged_at timestamptz, relation text, row_key jsonb, submission_id bigint, policy text,
                  check_name text, action text, outcome text, score real, total_score real, why text, detail jsonb,
                  allowed boolean, author text, email text, ip inet, url text, user_agent text, page text,
                  comment text, submission jsonb, _protection integer, _former jsonb)";

/// Logs entries in the transaction at hand, where their policies say: as rows, as lines of the log file
/// once it is committed, or both. What the file cannot take becomes rows.
pub fn log(entries: Vec<Json>) {
    let rows: Vec<Json> = entries
        .into_iter()
        .filter(|entry| match log_to(entry) {
            LogTo::Table => true,
            LogTo::Both => {
                logfile::wait(entry, false);
                true
            }
            LogTo::File => !logfile::wait(entry, true),
        })
        .collect();
    if !rows.is_empty() {
        write(&Json::Array(rows).to_string());
    }
}

/// Logs entries of a rejected row, whose transaction is about to be rolled back, as lines at once, where
/// their policy says so. Gives those that are still to become rows.
pub fn log_past_rollback(entries: Vec<Json>) -> Vec<Json> {
    let lines: Vec<&Json> = entries.iter().filter(|e| log_to(e) != LogTo::Table).collect();
    if lines.is_empty() {
        return entries;
    }
    if let Err(why) = logfile::write_now(&lines) {
        // A row stands in for a line alone; one that there is besides does not.
        logfile::lost(lines.iter().filter(|e| log_to(e) == LogTo::Both).count(), &why);
        return entries;
    }
    entries.into_iter().filter(|entry| log_to(entry) != LogTo::File).collect()
}

fn log_to(entry: &Json) -> LogTo {
    entry["log_to"].as_str().and_then(LogTo::from_name).unwrap_or_default()
}

/// Writes entries, a JSON array of them, as rows, with the rights of the extension.
pub fn write(entries: &str) {
    rights::as_extension(|| {
        spi::write_json(INSERT, entries);
        checked::keep_rejected(entries);
    });
}

/// Whether the log says that a row was moderated or called spam, and nobody has taken that back.
pub fn keeps_back(protection: i32, row_key: &Json) -> bool {
    spi::text_now(
        "SELECT convert_to('yes', 'UTF8') FROM spamcheck.spam_checklog l
          WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb
            AND coalesce(CASE WHEN l.outcome = 'error' THEN l.detail ->> 'decided' END, l.outcome) IN ('moderated', 'challenged', 'suppressed')
            AND NOT l.reversed LIMIT 1",
        &[Arg::Int(protection), Arg::Text(&row_key.to_string())],
    )
    .is_some()
}

/// Whether the log says that a submission was moderated.
pub fn moderated(submission_id: i64) -> bool {
    spi::text_now(
        "SELECT convert_to('yes', 'UTF8') FROM spamcheck.spam_checklog l
          WHERE l.submission_id = $1 AND l.outcome = 'moderated' LIMIT 1",
        &[Arg::Big(submission_id)],
    )
    .is_some()
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
