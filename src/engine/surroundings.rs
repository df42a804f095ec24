//! Owns what a check may ask beyond the submission: who is at work, what is remembered of earlier
//! rows, and the counters that all sessions share. It must not know how any of it is answered: that
//! is the server's side, or a test's.

use serde_json::Value as Json;

use crate::facts::Facts;

/// What surrounds a submission. Asked only by checks that need it.
///
/// Every answer may fail with a sentence; the policy's `on_error` decides then. What is not answered is
/// answered as where nothing is known: nobody is a member, no try is counted, no row came before.
pub trait Surroundings {
    /// Whether the session's role is a member of a database role. A role that does not exist has no
    /// members.
    ///
    /// # Errors
    /// A sentence, when it could not be told.
    fn is_member_of(&self, _role: &str) -> Result<bool, String> {
        Ok(false)
    }

    /// Counts a try from `key`, over all sessions, whatever becomes of it. `Some`: it is one too many.
    ///
    /// # Errors
    /// A sentence, when it could not be counted.
    fn count_try(&self, _key: &str, _limit: RateLimit) -> Result<Option<Refused>, String> {
        Ok(None)
    }

    /// How many earlier rows of the table, newest first and up to `wanted`, left this trace and are
    /// still there, and for which `counts` holds. From now on the row at hand is one of them for
    /// others: of two sessions with the same trace, the later one waits for the earlier and sees it.
    /// Where none is `wanted`, that is all. So what must be shared belongs into the trace: rows that
    /// left it and do not count cost a look each, and only so many of them are looked at.
    ///
    /// # Errors
    /// A sentence, when it could not be told.
    fn earlier(
        &self,
        _trace: Trace<'_>,
        _wanted: u32,
        _counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        Ok(0)
    }

    /// Asked before each step of what may take long: may end it, by unwinding. What is done by then is kept and helps
    /// the next submission.
    fn pause(&self) {}

    /// Calls a user's function with a submission.
    ///
    /// # Errors
    /// A sentence: the function is not there, may not be called, or failed.
    fn call(&self, function: &str, _submission: &Json) -> Result<Json, String> {
        Err(format!("function {function} cannot be called here"))
    }
}

/// How many tries a key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The most tries in any `per`.
    pub max: u32,
    /// The time that tries are counted over, in microseconds.
    pub per: i64,
    /// How long a key is refused once it had more, in microseconds.
    pub block: i64,
}

/// A try that was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The how many-th refusal of this block it is, from 1.
    pub count: u64,
    /// How long the block still lasts, in microseconds.
    pub retry_after: i64,
}

/// What a row is remembered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace<'t> {
    /// Which of its traits.
    pub kind: TraceKind,
    /// The trait: a normalised body, an address, an author.
    pub value: &'t str,
    /// Only rows that came after this moment are asked for, in microseconds since the Unix epoch.
    /// It counts from [`Facts::now`]; whoever answers goes by the clock instead, since a transaction
    /// may be old when it inserts.
    pub since: Option<i64>,
}

/// What a check needs to have remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// By what it asks for earlier rows.
    pub kind: TraceKind,
    /// How long a row matters to it, in microseconds; None: for as long as it is in the table.
    pub within: Option<i64>,
}

/// The traits by which rows are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TraceKind {
    /// The normalised body.
    Body,
    /// The sender's address.
    Ip,
    /// The author, by whatever tells authors apart.
    Author,
    /// The normalised body with its author.
    BodyOfAuthor,
    /// The normalised body with the sender's address.
    BodyOfIp,
    /// The normalised body with the article that it is about.
    BodyOfArticle,
}

/// An earlier row, as it is in the table now.
pub struct Earlier<'e> {
    /// What is in it.
    pub facts: &'e Facts<'e>,
    /// When it came, in microseconds since the Unix epoch.
    pub at: i64,
    /// Whether it is neither spam nor moderated.
    pub ham: bool,
}

/// Nothing surrounds the submission: for checks of a text by itself.
pub struct Nothing;

impl Surroundings for Nothing {}
