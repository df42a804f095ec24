//! approve(): a row that is moderated, or spam, is released. Owns which status it gets: its own, as long as
//! that is not again one of those that keep it back, or else what protect() was told is ham.

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::Refusal;

use super::answer::{Answer, Said};
use super::findings::{self, Finding};
use super::held::Held;
use super::place::Place;
use crate::report;

/// Releases the row with a key.
pub fn approve(relation: pg_sys::Oid, key: &str) -> Answer {
    let (place, held) = match Answer::or_row(relation, key) {
        Ok(found) => found,
        Err(gone) => return gone,
    };
    let latest = findings::latest_of(place.id(), &held.row_key);
    if !held.is_kept_back() {
        return note(&place, &held, &latest);
    }
    let own = held.own_status(&held.findings());
    let apps = own.as_ref().filter(|own| !held.is_ours(own));
    let (word, message) = match (apps, &held.protection.status.ham) {
        (Some(own), _) => {
            held.restore(&place, own);
            ("restored", "The row has its own status again.")
        }
        (None, Some(ham)) => {
            held.release(&place, own.as_ref(), ham);
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
    let told = held.told_spam || concerns_akismet(&latest);
    released(&place, &held, &latest, told, Answer::new("done", message).with("row", word))
}

/// A row that nothing keeps back, though the log says that something does: its status was set where nobody
/// could note it, while triggers were off or in a restore.
fn note(place: &Place, held: &Held, latest: &[Finding]) -> Answer {
    let stand = latest.iter().any(Finding::stands) && findings::describe(latest, &held.submission);
    // What a person has seen and let pass is decided, whatever is said of it later.
    if !stand && place.decided(&held.row_key) {
        let message = "The row is neither moderated nor spam, and stays as it is: no answer about it is awaited any more.";
        return Answer::new("done", message)
            .about(&place.relation(), Some(&held.row_key))
            .with("row", "unchanged");
    }
    if !stand {
        let message = "The row is neither moderated nor spam; nothing was changed.";
        return Answer::already(latest, message)
            .about(&place.relation(), Some(&held.row_key))
            .with("row", "unchanged");
    }
    let message =
        "The row is neither moderated nor spam by now; what the log had against it is taken back.";
    let answer = Answer::new("done", message).with("row", "unchanged");
    released(place, held, latest, concerns_akismet(latest), answer)
}

/// Moderated rows that are released say nothing to Akismet, unless it had called them spam.
fn concerns_akismet(latest: &[Finding]) -> bool {
    latest.iter().any(|one| one.check_name == "akismet" || one.is("suppressed"))
}

/// What follows for log, queue and subscriber.
fn released(place: &Place, held: &Held, latest: &[Finding], told: bool, answer: Answer) -> Answer {
    findings::reverse(latest, None);
    findings::reverse_row(place.id(), &held.row_key);
    place.decided(&held.row_key);
    let mut answer = answer.about(&place.relation(), Some(&held.row_key));
    let submission_id = latest.first().map(|one| one.submission_id);
    if let Some(submission_id) = submission_id {
        answer.resubscribe(Some(held), submission_id, place.id());
    }
    if told {
        let row_key = Some(&held.row_key);
        let said = Said { submission_id, row_key, row: Some(held), findings: &[] };
        answer.tell(place, false, &said);
    }
    answer
}
