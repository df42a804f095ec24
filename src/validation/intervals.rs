//! Whether a text in our own tables is an interval that the server can read and reckon with.

use spamcheck_engine::Refusal;

use crate::spi::{self, Arg};
use crate::{rights, subtransaction};

/// An interval that the server can read and that lies ahead.
pub fn positive(text: &str, what: &str) -> Result<(), Refusal> {
    if !holds("convert_from($1, 'UTF8')::interval > interval '0'", text) {
        return Err(Refusal::new(format!("{what} takes an interval above zero, not \"{text}\""))
            .with_hint("Write it as PostgreSQL does: \"15 days\"."));
    }
    not_endless(text, what)
}

/// Times that lie an interval before or after now must be times that the server knows: they begin 4713 BC.
pub fn not_endless(text: &str, what: &str) -> Result<(), Refusal> {
    let condition = "convert_from($1, 'UTF8')::interval <= interval '1000 years'
                     AND isfinite(now() + convert_from($1, 'UTF8')::interval)
                     AND isfinite(now() - convert_from($1, 'UTF8')::interval)";
    if holds(condition, text) {
        return Ok(());
    }
    Err(Refusal::new(format!("{what} takes 1000 years at most, not \"{text}\""))
        .with_hint("A column that is NULL says never."))
}

/// Whether a condition on a text is true; what is no interval at all holds nothing.
pub fn holds(condition: &str, text: &str) -> bool {
    let read = subtransaction::attempt(std::panic::AssertUnwindSafe(|| {
        rights::as_extension(|| {
            let query = format!("SELECT convert_to('yes', 'UTF8') WHERE {condition}");
            spi::text_once(&query, &[Arg::Text(text)])
        })
    }));
    matches!(read, Ok(Some(_)))
}
