//! What a row of `spamcheck.check_setting` may hold beyond what the engine knows: policies, lists, roles and
//! functions that are there, and the server's intervals.

use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::options::{OptionKind, OptionSpec, OptionValues};
use spamcheck_engine::policy::{self, CheckSetting};
use spamcheck_engine::{CHECKS, Refusal};

use super::{intervals, lists, text};
use crate::protect::shortfalls;
use crate::spi::{self, Arg};
use crate::{custom, report, restore, rights, row, rulebook};

/// Refuses a setting that makes no sense. A list or role that is missing is warned of: a dump may bring it later.
pub fn valid(old: Option<&Json>, row: &Json) -> Result<(), Refusal> {
    let name = text(row, "check_name");
    // Said here, or NULL would be taken for the text "".
    let columns = ["policy", "check_name", "enabled", "action", "score"];
    if let Some(column) = columns.into_iter().find(|column| row[column].is_null()) {
        return Err(Refusal::new(format!(
            "column \"{column}\" of a check's setting is NULL, and has to have a value"
        ))
        .with_hint(
            "Each policy has a row for each check: UPDATE it, or INSERT all of policy, check_name, enabled, action and score.",
        ));
    }
    if row["options"].is_null() {
        return Err(Refusal::new(format!(
            "the options of check {name} are a JSON object, not null"
        ))
        .with_hint("Write '{}' to leave every option at its default."));
    }
    policy::validate_check_setting(name, text(row, "action"), &row["options"])?;
    valid_score(name, &row["score"])?;
    let policy = text(row, "policy");
    if !restore::running() && !policy_exists(policy) {
        return Err(Refusal::new(format!("policy \"{policy}\" does not exist"))
            .with_hint("See spamcheck.policy, or make one with spamcheck.create_policy()."));
    }
    if name == "akismet" {
        valid_akismet(&row["options"])?;
    }
    if name == "bypass" {
        roles_exist(&row["options"]);
    }
    if name == "rate_limit" && old.is_none_or(|old| old["options"] != row["options"]) {
        warn_of_short_block(&row["options"]);
    }
    let mut all_there = true;
    for list in named_lists(name, &row["options"]) {
        // Not refused: a dump may bring the list later than the setting.
        if lists::kind(&list).is_none() {
            all_there = false;
            report::warn(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("check {name} names the list \"{list}\", which does not exist"),
                format!("Until it exists {}.", what_follows(row)),
                "INSERT INTO spamcheck.list (name, kind) first.",
            );
        }
    }
    let setting = CheckSetting {
        check_name: name.to_owned(),
        enabled: true,
        action: text(row, "action").to_owned(),
        score: row["score"].as_f64().unwrap_or_default() as f32,
        options: row["options"].clone(),
    };
    let on = |row: &Json| row["enabled"] == true;
    // What came to fail later stands in nobody's way who switches the check off or changes something else.
    let as_before =
        old.is_some_and(|old| old["options"] == row["options"] && (on(old) || !on(row)));
    if as_before && !on(row) {
        return Ok(());
    }
    match fails(name, setting.clone(), all_there) {
        Some(refusal) if !as_before => return Err(refusal),
        Some(refusal) => report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            refusal.message,
            format!("As it is set, {}.", what_follows(row)),
            "Mend what it says, or switch the check off.",
        ),
        None if on(row) && !as_before && !restore::running() => {
            shortfalls::tell_of_check(policy, setting);
        }
        None => {}
    }
    Ok(())
}

/// What becomes of submissions while a check fails.
fn what_follows(row: &Json) -> &'static str {
    if row["enabled"] != true {
        "the check would fail on every submission if it were on"
    } else if text(row, "action") == "log" {
        "the check fails on every submission, which is logged and has no effect"
    } else {
        "the check fails on every submission, and on_error decides"
    }
}

/// Why a check set like this would fail on every submission.
fn fails(name: &str, setting: CheckSetting, all_there: bool) -> Option<Refusal> {
    if name == "custom"
        && !restore::running()
        && let Err(refusal) = custom::must_exist(&setting.options)
    {
        return Some(refusal);
    }
    let why = if all_there { rulebook::failure_of(setting)? } else { return None };
    let intervals = CHECKS.iter().filter(|check| check.name() == name);
    let intervals = intervals.flat_map(|check| check.options());
    let hint = if intervals.into_iter().any(|option| option.kind == OptionKind::Interval) {
        "Write intervals as PostgreSQL does, ahead of now: \"90 seconds\"."
    } else {
        "spamcheck.list shows the lists and their kinds."
    };
    Some(Refusal::new(why).with_hint(hint))
}

/// Sums of scores stay numbers that can be compared.
fn valid_score(check: &str, score: &Json) -> Result<(), Refusal> {
    match score.as_f64() {
        Some(score) if score.abs() <= 1e6 => Ok(()),
        _ => Err(Refusal::new(format!("the score of check {check} is not a number from -1000000 to 1000000"))
            .with_hint("It adds to the sum that the policy's moderate_at, spam_at and reject_at are compared with; 1 to 10 is usual.")),
    }
}

/// What the engine cannot know of akismet's options: the server's intervals.
fn valid_akismet(options: &Json) -> Result<(), Refusal> {
    if let Some(text) = options["give_up_after"].as_str() {
        intervals::positive(text, "option \"give_up_after\" of check akismet")?;
    }
    Ok(())
}

/// After a block counting starts anew: with a short one, more than `max` pass in `per`.
fn warn_of_short_block(options: &Json) {
    let Some((_, options)) = with_defaults("rate_limit", options) else { return };
    let Some((per, block)) = options.text("per").zip(options.text("block")) else { return };
    let shorter = crate::intervals::seconds(block).zip(crate::intervals::seconds(per));
    if shorter.is_some_and(|(block, per)| block < per) {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!(
                "check rate_limit has a block of {block}, which is shorter than its per of {per}"
            ),
            "After each block counting starts anew, so more than max tries may pass in per.".into(),
            "Set block to per or more, or to null: then those that are too many are refused, and no others.",
        );
    }
}

/// A check's options, those that are not given at their defaults.
fn with_defaults(check: &str, options: &Json) -> Option<(&'static [OptionSpec], OptionValues)> {
    let specs = CHECKS.iter().find(|c| c.name() == check)?.options();
    Some((specs, OptionValues::read(check, specs, options).ok()?))
}

/// The lists that a check's options name, its defaults included.
fn named_lists(check: &str, options: &Json) -> Vec<String> {
    let Some((specs, options)) = with_defaults(check, options) else { return Vec::new() };
    let of_lists = specs.iter().filter(|option| matches!(option.kind, OptionKind::Lists(_)));
    of_lists.flat_map(|option| options.texts(option.name)).collect()
}

/// Not refused: roles come and go without a word to us, and a dump may be restored before they are made.
fn roles_exist(options: &Json) {
    let roles = options["db_roles"].as_array().into_iter().flatten().filter_map(Json::as_str);
    for role in roles.map(str::trim).filter(|role| !role.is_empty()) {
        let name = row::to_server(&row::fitting(role));
        // SAFETY: a look-up by name; InvalidOid for one that is missing.
        if unsafe { pg_sys::get_role_oid(name.as_ptr(), true) } == pg_sys::Oid::INVALID {
            report::warn(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("check bypass names the database role \"{role}\", which does not exist"),
                "It exempts nobody until it exists.".into(),
                "Write the role as pg_roles shows it; names that were made without double quotes are in lower case.",
            );
        }
    }
}

fn policy_exists(name: &str) -> bool {
    rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p WHERE p.name = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        )
        .is_some()
    })
}
