//! ActionKit's page on comment spam, line by line: what a campaigner was told there, done here with the
//! preset `actionkit`, a table of actions and a stand-in Akismet. `page` has how spam checking works and
//! its settings, `filters` the single checks, `log` the Spam Check Log.
//!
//! These lines of the page are served by other parts, and shown in the tests of those:
//!
//! | line | by |
//! |---|---|
//! | reCAPTCHA, on a page or site-wide; the invisible captcha that trusted users bypass | check `captcha` |
//! | Unsubscribe Users; the history's `unsubscribe_spamcheck` | `policy.unsubscribe` |
//! | "Not spam"; reversed, reversed_at; not spam by staff; manually suppress and un-suppress | `not_spam`, `report_spam` |
//! | "Delete this action, it's spam" | `delete_spam` |
//! | Unsubscribed for Comment Spamming since …; Resubscribe; Resubscribe and restore actions | `subscriber_status`, `resubscribe` |
//! | recent signers show the spammers' texts | `public_view` |
//!
//! And these are for people, not for a database: report bugs, ask support, check the log daily.

#[path = "actionkit/campaign.rs"]
mod campaign;
#[path = "actionkit/filters.rs"]
mod filters;
#[path = "actionkit/limits.rs"]
mod limits;
#[path = "actionkit/log.rs"]
mod log;
#[path = "actionkit/page.rs"]
mod page;
#[path = "akismet/site.rs"]
#[allow(dead_code, reason = "the tests of Akismet itself need more of it")]
mod site;
