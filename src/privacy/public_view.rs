//! public_view(): a view of a protected table that may be shown to everybody. Owns which rows and columns
//! it has: ham rows, by the values of the mapping, without what is an e-mail or IP address or named like a
//! secret. It belongs to the table's owner, has a security barrier, and is granted to nobody.

use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::json;
use spamcheck_engine::mapping::{Mapping, is_contact, is_secret};
use spamcheck_engine::{Field, Refusal};

use super::ham_rows;
use crate::protect::views::MADE_BY;
use crate::protect::{Described, may_protect};
use crate::spi::{self, Arg, quoted};
use crate::{report, rights, rulebook};

/// Makes the view.
pub fn make(relation: pg_sys::Oid, name: &str) {
    let described = may_protect(relation, "make a public view of");
    let table = described.display();
    let stored = described.protection.and_then(|id| rights::as_extension(|| rulebook::stored(id)));
    let Some(stored) = stored else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("table {table} is not protected"))
                .with_hint("See spamcheck.protected_table."),
        )
    };
    let Some(condition) = ham_rows::condition(relation, &stored, &described) else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Refusal::new(format!("table {table} has no status: its ham rows cannot be told"))
                .with_hint("Give protect() a status."),
        )
    };
    let mapping = Mapping::from_json(&stored.columns).unwrap_or_default();
    let hidden = hidden(&mapping, &described);
    let shown: Vec<String> = described
        .columns
        .iter()
        .filter(|column| !hidden.contains(&column.name))
        .map(|column| format!("t.{}", quoted(&column.name)))
        .collect();
    if shown.is_empty() {
        report::refuse_value(Refusal::new(format!("nothing of table {table} may be shown")));
    }
    let view = qualified(name, &described);
    let columns = shown.join(", ");
    rights::as_owner_of(relation, || {
        spi::write(
            &format!(
                "CREATE VIEW {view} WITH (security_barrier) AS SELECT {columns} FROM {table} t WHERE {condition}"
            ),
            &[],
        );
        // The owner's default privileges give new tables and views to somebody, who has not been said.
        if let Some(granted) = granted(&view) {
            spi::write(&format!("REVOKE ALL ON {view} FROM {granted}"), &[]);
        }
        let comment = format!("Ham rows of {table} for everybody to see; {MADE_BY}");
        spi::write(&format!("COMMENT ON VIEW {view} IS '{}'", comment.replace('\'', "''")), &[]);
    });
    report::notice(&match hidden.as_slice() {
        [] => format!(
            "view {view} has all columns of {table}: none is known to be an e-mail or IP address"
        ),
        hidden => format!("view {view} is without {}", hidden.join(", ")),
    });
}

/// Who but the owner has any right to a view, as REVOKE names them; None: nobody.
fn granted(view: &str) -> Option<String> {
    spi::text_once(
        "SELECT pg_catalog.convert_to(pg_catalog.string_agg(DISTINCT CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC'
                    ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END, ', '), 'UTF8')
           FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
          WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(pg_catalog.convert_from($1, 'UTF8'))
            AND a.grantee OPERATOR(pg_catalog.<>) c.relowner",
        &[Arg::Text(view)],
    )
}

/// The view's name, qualified and quoted; unqualified, it goes beside the table.
fn qualified(name: &str, described: &Described) -> String {
    let parts: Option<Vec<String>> = crate::subtransaction::attempt(std::panic::AssertUnwindSafe(|| {
        rights::as_extension(|| {
            spi::json_now(
                "SELECT convert_to(to_json(parse_ident(convert_from($1, 'UTF8')))::text, 'UTF8')",
                &[Arg::Text(name)],
            )
        })
    }))
    .ok()
    .flatten();
    match parts.as_deref() {
        Some([view]) => format!("{}.{}", quoted(&described.schema), quoted(view)),
        Some([schema, view]) => format!("{}.{}", quoted(schema), quoted(view)),
        _ => report::refuse(
            PgSqlErrorCode::ERRCODE_INVALID_NAME,
            Refusal::new(format!("{} is no name of a view", json!(name)))
                .with_hint("Write it as in SQL: public_comments, or web.\"Public comments\"."),
        ),
    }
}

/// Columns that are not shown: what the mapping, or a guess, takes for an e-mail or IP address, what is named
/// like one or like a secret, and what is of a type for addresses. A key is no exception, unless it is named
/// like a key alone.
fn hidden(mapping: &Mapping, described: &Described) -> Vec<String> {
    let table = described.table();
    let guessed = Mapping::find(&table);
    let mapped = |name: &str| {
        [mapping, &guessed].iter().any(|mapping| {
            [Field::Email, Field::Ip].iter().any(|field| {
                let source = mapping.sources.get(field);
                source.is_some_and(|source| source.own_columns().iter().any(|own| own == name))
            })
        })
    };
    let typed = of_address_types(described);
    let columns = table.columns.iter();
    let hidden = columns.filter(|column| {
        mapped(&column.name)
            || is_contact(&column.name)
            || is_secret(&column.name) && !table.key.contains(&column.name)
            || typed.contains(&column.name)
    });
    hidden.map(|column| column.name.clone()).collect()
}

/// Columns of type inet or cidr, and of arrays, domains, ranges and composite types of them.
fn of_address_types(described: &Described) -> Vec<String> {
    let columns: Vec<_> = described.columns.iter().map(|c| (&c.name, c.type_oid)).collect();
    rights::as_extension(|| {
        spi::json_now(
            "WITH RECURSIVE part(name, type) AS (
                 SELECT c ->> 0, (c ->> 1)::oid FROM jsonb_array_elements(convert_from($1, 'UTF8')::jsonb) c
                 UNION
                 SELECT p.name, inner_type.oid
                   FROM part p JOIN pg_type t ON t.oid = p.type
                  CROSS JOIN LATERAL (
                        SELECT t.typbasetype WHERE t.typtype = 'd'
                        UNION ALL SELECT t.typelem WHERE t.typelem <> 0
                        UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
                        UNION ALL SELECT a.atttypid FROM pg_attribute a
                                   WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                        ) inner_type(oid))
             SELECT convert_to(coalesce(json_agg(DISTINCT p.name), '[]')::text, 'UTF8') FROM part p
              WHERE p.type IN ('inet'::regtype, 'cidr'::regtype)",
            &[Arg::Text(&json!(columns).to_string())],
        )
    })
    .unwrap_or_default()
}
