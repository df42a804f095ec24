//! One client's connection to a stand-in server: read, record, choose, wait, answer, again. Owns the
//! order of these steps and the counting around them; the server owns what they work on.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use super::{After, Reply, Request, STACK, Shared, lock};

/// Serves a connection on a thread of its own.
pub(super) fn serve(shared: &Arc<Shared>, stream: TcpStream) {
    let number = shared.connections.fetch_add(1, Relaxed) + 1;
    let Ok(handle) = stream.try_clone() else { return };
    lock(&shared.open).insert(number, handle);
    let own = Arc::clone(shared);
    let spawned = thread::Builder::new().stack_size(STACK).spawn(move || {
        let fate = converse(&own, &stream, number);
        // The handle in the table keeps the socket open, so it goes first: a reset happens only
        // when the last one is closed.
        lock(&own.open).remove(&number);
        if matches!(fate, Ok(After::Reset)) {
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    if spawned.is_err() {
        lock(&shared.open).remove(&number);
    }
}

/// Answers requests until the connection is to end; how it ends.
fn converse(shared: &Shared, mut stream: &TcpStream, number: u64) -> io::Result<After> {
    stream.set_nodelay(true)?;
    let mut pending = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut pending, number)? {
        shared.requests.fetch_add(1, Relaxed);
        let now = shared.in_flight.fetch_add(1, Relaxed) + 1;
        shared.most_in_flight.fetch_max(now, Relaxed);
        let sent = answer(shared, &mut stream, request);
        shared.in_flight.fetch_sub(1, Relaxed);
        match sent? {
            After::Keep => {}
            fate => return Ok(fate),
        }
    }
    Ok(After::Close)
}

fn answer(shared: &Shared, stream: &mut &TcpStream, request: Request) -> io::Result<After> {
    let reply = scripted(shared, &request).unwrap_or_else(|| (shared.handler)(&request));
    if shared.keeps.load(Relaxed) {
        lock(&shared.record).push(Arc::new(request));
    }
    let latency = shared.latency.load(Relaxed);
    if latency > 0 {
        thread::sleep(Duration::from_micros(latency));
    }
    reply.write(stream)?;
    if reply.fate() == After::Silence {
        // Ends when the client gives up, or the server closes its connections.
        io::copy(&mut stream.by_ref(), &mut io::sink())?;
    }
    Ok(reply.fate())
}

fn scripted(shared: &Shared, request: &Request) -> Option<Reply> {
    if !shared.scripted.load(Relaxed) {
        return None;
    }
    let mut script = lock(&shared.script);
    let place = script.iter().position(|rule| (rule.when)(request))?;
    let rule = &mut script[place];
    match &mut rule.left {
        None => Some(rule.reply.clone()),
        Some(1) => Some(script.remove(place).reply),
        Some(left) => {
            *left -= 1;
            Some(rule.reply.clone())
        }
    }
}
