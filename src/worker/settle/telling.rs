//! What a settled verdict leaves behind: log, NOTIFY and mail. Owns what is news; the row is settle.rs's.

use serde_json::Value as Json;
use spamcheck_engine::verdict::{Judgement, Verdict};
use spamcheck_engine::{Facts, Policy, Submission};

use crate::checklog;
use crate::lookups::Claimed;
use crate::notice::Notice;
use crate::protection::Described;
use crate::settings;
use crate::spi::quoted;
use crate::submission::wall_clock;
use crate::{mail, rights};

/// The verdict that the row had so far, as who is told of verdicts heard it. More than moderated it was
/// not, or nobody would have been asked.
pub fn before(policy: &Policy, lookup: &Claimed) -> Verdict {
    if policy.settings.notify_channel.is_none() && policy.settings.mail_to.is_none() {
        return Verdict::Ham;
    }
    let moderated = lookup.held
        || lookup.submission_id.is_some_and(|id| rights::as_extension(|| checklog::moderated(id)));
    if moderated { Verdict::Moderate } else { Verdict::Ham }
}

/// Notifies of a verdict that the answer has changed.
pub fn tell(policy: &Policy, described: &Described, lookup: &Claimed, judgement: &Judgement) {
    let relation = format!("{}.{}", quoted(&described.schema), quoted(&described.name));
    let notice = Notice::of(policy, &relation, Some(&lookup.row_key), judgement.verdict);
    if let Some(notice) = notice {
        notice.send();
    }
}

/// Logs what was found, and has moderators mailed about it if it is news; the submission's id in the log.
pub fn log(
    policy: &Policy,
    described: &Described,
    lookup: &Claimed,
    judgement: &Judgement,
    before: Verdict,
) -> i64 {
    let id = lookup.submission_id.unwrap_or_else(checklog::next_submission_id);
    let Ok(submission) = Submission::from_json(&lookup.submission) else { return id };
    let facts = Facts::new(&submission, settings::max_checked_chars(), wall_clock());
    let relation = format!("{}.{}", quoted(&described.schema), quoted(&described.name));
    let about = checklog::About {
        protection: lookup.protection,
        relation: &relation,
        row_key: Some(&lookup.row_key),
        former: lookup.former.as_ref(),
        whole_row: None,
    };
    let entries = checklog::entries(policy, &about, &facts, judgement, id);
    // One that was only held is news; one that local checks moderated was mailed about.
    if lookup.held || before != Verdict::Moderate {
        let mails: Vec<Json> =
            mail::entry(policy, judgement.verdict, &entries).into_iter().collect();
        if !mails.is_empty() {
            mail::queue(mails);
        }
    }
    checklog::log(entries);
    id
}
