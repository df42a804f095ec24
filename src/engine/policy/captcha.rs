//! Owns how a captcha weighs: what its findings do, and which findings of others a solved one takes back.
//! It must not know how an answer is verified.

use serde_json::json;

use super::Policy;
use crate::captcha::{Options, When};
use crate::facts::Facts;
use crate::lookup::{LookupKind, Lookups};
use crate::verdict::{Action, Finding, Judgement, Verdict};

/// The check `captcha` as a policy sets it.
#[derive(Clone, Debug)]
pub struct CaptchaSetting {
    /// What a submission without a valid answer gets.
    pub action: Action,
    /// What it adds when the action is `score`.
    pub score: f32,
    /// Its options.
    pub options: Options,
}

impl CaptchaSetting {
    /// The finding on a submission without a valid answer.
    #[must_use]
    pub fn finding(&self, why: &str) -> Finding {
        let score = if self.action == Action::Score { self.score } else { 0.0 };
        self.made(self.action, score, why)
    }

    /// The finding where an answer could not be verified and nobody is to be blamed: a person looks, and
    /// the visitor is not refused.
    #[must_use]
    pub fn unverified(&self, why: &str) -> Finding {
        let action = if self.action == Action::Log { Action::Log } else { Action::Moderate };
        self.made(action, 0.0, why)
    }

    /// The finding where the check cannot work; the policy's `on_error` decides.
    #[must_use]
    pub fn failed(&self, why: &str) -> Finding {
        Finding { detail: json!({ "error": why }), ..self.made(Action::Error, 0.0, why) }
    }

    fn solved(&self) -> Finding {
        Finding { allowed: true, ..self.made(self.action, 0.0, "captcha solved") }
    }

    fn made(&self, action: Action, score: f32, why: &str) -> Finding {
        let detail = json!({ "provider": self.options.provider.name() });
        Finding { check: "captcha", action, score, why: why.to_owned(), detail, allowed: false }
    }
}

/// Whether a captcha can stand for what Akismet found: not for what it calls blatant.
fn is_softened(finding: &Finding) -> bool {
    finding.check == "akismet"
        && finding.action == Action::Reject
        && finding.detail["discard"] != json!(true)
}

impl Policy {
    /// The check `captcha`, if it is enabled.
    #[must_use]
    pub const fn captcha(&self) -> Option<&CaptchaSetting> {
        self.captcha.as_ref()
    }

    /// The check `captcha`, if it has a say about a submission that was judged so far: it applies, the
    /// policy covers the type, and nothing allowed it.
    ///
    /// # Errors
    /// A sentence, when a field could not be read.
    pub fn captcha_for(
        &self,
        facts: &Facts<'_>,
        judgement: &Judgement,
    ) -> Result<Option<&CaptchaSetting>, String> {
        let Some(captcha) = self.captcha() else { return Ok(None) };
        if judgement.allowed || !self.covers(facts.kind()) || !captcha.options.apply(facts)? {
            return Ok(None);
        }
        Ok(Some(captcha))
    }

    /// Whether a submission that Akismet calls spam is only to be challenged: so Akismet is set, or it
    /// is set to reject and there is a captcha for what is suspicious (GitLab's way).
    #[must_use]
    pub fn akismet_challenges(&self) -> bool {
        let captcha = self.captcha().filter(|captcha| captcha.action != Action::Log);
        let akismet = self.akismet().map(|akismet| akismet.action);
        captcha.is_some_and(|captcha| match akismet {
            Some(Action::Challenge) => true,
            Some(Action::Reject) => captcha.options.when == When::Suspicious,
            _ => false,
        })
    }

    /// The judgement with Akismet's reject turned into a challenge, where [`Policy::akismet_challenges`].
    /// What Akismet calls blatant stays rejected.
    #[must_use]
    pub fn challenged_instead(&self, mut judgement: Judgement) -> Judgement {
        let mut any = false;
        if self.akismet_challenges() {
            for finding in judgement.findings.iter_mut().filter(|finding| is_softened(finding)) {
                finding.action = Action::Challenge;
                any = true;
            }
        }
        if any { self.again(judgement) } else { judgement }
    }

    /// What Akismet finds about a row that is stored, as [`Policy::challenged_instead`] has it: its visitor could
    /// have solved the captcha, had the answer come in time.
    #[must_use]
    pub fn challenging_instead(&self, mut finding: Finding) -> Finding {
        if self.akismet_challenges() && is_softened(&finding) {
            finding.action = Action::Challenge;
        }
        finding
    }

    /// The judgement with one more finding.
    #[must_use]
    pub fn with_finding(&self, mut judgement: Judgement, finding: Finding) -> Judgement {
        judgement.findings.push(finding);
        self.again(judgement)
    }

    /// The judgement of a submission whose visitor solved the captcha: other findings that ask for one do
    /// not count any more, those that moderate or reject do. A shadow changes nothing.
    #[must_use]
    pub fn with_solved(&self, mut judgement: Judgement) -> Judgement {
        let Some(captcha) = self.captcha() else { return judgement };
        if captcha.action != Action::Log {
            let asking = |finding: &&mut Finding| finding.action == Action::Challenge;
            judgement.findings.iter_mut().filter(asking).for_each(|finding| finding.allowed = true);
        }
        // Akismet must not come later and do what the visitor has just been spared.
        let lookups = if self.akismet_challenges() {
            judgement.lookups.without(LookupKind::Akismet)
        } else {
            judgement.lookups
        };
        self.with_finding(Judgement { lookups, ..judgement }, captcha.solved())
    }

    fn again(&self, judgement: Judgement) -> Judgement {
        let weighed = self.weigh(judgement.findings);
        let needed = weighed.verdict < Verdict::Spam;
        let lookups = if needed { judgement.lookups } else { Lookups::NONE };
        Judgement { lookups, ..weighed }
    }
}

/// Whether some finding asks for a captcha.
#[must_use]
pub fn asks(judgement: &Judgement) -> bool {
    let asking = |finding: &Finding| finding.action == Action::Challenge && !finding.allowed;
    judgement.findings.iter().any(asking)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Backing, CheckSetting, PolicySettings};
    use crate::submission::Submission;
    use crate::verdict::Outcome;
    use crate::{List, Mode};
    use serde_json::Value as Json;
    use std::rc::Rc;

    struct Nothing;

    impl Backing for Nothing {
        fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
            Err(format!("no list {name}"))
        }

        fn interval(&mut self, text: &str) -> Result<i64, String> {
            Err(format!("no interval {text}"))
        }
    }

    fn policy(captcha: &str, options: Json, akismet: &str) -> Policy {
        let setting = |name: &str, action: &str, options: Json| CheckSetting {
            check_name: name.to_owned(),
            enabled: true,
            action: action.to_owned(),
            score: 1.0,
            options,
        };
        let checks = vec![
            setting("captcha", captcha, options),
            setting("akismet", akismet, json!({})),
            setting("links", "challenge", json!({"over": 0, "reject_over": 1})),
        ];
        Policy::compile(PolicySettings::default(), checks, &mut Nothing)
    }

    fn judged(policy: &Policy, body: &str) -> Judgement {
        let submission = Submission::from_json(&json!({ "body": body })).unwrap();
        policy.judge(&Facts::new(&submission, 1000, 0))
    }

    fn akismet(policy: &Policy, discard: bool) -> Judgement {
        let finding = policy.akismet().unwrap().finding(json!({ "discard": discard }));
        let judgement = Judgement { lookups: Lookups::NONE, ..judged(policy, "fine") };
        policy.challenged_instead(policy.with_finding(judgement, finding))
    }

    #[test]
    fn a_solved_captcha_takes_back_what_asked_for_it_and_nothing_else() {
        let policy = policy("challenge", json!({"when": "suspicious"}), "spam");
        let challenged = judged(&policy, "www.a.example");
        assert_eq!(challenged.verdict, Verdict::Challenge);
        assert!(asks(&challenged));
        let solved = policy.with_solved(challenged);
        assert_eq!(solved.verdict, Verdict::Ham);
        assert!(solved.lookups.has(LookupKind::Akismet));
        let outcomes: Vec<_> =
            solved.findings.iter().map(|f| (f.check, solved.outcome(f, Mode::Enforce))).collect();
        assert_eq!(outcomes, [("links", Outcome::Allowed), ("captcha", Outcome::Allowed)]);
        let rejected = judged(&policy, "www.a.example www.b.example");
        assert_eq!(policy.with_solved(rejected).verdict, Verdict::Reject);
    }

    #[test]
    fn akismets_reject_is_a_challenge_where_the_suspicious_get_one() {
        let suspicious = json!({"when": "suspicious"});
        let verdict = |policy: &Policy, discard| akismet(policy, discard).verdict;
        let gitlab = policy("challenge", suspicious.clone(), "reject");
        assert_eq!(verdict(&gitlab, false), Verdict::Challenge);
        assert_eq!(verdict(&gitlab, true), Verdict::Reject);
        assert!(!gitlab.with_solved(judged(&gitlab, "fine")).lookups.any());
        for other in
            [policy("challenge", json!({}), "reject"), policy("log", suspicious.clone(), "reject")]
        {
            assert_eq!(verdict(&other, false), Verdict::Reject);
        }
        assert_eq!(verdict(&policy("challenge", suspicious, "spam"), false), Verdict::Spam);
    }

    #[test]
    fn it_has_no_say_where_it_does_not_apply_or_something_allows() {
        let policy = policy("challenge", json!({"pages": ["guestbook"]}), "spam");
        let said = |page: &str, allowed: bool| {
            let submission = Submission::from_json(&json!({ "page": page })).unwrap();
            let facts = Facts::new(&submission, 1000, 0);
            let judgement = Judgement { allowed, ..policy.judge(&facts) };
            policy.captcha_for(&facts, &judgement).unwrap().is_some()
        };
        assert!(said("Guestbook", false));
        assert!(!said("Guestbook", true) && !said("blog", false));
    }

    #[test]
    fn a_shadow_changes_nothing() {
        let policy = policy("log", json!({"when": "suspicious"}), "spam");
        let solved = policy.with_solved(judged(&policy, "www.a.example"));
        assert_eq!(solved.verdict, Verdict::Challenge);
        let captcha = policy.captcha().unwrap();
        assert_eq!(captcha.unverified("ill").action, Action::Log);
    }
}
