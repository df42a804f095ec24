//! Owns which columns and tables beside the protected one a mapping names, so that the caller can
//! ask whether they exist. It must not ask itself.

use super::article::{Article, Subscriber};
use super::columns::Mapping;
use super::source::Source;

impl Article {
    /// The columns of the article's table that it names.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let values = [&self.title, &self.created_at, &self.permalink];
        self.key.iter().chain(values.into_iter().flatten()).map(String::as_str)
    }
}

impl Subscriber {
    /// The columns of the subscriber's table that it names.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.key.iter().chain(std::iter::once(&self.column)).map(String::as_str)
    }
}

impl Mapping {
    /// The other tables that its sources name.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.sources.values().filter_map(|source| match source {
            Source::Foreign { table, .. } => Some(table.as_str()),
            _ => None,
        })
    }
}
