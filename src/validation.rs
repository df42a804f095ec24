//! The triggers on the extension's own tables: what is written there is checked at once, and every
//! session hears of it at commit. Owns the way from a row to the engine's checks; what a policy, an
//! option or an entry may be is the engine's to say.

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use serde_json::Value as Json;
use spamcheck_engine::lists::{self, ListKind};
use spamcheck_engine::options::OptionKind;
use spamcheck_engine::policy::{self, CheckSetting};
use spamcheck_engine::{CHECKS, Refusal};

use crate::calls;
use crate::catalogue;
use crate::custom;
use crate::lookups;
use crate::packed;
use crate::references;
use crate::report;
use crate::restore;
use crate::rights;
use crate::row::{self, Column, Reader, Row};
use crate::rulebook;
use crate::settings;
use crate::sources;
use crate::spi::{self, Arg};
use crate::trigger::{self, Event, Trigger, VERSION_1};

/// The version-1 calling convention's record for `spamcheck_valid`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_valid() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_changed`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_changed() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_emptied`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_emptied() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_completed`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_completed() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// The version-1 calling convention's record for `spamcheck_queued`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_spamcheck_queued() -> &'static pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// AFTER STATEMENT on the queue: the worker hears of it at commit.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_queued(
    _fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    if restore::running() && !references::unchecked() {
        lookups::nobody_has_them();
    }
    calls::call_worker_at_commit();
    pg_sys::Datum::null()
}

/// AFTER STATEMENT: tells all sessions.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_changed(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the functions check the protocol.
    let (table, takes_away) =
        unsafe { (trigger::table_of(fcinfo), trigger::takes_rows_away(fcinfo)) };
    if table == "list_entry" {
        packed::touched();
    }
    if table == "_protection" {
        // In a restore, lookups may have waited for it.
        calls::call_worker_at_commit();
    }
    if table == "check_setting" && takes_away && !references::unchecked() && !restore::running() {
        references::warn_of_missing_settings();
    }
    rulebook::announce_change();
    pg_sys::Datum::null()
}

/// AFTER ROW: a policy made by plain INSERT gets its settings. Those of a dump come with it.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_completed(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: Trigger checks the protocol.
    let trigger = unsafe { Trigger::of(fcinfo) };
    if !references::unchecked() && !restore::running() {
        catalogue::complete_policy(text(&trigger.new_row_json(), "name"));
    }
    pg_sys::Datum::null()
}

/// BEFORE TRUNCATE of policies or lists: as if each row were deleted.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_emptied(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the function checks the protocol.
    let table = unsafe { trigger::table_to_empty(fcinfo) };
    references::drop_all_dependents(&table);
    pg_sys::Datum::null()
}

/// BEFORE ROW: refuses what makes no sense, with a sentence.
///
/// # Safety
/// To be called by the server, as a trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn spamcheck_valid(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: Trigger checks the protocol.
    let trigger = unsafe { Trigger::of(fcinfo) };
    if references::unchecked() {
        return trigger.unchanged();
    }
    if trigger.table_name() == "list_entry" {
        // Lists come by the hundred thousand.
        // SAFETY: the row is of the relation's type, and both columns are text.
        let (list, value) = unsafe {
            let row = Row::of_tuple(trigger.new_tuple(), trigger.tupdesc());
            (text_of(&trigger, row, c"list"), text_of(&trigger, row, c"value"))
        };
        if let Err(refusal) = valid_list_entry(&list, &value) {
            report::refuse_value(refusal);
        }
        return trigger.unchanged();
    }
    let row = trigger.new_row_json();
    if trigger.event == Event::Delete {
        references::drop_dependents(&trigger.table_name(), text(&row, "name"));
        return trigger.unchanged();
    }
    let checked = match trigger.table_name().as_str() {
        "policy" => valid_policy(&row),
        "check_setting" => valid_check_setting(&row),
        "list" => valid_list(&trigger, &row),
        other => Err(Refusal::new(format!("table \"{other}\" is not checked by this trigger"))),
    };
    if let Err(refusal) = checked {
        report::refuse_value(refusal);
    }
    let old = (trigger.event == Event::Update).then(|| trigger.old_row_json());
    if let Some(old) = &old {
        references::rename_dependents(&trigger.table_name(), old, &row);
    }
    if !restore::running() {
        references::remember_anew(&trigger.table_name(), old.as_ref(), &row);
    }
    if trigger.event == Event::Insert {
        restore::give_way(&trigger.table_name(), &row);
    }
    trigger.unchanged()
}

fn text<'a>(row: &'a Json, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

fn valid_policy(row: &Json) -> Result<(), Refusal> {
    policy::validate_policy(row)?;
    if let Some(interval) = row["retention"].as_str() {
        positive(interval, "policy column \"retention\"")?;
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
    Ok(())
}

fn valid_check_setting(row: &Json) -> Result<(), Refusal> {
    let name = text(row, "check_name");
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
    if name == "custom" && !restore::running() {
        custom::must_exist(&row["options"])?;
    }
    let mut all_there = true;
    for list in named_lists(name, &row["options"]) {
        // Not refused: a dump may bring the list later than the setting.
        if list_kind(&list).is_none() {
            all_there = false;
            report::warn(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("check {name} names the list \"{list}\", which does not exist"),
                "Until it exists the check fails on every submission, and on_error decides.".into(),
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
    if all_there && let Some(why) = rulebook::failure_of(setting) {
        let intervals = CHECKS.iter().filter(|check| check.name() == name);
        let intervals = intervals.flat_map(|check| check.options());
        let hint = if intervals.into_iter().any(|option| option.kind == OptionKind::Interval) {
            "Write intervals as PostgreSQL does, ahead of now: \"90 seconds\"."
        } else {
            "spamcheck.list shows the lists and their kinds."
        };
        return Err(Refusal::new(why).with_hint(hint));
    }
    Ok(())
}

/// Sums of scores stay numbers that can be compared.
fn valid_score(check: &str, score: &Json) -> Result<(), Refusal> {
    match score.as_f64() {
        Some(score) if score.abs() <= 1e6 => Ok(()),
        _ => Err(Refusal::new(format!("the score of check {check} is not a number from -1000000 to 1000000"))
            .with_hint("It adds to the sum that the policy's moderate_at, spam_at and reject_at are compared with; 1 to 10 is usual.")),
    }
}

/// An interval that the server can read and that lies ahead.
fn positive(text: &str, what: &str) -> Result<(), Refusal> {
    if !holds("convert_from($1, 'UTF8')::interval > interval '0'", text) {
        return Err(Refusal::new(format!("{what} takes an interval above zero, not \"{text}\""))
            .with_hint("Write it as PostgreSQL does: \"15 days\"."));
    }
    not_endless(text, what)
}

/// Times that lie an interval before or after now must be times that the server knows: they begin 4713 BC.
fn not_endless(text: &str, what: &str) -> Result<(), Refusal> {
    let condition = "convert_from($1, 'UTF8')::interval <= interval '1000 years'
                     AND isfinite(now() + convert_from($1, 'UTF8')::interval)
                     AND isfinite(now() - convert_from($1, 'UTF8')::interval)";
    if holds(condition, text) {
        return Ok(());
    }
    Err(Refusal::new(format!("{what} takes 1000 years at most, not \"{text}\""))
        .with_hint("A column that is NULL says never."))
}

/// Whether a condition on a text is true; what is no interval at all holds nothing.
fn holds(condition: &str, text: &str) -> bool {
    let read = crate::subtransaction::attempt(std::panic::AssertUnwindSafe(|| {
        rights::as_extension(|| {
            let query = format!("SELECT convert_to('yes', 'UTF8') WHERE {condition}");
            spi::text_once(&query, &[Arg::Text(text)])
        })
    }));
    matches!(read, Ok(Some(_)))
}

/// What the engine cannot know of akismet's options: the server's intervals.
fn valid_akismet(options: &Json) -> Result<(), Refusal> {
    if let Some(text) = options["give_up_after"].as_str() {
        positive(text, "option \"give_up_after\" of check akismet")?;
    }
    Ok(())
}

/// The lists that a check's options name, its defaults included.
fn named_lists(check: &str, options: &Json) -> Vec<String> {
    let Some(check) = CHECKS.iter().find(|c| c.name() == check) else { return Vec::new() };
    let of_lists = check.options().iter().filter(|option| option.kind == OptionKind::Lists);
    let names = of_lists.flat_map(|option| {
        let lists = options.get(option.name).cloned().unwrap_or_else(|| option.default_value());
        lists.as_array().cloned().unwrap_or_default()
    });
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
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

fn list_kind(name: &str) -> Option<ListKind> {
    let kind = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(l.kind, 'UTF8') FROM spamcheck.list l WHERE l.name = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        )
    })?;
    ListKind::from_name(&kind)
}

fn valid_list(trigger: &Trigger, row: &Json) -> Result<(), Refusal> {
    let (name, kind) = (text(row, "name"), text(row, "kind"));
    if name.trim().is_empty() {
        return Err(Refusal::new("a list needs a name")
            .with_hint("Checks name it in their option \"lists\"."));
    }
    if ListKind::from_name(kind).is_none() {
        return Err(Refusal::new(format!(
            "the kind of list \"{name}\" is \"{kind}\", which does not exist"
        ))
        .with_hint("A list is of kind word, regex, ip or domain."));
    }
    if let Some(interval) = row["refresh"].as_str() {
        let what = format!("column \"refresh\" of list \"{name}\"");
        if !holds("convert_from($1, 'UTF8')::interval >= interval '1 minute'", interval) {
            return Err(Refusal::new(format!(
                "{what} takes an interval of a minute or more, not \"{interval}\""
            ))
            .with_detail("The worker asks somebody else's server that often.")
            .with_hint("Write it as PostgreSQL does: \"1 day\"."));
        }
        not_endless(interval, &what)?;
    }
    if let Some(url) = row["source_url"].as_str()
        && let Err(why) = settings::service_url(url)
    {
        return Err(Refusal::new(format!("the source_url of list \"{name}\" cannot be fetched"))
            .with_detail(why)
            .with_hint("Give an https URL."));
    }
    if row["source_url"].is_null() && !row["refresh"].is_null() {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("list \"{name}\" has a refresh and no source_url"),
            "There is nowhere to fetch it from.".into(),
            "Set source_url to where the entries are, one a line.",
        );
    }
    let old = (trigger.event == Event::Update).then(|| trigger.old_row_json());
    if let Some(old) = old.as_ref().filter(|old| text(old, "name") != name) {
        sources::renamed(text(old, "name"), name);
    }
    let columns = ["source_url", "refresh", "refreshed_at"];
    let changed = old.as_ref().is_none_or(|old| columns.iter().any(|c| old[c] != row[c]));
    // Whoever sets refreshed_at to NULL wants it now, also when it was NULL before.
    if (changed || row["refreshed_at"].is_null()) && !row["source_url"].is_null() {
        sources::changed(name);
    }
    if let Some(old) = &old
        && text(old, "kind") != kind
        && let Some(checks) = references::checks_that_name(text(old, "name"))
    {
        return Err(Refusal::new(format!(
            "list \"{name}\" is named by the settings of checks: its kind cannot become {kind}"
        ))
        .with_detail(format!(
            "It is named by {checks}, which take lists of kind {}.",
            text(old, "kind")
        ))
        .with_hint("Take it out of their options first, or make another list."));
    }
    if let Some(old) = &old
        && text(old, "kind") != kind
        && has_entries(text(old, "name"))
    {
        return Err(Refusal::new(format!(
            "list \"{name}\" has entries of kind {}: its kind cannot become {kind}",
            text(old, "kind")
        ))
        .with_hint("Delete the entries first, or make another list."));
    }
    Ok(())
}

fn has_entries(list: &str) -> bool {
    rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck.list_entry e WHERE e.list = convert_from($1, 'UTF8') LIMIT 1",
            &[Arg::Text(list)],
        )
        .is_some()
    })
}

fn valid_list_entry(list: &str, value: &str) -> Result<(), Refusal> {
    if value.contains(['\n', '\r']) {
        return Err(Refusal::new(format!("an entry of list \"{list}\" holds a line break"))
            .with_hint("Write one row for each entry."));
    }
    storable(list, value)?;
    let Some(kind) = list_kind_kept(list) else {
        // A parallel restore may bring the entries before their list. They were checked once.
        if restore::running() {
            return Ok(());
        }
        return Err(Refusal::new(format!("list \"{list}\" does not exist"))
            .with_hint("See spamcheck.list, or INSERT the list there first."));
    };
    lists::validate_entry(kind, value).map_err(|mut refusal| {
        refusal.message = format!("list \"{list}\": {}", refusal.message);
        refusal
    })
}

/// Whether an entry is text that the list gives back as it was.
pub fn storable(list: &str, value: &str) -> Result<(), Refusal> {
    if row::has_strange_bytes(value) {
        return Err(Refusal::new(format!("an entry of list \"{list}\" is not valid UTF-8"))
            .with_hint("A database of encoding SQL_ASCII takes any bytes; lists take UTF-8."));
    }
    Ok(())
}

/// A text column of our own tables; empty: NULL.
///
/// # Safety
/// The row must be the trigger's, and the column of type text.
unsafe fn text_of<'r>(trigger: &Trigger, row: Row<'r>, name: &CStr) -> Cow<'r, str> {
    // SAFETY: the caller's promise; the relation is open.
    unsafe {
        let number = pg_sys::SPI_fnumber(trigger.tupdesc(), name.as_ptr());
        let Ok(index) = usize::try_from(number - 1) else { return Cow::Borrowed("") };
        let column =
            Column { index, type_oid: pg_sys::TEXTOID, modifier: -1, reader: Reader::Text };
        row.text_borrowed(column).unwrap_or_default()
    }
}

/// The kind of a list, asked once for the many rows of a COPY; forgotten with every invalidation.
fn list_kind_kept(name: &str) -> Option<ListKind> {
    rulebook::kept_list_kind(name, || list_kind(name))
}
