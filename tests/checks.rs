//! Each check through SQL: what it hits, every option, and what a policy makes of its findings. The
//! statements around them are shown elsewhere.

#[path = "checks/addresses.rs"]
mod addresses;
#[path = "checks/encodings.rs"]
mod encodings;
#[path = "checks/failures.rs"]
mod failures;
#[path = "checks/links.rs"]
mod links;
#[path = "checks/patterns.rs"]
mod patterns;
#[path = "statements/site.rs"]
mod site;
#[path = "checks/sizes.rs"]
mod sizes;
#[path = "checks/sources.rs"]
mod sources;
#[path = "checks/verdicts.rs"]
mod verdicts;
#[path = "checks/people.rs"]
mod people;
#[path = "checks/submissions.rs"]
mod submissions;
#[path = "checks/unreadable.rs"]
mod unreadable;
#[path = "checks/words.rs"]
mod words;
