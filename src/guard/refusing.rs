//! Judgement -> refusal: what the client is told, and the log entry that outlives the rollback. The error
//! itself is raised outside of all Rust frames, by the guard.

use std::rc::Rc;

use pgrx::pg_sys;
use spamcheck_engine::policy::{LogTo, OnReject};
use spamcheck_engine::verdict::{Action, Judgement};

use super::Decision;
use crate::checklog::About;
use crate::protection::Protection;
use crate::rate::Claim;
use crate::report::{self, Ground, Rejection};
use crate::row::Row;
use crate::submission;
use crate::trigger::Trigger;
use crate::wait::Asked;
use crate::whole_row::WholeRow;
use crate::{key, record, settings, shared};

/// Refuses the row. Its log entry outlives the rollback by way of the mailbox; a dropped row has no
/// rollback, so its entry is written in the transaction.
pub fn reject(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    claim: Option<Claim>,
) -> Decision {
    let settings = &protection.policy.settings;
    let ground = ground(protection, judgement);
    // Of a block, one refusal is logged; the others are only counted, and must stay cheap.
    match &ground {
        Ground::TooOften(_) if claim.is_none() => {}
        Ground::TooOften(_) => {
            log_refused(trigger, protection, judgement, asked, claim, settings.on_reject);
        }
        Ground::Unjudged => {}
        _ => log_refused(trigger, protection, judgement, asked, None, settings.on_reject),
    }
    match settings.on_reject {
        OnReject::Drop => Decision::Pass(pg_sys::Datum::null()),
        OnReject::Error => Decision::Refuse(rejection(protection, ground)),
    }
}

pub fn rejection(protection: &Protection, ground: Ground) -> Rejection {
    report::rejection(
        ground,
        &protection.relation,
        &protection.schema,
        &protection.table,
        &protection.policy.settings.reject_sqlstate,
    )
}

/// Logs the row of a trial that would have been the first refused of a block.
pub fn flag_block(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    former: Option<&serde_json::Value>,
    judgement: &Judgement,
    claim: Claim,
) {
    // SAFETY: the slot holds the new row; all its columns are read now.
    let row = unsafe { Row::of_slot(trigger.new_slot(), trigger.columns()) };
    let row_key = key::of_row(protection, row);
    let about = About {
        protection: protection.id,
        relation: &protection.relation,
        row_key: row_key.as_ref(),
        former,
        whole_row: None,
    };
    submission::with_facts(protection, row, submission::now(), |facts| {
        record::log_block(protection, facts, judgement, &about, claim);
    });
}

/// A refusal by rate_limit ends the judgement, so it is the last finding.
pub fn ground(protection: &Protection, judgement: &Judgement) -> Ground {
    if shared::shared().is_none() {
        return Ground::Unjudged;
    }
    let last = judgement.findings.last();
    match last.filter(|last| last.check == "rate_limit" && last.action == Action::Reject) {
        Some(last) => Ground::TooOften(last.detail["retry_after"].as_i64().unwrap_or(1)),
        None => {
            let filed = protection.policy.settings.log_to == LogTo::File;
            Ground::Content { filed: filed && settings::log_file().is_some() }
        }
    }
}

pub fn log_refused(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    judgement: &Judgement,
    asked: Option<&Asked>,
    claim: Option<Claim>,
    on_reject: OnReject,
) {
    // SAFETY: the slot holds the new row; all its columns are read now.
    let row = unsafe { Row::of_slot(trigger.new_slot(), trigger.columns()) };
    let whole_row = WholeRow::of(trigger, protection);
    submission::with_facts(protection, row, submission::now(), |facts| match (claim, on_reject) {
        (Some(claim), _) => {
            let about = About::rejected(protection, whole_row);
            record::log_block(protection, facts, judgement, &about, claim);
        }
        (None, OnReject::Drop) => {
            record::log_dropped(protection, facts, judgement, asked, whole_row);
        }
        (None, OnReject::Error) => {
            record::log_rejected(protection, facts, judgement, asked, whole_row);
        }
    });
}
