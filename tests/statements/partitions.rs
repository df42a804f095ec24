//! Partitioned tables: every way into a partition, and rows that move from one to another.

use crate::site::{Site, ask, run};

/// A site whose comments lie in partitions by region, the second with its columns in another order.
fn partitioned() -> Site {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE comments (
             id integer, region text, ip inet, body text, views integer NOT NULL DEFAULT 0,
             status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', \
             'spam')),
             PRIMARY KEY (id, region)
         ) PARTITION BY LIST (region);
         CREATE TABLE comments_a PARTITION OF comments FOR VALUES IN ('a');
         CREATE TABLE comments_b (
             dropped integer, status text NOT NULL DEFAULT 'approved'
                 CONSTRAINT comments_status_check CHECK (status IN ('approved', 'pending', 'spam')),
             body text, views integer NOT NULL DEFAULT 0, region text NOT NULL, ip inet, id \
             integer NOT NULL);
         ALTER TABLE comments_b DROP dropped;
         ALTER TABLE comments ATTACH PARTITION comments_b FOR VALUES IN ('b');
         SELECT spamcheck.protect('comments')",
    );
    site.run(crate::site::RULES);
    site
}

const LOG: &str = "SELECT row_key ->> 'region', row_key ->> 'id', check_name, relation FROM \
    spamcheck.spam_checklog ORDER BY 2, 1, id";

#[test]
fn rows_that_come_through_the_parent_or_straight_into_a_partition_are_judged_alike() {
    let mut site = partitioned();
    site.run(
        "INSERT INTO comments (id, region, body) VALUES (1, 'a', 'casino'), (2, 'b', 'casino'), \
            (3, 'b', 'nice'), (4, 'a', 'nice')",
    );
    site.run(
        "INSERT INTO comments_a (id, region, body) VALUES (5, 'a', 'casino'), (6, 'a', 'nice')",
    );
    site.run(
        "INSERT INTO comments_b (id, region, ip, body) VALUES (7, 'b', '10.1.1.1', \
        'casino'), (8, 'b', NULL, 'nice')",
    );
    assert_eq!(site.ask("SELECT id FROM comments WHERE status = 'spam' ORDER BY id"), "1\n2\n5\n7");
    // The log names the table that is protected, wherever the row lies.
    assert_eq!(
        site.ask(LOG),
        "a|1|content|public.comments\nb|2|content|public.comments\na|5|content|public.comments\n\
         b|7|ip_block|public.comments\nb|7|content|public.comments"
    );
}

#[test]
fn partitions_that_come_later_are_covered() {
    let mut site = partitioned();
    site.run(
        "CREATE TABLE comments_c PARTITION OF comments FOR VALUES IN ('c') PARTITION BY RANGE (id)",
    );
    site.run("CREATE TABLE comments_c1 PARTITION OF comments_c FOR VALUES FROM (0) TO (100)");
    site.run(
        "CREATE TABLE comments_d (LIKE comments INCLUDING ALL);
         ALTER TABLE comments ATTACH PARTITION comments_d DEFAULT",
    );
    site.run(
        "INSERT INTO comments (id, region, body) VALUES (1, 'c', 'casino'), (2, 'x', 'casino')",
    );
    site.run("INSERT INTO comments_c1 (id, region, body) VALUES (3, 'c', 'casino')");
    assert_eq!(site.ask("SELECT status, count(*) FROM comments GROUP BY 1"), "spam|3");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "3");
    // A partition that leaves takes no protection along.
    site.run("ALTER TABLE comments DETACH PARTITION comments_d");
    assert_eq!(
        site.ask(
            "INSERT INTO comments_d (id, region, body) VALUES (4, 'y', 'casino') RETURNING status"
        ),
        "approved"
    );
}

#[test]
fn a_row_that_moves_is_neither_new_nor_judged_again() {
    let mut site = partitioned();
    site.run("INSERT INTO comments (id, region, body) VALUES (1, 'a', 'casino'), (2, 'a', 'nice')");
    site.run("UPDATE comments SET status = 'approved'");
    // Also in a session that has not seen the other partition yet, there and back.
    let mut fresh = site.db.client();
    run(&mut fresh, "UPDATE comments SET region = 'b'");
    run(&mut fresh, "UPDATE comments SET region = 'a'");
    run(&mut site.client, "UPDATE comments SET region = 'b', views = 1");
    assert_eq!(
        site.ask("SELECT id, region, status FROM comments ORDER BY id"),
        "1|b|approved\n2|b|approved"
    );
    assert_eq!(site.ask(LOG), "b|1|content|public.comments", "the log names the row as it is now");
}

#[test]
fn the_first_move_of_a_session_is_no_new_row() {
    let mut site = partitioned();
    site.run("INSERT INTO comments_a (id, region, body) VALUES (1, 'a', 'casino')");
    site.run("UPDATE comments_a SET status = 'approved'");
    site.run("UPDATE comments SET region = 'b'");
    assert_eq!(site.ask("SELECT region, status FROM comments"), "b|approved");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "1");
}

#[test]
fn an_edit_that_moves_its_row_is_judged_and_logged_where_it_arrives() {
    let mut site = partitioned();
    site.run(
        "INSERT INTO comments (id, region, body) VALUES (1, 'a', 'nice'), (2, 'a', 'nice'), \
        (3, 'b', 'nice')",
    );
    site.run("UPDATE comments SET region = 'b', body = 'casino' WHERE id < 3");
    assert_eq!(
        site.ask("SELECT id, region, status FROM comments ORDER BY id"),
        "1|b|spam\n2|b|spam\n3|b|approved"
    );
    assert_eq!(site.ask(LOG), "b|1|content|public.comments\nb|2|content|public.comments");
    // In both directions at once, with and without an edit.
    site.run(
        "UPDATE comments SET region = CASE region WHEN 'a' THEN 'b' ELSE 'a' END,
                body = CASE WHEN id = 3 THEN 'a casino' ELSE body END, status = 'approved'",
    );
    assert_eq!(
        site.ask("SELECT id, region, status FROM comments ORDER BY id"),
        "1|a|approved\n2|a|approved\n3|a|spam"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "3");
}

#[test]
fn merge_moves_rows_like_update_does() {
    let mut site = partitioned();
    site.run(
        "INSERT INTO comments (id, region, body)
         VALUES (1, 'a', 'casino'), (2, 'a', 'nice'), (3, 'b', 'nice'), (4, 'a', 'casino')",
    );
    site.run("UPDATE comments SET status = 'approved'");
    site.run(
        "MERGE INTO comments c
         USING (VALUES (1, 'b', NULL), (2, 'b', 'a casino'), (3, 'a', NULL), (4, 'b', 'nice'),
                       (5, 'b', 'casino')) n (id, region, body) ON c.id = n.id
          WHEN MATCHED AND n.body IS NULL THEN UPDATE SET region = n.region
          WHEN MATCHED THEN UPDATE SET region = n.region, body = n.body
          WHEN NOT MATCHED THEN INSERT (id, region, body) VALUES (n.id, n.region, n.body)",
    );
    assert_eq!(
        site.ask("SELECT id, region, status FROM comments ORDER BY id"),
        "1|b|approved\n2|b|spam\n3|a|approved\n4|b|approved\n5|b|spam"
    );
    assert_eq!(
        site.ask(LOG),
        "b|1|content|public.comments\nb|2|content|public.comments\nb|4|content|public.comments\n\
         b|5|content|public.comments"
    );
}

#[test]
fn moved_rows_have_their_lookups_under_the_new_key() {
    let mut site = partitioned();
    site.run("INSERT INTO comments (id, region, body) VALUES (1, 'a', 'nice'), (2, 'a', 'nice')");
    site.check("akismet", r#"enabled = true, options = '{"blog": "https://blog.example/"}'"#);
    site.run("UPDATE comments SET region = 'b' WHERE id = 1");
    assert_eq!(site.ask("SELECT row_key FROM spamcheck.lookup"), "", "a move is no edit");
    site.run("UPDATE comments SET region = 'b', body = 'nicer' WHERE id = 2");
    assert_eq!(
        site.ask("SELECT row_key, reason FROM spamcheck.lookup"),
        "{\"id\": 2, \"region\": \"b\"}|edit"
    );
}

#[test]
fn the_same_text_as_a_row_that_was_just_edited_is_judged_all_the_same() {
    let mut site = partitioned();
    let insert = "INSERT INTO comments (id, region, body) VALUES (1, 'a', 'casino'), (2, 'a', \
        'casino'), (3, 'b', 'casino')
                  ON CONFLICT (id, region) DO UPDATE SET body = excluded.body";
    site.run("INSERT INTO comments (id, region, body) VALUES (1, 'a', 'nice')");
    site.run(insert);
    assert_eq!(site.ask("SELECT id, status FROM comments ORDER BY id"), "1|spam\n2|spam\n3|spam");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "3");
    site.run(
        "MERGE INTO comments c
         USING (VALUES (1, 'a'), (11, 'a'), (2, 'a'), (12, 'b')) n (id, region) ON (c.id, \
         c.region) = (n.id, n.region)
          WHEN MATCHED THEN UPDATE SET body = 'the casino'
          WHEN NOT MATCHED THEN INSERT (id, region, body) VALUES (n.id, n.region, 'the casino')",
    );
    assert_eq!(site.ask("SELECT id FROM comments WHERE status <> 'spam'"), "");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "7");
}

#[test]
fn copies_of_a_row_that_the_same_statement_touches_are_judged() {
    let mut site = partitioned();
    site.run("INSERT INTO comments (id, region, body) VALUES (1, 'a', 'casino'), (2, 'b', 'nice')");
    // Both partitions are known to the session.
    let stored = site.ask(
        "WITH seen AS (UPDATE comments SET views = views + 1 RETURNING id, region, body)
         INSERT INTO comments (id, region, body) SELECT id + 10, region, body FROM seen RETURNING \
         id, status",
    );
    assert_eq!(stored, "11|spam\n12|approved");
    let stored = site.ask(
        "WITH moved AS (UPDATE comments SET region = 'b', status = 'approved' WHERE id = 1 \
            RETURNING id, region, body)
         INSERT INTO comments (id, region, body) SELECT id + 20, region, body FROM moved \
         RETURNING id, status",
    );
    assert_eq!(stored, "21|spam");
    assert_eq!(site.ask("SELECT region, status FROM comments WHERE id = 1"), "b|approved");
}

#[test]
fn an_edit_that_a_later_trigger_stops_lets_no_copy_through() {
    let mut site = partitioned();
    site.run("INSERT INTO comments (id, region, body) VALUES (1, 'a', 'casino')");
    site.run(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER zzzzz_stop BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION stop()",
    );
    site.run(
        "MERGE INTO comments c USING (VALUES (1), (11)) n (id) ON c.id = n.id
          WHEN MATCHED THEN UPDATE SET views = 1
          WHEN NOT MATCHED THEN INSERT (id, region, body) VALUES (n.id, 'a', 'casino')",
    );
    assert_eq!(site.ask("SELECT id, status FROM comments ORDER BY id"), "1|spam\n11|spam");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "2");
}

#[test]
fn copy_into_a_partitioned_table_is_judged_row_by_row() {
    use std::io::Write;
    let mut site = partitioned();
    let mut data = String::new();
    for n in 0..3000 {
        let (region, word) =
            (if n % 2 == 0 { "a" } else { "b" }, if n % 3 == 0 { "casino" } else { "nice" });
        data.push_str(&format!("{n}\t{region}\t{word}\n"));
    }
    let mut writer = site.client.copy_in("COPY comments (id, region, body) FROM stdin").unwrap();
    writer.write_all(data.as_bytes()).unwrap();
    assert_eq!(writer.finish().unwrap(), 3000);
    let differences = "SELECT count(*) FROM comments c FULL JOIN spamcheck.spam_checklog l
                           ON l.row_key = jsonb_build_object('id', c.id, 'region', c.region)
                        WHERE (c.status = 'spam') <> (c.body = 'casino') OR (l.id IS NOT NULL) <> \
                        (c.body = 'casino') OR c.id IS NULL";
    assert_eq!(site.ask(differences), "0");
    assert_eq!(ask(&mut site.client, "SELECT count(*) FROM spamcheck.spam_checklog"), "1000");
}
