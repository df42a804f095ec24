//! Owns the check `links`: too many links in the body. It must not know what a link looks like.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::links;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::text;
use crate::verdict::Action;

/// The check `links` (Serendipity's two link limits; its real form counts `http://` alone).
pub struct Links;

const LIMIT: OptionKind = OptionKind::Integer { min: 0, max: 100_000 };

impl Check for Links {
    fn name(&self) -> &'static str {
        "links"
    }

    fn summary(&self) -> &'static str {
        "The body contains too many links"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "over",
                kind: LIMIT,
                default: "7",
                meaning: "More links than this ask for the check's action; 0: any link does",
            },
            OptionSpec {
                name: "reject_over",
                kind: LIMIT,
                default: "13",
                meaning: "More links than this ask for reject; 0: any link does",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "Comments with many links are seldom meant for the reader. What counts is what leads \
         somewhere: `http` and `https`, `www.`, BBCode's `[url]` and `href`, each link once, \
         wherever it stands in the body. There are two limits: more than `over` asks for the \
         check's action, more than `reject_over` for a rejection. Other fields, such as the \
         homepage, do not count."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"options = '{"over": 1, "reject_over": null}'"#,
            sql: r#"INSERT INTO comments (body) VALUES ('See www.a.example'), ('See www.a.example and [url=https://b.example]this[/url]')
RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
                          body                           |  status
---------------------------------------------------------+----------
 See www.a.example                                       | approved
 See www.a.example and [url=https://b.example]this[/url] | pending
(2 rows)

 check_name |  outcome  |               why
------------+-----------+----------------------------------
 links      | moderated | 2 links in the body, more than 1
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
        let limit = |name| options.integer(name).and_then(|limit| usize::try_from(limit).ok());
        let limits = Limits { over: limit("over"), reject_over: limit("reject_over") };
        if limits.over.is_none() && limits.reject_over.is_none() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(limits))
    }
}

struct Limits {
    over: Option<usize>,
    reject_over: Option<usize>,
}

impl LocalCheck for Limits {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Body])
    }

    fn quotes(&self) -> FieldSet {
        FieldSet::default()
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let found = facts.links();
        let links = found.len();
        let exceeded = |limit: Option<usize>| limit.filter(|limit| links > *limit);
        let (limit, name, action) = match (exceeded(self.reject_over), exceeded(self.over)) {
            (Some(limit), _) => (limit, "reject_over", Some(Action::Reject)),
            (None, Some(limit)) => (limit, "over", None),
            (None, None) => return Ok(None),
        };
        // The link that is one too many.
        let body = links::separated(facts.text(Field::Body).unwrap_or_default());
        let at = text::original_offset(&body, found[limit].url.start);
        let noun = if links == 1 { "link" } else { "links" };
        let hit = Hit {
            why: format!("{links} {noun} in the body, more than {limit}"),
            detail: json!({"links": links, name: limit, "field": "body", "at": at}),
            action,
            score: None,
        };
        Ok(Some(hit.truncated(facts.truncated(Field::Body))))
    }
}
