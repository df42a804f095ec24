//! ON CONFLICT and MERGE, where a row may be judged and not stored, or stored as an edit.

use crate::site::Site;

#[test]
fn do_nothing_leaves_no_log_row_for_the_row_that_is_not_stored() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice')");
    site.run("INSERT INTO comments (id, body) VALUES (1, 'casino') ON CONFLICT DO NOTHING");
    assert_eq!(site.log(), "");
    assert_eq!(site.statuses(), "1 approved");
    // The next statement finds nothing left over.
    site.run("INSERT INTO comments (id, body) VALUES (2, 'nice')");
    site.run("UPDATE comments SET views = 1");
    assert_eq!(site.log(), "");
    site.log_agrees(&["comments"]);
}

#[test]
fn do_nothing_mixed_with_stored_rows_logs_each_row_under_its_own_key() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) VALUES (10, 'nice'), (20, 'nice'), (30, 'nice')");
    site.run(
        "INSERT INTO comments (id, ip, body) VALUES
           (1, NULL, 'casino a'), (10, NULL, 'casino not stored'), (2, NULL, 'nice'),
           (20, '10.0.0.1', 'not stored'), (3, '10.0.0.1', 'casino b'), (30, NULL, 'casino not \
           stored'), (30, NULL, 'casino'),
           (4, NULL, 'casino c'), (4, NULL, 'casino not stored'), (5, NULL, 'nice')
         ON CONFLICT (id) DO NOTHING",
    );
    assert_eq!(site.log(), "1 content\n3 content\n3 ip_block\n4 content");
    site.log_agrees(&["comments"]);
    let not_stored =
        "SELECT count(*) FROM spamcheck.spam_checklog WHERE comment LIKE '%not stored%'";
    assert_eq!(site.ask(not_stored), "0");
}

#[test]
fn what_was_not_stored_is_not_logged_for_a_row_that_is_not_judged() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice')");
    site.run(
        "BEGIN;
         INSERT INTO comments (id, body) VALUES (1, 'casino') ON CONFLICT DO NOTHING;
         SET LOCAL pg_spamcheck.enabled = off;
         INSERT INTO comments (id, body) VALUES (2, 'nice');
         COMMIT",
    );
    assert_eq!(site.log(), "");
    site.run(
        "BEGIN;
         INSERT INTO comments (id, body) VALUES (1, 'casino') ON CONFLICT DO NOTHING;
         UPDATE spamcheck.policy SET mode = 'off';
         INSERT INTO comments (id, body) VALUES (3, 'nice');
         COMMIT",
    );
    assert_eq!(site.log(), "");
}

#[test]
fn do_update_is_judged_as_an_edit_of_the_row_that_is_there() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice'), (2, 'nice')");
    let stored = site.ask(
        "INSERT INTO comments (id, body) VALUES (1, 'casino'), (3, 'casino'), (2, 'nicer')
         ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING id, body, status",
    );
    assert_eq!(stored, "1|casino|spam\n3|casino|spam\n2|nicer|approved");
    assert_eq!(site.log(), "1 content\n3 content");
}

#[test]
fn do_update_of_other_columns_judges_nothing_that_is_stored() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice'), (2, 'nice')");
    site.run(
        "INSERT INTO comments (id, body) VALUES (1, 'casino'), (2, 'casino'), (3, 'nice')
         ON CONFLICT (id) DO UPDATE SET views = comments.views + 1",
    );
    assert_eq!(
        site.ask("SELECT id, body, status, views FROM comments ORDER BY id"),
        "1|nice|approved|1\n2|nice|approved|1\n3|nice|approved|0"
    );
    assert_eq!(site.log(), "");
    // A condition that keeps the row as it is.
    site.run(
        "INSERT INTO comments (id, body) VALUES (1, 'casino'), (4, 'nice')
         ON CONFLICT (id) DO UPDATE SET body = excluded.body WHERE false",
    );
    assert_eq!(site.log(), "");
}

#[test]
fn an_upsert_of_many_rows_logs_inserted_and_edited_ones_once_each() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) SELECT n, 'nice' FROM generate_series(1, 1500, 3) n");
    site.run(
        "INSERT INTO comments (id, body)
         SELECT n, CASE WHEN n % 2 = 0 THEN 'casino' ELSE 'nice too' END FROM generate_series(1, \
         1500) n
         ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "750");
}

#[test]
fn a_unique_violation_takes_log_rows_of_its_statement_with_it() {
    let mut site = Site::new();
    site.run("INSERT INTO comments (id, body) VALUES (1, 'nice')");
    let failed = site.client.batch_execute(
        "INSERT INTO comments (id, body) VALUES (2, 'casino'), (3, 'casino'), (1, 'casino')",
    );
    assert!(failed.unwrap_err().code() == Some(&postgres::error::SqlState::UNIQUE_VIOLATION));
    assert_eq!(site.log(), "");
    site.run("INSERT INTO comments (id, body) VALUES (5, 'nice')");
    assert_eq!(site.log(), "");
}

#[test]
fn merge_judges_inserted_and_edited_rows_and_no_others() {
    let mut site = Site::new();
    site.run(
        "INSERT INTO comments (id, body) VALUES (1, 'nice'), (2, 'nice'), (3, 'old casino'), \
        (4, 'nice')",
    );
    assert_eq!(site.log(), "3 content");
    site.run(
        "MERGE INTO comments c
         USING (VALUES (1, 'casino'), (2, 'nicer'), (3, 'ignored'), (5, 'casino'), (6, 'nice'), \
         (7, 'casino not stored')) n (id, body)
            ON c.id = n.id
          WHEN MATCHED AND c.id = 3 THEN UPDATE SET views = 7
          WHEN MATCHED THEN UPDATE SET body = n.body
          WHEN NOT MATCHED AND n.id < 7 THEN INSERT (id, body) VALUES (n.id, n.body)
          WHEN NOT MATCHED THEN DO NOTHING",
    );
    assert_eq!(site.statuses(), "1 spam\n2 approved\n3 spam\n4 approved\n5 spam\n6 approved");
    assert_eq!(site.log(), "1 content\n3 content\n5 content");
}
