//! Restoring a dump over a fresh installation. CREATE EXTENSION ships a first policy and empty lists; a
//! dump brings its own. Shipped rows that nobody changed give way, told by their xmin, which is that of
//! the extension's own row. Owns nothing else: dumping itself is pg_extension_config_dump's.

use pgrx::{PgList, pg_sys};
use serde_json::Value as Json;

use crate::calls;
use crate::lookups;
use crate::references;
use crate::rights;
use crate::rulebook;
use crate::settings;
use crate::spi::{self, Arg};

const SHIPPED: &str =
    "t.xmin = (SELECT e.xmin FROM pg_extension e WHERE e.extname = 'pg_spamcheck')";
/// A setting that nobody has touched since its policy was made, as nobody has touched the policy: what a
/// script that makes both itself then writes counts.
const AS_MADE: &str =
    "EXISTS (SELECT FROM spamcheck.policy p WHERE p.name = t.policy AND p.xmin = t.xmin)";
/// The tables whose triggers sql/triggers.sql makes.
const TABLES: [&str; 8] = [
    "check_setting",
    "policy",
    "_dropped_policy",
    "list_entry",
    "list",
    "_protection",
    "lookup",
    "_mail",
];

/// Whether this session restores a dump. pg_dump and pg_restore set these together, and nobody else
/// does: in a parallel restore, rows come before what they refer to.
pub fn running() -> bool {
    [c"row_security", c"check_function_bodies"]
        .into_iter()
        .all(|name| settings::by_name(name).as_deref() == Some("off"))
}

/// Without the checks, so that nothing that hangs on the shipped rows goes along.
fn delete_shipped(table: &str, condition: &str, args: &[Arg<'_>]) {
    delete(table, &format!("{condition} AND {SHIPPED}"), args);
}

fn delete(table: &str, condition: &str, args: &[Arg<'_>]) {
    references::without_checks(|| {
        spi::write(&format!("DELETE FROM spamcheck.{table} t WHERE {condition}"), args)
    });
}

/// A row is inserted: the shipped one of the same key gives way.
pub fn give_way(table: &str, row: &Json) {
    let text = |column: &str| row[column].as_str().unwrap_or_default();
    match table {
        "policy" | "list" => {
            delete_shipped(table, "t.name = convert_from($1, 'UTF8')", &[Arg::Text(text("name"))])
        }
        "check_setting" => delete(
            table,
            &format!(
                "t.policy = convert_from($1, 'UTF8') AND t.check_name = convert_from($2, 'UTF8')
                 AND ({SHIPPED} OR {AS_MADE})"
            ),
            &[Arg::Text(text("policy")), Arg::Text(text("check_name"))],
        ),
        // Lists are shipped empty.
        _ => {}
    }
}

/// Looks at a statement that ended: `pg_restore --disable-triggers` switches our triggers off and on
/// again, so the shipped rows give way all at once, and afterwards the triggers are as they were made.
/// Whether mappings may have to follow the statement: not one that only switches triggers, since the jobs
/// of a parallel restore have tables locked with it, and who follows waits for others who do.
///
/// # Safety
/// `statement` must be a parse tree or null.
pub unsafe fn watch(statement: *mut pg_sys::Node) -> bool {
    use pg_sys::AlterTableType::{
        AT_DisableTrigAll as DISABLE_ALL, AT_EnableTrigAll as ENABLE_ALL,
    };
    // SAFETY: the caller's promise; nodes are told by their tag.
    unsafe {
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_AlterTableStmt {
            return true;
        }
        let statement = statement.cast::<pg_sys::AlterTableStmt>();
        let found = relation((*statement).relation);
        let Some(table) = TABLES.into_iter().find(|table| is_own(table, found)) else {
            return !only_switches_triggers(statement);
        };
        for command in PgList::<pg_sys::AlterTableCmd>::from_pg((*statement).cmds).iter_ptr() {
            match (*command).subtype {
                // Whoever else switches them off wants to patch a row, and uses the others.
                DISABLE_ALL if running() => delete_shipped(table, "true", &[]),
                ENABLE_ALL => {
                    enable_always(table);
                    if table == "lookup" {
                        lookups::nobody_has_them();
                        calls::call_worker_at_commit();
                    }
                }
                _ => {}
            }
        }
        // Mappings that a restore brought have yet to be looked at.
        table == "_protection" || !only_switches_triggers(statement)
    }
}

/// # Safety
/// `statement` must be whole.
unsafe fn only_switches_triggers(statement: *mut pg_sys::AlterTableStmt) -> bool {
    use pg_sys::AlterTableType::{AT_DisableTrigUser, AT_EnableTrig};
    // SAFETY: the caller's promise.
    let commands = unsafe { PgList::<pg_sys::AlterTableCmd>::from_pg((*statement).cmds) };
    // Of all kinds of command, those that switch triggers stand together.
    let switches = AT_EnableTrig..=AT_DisableTrigUser;
    // SAFETY: as above.
    commands.iter_ptr().all(|command| switches.contains(unsafe { &(*command).subtype }))
}

/// # Safety
/// `range` must be a RangeVar.
unsafe fn relation(range: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    // SAFETY: the caller's promise; looked up without a lock, the statement holds one.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            range,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

fn is_own(table: &str, found: pg_sys::Oid) -> bool {
    let name = std::ffi::CString::new(table).unwrap_or_default();
    found != pg_sys::InvalidOid && rights::own_relation(&name) == found
}

fn enable_always(table: &str) {
    rights::as_extension(|| {
        let triggers: Vec<String> = spi::json_now(
            "SELECT convert_to(coalesce(json_agg(t.tgname), '[]')::text, 'UTF8') FROM pg_trigger t
              WHERE t.tgrelid = to_regclass('spamcheck.' || convert_from($1, 'UTF8'))
                AND t.tgname IN ('valid', 'changed', 'emptied', 'queued') AND t.tgenabled = 'O'",
            &[Arg::Text(table)],
        )
        .unwrap_or_default();
        for trigger in triggers {
            spi::write(
                &format!("ALTER TABLE spamcheck.{table} ENABLE ALWAYS TRIGGER {trigger}"),
                &[],
            );
        }
    });
    rulebook::announce_change();
}
