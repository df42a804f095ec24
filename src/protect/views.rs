//! Views that spamcheck.public_view() made of a table: they show ham rows by the status that the table had then. Owns
//! how they are told from others, and the WARNING about them when protect() gives the table another status.

use pgrx::{PgSqlErrorCode, pg_sys};

use crate::spi::{self, Arg};
use crate::{report, rights};

/// How a view says that it is one of these, at the end of its comment.
pub const MADE_BY: &str = "made by spamcheck.public_view()";

/// Tells which views of a table were made for another status than it has from now on: they show what is hidden, or
/// hide what is not.
pub fn warn_of_outdated(relation: pg_sys::Oid, table: &str) {
    let views: Vec<String> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT v.oid::regclass::text), '[]')::text, 'UTF8')
               FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
              WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1
                AND v.relkind = 'v' AND obj_description(v.oid, 'pg_class') LIKE '%' || convert_from($2, 'UTF8')",
            &[Arg::Oid(relation), Arg::Text(MADE_BY)],
        )
    })
    .unwrap_or_default();
    if !views.is_empty() {
        report::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!(
                "the status of table {table} is another one now, and views show ham rows by the former one: {}",
                views.join(", ")
            ),
            "What is moderated or spam from now on may be shown there.".to_owned(),
            "DROP each VIEW and make it again with spamcheck.public_view(); grant the rights that it had.",
        );
    }
}
