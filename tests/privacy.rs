//! A person's data: what the report says of it is what happens, what is erased is gone, and what is for
//! everybody shows nobody.

#[path = "privacy/erasure.rs"]
mod erasure;
#[path = "privacy/report.rs"]
mod report;
#[path = "statements/site.rs"]
mod site;
#[path = "privacy/views.rs"]
mod views;
