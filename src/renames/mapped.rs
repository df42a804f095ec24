//! A mapping, with all the names in it: of columns and of other tables. Owns which parts hold names; who was
//! renamed is renames.rs's.

use serde_json::Value as Json;
use spamcheck_engine::mapping::{Article, Mapping, Status, Subscriber};

/// One protection's mapping, to be renamed in.
pub struct Mapped {
    /// Where fields come from.
    pub columns: Mapping,
    /// What verdicts write.
    pub status: Status,
    /// What they wrote before.
    pub former_status: Vec<Status>,
    /// Where the article is.
    pub article: Option<Article>,
    /// Where subscribers are.
    pub subscriber: Option<Subscriber>,
}

impl Mapped {
    /// The one in a row of `_protection`; None: it cannot be understood.
    pub fn read(row: &Json) -> Option<Mapped> {
        let part = |name: &str| row.get(name).filter(|v| !v.is_null());
        Some(Mapped {
            columns: Mapping::from_json(&row["columns"]).ok()?,
            status: Status::from_json(&row["status"]).ok()?,
            former_status: row["former_status"].as_array().map_or_else(Vec::new, |all| {
                all.iter().filter_map(|status| Status::from_json(status).ok()).collect()
            }),
            article: part("article").and_then(|a| Article::from_json(a).ok()),
            subscriber: part("subscriber").and_then(|s| Subscriber::from_json(s).ok()),
        })
    }

    /// A column of the protected table has another name.
    pub fn rename_own_column(&mut self, old: &str, new: &str) {
        self.columns.rename_own_column(old, new);
        self.status.rename_column(old, new);
        self.former_status.iter_mut().for_each(|s| s.rename_column(old, new));
        self.article.iter_mut().for_each(|a| a.rename_own_column(old, new));
        self.subscriber.iter_mut().for_each(|s| s.rename_own_column(old, new));
    }

    /// A column of another table has.
    pub fn rename_column(&mut self, table: &str, old: &str, new: &str) {
        self.columns.rename_column(table, old, new);
        self.article.iter_mut().for_each(|a| a.rename_column(table, old, new));
        self.subscriber.iter_mut().for_each(|s| s.rename_column(table, old, new));
    }

    /// Another table has.
    pub fn rename_table(&mut self, old: &str, new: &str) {
        self.columns.rename_table(old, new);
        self.article.iter_mut().for_each(|a| a.rename_table(old, new));
        self.subscriber.iter_mut().for_each(|s| s.rename_table(old, new));
    }

    /// Other tables that it names.
    pub fn tables(&self) -> Vec<String> {
        let mut tables: Vec<String> = self.columns.tables().map(str::to_owned).collect();
        tables.extend(self.article.iter().map(|a| a.table.clone()));
        tables.extend(self.subscriber.iter().map(|s| s.table.clone()));
        tables.sort();
        tables.dedup();
        tables
    }
}
