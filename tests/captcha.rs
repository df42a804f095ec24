//! Captchas from outside: refused with a challenge, solved by the test as a visitor's browser would, and
//! let in; what replays, forges, expires or fails on the way.

#[path = "captcha/altcha.rs"]
mod altcha;
#[path = "captcha/functions.rs"]
mod functions;
#[path = "captcha/gitlab.rs"]
mod gitlab;
#[path = "captcha/image.rs"]
mod image;
#[path = "captcha/policies.rs"]
mod policies;
#[path = "captcha/services.rs"]
mod services;
#[path = "captcha/sessions.rs"]
mod sessions;
#[path = "captcha/site.rs"]
mod site;
