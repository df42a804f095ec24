//! Owns application/x-www-form-urlencoded. It must not know a parameter by name.

/// Appends one parameter, after an ampersand unless it is the first.
///
/// Letters, digits and `-._~` stay, a blank becomes `+`, every other byte of the UTF-8 becomes
/// `%XX`: as Python's `urlencode` writes the reference vector. Every decoder reads the WHATWG form
/// and this one alike.
pub(crate) fn append(body: &mut String, name: &str, value: &str) {
    if !body.is_empty() {
        body.push('&');
    }
    encode(body, name);
    body.push('=');
    encode(body, value);
}

fn encode(body: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                body.push(char::from(byte));
            }
            b' ' => body.push('+'),
            _ => {
                body.push('%');
                body.push(char::from(HEX[usize::from(byte >> 4)]));
                body.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}
