//! Owns which kinds of lookups a submission may need and how a policy sets the check behind one. It
//! must not make any: that is the worker's, and Akismet's protocol is the module `akismet`'s.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

use crate::addresses;
use crate::checks::{Beforehand, LookupCheck};
use crate::facts::Facts;
use crate::linking::{self, Target};
use crate::location::Location;
use crate::submission::FieldSet;
use crate::verdict::{Action, Finding, words};

/// What is looked up about a submission: one kind for each check that needs the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupKind {
    /// Akismet's verdict.
    Akismet,
    /// Whether the homepage's host is the sender.
    TrackbackIp,
    /// Whether the homepage links to the article.
    TrackbackLink,
}

words!(LookupKind: Akismet = "akismet", TrackbackIp = "trackback_ip",
       TrackbackLink = "trackback_link");

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups(u8);

impl Lookups {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// One kind.
    #[must_use]
    pub const fn of(kind: LookupKind) -> Self {
        Self(1 << kind as u8)
    }

    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether a kind is one of them.
    #[must_use]
    pub const fn has(self, kind: LookupKind) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    /// The kinds of both.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The others.
    #[must_use]
    pub const fn without(self, kind: LookupKind) -> Self {
        Self(self.0 & !Self::of(kind).0)
    }

    /// Each of them.
    pub fn kinds(self) -> impl Iterator<Item = LookupKind> {
        LookupKind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

/// What a lookup found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The reason, for staff.
    pub why: String,
    /// The reason, for programs.
    pub detail: Json,
    /// Nobody can tell: a page did not answer. Then a person looks, and nothing worse happens.
    pub unsure: bool,
}

/// A check that asks the network, as a policy sets it; Akismet has a setting of its own.
pub struct LookupSetting {
    /// What it looks up; the check has the same name.
    pub kind: LookupKind,
    /// What a hit does.
    pub action: Action,
    /// What it adds when the action is `score`.
    pub score: f32,
    pub(crate) check: Box<dyn LookupCheck>,
}

impl LookupSetting {
    /// The check's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The fields that it looks at.
    #[must_use]
    pub fn reads(&self) -> FieldSet {
        self.check.reads()
    }

    /// The fields of which its findings may tell what is in them.
    #[must_use]
    pub fn quotes(&self) -> FieldSet {
        self.check.quotes()
    }

    /// Whether a row waits as moderated while the lookup is out.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.action != Action::Log
    }

    /// What can be said without the network: a finding, or whether it has to be looked up.
    #[must_use]
    pub fn ask(&self, facts: &Facts<'_>) -> Said {
        let failures = facts.failure_count();
        let answer = self.check.ask(facts);
        let failed = |failure: String| {
            let detail = json!({ "error": failure });
            let (check, action, score) = (self.name(), Action::Error, 0.0);
            Said::Hits(Finding { check, action, score, why: failure, detail, allowed: false })
        };
        if let Some(failure) = facts.failures_since(failures) {
            return failed(failure);
        }
        match answer {
            Ok(Beforehand::Passes) => Said::Passes,
            Ok(Beforehand::Ask) => Said::Ask,
            Ok(Beforehand::Hits(hit)) => {
                let (why, detail) = (hit.why, hit.detail);
                Said::Hits(self.finding(Found { why, detail, unsure: false }))
            }
            Err(failure) => failed(failure),
        }
    }

    /// The finding for what a lookup found.
    #[must_use]
    pub fn finding(&self, found: Found) -> Finding {
        // What is not known must not cost anybody the row.
        let action = if found.unsure { self.action.min(Action::Moderate) } else { self.action };
        let score = if action == Action::Score { self.score } else { 0.0 };
        let (why, detail) = (found.why, found.detail);
        Finding { check: self.name(), action, score, why, detail, allowed: false }
    }

    /// What is to be asked about a submission as the lookup keeps it.
    ///
    /// # Errors
    /// A sentence, when it has not what it takes.
    pub fn question(&self, submission: &Json) -> Result<Question, String> {
        self.check.question(submission)
    }
}

/// What the worker finds out.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Whether a host has the sender's address.
    Sender {
        /// The host.
        host: String,
        /// The sender.
        sender: IpAddr,
    },
    /// Whether a page has a link.
    Link {
        /// The page.
        page: Location,
        /// Where the link leads.
        target: Target,
    },
}

impl Question {
    /// What speaks against the submission when these are the host's addresses; none: there is no such
    /// host. `None` when nothing does.
    #[must_use]
    pub fn of_addresses(&self, found: &[IpAddr]) -> Option<Found> {
        let Self::Sender { host, sender } = self else { return None };
        if found.iter().any(|address| addresses::same(*address, *sender)) {
            return None;
        }
        let shown: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
        let why = match shown.len() {
            0 => format!("{host} does not exist, and it was sent by {sender}"),
            _ => format!("{host} is {}, and it was sent by {sender}", shown.join(", ")),
        };
        let detail = json!({ "host": host, "addresses": shown, "sender": sender.to_string() });
        Some(Found { why, detail, unsure: false })
    }

    /// What speaks against the submission when this is the page, in HTML and found at `at`; `whole`:
    /// nothing is cut off. `None` when nothing does.
    #[must_use]
    pub fn of_page(&self, page: &str, at: &Location, whole: bool) -> Option<Found> {
        let Self::Link { page: asked, target } = self else { return None };
        if linking::links_to(page, at, target) {
            return None;
        }
        let mut detail = json!({ "page": asked.to_string() });
        if at != asked {
            detail["led_to"] = json!(at.to_string());
        }
        let mut why = format!("{asked} does not link to the article");
        if !whole {
            why.push_str(", as far as it was read");
            detail["truncated"] = json!(true);
        }
        Some(Found { why, detail, unsure: !whole })
    }

    /// Nobody can tell, for this reason.
    #[must_use]
    pub fn unanswered(&self, reason: &str) -> Found {
        let (what, detail) = match self {
            Self::Sender { host, .. } => (host.clone(), json!({ "host": host })),
            Self::Link { page, .. } => (page.to_string(), json!({ "page": page.to_string() })),
        };
        let mut detail = detail;
        detail["error"] = json!(reason);
        Found { why: format!("{what} could not be looked at: {reason}"), detail, unsure: true }
    }
}

/// Addresses of a host that a finding names at most.
const SHOWN: usize = 8;

/// What a check says before anything is looked up.
#[derive(Debug)]
pub enum Said {
    /// Nothing against it, and nothing to look up.
    Passes,
    /// A finding.
    Hits(Finding),
    /// It has to be looked up.
    Ask,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let both = Lookups::of(LookupKind::Akismet).with(Lookups::of(LookupKind::TrackbackLink));
        assert!(both.any() && both.has(LookupKind::Akismet) && !both.has(LookupKind::TrackbackIp));
        let kinds: Vec<_> = both.kinds().collect();
        assert_eq!(kinds, [LookupKind::Akismet, LookupKind::TrackbackLink]);
        assert_eq!(
            both.without(LookupKind::Akismet).without(LookupKind::TrackbackLink),
            Lookups::NONE
        );
        assert!(!Lookups::NONE.any());
    }
}
