//! Answers that cannot be applied now: somebody has the row locked, its table stands against it, or the check is
//! switched off. They are kept, and nobody is asked again. Owns for how long each waits; changes no row.

use spamcheck_engine::LookupKind;

use super::{Concluded, LOCKED, UNASKED};
use crate::lookups::{self, Claimed, Postponed};
use crate::rulebook;

/// Tries to write a verdict into a row before the lookup counts as failed.
const MAX_TRIES: i32 = 20;

/// Somebody else has locked the row, for as long as he likes: that is no failure.
pub(super) fn wait_for(one: &Concluded) -> Postponed {
    Postponed {
        id: one.lookup.id,
        state: "queued",
        error: None,
        counted: false,
        seconds: LOCKED,
        answer: Some(one.to_json()),
        reason: None,
    }
}

/// Why an answer is for later: its check was switched off meanwhile, or the policy that the table has now, and may
/// be switched on again.
pub(super) fn switched_off(lookup: &Claimed) -> Option<String> {
    let table = rulebook::table(lookup.protection)?;
    let name = &table.stored.policy;
    let policy = rulebook::attempt_policy(name).ok().flatten()?;
    let kind = LookupKind::from_name(&lookup.kind)?;
    let asks = match kind {
        LookupKind::Akismet => policy.akismet().is_some(),
        kind => policy.lookup(kind).is_some(),
    };
    (!asks).then(|| lookups::is_off(&lookup.kind, name))
}

/// The answer is kept until then.
pub(super) fn wait_until_asked(one: &Concluded, why: String) -> Postponed {
    let postponed = Postponed {
        id: one.lookup.id,
        state: "queued",
        error: Some(why),
        counted: false,
        seconds: UNASKED.as_secs_f64(),
        answer: Some(one.to_json()),
        reason: None,
    };
    postponed.or_expired(&one.lookup)
}

/// The table's own triggers or locks stand against it: the answer is kept, nobody is asked again.
pub(super) fn cannot_write(one: &Concluded, error: String) -> Postponed {
    let failed = one.lookup.attempts >= MAX_TRIES;
    Postponed {
        id: one.lookup.id,
        state: if failed { "failed" } else { "queued" },
        error: Some(format!("the verdict could not be written: {error}")),
        counted: true,
        seconds: if failed { 0.0 } else { f64::from(1 << one.lookup.attempts.clamp(0, 9)) },
        answer: Some(one.to_json()),
        reason: None,
    }
}
