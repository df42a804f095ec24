//! Owns the check `honeypot`: a field that people do not see is filled in. It must not know which
//! column that is.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// How many characters of what was filled in the log repeats.
const SHOWN: usize = 40;

/// The check `honeypot` (as Serendipity's spamblock_bee has it).
pub struct Honeypot;

impl Check for Honeypot {
    fn name(&self) -> &'static str {
        "honeypot"
    }

    fn summary(&self) -> &'static str {
        "A field that people do not see is filled in"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[]
    }

    fn purpose(&self) -> &'static str {
        "A field of the form that people do not see, since the style sheet hides it, and that \
         programs fill in. Give it an inviting name such as `website`, keep browsers from \
         filling it (`autocomplete=\"off\"`), and map its column: `columns => '{\"honeypot\": \
         \"website\"}'`. A boolean column is a check box, empty until it is ticked. Neither \
         people nor privacy pay for it."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (website, body) VALUES ('', 'Nice.'), ('https://buy.example/', 'Nice.') RETURNING website, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
       website        |  status
----------------------+----------
                      | approved
 https://buy.example/ | spam
(2 rows)

 check_name |  outcome   |                     why
------------+------------+----------------------------------------------
 honeypot   | suppressed | the hidden field says "https://buy.example/"
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        _options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        Ok(Compiled::local(Hidden))
    }
}

struct Hidden;

impl LocalCheck for Hidden {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Honeypot])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        // A blank was typed too, and `0` is not nothing.
        let Some(text) = facts.text(Field::Honeypot).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let shown: String = text.chars().take(SHOWN).collect();
        Ok(Some(Hit::new(
            format!("the hidden field says \"{shown}\""),
            json!({ "honeypot": shown }),
        )))
    }
}
