//! Owns the check `content`: banned words and phrases in the texts of a submission. It must not
//! know how words are found.

use std::rc::Rc;

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed, named_lists};
use crate::facts::{Facts, NamedText};
use crate::lists::{List, ListKind};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::text;
use crate::verdict::Action;

/// The fields that banned words can be looked for in.
const FIELDS: &[&str] = &[
    "body",
    "title",
    "author",
    "email",
    "url",
    "user_agent",
    "referrer",
    "page",
    "permalink",
    "article_title",
    "fields",
];

/// The check `content` (`ActionKit`'s content check).
pub struct Content;

impl Check for Content {
    fn name(&self) -> &'static str {
        "content"
    }

    fn summary(&self) -> &'static str {
        "A text contains a banned word or phrase"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::ActionKit]
    }

    fn action(&self) -> Action {
        Action::Spam
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "lists",
                kind: OptionKind::Lists(ListKind::Word),
                default: "[\"banned_words\"]",
                meaning: "Lists of kind word: words and phrases, matched as a whole",
            },
            OptionSpec {
                name: "fields",
                kind: OptionKind::Fields(FIELDS),
                default: "[\"title\",\"author\",\"body\",\"fields\"]",
                meaning: "The fields that are searched",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "Banned words and phrases, found as whole words: `ass` does not hit `class`, and no \
         spelling with other letter case, full-width letters or invisible characters gets by. A \
         phrase matches across line breaks and any white space. With `http` and `https` on the \
         list, as ActionKit recommends to begin with, whoever writes a link is found."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'cheap pills');

INSERT INTO comments (body) VALUES ('Buy CHEAP  pills here!'), ('They sell cheap pillows, too.') RETURNING body, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
             body              |  status
-------------------------------+----------
 Buy CHEAP  pills here!        | spam
 They sell cheap pillows, too. | approved
(2 rows)

 check_name |  outcome   |                why
------------+------------+-----------------------------------
 content    | suppressed | banned word "cheap pills" in body
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
        let lists = named_lists((self.name(), "lists"), options, backing, ListKind::Word)?;
        let fields = options.fields("fields");
        if lists.is_empty() || fields.is_empty() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(OnWords { lists, fields }))
    }
}

struct OnWords {
    lists: Vec<(String, Rc<List>)>,
    fields: Vec<Field>,
}

impl OnWords {
    fn search(&self, facts: &Facts<'_>, named: &NamedText<'_>) -> Option<Hit> {
        let further;
        let searched = if named.text.is_ascii() {
            named.text
        } else if named.part.is_none() {
            facts.normalised(named.field)?
        } else {
            further = text::normalise(named.text);
            &further
        };
        self.lists.iter().find_map(|(list, entries)| {
            let List::Words(words) = &**entries else { return None };
            let (entry, at) = words.find(searched)?;
            let field = named.name();
            let at = text::original_offset(named.text, at);
            Some(Hit::new(
                format!("banned word \"{entry}\" in {field}"),
                json!({"list": list, "entry": entry, "field": field, "at": at}),
            ))
        })
    }
}

impl LocalCheck for OnWords {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&self.fields)
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        Ok(self.fields.iter().find_map(|field| {
            facts
                .texts(*field)
                .find_map(|named| Some(self.search(facts, &named)?.truncated(named.truncated)))
        }))
    }
}
