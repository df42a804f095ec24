//! Owns what a protected table's columns mean: which column feeds which field, which values its
//! status takes, where its article and its subscriber are. It must not reach a database: a
//! description of the table comes in, the mapping goes out.

mod article;
mod beside;
mod columns;
mod constraint;
mod contact;
mod find;
mod keys;
mod references;
mod secrets;
mod source;
mod status;
mod status_ask;
mod status_find;
mod status_systems;
mod status_words;
mod table;
mod tokens;
mod vocabulary;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod civic;
#[cfg(test)]
mod forums;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod systems;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod trackers;

pub use article::{Article, Subscriber};
pub use columns::Mapping;
pub use contact::is_contact_name as is_contact;
pub use secrets::is_secret_name as is_secret;
pub use source::Source;
pub use status::{Assignments, Status, StatusValue, is_told_without_time};
pub use table::{Column, ColumnKind, Table};
