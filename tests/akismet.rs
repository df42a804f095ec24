//! The worker and Akismet from outside: what is asked, what an answer does, what junk does not. A
//! test's requests are told apart by its blog, so most tests share one server and one stand-in.

#[path = "akismet/requests.rs"]
mod requests;
#[path = "akismet/site.rs"]
mod site;
#[path = "akismet/verdicts.rs"]
mod verdicts;
