//! What a stand-in server answers, faults included: status, headers, pieces of the body with pauses
//! between them, and what becomes of the connection. Writes the bytes; which reply a request gets is
//! decided elsewhere.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

/// What becomes of the connection with the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It stays open for the next request.
    Keep,
    /// It is closed in an orderly way.
    Close,
    /// It is reset once the reply is out; with [`Reply::silence`], in place of one.
    Reset,
    /// Half of the announced body is sent, then it is closed.
    Half,
    /// Nothing is sent, and it stays open until the client gives up.
    Silence,
}

/// One reply.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<(Duration, Vec<u8>)>,
    chunked: bool,
    raw: bool,
    empty: bool,
    after: After,
}

impl Reply {
    /// A plain text with status 200.
    pub fn text(body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status: 200,
            headers: vec![("Content-Type".into(), "text/plain; charset=utf-8".into())],
            pieces: vec![(Duration::ZERO, body.into())],
            chunked: false,
            raw: false,
            empty: false,
            after: After::Keep,
        }
    }

    /// A page in HTML with status 200.
    pub fn html(body: impl Into<Vec<u8>>) -> Reply {
        let mut reply = Reply::text(body);
        reply.headers = vec![("Content-Type".into(), "text/html; charset=utf-8".into())];
        reply
    }

    /// JSON with status 200.
    pub fn json(body: &serde_json::Value) -> Reply {
        let mut reply = Reply::text(body.to_string());
        reply.headers = vec![("Content-Type".into(), "application/json".into())];
        reply
    }

    /// An empty body with a status.
    pub fn status(status: u16) -> Reply {
        Reply::text("").with_status(status)
    }

    /// These bytes instead of an HTTP answer, then the end of the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { raw: true, after: After::Close, ..Reply::text(bytes) }
    }

    /// No answer ever, on a connection that stays open.
    pub fn silence() -> Reply {
        Reply { after: After::Silence, ..Reply::text("") }
    }

    /// A reset of the connection instead of an answer.
    pub fn reset() -> Reply {
        Reply { empty: true, after: After::Reset, ..Reply::text("") }
    }

    /// The end of the connection instead of an answer.
    pub fn hang_up() -> Reply {
        Reply { empty: true, after: After::Close, ..Reply::text("") }
    }

    /// Another status.
    pub fn with_status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    /// One more header, sent as written here.
    pub fn header(mut self, name: &str, value: impl ToString) -> Reply {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    /// A pause before the first byte.
    pub fn delay(mut self, pause: Duration) -> Reply {
        self.pieces[0].0 = pause;
        self
    }

    /// One more piece of the body, a pause after the last one.
    pub fn then(mut self, pause: Duration, piece: impl Into<Vec<u8>>) -> Reply {
        self.pieces.push((pause, piece.into()));
        self
    }

    /// Chunked transfer encoding, a chunk for each piece, instead of a Content-Length.
    pub fn chunked(mut self) -> Reply {
        self.chunked = true;
        self
    }

    /// What becomes of the connection.
    pub fn after(mut self, after: After) -> Reply {
        self.after = after;
        self
    }

    pub(super) fn fate(&self) -> After {
        self.after
    }

    /// Sends the reply, all that is due at one moment in one write.
    ///
    /// # Errors
    /// When the client has gone.
    pub(crate) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        if self.empty || self.after == After::Silence {
            thread::sleep(self.pieces[0].0);
            return Ok(());
        }
        let length: usize = self.pieces.iter().map(|(_, piece)| piece.len()).sum();
        let mut allowed = if self.after == After::Half { length / 2 } else { length };
        let mut due = if self.raw { Vec::new() } else { self.head(length) };
        for (place, (pause, piece)) in self.pieces.iter().enumerate() {
            if !pause.is_zero() {
                // The head waits with the first piece: a slow server is silent, then speaks.
                if place > 0 {
                    stream.write_all(&due)?;
                    due.clear();
                }
                thread::sleep(*pause);
            }
            let piece = &piece[..piece.len().min(allowed)];
            allowed -= piece.len();
            if self.chunked && !piece.is_empty() {
                due.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            }
            due.extend_from_slice(piece);
            if self.chunked && !piece.is_empty() {
                due.extend_from_slice(b"\r\n");
            }
        }
        if self.chunked && self.after != After::Half {
            due.extend_from_slice(b"0\r\n\r\n");
        }
        stream.write_all(&due)
    }

    fn head(&self, length: usize) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        if self.after == After::Close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "As Asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut bytes = Vec::new();
        reply.write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_text_has_its_length_and_headers_as_given() {
        let text = written(&Reply::text("true").header("x-AKISMET-guid", "7"));
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nx-AKISMET-guid: 7\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 4\r\n\r\ntrue"), "{text}");
    }

    #[test]
    fn chunks_are_the_pieces() {
        let text = written(&Reply::text("tr").then(Duration::from_millis(1), "ue").chunked());
        assert!(text.ends_with("\r\n\r\n2\r\ntr\r\n2\r\nue\r\n0\r\n\r\n"), "{text}");
        assert!(!text.contains("Content-Length"), "{text}");
    }

    #[test]
    fn half_a_reply_announces_the_whole() {
        let text = written(&Reply::text("falsetrue!").after(After::Half));
        assert!(text.ends_with("Content-Length: 10\r\n\r\nfalse"), "{text}");
        let text = written(&Reply::text("true").chunked().after(After::Half));
        assert!(text.ends_with("\r\n\r\n2\r\ntr\r\n"), "{text}");
    }

    #[test]
    fn no_answer_is_no_bytes() {
        for reply in [Reply::silence(), Reply::reset(), Reply::hang_up()] {
            assert_eq!(written(&reply), "");
        }
        assert_eq!(written(&Reply::raw("\0garbage")), "\0garbage");
    }
}
