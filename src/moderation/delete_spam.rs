//! delete_spam(): ActionKit's "Delete this action, it's spam". The row goes, the log keeps what was found.
//! Akismet is told only where it had not said so itself.

use super::answer::{Answer, Said};
use super::findings::{self, Finding};
use super::held::{self, Found, Held};
use super::place::{Absent, Place};

/// Deletes the row that a log entry is about.
pub fn delete_spam(log_id: i64) -> Answer {
    let named = super::finding(log_id);
    let place = Place::of_finding(&named);
    let found = place.as_ref().map(|place| held::hold_found(place, &named));
    let Found { row: held, replaced } = found.unwrap_or(Found { row: None, replaced: false });
    let findings = findings::of_submission(named.submission_id);
    // The last word counts.
    if let Some(since) = held.as_ref().and_then(|held| held.reported_since(&findings)) {
        return delete_spam(since.id);
    }
    if let Some(answer) = decided(&findings, held.as_ref()) {
        return answer;
    }
    let noted = findings.first().is_some_and(|one| one.decision.as_deref() == Some("spam"));
    let place = match place {
        Ok(place) => place,
        Err(why) if noted => {
            let message = format!("Somebody has called it spam. {}", why.message());
            return Answer::already(&findings, message)
                .about(&named.relation, named.row_key.as_ref())
                .with("row", why.row());
        }
        Err(why) => {
            // A row that was left as it is may be found yet.
            match why {
                Absent::Unprotected(_) if named.row_key.is_some() => {
                    findings::confirm(named.submission_id);
                }
                _ => findings::mark_deleted(named.submission_id),
            }
            return Answer::new(
                "done",
                format!("The log notes that it is spam. {}", why.message()),
            )
            .about(&named.relation, named.row_key.as_ref())
            .with("row", why.row());
        }
    };
    let lost = named.row_key.as_ref().is_some_and(|key| held.is_none() && !place.has_key(key));
    if lost && noted {
        let message = "Somebody has called it spam. The table has another primary key since, by which the row could not be found.";
        return Answer::already(&findings, message)
            .about(&place.relation(), named.row_key.as_ref())
            .with("row", "unchanged");
    }
    if lost {
        findings::confirm(named.submission_id);
    } else {
        findings::mark_deleted(named.submission_id);
    }
    let row_key = held.as_ref().map(|held| &held.row_key).or(named.row_key.as_ref());
    let (word, message) = match (&held, row_key) {
        (Some(held), _) => {
            held.delete(&place);
            ("deleted", "The row was deleted.")
        }
        (None, Some(_)) if replaced => (
            "gone",
            "The row that was found is gone already: the one that has its key now says something else, and was left as it is. The log notes that the other was spam.",
        ),
        (None, Some(_)) if lost => (
            "unchanged",
            "The table has another primary key since, by which the row could not be found; the log notes that it is spam.",
        ),
        (None, Some(_)) => ("gone", "The row is gone already; the log notes that it was spam."),
        (None, None) if !findings::were_rejected(&findings) => (
            "unchanged",
            "The table had no primary key to find the row by; the log notes that it is spam.",
        ),
        (None, None) => {
            ("gone", "The submission was rejected and has no row; the log notes that it is spam.")
        }
    };
    // A row of the same key in a table of which only the name is the same is another row.
    let its_key = row_key.filter(|_| !replaced);
    if let Some(row_key) = its_key {
        place.decided(row_key);
    }
    let mut answer =
        Answer::new("done", message).about(&place.relation(), row_key).with("row", word);
    // Akismet said so, or it will learn nothing new.
    if !findings.iter().any(|one| one.check_name == "akismet") {
        let said = Said {
            submission_id: Some(named.submission_id),
            row_key: its_key,
            row: held.as_ref(),
            findings: &findings,
        };
        answer.tell(&place, true, &said);
    }
    answer
}

/// What somebody else has decided before, if anybody has.
fn decided(findings: &[Finding], held: Option<&Held>) -> Option<Answer> {
    let one = findings.first()?;
    let about = |answer: Answer| answer.about(&one.relation, one.row_key.as_ref());
    // What was said of a later text of the row releases the row.
    let released = held.filter(|held| !held.is_kept_back()).map(Held::findings);
    let later = released.iter().flatten().filter(|later| later.id > one.id);
    if let Some(reversed) = findings.iter().chain(later).find(|one| one.reversed) {
        let by = reversed.reversed_by.as_deref().unwrap_or("staff");
        let message = format!(
            "{by} has said that it is not spam; nothing was deleted. Call spamcheck.report_spam() first if it is."
        );
        let by = std::slice::from_ref(reversed);
        return Some(about(Answer::already(by, message).with("row", "unchanged")));
    }
    let noted =
        one.is("deleted") || one.row_key.is_none() && one.decision.as_deref() == Some("spam");
    noted.then(|| {
        let message = "That was decided already; nothing was changed.";
        about(Answer::already(findings, message).with("row", "gone"))
    })
}
