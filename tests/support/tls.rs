//! Services over TLS: authorities that exist for one test, what they certify, and a server that answers
//! as [`crate::http`]'s do. Whether a client should believe a certificate is the test's business.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Reply, Request};
use crate::ports;

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Certified {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn params(name: &str, expired: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    }
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Authority {
        let mut params = params("authority.example", false);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key()).expect("it signs itself"))
    }

    /// Its certificate, for `pg_spamcheck.ca_file`.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this host name.
    pub fn certify(&self, name: &str) -> Certified {
        self.sign(params(name, false))
    }

    /// One that was good until 2020.
    pub fn certify_once(&self, name: &str) -> Certified {
        self.sign(params(name, true))
    }

    fn sign(&self, params: CertificateParams) -> Certified {
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("it signs");
        Certified { certificate: certificate.der().clone(), key }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl Certified {
    /// A certificate that only its owner vouches for.
    pub fn by_itself(name: &str) -> Certified {
        let key = key();
        let certificate = params(name, false).self_signed(&key).expect("it signs itself");
        Certified { certificate: certificate.der().clone(), key }
    }

    /// What a server needs that shows it.
    pub fn config(self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate], key)
            .expect("the key fits");
        Arc::new(config)
    }
}

#[derive(Default)]
struct Book {
    ending: AtomicBool,
    plain: AtomicU64,
    requests: Mutex<Vec<Arc<Request>>>,
}

/// A server that speaks TLS only. It ends with the process's wish: dropping it closes the port.
pub struct TlsServer {
    port: u16,
    book: Arc<Book>,
}

impl TlsServer {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start(
        certified: Certified,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> TlsServer {
        let config = certified.config();
        let bound =
            (0..5).find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free())).ok());
        let listener = bound.expect("a port that was free a moment ago can be bound");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (book, handler) = (Arc::new(Book::default()), Arc::new(handler));
        let own = Arc::clone(&book);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.ending.load(Relaxed) {
                    return;
                }
                let (own, config, handler) = (own.clone(), config.clone(), handler.clone());
                thread::spawn(move || converse(&own, config, &*handler, stream));
            }
        });
        TlsServer { port, book }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.book.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections did not begin with TLS.
    pub fn plain(&self) -> u64 {
        self.book.plain.load(Relaxed)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.book.ending.store(true, Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn converse(
    book: &Book,
    config: Arc<ServerConfig>,
    handler: &dyn Fn(&Request) -> Reply,
    stream: TcpStream,
) -> io::Result<()> {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    if stream.peek(&mut first)? == 1 && first[0] != HANDSHAKE {
        book.plain.fetch_add(1, Relaxed);
        return Ok(());
    }
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut pending = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut pending, 1)? {
        let reply = handler(&request);
        book.requests.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(request));
        reply.write(&mut stream)?;
        stream.flush()?;
    }
    Ok(())
}
