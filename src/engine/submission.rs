//! Owns what one row says: its fields and their values, as the caller has them. It must not
//! interpret them (that is what facts are for) and must not allocate for an ordinary row.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::refusal::Refusal;

/// A field of a submission, in the order in which they are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// The text itself.
    Body,
    /// The title of the submission (not of its article).
    Title,
    /// Who wrote it, as displayed.
    Author,
    /// The author's address.
    Email,
    /// The author's homepage.
    Url,
    /// Where it came from.
    Ip,
    /// The browser, as it calls itself.
    UserAgent,
    /// The page before the form.
    Referrer,
    /// `comment`, `trackback`, `petition`, or any other word.
    Type,
    /// `form`, `api`, or any other word.
    Source,
    /// When it was written.
    CreatedAt,
    /// The author's account.
    UserId,
    /// The account's roles, separated by commas.
    UserRole,
    /// Whom to unsubscribe.
    Subscriber,
    /// A field that people do not see, so only programs fill it.
    Honeypot,
    /// Seconds between showing and sending the form.
    FormSeconds,
    /// The visitor's answer to a captcha.
    Captcha,
    /// The address of the article.
    Permalink,
    /// The name of the page.
    Page,
    /// The title of the article.
    ArticleTitle,
    /// When the article was published.
    ArticleCreatedAt,
    /// The submission that this one answers.
    ParentId,
    /// Any further text, by name.
    Fields,
}

impl Field {
    /// How many fields there are.
    pub const COUNT: usize = 23;

    /// Every field, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Body,
        Self::Title,
        Self::Author,
        Self::Email,
        Self::Url,
        Self::Ip,
        Self::UserAgent,
        Self::Referrer,
        Self::Type,
        Self::Source,
        Self::CreatedAt,
        Self::UserId,
        Self::UserRole,
        Self::Subscriber,
        Self::Honeypot,
        Self::FormSeconds,
        Self::Captcha,
        Self::Permalink,
        Self::Page,
        Self::ArticleTitle,
        Self::ArticleCreatedAt,
        Self::ParentId,
        Self::Fields,
    ];

    const NAMES: [&'static str; Self::COUNT] = [
        "body",
        "title",
        "author",
        "email",
        "url",
        "ip",
        "user_agent",
        "referrer",
        "type",
        "source",
        "created_at",
        "user_id",
        "user_role",
        "subscriber",
        "honeypot",
        "form_seconds",
        "captcha",
        "permalink",
        "page",
        "article_title",
        "article_created_at",
        "parent_id",
        "fields",
    ];

    /// The name that users write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether it is what was written, which is read as it stands, and not a value or a list of values.
    #[must_use]
    pub const fn is_prose(self) -> bool {
        matches!(self, Self::Title | Self::Body | Self::Fields)
    }

    /// The field of that name, spelt exactly so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u32);

impl FieldSet {
    /// The set of these fields.
    #[must_use]
    pub const fn of(fields: &[Field]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < fields.len() {
            bits |= 1 << fields[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Whether the field is in it.
    #[must_use]
    pub const fn contains(self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }

    /// Whether it has no field.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a field.
    pub const fn insert(&mut self, field: Field) {
        self.0 |= 1 << field as u32;
    }

    /// The fields of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its fields that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its fields, in order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.contains(*field))
    }
}

/// What a field holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// NULL, or not mapped.
    #[default]
    Absent,
    /// Text, or anything read through its text output.
    Text(Cow<'a, str>),
    /// An address without its netmask.
    Ip(IpAddr),
    /// Microseconds since the Unix epoch.
    Time(i64),
    /// A number.
    Number(f64),
    /// To be fetched through [`Remote`] on first use.
    Later,
}

impl Value<'_> {
    /// What a hidden check box says: one that nobody ticked is empty.
    #[must_use]
    pub const fn ticked(ticked: bool) -> Self {
        Self::Text(Cow::Borrowed(if ticked { "true" } else { "" }))
    }
}

/// Where values come from that cost a query: columns of other tables.
pub trait Remote {
    /// The value of the field for this submission.
    ///
    /// # Errors
    /// A sentence about what went wrong; the field then counts as absent and the policy's
    /// `on_error` decides about the row.
    fn fetch(&self, field: Field) -> Result<Value<'static>, String>;
}

/// One row's content, as the checks see it.
#[derive(Clone, Default)]
pub struct Submission<'a> {
    values: [Value<'a>; Field::COUNT],
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    remote: Option<&'a dyn Remote>,
}

impl<'a> Submission<'a> {
    /// A submission that says nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: [const { Value::Absent }; Field::COUNT], fields: Vec::new(), remote: None }
    }

    /// Sets a field.
    pub fn set(&mut self, field: Field, value: Value<'a>) {
        self.values[field as usize] = value;
    }

    /// A field as it was set.
    #[must_use]
    pub fn get(&self, field: Field) -> &Value<'a> {
        &self.values[field as usize]
    }

    /// Adds one of the further texts.
    pub fn push_field(&mut self, name: Cow<'a, str>, text: Cow<'a, str>) {
        // JSON can name a character that no text of the log can hold.
        let without = |text: Cow<'a, str>| match text.contains('\0') {
            true => text.replace('\0', "\u{FFFD}").into(),
            false => text,
        };
        self.fields.push((without(name), without(text)));
    }

    /// The further texts, in the order they were added: name and text.
    #[must_use]
    pub fn fields(&self) -> &[(Cow<'a, str>, Cow<'a, str>)] {
        &self.fields
    }

    /// Says where values marked [`Value::Later`] come from.
    #[must_use]
    pub fn with_remote(mut self, remote: &'a dyn Remote) -> Self {
        self.remote = Some(remote);
        self
    }

    pub(crate) fn remote(&self) -> Option<&'a dyn Remote> {
        self.remote
    }

    /// Reads a submission from an object of field name to value, as `explain` and the log have it.
    ///
    /// Text stays text, numbers and booleans become numbers and text, `null` is absent, an array of texts is
    /// a text of a line for each but as body and title, and `fields` may be an object of name to text, or any JSON whose strings are then the texts.
    ///
    /// # Errors
    /// Refuses anything but an object, and field names that do not exist.
    pub fn from_json(json: &serde_json::Value) -> Result<Submission<'static>, Refusal> {
        let Some(object) = json.as_object() else {
            return Err(Refusal::new(format!(
                "a submission takes a JSON object of field to value, not {}",
                Refusal::shown(json)
            ))
            .with_hint("Write for example {\"body\": \"Buy now\", \"ip\": \"192.0.2.7\"}."));
        };
        let mut submission = Submission::new();
        for (name, value) in object {
            let Some(field) = Field::from_name(name) else {
                return Err(Refusal::new(format!(
                    "a submission has no field {}",
                    Refusal::quote(name)
                ))
                .with_hint(format!("The fields are {}.", Field::NAMES.join(", "))));
            };
            if field == Field::Fields {
                submission.push_strings(String::new(), value);
            } else {
                submission.set(field, scalar(field, value));
            }
        }
        Ok(submission)
    }

    /// Adds every string inside a JSON value as a further text, named by its path: `address.city`.
    pub fn push_strings(&mut self, path: String, json: &serde_json::Value) {
        use serde_json::Value as Json;
        let below = |key: &str| match path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        match json {
            // Numbers and booleans are no text: `{"likes": 7}` says nothing to judge.
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
            Json::Object(object) => {
                for (key, value) in object {
                    self.push_strings(below(key), value);
                }
            }
            Json::Array(array) => {
                for (index, value) in array.iter().enumerate() {
                    self.push_strings(below(&index.to_string()), value);
                }
            }
            Json::String(text) => self.push_field(path.into(), text.clone().into()),
        }
    }
}

fn scalar(field: Field, json: &serde_json::Value) -> Value<'static> {
    use serde_json::Value as Json;
    match json {
        Json::Bool(ticked) if field == Field::Honeypot => Value::ticked(*ticked),
        Json::Null => Value::Absent,
        Json::String(text) => Value::Text(text.clone().into()),
        Json::Number(number) => number.as_f64().map_or(Value::Absent, Value::Number),
        Json::Array(texts) if !field.is_prose() && texts.iter().all(Json::is_string) => {
            let texts: Vec<&str> = texts.iter().filter_map(Json::as_str).collect();
            Value::Text(texts.join("\n").into())
        }
        other => Value::Text(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_order_agree() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::from_name(field.name()), Some(field));
        }
        assert_eq!(Field::from_name("user_agent"), Some(Field::UserAgent));
        assert_eq!(Field::from_name("Body"), None);
    }

    #[test]
    fn a_set_holds_what_went_in() {
        let mut set = FieldSet::of(&[Field::Fields, Field::Body]);
        assert!(!set.contains(Field::Ip));
        set.insert(Field::Ip);
        let both = set.union(FieldSet::of(&[Field::Url]));
        let found: Vec<Field> = both.iter().collect();
        assert_eq!(found, [Field::Body, Field::Url, Field::Ip, Field::Fields]);
    }

    #[test]
    fn json_becomes_values_and_named_texts() {
        let json = json!({"body": "hi", "form_seconds": 3, "email": null,
                          "fields": {"city": "Bonn", "more": {"a": ["x", "y"]}, "n": 7, "z": null}});
        let submission = Submission::from_json(&json).unwrap();
        assert_eq!(submission.get(Field::Body), &Value::Text("hi".into()));
        assert_eq!(submission.get(Field::FormSeconds), &Value::Number(3.0));
        assert_eq!(submission.get(Field::Email), &Value::Absent);
        let texts: Vec<String> =
            submission.fields().iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(texts, ["city=Bonn", "more.a.0=x", "more.a.1=y"]);
        let arrays = json!({"user_role": ["reader", "editor"], "honeypot": [], "body": ["a"]});
        let submission = Submission::from_json(&arrays).unwrap();
        assert_eq!(submission.get(Field::UserRole), &Value::Text("reader\neditor".into()));
        assert_eq!(submission.get(Field::Honeypot), &Value::Text("".into()));
        assert_eq!(submission.get(Field::Body), &Value::Text("[\"a\"]".into()));
    }

    #[test]
    fn an_unknown_field_is_named_with_those_there_are() {
        let refusal = Submission::from_json(&json!({"boddy": "hi"})).err().unwrap();
        assert_eq!(refusal.message, "a submission has no field \"boddy\"");
        assert!(refusal.hint.unwrap().contains("body, title"));
        assert!(Submission::from_json(&json!("hi")).is_err());
    }
}
