//! What subscribers are called: how the history writes it, and what a moderator may write. Owns the forms;
//! who it is, and whether they are subscribed, is not known here.

use serde_json::{Map, Value as Json, json};
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::Subscriber;

use super::history_of;
use crate::report;
use crate::rights;
use crate::spi;

/// The name of who has these texts in the columns of a key: an array, if there are several.
pub fn of(key: &[String]) -> String {
    match key {
        [one] => one.clone(),
        several => json!(several).to_string(),
    }
}

/// The name by which the history knows somebody whom a moderator names: where the key has several columns, an
/// array of their values, or an object, is written as [`of`] writes it. A text that can name nobody is refused:
/// who is meant may be unsubscribed.
pub fn name_of(given: &str) -> String {
    let keys = keys();
    let json = serde_json::from_str(given).unwrap_or_default();
    let texts: Option<Vec<String>> = match &json {
        Json::Array(values) if values.len() > 1 => values.iter().map(text).collect(),
        Json::Object(values) => keys.iter().find_map(|key| key.texts(values)),
        _ => None,
    };
    let name = texts.as_deref().map_or_else(|| given.to_owned(), of);
    let named = texts.map_or(1, |texts| texts.len());
    // A text of any form is one value of a key of one column.
    let can_be = keys.iter().any(|key| [1, named].contains(&key.columns.len()));
    let in_part = named == 1 && keys.iter().any(|key| key.is_named_in_part(&json));
    // What was protected once may have had other keys.
    if !keys.is_empty() && (!can_be || in_part) && history_of(&name).is_empty() {
        refuse(given, &keys);
    }
    name
}

/// How a value is written in a name; None: a key has no such value.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The key of a table of subscribers by which a mapping knows them.
#[derive(PartialEq)]
struct Key {
    table: String,
    columns: Vec<String>,
}

impl Key {
    /// The texts of the columns, if the object has all of them and no others.
    fn texts(&self, values: &Map<String, Json>) -> Option<Vec<String>> {
        let in_order = self.columns.iter().map(|column| text(values.get(column)?));
        (self.columns.len() == values.len()).then(|| in_order.collect()).flatten()
    }

    /// Whether an object has some of several columns.
    fn is_named_in_part(&self, json: &Json) -> bool {
        self.columns.len() > 1 && self.columns.iter().any(|column| json.get(column).is_some())
    }
}

fn keys() -> Vec<Key> {
    let mapped: Option<Vec<Json>> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT p.subscriber), '[]')::text, 'UTF8')
               FROM spamcheck._protection p WHERE jsonb_typeof(p.subscriber) = 'object'",
            &[],
        )
    });
    let mut keys: Vec<Key> = Vec::new();
    for subscriber in mapped.unwrap_or_default() {
        let Ok(Subscriber { table, key: columns, .. }) = Subscriber::from_json(&subscriber) else {
            continue;
        };
        let key = Key { table, columns };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn refuse(given: &str, keys: &[Key]) -> ! {
    let several = || keys.iter().filter(|key| key.columns.len() > 1);
    let known: Vec<String> = several()
        .map(|key| format!("Subscribers in {} are known by {}.", key.table, key.columns.join(", ")))
        .collect();
    let mut forms: Vec<String> = Vec::new();
    for key in several() {
        let values: Vec<String> =
            key.columns.iter().map(|column| format!("{}: …", json!(column))).collect();
        let form = format!("{{{}}}", values.join(", "));
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    report::refuse_value(
        Refusal::new(format!("{} does not say which subscriber is meant", Refusal::quote(given)))
            .with_detail(known.join(" "))
            .with_hint(format!("Write a JSON object: {}.", forms.join(" or "))),
    )
}
