//! Refused submissions: what the client is told, and that the log knows of them although their
//! transaction is rolled back.

#[path = "rejection/answers.rs"]
mod answers;
#[path = "rejection/crowds.rs"]
mod crowds;
#[path = "rejection/drops.rs"]
mod drops;
#[path = "rejection/logged.rs"]
mod logged;
#[path = "rejection/outages.rs"]
mod outages;
#[path = "statements/site.rs"]
mod site;

use std::time::Duration;

use site::Site;

/// A site whose word casino is a reason to refuse, with its worker running.
fn refusing() -> Site {
    let mut site = Site::new();
    site.check("content", "action = 'reject'");
    let db = &site.db;
    support::wait::until(Duration::from_secs(30), "the worker", || db.worker_pid().is_some());
    site
}
