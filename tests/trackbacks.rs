//! Trackbacks and pingbacks from outside: rows that wait for what a name or a page says, and pages that
//! the worker does not visit. Pages are served by real servers on loopback, which count as the open
//! internet where `pg_spamcheck.allow_private_hosts` is on, and as what must not be visited where it is off.

#[path = "trackbacks/held.rs"]
mod held;
#[path = "trackbacks/names.rs"]
mod names;
#[path = "trackbacks/pages.rs"]
mod pages;
#[path = "trackbacks/private.rs"]
mod private;
#[path = "trackbacks/senders.rs"]
mod senders;
#[path = "trackbacks/site.rs"]
mod site;
#[path = "trackbacks/together.rs"]
mod together;
#[path = "trackbacks/troubles.rs"]
mod troubles;
