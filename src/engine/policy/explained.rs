//! Owns what `explain` shows of a policy: every enabled check, also those with nothing to look for, in
//! the order in which they run, and what each needs to have of a table. It must not ask them.

use super::{AkismetSetting, CaptchaSetting, EnabledCheck, Policy};
use crate::checks::CHECKS;
use crate::lookup::LookupSetting;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// An enabled check of a policy.
pub enum Enabled<'p> {
    /// One that answers by itself.
    Local {
        /// The check.
        check: &'p EnabledCheck,
        /// Whether it is asked before the others, of submissions of every type.
        first: bool,
    },
    /// One that can never hit: its lists are empty, or its options are off.
    Idle(&'static str),
    /// The captcha, which comes behind the checks that may ask for it.
    Captcha(&'p CaptchaSetting),
    /// A lookup.
    Lookup(&'p LookupSetting),
    /// The lookup at Akismet, which comes last.
    Akismet(&'p AkismetSetting),
}

impl Policy {
    /// Every enabled check: those that allow, those that are asked before the others, the others, the
    /// captcha, and those that need the network, Akismet last.
    #[must_use]
    pub fn enabled(&self) -> Vec<Enabled<'_>> {
        let place = |name: &str| CHECKS.iter().position(|check| check.name() == name);
        let mut all: Vec<_> = self
            .checks()
            .map(|check| {
                let first = self.first.iter().any(|one| std::ptr::eq(one, check));
                let rank = if first { 1 } else { rank(check.action) };
                ((rank, place(check.name)), Enabled::Local { check, first })
            })
            .chain(
                self.idle
                    .iter()
                    .map(|(name, action)| ((rank(*action), place(name)), Enabled::Idle(name))),
            )
            .collect();
        all.sort_by_key(|(at, _)| *at);
        all.into_iter()
            .map(|(_, enabled)| enabled)
            .chain(self.captcha().map(Enabled::Captcha))
            .chain(self.lookups().iter().map(Enabled::Lookup))
            .chain(self.akismet().map(Enabled::Akismet))
            .collect()
    }
}

impl Enabled<'_> {
    /// The fields for want of which it never hits, where only those have a source of which `has` says so: of
    /// each of these sets it needs one.
    #[must_use]
    pub fn lacks(&self, has: impl Fn(Field) -> bool) -> Vec<FieldSet> {
        let mut sets = match self {
            Self::Local { check, .. } => check.depends_on(),
            Self::Lookup(lookup) => lookup.check.depends_on(),
            Self::Idle(_) | Self::Captcha(_) | Self::Akismet(_) => Vec::new(),
        };
        sets.retain(|set| !set.is_empty() && !set.iter().any(&has));
        sets
    }

    /// The check's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local { check, .. } => check.name,
            Self::Idle(name) => name,
            Self::Captcha(_) => "captcha",
            Self::Lookup(lookup) => lookup.name(),
            Self::Akismet(_) => "akismet",
        }
    }
}

/// Fields that are lacking, in words: `title or article_title, type`.
#[must_use]
pub fn in_words(sets: &[FieldSet]) -> String {
    let set = |set: &FieldSet| set.iter().map(Field::name).collect::<Vec<_>>().join(" or ");
    sets.iter().map(set).collect::<Vec<_>>().join(", ")
}

fn rank(action: Action) -> u8 {
    if action == Action::Allow { 0 } else { 2 }
}
