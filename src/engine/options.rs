//! Owns how a check declares its options and reads them from JSON, so that every wrong option is
//! refused in the same words. It must not know any particular check.

use serde_json::{Map, Value as Json, json};

use crate::lists::ListKind;
use crate::refusal::Refusal;
use crate::submission::Field;

/// One option of a check.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name in the options object.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
    /// Its value when not given, as JSON.
    pub default: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    /// An integer in a range, or null for off.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number in a range, or null for off.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// `true` or `false`.
    Boolean,
    /// Text, or null for none.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, or null.
    MayBeOneOf(&'static [&'static str]),
    /// Text that PostgreSQL's interval takes, or null for off.
    Interval,
    /// An array of names of lists of this kind, or null for none.
    Lists(ListKind),
    /// An array of field names, each one of these, or null for none.
    Fields(&'static [&'static str]),
    /// An array of texts, or null for none.
    Texts,
    /// An array of texts or integers, or null for none.
    Keys,
    /// An object.
    Object,
}

impl OptionKind {
    /// One word for the column `options` of `spamcheck.checks`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Number { .. } => "number",
            Self::Boolean => "boolean",
            Self::Text | Self::OneOf(_) | Self::MayBeOneOf(_) => "text",
            Self::Interval => "interval",
            Self::Lists(_) => "lists",
            Self::Fields(_) => "fields",
            Self::Texts => "texts",
            Self::Keys => "keys",
            Self::Object => "object",
        }
    }

    /// What it takes, as the end of a sentence that begins with "takes".
    #[must_use]
    pub fn takes(self) -> String {
        match self {
            Self::Integer { min, max } => format!("an integer from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Boolean => "true or false".to_owned(),
            Self::Text => "text".to_owned(),
            Self::OneOf(words) => format!("one of {}", quoted(words)),
            Self::MayBeOneOf(words) => format!("null or one of {}", quoted(words)),
            Self::Interval => "an interval as text, such as \"2 minutes\"".to_owned(),
            Self::Lists(_) => "an array of list names".to_owned(),
            Self::Fields(fields) => format!("an array of fields out of {}", quoted(fields)),
            Self::Texts => "an array of texts".to_owned(),
            Self::Keys => "an array of texts or integers".to_owned(),
            Self::Object => "an object".to_owned(),
        }
    }

    /// Whether null switches the option off.
    #[must_use]
    pub const fn may_be_null(self) -> bool {
        !matches!(self, Self::Boolean | Self::OneOf(_) | Self::Object)
    }

    fn fits(self, value: &Json) -> bool {
        match self {
            Self::Integer { min, max } => integer(value).is_some_and(|n| (min..=max).contains(&n)),
            Self::Number { min, max } => value.as_f64().is_some_and(|n| (min..=max).contains(&n)),
            Self::Boolean => value.is_boolean(),
            Self::Text => value.is_string(),
            Self::Interval => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Self::OneOf(words) | Self::MayBeOneOf(words) => {
                value.as_str().is_some_and(|word| words.contains(&word))
            }
            Self::Lists(_) | Self::Texts => texts(value).is_some(),
            Self::Keys => keys(value).is_some(),
            Self::Fields(fields) => texts(value)
                .is_some_and(|given| given.iter().all(|name| fields.contains(&name.as_str()))),
            Self::Object => value.is_object(),
        }
    }
}

impl OptionSpec {
    /// Checks one value.
    ///
    /// # Errors
    /// Names the option and the check, what it takes and what it got.
    pub fn validate(&self, check: &str, value: &Json) -> Result<(), Refusal> {
        if self.kind.fits(value) || (value.is_null() && self.kind.may_be_null()) {
            return Ok(());
        }
        let default = self.default_value();
        let hint = match (self.null(), self.kind.may_be_null()) {
            (Some(null), true) if default.is_null() => {
                format!("Give null, or leave the option out, for: {null}.")
            }
            (Some(null), true) => format!("Give null for: {null}; or leave it out for {default}."),
            (None, true) if default.is_null() => {
                "Give null, or leave the option out, to have it off.".to_owned()
            }
            (None, true) => format!("Give null to switch it off, or leave it out for {default}."),
            (_, false) if value.is_null() => {
                format!("It cannot be switched off: leave it out for {default}.")
            }
            (_, false) => format!("Give what it takes, or leave it out for {default}."),
        };
        Err(Refusal::new(format!(
            "option \"{}\" of check {check} takes {}, not {}",
            self.name,
            self.kind.takes(),
            Refusal::shown(value)
        ))
        .with_detail(format!("{}.", self.meaning.trim_end_matches('.')))
        .with_hint(hint))
    }

    /// What null stands for, where that is not that the option is off: its meaning says so.
    fn null(&self) -> Option<&'static str> {
        let at = self.meaning.to_ascii_lowercase().find("null: ")?;
        self.meaning[at + "null: ".len()..].split([';', '.']).next()
    }

    /// Its value when not given.
    #[must_use]
    pub fn default_value(&self) -> Json {
        serde_json::from_str(self.default).unwrap_or(Json::Null)
    }

    /// The facts that the view `spamcheck.checks` shows.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({"name": self.name, "type": self.kind.name(), "takes": self.kind.takes(),
               "default": self.default_value(), "meaning": self.meaning})
    }
}

/// The options of one check, checked, with defaults for those that were not given.
#[derive(Clone, Debug, Default)]
pub struct OptionValues {
    values: Map<String, Json>,
}

impl OptionValues {
    /// Reads a JSON object; `null` stands for no options given.
    ///
    /// # Errors
    /// Refuses what is not an object, an unknown option (naming those that exist) and a value
    /// that the option does not take.
    pub fn read(check: &str, specs: &[OptionSpec], options: &Json) -> Result<Self, Refusal> {
        let mut values: Map<String, Json> =
            specs.iter().map(|spec| (spec.name.to_owned(), spec.default_value())).collect();
        let given = match options {
            Json::Null => return Ok(Self { values }),
            Json::Object(given) => given,
            other => {
                let example = match specs.first() {
                    Some(spec) => format!("{{\"{}\": {}}}", spec.name, spec.default_value()),
                    None => "{}".to_owned(),
                };
                return Err(Refusal::new(format!(
                    "the options of check {check} are a JSON object, not {}",
                    Refusal::shown(other)
                ))
                .with_hint(format!(
                    "Write for example {example}; {{}} leaves every option at its default."
                )));
            }
        };
        for (name, value) in given {
            let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
                return Err(unknown(check, specs, name));
            };
            spec.validate(check, value)?;
            values.insert(name.clone(), value.clone());
        }
        Ok(Self { values })
    }

    /// All of them as an object, defaults included.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::Object(self.values.clone())
    }

    /// An integer option; `None` when it is off.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        integer(self.values.get(name)?)
    }

    /// A number option; `None` when it is off.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.values.get(name)?.as_f64()
    }

    /// A boolean option.
    #[must_use]
    pub fn boolean(&self, name: &str) -> bool {
        self.values.get(name).and_then(Json::as_bool).unwrap_or_default()
    }

    /// A text, word or interval option; `None` when it is off.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// An array option; empty when it is off. Integers are written out.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.values.get(name).and_then(keys).unwrap_or_default()
    }

    /// An array of fields.
    #[must_use]
    pub fn fields(&self, name: &str) -> Vec<Field> {
        self.texts(name).iter().filter_map(|field| Field::from_name(field)).collect()
    }

    /// Whether an option is off.
    #[must_use]
    pub fn is_off(&self, name: &str) -> bool {
        self.values.get(name).is_none_or(Json::is_null)
    }
}

fn unknown(check: &str, specs: &[OptionSpec], name: &str) -> Refusal {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
    let hint = if names.is_empty() {
        "It has no options.".to_owned()
    } else {
        format!("Its options are {}.", names.join(", "))
    };
    Refusal::new(format!("check {check} has no option {}", Refusal::quote(name))).with_hint(hint)
}

/// An integer, also when JSON writes it as `7.0`.
fn integer(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        // Up to 2^53 a float holds every integer.
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    })
}

fn texts(value: &Json) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| Some(item.as_str()?.to_owned())).collect()
}

fn keys(value: &Json) -> Option<Vec<String>> {
    let key = |item: &Json| match item {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) => integer(item).map(|number| number.to_string()),
        _ => None,
    };
    value.as_array()?.iter().map(key).collect()
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[
        OptionSpec {
            name: "over",
            kind: OptionKind::Integer { min: 0, max: 100 },
            default: "7",
            meaning: "A limit.",
        },
        OptionSpec {
            name: "lists",
            kind: OptionKind::Lists(ListKind::Word),
            default: "[\"words\"]",
            meaning: "Lists.",
        },
        OptionSpec {
            name: "fields",
            kind: OptionKind::Fields(&["title", "body"]),
            default: "[\"body\"]",
            meaning: "Fields.",
        },
        OptionSpec {
            name: "types",
            kind: OptionKind::Texts,
            default: "[\"comment\"]",
            meaning: "The types that need it; null: all",
        },
        OptionSpec {
            name: "window",
            kind: OptionKind::Interval,
            default: "null",
            meaning: "Rows that came later count. Null: all rows. No others",
        },
    ];

    fn refused(options: Json) -> Refusal {
        OptionValues::read("links", SPECS, &options).unwrap_err()
    }

    #[test]
    fn defaults_fill_what_is_not_given_and_null_switches_off() {
        let values = OptionValues::read("links", SPECS, &json!({"lists": []})).unwrap();
        assert_eq!(values.integer("over"), Some(7));
        assert!(values.texts("lists").is_empty());
        let values = OptionValues::read("links", SPECS, &json!({"over": null})).unwrap();
        assert_eq!(values.integer("over"), None);
        assert_eq!(values.texts("lists"), ["words"]);
        let values = OptionValues::read("links", SPECS, &json!({"fields": null})).unwrap();
        assert!(values.fields("fields").is_empty());
        let values = OptionValues::read("links", SPECS, &json!({"over": 8.0})).unwrap();
        assert_eq!(values.integer("over"), Some(8));
    }

    #[test]
    fn a_wrong_option_says_what_it_takes_and_what_it_got() {
        assert_eq!(
            refused(json!({"over": "abc"})).message,
            "option \"over\" of check links takes an integer from 0 to 100, not \"abc\""
        );
        for wrong in [json!(-1), json!(101), json!(1.5), json!(true), json!([7])] {
            refused(json!({ "over": wrong }));
        }
        assert!(refused(json!({"lists": "words"})).message.contains("not \"words\""));
        assert!(refused(json!({"fields": ["email"]})).message.contains("\"title\", \"body\""));
        let hint = |options| refused(options).hint.unwrap();
        assert_eq!(
            hint(json!({"fields": ["email"]})),
            "Give null to switch it off, or leave it out for [\"body\"]."
        );
        // What null means where it does not mean off.
        assert_eq!(
            hint(json!({"types": [null]})),
            "Give null for: all; or leave it out for [\"comment\"]."
        );
        assert_eq!(
            hint(json!({"window": 5})),
            "Give null, or leave the option out, for: all rows."
        );
        assert_eq!(hint(json!({"over": -1})), "Give null to switch it off, or leave it out for 7.");
    }

    #[test]
    fn an_unknown_option_lists_those_that_exist() {
        let refusal = refused(json!({"ovr": 7}));
        assert_eq!(refusal.message, "check links has no option \"ovr\"");
        assert_eq!(refusal.hint.unwrap(), "Its options are over, lists, fields, types, window.");
        assert!(refused(json!([1])).message.contains("JSON object"));
    }
}
