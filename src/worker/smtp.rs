//! Handing one mail to a mail server: a dialogue of SMTP on a thread of its own. Owns what a refusal means
//! for each recipient and for the mail; what the mail says, and when it is tried again, is mailing.rs's. The
//! password is only ever given to the server, and taken out of whatever the server says about it.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use spamcheck_engine::mail::digest::visible;
use spamcheck_engine::mail::{MailServer, Security};

use crate::worker::pool::Job;

/// Characters of what a server says that are kept.
const LONGEST: usize = 300;

/// A mail to be sent, with all that it takes.
pub struct Outgoing {
    /// The server.
    pub server: MailServer,
    /// User and password, if the server asks for them.
    pub login: Option<Login>,
    /// PEM file of authorities to trust instead of the platform's.
    pub ca_file: Option<String>,
    /// Time for a connection, and for each of the server's answers.
    pub timeout: Duration,
    /// This machine's name.
    pub host: String,
    /// Who it is from.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// What tells it from other mails, the same for each try.
    pub message_id: String,
}

/// User and password. Not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: Arc<str>,
    /// The password.
    pub password: Arc<str>,
}

/// How it went.
pub type Sent = Result<Accepted, Refused>;

/// The server took the mail, though not for everybody perhaps.
pub struct Accepted {
    /// Recipients that it will never take, and why.
    pub refused: Vec<(String, String)>,
    /// Recipients that are to be tried again, and why not now.
    pub deferred: Vec<(String, String)>,
}

/// The mail is still ours.
pub struct Refused {
    /// Why.
    pub why: String,
    /// Whether it is what the mail says that the server does not take.
    pub content: bool,
    /// Whether the server may have taken it all the same: it had the whole text, and fell silent.
    pub perhaps_taken: bool,
}

impl Job for Outgoing {
    type Done = Sent;

    fn run(&self) -> Sent {
        self.deliver().map_err(|refused| Refused { why: self.told(&refused.why), ..refused })
    }

    fn failed(&self, why: String) -> Sent {
        Err(Refused { why, content: false, perhaps_taken: true })
    }
}

fn refused(why: impl ToString) -> Refused {
    Refused { why: why.to_string(), content: false, perhaps_taken: false }
}

impl Outgoing {
    fn deliver(&self) -> Sent {
        let from = address(&self.from)?;
        let letter = self.letter(&from)?.formatted();
        let mut connection = self.connect()?;
        connection.command(Mail::new(Some(from), vec![])).map_err(refused)?;
        let (mut taken, mut never, mut later) = (0, Vec::new(), Vec::new());
        for to in &self.to {
            match connection.command(Rcpt::new(address(to)?, vec![])) {
                Ok(_) => taken += 1,
                Err(error) if error.is_permanent() => never.push((to.clone(), self.told(&error))),
                Err(error) if error.is_transient() => later.push((to.clone(), self.told(&error))),
                Err(error) => return Err(refused(error)),
            }
        }
        if taken == 0 {
            connection.abort();
            let first = never.iter().chain(&later).next();
            // Nobody gets it: the rows stay, whatever the server says about each.
            return Err(refused(first.map_or("nobody is to get it", |(_, why)| why)));
        }
        let content = |error: &lettre::transport::smtp::Error| Refused {
            content: error.is_permanent(),
            ..refused(error)
        };
        connection.command(Data).map_err(|error| content(&error))?;
        connection.message(&letter).map_err(|error| Refused {
            perhaps_taken: !error.is_permanent() && !error.is_transient(),
            ..content(&error)
        })?;
        // It has the mail; what it says to the farewell changes nothing.
        let _ = connection.quit();
        Ok(Accepted { refused: never, deferred: later })
    }

    fn connect(&self) -> Result<SmtpConnection, Refused> {
        let MailServer { host, port, security, .. } = &self.server;
        let hello = ClientId::Domain(self.host.clone());
        let tls = match security {
            Security::None => None,
            Security::Tls | Security::StartTls => Some(self.tls(host)?),
        };
        let implicit = tls.as_ref().filter(|_| *security == Security::Tls);
        let place = (host.as_str(), *port);
        let mut connection =
            SmtpConnection::connect(place, Some(self.timeout), &hello, implicit, None)
                .map_err(refused)?;
        if let Some(tls) = tls.filter(|_| *security == Security::StartTls) {
            connection.starttls(&tls, &hello).map_err(refused)?;
        }
        if let Some(login) = &self.login {
            let credentials = Credentials::new(login.user.to_string(), login.password.to_string());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .map_err(refused)?;
        }
        Ok(connection)
    }

    fn tls(&self, host: &str) -> Result<TlsParameters, Refused> {
        let mut builder = TlsParameters::builder(host.to_owned());
        if let Some(file) = &self.ca_file {
            let pem = std::fs::read(file).map_err(|error| {
                refused(format!("pg_spamcheck.ca_file cannot be read: {error}"))
            })?;
            let certificate = Certificate::from_pem(&pem)
                .map_err(|_| refused("pg_spamcheck.ca_file holds no certificate"))?;
            builder =
                builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
        }
        builder.build_rustls().map_err(refused)
    }

    fn letter(&self, from: &Address) -> Result<Message, Refused> {
        let mut builder: MessageBuilder = Message::builder()
            .from(Mailbox::new(Some("pg_spamcheck".into()), from.clone()))
            .subject(&*self.subject)
            .message_id(Some(self.message_id.clone()))
            .date_now()
            // So that nobody's absence answers (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".into(),
            ));
        for to in &self.to {
            builder = builder.to(Mailbox::new(None, address(to)?));
        }
        let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(self.body.clone());
        builder.singlepart(text).map_err(refused)
    }

    /// What the server said, on one line and without the password.
    fn told(&self, said: &impl ToString) -> String {
        let mut said = said.to_string();
        if let Some(login) = self.login.as_ref().filter(|login| !login.password.is_empty()) {
            said = said.replace(&*login.password, "…");
        }
        visible(&said, LONGEST)
    }
}

fn address(text: &str) -> Result<Address, Refused> {
    text.parse().map_err(|_| refused(format!("{text} is not a mail address")))
}
