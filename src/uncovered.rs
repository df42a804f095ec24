//! Tables whose rows are all of one type, since no column says which, under a policy that does not check that
//! type: none of their rows is ever judged, and no log says so. Owns who they are and the words about them;
//! to whom that is said is for protect(), the checks of spamcheck.policy and health().

use serde_json::Value as Json;
use spamcheck_engine::mapping::Source;
use spamcheck_engine::{Field, facts};

use crate::rights;
use crate::spi;

/// Such a table.
pub struct Uncovered {
    /// The table, as SQL names it.
    pub relation: String,
    policy: String,
    /// The types that the policy checks.
    types: Vec<String>,
    /// The type that the mapping gives every row; None: it gives none.
    fixed: Option<String>,
}

impl Uncovered {
    /// The table, if it is one: `source` is where its type comes from.
    pub fn find(
        relation: String,
        policy: &str,
        types: &[String],
        source: Option<&Source>,
    ) -> Option<Self> {
        let only = only_type(source)?;
        let fixed = source.map(|_| only.to_owned());
        let kind = facts::kind(only);
        let covered = types.iter().any(|covered| facts::kind(covered) == kind);
        let (policy, types) = (policy.to_owned(), types.to_vec());
        (!covered).then_some(Self { relation, policy, types, fixed })
    }

    /// What is wrong.
    pub fn sentence(&self) -> String {
        let rows = match &self.fixed {
            None => format!("rows of table {} have no type and count as comment", self.relation),
            Some(text) => format!("rows of table {} are all of type \"{text}\"", self.relation),
        };
        let (policy, types) = (&self.policy, self.types.join(", "));
        format!("{rows}, which policy \"{policy}\" does not check ({types}): none is judged")
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        let quoted = |text: &str| text.replace('\'', "''");
        format!(
            "Say where the type is, as in SELECT * FROM spamcheck.protect('{}', '{policy}', columns => '{{\"type\": \"a_column\"}}') \
             or columns => '{{\"type\": {{\"value\": \"{}\"}}}}', or have all types checked: UPDATE spamcheck.policy SET types = \
             NULL WHERE name = '{policy}'.",
            quoted(&self.relation),
            quoted(self.types.first().map_or("comment", String::as_str)),
            policy = quoted(&self.policy),
        )
    }
}

/// The type of all rows of a table, where they have one: the empty text where its mapping says nothing of types.
pub fn only_type(source: Option<&Source>) -> Option<&str> {
    match source {
        None => Some(""),
        Some(Source::Value(text)) => Some(text),
        Some(_) => None,
    }
}

/// All such tables. Policies that are off judge nothing anyway.
pub fn all() -> Vec<Uncovered> {
    protected()
        .into_iter()
        .filter(|table| table.3 != "off")
        .filter_map(|(relation, source, policy, _, types)| {
            Uncovered::find(relation, &policy, &types?, read(source).as_ref())
        })
        .collect()
}

/// Those that a policy would have if it checked these types.
pub fn under(policy: &str, types: &[String]) -> Vec<Uncovered> {
    protected()
        .into_iter()
        .filter(|table| table.2 == policy)
        .filter_map(|(relation, source, ..)| {
            Uncovered::find(relation, policy, types, read(source).as_ref())
        })
        .collect()
}

fn read(source: Option<Json>) -> Option<Source> {
    Source::from_json(Field::Type, &source?).ok()
}

/// A protected table: its name, where its type comes from, its policy with mode and types.
type Protected = (String, Option<Json>, String, String, Option<Vec<String>>);

fn protected() -> Vec<Protected> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(jsonb_build_array(
                        r.relation::regclass::text, p.columns -> 'type', p.policy, y.mode, array_remove(y.types, NULL))
                        ORDER BY r.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._protection p
               JOIN spamcheck._protected_relation r ON r.id = p.id
               JOIN spamcheck.policy y ON y.name = p.policy",
            &[],
        )
    })
    .unwrap_or_default()
}
