//! delete_spam(): ActionKit's "Delete this action, it's spam". The row goes, the log keeps what was found.
//! Akismet is told only where it had not said so itself.

use super::answer::Answer;
use super::findings::{self, Finding};
use super::held;
use super::place::Place;

/// Deletes the row that a log entry is about.
pub fn delete_spam(log_id: i64) -> Answer {
    let named = super::finding(log_id);
    let place = Place::of_finding(&named);
    let held = place.as_ref().ok().and_then(|place| held::hold_found(place, &named));
    let findings = findings::of_submission(named.submission_id);
    if let Some(answer) = decided(&findings) {
        return answer;
    }
    findings::mark_deleted(named.submission_id);
    let place = match place {
        Ok(place) => place,
        Err(why) => {
            return Answer::new("done", format!("The log notes that it is spam. {why}"))
                .about(&named.relation, named.row_key.as_ref())
                .with("row", "gone");
        }
    };
    let row_key = held.as_ref().map(|held| &held.row_key).or(named.row_key.as_ref());
    let (word, message) = match (&held, row_key) {
        (Some(held), _) => {
            held.delete(&place);
            ("deleted", "The row was deleted.")
        }
        (None, Some(_)) => ("gone", "The row is gone already; the log notes that it was spam."),
        (None, None) => {
            ("gone", "The submission was rejected and has no row; the log notes that it is spam.")
        }
    };
    // A row of the same key in a table of which only the name is the same is another row.
    let its_key = row_key.filter(|_| held.is_some() || !place.by_name);
    if let Some(row_key) = its_key {
        place.decided(row_key);
    }
    let mut answer =
        Answer::new("done", message).about(&place.relation(), row_key).with("row", word);
    // Akismet said so, or it will learn nothing new.
    if !findings.iter().any(|one| one.check_name == "akismet") {
        let submission = match &held {
            Some(held) => held.submission.clone(),
            None => findings::submission_of(&findings),
        };
        answer.tell(&place, its_key, true, Some(named.submission_id), submission);
    }
    answer
}

/// What somebody else has decided before, if anybody has.
fn decided(findings: &[Finding]) -> Option<Answer> {
    let one = findings.first()?;
    let about = |answer: Answer| answer.about(&one.relation, one.row_key.as_ref());
    if let Some(reversed) = findings.iter().find(|one| one.reversed) {
        let by = reversed.reversed_by.as_deref().unwrap_or("staff");
        let message = format!(
            "{by} has said that it is not spam; nothing was deleted. Call spamcheck.report_spam() first if it is."
        );
        return Some(about(Answer::already(findings, message).with("row", "unchanged")));
    }
    let noted =
        one.is("deleted") || one.row_key.is_none() && one.decision.as_deref() == Some("spam");
    noted.then(|| {
        let message = "That was decided already; nothing was changed.";
        about(Answer::already(findings, message).with("row", "gone"))
    })
}
