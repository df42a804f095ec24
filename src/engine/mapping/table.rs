//! Owns the description of a table that the mapping is found from, as the catalogs have it. It
//! must not know what any column means.

use crate::refusal::Refusal;

/// What the type of a column can hold, as far as a mapping cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// text, varchar, char, citext, name.
    Text,
    /// An enum type.
    Enum,
    /// smallint, integer, bigint.
    Integer,
    /// numeric, real, double precision.
    Number,
    /// boolean.
    Boolean,
    /// inet, cidr.
    Address,
    /// timestamp, with or without time zone.
    Time,
    /// date.
    Date,
    /// json, jsonb.
    Json,
    /// hstore.
    Hstore,
    /// uuid.
    Uuid,
    /// Anything else.
    Other,
}

impl ColumnKind {
    /// The kind of a type by its name as `format_type` gives it without a modifier, and by its
    /// `pg_type.typtype` (`e` is an enum). A domain is to be given as its base type.
    #[must_use]
    pub fn of(type_name: &str, typtype: char) -> Self {
        let bare = type_name.rsplit('.').next().unwrap_or(type_name).trim_matches('"');
        match bare {
            _ if typtype == 'e' => Self::Enum,
            "text" | "character varying" | "character" | "bpchar" | "citext" | "name"
            | "varchar" => Self::Text,
            "smallint" | "integer" | "bigint" => Self::Integer,
            "numeric" | "real" | "double precision" => Self::Number,
            "boolean" => Self::Boolean,
            "inet" | "cidr" => Self::Address,
            "date" => Self::Date,
            "json" | "jsonb" => Self::Json,
            "hstore" => Self::Hstore,
            "uuid" => Self::Uuid,
            _ if bare.starts_with("timestamp") => Self::Time,
            _ => Self::Other,
        }
    }
}

impl ColumnKind {
    /// Refuses `column` of a type of this kind and name for `form_seconds`, if none of its values can
    /// be read as a number of seconds.
    ///
    /// # Errors
    /// The refusal.
    pub fn must_hold_seconds(self, type_name: &str, column: &str) -> Result<(), Refusal> {
        let holds = matches!(self, Self::Text | Self::Enum | Self::Integer | Self::Number);
        if holds || type_name == "interval" {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "field \"form_seconds\" cannot be read from column \"{column}\" of type {type_name}"
        ))
        .with_detail(
            "It is the time between showing and sending the form: a number of seconds, or an interval.",
        )
        .with_hint(
            "Map a column of numbers or of type interval; where the app keeps the time at which the form was shown, let it keep the difference.",
        ))
    }
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its type as `format_type` gives it without a modifier.
    pub type_name: String,
    /// What the type can hold.
    pub kind: ColumnKind,
    /// The labels, if the type is an enum.
    pub labels: Vec<String>,
    /// Whether it is GENERATED ALWAYS AS (...): no trigger sees such a value.
    pub generated: bool,
    /// Whether it refuses NULL.
    pub not_null: bool,
    /// Its default as `pg_get_expr` gives it.
    pub default: Option<String>,
}

impl Column {
    /// The text that a row gets where none is given, if it is written out.
    pub(super) fn default_text(&self) -> Option<&str> {
        let (text, _) = self.default.as_deref()?.strip_prefix('\'')?.split_once('\'')?;
        Some(text)
    }
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The schema's name, unquoted.
    pub schema: String,
    /// The table's name, unquoted.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its CHECK constraints as `pg_get_constraintdef` gives them.
    pub checks: Vec<String>,
    /// The columns of its primary key.
    pub key: Vec<String>,
    /// The columns of its partition key.
    pub partition_key: Vec<String>,
}

impl Table {
    /// The column of that name, spelt exactly so.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether it has all of these columns, case aside: systems are told by their columns.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name)))
    }

    /// Its name for messages.
    pub(super) fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Its columns for messages, with their types.
    pub(super) fn columns_listed(&self) -> String {
        let listed: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{} ({})", column.name, column.type_name))
            .collect();
        format!("Its columns are: {}.", listed.join(", "))
    }

    /// The column that `what` reads, or the refusal that a wrong name gets.
    pub(super) fn readable(&self, name: &str, what: &str) -> Result<&Column, Refusal> {
        let column = self.known(name, what)?;
        if column.generated {
            return Err(Refusal::new(format!(
                "{what} cannot be read from the generated column \"{name}\" of table {}",
                self.label()
            ))
            .with_detail("A generated column is computed after the row has been checked.")
            .with_hint("Name the columns that it is computed from."));
        }
        Ok(column)
    }

    /// The column of that name, or the refusal with the columns there are and the nearest one.
    pub(super) fn known(&self, name: &str, what: &str) -> Result<&Column, Refusal> {
        self.column(name).ok_or_else(|| {
            let hint = match nearest(name, self.columns.iter().map(|column| column.name.as_str())) {
                Some(close) => format!("Did you mean \"{close}\"?"),
                None => "Name one of its columns, in upper and lower case as it is there.".into(),
            };
            Refusal::new(format!(
                "{what} names the column {}, which table {} does not have",
                Refusal::quote(name),
                self.label()
            ))
            .with_detail(self.columns_listed())
            .with_hint(hint)
        })
    }
}

/// The name that is so near to the given one that it was probably meant.
pub(super) fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let length = given.chars().count();
    let limit = (length / 3).max(1);
    names
        // What is this much longer is further away: a text of a megabyte is not compared.
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (distance(&given, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters must be inserted, removed or replaced to get from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, right) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_name_of_the_type() {
        for (name, typtype, kind) in [
            ("character varying", 'b', ColumnKind::Text),
            ("public.citext", 'b', ColumnKind::Text),
            ("public.\"Status\"", 'e', ColumnKind::Enum),
            ("timestamp without time zone", 'b', ColumnKind::Time),
            ("public.hstore", 'b', ColumnKind::Hstore),
            ("bytea", 'b', ColumnKind::Other),
            ("text[]", 'b', ColumnKind::Other),
        ] {
            assert_eq!(ColumnKind::of(name, typtype), kind, "{name}");
        }
    }

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        let names = || ["body", "author_name", "Email"].into_iter();
        assert_eq!(nearest("bdoy", names()), None);
        assert_eq!(nearest("boddy", names()), Some("body"));
        assert_eq!(nearest("autor_name", names()), Some("author_name"));
        assert_eq!(nearest("email", names()), Some("Email"));
        assert_eq!(nearest("referrer", names()), None);
    }
}
