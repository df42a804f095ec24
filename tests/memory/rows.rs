//! Which earlier rows count: those that are in the table, however they came, edited or not.

use std::io::Write;

use crate::blog::{blog, memory, options, pending};
use crate::site::{ask, refused, run};

const SAME: &str = "the same text again";

#[test]
fn rows_of_one_statement_know_each_other() {
    let mut site = blog(&["duplicate", "ip_interval"]);
    site.run(
        "INSERT INTO comments (body, ip) VALUES
           ('the same text again', '192.0.2.1'), ('The  SAME text again', '192.0.2.2'),
           ('a text of its own', '192.0.2.1'), ('another one of its own', '192.0.2.3')",
    );
    assert_eq!(pending(&mut site), "2 3");
    assert_eq!(site.log(), "2 duplicate\n3 ip_interval");
}

#[test]
fn copy_and_insert_select_know_their_own_rows() {
    let mut site = blog(&["duplicate"]);
    let mut copy = site.client.copy_in("COPY comments (body) FROM STDIN").unwrap();
    for n in 0..3000 {
        writeln!(copy, "comment number {}", n % 1000).unwrap();
    }
    copy.finish().unwrap();
    let moderated = "SELECT count(*), min(id) FROM comments WHERE status = 'pending'";
    assert_eq!(site.ask(moderated), "2000|1001");
    site.run("INSERT INTO comments (body) SELECT body FROM comments ORDER BY id LIMIT 10");
    assert_eq!(site.ask(moderated), "2010|1001");
}

#[test]
fn deleted_rows_do_not_count_and_their_traces_go_when_they_are_met() {
    let mut site = blog(&["duplicate", "ip_interval"]);
    let insert = format!("INSERT INTO comments (body, ip) VALUES ('{SAME}', '192.0.2.1')");
    site.run(&insert);
    site.run("DELETE FROM comments");
    site.run(&insert);
    assert_eq!(pending(&mut site), "");
    assert_eq!(memory(&mut site), "0|2\n1|2");
    site.run("TRUNCATE comments");
    site.run(&insert);
    site.run(&insert);
    assert_eq!(pending(&mut site), "4");
    // Deleted in the same transaction, or only until the savepoint is rolled back.
    site.run(&format!("BEGIN; DELETE FROM comments; {insert}; ROLLBACK"));
    site.run(&format!(
        "BEGIN; SAVEPOINT s; DELETE FROM comments; {insert}; ROLLBACK TO s; {insert}; COMMIT"
    ));
    assert_eq!(pending(&mut site), "4 7");
}

#[test]
fn an_edited_row_is_not_its_own_duplicate_but_may_be_another_ones() {
    let mut site = blog(&["duplicate"]);
    site.run("INSERT INTO comments (body) VALUES ('a first text'), ('a second text')");
    site.run("UPDATE comments SET author = 'Ann', body = 'A first  text' WHERE id = 1");
    assert_eq!(pending(&mut site), "");
    site.run("UPDATE comments SET body = 'a second text' WHERE id = 1");
    assert_eq!(pending(&mut site), "1");
    // Nobody has this one any more.
    site.run("INSERT INTO comments (body) VALUES ('a first text')");
    assert_eq!(pending(&mut site), "1");
    site.run("INSERT INTO comments (body) VALUES ('a second text')");
    assert_eq!(pending(&mut site), "1 4");
}

#[test]
fn an_edit_is_no_arrival() {
    let mut site = blog(&["ip_interval"]);
    site.run("INSERT INTO comments (body, ip) VALUES ('one', '192.0.2.1')");
    site.run("INSERT INTO comments (body, ip) VALUES ('two', '192.0.2.1')");
    assert_eq!(pending(&mut site), "2");
    site.run("UPDATE comments SET status = 'approved'; UPDATE comments SET body = body || '!'");
    assert_eq!(pending(&mut site), "");
}

#[test]
fn what_was_never_stored_does_not_count() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!("BEGIN; INSERT INTO comments (body) VALUES ('{SAME}'); ROLLBACK"));
    site.run(&format!(
        "BEGIN; SAVEPOINT s; INSERT INTO comments (body) VALUES ('{SAME}'); ROLLBACK TO s; COMMIT"
    ));
    assert_eq!(memory(&mut site), "");
    site.run("INSERT INTO comments (id, body) VALUES (100, 'something else')");
    site.run(&format!(
        "INSERT INTO comments (id, body) VALUES (100, '{SAME}') ON CONFLICT DO NOTHING"
    ));
    site.run(&format!("INSERT INTO comments (id, body) VALUES (101, '{SAME}')"));
    assert_eq!(pending(&mut site), "");
    site.check("duplicate", "action = 'reject'");
    refused(&mut site.client, &format!("INSERT INTO comments (id, body) VALUES (102, '{SAME}')"));
    site.policy("on_reject = 'drop'");
    let before = memory(&mut site);
    site.run(&format!("INSERT INTO comments (id, body) VALUES (103, '{SAME}')"));
    assert_eq!(site.ask("SELECT string_agg(id::text, ' ' ORDER BY id) FROM comments"), "100 101");
    assert_eq!(memory(&mut site), before);
}

#[test]
fn an_upsert_and_a_merge_are_compared_with_other_rows_only() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!(
        "INSERT INTO comments (id, body) VALUES (50, '{SAME}'), (51, 'another text')"
    ));
    let upsert = |id: u32, body: &str| {
        format!(
            "INSERT INTO comments (id, body) VALUES ({id}, '{body}')
             ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        )
    };
    site.run(&upsert(50, SAME));
    site.run(&upsert(51, "another  text"));
    assert_eq!(pending(&mut site), "");
    site.run(&upsert(51, SAME));
    assert_eq!(pending(&mut site), "51");
    site.run(&format!(
        "MERGE INTO comments c USING (VALUES (50, '{SAME}'), (52, 'a third text'), (53, 'a third text')) v(id, body)
            ON c.id = v.id
          WHEN MATCHED THEN UPDATE SET body = v.body || ' and again'
          WHEN NOT MATCHED THEN INSERT (id, body) VALUES (v.id, v.body)"
    ));
    assert_eq!(pending(&mut site), "51 53");
}

#[test]
fn a_window_lets_go_of_old_rows() {
    let mut site = blog(&["duplicate"]);
    options(&mut site, "duplicate", r#"{"window": "1 hour"}"#);
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    site.run("UPDATE spamcheck._seen SET at = at - interval '61 minutes'");
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert_eq!(pending(&mut site), "");
    site.run("UPDATE spamcheck._seen SET at = at - interval '59 minutes'");
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert_eq!(pending(&mut site), "3");
}

#[test]
fn the_interval_runs_by_the_clock_also_in_an_old_transaction() {
    let mut site = blog(&["ip_interval"]);
    options(&mut site, "ip_interval", r#"{"interval": "300 milliseconds"}"#);
    site.run(
        "BEGIN; INSERT INTO comments (body, ip) VALUES ('one', '192.0.2.1');
         SELECT pg_sleep(0.4); INSERT INTO comments (body, ip) VALUES ('two', '192.0.2.1');
         INSERT INTO comments (body, ip) VALUES ('three', '192.0.2.1'); COMMIT",
    );
    assert_eq!(pending(&mut site), "3");
}

#[test]
fn same_looks_at_the_rows_in_the_table() {
    let mut site = blog(&["duplicate"]);
    options(&mut site, "duplicate", r#"{"same": "author"}"#);
    let insert =
        |author: &str| format!("INSERT INTO comments (body, author) VALUES ('{SAME}', '{author}')");
    for n in 1..=40 {
        site.run(&insert(&format!("author {n}")));
    }
    assert_eq!(pending(&mut site), "");
    site.run(&insert("AUTHOR 1"));
    site.run(&insert("author 41"));
    assert_eq!(pending(&mut site), "41");
    // An edit that nobody judges counts all the same.
    site.run("UPDATE comments SET author = 'Zoe' WHERE id = 5");
    site.run(&insert("author 5"));
    site.run(&insert("zoe"));
    assert_eq!(pending(&mut site), "41 44");
}

#[test]
fn a_trackback_is_compared_under_its_own_article() {
    let mut site = blog(&["duplicate"]);
    let insert = |page: &str| {
        format!("INSERT INTO comments (body, kind, page) VALUES ('{SAME}', 'trackback', '{page}')")
    };
    site.run(&insert("/a"));
    site.run(&insert("/b"));
    assert_eq!(pending(&mut site), "");
    site.run(&insert("/a"));
    assert_eq!(pending(&mut site), "3");
}

#[test]
fn a_trial_remembers_too() {
    let mut site = blog(&["duplicate"]);
    site.policy("mode = 'trial'");
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}'), ('{SAME}')"));
    assert_eq!(pending(&mut site), "");
    assert_eq!(site.log(), "2 duplicate");
    site.policy("mode = 'enforce'");
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert_eq!(pending(&mut site), "3");
}

#[test]
fn whoever_may_only_insert_is_compared_with_rows_that_he_may_not_see() {
    let mut site = blog(&["duplicate"]);
    let app = site.role("app");
    site.run(&format!(
        "GRANT INSERT ON comments TO {app}; GRANT USAGE ON SEQUENCE comments_id_seq TO {app}"
    ));
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    let mut client = site.db.client_as(&app);
    run(
        &mut client,
        &format!("SET search_path = ''; INSERT INTO public.comments (body) VALUES ('{SAME}')"),
    );
    assert_eq!(pending(&mut site), "2");
    refused(&mut client, "SELECT * FROM spamcheck._seen");
    refused(&mut client, "CALL spamcheck.remember('public.comments')");
}

#[test]
fn a_row_that_security_may_hide_from_the_owner_is_a_failure_and_no_miss() {
    let mut site = blog(&["duplicate"]);
    let owner = site.role("owner");
    site.run(&format!(
        "ALTER TABLE comments OWNER TO {owner}; ALTER TABLE comments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY page ON comments USING (page = 'shown') WITH CHECK (true)"
    ));
    site.policy("on_error = 'moderate'");
    let insert = |page: &str| {
        format!("INSERT INTO comments (body, page) VALUES ('{SAME} {page}', '{page}')")
    };
    site.run(&insert("hidden"));
    assert_eq!(pending(&mut site), "");
    site.run(&insert("hidden"));
    site.run(&insert("shown"));
    site.run(&insert("shown"));
    assert_eq!(pending(&mut site), "2 4");
    let why = site.ask("SELECT action, why FROM spamcheck.spam_checklog ORDER BY id");
    assert_eq!(
        why,
        "error|row-level security may hide earlier rows from the table's owner\n\
         moderate|the same body is already in the table"
    );
}

#[test]
fn a_table_under_no_such_check_leaves_the_memory_alone() {
    let mut site = blog(&[]);
    site.run("INSERT INTO comments (body, ip) SELECT 'text ' || n, '192.0.2.1' FROM generate_series(1, 100) n");
    let mut other = site.db.client();
    let touched = "SELECT pg_stat_force_next_flush(); SELECT seq_scan + idx_scan + n_tup_ins FROM pg_stat_all_tables WHERE relid = 'spamcheck._seen'::regclass";
    let before = ask(&mut other, touched);
    site.run("INSERT INTO comments (body, ip) SELECT 'text ' || n, '192.0.2.1' FROM generate_series(1, 100) n; SELECT pg_stat_force_next_flush()");
    assert_eq!(ask(&mut other, touched), before);
}

#[test]
fn a_long_chain_is_not_read_whole_for_each_row() {
    let mut site = blog(&["ip_interval"]);
    site.check("ip_interval", "action = 'log'");
    // Plans are made for a table that the server knows to be empty, or nearly.
    site.run("INSERT INTO comments (body, ip) VALUES ('one', '192.0.2.1')");
    site.run("VACUUM ANALYZE spamcheck._seen");
    site.run("INSERT INTO comments (body, ip) SELECT 'text ' || n, '192.0.2.1' FROM generate_series(1, 3000) n; SELECT pg_stat_force_next_flush()");
    let reads = "SELECT seq_tup_read, idx_tup_fetch < 3000 * 40 FROM pg_stat_all_tables WHERE relid = 'spamcheck._seen'::regclass";
    let mut other = site.db.client();
    // The worker's passes read it, too, but no row for each row.
    let read = ask(&mut other, reads);
    let (scanned, few) = read.split_once('|').unwrap();
    assert!(scanned.parse::<u64>().unwrap() < 20_000 && few == "t", "{read}");
}

#[test]
fn rows_whose_table_shows_no_verdict_were_accepted_where_the_log_says_nothing_else() {
    let mut site = blog(&[]);
    site.run("SELECT spamcheck.protect('comments', status => '{}')");
    site.check("bypass", r#"enabled = true, options = '{"approved_before": 1}'"#);
    site.check("content", "enabled = true, action = 'spam'");
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    let insert = "INSERT INTO comments (body, email) VALUES ('casino', 'ann@site.example')";
    site.run(insert);
    site.run(insert);
    let log = "SELECT string_agg(check_name || ' ' || outcome, ', ' ORDER BY id) FROM spamcheck.spam_checklog";
    assert_eq!(site.ask(log), "content suppressed, content suppressed");
    site.run("SELECT spamcheck.not_spam(min(id)) FROM spamcheck.spam_checklog");
    site.run(insert);
    assert!(
        site.ask(log).ends_with("bypass allowed, content allowed")
            || site.ask(log).ends_with("content allowed, bypass allowed"),
        "{}",
        site.ask(log)
    );
}

#[test]
fn a_row_of_the_same_statement_was_not_accepted_if_nobody_accepted_it() {
    for status in ["{}", r#"{"column": "status", "ham": "approved", "moderate": "pending"}"#] {
        let mut site = blog(&[]);
        site.run(&format!("SELECT spamcheck.protect('comments', status => '{status}')"));
        site.check("bypass", r#"enabled = true, options = '{"approved_before": 1}'"#);
        site.check("content", "enabled = true, action = 'spam'");
        site.run(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
             INSERT INTO comments (body, email) SELECT 'casino ' || n, 'ann@site.example' FROM generate_series(1, 4) n",
        );
        let log = "SELECT string_agg(check_name || ' ' || outcome, ', ' ORDER BY id) FROM spamcheck.spam_checklog";
        assert_eq!(site.ask(log), ["content suppressed"; 4].join(", "), "{status}");
    }
}

#[test]
fn what_was_thrown_away_was_not_accepted() {
    let mut site = blog(&[]);
    site.check("bypass", r#"enabled = true, options = '{"approved_before": 2}'"#);
    site.check("content", "enabled = true, action = 'spam'");
    let insert = |body: &str| {
        format!("INSERT INTO comments (body, email) VALUES ('{body}', 'ann@site.example')")
    };
    site.run(&format!(
        "ALTER TABLE comments DROP CONSTRAINT IF EXISTS comments_status_check;
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         {}; {}; UPDATE comments SET status = 'trash'; {}",
        insert("look"),
        insert("look here"),
        insert("casino")
    ));
    assert_eq!(site.ask("SELECT status FROM comments WHERE body = 'casino'"), "spam");
    site.run(&format!("UPDATE comments SET status = 'approved'; {}", insert("casino again")));
    assert_eq!(site.ask("SELECT status FROM comments WHERE body = 'casino again'"), "approved");
}

#[test]
fn a_flag_that_nobody_has_set_is_that_of_ham() {
    let mut site = blog(&[]);
    site.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, body text, email text, is_spam boolean);
         SELECT spamcheck.protect('notes'); SELECT spamcheck.public_view('notes', 'shown')",
    );
    site.check("bypass", r#"enabled = true, options = '{"approved_before": 2}'"#);
    site.check("content", "enabled = true, action = 'spam'");
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
         INSERT INTO notes (body, email) VALUES ('one', 'a@b.example'); INSERT INTO notes (body, email) VALUES ('two', 'a@b.example');
         INSERT INTO notes (body, email) VALUES ('casino', 'a@b.example'); INSERT INTO notes (body, email) VALUES ('casino', 'c@d.example')",
    );
    assert_eq!(site.ask("SELECT count(*) FILTER (WHERE is_spam), count(*) FROM notes"), "1|4");
    assert_eq!(site.ask("SELECT count(*) FROM shown"), "3");
}

#[test]
fn an_author_with_enough_accepted_rows_is_not_checked() {
    let mut site = blog(&["duplicate"]);
    site.check("bypass", r#"enabled = true, options = '{"approved_before": 2}'"#);
    let insert = |body: &str| {
        format!("INSERT INTO comments (body, email) VALUES ('{body}', 'ann@site.example')")
    };
    site.run(&insert(SAME));
    site.run(&insert(SAME));
    assert_eq!(pending(&mut site), "2");
    // A moderated row is none of those that were accepted.
    site.run(&insert(SAME));
    assert_eq!(pending(&mut site), "2 3");
    site.run("UPDATE comments SET status = 'approved' WHERE id = 2");
    site.run(&insert(SAME));
    site.run(&format!("INSERT INTO comments (body, email) VALUES ('{SAME}', 'bob@site.example')"));
    assert_eq!(pending(&mut site), "3 5");
}
