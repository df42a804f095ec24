//! Lists with a source_url from outside: fetched when they are due, kept when the source fails, and never
//! emptied by a page that is none. The sources are real servers on loopback.

#[path = "feeds/databases.rs"]
mod databases;
#[path = "feeds/failures.rs"]
mod failures;
#[path = "feeds/fetching.rs"]
mod fetching;
#[path = "feeds/restores.rs"]
mod restores;
#[path = "feeds/site.rs"]
mod site;
