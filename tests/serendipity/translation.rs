//! The plugin's configuration, option by option, as settings of ours. Owns the translation and nothing
//! of the cases. Options that show or log and have no verdict are named at the end.

use postgres::error::DbError;
use serde_json::{Map, Value as Json, json};

use crate::blog::Blog;

/// The plugin's configuration over its form's defaults, in which the preset `serendipity` starts.
pub struct Translation {
    cfg: Map<String, Json>,
    /// How long the entry and the comment take to read, in words and characters.
    reading: (f64, f64),
}

/// A check's setting; what is not given stays as the preset has it.
struct Setting {
    check: &'static str,
    enabled: bool,
    action: Option<String>,
    options: Option<String>,
}

/// A list to be made.
struct List {
    option: &'static str,
    entries: Vec<String>,
}

impl Translation {
    pub fn of(input: &Json) -> Translation {
        // A configuration that was never saved has the defaults that the form shows.
        let body = match &input["body_repeat"] {
            Json::Array(repeat) => {
                repeat[0].as_str().map_or(0, |text| text.chars().count()) as f64
                    * repeat[1].as_f64().unwrap_or_default()
            }
            _ => input["body"].as_str().map_or(0, |text| text.chars().count()) as f64,
        };
        Translation {
            cfg: input["cfg"].as_object().cloned().unwrap_or_default(),
            reading: (input["wordcount"].as_f64().unwrap_or_default(), body),
        }
    }

    /// An option, as text; numbers and booleans written out.
    fn text(&self, option: &str, default: &str) -> String {
        match self.cfg.get(option) {
            None | Some(Json::Null) => default.to_owned(),
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    fn is_on(&self, option: &str, default: &str) -> bool {
        matches!(self.text(option, default).as_str(), "true" | "yes" | "1")
    }

    /// A count for which the plugin's 0 means off (trap T13).
    fn count(&self, option: &str, default: &str) -> Json {
        match self.text(option, default).trim().parse::<i64>() {
            Ok(0) | Err(_) => Json::Null,
            Ok(count) => json!(count),
        }
    }

    pub fn asks_captcha(&self) -> bool {
        matches!(self.text("captchas", "no").as_str(), "true" | "yes" | "scramble")
    }

    pub fn asks_akismet(&self) -> bool {
        !self.text("akismet", "").is_empty()
            && matches!(self.text("akismet_filter", "reject").as_str(), "moderate" | "reject")
    }

    /// Whether a confirmed address opens the door: never while comments are shut (trap T6).
    pub fn knows_confirmed(&self) -> bool {
        self.text("checkmail", "false") == "verify_once" && !self.is_on("killswitch", "false")
    }

    fn settings(&self) -> Vec<Setting> {
        let on = |check, action: &str| Setting {
            check,
            enabled: action != "none",
            action: (action != "none").then(|| action.to_owned()),
            options: None,
        };
        let reject_if = |check, is_on: bool| on(check, if is_on { "reject" } else { "none" });
        let with = |setting: Setting, options: Json| Setting {
            options: Some(options.to_string()),
            ..setting
        };

        // checkmail: false, true (its syntax), verify_once, verify_always (a click on a link, for which
        // there is no counterpart: such comments wait for a moderator).
        let verified = self.text("checkmail", "false").starts_with("verify_");
        let shutdown = match self.is_on("killswitch", "false") {
            true => with(on("shutdown", "reject"), json!({})),
            false if verified => with(on("shutdown", "moderate"), json!({"types": ["comment"]})),
            false => on("shutdown", "none"),
        };

        // hide_for_authors: all, none, or ids of groups joined by ^; every author has the role author.
        let exempt = self.text("hide_for_authors", "all");
        let mut bypass = match exempt.split('^').map(str::trim).collect::<Vec<_>>().as_slice() {
            groups if groups.contains(&"all") => json!({"user_roles": ["author"]}),
            groups => {
                json!({"user_roles": groups.iter().filter(|g| **g != "none").collect::<Vec<_>>()})
            }
        };
        if self.knows_confirmed() {
            bypass["approved_before"] = json!(1);
        }

        // required_fields: name, email, url, replyTo, comment; others are refused.
        let required = self.text("required_fields", "name,comment");
        let required: Vec<String> = required.split(',').map(|key| field(key.trim())).collect();
        let required: Vec<&String> = required.iter().filter(|key| !key.is_empty()).collect();

        // moderation_auto switches the rule for comments alone; its 0 is every comment, while the
        // rule for trackbacks has 0 for off (trap T13).
        let comment_days = match self.is_on("moderation_auto", "false") {
            true => json!(self.text("forcemoderation", "30").parse::<i64>().unwrap_or(30)),
            false => Json::Null,
        };
        let age = json!({
            "comment_days": comment_days,
            "comment_action": self.text("forcemoderation_treat", "moderate"),
            "trackback_days": self.count("forcemoderationt", "30"),
            "trackback_action": self.text("forcemoderationt_treat", "moderate"),
        });

        let (over, reject_over) =
            (self.count("links_moderate", "7"), self.count("links_reject", "13"));
        let mut settings = vec![
            shutdown,
            Setting {
                check: "bypass",
                enabled: true,
                action: None,
                options: Some(bypass.to_string()),
            },
            with(reject_if("required", !required.is_empty()), json!({"fields": required})),
            // csrf: the app looks at the token and says in a hidden field that it was wrong.
            reject_if("honeypot", self.is_on("csrf", "true")),
            reject_if("email_syntax", self.is_on("checkmail", "false")),
            reject_if("title_only", self.is_on("entrytitle", "false")),
            on("api_source", &self.text("disable_api_comments", "none")),
            self.trackback_ip(match self.text("trackback_ipvalidation", "moderate").as_str() {
                "no" => on("trackback_ip", "none"),
                action => on("trackback_ip", action),
            }),
            reject_if("trackback_link", self.is_on("trackback_check_url", "false")),
            on("wordfilter", &self.text("contentfilter_activate", "moderate")),
            with(on("links", "moderate"), json!({"over": over, "reject_over": reject_over})),
            on("url_blocklist", &self.text("bloggdeblacklist", "none")),
            with(on("article_age", "moderate"), age),
            Setting {
                options: Some(self.form_time()),
                ..reject_if("form_time", self.is_on("comment_timeout", "false"))
            },
            // The plugin compares texts of any length.
            Setting {
                options: Some(json!({"min_length": 1}).to_string()),
                ..reject_if("duplicate", self.is_on("bodyclone", "false"))
            },
        ];
        // ipflood: minutes.
        settings.push(match self.count("ipflood", "0") {
            Json::Null => on("ip_interval", "none"),
            minutes => {
                with(on("ip_interval", "reject"), json!({"interval": format!("{minutes} minutes")}))
            }
        });
        settings
    }

    /// trackback_ipvalidation_url_exclude: patterns between semicolons.
    fn trackback_ip(&self, setting: Setting) -> Setting {
        let given = self.cfg.get("trackback_ipvalidation_url_exclude").and_then(Json::as_str);
        let options = given.map(|given| json!({ "exclude": entries(given) }).to_string());
        Setting { options, ..setting }
    }

    /// timeout_type fix: seconds. adaptive: units a minute; there is no such check, so it is the time
    /// that this entry and this comment take (a blog would write a function for the check custom).
    fn form_time(&self) -> String {
        let value: f64 = self.text("timeout_value", "30").trim().parse().unwrap_or(30.0);
        if self.text("timeout_type", "fix") == "fix" {
            return json!({"min_seconds": value}).to_string();
        }
        let (words, characters) = self.reading;
        let seconds = words * 60.0 / value + characters * 60.0 / value;
        match seconds.is_finite() {
            true => json!({"min_seconds": seconds}).to_string(),
            // A speed of 0 crashed the plugin; there is no such number of seconds.
            false => json!({"min_seconds": "Infinity"}).to_string(),
        }
    }

    /// The filters that are given; the others are the preset's. An empty one is empty (trap T4).
    fn lists(&self) -> Vec<List> {
        let options = [
            ("contentfilter_authors", "author"),
            ("contentfilter_urls", "url"),
            ("contentfilter_words", "body"),
            ("contentfilter_emails", "email"),
        ];
        let given = |(option, ours)| {
            let entries = entries(self.cfg.get(option)?.as_str()?);
            Some(List { option: ours, entries })
        };
        options.into_iter().filter_map(given).collect()
    }

    /// Sets the policy accordingly.
    ///
    /// # Errors
    /// When something in it is refused.
    pub fn apply(&self, blog: &mut Blog, policy: &str) -> Result<(), Box<DbError>> {
        for option in self.cfg.keys() {
            assert!(KNOWN.contains(&option.as_str()), "option {option} is not translated");
        }
        let refusal =
            |error: postgres::Error| Box::new(error.as_db_error().expect("a refusal").clone());
        let mut filters = Map::new();
        for List { option, entries } in self.lists() {
            let name = format!("{policy}_{option}");
            let make = "INSERT INTO spamcheck.list (name, kind) VALUES ($1, 'regex')";
            blog.client.execute(make, &[&name]).map_err(refusal)?;
            for entry in entries {
                let add = "INSERT INTO spamcheck.list_entry (list, value) VALUES ($1, $2)";
                blog.client.execute(add, &[&name, &entry]).map_err(refusal)?;
            }
            filters.insert(option.into(), json!([name]));
        }
        let mut settings = self.settings();
        if !filters.is_empty() {
            let wordfilter = settings.iter_mut().find(|setting| setting.check == "wordfilter");
            wordfilter.expect("it is there").options = Some(Json::Object(filters).to_string());
        }
        for Setting { check, enabled, action, options } in settings {
            blog.client
                .execute(
                    "UPDATE spamcheck.check_setting s
                        SET enabled = $3, action = coalesce($4, s.action),
                            options = coalesce($5::text::jsonb, s.options)
                      WHERE s.policy = $1 AND s.check_name = $2",
                    &[&policy, &check, &enabled, &action, &options],
                )
                .map_err(refusal)?;
        }
        Ok(())
    }
}

/// What a required field is called here.
fn field(key: &str) -> String {
    match key {
        "name" => "author",
        "comment" => "body",
        "replyTo" => "parent_id",
        other => other,
    }
    .to_owned()
}

/// The entries of a filter: divided by `;`, trimmed, empty ones left out; `\;` stands for itself.
fn entries(filter: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut letters = filter.chars().peekable();
    while let Some(letter) = letters.next() {
        let entry = entries.last_mut().expect("there is always one");
        match letter {
            '\\' if letters.peek() == Some(&';') => entry.extend(letters.next()),
            '\\' => entry.extend([Some('\\'), letters.next()].into_iter().flatten()),
            ';' => entries.push(String::new()),
            letter => entry.push(letter),
        }
    }
    entries.iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

/// Every option of the plugin. Without a verdict are: akismet_server (where to ask; the setting
/// pg_spamcheck.akismet_url, and anonymize for its anonymous servers), captcha_color (a captcha's
/// background), hide_email (public_view), automagic_htaccess (a web server's file), logtype and logfile
/// (the policy's log_to; there is always a log).
const KNOWN: &[&str] = &[
    "akismet",
    "akismet_filter",
    "akismet_server",
    "automagic_htaccess",
    "bloggdeblacklist",
    "bodyclone",
    "captcha_color",
    "captchas",
    "captchas_ttl",
    "checkmail",
    "comment_timeout",
    "contentfilter_activate",
    "contentfilter_authors",
    "contentfilter_emails",
    "contentfilter_urls",
    "contentfilter_words",
    "csrf",
    "disable_api_comments",
    "entrytitle",
    "forcemoderation",
    "forcemoderation_treat",
    "forcemoderationt",
    "forcemoderationt_treat",
    "hide_email",
    "hide_for_authors",
    "ipflood",
    "killswitch",
    "links_moderate",
    "links_reject",
    "logfile",
    "logtype",
    "moderation_auto",
    "required_fields",
    "timeout_type",
    "timeout_value",
    "trackback_check_url",
    "trackback_ipvalidation",
    "trackback_ipvalidation_url_exclude",
];
