//! A protected table as a backend uses it: the policy compiled, every field bound to column numbers of
//! the relation at hand (a partition may number them differently), status columns and primary key
//! ready. Owns that binding; the tables it is read from are rulebook.rs's, reading a row is row.rs's.

mod status;

use std::collections::HashMap;
use std::ffi::CString;
use std::rc::Rc;

use pgrx::pg_sys;
use serde::Deserialize;
use spamcheck_engine::mapping::{Mapping, Source, Status, Subscriber};
use spamcheck_engine::policy::Policy;
use spamcheck_engine::{Field, FieldSet};

use crate::row::{self, Column};
use crate::settings;
use crate::spi::quoted;
use status::bind_status;
pub use status::{BoundStatus, PROTECT_AGAIN, Writes, holds};

/// A protected table, bound to one relation.
pub struct Protection {
    /// Its id, as the triggers carry it.
    pub id: i32,
    /// The policy in force.
    pub policy: Rc<Policy>,
    /// The protected table itself, also when the relation at hand is a partition of it.
    pub root: pg_sys::Oid,
    /// Its name, schema-qualified and quoted as SQL needs.
    pub relation: String,
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub table: String,
    /// Whether edits are judged.
    pub on_update: bool,
    /// Where each mapped field comes from.
    pub sources: Vec<(Field, Bound)>,
    /// Columns whose edit is a new submission, by name.
    pub watched: Vec<(String, Column)>,
    /// What the verdicts write.
    pub status: BoundStatus,
    /// Who gets mail: where that is kept, and the columns that say who.
    pub subscriber: Option<(Subscriber, Vec<Column>)>,
    /// The primary key.
    pub key: Vec<KeyColumn>,
    /// Whether that is checked at the end of a transaction only: until then two rows may have the same.
    pub deferrable_key: bool,
    /// Whether there may be lookups of its rows.
    pub has_lookups: bool,
    /// Columns to read of a row, counted from the first.
    pub width: usize,
    /// Whether the relation at hand is a partition.
    pub is_partition: bool,
    /// Whether an enabled check asks for earlier rows.
    pub remembers: bool,
    /// The query that finds a row by its key, once somebody asks; see memory/stored.rs.
    pub by_key: once_cell::unsync::OnceCell<String>,
}

/// Where a field's value comes from.
pub enum Bound {
    /// One column.
    Column(Column),
    /// Columns, joined with a newline.
    Joined(Vec<Column>),
    /// Columns that are further texts, each by its name.
    Texts(Vec<(String, Column)>),
    /// One column of JSON (or hstore) whose strings are further texts.
    TextsInside(Column),
    /// A setting of the session.
    Setting(CString),
    /// A fixed text.
    Value(String),
    /// A column of another table.
    Foreign {
        /// The other table, as it stands in SQL.
        table: String,
        /// Its columns that find the row.
        key: Vec<String>,
        /// The columns that these equal.
        from: Vec<Column>,
        /// Its column that holds the value.
        column: String,
        /// The query, once somebody asks.
        query: once_cell::unsync::OnceCell<Option<String>>,
    },
}

/// A column of the primary key.
pub struct KeyColumn {
    /// Its name, unquoted.
    pub name: String,
    /// Its type, as SQL writes it.
    pub type_name: String,
    /// Its equality operator, as SQL writes it.
    pub operator: String,
    /// Where it is in the relation at hand.
    pub column: Column,
}

/// A row of `_protection`.
#[derive(Deserialize)]
pub struct Stored {
    /// The id.
    pub id: i32,
    /// The policy's name.
    pub policy: String,
    /// The mapping of fields.
    pub columns: serde_json::Value,
    /// The status values.
    pub status: serde_json::Value,
    /// The status values that were in force before.
    #[serde(default)]
    pub former_status: Option<Vec<serde_json::Value>>,
    /// Where the subscribers are.
    #[serde(default)]
    pub subscriber: Option<serde_json::Value>,
    /// Whether edits are judged.
    pub on_update: bool,
}

/// What the catalogs say about the protected table.
#[derive(Clone, Deserialize)]
pub struct Described {
    /// OID of the protected table.
    pub root: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// Whether row-level security holds for its owner, too.
    pub forced: bool,
    /// Its key's columns: name, type, equality operator.
    pub key: Vec<(String, String, String)>,
    /// Whether two rows may have the same one until the end of a transaction.
    #[serde(default)]
    pub deferrable: bool,
}

/// What the verdicts wrote under the mappings that were in force before, as far as the columns are there.
///
/// # Safety
/// `tupdesc` must be valid.
pub unsafe fn former_status(
    stored: &Stored,
    root: pg_sys::Oid,
    tupdesc: pg_sys::TupleDesc,
) -> Vec<BoundStatus> {
    let former = stored.former_status.iter().flatten();
    let former = former.filter_map(|status| Status::from_json(status).ok());
    former.map(|status| bind_status(&status, &Columns { tupdesc }).without_misfits(root)).collect()
}

/// A column of a row type by its name.
///
/// # Safety
/// `tupdesc` must be valid.
pub unsafe fn column(tupdesc: pg_sys::TupleDesc, name: &str) -> Option<Column> {
    Columns { tupdesc }.find(name)
}

/// Columns of a row type by name.
struct Columns {
    tupdesc: pg_sys::TupleDesc,
}

impl Columns {
    /// None: the column was dropped since, so its field is as if it were not mapped.
    fn find(&self, name: &str) -> Option<Column> {
        // SAFETY: the descriptor belongs to an open relation, which outlives this borrow.
        let tupdesc = unsafe { pgrx::PgTupleDesc::from_pg_unchecked(self.tupdesc) };
        tupdesc.iter().enumerate().find_map(|(index, attribute)| {
            if attribute.attisdropped {
                return None;
            }
            // SAFETY: names are C strings within their array.
            let this = unsafe { std::ffi::CStr::from_ptr(attribute.attname.data.as_ptr()) };
            (row::from_server(this.to_bytes()) == name).then(|| Column {
                index,
                type_oid: attribute.atttypid,
                modifier: attribute.atttypmod,
                reader: row::reader(attribute.atttypid),
            })
        })
    }

    fn find_all(&self, names: &[String]) -> Vec<Column> {
        names.iter().filter_map(|name| self.find(name)).collect()
    }
}

impl Protection {
    /// Whether a field comes from somewhere else than the session's settings.
    pub fn is_mapped(&self, field: Field) -> bool {
        self.sources.iter().any(|(f, bound)| *f == field && !matches!(bound, Bound::Setting(_)))
    }

    /// Binds what is stored about a protection to the row type of the relation at hand. `partition`:
    /// the columns by which it and its siblings are told apart, if it is a partition.
    ///
    /// # Safety
    /// `tupdesc` must be that of an open relation.
    pub unsafe fn bind(
        stored: &Stored,
        described: &Described,
        policy: Rc<Policy>,
        tupdesc: pg_sys::TupleDesc,
        partition: Option<&[String]>,
    ) -> Result<Protection, spamcheck_engine::Refusal> {
        let mapping = Mapping::from_json(&stored.columns)?;
        let status = Status::from_json(&stored.status)?;
        let columns = Columns { tupdesc };
        let mut sources = Vec::with_capacity(mapping.sources.len());
        for (field, source) in &mapping.sources {
            if let Some(bound) = bind_source(*field, source, &columns) {
                sources.push((*field, bound));
            }
        }
        for (field, name) in settings::FIELD_SETTINGS {
            if !sources.iter().any(|(bound, _)| *bound == field)
                && let Ok(name) = CString::new(name)
            {
                sources.push((field, Bound::Setting(name)));
            }
        }
        let watched = mapping
            .watched_columns()
            .filter_map(|name| Some((name.to_owned(), columns.find(name)?)))
            .collect();
        let mut status = bind_status(&status, &columns);
        status.leave_alone(partition.unwrap_or_default());
        status.leave_out_misfits(&described.name, pg_sys::Oid::from(described.root));
        let key: Vec<KeyColumn> = described
            .key
            .iter()
            .filter_map(|(name, type_name, operator)| {
                Some(KeyColumn {
                    column: columns.find(name)?,
                    name: name.clone(),
                    type_name: type_name.clone(),
                    operator: operator.clone(),
                })
            })
            .collect();
        // What protect() took was in order; a column that is gone since leaves nobody to unsubscribe.
        let subscriber = stored.subscriber.as_ref().and_then(|json| {
            let subscriber = Subscriber::from_json(json).ok()?;
            let from = columns.find_all(&subscriber.from);
            (from.len() == subscriber.from.len()).then_some((subscriber, from))
        });
        let remembers = policy.remembers();
        let mut protection = Protection {
            id: stored.id,
            policy,
            root: pg_sys::Oid::from(described.root),
            relation: format!("{}.{}", quoted(&described.schema), quoted(&described.name)),
            schema: described.schema.clone(),
            table: described.name.clone(),
            on_update: stored.on_update,
            sources,
            watched,
            status,
            subscriber,
            key,
            deferrable_key: described.deferrable,
            has_lookups: false,
            width: 0,
            is_partition: partition.is_some(),
            remembers,
            by_key: once_cell::unsync::OnceCell::new(),
        };
        protection.width = protection.last_column();
        Ok(protection)
    }

    /// Columns up to which a row is read to be judged. Fields that no check asks for are not read.
    fn last_column(&self) -> usize {
        let needs = self.needs();
        let mut last = 0;
        let mut see = |column: &Column| last = last.max(column.index + 1);
        for (field, bound) in &self.sources {
            if needs.contains(*field) {
                bound.columns().for_each(&mut see);
            }
        }
        self.watched.iter().map(|(_, column)| column).for_each(&mut see);
        if self.remembers {
            // A row is remembered with its key and its time.
            self.key.iter().map(|key| &key.column).for_each(&mut see);
            let created = self.sources.iter().filter(|(field, _)| *field == Field::CreatedAt);
            created.flat_map(|(_, bound)| bound.columns()).for_each(&mut see);
        }
        last
    }

    /// Fields that are read to judge a row.
    pub fn needs(&self) -> FieldSet {
        let mut needs = self.policy.needs();
        if self.policy.settings.types.is_some() {
            needs.insert(Field::Type);
        }
        if self.policy.akismet().is_some() {
            // Akismet cannot be asked without it: that it is none is noted at once.
            needs.insert(Field::Ip);
        }
        needs
    }
}

impl Bound {
    /// The columns of the protected table that it reads.
    pub fn columns(&self) -> Box<dyn Iterator<Item = &Column> + '_> {
        match self {
            Bound::Column(column) | Bound::TextsInside(column) => Box::new(std::iter::once(column)),
            Bound::Joined(columns) | Bound::Foreign { from: columns, .. } => {
                Box::new(columns.iter())
            }
            Bound::Texts(columns) => Box::new(columns.iter().map(|(_, column)| column)),
            Bound::Setting(_) | Bound::Value(_) => Box::new(std::iter::empty()),
        }
    }
}

fn bind_source(field: Field, source: &Source, columns: &Columns) -> Option<Bound> {
    Some(match source {
        Source::Column(name) if field == Field::Fields => Bound::TextsInside(columns.find(name)?),
        Source::Column(name) => Bound::Column(columns.find(name)?),
        Source::Columns(names) if field == Field::Fields => Bound::Texts(
            names.iter().filter_map(|n| columns.find(n).map(|c| (n.clone(), c))).collect(),
        ),
        Source::Columns(names) => Bound::Joined(columns.find_all(names)),
        Source::Setting(name) => Bound::Setting(CString::new(name.as_str()).ok()?),
        Source::Value(text) => Bound::Value(text.clone()),
        Source::Foreign { table, key, from, column } => {
            let from = from.iter().map(|name| columns.find(name)).collect::<Option<Vec<_>>>()?;
            Bound::Foreign {
                table: table.clone(),
                key: key.clone(),
                from,
                column: column.clone(),
                query: once_cell::unsync::OnceCell::new(),
            }
        }
    })
}

/// The columns of a table, as it stands in SQL, each with its type and the operator that compares it. None, if
/// there is no such table.
pub fn operators_of(table: &str) -> HashMap<String, (String, String)> {
    let operators = crate::spi::json_now(
        "SELECT convert_to(coalesce(jsonb_object_agg(a.attname, jsonb_build_array(
                    format_type(a.atttypid, -1),
                    coalesce((SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
                                FROM pg_opclass oc
                                JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
                                JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                                               AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
                                JOIN pg_operator o ON o.oid = ao.amopopr
                                JOIN pg_namespace n ON n.oid = o.oprnamespace
                               WHERE oc.opcdefault AND oc.opcintype = a.atttypid), 'OPERATOR(pg_catalog.=)'))), '{}')::text, 'UTF8')
           FROM pg_attribute a
          WHERE a.attrelid = to_regclass(convert_from($1, 'UTF8')) AND a.attnum > 0 AND NOT a.attisdropped",
        &[crate::spi::Arg::Text(table)],
    );
    operators.unwrap_or_default()
}

/// The query for one value of another table, with one parameter of type text for each of `key`. Run as the
/// extension. The operator is that of the key column's own index kind, named with its schema, and the
/// value takes the key column's type: nothing that others put into a schema can come between, and the
/// other table's index is used.
pub fn foreign_query(field: Field, table: &str, key: &[String], column: &str) -> Option<String> {
    let operators = operators_of(table);
    let conditions = key.iter().enumerate().map(|(n, name)| {
        let (type_name, operator) = operators.get(name)?;
        let value = format!("${}::{type_name}", n + 1);
        Some(format!("f.{} {operator} {value}", quoted(name)))
    });
    let conditions = conditions.collect::<Option<Vec<_>>>()?.join(" AND ");
    let type_name = operators.get(column).map_or("", |(type_name, _)| type_name);
    let column = format!("f.{}", quoted(column));
    // As row.rs reads the table's own columns.
    let column = match (field, type_name) {
        (Field::Honeypot, "boolean") => {
            format!("CASE WHEN {column} THEN 'true'::pg_catalog.text WHEN NOT {column} THEN '' END")
        }
        (Field::FormSeconds, "interval") => format!("EXTRACT(epoch FROM {column})"),
        (field, array) if array.ends_with("[]") && !field.is_prose() => {
            format!("pg_catalog.array_to_string({column}, pg_catalog.chr(10))")
        }
        _ => column,
    };
    Some(format!(
        "SELECT pg_catalog.convert_to(pg_catalog.to_jsonb({column}) OPERATOR(pg_catalog.#>>) '{{}}', 'UTF8')
           FROM {table} f WHERE {conditions} LIMIT 1"
    ))
}

/// A type as SQL writes it, of any length: `character` and `bit` alone would be those of one character.
pub fn type_name(type_oid: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'd C string for any OID.
    unsafe {
        let name = pg_sys::format_type_extended(
            type_oid,
            -1,
            (pg_sys::FORMAT_TYPE_FORCE_QUALIFY | pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN)
                as pg_sys::bits16,
        );
        row::from_server(std::ffi::CStr::from_ptr(name).to_bytes()).into_owned()
    }
}

/// Transactions that write mappings wait for each other here, or one would write back what the other
/// had renamed; what they wrote is read with a newer snapshot. Not a lock on the table: whoever has
/// written there already would deadlock with his like.
pub fn one_at_a_time() {
    // SAFETY: a look-up by name, and a lock until the end of the transaction.
    unsafe {
        let extension = pg_sys::get_extension_oid(c"pg_spamcheck".as_ptr(), true);
        pg_sys::LockDatabaseObject(
            pg_sys::ExtensionRelationId,
            extension,
            2,
            pg_sys::ExclusiveLock as pg_sys::LOCKMODE,
        );
    }
}
