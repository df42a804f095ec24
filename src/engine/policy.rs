//! Owns the way from settings to a verdict: it compiles a policy's check settings once and then
//! judges submissions by precedence and thresholds. It must not know what a single check looks for.

mod captcha;
mod enabled_check;
mod explained;
mod settings;

use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::akismet;
use crate::checks::{self, Check, Compiled};
use crate::facts::{self, Facts};
use crate::lists::List;
use crate::lookup::{LookupKind, LookupSetting, Lookups, Said};
use crate::options::OptionValues;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::{Action, Finding, Judgement, Verdict};

pub use captcha::{CaptchaSetting, asks};
pub use enabled_check::EnabledCheck;
pub use explained::{Enabled, in_words};
pub use settings::{Keep, LogTo, Mode, OnError, OnReject, PolicySettings, validate_policy};

/// A row of `spamcheck.check_setting`; columns that it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CheckSetting {
    /// The check.
    pub check_name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// What its findings do.
    pub action: String,
    /// What its findings add to the sum when the action is `score`.
    pub score: f32,
    /// Its options.
    #[serde(default)]
    pub options: Json,
}

/// What stands behind the settings: lists by name, and what the server makes of an interval. Asked
/// only for what an enabled check names.
pub trait Backing {
    /// The list of that name.
    ///
    /// # Errors
    /// A sentence, when there is no such list or it does not compile.
    fn list(&mut self, name: &str) -> Result<Rc<List>, String>;

    /// The length of an interval in microseconds; a month has 30 days.
    ///
    /// # Errors
    /// A sentence, when the server cannot read it.
    fn interval(&mut self, text: &str) -> Result<i64, String>;
}

/// The check `akismet` as a policy sets it.
#[derive(Clone, Debug)]
pub struct AkismetSetting {
    /// What an answer of spam does.
    pub action: Action,
    /// What it adds when the action is `score`.
    pub score: f32,
    /// Its options.
    pub options: akismet::Options,
}

impl AkismetSetting {
    /// The finding on a submission that Akismet calls spam.
    #[must_use]
    pub fn finding(&self, detail: Json) -> Finding {
        let blatant = detail["discard"] == true;
        let (mut action, mut why) = (self.action, "Akismet calls it spam".to_owned());
        if blatant {
            why.push_str(" that nobody needs to review");
            // A shadow stays one.
            if self.options.discard_blatant && action != Action::Log {
                action = Action::Reject;
            }
        }
        let score = if action == Action::Score { self.score } else { 0.0 };
        Finding { check: "akismet", action, score, why, detail, allowed: false }
    }
}

/// A policy, compiled: ready to judge any number of submissions.
pub struct Policy {
    /// Its settings.
    pub settings: PolicySettings,
    /// In the order of the catalogue, those that allow first.
    checks: Vec<EnabledCheck>,
    /// How many of them allow.
    allowing: usize,
    /// Those that are asked before the others, of every type.
    first: Vec<EnabledCheck>,
    /// Those that can never hit as they are set, and their actions.
    idle: Vec<(&'static str, Action)>,
    akismet: Option<AkismetSetting>,
    /// The other checks that need the network.
    lookups: Vec<LookupSetting>,
    captcha: Option<CaptchaSetting>,
    types: Option<Vec<String>>,
    needs: FieldSet,
}

impl Policy {
    /// Compiles the settings of a policy and of its checks. It never fails: a check that cannot be
    /// compiled becomes one whose every answer is an error, so that `on_error` decides. Settings of
    /// checks that do not exist are skipped; [`validate_check_setting`] keeps them out.
    #[must_use]
    pub fn compile(
        settings: PolicySettings,
        checks: Vec<CheckSetting>,
        backing: &mut dyn Backing,
    ) -> Self {
        let types = settings
            .types
            .as_ref()
            .map(|types| types.iter().map(|kind| facts::kind(kind).into_owned()).collect());
        let mut policy = Self {
            settings,
            checks: Vec::new(),
            allowing: 0,
            first: Vec::new(),
            idle: Vec::new(),
            akismet: None,
            lookups: Vec::new(),
            captcha: None,
            types,
            needs: FieldSet::default(),
        };
        if policy.settings.mode == Mode::Off {
            return policy;
        }
        for check in checks::CHECKS {
            let setting = checks.iter().find(|setting| setting.check_name == check.name());
            if let Some(setting) = setting.filter(|setting| setting.enabled) {
                policy.enable(*check, setting, backing);
            }
        }
        // Stable: within both groups the catalogue's order stays.
        policy.checks.sort_by_key(|check| check.action != Action::Allow);
        policy.allowing = policy.checks.partition_point(|check| check.action == Action::Allow);
        let asked = policy.checks.len() + policy.first.len() + policy.lookups.len();
        // Who is told of every verdict is not told of what has none.
        let told = policy.settings.notify_channel.is_some();
        if policy.types.is_some() && (asked > 0 || told) {
            policy.needs.insert(Field::Type);
        }
        policy
    }

    fn enable(&mut self, check: &dyn Check, setting: &CheckSetting, backing: &mut dyn Backing) {
        let (name, check_action) = (check.name(), check.action());
        let action = action_of(check, &setting.action);
        let compiled = action.clone().and_then(|_| {
            let options = OptionValues::read(name, check.options(), &setting.options)?;
            check.compile(&options, backing)
        });
        let check = match compiled {
            Ok(Compiled::Nothing) => {
                self.idle.push((name, action.unwrap_or(check_action)));
                return;
            }
            Ok(Compiled::Akismet(options)) => {
                let action = action.unwrap_or(check_action);
                self.akismet = Some(AkismetSetting { action, score: setting.score, options });
                return;
            }
            Ok(Compiled::Lookup(kind, check)) => {
                self.needs = self.needs.union(check.reads());
                let action = action.unwrap_or(check_action);
                self.lookups.push(LookupSetting { kind, action, score: setting.score, check });
                return;
            }
            Ok(Compiled::Captcha(options)) => {
                self.needs = self.needs.union(FieldSet::of(&options.reads()));
                let action = action.unwrap_or(check_action);
                self.captcha = Some(CaptchaSetting { action, score: setting.score, options });
                return;
            }
            Ok(Compiled::Local(check)) => {
                self.needs = self.needs.union(check.reads());
                Ok(check)
            }
            Ok(Compiled::First(check)) => {
                self.needs = self.needs.union(check.reads());
                let action = action.unwrap_or(check_action);
                self.first.push(EnabledCheck {
                    name,
                    action,
                    score: setting.score,
                    check: Ok(check),
                });
                return;
            }
            // A finding says what is wrong; what to do about it is for whoever sets the check.
            Err(refusal) => Err(Refusal { hint: None, ..refusal }.to_string()),
        };
        let action = action.unwrap_or(Action::Error);
        self.checks.push(EnabledCheck { name, action, score: setting.score, check });
    }

    /// The fields that some enabled local check reads.
    #[must_use]
    pub const fn needs(&self) -> FieldSet {
        self.needs
    }

    /// Whether submissions of this type (as [`Facts::kind`] gives it) are checked.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|covered| covered == kind))
    }

    /// The check `akismet`, if it is enabled.
    #[must_use]
    pub const fn akismet(&self) -> Option<&AkismetSetting> {
        self.akismet.as_ref()
    }

    /// The other checks that need the network, as far as they are enabled.
    #[must_use]
    pub fn lookups(&self) -> &[LookupSetting] {
        &self.lookups
    }

    /// The setting of such a check, if it is enabled.
    #[must_use]
    pub fn lookup(&self, kind: LookupKind) -> Option<&LookupSetting> {
        self.lookups.iter().find(|lookup| lookup.kind == kind)
    }

    /// Whether anything is ever looked up.
    #[must_use]
    pub fn looks_up(&self) -> bool {
        self.akismet.is_some() || !self.lookups.is_empty()
    }

    /// Whether rows are ever moderated only until a lookup is answered.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        self.akismet().is_some_and(|akismet| akismet.options.holds())
            || self.lookups.iter().any(LookupSetting::holds)
    }

    /// Of these lookups, those that keep a row moderated until they are answered.
    #[must_use]
    pub fn holding(&self, lookups: Lookups) -> Lookups {
        let mut holding = Lookups::NONE;
        for kind in lookups.kinds() {
            let holds = match kind {
                LookupKind::Akismet => self.akismet().is_some_and(|a| a.options.holds()),
                _ => self.lookup(kind).is_some_and(LookupSetting::holds),
            };
            if holds {
                holding = holding.with(Lookups::of(kind));
            }
        }
        holding
    }

    /// The enabled local checks, in the order in which they run: those that allow, those that are asked
    /// before the others, the others.
    pub fn checks(&self) -> impl Iterator<Item = &EnabledCheck> {
        let (allowing, others) = self.checks.split_at(self.allowing);
        allowing.iter().chain(&self.first).chain(others)
    }

    /// The fields of which findings may tell what is in them: who reads why a row waits reads that.
    #[must_use]
    pub fn quotes(&self) -> FieldSet {
        let local = self.checks().map(EnabledCheck::quotes);
        let all = local.chain(self.lookups.iter().map(LookupSetting::quotes));
        all.fold(FieldSet::default(), FieldSet::union)
    }

    /// Whether a check asks for earlier rows.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.checks().any(|check| !check.remembers().is_empty())
    }

    /// Has a row remembered that is not judged: later rows may be compared with it.
    pub fn leave_traces(&self, facts: &Facts<'_>) {
        self.checks().for_each(|check| check.leave_traces(facts));
    }

    /// Judges a submission. Every local check runs, also after an allow: what it allowed is in the
    /// log then. Only a reject by a check that comes first ends it, and nothing but such a check asks
    /// about types that the policy does not cover; these are only remembered.
    #[must_use]
    pub fn judge(&self, facts: &Facts<'_>) -> Judgement {
        self.judge_by(facts, |check| check.ask(facts))
    }

    /// [`judge`](Self::judge), where whoever calls asks the checks about these facts, and may watch them.
    #[must_use]
    pub fn judge_by(
        &self,
        facts: &Facts<'_>,
        mut ask: impl FnMut(&EnabledCheck) -> Option<Finding>,
    ) -> Judgement {
        let covered = self.types.is_none() || self.covers(facts.kind());
        let mut findings: Vec<Finding> = Vec::new();
        let mut allow: Option<Finding> = None;
        if !covered && self.first.is_empty() {
            self.leave_traces(facts);
            return Judgement { lookups: Lookups::NONE, ..self.weigh(findings) };
        }
        let (allowing, others) = self.checks.split_at(self.allowing);
        for finding in allowing.iter().filter_map(&mut ask) {
            if finding.action != Action::Allow {
                findings.push(finding);
            } else if allow.is_none() {
                allow = Some(finding);
            }
        }
        if allow.is_none() {
            for finding in self.first.iter().filter_map(&mut ask) {
                let ends = finding.action == Action::Reject && self.settings.mode == Mode::Enforce;
                findings.push(finding);
                if ends {
                    return self.weigh(findings);
                }
            }
        }
        if covered {
            findings.extend(others.iter().filter_map(&mut ask));
        } else {
            others.iter().for_each(|check| check.leave_traces(facts));
        }
        let mut lookups = Lookups::NONE;
        for lookup in self.lookups.iter().filter(|_| covered) {
            match lookup.ask(facts) {
                Said::Passes => {}
                Said::Hits(finding) => findings.push(finding),
                Said::Ask => lookups = lookups.with(Lookups::of(lookup.kind)),
            }
        }
        match allow {
            None => {
                let judgement = self.weigh(findings);
                let lookups = match judgement.verdict {
                    // Nobody needs to be asked any more.
                    Verdict::Spam | Verdict::Reject => Lookups::NONE,
                    _ if covered => judgement.lookups.with(lookups),
                    _ => Lookups::NONE,
                };
                Judgement { lookups, ..judgement }
            }
            Some(allow) => allowed(allow, findings),
        }
    }

    /// The verdict on findings: the most severe action, or the threshold that the sum of scores
    /// reaches, whichever is more severe. What was allowed does not count, nor does the failure of a
    /// check that only takes note.
    #[must_use]
    pub fn weigh(&self, findings: Vec<Finding>) -> Judgement {
        let mut verdict = Verdict::Ham;
        let mut total = 0.0;
        for finding in findings.iter().filter(|finding| !finding.allowed) {
            verdict = verdict.max(finding.action.verdict());
            match finding.action {
                Action::Score => total = crate::verdict::sum(total, finding.score),
                Action::Error if !self.is_shadow(finding.check) => {
                    verdict = verdict.max(self.on_error());
                }
                _ => {}
            }
        }
        verdict = verdict.max(self.threshold(total));
        let asks = self.akismet.is_some() && verdict < Verdict::Spam;
        let lookups = if asks { Lookups::of(LookupKind::Akismet) } else { Lookups::NONE };
        Judgement { verdict, total, findings, allowed: false, lookups }
    }

    /// The verdict whose threshold a sum of scores reaches.
    #[must_use]
    pub fn threshold(&self, total: f32) -> Verdict {
        let settings = &self.settings;
        let thresholds = [
            (settings.reject_at, Verdict::Reject),
            (settings.spam_at, Verdict::Spam),
            (settings.moderate_at, Verdict::Moderate),
        ];
        let reached = |(at, _): &(Option<f32>, Verdict)| at.is_some_and(|at| total >= at);
        thresholds.into_iter().find(reached).map_or(Verdict::Ham, |(_, verdict)| verdict)
    }

    /// Whether a check is enabled and set to log alone: nothing that it says has an effect.
    #[must_use]
    pub fn is_shadow(&self, check: &str) -> bool {
        let local = self.checks().map(|enabled| (enabled.name, enabled.action));
        let lookups = self.lookups.iter().map(|lookup| (lookup.name(), lookup.action));
        let akismet = self.akismet.iter().map(|akismet| ("akismet", akismet.action));
        let captcha = self.captcha.iter().map(|captcha| ("captcha", captcha.action));
        let mut all = local.chain(lookups).chain(akismet).chain(captcha);
        all.any(|set| set == (check, Action::Log))
    }

    const fn on_error(&self) -> Verdict {
        match self.settings.on_error {
            OnError::Accept => Verdict::Ham,
            OnError::Moderate => Verdict::Moderate,
            OnError::Reject => Verdict::Reject,
        }
    }
}

/// Ham; what was found is kept only where there was something to allow.
fn allowed(allow: Finding, mut findings: Vec<Finding>) -> Judgement {
    if !findings.is_empty() {
        findings.insert(0, allow);
    }
    for finding in &mut findings {
        finding.allowed = true;
    }
    Judgement { verdict: Verdict::Ham, total: 0.0, findings, allowed: true, lookups: Lookups::NONE }
}

/// The action that a setting names, if the check may have it.
fn action_of(check: &dyn Check, action: &str) -> Result<Action, Refusal> {
    let allows = check.action() == Action::Allow;
    match Action::from_name(action) {
        Some(Action::Error) | None => {}
        Some(Action::Allow) if !allows => {}
        Some(action) => return Ok(action),
    }
    let more = if allows { "allow, " } else { "" };
    let refusal = Refusal::new(format!(
        "the action of check {} is one of {more}log, score, challenge, moderate, spam or reject, \
         not {}",
        check.name(),
        Refusal::quote(action)
    ));
    Err(refusal.with_hint(match Action::from_name(action) {
        Some(Action::Allow) => "Only checks that look for what is welcome allow, such as ip_allow.",
        Some(Action::Error) => {
            "A check that fails says error by itself; column on_error of the policy decides what \
             follows."
        }
        _ => {
            "Write log to record what it finds, score to add its score to the row's sum, another \
             to act at once; set enabled to false to switch the check off."
        }
    }))
}

/// Checks a row of `spamcheck.check_setting` before it is stored.
///
/// # Errors
/// Refuses an unknown check, an action that it cannot have, an unknown option, a value that the
/// option does not take and a bad pattern: it names the option, what it got and what it takes.
pub fn validate_check_setting(
    check_name: &str,
    action: &str,
    options: &Json,
) -> Result<(), Refusal> {
    let Some(check) = checks::find(check_name) else {
        let names: Vec<&str> = checks::CHECKS.iter().map(|check| check.name()).collect();
        return Err(Refusal::new(format!("there is no check {}", Refusal::quote(check_name)))
            .with_hint(format!("The checks are {}.", names.join(", "))));
    };
    action_of(check, action)?;
    check.validate(&OptionValues::read(check_name, check.options(), options)?)
}

#[cfg(test)]
mod tests;
