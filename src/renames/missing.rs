//! What mappings name and is not there any more: columns of the protected tables, other tables, and columns of
//! these. Owns the questions; health() and the event trigger for what is dropped tell of the answers.

use pgrx::PgSqlErrorCode;

use crate::report;
use crate::rights;
use crate::spi::{self, Arg};

/// All tables: a list of none.
const ALL: &str = "[]";

/// What is gone of other tables: the tables, or their columns, and for which protected table.
pub struct Elsewhere {
    /// Where fields are read.
    pub fields: Vec<String>,
    /// Where it is said who gets mail.
    pub subscribers: Vec<String>,
}

/// Own columns that mappings name and that are gone; of these tables alone, if there are any.
pub fn columns(tables: Option<&str>) -> Vec<String> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(format('%s of %s', quote_ident(c.name), r.relation::regclass)), '[]')::text, 'UTF8')
               FROM spamcheck._protection p
               JOIN spamcheck._protected_relation r ON r.id = p.id
              CROSS JOIN LATERAL (
                    SELECT p.status ->> 'column' AS name
                     UNION SELECT s.value #>> '{}' FROM jsonb_each(p.columns) s WHERE jsonb_typeof(s.value) = 'string'
                     UNION SELECT e.value #>> '{}' FROM jsonb_each(p.columns) s, jsonb_array_elements(CASE jsonb_typeof(s.value) WHEN 'array' THEN s.value ELSE '[]' END) e
                     UNION SELECT e.value #>> '{}'
                             FROM (SELECT s.value -> 'from' AS names FROM jsonb_each(p.columns) s WHERE jsonb_typeof(s.value) = 'object'
                                    UNION ALL SELECT p.article -> 'from' UNION ALL SELECT p.subscriber -> 'from') f,
                                  jsonb_array_elements(CASE jsonb_typeof(f.names) WHEN 'array' THEN f.names ELSE jsonb_build_array(f.names) END) e
                     UNION SELECT k.key FROM jsonb_each(p.status) s, jsonb_object_keys(CASE jsonb_typeof(s.value) WHEN 'object' THEN s.value ELSE '{}' END) k(key)) c
              WHERE c.name IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute a
                                 WHERE a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = c.name)
                AND (convert_from($1, 'UTF8') = '[]' OR r.relation::regclass::text IN (SELECT jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb)))",
            &[Arg::Text(tables.unwrap_or(ALL))],
        )
    })
    .unwrap_or_default()
}

/// Other tables that mappings name and that are gone, or columns of them; of these tables alone, if there are any.
pub fn elsewhere(tables: Option<&str>) -> Elsewhere {
    let gone: Vec<(bool, String)> = rights::as_extension(|| {
        spi::json_now(
            "WITH named AS (
                 SELECT r.relation, false AS subscriber, o.source
                   FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id
                  CROSS JOIN LATERAL (SELECT s.value AS source FROM jsonb_each(p.columns) s
                                       WHERE jsonb_typeof(s.value) = 'object' AND s.value ? 'table'
                                       UNION ALL SELECT p.article) o
                 UNION ALL
                 SELECT r.relation, true, p.subscriber FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id),
             gone AS (
                 SELECT n.subscriber, format('%s of %s', CASE WHEN t.oid IS NULL THEN 'table ' || (n.source ->> 'table')
                                ELSE format('column %I in %s', c.name, n.source ->> 'table') END, n.relation::regclass) AS what
                   FROM named n
                   LEFT JOIN pg_class t ON t.oid = to_regclass(n.source ->> 'table')
                  CROSS JOIN LATERAL (
                        SELECT n.source ->> part AS name FROM unnest(ARRAY['column', 'title', 'created_at', 'permalink']) part
                         UNION SELECT e.value #>> '{}'
                                 FROM jsonb_array_elements(CASE jsonb_typeof(n.source -> 'key') WHEN 'array' THEN n.source -> 'key'
                                                                ELSE jsonb_build_array(n.source -> 'key') END) e) c
                  WHERE jsonb_typeof(n.source) = 'object' AND c.name IS NOT NULL
                    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0
                                       AND NOT a.attisdropped AND a.attname = c.name)
                    AND (convert_from($1, 'UTF8') = '[]' OR n.source ->> 'table' IN (SELECT jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb))))
             SELECT convert_to(coalesce(jsonb_agg(jsonb_build_array(g.subscriber, g.what) ORDER BY g.what, g.subscriber), '[]')::text, 'UTF8')
               FROM (SELECT DISTINCT * FROM gone) g",
            &[Arg::Text(tables.unwrap_or(ALL))],
        )
    })
    .unwrap_or_default();
    let of = |subscribers: bool| {
        let of = gone.iter().filter(|(subscriber, _)| *subscriber == subscribers);
        of.map(|(_, what)| what.clone()).collect()
    };
    Elsewhere { fields: of(false), subscribers: of(true) }
}

/// What a mapping names may be dropped: its table's rows go in all the same, and somebody should know that they
/// are judged by less. Only of what this statement drops: what others dropped is not this role's business.
pub(super) fn warn_of_dropped() {
    let tables = spi::text_now(
        "SELECT convert_to(jsonb_agg(DISTINCT d.name)::text, 'UTF8')
           FROM (SELECT d.objid, quote_ident(d.address_names[1]) || '.' || quote_ident(d.address_names[2]) AS name
                   FROM pg_event_trigger_dropped_objects() d WHERE d.classid = 'pg_class'::regclass) d
          WHERE d.objid IN (SELECT r.relation FROM spamcheck._protected_relation r)
             OR d.name IN (SELECT o.name FROM spamcheck._protection p
                            CROSS JOIN LATERAL (SELECT s.value ->> 'table' AS name FROM jsonb_each(p.columns) s
                                                 UNION ALL SELECT p.article ->> 'table'
                                                 UNION ALL SELECT p.subscriber ->> 'table') o
                            WHERE o.name IS NOT NULL)",
        &[],
    );
    let Some(tables) = tables else { return };
    let missing = columns(Some(&tables));
    if !missing.is_empty() {
        warn(
            "names columns that are gone",
            &missing,
            "Such a field is missing from submissions, and a verdict for such a status is only logged.",
        );
    }
    let Elsewhere { fields, subscribers } = elsewhere(Some(&tables));
    if !fields.is_empty() {
        warn(
            "reads fields from what is gone",
            &fields,
            "Checks that need such a field fail, and on_error of the policy decides.",
        );
    }
    if !subscribers.is_empty() {
        warn("names subscribers that are gone", &subscribers, "Nobody can be unsubscribed.");
    }
}

fn warn(what: &str, gone: &[String], detail: &str) {
    report::warn(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("a mapping of pg_spamcheck {what}: {}", gone.join(", ")),
        detail.to_owned(),
        "Call spamcheck.protect() for the table again.",
    );
}
