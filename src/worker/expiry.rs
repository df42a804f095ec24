//! What Akismet was asked is not kept for longer than a decision about it can help: 15 days, as the
//! WordPress plugin keeps it. Owns when the worker looks and what goes: it passes over
//! `spamcheck._checked` once an hour, a stretch at a time.

use std::time::{Duration, Instant};

use super::presence::transaction;
use crate::spi::{self, Arg};
use crate::{checked, rights};

/// The first look after the worker's start.
const FIRST: Duration = Duration::from_secs(60);
/// The pause between two passes.
const REST: Duration = Duration::from_secs(3600);
/// The pause between two looks of a pass.
const PAUSE: Duration = Duration::from_millis(200);
/// Pages that one look passes over.
const PAGES: i32 = 2_048;
/// Rows that go in one look at most.
const ROWS: i32 = 10_000;

/// Where the worker is in passing over what was asked.
pub struct Expiry {
    due: Instant,
    /// The first page of the next look.
    page: i32,
}

impl Expiry {
    /// A worker that has just started.
    pub fn new() -> Self {
        Self { due: Instant::now() + FIRST, page: 0 }
    }

    /// Looks, if it is time to; false: the extension is gone.
    pub fn turn(&mut self) -> bool {
        if Instant::now() < self.due {
            return true;
        }
        let page = self.page;
        let Some((gone, pages)) = transaction("forgetting old checks", || {
            rights::as_extension(|| (checked::expire(page, PAGES, ROWS), pages()))
        }) else {
            return false;
        };
        let again = gone >= ROWS as usize;
        let next = if again { page } else { page.saturating_add(PAGES) };
        let more = again || next < pages;
        self.page = if more { next } else { 0 };
        self.due = Instant::now() + if more { PAUSE } else { REST };
        true
    }
}

fn pages() -> i32 {
    spi::json_now(
        "SELECT convert_to((pg_relation_size('spamcheck._checked') / current_setting('block_size')::bigint)::text, 'UTF8')",
        &[] as &[Arg<'_>],
    )
    .unwrap_or_default()
}
