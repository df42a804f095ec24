//! Whose rights a piece of work has. Owns every change of the current user: our own tables are
//! touched as their owner, a user's table as that table's owner, both in a security-restricted
//! operation with a pinned search_path, so that nobody's trigger or function runs with more rights
//! than its owner has. On an error the (sub)transaction's abort restores user and settings.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::calls;
use crate::nest_level;

/// Runs `work` as the owner of the extension's tables.
pub fn as_extension<T>(work: impl FnOnce() -> T) -> T {
    as_role(extension_owner(), c"pg_catalog, pg_temp", || {
        if calls::is_worker() {
            // Its statements are planned while its queue is short and run when it is long. Joins with the
            // catalogs have no index to go by.
            switch_off(&[c"enable_seqscan", c"enable_bitmapscan", c"enable_sort"]);
        }
        work()
    })
}

/// [`as_extension`] with statements planned for indexes alone, in whichever process. A plan is kept for the
/// life of a session, and one that was made for an empty table would read or sort all of it once it
/// has grown.
pub fn as_extension_by_index<T>(work: impl FnOnce() -> T) -> T {
    as_extension(|| {
        switch_off(&[
            c"enable_seqscan",
            c"enable_bitmapscan",
            c"enable_sort",
            c"enable_hashjoin",
            c"enable_mergejoin",
        ]);
        work()
    })
}

/// Ends with the nest level.
fn switch_off(settings: &[&CStr]) {
    for name in settings {
        // SAFETY: a plain setting, in the nest level that as_role has begun.
        unsafe { nest_level::set(name, c"off") };
    }
}

/// Runs `work`, which only reads, as the owner of a table, with no other names in reach than the
/// server's own.
pub fn as_reader_of<T>(relation: pg_sys::Oid, work: impl FnOnce() -> T) -> T {
    as_role(owner_of(relation), c"pg_catalog, pg_temp", work)
}

/// Runs `work` as the owner of a table. The owner's own triggers find what is in the table's schema.
pub fn as_owner_of<T>(relation: pg_sys::Oid, work: impl FnOnce() -> T) -> T {
    as_role(owner_of(relation), &path_of(relation), work)
}

/// Runs `work` as a role that has no more rights than a table's owner: who calls makes sure of that.
pub fn as_lesser_than_owner_of<T>(
    relation: pg_sys::Oid,
    role: pg_sys::Oid,
    work: impl FnOnce() -> T,
) -> T {
    as_role(role, &path_of(relation), work)
}

/// The server's own names and those of the table's schema.
fn path_of(relation: pg_sys::Oid) -> CString {
    // SAFETY: catalog look-ups by OID; both give null or InvalidOid for what is not there.
    unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        if schema.is_null() {
            return c"pg_catalog, pg_temp".to_owned();
        }
        let quoted = std::ffi::CStr::from_ptr(pg_sys::quote_identifier(schema));
        let path = format!("pg_catalog, {}, pg_temp", quoted.to_string_lossy());
        CString::new(path).unwrap_or_else(|_| c"pg_catalog, pg_temp".to_owned())
    }
}

fn as_role<T>(role: pg_sys::Oid, search_path: &std::ffi::CStr, work: impl FnOnce() -> T) -> T {
    // SAFETY: the pattern of ri_triggers.c and of REINDEX: switch, run, switch back; settings changed
    // meanwhile end with the level.
    unsafe {
        let mut user = pg_sys::Oid::INVALID;
        let mut context = 0;
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let restricted =
            (pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION) as i32;
        let result = nest_level::within(&[(c"search_path", search_path)], || {
            if calls::is_worker() {
                act_as_session(role);
            }
            pg_sys::SetUserIdAndSecContext(role, context | restricted);
            work()
        });
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}

/// In the worker, triggers that ask for `is_superuser` are told of the role they run as. Not in sessions
/// of clients, which hear of every change of this setting.
///
/// # Safety
/// Inside a GUC nest level, which takes it back.
unsafe fn act_as_session(role: pg_sys::Oid) {
    // SAFETY: a plain setting; the server itself sets it so.
    unsafe {
        let value = if pg_sys::superuser_arg(role) { c"on" } else { c"off" };
        nest_level::set_as(pg_sys::GucContext::PGC_INTERNAL, c"is_superuser", value);
    }
}

/// Who is connected, whatever role has been set since.
pub fn session_user() -> String {
    // SAFETY: the session's user exists; the name is a C string.
    let name = unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetSessionUserId(), false);
        std::ffi::CStr::from_ptr(name).to_bytes()
    };
    crate::row::from_server(name).into_owned()
}

/// The role that owns a relation; the bootstrap superuser if the relation is gone.
pub fn owner_of(relation: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: syscache look-up with release; the struct is read while the tuple is pinned.
    unsafe {
        let tuple =
            pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, relation.into());
        if tuple.is_null() {
            return pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID);
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let owner = (*form).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

/// The owner of the extension's tables.
pub fn extension_owner() -> pg_sys::Oid {
    owner_of(own_relation(c"policy"))
}

/// The OID of one of the extension's own tables; InvalidOid when the extension is not installed.
pub fn own_relation(name: &std::ffi::CStr) -> pg_sys::Oid {
    // SAFETY: look-ups by name; both take missing objects.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"spamcheck".as_ptr(), true);
        if schema == pg_sys::Oid::INVALID {
            return schema;
        }
        pg_sys::get_relname_relid(name.as_ptr(), schema)
    }
}
