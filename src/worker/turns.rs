//! Whose turn it is at a host: its pages are asked for one at a time, and whoever has a slow one must not keep
//! everybody else's waiting. Owns when a question may be taken in hand; asks nobody.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Questions to one host that are in hand: the one that is out, and the next.
const IN_HAND: usize = 2;
/// How long an answer takes, where nothing is known of the host, and at the most.
const ANSWER: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// Hosts of which more is known than is needed are forgotten when there are so many.
const MANY: usize = 1_000;

struct Host {
    /// How long its last answer took.
    takes: Duration,
    /// When its next turn is that no lookup waits for.
    free: Instant,
}

/// The hosts that were asked lately.
#[derive(Default)]
pub struct Turns {
    hosts: HashMap<String, Host>,
}

impl Turns {
    /// A host has answered.
    pub fn answered(&mut self, host: &str, took: Duration) {
        self.at(host).takes = took.clamp(ANSWER, LONGEST);
    }

    /// How long a question waits in the queue while so many to its host are in hand, the longest of them for so
    /// long: each waits an answer longer than the one before. None: it can be taken in hand.
    pub fn wait(&mut self, host: &str, in_hand: usize, longest: Duration) -> Option<Duration> {
        if in_hand < IN_HAND {
            return None;
        }
        let now = Instant::now();
        let host = self.at(host);
        host.free = host.free.max(now) + host.takes.max(longest).min(LONGEST);
        Some(host.free - now)
    }

    fn at(&mut self, host: &str) -> &mut Host {
        let now = Instant::now();
        if self.hosts.len() > MANY {
            self.hosts.retain(|_, host| host.free > now);
        }
        self.hosts.entry(host.to_owned()).or_insert(Host { takes: ANSWER, free: now })
    }
}
