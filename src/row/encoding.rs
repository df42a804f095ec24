//! Text on its way between the database's encoding and UTF-8. Owns what becomes of what one of the two does not
//! have: no strange byte loses a row, and no strange character fails a log.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::ops::RangeInclusive;

use pgrx::pg_sys;

const UTF8: i32 = pg_sys::pg_enc::PG_UTF8 as i32;
const SQL_ASCII: i32 = pg_sys::pg_enc::PG_SQL_ASCII as i32;

/// Text of the database's encoding as UTF-8. What cannot be converted shows as U+FFFD: a strange byte
/// is no reason to lose a row. Where bytes have no encoding, each that is no UTF-8 has a letter of its own.
pub fn from_server(bytes: &[u8]) -> Cow<'_, str> {
    // SAFETY: plain calls; the converted copy is a palloc'd C string.
    unsafe {
        if any_text_fits() || bytes.is_ascii() {
            return String::from_utf8_lossy(bytes);
        }
        if pg_sys::GetDatabaseEncoding() == SQL_ASCII {
            return with_letters_for_bytes(bytes);
        }
        let given = bytes.as_ptr().cast();
        let converted = pg_sys::pg_server_to_any(given, bytes.len() as i32, UTF8);
        if std::ptr::eq(converted, given) {
            return String::from_utf8_lossy(bytes);
        }
        Cow::Owned(CStr::from_ptr(converted).to_string_lossy().into_owned())
    }
}

/// The letters that stand for bytes above 127: the last of the private ones.
const LETTERS: RangeInclusive<char> = '\u{10FF80}'..='\u{10FFFF}';

/// Bytes that are UTF-8 as such, the others as letters of their own; [`to_server`] makes bytes of these.
fn with_letters_for_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c| LETTERS.contains(&c)) => return text.into(),
        _ => {}
    }
    let letter = |byte: &u8| char::from_u32(0x0010_FF00 | u32::from(*byte)).unwrap_or_default();
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if LETTERS.contains(&character) {
                // It is none that we made, and must not be taken for one.
                text.extend(character.encode_utf8(&mut [0; 4]).as_bytes().iter().map(letter));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().map(letter));
    }
    text.into()
}

/// Whether some of a text was no UTF-8 where it came from.
pub fn has_strange_bytes(text: &str) -> bool {
    !any_text_fits() && text.contains(|c| c == char::REPLACEMENT_CHARACTER || LETTERS.contains(&c))
}

fn bytes_of_letters(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        if LETTERS.contains(&character) {
            bytes.push(u32::from(character).to_le_bytes()[0]);
        } else {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    bytes
}

/// UTF-8 text in the database's encoding, as a C string.
pub fn to_server(text: &str) -> CString {
    let plain = CString::new(text.replace('\0', "")).unwrap_or_default();
    // SAFETY: as in from_server.
    unsafe {
        if any_text_fits() || text.is_ascii() {
            return plain;
        }
        if pg_sys::GetDatabaseEncoding() == SQL_ASCII {
            return CString::new(bytes_of_letters(&text.replace('\0', ""))).unwrap_or_default();
        }
        let length = plain.as_bytes().len() as i32;
        let converted = pg_sys::pg_any_to_server(plain.as_ptr(), length, UTF8);
        if std::ptr::eq(converted.cast_const(), plain.as_ptr()) {
            return plain;
        }
        CStr::from_ptr(converted).to_owned()
    }
}

/// Whether the database's encoding has every character there is.
pub fn any_text_fits() -> bool {
    // SAFETY: plain call.
    unsafe { pg_sys::GetDatabaseEncoding() == UTF8 }
}

/// The text with what the database's encoding does not have replaced by a question mark: the log of a
/// LATIN1 database must not fail over a character that normalisation brought in.
pub fn fitting(text: &str) -> Cow<'_, str> {
    thread_local! {
        static FITS: std::cell::RefCell<std::collections::HashMap<char, bool>> = Default::default();
    }
    // SAFETY: plain call.
    if any_text_fits() || text.is_ascii() || unsafe { pg_sys::GetDatabaseEncoding() } == SQL_ASCII {
        return Cow::Borrowed(text);
    }
    let fits = |c: char| {
        c.is_ascii()
            || FITS.with_borrow_mut(|known| {
                *known.entry(c).or_insert_with(|| {
                    crate::subtransaction::attempt(|| to_server(c.encode_utf8(&mut [0; 4]))).is_ok()
                })
            })
    };
    if text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if fits(c) { c } else { '?' }).collect())
}
