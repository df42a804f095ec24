//! Whether pg_spamcheck.enabled is on, here and for whichever role and database. It is for a maintenance
//! hour; forgotten, it opens every table.

use serde::Deserialize;

use super::{Item, bad};
use crate::{rights, settings, spi};

/// Where the setting is off.
#[derive(Deserialize)]
struct Off {
    /// Where this session's value comes from, as `pg_settings.source` has it.
    source: String,
    /// ALTER DATABASE and ALTER ROLE that switch it off for sessions of this database: for whom, and the
    /// statement that takes it back.
    stored: Vec<(String, String)>,
}

/// The warning, where rows go in unjudged.
pub fn off() -> Option<Item> {
    let off: Off = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(jsonb_build_object(
                        'source', (SELECT s.source FROM pg_settings s WHERE s.name = 'pg_spamcheck.enabled'),
                        'stored', coalesce((
                            SELECT jsonb_agg(jsonb_build_array(
                                       CASE WHEN r.oid IS NULL AND d.oid IS NULL THEN 'for all roles'
                                            ELSE concat_ws(' ', 'for role ' || quote_ident(r.rolname), 'in database ' || quote_ident(d.datname)) END,
                                       format('ALTER ROLE %s%s RESET pg_spamcheck.enabled', coalesce(quote_ident(r.rolname), 'ALL'),
                                              ' IN DATABASE ' || quote_ident(d.datname)))
                                   ORDER BY r.rolname NULLS FIRST, d.datname NULLS FIRST)
                              FROM pg_db_role_setting s
                              LEFT JOIN pg_roles r ON r.oid = s.setrole
                              LEFT JOIN pg_database d ON d.oid = s.setdatabase
                             WHERE (s.setdatabase = 0 OR d.datname = current_database())
                               -- As the server reads a boolean.
                               AND EXISTS (SELECT FROM unnest(s.setconfig) c
                                            WHERE lower(c) ~ '^pg_spamcheck\\.enabled=\\s*(of|off|f|fa|fal|fals|false|n|no|0)\\s*$')),
                            '[]'))::text, 'UTF8')",
            &[],
        )
    })?;
    let here = !settings::enabled();
    let stored = ["database", "user", "database user"].contains(&off.source.as_str());
    let session = ["session", "client", "interactive"].contains(&off.source.as_str());
    let mut whose: Vec<String> = Vec::new();
    let mut statements: Vec<String> = Vec::new();
    if here && session || here && stored && off.stored.is_empty() {
        whose.push("in this session".to_owned());
        statements.push("RESET pg_spamcheck.enabled".to_owned());
    }
    let everywhere = here && !stored && !session;
    if everywhere {
        statements
            .push("ALTER SYSTEM RESET pg_spamcheck.enabled; SELECT pg_reload_conf()".to_owned());
    }
    for (place, statement) in off.stored {
        whose.push(place);
        statements.push(statement);
    }
    let message = match whose.as_slice() {
        _ if everywhere => "pg_spamcheck.enabled is off: no row is judged".to_owned(),
        [] => return None,
        places => {
            format!("pg_spamcheck.enabled is off {}: no row is judged there", places.join(", "))
        }
    };
    let hint = format!(
        "{}. A line in postgresql.conf is taken out there; what roles and databases have set counts from the next connection.",
        statements.join("; ")
    );
    Some(bad("preload", "warning", message, hint))
}
