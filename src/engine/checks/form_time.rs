//! Owns the check `form_time`: a form that was sent faster than a person can write. It must not
//! measure time itself.

use serde_json::json;

use super::{Check, Compiled, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};

/// The check `form_time` (Serendipity's comment time-out, which is not on its page).
pub struct FormTime;

impl Check for FormTime {
    fn name(&self) -> &'static str {
        "form_time"
    }

    fn summary(&self) -> &'static str {
        "The form was sent too fast"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "min_seconds",
            kind: OptionKind::Number { min: 0.0, max: 86_400.0 },
            default: "3",
            meaning: "The least number of seconds between showing and sending the form; a \
                      submission that does not say is not found (required takes form_seconds)",
        }]
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        Ok(match options.number("min_seconds") {
            Some(least) => Compiled::local(Least { least }),
            None => Compiled::Nothing,
        })
    }
}

struct Least {
    least: f64,
}

impl LocalCheck for Least {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::FormSeconds])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let least = self.least;
        let Some(taken) = facts.number(Field::FormSeconds).filter(|taken| *taken < least) else {
            return Ok(None);
        };
        Ok(Some(Hit::new(
            format!("sent after {taken} seconds, and {least} is the least"),
            json!({"seconds": taken, "min_seconds": least}),
        )))
    }
}
