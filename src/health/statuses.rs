//! Whether the status columns of protected tables still take what verdicts write. Asks the columns' types, as the
//! guard does, and the constraints on them alone, as protect() does.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use spamcheck_engine::mapping::{Status, StatusValue};

use crate::protect::values;
use crate::{rights, row, spi};

/// A protected table with the columns that verdicts may write.
#[derive(Deserialize)]
struct Protected {
    relation: u32,
    name: String,
    status: Json,
    /// By name: type and modifier.
    columns: BTreeMap<String, (u32, i32)>,
}

/// What is not taken any more, and by which column.
pub fn refused() -> Vec<String> {
    let tables: Vec<Protected> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(jsonb_build_object('relation', r.relation::bigint, 'name', r.relation::regclass::text,
                        'status', p.status, 'columns', a.columns) ORDER BY r.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id
              CROSS JOIN LATERAL (SELECT jsonb_object_agg(a.attname, jsonb_build_array(a.atttypid::bigint, a.atttypmod)) AS columns
                                    FROM pg_attribute a WHERE a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped) a
              WHERE p.status <> '{}' AND a.columns IS NOT NULL",
            &[],
        )
    })
    .unwrap_or_default();
    tables.iter().flat_map(Protected::refused).collect()
}

impl Protected {
    fn refused(&self) -> Vec<String> {
        let Ok(status) = Status::from_json(&self.status) else { return Vec::new() };
        let mut refused: Vec<String> = Vec::new();
        for (name, value) in status.values() {
            let (StatusValue::Text(text), Some(of_type)) = (value, self.columns.get(name)) else {
                continue;
            };
            let (relation, (type_oid, modifier)) = (self.relation.into(), *of_type);
            let column = format!("\"{text}\" by {} of {}", spi::quoted(name), self.name);
            let told = match row::misfit(relation, (type_oid.into(), modifier), text) {
                Some(_) => format!("{column} (such verdicts are only logged)"),
                None => match values::breaks(relation, relation, name, text) {
                    Some(by) => format!("{column} (constraint {by}: such rows fail)"),
                    None => continue,
                },
            };
            if !refused.contains(&told) {
                refused.push(told);
            }
        }
        refused
    }
}
