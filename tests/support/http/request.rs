//! A request as a stand-in server received it: raw bytes and the views that tests look at. Reads
//! HTTP/1.1 from a connection; judging what was asked is the stand-in's business.

use std::borrow::Cow;
use std::io::{self, Read};
use std::time::Instant;

// Well above what any client of the extension sends: a larger head is a client gone wrong.
const MAX_HEAD: usize = 64 * 1024;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The number of the connection it came on, counted from 1.
    pub connection: u64,
    /// When its head was complete.
    pub at: Instant,
    /// Request line and headers, as sent, without the empty line.
    pub head: String,
    /// The body, as sent.
    pub body: Vec<u8>,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.split("\r\n").skip(1);
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    /// The fields of a form body, decoded, in order. Bytes that are not UTF-8 show as U+FFFD.
    pub fn params(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            (decode(halves.next().unwrap_or_default()), decode(halves.next().unwrap_or_default()))
        })
    }

    /// The value of the first form field of that name.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// The next request of a connection; `None` when the client has closed it between two requests.
    /// `pending` keeps what came early for the next call.
    ///
    /// # Errors
    /// When the connection ends within a request, or what comes is no HTTP.
    pub(crate) fn read(
        stream: &mut impl Read,
        pending: &mut Vec<u8>,
        connection: u64,
    ) -> io::Result<Option<Request>> {
        let end = loop {
            if let Some(end) = find(pending, b"\r\n\r\n") {
                break end;
            }
            if pending.len() > MAX_HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the head does not end"));
            }
            if read_more(stream, pending)? == 0 {
                let between = pending.is_empty();
                return if between { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        let at = Instant::now();
        let head = String::from_utf8_lossy(&pending[..end]).into_owned();
        pending.drain(..end + 4);
        let mut request = Request { connection, at, head, body: Vec::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or(0);
        while pending.len() < length {
            if read_more(stream, pending)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        request.body = pending.drain(..length).collect();
        Ok(Some(request))
    }
}

fn read_more(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 8192];
    let read = stream.read(&mut buffer)?;
    pending.extend_from_slice(&buffer[..read]);
    Ok(read)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Undoes form encoding: `+` is a space, `%XX` a byte.
fn decode(text: &[u8]) -> Cow<'_, str> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return String::from_utf8_lossy(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        bytes.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, tail @ ..]) => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> io::Result<Vec<Request>> {
        let (mut stream, mut pending, mut requests) = (bytes, Vec::new(), Vec::new());
        while let Some(request) = Request::read(&mut stream, &mut pending, 1)? {
            requests.push(request);
        }
        Ok(requests)
    }

    #[test]
    fn two_requests_on_one_connection_are_told_apart() {
        let requests = read_all(
            b"POST /a?q=1 HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\nx=1GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        )
        .unwrap();
        assert_eq!(requests.len(), 2);
        let (first, second) = (&requests[0], &requests[1]);
        assert_eq!((first.method(), first.path(), first.target()), ("POST", "/a", "/a?q=1"));
        assert_eq!(first.param("x").as_deref(), Some("1"));
        assert_eq!((second.method(), second.path()), ("GET", "/b"));
        assert_eq!(second.header("HOST"), Some("h"));
        assert!(second.body.is_empty());
    }

    #[test]
    fn a_connection_that_ends_within_a_request_is_an_error() {
        assert!(read_all(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nx=").is_err());
        assert!(read_all(b"POST / HTTP/1.1\r\nContent").is_err());
        assert!(read_all(b"").unwrap().is_empty());
    }

    #[test]
    fn form_fields_are_decoded_and_bad_escapes_stay() {
        let body = b"a=100%25+free%2Bcheap&b=%F0%9F%98%80&c=%zz%4&d&e=%ff".to_vec();
        let request = Request { connection: 1, at: Instant::now(), head: String::new(), body };
        let params: Vec<_> = request.params().collect();
        let expected =
            [("a", "100% free+cheap"), ("b", "😀"), ("c", "%zz%4"), ("d", ""), ("e", "\u{fffd}")];
        assert_eq!(params.len(), expected.len());
        for ((name, value), (expected_name, expected_value)) in params.iter().zip(expected) {
            assert_eq!((name.as_ref(), value.as_ref()), (expected_name, expected_value));
        }
    }
}
