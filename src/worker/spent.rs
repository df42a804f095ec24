//! Forgets used answers to captchas once they have expired. Owns when it looks: soon after a session has
//! used one, and then when the next of them expires. While nobody does, no statement is run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::presence::transaction;
use crate::captcha;
use crate::shared::Database;

/// The pause before a look, so that one serves many.
const PAUSE: Duration = Duration::from_secs(60);
/// The first look of a worker that does not know what is there.
const FIRST: Duration = Duration::from_secs(10);
/// The longest pause while something is there.
const LONGEST: Duration = Duration::from_secs(3600);
/// The pause between batches.
const NEXT_BATCH: Duration = Duration::from_millis(100);

/// Where the worker is in forgetting.
pub struct Spent {
    due: Option<Instant>,
}

impl Spent {
    /// A worker that has just started.
    pub fn new() -> Self {
        Self { due: Some(Instant::now() + FIRST) }
    }

    /// Looks, if it is time to; false: the extension is gone.
    pub fn turn(&mut self, database: &Database) -> bool {
        if database.answers.swap(false, Ordering::AcqRel) {
            let at = Instant::now() + PAUSE;
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
        if self.due.is_none_or(|due| Instant::now() < due) {
            return true;
        }
        let Some((more, next)) = transaction("forgetting used captchas", captcha::forget_expired)
        else {
            return false;
        };
        let pause = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
        self.due = match next {
            _ if more => Some(Instant::now() + NEXT_BATCH),
            Some(seconds) => Some(Instant::now() + pause(seconds).clamp(PAUSE, LONGEST)),
            None => None,
        };
        true
    }
}
