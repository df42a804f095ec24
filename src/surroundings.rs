//! What surrounds a row that is judged: the engine's questions about the session, about earlier rows and
//! about counters, handed to the files that can answer. Owns which row it is and whether anything may be
//! written or counted; it must not answer by itself what another file knows.

use pgrx::pg_sys;
use serde_json::Value as Json;
use spamcheck_engine::surroundings::{Earlier, RateLimit, Refused, Surroundings, Trace};

use crate::memory;
use crate::protection::Protection;
use crate::row::{self, Row};

/// The surroundings of one row of a protected table.
pub struct Around<'a> {
    /// The protection in force.
    pub protection: &'a Protection,
    /// The row; None: it need not exist (`explain`).
    pub row: Option<Row<'a>>,
    /// Whether it is an edit of a row that was there before.
    pub edited: bool,
    /// Whether it is only asked what would be: then nothing is written and nothing counted.
    pub dry: bool,
}

impl Surroundings for Around<'_> {
    fn is_member_of(&self, role: &str) -> Result<bool, String> {
        let name = row::to_server(role);
        // SAFETY: look-ups by name and OID; a role that is missing gives InvalidOid. A superuser is not
        // a member of every role here: whoever loads data as one wants it judged.
        unsafe {
            let (oid, user) = (pg_sys::get_role_oid(name.as_ptr(), true), pg_sys::GetUserId());
            Ok(oid != pg_sys::Oid::INVALID && pg_sys::is_member_of_role_nosuper(user, oid))
        }
    }

    fn count_try(&self, _key: &str, _limit: RateLimit) -> Result<Option<Refused>, String> {
        Ok(None)
    }

    fn earlier(
        &self,
        trace: Trace<'_>,
        wanted: u32,
        counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        memory::earlier(self, trace, wanted, counts)
    }

    fn call(&self, function: &str, _submission: &Json) -> Result<Json, String> {
        Err(format!("function {function} cannot be called"))
    }
}
