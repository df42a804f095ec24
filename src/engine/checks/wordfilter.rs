//! Owns the check `wordfilter`: patterns in the author's name, the homepage, the body and the mail
//! address, each field with lists of its own. It must not know how patterns are compiled.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed, named_lists};
use crate::facts::Facts;
use crate::lists::{List, ListKind};
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::text;

/// The check `wordfilter` (Serendipity's word filter).
pub struct WordFilter;

/// The fields, in the order in which Serendipity looks at them; each is an option too.
const FIELDS: [Field; 4] = [Field::Author, Field::Url, Field::Body, Field::Email];

impl Check for WordFilter {
    fn name(&self) -> &'static str {
        "wordfilter"
    }

    fn summary(&self) -> &'static str {
        "Author, homepage, body or mail address match a pattern"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity]
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "author",
                kind: OptionKind::Lists(ListKind::Regex),
                default: "[\"author_filter\"]",
                meaning: "Lists of kind regex: patterns searched in the author's name",
            },
            OptionSpec {
                name: "url",
                kind: OptionKind::Lists(ListKind::Regex),
                default: "[\"url_filter\"]",
                meaning: "Lists of kind regex: patterns searched in the homepage",
            },
            OptionSpec {
                name: "body",
                kind: OptionKind::Lists(ListKind::Regex),
                default: "[\"body_filter\"]",
                meaning: "Lists of kind regex: patterns searched in the body",
            },
            OptionSpec {
                name: "email",
                kind: OptionKind::Lists(ListKind::Regex),
                default: "[\"email_filter\"]",
                meaning: "Lists of kind regex: patterns searched in the mail address",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "Regular expressions for the author's name, the homepage, the body and the mail \
         address, each with lists of its own, searched without regard to case. This is \
         Serendipity's word filter; preset `serendipity` fills its lists with that plugin's \
         defaults. For plain words `content` is better: a pattern `casino` also finds \
         `casinos`, and `spec` finds `special`. Entries are searched in linear time, so no \
         pattern can stall an insert."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"INSERT INTO spamcheck.list_entry (list, value) VALUES ('author_filter', '^(casino|poker)\b'), ('url_filter', 'pills?-online');

INSERT INTO comments (author, url, body) VALUES ('Poker Joe', 'https://joe.example/', 'Nice.'),
                                                ('Ann', 'https://pills-online.example/', 'Nice.')
RETURNING author, status;
SELECT check_name, outcome, why FROM spamcheck.recent LIMIT 2;"#,
            output: r#"
  author   | status
-----------+---------
 Poker Joe | pending
 Ann       | pending
(2 rows)

 check_name |  outcome  |                               why
------------+-----------+------------------------------------------------------------------
 wordfilter | moderated | url matches pattern "pills?-online" on list url_filter
 wordfilter | moderated | author matches pattern "^(casino|poker)\b" on list author_filter
(2 rows)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let mut filters = Vec::new();
        for field in FIELDS {
            let option = (self.name(), field.name());
            let lists = named_lists(option, options, backing, ListKind::Regex)?;
            if !lists.is_empty() {
                filters.push(Filter { field, lists });
            }
        }
        if filters.is_empty() {
            return Ok(Compiled::Nothing);
        }
        Ok(Compiled::local(Filters(filters)))
    }
}

struct Filter {
    field: Field,
    lists: Vec<(String, Rc<List>)>,
}

/// What a filter found.
struct Match<'f> {
    field: Field,
    list: &'f str,
    entry: &'f str,
    /// Where, in characters of the field's text.
    at: usize,
}

impl Filter {
    fn search(&self, facts: &Facts<'_>) -> Result<Option<Match<'_>>, Refusal> {
        let Some(whole) = facts.text(self.field) else { return Ok(None) };
        // Anchors mean the text, not the blanks around it.
        let text = whole.trim();
        let before = || whole[..whole.len() - whole.trim_start().len()].chars().count();
        // ASCII is its own normal form but for case, which is the patterns' to ignore or not.
        let normal = if text.is_ascii() { None } else { Some(text::cased(whole)) };
        let goes_on = facts.truncated(self.field);
        let text = searched(text, goes_on);
        let pause = || facts.surroundings().pause();
        for (list, entries) in &self.lists {
            let List::Patterns(patterns) = &**entries else { continue };
            let found = |entry, at| Ok(Some(Match { field: self.field, list, entry, at }));
            if let Some((entry, at)) = patterns.locate(&text, &pause)? {
                return found(entry, before() + text[..at].chars().count());
            }
            if let Some(normal) = &normal
                && let Some((entry, at)) =
                    patterns.locate(&searched(normal.trim(), goes_on), &pause)?
            {
                let blank = normal.len() - normal.trim_start().len();
                return found(entry, text::cased_offset(whole, blank + at));
            }
        }
        Ok(None)
    }
}

/// A text as patterns are searched in it. Where a text was cut is not its end: what no text holds stands
/// there, so that `$` does not match.
pub(super) fn searched(text: &str, goes_on: bool) -> Cow<'_, str> {
    if goes_on { format!("{text} \u{FFFF}").into() } else { text.into() }
}

struct Filters(Vec<Filter>);

impl LocalCheck for Filters {
    fn reads(&self) -> FieldSet {
        let fields: Vec<Field> = self.0.iter().map(|filter| filter.field).collect();
        FieldSet::of(&fields)
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let mut found = Vec::new();
        let mut truncated = false;
        for filter in &self.0 {
            let hit = filter.search(facts).map_err(|refusal| refusal.to_string())?;
            truncated |= hit.is_some() && facts.truncated(filter.field);
            found.extend(hit);
        }
        let Some(first) = found.first() else { return Ok(None) };
        let said = |hit: &Match<'_>| {
            let Match { field, list, entry, .. } = hit;
            format!("{} matches pattern \"{entry}\" on list {list}", field.name())
        };
        let why: Vec<String> = found.iter().map(said).collect();
        let mut detail = json!({"list": first.list, "entry": first.entry,
                                "field": first.field.name(), "at": first.at});
        if found.len() > 1 {
            let further = |hit: &Match<'_>| {
                let Match { field, list, entry, at } = hit;
                json!({"list": list, "entry": entry, "field": field.name(), "at": at})
            };
            detail["further"] = found[1..].iter().map(further).collect();
        }
        Ok(Some(Hit::new(why.join("; "), detail).truncated(truncated)))
    }
}
