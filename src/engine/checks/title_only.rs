//! Owns the check `title_only`: a body that only repeats a title. It must not know where titles
//! come from.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};

/// The check `title_only` (Serendipity: reject comments which only contain the entry title).
pub struct TitleOnly;

impl Check for TitleOnly {
    fn name(&self) -> &'static str {
        "title_only"
    }

    fn summary(&self) -> &'static str {
        "The body only repeats a title"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "ignore_case",
            kind: OptionKind::Boolean,
            default: "true",
            meaning: "Compare what they say; false: compare them letter by letter, blanks aside",
        }]
    }

    fn purpose(&self) -> &'static str {
        "A body that only repeats the title of the article or of the submission was written by \
         a program that needed some words."
    }

    fn example(&self) -> Example {
        Example {
            set: "action = 'spam'",
            sql: r#"INSERT INTO comments (body) VALUES ('Bread from rye'), ('Bread from rye? Never tried.') RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
             body             |  status
------------------------------+----------
 Bread from rye               | spam
 Bread from rye? Never tried. | approved
(2 rows)

 check_name |  outcome   |            why
------------+------------+---------------------------
 title_only | suppressed | body is the article_title
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
        Ok(Compiled::local(Same { ignore_case: options.boolean("ignore_case") }))
    }
}

struct Same {
    ignore_case: bool,
}

impl LocalCheck for Same {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Body, Field::ArticleTitle, Field::Title])
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        [&[Field::Body][..], &[Field::Title, Field::ArticleTitle]].map(FieldSet::of).to_vec()
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::default()
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let text = |field| {
            let text = if self.ignore_case { facts.normalised(field) } else { facts.text(field) };
            // A blank body under a blank title repeats nothing.
            text.filter(|text| !text.trim().is_empty())
        };
        let Some(body) = text(Field::Body) else { return Ok(None) };
        // Any white space is one blank, as for the other checks that compare texts.
        let is_body = |title: &str| title.split_whitespace().eq(body.split_whitespace());
        // Of texts that begin alike the rest must be the same, too, as it is written.
        let past = |field| facts.past(field).trim();
        let title = [Field::ArticleTitle, Field::Title]
            .into_iter()
            .find(|title| text(*title).is_some_and(is_body) && past(*title) == past(Field::Body));
        Ok(title.map(|title| {
            let name = title.name();
            let hit = Hit::new(format!("body is the {name}"), json!({ "field": name }));
            hit.truncated(facts.truncated(Field::Body))
        }))
    }
}
