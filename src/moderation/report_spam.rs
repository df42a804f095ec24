//! report_spam(): GitLab's "Submit as spam". The row gets the status of spam whatever the checks said, also in
//! a trial, which is one of the checks. What was found about it stands, and the log has a finding of the
//! moderator's beside it, so that not_spam() can take this back too.

use pgrx::pg_sys;
use spamcheck_engine::policy::Mode;

use super::answer::{Answer, Said};
use super::findings::{self, About};
use super::held::Held;
use super::place::Place;
use crate::lookups;
use crate::subscription;

/// Makes the row with a key spam.
pub fn report_spam(relation: pg_sys::Oid, key: &str) -> Answer {
    let (place, held) = match Answer::or_row(relation, key) {
        Ok(found) => found,
        Err(gone) => return gone,
    };
    let latest = findings::latest_of(place.id(), &held.row_key);
    let stands = |decision: Option<&str>| decision == Some("spam");
    let same = findings::describe(&latest, &held.submission);
    let reported =
        same && latest.iter().any(|one| !one.reversed && stands(one.decision.as_deref()));
    let was_spam = held.told_spam && !latest.iter().any(|one| one.reversed);
    // A row that has no status is spam in the log alone.
    let keeps = held.protection.status.spam.as_ref().is_none_or(Vec::is_empty);
    if reported && (held.is_spam || keeps) {
        let message = "Somebody called the row spam before; it stays as it is.";
        let first = latest.iter().find(|one| one.check_name == findings::STAFF);
        let by = first.and_then(|one| Some(one.detail.as_ref()?["by"].clone()));
        let mut answer = Answer::new("already", message)
            .about(&place.relation(), Some(&held.row_key))
            .with("row", "unchanged")
            .with("decided_by", by);
        // It may have failed then, and a plain UPDATE unsubscribes nobody.
        if let Some(id) = latest.first().map(|one| one.submission_id)
            && subscription::ended_by(place.id(), id).is_none()
        {
            unsubscribe(&mut answer, &place, &held, id);
        }
        return answer;
    }
    if let Some(spam) = held.protection.status.spam.as_ref().filter(|_| !held.is_spam) {
        held.write(&place, spam);
    }
    // While it waits for an answer, its own status is the one that it waits to get back.
    let former = lookups::status_before_hold(place.id(), &held.row_key).or(held.status.clone());
    let about =
        About { protection: &held.protection, row_key: &held.row_key, former: former.as_ref() };
    let did = "reported it as spam";
    let submission_id = findings::mark_spam(&about, &latest, did, &held.submission);
    place.decided(&held.row_key);
    let (status, message) = match (was_spam, keeps) {
        (true, _) => ("already", "The row is spam already; the log notes that it was confirmed."),
        (false, true) => {
            ("done", "The table has no status for spam, so it is noted in the log only.")
        }
        (false, false) => ("done", "The row is spam."),
    };
    let mut answer = Answer::new(status, message)
        .about(&place.relation(), Some(&held.row_key))
        .with("row", if was_spam || keeps { "unchanged" } else { "spam" });
    unsubscribe(&mut answer, &place, &held, submission_id);
    // What the checks have marked as spam needs no word: only what they missed.
    if !was_spam {
        let said = Said {
            submission_id: Some(submission_id),
            row_key: Some(&held.row_key),
            row: Some(&held),
            findings: &[],
        };
        answer.tell(&place, true, &said);
    }
    answer
}

fn unsubscribe(answer: &mut Answer, place: &Place, held: &Held, submission_id: i64) {
    let settings = &place.policy.settings;
    if settings.unsubscribe
        && settings.mode == Mode::Enforce
        && let Some(subscription) = &held.subscription
    {
        answer.unsubscribe(subscription, Some(submission_id));
    }
}
