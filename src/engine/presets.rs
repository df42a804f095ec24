//! Owns the presets: what a new policy starts with, as data. It must not know how settings are
//! stored. A preset names every difference from the defaults; what it does not name is off.

use serde_json::{Map, Value as Json};

use crate::checks::CHECKS;
use crate::lists::ListKind;
use crate::policy::CheckSetting;
use crate::refusal::Refusal;

/// What a new policy starts with.
#[derive(Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// The columns of `spamcheck.policy` that are not at their default: column and JSON value.
    pub policy: &'static [(&'static str, &'static str)],
    /// The checks that are on, or set otherwise than the catalogue has them.
    pub checks: &'static [PresetCheck],
    /// The lists that its checks name.
    pub lists: &'static [PresetList],
}

/// How a preset sets a check.
#[derive(Clone, Copy, Debug)]
pub struct PresetCheck {
    /// The check.
    pub name: &'static str,
    /// Whether it runs.
    pub enabled: bool,
    /// Its action; `None`: the catalogue's.
    pub action: Option<&'static str>,
    /// Its options as JSON.
    pub options: &'static str,
}

/// A list that a preset's checks name. It is created if it is not there, and only then filled:
/// lists belong to all policies.
#[derive(Clone, Copy, Debug)]
pub struct PresetList {
    /// The list.
    pub name: &'static str,
    /// Its kind.
    pub kind: ListKind,
    /// What a new list of that name holds.
    pub entries: &'static [&'static str],
}

const fn on(name: &'static str) -> PresetCheck {
    PresetCheck { name, enabled: true, action: None, options: "{}" }
}

const fn empty(name: &'static str, kind: ListKind) -> PresetList {
    PresetList { name, kind, entries: &[] }
}

/// The lists that the options of the catalogue name.
const SHARED: [PresetList; 4] = [
    empty("ip_allow", ListKind::Ip),
    empty("ip_block", ListKind::Ip),
    empty("email_block", ListKind::Regex),
    empty("banned_words", ListKind::Word),
];

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "default",
        policy: &[],
        checks: &[
            on("ip_allow"),
            on("ip_block"),
            on("email_pattern"),
            on("content"),
            // Nothing is rejected until somebody asks for it.
            PresetCheck { options: r#"{"over":7,"reject_over":null}"#, ..on("links") },
        ],
        lists: &SHARED,
    },
    Preset {
        name: "actionkit",
        policy: &[("mode", r#""trial""#), ("types", r#"["petition","letter","signup","survey"]"#)],
        checks: &[
            on("rate_limit"),
            on("akismet"),
            // Its own list: `http` among the shared words would surprise every other policy.
            PresetCheck {
                enabled: false,
                options: r#"{"lists":["actionkit_banned_words"]}"#,
                ..on("content")
            },
        ],
        lists: &[
            SHARED[0],
            SHARED[1],
            SHARED[2],
            PresetList {
                name: "actionkit_banned_words",
                kind: ListKind::Word,
                entries: &["http", "https"],
            },
        ],
    },
    Preset {
        name: "gitlab",
        policy: &[],
        checks: &[PresetCheck { action: Some("reject"), ..on("akismet") }],
        lists: &SHARED,
    },
    Preset { name: "serendipity", policy: &[], checks: &[on("links")], lists: &SHARED },
];

/// The preset of that name.
///
/// # Errors
/// Names those that exist.
pub fn find(name: &str) -> Result<&'static Preset, Refusal> {
    PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        Refusal::new(format!("there is no preset {}", Refusal::quote(name)))
            .with_hint(format!("The presets are {}.", names.join(", ")))
    })
}

impl Preset {
    /// The columns of `spamcheck.policy` that it sets, by name.
    #[must_use]
    pub fn policy_columns(&self) -> Map<String, Json> {
        self.policy.iter().map(|(column, json)| ((*column).to_owned(), parsed(json))).collect()
    }

    /// The rows of `spamcheck.check_setting`, one for every check there is.
    #[must_use]
    pub fn check_settings(&self) -> Vec<CheckSetting> {
        let setting = |check: &&dyn crate::checks::Check| {
            let preset = self.checks.iter().find(|preset| preset.name == check.name());
            CheckSetting {
                check_name: check.name().to_owned(),
                enabled: preset.is_some_and(|preset| preset.enabled),
                action: preset
                    .and_then(|preset| preset.action)
                    .unwrap_or(check.action().name())
                    .to_owned(),
                score: check.score(),
                options: parsed(preset.map_or("{}", |preset| preset.options)),
            }
        };
        CHECKS.iter().map(setting).collect()
    }
}

/// The texts are constants; a test reads them all.
fn parsed(json: &str) -> Json {
    serde_json::from_str(json).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::validate_entry;
    use crate::options::OptionValues;
    use crate::policy::{Mode, PolicySettings, validate_check_setting, validate_policy};
    use std::collections::HashSet;

    fn enabled(name: &str) -> Vec<String> {
        let settings = find(name).unwrap().check_settings();
        settings.into_iter().filter(|check| check.enabled).map(|check| check.check_name).collect()
    }

    #[test]
    fn every_preset_is_valid_data() {
        for preset in PRESETS {
            validate_policy(&Json::Object(preset.policy_columns())).unwrap();
            let names: HashSet<&str> = preset.checks.iter().map(|check| check.name).collect();
            assert_eq!(names.len(), preset.checks.len(), "{}", preset.name);
            assert!(names.iter().all(|name| crate::checks::find(name).is_some()));
            let lists: HashSet<&str> = preset.lists.iter().map(|list| list.name).collect();
            for setting in preset.check_settings() {
                let check = crate::checks::find(&setting.check_name).unwrap();
                assert!(setting.options.is_object(), "{}", setting.check_name);
                validate_check_setting(check.name(), &setting.action, &setting.options).unwrap();
                let options =
                    OptionValues::read(check.name(), check.options(), &setting.options).unwrap();
                for list in options.texts("lists") {
                    assert!(lists.contains(list.as_str()), "{}: {list}", preset.name);
                }
            }
            for list in preset.lists {
                for entry in list.entries {
                    validate_entry(list.kind, entry).unwrap();
                }
            }
        }
    }

    #[test]
    fn presets_do_as_documented() {
        assert_eq!(
            enabled("default"),
            ["ip_allow", "ip_block", "email_pattern", "content", "links"]
        );
        assert_eq!(enabled("actionkit"), ["rate_limit", "akismet"]);
        assert_eq!(enabled("gitlab"), ["akismet"]);
        assert_eq!(enabled("serendipity"), ["links"]);
        let columns = find("actionkit").unwrap().policy_columns();
        let settings: PolicySettings = serde_json::from_value(Json::Object(columns)).unwrap();
        assert_eq!(settings.mode, Mode::Trial);
        assert_eq!(settings.types.unwrap().len(), 4);
    }

    #[test]
    fn lists_that_policies_share_start_empty() {
        for preset in PRESETS {
            for list in preset.lists {
                assert_eq!(list.entries.is_empty(), !list.name.starts_with(preset.name));
            }
        }
    }

    #[test]
    fn an_unknown_preset_is_refused_with_those_there_are() {
        let refusal = find("wordpress").unwrap_err();
        assert_eq!(refusal.message, "there is no preset \"wordpress\"");
        assert!(refusal.hint.unwrap().contains("serendipity"));
    }
}
