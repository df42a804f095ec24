//! What comes by the mailbox: log entries of rejected rows, which are written at once, and questions of
//! sessions that wait, each of which is handed to its lane. How entries are written is letters.rs's.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::presence::transaction;
use super::questions::{Asked, Check};
use super::{Worker, letters};
use crate::mailbox::Letter;
use crate::rulebook;

impl Worker {
    /// What came by the mailbox. Log entries of rejected rows are written at once, one commit for all
    /// that wait; questions of inserts that wait go to the pipeline.
    pub(super) fn read_letters(&mut self) -> bool {
        if !self.database.letters.swap(false, Ordering::AcqRel) {
            return true;
        }
        let (letters, lost) = self.letters.collect(self.oid);
        self.database.unlogged.fetch_add(lost as u64, Ordering::Relaxed);
        let (questions, letters): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| letter.text.first() == Some(&b'{'));
        if !questions.is_empty() && !self.take_questions(questions) {
            return false;
        }
        if letters.is_empty() {
            return true;
        }
        let texts: Vec<&[u8]> = letters.iter().map(|l| l.text.as_slice()).collect();
        let Some(written) = transaction("logging rejections", || letters::write(&texts)) else {
            self.answer_letters(letters, |_| false);
            return false;
        };
        self.answer_letters(letters, |n| written[n]);
        true
    }

    /// Hands each question to its lane. False: the extension is gone.
    fn take_questions(&mut self, letters: Vec<Letter>) -> bool {
        let mut checks = Vec::new();
        for letter in letters {
            match serde_json::from_slice(&letter.text) {
                Ok(Asked::CommentCheck(check)) => checks.push((letter, check)),
                Ok(Asked::Account(account)) => {
                    let key = self.lane.key(&self.network);
                    account.answer(letter, key.as_ref(), &self.lane, &mut self.pipeline.calls);
                }
                Ok(Asked::Siteverify(token)) => {
                    self.siteverify.take(letter, token, &self.network);
                }
                Err(_) => {
                    letter.reply(None);
                }
            }
        }
        checks.is_empty() || self.take_checks(checks)
    }

    fn take_checks(&mut self, checks: Vec<(Letter, Check)>) -> bool {
        let options = transaction("reading policies", || {
            let options = |name: &String| {
                let policy = rulebook::attempt_policy(name).ok().flatten();
                (name.clone(), policy.and_then(|p| p.akismet().map(|a| a.options.clone())))
            };
            checks.iter().map(|(_, check)| options(&check.policy)).collect::<HashMap<_, _>>()
        });
        let there = options.is_some();
        let options = options.unwrap_or_default();
        for (letter, check) in checks {
            let options = options.get(&check.policy).cloned().flatten();
            self.pipeline.questions.take(letter, check, options);
        }
        there
    }

    /// What is written is counted first: a sender that has its answer finds itself in the numbers.
    fn answer_letters(&mut self, letters: Vec<Letter>, written: impl Fn(usize) -> bool) {
        for (n, letter) in letters.into_iter().enumerate() {
            let written = written(n);
            if written {
                self.database.logged.fetch_add(1, Ordering::Relaxed);
            }
            let forgotten = letter.settle(written);
            // Who still waits counts it.
            if !written && forgotten {
                self.database.unlogged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
