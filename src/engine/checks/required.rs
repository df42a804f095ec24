//! Owns the check `required`: fields that a submission must not leave blank. It must not know
//! whether a table has a column for them.

use serde_json::json;

use super::kinds::Kinds;
use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// The fields that can be required: all but those that are never missing or meant to be.
const FIELDS: &[&str] = &[
    "body",
    "title",
    "author",
    "email",
    "url",
    "ip",
    "user_agent",
    "referrer",
    "created_at",
    "user_id",
    "user_role",
    "subscriber",
    "form_seconds",
    "captcha",
    "permalink",
    "page",
    "article_title",
    "article_created_at",
    "parent_id",
];

/// The check `required` (Serendipity's required comment fields, where `0` counts as missing).
pub struct Required;

impl Check for Required {
    fn name(&self) -> &'static str {
        "required"
    }

    fn summary(&self) -> &'static str {
        "A required field is missing"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn action(&self) -> Action {
        Action::Reject
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "fields",
                kind: OptionKind::Fields(FIELDS),
                default: "[\"author\",\"body\"]",
                meaning: "The fields that must not be NULL or blank; a field that the table has no \
                          source for is always missing",
            },
            OptionSpec {
                name: "types",
                kind: OptionKind::Texts,
                default: "[\"comment\"]",
                meaning: "The types of submission that need them; null: all",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "Fields without which a comment is refused, the body among them: NULL, the empty text \
         and mere blanks are missing, and what should be an address, a time or a number and is \
         none; `0` is not. Constraints of the table do this as well; the \
         check also knows the types of submission, so that a trackback need not have an author, \
         and can moderate instead."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"action = 'moderate', options = '{"fields": ["author", "email"]}'"#,
            sql: r#"INSERT INTO comments (author, email, body) VALUES ('Ellen', ' ', 'Nice.'), ('0', 'zero@mail.example', 'Nice.') RETURNING author, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
 author |  status
--------+----------
 Ellen  | pending
 0      | approved
(2 rows)

 check_name |  outcome  |       why
------------+-----------+------------------
 required   | moderated | email is missing
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
        let kinds = Kinds::of(options);
        let fields = options.fields("fields");
        if fields.is_empty() || kinds.none() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(Needed { fields, kinds }))
    }
}

struct Needed {
    fields: Vec<Field>,
    kinds: Kinds,
}

impl LocalCheck for Needed {
    fn reads(&self) -> FieldSet {
        let mut reads = FieldSet::of(&self.fields);
        if !self.kinds.all() {
            reads.insert(Field::Type);
        }
        reads
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        // It hits by what is not there.
        Vec::new()
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::default()
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        if !self.kinds.hold(facts) {
            return Ok(None);
        }
        let missing: Vec<&str> = self
            .fields
            .iter()
            .filter(|field| is_blank(facts, **field))
            .map(|field| field.name())
            .collect();
        let why = match missing.as_slice() {
            [] => return Ok(None),
            [one] => format!("{one} is missing"),
            [all @ .., last] => format!("{} and {last} are missing", all.join(", ")),
        };
        Ok(Some(Hit::new(why, json!({ "missing": missing }))))
    }
}

/// Absent, or without a visible character. Only a text without ASCII letters costs a second look.
fn is_blank(facts: &Facts<'_>, field: Field) -> bool {
    if facts.is_unreadable(field) {
        return true;
    }
    match facts.text(field).map(str::trim) {
        None | Some("") => true,
        Some(text) if text.bytes().any(|byte| byte.is_ascii_graphic()) => false,
        Some(_) => facts.normalised(field).is_none_or(|normal| normal.trim().is_empty()),
    }
}
