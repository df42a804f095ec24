//! What a mapping reaches beyond its table: other tables, settings, and values that a status column has
//! to take. Owns the questions to the server whether they are there and may be used.

use std::panic::AssertUnwindSafe;

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::mapping::{ColumnKind, Mapping, Source, Status, StatusValue, Subscriber};
use spamcheck_engine::{Field, Refusal};

use super::described::Described;
use crate::report;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg, quoted};
use crate::subtransaction;

/// Another table's name as it is to stand in SQL from now on. Looked up with the caller's search_path.
pub fn resolve<'a>(
    name: &str,
    columns: impl Iterator<Item = &'a String>,
) -> Result<String, Refusal> {
    let found = subtransaction::attempt(AssertUnwindSafe(|| {
        spi::json_now::<(String, String, Vec<String>)>(
            "SELECT pg_catalog.convert_to(pg_catalog.json_build_array(
                        pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname),
                        c.relpersistence,
                        (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a
                          WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0
                            AND NOT a.attisdropped))::pg_catalog.text, 'UTF8')
               FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
              WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(pg_catalog.convert_from($1, 'UTF8'))",
            &[Arg::Text(name)],
        )
    }));
    let Ok(Some((display, persistence, there))) = found else {
        return Err(Refusal::new(format!("table \"{name}\" does not exist"))
            .with_hint("Write its schema too, as in \"public.users\"."));
    };
    if persistence == "t" {
        return Err(Refusal::new(format!(
            "{display} is a temporary table: other sessions do not see it"
        ))
        .with_hint("Take the field from an ordinary table."));
    }
    for column in columns {
        if !there.contains(column) {
            return Err(Refusal::new(format!("table {display} has no column \"{column}\""))
                .with_detail(format!("Its columns are {}.", there.join(", ")))
                .with_hint("Correct the column's name."));
        }
    }
    Ok(display)
}
/// Columns of other tables are read as the table's owner, who must be able to, and settings must be
/// ones that the owner may see.
pub fn may_read_sources(relation: pg_sys::Oid, mapping: &Mapping, described: &Described) {
    for (field, source) in &mapping.sources {
        match source {
            Source::Foreign { table, key, column, .. } => {
                may_read(relation, table, key.iter().chain(std::iter::once(column)), described);
                if *field == Field::FormSeconds {
                    holds_seconds(table, column);
                }
            }
            Source::Setting(name) => may_see(relation, name, described),
            _ => {}
        }
    }
}

fn may_read<'a>(
    relation: pg_sys::Oid,
    table: &str,
    columns: impl Iterator<Item = &'a String>,
    described: &Described,
) {
    let columns = serde_json::json!(columns.collect::<Vec<_>>()).to_string();
    let readable = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM pg_class c
              WHERE c.oid = to_regclass(convert_from($2, 'UTF8'))
                AND has_schema_privilege($1, c.relnamespace, 'USAGE')
                AND (SELECT bool_and(has_column_privilege($1, c.oid, n, 'SELECT'))
                       FROM json_array_elements_text(convert_from($3, 'UTF8')::json) n)",
            &[Arg::Oid(rights::owner_of(relation)), Arg::Text(table), Arg::Text(&columns)],
        )
    });
    if readable.is_none() {
        let schema = table.split_once('.').map_or(table, |(schema, _)| schema);
        report::refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Refusal::new(format!(
                "the owner of {} may not read {table}, where a field or a subscriber is to come from",
                described.display()
            ))
            .with_hint(format!(
                "GRANT USAGE ON SCHEMA {schema} TO {owner}; GRANT SELECT ON {table} TO {owner};",
                owner = quoted(&described.owner)
            )),
        );
    }
}

/// Subscribers are unsubscribed as the table's owner, who must be able to.
pub fn may_unsubscribe(relation: pg_sys::Oid, subscriber: &Subscriber, described: &Described) {
    let Subscriber { table, key, column, .. } = subscriber;
    may_read(relation, table, key.iter().chain(std::iter::once(column)), described);
    let writable = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM pg_class c
              WHERE c.oid = to_regclass(convert_from($2, 'UTF8'))
                AND has_column_privilege($1, c.oid, convert_from($3, 'UTF8'), 'UPDATE')",
            &[Arg::Oid(rights::owner_of(relation)), Arg::Text(table), Arg::Text(column)],
        )
    });
    if writable.is_none() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Refusal::new(format!(
                "the owner of {} may not update {table}, where subscribers are to be unsubscribed",
                described.display()
            ))
            .with_hint(format!(
                "GRANT UPDATE ({}) ON {table} TO {};",
                quoted(column),
                quoted(&described.owner)
            )),
        );
    }
}

fn holds_seconds(table: &str, column: &str) {
    let found: Option<(String, char)> = rights::as_extension(|| {
        spi::json_now(
            "WITH RECURSIVE base(oid) AS (
                 SELECT a.atttypid FROM pg_attribute a
                  WHERE a.attrelid = to_regclass(convert_from($1, 'UTF8')) AND a.attname = convert_from($2, 'UTF8')
                 UNION ALL
                 SELECT t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
             SELECT convert_to(json_build_array(format_type(t.oid, NULL), t.typtype)::text, 'UTF8')
               FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype <> 'd'",
            &[Arg::Text(table), Arg::Text(column)],
        )
    });
    if let Some((type_name, typtype)) = found
        && let Err(refusal) =
            ColumnKind::of(&type_name, typtype).must_hold_seconds(&type_name, column)
    {
        report::refuse_value(refusal);
    }
}

fn may_see(relation: pg_sys::Oid, setting: &str, described: &Described) {
    let seen = subtransaction::attempt(AssertUnwindSafe(|| {
        rights::as_reader_of(relation, || {
            spi::text_now(
                "SELECT convert_to(coalesce(current_setting(convert_from($1, 'UTF8'), true), 'unset'), 'UTF8')
                  WHERE current_setting(convert_from($1, 'UTF8'), true) IS NOT NULL OR convert_from($1, 'UTF8') LIKE '%_.%_'",
                &[Arg::Text(setting)],
            )
        })
    }));
    match seen {
        Ok(Some(_)) => {}
        Ok(None) => report::refuse_value(
            Refusal::new(format!("setting \"{setting}\" does not exist"))
                .with_hint("An app's own setting has a dot in its name, as in \"app.visitor\"."),
        ),
        Err(failure) => report::refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Refusal::new(format!(
                "the owner of {} may not read setting \"{setting}\"",
                described.display()
            ))
            .with_detail(format!("{}.", failure.message))
            .with_hint("Choose a setting that every role may see."),
        ),
    }
}

/// Every value is what its column's type, with its length and its domain's conditions, takes.
pub fn values_fit(status: &Status, described: &Described) {
    for (name, value) in
        [&status.ham, &status.moderate, &status.spam].into_iter().flatten().flatten()
    {
        let StatusValue::Text(text) = value else { continue };
        let Some(column) = described.columns.iter().find(|c| c.name == *name) else { continue };
        let (type_oid, modifier) = (pg_sys::Oid::from(column.type_oid), column.type_modifier);
        if let Err(failure) =
            subtransaction::attempt(AssertUnwindSafe(|| row::input(type_oid, modifier, text)))
        {
            report::refuse_value(
                Refusal::new(format!(
                    "status column \"{name}\" does not take the value \"{text}\""
                ))
                .with_detail(format!("{}.", failure.message))
                .with_hint("Give a value that the column's type takes in argument \"status\"."),
            );
        }
    }
}

/// The constraints on a status column alone, which the server would hold against rows later.
pub fn constraints_hold(relation: pg_sys::Oid, status: &Status, described: &Described) {
    for (name, value) in
        [&status.ham, &status.moderate, &status.spam].into_iter().flatten().flatten()
    {
        let Some(column) = described.columns.iter().find(|c| c.name == *name) else { continue };
        let refused = match value {
            StatusValue::Now => None,
            StatusValue::Null if column.not_null => {
                Some(("null".to_owned(), "NOT NULL".to_owned()))
            }
            StatusValue::Null => None,
            StatusValue::Text(text) => breaks(relation, name, text).map(|by| (text.clone(), by)),
        };
        if let Some((value, constraint)) = refused {
            report::refuse_value(
                Refusal::new(format!(
                    "status column \"{name}\" does not take the value \"{value}\""
                ))
                .with_detail(format!("Constraint {constraint} of table {} forbids it.", described.display()))
                .with_hint("Give a value that the table takes in argument \"status\", or leave that verdict out: it is then only logged."),
            );
        }
    }
}

/// The constraint that a value of a column breaks, as far as that can be told from the value alone.
fn breaks(relation: pg_sys::Oid, column: &str, value: &str) -> Option<String> {
    type Constraint = (String, String, Option<String>, Option<String>, Option<String>);
    let constraints: Vec<Constraint> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(json_agg(json_build_array(
                        quote_ident(k.conname), format_type(a.atttypid, a.atttypmod), pg_get_expr(k.conbin, k.conrelid),
                        quote_ident(n.nspname) || '.' || quote_ident(f.relname), quote_ident(fa.attname))), '[]')::text, 'UTF8')
               FROM pg_constraint k
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum]
               LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace n ON n.oid = f.relnamespace
               LEFT JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
              WHERE k.conrelid = $1 AND k.contype IN ('c', 'f') AND a.attname = convert_from($2, 'UTF8')",
            &[Arg::Oid(relation), Arg::Text(column)],
        )
    })
    .unwrap_or_default();
    let broken = constraints.into_iter().find(|(_, type_name, check, table, key)| {
        let query = match (check, table, key) {
            (Some(check), ..) => format!(
                "SELECT convert_to((({check}) IS NOT FALSE)::text, 'UTF8')
                   FROM (SELECT convert_from($1, 'UTF8')::{type_name} AS {}) t",
                quoted(column)
            ),
            (None, Some(table), Some(key)) => format!(
                "SELECT convert_to(EXISTS (SELECT FROM {table} r WHERE r.{key} = convert_from($1, 'UTF8')::{type_name})::text, 'UTF8')"
            ),
            _ => return false,
        };
        // What cannot be found out is not refused.
        let holds = subtransaction::attempt(AssertUnwindSafe(|| {
            rights::as_reader_of(relation, || spi::text_once(&query, &[Arg::Text(value)]))
        }));
        matches!(holds, Ok(Some(holds)) if holds == "false")
    });
    broken.map(|(name, ..)| name)
}
