//! approve(): a row that is moderated, or spam, is released. Owns which status it gets: its own, as long as
//! that is not again one of those that keep it back, or else what protect() was told is ham.

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::Refusal;

use super::answer::Answer;
use super::findings;
use crate::report;

/// Releases the row with a key.
pub fn approve(relation: pg_sys::Oid, key: &str) -> Answer {
    let (place, held) = match Answer::or_row(relation, key) {
        Ok(found) => found,
        Err(gone) => return gone,
    };
    let latest = findings::latest_of(place.id(), &held.row_key);
    if !held.is_kept_back() {
        let message = "The row is neither moderated nor spam; nothing was changed.";
        return Answer::already(&latest, message)
            .about(&place.relation(), Some(&held.row_key))
            .with("row", "unchanged");
    }
    let own = held.own_status(&held.findings()).filter(|own| !held.is_ours(own));
    let (word, message) = match (&own, &held.protection.status.ham) {
        (Some(own), _) => {
            held.restore(&place, own);
            ("restored", "The row has its own status again.")
        }
        (None, Some(ham)) => {
            held.write(&place, ham);
            ("released", "The row has the status of ham.")
        }
        (None, None) => report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!(
                "the row of {} cannot be approved: which status ham has is not known",
                place.relation()
            ))
            .with_detail("The log does not say which status the row had of its own.")
            .with_hint(
                "Call spamcheck.protect() again with a value for ham in argument \"status\".",
            ),
        ),
    };
    // Moderated rows that are released say nothing to Akismet, unless it had called them spam.
    let told = held.is_spam && !held.is_moderate
        || latest.iter().any(|one| one.check_name == "akismet" || one.is("suppressed"));
    findings::reverse(&latest, None);
    findings::reverse_row(place.id(), &held.row_key);
    place.decided(&held.row_key);
    let mut answer = Answer::new("done", message)
        .about(&place.relation(), Some(&held.row_key))
        .with("row", word);
    let submission_id = latest.first().map(|one| one.submission_id);
    if let Some(submission_id) = submission_id {
        answer.resubscribe(Some(&held), submission_id, place.id());
    }
    if told {
        let submission = held.submission.clone();
        answer.tell(&place, Some(&held.row_key), false, submission_id, submission);
    }
    answer
}
