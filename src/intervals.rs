//! Intervals that options hold as text, in seconds. What is written in an option was looked at when it was
//! written; here a text that PostgreSQL does not take must stop nobody's work.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use crate::spi::{self, Arg};
use crate::{rights, subtransaction};

/// Texts that are remembered. There are as many as policies have different ones.
const MOST: usize = 1_000;

thread_local! {
    static KNOWN: RefCell<HashMap<String, Option<f64>>> = RefCell::new(HashMap::new());
}

/// The seconds of an interval, a month being 30 days; None: it is none.
pub fn seconds(text: &str) -> Option<f64> {
    if let Some(known) = KNOWN.with_borrow(|known| known.get(text).copied()) {
        return known;
    }
    let read = subtransaction::attempt(AssertUnwindSafe(|| {
        rights::as_extension(|| {
            spi::json_now::<f64>(
                "SELECT convert_to(extract(epoch FROM convert_from($1, 'UTF8')::interval)::text, 'UTF8')",
                &[Arg::Text(text)],
            )
        })
    }));
    let seconds = read.ok().flatten();
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(text.to_owned(), seconds);
    });
    seconds
}
