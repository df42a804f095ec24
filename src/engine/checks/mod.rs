//! Owns the catalogue of checks: what a check is, and all there are, on one screen. It must not
//! weigh findings. A new check is a file here and a line in [`CHECKS`].

mod akismet;
mod api_source;
mod article_age;
mod bypass;
mod captcha;
mod content;
pub mod custom;
mod duplicate;
mod email_pattern;
mod email_syntax;
mod form_time;
mod honeypot;
mod ip_allow;
mod ip_block;
mod ip_interval;
mod kinds;
mod links;
mod rate_limit;
mod required;
mod shutdown;
mod title_only;
mod trackback_ip;
mod trackback_link;
mod url_blocklist;
mod wordfilter;

use std::rc::Rc;

use serde_json::{Value as Json, json};

use crate::facts::Facts;
use crate::lists::{List, ListKind};
use crate::lookup::{LookupKind, Question};
use crate::options::{OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::surroundings::Memory;
use crate::verdict::{Action, words};

/// Every check, in the order in which they run; those that allow come first.
pub const CHECKS: &[&dyn Check] = &[
    &bypass::Bypass,
    &ip_allow::IpAllow,
    &rate_limit::RateLimit,
    &ip_block::IpBlock,
    &shutdown::Shutdown,
    &required::Required,
    &email_syntax::EmailSyntax,
    &email_pattern::EmailPattern,
    &content::Content,
    &wordfilter::WordFilter,
    &links::Links,
    &url_blocklist::UrlBlocklist,
    &duplicate::Duplicate,
    &title_only::TitleOnly,
    &ip_interval::IpInterval,
    &article_age::ArticleAge,
    &api_source::ApiSource,
    &trackback_ip::TrackbackIp,
    &trackback_link::TrackbackLink,
    &honeypot::Honeypot,
    &form_time::FormTime,
    &custom::Custom,
    &captcha::Captcha,
    &akismet::Akismet,
];

/// The check of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Check> {
    CHECKS.iter().copied().find(|check| check.name() == name)
}

/// A system that has a check of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// Serendipity's Spam Protector.
    Serendipity,
    /// `ActionKit`'s spam checks.
    ActionKit,
    /// GitLab's Akismet integration.
    GitLab,
}

words!(Seed: Serendipity = "Serendipity", ActionKit = "ActionKit", GitLab = "GitLab");

/// One question about a submission.
pub trait Check: Sync {
    /// Its name in SQL.
    fn name(&self) -> &'static str;

    /// What it asks, in one sentence.
    fn summary(&self) -> &'static str;

    /// The systems that have it.
    fn seeds(&self) -> &'static [Seed];

    /// The action that a new policy gives it.
    fn action(&self) -> Action {
        Action::Moderate
    }

    /// The score that a new policy gives it.
    fn score(&self) -> f32 {
        5.0
    }

    /// Its options.
    fn options(&self) -> &'static [OptionSpec];

    /// What it is for and what to know before it is switched on: a paragraph of docs/checks.md. A test
    /// refuses a check that does not say.
    fn purpose(&self) -> &'static str {
        ""
    }

    /// An example for docs/checks.md, which the tests run. A test refuses a check without one.
    fn example(&self) -> Example {
        Example::default()
    }

    /// Checks options beyond what their kinds say, without looking at any list.
    ///
    /// # Errors
    /// Names the option, what it got and what it takes.
    fn validate(&self, _options: &OptionValues) -> Result<(), Refusal> {
        Ok(())
    }

    /// Makes it ready to be asked.
    ///
    /// # Errors
    /// When an option does not fit or a list is not to be had.
    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal>;
}

/// A check at work on the tables that stand at the head of docs/checks.md.
#[derive(Clone, Copy, Debug, Default)]
pub struct Example {
    /// Columns of `spamcheck.check_setting` that are set beside `enabled`, such as `action = 'spam'`.
    pub set: &'static str,
    /// What is done then.
    pub sql: &'static str,
    /// Whether the last statement ends with an error.
    pub fails: bool,
    /// What psql prints; `…` stands for any text within its line.
    pub output: &'static str,
}

/// What a setting compiles to.
pub enum Compiled {
    /// Nothing could ever hit: it costs nothing.
    Nothing,
    /// A check that answers by itself.
    Local(Box<dyn LocalCheck>),
    /// One that is asked before all others, of submissions of every type; its reject ends it.
    First(Box<dyn LocalCheck>),
    /// A lookup at Akismet.
    Akismet(crate::akismet::Options),
    /// Another lookup.
    Lookup(LookupKind, Box<dyn LookupCheck>),
    /// A captcha, whose answer is verified where it is known which were used before.
    Captcha(crate::captcha::Options),
}

impl Compiled {
    /// A check that answers by itself.
    pub fn local(check: impl LocalCheck + 'static) -> Self {
        Self::Local(Box::new(check))
    }
}

/// What a submission says of itself without any source: it is a comment, and came by a form.
const EVERYWHERE: FieldSet = FieldSet::of(&[Field::Type, Field::Source]);

/// A compiled check that needs nothing but the facts.
pub trait LocalCheck {
    /// The fields it looks at.
    fn reads(&self) -> FieldSet;

    /// The fields of which a hit's `why` may tell what is in them, if only by the entry of a list that they
    /// match: whoever is shown it is shown that. Those that it looks at, unless it says otherwise.
    fn quotes(&self) -> FieldSet {
        self.reads()
    }

    /// The fields without which it never hits: a table has to have a source for at least one of each of these
    /// sets. One of those that it looks at, unless it says otherwise; what every submission has does not count.
    fn depends_on(&self) -> Vec<FieldSet> {
        vec![self.reads().without(EVERYWHERE)]
    }

    /// What it needs to have remembered of earlier rows, if it asks for them.
    fn remembers(&self) -> Vec<Memory> {
        Vec::new()
    }

    /// Has the row at hand remembered, as [`LocalCheck::ask`] does, and asks nothing: for rows that the
    /// check is not asked about and later ones may be compared with.
    ///
    /// # Errors
    /// A sentence, when it could not be done.
    fn leave_traces(&self, _facts: &Facts<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Whether it hits.
    ///
    /// # Errors
    /// A sentence, when it could not tell.
    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String>;
}

/// A compiled check that needs the network.
pub trait LookupCheck {
    /// The fields it looks at.
    fn reads(&self) -> FieldSet;

    /// As [`LocalCheck::quotes`].
    fn quotes(&self) -> FieldSet {
        self.reads()
    }

    /// As [`LocalCheck::depends_on`].
    fn depends_on(&self) -> Vec<FieldSet>;

    /// What can be said without the network.
    ///
    /// # Errors
    /// A sentence, when it could not tell.
    fn ask(&self, facts: &Facts<'_>) -> Result<Beforehand, String>;

    /// What is to be asked about a submission as a lookup keeps it.
    ///
    /// # Errors
    /// A sentence, when it has not what it takes.
    fn question(&self, submission: &Json) -> Result<Question, String>;
}

/// What a check says before anything is looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Beforehand {
    /// It does not concern the submission, or has nothing against it.
    Passes,
    /// It hits; there is nothing to look up.
    Hits(Hit),
    /// It has to be looked up.
    Ask,
}

/// What a check says when it hits; the policy makes a finding of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The reason, for staff.
    pub why: String,
    /// The reason, for programs.
    pub detail: Json,
    /// An action other than the one the check is set to.
    pub action: Option<Action>,
    /// A score other than the one the check is set to.
    pub score: Option<f32>,
}

impl Hit {
    /// A hit with the action and the score that the check is set to.
    pub fn new(why: impl Into<String>, detail: Json) -> Self {
        Self { why: why.into(), detail, action: None, score: None }
    }

    /// Says in the detail that only the beginning of the text was looked at.
    #[must_use]
    pub fn truncated(mut self, truncated: bool) -> Self {
        if truncated && let Json::Object(detail) = &mut self.detail {
            detail.insert("truncated".to_owned(), Json::Bool(true));
        }
        self
    }
}

/// The lists of a kind that an option names, with their names; empty ones are left out.
fn named_lists(
    (check, option): (&str, &str),
    options: &OptionValues,
    backing: &mut dyn Backing,
    takes: ListKind,
) -> Result<Vec<(String, Rc<List>)>, Refusal> {
    let mut found = Vec::new();
    for name in options.texts(option) {
        let list = backing.list(&name).map_err(|fault| {
            Refusal::new(fault).with_hint(format!(
                "Mend the list in spamcheck.list and spamcheck.list_entry, or take it out of \
                 option \"{option}\" of check {check}."
            ))
        })?;
        if list.kind() != takes {
            return Err(Refusal::new(format!(
                "option \"{option}\" of check {check} takes lists of kind {}, and {} is of kind {}",
                takes.name(),
                Refusal::quote(&name),
                list.kind().name()
            ))
            .with_hint("The table spamcheck.list has the kind of each list."));
        }
        if !list.is_empty() {
            found.push((name, list));
        }
    }
    Ok(found)
}

/// The catalogue as the view `spamcheck.checks` shows it: an array of objects.
#[must_use]
pub fn catalogue() -> Json {
    let entry = |check: &&dyn Check| {
        let seeds: Vec<&str> = check.seeds().iter().map(|seed| seed.name()).collect();
        let options: Vec<Json> = check.options().iter().map(OptionSpec::to_json).collect();
        json!({"name": check.name(), "summary": check.summary(), "seeds": seeds,
               "action": check.action().name(), "score": check.score(), "options": options})
    };
    CHECKS.iter().map(entry).collect()
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod remembered;
