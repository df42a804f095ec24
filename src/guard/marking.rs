//! Judgement -> row: the verdict in its status columns, and in the stash what is to be written down once the
//! row is stored. Judges nothing.

use std::rc::Rc;

use pgrx::pg_sys;
use spamcheck_engine::Lookups;
use spamcheck_engine::mapping::StatusValue;
use spamcheck_engine::policy::{Mode, OnReject};
use spamcheck_engine::submission::Field;
use spamcheck_engine::verdict::{Judgement, Verdict};

use super::Decision;
use super::refusing::{log_refused, reject, rejection};
use crate::protection::Protection;
use crate::rate::Claim;
use crate::report::Ground;
use crate::row::{self, Column, Row};
use crate::stash::{self, Pending};
use crate::trigger::{Event, Trigger};
use crate::wait::Asked;

/// What there is beside a judgement.
pub struct Beside {
    /// What Akismet has said already.
    pub asked: Option<Asked>,
    /// The row's own status, if it was held and is no longer.
    pub own: Option<serde_json::Value>,
    /// The lookups until whose answers the row is moderated.
    pub held: Lookups,
    /// The right to log a block of the rate limit.
    pub claim: Option<Claim>,
    /// The captcha to be solved.
    pub challenge: Option<serde_json::Value>,
}

pub fn follow(
    trigger: &Trigger,
    protection: &Rc<Protection>,
    mut judgement: Judgement,
    beside: Beside,
) -> Decision {
    let Beside { asked, own, held, claim, challenge } = beside;
    let settings = &protection.policy.settings;
    let enforced = settings.mode == Mode::Enforce;
    if judgement.verdict == Verdict::Challenge {
        if let Some(challenge) = challenge.filter(|_| enforced) {
            log_refused(trigger, protection, &judgement, asked.as_ref(), None, OnReject::Error);
            let mapped = protection.is_mapped(Field::Captcha);
            let ground = Ground::Challenge { challenge, mapped };
            return Decision::Refuse(rejection(protection, ground));
        }
        // Nobody is there to be asked: a moderator looks.
        judgement.verdict = Verdict::Moderate;
    }
    if enforced && judgement.verdict == Verdict::Reject {
        return reject(trigger, protection, &judgement, asked.as_ref(), claim);
    }
    let released = own.as_ref().map(|own| status_of(protection, own));
    let writes = match judgement.verdict {
        _ if !enforced => None,
        Verdict::Spam | Verdict::Reject => protection.status.spam.as_deref(),
        Verdict::Moderate | Verdict::Challenge => protection.status.moderate.as_deref(),
        Verdict::Ham if held.any() => protection.status.moderate.as_deref(),
        Verdict::Ham => released.as_deref(),
    };
    let former = own.or_else(|| former_status(trigger, protection));
    let tuple = match writes {
        Some(writes) => mark(trigger, writes),
        None => trigger.unchanged(),
    };
    let edited = trigger.event == Event::Update;
    let protection = protection.clone();
    stash::keep(Pending { protection, judgement, former, edited, held, asked });
    Decision::Pass(tuple)
}

/// The lookups until whose answers the row is moderated.
pub fn held(protection: &Protection, judgement: &Judgement) -> Lookups {
    let policy = &protection.policy;
    if policy.settings.mode != Mode::Enforce || judgement.verdict != Verdict::Ham {
        return Lookups::NONE;
    }
    policy.holding(judgement.lookups)
}

/// A status as it is kept, column to text or null, as it is written.
fn status_of(protection: &Protection, kept: &serde_json::Value) -> Vec<(Column, StatusValue)> {
    let value = |(name, column): &(String, Column)| {
        let value = match kept.get(name)? {
            serde_json::Value::String(text) => StatusValue::Text(text.clone()),
            _ => StatusValue::Null,
        };
        Some((*column, value))
    };
    protection.status.columns.iter().filter_map(value).collect()
}

/// The row's own values of the status columns, to be put back when a decision is reversed.
pub fn former_status(trigger: &Trigger, protection: &Protection) -> Option<serde_json::Value> {
    if protection.status.columns.is_empty() {
        return None;
    }
    let width = protection.status.columns.iter().map(|(_, c)| c.index + 1).max().unwrap_or(0);
    // SAFETY: as for the row itself; status columns may lie behind the mapped ones.
    let row = unsafe { Row::of_slot(trigger.new_slot(), width) };
    let values = protection.status.columns.iter().map(|(name, column)| {
        (name.clone(), row.text(*column).map_or(serde_json::Value::Null, Into::into))
    });
    Some(serde_json::Value::Object(values.collect()))
}

/// The row with the verdict in its status columns.
fn mark(trigger: &Trigger, writes: &[(Column, StatusValue)]) -> pg_sys::Datum {
    let columns = writes.iter().map(|(column, value)| (*column, status_datum(*column, value)));
    trigger.changed(&columns.collect::<Vec<_>>())
}

fn status_datum(column: Column, value: &StatusValue) -> Option<pg_sys::Datum> {
    let text = match value {
        StatusValue::Null => return None,
        StatusValue::Text(text) => row::to_server(text),
        // SAFETY: returns a C string in static memory, copied at once.
        StatusValue::Now => unsafe {
            let now = pg_sys::GetCurrentTransactionStartTimestamp();
            std::ffi::CStr::from_ptr(pg_sys::timestamptz_to_str(now)).to_owned()
        },
    };
    Some(row::input_c(column.type_oid, column.modifier, &text))
}
