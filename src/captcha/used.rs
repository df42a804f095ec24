//! Answers that were used, in `spamcheck._captcha_used`: each counts once, for whoever commits first. Owns
//! every statement that touches that table. A row uses an answer up when it is stored: it is written down when
//! the row is judged, so that whoever comes with the same one waits, and taken back if the row is not stored.
//! An upsert judges one row twice, so a transaction may use its own answer for an edit to the same content.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use pgrx::pg_sys::{self, SubTransactionId};
use spamcheck_engine::captcha::{Proof, Purpose};

use crate::gathered::Gathered;
use crate::spi::{self, Arg};
use crate::unstored::{self, Unstored};
use crate::{calls, rights, shared};

/// Rows that one look of the worker deletes at most.
const ROWS: i32 = 10_000;

struct Own {
    challenge: [u8; 32],
    content: Purpose,
}

thread_local! {
    static OWN: RefCell<Gathered<Own>> = const { RefCell::new(Gathered::new()) };
    static UNSTORED: RefCell<Unstored<[u8; 32]>> = const { RefCell::new(Unstored::new()) };
}

/// Uses an answer, for this transaction; false: it was used before. Waits for who is about to. With a
/// protection it is for the row of its table that is being judged, and goes with it if that is not stored.
pub fn spend(proof: &Proof, content: Purpose, edited: bool, protection: Option<i32>) -> bool {
    let own = |own: &Own| own.challenge == proof.challenge && own.content == content;
    let ours = edited && OWN.with_borrow(|all| all.iter().any(own));
    let new = rights::as_extension(|| {
        spi::rows_newest(
            "INSERT INTO spamcheck._captcha_used (challenge, expires_at)
             VALUES (decode(convert_from($1, 'UTF8'), 'hex'), $2) ON CONFLICT DO NOTHING RETURNING 1",
            &[Arg::Text(&hex(&proof.challenge)), Arg::Time(proof.expires.saturating_mul(1_000_000))],
            |_| (),
        )
    });
    if new.is_empty() {
        return ours;
    }
    calls::register();
    if let Some(protection) = protection {
        UNSTORED.with_borrow_mut(|all| all.add(protection, proof.challenge));
    }
    OWN.with_borrow_mut(|all| all.push(Own { challenge: proof.challenge, content }));
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if let Some(entry) = shared::shared().and_then(|shared| shared.enlist(database)) {
        entry.answers.store(true, Ordering::Release);
    }
    true
}

/// Whether an answer was used, as far as that is committed.
pub fn is_used(proof: &Proof) -> bool {
    let found = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck._captcha_used u
              WHERE u.challenge = decode(convert_from($1, 'UTF8'), 'hex')",
            &[Arg::Text(&hex(&proof.challenge))],
        )
    });
    found.is_some()
}

fn hex(challenge: &[u8; 32]) -> String {
    challenge.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The row that was judged last is stored.
pub fn stored(protection: i32) {
    UNSTORED.with_borrow_mut(|all| all.stored(protection));
}

/// A row is about to be judged: answers of those that were judged before it and are not stored are as if
/// they had not been given. With `upserted`, the row of that protection may be the one that is updated now.
pub fn take_back(upserted: Option<i32>) {
    forget(&UNSTORED.with_borrow_mut(|all| all.take_over(upserted)));
}

/// The transaction is about to commit.
pub fn take_back_all() {
    let unused = UNSTORED.with_borrow_mut(Unstored::take_all);
    if !unused.is_empty() {
        unstored::before_commit(|| forget(&unused));
    }
}

fn forget(unused: &[[u8; 32]]) {
    if unused.is_empty() {
        return;
    }
    rights::as_extension(|| {
        for challenge in unused {
            spi::rows_newest(
                "DELETE FROM spamcheck._captcha_used u
                  WHERE u.challenge = decode(convert_from($1, 'UTF8'), 'hex')",
                &[Arg::Text(&hex(challenge))],
                |_| (),
            );
        }
    });
}

/// Forgets what has expired, a batch at most: whether there may be more, and in how many seconds the next one
/// expires.
pub fn forget_expired() -> (bool, Option<f64>) {
    rights::as_extension(|| {
        let gone = spi::write(
            "DELETE FROM spamcheck._captcha_used u
              WHERE u.ctid = ANY (ARRAY(SELECT o.ctid FROM spamcheck._captcha_used o
                                         WHERE o.expires_at < clock_timestamp() LIMIT $1 FOR UPDATE SKIP LOCKED))",
            &[Arg::Int(ROWS)],
        );
        let next = spi::json_now::<Option<f64>>(
            "SELECT convert_to(coalesce(extract(epoch FROM min(u.expires_at) - clock_timestamp())::text, 'null'), 'UTF8')
               FROM spamcheck._captcha_used u WHERE isfinite(u.expires_at)",
            &[],
        );
        (gone >= ROWS as usize, next.flatten())
    })
}

/// The transaction is over.
pub fn clear() {
    OWN.with_borrow_mut(Gathered::clear);
    UNSTORED.with_borrow_mut(Unstored::clear);
}

/// A subtransaction, and all inside it, is rolled back.
pub fn forget_from(subtransaction: SubTransactionId) {
    OWN.with_borrow_mut(|all| all.discard_from(subtransaction));
    UNSTORED.with_borrow_mut(|all| all.forget_from(subtransaction));
}

/// A subtransaction became part of its parent.
pub fn hand_up(subtransaction: SubTransactionId, parent: SubTransactionId) {
    OWN.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
    UNSTORED.with_borrow_mut(|all| all.hand_up(subtransaction, parent));
}
