//! Owns the presets: what a new policy starts with, as data. It must not know how settings are
//! stored. A preset names every difference from the defaults; what it does not name is off.

mod serendipity;

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

/// A list that a preset's checks name. It is created if it is not there, and filled if it is empty:
/// lists belong to all policies.
#[derive(Clone, Copy, Debug)]
pub struct PresetList {
    /// The list.
    pub name: &'static str,
    /// Its kind.
    pub kind: ListKind,
    /// What an empty list of that name is filled with.
    pub entries: &'static [&'static str],
}

const fn on(name: &'static str) -> PresetCheck {
    PresetCheck { name, enabled: true, action: None, options: "{}" }
}

/// Off, and set to reject once somebody switches it on.
const fn ready(name: &'static str) -> PresetCheck {
    PresetCheck { name, enabled: false, action: Some("reject"), options: "{}" }
}

const fn empty(name: &'static str, kind: ListKind) -> PresetList {
    PresetList { name, kind, entries: &[] }
}

const fn patterns(name: &'static str, entries: &'static [&'static str]) -> PresetList {
    PresetList { name, kind: ListKind::Regex, entries }
}

/// The three systems ask Akismet while the visitor waits.
const WAIT: &str = r#"{"mode":"wait"}"#;

/// The lists that the options of the catalogue name.
const SHARED: [PresetList; 9] = [
    empty("ip_allow", ListKind::Ip),
    empty("ip_block", ListKind::Ip),
    empty("email_block", ListKind::Regex),
    empty("banned_words", ListKind::Word),
    empty("author_filter", ListKind::Regex),
    empty("url_filter", ListKind::Regex),
    empty("body_filter", ListKind::Regex),
    empty("email_filter", ListKind::Regex),
    empty("url_block", ListKind::Domain),
];

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "default",
        policy: &[],
        checks: &[
            on("ip_allow"),
            on("ip_block"),
            on("email_syntax"),
            on("email_pattern"),
            on("content"),
            // Nothing is rejected until somebody asks for it.
            PresetCheck { options: r#"{"over":7,"reject_over":null}"#, ..on("links") },
            on("honeypot"),
        ],
        lists: &SHARED,
    },
    Preset {
        name: "actionkit",
        policy: &[("mode", r#""trial""#), ("types", r#"["petition","letter","signup","survey"]"#)],
        checks: &[
            on("rate_limit"),
            // Its time limit; what is not answered by then gets its verdict in a second pass.
            PresetCheck { options: WAIT, ..on("akismet") },
            // Its pages are what a captcha is switched on for, of whatever type.
            PresetCheck {
                enabled: false,
                options: r#"{"provider":"recaptcha","types":null}"#,
                ..on("captcha")
            },
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
            SHARED[4],
            SHARED[5],
            SHARED[6],
            SHARED[7],
            SHARED[8],
        ],
    },
    Preset {
        name: "gitlab",
        policy: &[],
        checks: &[
            PresetCheck { action: Some("reject"), options: WAIT, ..on("akismet") },
            // Once it is on, what Akismet calls spam is challenged and not rejected: issues, too.
            PresetCheck {
                enabled: false,
                options: r#"{"when":"suspicious","types":null}"#,
                ..on("captcha")
            },
        ],
        lists: &SHARED,
    },
    Preset {
        // What the plugin's form shows before anything is changed. Until it is saved the plugin has
        // other defaults; here there is one set.
        name: "serendipity",
        policy: &[],
        checks: &[
            // hide_for_authors = all: the names of its groups, whoever is an author there.
            PresetCheck {
                options: r#"{"user_roles":["author","editor","standard editor","chief editor","administrator"]}"#,
                ..on("bypass")
            },
            // required_fields = name,comment
            PresetCheck {
                action: Some("reject"),
                options: r#"{"fields":["author","body"],"types":["comment"]}"#,
                ..on("required")
            },
            // contentfilter_activate = moderate
            PresetCheck { action: Some("moderate"), ..on("wordfilter") },
            // links_moderate = 7, links_reject = 13
            PresetCheck {
                action: Some("moderate"),
                options: r#"{"over":7,"reject_over":13}"#,
                ..on("links")
            },
            // moderation_auto = false, forcemoderationt = 30, forcemoderationt_treat = moderate
            PresetCheck {
                action: Some("moderate"),
                options: r#"{"comment_days":null,"trackback_days":30,"trackback_action":"moderate"}"#,
                ..on("article_age")
            },
            // trackback_ipvalidation = moderate, its trackback_ipvalidation_url_exclude is the default
            PresetCheck { action: Some("moderate"), ..on("trackback_ip") },
            // killswitch, checkmail, bloggdeblacklist, bodyclone, entrytitle, ipflood,
            // disable_api_comments, trackback_check_url, comment_timeout with timeout_value = 30, akismet,
            // captchas with captchas_ttl = 7
            ready("shutdown"),
            ready("email_syntax"),
            ready("url_blocklist"),
            ready("duplicate"),
            ready("title_only"),
            ready("ip_interval"),
            ready("api_source"),
            ready("trackback_link"),
            PresetCheck { options: r#"{"min_seconds":30}"#, ..ready("form_time") },
            PresetCheck { options: WAIT, ..ready("akismet") },
            PresetCheck { options: r#"{"provider":"image","after_days":7}"#, ..ready("captcha") },
        ],
        lists: &[
            SHARED[0],
            SHARED[1],
            SHARED[2],
            SHARED[3],
            patterns("author_filter", serendipity::AUTHOR_FILTER),
            patterns("url_filter", serendipity::URL_FILTER),
            patterns("body_filter", serendipity::BODY_FILTER),
            SHARED[7],
            SHARED[8],
        ],
    },
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
    use crate::options::{OptionKind, OptionValues};
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
            for setting in preset.check_settings() {
                let check = crate::checks::find(&setting.check_name).unwrap();
                assert!(setting.options.is_object(), "{}", setting.check_name);
                validate_check_setting(check.name(), &setting.action, &setting.options).unwrap();
                let options =
                    OptionValues::read(check.name(), check.options(), &setting.options).unwrap();
                for option in check.options() {
                    let OptionKind::Lists(kind) = option.kind else { continue };
                    for name in options.texts(option.name) {
                        let list = preset.lists.iter().find(|list| list.name == name);
                        assert_eq!(
                            list.map(|list| list.kind),
                            Some(kind),
                            "{}: {name}",
                            preset.name
                        );
                    }
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
            [
                "ip_allow",
                "ip_block",
                "email_syntax",
                "email_pattern",
                "content",
                "links",
                "honeypot"
            ]
        );
        assert_eq!(enabled("actionkit"), ["rate_limit", "akismet"]);
        assert_eq!(enabled("gitlab"), ["akismet"]);
        assert_eq!(
            enabled("serendipity"),
            ["bypass", "required", "wordfilter", "links", "article_age", "trackback_ip"]
        );
        let columns = find("actionkit").unwrap().policy_columns();
        let settings: PolicySettings = serde_json::from_value(Json::Object(columns)).unwrap();
        assert_eq!(settings.mode, Mode::Trial);
        assert_eq!(settings.types.unwrap().len(), 4);
    }

    #[test]
    fn akismet_is_asked_while_the_visitor_waits_where_it_was() {
        let mode = |preset: &str| {
            let settings = find(preset).unwrap().check_settings();
            let akismet = settings.into_iter().find(|check| check.check_name == "akismet").unwrap();
            (akismet.action, akismet.options["mode"].as_str().map(str::to_owned))
        };
        let wait = |action: &str| (action.to_owned(), Some("wait".to_owned()));
        assert_eq!(mode("actionkit"), wait("spam"));
        assert_eq!(mode("gitlab"), wait("reject"));
        assert_eq!(mode("serendipity"), wait("reject"));
        assert_eq!(mode("default").1, None);
    }

    #[test]
    fn only_what_a_preset_brings_is_in_its_lists() {
        let filled = |preset: &str| {
            let lists = find(preset).unwrap().lists.iter();
            let filled = lists.filter(|list| !list.entries.is_empty());
            filled.map(|list| list.name).collect::<Vec<_>>()
        };
        assert_eq!(filled("default"), [""; 0]);
        assert_eq!(filled("gitlab"), [""; 0]);
        assert_eq!(filled("actionkit"), ["actionkit_banned_words"]);
        assert_eq!(filled("serendipity"), ["author_filter", "url_filter", "body_filter"]);
    }

    #[test]
    fn what_serendipity_has_switched_off_rejects_once_it_is_on() {
        for setting in find("serendipity").unwrap().check_settings() {
            let check = crate::checks::find(&setting.check_name).unwrap();
            // The form time is a feature of the plugin that its page does not tell of.
            let its =
                check.seeds().contains(&crate::Seed::Serendipity) || check.name() == "form_time";
            if its && !setting.enabled {
                assert_eq!(setting.action, "reject", "{}", check.name());
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
