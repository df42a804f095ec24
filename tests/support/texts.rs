//! Comments without number for benchmarks: the same ones for the same seed, of lengths as people
//! write them, all ham. They only have to cost what real ones cost; nothing is learned from them.

use std::fmt::Write;

const WORDS: &[&str] = &[
    "a",
    "about",
    "after",
    "again",
    "all",
    "always",
    "and",
    "another",
    "article",
    "as",
    "at",
    "back",
    "because",
    "before",
    "bread",
    "but",
    "camera",
    "children",
    "city",
    "coffee",
    "could",
    "day",
    "different",
    "dough",
    "evening",
    "every",
    "film",
    "find",
    "first",
    "for",
    "from",
    "garden",
    "good",
    "great",
    "have",
    "heute",
    "house",
    "I",
    "idea",
    "if",
    "in",
    "is",
    "it",
    "just",
    "know",
    "last",
    "little",
    "long",
    "lovely",
    "made",
    "many",
    "maybe",
    "merci",
    "more",
    "morning",
    "mother",
    "much",
    "music",
    "my",
    "never",
    "new",
    "not",
    "of",
    "old",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "oven",
    "people",
    "photo",
    "piece",
    "play",
    "question",
    "quite",
    "rain",
    "read",
    "really",
    "recipe",
    "river",
    "same",
    "schön",
    "school",
    "second",
    "see",
    "should",
    "small",
    "so",
    "some",
    "song",
    "story",
    "street",
    "summer",
    "thanks",
    "that",
    "the",
    "then",
    "there",
    "think",
    "this",
    "time",
    "to",
    "together",
    "très",
    "try",
    "under",
    "very",
    "walk",
    "water",
    "we",
    "week",
    "well",
    "what",
    "when",
    "where",
    "which",
    "while",
    "winter",
    "with",
    "without",
    "wonderful",
    "work",
    "would",
    "write",
    "wrote",
    "year",
    "yesterday",
    "you",
    "young",
    "своими",
    "спасибо",
];

/// A comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// The author's name.
    pub author: String,
    /// The author's address, at example.org.
    pub email: String,
    /// The sender's address, from 198.18.0.0/15, which networks set aside for benchmarks.
    pub ip: String,
    /// The text.
    pub body: String,
}

/// Makes comments, words and numbers from a seed (SplitMix64).
pub struct Generator(u64);

impl Generator {
    /// The generator of that seed.
    pub fn new(seed: u64) -> Generator {
        Generator(seed)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }

    /// The next comment: half of them below 60 characters, a tenth above 250; a link in one of 50.
    pub fn comment(&mut self) -> Comment {
        let words = match self.below(10) {
            0..5 => 3 + self.below(8),
            5..9 => 11 + self.below(30),
            _ => 45 + self.below(60),
        };
        let mut body = String::new();
        for place in 0..words {
            if place > 0 {
                body.push_str(if self.below(12) == 0 { ", " } else { " " });
            }
            body.push_str(WORDS[self.below(WORDS.len())]);
        }
        body.push_str(["", ".", "!", "?"][self.below(4)]);
        if self.below(50) == 0 {
            write!(body, " https://photos.example.org/{}", self.below(9999)).expect("memory");
        }
        let number = self.below(100_000);
        Comment {
            author: format!("{} {}", WORDS[self.below(WORDS.len())], WORDS[number % WORDS.len()]),
            email: format!("reader{number}@mail{}.example.org", number % 7),
            ip: format!("198.{}.{}.{}", 18 + number % 2, self.below(256), self.below(256)),
            body,
        }
    }

    /// The next word that no comment has.
    pub fn foreign_word(&mut self) -> String {
        let syllables = ["xan", "qui", "zol", "vex", "kru", "pyx", "jad", "wub"];
        (0..4).map(|_| syllables[self.below(syllables.len())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_comments_again() {
        let first: Vec<Comment> = (0..20)
            .map({
                let mut g = Generator::new(7);
                move |_| g.comment()
            })
            .collect();
        let mut again = Generator::new(7);
        assert!(first.iter().all(|comment| *comment == again.comment()));
        assert_ne!(first[0], Generator::new(8).comment());
    }

    #[test]
    fn lengths_are_as_promised_and_no_foreign_word_is_in_them() {
        let mut generator = Generator::new(1);
        let foreign: Vec<String> = (0..200).map(|_| generator.foreign_word()).collect();
        let bodies: Vec<String> = (0..5000).map(|_| generator.comment().body).collect();
        let share = |fits: fn(usize) -> bool| {
            bodies.iter().filter(|body| fits(body.chars().count())).count() as f64 / 5000.0
        };
        assert!((0.42..0.60).contains(&share(|length| length < 60)), "{}", share(|l| l < 60));
        assert!((0.05..0.20).contains(&share(|length| length > 250)), "{}", share(|l| l > 250));
        assert!(!foreign.iter().any(|word| bodies.iter().any(|body| body.contains(word.as_str()))));
    }
}
