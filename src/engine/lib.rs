//! The pure half of `pg_spamcheck`: a [`Submission`] goes in, a [`Verdict`] comes out. It owns the
//! checks and how they are weighed; it has no server, no sockets, no files and no clock.
//!
//! ```text
//! Submission -> Facts -> Finding* -> Judgement (Verdict)
//!  the row      what is   one check's  what follows,
//!  as it is     in it     answer       by the Policy
//! ```
//!
//! * A *submission* is one row's content, field by field.
//! * *Facts* are what can be said about it before any check: normal forms, links, address.
//! * A *check* is one question about it; a *finding* is one check's answer.
//! * A *policy* says which checks run, how each is set, and what follows; the *verdict* follows.
//! * A *list* holds entries that checks match against; a *lookup* is work for later (Akismet, a page).
//!
//! ```
//! use std::rc::Rc;
//! use spamcheck_engine::{
//!     Facts, Field, List, ListKind, Backing, Policy, PolicySettings, Submission, Value, Verdict,
//!     presets,
//! };
//!
//! struct Lists;
//!
//! impl Backing for Lists {
//!     fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
//!         let (kind, entries): (_, &[&str]) = match name {
//!             "banned_words" => (ListKind::Word, &["cheap pills"]),
//!             "email_block" => (ListKind::Regex, &[]),
//!             _ => (ListKind::Ip, &[]),
//!         };
//!         let list = List::compile(kind, &mut entries.iter().copied());
//!         list.map(Rc::new).map_err(|refusal| refusal.to_string())
//!     }
//!
//!     fn interval(&mut self, text: &str) -> Result<i64, String> {
//!         Err(format!("no interval: {text}"))
//!     }
//! }
//!
//! let checks = presets::find("default").unwrap().check_settings();
//! let policy = Policy::compile(PolicySettings::default(), checks, &mut Lists);
//!
//! let mut submission = Submission::new();
//! submission.set(Field::Body, Value::Text("Buy CHEAP\u{200B}  pills at www.pills.example".into()));
//!
//! let facts = Facts::new(&submission, 65_536, 0);
//! assert_eq!(facts.links().len(), 1);
//!
//! let judgement = policy.judge(&facts);
//! assert_eq!(judgement.findings[0].why, "banned word \"cheap pills\" in body");
//! assert_eq!(judgement.verdict, Verdict::Spam);
//! ```

#![forbid(unsafe_code)]

// In the order in which data flows.
pub mod submission;

pub mod links;
pub mod text;
pub mod time;

pub mod facts;
pub mod rate;
pub mod kept;
pub mod surroundings;

pub mod addresses;
mod compiled;
pub mod domains;
pub mod hosts;
pub mod href;
pub mod import;
pub mod json_text;
pub mod linking;
pub mod lists;
pub mod location;
pub mod networks;
pub mod pattern;
pub mod patterns;
mod phrases;
mod pieces;
mod punycode;
mod python;
pub mod words;

pub mod checks;
pub mod options;
pub mod refusal;

pub mod page;
pub mod policy;
pub mod presets;
pub mod verdict;

pub mod akismet;
pub mod captcha;
pub mod lookup;
pub mod mail;
pub mod mapping;

#[cfg(test)]
mod offsets;

pub use checks::{CHECKS, Check, Seed};
pub use facts::Facts;
pub use kept::Keeper;
pub use lists::{List, ListKind};
pub use lookup::{LookupKind, Lookups};
pub use policy::{
    Backing, CheckSetting, Keep, LogTo, Mode, OnError, OnReject, Policy, PolicySettings,
};
pub use refusal::Refusal;
pub use submission::{Field, FieldSet, Remote, Submission, Value};
pub use surroundings::Surroundings;
pub use verdict::{Action, Finding, Judgement, Outcome, Verdict};
