//! The functions that make and drop policies and put tables under them, and the catalogue of checks as
//! SQL sees it. Owns the SQL-callable surface of what the engine and protect.rs know.

use pgrx::{JsonB, PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::{Refusal, checks, presets};

use crate::protect::{self as protection, Wish};
use crate::report;
use crate::rights;
use crate::settings;
use crate::shared;
use crate::spi::{self, Arg};
use crate::transaction;

/// Fails unless the library was preloaded, with the line to add.
#[pg_extern(sql = false)]
fn require_preload() {
    if shared::shared().is_none() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new("pg_spamcheck must be in shared_preload_libraries")
                .with_detail("Its background worker and shared memory are set up when the server starts.")
                .with_hint(format!(
                    "Add {} to postgresql.conf (after what is there already, separated by a comma) and restart the server.",
                    settings::PRELOAD_LINE
                )),
        );
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn protect(
    relation: Option<pg_sys::Oid>,
    policy: Option<&str>,
    columns: Option<JsonB>,
    status: Option<JsonB>,
    article: Option<JsonB>,
    subscriber: Option<JsonB>,
    on_update: Option<bool>,
) -> TableIterator<'static, (name!(field, String), name!(source, String))> {
    require_preload();
    let wish = Wish {
        relation: given(relation, "relation"),
        policy: policy.unwrap_or("default").to_owned(),
        columns: columns.map(|j| j.0),
        status: status.map(|j| j.0),
        article: article.map(|j| j.0),
        subscriber: subscriber.map(|j| j.0),
        on_update: on_update.unwrap_or(true),
    };
    TableIterator::new(protection::protect(&wish))
}

#[pg_extern(sql = false)]
fn unprotect(relation: Option<pg_sys::Oid>) {
    protection::unprotect(given(relation, "relation"));
}

fn given<T>(argument: Option<T>, name: &str) -> T {
    argument.unwrap_or_else(|| {
        report::refuse(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Refusal::new(format!("argument \"{name}\" must not be NULL")),
        )
    })
}

#[pg_extern(sql = false)]
fn create_policy(name: Option<&str>, preset: Option<&str>) {
    let name = given(name, "name");
    if name.trim().is_empty() {
        report::refuse_value(Refusal::new("a policy needs a name"));
    }
    let preset = presets::find(preset.unwrap_or("default"))
        .unwrap_or_else(|refusal| report::refuse_value(refusal));
    let mut row = Json::Object(preset.policy_columns());
    row["name"] = json!(name);
    let checks: Vec<Json> = preset
        .check_settings()
        .into_iter()
        .map(|c| {
            json!({ "policy": name, "check_name": c.check_name, "enabled": c.enabled,
                    "action": c.action, "score": c.score, "options": c.options })
        })
        .collect();
    let lists: Vec<Json> = preset
        .lists
        .iter()
        .map(|l| json!({ "name": l.name, "kind": l.kind.name(), "entries": l.entries }))
        .collect();
    rights::as_extension(|| {
        let taken = spi::text_now(
            "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p WHERE p.name = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        );
        if taken.is_some() {
            report::refuse(
                PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
                Refusal::new(format!("policy \"{name}\" already exists"))
                    .with_hint("UPDATE its row in spamcheck.policy, or choose another name."),
            );
        }
        write_lists(&Json::Array(lists).to_string());
        write_policy(&row.to_string());
        spi::write(
            "INSERT INTO spamcheck.check_setting (policy, check_name, enabled, action, score, options)
             SELECT r.policy, r.check_name, r.enabled, r.action, r.score, r.options
               FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(policy text, check_name text, enabled boolean, action text, score real, options jsonb)",
            &[Arg::Text(&Json::Array(checks).to_string())],
        );
    });
}

/// Lists belong to all policies: a preset makes those that are missing and leaves the others alone.
fn write_lists(lists: &str) {
    spi::write(
        "WITH wanted AS (
             SELECT r.name, r.kind, r.entries FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
                 AS r(name text, kind text, entries text[])
              WHERE NOT EXISTS (SELECT FROM spamcheck.list l WHERE l.name = r.name))
         INSERT INTO spamcheck.list (name, kind) SELECT w.name, w.kind FROM wanted w",
        &[Arg::Text(lists)],
    );
    spi::write(
        "INSERT INTO spamcheck.list_entry (list, value, note)
         SELECT r.name, e.value, 'from the preset'
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS r(name text, kind text, entries text[]),
                unnest(r.entries) AS e(value)
          WHERE NOT EXISTS (SELECT FROM spamcheck.list_entry x WHERE x.list = r.name)",
        &[Arg::Text(lists)],
    );
}

/// Columns that the preset does not name get the table's defaults.
fn write_policy(row: &str) {
    let given: serde_json::Map<String, Json> = serde_json::from_str(row).unwrap_or_default();
    let columns: Vec<String> = given.keys().map(|k| spi::quoted(k)).collect();
    let columns = columns.join(", ");
    spi::write(
        &format!(
            "INSERT INTO spamcheck.policy ({columns})
             SELECT {columns} FROM jsonb_populate_record(NULL::spamcheck.policy, convert_from($1, 'UTF8')::jsonb)"
        ),
        &[Arg::Text(row)],
    );
}

#[pg_extern(sql = false)]
fn drop_policy(name: Option<&str>) {
    let name = given(name, "name");
    rights::as_extension(|| {
        let tables: Vec<String> = spi::texts_now(
            "SELECT convert_to(r.relation::regclass::text, 'UTF8') FROM spamcheck._protection p
               JOIN spamcheck._protected_relation r ON r.id = p.id WHERE p.policy = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        )
        .into_iter()
        .flatten()
        .collect();
        if !tables.is_empty() {
            report::refuse(
                PgSqlErrorCode::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                Refusal::new(format!("policy \"{name}\" is in use"))
                    .with_detail(format!("Tables under it: {}.", tables.join(", ")))
                    .with_hint("Call spamcheck.protect() with another policy, or spamcheck.unprotect(), first."),
            );
        }
        // Protections whose table is gone keep nobody's rows.
        spi::write(
            "DELETE FROM spamcheck._protection p WHERE p.policy = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        );
        let dropped = spi::write_returning(
            "DELETE FROM spamcheck.policy p WHERE p.name = convert_from($1, 'UTF8') RETURNING convert_to(p.name, 'UTF8')",
            &[Arg::Text(name)],
        );
        if dropped.is_empty() {
            report::refuse(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                Refusal::new(format!("policy \"{name}\" does not exist"))
                    .with_hint("See spamcheck.policy."),
            );
        }
    });
}

#[pg_extern(sql = false)]
fn retry_lookups(kind: Option<&str>) -> i32 {
    let retried = rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.lookup l SET state = 'queued', next_at = clock_timestamp(), reason = coalesce(l.reason, 'retry')
              WHERE l.state <> 'running' AND (convert_from($1, 'UTF8') IN ('', l.kind))
             RETURNING convert_to(l.id::text, 'UTF8')",
            &[Arg::Text(kind.unwrap_or_default())],
        )
    });
    transaction::call_worker_at_commit();
    i32::try_from(retried.len()).unwrap_or(i32::MAX)
}

#[pg_extern(sql = false)]
fn catalogue() -> JsonB {
    JsonB(checks::catalogue())
}

#[pg_extern(sql = false)]
fn call_worker() {
    transaction::call_worker_at_commit();
}
