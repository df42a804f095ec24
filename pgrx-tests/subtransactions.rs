//! `subtransaction.rs`, and the stash and gathered log entries that follow subtransactions: what is
//! caught, what is not, and what stays behind.

#[pgrx::pg_schema]
mod tests {
    use std::panic::AssertUnwindSafe;

    use pgrx::prelude::*;

    use crate::pgrx_tests_suites::{failure, run, text};
    use crate::stash;
    use crate::subtransaction::attempt;

    /// A table under a policy of its own: "casino" in the body is spam, "refuse" is refused.
    fn protected(table: &str) {
        run(&format!(
            "SET LOCAL client_min_messages = warning;
             CREATE TABLE {table} (id int PRIMARY KEY, body text,
                 status text CHECK (status IN ('ok', 'pending', 'spam')));
             SELECT spamcheck.create_policy('{table}');
             INSERT INTO spamcheck.list (name, kind) VALUES ('{table}', 'word');
             INSERT INTO spamcheck.list_entry (list, value) VALUES ('{table}', 'casino');
             UPDATE spamcheck.check_setting SET options = '{{\"lists\": [\"{table}\"]}}'
              WHERE policy = '{table}' AND check_name = 'content';
             SELECT spamcheck.protect('{table}', '{table}')"
        ));
    }

    fn insert(table: &str, id: i32) {
        run(&format!("INSERT INTO {table} VALUES ({id}, 'casino', 'ok')"));
    }

    fn logged(table: &str) -> String {
        text(&format!(
            "SELECT string_agg(row_key ->> 'id', ' ' ORDER BY id)
               FROM spamcheck.spam_checklog WHERE relation = 'public.{table}'"
        ))
    }

    #[pg_test]
    fn what_succeeds_is_kept_and_what_fails_is_rolled_back() {
        run("CREATE TABLE tried (n int)");
        // SAFETY: statics of this backend.
        let place = || unsafe {
            (
                pg_sys::CurrentMemoryContext,
                pg_sys::CurrentResourceOwner,
                pg_sys::GetCurrentTransactionNestLevel(),
            )
        };
        let before = place();
        let kept = attempt(|| {
            run("INSERT INTO tried VALUES (1)");
            "result"
        });
        assert_eq!(kept.unwrap(), "result");
        let failed = failure(|| {
            run("INSERT INTO tried VALUES (2)");
            run("INSERT INTO tried SELECT 1 / (n - n) FROM tried");
        });
        assert_eq!(failed.code, PgSqlErrorCode::ERRCODE_DIVISION_BY_ZERO);
        assert_eq!(failed.message, "division by zero");
        assert_eq!(text("SELECT array_agg(n) FROM tried"), "{1}");
        assert_eq!(place(), before);
    }

    #[pg_test]
    fn a_panic_is_caught_like_an_error() {
        run("CREATE TABLE panicked (n int)");
        let failed = failure(|| {
            run("INSERT INTO panicked VALUES (1)");
            let nothing: Option<i32> = std::hint::black_box(None);
            nothing.expect("there should be something");
        });
        assert!(failed.message.contains("there should be something"), "{}", failed.message);
        assert_eq!(text("SELECT count(*) FROM panicked"), "0");
    }

    #[pg_test(error = "canceling statement due to user request")]
    fn a_cancel_is_not_caught() {
        let caught = attempt(|| {
            // SAFETY: what the server's handler of SIGINT does.
            unsafe {
                pg_sys::QueryCancelPending = 1;
                pg_sys::InterruptPending = 1;
            }
            check_for_interrupts!();
        });
        error!("it was caught: {:?}", caught.map_err(|failure| failure.message));
    }

    #[pg_test]
    fn the_log_follows_nested_subtransactions() {
        protected("nested");
        insert("nested", 1);
        let outer = attempt(AssertUnwindSafe(|| {
            insert("nested", 2);
            let inner = attempt(AssertUnwindSafe(|| {
                insert("nested", 3);
                attempt(|| insert("nested", 4)).unwrap();
                error!("everything from 3 on goes");
            }));
            assert!(inner.is_err());
            insert("nested", 5);
            attempt(|| insert("nested", 6)).unwrap();
        }));
        assert!(outer.is_ok());
        assert_eq!(
            text("SELECT string_agg(id::text, ' ' ORDER BY id) FROM nested WHERE status = 'spam'"),
            "1 2 5 6"
        );
        assert_eq!(logged("nested"), "1 2 5 6");
        assert!(!stash::waiting());
    }

    #[pg_test]
    fn rows_that_a_failing_statement_had_stored_leave_nothing_waiting() {
        protected("halfway");
        // The second row is judged, and then there is one of its key.
        let failed =
            failure(|| run("INSERT INTO halfway VALUES (1, 'casino', 'ok'), (1, 'casino', 'ok')"));
        assert_eq!(failed.code, PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION);
        assert!(!stash::waiting());
        insert("halfway", 2);
        assert_eq!(logged("halfway"), "2");
    }

    #[pg_test]
    fn nothing_is_said_about_a_row_that_nobody_judged() {
        protected("silent");
        let said = "SELECT spamcheck._judged(1, 'silent'::regclass, '(0,1)')";
        assert_eq!(text(said), "false");
        run("SET LOCAL pg_spamcheck.enabled = off");
        insert("silent", 1);
        assert_eq!(text(said), "false");
        assert_eq!(logged("silent"), "NULL");
    }
}
