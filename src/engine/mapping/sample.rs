//! Makes tables for tests from a line of `name:type`; `*` marks the key, `check/a/b` is text with
//! a constraint, `=word` a default. Tests only.

use super::table::{Column, ColumnKind, Table};

/// The table `public.NAME` with these columns.
pub(super) fn table(name: &str, columns: &str) -> Table {
    let mut key = Vec::new();
    let mut checks = Vec::new();
    let columns = columns
        .split_whitespace()
        .map(|written| {
            let (name, type_name) = written.split_once(':').unwrap();
            let bare = name.trim_start_matches('*');
            if bare != name {
                key.push(bare.to_owned());
            }
            let (type_name, default) = match type_name.split_once('=') {
                Some((type_name, word)) => (type_name, Some(format!("'{word}'::text"))),
                None => (type_name, None),
            };
            if let Some(values) = type_name.strip_prefix("check/") {
                let values = values.replace('/', "'::text, '");
                checks.push(format!("CHECK (({bare} = ANY (ARRAY['{values}'::text])))"));
            }
            let type_name = match type_name {
                _ if type_name.starts_with("check/") => "text",
                "varchar" => "character varying",
                "char" => "character",
                "timestamptz" => "timestamp with time zone",
                "timestamp" => "timestamp without time zone",
                "double" => "double precision",
                other => other,
            };
            let (type_name, labels) = match type_name.strip_prefix("enum/") {
                Some(labels) => ("public.states", labels.split('/').map(str::to_owned).collect()),
                None => (type_name, Vec::new()),
            };
            let typtype = if labels.is_empty() { 'b' } else { 'e' };
            Column {
                name: bare.to_owned(),
                type_name: type_name.to_owned(),
                kind: ColumnKind::of(type_name, typtype),
                labels,
                generated: false,
                not_null: false,
                default,
            }
        })
        .collect();
    Table {
        schema: "public".to_owned(),
        name: name.to_owned(),
        columns,
        checks,
        key,
        partition_key: Vec::new(),
    }
}
