//! Values from texts, by the input function of their type. Owns whose rights that function has: the CHECK of a domain
//! is its owner's code, and whoever reads a text into a column must not lend him theirs.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;

use super::{Column, output, to_server};
use crate::{rights, subtransaction};

/// A value of a type from its text form, as an INSERT would read it; raises what the type says.
pub fn input(type_oid: pg_sys::Oid, modifier: i32, text: &str) -> pg_sys::Datum {
    input_c(type_oid, modifier, &to_server(text))
}

/// [`input`] for a text that is in the database's encoding already.
pub fn input_c(type_oid: pg_sys::Oid, modifier: i32, text: &CStr) -> pg_sys::Datum {
    // SAFETY: the type's own input function on a C string, which it does not change.
    unsafe {
        let mut function = pg_sys::Oid::INVALID;
        let mut parameter = pg_sys::Oid::INVALID;
        pg_sys::getTypeInputInfo(type_oid, &mut function, &mut parameter);
        pg_sys::OidInputFunctionCall(function, text.as_ptr().cast_mut(), parameter, modifier)
    }
}

/// A value as a column's type writes it, from any text that the type reads: `t` for `true`. As it is where reading
/// it could run somebody's code.
pub fn as_written(column: Column, text: &str) -> String {
    let Some((type_oid, modifier)) = harmless(column) else { return text.to_owned() };
    let datum = input(type_oid, modifier, text);
    // SAFETY: the type's own input function made the datum.
    unsafe { output(column, datum) }
}

/// Why a type, with its length, does not take a text for a column of a table; None: it does. The CHECK of a domain is somebody's code: it runs
/// with the rights of the table's owner, as in an UPDATE of his.
pub fn misfit(
    table: pg_sys::Oid,
    (type_oid, modifier): (pg_sys::Oid, i32),
    text: &str,
) -> Option<String> {
    let read = subtransaction::rehearse(AssertUnwindSafe(|| {
        rights::as_owner_of(table, || {
            input(type_oid, modifier, text);
        });
    }));
    Some(read.err()?.message)
}

/// The type, with its modifier, that reads a column's values without a function of anybody but the server, with
/// whose rights it may be. None: there is none, as with a row type, whose columns may be of domains.
fn harmless(column: Column) -> Option<(pg_sys::Oid, i32)> {
    let mut modifier = column.modifier;
    // SAFETY: catalog look-ups by OID.
    unsafe {
        let base = pg_sys::getBaseTypeAndTypmod(column.type_oid, &mut modifier);
        let element = pg_sys::get_element_type(base);
        let inner = if element == pg_sys::Oid::INVALID { base } else { element };
        // Base types are a superuser's, and labels are no code.
        let of_server = [pg_sys::TYPTYPE_BASE, pg_sys::TYPTYPE_ENUM];
        of_server.contains(&(pg_sys::get_typtype(inner) as u8)).then_some((base, modifier))
    }
}
