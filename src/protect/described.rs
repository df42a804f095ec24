//! A relation as protect() needs it: what the catalogs say of it, and whether it is one that can be
//! protected by this caller. Owns the refusals that follow from its kind and its owner.
#![allow(missing_docs, reason = "the fields are those of sql/describe.sql")]

use pgrx::{PgSqlErrorCode, pg_sys};
use serde::Deserialize;
use spamcheck_engine::Refusal;
use spamcheck_engine::mapping::{Column, ColumnKind, Table};

use crate::report;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg, quoted};

/// A relation as the catalogs describe it.
#[derive(Deserialize)]
pub struct Described {
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub persistence: String,
    pub owner: String,
    pub own: bool,
    pub columns: Vec<DescribedColumn>,
    pub checks: Vec<String>,
    pub key: Vec<String>,
    pub partition_key: Vec<String>,
    pub protected_ancestor: Option<String>,
    pub protected_descendant: Option<String>,
    pub protection: Option<i32>,
    pub triggers: Vec<String>,
}

#[derive(Deserialize)]
pub struct DescribedColumn {
    pub name: String,
    pub type_oid: u32,
    pub type_modifier: i32,
    pub type_name: String,
    pub typtype: String,
    pub labels: Vec<String>,
    pub generated: bool,
    pub not_null: bool,
    pub default: Option<String>,
}

impl DescribedColumn {
    /// Why it does not take a text, by its type; None: it does.
    pub fn misfit(&self, relation: pg_sys::Oid, text: &str) -> Option<String> {
        row::misfit(relation, (self.type_oid.into(), self.type_modifier), text)
    }
}

impl Described {
    /// Its name, schema-qualified and quoted as SQL needs.
    pub fn display(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// Its description for the mapping.
    pub fn table(&self) -> Table {
        Table {
            schema: self.schema.clone(),
            name: self.name.clone(),
            columns: self.columns.iter().map(DescribedColumn::column).collect(),
            checks: self.checks.clone(),
            key: self.key.clone(),
            partition_key: self.partition_key.clone(),
        }
    }
}

impl DescribedColumn {
    fn column(&self) -> Column {
        Column {
            name: self.name.clone(),
            type_name: self.type_name.clone(),
            kind: ColumnKind::of(&self.type_name, self.typtype.chars().next().unwrap_or('b')),
            labels: self.labels.clone(),
            generated: self.generated,
            not_null: self.not_null,
            default: self.default.clone(),
        }
    }
}

/// A relation as the catalogs describe it, whatever it is; None: there is none.
pub fn describe(relation: pg_sys::Oid) -> Option<Described> {
    rights::as_extension(|| {
        spi::json_now(include_str!("../../sql/describe.sql"), &[Arg::Oid(relation)])
    })
}

/// The rights and the kind of table that protect() and unprotect() ask for.
pub fn may_protect(relation: pg_sys::Oid, verb: &str) -> Described {
    // SAFETY: plain look-ups.
    let caller = unsafe { pg_sys::GetUserId() };
    let Some(described) = describe(relation) else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            Refusal::new(format!("relation with OID {} does not exist", relation.to_u32())),
        )
    };
    // SAFETY: plain look-ups.
    let owns = unsafe {
        pg_sys::superuser_arg(caller)
            || pg_sys::has_privs_of_role(caller, rights::owner_of(relation))
    };
    if !owns {
        report::refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Refusal::new(format!("must be owner of table {} to {verb} it", described.display()))
                .with_hint(format!("Its owner is {}.", quoted(&described.owner))),
        );
    }
    if let Some(mut refusal) = wrong_kind(&described) {
        if verb == "unprotect" {
            // Nothing of these kinds is protected by itself.
            refusal.message = refusal.message.replace(" and cannot be protected", "");
            if let Some(parent) = &described.protected_ancestor {
                refusal.hint =
                    Some(format!("Call spamcheck.unprotect('{parent}'), which covers it."));
            }
        }
        report::refuse(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, refusal);
    }
    described
}

fn wrong_kind(d: &Described) -> Option<Refusal> {
    let table = d.display();
    let refusal = |what: String, hint: &str| Some(Refusal::new(what).with_hint(hint.to_owned()));
    if d.own {
        return refusal(
            format!("{table} is one of pg_spamcheck's own tables and cannot be protected"),
            "Protect the table that the app inserts into.",
        );
    }
    match d.kind.as_str() {
        "r" | "p" => {}
        "v" => {
            return refusal(
                format!("{table} is a view and cannot be protected"),
                "Protect the table under it: inserts through the view are judged there.",
            );
        }
        "m" => {
            return refusal(
                format!("{table} is a materialized view and cannot be protected"),
                "Protect the table that it is made from.",
            );
        }
        "f" => {
            return refusal(
                format!("{table} is a foreign table and cannot be protected"),
                "Protect the table on the server where it lives.",
            );
        }
        _ => {
            return refusal(
                format!("{table} is not a table and cannot be protected"),
                "Protect the table that the app inserts into.",
            );
        }
    }
    if d.persistence == "t" {
        return refusal(
            format!("{table} is a temporary table and cannot be protected"),
            "The log and the worker could not find its rows; use an ordinary table.",
        );
    }
    if let Some(ancestor) = &d.protected_ancestor {
        return refusal(
            format!("{table} is a partition of {ancestor}, which is protected"),
            "Its rows are judged by the parent's protection already.",
        );
    }
    if let Some(partition) = &d.protected_descendant {
        return refusal(
            format!("partition {partition} of {table} is protected by itself"),
            "Call spamcheck.unprotect() for the partition first; the parent's protection covers it.",
        );
    }
    None
}
