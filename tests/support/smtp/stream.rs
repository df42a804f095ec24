//! A connection, secured or not, read by lines.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

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
    pub fn secured(self, config: Arc<ServerConfig>) -> io::Result<Stream> {
        let Stream::Plain(stream) = self else { return Ok(self) };
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
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
