//! The lane of captcha services: a visitor waits, so a token is asked about at once and for three seconds at
//! most, with one more try within them. Owns the requests and what the services are known to be like; what
//! their answers mean is the engine's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use pgrx::{PgSqlErrorCode, ereport};
use serde::Deserialize;
use serde_json::json;
use spamcheck_engine::captcha::Provider;
use spamcheck_engine::captcha::siteverify::{self, Reading};
use ureq::Agent;

use crate::mailbox::Letter;
use crate::secrets;
use crate::settings::Network;
use crate::shared::{Database, Service};
use crate::worker::akismet::user_agent;
use crate::worker::http::Agents;
use crate::worker::pool::{Bell, Job, Pool};

/// How long a token is asked about.
const PATIENCE: Duration = Duration::from_millis(2_900);
/// How long the first try may take; what is left is for the second.
const FIRST: Duration = Duration::from_millis(1_900);
/// A second try that has less time than this is none.
const LEAST: Duration = Duration::from_millis(100);
/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 16 * 1024;

/// What a session asks about.
#[derive(Deserialize)]
pub struct Token {
    provider: String,
    token: String,
    ip: Option<IpAddr>,
    /// Where the form is, if that is known.
    host: Option<String>,
    /// The same for every try.
    idempotency: String,
}

/// A request, for a thread.
struct Verification {
    id: i64,
    agent: Agent,
    url: String,
    /// Holds secret and token, so it is never printed.
    body: String,
    provider: Provider,
    host: Option<String>,
    deadline: Instant,
}

struct Verified {
    id: i64,
    reading: Reading,
}

impl Job for Verification {
    type Done = Verified;

    fn run(&self) -> Verified {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() as i64);
        let left = || self.deadline.saturating_duration_since(Instant::now());
        let mut reading = self.read(left().min(FIRST), now);
        if matches!(reading, Reading::Transient(_)) && left() >= LEAST {
            reading = self.read(left(), now);
        }
        Verified { id: self.id, reading }
    }

    fn failed(&self, why: String) -> Verified {
        Verified { id: self.id, reading: Reading::Transient(why) }
    }
}

impl Verification {
    fn read(&self, limit: Duration, now: i64) -> Reading {
        match self.ask(limit) {
            Ok((status, body)) => {
                siteverify::read(self.provider, status, &body, self.host.as_deref(), now)
            }
            Err(error) => {
                Reading::Transient(format!("{} does not answer: {error}", self.provider.name()))
            }
        }
    }

    fn ask(&self, limit: Duration) -> Result<(u16, Vec<u8>), ureq::Error> {
        let mut response = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(limit))
            .build()
            .content_type(spamcheck_engine::akismet::Request::CONTENT_TYPE)
            .send(self.body.as_str())?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok((status, body))
    }
}

/// The lane.
pub struct Siteverify {
    database: &'static Database,
    pool: Pool<Verification>,
    agents: Option<Agents>,
    out: HashMap<i64, (Letter, Provider)>,
    asked: i64,
}

impl Siteverify {
    /// One that has asked nothing yet.
    pub fn new(database: &'static Database, bell: Bell) -> Self {
        for service in &database.services {
            service.store(Service::Fine as u32, Ordering::Relaxed);
        }
        let (pool, out) = (Pool::new(bell), HashMap::new());
        Self { database, pool, agents: None, out, asked: 0 }
    }

    /// Network settings changed: the next request takes the new ones.
    pub fn configure(&mut self) {
        self.agents = None;
    }

    /// Asks about a token.
    pub fn take(&mut self, letter: Letter, token: Token, network: &Network) {
        let Some(provider) = Provider::from_name(&token.provider) else {
            letter.reply(None);
            return;
        };
        match self.verification(provider, token, network) {
            Ok(verification) => {
                self.out.insert(verification.id, (letter, provider));
                self.pool.send(verification);
            }
            Err(why) => reply(letter, &Reading::Config(why)),
        }
    }

    fn verification(
        &mut self,
        provider: Provider,
        token: Token,
        network: &Network,
    ) -> Result<Verification, String> {
        let name = provider.name();
        let secret = match secrets::secret(name) {
            Ok(Some(secret)) => secret,
            Ok(None) => return Err(format!("the secrets file has no \"{name}\"")),
            Err(fault) => {
                return Err(format!(
                    "the secrets file cannot be used: {}",
                    fault.trim_end_matches('.')
                ));
            }
        };
        let url = match provider {
            Provider::Recaptcha => &network.recaptcha_url,
            Provider::Hcaptcha => &network.hcaptcha_url,
            _ => &network.turnstile_url,
        };
        let agents = match &mut self.agents {
            Some(agents) => agents,
            none => none.insert(Agents::new(network, &user_agent())?),
        };
        let agent = agents.to(url).clone();
        self.asked += 1;
        let body = siteverify::body(provider, &secret, &token.token, token.ip, &token.idempotency);
        Ok(Verification {
            id: self.asked,
            agent,
            url: url.clone(),
            body,
            provider,
            host: token.host,
            deadline: Instant::now() + PATIENCE,
        })
    }

    /// Hands out the answers that came.
    pub fn answer(&mut self) {
        for Verified { id, reading } in self.pool.collect() {
            let Some((letter, provider)) = self.out.remove(&id) else { continue };
            self.learn(provider, &reading);
            reply(letter, &reading);
        }
    }

    /// What an answer says about the service; one line in the server's log for each change.
    fn learn(&self, provider: Provider, reading: &Reading) {
        let (now, why) = match reading {
            Reading::Solved | Reading::Wrong(_) => (Service::Fine, ""),
            Reading::Config(why) => (Service::Refuses, why.as_str()),
            Reading::Transient(why) => (Service::Down, why.as_str()),
        };
        let place = &self.database.services[place(provider)];
        let name = provider.name();
        if place.swap(now as u32, Ordering::AcqRel) == now as u32 {
            return;
        }
        let code = PgSqlErrorCode::ERRCODE_CONNECTION_EXCEPTION;
        match now {
            Service::Fine => ereport!(LOG, code, format!("{name} verifies captchas again")),
            Service::Refuses => ereport!(
                WARNING,
                PgSqlErrorCode::ERRCODE_INVALID_PASSWORD,
                format!("{name} does not accept our secret; submissions are moderated"),
                why.to_owned()
            ),
            Service::Down => ereport!(
                WARNING,
                code,
                format!("{name} does not answer as it should; submissions are moderated"),
                why.to_owned()
            ),
        }
    }
}

/// Where shared memory has a service's state.
pub const fn place(provider: Provider) -> usize {
    match provider {
        Provider::Recaptcha => 0,
        Provider::Hcaptcha => 1,
        _ => 2,
    }
}

fn reply(letter: Letter, reading: &Reading) {
    let said = match reading {
        Reading::Solved => json!({ "said": "solved" }),
        Reading::Wrong(why) => json!({ "said": "wrong", "why": why }),
        Reading::Config(why) | Reading::Transient(why) => {
            json!({ "said": "unverified", "why": why })
        }
    };
    letter.reply(Some(said.to_string().as_bytes()));
}
