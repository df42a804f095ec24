//! Deferred constraints, where something is written with the rights of a table's owner: the server refuses to
//! put anything off then, since at the commit nobody has these rights any more. Owns which constraints are
//! made immediate for such a write, and that they can be put off again afterwards.

use std::panic::AssertUnwindSafe;

use pgrx::{PgSqlErrorCode, Spi, pg_sys};
use serde::Deserialize;
use serde_json::json;

use crate::rights;
use crate::row::to_server;
use crate::spi::{self, Arg};
use crate::subtransaction::{self, Failure};

/// How far a write may go where it is not only the constraints of its tables that stand in the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Their constraints alone: the transaction is that of an app, whose others stay put off.
    Own,
    /// All of the transaction, as the last resort: triggers of the tables may write elsewhere.
    All,
}

/// Runs `work`, which writes with the rights of the owner of `root`, in a subtransaction. It is tried as things
/// are first. Where something would be put off, constraints of the tables that it writes (named as SQL names
/// them) are made immediate for the time of it: what the caller has put off in them comes due with the
/// caller's own rights. Afterwards they are put off as before, except that with [`Reach::All`] what SET
/// CONSTRAINTS said of other tables' is forgotten where all had to be made immediate.
pub fn attempt<T>(
    root: pg_sys::Oid,
    tables: &[&str],
    reach: Reach,
    mut work: impl FnMut() -> T,
) -> Result<T, Failure> {
    let mut outcome = subtransaction::attempt(AssertUnwindSafe(&mut work));
    if !is_refused(&outcome) {
        return outcome;
    }
    let constraints = deferrable(root, tables);
    // Those that are put off although they are declared otherwise were put off by SET CONSTRAINTS.
    for declared in [true, false] {
        let these: Vec<&Constraint> =
            constraints.iter().filter(|one| one.deferred || !declared).collect();
        if these.is_empty() || !declared && these.iter().all(|one| one.deferred) {
            continue;
        }
        outcome = subtransaction::attempt(AssertUnwindSafe(|| {
            set(these.iter().filter(|one| one.caller_may).map(|one| &*one.name), "IMMEDIATE");
            rights::as_owner_of(root, || {
                let others = these.iter().filter(|one| !one.caller_may && one.owner_may);
                set(others.map(|one| &*one.name), "IMMEDIATE");
            });
            let result = work();
            put_off(these.iter().map(|one| &*one.name));
            result
        }));
        if !is_refused(&outcome) {
            return outcome;
        }
    }
    if reach == Reach::All {
        outcome = subtransaction::attempt(AssertUnwindSafe(|| {
            all_at_once();
            let result = work();
            as_declared();
            result
        }));
    }
    outcome
}

/// The server refuses to put something off with this code, which it shares with other refusals.
fn is_refused<T>(outcome: &Result<T, Failure>) -> bool {
    let refused = PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE;
    outcome.as_ref().is_err_and(|failure| failure.code == refused)
}

/// A constraint that can be put off.
#[derive(Deserialize)]
struct Constraint {
    /// Its name, as SQL has it.
    name: String,
    /// Whether it is put off unless somebody says otherwise.
    deferred: bool,
    /// Whether the caller may name it.
    caller_may: bool,
    /// Whether the table's owner may.
    owner_may: bool,
}

/// Those of tables and their partitions, and those of others that refer to them.
fn deferrable(root: pg_sys::Oid, tables: &[&str]) -> Vec<Constraint> {
    // SAFETY: plain call.
    let caller = unsafe { pg_sys::GetUserId() };
    let owner = rights::owner_of(root);
    let found = rights::as_extension(|| {
        spi::json_now(
            "WITH named AS (
                 SELECT to_regclass(e)::oid AS oid FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e),
             written AS (
                 SELECT n.oid FROM named n UNION SELECT p.relid FROM named n, pg_partition_tree(n.oid) p)
             SELECT convert_to(coalesce(jsonb_agg(DISTINCT jsonb_build_object(
                        'name', format('%I.%I', n.nspname, c.conname), 'deferred', c.condeferred,
                        'caller_may', has_schema_privilege($2, n.oid, 'USAGE'),
                        'owner_may', has_schema_privilege($3, n.oid, 'USAGE'))), '[]')::text, 'UTF8')
               FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
              WHERE c.condeferrable
                AND (c.conrelid IN (SELECT w.oid FROM written w) OR c.confrelid IN (SELECT w.oid FROM written w))
                -- A name that a constraint of another kind has, too, cannot be set.
                AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.connamespace = c.connamespace AND x.conname = c.conname AND NOT x.condeferrable)",
            &[Arg::Text(&json!(tables).to_string()), Arg::Oid(caller), Arg::Oid(owner)],
        )
    });
    found.unwrap_or_default()
}

fn set<'a>(names: impl Iterator<Item = &'a str>, when: &str) {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return;
    }
    let statement = to_server(&format!("SET CONSTRAINTS {} {when}", names.join(", ")));
    Spi::connect_mut(|client| {
        if let Err(error) = client.update(statement.as_c_str(), None, &[]) {
            pgrx::error!("constraints could not be made {when}: {error}");
        }
    });
}

/// Whoever may not name them may put them off again: nothing runs by that.
fn put_off<'a>(names: impl Iterator<Item = &'a str>) {
    rights::as_extension(|| set(names, "DEFERRED"));
}

/// Makes all constraints of the transaction immediate: deferred triggers could not run at its end.
pub fn all_at_once() {
    Spi::connect_mut(|client| {
        if let Err(error) = client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[]) {
            pgrx::error!("constraints could not be made immediate: {error}");
        }
    });
}

/// After [`all_at_once`], in a transaction that is the caller's: its constraints are as their tables declare
/// them, so what may be put off can be put off again. What it has set itself is not known to anybody.
pub fn as_declared() {
    let names: Option<Vec<String>> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT format('%I.%I', n.nspname, c.conname)), '[]')::text, 'UTF8')
               FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
              WHERE c.condeferred AND NOT pg_is_other_temp_schema(n.oid)
                AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.connamespace = c.connamespace AND x.conname = c.conname AND NOT x.condeferrable)",
            &[],
        )
    });
    put_off(names.unwrap_or_default().iter().map(String::as_str));
}
