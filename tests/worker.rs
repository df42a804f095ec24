//! The launcher and the workers as processes of the server: crashes, restarts, shutdown, databases that
//! come and go, the extension dropped under them, standbys. What is asked and answered is akismet.rs's.

#[path = "worker/bad_values.rs"]
mod bad_values;
#[path = "worker/crashes.rs"]
mod crashes;
#[path = "worker/databases.rs"]
mod databases;
// Shared with akismet.rs, which uses more of them.
#[allow(dead_code)]
#[path = "akismet/gate.rs"]
mod gate;
#[path = "worker/lifecycle.rs"]
mod lifecycle;
#[path = "worker/load.rs"]
mod load;
#[allow(dead_code)]
#[path = "akismet/site.rs"]
mod site;
#[path = "worker/standby.rs"]
mod standby;
