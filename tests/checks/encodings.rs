//! Databases that are not in UTF-8.

use std::sync::atomic::{AtomicU32, Ordering};

use postgres::Client;
use support::cluster::SUPERUSER;

use crate::site::{COLUMNS, RULES, ask, cluster, refused, run};

/// A database of that encoding, dropped at the end of the test.
struct Encoded {
    name: String,
    client: Client,
}

impl Encoded {
    fn new(encoding: &str) -> Encoded {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("encoded_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut superuser = cluster().connect("postgres", SUPERUSER);
        run(
            &mut superuser,
            &format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' \
                    TEMPLATE template0"
            ),
        );
        let mut client = cluster().connect(&name, SUPERUSER);
        run(&mut client, "CREATE EXTENSION pg_spamcheck");
        run(&mut client, &format!("CREATE TABLE comments ({COLUMNS})"));
        run(&mut client, RULES);
        run(&mut client, "SELECT spamcheck.protect('comments')");
        Encoded { name, client }
    }

    fn ask(&mut self, sql: &str) -> String {
        ask(&mut self.client, sql)
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        if let Ok(mut client) = cluster().config("postgres", SUPERUSER).connect(postgres::NoTls) {
            let _ = client
                .batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

#[test]
fn latin1_texts_entries_names_and_settings_are_understood() {
    let mut db = Encoded::new("LATIN1");
    run(
        &mut db.client,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'glücksspiel'), \
            ('email_block', '^müll@'), ('banned_words', 'µ')",
    );
    assert_eq!(
        db.ask(
            "INSERT INTO comments (author, email, body) VALUES ('é', 'x@y.example', 'Das \
            GLÜCKSSPIEL ½ ÿ'), ('é', 'MÜLL@x.example', 'über'), ('ñ', '', 'schön'), ('', '', '5 \
            µ') RETURNING status"
        ),
        "spam\nspam\napproved\nspam"
    );
    assert_eq!(
        db.ask(
            "SELECT author, comment, detail ->> 'entry' FROM spamcheck.spam_checklog ORDER BY id"
        ),
        "é|Das GLÜCKSSPIEL ½ ÿ|glücksspiel\né|über|^müll@\n|5 µ|µ"
    );
    run(
        &mut db.client,
        "SET pg_spamcheck.user_agent = 'Bär/½'; INSERT INTO comments (body) VALUES ('casino')",
    );
    assert_eq!(db.ask("SELECT user_agent FROM spamcheck.recent LIMIT 1"), "Bär/½");
    // Names of policies and tables.
    run(
        &mut db.client,
        "SELECT spamcheck.create_policy('härter'); CREATE TABLE \"Äußerung\" (LIKE comments \
            INCLUDING ALL)",
    );
    run(&mut db.client, "SELECT spamcheck.protect('\"Äußerung\"', 'härter')");
    run(&mut db.client, "INSERT INTO \"Äußerung\" (body) VALUES ('casino')");
    assert_eq!(
        db.ask("SELECT relation, policy FROM spamcheck.recent LIMIT 1"),
        "public.\"Äußerung\"|härter"
    );
    run(
        &mut db.client,
        "SELECT spamcheck.unprotect('\"Äußerung\"'); SELECT spamcheck.drop_policy('härter')",
    );
}

#[test]
fn a_rejection_in_latin1_reaches_the_log_with_its_row() {
    let mut db = Encoded::new("LATIN2");
    run(
        &mut db.client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'",
    );
    support::wait::until(std::time::Duration::from_secs(20), "the worker", || {
        cluster().worker_pid(&db.name).is_some()
    });
    refused(
        &mut db.client,
        "INSERT INTO comments (author, body) VALUES ('Łukasz', 'kasyno, casino – žluťoučký')"
            .replace('–', "-")
            .as_str(),
    );
    assert_eq!(
        db.ask(
            "SELECT author, comment, submission -> 'row' ->> 'author', outcome FROM \
            spamcheck.recent"
        ),
        "Łukasz|kasyno, casino - žluťoučký|Łukasz|rejected"
    );
}

#[test]
fn bytes_without_an_encoding_lose_no_row() {
    let mut db = Encoded::new("SQL_ASCII");
    let stored = db.ask(
        r"INSERT INTO comments (author, body) VALUES (E'\xe9', E'casino \xff\xfe caf\xe9'),
            (E'\xc3', E'\xe9 nice \x80'),
                 (E'\xff', repeat(E'http://a\xe9.example ', 9)), ('ok', 'Glück und casino')
                 RETURNING status",
    );
    assert_eq!(stored, "spam\napproved\npending\nspam");
    assert_eq!(
        db.ask("SELECT row_key, check_name FROM spamcheck.spam_checklog ORDER BY id"),
        "{\"id\": 1}|content\n{\"id\": 3}|links\n{\"id\": 4}|content"
    );
    // An edit from one such byte to another is an edit.
    assert_eq!(
        db.ask(r"UPDATE comments SET body = E'\xe8 casino' WHERE id = 2 RETURNING status"),
        "spam"
    );
    assert_eq!(db.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "4");
}

#[test]
fn a_rejection_of_bytes_without_an_encoding_is_logged() {
    let mut db = Encoded::new("EUC_JP");
    run(
        &mut db.client,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'カジノ')",
    );
    run(
        &mut db.client,
        "UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'content'",
    );
    support::wait::until(std::time::Duration::from_secs(20), "the worker", || {
        cluster().worker_pid(&db.name).is_some()
    });
    refused(&mut db.client, "INSERT INTO comments (body) VALUES ('最高のカジノ')");
    assert_eq!(db.ask("SELECT comment, detail ->> 'at' FROM spamcheck.recent"), "最高のカジノ|3");
}

#[test]
fn entries_that_are_no_utf8_are_refused_or_harmless() {
    let mut db = Encoded::new("WIN1251");
    run(
        &mut db.client,
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'казино')",
    );
    assert_eq!(
        db.ask("INSERT INTO comments (body) VALUES ('лучшее КАЗИНО'), ('привет') RETURNING status"),
        "spam\napproved"
    );
    let mut bytes = Encoded::new("SQL_ASCII");
    let taken = bytes.client.batch_execute(
        r"INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', E'caf\xe9')",
    );
    if let Err(error) = taken {
        let error = error.as_db_error().expect("the server refuses it").clone();
        assert!(error.hint().is_some(), "{error:?}");
    }
    assert_eq!(
        bytes.ask("INSERT INTO comments (body) VALUES ('casino'), ('nice') RETURNING status"),
        "spam\napproved"
    );
}

#[test]
fn bytes_without_an_encoding_are_told_apart() {
    let mut db = Encoded::new("SQL_ASCII");
    run(
        &mut db.client,
        "CREATE TABLE notes (id text PRIMARY KEY, body text, status text NOT NULL DEFAULT 'approved'
            CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('notes');
         UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate'
          WHERE policy = 'default' AND check_name = 'duplicate'",
    );
    assert_eq!(
        db.ask(
            r"INSERT INTO notes (id, body) VALUES ('1', E'Ein T\xe4xt der lang ist'), ('2', E'Ein T\xe5xt der lang ist'),
                ('3', E'Ein T\xe4xt der lang ist') RETURNING status"
        ),
        "approved\napproved\npending"
    );
    // A row whose key is such bytes is found again, and one that is like it is not taken for it.
    run(
        &mut db.client,
        r"INSERT INTO notes (id, body) VALUES (E'\xe4', 'Ein anderer text'), (E'\xc3\xa4', 'Noch ein anderer')",
    );
    assert_eq!(
        db.ask(
            "INSERT INTO notes (id, body) VALUES ('y', 'Ein anderer text'), ('z', 'Noch ein anderer'),
                (E'\\xf4\\x8f\\xbf\\xa4', 'Der dritte text'), ('x', 'Der dritte text') RETURNING status"
        ),
        "pending\npending\napproved\npending"
    );
    run(
        &mut db.client,
        r"DELETE FROM notes WHERE id = E'\xe4'; UPDATE notes SET body = 'gone' WHERE id = 'y'",
    );
    assert_eq!(
        db.ask("INSERT INTO notes (id, body) VALUES ('w', 'Ein anderer text') RETURNING status"),
        "approved"
    );
}

#[test]
fn what_is_said_about_a_table_is_in_the_databases_encoding() {
    let mut db = Encoded::new("LATIN1");
    run(&mut db.client, "CREATE TABLE \"Äußerung\" (grüße text, title text)");
    let (notices, heard) = std::sync::mpsc::channel();
    let mut config = cluster().config(&db.name, SUPERUSER);
    config.notice_callback(move |notice| {
        let _ = notices.send(notice.message().to_owned());
    });
    let mut client = config.connect(postgres::NoTls).expect("a session");
    run(&mut client, "SELECT spamcheck.protect('\"Äußerung\"')");
    let heard: Vec<String> = heard.try_iter().collect();
    assert!(!heard.is_empty() && heard.iter().all(|n| n.contains("Äußerung")), "{heard:?}");
    // An error, too, is readable, and what it cannot say it escapes.
    let error = refused(
        &mut client,
        "SELECT spamcheck.protect('\"Äußerung\"', columns => '{\"body\": \"größe\"}')",
    );
    assert!(error.message().contains(r"gr\u00f6\u00dfe"), "{error:?}");
}
