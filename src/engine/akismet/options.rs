//! Owns the options of the check `akismet` (interface, section 7) and their meaning. It must not
//! decide whether a mode is served: that is the caller's.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::refusal::Refusal;

const CHECK: &str = "akismet";

/// The options of the check, as the catalogue shows them.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "mode",
        kind: OptionKind::OneOf(&["async", "hold", "wait"]),
        default: "\"async\"",
        meaning: "When the verdict comes. async: the row goes in as it is and the verdict follows; \
                  hold: it waits as moderate until then; wait: the insert waits up to wait_ms for \
                  the verdict.",
    },
    OptionSpec {
        name: "wait_ms",
        kind: OptionKind::Integer { min: 1, max: 60_000 },
        default: "1500",
        meaning: "How many milliseconds an insert waits in mode wait, for all its rows together; \
                  those that are left go on without an answer. null: it does not wait.",
    },
    OptionSpec {
        name: "on_failure",
        kind: OptionKind::OneOf(&["accept", "hold"]),
        default: "\"accept\"",
        meaning: "What becomes of a row without an answer. In mode wait, when wait_ms is over: \
                  accept goes on as async, hold as hold. When its lookup expires or fails: accept gives a \
                  row that was held its own status back, hold leaves it to a moderator, who finds it in the log and the mail.",
    },
    OptionSpec {
        name: "blog",
        kind: OptionKind::Text,
        default: "null",
        meaning: "The home page's URL that Akismet knows the site by.",
    },
    OptionSpec {
        name: "comment_type",
        kind: OptionKind::Object,
        default: "{}",
        meaning: "Akismet's comment_type for a type of submission, where the usual one does not \
                  fit, such as {\"letter\": \"message\"}.",
    },
    OptionSpec {
        name: "send",
        kind: OptionKind::Object,
        default: "{\"author\": true, \"email\": true, \"ip\": true, \"user_agent\": true, \
                  \"referrer\": true, \"permalink\": true}",
        meaning: "Which fields are sent beside the text.",
    },
    OptionSpec {
        name: "anonymize",
        kind: OptionKind::Boolean,
        default: "false",
        meaning: "Send no e-mail address and no homepage, a neutral name, and only the network \
                  of the IP address (/24, /48).",
    },
    OptionSpec {
        name: "is_test",
        kind: OptionKind::Boolean,
        default: "false",
        meaning: "Mark every call as a test, so that Akismet does not learn from it.",
    },
    OptionSpec {
        name: "discard_blatant",
        kind: OptionKind::Boolean,
        default: "false",
        meaning: "Refuse what Akismet calls so blatant that nobody needs to review it, whatever the \
                  action (but log): in mode wait the row is rejected; one that is in already \
                  becomes spam. Nothing is ever deleted.",
    },
    OptionSpec {
        name: "give_up_after",
        kind: OptionKind::Interval,
        default: "\"15 days\"",
        meaning: "When a lookup without an answer expires, which stays in spamcheck.lookup for \
                  retry_lookups(); on_failure says what becomes of a row that was held for it. \
                  null: never.",
    },
];

/// When the verdict reaches the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The row goes in as it is, the verdict follows.
    Async,
    /// The row goes in as moderate and gets its own status back when it passes.
    Hold,
    /// The insert waits for the answer.
    Wait,
}

/// What becomes of a row without an answer, be it in time (mode `wait`) or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on as in mode `async`; one that was held gets its own status back.
    Accept,
    /// It is held, or still is.
    Hold,
}

/// Which fields are sent beside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// The author's name.
    pub author: bool,
    /// The author's e-mail address.
    pub email: bool,
    /// The address the submission came from.
    pub ip: bool,
    /// The browser.
    pub user_agent: bool,
    /// The page before the form.
    pub referrer: bool,
    /// The address of the article.
    pub permalink: bool,
}

/// The options, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// When the verdict reaches the row.
    pub mode: Mode,
    /// Milliseconds that an insert waits in mode `wait`; none: it does not.
    pub wait_ms: Option<u32>,
    /// What follows without an answer in time, or when a lookup expires.
    pub on_failure: OnFailure,
    /// The home page's URL.
    pub blog: Option<String>,
    /// Akismet's word for a type of submission, where it is set.
    pub comment_type: BTreeMap<String, String>,
    /// Which fields are sent.
    pub send: Send,
    /// Whether persons are kept out of it.
    pub anonymize: bool,
    /// Whether calls are marked as tests.
    pub is_test: bool,
    /// Whether what is blatant is refused, whatever the action.
    pub discard_blatant: bool,
    /// When a lookup expires, as PostgreSQL's interval takes it; none: never.
    pub give_up_after: Option<String>,
}

impl Options {
    /// Whether a row that was not answered yet is held as moderate: mode `hold`, or mode `wait` without
    /// an answer in time where `on_failure` says so.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.mode {
            Mode::Async => false,
            Mode::Hold => true,
            Mode::Wait => self.on_failure == OnFailure::Hold,
        }
    }

    /// Reads the options of a `check_setting`; what is not given has its default.
    ///
    /// # Errors
    /// Refuses unknown options and values that an option does not take.
    pub fn parse(json: &Json) -> Result<Self, Refusal> {
        let values = OptionValues::read(CHECK, OPTIONS, json)?;
        let all = values.to_json();
        let object = |name: &str| all[name].as_object().cloned().unwrap_or_default();
        Ok(Self {
            mode: match values.text("mode") {
                Some("hold") => Mode::Hold,
                Some("wait") => Mode::Wait,
                _ => Mode::Async,
            },
            wait_ms: values.integer("wait_ms").and_then(|ms| u32::try_from(ms).ok()),
            on_failure: match values.text("on_failure") {
                Some("hold") => OnFailure::Hold,
                _ => OnFailure::Accept,
            },
            blog: values.text("blog").map(blog).transpose()?,
            comment_type: object("comment_type")
                .iter()
                .map(|(kind, word)| comment_type(kind, word))
                .collect::<Result<_, _>>()?,
            send: send(&object("send"))?,
            anonymize: values.boolean("anonymize"),
            is_test: values.boolean("is_test"),
            discard_blatant: values.boolean("discard_blatant"),
            give_up_after: values.text("give_up_after").map(str::to_owned),
        })
    }
}

/// Akismet wants the home page with its scheme; without one it calls the key invalid.
fn blog(text: &str) -> Result<String, Refusal> {
    let host = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bad = |letter: char| letter.is_whitespace() || letter.is_control();
    let place = host.map(|host| host.split(['/', '?', '#']).next().unwrap_or(host));
    if place.is_some_and(|place| place.contains('@')) {
        // Not repeated: there may be a password in it.
        return Err(Refusal::new(format!(
            "option \"blog\" of check {CHECK} takes no URL with a user name in it"
        ))
        .with_hint("It is the address of the site's home page, such as https://example.com/."));
    }
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') && !text.contains(bad) => {
            Ok(text.to_owned())
        }
        _ => Err(Refusal::new(format!(
            "option \"blog\" of check {CHECK} takes a URL that begins with http:// or https://, \
             not {}",
            Refusal::quote(text)
        ))
        .with_hint("It is the address of the site's home page, such as https://example.com/.")),
    }
}

fn comment_type(kind: &str, word: &Json) -> Result<(String, String), Refusal> {
    match word.as_str().map(str::trim).filter(|word| !word.is_empty()) {
        Some(word) => Ok((kind.to_lowercase(), word.to_owned())),
        None => Err(Refusal::new(format!(
            "option \"comment_type\" of check {CHECK} takes a word for {}, not {}",
            Refusal::quote(kind),
            Refusal::shown(word)
        ))
        .with_hint(
            "Akismet knows comment, forum-post, reply, blog-post, contact-form, signup, message, \
             trackback, pingback, and takes any other word.",
        )),
    }
}

fn send(given: &Map<String, Json>) -> Result<Send, Refusal> {
    let mut send = Send {
        author: true,
        email: true,
        ip: true,
        user_agent: true,
        referrer: true,
        permalink: true,
    };
    for (name, value) in given {
        let slot = match name.as_str() {
            "author" => &mut send.author,
            "email" => &mut send.email,
            "ip" => &mut send.ip,
            "user_agent" => &mut send.user_agent,
            "referrer" => &mut send.referrer,
            "permalink" => &mut send.permalink,
            _ => {
                return Err(Refusal::new(format!(
                    "option \"send\" of check {CHECK} has no field {}",
                    Refusal::quote(name)
                ))
                .with_hint("Its fields are author, email, ip, user_agent, referrer, permalink."));
            }
        };
        *slot = value.as_bool().ok_or_else(|| {
            Refusal::new(format!(
                "option \"send\" of check {CHECK} takes true or false for \"{name}\", not {}",
                Refusal::shown(value)
            ))
            .with_hint("Fields that are left out are sent; write false for one that must not be.")
        })?;
    }
    Ok(send)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_given_has_the_documented_default() {
        let documented = json!({"mode": "async", "wait_ms": 1500, "on_failure": "accept",
            "blog": null, "comment_type": {}, "send": {"author": true, "email": true, "ip": true,
            "user_agent": true, "referrer": true, "permalink": true}, "anonymize": false,
            "is_test": false, "discard_blatant": false, "give_up_after": "15 days"});
        assert_eq!(Options::parse(&json!({})), Options::parse(&documented));
        let partial = Options::parse(&json!({"send": {"email": false}})).unwrap();
        assert!(partial.send.ip && !partial.send.email);
        assert_eq!(partial.wait_ms, Some(1500));
    }

    #[test]
    fn every_option_is_read() {
        let options = Options::parse(&json!({"mode": "wait", "wait_ms": null,
            "on_failure": "hold", "blog": "https://example.com/", "anonymize": true,
            "comment_type": {"Letter": "message"}, "is_test": true, "give_up_after": null}))
        .unwrap();
        assert_eq!((options.mode, options.on_failure), (Mode::Wait, OnFailure::Hold));
        assert_eq!((options.wait_ms, options.give_up_after), (None, None));
        assert_eq!(options.comment_type["letter"], "message");
        assert!(options.anonymize && options.is_test && !options.discard_blatant);
        assert_eq!(Options::parse(&json!({"mode": "hold"})).unwrap().mode, Mode::Hold);
    }

    #[test]
    fn a_wrong_option_is_named() {
        assert!(Options::parse(&json!({"blog": "https://example.com/@me"})).is_ok());
        for (json, part) in [
            (json!({"mode": "later"}), "option \"mode\""),
            (json!({"wait_ms": 0}), "option \"wait_ms\""),
            (json!({"blog": "example.com"}), "not \"example.com\""),
            (json!({"blog": "https://"}), "option \"blog\""),
            (json!({"blog": "https://a b/"}), "option \"blog\""),
            (json!({"blog": "https://u:p@example.com"}), "no URL with a user name in it"),
            (json!({"send": {"phone": true}}), "has no field \"phone\""),
            (json!({"send": {"ip": "yes"}}), "true or false for \"ip\", not \"yes\""),
            (json!({"comment_type": {"letter": 7}}), "a word for \"letter\", not 7"),
            (json!({"key": "secret"}), "has no option \"key\""),
        ] {
            let refusal = Options::parse(&json).unwrap_err();
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
    }
}
