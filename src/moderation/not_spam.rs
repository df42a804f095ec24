//! not_spam(): ActionKit's "Not spam", GitLab's "Submit as ham". The row gets its own status again, or is
//! inserted if it was rejected; its findings are taken back, its subscriber resubscribed, Akismet told.
//! Owns the order of these, and which findings may still stand against the row.

use serde_json::{Map, Value as Json};

use pgrx::PgSqlErrorCode;
use spamcheck_engine::Refusal;

use super::answer::{Answer, Said};
use super::findings::{self, Finding};
use super::held::{self, Found, Held};
use super::place::{Absent, Place};
use super::refused;
use crate::report;

/// Decides about the submission that a log entry is about.
pub fn not_spam(log_id: i64) -> Answer {
    let named = super::finding(log_id);
    let place = Place::of_finding(&named);
    let mut found = hold(place.as_ref().ok(), &named);
    let findings = findings::of_submission(named.submission_id);
    // The last word counts, and it is the one to be taken back.
    if let Some(since) = found.row.as_ref().and_then(|held| held.reported_since(&findings)) {
        return not_spam(since.id);
    }
    if let Some(answer) = decided(&findings, found.row.as_ref(), place.as_ref().err()) {
        return answer;
    }
    // Another session may have inserted it, or changed its key, before this one had the lock.
    let now = findings.iter().find(|one| one.id == log_id).unwrap_or(&named);
    if now.row_key != named.row_key {
        found = hold(place.as_ref().ok(), now);
    }
    match place {
        Ok(place) => release(&place, found, &findings),
        Err(Absent::Unprotected(name)) if findings::were_rejected(&findings) => report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!(
                "the rejected row cannot be inserted: table {name} is not protected"
            ))
            .with_detail("Nothing was changed; the log keeps the row.")
            .with_hint("Call spamcheck.protect() for the table, and then this again."),
        ),
        Err(why) => {
            findings::reverse(&findings, None);
            Answer::new("done", format!("The findings are taken back. {}", why.message()))
                .about(&named.relation, named.row_key.as_ref())
                .with("row", why.row())
        }
    }
}

/// The row that a finding is about, or that was to be edited.
fn hold(place: Option<&Place>, finding: &Finding) -> Found {
    let none = Found { row: None, replaced: false };
    match (place, &finding.row_key, finding.edited()) {
        (None, ..) => none,
        (Some(place), None, Some(key)) => held::hold(place, key).map_or(none, Found::from),
        (Some(place), ..) => held::hold_found(place, finding),
    }
}

/// What somebody else has decided before, if anybody has; `held`: the row; `absent`: why there is no table to look
/// for it.
fn decided(findings: &[Finding], held: Option<&Held>, absent: Option<&Absent>) -> Option<Answer> {
    let one = findings.first()?;
    let about = |answer: Answer| answer.about(&one.relation, one.row_key.as_ref());
    if findings.iter().all(|one| one.reversed) {
        let by = one.reversed_by.as_deref().unwrap_or("staff");
        let kept_back = held.filter(|held| held.is_kept_back());
        let later = kept_back.and_then(|held| {
            held.findings().into_iter().find(|later| later.id > one.id && later.stands())
        });
        let message = match &later {
            Some(later) => format!(
                "{by} has taken the findings back already; nothing was changed. What keeps the row back is log entry {}.",
                later.id
            ),
            None => format!("{by} has taken the findings back already; nothing was changed."),
        };
        let mut answer = about(Answer::already(findings, message));
        // A plain UPDATE of the status leaves the subscriber as it is.
        if kept_back.is_none() && answer.resubscribe_ended(one.submission_id, one.protection) {
            let message = format!(
                "{by} has taken the findings back already; the subscriber is subscribed again."
            );
            answer = answer.with("status", "done").with("message", message);
        }
        return Some(answer);
    }
    if one.is("deleted") {
        if let Some(why) = absent {
            let message = format!("Somebody has called it spam. {}", why.message());
            return Some(about(Answer::already(findings, message).with("row", why.row())));
        }
        let message = "The row was deleted as spam, and a deleted row cannot be brought back.";
        return Some(about(Answer::already(findings, message).with("row", "deleted")));
    }
    None
}

/// Takes the findings on a submission back, with all that follows. `found`: what is where its row was.
pub fn release(place: &Place, found: Found, findings: &[Finding]) -> Answer {
    let Found { row: held, replaced } = found;
    let Some(one) = findings.last() else {
        return Answer::new("already", "There is nothing to take back.");
    };
    let was_rejected = findings::were_rejected(findings);
    let (word, message, held) = match held {
        Some(held) if was_rejected => edit(place, held, findings),
        Some(held) => {
            let (word, message) = restore(place, &held, findings);
            (word, message, Some(held))
        }
        None if was_rejected && !findings.iter().any(|one| one.edit().is_some()) => {
            insert(place, findings)
        }
        None if replaced => (
            "gone",
            "The row that was found is gone: the one that has its key now says something else, and was left as it is. Only the log was changed.".to_owned(),
            None,
        ),
        None if one.row_key.is_none() && !was_rejected => (
            "unchanged",
            "The table had no primary key to find the row by, so only the log was changed.".to_owned(),
            None,
        ),
        None if one.row_key.as_ref().is_some_and(|key| !place.has_key(key)) => (
            "unchanged",
            "The table has another primary key since, by which the row could not be found, so only the log was changed.".to_owned(),
            None,
        ),
        None => ("gone", "The row is gone, so only the log was changed.".to_owned(), None),
    };
    let row_key = held.as_ref().map(|held| held.row_key.clone()).or_else(|| one.row_key.clone());
    let row_key = row_key.filter(|key| !key.is_null());
    let inserted = row_key.as_ref().filter(|_| was_rejected).map(|key| (place.id(), key));
    findings::reverse(findings, inserted);
    if let (Some(held), "restored" | "released") = (&held, word) {
        findings::reverse_row(place.id(), &held.row_key);
    }
    let mut answer =
        Answer::new("done", message).about(&place.relation(), row_key.as_ref()).with("row", word);
    // A row of the same key in a table of which only the name is the same is another row.
    let its_key = row_key.as_ref().filter(|_| !replaced);
    if let Some(row_key) = its_key {
        place.decided(row_key);
    }
    answer.resubscribe(held.as_ref(), one.submission_id, place.id());
    // What the row says now is no spam where it is released with it, or is what was found.
    let now = held.as_ref().filter(|held| {
        !was_rejected
            && (matches!(word, "restored" | "released") || one.describes(&held.submission))
    });
    let said = Said {
        submission_id: Some(one.submission_id),
        row_key: its_key.filter(|_| !was_rejected),
        row: now,
        findings,
    };
    answer.tell(place, false, &said);
    answer
}

/// Gives the row its own status back, as far as nothing else keeps it from being seen: what was found in a
/// text that came later, when the row was edited, and what the moderator may never have read. The same
/// again, found in the later text too, is decided with it.
fn restore(place: &Place, held: &Held, findings: &[Finding]) -> (&'static str, String) {
    let Some(last) = findings.last().filter(|_| held.is_kept_back()) else {
        let message = if held.protection.status.columns.is_empty() {
            "The table has no status, so it is noted in the log only."
        } else {
            "The row has a status of its own, which was left as it is."
        };
        return ("unchanged", message.to_owned());
    };
    let mut known = held.findings_since(last.protection);
    let later: Vec<&Finding> = known
        .iter()
        .filter(|one| one.id > last.id && one.submission_id != last.submission_id && one.stands())
        .collect();
    let same = |one: &Finding| {
        findings.iter().any(|this| (&this.check_name, &this.why) == (&one.check_name, &one.why))
    };
    if let Some(other) = later.iter().find(|one| !same(one)) {
        let message = match other.check_name.as_str() {
            findings::STAFF => format!(
                "The row is spam since then ({}): that is log entry {}, which still stands.",
                other.why, other.id
            ),
            check => format!(
                "The row was {} again when it was edited, by check {check}: that is log entry {}, which still stands.",
                if other.is("suppressed") { "suppressed" } else { "moderated" },
                other.id
            ),
        };
        return ("unchanged", message);
    }
    let mut submissions: Vec<i64> = later.iter().map(|one| one.submission_id).collect();
    submissions.dedup();
    for id in submissions {
        findings::reverse(&findings::of_submission(id), None);
    }
    known.retain(|one| one.id <= last.id);
    if let Some(own) = held.own_status(&known) {
        held.restore(place, &own);
        return ("restored", "The row has its own status again.".to_owned());
    }
    match &held.protection.status.ham {
        Some(ham) => {
            held.release(place, None, ham);
            ("released", "The row has the status of ham; its own is not known.".to_owned())
        }
        None => {
            let message = "The row's own status is not known, and protect() was not told which one ham has: it was left as it is.";
            ("unchanged", message.to_owned())
        }
    }
}

/// Inserts a rejected submission as the row that it would have been.
fn insert(place: &Place, findings: &[Finding]) -> (&'static str, String, Option<Held>) {
    match kept(findings) {
        Ok(values) => {
            let held = refused::insert(place, values);
            ("inserted", "The rejected row was inserted.".to_owned(), Some(held))
        }
        Err(message) => ("not kept", message, None),
    }
}

/// Makes a rejected edit.
fn edit(place: &Place, held: Held, findings: &[Finding]) -> (&'static str, String, Option<Held>) {
    let values = match kept(findings) {
        Ok(values) => values,
        Err(message) => return ("not kept", message, None),
    };
    let noted = findings.iter().find_map(Finding::edit);
    match noted.and_then(|noted| refused::edit(place, &held, values, noted)) {
        Some((held, left)) => {
            let mut message = "The rejected edit was made.".to_owned();
            if !left.is_empty() {
                let left = left.join(", ");
                message.pop();
                message +=
                    &format!(", but for what has changed since and was left as it is: {left}.");
            }
            ("edited", message, Some(held))
        }
        None => {
            let message = "The row was edited otherwise since, so the rejected edit was not made; only the log was changed.";
            ("unchanged", message.to_owned(), None)
        }
    }
}

/// The values of a row that was rejected; else a sentence that says why they are not all there.
fn kept(findings: &[Finding]) -> Result<&Map<String, Json>, String> {
    let kept = findings.iter().find_map(|one| one.submission.as_ref());
    let values = kept.and_then(|kept| kept["row"].as_object());
    let Some((kept, values)) = kept.zip(values) else {
        return Err("The log did not keep the row (the policy's keep is not full), so it could not be inserted; only the log was changed.".to_owned());
    };
    let cut: Vec<&str> = kept["kept"]
        .as_object()
        .into_iter()
        .flat_map(|cuts| cuts.keys().filter_map(|name| name.strip_prefix("row.")))
        .collect();
    if cut.is_empty() {
        return Ok(values);
    }
    Err(format!(
        "The log kept only the beginning of {}, so the row could not be inserted; only the log was changed.",
        cut.join(", ")
    ))
}

/// The row with a key, for those that go through many.
pub fn release_row(place: &Place, row_key: &Json) -> bool {
    let Some(held) = held::hold(place, row_key).filter(|held| held.is_spam) else { return false };
    let latest = findings::latest_of(place.id(), &held.row_key);
    if !latest.iter().any(|one| !one.reversed && one.is("suppressed")) {
        return false;
    }
    pgrx::check_for_interrupts!();
    release(place, held.into(), &latest);
    true
}
