//! Policies, check settings and lists as tables: what they refuse, what they start with, and when a
//! change counts.

#[path = "policies/catalogue.rs"]
mod catalogue;
#[path = "policies/presets.rs"]
mod presets;
#[path = "policies/refusals.rs"]
mod refusals;
#[path = "policies/sessions.rs"]
mod sessions;
#[path = "statements/site.rs"]
mod site;
#[path = "policies/snapshots.rs"]
mod snapshots;
#[path = "policies/whole.rs"]
mod whole;
