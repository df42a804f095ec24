//! Rows are found again by their key: keys of any type and number of columns, partitions, renamings,
//! other keys later, and tables without one.

use crate::blog::{MAPPING, blog, enable, pending};
use crate::site::Site;

const SAME: &str = "the same text again";

/// A site with a table of these columns, a status among them, and check duplicate.
fn table(columns: &str) -> Site {
    let mut site = Site::bare();
    site.run(&format!(
        "CREATE TABLE comments ({columns}, body text, ip inet,
             status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments')"
    ));
    enable(&mut site, &["duplicate"]);
    site
}

fn statuses(site: &mut Site) -> String {
    site.ask("SELECT string_agg(status, ' ' ORDER BY body, status) FROM comments")
}

#[test]
fn keys_of_every_kind_find_their_rows() {
    for (columns, keys) in [
        ("id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", ["DEFAULT", "DEFAULT", "DEFAULT"]),
        ("id uuid DEFAULT gen_random_uuid() PRIMARY KEY", ["DEFAULT", "DEFAULT", "DEFAULT"]),
        ("id text PRIMARY KEY", ["'it''s \"quoted\"'", "E'a\\\\b, [1]'", "''"]),
        ("id text COLLATE \"de-x-icu\" PRIMARY KEY", ["'ä'", "'B'", "'a'"]),
        ("id char(5) PRIMARY KEY", ["'a'", "'b'", "'c'"]),
        ("id timestamptz PRIMARY KEY", ["'2026-03-01 12:00'", "'2026-03-02'", "'infinity'"]),
        ("id float8 PRIMARY KEY", ["0.1", "1e300/3", "'NaN'"]),
        ("id integer[] PRIMARY KEY", ["'{1,2}'", "'{}'", "'{NULL}'"]),
        ("id bytea PRIMARY KEY", ["'\\x00ff'", "'\\x'", "'a'"]),
        ("id numrange PRIMARY KEY", ["'[1,2)'", "'(,3]'", "'empty'"]),
    ] {
        let mut site = table(columns);
        let insert = |key: &str, body: &str| {
            format!(
                "SET datestyle = 'German'; SET bytea_output = 'escape'; INSERT INTO comments (id, body) VALUES ({key}, '{body}')"
            )
        };
        site.run(&insert(keys[0], SAME));
        site.run(&insert(keys[1], "a second text"));
        site.run("SET datestyle = 'SQL, MDY'; SET bytea_output = 'hex'");
        site.run(&insert(keys[2], SAME));
        assert_eq!(statuses(&mut site), "approved approved pending", "{columns}");
        site.run("DELETE FROM comments WHERE status = 'approved'");
        site.run(&insert(keys[0], SAME));
        assert_eq!(statuses(&mut site), "pending pending", "{columns}");
    }
}

#[test]
fn a_row_is_found_by_the_index_of_its_key() {
    let mut site = table("id text PRIMARY KEY");
    site.run(
        "INSERT INTO comments (id, body) SELECT 'key ' || n, 'text number ' || n FROM generate_series(1, 2000) n;
         ANALYZE comments",
    );
    // What the session has done before may not be reported yet.
    let scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'comments'";
    site.run("BEGIN");
    let before = site.ask(scans);
    site.run("INSERT INTO comments (id, body) VALUES ('new', 'text number 77')");
    assert_eq!(site.ask(scans), before);
    site.run("COMMIT");
    assert_eq!(pending(&mut site), "new");
}

#[test]
fn keys_of_several_columns_find_their_rows() {
    let mut site = table("tenant text, id integer, PRIMARY KEY (tenant, id)");
    site.run(&format!("INSERT INTO comments VALUES ('a,\"', 1, '{SAME}'), ('b', 1, '{SAME}')"));
    assert_eq!(statuses(&mut site), "approved pending");
    site.run("DELETE FROM comments WHERE tenant <> 'b'");
    site.run("DELETE FROM comments");
    site.run(&format!("INSERT INTO comments VALUES ('c', 1, '{SAME}')"));
    assert_eq!(statuses(&mut site), "approved");
}

#[test]
fn partitions_know_each_others_rows_whatever_the_order_of_their_columns() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE comments (id integer, region text, dropped int, ip inet, body text,
             status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
             PRIMARY KEY (id, region)) PARTITION BY LIST (region);
         ALTER TABLE comments DROP dropped;
         CREATE TABLE comments_a PARTITION OF comments FOR VALUES IN ('a');
         CREATE TABLE comments_b (status text NOT NULL DEFAULT 'approved'
             CONSTRAINT comments_status_check CHECK (status IN ('approved', 'pending', 'spam')),
             body text, region text NOT NULL, gone int, ip inet, id integer NOT NULL);
         ALTER TABLE comments_b DROP gone;
         ALTER TABLE comments ATTACH PARTITION comments_b FOR VALUES IN ('b');
         SELECT spamcheck.protect('comments')",
    );
    enable(&mut site, &["duplicate", "ip_interval"]);
    site.run(&format!(
        "INSERT INTO comments (id, region, body, ip) VALUES (1, 'a', '{SAME}', '192.0.2.1'), (2, 'b', '{SAME}', '192.0.2.2')"
    ));
    site.run("INSERT INTO comments_b (id, region, body, ip) VALUES (3, 'b', 'a text of its own', '192.0.2.1')");
    site.run("INSERT INTO comments_a (id, region, body) VALUES (4, 'a', 'A text of its OWN')");
    assert_eq!(pending(&mut site), "2 3 4");
    assert_eq!(site.log(), "2 duplicate\n3 ip_interval\n4 duplicate");
    // A row that moves is the same row, under another key.
    site.run("DELETE FROM comments WHERE id > 1; UPDATE comments SET region = 'b', body = 'now a text of its own'");
    site.run("INSERT INTO comments (id, region, body) VALUES (5, 'a', 'now a text of its own')");
    assert_eq!(pending(&mut site), "5");
}

#[test]
fn renamings_change_nothing() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    site.run(
        "ALTER TABLE comments RENAME TO remarks; ALTER TABLE remarks RENAME id TO number;
         ALTER TABLE remarks RENAME body TO words; CREATE SCHEMA other; ALTER TABLE remarks SET SCHEMA other",
    );
    site.run(&format!("INSERT INTO other.remarks (words) VALUES ('{SAME}')"));
    assert_eq!(
        site.ask("SELECT string_agg(status, ' ' ORDER BY number) FROM other.remarks"),
        "approved pending"
    );
}

#[test]
fn a_row_that_gets_another_key_stays_known() {
    let mut site = blog(&["duplicate", "ip_interval"]);
    let insert =
        |ip: u32| format!("INSERT INTO comments (body, ip) VALUES ('{SAME}', '192.0.2.{ip}')");
    site.run(&insert(1));
    site.run("UPDATE comments SET id = DEFAULT");
    site.run(&insert(1));
    assert_eq!(site.log(), "3 duplicate\n3 ip_interval");
    // With another text, too; and where several rows take each other's key.
    site.run(
        "DELETE FROM comments; INSERT INTO comments (id, body) VALUES (30, 'a text of its own')",
    );
    site.run(&format!("UPDATE comments SET id = 29, body = '{SAME}'"));
    site.run(&insert(2));
    assert_eq!(pending(&mut site), "4");
    site.run(
        "DELETE FROM comments; ALTER TABLE comments DROP CONSTRAINT comments_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
         INSERT INTO comments (id, body, author) VALUES (50, 'one text for both', 'Ann'), (51, 'one text for both', 'Bob');
         UPDATE comments SET id = id + 1; DELETE FROM comments WHERE id = 52",
    );
    site.run("INSERT INTO comments (id, body) VALUES (60, 'one text for both')");
    assert_eq!(pending(&mut site), "60");
}

#[test]
fn a_key_that_follows_another_tables_stays_known() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE account (name text PRIMARY KEY);
         CREATE TABLE comments (account text REFERENCES account ON UPDATE CASCADE, id integer, body text,
             status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (account, id));
         SELECT spamcheck.protect('comments');
         INSERT INTO account VALUES ('ann'), ('bob')",
    );
    enable(&mut site, &["duplicate"]);
    site.run(&format!("INSERT INTO comments VALUES ('ann', 1, '{SAME}')"));
    site.run("UPDATE account SET name = 'anna' WHERE name = 'ann'");
    site.run(&format!("INSERT INTO comments VALUES ('bob', 1, '{SAME}')"));
    assert_eq!(statuses(&mut site), "approved pending");
}

#[test]
fn another_key_makes_earlier_rows_unknown_and_fails_nothing() {
    let mut site = table("id text PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY");
    site.run(&format!("INSERT INTO comments (id, body) VALUES ('x', '{SAME}')"));
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_pkey, ALTER id DROP NOT NULL, ADD PRIMARY KEY (n)");
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert_eq!(
        site.ask("SELECT string_agg(status, ' ' ORDER BY n) FROM comments"),
        "approved approved pending"
    );
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.spam_checklog WHERE outcome = 'error'"),
        "0"
    );
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_pkey, ADD PRIMARY KEY (status, n)");
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert_eq!(
        site.ask("SELECT string_agg(status, ' ' ORDER BY n) FROM comments"),
        "approved approved pending approved"
    );
}

#[test]
fn without_a_key_the_memory_alone_counts() {
    let mut site = table("id integer");
    enable(&mut site, &["ip_interval"]);
    site.run(&format!("INSERT INTO comments (id, body, ip) VALUES (1, '{SAME}', '192.0.2.1')"));
    site.run(&format!("INSERT INTO comments (id, body, ip) VALUES (2, '{SAME}', '192.0.2.1')"));
    assert_eq!(
        site.ask("SELECT string_agg(check_name, ' ' ORDER BY id) FROM spamcheck.spam_checklog"),
        "duplicate ip_interval"
    );
    site.run("UPDATE comments SET body = body || '!', id = 3 WHERE id = 1");
    assert_eq!(pending(&mut site), "2");
}

#[test]
fn what_is_known_of_a_table_goes_with_its_protection() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!("CREATE TABLE more (LIKE comments INCLUDING ALL); SELECT spamcheck.protect('more', columns => {MAPPING})"));
    site.run(&format!(
        "INSERT INTO comments (body) VALUES ('{SAME}'); INSERT INTO more (body) VALUES ('{SAME}')"
    ));
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck._seen"), "2");
    site.run("DROP TABLE more");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck._seen"), "1");
    site.run("SELECT spamcheck.unprotect('comments')");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck._seen"), "0");
}
