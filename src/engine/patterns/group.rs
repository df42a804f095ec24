//! Owns entries that hold the same piece of text, or none that is long enough: tells which of them to try on a text by
//! what else they hold, however short. It must not compile patterns.

use std::collections::HashMap;
use std::ops::Range;

use crate::pieces::{Pieces, parts_of};

/// More entries than that are too many to be tried one by one for the same piece.
pub const MOST_SHARED: usize = 16;

/// Entries that are tried together.
#[derive(Debug, Default)]
pub struct Group {
    /// Of the list's members, those that have a part which few of the others have, and those that have none.
    pub told: Range<usize>,
    /// The others.
    pub untold: Range<usize>,
    parts: Box<(Pieces<1>, Pieces<2>, Pieces<3>, Pieces<4>)>,
}

impl Group {
    /// Divides members: the numbers of entries, each with its pattern if that is the only one which stands for it.
    /// The group's ranges are those of the order that is returned, from `start` on.
    pub fn divide<M: Copy>(
        start: usize,
        members: &[M],
        pattern: impl Fn(M) -> Option<(u32, String)>,
    ) -> (Self, Vec<M>) {
        let mut text = Vec::new();
        let mut parts: Vec<(usize, Range<usize>)> = Vec::new();
        let mut numbers = vec![0; members.len()];
        for (index, member) in members.iter().enumerate() {
            let Some((number, pattern)) = pattern(*member) else { continue };
            numbers[index] = number;
            parts_of(&pattern, &mut |part| {
                parts.push((index, text.len()..text.len() + part.len()));
                text.extend_from_slice(part);
            });
        }
        let mut counts: HashMap<&[u8], usize> = HashMap::new();
        for (_, part) in &parts {
            *counts.entry(&text[part.clone()]).or_default() += 1;
        }
        // The rarest, and of those the longest.
        let mut best: Vec<Option<(usize, &[u8])>> = vec![None; members.len()];
        for (index, part) in &parts {
            let part = &text[part.clone()];
            let count = counts[part];
            let better = |(least, known): (usize, &[u8])| {
                count < least || count == least && part.len() > known.len()
            };
            if count <= MOST_SHARED && best[*index].is_none_or(better) {
                best[*index] = Some((count, part));
            }
        }
        let mut group = Self::default();
        for (number, part) in numbers.iter().zip(&best) {
            let Some((_, part)) = part else { continue };
            match part.len() {
                1 => group.parts.0.add(*number, part),
                2 => group.parts.1.add(*number, part),
                3 => group.parts.2.add(*number, part),
                _ => group.parts.3.add(*number, part),
            }
        }
        group.parts.0.index();
        group.parts.1.index();
        group.parts.2.index();
        group.parts.3.index();
        let those = |told: bool| {
            let chosen = members.iter().zip(&best).filter(move |(_, part)| part.is_some() == told);
            chosen.map(|(member, _)| *member)
        };
        let mut order: Vec<M> = those(true).collect();
        group.told = start..start + order.len();
        order.extend(those(false));
        group.untold = group.told.end..start + order.len();
        (group, order)
    }

    /// The entries that are told apart and whose part is in the text, in their order. `None`: so many of them are
    /// that all of them are better tried at once.
    pub fn told_in(&self, text: &str) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        let mut add = |number| found.push(number);
        self.parts.0.each_in(text, &mut add);
        self.parts.1.each_in(text, &mut add);
        self.parts.2.each_in(text, &mut add);
        self.parts.3.each_in(text, &mut add);
        found.sort_unstable();
        found.dedup();
        (found.len() <= (2 * MOST_SHARED).max(self.told.len() / 8)).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(patterns: &[&str]) -> (Group, Vec<u32>) {
        let members: Vec<u32> = (0..).take(patterns.len()).collect();
        Group::divide(10, &members, |number| Some((number, patterns[number as usize].to_owned())))
    }

    #[test]
    fn members_are_told_apart_by_what_few_hold() {
        let same = ["[ab]{2}@mail"; 20];
        let patterns =
            [&["[a-z]+7[0-9]*@mail", "x.*42@mail", "(deal|promo)174@mail"][..], &same].concat();
        let (group, order) = divided(&patterns);
        assert_eq!((&group.told, &group.untold), (&(10..13), &(13..33)));
        assert_eq!(order[..4], [0, 1, 2, 3]);
        assert_eq!(group.told_in("a7@mail").unwrap(), [0]);
        assert_eq!(group.told_in("X42@mail 7 DEAL174@MAIL").unwrap(), [0, 1, 2]);
        assert_eq!(group.told_in("someone@mail").unwrap(), [] as [u32; 0]);
    }

    #[test]
    fn a_text_that_holds_the_parts_of_most_is_not_searched_for_them_one_by_one() {
        let patterns: Vec<String> = (100..200).map(|n| format!("[a-z]{n}@")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let (group, _) = divided(&patterns);
        assert_eq!(group.told.len(), 100);
        assert_eq!(group.told_in("101@ 102@ 103@ 104").unwrap(), [1, 2, 3]);
        let all: String = (100..200).map(|n| format!("{n}@")).collect();
        assert_eq!(group.told_in(&all), None);
    }
}
