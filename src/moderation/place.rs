//! Where a decision happens: the protected table of a finding or of a call's argument, held still until the
//! transaction ends. Owns how it is found (also after it was unprotected and protected again, also by one of
//! its partitions) and how a row's key is given; rows are held.rs's.

use std::rc::Rc;

use pgrx::{PgRelation, PgSqlErrorCode, pg_sys};
use serde_json::{Map, Value as Json};
use spamcheck_engine::{Policy, Refusal};

use super::findings::Finding;
use crate::checked;
use crate::key;
use crate::lookups::{self, Moved};
use crate::protection::{Described, Stored};
use crate::report;
use crate::rights;
use crate::rulebook;
use crate::spi::{self, Arg, quoted};

/// A protected table.
pub struct Place {
    /// What the catalogs say of it.
    pub described: Described,
    /// What protect() was told.
    pub stored: Stored,
    /// Its policy.
    pub policy: Rc<Policy>,
    /// Whether only its name says that it is the one that was meant: it was protected anew, or it is
    /// another table that has got the name.
    pub by_name: bool,
}

/// Why the table of a finding is no place for decisions.
pub enum Absent {
    /// There is no such table.
    Gone(String),
    /// Nobody protects it.
    Unprotected(String),
}

impl Absent {
    /// A sentence for the moderator.
    pub fn message(&self) -> String {
        match self {
            Self::Gone(name) => format!("Table {name} is gone, and its rows with it."),
            Self::Unprotected(name) => {
                format!(
                    "Table {name} is not protected any more, so its rows were left as they are."
                )
            }
        }
    }

    /// The word for what became of a row there.
    pub const fn row(&self) -> &'static str {
        match self {
            Self::Gone(_) => "gone",
            Self::Unprotected(_) => "unchanged",
        }
    }
}

impl Place {
    /// That of a table or partition; an error if it is not protected.
    pub fn of(relation: pg_sys::Oid) -> Self {
        // Kept till the end of the transaction, as an UPDATE would: raises what the server says of a table
        // that is gone.
        // SAFETY: any OID will do; the lock is a mode of lockdefs.h.
        let opened = unsafe {
            PgRelation::with_lock(relation, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE)
        };
        let place = protection_of(relation).and_then(Self::open);
        place.unwrap_or_else(|| {
            let name = format!("{}.{}", quoted(opened.namespace()), quoted(opened.name()));
            report::refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Refusal::new(format!("table {name} is not protected"))
                    .with_hint("See spamcheck.protected_table for those that are."),
            )
        })
    }

    /// That of a finding; else what became of it.
    pub fn of_finding(finding: &Finding) -> Result<Self, Absent> {
        if let Some(place) = Self::open(finding.protection) {
            return Ok(place);
        }
        let name = &finding.relation;
        let relation = rights::as_extension(|| {
            spi::json_now::<u32>(
                "SELECT convert_to(to_regclass(convert_from($1, 'UTF8'))::oid::text, 'UTF8')",
                &[Arg::Text(name)],
            )
        });
        let Some(relation) = relation.map(pg_sys::Oid::from) else {
            return Err(Absent::Gone(name.clone()));
        };
        let place = protection_of(relation).and_then(Self::open);
        let place = place.map(|place| Self { by_name: true, ..place });
        place.ok_or_else(|| Absent::Unprotected(name.clone()))
    }

    /// The table of a protection, held until the transaction ends.
    pub fn open(id: i32) -> Option<Self> {
        let described = rights::as_extension(|| rulebook::describe(id))?;
        // SAFETY: a lock by OID, released at the end of the transaction.
        unsafe {
            let lock = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
            pg_sys::LockRelationOid(described.root.into(), lock);
        }
        // It may have been dropped or renamed before we had the lock.
        let described = rights::as_extension(|| rulebook::describe(id))?;
        let stored = rights::as_extension(|| rulebook::stored(id))?;
        let policy = rulebook::policy(&stored.policy)?;
        Some(Self { described, stored, policy, by_name: false })
    }

    /// The protection.
    pub fn id(&self) -> i32 {
        self.stored.id
    }

    /// The table.
    pub fn root(&self) -> pg_sys::Oid {
        self.described.root.into()
    }

    /// Its name, as the log has it.
    pub fn relation(&self) -> String {
        format!("{}.{}", quoted(&self.described.schema), quoted(&self.described.name))
    }

    /// Whether a key that the log has is one of the columns of the primary key.
    pub fn has_key(&self, row_key: &Json) -> bool {
        let columns = row_key.as_object();
        let key = &self.described.key;
        // The key of one column is found also after the column's renaming.
        columns.is_some_and(|given| {
            given.len() == key.len()
                && !key::is_dropped(row_key)
                && (key.len() == 1 || key.iter().all(|(name, ..)| given.contains_key(name)))
        })
    }

    /// Somebody decided about a row: nobody needs an answer about it, and no later one may override it. Whether one
    /// was awaited.
    pub fn decided(&self, row_key: &Json) -> bool {
        checked::decided(self.id(), row_key);
        lookups::decided(self.id(), row_key, &Moved::default())
    }

    /// A row's key as a moderator gives it: the value of the primary key, or a JSON object of its columns.
    pub fn read_key(&self, key: &str) -> Json {
        let columns: Vec<&str> =
            self.described.key.iter().map(|(name, ..)| name.as_str()).collect();
        if columns.is_empty() {
            report::refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Refusal::new(format!(
                    "table {} has no primary key to find a row by",
                    self.relation()
                ))
                .with_hint("Give it one with ALTER TABLE … ADD PRIMARY KEY."),
            );
        }
        if let Ok(Json::Object(given)) = serde_json::from_str(key)
            && given.len() == columns.len()
            && self.described.key.iter().all(|(column, type_name, _)| {
                given.get(column).is_some_and(|value| key::is_json(type_name) || !value.is_null())
            })
        {
            self.refuse_several(&given);
            return Json::Object(given);
        }
        if let [(column, type_name, _)] = self.described.key.as_slice() {
            let json = key::is_json(type_name).then(|| serde_json::from_str(key).ok()).flatten();
            let value = json.unwrap_or_else(|| key.into());
            return Json::Object(Map::from_iter([(column.clone(), value)]));
        }
        self.refuse_key(
            &Refusal::quote(key),
            format!("Its primary key has the columns {}.", columns.join(", ")),
        )
    }

    /// What no column of the key's type holds is a wrong key, and not that of a row which is gone.
    fn refuse_several(&self, given: &Map<String, Json>) {
        for (column, type_name, _) in &self.described.key {
            let value = given.get(column).filter(|value| value.is_array() || value.is_object());
            if let Some(value) = value.filter(|_| key::is_of_one_value(type_name)) {
                let key = Refusal::shown(&Json::Object(given.clone()));
                let detail =
                    format!("Column {column} is of type {type_name}: {value} is no value of it.");
                self.refuse_key(&key, detail);
            }
        }
    }

    fn refuse_key(&self, key: &str, detail: String) -> ! {
        let columns = self.described.key.iter();
        let example: Vec<String> =
            columns.map(|(name, ..)| format!("{}: …", Json::from(name.as_str()))).collect();
        report::refuse_value(
            Refusal::new(format!(
                "key {key} does not say which row of {} is meant",
                self.relation()
            ))
            .with_detail(detail)
            .with_hint(format!("Write a JSON object: {{{}}}.", example.join(", "))),
        )
    }
}

/// The protection of a table: its own, or that of the partitioned table that it is a part of.
fn protection_of(relation: pg_sys::Oid) -> Option<i32> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(r.id::text, 'UTF8') FROM spamcheck._protected_relation r
              WHERE r.relation = $1 OR r.relation IN (SELECT a.relid FROM pg_partition_ancestors($1) a) LIMIT 1",
            &[Arg::Oid(relation)],
        )
    })
}
