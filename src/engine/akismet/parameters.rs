//! Owns how a submission becomes Akismet's parameters: names, order, what is left out and what is
//! cut. It must not know the key or how a body is encoded.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::options::Options;
use crate::submission::{Field, Submission};
use crate::time;

/// No limit is published; more than this says nothing more about spam.
const MAX_CONTENT: usize = 64 * 1024;
/// Anything else that is longer is no name and no address.
const MAX_OTHER: usize = 1024;
/// Whoever wrote it, where persons are kept out of it.
const NEUTRAL_AUTHOR: &str = "Anonymous";
/// The name under which the hidden field's value is sent.
const HONEYPOT: &str = "honeypot";

/// The parameters that say what was submitted, in the order of the reference vector.
pub(super) struct Parameters {
    pairs: Vec<(&'static str, String)>,
    truncated: bool,
}

impl Parameters {
    /// The parameters of a submission as [`crate::Facts::to_json`] gives it.
    pub(super) fn of(submission: &Json, options: &Options) -> Self {
        let text = |field: Field| text(&submission[field.name()]);
        let sent = |field: Field, send: bool| text(field).filter(|_| send);
        let send = options.send;
        let personal = !options.anonymize;
        let author = match (send.author, personal) {
            (false, _) => None,
            (true, true) => text(Field::Author),
            (true, false) => Some(NEUTRAL_AUTHOR.to_owned()),
        };
        let mut parameters = Self { pairs: Vec::new(), truncated: false };
        let mut add = |name, value| parameters.add(name, value, MAX_OTHER);
        add("user_ip", sent(Field::Ip, send.ip).and_then(|ip| address(&ip, options.anonymize)));
        add("user_agent", sent(Field::UserAgent, send.user_agent));
        add("referrer", sent(Field::Referrer, send.referrer));
        add("permalink", sent(Field::Permalink, send.permalink));
        add("comment_type", Some(comment_type(text(Field::Type).as_deref(), options)));
        // A name in two columns comes in two lines.
        add("comment_author", author.map(|name| name.replace(['\r', '\n'], " ")));
        add("comment_author_email", sent(Field::Email, send.email && personal));
        add("comment_author_url", sent(Field::Url, personal));
        parameters.add("comment_content", content(submission), MAX_CONTENT);
        let mut add = |name, value| parameters.add(name, value, MAX_OTHER);
        add("comment_date_gmt", date(&submission[Field::CreatedAt.name()]));
        add("comment_post_modified_gmt", date(&submission[Field::ArticleCreatedAt.name()]));
        add("comment_parent", text(Field::ParentId));
        add("user_role", text(Field::UserRole));
        // Here an empty value is information: a person left the hidden field alone.
        if let Some(filled) = submission[Field::Honeypot.name()].as_str() {
            parameters.pairs.push(("honeypot_field_name", HONEYPOT.to_owned()));
            parameters.pairs.push((HONEYPOT, cut(filled, MAX_OTHER).to_owned()));
        }
        parameters
    }

    /// Names and values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.pairs.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether there is such a parameter.
    pub(super) fn has(&self, wanted: &str) -> bool {
        self.pairs.iter().any(|(name, _)| *name == wanted)
    }

    /// Whether text was cut.
    pub(super) const fn truncated(&self) -> bool {
        self.truncated
    }

    fn add(&mut self, name: &'static str, value: Option<String>, most: usize) {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            let kept = cut(&value, most);
            self.truncated |= kept.len() < value.len();
            self.pairs.push((name, kept.replace(NO_UTF8, "\u{FFFD}")));
        }
    }
}

/// Bytes that were no UTF-8 where they came from (a database of encoding SQL_ASCII) arrive as the last of the
/// private letters, which mean nothing to others.
const NO_UTF8: fn(char) -> bool = |letter| ('\u{10FF80}'..='\u{10FFFF}').contains(&letter);

/// The text up to so many bytes, never in the middle of a character.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Title, body and further texts, each on lines of its own, as GitLab joins title and description.
fn content(submission: &Json) -> Option<String> {
    let mut further = Submission::new();
    further.push_strings(String::new(), &submission[Field::Fields.name()]);
    let parts: Vec<String> = [Field::Title, Field::Body]
        .into_iter()
        .filter_map(|field| text(&submission[field.name()]))
        .chain(further.fields().iter().map(|(_, text)| text.to_string()))
        .filter(|part| !part.trim().is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// An address without its netmask; only its network where persons are kept out of it.
fn address(text: &str, network_only: bool) -> Option<String> {
    let bare = text.trim().split(['/', '%']).next()?;
    let address = bare.parse::<IpAddr>().ok()?.to_canonical();
    Some(match (address, network_only) {
        (address, false) => address.to_string(),
        (IpAddr::V4(v4), true) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0]).to_string()
        }
        (IpAddr::V6(v6), true) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0]).to_string()
        }
    })
}

/// Seconds in UTC, the form that every client of Akismet agrees on.
fn date(value: &Json) -> Option<String> {
    let time = match value {
        Json::String(text) => time::parse(text)?,
        other => time::from_epoch(other.as_f64()?)?,
    };
    Some(time::iso(time - time.rem_euclid(1_000_000)))
}

/// Akismet's word for a type: as the options say, else its own for what it knows, else ours.
fn comment_type(kind: Option<&str>, options: &Options) -> String {
    let kind = kind.unwrap_or_default().trim().to_lowercase();
    let kind = match kind.as_str() {
        "" | "normal" | "regular" => "comment",
        other => other,
    };
    if let Some(word) = options.comment_type.get(kind) {
        return word.clone();
    }
    match kind {
        // ActionKit's pages
        "petition" | "signup" => "signup".to_owned(),
        "letter" | "survey" => "contact-form".to_owned(),
        // as GitLab sends them
        "issue" => "comment".to_owned(),
        other => other.replace([' ', '_'], "-"),
    }
}
