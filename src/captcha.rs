//! The captcha of a row that is judged: whether its visitor has to solve one, whether he did, and the
//! challenge if not. Owns when an answer is looked at and what follows; what proves what is the engine's,
//! and what was used before is known by the files beneath.
//!
//! An answer is spent in the transaction that stores its row: rolled back or not stored, it may be used again,
//! and of two sessions with the same one the later waits for the earlier.

mod answers;
mod challenges;
mod image;
mod keys;
mod tried;
mod used;

use serde_json::Value as Json;
use spamcheck_engine::captcha::When;
use spamcheck_engine::policy::{self, CaptchaSetting, Mode};
use spamcheck_engine::verdict::{Action, Judgement, Verdict};
use spamcheck_engine::{Facts, LookupKind, Lookups};

use crate::protection::Protection;
use crate::row::Row;
use crate::submission;
use crate::{calls, shared};

use answers::given;
pub use answers::{Asked, Tried, tried_dry};
pub use keys::{SHORTEST, altcha as altcha_key, is_short};
pub use used::{clear, forget_expired, forget_from, hand_up, stored, take_back, take_back_all};

/// The captcha of one row.
pub struct Asking<'a> {
    protection: &'a Protection,
    setting: &'a CaptchaSetting,
    edited: bool,
    whole: &'a dyn Fn() -> Row<'a>,
    tried: Option<Tried>,
}

impl<'a> Asking<'a> {
    /// None: it has no say about this row. `whole` gives the row with all its columns.
    pub fn about(
        protection: &'a Protection,
        facts: &Facts<'_>,
        judgement: &Judgement,
        edited: bool,
        whole: &'a dyn Fn() -> Row<'a>,
    ) -> Option<Self> {
        // A worker's own statements are nobody's submissions.
        let nobody = calls::is_worker() || shared::shared().is_none();
        if nobody || judgement.verdict == Verdict::Reject {
            return None;
        }
        let policy = &protection.policy;
        let (setting, tried) = match policy.captcha_for(facts, judgement) {
            Ok(setting) => (setting?, None),
            Err(why) => (policy.captcha()?, Some(Tried::Unusable(why))),
        };
        Some(Self { protection, setting, edited, whole, tried })
    }

    /// The judgement before anybody else is asked. Who has to solve a captcha anyway is told so at once;
    /// who has solved one for this very content is not looked up again, since that would only end with
    /// another challenge.
    pub fn before_lookups(&mut self, judgement: Judgement) -> Judgement {
        if self.when() == When::Always {
            let judgement = self.ask(judgement);
            let refused = judgement.verdict == Verdict::Challenge && self.enforced();
            let lookups = if refused { Lookups::NONE } else { judgement.lookups };
            return Judgement { lookups, ..judgement };
        }
        let spared = judgement.lookups.has(LookupKind::Akismet)
            && self.protection.policy.akismet_challenges();
        if spared && self.tried.is_none() {
            self.tried = self.with_facts(|facts| self.try_answer(facts, true));
            if self.tried == Some(Tried::Solved) {
                return self.ask(judgement);
            }
        }
        judgement
    }

    /// The judgement with all findings known.
    pub fn after_lookups(&mut self, judgement: Judgement) -> Judgement {
        let judgement = self.protection.policy.challenged_instead(judgement);
        if self.when() == When::Always || self.settled(&judgement) {
            return judgement;
        }
        if policy::asks(&judgement) {
            return self.ask(judgement);
        }
        // Akismet has not answered, and would only ask for what was given already.
        let unanswered = judgement.lookups.has(LookupKind::Akismet)
            && self.protection.policy.akismet_challenges();
        if unanswered && self.with_facts(|facts| given(facts).is_some()) {
            return match self.try_once() {
                Tried::Solved => self.ask(judgement),
                _ => judgement,
            };
        }
        judgement
    }

    /// What a row that ends with the verdict `challenge` is refused with; None: nobody can be asked.
    pub fn challenge(&self, judgement: &Judgement) -> Option<Json> {
        let asked = judgement.verdict == Verdict::Challenge && self.setting.action != Action::Log;
        if !asked || !self.enforced() {
            return None;
        }
        let options = &self.setting.options;
        self.with_facts(|facts| {
            challenges::challenge(options, Some(&self.protection.relation), Some(facts)).ok()
        })
    }

    /// Edits are asked about only where something else speaks against them.
    fn when(&self) -> When {
        if self.edited { When::Suspicious } else { self.setting.options.when }
    }

    fn enforced(&self) -> bool {
        self.protection.policy.settings.mode == Mode::Enforce
    }

    /// Whether the captcha has had its say.
    fn settled(&self, judgement: &Judgement) -> bool {
        judgement.findings.iter().any(|finding| finding.check == "captcha")
    }

    /// The judgement with what the answer, or its absence, says.
    fn ask(&mut self, judgement: Judgement) -> Judgement {
        let (policy, setting) = (&self.protection.policy, self.setting);
        let finding = match self.try_once() {
            Tried::Solved => return policy.with_solved(judgement),
            Tried::Untried => return judgement,
            Tried::Missing => setting.finding("there is no answer to the captcha"),
            Tried::Wrong(why) => setting.finding(why),
            Tried::Unverified(why) => setting.unverified(why),
            Tried::Unusable(why) => setting.failed(why),
        };
        policy.with_finding(judgement, finding)
    }

    /// An answer is tried once, however often it is asked about.
    fn try_once(&mut self) -> &Tried {
        if self.tried.is_none() {
            self.tried = self.with_facts(|facts| self.try_answer(facts, false));
        }
        self.tried.as_ref().unwrap_or(&Tried::Missing)
    }

    fn try_answer(&self, facts: &Facts<'_>, of_refusal: bool) -> Option<Tried> {
        let asked = answers::Asked {
            options: &self.setting.options,
            relation: &self.protection.relation,
            protection: self.protection.id,
            facts,
            edited: self.edited,
            // A trial keeps nobody waiting.
            trial: !self.enforced(),
        };
        answers::tried(&asked, of_refusal)
    }

    fn with_facts<T>(&self, work: impl for<'e> FnOnce(&'e Facts<'e>) -> T) -> T {
        submission::with_facts(self.protection, (self.whole)(), submission::now(), work)
    }
}
