//! The mailbox from a sender's side, with this server's own worker at the other end: letters of many
//! pieces arrive whole, and what is in them outlives the rollback of the test.

#[pgrx::pg_schema]
mod tests {
    use std::panic::AssertUnwindSafe;

    use pgrx::prelude::*;
    use serde_json::{Value as Json, json};

    use crate::mailbox::{self, Unsettled};
    use crate::pgrx_tests_suites::{run, text};
    use crate::shared::{self, Database, PIECE};
    use crate::subtransaction::attempt;

    /// This database's entry, once its worker runs.
    fn served() -> &'static Database {
        // SAFETY: a static that is set for the life of the backend.
        let database = unsafe { pg_sys::MyDatabaseId };
        for _ in 0..2_000 {
            let entry = shared::shared().and_then(|shared| shared.enlist(database));
            if let Some(entry) = entry.filter(|entry| entry.runs()) {
                return entry;
            }
            run("SELECT pg_sleep(0.01)");
        }
        panic!("no worker came");
    }

    /// A letter about a relation of that name, with a comment of that many bytes.
    fn letter(relation: &str, bytes: usize) -> String {
        let comment: String = "0123456789".chars().cycle().take(bytes).collect();
        let entry = json!({
            "relation": relation, "row_key": null, "submission_id": 0, "policy": "none", "check_name": "content",
            "action": "reject", "outcome": "rejected", "score": 0, "total_score": 0, "why": "a test", "detail": null,
            "allowed": false, "comment": comment, "hash": false, "submission": null, "_protection": 0, "_former": null,
        });
        Json::Array(vec![entry]).to_string()
    }

    fn lengths(relation: &str) -> String {
        text(&format!(
            "SELECT string_agg(length(comment) || ' ' || right(comment, 1), ', ' ORDER BY id)
               FROM spamcheck.spam_checklog WHERE relation = '{relation}'"
        ))
    }

    #[pg_test]
    fn letters_of_any_number_of_pieces_arrive_whole() {
        let entry = served();
        let about = format!("pieces of {}", std::process::id());
        let overhead = letter(&about, 0).len();
        // Exactly one piece, one byte more, many, and again a short one.
        let sizes = [PIECE - overhead, PIECE - overhead + 1, 20 * PIECE, 3];
        for size in sizes {
            let sent = mailbox::send(entry, letter(&about, size).as_bytes());
            assert_eq!(sent, Ok(()), "{size} bytes");
        }
        let expected: Vec<String> = sizes.map(|size| format!("{size} {}", (size - 1) % 10)).into();
        assert_eq!(lengths(&about), expected.join(", "));
    }

    #[pg_test]
    fn a_letter_that_cannot_be_written_is_told_to_its_sender() {
        let entry = served();
        assert_eq!(mailbox::send(entry, b"[{\"relation\": null}]"), Err(Unsettled::Failed));
        let about = format!("after a failure {}", std::process::id());
        assert_eq!(mailbox::send(entry, letter(&about, 1).as_bytes()), Ok(()));
        assert_eq!(lengths(&about), "1 0");
    }

    #[pg_test]
    fn a_rejected_row_is_in_the_log_although_nothing_of_its_transaction_stays() {
        served();
        let table = format!("gone_{}", std::process::id());
        run(&format!(
            "SET LOCAL client_min_messages = warning;
             CREATE TABLE {table} (id int PRIMARY KEY, body text);
             SELECT spamcheck.create_policy('{table}');
             UPDATE spamcheck.check_setting SET action = 'reject', options = '{{\"over\": 0}}'
              WHERE policy = '{table}' AND check_name = 'links';
             SELECT spamcheck.protect('{table}', '{table}')"
        ));
        let insert = format!("INSERT INTO {table} VALUES (1, 'www.a.example')");
        let refused = attempt(AssertUnwindSafe(|| run(&insert))).unwrap_err();
        assert_eq!(refused.code, PgSqlErrorCode::ERRCODE_CHECK_VIOLATION);
        let logged = format!(
            "SELECT outcome || ' ' || why FROM spamcheck.spam_checklog WHERE relation = 'public.{table}'"
        );
        assert_eq!(text(&logged), "rejected 1 link in the body, more than 0");
    }
}
