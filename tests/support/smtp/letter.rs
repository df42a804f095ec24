//! A mail as it came, and what a mail program would show of it (RFC 5322, 2045, 2047).

/// A mail that the server has taken.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Whom the envelope says it is from.
    pub from: String,
    /// Whom the envelope says it is for.
    pub to: Vec<String>,
    /// Whether it came over TLS.
    pub secured: bool,
    /// The user who was logged in.
    pub user: Option<String>,
    /// Head and body as they came.
    pub text: String,
}

impl Letter {
    /// The lines of the head, unfolded.
    #[must_use]
    pub fn head(&self) -> Vec<String> {
        let head = self.text.split_once("\n\n").map_or(&*self.text, |(head, _)| head);
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        unfolded.lines().map(str::to_owned).collect()
    }

    /// What a header says, decoded; empty if there is none.
    ///
    /// # Panics
    /// When it is there twice.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let start = format!("{}:", name.to_ascii_lowercase());
        let head = self.head();
        let lines: Vec<_> =
            head.iter().filter(|line| line.to_ascii_lowercase().starts_with(&start)).collect();
        assert!(lines.len() <= 1, "{lines:?}");
        let line = lines.first().map_or("", |line| line[start.len()..].trim());
        let words = line.split(' ').map(word).collect::<Vec<_>>();
        words.join(" ")
    }

    /// The body, decoded.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn body(&self) -> String {
        let body = self.text.split_once("\n\n").map_or("", |(_, body)| body);
        let bytes = match &*self.header("Content-Transfer-Encoding") {
            "base64" => base64(&body.replace('\n', "")),
            "quoted-printable" => quoted_printable(body),
            _ => body.as_bytes().to_vec(),
        };
        let body = String::from_utf8(bytes).expect("the body is UTF-8");
        body.replace("\r\n", "\n")
    }
}

/// An encoded word of a header.
fn word(word: &str) -> String {
    let inner = word.strip_prefix("=?").and_then(|w| w.strip_suffix("?="));
    let Some((_, rest)) = inner.and_then(|inner| inner.split_once('?')) else { return word.into() };
    match rest.split_once('?') {
        Some(("b" | "B", text)) => String::from_utf8_lossy(&base64(text)).into_owned(),
        Some(("q" | "Q", text)) => {
            String::from_utf8_lossy(&quoted_printable(&text.replace('_', " "))).into_owned()
        }
        _ => word.into(),
    }
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = (first == b'=').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        (rest, _) = match byte {
            Some(byte) => (&after[2..], bytes.push(byte)),
            None => (after, bytes.push(first)),
        };
    }
    bytes
}

/// Base64 (RFC 4648), decoded as far as it is some.
#[must_use]
pub fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|d| *d == byte)) {
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_reads_as_a_mail_program_shows_it() {
        let letter = Letter {
            from: String::new(),
            to: vec![],
            secured: false,
            user: None,
            text: "Subject: =?utf-8?b?w6Q=?= and\n more\nContent-Transfer-Encoding: \
                   quoted-printable\n\na=C3=A4 long=\n line\n"
                .into(),
        };
        assert_eq!(letter.header("subject"), "ä and more");
        assert_eq!(letter.body(), "aä long line\n");
        assert_eq!(base64("aGVsbG8="), b"hello");
    }
}
