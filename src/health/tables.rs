//! Whether the protected tables have their triggers and all columns that their mappings name.

use super::{Item, bad, ok};
use crate::{renames, rights, spi};

pub fn tables() -> Item {
    let missing = renames::missing_columns();
    if !missing.is_empty() {
        return bad(
            "tables",
            "warning",
            format!("columns that a mapping names are gone: {}", missing.join(", ")),
            "Call spamcheck.protect() for the table again.",
        );
    }
    let orphans = found("SELECT convert_to(coalesce(jsonb_agg(g.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._guarded_relation g
              WHERE NOT EXISTS (SELECT FROM spamcheck.protected_table p WHERE p.relation = g.relation)");
    if !orphans.is_empty() {
        return bad(
            "tables",
            "error",
            format!(
                "rows of {} go in unjudged: nothing is stored about their protection",
                orphans.join(", ")
            ),
            "Call spamcheck.protect() for the table again, or spamcheck.unprotect().",
        );
    }
    let astray = found("SELECT convert_to(coalesce(jsonb_agg(format('%s of %s', d.what, d.relation::regclass) ORDER BY d.relation::regclass::text), '[]')::text, 'UTF8')
               FROM (SELECT r.relation, CASE WHEN t.oid IS NULL THEN 'table ' || (p.subscriber ->> 'table')
                                             ELSE (SELECT 'column ' || quote_ident(c.name) || ' in ' || (p.subscriber ->> 'table')
                                                     FROM (SELECT p.subscriber ->> 'column' AS name
                                                            UNION ALL SELECT e #>> '{}' FROM jsonb_array_elements(
                                                               CASE jsonb_typeof(p.subscriber -> 'key') WHEN 'array' THEN p.subscriber -> 'key'
                                                                    ELSE jsonb_build_array(p.subscriber -> 'key') END) e) c
                                                    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0
                                                                         AND NOT a.attisdropped AND a.attname = c.name) LIMIT 1) END AS what
                       FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id
                       LEFT JOIN pg_class t ON t.oid = to_regclass(p.subscriber ->> 'table')
                      WHERE jsonb_typeof(p.subscriber) = 'object') d
              WHERE d.what IS NOT NULL");
    if !astray.is_empty() {
        return bad(
            "tables",
            "warning",
            format!(
                "subscribers cannot be unsubscribed, since what a mapping names is gone: {}",
                astray.join(", ")
            ),
            "Call spamcheck.protect() for the table again.",
        );
    }
    let without = found("SELECT convert_to(coalesce(jsonb_agg(r.relation::regclass::text || ' (policy \"' || p.policy || '\")' ORDER BY r.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id
              WHERE NOT EXISTS (SELECT FROM spamcheck.policy y WHERE y.name = p.policy)");
    if !without.is_empty() {
        return bad(
            "tables",
            "error",
            format!("rows go in unjudged where the policy does not exist: {}", without.join(", ")),
            "spamcheck.create_policy() makes one of that name; spamcheck.protect() names another.",
        );
    }
    let (count, idle): (i64, Vec<String>) = rights::as_extension(|| {
        spi::json_now(
            "WITH guarded AS (
                 SELECT r.relation FROM spamcheck._protected_relation r
                  UNION SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = 'spamcheck._record()'::regprocedure
                  -- Partitions have triggers of their own, which may be switched off there.
                  UNION SELECT c.tgrelid FROM pg_trigger c WHERE c.tgfoid = 'spamcheck._guard()'::regprocedure)
             SELECT convert_to(jsonb_build_array((SELECT count(*) FROM spamcheck._protected_relation), coalesce(jsonb_agg(g.relation::regclass::text ORDER BY g.relation::regclass::text), '[]'))::text, 'UTF8')
               FROM guarded g
              WHERE (SELECT count(DISTINCT t.tgfoid) FROM pg_trigger t
                      WHERE t.tgrelid = g.relation AND t.tgenabled IN ('O', 'A')
                        AND t.tgfoid IN ('spamcheck._guard()'::regprocedure, 'spamcheck._record()'::regprocedure)) < 2",
            &[],
        )
    })
    .unwrap_or_default();
    if !idle.is_empty() {
        return bad(
            "tables",
            "error",
            format!("triggers of {} are missing or disabled", idle.join(", ")),
            "ALTER TABLE ... ENABLE TRIGGER ALL, or call spamcheck.protect() for the table again.",
        );
    }
    let unheard = found("SELECT convert_to(coalesce(jsonb_agg(DISTINCT s.srrelid::regclass::text), '[]')::text, 'UTF8')
               FROM pg_subscription_rel s JOIN pg_trigger t ON t.tgrelid = s.srrelid
              WHERE t.tgfoid = 'spamcheck._guard()'::regprocedure AND t.tgenabled = 'O'");
    if !unheard.is_empty() {
        return bad(
            "tables",
            "warning",
            format!("rows of {} that a subscription brings are not judged", unheard.join(", ")),
            "Where they are to be: ALTER TABLE ... ENABLE ALWAYS TRIGGER zzzz_spamcheck_guard, and the same for zzzz_spamcheck_record.",
        );
    }
    match count {
        0 => bad(
            "tables",
            "warning",
            "no table is protected",
            "SELECT * FROM spamcheck.protect('comments');",
        ),
        1 => ok("tables", "1 table is protected"),
        n => ok("tables", format!("{n} tables are protected")),
    }
}

/// The names that a query gives as one JSON array.
fn found(query: &'static str) -> Vec<String> {
    rights::as_extension(|| spi::json_now(query, &[])).unwrap_or_default()
}
