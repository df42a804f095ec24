//! Owns the check `shutdown`: nobody may submit anything for now. It must not know who is exempt.

use serde_json::json;

use super::kinds::Kinds;
use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// The check `shutdown` (Serendipity's emergency comment shutdown).
pub struct Shutdown;

impl Check for Shutdown {
    fn name(&self) -> &'static str {
        "shutdown"
    }

    fn summary(&self) -> &'static str {
        "Submissions are closed for now"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn action(&self) -> Action {
        Action::Reject
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "types",
            kind: OptionKind::Texts,
            default: "null",
            meaning: "The types of submission that are closed; null: all",
        }]
    }

    fn purpose(&self) -> &'static str {
        "Nobody may submit anything for now: for holidays, and for the hour in which a flood \
         comes in. Whoever `bypass` or `ip_allow` lets pass still may. Set to `moderate`, it \
         keeps everything for later instead of refusing it."
    }

    fn example(&self) -> Example {
        Example {
            set: "action = 'reject'",
            sql: r#"INSERT INTO comments (body) VALUES ('Anybody there?');"#,
            output: r#"
ERROR:  This submission was refused as spam.
DETAIL:  {"code":"spamcheck_reject","relation":"public.comments"}
HINT:  Change its content and try again. Moderators find it, with the reason, in spamcheck.spam_checklog.
"#,
            fails: true,
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let kinds = Kinds::of(options);
        if kinds.none() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(Closed { kinds }))
    }
}

struct Closed {
    kinds: Kinds,
}

impl LocalCheck for Closed {
    fn reads(&self) -> FieldSet {
        if self.kinds.all() { FieldSet::default() } else { FieldSet::of(&[Field::Type]) }
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        if !self.kinds.hold(facts) {
            return Ok(None);
        }
        let hit = if self.kinds.all() {
            Hit::new("submissions are closed", json!({}))
        } else {
            let kind = facts.kind();
            Hit::new(format!("submissions of type {kind} are closed"), json!({"type": kind}))
        };
        Ok(Some(hit))
    }
}
