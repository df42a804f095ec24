//! Owns the objects that `protect` is given: which keys one takes, and the words for those that are missing
//! or unknown. It must not know what they mean.

use serde_json::{Map, Value as Json};

use super::source::{names_from_json, same_length};
use super::table::nearest;
use crate::refusal::Refusal;

/// The keys that an object takes, for the words of its refusals.
pub(super) struct Keys<'k> {
    /// What it is.
    pub(super) what: &'k str,
    /// The HINT.
    pub(super) example: &'k str,
    /// Those that must be there.
    pub(super) required: &'k [&'k str],
    /// Those that may.
    pub(super) optional: &'k [&'k str],
}

impl Keys<'_> {
    /// The object, with all that must be there and nothing else.
    pub(super) fn object<'a>(&self, json: &'a Json) -> Result<&'a Map<String, Json>, Refusal> {
        let Some(object) = json.as_object() else {
            let got = Refusal::shown(json);
            return Err(self.refusal(format!("{} takes a JSON object, not {got}", self.what)));
        };
        let all = || self.required.iter().chain(self.optional).copied();
        if let Some(unknown) = object.keys().find(|key| !all().any(|known| known == key.as_str())) {
            let refusal =
                self.refusal(format!("{} has no key {}", self.what, Refusal::quote(unknown)));
            return Err(match nearest(unknown, all()) {
                Some(close) => refusal.with_detail(format!("Did you mean \"{close}\"?")),
                None => {
                    let listed: Vec<&str> = all().collect();
                    refusal.with_detail(format!("Its keys are: {}.", listed.join(", ")))
                }
            });
        }
        match self.required.iter().find(|key| object.get(**key).is_none_or(Json::is_null)) {
            Some(missing) => {
                Err(self.refusal(format!("{} lacks the key \"{missing}\"", self.what)))
            }
            None => Ok(object),
        }
    }

    /// The columns `key` and `from`, which pair up.
    pub(super) fn pair(
        &self,
        object: &Map<String, Json>,
    ) -> Result<(Vec<String>, Vec<String>), Refusal> {
        let names = |name: &str| {
            names_from_json(&object[name])
                .ok_or_else(|| self.wrong(name, "a column or an array of columns", &object[name]))
        };
        let (key, from) = (names("key")?, names("from")?);
        same_length(&key, &from, self.what)?;
        Ok((key, from))
    }

    /// A name.
    pub(super) fn text(&self, object: &Map<String, Json>, name: &str) -> Result<String, Refusal> {
        let text = object[name].as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| self.wrong(name, "a name", &object[name]))
    }

    /// A name that may be left out.
    pub(super) fn maybe(
        &self,
        object: &Map<String, Json>,
        name: &str,
    ) -> Result<Option<String>, Refusal> {
        match object.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(_) => self.text(object, name).map(Some),
        }
    }

    /// The refusal of what a key holds.
    pub(super) fn wrong(&self, name: &str, takes: &str, got: &Json) -> Refusal {
        let got = Refusal::shown(got);
        self.refusal(format!("\"{name}\" of {} takes {takes}, not {got}", self.what))
    }

    fn refusal(&self, message: String) -> Refusal {
        Refusal::new(message).with_hint(self.example)
    }
}
