//! Owns what is told to Akismet: the parameters of each call, in their order, and the body that
//! carries them. It must not send anything, and nothing here prints the key.

use std::fmt;

use serde_json::Value as Json;

use super::form;
use super::options::Options;
use super::parameters::Parameters;
use crate::refusal::Refusal;

/// The secret that the site is known by. It prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key, without the white space that files end with.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// What a function makes of the key in lower case, in which Akismet's webhook may give it.
    pub fn with_lower_case<T>(&self, work: impl FnOnce(&str) -> T) -> T {
        work(&self.0.to_lowercase())
    }

    /// The text with every occurrence of the key replaced, whatever its case.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        // Lower-casing ASCII keeps every byte in its place.
        let (plain, key) = (text.to_ascii_lowercase(), self.0.to_ascii_lowercase());
        let mut redacted = String::with_capacity(text.len());
        let mut from = 0;
        while let Some(at) = plain[from..].find(&key) {
            redacted.push_str(&text[from..from + at]);
            redacted.push_str("[key]");
            from += at + key.len();
        }
        redacted.push_str(&text[from..]);
        redacted
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key([key])")
    }
}

/// Whom a request speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The key; it goes into the body and nowhere else.
    pub key: Key,
    /// The home page's URL, with its scheme.
    pub blog: String,
    /// The languages of the site, such as `en, fr_ca`.
    pub lang: Option<String>,
}

/// Why content is checked again; without it an edit looks like a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// The author edited it.
    Edit,
    /// The first check got no answer.
    Retry,
    /// Akismet asked for it with X-akismet-recheck-after.
    Queue,
}

impl Recheck {
    /// Akismet's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Retry => "retry",
            Self::Queue => "recheck_queue",
        }
    }
}

/// What a moderator's decision adds to the values of the original check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The X-akismet-guid of the check.
    pub guid: Option<String>,
    /// What the check said: spam or not.
    pub said_spam: Option<bool>,
    /// Who decided; personal data, so only if it is wanted.
    pub reporter: Option<String>,
}

/// A request, ready to be posted.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    path: &'static str,
    body: String,
    truncated: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body holds the key.
        let Self { path, body, .. } = self;
        write!(out, "Request({path}, {} bytes)", body.len())
    }
}

impl Request {
    /// The Content-Type that every request has.
    pub const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded";

    /// Asks whether a submission is spam. `submission` is what [`crate::Facts::to_json`] gives.
    #[must_use]
    pub fn comment_check(
        target: &Target,
        submission: &Json,
        options: &Options,
        recheck: Option<Recheck>,
    ) -> Self {
        let parameters = Parameters::of(submission, options);
        let mut request = Self::with(target, "/1.1/comment-check", &parameters);
        request.add("recheck_reason", recheck.map(Recheck::name));
        request.end(options);
        request
    }

    /// Tells Akismet that a moderator found spam (or ham) in what it had called otherwise.
    /// `submission` is that of the original check, however the row looks by now.
    ///
    /// # Errors
    /// Refuses a submission without any text or without an address: Akismet could not match it.
    pub fn feedback(
        target: &Target,
        submission: &Json,
        options: &Options,
        spam: bool,
        feedback: &Feedback,
    ) -> Result<Self, Refusal> {
        reportable(submission, options)?;
        let parameters = Parameters::of(submission, options);
        let path = if spam { "/1.1/submit-spam" } else { "/1.1/submit-ham" };
        let mut request = Self::with(target, path, &parameters);
        request.add("reporter", feedback.reporter.as_deref());
        let said = feedback.said_spam.map(|spam| if spam { "true" } else { "false" });
        request.add("comment_check_response", said);
        request.add("guid", feedback.guid.as_deref());
        request.end(options);
        Ok(request)
    }

    /// Asks whether the key is good for the site.
    #[must_use]
    pub fn verify_key(target: &Target) -> Self {
        let mut request = Self::new("/1.1/verify-key");
        request.add("key", Some(&target.key.0));
        request.add("blog", Some(&target.blog));
        request.add("api_key", Some(&target.key.0));
        request
    }

    /// Asks how many calls the key has made this month. It is posted, so that the key is in no URL.
    #[must_use]
    pub fn usage_limit(key: &Key) -> Self {
        let mut request = Self::new("/1.2/usage-limit");
        request.add("api_key", Some(&key.0));
        request
    }

    /// Its path below the base URL.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Its body, key included: to be sent, never to be logged.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Whether text was too long to be sent whole.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    const fn new(path: &'static str) -> Self {
        Self { path, body: String::new(), truncated: false }
    }

    fn with(target: &Target, path: &'static str, parameters: &Parameters) -> Self {
        let mut request = Self::new(path);
        request.add("api_key", Some(&target.key.0));
        request.add("blog", Some(&target.blog));
        for (name, value) in parameters.iter() {
            form::append(&mut request.body, name, value);
        }
        request.add("blog_lang", target.lang.as_deref());
        request.add("blog_charset", Some("UTF-8"));
        request.truncated = parameters.truncated();
        request
    }

    fn end(&mut self, options: &Options) {
        // Left out when false: to PHP the text "false" is true.
        self.add("is_test", options.is_test.then_some("1"));
    }

    fn add(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            form::append(&mut self.body, name, value);
        }
    }
}

/// Whether a decision about a submission can be reported.
///
/// # Errors
/// Refuses a submission without any text or without an address: Akismet could not match it.
pub fn reportable(submission: &Json, options: &Options) -> Result<(), Refusal> {
    let parameters = Parameters::of(submission, options);
    for (name, what) in [("comment_content", "no text"), ("user_ip", "no IP address")] {
        if !parameters.has(name) {
            return Err(Refusal::new(format!(
                "the decision was not reported to Akismet: the submission has {what}"
            ))
            .with_detail("Akismet finds the submission again by its text and its IP address.")
            .with_hint(
                "Map both, as in spamcheck.protect(..., columns => '{\"body\": \"a_column\", \
                 \"ip\": \"another\"}'), and send the IP address: later rows can be reported.",
            ));
        }
    }
    Ok(())
}

/// The User-Agent header, such as `PostgreSQL/17.2 | pg_spamcheck/0.1.0`.
#[must_use]
pub fn user_agent(postgresql: &str, pg_spamcheck: &str) -> String {
    // "15.9 (Debian 15.9-0+deb12u1)" is a version too; a header takes its first word.
    let first = |version: &str| {
        let word = version.split_whitespace().next().unwrap_or("unknown");
        word.chars().filter(char::is_ascii_graphic).collect::<String>()
    };
    format!("PostgreSQL/{} | pg_spamcheck/{}", first(postgresql), first(pg_spamcheck))
}
