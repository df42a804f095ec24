//! Rows that were held for an answer which nobody gave within `give_up_after`, or ever will: where `on_failure` is
//! accept they get their own status back, as if the answer had been ham, where it is hold moderators are told;
//! their lookups stay as expired or failed. Owns when the worker looks for them; it runs no statement while none
//! was given up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::{PgSqlErrorCode, ereport};

use super::presence::transaction;
use super::settle::{self, AT_ONCE, Concluded, LOCKED, Settled};
use crate::lookups::{self, Unheld};
use crate::rulebook;
use crate::shared::Database;

/// Rows that are looked at in one transaction.
const ROWS: i32 = 100;
/// The pause before a look after a change of settings.
const PAUSE: Duration = Duration::from_secs(5);
/// Seconds after which a row is tried again whose own triggers stand against it.
const FAILED: f64 = 300.0;

/// When the worker looks.
pub struct Releasing {
    due: Option<Instant>,
    settings: u64,
}

impl Releasing {
    /// A worker that has just started does not know what was given up.
    pub fn new() -> Self {
        Self { due: Some(Instant::now()), settings: rulebook::changes() }
    }

    /// Something was given up.
    pub fn look(&mut self) {
        self.due = Some(Instant::now());
    }

    /// Looks, if it is time to; false: the extension is gone.
    pub fn turn(&mut self, database: &Database) -> bool {
        let settings = rulebook::changes();
        if settings != self.settings {
            self.settings = settings;
            let at = Instant::now() + PAUSE;
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
        if self.due.is_none_or(|due| Instant::now() < due) {
            return true;
        }
        let Some((next, released, anew)) = transaction("releasing rows", release) else {
            return false;
        };
        // What the look itself made the process hear of is no news.
        self.settings = rulebook::changes();
        self.due = next
            .map(|seconds| Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, FAILED)));
        if anew {
            database.lookups.store(true, Ordering::Release);
        }
        if released > 0 {
            database.applied.fetch_add(released, Ordering::Relaxed);
            ereport!(
                LOG,
                PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
                format!("pg_spamcheck gave {released} held rows their own status back"),
                "Akismet has given no verdict on them, and on_failure is accept.".to_owned()
            );
        }
        true
    }
}

/// Releases some rows, in the transaction at hand: the seconds until the next are to be seen to, how many have
/// their own status again, and whether some are to be asked about anew.
fn release() -> (Option<f64>, u64, bool) {
    rulebook::listen();
    let (untold, mut later) = (lookups::held_untold(ROWS), None);
    for lookup in &untold {
        match settle::leave_to_person(lookup) {
            Ok(Some(submission_id)) => lookups::told(lookup.id, submission_id),
            Ok(None) => lookups::finish(&[lookup.id]),
            Err(failure) => {
                let why = failure.message;
                let error = format!("moderators could not be told of the row: {why}");
                lookups::let_go(lookup.id, &Unheld::Later { seconds: FAILED, error: Some(error) });
                later = Some(FAILED);
            }
        }
    }
    let (found, mut next) = lookups::held_in_vain(ROWS);
    if untold.len() >= ROWS as usize {
        later = Some(0.0);
    }
    next = next.into_iter().chain(later).reduce(f64::min);
    let (mut released, mut anew) = (0, false);
    let started = Instant::now();
    for lookup in found {
        if started.elapsed() >= AT_ONCE {
            next = Some(0.0);
            break;
        }
        let id = lookup.id;
        let unheld = match settle::settle_in_time(&Concluded { lookup, found: None }) {
            Ok(Settled::Applied) => Unheld::Released,
            Ok(Settled::Done) => Unheld::Passed,
            Ok(Settled::Overtaken) => {
                lookups::finish(&[id]);
                continue;
            }
            Ok(Settled::Anew) => {
                anew = true;
                continue;
            }
            Ok(Settled::Locked) => Unheld::Later { seconds: LOCKED, error: None },
            Err(failure) => {
                let why = failure.message;
                let error = format!("the row could not be given its own status back: {why}");
                Unheld::Later { seconds: FAILED, error: Some(error) }
            }
        };
        if let Unheld::Later { seconds, .. } = unheld {
            next = Some(next.map_or(seconds, |next| next.min(seconds)));
        }
        released += u64::from(matches!(unheld, Unheld::Released));
        lookups::let_go(id, &unheld);
    }
    (next, released, anew)
}
