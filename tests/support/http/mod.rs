//! A real HTTP/1.1 server on 127.0.0.1 that stands in for a service of the internet. Owns sockets,
//! the script of replies, the record of requests and the counters; what it answers when the script
//! says nothing comes from the handler that it was started with. A thread a connection: that is the
//! least work a request (one read, one write), and tests need no more than some hundred connections.

mod connection;
mod reply;
mod request;

pub use reply::{After, Reply};
pub use request::Request;

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::ports;

// A connection's thread keeps its buffers on the heap; the default of 2 MB would only cost address
// space, but that of some hundred of them.
const STACK: usize = 128 * 1024;

/// Gives the reply to a request for which the script has none.
pub type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

type Condition = dyn Fn(&Request) -> bool + Send + Sync;

struct Rule {
    when: Box<Condition>,
    reply: Reply,
    // How often it may still be used; `None`: for ever.
    left: Option<usize>,
}

/// How busy a server has been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests received.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests received and not answered yet.
    pub in_flight: u64,
    /// The most that were in flight at one moment.
    pub most_in_flight: u64,
}

struct Shared {
    handler: Box<Handler>,
    latency: AtomicU64,
    keeps: AtomicBool,
    listening: AtomicBool,
    scripted: AtomicBool,
    script: Mutex<Vec<Rule>>,
    record: Mutex<Vec<Arc<Request>>>,
    open: Mutex<HashMap<u64, TcpStream>>,
    requests: AtomicU64,
    connections: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
}

/// A running stand-in server. Dropping it closes the port and all connections.
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            latency: AtomicU64::new(0),
            keeps: AtomicBool::new(true),
            listening: AtomicBool::new(false),
            scripted: AtomicBool::new(false),
            script: Mutex::default(),
            record: Mutex::default(),
            open: Mutex::default(),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
        });
        let bound =
            (0..5).find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free())).ok());
        let listener = bound.expect("a port that was free a moment ago can be bound");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let server = Server { shared, port, acceptor: Mutex::new(None) };
        server.accept_on(listener);
        server
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port, the same for the server's whole life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets every answer wait that long, as a distant service's would.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency.store(latency.as_micros() as u64, Relaxed);
    }

    /// Answers the next request that meets the condition with `reply`. Replies that wait for the same
    /// requests are used in the order they were given.
    pub fn once(&self, when: impl Fn(&Request) -> bool + Send + Sync + 'static, reply: Reply) {
        self.times(1, when, reply);
    }

    /// As [`Server::once`], for the next `times` requests that meet the condition.
    pub fn times(
        &self,
        times: usize,
        when: impl Fn(&Request) -> bool + Send + Sync + 'static,
        reply: Reply,
    ) {
        self.add(Rule { when: Box::new(when), reply, left: Some(times) });
    }

    /// Answers every request that meets the condition with `reply`, once earlier rules are used up.
    pub fn always(&self, when: impl Fn(&Request) -> bool + Send + Sync + 'static, reply: Reply) {
        self.add(Rule { when: Box::new(when), reply, left: None });
    }

    /// Drops what is left of the script.
    pub fn forget_script(&self) {
        lock(&self.shared.script).clear();
        self.shared.scripted.store(false, Relaxed);
    }

    /// The requests so far, in the order their heads were complete.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        lock(&self.shared.record).clone()
    }

    /// Empties the record of requests.
    pub fn forget_requests(&self) {
        lock(&self.shared.record).clear();
    }

    /// Whether requests are recorded (they are, at first). A benchmark does without.
    pub fn keep_requests(&self, keep: bool) {
        self.shared.keeps.store(keep, Relaxed);
    }

    /// How busy the server has been.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.shared.requests.load(Relaxed),
            connections: self.shared.connections.load(Relaxed),
            open: lock(&self.shared.open).len() as u64,
            in_flight: self.shared.in_flight.load(Relaxed),
            most_in_flight: self.shared.most_in_flight.load(Relaxed),
        }
    }

    /// Closes every open connection, in the midst of a request or not.
    pub fn close_connections(&self) {
        for stream in lock(&self.shared.open).values() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Stops listening and closes every connection: clients are refused from now on.
    pub fn go_down(&self) {
        let acceptor = lock(&self.acceptor).take();
        let Some(acceptor) = acceptor else { return };
        self.shared.listening.store(false, Relaxed);
        // The acceptor sees the flag after its next connection, which is this one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = acceptor.join();
        self.close_connections();
    }

    /// Listens again on the same port.
    ///
    /// # Panics
    /// When another process has taken the port meanwhile.
    pub fn come_back(&self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port));
        self.accept_on(listener.unwrap_or_else(|error| panic!("port {}: {error}", self.port)));
    }

    fn add(&self, rule: Rule) {
        lock(&self.shared.script).push(rule);
        self.shared.scripted.store(true, Relaxed);
    }

    fn accept_on(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        shared.listening.store(true, Relaxed);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                if !shared.listening.load(Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    connection::serve(&shared, stream);
                }
            }
        });
        *lock(&self.acceptor) = Some(acceptor);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.go_down();
    }
}

// A test that panicked while it held a lock must not take the server down for the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests;
