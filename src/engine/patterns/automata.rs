//! Owns the automata that a list has compiled so far: those of the latest searches, within so many bytes. It must not
//! know what they are of.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use super::automaton::{One, Several, Texts};

/// The most that the automata of a list take, beside the one at work.
pub const MOST_BYTES: usize = 32 << 20;

/// What an automaton is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// An entry.
    One(u32, Texts),
    /// So many members of the list from one on.
    Several(u32, u32, Texts),
}

/// An automaton.
#[derive(Debug)]
pub enum Automaton {
    /// Of an entry.
    One(One),
    /// Of several.
    Several(Box<Several>),
}

impl Automaton {
    fn bytes(&self) -> usize {
        match self {
            Self::One(one) => one.bytes(),
            Self::Several(several) => size_of::<Several>() + several.bytes(),
        }
    }
}

/// The hash of a key, which is nobody's to choose: a few numbers, looked up for each text.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[derive(Debug)]
struct Kept {
    /// None: it is too big.
    automaton: Option<Automaton>,
    bytes: usize,
    /// The latest search that it was used in.
    used: u64,
}

/// What is kept.
#[derive(Debug)]
pub struct Automata {
    kept: HashMap<Key, Kept, BuildHasherDefault<Mixed>>,
    most: usize,
    bytes: usize,
    search: u64,
    built: u64,
}

impl Default for Automata {
    fn default() -> Self {
        Self::within(MOST_BYTES)
    }
}

impl Automata {
    /// None yet, and never more than these bytes of them.
    pub fn within(most: usize) -> Self {
        Self { kept: HashMap::default(), most, bytes: 0, search: 0, built: 0 }
    }

    /// A search begins: what it uses stays until it ends, as long as there is room. So one that needs more automata
    /// than there is room for finds the same ones again the next time, instead of each gone just before its turn.
    pub const fn begin(&mut self) {
        self.search += 1;
    }

    /// Uses an automaton, which is built if it is not there. `None`: it is too big.
    pub fn with<T>(
        &mut self,
        key: Key,
        build: impl FnOnce() -> Option<Automaton>,
        then: impl FnOnce(&mut Automaton) -> T,
    ) -> Option<T> {
        let kept = match self.kept.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let automaton = build();
                self.built += 1;
                entry.insert(Kept { automaton, bytes: 0, used: 0 })
            }
        };
        kept.used = self.search;
        let automaton = kept.automaton.as_mut()?;
        let told = then(automaton);
        let bytes = automaton.bytes();
        self.bytes += bytes;
        self.bytes -= std::mem::replace(&mut kept.bytes, bytes);
        while self.bytes > self.most {
            self.drop_oldest(key);
        }
        Some(told)
    }

    /// Drops the one that is longest out of use, or if this search uses all that there are, the one at hand.
    fn drop_oldest(&mut self, at_hand: Key) {
        let earlier =
            self.kept.iter().filter(|(_, kept)| kept.bytes > 0 && kept.used < self.search);
        let oldest = earlier.min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
        if let Some(kept) = self.kept.remove(&oldest.unwrap_or(at_hand)) {
            self.bytes -= kept.bytes;
        }
    }

    /// What those that are kept take.
    #[cfg(test)]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were built so far.
    #[cfg(test)]
    pub const fn built(&self) -> u64 {
        self.built
    }
}
