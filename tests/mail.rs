//! Mail to moderators, as a real mail server gets it: what it says, to whom and how often, what becomes of
//! it when the server fails, and what never leaves.

#[path = "mail/digests.rs"]
mod digests;
#[path = "mail/failures.rs"]
mod failures;
#[path = "mail/late.rs"]
mod late;
#[path = "mail/queue.rs"]
mod queue;
#[path = "mail/secrets.rs"]
mod secrets;
#[path = "mail/world.rs"]
mod world;
