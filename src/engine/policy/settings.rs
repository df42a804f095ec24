//! Owns the settings of a policy as the table `spamcheck.policy` has them, with their defaults and
//! their validation. It must not judge.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::mail::address::is_mailbox;
use crate::refusal::Refusal;
use crate::verdict::words;

/// Whether verdicts are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// All is checked and logged, no row is touched: `ActionKit`'s trial mode.
    Trial,
    /// Nothing is checked.
    Off,
}

words!(Mode: Enforce = "enforce", Trial = "trial", Off = "off");

/// What an internal failure of a check does to the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Nothing.
    #[default]
    Accept,
    /// Moderates it.
    Moderate,
    /// Rejects it.
    Reject,
}

words!(OnError: Accept = "accept", Moderate = "moderate", Reject = "reject");

/// How a rejection reaches the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnReject {
    /// As an error.
    #[default]
    Error,
    /// Not at all: the row is silently not inserted.
    Drop,
}

words!(OnReject: Error = "error", Drop = "drop");

/// Where the log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTo {
    /// The table `spamcheck.spam_checklog`.
    #[default]
    Table,
    /// The file that `pg_spamcheck.log_file` names.
    File,
    /// Both.
    Both,
}

words!(LogTo: Table = "table", File = "file", Both = "both");

/// What the log keeps of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// All of it.
    #[default]
    Full,
    /// The first 200 characters.
    Excerpt,
    /// A hash.
    Hash,
}

words!(Keep: Full = "full", Excerpt = "excerpt", Hash = "hash");

/// A row of `spamcheck.policy`; columns that it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct PolicySettings {
    /// The policy's name.
    pub name: String,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Whether the subscriber of a spam row is unsubscribed.
    pub unsubscribe: bool,
    /// The types that are checked; `None`: all.
    pub types: Option<Vec<String>>,
    /// The sum of scores from which a row is moderated.
    pub moderate_at: Option<f32>,
    /// The sum of scores from which a row is spam.
    pub spam_at: Option<f32>,
    /// The sum of scores from which a row is rejected.
    pub reject_at: Option<f32>,
    /// What an internal failure of a check does.
    pub on_error: OnError,
    /// How a rejection reaches the app.
    pub on_reject: OnReject,
    /// The SQLSTATE of a rejection.
    pub reject_sqlstate: String,
    /// Where the log goes.
    pub log_to: LogTo,
    /// What the log keeps of the text.
    pub keep: Keep,
    /// The interval after which log rows are purged, as text; `None`: never.
    pub retention: Option<String>,
    /// The channel that is notified of verdicts.
    pub notify_channel: Option<String>,
    /// Who gets mail about moderated rows.
    pub mail_to: Option<Vec<String>>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            mode: Mode::default(),
            unsubscribe: false,
            types: None,
            moderate_at: Some(5.0),
            spam_at: Some(10.0),
            reject_at: None,
            on_error: OnError::default(),
            on_reject: OnReject::default(),
            reject_sqlstate: "23514".to_owned(),
            log_to: LogTo::default(),
            keep: Keep::default(),
            retention: None,
            notify_channel: None,
            mail_to: None,
        }
    }
}

/// The greatest threshold: far below it, sums of single-precision scores are still exact.
const MAX_THRESHOLD: f64 = 1e6;

/// What to do about a wrong value of a column.
fn hint(column: &str) -> &'static str {
    match column {
        "name" => "Give it a name such as strict: protect() is told of the policy by it.",
        "mode" => {
            "Write enforce to carry verdicts out, trial to log them only, off to check nothing."
        }
        "on_error" => {
            "A check has failed: write accept to let the row in, moderate to have it looked at, \
             reject to refuse it."
        }
        "on_reject" => "Write error to tell the app, drop to leave the row out without a word.",
        "log_to" => {
            "Write table for spamcheck.spam_checklog, file for the file that \
             pg_spamcheck.log_file names, or both."
        }
        "keep" => {
            "Write full to keep the whole text, excerpt for its first 200 characters, hash for a \
             hash of it."
        }
        "reject_sqlstate" => {
            "Keep 23514 (check_violation), or write another such as P0001; the classes 00, 01 and \
             02 are not errors."
        }
        "types" => "Write for example ARRAY['comment', 'trackback'], or NULL to check every type.",
        "mail_to" => "Write for example ARRAY['moderators@example.com'], or NULL for no mail.",
        "notify_channel" => "Write a channel that apps LISTEN to, such as spam, or NULL for none.",
        _ => {
            "It is compared with the sum of the scores of a row's findings; 5 to 20 is usual, and \
             NULL switches it off."
        }
    }
}

/// Checks a row of `spamcheck.policy`, given as an object of column to value, before it is stored.
///
/// # Errors
/// Names the column, what it takes and what it got.
pub fn validate_policy(row: &Json) -> Result<(), Refusal> {
    let refusal = |column: &str, takes: &str| {
        let got = Refusal::shown(row.get(column).unwrap_or(&Json::Null));
        Refusal::new(format!("column \"{column}\" of a policy takes {takes}, not {got}"))
            .with_hint(hint(column))
    };
    let wrong = |column: &str, takes: &str| Err(refusal(column, takes));
    let one_of = |column: &str, known: fn(&str) -> bool, takes: &str| match row.get(column) {
        None => Ok(()),
        Some(Json::String(word)) if known(word) => Ok(()),
        Some(_) => wrong(column, takes),
    };
    if row.get("name").is_some_and(|name| name.as_str().is_none_or(|name| name.trim().is_empty())) {
        return wrong("name", "a name that is not blank");
    }
    one_of("mode", |word| Mode::from_name(word).is_some(), "enforce, trial or off")?;
    one_of("on_error", |word| OnError::from_name(word).is_some(), "accept, moderate or reject")?;
    one_of("on_reject", |word| OnReject::from_name(word).is_some(), "error or drop")?;
    one_of("log_to", |word| LogTo::from_name(word).is_some(), "table, file or both")?;
    one_of("keep", |word| Keep::from_name(word).is_some(), "full, excerpt or hash")?;
    one_of("reject_sqlstate", is_error_state, "five of 0-9 and A-Z that mean an error")?;
    for column in ["moderate_at", "spam_at", "reject_at"] {
        match row.get(column) {
            None | Some(Json::Null) => {}
            // NaN and infinity come as strings: JSON has no numbers for them.
            Some(value) if value.as_f64().is_some_and(|at| at > 0.0 && at <= MAX_THRESHOLD) => {}
            Some(_) => return wrong(column, "a number above 0 and up to 1000000, or NULL for off"),
        }
    }
    for (column, fits, takes, one) in [
        ("types", is_word as fn(&str) -> bool, "an array of types, or NULL for all", "a type"),
        ("mail_to", is_mailbox, "an array of mail addresses, or NULL", "a mail address"),
    ] {
        let unfit = |item: &&Json| !item.as_str().is_some_and(fits);
        match row.get(column) {
            None | Some(Json::Null) => {}
            Some(Json::Array(items)) => {
                if items.is_empty() && column == "types" {
                    return Err(refusal(column, takes)
                        .with_detail("An empty array would check no submission at all.")
                        .with_hint(
                            "Write NULL to check every type; to check nothing, set mode to off.",
                        ));
                }
                if let Some(item) = items.iter().find(unfit) {
                    let detail = format!("The item {} is not {one}.", Refusal::shown(item));
                    return Err(refusal(column, takes).with_detail(detail));
                }
            }
            Some(_) => return wrong(column, takes),
        }
    }
    match row.get("notify_channel") {
        None | Some(Json::Null) => Ok(()),
        // NOTIFY takes what fits a name: NAMEDATALEN is 64.
        Some(Json::String(name)) if !name.is_empty() && name.len() < 64 => Ok(()),
        Some(_) => wrong("notify_channel", "a name of 1 to 63 bytes, or NULL"),
    }
}

/// A class of success, warning or no data would not abort the insert.
fn is_error_state(state: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    state.len() == 5 && state.bytes().all(fits) && !["00", "01", "02"].contains(&&state[..2])
}

fn is_word(word: &str) -> bool {
    !word.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_of_the_table_reads_with_nulls_and_unknown_columns() {
        let row = json!({"name": "p", "mode": "trial", "types": ["petition"], "spam_at": null,
                         "retention": "90 days", "added_later": 1});
        let settings: PolicySettings = serde_json::from_value(row).unwrap();
        assert_eq!(settings.mode, Mode::Trial);
        assert_eq!(settings.types.unwrap(), ["petition"]);
        assert_eq!((settings.moderate_at, settings.spam_at), (Some(5.0), None));
    }

    #[test]
    fn good_rows_pass() {
        validate_policy(&json!({})).unwrap();
        validate_policy(&json!({"name": "p", "mode": "off", "on_error": "reject", "types": null,
            "reject_sqlstate": "P0001", "reject_at": 12.5, "spam_at": 1e6, "mail_to": ["a@b.example"],
            "notify_channel": "spam"}))
        .unwrap();
    }

    #[test]
    fn bad_values_name_the_column_and_what_it_takes() {
        for (row, part) in [
            (json!({"mode": "on"}), "\"mode\" of a policy takes enforce, trial or off, not \"on\""),
            (json!({"mode": null}), "not null"),
            (json!({"on_error": "spam"}), "accept, moderate or reject"),
            (json!({"spam_at": 0}), "a number above 0"),
            (json!({"moderate_at": -1}), "a number above 0"),
            (json!({"moderate_at": 1_000_001}), "up to 1000000"),
            (json!({"spam_at": "NaN"}), "not \"NaN\""),
            (json!({"reject_at": "Infinity"}), "not \"Infinity\""),
            (json!({"reject_sqlstate": "00000"}), "mean an error"),
            (json!({"reject_sqlstate": "2351"}), "mean an error"),
            (json!({"reject_sqlstate": "äxyz"}), "mean an error"),
            (json!({"types": ["a", ""]}), "an array of types"),
            (json!({"types": []}), "an array of types, or NULL for all, not []"),
            (json!({"mail_to": ["nobody"]}), "mail addresses"),
            (json!({"notify_channel": ""}), "1 to 63 bytes"),
            (json!({"name": " "}), "not blank"),
        ] {
            let message = validate_policy(&row).unwrap_err().message;
            assert!(message.contains(part), "{message}");
        }
        let refusal = validate_policy(&json!({"mail_to": ["a@b.example", "nobody"]})).unwrap_err();
        assert_eq!(refusal.detail.unwrap(), "The item \"nobody\" is not a mail address.");
    }
}
