//! protect() and unprotect(): what the caller may do, what the table must be, the mapping that comes of
//! both, and the triggers. Owns the refusals that need the catalogs; those that follow from names and
//! types alone are the engine's mapping module's.

use std::panic::AssertUnwindSafe;

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use serde::Deserialize;
use serde_json::Value as Json;
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::{
    Article, Column, ColumnKind, Mapping, Source, Status, StatusValue, Subscriber, Table,
};

use crate::renames;
use crate::report::{self, notice};
use crate::rights;
use crate::row;
use crate::spi::{self, Arg, quoted};
use crate::subtransaction;

/// A relation as the catalogs describe it.
#[derive(Deserialize)]
struct Described {
    schema: String,
    name: String,
    kind: String,
    persistence: String,
    owner: String,
    own: bool,
    columns: Vec<DescribedColumn>,
    checks: Vec<String>,
    key: Vec<String>,
    partition_key: Vec<String>,
    protected_ancestor: Option<String>,
    protected_descendant: Option<String>,
    protection: Option<i32>,
    triggers: Vec<String>,
}

#[derive(Deserialize)]
struct DescribedColumn {
    name: String,
    type_oid: u32,
    type_modifier: i32,
    type_name: String,
    typtype: String,
    labels: Vec<String>,
    generated: bool,
    not_null: bool,
    default: Option<String>,
}

/// What the caller said.
pub struct Wish {
    /// The table.
    pub relation: pg_sys::Oid,
    /// The policy's name.
    pub policy: String,
    /// Field to source.
    pub columns: Option<Json>,
    /// Status values.
    pub status: Option<Json>,
    /// The article's table.
    pub article: Option<Json>,
    /// The subscriber's table.
    pub subscriber: Option<Json>,
    /// Whether edits are judged.
    pub on_update: bool,
}

/// Puts a table under a policy; the mapping in force, field and source.
pub fn protect(wish: &Wish) -> Vec<(String, String)> {
    lock(wish.relation);
    let described = may_protect(wish.relation, "protect");
    let table = described.table();
    let (mapping, article, subscriber, status) =
        settle(wish, &table).unwrap_or_else(|refusal| report::refuse_value(refusal));
    let notices = mapping.check(&table).unwrap_or_else(|refusal| report::refuse_value(refusal));
    may_read_sources(wish.relation, &mapping, &described);
    values_fit(&status, &described);
    notices.iter().for_each(|text| notice(text));
    missing_verdicts(&status, &described);
    if described.key.is_empty() {
        notice(&format!(
            "table {} has no primary key: rows are judged, but Akismet cannot be asked and moderators cannot find a row from the log",
            described.display()
        ));
    }
    let policy_exists = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p WHERE p.name = convert_from($1, 'UTF8')",
            &[Arg::Text(&wish.policy)],
        )
    });
    if policy_exists.is_none() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            Refusal::new(format!("policy \"{}\" does not exist", wish.policy))
                .with_hint("See spamcheck.policy, or make one with spamcheck.create_policy()."),
        );
    }
    let id =
        store(wish, described.protection, &mapping, &status, article.as_ref(), subscriber.as_ref());
    make_triggers(&described, id, wish.on_update);
    renames::follow();
    mapping.rows()
}

/// Takes a table out of its policy. Its log rows stay.
pub fn unprotect(relation: pg_sys::Oid) {
    lock(relation);
    let described = may_protect(relation, "unprotect");
    let Some(id) = described.protection else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("table {} is not protected", described.display()))
                .with_hint("See spamcheck.protected_table."),
        );
    };
    as_protector(|| {
        drop_triggers(&described);
        spi::write("DELETE FROM spamcheck.lookup l WHERE l._protection = $1", &[Arg::Int(id)]);
        spi::write("DELETE FROM spamcheck._protection p WHERE p.id = $1", &[Arg::Int(id)]);
    });
}

/// CREATE TRIGGER takes this lock anyway; taking it first keeps the description true.
fn lock(relation: pg_sys::Oid) {
    // SAFETY: locks by OID; released at the end of the transaction.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::ShareRowExclusiveLock as i32) };
}

fn settle(
    wish: &Wish,
    table: &Table,
) -> Result<(Mapping, Option<Article>, Option<Subscriber>, Status), Refusal> {
    let article = match &wish.article {
        None | Some(Json::Null) => None,
        Some(given) => {
            let mut article = Article::given(given, table)?;
            let needed: Vec<String> = article.columns().map(str::to_owned).collect();
            article.table = resolve(&article.table, needed.iter())?;
            Some(article)
        }
    };
    let mut mapping = Mapping::find(table);
    if let Some(article) = &article {
        mapping.take_article(article);
    }
    if let Some(given) = &wish.columns {
        mapping.merge(given, table)?;
    }
    for source in mapping.sources.values_mut() {
        if let Source::Foreign { table: other, key, column, .. } = source {
            *other = resolve(other, key.iter().chain(std::iter::once(&*column)))?;
        }
    }
    let subscriber = match &wish.subscriber {
        None | Some(Json::Null) => None,
        Some(given) => {
            let mut subscriber = Subscriber::given(given, table)?;
            let needed: Vec<String> = subscriber.columns().map(str::to_owned).collect();
            subscriber.table = resolve(&subscriber.table, needed.iter())?;
            Some(subscriber)
        }
    };
    let status = match &wish.status {
        None | Some(Json::Null) => Status::find(table)?,
        Some(given) => Status::given(given, table)?,
    };
    Ok((mapping, article, subscriber, status))
}

/// Another table's name as it is to stand in SQL from now on. Looked up with the caller's search_path.
fn resolve<'a>(name: &str, columns: impl Iterator<Item = &'a String>) -> Result<String, Refusal> {
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

/// The rights and the kind of table that protect() and unprotect() ask for.
fn may_protect(relation: pg_sys::Oid, verb: &str) -> Described {
    // SAFETY: plain look-ups.
    let caller = unsafe { pg_sys::GetUserId() };
    let described: Option<Described> = rights::as_extension(|| {
        spi::json_now(include_str!("../sql/describe.sql"), &[Arg::Oid(relation)])
    });
    let Some(described) = described else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            Refusal::new(format!("relation with OID {} does not exist", relation.to_u32())),
        )
    };
    // SAFETY: plain look-ups.
    let owns = unsafe {
        pg_sys::superuser_arg(caller)
            || pg_sys::has_privs_of_role(caller, rights::owner_of(relation))
    };
    if !owns {
        report::refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Refusal::new(format!("must be owner of table {} to {verb} it", described.display()))
                .with_hint(format!("Its owner is {}.", quoted(&described.owner))),
        );
    }
    if let Some(refusal) = wrong_kind(&described) {
        report::refuse(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, refusal);
    }
    described
}

fn wrong_kind(d: &Described) -> Option<Refusal> {
    let table = d.display();
    let refusal = |what: String, hint: &str| Some(Refusal::new(what).with_hint(hint.to_owned()));
    if d.own {
        return refusal(
            format!("{table} is one of pg_spamcheck's own tables and cannot be protected"),
            "Protect the table that the app inserts into.",
        );
    }
    match d.kind.as_str() {
        "r" | "p" => {}
        "v" => {
            return refusal(
                format!("{table} is a view and cannot be protected"),
                "Protect the table under it: inserts through the view are judged there.",
            );
        }
        "m" => {
            return refusal(
                format!("{table} is a materialized view and cannot be protected"),
                "Protect the table that it is made from.",
            );
        }
        "f" => {
            return refusal(
                format!("{table} is a foreign table and cannot be protected"),
                "Protect the table on the server where it lives.",
            );
        }
        _ => {
            return refusal(
                format!("{table} is not a table and cannot be protected"),
                "Protect the table that the app inserts into.",
            );
        }
    }
    if d.persistence == "t" {
        return refusal(
            format!("{table} is a temporary table and cannot be protected"),
            "The log and the worker could not find its rows; use an ordinary table.",
        );
    }
    if let Some(ancestor) = &d.protected_ancestor {
        return refusal(
            format!("{table} is a partition of {ancestor}, which is protected"),
            "Its rows are judged by the parent's protection already.",
        );
    }
    if let Some(partition) = &d.protected_descendant {
        return refusal(
            format!("partition {partition} of {table} is protected by itself"),
            "Call spamcheck.unprotect() for the partition first; the parent's protection covers it.",
        );
    }
    None
}

/// Columns of other tables are read as the table's owner, who must be able to, and settings must be
/// ones that the owner may see.
fn may_read_sources(relation: pg_sys::Oid, mapping: &Mapping, described: &Described) {
    for source in mapping.sources.values() {
        match source {
            Source::Foreign { table, key, column, .. } => {
                may_read(relation, table, key.iter().chain(std::iter::once(column)), described);
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
                "the owner of {} may not read {table}, where a field is to come from",
                described.display()
            ))
            .with_hint(format!(
                "GRANT USAGE ON SCHEMA {schema} TO {owner}; GRANT SELECT ON {table} TO {owner};",
                owner = quoted(&described.owner)
            )),
        );
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
fn values_fit(status: &Status, described: &Described) {
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

fn missing_verdicts(status: &Status, described: &Described) {
    if status.columns().is_empty() {
        notice(&format!(
            "table {} has no status column: verdicts are only logged, except that rejected rows are refused",
            described.display()
        ));
        return;
    }
    let missing = status.missing();
    if !missing.is_empty() {
        notice(&format!(
            "no status value is given for {}: such a verdict is only logged",
            missing.join(" and ")
        ));
    }
}

fn store(
    wish: &Wish,
    known: Option<i32>,
    mapping: &Mapping,
    status: &Status,
    article: Option<&Article>,
    subscriber: Option<&Subscriber>,
) -> i32 {
    let row = serde_json::json!({
        "id": known,
        "policy": wish.policy,
        "columns": mapping.to_json(),
        "status": status.to_json(),
        "article": article.map(Article::to_json),
        "subscriber": subscriber.map(Subscriber::to_json),
        "on_update": wish.on_update,
    });
    let id = rights::as_extension(|| {
        spi::write_returning(
            "INSERT INTO spamcheck._protection AS p (id, policy, columns, status, article, subscriber, on_update)
             SELECT coalesce(r.id, nextval('spamcheck._protection_id_seq')), r.policy, r.columns, r.status,
                    nullif(r.article, 'null'), nullif(r.subscriber, 'null'), r.on_update
               FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                 AS r(id integer, policy text, columns jsonb, status jsonb, article jsonb, subscriber jsonb, on_update boolean)
             ON CONFLICT (id) DO UPDATE
                SET policy = excluded.policy, columns = excluded.columns, status = excluded.status,
                    article = excluded.article, subscriber = excluded.subscriber,
                    on_update = excluded.on_update, protected_at = now(), hints = NULL
             RETURNING convert_to(p.id::text, 'UTF8')",
            &[Arg::Text(&row.to_string())],
        )
    });
    match id.into_iter().flatten().next().and_then(|text| text.parse().ok()) {
        Some(id) => id,
        None => error!("pg_spamcheck could not store the protection"),
    }
}

/// The names sort behind those of the app's triggers, so that nothing changes a row after its verdict.
const GUARD: &str = "zzzz_spamcheck_guard";
const RECORD: &str = "zzzz_spamcheck_record";

fn make_triggers(described: &Described, id: i32, on_update: bool) {
    let table = described.display();
    // A row that moves to another partition is updated, deleted here and inserted there; only the
    // three together tell it from a new one.
    let (guarded, recorded) = match (described.kind.as_str(), on_update) {
        ("p", _) => ("INSERT OR UPDATE OR DELETE", "INSERT OR UPDATE"),
        (_, true) => ("INSERT OR UPDATE", "INSERT OR UPDATE"),
        (_, false) => ("INSERT", "INSERT"),
    };
    as_protector(|| {
        drop_triggers(described);
        spi::write(
            &format!(
                "CREATE TRIGGER {GUARD} BEFORE {guarded} ON {table} FOR EACH ROW EXECUTE FUNCTION spamcheck._guard('{id}')"
            ),
            &[],
        );
        spi::write(
            &format!(
                "CREATE TRIGGER {RECORD} AFTER {recorded} ON {table} FOR EACH ROW
                 WHEN (spamcheck._judged({id}, NEW.tableoid, NEW.ctid)) EXECUTE FUNCTION spamcheck._record('{id}')"
            ),
            &[],
        );
    });
}

/// With the rights to make triggers that call our functions, and without the event trigger that cleans
/// up after triggers that others drop.
fn as_protector<T>(work: impl FnOnce() -> T) -> T {
    renames::while_protecting(|| rights::as_extension(work))
}

fn drop_triggers(described: &Described) {
    for trigger in [GUARD, RECORD].into_iter().filter(|t| described.triggers.iter().any(|h| h == t))
    {
        spi::write(&format!("DROP TRIGGER {trigger} ON {}", described.display()), &[]);
    }
}

impl Described {
    fn display(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    fn table(&self) -> Table {
        Table {
            schema: self.schema.clone(),
            name: self.name.clone(),
            columns: self.columns.iter().map(DescribedColumn::column).collect(),
            checks: self.checks.clone(),
            key: self.key.clone(),
            partition_key: self.partition_key.clone(),
        }
    }
}

impl DescribedColumn {
    fn column(&self) -> Column {
        Column {
            name: self.name.clone(),
            type_name: self.type_name.clone(),
            kind: ColumnKind::of(&self.type_name, self.typtype.chars().next().unwrap_or('b')),
            labels: self.labels.clone(),
            generated: self.generated,
            not_null: self.not_null,
            default: self.default.clone(),
        }
    }
}
