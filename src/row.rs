//! Reading values out of a row: by column number, without a copy where the type allows it. Owns the
//! knowledge of how types lie in memory, and nothing about what the values mean.

mod encoding;
mod input;

use std::borrow::Cow;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pgrx::pg_sys;
use spamcheck_engine::{Field, Value, json_text};

use crate::nest_level;

pub use encoding::{any_text_fits, fitting, from_server, has_strange_bytes, to_server};
pub use input::{as_written, input, input_c, misfit};

/// Microseconds between the Unix epoch and the server's, 2000-01-01.
pub const EPOCH_OFFSET: i64 = 946_684_800_000_000;

/// How a column's values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// text, varchar, citext
    Text,
    /// char(n): trailing blanks do not count
    Padded,
    /// inet, cidr
    Address,
    /// timestamptz, and timestamp taken as UTC
    Time,
    /// date
    Date,
    /// smallint, integer, bigint: bytes
    Integer(u8),
    /// json, jsonb: the strings inside
    Json,
    /// boolean
    Boolean,
    /// interval
    Interval,
    /// an array: its elements, but as the text of a submission, which is read as it is written
    Array,
    /// anything else, through its output function
    Output,
}

/// A column of a row type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Attribute number less one.
    pub index: usize,
    /// The column's type.
    pub type_oid: pg_sys::Oid,
    /// The type's modifier: a length, a precision.
    pub modifier: i32,
    /// How it is read.
    pub reader: Reader,
}

/// The deformed values of one row; they live as long as the row does.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl<'a> Row<'a> {
    /// The first `count` columns of the row in a slot.
    ///
    /// # Safety
    /// The slot must hold a row of at least `count` columns and must not change meanwhile.
    pub unsafe fn of_slot(slot: *mut pg_sys::TupleTableSlot, count: usize) -> Row<'a> {
        // SAFETY: the caller's promise; slot_getsomeattrs_int fills the arrays up to `count`.
        unsafe {
            if ((*slot).tts_nvalid as usize) < count {
                pg_sys::slot_getsomeattrs_int(slot, count as i32);
            }
            Row {
                values: std::slice::from_raw_parts((*slot).tts_values, count),
                nulls: std::slice::from_raw_parts((*slot).tts_isnull, count),
            }
        }
    }

    /// All columns of a heap tuple; the arrays are palloc'd.
    ///
    /// # Safety
    /// The tuple must be of the type that `tupdesc` describes.
    pub unsafe fn of_tuple(tuple: pg_sys::HeapTuple, tupdesc: pg_sys::TupleDesc) -> Row<'a> {
        // SAFETY: the caller's promise; the arrays have room for every column.
        unsafe {
            let count = (*tupdesc).natts as usize;
            let values = pg_sys::palloc0(count.max(1) * size_of::<pg_sys::Datum>()).cast();
            let nulls = pg_sys::palloc0(count.max(1)).cast();
            pg_sys::heap_deform_tuple(tuple, tupdesc, values, nulls);
            Row {
                values: std::slice::from_raw_parts(values, count),
                nulls: std::slice::from_raw_parts(nulls, count),
            }
        }
    }

    /// A column's raw value; None: NULL.
    pub fn datum(&self, column: Column) -> Option<pg_sys::Datum> {
        (!self.nulls[column.index]).then(|| self.values[column.index])
    }

    /// Whether a column has another value than in another row of the same type. Comparing images is enough
    /// as a rule: an equal text stored otherwise (a toasted value kept as it is, say) is compared by content.
    pub fn differs(&self, other: Row<'_>, column: Column) -> bool {
        match (self.datum(column), other.datum(column)) {
            (None, None) => false,
            (Some(a), Some(b)) => {
                a.value() != b.value() && self.text_borrowed(column) != other.text_borrowed(column)
            }
            _ => true,
        }
    }

    /// A column's value for a field.
    pub fn value(&self, column: Column, field: Field) -> Value<'a> {
        let Some(datum) = self.datum(column) else { return Value::Absent };
        // SAFETY: the datum is of the column's type, and the reader was chosen by that type.
        unsafe {
            match column.reader {
                Reader::Address => address(datum).map_or(Value::Absent, Value::Ip),
                Reader::Time => match datum.value() as i64 {
                    i64::MIN => always(field),
                    i64::MAX => Value::Absent,
                    stored => Value::Time(stored.saturating_add(EPOCH_OFFSET)),
                },
                Reader::Date => match datum.value() as i32 {
                    i32::MIN => always(field),
                    i32::MAX => Value::Absent,
                    days => Value::Time(i64::from(days) * 86_400_000_000 + EPOCH_OFFSET),
                },
                Reader::Integer(bytes) => match field {
                    Field::CreatedAt | Field::ArticleCreatedAt | Field::FormSeconds => {
                        Value::Number(integer(datum, bytes) as f64)
                    }
                    _ => Value::Text(integer(datum, bytes).to_string().into()),
                },
                Reader::Json => Value::Text(of_json(&self.output(column, datum), field).into()),
                Reader::Text => Value::Text(text(datum)),
                Reader::Padded => Value::Text(trimmed(text(datum))),
                Reader::Boolean if field == Field::Honeypot => Value::ticked(datum.value() != 0),
                Reader::Interval if field == Field::FormSeconds => Value::Number(seconds(datum)),
                Reader::Array if !field.is_prose() => Value::Text(elements(column, datum).into()),
                Reader::Boolean | Reader::Interval | Reader::Array | Reader::Output => {
                    Value::Text(self.output(column, datum).into())
                }
            }
        }
    }

    /// A column's value as text, as its output function gives it; None: NULL.
    pub fn text(&self, column: Column) -> Option<String> {
        self.datum(column).map(|datum| self.output(column, datum))
    }

    /// A text column without a copy, anything else through its output function; None: NULL.
    pub fn text_borrowed(&self, column: Column) -> Option<Cow<'a, str>> {
        let datum = self.datum(column)?;
        Some(match column.reader {
            // SAFETY: this reader was chosen for a type that is stored as text.
            Reader::Text => unsafe { text_of_datum(datum) },
            // SAFETY: as above.
            Reader::Padded => trimmed(unsafe { text_of_datum(datum) }),
            _ => self.output(column, datum).into(),
        })
    }

    fn output(&self, column: Column, datum: pg_sys::Datum) -> String {
        // SAFETY: the datum is of the column's type.
        unsafe { output(column, datum) }
    }
}

/// # Safety
/// The datum must be of the column's type.
unsafe fn output(column: Column, datum: pg_sys::Datum) -> String {
    // SAFETY: the caller's promise; output functions return C strings.
    unsafe {
        let mut function = pg_sys::Oid::INVALID;
        let mut varlena = false;
        pg_sys::getTypeOutputInfo(column.type_oid, &mut function, &mut varlena);
        let c = pg_sys::OidOutputFunctionCall(function, datum);
        from_server(CStr::from_ptr(c).to_bytes()).into_owned()
    }
}

/// The elements of an array, each on a line as its type's output function gives it; without those that are null
/// or empty.
///
/// # Safety
/// The datum must be of the column's type, which must be one of arrays.
unsafe fn elements(column: Column, datum: pg_sys::Datum) -> String {
    // SAFETY: the caller's promise; the lists that the server makes are as long as it says.
    unsafe {
        let type_oid = pg_sys::get_element_type(pg_sys::getBaseType(column.type_oid));
        let (mut length, mut by_value, mut align) = (0, false, 0);
        pg_sys::get_typlenbyvalalign(type_oid, &mut length, &mut by_value, &mut align);
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        pg_sys::deconstruct_array(
            array,
            type_oid,
            length.into(),
            by_value,
            align,
            &mut values,
            &mut nulls,
            &mut count,
        );
        let element = Column { type_oid, modifier: -1, reader: Reader::Output, ..column };
        let each = (0..count as usize).filter(|n| !*nulls.add(*n));
        let texts: Vec<String> = each.map(|n| output(element, *values.add(n))).collect();
        texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// How values of a type are read. `type_oid` may be a domain.
pub fn reader(type_oid: pg_sys::Oid) -> Reader {
    // SAFETY: catalog look-ups by OID.
    let base = unsafe { pg_sys::getBaseType(type_oid) };
    match base {
        pg_sys::TEXTOID | pg_sys::VARCHAROID => Reader::Text,
        pg_sys::BPCHAROID => Reader::Padded,
        pg_sys::INETOID | pg_sys::CIDROID => Reader::Address,
        pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID => Reader::Time,
        pg_sys::DATEOID => Reader::Date,
        pg_sys::INT2OID => Reader::Integer(2),
        pg_sys::INT4OID => Reader::Integer(4),
        pg_sys::INT8OID => Reader::Integer(8),
        pg_sys::JSONOID | pg_sys::JSONBOID => Reader::Json,
        pg_sys::BOOLOID => Reader::Boolean,
        pg_sys::INTERVALOID => Reader::Interval,
        // SAFETY: as above.
        _ if unsafe { pg_sys::get_element_type(base) } != pg_sys::Oid::INVALID => Reader::Array,
        _ => Reader::Output,
    }
}

fn integer(datum: pg_sys::Datum, bytes: u8) -> i64 {
    match bytes {
        2 => i64::from(datum.value() as i16),
        4 => i64::from(datum.value() as i32),
        _ => datum.value() as i64,
    }
}

/// `-infinity`, which says of an article that it is older than any limit, and of nothing else anything.
fn always(field: Field) -> Value<'static> {
    match field {
        Field::ArticleCreatedAt => Value::Text("-infinity".into()),
        _ => Value::Absent,
    }
}

/// An interval's seconds, as `extract(epoch from …)` counts months and years.
///
/// # Safety
/// The datum must be an interval.
unsafe fn seconds(datum: pg_sys::Datum) -> f64 {
    const DAY: f64 = 86_400.0;
    // SAFETY: the caller's promise.
    let interval = unsafe { &*datum.cast_mut_ptr::<pg_sys::Interval>() };
    let (years, months) = (f64::from(interval.month / 12), f64::from(interval.month % 12));
    let days = years * 365.25 + months * 30.0 + f64::from(interval.day);
    days * DAY + interval.time as f64 / 1e6
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches(' ')),
        Cow::Owned(text) => Cow::Owned(text.trim_end_matches(' ').to_owned()),
    }
}

/// # Safety
/// The datum must be a varlena.
unsafe fn bytes<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the caller's promise; a detoasted copy lives in the current memory context.
    unsafe {
        let raw = datum.cast_mut_ptr::<pg_sys::varlena>();
        let plain = pgrx::varlena::varatt_is_4b_u(raw)
            || (pgrx::varlena::varatt_is_1b(raw) && !pgrx::varlena::varatt_is_1b_e(raw));
        let flat = if plain { raw } else { pg_sys::pg_detoast_datum_packed(raw) };
        std::slice::from_raw_parts(
            pgrx::varlena::vardata_any(flat).cast::<u8>(),
            pgrx::varlena::varsize_any_exhdr(flat),
        )
    }
}

/// # Safety
/// The datum must be of a type stored as text.
unsafe fn text<'a>(datum: pg_sys::Datum) -> Cow<'a, str> {
    // SAFETY: the caller's promise.
    from_server(unsafe { bytes(datum) })
}

/// The bytes in a datum.
///
/// # Safety
/// The datum must be a varlena, and outlive the result.
pub unsafe fn bytes_of_datum<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { bytes(datum) }
}

/// The text in a datum.
///
/// # Safety
/// The datum must be of a type stored as text, and outlive the result.
pub unsafe fn text_of_datum<'a>(datum: pg_sys::Datum) -> Cow<'a, str> {
    // SAFETY: the caller's promise.
    unsafe { text(datum) }
}

/// # Safety
/// The datum must be an inet or cidr.
unsafe fn address(datum: pg_sys::Datum) -> Option<IpAddr> {
    // SAFETY: the caller's promise. inet_struct: family, bits, then 4 or 16 bytes of address.
    let bytes = unsafe { bytes(datum) };
    match bytes.len() {
        6 => Some(IpAddr::V4(Ipv4Addr::new(bytes[2], bytes[3], bytes[4], bytes[5]))),
        18 => {
            let octets: [u8; 16] = bytes[2..18].try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

/// What JSON says for a field: who a user is may be a number, and a hidden field may be filled with one.
fn of_json(json: &str, field: Field) -> String {
    let found = match field {
        Field::UserId | Field::UserRole | Field::Honeypot => json_text::values(json),
        _ => json_text::strings(json),
    };
    found.join("\n")
}

impl<'a> Row<'a> {
    /// A column's text for a field that several make up, as a person reads it: of JSON the strings inside, of an
    /// array its elements; None: NULL.
    pub fn readable(&self, column: Column, field: Field) -> Option<Cow<'a, str>> {
        match column.reader {
            Reader::Array if !field.is_prose() => {
                // SAFETY: this reader was chosen for a type of arrays.
                self.datum(column).map(|datum| unsafe { elements(column, datum) }.into())
            }
            Reader::Json => self.text(column).map(|json| of_json(&json, field).into()),
            _ => self.text_borrowed(column),
        }
    }
}

/// The setting that says how an amount of money is written, and read.
pub const MONEY: (&CStr, &CStr) = (c"lc_monetary", c"C");

/// Runs `work` with settings under which output functions write what input functions read anywhere: names of
/// what is not the server's own with their schemas; money only under [`MONEY`].
pub fn with_portable_output<T>(work: impl FnOnce() -> T) -> T {
    const PORTABLE: [(&CStr, &CStr); 7] = [
        (c"datestyle", c"ISO, YMD"),
        (c"intervalstyle", c"postgres"),
        (c"extra_float_digits", c"3"),
        (c"timezone", c"UTC"),
        (c"bytea_output", c"hex"),
        (c"search_path", c"pg_catalog"),
        MONEY,
    ];
    nest_level::within(&PORTABLE, work)
}
