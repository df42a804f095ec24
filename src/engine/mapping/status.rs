//! Owns what the verdicts write into the status of a row: which columns, which values, as given
//! or found. It must not write anything, and guesses nothing (status_find.rs does).

use serde_json::{Map, Value as Json, json};

use super::constraint::listed_values;
use super::source::{rename, scalar_text};
use super::status_find;
use super::table::{Column, ColumnKind, Table, nearest};
use crate::refusal::Refusal;
use crate::verdict::Verdict;

/// What a status column is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusValue {
    /// A value in the text form that the column's type reads.
    Text(String),
    /// NULL.
    Null,
    /// The time of the verdict (`"$now"`).
    Now,
}

/// The columns that a verdict sets, each with its value.
pub type Assignments = Vec<(String, StatusValue)>;

/// The verdicts that a status can hold, mildest first.
const VERDICTS: [&str; 3] = ["ham", "moderate", "spam"];

/// What each verdict writes. Without any value the table has no status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Written only when a moderated or spam row is released whose former status is not known.
    pub ham: Option<Assignments>,
    /// Written for a row that waits for a moderator.
    pub moderate: Option<Assignments>,
    /// Written for a row that is spam.
    pub spam: Option<Assignments>,
    /// Columns whose values are JSON numbers or booleans, so that they are shown as they came.
    bare: Vec<String>,
}

/// Whether a verdict is told from these others by what it writes besides its time. `C` names a column.
#[must_use]
pub fn is_told_without_time<'s, C: PartialEq + 's>(
    verdict: &[(C, StatusValue)],
    mut others: impl Iterator<Item = &'s Vec<(C, StatusValue)>>,
) -> bool {
    let plain = || verdict.iter().filter(|(_, value)| *value != StatusValue::Now);
    plain().next().is_some() && others.all(|other| plain().any(|one| !other.contains(one)))
}

impl Status {
    /// Reads the `status` argument of `protect`: `{"column": …, "ham": …}`, or columns and values
    /// for each verdict, or `{}` for none.
    ///
    /// # Errors
    /// Refuses unknown verdicts and columns, columns that no verdict may write, and values that
    /// the column cannot take.
    pub fn given(json: &Json, table: &Table) -> Result<Self, Refusal> {
        let mut status = Self::from_json(json)?;
        for column in status.columns() {
            writable(column, table)?;
        }
        let Self { ham, moderate, spam, bare } = &mut status;
        for (column, value) in
            [&mut *ham, &mut *moderate, &mut *spam].into_iter().flatten().flatten()
        {
            let column = table.known(column, "status")?;
            check_value("status", column, value, table)?;
        }
        if let Some(ham) = ham {
            for (verdict, writes) in [("moderate", &*moderate), ("spam", &*spam)] {
                if writes.as_ref().is_some_and(|all| all.iter().all(|one| ham.contains(one))) {
                    return Err(not_told_apart(verdict));
                }
            }
        }
        bare.retain(|name| table.column(name).is_some_and(|column| !is_textual(column.kind)));
        Ok(status)
    }

    /// The status that the names of the columns, their labels and constraints tell.
    ///
    /// # Errors
    /// Refuses a table that has a status column whose values cannot be told, and asks for them.
    pub fn find(table: &Table) -> Result<Self, Refusal> {
        status_find::status(table)
    }

    /// The status of these assignments, for this table.
    pub(super) fn of(
        table: &Table,
        ham: Option<Assignments>,
        moderate: Option<Assignments>,
        spam: Option<Assignments>,
    ) -> Self {
        let mut status = Self { ham, moderate, spam, bare: Vec::new() };
        let is_bare =
            |name: &&str| table.column(name).is_some_and(|column| !is_textual(column.kind));
        let bare = status.columns().into_iter().filter(is_bare).map(str::to_owned).collect();
        status.bare = bare;
        status
    }

    /// Whether no verdict has a value: verdicts are then only logged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ham.is_none() && self.moderate.is_none() && self.spam.is_none()
    }

    /// What the verdict writes. A rejected row was never stored, or is marked as spam afterwards;
    /// a challenge that comes too late moderates (interface, section 5).
    #[must_use]
    pub fn of_verdict(&self, verdict: Verdict) -> Option<&Assignments> {
        match verdict {
            Verdict::Ham => self.ham.as_ref(),
            Verdict::Challenge | Verdict::Moderate => self.moderate.as_ref(),
            Verdict::Spam | Verdict::Reject => self.spam.as_ref(),
        }
    }

    /// The verdicts without a value.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let given = self.by_verdict();
        given.into_iter().filter(|(_, values)| values.is_none()).map(|(name, _)| name).collect()
    }

    /// Every column that some verdict writes, each once.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        for (column, _) in self.values() {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        columns
    }

    /// Every column with each value that some verdict writes into it.
    pub fn values(&self) -> impl Iterator<Item = &(String, StatusValue)> {
        self.by_verdict().into_iter().filter_map(|(_, values)| values).flatten()
    }

    fn by_verdict(&self) -> [(&'static str, Option<&Assignments>); 3] {
        let [ham, moderate, spam] = VERDICTS;
        [(ham, self.ham.as_ref()), (moderate, self.moderate.as_ref()), (spam, self.spam.as_ref())]
    }

    /// The JSON that `protected_table` shows and that [`Status::from_json`] reads: the short form
    /// where one column does.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let shown = |column: &String, value: &StatusValue| match value {
            StatusValue::Null => Json::Null,
            StatusValue::Now => json!("$now"),
            StatusValue::Text(text) if self.bare.contains(column) => {
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            }
            StatusValue::Text(text) => json!(text),
        };
        let given = self.by_verdict().into_iter().filter_map(|(name, v)| Some((name, v?)));
        let mut object = Map::new();
        let columns = self.columns();
        let plain = given
            .clone()
            .all(|(_, values)| matches!(values.as_slice(), [(_, StatusValue::Text(_))]));
        if let ([column], true) = (columns.as_slice(), plain) {
            object.insert("column".to_owned(), json!(column));
            for (name, value) in given.flat_map(|(name, v)| v.iter().map(move |v| (name, v))) {
                object.insert(name.to_owned(), shown(&value.0, &value.1));
            }
        } else {
            for (name, values) in given {
                let values = values.iter().map(|(c, value)| (c.clone(), shown(c, value)));
                object.insert(name.to_owned(), Json::Object(values.collect()));
            }
        }
        Json::Object(object)
    }

    /// Reads either form. Columns and values are not checked.
    ///
    /// # Errors
    /// Refuses what has neither form.
    pub fn from_json(json: &Json) -> Result<Self, Refusal> {
        let Some(object) = json.as_object() else {
            let got = Refusal::shown(json);
            return Err(form(format!("status takes a JSON object, not {got}")));
        };
        let column = match object.get("column") {
            None => None,
            Some(Json::String(column)) => Some(column),
            Some(other) => {
                return Err(form(format!(
                    "\"column\" of status takes the name of a column, not {}",
                    Refusal::shown(other)
                )));
            }
        };
        let mut status = Self::default();
        for (verdict, given) in object.iter().filter(|(name, _)| *name != "column") {
            if !VERDICTS.contains(&verdict.as_str()) {
                return Err(form(format!(
                    "status takes values for ham, moderate and spam, not for {}",
                    Refusal::quote(verdict)
                )));
            }
            let assigned = match (given, column) {
                // Said not to have a value.
                (Json::Null, _) => continue,
                (Json::Object(values), None) if !values.is_empty() => values
                    .iter()
                    .map(|(column, value)| status.assignment(verdict, column, value))
                    .collect::<Result<_, _>>()?,
                (Json::Object(_), None) => {
                    return Err(form(format!("\"{verdict}\" of status names no column")));
                }
                (Json::Object(_), Some(_)) => {
                    return Err(form(format!(
                        "\"{verdict}\" of status takes one value beside \"column\", not {}",
                        Refusal::shown(given)
                    )));
                }
                (value, Some(column)) => vec![status.assignment(verdict, column, value)?],
                (value, None) => {
                    return Err(form(format!(
                        "\"{verdict}\" of status is {}, but no \"column\" says where to write it",
                        Refusal::shown(value)
                    )));
                }
            };
            match verdict.as_str() {
                "ham" => status.ham = Some(assigned),
                "moderate" => status.moderate = Some(assigned),
                _ => status.spam = Some(assigned),
            }
        }
        if let (Some(column), true) = (column, status.is_empty()) {
            return Err(form(format!(
                "status names the column {} and no value for ham, moderate or spam",
                Refusal::quote(column)
            )));
        }
        Ok(status)
    }

    fn assignment(
        &mut self,
        verdict: &str,
        column: &str,
        value: &Json,
    ) -> Result<(String, StatusValue), Refusal> {
        let read = match value {
            Json::Null => StatusValue::Null,
            Json::String(text) if text == "$now" => StatusValue::Now,
            _ => match scalar_text(value) {
                Some(text) => StatusValue::Text(text),
                None => {
                    return Err(form(format!(
                        "\"{verdict}\" of status takes a string, a number, a boolean or null \
                         for column {}, not {}",
                        Refusal::quote(column),
                        Refusal::shown(value)
                    )));
                }
            },
        };
        if matches!(value, Json::Number(_) | Json::Bool(_))
            && !self.bare.iter().any(|b| b == column)
        {
            self.bare.push(column.to_owned());
        }
        Ok((column.to_owned(), read))
    }

    /// Follows the renaming of a column of the table.
    pub fn rename_column(&mut self, old: &str, new: &str) {
        rename(&mut self.bare, old, new);
        let verdicts = [&mut self.ham, &mut self.moderate, &mut self.spam];
        for (column, _) in verdicts.into_iter().flatten().flatten() {
            rename(std::slice::from_mut(column), old, new);
        }
    }
}

fn form(message: String) -> Refusal {
    Refusal::new(message).with_hint(
        "Write {\"column\": \"status\", \"ham\": \"approved\", \"moderate\": \"pending\", \
         \"spam\": \"spam\"}, or {\"ham\": {\"is_public\": true}, \"spam\": {\"is_public\": \
         false, \"removed_at\": \"$now\"}}, or {} for none.",
    )
}

/// Ham is what a moderated or spam row becomes when it is released.
fn not_told_apart(verdict: &str) -> Refusal {
    let still = if verdict == "spam" { "be spam" } else { "wait" };
    Refusal::new(format!(
        "\"ham\" of status writes all that \"{verdict}\" writes: a row that is released would {still} still"
    ))
    .with_hint(format!(
        "Give another value for one of them, or leave \"ham\" out: what is released then has the status that it came with. \
         Without \"{verdict}\" such a verdict is only logged."
    ))
}

fn is_textual(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::Text | ColumnKind::Enum)
}

/// Refuses columns that must not be written once a row has its place.
pub(super) fn writable<'a>(name: &str, table: &'a Table) -> Result<&'a Column, Refusal> {
    let column = table.known(name, "status")?;
    let refused = |why: &str| {
        Err(Refusal::new(format!(
            "status cannot use the column \"{name}\" of table {}: {why}",
            table.label()
        ))
        .with_hint(
            "Name another column, such as a boolean that says whether the row is shown, or give \
             status => '{}' to have verdicts only logged.",
        ))
    };
    let listed = |columns: &[String]| columns.iter().any(|column| column == name);
    if column.generated {
        return refused("it is a generated column");
    }
    if listed(&table.partition_key) {
        return refused("it is in the partition key, and a verdict must not move the row");
    }
    if listed(&table.key) {
        return refused("it is in the primary key, and a verdict must not rename the row");
    }
    Ok(column)
}

/// Checks a value against the type and the constraints of its column, and brings it into the
/// text form that the type reads.
pub(super) fn check_value(
    what: &str,
    column: &Column,
    value: &mut StatusValue,
    table: &Table,
) -> Result<(), Refusal> {
    let name = &column.name;
    let text = match value {
        StatusValue::Null if column.not_null => {
            return Err(Refusal::new(format!("{what} column \"{name}\" does not take null"))
                .with_detail(format!("It is NOT NULL in table {}.", table.label()))
                .with_hint("Give a value that stands for the verdict, or leave the verdict out."));
        }
        StatusValue::Null => return Ok(()),
        StatusValue::Now if matches!(column.kind, ColumnKind::Time | ColumnKind::Date) => {
            return Ok(());
        }
        StatusValue::Now => {
            return Err(Refusal::new(format!(
                "\"$now\" takes a timestamp or date column, and {what} column \"{name}\" is of \
                 type {}",
                column.type_name
            ))
            .with_hint("Give a value of its type, or name a column that says since when."));
        }
        StatusValue::Text(text) => text,
    };
    let mut hint = None;
    let takes = match column.kind {
        ColumnKind::Text => None,
        ColumnKind::Enum => {
            let near = nearest(text, column.labels.iter().map(String::as_str));
            hint = Some(match near {
                Some(close) => format!("Did you mean \"{close}\"?"),
                None => "Give one of its labels, or add one with ALTER TYPE ... ADD VALUE.".into(),
            });
            let labels = || Refusal::cut(&column.labels.join(", "));
            (!column.labels.contains(text)).then(|| format!("one of its labels: {}", labels()))
        }
        ColumnKind::Integer => {
            let (least, most) = match column.type_name.as_str() {
                "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
                "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
                _ => (i64::MIN, i64::MAX),
            };
            hint = Some(format!("Give a number from {least} to {most}."));
            match text.parse().ok().filter(|number: &i64| (least..=most).contains(number)) {
                Some(number) => {
                    *text = number.to_string();
                    None
                }
                None => Some("an integer".to_owned()),
            }
        }
        ColumnKind::Number => text.parse::<f64>().is_err().then(|| "a number".to_owned()),
        ColumnKind::Boolean => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => {
                "true".clone_into(text);
                None
            }
            "false" | "f" | "no" | "n" | "off" | "0" => {
                "false".clone_into(text);
                None
            }
            _ => Some("true or false".to_owned()),
        },
        ColumnKind::Time | ColumnKind::Date => Some("\"$now\" or null".to_owned()),
        _ => {
            return Err(Refusal::new(format!(
                "{what} column \"{name}\" is of type {}; a {what} takes a text, enum, integer or \
                 boolean column",
                column.type_name
            ))
            .with_hint(
                "Name a column that says whether the row is shown, or give status => '{}' to have \
                 verdicts only logged.",
            ));
        }
    };
    if let Some(takes) = takes {
        return Err(Refusal::new(format!(
            "{what} column \"{name}\" of type {} takes {takes}, not {}",
            column.type_name,
            Refusal::quote(text)
        ))
        .with_hint(hint.unwrap_or_else(|| format!("Give {takes}."))));
    }
    let listed = listed_values(&table.checks, name);
    if is_textual(column.kind) && !listed.is_empty() && !listed.contains(text) {
        let hint = match nearest(text, listed.iter().map(String::as_str)) {
            Some(close) => format!("Did you mean \"{close}\"?"),
            None => "Give one of them, or let the constraint allow yours first.".to_owned(),
        };
        return Err(Refusal::new(format!(
            "{what} column \"{name}\" takes one of {}, not {}",
            Refusal::cut(&listed.join(", ")),
            Refusal::quote(text)
        ))
        .with_detail(format!("A CHECK constraint of table {} says so.", table.label()))
        .with_hint(hint));
    }
    Ok(())
}
