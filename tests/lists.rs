//! Lists as an administrator fills them: import_list() with its formats, rights and refusals, entries
//! that expire, lists of a hundred thousand entries, and the real lists that people use.

#[path = "lists/expiry.rs"]
mod expiry;
#[path = "lists/formats.rs"]
mod formats;
#[path = "lists/packed.rs"]
mod packed;
#[path = "lists/real.rs"]
mod real;
#[path = "lists/refusals.rs"]
mod refusals;
#[path = "statements/site.rs"]
mod site;
