//! Who may do what: access levels, what everybody may, and what people with some rights try in order to
//! get more.

#[path = "roles/abuse.rs"]
mod abuse;
#[path = "roles/levels.rs"]
mod levels;
#[path = "roles/names.rs"]
mod names;
#[path = "roles/owners.rs"]
mod owners;
#[path = "statements/site.rs"]
mod site;

use postgres::Client;
use postgres::error::SqlState;

/// Whether a role lacks the right to do that.
#[track_caller]
fn denied(client: &mut Client, sql: &str) {
    let error = site::refused(client, sql);
    assert_eq!(error.code(), &SqlState::INSUFFICIENT_PRIVILEGE, "{sql}: {error:?}");
}
