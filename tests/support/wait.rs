//! Waiting for something that another process does. Owns the one polling loop; nothing in the suite
//! sleeps for a guessed time instead.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(5);

/// Polls `condition` until it holds.
///
/// # Panics
/// When `limit` has passed; the message says `what` was waited for.
#[track_caller]
pub fn until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    found(limit, what, || condition().then_some(()));
}

/// Polls `look` until it finds something, and hands that over.
///
/// # Panics
/// When `limit` has passed; the message says `what` was waited for.
#[track_caller]
pub fn found<T>(limit: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    match poll(limit, look) {
        Some(found) => found,
        None => panic!("waited {limit:?} for {what}, in vain"),
    }
}

/// Polls `look` until it finds something; `None` when `limit` has passed.
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_until_the_condition_holds() {
        let mut looks = 0;
        until(Duration::from_secs(5), "the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    fn it_looks_at_least_once() {
        assert_eq!(poll(Duration::ZERO, || Some(7)), Some(7));
    }

    #[test]
    #[should_panic(expected = "for a thing that never comes, in vain")]
    fn it_names_what_did_not_come() {
        until(Duration::from_millis(20), "a thing that never comes", || false);
    }
}
