//! What rows of `spamcheck.list` and `spamcheck.list_entry` may hold. Entries come by the hundred thousand:
//! nothing is asked anew for each.

use pgrx::PgSqlErrorCode;
use serde_json::Value as Json;
use spamcheck_engine::Refusal;
use spamcheck_engine::lists::{self, ListKind};

use super::{intervals, text};
use crate::spi::{self, Arg};
use crate::{references, report, restore, rights, row, rulebook, settings, sources};

/// Refuses a list that makes no sense.
pub fn valid(old: Option<&Json>, row: &Json) -> Result<(), Refusal> {
    let (name, kind) = (text(row, "name"), text(row, "kind"));
    if name.trim().is_empty() {
        return Err(Refusal::new("a list needs a name")
            .with_hint("Checks name it in their option \"lists\"."));
    }
    if ListKind::from_name(kind).is_none() {
        return Err(Refusal::new(if row["kind"].is_null() {
            format!("the kind of list \"{name}\" is NULL, and has to be given")
        } else {
            format!("the kind of list \"{name}\" is \"{kind}\", which does not exist")
        })
        .with_hint("A list is of kind word, regex, ip or domain."));
    }
    if let Some(interval) = row["refresh"].as_str() {
        let what = format!("column \"refresh\" of list \"{name}\"");
        if !intervals::holds("convert_from($1, 'UTF8')::interval >= interval '1 minute'", interval)
        {
            return Err(Refusal::new(format!(
                "{what} takes an interval of a minute or more, not \"{interval}\""
            ))
            .with_detail("The worker asks somebody else's server that often.")
            .with_hint("Write it as PostgreSQL does: \"1 day\"."));
        }
        intervals::not_endless(interval, &what)?;
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
    if let Some(old) = old.filter(|old| text(old, "name") != name) {
        sources::renamed(text(old, "name"), name);
    }
    let columns = ["source_url", "refresh", "refreshed_at"];
    let changed = old.is_none_or(|old| columns.iter().any(|c| old[c] != row[c]));
    // Whoever sets refreshed_at to NULL wants it now, also when it was NULL before.
    if (changed || row["refreshed_at"].is_null()) && !row["source_url"].is_null() {
        sources::changed(name);
    }
    let same = |old: &Json| text(old, "name") == name && text(old, "kind") == kind;
    if !restore::running() && !old.is_some_and(same) {
        fits_what_names_it(old, row)?;
    }
    if let Some(old) = old
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

/// Refuses an entry that its list cannot take.
pub fn valid_entry(list: &str, value: &str) -> Result<(), Refusal> {
    if value.contains(['\n', '\r']) {
        return Err(Refusal::new(format!("an entry of list \"{list}\" holds a line break"))
            .with_hint("Write one row for each entry."));
    }
    storable(list, value)?;
    let Some(kind) = kind_kept(list) else {
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

/// Refuses a list of another kind than the checks take that name it: they would fail on every submission.
fn fits_what_names_it(old: Option<&Json>, row: &Json) -> Result<(), Refusal> {
    let (name, kind) = (text(row, "name"), text(row, "kind"));
    let mut naming = references::that_name(name);
    if let Some(old) = old.filter(|old| text(old, "name") != name) {
        // They follow a new name.
        naming.extend(references::that_name(text(old, "name")));
    }
    naming.retain(|one| one.takes().is_some_and(|takes| takes.name() != kind));
    let Some(takes) = naming.first().and_then(|one| one.takes()) else { return Ok(()) };
    let checks: Vec<String> = naming.iter().map(ToString::to_string).collect();
    Err(Refusal::new(format!(
        "list \"{name}\" is named by the settings of checks: its kind cannot be {kind}"
    ))
    .with_detail(format!(
        "It is named by {}, where lists are of kind {}.",
        checks.join(", "),
        takes.name()
    ))
    .with_hint("Take it out of their options first, or make another list."))
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

/// The kind of a list, asked once for the many rows of a COPY; forgotten with every invalidation.
fn kind_kept(name: &str) -> Option<ListKind> {
    rulebook::kept_list_kind(name, || kind(name))
}

/// The kind of a list; None: there is none of the name.
pub fn kind(name: &str) -> Option<ListKind> {
    let kind = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(l.kind, 'UTF8') FROM spamcheck.list l WHERE l.name = convert_from($1, 'UTF8')",
            &[Arg::Text(name)],
        )
    })?;
    ListKind::from_name(&kind)
}
