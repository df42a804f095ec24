//! A connection, secured or not, read by lines. Owns the server's certificate.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection.
pub enum Stream {
    /// In clear.
    Plain(TcpStream),
    /// Over TLS.
    Secured(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// The same connection, over TLS from now on.
    pub fn secured(self) -> io::Result<Stream> {
        let Stream::Plain(stream) = self else { return Ok(self) };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(include_bytes!("server.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("server.key"));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key.expect("a key"))
            .expect("they fit each other");
        let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
        Ok(Stream::Secured(Box::new(StreamOwned::new(connection, stream))))
    }

    /// Whether it is secured.
    pub fn is_secured(&self) -> bool {
        matches!(self, Stream::Secured(_))
    }

    /// The next line, without its end; an error at the end of the stream.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            let read = match self {
                Stream::Plain(stream) => stream.read(&mut byte)?,
                Stream::Secured(stream) => stream.read(&mut byte)?,
            };
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if byte == [b'\n'] {
                assert_eq!(line.pop(), Some(b'\r'), "lines end with CRLF");
                return Ok(line);
            }
            line.push(byte[0]);
        }
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\r\n");
        match self {
            Stream::Plain(stream) => stream.write_all(line.as_bytes()),
            Stream::Secured(stream) => {
                stream.write_all(line.as_bytes())?;
                stream.flush()
            }
        }
    }
}
