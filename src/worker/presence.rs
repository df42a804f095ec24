//! The worker's place in its database: transactions that run only while the extension is there, and
//! getting out of the way of DROP EXTENSION and DROP DATABASE. Owns no work of its own.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;

/// Runs `work` in a transaction; None: the extension is not there, and nothing was run.
pub fn transaction<T>(activity: &str, work: impl FnOnce() -> T) -> Option<T> {
    let activity = std::ffi::CString::new(activity).unwrap_or_default();
    // SAFETY: the server copies the text.
    unsafe {
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr())
    };
    let result = BackgroundWorker::transaction(AssertUnwindSafe(|| hold_extension().then(work)));
    // SAFETY: between transactions.
    unsafe {
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
    result
}

/// Whether the extension is there, and stays for this transaction. DROP EXTENSION takes the stronger
/// lock on the extension before it touches any table, so the two cannot deadlock.
fn hold_extension() -> bool {
    // SAFETY: look-ups and a lock by OID, in a transaction.
    unsafe {
        let found = pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true);
        if found == pg_sys::InvalidOid {
            return false;
        }
        pg_sys::LockDatabaseObject(
            pg_sys::ExtensionRelationId,
            found,
            0,
            pg_sys::AccessShareLock as u16 as _,
        );
        pg_sys::AcceptInvalidationMessages();
        pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true) == found
    }
}

/// Whether the extension is there.
pub fn installed() -> bool {
    BackgroundWorker::transaction(|| {
        // SAFETY: a look-up by name, in a transaction. Taken without the lock: DROP EXTENSION may be
        // waiting for us.
        unsafe { pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true) != pg_sys::InvalidOid }
    })
}

/// Makes this the one worker of the database until the process ends; false: there is another. The lock
/// is one that no SQL can take, on the extension's first "column". Session locks outlive transactions,
/// and nobody gives those of this kind back for a process that ends between two of them: so we do.
pub fn only_one() -> bool {
    let tag = own_lock();
    // SAFETY: a session lock, in a transaction; the callback belongs to this library.
    unsafe {
        let got = pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, true, true);
        if got == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return false;
        }
        pg_sys::before_shmem_exit(Some(unlock), pg_sys::Datum::from(tag.locktag_field3));
    }
    true
}

fn own_lock() -> pg_sys::LOCKTAG {
    // SAFETY: a look-up by name, in a transaction.
    let extension = unsafe { pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true) };
    lock_on(extension.to_u32())
}

fn lock_on(extension: u32) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: a static that is set for the life of the process.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: pg_sys::ExtensionRelationId.to_u32(),
        locktag_field3: extension,
        locktag_field4: 1,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn unlock(_code: std::ffi::c_int, extension: pg_sys::Datum) {
    let tag = lock_on(extension.value() as u32);
    // SAFETY: gives back what only_one took.
    unsafe { pg_sys::LockRelease(&tag, pg_sys::ExclusiveLock as i32, true) };
}

/// Whether somebody (DROP DATABASE, CREATE DATABASE … TEMPLATE) holds or waits for a lock on the
/// database that needs all others out of it.
pub fn in_the_way(oid: pg_sys::Oid) -> bool {
    BackgroundWorker::transaction(|| {
        let tag = pg_sys::LOCKTAG {
            locktag_field1: 0,
            locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
            locktag_field3: oid.to_u32(),
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        // SAFETY: asks for the lock that a starting session takes, without waiting; the end of the
        // transaction gives it back.
        let got =
            unsafe { pg_sys::LockAcquire(&tag, pg_sys::RowExclusiveLock as i32, false, true) };
        got == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    })
}

/// Settings of the process. The worker's own commits need not wait for the disk: a claim or a verdict that a crash takes back
/// is simply done again. Letters are the exception, see letters.rs.
pub fn settle_in() {
    // What is set for a database or a role is meant for its sessions, as autovacuum knows, too.
    for (name, value) in [
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
        (c"default_transaction_deferrable", c"off"),
        (c"statement_timeout", c"0"),
        (c"lock_timeout", c"0"),
        (c"idle_in_transaction_session_timeout", c"0"),
        (c"session_replication_role", c"origin"),
        (c"row_security", c"on"),
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"synchronous_commit", c"off"),
        // Our statements are tiny, however long the queue looks to the planner.
        (c"jit", c"off"),
    ] {
        set(name, value, pg_sys::GucAction::GUC_ACTION_SET);
    }
}

/// Sets a setting of this process.
pub fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    // SAFETY: a plain setting of this process.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}
