//! Earlier rows as they are in the protected table now: found by their key with the rights of the
//! table's owner, read through the mapping as a new row is. Owns the query and the reading; what a row
//! must have to count is the check's.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use pgrx::pg_sys;
use spamcheck_engine::surroundings::{Earlier, Nothing, Surroundings};
use spamcheck_engine::{Facts, Field, FieldSet};

use super::chain::Seen;
use crate::checklog;
use crate::protection::Protection;
use crate::row::{self, Row};
use crate::rulebook::{self, Unusable};
use crate::spi::{self, Found, Run, quoted};
use crate::stash::{self, Address};
use crate::submission::{self, Elsewhere};
use crate::{key, rights, settings, subtransaction};

/// What became of a remembered row.
pub enum Look<'l, 'e> {
    /// It is there.
    There(&'l Earlier<'e>),
    /// It is not, and never will be again.
    Gone,
    /// It cannot be seen, which need not mean that it is gone.
    Hidden,
}

/// The protected table itself, also when the row at hand goes into a partition of it.
pub struct Table {
    protection: Rc<Protection>,
    query: String,
}

impl Table {
    /// Opens it. It stays locked until the transaction ends, as any table that is read.
    pub fn open(protection: &Protection) -> Result<Table, String> {
        // SAFETY: opened and closed here; the lock stays.
        unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let relation = pg_sys::table_open(protection.root, lock);
            let bound = rulebook::protection(protection.id, relation);
            let table = bound.map(|protection| {
                let query = protection.by_key.get_or_init(|| {
                    // Behind the table's own columns: where the row is stored.
                    format!(
                        "SELECT {}, t.tableoid, t.ctid FROM {} t WHERE {}",
                        select_list(&protection, (*relation).rd_att),
                        from(&protection),
                        condition(&protection)
                    )
                });
                Table { query: query.clone(), protection: protection.clone() }
            });
            pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            table.map_err(|unusable| match unusable {
                Unusable::Unknown => "the table is no longer protected".to_owned(),
                Unusable::Broken(why) => why,
            })
        }
    }

    /// Looks rows up, one after the other, until `visit` says that it is enough. What fails is undone
    /// and given back as a sentence.
    pub fn look_up(
        &self,
        seen: &[Seen],
        visit: &mut dyn FnMut(&Seen, Look<'_, '_>) -> bool,
    ) -> Result<(), String> {
        let fitting: Vec<(&Seen, Vec<String>)> = seen
            .iter()
            .filter_map(|one| match key::parts(&self.protection, &one.key) {
                Some(parts) => Some((one, parts)),
                None => {
                    visit(one, Look::Gone);
                    None
                }
            })
            .collect();
        let mut done = 0;
        let looked = subtransaction::attempt(AssertUnwindSafe(|| {
            rights::as_reader_of(self.protection.root, || {
                spi::repeatedly(&self.query, |run| {
                    for (one, parts) in &fitting {
                        let go_on = self.look_at(one, parts, run, visit);
                        done += 1;
                        if !go_on {
                            break;
                        }
                    }
                });
            });
        }));
        match (looked, fitting.get(done)) {
            (Ok(()), _) => Ok(()),
            // The table has another key now, of another type.
            (Err(_), Some((one, parts))) if !self.fits(parts) => {
                visit(one, Look::Gone);
                let rest = seen.iter().position(|s| s.n == one.n).map_or(seen.len(), |n| n + 1);
                self.look_up(&seen[rest..], visit)
            }
            (Err(failure), _) => Err(format!("earlier rows cannot be read: {}", failure.message)),
        }
    }

    fn look_at(
        &self,
        one: &Seen,
        parts: &[String],
        run: Run<'_>,
        visit: &mut dyn FnMut(&Seen, Look<'_, '_>) -> bool,
    ) -> bool {
        let args = spi::values(parts);
        let mut there = None;
        run(&args, &mut |found| {
            // SAFETY: the tuple is of that type, whose columns are numbered as the table's are.
            let row = unsafe { Row::of_tuple(found.tuple, found.tupdesc) };
            there = Some(with_facts(&self.protection, row, one.at, &Nothing, |facts| {
                let ham = self.is_ham(row, || address(found));
                visit(one, Look::There(&Earlier { facts, at: one.at, ham }))
            }));
        });
        there.unwrap_or_else(|| {
            visit(one, if may_hide(self.protection.root) { Look::Hidden } else { Look::Gone })
        })
    }

    /// Whether a row was accepted: it has the status of ham, where that is known, and not one such as WordPress' trash.
    /// What its status does not say, since verdicts do not write it, the log does, and before the log is written what
    /// the statement at hand has found.
    fn is_ham(&self, row: Row<'_>, address: impl FnOnce() -> Option<Address>) -> bool {
        let status = &self.protection.status;
        if status.keeps_back(row) || status.is_ham(row) == Some(false) {
            return false;
        }
        if status.tells_all() {
            return true;
        }
        let kept_back = key::of_row(&self.protection, row).is_some_and(|row_key| {
            rights::as_extension(|| checklog::keeps_back(self.protection.id, &row_key))
        });
        !kept_back && !address().is_some_and(stash::keeps_back)
    }

    fn fits(&self, parts: &[String]) -> bool {
        let mut all = self.protection.key.iter().zip(parts);
        all.all(|(key, part)| {
            let of_type = (key.column.type_oid, key.column.modifier);
            row::misfit(self.protection.root, of_type, part).is_none()
        })
    }
}

/// Where a row is stored that [`Table::open`]'s query has found.
fn address(found: &Found) -> Option<Address> {
    // SAFETY: the tuple's last two columns are an oid and a tid, which is passed by reference.
    unsafe {
        let columns = (*found.tupdesc).natts;
        let table = pg_sys::Oid::from(found.datum(columns - 1)?.value() as u32);
        let place = *found.datum(columns)?.cast_mut_ptr::<pg_sys::ItemPointerData>();
        Some(Address::new(table, place))
    }
}

/// Has a row of the protected table read.
pub fn with_facts<T>(
    protection: &Protection,
    row: Row<'_>,
    now: i64,
    surroundings: &dyn Surroundings,
    work: impl for<'e> FnOnce(&'e Facts<'e>) -> T,
) -> T {
    let elsewhere = Elsewhere::new(protection, row);
    let submission = submission::read(protection, row, FieldSet::of(&Field::ALL), &elsewhere);
    work(&Facts::new(&submission, settings::max_checked_chars(), now).within(surroundings))
}

/// The columns that the mapping, the status and the key read; NULL for each other one, so that they are
/// numbered as in the table.
///
/// # Safety
/// `tupdesc` must be that of the relation that the protection is bound to.
pub unsafe fn select_list(protection: &Protection, tupdesc: pg_sys::TupleDesc) -> String {
    let mut wanted: Vec<usize> = protection
        .sources
        .iter()
        .flat_map(|(_, bound)| bound.columns())
        .chain(protection.status.columns.iter().map(|(_, column)| column))
        .chain(protection.key.iter().map(|key| &key.column))
        .map(|column| column.index)
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    // SAFETY: the caller's promise; names are C strings within their array.
    let columns = unsafe { pgrx::PgTupleDesc::from_pg_unchecked(tupdesc) };
    let columns = columns.iter().enumerate().map(|(index, attribute)| {
        if wanted.binary_search(&index).is_err() {
            return "NULL".to_owned();
        }
        // SAFETY: as above.
        let name = unsafe { std::ffi::CStr::from_ptr(attribute.attname.data.as_ptr()) };
        format!("t.{}", quoted(&row::from_server(name.to_bytes())))
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// The table as it stands after FROM: a key is unique in one table, and children that inherit from it
/// may have the same.
pub fn from(protection: &Protection) -> String {
    // SAFETY: a look-up by OID.
    let kind = unsafe { pg_sys::get_rel_relkind(protection.root) };
    let only = if kind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE { "" } else { "ONLY " };
    format!("{only}{}", protection.relation)
}

/// Whether row-level security holds for a table's owner.
pub fn may_hide(table: pg_sys::Oid) -> bool {
    // SAFETY: look-ups by OID.
    let enabled = unsafe { pg_sys::check_enable_rls(table, rights::owner_of(table), true) };
    enabled == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
}

fn condition(protection: &Protection) -> String {
    let each = protection.key.iter().enumerate().map(|(n, key)| {
        let value = format!("${}::{}", n + 1, key.type_name);
        format!("t.{} {} {value}", quoted(&key.name), key.operator)
    });
    each.collect::<Vec<_>>().join(" AND ")
}
