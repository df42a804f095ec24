//! Checks that ask for earlier rows: which rows count, in whatever way they came and went; between
//! sessions; `remember()`; and what is forgotten. What counts as the same is shown in the engine.

#[path = "memory/blog.rs"]
mod blog;
#[path = "memory/forgetting.rs"]
mod forgetting;
#[path = "memory/keys.rs"]
mod keys;
#[path = "memory/remembering.rs"]
mod remembering;
#[path = "memory/rows.rs"]
mod rows;
#[path = "memory/sessions.rs"]
mod sessions;
#[path = "statements/site.rs"]
mod site;
#[path = "memory/times.rs"]
mod times;
#[path = "memory/unjudged.rs"]
mod unjudged;
#[path = "memory/walks.rs"]
mod walks;
