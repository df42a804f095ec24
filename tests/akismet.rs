//! The worker and Akismet from outside: what is asked, what an answer does, what junk does not. A
//! test's requests are told apart by its blog or its text, so most tests share one server.

#[path = "akismet/contents.rs"]
mod contents;
#[path = "akismet/failures.rs"]
mod failures;
#[path = "akismet/gate.rs"]
mod gate;
#[path = "akismet/keys.rs"]
mod keys;
#[path = "akismet/queueing.rs"]
mod queueing;
#[path = "akismet/quiet.rs"]
mod quiet;
#[path = "akismet/races.rs"]
mod races;
#[path = "akismet/requests.rs"]
mod requests;
#[path = "akismet/rights.rs"]
mod rights;
#[path = "akismet/secrets.rs"]
mod secrets;
#[path = "akismet/site.rs"]
mod site;
#[path = "akismet/verdicts.rs"]
mod verdicts;
#[path = "akismet/waiting.rs"]
mod waiting;
