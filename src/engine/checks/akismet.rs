//! Owns the check `akismet` as an entry of the catalogue. Its options, requests and answers are
//! the module `akismet`'s; it compiles to a lookup, never to a local check.

use super::{Check, Compiled, Seed};
use crate::akismet::{OPTIONS, Options};
use crate::options::{OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::verdict::Action;

/// The check `akismet` (all three systems).
pub struct Akismet;

impl Check for Akismet {
    fn name(&self) -> &'static str {
        "akismet"
    }

    fn summary(&self) -> &'static str {
        "Akismet calls it spam"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity, Seed::ActionKit, Seed::GitLab]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        OPTIONS
    }

    fn validate(&self, options: &OptionValues) -> Result<(), Refusal> {
        Options::parse(&options.to_json()).map(drop)
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        Options::parse(&options.to_json()).map(Compiled::Akismet)
    }
}
