//! GitLab's page on Akismet, line by line: what an administrator was told there, done here with the
//! preset `gitlab`, a table like GitLab's `issues` and a stand-in Akismet.
//!
//! These lines of the page are served by other parts, and shown in the tests of those:
//!
//! | line | by |
//! |---|---|
//! | Training: "Submit as ham", from the Spam Log | `not_spam` |
//! | Training: "Submit as spam", for administrators only | `report_spam`, level `moderator` |
//! | a captcha where there is doubt (its sequel to this page) | check `captcha`, action `challenge` |
//! | what leaves the database, as a report | `privacy_report` |
//!
//! To get an account and a key from Akismet is a person's work; that a key is good says
//! `akismet_verify_key`.

#[path = "gitlab/page.rs"]
mod page;
#[path = "gitlab/project.rs"]
mod project;
#[path = "akismet/site.rs"]
#[allow(dead_code, reason = "the tests of Akismet itself need more of it")]
mod site;
