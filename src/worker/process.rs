//! What launcher and worker have in common as processes of the server: signals, waiting, reloading.
//! SIGTERM is the server's own `die`: it interrupts statements and lock waits, so a fast shutdown and
//! pg_terminate_backend work at any point, and the exit code makes the postmaster start anew.

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::pg_sys;

unsafe extern "C-unwind" {
    fn die(signal: c_int);
}

/// Where in shared memory it is noted that this process was told to end.
static TOLD_TO_END: AtomicPtr<AtomicBool> = AtomicPtr::new(std::ptr::null_mut());

/// Has it noted in `note` when somebody tells this process to end, be it in the middle of work: whoever
/// waits for failures to pass before it starts a process again need not wait then.
pub fn tell_launcher_of_dismissal(note: &'static AtomicBool) {
    TOLD_TO_END.store(std::ptr::from_ref(note).cast_mut(), Ordering::Release);
}

/// A signal handler: nothing but atomic stores, and what the server's own does.
unsafe extern "C-unwind" fn note_and_die(signal: c_int) {
    let note = TOLD_TO_END.load(Ordering::Acquire);
    // SAFETY: null, or an entry of shared memory, which stays as long as the process.
    if let Some(note) = unsafe { note.as_ref() } {
        note.store(true, Ordering::Release);
    }
    // SAFETY: called as the server calls it.
    unsafe { die(signal) };
}

/// Sets the signals up.
pub fn start() {
    // Hundreds of threads with an arena each would keep many times what they use; and a lot of lookups, which is
    // big for a moment, is to go back to the system afterwards.
    #[cfg(target_env = "gnu")]
    // SAFETY: settings of the C library, before there are threads.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 * 1024);
    }
    // SAFETY: the handler does what the server's own for this signal does; it is installed before signals are
    // unblocked, which attach_signal_handlers does.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(libc::SIGTERM, Some(note_and_die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(libc::SIGTERM, Some(note_and_die));
    }
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP);
}

/// Sleeps until the latch is set, `bell` rings (a descriptor becomes readable) or the time is over.
pub fn wait(time: Duration, bell: Option<RawFd>) {
    sleep(time, bell);
    pgrx::check_for_interrupts!();
}

/// [`wait`], without heeding that the process is told to end.
pub fn sleep(time: Duration, bell: Option<RawFd>) {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    if bell.is_some() {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    // SAFETY: plain latch calls on the process's own latch.
    unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as c_int,
            bell.unwrap_or(-1),
            time.as_millis().max(1) as std::ffi::c_long,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

/// Whether the process is told to end, and has not heeded it yet.
pub fn told_to_end() -> bool {
    // SAFETY: a flag that the server's signal handler sets.
    unsafe { std::ptr::read_volatile(&raw const pg_sys::ProcDiePending) != 0 }
}

/// Runs `work` as if nobody had told the process to end yet; told a second time, it heeds that.
pub fn before_the_end(work: impl FnOnce()) {
    // SAFETY: the flags of the server's signal handler, put back as it sets them.
    unsafe {
        std::ptr::write_volatile(&raw mut pg_sys::ProcDiePending, 0);
        work();
        std::ptr::write_volatile(&raw mut pg_sys::ProcDiePending, 1);
        std::ptr::write_volatile(&raw mut pg_sys::InterruptPending, 1);
    }
}

/// Reads the configuration again if SIGHUP came; whether it did.
pub fn reload_if_asked() -> bool {
    let asked = BackgroundWorker::sighup_received();
    if asked {
        // SAFETY: the server's own way to reload, between transactions.
        unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
    }
    asked
}
