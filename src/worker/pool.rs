//! Threads that do what blocks, and the bell that tells the worker of what came back. Threads block all
//! signals and must never call the server: they know their job, nothing else. What a job is, is its
//! lane's; all pools of a worker ring the same bell, and each lane collects its own.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A thread that had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(30);
/// A request needs little stack; hundreds of threads need little memory then.
const STACK: usize = 256 * 1024;
/// How far threads give way to the server's processes where the processor is short: a third of their share.
#[cfg(target_os = "linux")]
const NICE: std::ffi::c_int = 5;

/// Becomes readable when something came back, whoever it is for.
#[derive(Clone)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// A bell of its own.
    pub fn new() -> std::io::Result<Bell> {
        // SAFETY: a new descriptor that nobody else owns.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(Bell(Arc::new(OwnedFd::from_raw_fd(fd))))
        }
    }

    /// What to wait for.
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// To be done before the lanes collect: what comes later rings anew.
    pub fn silence(&self) {
        let mut count = 0_u64;
        // SAFETY: reads 8 bytes into 8 bytes; the descriptor does not block.
        unsafe {
            libc::read(self.descriptor(), std::ptr::from_mut(&mut count).cast(), size_of::<u64>());
        }
    }

    fn ring(&self) {
        let one = 1_u64;
        // SAFETY: writes 8 bytes from 8 bytes; a full counter would ring anyway.
        unsafe {
            libc::write(self.descriptor(), std::ptr::from_ref(&one).cast(), size_of::<u64>());
        }
    }
}

/// A job: runs on a thread of the pool, and what it gives comes back by [`Pool::collect`].
pub trait Job: Send + 'static {
    /// What comes back.
    type Done: Send + 'static;

    /// Does it. Must not call the server.
    fn run(&self) -> Self::Done;

    /// What comes back when it cannot be done for reasons of ours, each a sentence.
    fn failed(&self, why: String) -> Self::Done;

    /// Whether no other job is to begin until the lane has seen this: it may want to recall them.
    fn gives_pause(_done: &Self::Done) -> bool {
        false
    }
}

struct Desk<J: Job> {
    jobs: VecDeque<J>,
    /// Jobs go back with what came of them: what the worker has made it frees itself, or each of hundreds of
    /// threads would keep a store of freed texts for later.
    done: Vec<(J, J::Done)>,
    /// How many may be worked on at the same time.
    most: usize,
    at_work: usize,
    /// What was done last is to be seen first.
    paused: bool,
    threads: usize,
    idle: usize,
}

impl<J: Job> Desk<J> {
    fn next(&mut self) -> Option<J> {
        if self.paused || self.at_work >= self.most {
            return None;
        }
        let job = self.jobs.pop_front()?;
        self.at_work += 1;
        Some(job)
    }
}

struct Office<J: Job> {
    desk: Mutex<Desk<J>>,
    work: Condvar,
    bell: Bell,
}

/// The pool of threads: as many as there are jobs at the same time, which its lane limits. Jobs that wait for
/// a thread begin the moment another ends, be the worker busy or not.
pub struct Pool<J: Job> {
    office: Arc<Office<J>>,
}

impl<J: Job> Pool<J> {
    /// A pool without threads yet.
    pub fn new(bell: Bell) -> Self {
        let desk = Desk {
            jobs: VecDeque::new(),
            done: Vec::new(),
            most: usize::MAX,
            at_work: 0,
            paused: false,
            threads: 0,
            idle: 0,
        };
        Self { office: Arc::new(Office { desk: Mutex::new(desk), work: Condvar::new(), bell }) }
    }

    /// Has a job done.
    pub fn send(&self, job: J) {
        self.post(|jobs| jobs.push_back(job));
    }

    /// Has a job done before those that wait.
    pub fn send_first(&self, job: J) {
        self.post(|jobs| jobs.push_front(job));
    }

    fn post(&self, put: impl FnOnce(&mut VecDeque<J>)) {
        let mut desk = self.office.lock();
        put(&mut desk.jobs);
        if desk.idle < desk.jobs.len() && desk.threads < desk.most {
            desk.threads += 1;
            if let Err(error) = spawn(self.office.clone()) {
                desk.threads -= 1;
                // Some thread will get to it, unless there is none at all.
                if desk.threads == 0
                    && let Some(job) = desk.jobs.pop_back()
                {
                    let why = format!("a thread could not be started: {error}");
                    let done = job.failed(why);
                    desk.done.push((job, done));
                    self.office.bell.ring();
                }
            }
        }
        drop(desk);
        self.office.work.notify_one();
    }

    /// What came back.
    pub fn collect(&self) -> Vec<J::Done> {
        let done = std::mem::take(&mut self.office.lock().done);
        done.into_iter().map(|(_, done)| done).collect()
    }

    /// How many jobs may be worked on at the same time from now on.
    pub fn limit(&self, most: usize) {
        let mut desk = self.office.lock();
        if desk.most != most {
            desk.most = most;
            drop(desk);
            self.office.work.notify_all();
        }
    }

    /// The jobs that nobody has begun and that are `unwanted`.
    pub fn recall(&self, unwanted: impl Fn(&J) -> bool) -> Vec<J> {
        let mut desk = self.office.lock();
        let (recalled, kept) = std::mem::take(&mut desk.jobs).into_iter().partition(unwanted);
        desk.jobs = kept;
        recalled.into()
    }

    /// What came back was seen: other jobs may begin.
    pub fn go_on(&self) {
        let mut desk = self.office.lock();
        if std::mem::take(&mut desk.paused) {
            drop(desk);
            self.office.work.notify_all();
        }
    }
}

impl<J: Job> Office<J> {
    fn lock(&self) -> MutexGuard<'_, Desk<J>> {
        // A thread that panicked left a list of values, which is whole at any point.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut desk = self.lock();
        loop {
            if let Some(job) = desk.next() {
                drop(desk);
                let done = std::panic::catch_unwind(AssertUnwindSafe(|| job.run()));
                let done = done.unwrap_or_else(|_| job.failed("the request panicked".into()));
                desk = self.lock();
                desk.at_work -= 1;
                desk.paused |= J::gives_pause(&done);
                desk.done.push((job, done));
                // One ring for many answers: whoever finds the list empty rings.
                if desk.done.len() == 1 {
                    self.bell.ring();
                }
                continue;
            }
            desk.idle += 1;
            let (guard, waited) =
                self.work.wait_timeout(desk, IDLE).unwrap_or_else(PoisonError::into_inner);
            desk = guard;
            desk.idle -= 1;
            if waited.timed_out() && desk.jobs.is_empty() {
                desk.threads -= 1;
                return;
            }
        }
    }
}

/// Starts a thread with every signal blocked: the server's handlers must not run on it.
fn spawn<J: Job>(office: Arc<Office<J>>) -> std::io::Result<()> {
    // SAFETY: signal sets are plain memory; the mask of this thread is restored below.
    let before = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    };
    let spawned = std::thread::Builder::new()
        .name("spamcheck network".into())
        .stack_size(STACK)
        .spawn(move || {
            give_way();
            office.serve();
        });
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    spawned.map(drop)
}

/// Hundreds of threads whose answers come at the same time must not keep sessions waiting, nor the worker
/// itself, which has rows to write.
fn give_way() {
    #[cfg(target_os = "linux")]
    // SAFETY: a setting of this thread alone, on this system.
    unsafe {
        libc::nice(NICE);
    }
}
