//! Owns the check `api_source`: submissions that came in by an API. It must not know how an app
//! tells its sources apart.

use serde_json::json;

use super::kinds::Kinds;
use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::text;

/// The check `api_source` (Serendipity: how to treat comments made via APIs).
pub struct ApiSource;

impl Check for ApiSource {
    fn name(&self) -> &'static str {
        "api_source"
    }

    fn summary(&self) -> &'static str {
        "It came in by an API"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "sources",
                kind: OptionKind::Texts,
                default: "[\"api\"]",
                meaning: "Sources that are APIs; a submission without a source is from a form",
            },
            OptionSpec {
                name: "types",
                kind: OptionKind::Texts,
                default: "[\"trackback\",\"pingback\"]",
                meaning: "Types of submission that only programs send, whatever their source",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "What comes in by an API was not written in your form: trackbacks and pingbacks always, \
         and whatever the app marks with another `source`. With it you treat all of them alike, \
         whatever else is found. The source is a column, or `SET LOCAL pg_spamcheck.source = \
         'api'`."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO comments (source, body) VALUES (NULL, 'Written in the form.'), ('api', 'Sent by a program.') RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
         body         |  status
----------------------+----------
 Written in the form. | approved
 Sent by a program.   | pending
(2 rows)

 check_name |  outcome  |      why
------------+-----------+----------------
 api_source | moderated | it came by api
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
        let source = |source: &String| text::normalise(source.trim()).into_owned();
        let sources: Vec<String> = options.texts("sources").iter().map(source).collect();
        let kinds = if options.is_off("types") { None } else { Some(Kinds::of(options)) };
        let kinds = kinds.filter(|kinds| !kinds.none());
        if sources.is_empty() && kinds.is_none() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(ByProgram { sources, kinds }))
    }
}

struct ByProgram {
    sources: Vec<String>,
    kinds: Option<Kinds>,
}

impl LocalCheck for ByProgram {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Type, Field::Source])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let source = facts.source();
        if self.sources.iter().any(|api| api == source) {
            return Ok(Some(Hit::new(format!("it came by {source}"), json!({ "source": source }))));
        }
        let kind = facts.kind();
        let hit = || Hit::new(format!("it is of type {kind}"), json!({ "type": kind }));
        Ok(self.kinds.as_ref().filter(|kinds| kinds.hold(facts)).map(|_| hit()))
    }
}
