//! Settings that hold for one piece of work: they end with the level of nesting in which they were set, or
//! with the (sub)transaction when it fails. Owns no setting's meaning, and no setting of a whole process.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Runs `work` in a level of its own, with these settings.
pub fn within<T>(settings: &[(&CStr, &CStr)], work: impl FnOnce() -> T) -> T {
    // SAFETY: a level is opened and closed; on an error the abort closes it.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        for (name, value) in settings {
            set(name, value);
        }
        let result = work();
        pg_sys::AtEOXact_GUC(false, level);
        result
    }
}

/// Sets what any role may set, until the level at hand ends.
///
/// # Safety
/// Inside a level, or it ends with the transaction.
pub unsafe fn set(name: &CStr, value: &CStr) {
    // SAFETY: a plain setting; the server copies both texts.
    unsafe { set_as(pg_sys::GucContext::PGC_USERSET, name, value) }
}

/// As [`set`], for settings that not every role may set.
///
/// # Safety
/// As for [`set`].
pub unsafe fn set_as(context: pg_sys::GucContext::Type, name: &CStr, value: &CStr) {
    // SAFETY: as above.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            context,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}
