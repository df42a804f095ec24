//! What a backend knows of policies, lists and protected tables: read from the extension's tables on
//! first use, compiled once, and thrown away when an invalidation says that something changed. Owns
//! the caches and the reading; what the rules mean is the engine's.

mod tables;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use pgrx::{PgRelation, PgSqlErrorCode, pg_sys};
use spamcheck_engine::Refusal;
use spamcheck_engine::lists::{List, ListKind};
use spamcheck_engine::policy::{Backing, CheckSetting, Mode, Policy, PolicySettings};

use crate::nesting;
use crate::packed;
use crate::protection::{Described, Protection};
use crate::report;
use crate::rights;
use crate::spi::{self, Arg};
use crate::subtransaction;
pub use tables::{Table, describe, ids, read_anew, stored, table};

#[derive(Default)]
struct Rulebook {
    policies: HashMap<String, Rc<Policy>>,
    lists: HashMap<String, Rc<List>>,
    list_kinds: HashMap<String, ListKind>,
    protections: HashMap<(i32, pg_sys::Oid), Rc<Protection>>,
    /// When the first list entry expires, in microseconds as the server counts.
    fresh_until: i64,
}

/// How often rules are read that change meanwhile. Flags set by invalidations that come in during the last time are
/// kept for the next call.
const TRIES: u32 = 3;

/// A statement and a protection in it: the protection, the run, the statement's start.
type Statement = (i32, u64, i64);

thread_local! {
    static RULEBOOK: RefCell<Rulebook> = RefCell::new(Rulebook::default());
    static STALE: Cell<bool> = const { Cell::new(true) };
    static SENTINEL: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::Oid::INVALID) };
    static WATCHED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// The policy by which the statement at hand judges.
    static IN_FORCE: RefCell<Option<(Statement, Rc<Policy>)>> = const { RefCell::new(None) };
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static STALE_RELATIONS: Cell<bool> = const { Cell::new(false) };
}

/// Why a protection cannot be used.
pub enum Unusable {
    /// There is no such protection: its row in `_protection` is gone.
    Unknown,
    /// Something is wrong with what is stored; a sentence.
    Broken(String),
}

/// Registers the invalidation callback of this backend.
///
/// # Safety
/// Once in a backend's life.
pub unsafe fn register_invalidation() {
    // SAFETY: the callback is a function of this library, which is never unloaded.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null());
        tables::register_invalidation();
    }
}

/// Only flags are set here: the callback runs in the middle of anything.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    tables::read_anew();
    if relation == pg_sys::Oid::INVALID || relation == SENTINEL.get() {
        STALE.set(true);
        CHANGES.set(CHANGES.get().wrapping_add(1));
    } else if WATCHED
        .try_with(|w| w.try_borrow().map_or(true, |w| w.contains(&relation)))
        .unwrap_or(true)
    {
        STALE_RELATIONS.set(true);
    }
}

/// Makes this process hear of changes from now on, if it does not yet; in a transaction.
pub fn listen() {
    crate::calls::register();
    drop_stale();
}

/// A number that is another one once this process has heard that settings or lists changed.
pub fn changes() -> u64 {
    CHANGES.get()
}

/// Tells every session, from this transaction's commit on, that settings or lists changed.
pub fn announce_change() {
    let sentinel = rights::own_relation(c"policy");
    if sentinel != pg_sys::Oid::INVALID {
        // SAFETY: the relation exists.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(sentinel) };
    }
}

/// The protection that the triggers on `relation` name by `id`, for the statement at hand: a partition
/// that it comes to later is judged by the same policy as those before.
///
/// # Safety
/// `relation` must be open.
pub unsafe fn protection_for_statement(
    id: i32,
    relation: pg_sys::Relation,
) -> Result<Rc<Protection>, Unusable> {
    // SAFETY: plain call, then the caller's promise.
    let (statement, newest, is_partition) = unsafe {
        let statement = (id, nesting::statement(), pg_sys::GetCurrentStatementStartTimestamp());
        (statement, protection(id, relation)?, (*(*relation).rd_rel).relispartition)
    };
    if !is_partition {
        return Ok(newest);
    }
    let (known, policy) = IN_FORCE.with_borrow(|force| match force {
        Some((known, policy)) => (*known == statement, Some(policy.clone())),
        None => (false, None),
    });
    match policy {
        Some(policy) if known && !Rc::ptr_eq(&policy, &newest.policy) => {
            let bound = subtransaction::attempt(AssertUnwindSafe(|| {
                rights::as_extension(|| bind(id, relation, Some(policy)))
            }));
            match bound {
                Ok(bound) => bound.map(Rc::new),
                Err(failure) => Err(Unusable::Broken(failure.message)),
            }
        }
        _ => {
            IN_FORCE.set(Some((statement, newest.policy.clone())));
            Ok(newest)
        }
    }
}

/// The protection that the triggers on `relation` name by `id`, by the settings as they are now.
///
/// # Safety
/// `relation` must be open.
pub unsafe fn protection(id: i32, relation: pg_sys::Relation) -> Result<Rc<Protection>, Unusable> {
    crate::calls::register();
    // A statement on a table that is locked already hears of nothing by itself.
    // SAFETY: plain call.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    drop_stale();
    // SAFETY: the caller's promise.
    let oid = unsafe { (*relation).rd_id };
    if let Some(known) = RULEBOOK.with_borrow(|book| book.protections.get(&(id, oid)).cloned()) {
        return Ok(known);
    }
    let mut tries = 0;
    let read = loop {
        let read = subtransaction::attempt(AssertUnwindSafe(|| {
            rights::as_extension(|| bind(id, relation, None))
        }));
        tries += 1;
        // What changes while lists are compiled may leave settings of one moment with lists of another.
        // SAFETY: plain call.
        unsafe { pg_sys::AcceptInvalidationMessages() };
        if !STALE.get() || tries >= TRIES {
            break read;
        }
        drop_stale();
    };
    let protection = match read {
        Ok(result) => Rc::new(result?),
        Err(failure) => return Err(Unusable::Broken(failure.message)),
    };
    WATCHED.with_borrow_mut(|watched| {
        for relation in [oid, protection.root] {
            if !watched.contains(&relation) {
                watched.push(relation);
            }
        }
    });
    RULEBOOK.with_borrow_mut(|book| {
        book.protections.insert((id, oid), protection.clone());
    });
    Ok(protection)
}

/// A compiled policy by name, for `explain` and the worker.
pub fn policy(name: &str) -> Option<Rc<Policy>> {
    crate::calls::register();
    drop_stale();
    rights::as_extension(|| read_policy(name))
}

/// [`policy`], for those who go on with other policies when one cannot be read.
pub fn attempt_policy(name: &str) -> Result<Option<Rc<Policy>>, String> {
    crate::calls::register();
    drop_stale();
    if let Some(known) = RULEBOOK.with_borrow(|book| book.policies.get(name).cloned()) {
        return Ok(Some(known));
    }
    subtransaction::attempt(AssertUnwindSafe(|| policy(name))).map_err(|failure| failure.message)
}

/// The kind of a list, kept until the next change of settings: a COPY into list_entry asks for it
/// with every row.
pub fn kept_list_kind(name: &str, read: impl FnOnce() -> Option<ListKind>) -> Option<ListKind> {
    crate::calls::register();
    drop_stale();
    if let Some(known) = RULEBOOK.with_borrow(|book| book.list_kinds.get(name).copied()) {
        return Some(known);
    }
    let kind = read()?;
    RULEBOOK.with_borrow_mut(|book| book.list_kinds.insert(name.to_owned(), kind));
    Some(kind)
}

/// [`policy`] as it would be if its mode were not `off`: what its checks would say.
pub fn policy_as_if_on(name: &str) -> Option<Rc<Policy>> {
    let policy = policy(name)?;
    if policy.settings.mode != Mode::Off {
        return Some(policy);
    }
    rights::as_extension(|| {
        let (settings, checks) = read_settings(name)?;
        let settings = PolicySettings { mode: Mode::Enforce, ..settings };
        Some(Rc::new(Policy::compile(settings, checks, &mut Lists)))
    })
}

fn drop_stale() {
    let expired = RULEBOOK.with_borrow(|book| {
        // SAFETY: plain call.
        book.fresh_until != 0
            && book.fresh_until <= unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }
    });
    if STALE.replace(false) || expired {
        RULEBOOK.with_borrow_mut(|book| *book = Rulebook::default());
        SENTINEL.set(rights::own_relation(c"policy"));
        WATCHED.with_borrow_mut(Vec::clear);
        STALE_RELATIONS.set(false);
    } else if STALE_RELATIONS.replace(false) {
        RULEBOOK.with_borrow_mut(|book| book.protections.clear());
        WATCHED.with_borrow_mut(Vec::clear);
    }
}

/// Reads a protection and binds it to a relation, under its own policy or the one given.
fn bind(
    id: i32,
    relation: pg_sys::Relation,
    policy: Option<Rc<Policy>>,
) -> Result<Protection, Unusable> {
    let stored = stored(id).ok_or(Unusable::Unknown)?;
    let described = describe(id).ok_or(Unusable::Unknown)?;
    // SAFETY: the relation is open (the caller's promise).
    if is_copy(id, unsafe { (*relation).rd_id }, &described) {
        return Err(Unusable::Broken(format!(
            "protection {id} is that of table {}.{}; this table was copied from another database",
            described.schema, described.name
        )));
    }
    let policy = policy
        .or_else(|| read_policy(&stored.policy))
        .ok_or_else(|| Unusable::Broken(format!("policy \"{}\" does not exist", stored.policy)))?;
    // SAFETY: the relation is open (the caller's promise); its descriptor lives as long.
    unsafe {
        let key = (*(*relation).rd_rel).relispartition.then(|| partition_key((*relation).rd_id));
        let mut protection =
            Protection::bind(&stored, &described, policy, (*relation).rd_att, key.as_deref())
                .map_err(|refusal| Unusable::Broken(refusal.message))?;
        // Those that wait for a policy which asks nobody now are there all the same.
        protection.has_lookups = protection.policy.looks_up() || crate::lookups::any_of(id);
        Ok(protection)
    }
}

/// Whether a table has a guard of its own under an id that is another table's.
fn is_copy(id: i32, relation: pg_sys::Oid, described: &Described) -> bool {
    relation.to_u32() != described.root
        && spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck._guarded_relation g WHERE g.id = $1 AND g.relation = $2",
            &[Arg::Int(id), Arg::Oid(relation)],
        )
        .is_some()
}

/// A policy that has this check alone.
pub fn policy_of(setting: CheckSetting) -> Option<Policy> {
    crate::calls::register();
    drop_stale();
    let settings: PolicySettings =
        serde_json::from_value(serde_json::json!({ "name": "" })).ok()?;
    Some(rights::as_extension(|| Policy::compile(settings, vec![setting], &mut Lists)))
}

/// Why a check set like this would fail on every submission; None: it would not.
pub fn failure_of(setting: CheckSetting) -> Option<String> {
    policy_of(setting)?.checks().find_map(|check| check.failure().map(str::to_owned))
}

/// The columns in the partition keys above a partition.
fn partition_key(partition: pg_sys::Oid) -> Vec<String> {
    spi::json_now(
        "SELECT convert_to(coalesce(jsonb_agg(DISTINCT a.attname), '[]')::text, 'UTF8')
           FROM pg_partition_ancestors($1) anc(relid)
           JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = anc.relid AND d.objsubid > 0
                           AND d.refclassid = 'pg_class'::regclass AND d.refobjid = anc.relid
                           AND d.refobjsubid = 0 AND d.deptype = 'i'
           JOIN pg_attribute a ON a.attrelid = d.objid AND a.attnum = d.objsubid",
        &[Arg::Oid(partition)],
    )
    .unwrap_or_default()
}

fn read_policy(name: &str) -> Option<Rc<Policy>> {
    if let Some(known) = RULEBOOK.with_borrow(|book| book.policies.get(name).cloned()) {
        return Some(known);
    }
    let (settings, checks) = read_settings(name)?;
    let policy = Rc::new(Policy::compile(settings, checks, &mut Lists));
    RULEBOOK.with_borrow_mut(|book| book.policies.insert(name.to_owned(), policy.clone()));
    Some(policy)
}

fn read_settings(name: &str) -> Option<(PolicySettings, Vec<CheckSetting>)> {
    let settings = spi::json_now(
        "SELECT convert_to(to_jsonb(p)::text, 'UTF8') FROM spamcheck.policy p
          WHERE p.name = convert_from($1, 'UTF8')",
        &[Arg::Text(name)],
    )?;
    let checks = spi::json_now(
        "SELECT convert_to(coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.check_name), '[]')::text, 'UTF8')
           FROM spamcheck.check_setting s WHERE s.policy = convert_from($1, 'UTF8')",
        &[Arg::Text(name)],
    )?;
    Some((settings, checks))
}

/// Lists as the engine asks for them: only those that an enabled check names are read.
struct Lists;

impl Backing for Lists {
    fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
        if let Some(known) = RULEBOOK.with_borrow(|book| book.lists.get(name).cloned()) {
            return Ok(known);
        }
        let kind = spi::text_now(
            "SELECT convert_to(l.kind, 'UTF8') FROM spamcheck.list l WHERE l.name = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        )
        .ok_or_else(|| format!("there is no list \"{name}\""))?;
        let kind = ListKind::from_name(&kind)
            .ok_or_else(|| format!("list \"{name}\" is of no known kind"))?;
        let text = packed::read(name).unwrap_or_else(|| packed::gathered(name));
        let (expires, entries) = text.split_once('\n').unwrap_or_default();
        let expires: Option<i64> = expires.parse().ok();
        let mut entries: Vec<&str> = entries.lines().filter(|line| !line.is_empty()).collect();
        // Of several patterns that match, the first is told: let it be the same one each time.
        if kind == ListKind::Regex {
            entries.sort_unstable();
        }
        let mut lines = entries.into_iter();
        let list = List::compile(kind, &mut lines).map_err(|refusal| refusal.message)?;
        let list = Rc::new(list);
        RULEBOOK.with_borrow_mut(|book| {
            book.lists.insert(name.to_owned(), list.clone());
            if let Some(microseconds) = expires {
                let at = microseconds.saturating_sub(crate::row::EPOCH_OFFSET);
                if book.fresh_until == 0 || at < book.fresh_until {
                    book.fresh_until = at;
                }
            }
        });
        Ok(list)
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        subtransaction::attempt(AssertUnwindSafe(|| {
            spi::json_now::<Option<i64>>(
                "SELECT convert_to(coalesce(CASE WHEN i.i BETWEEN interval '-1000 years' AND interval '1000 years'
                                                 THEN (extract(epoch FROM i.i) * 1000000)::bigint::text END, 'null'), 'UTF8')
                   FROM (SELECT convert_from($1, 'UTF8')::interval AS i) i",
                &[Arg::Text(text)],
            )
        }))
        .map_err(|failure| failure.message)
        .and_then(|read| read.flatten().ok_or_else(|| "1000 years are the most".to_owned()))
    }
}

/// The protection of a table: its own, or that of the partitioned table that it is a part of.
pub fn protection_of(relation: pg_sys::Oid) -> Rc<Protection> {
    let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // Kept till the end of the transaction, as a SELECT would: raises what the server says of a table
    // that is gone.
    // SAFETY: any OID will do; the lock is a mode of lockdefs.h.
    let opened = unsafe { PgRelation::with_lock(relation, lock) };
    let id: Option<i32> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(r.id::text, 'UTF8') FROM spamcheck._protected_relation r
              WHERE r.relation = $1 OR r.relation IN (SELECT a.relid FROM pg_partition_ancestors($1) a) LIMIT 1",
            &[Arg::Oid(relation)],
        )
    });
    let Some(id) = id else {
        let name = format!("{}.{}", spi::quoted(opened.namespace()), spi::quoted(opened.name()));
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("{name} is not a protected table")).with_hint(format!(
                "spamcheck.protected_table lists those there are; SELECT * FROM spamcheck.protect('{}') makes it one.",
                name.replace('\'', "''")
            )),
        )
    };
    // SAFETY: the relation is open.
    match unsafe { protection(id, opened.as_ptr()) } {
        Ok(protection) => protection,
        Err(unusable) => {
            let why = match unusable {
                Unusable::Unknown => format!("there is no protection {id}"),
                Unusable::Broken(why) => why,
            };
            report::refuse(
                PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
                Refusal::new(format!("the protection of the table cannot be used: {why}"))
                    .with_hint("Call spamcheck.protect() for the table again."),
            )
        }
    }
}
