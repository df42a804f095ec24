//! GET of a page that somebody outside has named. Owns the rules that keep a sender of trackbacks from
//! sending the server around its own network: http and https only, the web's ports, every address of a
//! host looked at and the connection made to one of those, each redirect again, no user names, no proxy of
//! the environment, bounded time and size, nothing unpacked. What a page means is its reader's.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use spamcheck_engine::addresses;
use spamcheck_engine::akismet::retry_after;
use spamcheck_engine::location::{Host, Location};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::settings::Network;
use crate::worker::http;
use crate::worker::resolve::{self, Unresolved};

/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// Bytes of the buffer that the headers of an answer have to fit into.
const BUFFER: usize = 16 * 1024;

/// What a fetch may do.
#[derive(Clone)]
pub struct Rules {
    /// Whether private addresses may be visited, at any port (`pg_spamcheck.allow_private_hosts`).
    pub private: bool,
    /// Whether any port may be visited: for addresses that an administrator chose.
    pub any_port: bool,
    /// Whether all of it must be https, but for loopback hosts.
    pub secure: bool,
    /// The time for all of it.
    pub time: Duration,
    /// Bytes that are read.
    pub size: usize,
    connect: Duration,
    roots: RootCerts,
    proxy: Option<ureq::Proxy>,
}

impl Rules {
    /// Those for the pages of trackbacks; an unusable setting is a sentence.
    pub fn for_pages(network: &Network) -> Result<Rules, String> {
        Ok(Rules {
            private: network.allow_private_hosts,
            any_port: network.allow_private_hosts,
            secure: false,
            time: Duration::from_millis(network.request_timeout_ms.min(5_000)),
            size: 512 * 1024,
            connect: Duration::from_millis(network.connect_timeout_ms),
            roots: http::roots(network)?,
            // It would resolve the name itself, and no address could be looked at.
            proxy: None,
        })
    }

    /// Those for lists, whose addresses an administrator has set.
    pub fn for_lists(network: &Network) -> Result<Rules, String> {
        Ok(Rules {
            any_port: true,
            secure: true,
            time: Duration::from_millis(network.request_timeout_ms),
            size: 16 * 1024 * 1024,
            proxy: http::proxy(network)?,
            ..Self::for_pages(network)?
        })
    }
}

/// What came back.
pub struct Fetched {
    /// HTTP status, other than a redirect.
    pub status: u16,
    /// Where it came from, behind all redirects.
    pub at: Location,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body as far as it was read.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Fetched {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Why nothing came back.
#[derive(Debug)]
pub struct Trouble {
    /// A sentence without its full stop.
    pub why: String,
    /// Whether it may be better the next time, and how long the server asks to be left alone.
    pub passing: Option<Duration>,
}

impl Trouble {
    fn lasting(why: impl Into<String>) -> Self {
        Self { why: plain(&why.into()), passing: None }
    }

    /// One that may pass.
    pub fn passing(why: impl Into<String>) -> Self {
        Self { why: plain(&why.into()), passing: Some(Duration::ZERO) }
    }
}

/// What others wrote must not do anything where it is read, and no NUL fits into the queue.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Gets a page, with these further headers.
pub fn get(
    rules: &Rules,
    location: &Location,
    headers: &[(&str, &str)],
) -> Result<Fetched, Trouble> {
    let until = Instant::now() + rules.time;
    let mut at = location.clone();
    for _ in 0..=REDIRECTS {
        let fetched = get_one(rules, &at, headers, until)?;
        let leads = match fetched.status {
            301 | 302 | 303 | 307 | 308 => fetched.header("location"),
            _ => return Ok(fetched),
        };
        let Some(leads) = leads else {
            return Err(Trouble::lasting(format!("{at} is moved and does not say where to")));
        };
        let next = at.join(leads).map_err(|fault| {
            Trouble::lasting(format!("{at} leads to where nobody goes: {fault}"))
        })?;
        at = next;
    }
    Err(Trouble::lasting(format!("{location} leads on and on: more than {REDIRECTS} redirects")))
}

fn get_one(
    rules: &Rules,
    at: &Location,
    headers: &[(&str, &str)],
    until: Instant,
) -> Result<Fetched, Trouble> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Trouble::passing(format!("{at} did not answer in time")));
    }
    if !rules.any_port && !at.is_web_port() {
        return Err(Trouble::lasting(format!("port {} of {} is not visited", at.port, at.host)));
    }
    let known = plain_addresses(at);
    let here = !known.is_empty() && known.iter().all(|ip| ip.to_canonical().is_loopback());
    // What is on this machine is not asked for elsewhere.
    let agent = match rules.proxy.as_ref().filter(|_| !here) {
        // What a name means is the proxy's business then; an address speaks for itself.
        Some(proxy) => {
            check(rules, at, &known)?;
            Agent::from(config(rules, left, Some(proxy.clone())).build())
        }
        None => {
            let found = checked_addresses(rules, at, left)?;
            let resolver = Fixed(found.iter().map(|ip| SocketAddr::new(*ip, at.port)).collect());
            let left = until.saturating_duration_since(Instant::now());
            let config = config(rules, left.max(Duration::from_millis(1)), None).build();
            Agent::with_parts(config, DefaultConnector::new(), resolver)
        }
    };
    let mut request =
        agent.get(at.to_string()).header("Accept", "text/html, text/plain, */*;q=0.5");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().map_err(|error| trouble(at, &error))?;
    let headers = http::headers(response.headers());
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response
        .body_mut()
        .as_reader()
        .take(rules.size as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|error| Trouble::passing(format!("{at} broke off: {error}")))?;
    let whole = body.len() <= rules.size;
    body.truncate(rules.size);
    let fetched = Fetched { status, at: at.clone(), headers, body, whole };
    match fetched.header("content-encoding").map(str::trim) {
        None | Some("" | "identity") => {}
        Some(_) => return Err(Trouble::lasting(format!("{at} is compressed, unasked"))),
    }
    if matches!(status, 408 | 425 | 429 | 500..=599) {
        let wait = fetched.header("retry-after").and_then(|text| retry_after(text, now()));
        let why = format!("{at} answered with status {status}");
        return Err(Trouble { why, passing: Some(wait.unwrap_or_default()) });
    }
    Ok(fetched)
}

/// Microseconds since the Unix epoch, without the server: threads must not call it.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The addresses of a host, if none of them speaks against a visit.
fn checked_addresses(rules: &Rules, at: &Location, left: Duration) -> Result<Vec<IpAddr>, Trouble> {
    let found = match &at.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => resolve::addresses(name, left).map_err(|why| match why {
            Unresolved::Unknown => Trouble::lasting(format!("host {name} does not exist")),
            Unresolved::Trouble(why) => Trouble::passing(format!("host {name}: {why}")),
        })?,
    };
    check(rules, at, &found)?;
    Ok(found)
}

/// The addresses of a host that nobody needs to be asked for.
fn plain_addresses(at: &Location) -> Vec<IpAddr> {
    match &at.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
        }
        Host::Name(_) => Vec::new(),
    }
}

/// Whether a host with these addresses may be visited.
fn check(rules: &Rules, at: &Location, found: &[IpAddr]) -> Result<(), Trouble> {
    let here = !found.is_empty() && found.iter().all(|ip| ip.to_canonical().is_loopback());
    if rules.secure && !at.https && !here {
        return Err(Trouble::lasting(format!("{at} is not https")));
    }
    let special = found.iter().find_map(|ip| Some((ip, addresses::special(*ip)?)));
    match special.filter(|_| !rules.private) {
        Some((ip, what)) => {
            let host = match &at.host {
                Host::Name(name) => format!("{name} is {ip},"),
                Host::Address(_) => format!("{ip} is"),
            };
            Err(Trouble::lasting(format!(
                "{host} an address that is {what}, and pg_spamcheck.allow_private_hosts is off"
            )))
        }
        None => Ok(()),
    }
}

fn config(
    rules: &Rules,
    left: Duration,
    proxy: Option<ureq::Proxy>,
) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        // Each is looked at before it is followed.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(rules.connect.min(left)))
        .timeout_global(Some(left))
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(rules.roots.clone()).build())
        .input_buffer_size(BUFFER)
        .output_buffer_size(8 * 1024)
        // Headers that fill the buffer are too long.
        .max_response_header_size(BUFFER - 1)
        .max_idle_connections(0)
        .user_agent(concat!("pg_spamcheck/", env!("CARGO_PKG_VERSION")))
}

fn trouble(at: &Location, error: &ureq::Error) -> Trouble {
    match error {
        ureq::Error::Timeout(_) => Trouble::passing(format!("{at} did not answer in time")),
        ureq::Error::LargeResponseHeader(..) => {
            Trouble::lasting(format!("the headers of {at} are longer than {} kB", BUFFER / 1024))
        }
        error => Trouble::passing(format!("{at} could not be read: {error}")),
    }
}

/// Gives the addresses that were looked at, and no others: a name that means something else a moment later
/// changes nothing.
struct Fixed(Vec<SocketAddr>);

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fixed").field(&self.0).finish()
    }
}

impl Resolver for Fixed {
    fn resolve(
        &self,
        _uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        for address in self.0.iter().take(16) {
            addresses.push(*address);
        }
        Ok(addresses)
    }
}
