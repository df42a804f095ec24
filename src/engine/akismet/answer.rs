//! Owns what an answer of Akismet means. Only an exact answer is a verdict; everything else says
//! whether to wait, to give up on the row, or to call for the administrator. It must not keep a
//! body or let the key through.

use std::time::Duration;

use super::backoff::retry_after;
use super::request::Key;

/// What came back over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The headers as they came.
    pub headers: &'a [(String, String)],
    /// The body, whole.
    pub body: &'a [u8],
}

/// What the account's owner should know. It may come with a valid verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The X-akismet-alert-code, as it came.
    pub code: String,
    /// The X-akismet-alert-msg, shortened.
    pub message: String,
    /// Whether Akismet restricts the account already (its page is akismet.com/errors/CODE).
    pub degraded: bool,
}

/// What an answer to comment-check, submit-spam or submit-ham means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// comment-check: spam.
    Spam {
        /// Whether Akismet says that nobody needs to review it.
        discard: bool,
        /// The name of this check, for feedback.
        guid: Option<String>,
        /// What else it had to say.
        notice: Option<Notice>,
    },
    /// comment-check: ham.
    Ham {
        /// The name of this check, for feedback.
        guid: Option<String>,
        /// The verdict is provisional: check again after this time.
        recheck_after: Option<Duration>,
        /// What else it had to say.
        notice: Option<Notice>,
    },
    /// submit-spam, submit-ham: taken.
    Accepted,
    /// An account problem came with the answer, so it is no verdict: try again slowly.
    Held {
        /// The X-akismet-error, shortened.
        reason: String,
        /// What else it had to say.
        notice: Option<Notice>,
    },
    /// Nothing will pass until the administrator acts: the lane pauses, no attempt is counted.
    Config {
        /// What is wrong.
        reason: String,
        /// Whether it may be a firewall's page rather than Akismet's word: if the key verifies
        /// after all, the answer counts as transient.
        doubtful: bool,
    },
    /// Whoever answered is no Akismet: the base URL is wrong. The lane pauses, no attempt is counted.
    Misled {
        /// What came back.
        reason: String,
    },
    /// This request will never pass; others may.
    RequestRefused {
        /// What is wrong.
        reason: String,
    },
    /// Try again later.
    Transient {
        /// What went wrong.
        reason: String,
        /// The wait that the server asked for.
        retry_after: Option<Duration>,
    },
}

/// What an answer to verify-key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyReading {
    /// The key is good.
    Valid {
        /// What else it had to say.
        notice: Option<Notice>,
    },
    /// The key or the site is not accepted.
    Invalid {
        /// Akismet's reason.
        reason: String,
    },
    /// Could not be determined.
    Unknown {
        /// What went wrong.
        reason: String,
        /// The wait that the server asked for.
        retry_after: Option<Duration>,
    },
}

/// How much of a foreign text is repeated.
const MAX_ECHO: usize = 50;
/// The whole body of an accepted submit-spam or submit-ham.
const THANKS: &str = "Thanks for making the web a better place.";
/// Alerts with which calls are denied or about to be: over the limit for months, a bad key.
const DEGRADED: &[&str] = &["10005", "10508", "10516"];

impl Answer<'_> {
    /// The reading of an answer to comment-check. `now` is in microseconds since the Unix epoch.
    #[must_use]
    pub fn comment_check(&self, key: &Key, now: i64) -> Reading {
        let notice = self.notice(key);
        let guid = self.header("X-akismet-guid").map(|guid| echo(guid, key));
        match self.text() {
            _ if self.status != 200 => self.failure(key, now),
            Some("true" | "false") if self.error(key).is_some() => self.failure(key, now),
            Some("true") => {
                let discard = self.header("X-akismet-pro-tip") == Some("discard");
                Reading::Spam { discard, guid, notice }
            }
            Some("false") => {
                let after = self.header("X-akismet-recheck-after");
                let seconds: Option<u32> = after.and_then(|text| text.parse().ok());
                let recheck_after = seconds
                    .filter(|seconds| *seconds > 0)
                    .map(|seconds| Duration::from_secs(seconds.into()));
                Reading::Ham { guid, recheck_after, notice }
            }
            _ => self.failure(key, now),
        }
    }

    /// The reading of an answer to submit-spam or submit-ham.
    #[must_use]
    pub fn feedback(&self, key: &Key, now: i64) -> Reading {
        match self.text() {
            Some(THANKS) if self.status == 200 && self.error(key).is_none() => Reading::Accepted,
            _ => self.failure(key, now),
        }
    }

    /// The reading of an answer to verify-key. Only the word itself is an answer.
    #[must_use]
    pub fn verify_key(&self, key: &Key, now: i64) -> KeyReading {
        match (self.status, self.text()) {
            (200, Some("valid")) => KeyReading::Valid { notice: self.notice(key) },
            (200, Some("invalid")) => KeyReading::Invalid { reason: self.reason(key) },
            _ => {
                let reason = self.reason(key);
                KeyReading::Unknown { reason, retry_after: self.retry_after(now) }
            }
        }
    }

    /// The JSON object of an answer to usage-limit.
    ///
    /// # Errors
    /// The reading of an answer that is none.
    pub fn usage(&self, key: &Key, now: i64) -> Result<serde_json::Value, Reading> {
        match serde_json::from_slice(self.body) {
            Ok(json @ serde_json::Value::Object(_)) if self.status == 200 => Ok(json),
            _ => Err(self.failure(key, now)),
        }
    }

    /// The notice that came with the answer; without one an earlier notice is settled.
    #[must_use]
    pub fn notice(&self, key: &Key) -> Option<Notice> {
        let code = echo(self.header("X-akismet-alert-code")?, key);
        let message = self.header("X-akismet-alert-msg").map(|text| shorten(text, key, 200));
        let degraded = DEGRADED.contains(&code.as_str());
        Some(Notice { code, message: message.unwrap_or_default(), degraded })
    }

    /// Whether it is the plain word that was hoped for, be it to a question or to a decision: nothing in
    /// it speaks against the next request.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.status == 200
            && self.header("X-akismet-error").is_none()
            && matches!(self.text(), Some("true" | "false" | THANKS))
    }

    /// What an answer means that is not the word that was hoped for.
    fn failure(&self, key: &Key, now: i64) -> Reading {
        let reason = self.reason(key);
        let helped = self.header("X-akismet-debug-help").is_some();
        let text = self.text();
        match self.status {
            200 if self.error(key).is_some() => {
                let reason = self.error(key).unwrap_or_default();
                Reading::Held { reason, notice: self.notice(key) }
            }
            200 if text == Some("invalid") => Reading::Config { reason, doubtful: false },
            200 if text.is_some_and(|text| text.starts_with("Missing required field")) => {
                Reading::RequestRefused { reason }
            }
            200 if self.notice(key).is_some_and(|notice| notice.degraded) => {
                Reading::Config { reason, doubtful: false }
            }
            400 | 413 | 414 | 422 => Reading::RequestRefused { reason },
            401 | 403 => Reading::Config { reason, doubtful: !helped && text != Some("invalid") },
            404 | 405 => Reading::Misled { reason },
            _ => Reading::Transient { reason, retry_after: self.retry_after(now) },
        }
    }

    /// Why it is no verdict, for the log: Akismet's help if it gave some, else a little of the
    /// body.
    fn reason(&self, key: &Key) -> String {
        let status = match self.status {
            200 => "Akismet answered".to_owned(),
            300..=399 => format!("redirect with status {}", self.status),
            status => format!("status {status}"),
        };
        if let Some(help) = self.header("X-akismet-debug-help") {
            return format!("{status}: {}", shorten(help, key, 200));
        }
        if let Some(notice) = self.notice(key) {
            return format!("{status}: alert {} {}", notice.code, notice.message);
        }
        match String::from_utf8_lossy(self.body).trim() {
            "" => format!("{status} with an empty body"),
            body => format!("{status} \"{}\"", echo(body, key)),
        }
    }

    fn error(&self, key: &Key) -> Option<String> {
        self.header("X-akismet-error").map(|text| shorten(text, key, 200))
    }

    fn retry_after(&self, now: i64) -> Option<Duration> {
        self.header("Retry-After").and_then(|header| retry_after(header, now))
    }

    /// The first header of that name; an empty one is as none.
    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// The body without ASCII white space and byte order mark around it.
    fn text(&self) -> Option<&str> {
        let blank = |letter: char| letter.is_ascii_whitespace() || letter == '\u{feff}';
        std::str::from_utf8(self.body).ok().map(|text| text.trim_matches(blank))
    }
}

fn echo(text: &str, key: &Key) -> String {
    shorten(text, key, MAX_ECHO)
}

/// The text on one line, without the key, at most so many characters long.
fn shorten(text: &str, key: &Key, most: usize) -> String {
    let line: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    key.redact(&line).chars().take(most).collect()
}
