//! Where services are, remembered for half a minute: the client asks for a name before each request, also
//! when a connection is open, and has a thread made for the question each time. Judges no address: the
//! services are the administrator's choice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an address is believed. A service that moves is found again after so long.
const KEPT: Duration = Duration::from_secs(30);

/// The addresses of services.
#[derive(Debug, Default)]
pub struct Names {
    asks: DefaultResolver,
    known: Mutex<HashMap<String, (Instant, ResolvedSocketAddrs)>>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let scheme = uri.scheme_str().unwrap_or_default();
        let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let name = format!("{scheme} {host}");
        // Whoever panicked meanwhile left a whole table.
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, addresses)) = known().get(&name)
            && at.elapsed() < KEPT
        {
            return Ok(addresses.clone());
        }
        let addresses = self.asks.resolve(uri, config, timeout)?;
        known().insert(name, (Instant::now(), addresses.clone()));
        Ok(addresses)
    }
}
