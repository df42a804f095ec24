//! Owns the check `form_time`: a form that was sent faster than a person can write. It must not
//! measure time itself.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
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

    fn purpose(&self) -> &'static str {
        "Programs send a form at once, people need a while. The app says how long it took, in a \
         column mapped to `form_seconds` (a number, or an interval); keep the time at which the \
         form was shown on the server or signed in the form, or a program will send any time you \
         like. Who fills in a saved draft takes long, never short."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (form_seconds, body) VALUES (0.4, 'Nice.'), (41, 'Nice.'), (NULL, 'Nice.') RETURNING form_seconds, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
 form_seconds |  status
--------------+----------
          0.4 | pending
           41 | approved
              | approved
(3 rows)

 check_name |  outcome  |                    why
------------+-----------+--------------------------------------------
 form_time  | moderated | sent after 0.4 seconds, and 3 is the least
(1 row)
"#,
            ..Example::default()
        }
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
