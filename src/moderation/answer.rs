//! What a moderator is told. Owns the keys of the answer and the words for what became of a row, the same
//! for every function:
//!
//! * `status`: `done`; `already`, where there was nothing left to do; `gone`, where there is no such row.
//! * `row`: `restored`, `released`, `inserted`, `spam`, `deleted`, or why it is as it was: `unchanged`,
//!   `gone`, `not kept`.
//! * `relation`, `row_key`: which row.
//! * `decided_by`, `decided_at`: who was first, where it was somebody else.
//! * `subscriber`: `resubscribed`, `unsubscribed`, or why not. `akismet`: `queued`, or why not.
//! * `message`: all of it as a sentence.

use pgrx::{AnyElement, FromDatum, pg_sys};
use serde_json::{Map, Value as Json};

use super::findings::{self, Finding};
use super::held::{self, Held};
use super::place::Place;
use crate::feedback::{self, Word};
use crate::rights;
use crate::row;
use crate::subscription::{self, Subscription};
use crate::subtransaction::Failure;

/// What a word for Akismet is about: a row as it is now, or what was found, or both.
pub struct Said<'a> {
    /// The submission's id in the log.
    pub submission_id: Option<i64>,
    /// The key of its row; None: it has none.
    pub row_key: Option<&'a Json>,
    /// The row, where the word is about what it says now.
    pub row: Option<&'a Held>,
    /// The findings, where it is about what they describe.
    pub findings: &'a [Finding],
}

/// An answer in the making.
pub struct Answer(Map<String, Json>);

impl Answer {
    /// The row that a moderator names by its key, locked; or the answer that there is none.
    pub fn or_row(relation: pg_sys::Oid, key: &str) -> Result<(Place, Held), Self> {
        let place = Place::of(relation);
        let row_key = place.read_key(key);
        match held::hold(&place, &row_key) {
            Some(held) => Ok((place, held)),
            None => {
                let message = format!("There is no row with this key in {}.", place.relation());
                let answer = Self::new("gone", message).about(&place.relation(), Some(&row_key));
                Err(answer.with("row", "gone"))
            }
        }
    }

    /// What a call came to, as a word and a sentence.
    pub fn new(status: &str, message: impl Into<String>) -> Self {
        let mut answer = Self(Map::new());
        answer.set("status", status);
        answer.set("message", message.into());
        answer
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: impl Into<Json>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets a key, or leaves it out.
    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.set(key, value);
        self
    }

    /// Which row it is about.
    pub fn about(self, relation: &str, row_key: Option<&Json>) -> Self {
        self.with("relation", relation).with("row_key", row_key.cloned().unwrap_or_default())
    }

    /// Somebody was first.
    pub fn already(findings: &[Finding], message: impl Into<String>) -> Self {
        let answer = Self::new("already", message);
        match findings.iter().find(|one| one.reversed) {
            Some(one) => answer
                .with("decided_by", one.reversed_by.clone())
                .with("decided_at", one.reversed_at.clone()),
            None => answer,
        }
    }

    /// What became of the subscriber.
    pub fn with_subscriber(&mut self, changed: Result<bool, Failure>, word: &str) {
        match changed {
            Ok(true) => self.set("subscriber", word),
            Ok(false) => {}
            Err(failure) => {
                self.set("subscriber", format!("could not be {word}: {}", failure.message));
            }
        }
    }

    /// Subscribes again whom a submission unsubscribed, or whom its row names.
    pub fn resubscribe(&mut self, held: Option<&Held>, submission_id: i64, protection: i32) {
        let named = held.and_then(|held| held.subscription.as_ref());
        if let Some(subscription) = named {
            self.with_subscriber(subscription.resubscribe(Some(submission_id)), "resubscribed");
        }
        // The row may be gone, or name somebody else by now.
        let ended = subscription::ended_by(protection, submission_id)
            .filter(|name| named.is_none_or(|named| named.name() != *name))
            .and_then(|name| subscription::known_as(&name, protection));
        if let Some(subscription) = ended {
            self.with_subscriber(subscription.resubscribe(Some(submission_id)), "resubscribed");
        }
    }

    /// Subscribes again whom a submission unsubscribed, if nothing has happened to the subscription since;
    /// whether that changed anything.
    pub fn resubscribe_ended(&mut self, submission_id: i64, protection: i32) -> bool {
        let ended = subscription::ended_by(protection, submission_id);
        let ended = ended.filter(|name| subscription::was_ended_last_by(name, submission_id));
        let Some(subscription) = ended.and_then(|name| subscription::known_as(&name, protection))
        else {
            return false;
        };
        let changed = subscription.resubscribe(Some(submission_id));
        let is_changed = matches!(changed, Ok(true));
        self.with_subscriber(changed, "resubscribed");
        is_changed
    }

    /// Unsubscribes the subscriber of a row.
    pub fn unsubscribe(&mut self, subscription: &Subscription, submission_id: Option<i64>) {
        self.with_subscriber(subscription.unsubscribe(submission_id), "unsubscribed");
    }

    /// Tells Akismet what a submission is.
    pub fn tell(&mut self, place: &Place, is_spam: bool, said: &Said<'_>) {
        let Said { submission_id, row_key, row, findings } = *said;
        let by = rights::session_user();
        let word = Word {
            protection: place.id(),
            relation: &place.relation(),
            row_key,
            is_spam,
            submission_id,
            submission: match row {
                Some(row) => row.submission.clone(),
                None => findings::submission_of(findings),
            },
            reporter: Some(&by),
        };
        let queued = feedback::queue(word, |original| {
            row.is_some_and(|row| original.is_of_row(&row.fingerprint, &row.submission))
                || original.is_of(submission_id)
                || findings.iter().any(|one| one.describes(&original.submission))
        });
        self.set("akismet", queued.to_json());
    }

    /// As the server has it. pgrx's own type writes UTF-8 only, and databases have other encodings.
    pub fn into_jsonb(self) -> AnyElement {
        let text = Json::Object(self.0).to_string();
        let datum = row::input(pg_sys::JSONBOID, -1, &row::fitting(&text));
        // SAFETY: a value of that type, and not NULL.
        let element = unsafe { AnyElement::from_polymorphic_datum(datum, false, pg_sys::JSONBOID) };
        match element {
            Some(element) => element,
            None => pgrx::error!("pg_spamcheck could not make an answer"),
        }
    }
}
