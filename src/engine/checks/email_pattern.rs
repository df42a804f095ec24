//! Owns the check `email_pattern`: addresses of mail that look like those of a spammer. It must
//! not know how patterns are compiled.

use std::rc::Rc;

use serde_json::json;

use super::wordfilter::searched;
use super::{Check, Compiled, Example, Hit, LocalCheck, Seed, named_lists};
use crate::facts::Facts;
use crate::lists::{List, ListKind};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::text;
use crate::verdict::Action;

/// The check `email_pattern` (`ActionKit`'s email block list).
pub struct EmailPattern;

impl Check for EmailPattern {
    fn name(&self) -> &'static str {
        "email_pattern"
    }

    fn summary(&self) -> &'static str {
        "The author's mail address matches a pattern"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::ActionKit]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "lists",
            kind: OptionKind::Lists(ListKind::Regex),
            default: "[\"email_block\"]",
            meaning: "Lists of kind regex: Python-style patterns, searched in the address",
        }]
    }

    fn purpose(&self) -> &'static str {
        "Spam often comes in waves from similar addresses: one domain, or one name with \
         changing numbers. An entry is a regular expression, searched anywhere in the address, \
         in Python's spelling (as ActionKit has it: `\\A`, `\\Z`, `(?P<n>…)`); look-around and \
         back-references are refused."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '@bulk\.example$'), ('email_block', '\Apromo[0-9]+@');

INSERT INTO comments (email, body) VALUES ('promo17@mail.example', 'Great site!'), ('ellen@mail.example', 'Great bread!')
RETURNING email, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
        email         |  status
----------------------+----------
 promo17@mail.example | spam
 ellen@mail.example   | approved
(2 rows)

  check_name   |  outcome   |                            why
---------------+------------+------------------------------------------------------------
 email_pattern | suppressed | email matches pattern "\Apromo[0-9]+@" on list email_block
(1 row)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let lists = named_lists((self.name(), "lists"), options, backing, ListKind::Regex)?;
        if lists.is_empty() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(OnPatterns { lists }))
    }
}

struct OnPatterns {
    lists: Vec<(String, Rc<List>)>,
}

impl LocalCheck for OnPatterns {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[Field::Email])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let Some(whole) = facts.text(Field::Email) else { return Ok(None) };
        let email = whole.trim();
        let before = whole.len() - whole.trim_start().len();
        // ASCII is its own normal form but for case, which patterns ignore anyway.
        let normal = if email.is_ascii() { None } else { Some(text::cased(whole)) };
        let goes_on = facts.truncated(Field::Email);
        let email = searched(email, goes_on);
        for (name, list) in &self.lists {
            let List::Patterns(patterns) = &**list else { continue };
            let pause = || facts.surroundings().pause();
            let find =
                |text: &str| patterns.locate(text, &pause).map_err(|refusal| refusal.to_string());
            let mut found =
                find(&email)?.map(|(entry, at)| (entry, whole[..before + at].chars().count()));
            if let (None, Some(normal)) = (found, &normal) {
                let before = normal.len() - normal.trim_start().len();
                found = find(&searched(normal.trim(), goes_on))?
                    .map(|(entry, at)| (entry, text::cased_offset(whole, before + at)));
            }
            if let Some((entry, at)) = found {
                let hit = Hit::new(
                    format!("email matches pattern \"{entry}\" on list {name}"),
                    json!({"list": name, "entry": entry, "field": "email", "at": at}),
                );
                return Ok(Some(hit.truncated(facts.truncated(Field::Email))));
            }
        }
        Ok(None)
    }
}
