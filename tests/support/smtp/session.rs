//! One dialogue of SMTP (RFC 5321, 3207, 4954), as far as mail to moderators needs it.

use std::io;
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use super::letter::{Letter, base64};
use super::stream::Stream;
use super::{Mishap, Security, Shared, lock};

/// Serves one connection to its end.
pub fn serve(shared: &Shared, stream: TcpStream) {
    let session = Session { shared, from: None, to: Vec::new(), user: None };
    // Clients that leave in the middle are part of what is tested.
    let _ = session.run(Stream::Plain(stream));
}

struct Session<'s> {
    shared: &'s Shared,
    from: Option<String>,
    to: Vec<String>,
    user: Option<String>,
}

impl Session<'_> {
    fn run(mut self, mut stream: Stream) -> io::Result<()> {
        if self.shared.security == Security::Tls {
            stream = stream.secured(self.shared.config.clone())?;
        }
        if self.goes_wrong("GREETING", "", &mut stream)? {
            return Ok(());
        }
        stream.say("220 stand-in ready")?;
        loop {
            let line = String::from_utf8_lossy(&stream.line()?).into_owned();
            let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let command = command.to_ascii_uppercase();
            let to = (command == "RCPT").then(|| address(rest));
            if self.goes_wrong(&command, to.as_deref().unwrap_or(""), &mut stream)? {
                continue;
            }
            match command.as_str() {
                "EHLO" => self.greet(&mut stream)?,
                "STARTTLS" if self.shared.security == Security::StartTls => {
                    stream.say("220 go ahead")?;
                    stream = stream.secured(self.shared.config.clone())?;
                }
                "AUTH" => self.log_in(rest, &mut stream)?,
                "MAIL" if self.shared.login.is_some() && self.user.is_none() => {
                    stream.say("530 5.7.0 Authentication required")?;
                }
                "MAIL" => {
                    (self.from, self.to) = (Some(address(rest)), Vec::new());
                    stream.say("250 fine")?;
                }
                "RCPT" => {
                    self.to.extend(to);
                    stream.say("250 fine")?;
                }
                "DATA" if self.to.is_empty() => stream.say("503 5.5.1 no recipients")?,
                "DATA" => {
                    stream.say("354 go ahead")?;
                    let text = text(&mut stream)?;
                    if self.goes_wrong("TEXT", "", &mut stream)? {
                        continue;
                    }
                    lock(&self.shared.letters).push(Letter {
                        from: self.from.clone().unwrap_or_default(),
                        to: self.to.clone(),
                        secured: stream.is_secured(),
                        user: self.user.clone(),
                        text,
                    });
                    if self.goes_wrong("TAKEN", "", &mut stream)? {
                        continue;
                    }
                    stream.say("250 taken")?;
                }
                "QUIT" => return stream.say("221 bye"),
                _ => stream.say("502 5.5.2 what?")?,
            }
        }
    }

    fn greet(&self, stream: &mut Stream) -> io::Result<()> {
        if self.shared.security == Security::StartTls && !stream.is_secured() {
            stream.say("250-STARTTLS")?;
        }
        if self.shared.login.is_some() {
            stream.say("250-AUTH PLAIN LOGIN")?;
        }
        stream.say("250-8BITMIME")?;
        stream.say("250 SIZE 10000000")
    }

    fn log_in(&mut self, rest: &str, stream: &mut Stream) -> io::Result<()> {
        let said = rest.strip_prefix("PLAIN ").map(base64).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        lock(&self.shared.logins).push(said.clone());
        let right = self
            .shared
            .login
            .as_ref()
            .is_some_and(|(user, password)| said == format!("\0{user}\0{password}"));
        if right {
            self.user = self.shared.login.as_ref().map(|(user, _)| user.clone());
            return stream.say("235 welcome");
        }
        // Some servers tell what they got.
        let password = said.rsplit('\0').next().unwrap_or_default();
        stream.say(&format!("535 5.7.8 the password {password} is wrong"))
    }

    /// Whether the script has something else than an answer.
    fn goes_wrong(&self, command: &str, to: &str, stream: &mut Stream) -> io::Result<bool> {
        let mishap = {
            let mut rules = lock(&self.shared.rules);
            let fits = |address: &str, part: &str| address.contains(part);
            let rule = rules.iter_mut().find(|rule| {
                rule.left > 0
                    && rule.command == command
                    && (rule.to.is_empty()
                        || fits(to, &rule.to)
                        || self.to.iter().any(|t| command != "RCPT" && fits(t, &rule.to)))
            });
            let Some(rule) = rule else { return Ok(false) };
            rule.left -= 1;
            rule.mishap.clone()
        };
        match mishap {
            Mishap::Says(line) => stream.say(&line)?,
            Mishap::Closes => return Err(io::ErrorKind::ConnectionAborted.into()),
            Mishap::Hangs => {
                self.shared.hanging.fetch_add(1, Relaxed);
                while !self.shared.free.load(Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
                self.shared.hanging.fetch_sub(1, Relaxed);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The address between `<` and `>`.
fn address(text: &str) -> String {
    let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(text, |(address, _)| address).to_owned()
}

/// The text of a mail up to the line that is a dot, with the dots that were doubled made single.
fn text(stream: &mut Stream) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let line = stream.line()?;
        if line == b"." {
            return Ok(text);
        }
        assert!(line.len() <= 998, "RFC 5322: a line has at most 998 characters");
        let line = String::from_utf8_lossy(&line).into_owned();
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
}
