//! Proves the counting against a plain list of all tries, and who keeps a place in a full set.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000;

fn limit(max: u32, per: i64, block: i64) -> RateLimit {
    RateLimit { max, per, block }
}

fn key(hash: u128) -> Key {
    Key { home: 7, hash }
}

fn set() -> Vec<Entry> {
    vec![Entry::FREE; WAYS]
}

/// Which of tries at these times pass.
fn passes(limit: RateLimit, times: &[i64]) -> Vec<bool> {
    let mut set = set();
    times.iter().map(|at| count(&mut set, key(1), limit, *at).refused.is_none()).collect()
}

/// What the words of the interface say, with all tries remembered.
fn plainly(limit: RateLimit, times: &[i64]) -> Vec<bool> {
    let (mut tries, mut until) = (VecDeque::new(), 0);
    let passes = |now: &i64| {
        if *now < until {
            return false;
        }
        tries.retain(|at| now - at < limit.per);
        let passes = tries.len() < limit.max as usize;
        if passes {
            tries.push_back(*now);
        } else {
            tries.clear();
            until = now + limit.block;
        }
        passes
    };
    times.iter().map(passes).collect()
}

#[test]
fn exactly_max_of_a_burst_pass_whatever_max_is() {
    for max in [0, 1, 20, 32, 33, 1_000, 100_000] {
        let mut set = set();
        for at in 1..=i64::from(max) {
            let counted = count(&mut set, key(1), limit(max, 3600 * SECOND, SECOND), at);
            assert_eq!(counted.refused, None, "{max}: {at}");
        }
        let next = count(&mut set, key(1), limit(max, 3600 * SECOND, SECOND), 200_000);
        assert_eq!(next.refused, Some(Refused { count: 1, retry_after: SECOND }), "{max}");
    }
}

#[test]
fn a_block_ends_on_time_is_not_prolonged_and_counting_starts_anew() {
    let limit = limit(2, 10 * SECOND, 3 * SECOND);
    let times =
        [1, 2, 3, 4, SECOND, 3 * SECOND + 2, 3 * SECOND + 3, 3 * SECOND + 4, 3 * SECOND + 5];
    assert_eq!(passes(limit, &times), [true, true, false, false, false, false, true, true, false]);
    let mut set = set();
    let refused = |set: &mut [Entry], at| count(set, key(1), limit, at).refused.unwrap();
    assert_eq!(count(&mut set, key(1), limit, 1).refused, None);
    assert_eq!(count(&mut set, key(1), limit, 1).refused, None);
    assert_eq!(refused(&mut set, 1), Refused { count: 1, retry_after: 3 * SECOND });
    assert_eq!(refused(&mut set, SECOND), Refused { count: 2, retry_after: 2 * SECOND + 1 });
}

#[test]
fn without_a_block_a_key_waits_until_a_try_is_out_of_sight() {
    let times = [1, 5 * SECOND, 6 * SECOND, 10 * SECOND, 10 * SECOND + 1, 10 * SECOND + 2];
    for max in [2, 40] {
        let mut all = vec![1; max as usize - 2];
        all.extend(times);
        let ends: Vec<bool> = passes(limit(max, 10 * SECOND, 0), &all).split_off(max as usize - 2);
        assert_eq!(ends[..4], [true, true, false, false], "{max}");
    }
    assert_eq!(passes(limit(2, 10 * SECOND, 0), &times), [true, true, false, false, true, false]);
}

#[test]
fn asking_counts_nothing() {
    let (limit, mut set) = (limit(1, SECOND, SECOND), set());
    assert_eq!(peek(&set, key(1), limit, 1), None);
    count(&mut set, key(1), limit, 1);
    for _ in 0..3 {
        let would_be = Refused { count: 1, retry_after: SECOND };
        assert_eq!(peek(&set, key(1), limit, 2), Some(would_be));
    }
    assert_eq!(count(&mut set, key(1), limit, 2).refused.unwrap().count, 1);
    assert_eq!(peek(&set, key(1), limit, 3).unwrap().count, 2);
    assert_eq!(peek(&set, key(1), limit, 2 + SECOND), None);
    assert_eq!(peek(&set, key(2), limit, 3), None);
}

#[test]
fn keys_that_no_longer_count_give_way_first_and_blocked_ones_last() {
    let limit = limit(2, SECOND, 60 * SECOND);
    let mut set = set();
    for n in 0..3 {
        count(&mut set, key(0), limit, n + 1);
    }
    for n in 1..WAYS as u128 {
        assert!(!count(&mut set, key(n), limit, 10).displaced);
    }
    // Crowds of others pass through the one set.
    for n in 100..300_100 {
        assert!(count(&mut set, key(n), limit, 20 + n as i64).refused.is_none());
    }
    assert!(peek(&set, key(0), limit, 30 * SECOND).is_some(), "the blocked one is let go");
    // Now nothing counts but the blocked one.
    assert!(!count(&mut set, key(2), limit, 50 * SECOND).displaced);
}

#[test]
fn of_those_that_count_the_one_with_the_fewest_tries_gives_way() {
    let limit = limit(10, 60 * SECOND, SECOND);
    let mut set = set();
    for n in 0..9 {
        count(&mut set, key(0), limit, n + 1);
    }
    for n in 1..1_000 {
        count(&mut set, key(n), limit, 20 + n as i64);
    }
    let counted = count(&mut set, key(0), limit, 2_000);
    assert_eq!((counted.refused, counted.displaced), (None, false));
    assert!(
        count(&mut set, key(0), limit, 2_001).refused.is_some(),
        "its nine tries are forgotten"
    );
    // The place that the next one takes is that of the oldest.
    assert!(count(&mut set, key(5_000), limit, 2_002).displaced);
    assert!(set.iter().any(|entry| entry.is(key(999))));
}

#[test]
fn when_all_are_blocked_the_first_to_be_let_go_gives_way() {
    let limit = limit(0, SECOND, 60 * SECOND);
    let mut set = set();
    for n in 0..=WAYS as u128 {
        assert!(count(&mut set, key(n), limit, 1 + n as i64).refused.is_some());
    }
    assert!(!set[..].iter().any(|entry| entry.is(key(0))));
    assert!((1..=WAYS as u128).all(|n| set.iter().any(|entry| entry.is(key(n)))));
}

#[test]
fn a_block_is_logged_once_and_its_number_fetched() {
    let (limit, mut set, mut found) = (limit(0, SECOND, SECOND), set(), [Block::default(); WAYS]);
    let claim = count(&mut set, key(1), limit, 1).claim.unwrap();
    for at in 2..10 {
        let counted = count(&mut set, key(1), limit, at);
        assert_eq!((counted.claim, counted.changed), (None, false));
    }
    assert_eq!(unfetched(&set, 7, &mut found), (0, false));
    assert!(logged(&mut set, key(1), claim, Some((33, 1))), "eight came meanwhile");
    assert_eq!(unfetched(&set, 8, &mut found), (0, true));
    assert_eq!(unfetched(&set, 7, &mut found), (1, false));
    assert_eq!(found[0], Block { home: 7, submission: 33, refused: 9 });
    assert!(count(&mut set, key(1), limit, 11).changed);
    fetched(&mut set, found[0]);
    assert_eq!(unfetched(&set, 7, &mut found), (1, false));
    fetched(&mut set, found[0]);
    assert_eq!(unfetched(&set, 7, &mut found), (0, false));
    // Two more, and then the next block: the old one's number is handed over.
    count(&mut set, key(1), limit, 12);
    count(&mut set, key(1), limit, 13);
    let next = count(&mut set, key(1), limit, 1 + SECOND);
    assert_eq!(next.ended, Some(Block { home: 7, submission: 33, refused: 12 }));
    assert!(next.claim.is_some_and(|next| next != claim));
    // A claim on the block before says nothing about this one.
    assert!(!logged(&mut set, key(1), claim, Some((34, 1))));
    assert_eq!(count(&mut set, key(1), limit, 2 + SECOND).claim, None);
}

#[test]
fn what_could_not_be_logged_is_tried_again_ever_more_rarely() {
    let (limit, mut set) = (limit(0, SECOND, 60 * SECOND), set());
    let mut tried = Vec::new();
    for at in 1..100 {
        let counted = count(&mut set, key(1), limit, at);
        if let Some(claim) = counted.claim {
            tried.push(counted.refused.unwrap().count);
            logged(&mut set, key(1), claim, None);
        }
    }
    assert_eq!(tried, [1, 2, 4, 8, 16, 32, 64]);
}

#[test]
fn an_entry_that_is_needed_hands_its_number_over() {
    let (limit, mut set) = (limit(0, SECOND, SECOND), set());
    let claim = count(&mut set, key(0), limit, 1).claim.unwrap();
    count(&mut set, key(0), limit, 2);
    assert!(logged(&mut set, key(0), claim, Some((5, 1))));
    let others = 1..=WAYS as u128;
    let ended: Vec<Block> =
        others.filter_map(|n| count(&mut set, key(n), limit, 10 * SECOND).ended).collect();
    assert_eq!(ended, [Block { home: 7, submission: 5, refused: 2 }]);
}

/// Times in steps from none to a bit more than `per`.
fn times(per: i64) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![4 => 0..=per / 20, 2 => 0..=per / 3, 1 => 0..=per + 2];
    prop::collection::vec(step, 1..400).prop_map(|steps| {
        let mut now = 1_000_000_007_i64;
        steps
            .iter()
            .map(|step| {
                now += step;
                now
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn up_to_as_many_as_there_are_cells_every_answer_is_exact(
        max in 1_u32..=CELLS as u32, times in times(40_000), block in 0_i64..60_000
    ) {
        let limit = limit(max, 40_000, block.max(1));
        prop_assert_eq!(passes(limit, &times), plainly(limit, &times));
    }

    #[test]
    fn never_do_more_than_max_pass_in_any_time(
        max in 33_u32..80, per in 1_i64..3_000_000_000, steps in prop::collection::vec(0_i64..1_000, 1..600)
    ) {
        let mut now = 5_000_000_000_i64;
        let times: Vec<i64> = steps.iter().map(|step| { now += step * per / 20_000; now }).collect();
        let passed: Vec<i64> = passes(limit(max, per, 0), &times).iter().zip(&times)
            .filter(|(passes, _)| **passes).map(|(_, at)| *at).collect();
        for window in passed.windows(max as usize + 1) {
            prop_assert!(window[max as usize] - window[0] >= per, "{window:?} in {per}");
        }
    }

    #[test]
    fn beyond_the_cells_a_try_counts_at_most_a_30th_too_long(
        max in 33_u32..60, steps in prop::collection::vec(0_i64..4_000, 1..400)
    ) {
        let per = 60_000;
        let limit = limit(max, per, 0);
        let (mut set, mut passed, mut now) = (set(), Vec::<i64>::new(), 1_000_000_i64);
        for step in steps {
            now += step;
            let long = passed.iter().filter(|at| now - **at < per + per / 30 + 4 * 60).count();
            match count(&mut set, key(1), limit, now).refused {
                None => passed.push(now),
                Some(_) => prop_assert!(long >= max as usize, "refused after {long} of {max}"),
            }
        }
    }
}
