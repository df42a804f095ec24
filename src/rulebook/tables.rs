//! What the catalogs and our own tables say of protected tables. Owns what is kept of that from one lookup
//! to the next: until any relation, schema, type or operator of the database changes, which is seldom
//! where lookups are many. Statements that judge rows have what they need bound to their table instead.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;

use crate::protection::{Described, Stored};
use crate::rights;
use crate::spi::{self, Arg};

/// A protected table.
pub struct Table {
    /// What protect() stored.
    pub stored: Stored,
    /// What the catalogs say.
    pub described: Described,
}

#[derive(Default)]
struct Kept {
    tables: HashMap<i32, Option<Rc<Table>>>,
    ids: Option<Rc<str>>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::new(Kept::default());
    static STALE: Cell<bool> = const { Cell::new(true) };
}

/// Registers the callbacks for what is no relation.
///
/// # Safety
/// Once in a backend's life.
pub unsafe fn register_invalidation() {
    use pg_sys::SysCacheIdentifier::{NAMESPACEOID, OPEROID, TYPEOID};
    for cache in [NAMESPACEOID, TYPEOID, OPEROID] {
        // SAFETY: the callback is a function of this library, which is never unloaded.
        unsafe {
            pg_sys::CacheRegisterSyscacheCallback(
                cache as std::ffi::c_int,
                Some(on_invalidation),
                pg_sys::Datum::null(),
            );
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    read_anew();
}

/// What is kept is not to be used any more. Invalidations come in the middle of anything, so only a flag is set.
pub fn read_anew() {
    STALE.set(true);
}

fn kept<T>(of: impl FnOnce(&mut Kept) -> T) -> T {
    // SAFETY: plain call. What comes in while we read is for the next call.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    if STALE.replace(false) {
        KEPT.set(Kept::default());
    }
    KEPT.with_borrow_mut(of)
}

/// The protected table of an id, for those who come back to it many times; None: no table has its triggers.
pub fn table(id: i32) -> Option<Rc<Table>> {
    super::listen();
    if let Some(known) = kept(|kept| kept.tables.get(&id).cloned()) {
        return known;
    }
    let table = rights::as_extension(|| {
        Some(Rc::new(Table { stored: stored(id)?, described: describe(id)? }))
    });
    KEPT.with_borrow_mut(|kept| kept.tables.insert(id, table.clone()));
    table
}

/// The ids of all protections that are whole, as an array of SQL: in the middle of a restore there may be a
/// table's triggers without what protect() stored, or the other way round.
pub fn ids() -> Rc<str> {
    super::listen();
    if let Some(known) = kept(|kept| kept.ids.clone()) {
        return known;
    }
    let ids = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(coalesce(array_agg(p.id), '{}')::text, 'UTF8')
               FROM spamcheck._protected_relation r JOIN spamcheck._protection p ON p.id = r.id",
            &[],
        )
    });
    let ids: Rc<str> = ids.unwrap_or_default().into();
    KEPT.with_borrow_mut(|kept| kept.ids = Some(ids.clone()));
    ids
}

/// What protect() stored under an id.
pub fn stored(id: i32) -> Option<Stored> {
    spi::json_now(
        "SELECT convert_to(to_jsonb(p)::text, 'UTF8') FROM spamcheck._protection p WHERE p.id = $1",
        &[Arg::Int(id)],
    )
}

/// The protected table of an id, as its triggers say; None: no table has them.
pub fn describe(id: i32) -> Option<Described> {
    spi::json_now(
        "SELECT convert_to(jsonb_build_object('root', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'partitioned', c.relkind = 'p', 'forced', c.relforcerowsecurity, 'key', coalesce(k.key, '[]'), 'deferrable', coalesce(k.deferrable, false))::text, 'UTF8')
           FROM spamcheck._protected_relation r
           JOIN pg_class c ON c.oid = r.relation
           JOIN pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN LATERAL (
               SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(CASE oc.opcintype WHEN 'jsonb'::regtype THEN oc.opcintype ELSE a.atttypid END, -1),
                                'OPERATOR(' || quote_ident(onsp.nspname) || '.' || o.oprname || ')')
                                ORDER BY x.n) AS key, bool_or(NOT i.indimmediate) AS deferrable
                 FROM (SELECT i.indkey, i.indclass, i.indnkeyatts, i.indimmediate FROM pg_index i
                        WHERE i.indrelid = c.oid AND i.indisunique AND (i.indimmediate OR i.indisprimary) AND i.indisvalid
                          AND i.indpred IS NULL AND i.indexprs IS NULL
                          AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                           AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)
                        ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) i,
                      generate_series(0, i.indnkeyatts - 1) AS x(n),
                      pg_attribute a, pg_opclass oc, pg_amop ao, pg_operator o, pg_namespace onsp
                WHERE a.attrelid = c.oid AND a.attnum = i.indkey[x.n]
                  AND oc.oid = i.indclass[x.n] AND ao.amopfamily = oc.opcfamily
                  AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
                  AND ao.amopstrategy = 3 AND o.oid = ao.amopopr AND onsp.oid = o.oprnamespace) k ON true
          WHERE r.id = $1",
        &[Arg::Int(id)],
    )
}
