//! The visitor's half of captchas: a solver of ALTCHA's challenges as a browser's widget is one, and a
//! stand-in for the services that verify tokens. It knows the protocols from their documentation only.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{Reply, Request, Server};

/// Solves a challenge of ALTCHA's first protocol; what goes into the form.
///
/// # Panics
/// When the challenge has no solution.
#[track_caller]
pub fn solve(challenge: &Value) -> String {
    let text = |name: &str| challenge[name].as_str().expect("a v1 challenge has texts");
    let most = challenge["maxnumber"].as_u64().expect("a v1 challenge has a greatest number");
    let digest = |n: u64| hex(&Sha256::digest(format!("{}{n}", text("salt"))));
    let number = (0..=most).find(|n| digest(*n) == text("challenge"));
    encode(&json!({
        "algorithm": text("algorithm"), "challenge": text("challenge"), "salt": text("salt"),
        "signature": text("signature"), "number": number.expect("the challenge has a solution"),
        "took": 1
    }))
}

/// Solves a challenge of the second protocol, by PBKDF2.
///
/// # Panics
/// When it is not one.
#[track_caller]
pub fn solve_v2(challenge: &Value) -> String {
    let parameters = &challenge["parameters"];
    let text = |name: &str| parameters[name].as_str().expect("a v2 challenge has texts");
    assert_eq!(text("algorithm"), "PBKDF2/SHA-256");
    let cost = parameters["cost"].as_u64().expect("it costs something");
    let (nonce, salt) = (unhex(text("nonce")), unhex(text("salt")));
    let key = |counter: u32| {
        let password = [nonce.as_slice(), &counter.to_be_bytes()].concat();
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&password).expect("any key will do");
        let round = |data: &[u8]| -> [u8; 32] {
            let mut mac = mac.clone();
            mac.update(data);
            mac.finalize().into_bytes().into()
        };
        let mut last = round(&[salt.as_slice(), &1_u32.to_be_bytes()].concat());
        let mut all = last;
        for _ in 1..cost {
            last = round(&last);
            all.iter_mut().zip(last).for_each(|(byte, more)| *byte ^= more);
        }
        hex(&all)
    };
    let mut found =
        (0..).map(|n| (n, key(n))).filter(|(_, key)| key.starts_with(text("keyPrefix")));
    let (counter, key) = found.next().expect("a counter has the prefix");
    encode(
        &json!({ "challenge": challenge, "solution": { "counter": counter, "derivedKey": key } }),
    )
}

/// A solved challenge of the first protocol, as whoever has the key could make one.
pub fn signed(key: &str, salt: &str) -> String {
    let challenge = hex(&Sha256::digest(format!("{salt}7")));
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).expect("any key will do");
    mac.update(challenge.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    encode(&json!({ "algorithm": "SHA-256", "challenge": challenge, "number": 7, "salt": salt,
                    "signature": signature }))
}

fn encode(payload: &Value) -> String {
    STANDARD.encode(payload.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |n: usize| u8::from_str_radix(&text[n..n + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

/// A PNG's pixels.
#[derive(Debug)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue of each pixel.
    pub pixels: Vec<[u8; 3]>,
}

/// Decodes a PNG in base64 with a decoder that others wrote.
///
/// # Panics
/// When it is none.
#[track_caller]
pub fn picture(base64: &str) -> Picture {
    let bytes = STANDARD.decode(base64).expect("base64");
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut buffer = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut buffer).expect("a whole PNG");
    reader.finish().expect("a PNG with an end");
    let pixels = buffer[..info.buffer_size()].chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
    Picture { width: info.width, height: info.height, pixels }
}

/// The secret that the stand-in takes, whichever service it stands for.
pub const SECRET: &str = "the-secret-of-the-site";

/// A stand-in for the services' siteverify. It takes every token that begins with `good`, once.
pub struct Siteverify {
    server: Server,
}

impl Siteverify {
    /// Starts it on a free port.
    pub fn start() -> Siteverify {
        let used = Mutex::new(HashSet::new());
        Siteverify { server: Server::start(move |request| reply(request, &used)) }
    }

    /// How often a token was asked about.
    pub fn asked(&self, token: &str) -> usize {
        self.about(token).len()
    }

    /// The requests about a token.
    pub fn about(&self, token: &str) -> Vec<std::sync::Arc<Request>> {
        let all = self.server.requests().into_iter();
        all.filter(|request| request.param("response").as_deref() == Some(token)).collect()
    }

    /// Answers requests about a token so.
    pub fn answer(&self, token: &str, reply: Reply) {
        self.server.always(of(token), reply);
    }

    /// Answers the next request about a token so.
    pub fn answer_once(&self, token: &str, reply: Reply) {
        self.server.once(of(token), reply);
    }
}

impl Deref for Siteverify {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn of(token: &str) -> impl Fn(&Request) -> bool + Send + Sync + 'static {
    let token = token.to_owned();
    move |request| request.param("response").as_deref() == Some(&*token)
}

fn reply(request: &Request, used: &Mutex<HashSet<String>>) -> Reply {
    let no = |code: &str| Reply::json(&json!({ "success": false, "error-codes": [code] }));
    if request.param("secret").as_deref() != Some(SECRET) {
        return no("invalid-input-secret");
    }
    let token = request.param("response").unwrap_or_default();
    if !token.starts_with("good") {
        return no("invalid-input-response");
    }
    // A second request with the same idempotency key is the same use.
    let key = request.param("idempotency_key").unwrap_or_default();
    let fresh = used.lock().expect("no panic while it is held").insert(format!("{token} {key}"));
    if fresh || !key.is_empty() {
        Reply::json(&json!({ "success": true, "hostname": "blog.example", "error-codes": [] }))
    } else {
        no("timeout-or-duplicate")
    }
}
