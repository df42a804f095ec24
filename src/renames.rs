//! The event triggers: a mapping names columns and other tables, and follows them when they are renamed;
//! a protection goes with its table. The protected table itself needs no following, since its triggers
//! say which it is. They run as the extension and do nothing for statements that concern no mapping.

use std::cell::Cell;
use std::ffi::{CStr, c_char};

use pgrx::{pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::mapping::{Article, Mapping, Status, Subscriber};

use crate::rights;
use crate::row;
use crate::rulebook;
use crate::spi::{self, Arg, quoted};
use crate::trigger::VERSION_1;

thread_local! {
    static PROTECTING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which drops and makes triggers of ours itself.
pub fn while_protecting<T>(work: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            PROTECTING.set(false);
        }
    }
    PROTECTING.set(true);
    let _reset = Reset;
    work()
}

/// The version-1 calling convention's record for `spamcheck_renamed`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_renamed() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_dropped`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_dropped() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// sql_drop: a table that is dropped takes its protection and its lookups with it.
///
/// # Safety
/// To be called by the server, as an event trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_dropped(
    _fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    if !PROTECTING.get() && installed() {
        rights::as_extension(|| {
            let ours = spi::text_now(
                "SELECT convert_to('yes', 'UTF8') FROM pg_event_trigger_dropped_objects() d
                  WHERE d.object_type = 'trigger' AND d.address_names[3] = 'zzzz_spamcheck_guard' LIMIT 1",
                &[],
            );
            if ours.is_some() {
                spi::write(
                    "WITH gone AS (
                         DELETE FROM spamcheck._protection p
                          WHERE NOT EXISTS (SELECT FROM spamcheck._protected_relation r WHERE r.id = p.id)
                         RETURNING p.id)
                     DELETE FROM spamcheck.lookup l USING gone g WHERE l._protection = g.id",
                    &[],
                );
            }
        });
    }
    pg_sys::Datum::null()
}

fn installed() -> bool {
    rights::own_relation(c"_protection") != pg_sys::Oid::INVALID
}

/// ddl_command_end of ALTER TABLE and ALTER SCHEMA.
///
/// # Safety
/// To be called by the server, as an event trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_renamed(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the context of an event trigger is an EventTriggerData; nodes are told by their tag.
    let change = unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            error!("spamcheck._renamed() is only for the event trigger of pg_spamcheck");
        }
        change_of((*context.cast::<pg_sys::EventTriggerData>()).parsetree)
    };
    if let Some(change) = change
        && installed()
    {
        rights::as_extension(|| follow(&change));
        rulebook::announce_change();
    }
    pg_sys::Datum::null()
}

/// What was renamed.
enum Change {
    /// A column: table, old name, new name.
    Column(pg_sys::Oid, String, String),
    /// A table: its new OID, and the part of its name that was another one before.
    Table { relation: pg_sys::Oid, old_name: Option<String> },
    /// A schema: old name, new name.
    Schema(String, String),
}

/// # Safety
/// `node` must be a parse tree or null.
unsafe fn change_of(node: *mut pg_sys::Node) -> Option<Change> {
    use pg_sys::ObjectType::{OBJECT_COLUMN, OBJECT_SCHEMA, OBJECT_TABLE};
    // SAFETY: the caller's promise; strings in parse trees are C strings.
    unsafe {
        if node.is_null() {
            return None;
        }
        match (*node).type_ {
            pg_sys::NodeTag::T_RenameStmt => {
                let statement = node.cast::<pg_sys::RenameStmt>();
                let new = text((*statement).newname);
                match (*statement).renameType {
                    OBJECT_COLUMN => {
                        let relation = find((*statement).relation, None)?;
                        Some(Change::Column(relation, text((*statement).subname), new))
                    }
                    OBJECT_TABLE => {
                        let old = text((*(*statement).relation).relname);
                        let relation = find((*statement).relation, Some((*statement).newname))?;
                        Some(Change::Table { relation, old_name: Some(old) })
                    }
                    OBJECT_SCHEMA => Some(Change::Schema(text((*statement).subname), new)),
                    _ => None,
                }
            }
            pg_sys::NodeTag::T_AlterObjectSchemaStmt => {
                let statement = node.cast::<pg_sys::AlterObjectSchemaStmt>();
                if (*statement).objectType != OBJECT_TABLE {
                    return None;
                }
                let mut moved = *(*statement).relation;
                moved.schemaname = (*statement).newschema;
                let relation = find(&mut moved, None)?;
                Some(Change::Table { relation, old_name: None })
            }
            _ => None,
        }
    }
}

/// # Safety
/// `name` must be a C string.
unsafe fn text(name: *const c_char) -> String {
    // SAFETY: the caller's promise.
    row::from_server(unsafe { CStr::from_ptr(name) }.to_bytes()).into_owned()
}

/// # Safety
/// `range` must be a RangeVar, `name` a C string or None.
unsafe fn find(range: *mut pg_sys::RangeVar, name: Option<*mut c_char>) -> Option<pg_sys::Oid> {
    // SAFETY: the caller's promise; a copy is looked up without a lock (the statement holds one).
    unsafe {
        let mut range = *range;
        if let Some(name) = name {
            range.relname = name;
        }
        let oid = pg_sys::RangeVarGetRelidExtended(
            &range,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        );
        (oid != pg_sys::Oid::INVALID).then_some(oid)
    }
}

/// One protection's mapping, read to be renamed in.
struct Mapped {
    columns: Mapping,
    status: Status,
    article: Option<Article>,
    subscriber: Option<Subscriber>,
}

impl Mapped {
    fn read(row: &Json) -> Option<Mapped> {
        let part = |name: &str| row.get(name).filter(|v| !v.is_null());
        Some(Mapped {
            columns: Mapping::from_json(&row["columns"]).ok()?,
            status: Status::from_json(&row["status"]).ok()?,
            article: part("article").and_then(|a| Article::from_json(a).ok()),
            subscriber: part("subscriber").and_then(|s| Subscriber::from_json(s).ok()),
        })
    }

    fn to_json(&self, id: &Json) -> Json {
        json!({
            "id": id,
            "columns": self.columns.to_json(),
            "status": self.status.to_json(),
            "article": self.article.as_ref().map(Article::to_json),
            "subscriber": self.subscriber.as_ref().map(Subscriber::to_json),
        })
    }

    fn rename_own_column(&mut self, old: &str, new: &str) {
        self.columns.rename_own_column(old, new);
        self.status.rename_column(old, new);
        self.article.iter_mut().for_each(|a| a.rename_own_column(old, new));
        self.subscriber.iter_mut().for_each(|s| s.rename_own_column(old, new));
    }

    fn rename_column(&mut self, table: &str, old: &str, new: &str) {
        self.columns.rename_column(table, old, new);
        self.article.iter_mut().for_each(|a| a.rename_column(table, old, new));
        self.subscriber.iter_mut().for_each(|s| s.rename_column(table, old, new));
    }

    fn rename_table(&mut self, old: &str, new: &str) {
        self.columns.rename_table(old, new);
        self.article.iter_mut().for_each(|a| a.rename_table(old, new));
        self.subscriber.iter_mut().for_each(|s| s.rename_table(old, new));
    }

    /// Other tables that it names.
    fn tables(&self) -> Vec<String> {
        let mut tables: Vec<String> = self.columns.tables().map(str::to_owned).collect();
        tables.extend(self.article.iter().map(|a| a.table.clone()));
        tables.extend(self.subscriber.iter().map(|s| s.table.clone()));
        tables
    }
}

fn follow(change: &Change) {
    let rows: Vec<Json> = spi::json_now(
        "SELECT convert_to(coalesce(jsonb_agg(to_jsonb(p) || jsonb_build_object('relation', r.relation::bigint)), '[]')::text, 'UTF8')
           FROM spamcheck._protection p LEFT JOIN spamcheck._protected_relation r ON r.id = p.id",
        &[],
    )
    .unwrap_or_default();
    for row in rows {
        let Some(mut mapped) = Mapped::read(&row) else { continue };
        let before = mapped.to_json(&row["id"]);
        match change {
            Change::Column(relation, old, new) => {
                if row["relation"].as_u64() == Some(u64::from(relation.to_u32())) {
                    mapped.rename_own_column(old, new);
                }
                if let Some(table) = display(*relation) {
                    mapped.rename_column(&table, old, new);
                }
            }
            Change::Table { relation, old_name } => {
                follow_table(&mut mapped, *relation, old_name.as_deref())
            }
            Change::Schema(old, new) => {
                let (old, new) = (format!("{}.", quoted(old)), format!("{}.", quoted(new)));
                for table in mapped.tables() {
                    if let Some(name) = table.strip_prefix(&old) {
                        mapped.rename_table(&table, &format!("{new}{name}"));
                    }
                }
            }
        }
        let after = mapped.to_json(&row["id"]);
        if after != before {
            write(&after);
        }
    }
}

/// A table that got another name has kept its schema; one that got another schema, its name.
fn follow_table(mapped: &mut Mapped, relation: pg_sys::Oid, old_name: Option<&str>) {
    let Some(new) = display(relation) else { return };
    let Some((schema, name)) = parts(relation) else { return };
    for table in mapped.tables() {
        let was_this = match old_name {
            Some(old) => table == format!("{schema}.{}", quoted(old)),
            None => table.ends_with(&format!(".{name}")) && !exists(&table),
        };
        if was_this {
            mapped.rename_table(&table, &new);
        }
    }
}

fn exists(table: &str) -> bool {
    spi::text_now(
        "SELECT convert_to('yes', 'UTF8') WHERE to_regclass(convert_from($1, 'UTF8')) IS NOT NULL",
        &[Arg::Text(table)],
    )
    .is_some()
}

fn display(relation: pg_sys::Oid) -> Option<String> {
    parts(relation).map(|(schema, name)| format!("{schema}.{name}"))
}

fn parts(relation: pg_sys::Oid) -> Option<(String, String)> {
    spi::json_now(
        "SELECT convert_to(json_build_array(quote_ident(n.nspname), quote_ident(c.relname))::text, 'UTF8')
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[Arg::Oid(relation)],
    )
}

fn write(row: &Json) {
    spi::write(
        "UPDATE spamcheck._protection p
            SET columns = r.columns, status = r.status, article = nullif(r.article, 'null'),
                subscriber = nullif(r.subscriber, 'null')
           FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
             AS r(id integer, columns jsonb, status jsonb, article jsonb, subscriber jsonb)
          WHERE p.id = r.id",
        &[Arg::Text(&row.to_string())],
    );
}
