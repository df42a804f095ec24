//! The event triggers: a mapping names columns and other tables, and follows them when they are renamed;
//! a protection goes with its table. The protected table itself needs no following, since its triggers
//! say which it is.
//!
//! There are many ways to rename (a parent's column, an attribute of a type, ALTER INDEX on a table, …),
//! so statements are not read. Beside the names, `_protection.hints` keeps the numbers that the catalogs
//! had for them; after any statement that might rename, a number that has another name tells. A dump
//! carries the hints to where the numbers mean nothing: hints count only for the table that they were
//! made for, and are made anew, without a look at what they said, when a trigger is made, as protect()
//! and a restore do.

mod mapped;
pub mod missing;

use std::cell::Cell;
use std::collections::BTreeMap;

use pgrx::{pg_sys, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use spamcheck_engine::mapping::{Article, Status, Subscriber};

use crate::access;
use crate::attaching;
use crate::calls;
use crate::checked;
use crate::lookups;
use crate::mail;
use crate::moderation::findings;
use crate::protection;
use crate::report;
use crate::restore;
use crate::rights;
use crate::rulebook;
use crate::spi::{self, Arg};
use crate::trigger::VERSION_1;
use mapped::Mapped;

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
            missing::warn_of_dropped();
            let ours = spi::text_now(
                "SELECT convert_to('yes', 'UTF8') FROM pg_event_trigger_dropped_objects() d
                  WHERE d.object_type = 'trigger' AND d.address_names[3] IN ('zzzz_spamcheck_guard', 'zzzz_spamcheck_record') LIMIT 1",
                &[],
            );
            if ours.is_some() {
                warn_of_triggers();
                // Only of tables that this statement dropped: in the middle of a restore, protections
                // wait for tables whose triggers come last.
                spi::write(
                    "WITH dropped AS (
                         SELECT d.objid::bigint AS relation FROM pg_event_trigger_dropped_objects() d
                          WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0
                         UNION ALL
                         SELECT to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid::bigint
                           FROM pg_event_trigger_dropped_objects() d WHERE d.object_type = 'trigger'),
                     gone AS (
                         DELETE FROM spamcheck._protection p
                          WHERE (p.hints ->> 'relation')::bigint IN (SELECT d.relation FROM dropped d)
                            AND NOT EXISTS (SELECT FROM spamcheck._protected_relation r WHERE r.id = p.id)
                            -- Who drops one of the two triggers of a table that stays may make it again.
                            AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = 'spamcheck._record()'::regprocedure
                                             AND t.tgrelid::bigint = (p.hints ->> 'relation')::bigint)
                         RETURNING p.id),
                     seen AS (DELETE FROM spamcheck._seen s USING gone g WHERE s.protection = g.id),
                     remembering AS (DELETE FROM spamcheck._remembering r USING gone g WHERE r.protection = g.id),
                     unneeded AS (DELETE FROM spamcheck._unneeded u USING gone g WHERE u.protection = g.id)
                     DELETE FROM spamcheck.lookup l USING gone g WHERE l._protection = g.id",
                    &[],
                );
                access::let_partitions_be_made();
            }
        });
    }
    pg_sys::Datum::null()
}

/// ddl_command_end of statements that may rename, and of CREATE TRIGGER.
///
/// # Safety
/// To be called by the server, as an event trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_renamed(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the context of an event trigger is an EventTriggerData.
    let statement = unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            error!("spamcheck._renamed() is only for the event trigger of pg_spamcheck");
        }
        (*context.cast::<pg_sys::EventTriggerData>()).parsetree
    };
    if !PROTECTING.get() && installed() {
        // SAFETY: the statement's own parse tree.
        let (may_rename, restoring) = unsafe {
            (
                restore::watch(statement),
                !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_CreateTrigStmt,
            )
        };
        // SAFETY: as above.
        if unsafe { changes_labels(statement) } {
            rulebook::announce_change();
        }
        // In a restore, lookups wait for their table's triggers, which may come before our own tables do.
        // SAFETY: as above.
        if unsafe { makes_guard(statement) } {
            calls::call_worker_at_commit();
        }
        if may_rename {
            // SAFETY: the statement's own parse tree.
            unsafe { attaching::warn_of_detached(statement) };
            follow(!restoring);
            rights::as_extension(access::let_partitions_be_made);
        }
    }
    pg_sys::Datum::null()
}

/// Whether an enum has other labels now: sessions hold status values as texts that it may no longer take.
///
/// # Safety
/// `statement` must be a parse tree or null.
unsafe fn changes_labels(statement: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise; nodes are told by their tag.
    unsafe { !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_AlterEnumStmt }
}

/// Whether a table gets the trigger that says that it is protected, without protect().
///
/// # Safety
/// `statement` must be a parse tree or null.
unsafe fn makes_guard(statement: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise; nodes are told by their tag, and a trigger's function has a name.
    unsafe {
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_CreateTrigStmt {
            return false;
        }
        let name = pg_sys::NameListToString((*statement.cast::<pg_sys::CreateTrigStmt>()).funcname);
        std::ffi::CStr::from_ptr(name).to_bytes().ends_with(b"_guard")
    }
}

/// Somebody drops our triggers of tables that stay: their rows go in unjudged from now on.
fn warn_of_triggers() {
    let tables: Option<String> = spi::json_now(
        "SELECT convert_to(coalesce(to_json(string_agg(DISTINCT format('%I.%I', d.address_names[1], d.address_names[2]), ', ')), 'null')::text, 'UTF8')
           FROM pg_event_trigger_dropped_objects() d
          WHERE d.object_type = 'trigger' AND d.original
            AND d.address_names[3] IN ('zzzz_spamcheck_guard', 'zzzz_spamcheck_record')
            AND to_regclass(format('%I.%I', d.address_names[1], d.address_names[2])) IS NOT NULL",
        &[],
    )
    .flatten();
    if let Some(tables) = tables {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("rows of {tables} go in unjudged: a trigger of pg_spamcheck was dropped"),
            "Its mapping and its lookups are kept until both triggers are gone.".into(),
            "Call spamcheck.protect() for the table again, or spamcheck.unprotect().",
        );
    }
}

fn installed() -> bool {
    rights::own_relation(c"_protection") != pg_sys::Oid::INVALID
}

/// Where the names of a mapping stood when they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hints {
    /// The protected table that the numbers are for.
    relation: u32,
    /// Its name, as the log has it.
    #[serde(default)]
    name: String,
    /// Its columns by name, with their numbers.
    columns: BTreeMap<String, i16>,
    /// Other tables by name as it stands in SQL.
    tables: BTreeMap<String, OtherTable>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OtherTable {
    relation: u32,
    columns: BTreeMap<String, i16>,
}

/// Follows what was renamed since the hints were made, if they can be trusted, and makes them anew. When
/// a trigger is made they may come from a dump.
pub fn follow(trusted: bool) {
    rights::as_extension(|| {
        if read_all().iter().all(|row| Renewed::of(row, trusted).is_none()) {
            return;
        }
        protection::one_at_a_time();
        for renewed in read_all().iter().filter_map(|row| Renewed::of(row, trusted)) {
            renewed.write();
        }
        rulebook::announce_change();
    });
}

fn read_all() -> Vec<Json> {
    spi::json_now(
        "SELECT convert_to(coalesce(jsonb_agg(to_jsonb(p) || jsonb_build_object('relation', r.relation::bigint)), '[]')::text, 'UTF8')
           FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id",
        &[],
    )
    .unwrap_or_default()
}

/// A mapping whose names or numbers are not what they were.
struct Renewed {
    id: i32,
    mapped: Mapped,
    hints: Hints,
    /// Own columns: old name and new.
    columns: Vec<(String, String)>,
    /// Own columns that are gone; others may have their names by now.
    gone: Vec<String>,
    /// The name that the table had.
    was: Option<String>,
}

impl Renewed {
    /// None: all is as it was.
    fn of(row: &Json, trusted: bool) -> Option<Renewed> {
        let mut mapped = Mapped::read(row)?;
        let relation = row["relation"].as_u64().unwrap_or_default() as u32;
        let known: Hints = serde_json::from_value(row["hints"].clone()).unwrap_or_default();
        let followed = trusted && known.relation == relation;
        let columns = if followed { rename(&mut mapped, &known) } else { Vec::new() };
        let name = display(relation).unwrap_or_default();
        let renamed = followed && !known.name.is_empty() && known.name != name;
        let was = renamed.then(|| known.name.clone());
        let tables = mapped.tables();
        let now = columns_of(relation);
        let left = |number: &i16| now.values().any(|n| n == number);
        let gone = known.columns.iter().filter(|(_, number)| followed && !left(number));
        let gone = gone.map(|(name, _)| name.clone()).collect();
        let hints = Hints {
            relation,
            name,
            columns: now,
            tables: tables.iter().filter_map(|t| Some((t.clone(), other_table(t)?))).collect(),
        };
        let id = row["id"].as_i64().unwrap_or_default() as i32;
        (hints != known).then_some(Renewed { id, mapped, hints, columns, gone, was })
    }

    fn write(&self) {
        for name in &self.gone {
            lookups::drop_column(self.id, name);
            checked::drop_column(self.id, name);
            findings::drop_column(self.id, name);
        }
        for (old, new) in &self.columns {
            lookups::rename_column(self.id, old, new);
            checked::rename_column(self.id, old, new);
            findings::rename_column(self.id, old, new);
        }
        if let Some(was) = &self.was {
            rename_former(was, &self.hints.name);
            mail::rename_table(was, &self.hints.name);
        }
        write(self.id, &self.mapped, &self.hints);
    }
}

/// Follows the renames since the hints were made; gives those of own columns, old name and new.
fn rename(mapped: &mut Mapped, known: &Hints) -> Vec<(String, String)> {
    let own = renamed(&known.columns, &columns_of(known.relation));
    for (old, new) in &own {
        mapped.rename_own_column(old, new);
    }
    for (table, other) in &known.tables {
        let Some(name) = display(other.relation) else { continue };
        if name != *table {
            mapped.rename_table(table, &name);
        }
        for (old, new) in renamed(&other.columns, &columns_of(other.relation)) {
            mapped.rename_column(&name, &old, &new);
        }
    }
    own
}

/// What was made under protections of the table that are gone is found by its name alone, which has to follow.
fn rename_former(was: &str, is: &str) {
    for table in ["spam_checklog", "subscription_history"] {
        spi::write(
            &format!(
                "UPDATE spamcheck.{table} t SET relation = convert_from($2, 'UTF8')
                  WHERE t.relation = convert_from($1, 'UTF8')
                    AND NOT EXISTS (SELECT FROM spamcheck._protection p WHERE p.id = t._protection)"
            ),
            &[Arg::Text(was), Arg::Text(is)],
        );
    }
}

/// Numbers that have another name now: old name and new.
fn renamed(before: &BTreeMap<String, i16>, now: &BTreeMap<String, i16>) -> Vec<(String, String)> {
    let changed = before.iter().filter_map(|(old, number)| {
        let (new, _) = now.iter().find(|(_, n)| *n == number)?;
        (new != old).then(|| (old.clone(), new.clone()))
    });
    changed.collect()
}

fn columns_of(relation: u32) -> BTreeMap<String, i16> {
    spi::json_now(
        "SELECT convert_to(coalesce(jsonb_object_agg(a.attname, a.attnum), '{}')::text, 'UTF8')
           FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
        &[Arg::Oid(relation.into())],
    )
    .unwrap_or_default()
}

fn other_table(name: &str) -> Option<OtherTable> {
    let relation = spi::json_now::<u32>(
        "SELECT convert_to(to_regclass(convert_from($1, 'UTF8'))::oid::text, 'UTF8')",
        &[Arg::Text(name)],
    )?;
    Some(OtherTable { relation, columns: columns_of(relation) })
}

fn display(relation: u32) -> Option<String> {
    spi::text_now(
        "SELECT convert_to(quote_ident(n.nspname) || '.' || quote_ident(c.relname), 'UTF8')
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[Arg::Oid(relation.into())],
    )
}

fn write(id: i32, mapped: &Mapped, hints: &Hints) {
    let row = json!({
        "id": id,
        "columns": mapped.columns.to_json(),
        "status": mapped.status.to_json(),
        "former_status": mapped.former_status.iter().map(Status::to_json).collect::<Vec<_>>(),
        "article": mapped.article.as_ref().map(Article::to_json),
        "subscriber": mapped.subscriber.as_ref().map(Subscriber::to_json),
        "hints": hints,
    });
    spi::write(
        "UPDATE spamcheck._protection p
            SET columns = r.columns, status = r.status, former_status = nullif(r.former_status, '[]'), article = nullif(r.article, 'null'),
                subscriber = nullif(r.subscriber, 'null'), hints = r.hints
           FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
             AS r(id integer, columns jsonb, status jsonb, former_status jsonb, article jsonb, subscriber jsonb, hints jsonb)
          WHERE p.id = r.id",
        &[Arg::Text(&row.to_string())],
    );
}
