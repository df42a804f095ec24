//! Rows that wait as moderated for the answers to lookups that are about to be erased: each gets its own
//! status back, as if all of them had said ham. Owns which do, and names those that a person has to see to;
//! how a row is written is worker/settle.rs's.

use serde_json::{Value as Json, json};

use crate::lookups::Claimed;
use crate::spi::quoted;
use crate::worker::settle::{self, Concluded, Settled};
use crate::{rights, rulebook};

/// What became of the rows.
pub struct Freed {
    /// How many have their own status again.
    pub released: usize,
    /// Those that are still moderated, each as its relation and its key.
    pub held: Vec<Json>,
}

/// Releases the rows that these lookups hold. Those stay, as they are.
pub fn release(holding: Vec<Claimed>) -> Freed {
    let mut rows: Vec<(i32, Json)> = Vec::new();
    let mut released: Vec<(i32, Json)> = Vec::new();
    for lookup in holding {
        let row = (lookup.protection, lookup.row_key.clone());
        let passed = Concluded { lookup, found: None };
        if matches!(settle::settle_in_session(&passed), Ok(Settled::Applied)) {
            released.push(row.clone());
        }
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows.retain(|row| !released.contains(row));
    // Of the others, some are gone, and some have another status by now.
    rows.retain(|(protection, key)| settle::wait_no_longer(*protection, &[key]) != [true]);
    let named = |(protection, key): (i32, Json)| {
        let described = rights::as_extension(|| rulebook::describe(protection));
        let relation = described.map(|d| format!("{}.{}", quoted(&d.schema), quoted(&d.name)));
        json!({ "relation": relation, "key": key })
    };
    Freed { released: released.len(), held: rows.into_iter().map(named).collect() }
}
