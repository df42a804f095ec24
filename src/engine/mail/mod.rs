//! What mail to moderators is made of, as far as it is text: whom it may go to, which server takes it,
//! and what it says. It must not send anything.

pub mod address;
pub mod digest;
pub mod server;

pub use digest::{Digest, Waiting};
pub use server::{MailServer, Security};
