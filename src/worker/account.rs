//! What sessions ask about the account at Akismet: whether the key is good, how much of it is used, and
//! whether a webhook's sender knows it. Owns these requests and what their answers mean for who asked
//! and for the lane. The key itself never leaves the worker, but for Akismet.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::akismet::{Answer, Key, KeyReading, Notice, Reading, Request, Target};

use crate::checklog::sha256;
use crate::mailbox::Letter;
use crate::settings::Network;
use crate::submission;
use crate::worker::akismet;
use crate::worker::http::{self, Response};
use crate::worker::lane::Lane;
use crate::worker::presence::transaction;

/// Ids of these requests are below; those of lookups and of inserts that wait are above.
const IDS: i64 = i64::MIN / 2;

/// What a session asks.
#[derive(Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Account {
    /// Whether Akismet takes the key for this site.
    VerifyKey {
        /// The site; None: this machine.
        blog: Option<String>,
    },
    /// How many calls were made this month.
    UsageLimit,
    /// Whether this is the key's hash, the key in lower case.
    KnowsKey {
        /// SHA-256 in hexadecimal digits.
        hash: String,
    },
    /// What stands against requests.
    Lane,
}

/// What an answer will be for.
enum Purpose {
    /// The key is to be verified for a session, or to clear up a doubt.
    Verify { blog: Option<String> },
    /// The usage is asked for.
    Usage,
}

struct Call {
    purpose: Purpose,
    letter: Option<Letter>,
}

/// The requests about the account.
#[derive(Default)]
pub struct Calls {
    ready: VecDeque<Call>,
    out: HashMap<i64, Call>,
    made: i64,
}

impl Account {
    /// Answers at once what can be, and hands the rest to the calls.
    pub fn answer(self, letter: Letter, key: Option<&Key>, lane: &Lane, calls: &mut Calls) {
        let purpose = match (self, key) {
            (Account::Lane, _) => return say(Some(letter), &lane.told()),
            (_, None) => return say(Some(letter), &json!({ "failed": lane.keyless() })),
            (Account::KnowsKey { hash }, Some(key)) => {
                // The server's own function needs the memory of a transaction.
                let own = transaction("comparing keys", || key.with_lower_case(sha256));
                let knows = same(own.unwrap_or_default().as_bytes(), hash.as_bytes());
                return say(Some(letter), &json!({ "knows": knows }));
            }
            (Account::VerifyKey { blog }, Some(_)) => Purpose::Verify { blog },
            (Account::UsageLimit, Some(_)) => Purpose::Usage,
        };
        calls.ready.push_back(Call { purpose, letter: Some(letter) });
    }
}

impl Calls {
    /// Whether an answer with this id is one of these.
    pub const fn owns(id: i64) -> bool {
        id < IDS
    }

    /// Whether some are to be made.
    pub fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A refusal came that may not be Akismet's: the key is verified, once at a time.
    pub fn doubt(&mut self, blog: Option<String>) {
        let is_doubt = |call: &Call| call.letter.is_none();
        if !self.ready.iter().any(is_doubt) && !self.out.values().any(is_doubt) {
            self.ready.push_back(Call { purpose: Purpose::Verify { blog }, letter: None });
        }
    }

    /// Nobody can be asked now.
    pub fn refuse(&mut self, why: &str) {
        for call in self.ready.drain(..) {
            say(call.letter, &json!({ "failed": why }));
        }
    }

    /// Sends those that are ready.
    pub fn send(&mut self, send: impl Fn(http::Request), key: &Key, network: &Network) {
        while let Some(call) = self.ready.pop_front() {
            let request = match &call.purpose {
                Purpose::Usage => Request::usage_limit(key),
                Purpose::Verify { blog } => {
                    let blog = blog.clone().unwrap_or_else(akismet::this_machine);
                    Request::verify_key(&Target { key: key.clone(), blog, lang: None })
                }
            };
            self.made += 1;
            let id = IDS - self.made;
            send(akismet::post(id, &request, network));
            self.out.insert(id, call);
        }
    }

    /// Reads an answer.
    pub fn read(
        &mut self,
        id: i64,
        answer: Result<Response, String>,
        key: Option<&Key>,
        lane: &mut Lane,
    ) {
        let Some(call) = self.out.remove(&id) else { return };
        let (Some(key), Ok(response)) = (key, &answer) else {
            let why = match (key, answer) {
                (Some(key), Err(why)) => key.redact(&why),
                _ => "the key was taken away".to_owned(),
            };
            return say(call.letter, &json!({ "failed": why }));
        };
        let (status, headers, body) = (response.status, &response.headers, &response.body);
        let answer = Answer { status, headers, body };
        let now = submission::wall_clock();
        let said = match call.purpose {
            Purpose::Usage => match answer.usage(key, now) {
                Ok(usage) => {
                    if usage["throttled"] == true {
                        lane.note(Some(throttled(&usage)));
                    }
                    json!({ "usage": usage })
                }
                Err(
                    Reading::Config { reason, .. }
                    | Reading::Misled { reason }
                    | Reading::Held { reason, .. }
                    | Reading::RequestRefused { reason }
                    | Reading::Transient { reason, .. },
                ) => json!({ "failed": reason }),
                Err(_) => json!({ "failed": "the answer is not one to usage-limit" }),
            },
            Purpose::Verify { .. } => match answer.verify_key(key, now) {
                KeyReading::Valid { notice } => {
                    lane.note(notice);
                    if call.letter.is_some() {
                        lane.answered();
                    }
                    json!({ "valid": true })
                }
                KeyReading::Invalid { reason } => {
                    lane.refused(&reason);
                    json!({ "invalid": reason })
                }
                KeyReading::Unknown { reason, .. } => json!({ "failed": reason }),
            },
        };
        say(call.letter, &said);
    }
}

fn throttled(usage: &Json) -> Notice {
    let message = format!("{} of {} calls are used this month", usage["usage"], usage["limit"]);
    Notice { code: "throttled".into(), message, degraded: true }
}

fn say(letter: Option<Letter>, words: &Json) {
    if let Some(letter) = letter {
        letter.reply(Some(words.to_string().as_bytes()));
    }
}

/// Compares without telling by its time where the difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b))) == 0
}
