//! What surrounds the submissions of a corpus file: a session with roles, earlier rows and tries, all
//! said by the file. It must not know any check.

use std::cell::RefCell;

use serde_json::Value as Json;

use crate::facts::Facts;
use crate::rate::{self, Entry};
use crate::submission::Submission;
use crate::surroundings::{Earlier, RateLimit, Refused, Surroundings, Trace};

/// `session: {"roles": […], "earlier": [[submission, ham], …]}`, the latter newest first, and
/// `at: 5 seconds` for the clock of tries.
pub struct Session {
    /// What the file says of it.
    pub said: Json,
    /// The moment of the next try, in microseconds.
    pub clock: i64,
    tries: RefCell<Vec<Entry>>,
}

impl Default for Session {
    fn default() -> Self {
        Self { said: Json::Null, clock: 1, tries: RefCell::new(vec![Entry::FREE; rate::WAYS]) }
    }
}

impl Surroundings for Session {
    fn is_member_of(&self, role: &str) -> Result<bool, String> {
        Ok(self.said["roles"].as_array().is_some_and(|roles| roles.iter().any(|one| one == role)))
    }

    fn count_try(&self, key: &str, limit: RateLimit) -> Result<Option<Refused>, String> {
        let hash = key.bytes().fold(0_u128, |hash, byte| hash.rotate_left(8) ^ u128::from(byte));
        let key = rate::Key { home: i64::from(limit.max).unsigned_abs(), hash };
        Ok(rate::count(&mut self.tries.borrow_mut(), key, limit, self.clock).refused)
    }

    /// Gives every row, as if all had the same hash: checks have to look for themselves.
    fn earlier(
        &self,
        _trace: Trace<'_>,
        wanted: u32,
        counts: &mut dyn FnMut(&Earlier<'_>) -> bool,
    ) -> Result<u32, String> {
        let mut found = 0;
        for row in self.said["earlier"].as_array().into_iter().flatten() {
            let submission =
                Submission::from_json(&row[0]).map_err(|refusal| refusal.to_string())?;
            let facts = Facts::new(&submission, 65_536, 0);
            let counted = counts(&Earlier { facts: &facts, at: 0, ham: row[1] == true });
            found += u32::from(counted && found < wanted);
        }
        Ok(found)
    }
}
