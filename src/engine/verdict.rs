//! Owns what comes out: actions, findings, verdicts and the outcome that the log shows. It must
//! not know how a check works; precedence between findings is settled here and in the policy.

use serde_json::Value as Json;

use crate::lookup::Lookups;
use crate::policy::Mode;

macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in SQL.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

/// The outcome for the row, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing against it.
    Ham,
    /// The visitor has to solve a captcha.
    Challenge,
    /// A person has to look.
    Moderate,
    /// Spam: stored as such.
    Spam,
    /// Not stored.
    Reject,
}

words!(Verdict: Ham = "ham", Challenge = "challenge", Moderate = "moderate", Spam = "spam",
       Reject = "reject");

/// What a finding does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Ends it: ham. Only for checks that allow (bypass, `ip_allow`).
    Allow,
    /// Noted, no effect.
    Log,
    /// Adds to the row's sum of scores.
    Score,
    /// Asks for a captcha.
    Challenge,
    /// Moderates.
    Moderate,
    /// Marks as spam.
    Spam,
    /// Refuses the row.
    Reject,
    /// The check itself failed; the policy's `on_error` decides. Never set by a user.
    Error,
}

words!(Action: Allow = "allow", Log = "log", Score = "score", Challenge = "challenge",
       Moderate = "moderate", Spam = "spam", Reject = "reject", Error = "error");

impl Action {
    /// The verdict that a finding of this action asks for by itself.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Allow | Self::Log | Self::Score | Self::Error => Verdict::Ham,
            Self::Challenge => Verdict::Challenge,
            Self::Moderate => Verdict::Moderate,
            Self::Spam => Verdict::Spam,
            Self::Reject => Verdict::Reject,
        }
    }
}

/// What the log says became of a finding's row: what was decided, whatever value the status
/// column got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The row was marked as spam.
    Suppressed,
    /// Matched, nothing done.
    Flagged,
    /// The row waits for a person.
    Moderated,
    /// The row was refused.
    Rejected,
    /// The visitor was asked for a captcha.
    Challenged,
    /// Another check allowed it.
    Allowed,
    /// Reversed by staff.
    NotSpam,
    /// Deleted by staff.
    Deleted,
    /// The check failed.
    Error,
}

words!(Outcome: Suppressed = "suppressed", Flagged = "flagged", Moderated = "moderated",
       Rejected = "rejected", Challenged = "challenged", Allowed = "allowed",
       NotSpam = "not_spam", Deleted = "deleted", Error = "error");

/// One check's answer on one submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// What follows from it.
    pub action: Action,
    /// What it adds to the sum when the action is [`Action::Score`].
    pub score: f32,
    /// The reason, for staff. It may name the word that hit, so it is never shown to visitors.
    pub why: String,
    /// The reason for programs.
    pub detail: Json,
    /// Whether another check allowed the row nevertheless.
    pub allowed: bool,
}

/// The sum of scores so far with one more, added as they are written: 2.3 + 1.1 + 0.3 is 3.7, which a
/// sum of binary fractions just misses. Six digits behind the point count.
#[must_use]
pub fn sum(total: f32, score: f32) -> f32 {
    let written = |score: f32| score.to_string().parse().unwrap_or_else(|_| f64::from(score));
    (((written(total) + written(score)) * 1e6).round() / 1e6) as f32
}

impl Verdict {
    /// What the log says became of a row with this verdict.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Ham => Outcome::Flagged,
            Self::Challenge => Outcome::Challenged,
            Self::Moderate => Outcome::Moderated,
            Self::Spam => Outcome::Suppressed,
            Self::Reject => Outcome::Rejected,
        }
    }
}

/// What the policy says about a submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The outcome for the row.
    pub verdict: Verdict,
    /// The sum of the scores of findings with action `score`.
    pub total: f32,
    /// What was found, in the order of the checks; empty for an ordinary ham row.
    pub findings: Vec<Finding>,
    /// Whether a check allowed the row.
    pub allowed: bool,
    /// What is still to be looked up.
    pub lookups: Lookups,
}

impl Judgement {
    /// Whether nobody found anything, and nobody is to be asked.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.findings.is_empty() && !self.lookups.any()
    }

    /// What the log says about a finding of this judgement.
    #[must_use]
    pub fn outcome(&self, finding: &Finding, mode: Mode) -> Outcome {
        match (finding.action, mode) {
            (Action::Error, _) => Outcome::Error,
            _ if finding.allowed => Outcome::Allowed,
            (Action::Log, _) | (_, Mode::Trial) => Outcome::Flagged,
            _ => self.verdict.outcome(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(action: Action, allowed: bool) -> Finding {
        Finding {
            check: "links",
            action,
            score: 1.0,
            why: String::new(),
            detail: Json::Null,
            allowed,
        }
    }

    fn judged(verdict: Verdict) -> Judgement {
        Judgement {
            verdict,
            total: 0.0,
            findings: Vec::new(),
            allowed: false,
            lookups: Lookups::NONE,
        }
    }

    #[test]
    fn names_read_back_and_order_is_severity() {
        for &verdict in Verdict::ALL {
            assert_eq!(Verdict::from_name(verdict.name()), Some(verdict));
        }
        assert!(Verdict::ALL.is_sorted());
        assert_eq!(Action::from_name("spam"), Some(Action::Spam));
        assert_eq!(Action::from_name("Spam"), None);
        assert_eq!(Outcome::from_name("not_spam"), Some(Outcome::NotSpam));
    }

    #[test]
    fn every_finding_of_a_row_shares_the_rows_outcome() {
        let spam = judged(Verdict::Spam);
        assert_eq!(
            spam.outcome(&finding(Action::Moderate, false), Mode::Enforce),
            Outcome::Suppressed
        );
        assert_eq!(
            spam.outcome(&finding(Action::Score, false), Mode::Enforce),
            Outcome::Suppressed
        );
        let reject = judged(Verdict::Reject);
        assert_eq!(reject.outcome(&finding(Action::Spam, false), Mode::Enforce), Outcome::Rejected);
    }

    #[test]
    fn shadows_trials_and_harmless_scores_are_flagged() {
        let moderate = judged(Verdict::Moderate);
        assert_eq!(moderate.outcome(&finding(Action::Log, false), Mode::Enforce), Outcome::Flagged);
        assert_eq!(moderate.outcome(&finding(Action::Spam, false), Mode::Trial), Outcome::Flagged);
        let ham = judged(Verdict::Ham);
        assert_eq!(ham.outcome(&finding(Action::Score, false), Mode::Enforce), Outcome::Flagged);
    }

    #[test]
    fn allowed_and_failed_findings_say_so_in_every_mode() {
        let ham = judged(Verdict::Ham);
        for mode in [Mode::Enforce, Mode::Trial] {
            assert_eq!(ham.outcome(&finding(Action::Reject, true), mode), Outcome::Allowed);
            assert_eq!(ham.outcome(&finding(Action::Error, false), mode), Outcome::Error);
        }
    }
}
