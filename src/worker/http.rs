//! The only sockets of the extension: requests go out on threads of their own and answers come back
//! through a list and a bell. Threads block all signals and must never call the server: they know a
//! URL, a body and an agent, nothing else. The key is in the body, so no body is ever printed.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::settings::{self, Network};

/// Bytes of an answer that are read. The answers that count have a handful.
const MAX_ANSWER: u64 = 64 * 1024;
/// A thread that had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(30);
/// A request needs little stack; hundreds of threads need little memory then.
const STACK: usize = 256 * 1024;

/// A request on its way.
pub struct Job {
    /// The lookup that it is for.
    pub id: i64,
    /// Where it goes.
    pub url: String,
    /// What it says, form-encoded.
    pub body: String,
}

/// What came back.
pub struct Done {
    /// The lookup that it was for.
    pub id: i64,
    /// The answer, or why there is none.
    pub answer: Result<Response, String>,
}

/// An answer as it came.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// Body, as far as it is read.
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Desk {
    jobs: VecDeque<(Agent, Job)>,
    done: Vec<Done>,
    threads: usize,
    idle: usize,
}

struct Office {
    desk: Mutex<Desk>,
    work: Condvar,
    bell: OwnedFd,
}

/// The pool of threads.
pub struct Http {
    office: Arc<Office>,
    agent: Agent,
}

impl Http {
    /// A pool for these settings; an unusable setting is a sentence.
    pub fn new(network: &Network, user_agent: &str) -> Result<Http, String> {
        // SAFETY: a new descriptor that nobody else owns.
        let bell = unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(std::io::Error::last_os_error().to_string());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let office = Arc::new(Office { desk: Mutex::default(), work: Condvar::new(), bell });
        Ok(Http { office, agent: agent(network, user_agent)? })
    }

    /// Takes new settings; requests that are out keep the old ones.
    pub fn configure(&mut self, network: &Network, user_agent: &str) -> Result<(), String> {
        self.agent = agent(network, user_agent)?;
        Ok(())
    }

    /// Becomes readable when an answer is there.
    pub fn bell(&self) -> RawFd {
        self.office.bell.as_raw_fd()
    }

    /// Sends a request.
    pub fn send(&self, job: Job) {
        let mut desk = self.office.lock();
        desk.jobs.push_back((self.agent.clone(), job));
        if desk.idle < desk.jobs.len() {
            desk.threads += 1;
            if let Err(error) = spawn(self.office.clone()) {
                desk.threads -= 1;
                // Some thread will get to it, unless there is none at all.
                if desk.threads == 0
                    && let Some((_, job)) = desk.jobs.pop_back()
                {
                    let answer = Err(format!("a thread could not be started: {error}"));
                    desk.done.push(Done { id: job.id, answer });
                    self.office.ring();
                }
            }
        }
        drop(desk);
        self.office.work.notify_one();
    }

    /// The answers that are there, and silences the bell.
    pub fn collect(&self) -> Vec<Done> {
        let mut count = 0_u64;
        // SAFETY: reads 8 bytes into 8 bytes; the descriptor does not block.
        unsafe {
            libc::read(self.bell(), std::ptr::from_mut(&mut count).cast(), size_of::<u64>());
        }
        std::mem::take(&mut self.office.lock().done)
    }
}

impl Office {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        // A thread that panicked left a list of values, which is whole at any point.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let one = 1_u64;
        // SAFETY: writes 8 bytes from 8 bytes; a full counter would ring anyway.
        unsafe {
            libc::write(self.bell.as_raw_fd(), std::ptr::from_ref(&one).cast(), size_of::<u64>());
        }
    }

    fn serve(&self) {
        let mut desk = self.lock();
        loop {
            if let Some((agent, job)) = desk.jobs.pop_front() {
                drop(desk);
                let id = job.id;
                let asked = std::panic::catch_unwind(AssertUnwindSafe(|| ask(&agent, &job)));
                let answer = asked.unwrap_or_else(|_| Err("the request panicked".into()));
                desk = self.lock();
                desk.done.push(Done { id, answer });
                // One ring for many answers: whoever finds the list empty rings.
                if desk.done.len() == 1 {
                    self.ring();
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
fn spawn(office: Arc<Office>) -> std::io::Result<()> {
    // SAFETY: signal sets are plain memory; the mask of this thread is restored below.
    let before = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    };
    let spawned = std::thread::Builder::new()
        .name("spamcheck http".into())
        .stack_size(STACK)
        .spawn(move || office.serve());
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    spawned.map(drop)
}

fn agent(network: &Network, user_agent: &str) -> Result<Agent, String> {
    settings::service_url(&network.akismet_url)?;
    let proxy = match &network.http_proxy {
        Some(url) => {
            Some(ureq::Proxy::new(url).map_err(|_| "pg_spamcheck.http_proxy is no proxy URL")?)
        }
        None => None,
    };
    let roots = match &network.ca_file {
        Some(file) => RootCerts::Specific(Arc::new(certificates(file)?)),
        None => RootCerts::PlatformVerifier,
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // Nothing is ever sent to where an answer points: the body holds the key.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(Duration::from_millis(network.connect_timeout_ms)))
        .timeout_global(Some(Duration::from_millis(network.request_timeout_ms)))
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        // Questions and answers are short; the defaults would take 256 kB for each request.
        .input_buffer_size(8 * 1024)
        .output_buffer_size(8 * 1024)
        .max_idle_connections(network.max_in_flight)
        .max_idle_connections_per_host(network.max_in_flight)
        .max_idle_age(Duration::from_secs(60))
        .user_agent(user_agent)
        .build();
    Ok(config.into())
}

fn certificates(file: &str) -> Result<Vec<Certificate<'static>>, String> {
    let pem =
        std::fs::read(file).map_err(|e| format!("pg_spamcheck.ca_file cannot be read: {e}"))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err("pg_spamcheck.ca_file holds no certificate".into());
    }
    Ok(found)
}

fn ask(agent: &Agent, job: &Job) -> Result<Response, String> {
    let mut response = agent
        .post(&job.url)
        .content_type(spamcheck_engine::akismet::Request::CONTENT_TYPE)
        .send(job.body.as_str())
        .map_err(|e| e.to_string())?;
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_vec()
        .map_err(|e| e.to_string())?;
    Ok(Response { status, headers, body })
}
