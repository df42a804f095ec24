//! Support for everything that looks at pg_spamcheck from outside: throw-away servers ([`cluster`]),
//! stand-ins for the services that its worker calls ([`http`], [`akismet`], [`captcha`], [`smtp`]), waiting for a
//! condition ([`wait`]), and what benchmarks share ([`measure`], [`texts`], [`table`]). It knows the public interface only and must not depend on the extension's
//! own crates: what it proves, a user could have seen.

pub mod akismet;
pub mod captcha;
pub mod cluster;
pub mod http;
pub mod measure;
pub mod names;
pub mod ports;
pub mod proxy;
pub mod smtp;
pub mod table;
pub mod texts;
pub mod tls;
pub mod wait;
