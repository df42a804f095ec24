//! Finding a free port on 127.0.0.1 that stays free while its server is down for a moment. It
//! reserves nothing: a caller that loses the race must ask again.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

// Below Linux's range for outgoing connections (from 32768): a port in that range could be taken by
// any client of the machine between a stop and the restart on the same port.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody on this machine listens on now. Two calls in one process give different ones.
///
/// # Panics
/// When every port of the range is taken.
pub fn free() -> u16 {
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + start.wrapping_add(step) % COUNT) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_given_out() {
        let taken: Vec<TcpListener> =
            (0..20).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, free())).unwrap()).collect();
        let ports: std::collections::HashSet<u16> =
            taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), taken.len());
        assert!(!ports.contains(&free()));
    }
}
