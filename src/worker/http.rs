//! Requests to services: a POST of a form over TLS, and the answer as it came. Owns what a request may do
//! (no redirects, no endless answers, the platform's authorities); what it says is its lane's. The key is
//! in the body, so no body is ever printed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spamcheck_engine::akismet::Answer;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;

use crate::settings::{self, Network};
use crate::worker::names::Names;
use crate::worker::pool::{Bell, Job, Pool};

/// Bytes of an answer that are read. The answers that count have a handful.
const MAX_ANSWER: u64 = 64 * 1024;
/// Bytes of each buffer of a connection; the headers of an answer have to fit into one.
const BUFFER: usize = 8 * 1024;

/// A request to be made.
pub struct Request {
    /// The lookup, or question, that it is for.
    pub id: i64,
    /// Where it goes.
    pub url: String,
    /// What it says, form-encoded.
    pub body: String,
}

/// A request on its way, with the settings of the time when it was sent.
pub struct Sent {
    agent: Agent,
    request: Request,
}

/// What came back.
pub struct Done {
    /// The lookup, or question, that it was for.
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

impl Response {
    /// As Akismet's.
    pub fn answer(&self) -> Answer<'_> {
        Answer { status: self.status, headers: &self.headers, body: &self.body }
    }
}

impl Job for Sent {
    type Done = Done;

    fn run(&self) -> Done {
        Done { id: self.request.id, answer: ask(&self.agent, &self.request) }
    }

    fn failed(&self, why: String) -> Done {
        Done { id: self.request.id, answer: Err(why) }
    }

    /// A service that fails or refuses is asked no more before the lane has read why.
    fn gives_pause(done: &Done) -> bool {
        !done.answer.as_ref().is_ok_and(|response| response.answer().is_plain())
    }
}

/// Requests to services, over agents that keep connections.
pub struct Http {
    pool: Pool<Sent>,
    agents: Result<Agents, String>,
    built: Instant,
}

impl Http {
    /// For these settings, usable or not.
    pub fn new(network: &Network, user_agent: &str, bell: Bell) -> Http {
        let agents = Agents::new(network, user_agent);
        Http { pool: Pool::new(bell), agents, built: Instant::now() }
    }

    /// Takes new settings; requests that are out keep the old ones.
    pub fn configure(&mut self, network: &Network, user_agent: &str) {
        self.agents = Agents::new(network, user_agent);
        self.built = Instant::now();
    }

    /// Why no request can be made, and for how long that has been known.
    pub fn fault(&self) -> Option<(&str, Duration)> {
        self.agents.as_ref().err().map(|why| (why.as_str(), self.built.elapsed()))
    }

    /// A request as it is sent now; None: there is a fault.
    fn ready(&self, request: Request) -> Option<Sent> {
        let agent = self.agents.as_ref().ok()?.to(&request.url).clone();
        Some(Sent { agent, request })
    }

    /// Sends a request, or has it wait for one that is out; while there is a fault, neither.
    pub fn send(&self, request: Request) {
        if let Some(sent) = self.ready(request) {
            self.pool.send(sent);
        }
    }

    /// As [`Http::send`], before those that wait.
    pub fn send_first(&self, request: Request) {
        if let Some(sent) = self.ready(request) {
            self.pool.send_first(sent);
        }
    }

    /// How many requests may be out at the same time.
    pub fn limit(&self, most: usize) {
        self.pool.limit(most);
    }

    /// Which lookups still wait to be asked about: their requests are not made now.
    pub fn recall(&self) -> Vec<i64> {
        self.pool.recall(|sent| sent.request.id > 0).iter().map(|sent| sent.request.id).collect()
    }

    /// The answers were read: requests that wait may go out.
    pub fn go_on(&self) {
        self.pool.go_on();
    }

    /// The answers that are there.
    pub fn collect(&self) -> Vec<Done> {
        self.pool.collect()
    }
}

/// What makes requests under some settings.
#[derive(Clone)]
pub struct Agents {
    direct: Agent,
    by_proxy: Option<Agent>,
}

impl Agents {
    /// Those that these settings make; an unusable setting is a sentence.
    pub fn new(network: &Network, user_agent: &str) -> Result<Agents, String> {
        settings::service_url(&network.akismet_url)?;
        let (proxy, roots) = (proxy(network)?, roots(network)?);
        let by_proxy = proxy.map(|proxy| agent(network, user_agent, roots.clone(), Some(proxy)));
        Ok(Agents { direct: agent(network, user_agent, roots, None), by_proxy })
    }

    /// The one for requests to a URL. What is on this machine is not asked for elsewhere: a proxy would
    /// look for it on its own, and plain http, which is taken for loopback hosts, would cross the network.
    pub fn to(&self, url: &str) -> &Agent {
        match &self.by_proxy {
            Some(by_proxy) if !settings::is_loopback_url(url) => by_proxy,
            _ => &self.direct,
        }
    }
}

fn agent(
    network: &Network,
    user_agent: &str,
    roots: RootCerts,
    proxy: Option<ureq::Proxy>,
) -> Agent {
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
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        // Headers that fill the buffer are too long; without this, they would look like a connection
        // that broke off.
        .max_response_header_size(BUFFER - 1)
        .max_idle_connections(network.max_in_flight)
        .max_idle_connections_per_host(network.max_in_flight)
        .max_idle_age(Duration::from_secs(60))
        .user_agent(user_agent)
        .build();
    Agent::with_parts(config, DefaultConnector::new(), Names::default())
}

/// What stands in the settings against any request, as a sentence without its full stop.
pub fn fault(network: &Network) -> Option<String> {
    proxy(network).map(drop).and_then(|()| roots(network).map(drop)).err()
}

/// The proxy for requests to services, if one is set; an unusable one is a sentence.
pub fn proxy(network: &Network) -> Result<Option<ureq::Proxy>, String> {
    let proxy = network.http_proxy.as_deref().map(ureq::Proxy::new).transpose();
    // Its value may have a password in it.
    proxy.map_err(|_| "pg_spamcheck.http_proxy is no URL of a proxy".into())
}

/// The authorities to trust.
pub fn roots(network: &Network) -> Result<RootCerts, String> {
    Ok(match &network.ca_file {
        Some(file) => RootCerts::Specific(Arc::new(certificates(file)?)),
        None => RootCerts::PlatformVerifier,
    })
}

fn certificates(file: &str) -> Result<Vec<Certificate<'static>>, String> {
    let pem = std::fs::read(file)
        .map_err(|e| format!("pg_spamcheck.ca_file cannot be read: {file}: {e}"))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(format!("pg_spamcheck.ca_file holds no certificate: {file}"));
    }
    Ok(found)
}

fn ask(agent: &Agent, request: &Request) -> Result<Response, String> {
    let mut response = agent
        .post(&request.url)
        .content_type(spamcheck_engine::akismet::Request::CONTENT_TYPE)
        .send(request.body.as_str())
        .map_err(|e| why(&e))?;
    let headers = headers(response.headers());
    let status = response.status().as_u16();
    let body =
        response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|e| why(&e))?;
    Ok(Response { status, headers, body })
}

/// The headers of an answer, in order.
pub fn headers(all: &ureq::http::HeaderMap) -> Vec<(String, String)> {
    let text =
        |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    all.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Why there is no answer; what is wrong with a certificate says that it is about TLS.
fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => format!("TLS: {io}"),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => format!("TLS: {error}"),
        ureq::Error::LargeResponseHeader(..) => {
            format!("the answer's headers are longer than {} kB", BUFFER / 1024)
        }
        other => other.to_string(),
    }
}
