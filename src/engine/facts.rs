//! Owns what can be said about a submission before any check runs: its texts cut to size, their
//! normal forms, links, address and times, each computed on first use and then lent to all checks.
//! It must not judge. An ordinary row with ASCII text costs it no allocation.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value as Json};

use crate::kept::Keeper;
use crate::links::{self, Link};
use crate::submission::{Field, Submission, Value};
use crate::surroundings::{Nothing, Surroundings};
use crate::text;
use crate::time;
use once_cell::unsync::OnceCell;

/// What checks ask about a submission.
pub struct Facts<'a> {
    submission: &'a Submission<'a>,
    max_chars: usize,
    now: i64,
    surroundings: &'a dyn Surroundings,
    ip: OnceCell<Option<IpAddr>>,
    links: OnceCell<Vec<Link>>,
    rare: OnceCell<Box<Rare<'a>>>,
    failures: RefCell<Vec<String>>,
}

/// What an ordinary row does not need.
#[derive(Default)]
struct Rare<'a> {
    fetched: [OnceCell<Value<'static>>; Field::COUNT],
    texts: [OnceCell<Cow<'a, str>>; Field::COUNT],
    normal: [OnceCell<String>; Field::COUNT],
    kind: OnceCell<String>,
    linked: OnceCell<String>,
}

/// A text of the submission with its name, for checks that look at several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedText<'f> {
    /// The field's name; `fields.city` for a further text.
    pub field: Field,
    /// The name among the further texts.
    pub part: Option<&'f str>,
    /// The text, cut to size.
    pub text: &'f str,
    /// Whether it was cut.
    pub truncated: bool,
}

impl NamedText<'_> {
    /// How the log names it: `body`, `fields.city`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.part {
            Some(part) if !part.is_empty() => format!("{}.{part}", self.field.name()),
            _ => self.field.name().to_owned(),
        }
    }
}

impl<'a> Facts<'a> {
    /// Facts about a submission. Text past `max_chars` characters of a field is not looked at;
    /// `now` is in microseconds since the Unix epoch.
    #[must_use]
    pub const fn new(submission: &'a Submission<'a>, max_chars: usize, now: i64) -> Self {
        Self {
            submission,
            max_chars,
            now,
            surroundings: &Nothing,
            ip: OnceCell::new(),
            links: OnceCell::new(),
            rare: OnceCell::new(),
            failures: RefCell::new(Vec::new()),
        }
    }

    /// With what surrounds the submission; without it, nothing does.
    #[must_use]
    pub const fn within(mut self, surroundings: &'a dyn Surroundings) -> Self {
        self.surroundings = surroundings;
        self
    }

    /// What surrounds the submission.
    #[must_use]
    pub const fn surroundings(&self) -> &'a dyn Surroundings {
        self.surroundings
    }

    /// When the submission is judged, in microseconds since the Unix epoch.
    #[must_use]
    pub const fn now(&self) -> i64 {
        self.now
    }

    /// The submission that they are about.
    pub fn submission(&self) -> &Submission<'_> {
        self.submission
    }

    /// A field's value; one of another table is fetched on the first call.
    pub fn value(&self, field: Field) -> &Value<'_> {
        let value = self.submission.get(field);
        if !matches!(value, Value::Later) {
            return value;
        }
        self.rare().fetched[field as usize].get_or_init(|| {
            let Some(remote) = self.submission.remote() else { return Value::Absent };
            match remote.fetch(field) {
                // A source that puts off again has nothing.
                Ok(Value::Later) => Value::Absent,
                Ok(value) => value,
                Err(failure) => {
                    self.failures.borrow_mut().push(format!("{}: {failure}", field.name()));
                    Value::Absent
                }
            }
        })
    }

    /// A field as text, cut to size; absent is `None`. Times are ISO 8601 in UTC.
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.submission.get(field) {
            Value::Absent => None,
            Value::Text(text) if text.len() <= self.max_chars => Some(text),
            Value::Text(text) => {
                let cut = || Cow::Borrowed(&text[..cut(text, self.max_chars)]);
                Some(self.rare().texts[field as usize].get_or_init(cut))
            }
            _ => {
                let rendered = match self.value(field) {
                    Value::Absent | Value::Later => return None,
                    Value::Text(text) => return Some(&text[..cut(text, self.max_chars)]),
                    Value::Ip(address) => address.to_string(),
                    Value::Time(time) => time::iso(*time),
                    Value::Number(number) => number.to_string(),
                };
                Some(self.rare().texts[field as usize].get_or_init(|| rendered.into()))
            }
        }
    }

    /// Whether [`Facts::text`] cuts this field.
    pub fn truncated(&self, field: Field) -> bool {
        matches!(self.value(field), Value::Text(text) if cut(text, self.max_chars) < text.len())
    }

    /// The texts of a field: one, or for `fields` each of the further texts.
    pub fn texts(&self, field: Field) -> impl Iterator<Item = NamedText<'_>> {
        let own = self.text(field).map(|text| NamedText {
            field,
            part: None,
            text,
            truncated: self.truncated(field),
        });
        let further: &[_] = if field == Field::Fields { self.submission.fields() } else { &[] };
        own.into_iter().chain(further.iter().map(move |(part, text)| {
            let cut = cut(text, self.max_chars);
            NamedText { field, part: Some(part), text: &text[..cut], truncated: cut < text.len() }
        }))
    }

    /// The normal form of a field's text: NFKC, case folded, without zero-width characters and
    /// soft hyphens. Borrows when nothing changes.
    pub fn normalised(&self, field: Field) -> Option<&str> {
        let text = self.text(field)?;
        if let Some(Some(normal)) = self.rare.get().map(|rare| rare.normal[field as usize].get()) {
            return Some(normal);
        }
        match text::normalise(text) {
            Cow::Borrowed(normal) => Some(normal),
            Cow::Owned(normal) => Some(self.rare().normal[field as usize].get_or_init(|| normal)),
        }
    }

    /// The text that links are ranges of: the body, and unless it is ASCII what
    /// [`links::searched`] makes of it.
    pub fn linked_text(&self) -> &str {
        match self.text(Field::Body) {
            Some(body) if body.is_ascii() => body,
            Some(body) => self.rare().linked.get_or_init(|| links::searched(body).into_owned()),
            None => "",
        }
    }

    /// The links of the body, as ranges of [`Facts::linked_text`].
    pub fn links(&self) -> &[Link] {
        self.links.get_or_init(|| links::find(self.linked_text()))
    }

    /// The sender's address; an IPv4 address written as IPv6 is the IPv4 address. A text that is
    /// no address counts as none, and [`Facts::notes`] says so.
    pub fn ip(&self) -> Option<IpAddr> {
        *self.ip.get_or_init(|| match self.value(Field::Ip) {
            Value::Ip(address) => Some(address.to_canonical()),
            Value::Text(text) => address(text),
            _ => None,
        })
    }

    /// A text where the sender's address should be that is none. One of another table is not fetched for
    /// this.
    pub fn unreadable_ip(&self) -> Option<&str> {
        let text = match self.submission.get(Field::Ip) {
            Value::Text(_) => self.text(Field::Ip),
            Value::Later => match self.rare.get()?.fetched[Field::Ip as usize].get()? {
                Value::Text(_) => self.text(Field::Ip),
                _ => None,
            },
            _ => None,
        };
        text.filter(|text| !text.trim().is_empty() && self.ip().is_none())
    }

    /// The author's account; many systems write 0 for a visitor without one.
    pub fn account(&self) -> Option<&str> {
        self.text(Field::UserId).map(str::trim).filter(|id| !matches!(*id, "" | "0"))
    }

    /// Whether a text stands where an address, a time or a number should be, and is none.
    pub fn is_unreadable(&self, field: Field) -> bool {
        let Value::Text(text) = self.value(field) else { return false };
        let none = match field {
            Field::Ip => self.ip().is_none(),
            Field::CreatedAt | Field::ArticleCreatedAt => {
                self.time(field).is_none() && !matches!(text.trim(), "infinity" | "-infinity")
            }
            Field::FormSeconds => self.number(field).is_none(),
            _ => false,
        };
        none && !text.trim().is_empty()
    }

    /// What of a text field is past the cut, and not looked at; empty: nothing.
    pub fn past(&self, field: Field) -> &str {
        match self.value(field) {
            Value::Text(text) => &text[cut(text, self.max_chars)..],
            _ => "",
        }
    }

    /// A field as a time, in microseconds since the Unix epoch: a timestamp, or a number of epoch
    /// seconds (milliseconds above 10^11).
    pub fn time(&self, field: Field) -> Option<i64> {
        match self.value(field) {
            Value::Time(time) => Some(*time),
            Value::Number(number) => time::from_epoch(*number),
            Value::Text(text) => time::parse(text),
            _ => None,
        }
    }

    /// A field as a number.
    pub fn number(&self, field: Field) -> Option<f64> {
        match self.value(field) {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The submission's type, case-folded; `comment` when it is absent, empty, `normal` or
    /// `regular`.
    pub fn kind(&self) -> &str {
        match kind(self.text(Field::Type).unwrap_or_default()) {
            Cow::Borrowed(kind) => kind,
            Cow::Owned(kind) => self.rare().kind.get_or_init(|| kind),
        }
    }

    /// Where the submission came from, in normal form; `form` when it does not say.
    pub fn source(&self) -> &str {
        match self.normalised(Field::Source).map(str::trim) {
            None | Some("") => "form",
            Some(source) => source,
        }
    }

    /// The author's roles: the members of `user_role`, which has commas between them, or a line for each where it
    /// comes from several columns or from an array.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let roles = self.text(Field::UserRole).unwrap_or_default();
        roles.split([',', '\n']).map(str::trim).filter(|role| !role.is_empty())
    }

    /// What the log should add: an unreadable address or time, cut texts, values that could not be
    /// fetched. Fetches nothing by itself.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(text) = self.unreadable_ip() {
            let shown: String = text.chars().take(50).collect();
            notes.push(format!("ip: \"{shown}\" is not an address"));
        }
        for (field, kind) in [
            (Field::CreatedAt, "a time"),
            (Field::ArticleCreatedAt, "a time"),
            (Field::FormSeconds, "a number of seconds"),
        ] {
            if let Value::Text(text) = self.submission.get(field)
                && self.is_unreadable(field)
            {
                let shown: String = text.chars().take(50).collect();
                notes.push(format!("{}: \"{shown}\" is not {kind}", field.name()));
            }
        }
        let long = |text: &str| cut(text, self.max_chars) < text.len();
        for field in Field::ALL {
            if matches!(self.submission.get(field), Value::Text(text) if long(text)) {
                notes.push(format!(
                    "{}: only the first {} characters were looked at",
                    field.name(),
                    self.max_chars
                ));
            }
        }
        for (name, text) in self.submission.fields() {
            if long(text) {
                notes.push(format!(
                    "fields.{name}: only the first {} characters were looked at",
                    self.max_chars
                ));
            }
        }
        notes.extend(self.failures.borrow().iter().cloned());
        notes
    }

    /// The first failure to fetch a value so far.
    pub fn failure(&self) -> Option<String> {
        self.failures.borrow().first().cloned()
    }

    pub(crate) fn failures_since(&self, count: usize) -> Option<String> {
        self.failures.borrow().get(count).cloned()
    }

    pub(crate) fn failure_count(&self) -> usize {
        self.failures.borrow().len()
    }

    /// The submission as the log and a lookup keep it: field to text or number; times are ISO 8601
    /// in UTC, `fields` is an object. Absent fields are left out; values of other tables are fetched.
    pub fn to_json(&self) -> Json {
        self.kept(&mut Keeper::new(self.max_chars))
    }

    /// [`Facts::to_json`] with a note of what was too long to be kept.
    pub fn kept(&self, keeper: &mut Keeper) -> Json {
        self.json(|name, text| keeper.keep(name, text).to_owned())
    }

    /// [`Facts::to_json`] as checks see it: of every text what they look at, the type and the source
    /// in normal form, addresses and times in one spelling; a text that is no address is left out.
    pub fn checked(&self) -> Json {
        let mut json = self.json(|_, text| text[..cut(text, self.max_chars)].to_owned());
        json[Field::Type.name()] = self.kind().into();
        json[Field::Source.name()] = self.source().into();
        if let Some(object) = json.as_object_mut() {
            object.remove(Field::Ip.name());
        }
        if let Some(address) = self.ip() {
            json[Field::Ip.name()] = address.to_string().into();
        }
        for field in [Field::CreatedAt, Field::ArticleCreatedAt] {
            if let Some(time) = self.time(field) {
                json[field.name()] = time::iso(time).into();
            }
        }
        json
    }

    fn json(&self, mut shown: impl FnMut(&str, &str) -> String) -> Json {
        let mut object = Map::new();
        for field in Field::ALL {
            let value = match self.value(field) {
                Value::Absent | Value::Later => continue,
                Value::Text(text) => Json::from(shown(field.name(), text)),
                Value::Ip(address) => Json::from(address.to_string()),
                Value::Time(time) => Json::from(time::iso(*time)),
                Value::Number(number) => number_json(*number),
            };
            object.insert(field.name().to_owned(), value);
        }
        if !self.submission.fields().is_empty() {
            let mut texts: Map<String, Json> = Map::new();
            for (name, text) in self.submission.fields() {
                texts.insert(name.to_string(), Json::from(shown(&format!("fields.{name}"), text)));
            }
            object.insert(Field::Fields.name().to_owned(), Json::Object(texts));
        }
        Json::Object(object)
    }

    /// The characters of a text that checks look at.
    #[must_use]
    pub const fn max_chars(&self) -> usize {
        self.max_chars
    }

    fn rare(&self) -> &Rare<'a> {
        self.rare.get_or_init(Box::default)
    }
}

/// A type as it is compared: case-folded; empty, `normal` and `regular` are `comment`.
#[must_use]
pub fn kind(written: &str) -> Cow<'_, str> {
    let kind = text::normalise(written.trim());
    if matches!(&*kind, "" | "normal" | "regular") { "comment".into() } else { kind }
}

/// The bytes of the first `max_chars` characters, without the word or address at their end that goes
/// on behind them: half of one says nothing about it.
fn cut(text: &str, max_chars: usize) -> usize {
    if text.len() <= max_chars {
        return text.len();
    }
    let Some((end, next)) = text.char_indices().nth(max_chars) else { return text.len() };
    if next.is_whitespace() {
        return end;
    }
    // What has no blanks for that long is no word; a script without them is cut anywhere.
    let tail = text[..end].char_indices().rev().take(LONGEST);
    let blank = { tail }.find(|(_, letter)| letter.is_whitespace());
    blank.map_or(end, |(at, letter)| at + letter.len_utf8())
}

/// The longest word or address that is not cut in two, in characters.
const LONGEST: usize = 2_048;

/// An address as inet, cidr or text write it: perhaps with a netmask, a zone or a port. Of several, as
/// the header X-Forwarded-For has them, nobody but the app can say which one is the sender's.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.split_once(['/', '%']).map_or(text, |(address, _)| address);
    let address = bare.parse().ok().or_else(|| with_port(text))?;
    Some(address.to_canonical())
}

/// The address of `192.0.2.1:8080`, `[2001:db8::1]:443` or `[2001:db8::1]`.
fn with_port(text: &str) -> Option<IpAddr> {
    let (address, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (address, port) = text.split_once(']')?;
            let address = address.split_once('%').map_or(address, |(address, _)| address);
            (
                address.parse::<Ipv6Addr>().ok()?.into(),
                port.strip_prefix(':').or(port.is_empty().then_some("0"))?,
            )
        }
        None => {
            let (address, port) = text.split_once(':')?;
            (address.parse::<Ipv4Addr>().ok()?.into(), port)
        }
    };
    (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
        .then_some(address)
}

fn number_json(number: f64) -> Json {
    // Whole numbers are written without a fraction, as PostgreSQL's to_jsonb does.
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Json::from(number as i64);
    }
    Json::from(number)
}

#[cfg(test)]
mod tests;
