//! Every kind of statement that stores rows: verdicts, log rows, rollback. What checks look for, and
//! how a refusal reads, is shown elsewhere.

#[path = "statements/conflicts.rs"]
mod conflicts;
#[path = "statements/copies.rs"]
mod copies;
#[path = "statements/edits.rs"]
mod edits;
#[path = "statements/inserts.rs"]
mod inserts;
#[path = "statements/nesting.rs"]
mod nesting;
#[path = "statements/partitions.rs"]
mod partitions;
#[path = "statements/paths.rs"]
mod paths;
#[path = "statements/replication.rs"]
mod replication;
#[path = "statements/routes.rs"]
mod routes;
#[path = "statements/site.rs"]
mod site;
#[path = "statements/transactions.rs"]
mod transactions;
#[path = "statements/trials.rs"]
mod trials;
