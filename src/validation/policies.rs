//! What a row of `spamcheck.policy` may hold beyond what the engine knows: the server's intervals, and
//! settings of the server that it needs. It warns of what is missing and refuses what makes no sense.

use pgrx::PgSqlErrorCode;
use serde_json::Value as Json;
use spamcheck_engine::{Refusal, policy};

use super::{intervals, text};
use crate::{report, settings, uncovered};

/// Refuses a policy that makes no sense.
pub fn valid(old: Option<&Json>, row: &Json) -> Result<(), Refusal> {
    policy::validate_policy(row)?;
    if let Some(interval) = row["retention"].as_str() {
        intervals::positive(interval, "policy column \"retention\"")?;
    }
    if text(row, "log_to") != "table" && settings::log_file().is_none() {
        report::warn(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("log_to is {} and there is no log file", text(row, "log_to")),
            "Until pg_spamcheck.log_file is set, findings are logged in spamcheck.spam_checklog."
                .into(),
            "Set pg_spamcheck.log_file in postgresql.conf and reload; it is relative to the data directory.",
        );
    }
    if row["mail_to"].as_array().is_some_and(|mail_to| !mail_to.is_empty())
        && settings::network().smtp_url.is_none()
    {
        report::warn(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "mail_to names addresses and there is no mail server".into(),
            "Until pg_spamcheck.smtp_url is set, what is to be mailed waits.".into(),
            "Set pg_spamcheck.smtp_url in postgresql.conf and reload.",
        );
    }
    if let Some(old) = old.filter(|old| old["types"] != row["types"]) {
        warn_of_uncovered(text(old, "name"), row);
    }
    Ok(())
}

/// Tables whose rows are from now on of no type that the policy checks.
fn warn_of_uncovered(policy: &str, row: &Json) {
    let Some(types) = row["types"].as_array() else { return };
    let types: Vec<String> =
        types.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
    for table in uncovered::under(policy, &types) {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            table.sentence(),
            "Rows of other types are not checked, and a row without a type is a comment.".into(),
            &table.hint(),
        );
    }
}
