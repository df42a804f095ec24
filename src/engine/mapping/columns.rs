//! Owns the mapping of a protected table: field to source, found or given. It must not guess
//! (find.rs does) and must not read a row.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::article::Article;
use super::find;
use super::source::Source;
use super::status::Status;
use super::table::{Table, nearest};
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};

/// The fields whose edit means a new check.
const WATCHED: FieldSet = FieldSet::of(&[
    Field::Body,
    Field::Title,
    Field::Author,
    Field::Email,
    Field::Url,
    Field::Fields,
]);

/// Which source feeds which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The source of each mapped field.
    pub sources: BTreeMap<Field, Source>,
}

impl Mapping {
    /// The mapping that the names and types of the columns suggest.
    #[must_use]
    pub fn find(table: &Table) -> Self {
        Self { sources: find::sources(table) }
    }

    /// Merges what the user gave over what is there; `null` unmaps a field.
    ///
    /// # Errors
    /// Refuses unknown fields, unknown and generated columns, and anything that is no source.
    pub fn merge(&mut self, given: &Json, table: &Table) -> Result<(), Refusal> {
        for (name, source) in object(given)? {
            let field = field_named(name)?;
            if source.is_null() {
                self.sources.remove(&field);
            } else {
                let source = Source::from_json(field, source)?.checked(field, table)?;
                self.sources.insert(field, source);
            }
        }
        Ok(())
    }

    /// Takes the article's fields from the article's table. Call it before [`Mapping::merge`], so
    /// that what is given for a field still wins.
    pub fn take_article(&mut self, article: &Article) {
        self.sources.extend(article.sources());
    }

    /// Leaves the columns that the user says are the status to it. What was only guessed about them is
    /// dropped, unless it is a text to judge: that is the surer guess.
    ///
    /// # Errors
    /// Refuses a status that a verdict would write over what was submitted.
    pub fn leave_to(&mut self, status: &Status, given: Option<&Json>) -> Result<(), Refusal> {
        let columns = status.columns();
        let is_status = |name: &String| columns.contains(&name.as_str());
        let mut free = BTreeMap::new();
        for (field, source) in std::mem::take(&mut self.sources) {
            let read: &[String] = match &source {
                Source::Column(_) | Source::Columns(_) => source.own_columns(),
                _ => &[],
            };
            let Some(column) = read.iter().find(|name| is_status(name)) else {
                free.insert(field, source);
                continue;
            };
            let meant = given.is_some_and(|given| given.get(field.name()).is_some());
            if meant || field != Field::Fields && WATCHED.contains(field) {
                return Err(Refusal::new(format!(
                    "status cannot use the column \"{column}\": it is mapped to field {}, and a verdict must not \
                     write over what was submitted",
                    field.name()
                ))
                .with_hint(format!(
                    "Name the column that says whether the row is shown, or another source for the field, as in \
                     columns => '{{\"{}\": \"a_column\"}}'.",
                    field.name()
                )));
            }
            if let Source::Columns(mut names) = source {
                names.retain(|name| !is_status(name));
                if !names.is_empty() {
                    free.insert(field, Source::Columns(names));
                }
            }
        }
        self.sources = free;
        Ok(())
    }

    /// Checks that there is something to judge. Gives the texts of the NOTICEs that are due.
    ///
    /// # Errors
    /// Refuses a table without body, title, author, email, url and fields, with its columns.
    pub fn check(&self, table: &Table) -> Result<Vec<String>, Refusal> {
        if !WATCHED.iter().any(|field| self.sources.contains_key(&field)) {
            return Err(Refusal::new(format!(
                "table {} has nothing to judge: no column was found for body, title, author, \
                 email, url or fields",
                table.label()
            ))
            .with_detail(table.columns_listed())
            .with_hint(
                "Say which column holds what, as in columns => '{\"body\": \"a_column\"}'.",
            ));
        }
        let mut notices = Vec::new();
        if !self.sources.contains_key(&Field::Body) {
            notices.push(format!(
                "no column of table {} was found for the body: checks of the text look at the \
                 other fields only",
                table.label()
            ));
        }
        Ok(notices)
    }

    /// The JSON that `protected_table` shows and that [`Mapping::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let fields = self.sources.iter();
        Json::Object(
            fields.map(|(field, from)| (field.name().to_owned(), from.to_json())).collect(),
        )
    }

    /// Reads what [`Mapping::to_json`] wrote. The columns are not checked.
    ///
    /// # Errors
    /// Refuses unknown fields and anything that is no source.
    pub fn from_json(json: &Json) -> Result<Self, Refusal> {
        let mut mapping = Self::default();
        for (name, source) in object(json)? {
            let field = field_named(name)?;
            mapping.sources.insert(field, Source::from_json(field, source)?);
        }
        Ok(mapping)
    }

    /// What `protect` returns: the mapped fields in order, each with its source.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let fields = self.sources.iter();
        fields.map(|(field, source)| (field.name().to_owned(), source.shown())).collect()
    }

    /// The columns of the table whose edit means a new check: the text of the submission.
    pub fn watched_columns(&self) -> impl Iterator<Item = &str> {
        self.sources
            .iter()
            .filter(|(field, from)| {
                WATCHED.contains(**field) && !matches!(from, Source::Foreign { .. })
            })
            .flat_map(|(_, source)| source.own_columns())
            .map(String::as_str)
    }

    /// Follows the renaming of a column of the protected table.
    pub fn rename_own_column(&mut self, old: &str, new: &str) {
        self.sources.values_mut().for_each(|source| source.rename_own_column(old, new));
    }

    /// Follows the renaming of a column of another table, named as the sources name it.
    pub fn rename_column(&mut self, table: &str, old: &str, new: &str) {
        self.sources.values_mut().for_each(|source| source.rename_column(table, old, new));
    }

    /// Follows the renaming of another table, named as the sources name it.
    pub fn rename_table(&mut self, old: &str, new: &str) {
        self.sources.values_mut().for_each(|source| source.rename_table(old, new));
    }
}

fn object(json: &Json) -> Result<&Map<String, Json>, Refusal> {
    json.as_object().ok_or_else(|| {
        let got = Refusal::shown(json);
        Refusal::new(format!("columns takes a JSON object of field to source, not {got}"))
            .with_hint("For example '{\"body\": \"comment_text\", \"author\": \"name\"}'.")
    })
}

fn field_named(name: &str) -> Result<Field, Refusal> {
    Field::from_name(name).ok_or_else(|| {
        let names = Field::ALL.map(Field::name);
        let hint = match nearest(name, names.into_iter()) {
            Some(close) => format!("Did you mean \"{close}\"?"),
            None => {
                "Further text goes under \"fields\", as in {\"fields\": [\"a_column\"]}.".into()
            }
        };
        Refusal::new(format!("columns maps {}, which is not a field", Refusal::quote(name)))
            .with_detail(format!("The fields are: {}.", names.join(", ")))
            .with_hint(hint)
    })
}
