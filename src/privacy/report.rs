//! privacy_report(): of each field of a table's submissions, what leaves the database and to whom, and what
//! the extension keeps of it for how long, as the policy is set now. Owns that table of words; it reads
//! settings only, and nothing anybody wrote.

use pgrx::pg_sys;
use spamcheck_engine::mapping::Mapping;
use spamcheck_engine::policy::{Keep, LogTo, Mode, Policy};
use spamcheck_engine::surroundings::TraceKind;
use spamcheck_engine::{Field, LookupKind};

use crate::protection::Protection;
use crate::spi::{self, Arg};
use crate::{rights, rulebook, settings};

/// What is told of a field.
pub struct Told {
    /// The field.
    pub field: String,
    /// Where it comes from, as protect() shows it.
    pub source: String,
    /// Who gets it; None: nobody outside.
    pub sent_to: Option<String>,
    /// What is kept of it; None: nothing.
    pub kept: Option<String>,
}

/// The fields of a table's submissions.
pub fn of(relation: pg_sys::Oid) -> Vec<Told> {
    let protection = rulebook::protection_of(relation);
    let stored = rights::as_extension(|| rulebook::stored(protection.id));
    let mapping = stored.and_then(|stored| Mapping::from_json(&stored.columns).ok());
    let mut rows = mapping.unwrap_or_default().rows();
    // What no column holds is read from the session's settings.
    for (field, setting) in settings::FIELD_SETTINGS {
        if !rows.iter().any(|(known, _)| known == field.name()) {
            rows.push((field.name().to_owned(), format!("{{\"setting\":\"{setting}\"}}")));
        }
    }
    let policy = &protection.policy;
    let around = Around {
        protection: &protection,
        policy,
        text: ["body", "title", "fields"]
            .into_iter()
            .find(|text| rows.iter().any(|(f, _)| f == text)),
        page: ["page", "article_title"]
            .into_iter()
            .find(|page| rows.iter().any(|(f, _)| f == page)),
        captcha: captcha(&policy.settings.name),
    };
    let told = rows.into_iter().filter_map(|(name, source)| {
        let field = Field::from_name(&name)?;
        let (sent_to, kept) = match policy.settings.mode {
            Mode::Off => (Vec::new(), Vec::new()),
            Mode::Enforce | Mode::Trial => (around.sent_to(field), around.kept(field)),
        };
        let joined = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join("; "));
        Some(Told { field: name, source, sent_to: joined(sent_to), kept: joined(kept) })
    });
    told.collect()
}

/// The service that a policy's captchas are verified by, if it is one of others.
fn captcha(policy: &str) -> Option<String> {
    let provider: Option<Option<String>> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(to_json(s.options ->> 'provider'), 'null')::text, 'UTF8') FROM spamcheck.check_setting s
              WHERE s.policy = convert_from($1, 'UTF8') AND s.check_name = 'captcha' AND s.enabled",
            &[Arg::Text(policy)],
        )
    });
    provider
        .flatten()
        .filter(|provider| ["recaptcha", "hcaptcha", "turnstile"].contains(&provider.as_str()))
}

struct Around<'a> {
    protection: &'a Protection,
    policy: &'a Policy,
    /// The field that the log takes for the text.
    text: Option<&'static str>,
    /// The one that it takes for the page.
    page: Option<&'static str>,
    captcha: Option<String>,
}

impl Around<'_> {
    fn sent_to(&self, field: Field) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(how) = self.to_akismet(field) {
            all.push(format!("Akismet{how}"));
        }
        if field == Field::Url && self.policy.lookup(LookupKind::TrackbackIp).is_some() {
            all.push("the name servers asked for its host (trackback_ip)".into());
        }
        if field == Field::Url && self.policy.lookup(LookupKind::TrackbackLink).is_some() {
            all.push("the site that it names (trackback_link)".into());
        }
        if let Some(service) = &self.captcha
            && matches!(field, Field::Captcha | Field::Ip)
        {
            all.push(service.clone());
        }
        if let Some(mail_to) = self.mail_to()
            && let Some(part) = self.mailed(field)
        {
            all.push(format!("{} by mail, of moderated rows{part}", mail_to.join(", ")));
        }
        all
    }

    /// Who is mailed about moderated rows, if anybody is.
    fn mail_to(&self) -> Option<&[String]> {
        let settings = &self.policy.settings;
        let mail_to = settings.mail_to.as_deref().unwrap_or_default();
        (settings.mode == Mode::Enforce && !mail_to.is_empty()).then_some(mail_to)
    }

    /// What the mail has of a field; None: nothing.
    fn mailed(&self, field: Field) -> Option<&'static str> {
        let text = self.text == Some(field.name()) && self.policy.settings.keep != Keep::Hash;
        match field {
            Field::Author => Some(""),
            _ if text => Some(", 200 characters"),
            _ if self.quoted(field) => Some(", where a finding tells of it"),
            _ => None,
        }
    }

    /// Whether a finding may tell what is in a field. What was typed into the hidden field is left out where
    /// the policy keeps no text.
    fn quoted(&self, field: Field) -> bool {
        let left_out = field == Field::Honeypot && self.policy.settings.keep == Keep::Hash;
        !left_out && self.policy.quotes().contains(field)
    }

    /// How a field goes to Akismet; None: it does not.
    fn to_akismet(&self, field: Field) -> Option<&'static str> {
        let options = &self.policy.akismet()?.options;
        let (send, personal) = (options.send, !options.anonymize);
        let sent = match field {
            Field::Author => send.author,
            Field::Email => send.email && personal,
            Field::Url => personal,
            Field::Ip => send.ip,
            Field::UserAgent => send.user_agent,
            Field::Referrer => send.referrer,
            Field::Permalink => send.permalink,
            Field::Body
            | Field::Title
            | Field::Fields
            | Field::Type
            | Field::CreatedAt
            | Field::ArticleCreatedAt
            | Field::ParentId
            | Field::UserRole
            | Field::Honeypot => true,
            _ => false,
        };
        sent.then_some(match field {
            Field::Author if !personal => " (\"Anonymous\" in its place)",
            Field::Ip if !personal => " (its network alone)",
            _ => "",
        })
    }

    fn kept(&self, field: Field) -> Vec<String> {
        let settings = &self.policy.settings;
        // Retention is of the table's rows alone.
        let logged_as = |what: &str| match (settings.log_to, &settings.retention) {
            (LogTo::Table, Some(retention)) => format!("log{what}, for {retention}"),
            (LogTo::Table, None) => format!("log{what}"),
            (LogTo::File, _) => format!("log file{what}"),
            (LogTo::Both, Some(retention)) => format!(
                "log{what}, for {retention}; log file{what}, until it is rotated and deleted"
            ),
            (LogTo::Both, None) => format!("log and log file{what}"),
        };
        let mut all = Vec::new();
        let text = self.text == Some(field.name());
        let logged = matches!(
            field,
            Field::Author | Field::Email | Field::Ip | Field::Url | Field::UserAgent
        ) || self.page == Some(field.name());
        let quoted = self.quoted(field);
        let told = if quoted { " and what findings tell of it" } else { "" };
        let what = match settings.keep {
            _ if logged => Some(String::new()),
            Keep::Full if text => Some(String::new()),
            Keep::Excerpt if text => Some(format!(", 200 characters{told}")),
            Keep::Hash if text => Some(format!(", a hash{told}")),
            // A rejected submission is nowhere else.
            Keep::Full if quoted => Some(", if rejected or where a finding tells of it".into()),
            Keep::Full => Some(", if rejected".into()),
            Keep::Excerpt | Keep::Hash if quoted => Some(", where a finding tells of it".into()),
            Keep::Excerpt | Keep::Hash => None,
        };
        all.extend(what.map(|what| logged_as(&what)));
        if self.mail_to().is_some()
            && (matches!(field, Field::Email | Field::Ip) || self.mailed(field).is_some())
        {
            all.push("the queue of mails, until a mail server has them".into());
        }
        if self.policy.looks_up() {
            all.push("lookups, until they are answered".into());
        }
        if self.policy.akismet().is_some() {
            all.push("15 days, for decisions to be reported".into());
        }
        if let Some(what) = self.remembered(field) {
            all.push(what.into());
        }
        all
    }

    /// What the memory of earlier rows has of a field.
    fn remembered(&self, field: Field) -> Option<&'static str> {
        if !self.protection.remembers {
            return None;
        }
        let kinds: Vec<TraceKind> =
            self.policy.checks().flat_map(|check| check.remembers()).map(|m| m.kind).collect();
        let any = |wanted: &[TraceKind]| kinds.iter().any(|kind| wanted.contains(kind));
        use TraceKind::{Author, Body, BodyOfArticle, BodyOfAuthor, BodyOfIp, Ip};
        let kept = match field {
            Field::Body => any(&[Body, BodyOfArticle, BodyOfAuthor, BodyOfIp]),
            Field::Ip => any(&[Ip, BodyOfIp]),
            Field::Author | Field::Email | Field::UserId => any(&[Author, BodyOfAuthor]),
            _ => false,
        };
        kept.then_some("a hash, for checks of earlier rows")
    }
}
