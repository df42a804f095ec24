//! The local checks, as an app sees them through INSERT.
