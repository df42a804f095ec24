//! The worker and Akismet from outside: what is asked, what an answer does, what junk does not. A
//! test's requests are told apart by its blog or its text, so most tests share one server.

#[path = "akismet/account.rs"]
mod account;
#[path = "akismet/checked.rs"]
mod checked;
#[path = "akismet/conformance.rs"]
mod conformance;
#[path = "akismet/contents.rs"]
mod contents;
#[path = "akismet/decisions.rs"]
mod decisions;
#[path = "akismet/failures.rs"]
mod failures;
#[path = "akismet/expired.rs"]
mod expired;
#[path = "akismet/gate.rs"]
mod gate;
#[path = "akismet/keys.rs"]
mod keys;
#[path = "akismet/names.rs"]
mod names;
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
#[path = "akismet/tls.rs"]
mod tls;
#[path = "akismet/told.rs"]
mod told;
#[path = "akismet/verdicts.rs"]
mod verdicts;
#[path = "akismet/waiting.rs"]
mod waiting;
#[path = "akismet/webhook.rs"]
mod webhook;
