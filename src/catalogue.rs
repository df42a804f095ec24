//! The functions that make and drop policies and put tables under them, and the catalogue of checks as
//! SQL sees it. Owns the SQL-callable surface of what the engine and protect.rs know.

use pgrx::{AnyElement, JsonB, PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::presets::{self, Preset};
use spamcheck_engine::{Refusal, checks};

use crate::arguments::{given, json, preloaded};
use crate::calls;
use crate::protect::{self as protection, Wish};
use crate::references;
use crate::report;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg};

/// Fails unless the library was preloaded, with the line to add, and unless the schema is ours: whoever
/// owned it, or had put something there before, could stand in for our functions.
#[pg_extern(sql = false)]
fn require_preload() {
    preloaded();
    let intruder = spi::text_now(
        "SELECT pg_catalog.convert_to(x.what, 'UTF8') FROM (
             SELECT 'belongs to role ' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(r.rolname) AS what
               FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
              WHERE n.nspname OPERATOR(pg_catalog.=) 'spamcheck' AND NOT r.rolsuper
             UNION ALL
             -- What is elsewhere and only mentions the schema, such as a view of what is in it, stands in for nothing.
             SELECT 'already holds ' OPERATOR(pg_catalog.||) pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
               FROM pg_catalog.pg_depend d, pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o
              WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
                AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('spamcheck')
                AND o.schema OPERATOR(pg_catalog.=) 'spamcheck'
                AND NOT (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
                         AND d.objid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure('spamcheck._require_preload()'))) x LIMIT 1",
        &[],
    );
    if let Some(what) = intruder {
        report::refuse(
            PgSqlErrorCode::ERRCODE_DUPLICATE_SCHEMA,
            Refusal::new(format!("schema \"spamcheck\" {what}"))
                .with_detail("Whoever put it there could stand in for functions of pg_spamcheck.")
                .with_hint(
                    "ALTER SCHEMA spamcheck RENAME TO another name, or drop what is in it and DROP SCHEMA spamcheck, \
                     and CREATE EXTENSION again.",
                ),
        );
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn protect(
    relation: Option<pg_sys::Oid>,
    policy: Option<&[u8]>,
    columns: Option<AnyElement>,
    status: Option<AnyElement>,
    article: Option<AnyElement>,
    subscriber: Option<AnyElement>,
    on_update: Option<bool>,
) -> TableIterator<'static, (name!(field, Vec<u8>), name!(source, Vec<u8>))> {
    preloaded();
    let wish = Wish {
        relation: given(relation, "relation"),
        policy: policy.map_or_else(|| "default".to_owned(), |p| row::from_server(p).into_owned()),
        columns: columns.map(json),
        status: status.map(json),
        article: article.map(json),
        subscriber: subscriber.map(json),
        on_update: on_update.unwrap_or(true),
    };
    let text = |text: String| row::to_server(&text).into_bytes();
    TableIterator::new(
        protection::protect(&wish).into_iter().map(|(f, s)| (text(f), text(s))).collect::<Vec<_>>(),
    )
}

#[pg_extern(sql = false)]
fn unprotect(relation: Option<pg_sys::Oid>) {
    protection::unprotect(given(relation, "relation"));
}

#[pg_extern(sql = false)]
fn create_policy(name: Option<&[u8]>, preset: Option<&[u8]>) {
    let name = &*row::from_server(given(name, "name"));
    let preset = preset.map(row::from_server);
    if name.trim().is_empty() {
        report::refuse_value(
            Refusal::new("a policy needs a name")
                .with_hint("protect() is told of the policy by it."),
        );
    }
    let preset = presets::find(preset.as_deref().unwrap_or("default"))
        .unwrap_or_else(|refusal| report::refuse_value(refusal));
    let mut row = Json::Object(preset.policy_columns());
    row["name"] = json!(name);
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
        write_lists(preset);
        // Not to be completed as if somebody had inserted it.
        references::without_checks(|| write_policy(&row.to_string()));
        write_settings(name, preset);
    });
}

/// Gives a policy that was made by plain INSERT the settings of preset `default` that it has not yet.
pub fn complete_policy(name: &str) {
    let preset = presets::find("default").unwrap_or_else(|refusal| report::refuse_value(refusal));
    rights::as_extension(|| {
        write_lists(preset);
        write_settings(name, preset);
    });
}

/// One row for each check; those that are there stay.
fn write_settings(policy: &str, preset: &Preset) {
    let settings: Vec<Json> = preset
        .check_settings()
        .into_iter()
        .map(|c| {
            json!({ "policy": policy, "check_name": c.check_name, "enabled": c.enabled,
                    "action": c.action, "score": c.score, "options": c.options })
        })
        .collect();
    spi::write(
        "INSERT INTO spamcheck.check_setting (policy, check_name, enabled, action, score, options)
         SELECT r.policy, r.check_name, r.enabled, r.action, r.score, r.options
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb)
             AS r(policy text, check_name text, enabled boolean, action text, score real, options jsonb)
          WHERE NOT EXISTS (SELECT FROM spamcheck.check_setting s
                             WHERE s.policy = r.policy AND s.check_name = r.check_name)",
        &[Arg::Text(&Json::Array(settings).to_string())],
    );
}

/// Lists belong to all policies: a preset makes those that are missing, fills an empty one once, and leaves
/// the others alone. What somebody emptied stays empty (trap T4 of Serendipity's plugin).
fn write_lists(preset: &Preset) {
    let lists: Vec<Json> = preset
        .lists
        .iter()
        .map(|l| json!({ "name": l.name, "kind": l.kind.name(), "entries": l.entries }))
        .collect();
    let lists = &*Json::Array(lists).to_string();
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
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS r(name text, kind text, entries text[])
           JOIN spamcheck.list l ON l.name = r.name AND NOT l._filled,
                unnest(r.entries) AS e(value)
          WHERE NOT EXISTS (SELECT FROM spamcheck.list_entry x WHERE x.list = r.name)",
        &[Arg::Text(lists)],
    );
    spi::write(
        "UPDATE spamcheck.list l SET _filled = true
           FROM jsonb_to_recordset(convert_from($1, 'UTF8')::jsonb) AS r(name text, kind text, entries text[])
          WHERE l.name = r.name AND NOT l._filled AND r.entries <> '{}'",
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
fn drop_policy(name: Option<&[u8]>) {
    let name = &*row::from_server(given(name, "name"));
    rights::as_extension(|| {
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

/// What a lookup can ask or tell.
const KINDS: [&str; 5] = ["akismet", "trackback_ip", "trackback_link", "submit_spam", "submit_ham"];

#[pg_extern(sql = false)]
fn retry_lookups(kind: Option<&[u8]>) -> i32 {
    let kind = kind.map(row::from_server);
    if let Some(kind) = kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
        report::refuse_value(
            Refusal::new(format!("there are no lookups of kind \"{kind}\""))
                .with_hint(format!("Kinds are {}; without one, all are tried.", KINDS.join(", "))),
        );
    }
    let retried = rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.lookup l SET state = 'queued', next_at = clock_timestamp(), reason = coalesce(l.reason, 'retry')
              -- Not those that somebody is at, who may wait for others of these.
              WHERE l.id = ANY (ARRAY(SELECT w.id FROM spamcheck.lookup w
                                       WHERE w.state <> 'running' AND convert_from($1, 'UTF8') IN ('', w.kind)
                                         FOR UPDATE SKIP LOCKED))
             RETURNING convert_to(l.id::text, 'UTF8')",
            &[Arg::Text(kind.as_deref().unwrap_or_default())],
        )
    });
    calls::retry_at_commit();
    i32::try_from(retried.len()).unwrap_or(i32::MAX)
}

#[pg_extern(sql = false)]
fn catalogue() -> JsonB {
    JsonB(checks::catalogue())
}

#[pg_extern(sql = false)]
fn call_worker() {
    calls::call_worker_at_commit();
}
