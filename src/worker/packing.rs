//! When the worker looks whether long lists want to be packed: some time after settings or lists changed,
//! and when an entry of one expires. Owns the pauses; what a packed list is, packed.rs knows.

use std::time::{Duration, Instant};

use super::presence::transaction;
use crate::submission::wall_clock;
use crate::{packed, rights, rulebook};

/// Lists change in bursts: the first change is waited out for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// When to look next.
pub struct Packing {
    due: Option<Instant>,
    settings: u64,
}

impl Packing {
    /// A worker that has just started does not know what is there.
    pub fn new() -> Self {
        Self { due: Some(Instant::now() + PAUSE), settings: rulebook::changes() }
    }

    /// Looks, if it is time to; false: the extension is gone.
    pub fn turn(&mut self) -> bool {
        let settings = rulebook::changes();
        if settings != self.settings {
            self.settings = settings;
            self.due = Some(self.due.unwrap_or_else(|| Instant::now() + PAUSE));
        }
        if self.due.is_none_or(|due| Instant::now() < due) {
            return true;
        }
        let work = || {
            rulebook::listen();
            rights::as_extension(packed::make)
        };
        let Some(made) = transaction("packing lists", work) else { return false };
        self.due = match made {
            None => Some(Instant::now() + PAUSE),
            Some(made) => made.until.map(|until| {
                let left = until.saturating_sub(wall_clock()).max(0).unsigned_abs();
                Instant::now() + Duration::from_micros(left).max(PAUSE)
            }),
        };
        true
    }
}
