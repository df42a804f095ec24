//! What surrounds a row that is judged: the engine's questions about the session, about earlier rows and
//! about counters, handed to the files that can answer. Owns which row it is and whether anything may be
//! written or counted; it must not answer by itself what another file knows.

use std::cell::Cell;

use pgrx::pg_sys;
use serde_json::Value as Json;
use spamcheck_engine::surroundings::{Earlier, RateLimit, Refused, Surroundings, Trace};

use crate::custom;
use crate::memory;
use crate::protection::Protection;
use crate::rate::{self, Claim};
use crate::row::{self, Row};

/// The surroundings of one row of a protected table.
pub struct Around<'a> {
    /// The protection in force.
    pub protection: &'a Protection,
    /// The row; None: it need not exist (`explain`).
    pub row: Option<Row<'a>>,
    /// Whether it is only asked what would be: then nothing is written and nothing counted.
    pub dry: bool,
    /// Whether the row was there before: then it is nobody's try, nor its own duplicate.
    pub edited: bool,
    /// A refusal by a rate limit that is to be logged.
    pub claim: Cell<Option<Claim>>,
}

impl Surroundings for Around<'_> {
    fn is_member_of(&self, role: &str) -> Result<bool, String> {
        let name = row::to_server(role);
        // SAFETY: look-ups by name and OID; a role that is missing gives InvalidOid. A superuser is not
        // a member of every role here: whoever loads data as one wants it judged. SET ROLE counts; whose function
        // it is that inserts, SECURITY DEFINER, says nothing of who is there.
        unsafe {
            let (oid, user) = (pg_sys::get_role_oid(name.as_ptr(), true), pg_sys::GetOuterUserId());
            Ok(oid != pg_sys::Oid::INVALID && pg_sys::is_member_of_role_nosuper(user, oid))
        }
    }

    fn count_try(&self, key: &str, limit: RateLimit) -> Result<Option<Refused>, String> {
        let policy = &self.protection.policy.settings.name;
        if self.edited {
            return Ok(None);
        }
        if self.dry {
            return rate::peek(policy, key, limit);
        }
        let (refused, claim) = rate::count(policy, key, limit)?;
        self.claim.set(claim);
        Ok(refused)
    }

    fn earlier(
        &self,
        trace: Trace<'_>,
        wanted: u32,
        counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        memory::earlier(self, trace, wanted, counts)
    }

    fn pause(&self) {
        pgrx::check_for_interrupts!();
    }

    fn call(&self, function: &str, submission: &Json) -> Result<Json, String> {
        custom::call(self.protection, function, submission, self.dry)
    }
}
