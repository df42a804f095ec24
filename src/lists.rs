//! import_list(): a text becomes entries of a list, all of them or none. Owns the way from the call to
//! the table; what a text holds and what an entry may be is the engine's to say.

use pgrx::{PgSqlErrorCode, pg_sys, prelude::*};
use spamcheck_engine::Refusal;
use spamcheck_engine::import::{self, Format};
use spamcheck_engine::lists::ListKind;

use crate::arguments::given;
use crate::references;
use crate::report;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg};
use crate::validation;

/// The call as the server makes it; the number of entries that count now and did not before.
#[pg_extern(sql = false)]
fn import_list(list: Option<&[u8]>, entries: Option<&[u8]>, format: Option<&[u8]>) -> i32 {
    let list = &*row::from_server(given(list, "list"));
    let text = &*row::from_server(given(entries, "entries"));
    let format = &*row::from_server(given(format, "format"));
    let Some(format) = Format::from_name(format) else {
        let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        report::refuse_value(
            Refusal::new(format!("format {} does not exist", Refusal::quote(format)))
                .with_hint(format!("Formats are {}.", known.join(", "))),
        )
    };
    // Before the user changes: the one whose import it is.
    let added_by = user();
    let kind = kind_of(list);
    let mut entries = import::read(kind, format, text, || {
        pgrx::check_for_interrupts!();
    })
    .and_then(|entries| {
        entries.iter().try_for_each(|entry| validation::lists::storable(list, entry))?;
        Ok(entries)
    })
    .unwrap_or_else(|mut refusal| {
        refusal.message = format!("list \"{list}\": {}", refusal.message);
        report::refuse_value(refusal)
    });
    // In the order of the key: who writes entries in it, too, waits at the first one that both have.
    entries.sort_unstable();
    let lines = entries.join("\n");
    if lines.is_empty() {
        return 0;
    }
    // The engine has just checked them; an entry that has expired is there no longer.
    let added = references::without_checks(|| {
        spi::write_returning(
            "WITH added AS (
                 INSERT INTO spamcheck.list_entry AS e (list, value, added_by)
                 SELECT convert_from($1, 'UTF8'), x.value, convert_from($3, 'UTF8')::name
                   FROM unnest(string_to_array(convert_from($2, 'UTF8'), E'\\n')) x(value)
                 ON CONFLICT (list, value) DO UPDATE
                    SET expires_at = NULL, added_by = excluded.added_by, added_at = excluded.added_at
                  WHERE e.expires_at <= now()
                 RETURNING 1)
             SELECT convert_to(count(*)::text, 'UTF8') FROM added",
            &[Arg::Text(list), Arg::Text(&lines), Arg::Text(&added_by)],
        )
    });
    let count = added.into_iter().next().flatten();
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// The kind of a list that is there and stays until the transaction ends; whoever else imports into it, or
/// refreshes it, waits until then, and not at an entry, where each could have one that the other needs.
fn kind_of(list: &str) -> ListKind {
    let kind = rights::as_extension(|| {
        spi::write_returning(
            "SELECT convert_to(l.kind, 'UTF8') FROM spamcheck.list l
              WHERE l.name = convert_from($1, 'UTF8') FOR NO KEY UPDATE",
            &[Arg::Text(list)],
        )
    });
    let kind = kind.into_iter().next().flatten();
    match kind.as_deref().and_then(ListKind::from_name) {
        Some(kind) => kind,
        None => report::refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            Refusal::new(format!("list \"{list}\" does not exist")).with_hint(format!(
                "Make it first, with the kind of its entries (word, regex, ip or domain): INSERT INTO spamcheck.list (name, kind) VALUES ('{}', 'word');",
                list.replace('\'', "''")
            )),
        ),
    }
}

fn user() -> String {
    // SAFETY: the current user exists; the name is a C string.
    let name = unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false);
        std::ffi::CStr::from_ptr(name).to_bytes()
    };
    row::from_server(name).into_owned()
}
