//! Values that a column has to take later: those of the status, and those of the subscribers' column. Owns
//! the questions to the server whether the column's type and the constraints on it alone take them.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::{Status, StatusValue, Subscriber};

use super::described::{self, Described, DescribedColumn};
use crate::report;
use crate::rights;
use crate::spi::{self, Arg, quoted};
use crate::subtransaction;

/// Every value is what its column's type, with its length and its domain's conditions, takes.
pub fn values_fit(relation: pg_sys::Oid, status: &Status, described: &Described) {
    for (name, value) in status.values() {
        let StatusValue::Text(text) = value else { continue };
        let Some(column) = described.columns.iter().find(|c| c.name == *name) else { continue };
        fits(relation, "status", column, text);
    }
}

fn fits(relation: pg_sys::Oid, argument: &str, column: &DescribedColumn, text: &str) {
    if let Some(why) = column.misfit(relation, text) {
        report::refuse_value(
            Refusal::new(format!(
                "{argument} column \"{}\" does not take the value \"{text}\"",
                column.name
            ))
            .with_detail(format!("{why}."))
            .with_hint(format!(
                "Give a value that the column's type takes in argument \"{argument}\"."
            )),
        );
    }
}

/// The constraints on a status column alone, which the server would hold against rows later.
pub fn constraints_hold(relation: pg_sys::Oid, status: &Status, described: &Described) {
    for (name, value) in status.values() {
        let Some(column) = described.columns.iter().find(|c| c.name == *name) else { continue };
        let refused = match value {
            StatusValue::Now => None,
            StatusValue::Null if column.not_null => {
                Some(("null".to_owned(), "NOT NULL".to_owned()))
            }
            StatusValue::Null => None,
            StatusValue::Text(text) => {
                breaks(relation, relation, name, text).map(|by| (text.clone(), by))
            }
        };
        if let Some((value, constraint)) = refused {
            let hint = "Give a value that the table takes in argument \"status\", or leave that verdict out: it is then only logged.";
            forbidden("status", name, &value, &constraint, described, hint);
        }
    }
}

/// What the subscribers' column has to take when somebody is unsubscribed, and subscribed again.
pub fn takes_subscriber(relation: pg_sys::Oid, subscriber: &Subscriber) {
    let found = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(to_regclass(convert_from($1, 'UTF8'))::oid::text, 'UTF8')",
            &[Arg::Text(&subscriber.table)],
        )
    });
    let Some(table) = found.and_then(|oid| oid.parse().ok()).map(pg_sys::Oid::from_u32) else {
        return;
    };
    let Some(described) = described::describe(table) else { return };
    subscriber
        .check_values(&described.table())
        .unwrap_or_else(|refusal| report::refuse_value(refusal));
    let name = &subscriber.column;
    let Some(column) = described.columns.iter().find(|c| c.name == *name) else { return };
    for value in [&subscriber.subscribed, &subscriber.unsubscribed] {
        fits(relation, "subscriber", column, value);
        if let Some(constraint) = breaks(relation, table, name, value) {
            let hint = "Give a value that the table takes in argument \"subscriber\".";
            forbidden("subscriber", name, value, &constraint, &described, hint);
        }
    }
}

fn forbidden(
    argument: &str,
    column: &str,
    value: &str,
    constraint: &str,
    described: &Described,
    hint: &str,
) -> ! {
    let message = format!("{argument} column \"{column}\" does not take the value \"{value}\"");
    let table = described.display();
    report::refuse_value(
        Refusal::new(message)
            .with_detail(format!("Constraint {constraint} of table {table} forbids it."))
            .with_hint(hint),
    )
}

/// The constraint that a value of a column of `table` breaks, as far as that can be told from the value alone and by
/// the owner of `relation`.
pub fn breaks(
    relation: pg_sys::Oid,
    table: pg_sys::Oid,
    column: &str,
    value: &str,
) -> Option<String> {
    type Constraint = (String, String, Option<String>, Option<String>, Option<String>);
    let constraints: Vec<Constraint> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(json_agg(json_build_array(
                        quote_ident(k.conname), format_type(a.atttypid, a.atttypmod), pg_get_expr(k.conbin, k.conrelid),
                        quote_ident(n.nspname) || '.' || quote_ident(f.relname), quote_ident(fa.attname))), '[]')::text, 'UTF8')
               FROM pg_constraint k
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum]
               LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace n ON n.oid = f.relnamespace
               LEFT JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
              WHERE k.conrelid = $1 AND k.contype IN ('c', 'f') AND a.attname = convert_from($2, 'UTF8')",
            &[Arg::Oid(table), Arg::Text(column)],
        )
    })
    .unwrap_or_default();
    let broken = constraints.into_iter().find(|(_, type_name, check, other, key)| {
        let query = match (check, other, key) {
            (Some(check), ..) => format!(
                "SELECT convert_to((({check}) IS NOT FALSE)::text, 'UTF8')
                   FROM (SELECT convert_from($1, 'UTF8')::{type_name} AS {}) t",
                quoted(column)
            ),
            (None, Some(other), Some(key)) => format!(
                "SELECT convert_to(EXISTS (SELECT FROM {other} r WHERE r.{key} = convert_from($1, 'UTF8')::{type_name})::text, 'UTF8')"
            ),
            _ => return false,
        };
        // What cannot be found out is not refused.
        let holds = subtransaction::rehearse(AssertUnwindSafe(|| {
            rights::as_reader_of(relation, || spi::text_once(&query, &[Arg::Text(value)]))
        }));
        matches!(holds, Ok(Some(holds)) if holds == "false")
    });
    broken.map(|(name, ..)| name)
}
