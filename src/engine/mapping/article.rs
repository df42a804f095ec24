//! Owns where the article of a submission and its subscriber are found, as `protect` is told. It
//! must not look into those tables: whether they and their columns exist is the caller's question.

use serde_json::{Value as Json, json};

use super::keys::Keys;
use super::source::{Source, names_to_json, rename, scalar_text};
use super::status::{StatusValue, check_value};
use super::table::{ColumnKind, Table};
use crate::refusal::Refusal;
use crate::submission::Field;

/// The table of what submissions are written about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    /// The table, as it is to stand in SQL.
    pub table: String,
    /// Its columns that find the row.
    pub key: Vec<String>,
    /// The columns of the protected table that these equal.
    pub from: Vec<String>,
    /// Its column for the field `article_title`.
    pub title: Option<String>,
    /// Its column for the field `article_created_at`.
    pub created_at: Option<String>,
    /// Its column for the field `permalink`.
    pub permalink: Option<String>,
}

/// The table of those who get mail, and what its column says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The table, as it is to stand in SQL.
    pub table: String,
    /// Its columns that find the row.
    pub key: Vec<String>,
    /// The columns of the protected table that these equal.
    pub from: Vec<String>,
    /// Its column that `unsubscribe` writes.
    pub column: String,
    /// The value of who gets mail.
    pub subscribed: String,
    /// The value of who does not.
    pub unsubscribed: String,
}

const ARTICLE_EXAMPLE: &str = "For example {\"table\": \"posts\", \"key\": \"id\", \"from\": \
     \"post_id\", \"title\": \"title\", \"created_at\": \"published_at\", \"permalink\": \"url\"}.";
const SUBSCRIBER_EXAMPLE: &str = "For example {\"table\": \"users\", \"key\": \"email\", \"from\": \
     \"email\", \"column\": \"subscription_status\", \"subscribed\": \"subscribed\", \
     \"unsubscribed\": \"unsubscribed\"}.";

impl Article {
    /// Reads the `article` argument of `protect`.
    ///
    /// # Errors
    /// Refuses missing and unknown keys, `from` columns that the protected table lacks, and an article
    /// of which nothing is read.
    pub fn given(json: &Json, table: &Table) -> Result<Self, Refusal> {
        let article = Self::from_json(json)?;
        check_from("article", &article.from, table)?;
        if article.sources().is_empty() {
            return Err(Refusal::new(
                "article names no column for title, created_at or permalink: nothing would come of it",
            )
            .with_hint(ARTICLE_EXAMPLE));
        }
        Ok(article)
    }

    /// Reads its JSON; the columns are not checked.
    ///
    /// # Errors
    /// Refuses missing and unknown keys.
    pub fn from_json(json: &Json) -> Result<Self, Refusal> {
        let keys = Keys {
            what: "article",
            example: ARTICLE_EXAMPLE,
            required: &["table", "key", "from"],
            optional: &["title", "created_at", "permalink"],
        };
        let object = keys.object(json)?;
        let (key, from) = keys.pair(object)?;
        Ok(Self {
            table: keys.text(object, "table")?,
            key,
            from,
            title: keys.maybe(object, "title")?,
            created_at: keys.maybe(object, "created_at")?,
            permalink: keys.maybe(object, "permalink")?,
        })
    }

    /// The JSON that `protected_table` shows.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json = json!({
            "table": self.table, "key": names_to_json(&self.key), "from": names_to_json(&self.from)
        });
        let columns = [
            ("title", &self.title),
            ("created_at", &self.created_at),
            ("permalink", &self.permalink),
        ];
        for (name, column) in columns {
            if let Some(column) = column {
                json[name] = json!(column);
            }
        }
        json
    }

    /// The sources of the article's fields.
    #[must_use]
    pub fn sources(&self) -> Vec<(Field, Source)> {
        [
            (Field::ArticleTitle, &self.title),
            (Field::ArticleCreatedAt, &self.created_at),
            (Field::Permalink, &self.permalink),
        ]
        .into_iter()
        .filter_map(|(field, column)| {
            let source = Source::Foreign {
                table: self.table.clone(),
                key: self.key.clone(),
                from: self.from.clone(),
                column: column.clone()?,
            };
            Some((field, source))
        })
        .collect()
    }

    /// Follows the renaming of a column of the protected table.
    pub fn rename_own_column(&mut self, old: &str, new: &str) {
        rename(&mut self.from, old, new);
    }

    /// Follows the renaming of a column of the article's table.
    pub fn rename_column(&mut self, table: &str, old: &str, new: &str) {
        if self.table == table {
            rename(&mut self.key, old, new);
            for column in [&mut self.title, &mut self.created_at, &mut self.permalink] {
                rename(column.as_mut_slice(), old, new);
            }
        }
    }

    /// Follows the renaming of the article's table.
    pub fn rename_table(&mut self, old: &str, new: &str) {
        rename(std::slice::from_mut(&mut self.table), old, new);
    }
}

impl Subscriber {
    /// Reads the `subscriber` argument of `protect`.
    ///
    /// # Errors
    /// Refuses missing and unknown keys, and `from` columns that the protected table lacks.
    pub fn given(json: &Json, table: &Table) -> Result<Self, Refusal> {
        let subscriber = Self::from_json(json)?;
        check_from("subscriber", &subscriber.from, table)?;
        Ok(subscriber)
    }

    /// Reads its JSON; the columns are not checked.
    ///
    /// # Errors
    /// Refuses missing and unknown keys.
    pub fn from_json(json: &Json) -> Result<Self, Refusal> {
        let keys = Keys {
            what: "subscriber",
            example: SUBSCRIBER_EXAMPLE,
            required: &["table", "key", "from", "column", "subscribed", "unsubscribed"],
            optional: &[],
        };
        let object = keys.object(json)?;
        let (key, from) = keys.pair(object)?;
        let value = |name: &str| {
            scalar_text(&object[name])
                .ok_or_else(|| keys.wrong(name, "a string, a number or a boolean", &object[name]))
        };
        Ok(Self {
            table: keys.text(object, "table")?,
            key,
            from,
            column: keys.text(object, "column")?,
            subscribed: value("subscribed")?,
            unsubscribed: value("unsubscribed")?,
        })
    }

    /// Checks what `unsubscribe` is to write, in the words of the table that it is written into.
    ///
    /// # Errors
    /// Refuses a generated column, values that the column cannot hold, and two that are the same.
    pub fn check_values(&self, table: &Table) -> Result<(), Refusal> {
        let column = table.known(&self.column, "subscriber")?;
        if column.generated {
            return Err(Refusal::new(format!(
                "subscriber cannot use the column \"{}\" of table {}: it is a generated column",
                self.column,
                table.label()
            ))
            .with_hint("Name the column that it is computed from."));
        }
        let mut values = [&self.subscribed, &self.unsubscribed].map(|text| text.clone());
        for text in &mut values {
            let plain = matches!(
                column.kind,
                ColumnKind::Text
                    | ColumnKind::Enum
                    | ColumnKind::Integer
                    | ColumnKind::Number
                    | ColumnKind::Boolean
            );
            // Of other types the server says whether they take it.
            let mut value = StatusValue::Text(std::mem::take(text));
            if plain {
                check_value("subscriber", column, &mut value, table)?;
            }
            if let StatusValue::Text(read) = value {
                *text = read;
            }
        }
        let [subscribed, unsubscribed] = values;
        if subscribed == unsubscribed {
            return Err(Refusal::new(format!(
                "\"subscribed\" and \"unsubscribed\" of subscriber are the same value, {}",
                Refusal::quote(&subscribed)
            ))
            .with_hint(SUBSCRIBER_EXAMPLE));
        }
        Ok(())
    }

    /// The JSON that `protected_table` shows.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "table": self.table, "key": names_to_json(&self.key),
            "from": names_to_json(&self.from), "column": self.column,
            "subscribed": self.subscribed, "unsubscribed": self.unsubscribed
        })
    }

    /// Follows the renaming of a column of the protected table.
    pub fn rename_own_column(&mut self, old: &str, new: &str) {
        rename(&mut self.from, old, new);
    }

    /// Follows the renaming of a column of the subscriber's table.
    pub fn rename_column(&mut self, table: &str, old: &str, new: &str) {
        if self.table == table {
            rename(&mut self.key, old, new);
            rename(std::slice::from_mut(&mut self.column), old, new);
        }
    }

    /// Follows the renaming of the subscriber's table.
    pub fn rename_table(&mut self, old: &str, new: &str) {
        rename(std::slice::from_mut(&mut self.table), old, new);
    }
}

fn check_from(what: &str, from: &[String], table: &Table) -> Result<(), Refusal> {
    let what = format!("\"from\" of {what}");
    from.iter().try_for_each(|name| table.readable(name, &what).map(drop))
}
