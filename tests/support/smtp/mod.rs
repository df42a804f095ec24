//! A real SMTP server on 127.0.0.1 that stands in for a mail server: EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA.
//! Owns sockets, the script of how it misbehaves and the record of mails; it relays nothing. A thread a
//! connection. Rules may name a recipient, so that tests can share a server and not each other's mishaps.

mod letter;
mod session;
mod stream;

pub use letter::Letter;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use rustls::ServerConfig;

use crate::tls::Authority;

/// How the way to the server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all, and STARTTLS is not offered.
    None,
    /// TLS from the first byte.
    Tls,
    /// STARTTLS is offered.
    StartTls,
}

/// What the server does in place of what it should.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// Answers so.
    Says(String),
    /// Says nothing until it is dropped or told to [`MailServer::go_on`].
    Hangs,
    /// Closes the connection.
    Closes,
}

struct Rule {
    command: &'static str,
    to: String,
    mishap: Mishap,
    left: usize,
}

struct Shared {
    security: Security,
    config: Arc<ServerConfig>,
    login: Option<(String, String)>,
    rules: Mutex<Vec<Rule>>,
    letters: Mutex<Vec<Letter>>,
    logins: Mutex<Vec<String>>,
    hanging: AtomicUsize,
    free: AtomicBool,
    over: AtomicBool,
}

/// A running stand-in server. Dropping it closes the port.
pub struct MailServer {
    authority: Authority,
    shared: Arc<Shared>,
    port: u16,
}

impl MailServer {
    /// Starts a server on a free port, which takes mail from everybody.
    #[must_use]
    pub fn start() -> MailServer {
        MailServer::with(Security::None, None)
    }

    /// Starts a server; `login`: it takes mail only from this user with this password.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn with(security: Security, login: Option<(&str, &str)>) -> MailServer {
        let authority = Authority::new();
        let shared = Arc::new(Shared {
            security,
            config: authority.certify("localhost").config(),
            login: login.map(|(user, password)| (user.into(), password.into())),
            rules: Mutex::default(),
            letters: Mutex::default(),
            logins: Mutex::default(),
            hanging: AtomicUsize::new(0),
            free: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port can be bound");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.over.load(Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    let shared = Arc::clone(&theirs);
                    thread::spawn(move || session::serve(&shared, stream));
                }
            }
        });
        MailServer { authority, shared, port }
    }

    /// The value of `pg_spamcheck.smtp_url` that leads here.
    #[must_use]
    pub fn url(&self) -> String {
        match self.shared.security {
            Security::None => format!("smtp://127.0.0.1:{}", self.port),
            Security::Tls => format!("smtps://localhost:{}", self.port),
            Security::StartTls => format!("smtp+starttls://localhost:{}", self.port),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that vouches for the server, for `pg_spamcheck.ca_file`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// The next `times` times that a client says `command` in a dialogue with a recipient that has `to` in
    /// it, that happens. Before the first RCPT there is no recipient: then `to` must be empty. `TEXT` is the
    /// end of a mail's text.
    pub fn mishap(&self, times: usize, command: &'static str, to: &str, mishap: Mishap) {
        lock(&self.shared.rules).push(Rule { command, to: to.into(), mishap, left: times });
    }

    /// Forgets what is left of the mishaps.
    pub fn behave(&self) {
        lock(&self.shared.rules).clear();
    }

    /// The mails that it has taken for a recipient that has `to` in it.
    #[must_use]
    pub fn letters(&self, to: &str) -> Vec<Letter> {
        let letters = lock(&self.shared.letters);
        letters.iter().filter(|letter| letter.to.iter().any(|t| t.contains(to))).cloned().collect()
    }

    /// What clients said of themselves with AUTH, decoded, right or wrong.
    #[must_use]
    pub fn logins(&self) -> Vec<String> {
        lock(&self.shared.logins).clone()
    }

    /// Dialogues that hang now.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.shared.hanging.load(Relaxed)
    }

    /// Lets those that hang go on.
    pub fn go_on(&self) {
        self.shared.free.store(true, Relaxed);
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
        self.shared.free.store(true, Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

// A test that panicked while it held a lock must not take the server down for the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
