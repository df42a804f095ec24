//! A row that stays moderated because nobody answered in time, or the answer cannot be written, and `on_failure` is hold: from now on it waits for a
//! person, who finds it in the log and is mailed about it like about any other, or for an answer that comes after
//! all. Owns what is said; the row stays as it is.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use serde_json::json;
use spamcheck_engine::Lookups;
use spamcheck_engine::verdict::{Action, Finding, Judgement, Verdict};

use super::telling::{log, tell};
use super::{LONGEST, as_stored};
use crate::lookups::Claimed;
use crate::spi::{self, Arg};
use crate::worker::writing;
use crate::{rights, rulebook, subtransaction};

/// Tells moderators of the row, if it still waits; the submission's id in the log. None: nobody needs to be told.
pub fn leave_to_person(lookup: &Claimed) -> Result<Option<i64>, subtransaction::Failure> {
    subtransaction::attempt_within(
        LONGEST,
        AssertUnwindSafe(|| {
            let (lookup, _) = as_stored(lookup)?;
            let table = rulebook::table(lookup.protection)?;
            let policy = rulebook::policy(&table.stored.policy)?;
            let waits = rights::as_owner_of(pg_sys::Oid::from(table.described.root), || {
                writing::limit_locks();
                !writing::can_be_read(&table.described)
                    || writing::may_wait(&table, &policy, &lookup.row_key)
            });
            if !waits {
                return None;
            }
            let error = lookup.last_error.clone().unwrap_or_default();
            let finding = Finding {
                check: "akismet",
                action: Action::Moderate,
                score: 0.0,
                why: if lookup.answer.is_some() {
                    format!("Akismet's verdict is not in the row: {error}")
                } else if lookup.state == "failed" {
                    format!("Akismet gives no verdict: {error}")
                } else {
                    format!("Akismet has not answered within give_up_after: {error}")
                },
                detail: json!({ "error": error }),
                allowed: false,
            };
            let judgement = Judgement {
                verdict: Verdict::Moderate,
                total: lookup.total,
                findings: vec![finding],
                allowed: false,
                lookups: Lookups::NONE,
            };
            let id = log(&policy, &table.described, &lookup, &judgement, Verdict::Ham);
            tell(&policy, &table.described, &lookup, &judgement);
            Some(id)
        }),
    )
}

const RELEASED: &str = "UPDATE spamcheck.spam_checklog l
            SET outcome = 'flagged', why = l.why || '; the row has its own status again'
          WHERE l.submission_id = $1 AND l.check_name = 'akismet' AND l.outcome = 'moderated' AND l.detail ? 'error'
            AND NOT l.reversed AND l._decision IS NULL";

/// The row is released after all: it waits for nobody any more.
pub fn released(submission_id: i64) {
    rights::as_extension(|| spi::write(RELEASED, &[Arg::Big(submission_id)]));
}
