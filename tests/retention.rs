//! What the log keeps, and for how long: the worker purges rows that are older than their policy's
//! retention, and every column of every outcome says what it promises.

#[path = "retention/columns.rs"]
mod columns;
#[path = "retention/purging.rs"]
mod purging;
#[path = "statements/site.rs"]
mod site;
