//! A proxy that leads every connection to this machine, whatever host it is asked for, and remembers
//! for what it was asked. It knows CONNECT and requests with a whole URL.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::ports;

/// A running proxy. It serves until the process ends.
pub struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start() -> Proxy {
        let bound =
            (0..5).find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free())).ok());
        let listener = bound.expect("a port that was free a moment ago can be bound");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let book = Arc::clone(&book);
                thread::spawn(move || lead(client, &book));
            }
        });
        Proxy { port, asked }
    }

    /// For `pg_spamcheck.http_proxy`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of what it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn lead(mut client: TcpStream, book: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let target = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let connects = text.starts_with("CONNECT ");
    book.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    let host = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    if connects {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    let (mut back, mut to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    io::copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Both)
}
