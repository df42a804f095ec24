//! Owns the check `rate_limit`: who sends more often than people do has to wait. It must not count: the
//! sessions of a server do that together.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::networks;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::surroundings;
use crate::verdict::Action;

/// The check `rate_limit` (`ActionKit`'s "Ratelimit Actions": over 20 actions a minute from one IP are
/// blocked, and the block is lifted after 60 more seconds).
pub struct RateLimit;

/// The fields that say who sends.
const KEYS: &[&str] = &["ip", "email", "author", "user_id", "user_agent"];

/// Characters of a key that the log shows.
const SHOWN: usize = 200;

impl Check for RateLimit {
    fn name(&self) -> &'static str {
        "rate_limit"
    }

    fn summary(&self) -> &'static str {
        "The sender tries too often"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::ActionKit]
    }

    fn action(&self) -> Action {
        Action::Reject
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "max",
                kind: OptionKind::Integer { min: 0, max: 1_000_000 },
                default: "20",
                meaning: "More tries than this in any row of time are refused; 0: every one is",
            },
            OptionSpec {
                name: "per",
                kind: OptionKind::Interval,
                default: "\"1 minute\"",
                meaning: "The time that tries are counted over",
            },
            OptionSpec {
                name: "block",
                kind: OptionKind::Interval,
                default: "\"1 minute\"",
                meaning: "How long all tries are refused once there were too many; null: only those that are too many",
            },
            OptionSpec {
                name: "key",
                kind: OptionKind::OneOf(KEYS),
                default: "\"ip\"",
                meaning: "The field that tells senders apart; a submission without it is not counted, nor one with the user_id 0",
            },
            OptionSpec {
                name: "ipv6_prefix",
                kind: OptionKind::Integer { min: 0, max: 128 },
                default: "64",
                meaning: "Leading bits of an IPv6 address that make a sender; null: all 128",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "No person sends twenty comments in a minute. Tries are counted for each sender over all \
         sessions, whether they succeed or not, in shared memory and before every other check, \
         for all types of submission. Up to a `max` of 32 each try has its own time; above, tries \
         of a 30th of `per` share one, and may count up to that much too long: never do more than \
         `max` pass, a burst of `max` passes whole, and who sends all the time just below the \
         limit may be refused. After a block counting starts anew, so with a `block` shorter than \
         `per` more than `max` pass in that time; the setting is warned of. What `bypass` or \
         `ip_allow` lets pass is not counted, nor what has no key, nor an UPDATE. A refusal has \
         the constraint `spamcheck_rate_limit` and tells the app in `retry_after` how many \
         seconds are left. The log has one entry for each block, with the number of the \
         refused, which a line of `pg_spamcheck.log_file` has only as of its writing. In a \
         trial nobody is refused; the log has the same entries. How many senders are remembered \
         at once is `pg_spamcheck.rate_limit_entries`."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"options = '{"max": 2}'"#,
            sql: r#"INSERT INTO comments (ip, body) VALUES ('198.51.100.9', 'One.');
INSERT INTO comments (ip, body) VALUES ('198.51.100.9', 'Two.');
INSERT INTO comments (ip, body) VALUES ('198.51.100.9', 'Three.');"#,
            output: r#"
ERROR:  Sorry, please wait a minute and try again
DETAIL:  {"code":"spamcheck_rate_limit","relation":"public.comments","retry_after":…}
HINT:  The DETAIL has the seconds to wait as retry_after. The limit is check rate_limit in spamcheck.check_setting.
"#,
            fails: true,
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let (Some(max), Some(per)) = (options.integer("max"), options.text("per")) else {
            return Ok(Compiled::Nothing);
        };
        let block = match options.text("block") {
            Some(block) => read(backing, "block", block, 0)?,
            None => 0,
        };
        let limit = surroundings::RateLimit {
            max: u32::try_from(max).unwrap_or(u32::MAX),
            per: read(backing, "per", per, 1)?,
            block,
        };
        let key = options.text("key").and_then(Field::from_name).unwrap_or(Field::Ip);
        let ipv6_prefix = options.integer("ipv6_prefix").and_then(|bits| u8::try_from(bits).ok());
        let (ipv6_prefix, per) = (ipv6_prefix.unwrap_or(128), per.to_owned());
        Ok(Compiled::First(Box::new(Limit { limit, per, key, ipv6_prefix })))
    }
}

/// An interval of at least `least` microseconds.
fn read(backing: &mut dyn Backing, option: &str, text: &str, least: i64) -> Result<i64, Refusal> {
    let refusal = |why: String| {
        let above =
            if least > 0 { "an interval above zero" } else { "an interval of zero or more" };
        Refusal::new(format!(
            "option \"{option}\" of check rate_limit takes {above}, not {}{why}",
            Refusal::quote(text)
        ))
        .with_hint("Write it as PostgreSQL does, such as \"1 minute\".")
    };
    match backing.interval(text) {
        Ok(length) if length >= least => Ok(length),
        Ok(_) => Err(refusal(String::new())),
        Err(why) => Err(refusal(format!(": {why}"))),
    }
}

struct Limit {
    limit: surroundings::RateLimit,
    /// As it is set, for people.
    per: String,
    key: Field,
    ipv6_prefix: u8,
}

impl Limit {
    /// Who sent the submission; None: it does not say.
    fn sender(&self, facts: &Facts<'_>) -> Option<String> {
        let text = match self.key {
            Field::Ip => {
                let address = facts.ip()?;
                let bits = if address.is_ipv4() { 32 } else { self.ipv6_prefix };
                return Some(networks::around(address, bits));
            }
            // People write these in many ways, programs do not.
            Field::Author | Field::Email => facts.normalised(self.key)?,
            Field::UserId => facts.account()?,
            key => facts.text(key)?,
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl LocalCheck for Limit {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&[self.key])
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let Some(sender) = self.sender(facts) else { return Ok(None) };
        let name = self.key.name();
        let Some(refused) =
            facts.surroundings().count_try(&format!("{name} {sender}"), self.limit)?
        else {
            return Ok(None);
        };
        let max = self.limit.max;
        let noun = if max == 1 { "try" } else { "tries" };
        let shown: String = sender.chars().take(SHOWN).collect();
        let retry_after = seconds(refused.retry_after);
        Ok(Some(Hit::new(
            format!("more than {max} {noun} in {} from {name} {shown}", self.per),
            json!({"key": name, "sender": shown, "max": max, "per": self.per,
                   "refused": refused.count, "retry_after": retry_after}),
        )))
    }
}

/// Whole seconds, rounded up: who waits that long has waited long enough.
fn seconds(microseconds: i64) -> i64 {
    microseconds.div_euclid(1_000_000) + i64::from(microseconds.rem_euclid(1_000_000) > 0)
}

#[cfg(test)]
#[path = "rate_limit/tests.rs"]
mod tests;
