//! Rows that no check is asked about, and that later ones are compared with all the same.

use crate::blog::{MAPPING, blog, memory, options, pending};
use crate::site::refused;

const SAME: &str = "the same text again";

#[test]
fn rows_of_types_that_are_not_checked_count() {
    let mut site = blog(&["duplicate", "ip_interval"]);
    options(&mut site, "ip_interval", r#"{"interval": "1 hour"}"#);
    site.policy("types = '{comment}'");
    let row = |kind: &str, body: &str| {
        format!("INSERT INTO comments (kind, body, ip) VALUES ('{kind}', '{body}', '192.0.2.1')")
    };
    site.run(&row("letter", SAME));
    site.run(&row("letter", SAME));
    assert_eq!((pending(&mut site).as_str(), site.log().as_str()), ("", ""));
    site.run(&row("comment", SAME));
    assert_eq!(site.log(), "3 duplicate\n3 ip_interval");
    // As remember() has it, too.
    let before = memory(&mut site);
    site.db.psql("CALL spamcheck.remember('comments')");
    assert_eq!(memory(&mut site), before);
    // One that is rolled back or not stored does not.
    site.run(&format!("BEGIN; {}; ROLLBACK", row("letter", "a text that is gone")));
    site.run("INSERT INTO comments (id, kind, body) VALUES (1, 'letter', 'a text that met another') ON CONFLICT DO NOTHING");
    site.run("INSERT INTO comments (kind, body) VALUES ('comment', 'a text that is gone'), ('comment', 'a text that met another')");
    assert_eq!(pending(&mut site), "3");
}

#[test]
fn an_accepted_author_of_any_type_is_known() {
    let mut site = blog(&["duplicate"]);
    site.policy("types = '{comment}'");
    site.check("bypass", r#"enabled = true, options = '{"approved_before": 1, "user_roles": []}'"#);
    site.run(&format!(
        "INSERT INTO comments (kind, body, email) VALUES ('letter', '{SAME}', 'ann@site.example');
         INSERT INTO comments (body, email) VALUES ('{SAME}', 'bob@site.example'), ('{SAME}', 'ann@site.example')"
    ));
    assert_eq!(pending(&mut site), "2");
}

#[test]
fn edits_count_where_they_are_not_judged() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!(
        "SELECT spamcheck.protect('comments', columns => {MAPPING}, on_update => false)"
    ));
    site.run("INSERT INTO comments (body) VALUES ('first version of it'), ('a text of another')");
    site.run("UPDATE comments SET body = 'second version of it' WHERE id = 1");
    site.run("UPDATE comments SET body = 'second version of it' WHERE id = 2");
    assert_eq!(
        (pending(&mut site).as_str(), site.log().as_str()),
        ("", ""),
        "edits are not judged"
    );
    let insert = |body: &str| format!("INSERT INTO comments (body) VALUES ('{body}')");
    site.run(&insert("second version of it"));
    assert_eq!(pending(&mut site), "3");
    site.run(&insert("first version of it"));
    assert_eq!(pending(&mut site), "3", "nobody has this one any more");
    // What no check reads is no edit, and a rolled back one none either.
    let before = memory(&mut site);
    site.run("UPDATE comments SET created_at = now(); BEGIN; UPDATE comments SET body = 'a third version'; ROLLBACK");
    assert_eq!(memory(&mut site), before);
}

#[test]
fn edits_of_a_partition_count_where_they_are_not_judged() {
    let mut site = crate::site::Site::bare();
    site.run(
        "CREATE TABLE comments (id int, year int, body text, status text NOT NULL DEFAULT 'approved'
            CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (id, year)) PARTITION BY LIST (year);
         CREATE TABLE a PARTITION OF comments FOR VALUES IN (1);
         CREATE TABLE b PARTITION OF comments FOR VALUES IN (2);
         SELECT spamcheck.protect('comments', on_update => false);
         UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate' WHERE check_name = 'duplicate';
         INSERT INTO comments VALUES (1, 1, 'first version of it');
         UPDATE comments SET body = 'second version of it', year = 2;
         INSERT INTO comments VALUES (2, 1, 'second version of it'), (3, 2, 'first version of it')",
    );
    assert_eq!(pending(&mut site), "2");
}

#[test]
fn without_a_primary_key_a_unique_index_tells_whether_a_row_is_there() {
    let mut site = crate::site::Site::bare();
    let notices = site.db.psql(
        "CREATE TABLE comments (id serial NOT NULL UNIQUE, body text, status text NOT NULL DEFAULT 'approved'
            CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments')",
    );
    assert!(!notices.contains("no primary key"), "{notices}");
    site.run("UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate' WHERE check_name = 'duplicate'");
    let insert = format!("INSERT INTO comments (body) VALUES ('{SAME}')");
    site.run(&format!("{insert}; DELETE FROM comments; {insert}"));
    assert_eq!(pending(&mut site), "");
    site.run(&insert);
    assert_eq!(pending(&mut site), "3");
    assert_eq!(site.ask("SELECT row_key FROM spamcheck.spam_checklog"), r#"{"id": 3}"#);
    site.db.psql("CALL spamcheck.remember('comments')");
}

#[test]
fn without_any_key_deleted_rows_count_and_protect_says_so() {
    let mut site = blog(&["duplicate"]);
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_pkey");
    let heard =
        heard(&site, &format!("SELECT spamcheck.protect('comments', columns => {MAPPING})"));
    assert!(heard.contains("deleted rows count as if they were there"), "{heard}");
    let insert = format!("INSERT INTO comments (body) VALUES ('{SAME}')");
    site.run(&format!("{insert}; DELETE FROM comments; {insert}"));
    assert_eq!(pending(&mut site), "2");
    let error = refused(&mut site.client, "CALL spamcheck.remember('comments')");
    assert!(error.hint().is_some_and(|hint| hint.contains("UNIQUE")), "{error:?}");
}

/// The notices of a statement.
fn heard(site: &crate::site::Site, statement: &str) -> String {
    let (notices, heard) = std::sync::mpsc::channel();
    let mut config = site.db.cluster().config(site.db.name(), support::cluster::SUPERUSER);
    config.notice_callback(move |notice| {
        let _ = notices.send(notice.message().to_owned());
    });
    let mut client = config.connect(postgres::NoTls).expect("a session");
    client.batch_execute(statement).expect("it is done");
    heard.try_iter().collect::<Vec<_>>().join("\n")
}
