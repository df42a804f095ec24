//! Owns the refusal that asks for the values of a status column that nothing tells. What it shows does no harm
//! to who copies it: no number and no label stands for a verdict that it does not name.

use serde_json::json;

use super::constraint::listed_values;
use super::status_find::{first, values};
use super::status_words::{HAM_VALUES, MODERATE_VALUES, REFUSED_VALUES, SPAM_VALUES};
use super::table::{Column, ColumnKind, Table};
use crate::refusal::Refusal;

/// Asks for the values of a status column that nothing tells.
pub(super) fn ask(column: &Column, table: &Table) -> Refusal {
    let is_number = column.kind == ColumnKind::Integer;
    let values = match is_number {
        true => listed_values(&table.checks, &column.name),
        false => values(column, table),
    };
    let detail = match values.as_slice() {
        [] if is_number => {
            format!("It is of type {}, and a number does not say what it means.", column.type_name)
        }
        values if is_number => format!(
            "It is of type {} and takes {}: a number does not say what it means.",
            column.type_name,
            values.join(", ")
        ),
        [] => {
            format!("It is of type {}, and no CHECK constraint lists its values.", column.type_name)
        }
        values => format!("Its values are: {}.", values.join(", ")),
    };
    let hint = if values.is_empty() && !is_number {
        let example = example(column, ["approved", "pending", "spam"]);
        format!(
            "Give them, for example {example}, or status => '{{}}' if verdicts are only to be logged."
        )
    } else {
        let known = |words: &[&str]| first(&values, words);
        let verdicts = [
            known(HAM_VALUES),
            known(MODERATE_VALUES),
            known(SPAM_VALUES).or_else(|| known(REFUSED_VALUES)),
        ];
        let example = example(column, verdicts.each_ref().map(|v| v.as_deref().unwrap_or("…")));
        format!(
            "Give {example} with a value for each \"…\", or without the verdicts that have none, or status => '{{}}' if \
             verdicts are only to be logged."
        )
    };
    Refusal::new(format!(
        "the values that verdicts write into column \"{}\" of table {} cannot be told",
        column.name,
        table.label()
    ))
    .with_detail(detail)
    .with_hint(hint)
}

/// The argument of protect() that has verdicts write these values.
fn example(column: &Column, [ham, moderate, spam]: [&str; 3]) -> String {
    let name = json!(column.name).to_string().replace('\'', "''");
    format!(
        "status => '{{\"column\": {name}, \"ham\": \"{ham}\", \"moderate\": \"{moderate}\", \"spam\": \"{spam}\"}}'"
    )
}

#[cfg(test)]
mod tests {
    use crate::mapping::Status;
    use crate::mapping::sample::table;

    #[test]
    fn no_value_is_shown_for_a_verdict_that_it_does_not_name() {
        for (columns, example) in [
            (
                "status:enum/pending/active/confirmed/suspended/deleted",
                r#""ham": "active", "moderate": "pending", "spam": "…""#,
            ),
            ("state:enum/open/closed", r#""ham": "open", "moderate": "…", "spam": "…""#),
            (
                "status:check/Pending/Rejected/Done",
                r#""ham": "…", "moderate": "Pending", "spam": "Rejected""#,
            ),
            ("status:check/a/b/c", r#""ham": "…", "moderate": "…", "spam": "…""#),
            ("status:smallint", r#""ham": "…", "moderate": "…", "spam": "…""#),
            ("status:text", r#""ham": "approved", "moderate": "pending", "spam": "spam""#),
        ] {
            let refusal =
                Status::find(&table("notes", &format!("*id:integer body:text {columns}")));
            let hint = refusal.expect_err(columns).hint.unwrap();
            assert!(hint.contains(example), "{columns}: {hint}");
        }
    }
}
