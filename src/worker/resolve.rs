//! Names to addresses, by the machine's own resolver. It blocks for as long as it likes, so each question
//! has a thread of its own, and whoever asks waits no longer than it wants to. Nothing here judges
//! addresses.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// What the C library's resolver and its modules may need; memory that is not touched costs nothing.
const STACK: usize = 1024 * 1024;
/// Questions that the resolver may have at the same time, forgotten ones included.
const MOST: usize = 64;

static OUT: AtomicUsize = AtomicUsize::new(0);

/// Why there are no addresses.
#[derive(Debug)]
pub enum Unresolved {
    /// There is no such name.
    Unknown,
    /// Nobody can tell now: a sentence's end.
    Trouble(String),
}

/// The addresses of a host, each once; at least one.
pub fn addresses(host: &str, within: Duration) -> Result<Vec<IpAddr>, Unresolved> {
    let trouble = |why: &str| Err(Unresolved::Trouble(why.to_owned()));
    let Ok(name) = CString::new(host) else { return Err(Unresolved::Unknown) };
    if OUT.fetch_add(1, Ordering::AcqRel) >= MOST {
        OUT.fetch_sub(1, Ordering::AcqRel);
        return trouble("the name service has not answered many earlier questions");
    }
    let (answer, answered) = mpsc::sync_channel(1);
    // Signals are blocked here, and so they are there.
    let asked = std::thread::Builder::new().name("spamcheck names".into()).stack_size(STACK).spawn(
        move || {
            let found = look_up(&name);
            OUT.fetch_sub(1, Ordering::AcqRel);
            let _ = answer.send(found);
        },
    );
    if asked.is_err() {
        OUT.fetch_sub(1, Ordering::AcqRel);
        return trouble("a thread could not be started");
    }
    answered
        .recv_timeout(within)
        .unwrap_or_else(|_| trouble("the name service did not answer in time"))
}

fn look_up(name: &CString) -> Result<Vec<IpAddr>, Unresolved> {
    let mut found = Vec::new();
    // SAFETY: the hints are plain memory with the fields that matter set; the list belongs to the
    // library until it is given back, and each entry has an address of the family that it says.
    unsafe {
        let mut hints: libc::addrinfo = std::mem::zeroed();
        hints.ai_family = libc::AF_UNSPEC;
        hints.ai_socktype = libc::SOCK_STREAM;
        let mut list: *mut libc::addrinfo = std::ptr::null_mut();
        match libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &hints, &mut list) {
            0 => {}
            libc::EAI_NONAME => return Err(Unresolved::Unknown),
            code if code == NO_DATA => return Err(Unresolved::Unknown),
            code => {
                let why = std::ffi::CStr::from_ptr(libc::gai_strerror(code)).to_string_lossy();
                return Err(Unresolved::Trouble(format!("the name service says \"{why}\"")));
            }
        }
        let mut next = list;
        while let Some(entry) = next.as_ref() {
            let address = match entry.ai_family {
                libc::AF_INET => {
                    let address = entry.ai_addr.cast::<libc::sockaddr_in>();
                    let bits = u32::from_be((*address).sin_addr.s_addr);
                    Some(IpAddr::V4(Ipv4Addr::from(bits)))
                }
                libc::AF_INET6 => {
                    let address = entry.ai_addr.cast::<libc::sockaddr_in6>();
                    Some(IpAddr::V6(Ipv6Addr::from((*address).sin6_addr.s6_addr)))
                }
                _ => None,
            };
            if let Some(address) = address.filter(|address| !found.contains(address)) {
                found.push(address);
            }
            next = entry.ai_next;
        }
        libc::freeaddrinfo(list);
    }
    if found.is_empty() { Err(Unresolved::Unknown) } else { Ok(found) }
}

/// The name is there and has no address: glibc's EAI_NODATA, which the crate libc leaves out.
const NO_DATA: i32 = -5;
