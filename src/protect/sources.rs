//! What a mapping reaches beyond its table: other tables and settings. Owns the questions to the server
//! whether they are there and may be used.

use std::panic::AssertUnwindSafe;

use pgrx::{PgSqlErrorCode, pg_sys};
use spamcheck_engine::mapping::{ColumnKind, Mapping, Source, Subscriber};
use spamcheck_engine::{Field, Refusal};

use super::described::Described;
use crate::report;
use crate::rights;
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
