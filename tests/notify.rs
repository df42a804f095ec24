//! NOTIFY of verdicts: who listens hears of every verdict once it counts, and of none that does not.

#[path = "notify/late.rs"]
mod late;
#[path = "notify/listener.rs"]
mod listener;
#[path = "notify/rejected.rs"]
mod rejected;
#[path = "notify/rows.rs"]
mod rows;
#[path = "statements/site.rs"]
mod site;
