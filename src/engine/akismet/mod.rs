//! Owns how Akismet is talked to: the options of the check, what a request says, what an answer
//! means, and when to try again. It must not open a socket or look at a clock.

mod answer;
mod backoff;
pub(crate) mod form;
mod options;
mod parameters;
mod request;

pub use answer::{Answer, KeyReading, Notice, Reading};
pub use backoff::{delay, retry_after};
pub use options::{Mode, OPTIONS, OnFailure, Options, Send};
pub use request::{Feedback, Key, Recheck, Request, Target, reportable, user_agent};

#[cfg(test)]
mod answer_cases;
#[cfg(test)]
mod request_cases;
