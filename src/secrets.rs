//! The secrets file: read when it changed, refused when others could read it. Its contents stay in the
//! memory of the process that reads it, the worker or a backend; errors name the file's fault and never its
//! words.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;

use spamcheck_engine::akismet::Key;

use crate::settings;

/// More than a few keys is not a secrets file.
const MAX_SIZE: u64 = 64 * 1024;

/// What is known of the secrets.
#[derive(Default)]
pub struct Secrets {
    seen: Option<(String, u64, i64, i64, u64)>,
    akismet: Option<Key>,
    texts: HashMap<String, Arc<str>>,
    fault: Option<String>,
}

impl Secrets {
    /// Looks whether the file changed and reads it if so; whether it was read.
    pub fn refresh(&mut self, path: Option<&str>) -> bool {
        let Some(path) = path else {
            let was = self.akismet.take().is_some()
                | self.fault.take().is_some()
                | !std::mem::take(&mut self.texts).is_empty();
            self.seen = None;
            return was;
        };
        let now = std::fs::metadata(path)
            .map(|m| (path.to_owned(), m.ino(), m.ctime(), m.ctime_nsec(), m.size()))
            .ok();
        if now.is_some() && now == self.seen {
            return false;
        }
        let before = self.fault.take();
        self.akismet = None;
        self.texts.clear();
        match read(path) {
            Ok(texts) => {
                self.akismet = texts.get("akismet").map(|key| Key::new(key));
                self.texts = texts;
            }
            Err(fault) => self.fault = Some(fault),
        }
        let news = now != self.seen || before != self.fault;
        self.seen = now;
        news
    }

    /// Akismet's key, if there is one.
    pub fn akismet(&self) -> Option<&Key> {
        self.akismet.as_ref()
    }

    /// The secret of that name, if there is one.
    pub fn text(&self, name: &str) -> Option<Arc<str>> {
        self.texts.get(name).cloned()
    }

    /// Why the file cannot be used.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

thread_local! {
    static OURS: RefCell<Secrets> = RefCell::default();
}

/// A secret, as this process has read it; the file is read again once it changed. None: no file is set, or
/// it has none of that name. An error is the file's fault.
pub fn secret(name: &str) -> Result<Option<Arc<str>>, String> {
    OURS.with_borrow_mut(|secrets| {
        secrets.refresh(settings::network().secrets_file.as_deref());
        match secrets.fault() {
            Some(fault) => Err(fault.to_owned()),
            None => Ok(secrets.text(name)),
        }
    })
}

/// The texts in the file, by name.
fn read(path: &str) -> Result<HashMap<String, Arc<str>>, String> {
    // Not blocking: a FIFO in its place must not hold anybody up.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| format!("The file cannot be opened: {e}"))?;
    acceptable(&file)?;
    let mut text = String::new();
    file.take(MAX_SIZE + 1)
        .read_to_string(&mut text)
        .map_err(|_| "The file cannot be read as text.".to_string())?;
    if text.trim().is_empty() {
        return Err("The file is empty.".into());
    }
    let secrets: serde_json::Value = serde_json::from_str(&text)
        .map_err(|e| format!("The file is not JSON (line {}, column {}).", e.line(), e.column()))?;
    let Some(secrets) = secrets.as_object() else {
        return Err("The file does not hold one JSON object.".into());
    };
    let mut texts = HashMap::new();
    for (name, secret) in secrets {
        match secret {
            serde_json::Value::Null => {}
            serde_json::Value::String(secret) if !secret.trim().is_empty() => {
                texts.insert(name.clone(), secret.as_str().into());
            }
            _ => return Err(format!("Its \"{name}\" is not a text.")),
        }
    }
    Ok(texts)
}

fn acceptable(file: &File) -> Result<(), String> {
    let about = file.metadata().map_err(|e| format!("The file cannot be looked at: {e}"))?;
    // SAFETY: plain call.
    let own = unsafe { libc::geteuid() };
    if !about.is_file() {
        Err("It is not an ordinary file.".into())
    } else if about.uid() != own {
        Err(format!("The file belongs to user {}, not to the server's user {own}.", about.uid()))
    } else if about.mode() & 0o077 != 0 {
        Err(format!(
            "Others may read or write the file: its mode is {:04o}, not 0600.",
            about.mode() & 0o7777
        ))
    } else if about.size() > MAX_SIZE {
        Err(format!("The file has {} bytes; {MAX_SIZE} are taken.", about.size()))
    } else {
        Ok(())
    }
}
