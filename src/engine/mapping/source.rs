//! Owns where the value of one field comes from, and its JSON. It must not know a particular
//! table: whether the columns exist is asked of the table that it is given.

use serde_json::{Value as Json, json};

use super::keys::Keys;
use super::table::{Column, ColumnKind, Table};
use crate::refusal::Refusal;
use crate::submission::Field;

/// Where the value of a field comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A column of the table.
    Column(String),
    /// Columns of the table, joined with a newline; for `fields`, each by its name.
    Columns(Vec<String>),
    /// A setting (GUC) of the session.
    Setting(String),
    /// The same text for every row.
    Value(String),
    /// A column of another table, read only when a check needs it.
    Foreign {
        /// The other table, as it is to stand in SQL.
        table: String,
        /// The columns of the other table that find its row.
        key: Vec<String>,
        /// The columns of the protected table that these must equal.
        from: Vec<String>,
        /// The column that holds the value.
        column: String,
    },
}

impl Source {
    /// The JSON that users write (interface, section 4).
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Column(name) => json!(name),
            Self::Columns(names) => json!(names),
            Self::Setting(name) => json!({ "setting": name }),
            Self::Value(text) => json!({ "value": text }),
            Self::Foreign { table, key, from, column } => json!({
                "table": table, "key": names_to_json(key), "from": names_to_json(from),
                "column": column
            }),
        }
    }

    /// As `protect` shows it: a column by its name, anything else as its JSON.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Column(name) => name.clone(),
            other => other.to_json().to_string(),
        }
    }

    /// Reads the source of a field.
    ///
    /// # Errors
    /// Refuses JSON that is none of the forms that a source has.
    pub fn from_json(field: Field, json: &Json) -> Result<Self, Refusal> {
        match json {
            Json::String(name) => Ok(Self::Column(name.clone())),
            Json::Array(_) => match names_from_json(json) {
                Some(names) => Ok(Self::Columns(names)),
                None => Err(wrong(field, json)),
            },
            Json::Object(_) => Self::from_object(field, json).map_err(|refusal| {
                let got = format!("It is {}.", Refusal::shown(json));
                if refusal.detail.is_some() { refusal } else { refusal.with_detail(got) }
            }),
            _ => Err(wrong(field, json)),
        }
    }

    fn from_object(field: Field, json: &Json) -> Result<Self, Refusal> {
        let what = format!("the source of field \"{}\"", field.name());
        let form = |required| Keys { what: &what, example: FORMS, required, optional: &[] };
        if json.get("setting").is_some() {
            let keys = form(&["setting"]);
            return keys.text(keys.object(json)?, "setting").map(Self::Setting);
        }
        if let Some(value) = json.get("value") {
            let keys = form(&["value"]);
            let takes = "a string, a number or a boolean";
            let text = scalar_text(value).ok_or_else(|| keys.wrong("value", takes, value))?;
            return keys.object(json).map(|_| Self::Value(text));
        }
        let keys = form(&["table", "key", "from", "column"]);
        let object = keys.object(json)?;
        let (key, from) = keys.pair(object)?;
        let (table, column) = (keys.text(object, "table")?, keys.text(object, "column")?);
        Ok(Self::Foreign { table, key, from, column })
    }

    /// Checks the columns of the table that the source reads, and gives `fields` its proper form.
    ///
    /// # Errors
    /// Refuses columns that the table does not have and generated ones.
    pub(super) fn checked(self, field: Field, table: &Table) -> Result<Self, Refusal> {
        let what = format!("field \"{}\"", field.name());
        let mut sole: Option<&Column> = None;
        for name in self.own_columns() {
            let column = table.readable(name, &what)?;
            if field == Field::FormSeconds && !matches!(self, Self::Foreign { .. }) {
                column.kind.must_hold_seconds(&column.type_name, name)?;
            }
            sole = Some(column);
        }
        Ok(match (self, field, sole.map(|column| column.kind)) {
            (Self::Column(name), Field::Fields, Some(kind))
                if !matches!(kind, ColumnKind::Json | ColumnKind::Hstore) =>
            {
                Self::Columns(vec![name])
            }
            // One jsonb column in brackets is meant as the column without them.
            (
                Self::Columns(mut names),
                Field::Fields,
                Some(ColumnKind::Json | ColumnKind::Hstore),
            ) if names.len() == 1 => Self::Column(names.remove(0)),
            (source, ..) => source,
        })
    }

    /// The columns of the protected table that it reads.
    #[must_use]
    pub fn own_columns(&self) -> &[String] {
        match self {
            Self::Column(name) => std::slice::from_ref(name),
            Self::Columns(names) | Self::Foreign { from: names, .. } => names,
            Self::Setting(_) | Self::Value(_) => &[],
        }
    }

    /// Follows the renaming of a column of the protected table.
    pub(super) fn rename_own_column(&mut self, old: &str, new: &str) {
        match self {
            Self::Column(name) => rename(std::slice::from_mut(name), old, new),
            Self::Columns(names) | Self::Foreign { from: names, .. } => rename(names, old, new),
            Self::Setting(_) | Self::Value(_) => {}
        }
    }

    /// Follows the renaming of a column of another table.
    pub(super) fn rename_column(&mut self, of: &str, old: &str, new: &str) {
        if let Self::Foreign { table, key, column, .. } = self
            && table == of
        {
            rename(key, old, new);
            rename(std::slice::from_mut(column), old, new);
        }
    }

    /// Follows the renaming of another table.
    pub(super) fn rename_table(&mut self, old: &str, new: &str) {
        if let Self::Foreign { table, .. } = self {
            rename(std::slice::from_mut(table), old, new);
        }
    }
}

fn wrong(field: Field, got: &Json) -> Refusal {
    let takes = if field == Field::Fields {
        "an array of columns, or one jsonb or hstore column"
    } else {
        "a column, an array of columns, or an object"
    };
    Refusal::new(format!(
        "the source of field \"{}\" takes {takes}, not {}",
        field.name(),
        Refusal::shown(got)
    ))
    .with_hint(FORMS)
}

/// What a source looks like.
const FORMS: &str = "A source is \"column\", [\"column\", ...], {\"setting\": \"a.setting\"}, \
     {\"value\": \"text\"}, or {\"table\": \"users\", \"key\": \"id\", \
     \"from\": \"user_id\", \"column\": \"email\"}.";

/// Refuses key columns and from columns that do not pair up.
pub(super) fn same_length(key: &[String], from: &[String], what: &str) -> Result<(), Refusal> {
    if key.len() == from.len() {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "{what} takes as many \"from\" columns as \"key\" columns, not {} and {}",
        from.len(),
        key.len()
    ))
    .with_hint("Each column of \"from\" must equal the column of \"key\" at its place."))
}

/// One name, or an array of at least one.
pub(super) fn names_from_json(json: &Json) -> Option<Vec<String>> {
    let one = |json: &Json| json.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    match json {
        Json::Array(names) if !names.is_empty() => names.iter().map(one).collect(),
        other => one(other).map(|name| vec![name]),
    }
}

/// One name stands alone, several in an array.
pub(super) fn names_to_json(names: &[String]) -> Json {
    match names {
        [name] => json!(name),
        names => json!(names),
    }
}

/// A string, number or boolean as text.
pub(super) fn scalar_text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(json.to_string()),
        _ => None,
    }
}

/// Replaces a name wherever it stands.
pub(super) fn rename(names: &mut [String], old: &str, new: &str) {
    for name in names.iter_mut().filter(|name| *name == old) {
        new.clone_into(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_survives_its_json() {
        for form in [
            json!("body"),
            json!(["title", "description"]),
            json!(["title"]),
            json!({"setting": "app.ip"}),
            json!({"value": "petition"}),
            json!({"table": "users", "key": "id", "from": "user_id", "column": "email"}),
            json!({"table": "u", "key": ["a", "b"], "from": ["x", "y"], "column": "z"}),
        ] {
            assert_eq!(Source::from_json(Field::Email, &form).unwrap().to_json(), form);
        }
    }

    #[test]
    fn only_a_column_is_shown_bare() {
        let shown = |form| Source::from_json(Field::Ip, &form).unwrap().shown();
        assert_eq!(shown(json!("ip")), "ip");
        assert_eq!(shown(json!({"setting": "app.ip"})), r#"{"setting":"app.ip"}"#);
        assert_eq!(shown(json!(["a", "b"])), r#"["a","b"]"#);
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for form in [json!(7), json!([]), json!(["a", 1])] {
            let refusal = Source::from_json(Field::Ip, &form).unwrap_err();
            assert_eq!(
                refusal.message,
                format!(
                    "the source of field \"ip\" takes a column, an array of columns, or an \
                     object, not {form}"
                )
            );
            assert!(refusal.hint.unwrap().contains("\"setting\""));
        }
        for (form, wrong) in [
            (json!({}), "* lacks the key \"table\""),
            (json!({"column": "a"}), "* lacks the key \"table\""),
            (json!({"table": "u", "key": "id", "from": "x"}), "* lacks the key \"column\""),
            (json!({"tabel": "u", "key": "id"}), "* has no key \"tabel\""),
            (json!({"setting": ""}), "\"setting\" of * takes a name, not \"\""),
            (json!({"setting": "a.b", "x": 1}), "* has no key \"x\""),
            (json!({"setting": "a.b", "value": "c"}), "* has no key \"value\""),
            (
                json!({"value": null}),
                "\"value\" of * takes a string, a number or a boolean, not null",
            ),
            (
                json!({"value": ["a"]}),
                "\"value\" of * takes a string, a number or a boolean, not [\"a\"]",
            ),
            (
                json!({"table": "u", "key": 1, "from": "x", "column": "c"}),
                "\"key\" of * takes a column or an array of columns, not 1",
            ),
        ] {
            let refusal = Source::from_json(Field::Ip, &form).unwrap_err();
            assert_eq!(refusal.message, wrong.replace('*', "the source of field \"ip\""), "{form}");
            assert!(refusal.hint.unwrap().contains("\"setting\"") && refusal.detail.is_some());
        }
        let uneven = json!({"table": "u", "key": ["a", "b"], "from": "x", "column": "z"});
        assert_eq!(
            Source::from_json(Field::Ip, &uneven).unwrap_err().message,
            "the source of field \"ip\" takes as many \"from\" columns as \"key\" columns, \
             not 1 and 2"
        );
    }
}
