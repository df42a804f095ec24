//! CALL spamcheck.remember(): the traces of rows that were in a protected table before a check began to
//! ask for them. Goes through the table by its key in batches that commit, and keeps where it is, so
//! that a cancelled call goes on. Which traces a row leaves is asked of the checks themselves.

use std::cell::RefCell;

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::surroundings::{Earlier, Surroundings, Trace, TraceKind};
use spamcheck_engine::{Field, Refusal};

use super::{hash, stored};
use crate::protection::Protection;
use crate::row::Row;
use crate::rulebook::{self, Unusable};
use crate::spi::{self, Arg, quoted};
use crate::submission::wall_clock;
use crate::trigger::VERSION_1;
use crate::{calls, key, protect, report, rights};

/// How many rows go into one transaction.
const BATCH: usize = 5_000;

/// The version-1 calling convention's record for `spamcheck_remember`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_remember() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// `CALL spamcheck.remember(relation regclass)`.
///
/// # Safety
/// To be called by the server, as a procedure with one argument of type regclass.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_remember(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the procedure is declared with one argument; the context of a CALL is a CallContext.
    let (relation, atomic) = unsafe {
        let argument = (*fcinfo).args.as_slice(1)[0];
        let context = (*fcinfo).context;
        let is_call = !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_CallContext;
        let atomic = !is_call || (*context.cast::<pg_sys::CallContext>()).atomic;
        ((!argument.isnull).then(|| pg_sys::Oid::from(argument.value.value() as u32)), atomic)
    };
    let Some(relation) = relation else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Refusal::new("argument \"relation\" must not be NULL")
                .with_hint("CALL spamcheck.remember('a_table')."),
        )
    };
    if atomic {
        report::refuse(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            Refusal::new("spamcheck.remember() cannot run inside a transaction block")
                .with_detail("It commits after each batch of rows.")
                .with_hint("CALL it by itself, outside of BEGIN … COMMIT and of functions."),
        );
    }
    let (id, table) = protect::protection_of(relation, "remember the rows of");
    // SAFETY: connect and finish pair up; an error ends the connection with the transaction.
    unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
    let mut progress = Progress::default();
    while progress.batch(id, relation, &table) {
        // SAFETY: not in a subtransaction, and no snapshot, relation or memory of the transaction is held.
        unsafe {
            pg_sys::SPI_commit();
            pg_sys::SPI_start_transaction();
        }
    }
    // SAFETY: pairs with the connect above.
    unsafe { pg_sys::SPI_finish() };
    report::notice(&format!(
        "{} rows of table {table} were read, and {} traces of them were new",
        progress.read, progress.added
    ));
    pg_sys::Datum::null()
}

/// How far a call has come.
#[derive(Default)]
struct Progress {
    read: u64,
    added: u64,
}

/// What is to be added for one row and trace.
struct New {
    hash: i64,
    at: Option<i64>,
    key: String,
}

/// Where the call stopped that was made last.
#[derive(Deserialize)]
struct Reached {
    kinds: i64,
    reached: String,
}

impl Progress {
    /// One transaction's work; whether there is more to do.
    fn batch(&mut self, id: i32, relation: pg_sys::Oid, table: &str) -> bool {
        // SAFETY: opened and closed here; the lock is given back at the end of the transaction.
        let (protection, columns) = unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let open = pg_sys::table_open(relation, lock);
            let protection = rulebook::protection(id, open);
            let columns = protection.map(|p| (stored::select_list(&p, (*open).rd_att), p));
            pg_sys::table_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
            match columns {
                Ok((columns, protection)) => (protection, columns),
                Err(Unusable::Unknown) => gone(format!("table {table} is no longer protected")),
                Err(Unusable::Broken(why)) => gone(why),
            }
        };
        let kinds = needed(&protection, table);
        let reached: Option<Reached> = rights::as_extension(|| {
            spi::json_now(
                "SELECT convert_to(json_build_object('kinds', r.kinds, 'reached', convert_from(r.reached, 'UTF8'))::text, 'UTF8')
                   FROM spamcheck._remembering r WHERE r.protection = $1",
                &[Arg::Int(id)],
            )
        });
        // What another set of checks had remembered says nothing about this one's.
        let reached = reached.filter(|r| r.kinds & kinds == kinds).map(|r| r.reached);
        let (rows, last, new) = read(&protection, &columns, reached.as_deref());
        self.read += rows as u64;
        self.added += write(id, &new);
        if rows > 0 {
            // The worker may have to forget some of it one day.
            calls::remembered();
        }
        rights::as_extension(|| match last.filter(|_| rows == BATCH) {
            Some(last) => {
                spi::write(
                    "INSERT INTO spamcheck._remembering AS r (protection, kinds, reached) VALUES ($1, $2, $3)
                     ON CONFLICT (protection) DO UPDATE SET kinds = excluded.kinds, reached = excluded.reached",
                    &[Arg::Int(id), Arg::Int(kinds as i32), Arg::Text(&last)],
                );
                true
            }
            None => {
                spi::write(
                    "DELETE FROM spamcheck._remembering r WHERE r.protection = $1",
                    &[Arg::Int(id)],
                );
                false
            }
        })
    }
}

/// The protection went while the rows were read.
fn gone(why: String) -> ! {
    report::refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Refusal::new(why).with_hint("See spamcheck.protected_table."),
    )
}

const fn bit(kind: TraceKind) -> i64 {
    match kind {
        TraceKind::Body => 1,
        TraceKind::Ip => 2,
        TraceKind::Author => 4,
        TraceKind::BodyOfAuthor => 8,
        TraceKind::BodyOfIp => 16,
        TraceKind::BodyOfArticle => 32,
    }
}

/// The kinds of traces that enabled checks ask for, as bits.
fn needed(protection: &Protection, table: &str) -> i64 {
    let memories = protection.policy.checks().flat_map(|check| check.remembers());
    let kinds = memories.fold(0, |kinds, memory| kinds | bit(memory.kind));
    if kinds == 0 {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!(
                "no enabled check of policy \"{}\" asks for earlier rows of table {table}",
                protection.policy.settings.name
            ))
            .with_hint(
                "Enable check duplicate or ip_interval in spamcheck.check_setting first, or bypass with approved_before.",
            ),
        );
    }
    if protection.key.is_empty() {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("table {table} has no primary key to remember its rows by"))
                .with_hint("Add a primary key, or a UNIQUE index of NOT NULL columns; until then rows are remembered as they come."),
        );
    }
    if stored::may_hide(protection.root) {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!(
                "row-level security may hide rows of table {table} from its owner, so they cannot all be remembered"
            ))
            .with_hint("ALTER TABLE … NO FORCE ROW LEVEL SECURITY for as long as the call takes."),
        );
    }
    kinds
}

/// Reads the rows after a key: how many there were, the key of the last, and what is new about them.
fn read(
    protection: &Protection,
    columns: &str,
    after: Option<&str>,
) -> (usize, Option<String>, Vec<New>) {
    let parts = after.and_then(|after| key::parts(protection, after)).unwrap_or_default();
    let order: Vec<String> =
        protection.key.iter().map(|k| format!("t.{}", quoted(&k.name))).collect();
    let condition = if parts.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", beyond(protection, &order))
    };
    let query = format!(
        "SELECT {columns} FROM {} t {condition} ORDER BY {} LIMIT {BATCH}",
        stored::from(protection),
        order.join(", ")
    );
    let args = spi::values(&parts);
    let (mut rows, mut last, mut new) = (0, None, Vec::new());
    let now = wall_clock();
    rights::as_reader_of(protection.root, || {
        spi::repeatedly(&query, |run| {
            run(&args, &mut |found| {
                // SAFETY: the tuple is of that type, whose columns are numbered as the table's are.
                let row = unsafe { Row::of_tuple(found.tuple, found.tupdesc) };
                let key = key::compact(protection, row);
                new.extend(wanted(protection, row, now, &key));
                rows += 1;
                last = Some(key);
            });
        });
    });
    (rows, last, new)
}

/// The condition that a row's key comes after another one.
fn beyond(protection: &Protection, order: &[String]) -> String {
    let value = |n: usize| {
        let type_name = &protection.key[n].type_name;
        format!("${}::{type_name}", n + 1)
    };
    // The equality operator's sisters, of the same operator class.
    let sister = |n: usize, name: &str| {
        let equal = &protection.key[n].operator;
        equal
            .strip_suffix(".=)")
            .map_or_else(|| equal.clone(), |schema| format!("{schema}.{name})"))
    };
    let count = order.len();
    let alike = (1..count).all(|n| protection.key[n].operator == protection.key[0].operator);
    if alike {
        let values: Vec<String> = (0..count).map(value).collect();
        return format!("({}) {} ({})", order.join(", "), sister(0, ">"), values.join(", "));
    }
    let mut condition =
        format!("{} {} {}", order[count - 1], sister(count - 1, ">"), value(count - 1));
    for n in (0..count - 1).rev() {
        let (column, value) = (&order[n], value(n));
        condition = format!(
            "({column} {} {value} OR {column} {} {value} AND ({condition}))",
            sister(n, ">"),
            protection.key[n].operator
        );
    }
    condition
}

/// The traces of one row, as their hashes.
pub fn traces(protection: &Protection, row: Row<'_>, now: i64) -> impl Iterator<Item = i64> {
    asked(protection, row, now).0.into_iter().map(|(hash, _)| hash)
}

/// The traces of one row that enabled checks would ask for.
fn wanted(protection: &Protection, row: Row<'_>, now: i64, key: &str) -> Vec<New> {
    let (asked, at) = asked(protection, row, now);
    // Too long ago to matter; and of what came nobody knows when, it is not known that it matters.
    let matters = |since: &Option<i64>| since.is_none_or(|since| at.is_some_and(|at| at > since));
    asked
        .into_iter()
        .filter(|(_, since)| matters(since))
        .map(|(hash, _)| New { hash, at, key: key.to_owned() })
        .collect()
}

/// What enabled checks ask about a row: hashes of traces and since when; and when it was created.
fn asked(
    protection: &Protection,
    row: Row<'_>,
    now: i64,
) -> (Vec<(i64, Option<i64>)>, Option<i64>) {
    let asked = Asked(RefCell::new(Vec::new()));
    let at = stored::with_facts(protection, row, now, &asked, |facts| {
        protection.policy.leave_traces(facts);
        // A row that says it comes from the future came by now.
        facts.time(Field::CreatedAt).map(|at| at.min(now))
    });
    (asked.0.into_inner(), at)
}

/// Stands in for what surrounds a row: takes note of what checks ask for, and has no answers.
struct Asked(RefCell<Vec<(i64, Option<i64>)>>);

impl Surroundings for Asked {
    fn earlier(
        &self,
        trace: Trace<'_>,
        _wanted: u32,
        _counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        self.0.borrow_mut().push((hash(trace.kind, trace.value), trace.since));
        Ok(0)
    }
}

/// Writes traces; how many of them were not there. A row's number in a chain follows from its key, so
/// that it is the same whenever it is added; if another row has it, the next that follows is taken.
fn write(protection: i32, new: &[New]) -> u64 {
    let mut added = 0;
    let mut left: Vec<usize> = (0..new.len()).collect();
    for attempt in 0..8_u64 {
        if left.is_empty() {
            break;
        }
        let rows = left.iter().map(|i| {
            let new = &new[*i];
            let number = xxhash_rust::xxh3::xxh3_64_with_seed(new.key.as_bytes(), attempt);
            let n = -2 - (number & 0x3FFF_FFFF).cast_signed();
            json!({"i": i, "hash": new.hash, "at": new.at, "n": n, "key": new.key})
        });
        let rows = rows.collect::<Json>().to_string();
        let args = [Arg::Text(&rows), Arg::Int(protection)];
        left = rights::as_extension_by_index(|| {
            added += spi::write_returning(ADD, &args).len() as u64;
            spi::json_now(LEFT, &args).unwrap_or_default()
        });
    }
    added
}

/// What is to be added. Rows that came by the trigger lately are known by their own member of the chain.
macro_rules! given {
    () => {
        "json_to_recordset(convert_from($1, 'UTF8')::json) AS g(i integer, hash bigint, at bigint, n integer, key text)
          WHERE NOT EXISTS (SELECT FROM (SELECT o.key FROM spamcheck._seen o
                                          WHERE o.hash = g.hash AND o.protection = $2 AND o.n >= 0
                                          ORDER BY o.n DESC LIMIT 20) o WHERE o.key = convert_to(g.key, 'UTF8'))"
    };
}

const ADD: &str = concat!(
    "INSERT INTO spamcheck._seen AS s (hash, at, protection, n, key)
     SELECT g.hash, CASE WHEN g.at IS NULL THEN '-infinity' ELSE timestamptz 'epoch' + g.at * interval '1 microsecond' END,
            $2, g.n, convert_to(g.key, 'UTF8') FROM ",
    given!(),
    " ON CONFLICT DO NOTHING RETURNING convert_to('added', 'UTF8')"
);

/// Those whose number another row has.
const LEFT: &str = concat!(
    "SELECT convert_to(coalesce(json_agg(l.i), '[]')::text, 'UTF8')
       FROM (SELECT g.i, (SELECT s.key FROM spamcheck._seen s
                           WHERE s.hash = g.hash AND s.protection = $2 AND s.n = g.n) AS there, g.key FROM ",
    given!(),
    ") l WHERE l.there IS DISTINCT FROM convert_to(l.key, 'UTF8')"
);
