//! Images that somebody has tried: a try is the only one, so that nobody goes on guessing. In shared memory,
//! since a wrong answer is followed by a rollback; sets of eight places, of which the oldest guess gives way.
//! In a flood an image may be forgotten, when fetching a new one would have been less work.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::{self, IMAGES};

/// Places in which an image may stand.
const WAYS: usize = 8;

/// Claims an image for a try; false: it was tried before, or is being tried now.
pub fn claim(image: u64) -> bool {
    shared::shared().is_none_or(|shared| claim_in(set(&shared.images, image), image))
}

/// Gives an image back, since the answer was right: from now on the table of used answers knows it.
pub fn release(image: u64) {
    let Some(shared) = shared::shared() else { return };
    for place in set(&shared.images, image) {
        let _ = place.compare_exchange(image.max(1), 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

fn set(all: &[AtomicU64; IMAGES], image: u64) -> &[AtomicU64] {
    let first = (image as usize % (IMAGES / WAYS)) * WAYS;
    &all[first..first + WAYS]
}

fn claim_in(places: &[AtomicU64], image: u64) -> bool {
    // 0 is a free place.
    let image = image.max(1);
    loop {
        if places.iter().any(|place| place.load(Ordering::Acquire) == image) {
            return false;
        }
        // Whoever claims the same image at the same time wants the same place.
        let free = places.iter().find(|place| place.load(Ordering::Acquire) == 0);
        let place = free.unwrap_or(&places[(image >> 32) as usize % WAYS]);
        let now = place.load(Ordering::Acquire);
        if now != image
            && place.compare_exchange(now, image, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> [AtomicU64; WAYS] {
        std::array::from_fn(|_| AtomicU64::new(0))
    }

    #[test]
    fn an_image_is_tried_once() {
        let places = places();
        assert!(claim_in(&places, 7) && claim_in(&places, 8));
        assert!(!claim_in(&places, 7));
        assert!(claim_in(&places, 0) && !claim_in(&places, 0));
    }

    #[test]
    fn a_full_set_takes_one_more() {
        let places = places();
        assert!((1..=20).all(|image| claim_in(&places, image << 32)));
        assert!(!claim_in(&places, 20 << 32));
    }

    #[test]
    fn of_many_at_once_one_has_it() {
        let places = places();
        let won: usize = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..8).map(|_| scope.spawn(|| usize::from(claim_in(&places, 9)))).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
    }
}
