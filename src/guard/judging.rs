//! Row -> submission -> judgement: what the checks find, what Akismet says to an insert that waits, and
//! whether a captcha is to be solved. Writes nothing; what follows is marking.rs's.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use pgrx::pg_sys;
use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use spamcheck_engine::policy::{Mode, Policy};
use spamcheck_engine::verdict::{Action, Finding, Judgement};
use spamcheck_engine::{Facts, LookupKind, Lookups};

use super::Decision;
use super::marking::{Beside, follow, former_status, held};
use super::refusing::flag_block;
use crate::captcha::Asking;
use crate::protection::Protection;
use crate::row::Row;
use crate::submission::{self, Elsewhere};
use crate::surroundings::Around;
use crate::trigger::{Event, Trigger};
use crate::{decisions, lookups, settings, shared, statistics, wait};

pub fn judge(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    row: Row<'_>,
    edited: bool,
) -> Decision {
    let policy = &protection.policy;
    let elsewhere = Elsewhere::new(protection, row);
    let submission = submission::read(protection, row, protection.needs(), &elsewhere);
    let around = Around { protection, row: Some(row), dry: false, edited, claim: Cell::default() };
    let facts =
        Facts::new(&submission, settings::max_checked_chars(), submission::now()).within(&around);
    let told = policy.settings.notify_channel.is_some() && policy.covers(facts.kind());
    let mut judgement = if shared::shared().is_none() {
        policy.weigh(vec![failure("policy", "pg_spamcheck is not in shared_preload_libraries")])
    } else {
        catch_unwind(AssertUnwindSafe(|| statistics::judge(policy, &facts))).unwrap_or_else(
            |panic| {
                if panic.is::<CaughtError>() || panic.is::<ErrorReportWithLevel>() {
                    // An error of the server that is not about the check: a cancel, a shutdown.
                    resume_unwind(panic);
                }
                policy.weigh(vec![failure("policy", "a check panicked; please report it")])
            },
        )
    };
    if facts.unreadable_ip().is_some() {
        note_unreadable_ip(protection);
    }
    // SAFETY: the slot holds the new row; all its columns are read then.
    let whole = || unsafe { Row::of_slot(trigger.new_slot(), trigger.columns()) };
    let mut captcha = Asking::about(protection, &facts, &judgement, edited, &whole);
    if let Some(captcha) = &mut captcha {
        judgement = captcha.before_lookups(judgement);
    }
    if judgement.lookups.any() && protection.key.is_empty() {
        // A verdict that comes later has to find its row again.
        for kind in judgement.lookups.kinds() {
            judgement.findings.push(failure(kind.name(), lookups::NO_KEY));
        }
        judgement = Judgement { lookups: Lookups::NONE, ..policy.weigh(judgement.findings) };
    }
    let mut asked = None;
    if judgement.lookups.has(LookupKind::Akismet) {
        (judgement, asked) = wait::with_answer(protection, whole(), edited, judgement);
    }
    let idle = judgement.findings.iter().position(|finding| is_idle_block(policy, finding));
    if let Some(at) = idle {
        let refused = judgement.findings.remove(at);
        // One entry for a block here too: a flood must not fill the log.
        if let Some(claim) = around.claim.take() {
            let former = former_status(trigger, protection);
            let refused = policy.weigh(vec![refused]);
            flag_block(trigger, protection, former.as_ref(), &refused, claim);
        }
        let lookups = judgement.lookups;
        judgement = Judgement { lookups, ..policy.weigh(judgement.findings) };
    }
    let mut challenge = None;
    if let Some(captcha) = &mut captcha {
        judgement = captcha.after_lookups(judgement);
        challenge = captcha.challenge(&judgement);
    }
    let held = held(protection, &judgement);
    // A trial writes no row: what holds it is left to the answer.
    let enforced = policy.settings.mode == Mode::Enforce;
    let own = if trigger.event == Event::Update && enforced && !held.any() && policy.may_hold() {
        decisions::held_no_longer(protection, trigger)
    } else {
        None
    };
    let nothing = judgement.is_silent() && asked.is_none();
    // Another row may have had the key, and be asked about still.
    let former = || trigger.event == Event::Insert && lookups::may_be_out(protection);
    if nothing && (idle.is_some() || !told) && own.is_none() && !former() {
        return Decision::Pass(trigger.unchanged());
    }
    let claim = around.claim.take();
    follow(trigger, protection, judgement, Beside { asked, own, held, claim, challenge })
}

/// Has an edit remembered that is not judged.
pub fn leave_traces(protection: &Rc<Protection>, row: Row<'_>) {
    if shared::shared().is_some() {
        let elsewhere = Elsewhere::new(protection, row);
        let submission = submission::read(protection, row, protection.needs(), &elsewhere);
        let around =
            Around { protection, row: Some(row), dry: false, edited: true, claim: Cell::default() };
        let facts = Facts::new(&submission, settings::max_checked_chars(), submission::now());
        protection.policy.leave_traces(&facts.within(&around));
    }
}

/// Counts a submission that no check by address can judge. Nothing else says so where none hits.
fn note_unreadable_ip(protection: &Protection) {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.enlist(database)) {
        entry.unreadable_ips.fetch_add(1, Ordering::Relaxed);
        entry.unreadable_ip_in.store(protection.root.to_u32(), Ordering::Relaxed);
    }
}

/// Whether a finding is that of a limit which only takes note of who exceeds it.
fn is_idle_block(policy: &Policy, finding: &Finding) -> bool {
    let noted = policy.settings.mode != Mode::Enforce || finding.action == Action::Log;
    noted && finding.check == "rate_limit" && finding.detail.get("refused").is_some()
}

/// A check that could not be made.
fn failure(check: &'static str, why: &str) -> Finding {
    Finding {
        check,
        action: Action::Error,
        score: 0.0,
        why: why.to_owned(),
        detail: serde_json::Value::Null,
        allowed: false,
    }
}
