//! Parts of a database: schema and data apart, a section at a time, one table alone.

use super::{archived, dumped, original, restored, run, same_and_working, texts, unpacked};

#[test]
fn schema_and_data_can_be_restored_apart() {
    let (database, copy) = original();
    restored(&copy, &dumped(&database, &["--schema-only"]));
    restored(&copy, &dumped(&database, &["--data-only", "--disable-triggers"]));
    same_and_working(&database, &copy);
}

#[test]
fn settings_that_come_as_data_alone_are_in_force() {
    let (database, copy) = original();
    restored(&copy, &dumped(&database, &["--schema-only"]));
    // A session that has judged rows by what a new installation ships.
    let mut app = copy.client();
    run(
        &mut app,
        "INSERT INTO comments (id, contents) VALUES (1000, 'casino'); DELETE FROM comments",
    );
    restored(
        &copy,
        &dumped(&database, &["--data-only", "--disable-triggers", "--schema=spamcheck"]),
    );
    run(&mut app, "INSERT INTO comments (id, contents) VALUES (1001, 'casino')");
    assert_eq!(texts(&mut app, "SELECT state FROM comments"), ["spam"]);
}

#[test]
fn who_switches_triggers_off_outside_of_a_restore_loses_nothing() {
    let (_, copy) = original();
    let mut client = copy.client();
    run(
        &mut client,
        "CREATE EXTENSION pg_spamcheck; CREATE TABLE notes (id int PRIMARY KEY, body text)",
    );
    run(&mut client, "SELECT spamcheck.protect('notes', status => '{}')");
    let counts = "SELECT (SELECT count(*) FROM spamcheck.list) || ' ' || (SELECT count(*) FROM spamcheck.policy)";
    let before = texts(&mut client, counts);
    for table in ["list", "policy", "check_setting"] {
        run(
            &mut client,
            &format!(
                "ALTER TABLE spamcheck.{table} DISABLE TRIGGER ALL; ALTER TABLE spamcheck.{table} ENABLE TRIGGER ALL"
            ),
        );
    }
    assert_eq!(texts(&mut client, counts), before);
    // And what is gone all the same is told of.
    let tables = "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'tables'";
    assert_eq!(texts(&mut client, tables), ["ok: 1 table is protected"]);
    run(
        &mut client,
        "ALTER TABLE spamcheck.policy DISABLE TRIGGER ALL; DELETE FROM spamcheck.policy; ALTER TABLE spamcheck.policy ENABLE TRIGGER ALL",
    );
    assert_eq!(
        texts(&mut client, tables),
        [
            "error: rows go in unjudged where the policy does not exist: public.notes (policy \"default\")"
        ]
    );
}

#[test]
fn a_restore_by_sections_holds_everything() {
    let (database, copy) = original();
    let file = archived(&database);
    for section in ["pre-data", "data", "post-data"] {
        unpacked(&copy, &file, &[&format!("--section={section}")]);
    }
    same_and_working(&database, &copy);
}

#[test]
fn one_table_restored_into_a_protected_database_is_nobody_elses() {
    let (database, copy) = original();
    // Both databases count their protections from 1.
    run(
        &mut copy.client(),
        "CREATE EXTENSION pg_spamcheck; CREATE TABLE reviews (id int PRIMARY KEY, review text,
             shown boolean NOT NULL DEFAULT true);
         SELECT spamcheck.protect('reviews', columns => '{\"body\":\"review\"}', status => '{\"column\":\"shown\",\"spam\":false}');
         UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content';
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    restored(&copy, &dumped(&database, &["--table=comments"]));
    let mut client = copy.client();
    // It takes rows, whatever is made of them.
    run(&mut client, "INSERT INTO comments (id, contents) VALUES (50, 'casino')");
    let reviewed = |client: &mut postgres::Client, id: u32| {
        texts(client, &format!("INSERT INTO reviews VALUES ({id}, 'casino') RETURNING shown::text"))
            .concat()
    };
    assert_eq!(reviewed(&mut client, 1), "false");
    // Protecting it gives it a mapping of its own, and leaves the other's alone.
    run(&mut client, "SELECT spamcheck.protect('comments', columns => '{\"body\":\"contents\"}')");
    run(&mut client, "INSERT INTO comments (id, contents) VALUES (51, 'casino')");
    assert_eq!(texts(&mut client, "SELECT state FROM comments WHERE id = 51"), ["spam"]);
    assert_eq!(reviewed(&mut client, 2), "false");
    assert_eq!(
        texts(
            &mut client,
            "SELECT relation || ' ' || (columns->>'body') FROM spamcheck.protected_table ORDER BY 1"
        ),
        ["comments contents", "reviews review"]
    );
    assert_eq!(
        texts(&mut client, "SELECT relation FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 2"),
        ["public.reviews", "public.comments"]
    );
    run(&mut client, "SELECT spamcheck.unprotect('comments')");
    assert_eq!(reviewed(&mut client, 3), "false");
}

#[test]
fn unprotecting_such_a_table_leaves_the_other_protected() {
    let (database, copy) = original();
    run(
        &mut copy.client(),
        "CREATE EXTENSION pg_spamcheck; CREATE TABLE reviews (id int PRIMARY KEY, review text);
         SELECT spamcheck.protect('reviews', columns => '{\"body\":\"review\"}');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    restored(&copy, &dumped(&database, &["--table=comments"]));
    let mut client = copy.client();
    run(
        &mut client,
        "SELECT spamcheck.unprotect('comments'); INSERT INTO reviews VALUES (1, 'casino')",
    );
    assert_eq!(texts(&mut client, "SELECT relation FROM spamcheck.recent"), ["public.reviews"]);
    // The same when it is dropped.
    restored(&copy, &dumped(&database, &["--table=comments", "--clean", "--if-exists"]));
    run(&mut client, "DROP TABLE comments; INSERT INTO reviews VALUES (2, 'casino')");
    assert_eq!(texts(&mut client, "SELECT count(*)::text FROM spamcheck.recent"), ["2"]);
}

#[test]
fn a_copy_of_the_schema_alone_can_be_protected_anew() {
    let (database, copy) = original();
    restored(&copy, &dumped(&database, &["--schema-only"]));
    let mut client = copy.client();
    // Until then its tables take rows, and health() says that they are not judged.
    run(&mut client, "INSERT INTO comments (id, contents) VALUES (1, 'casino')");
    let tables = "SELECT state FROM spamcheck.health() WHERE item = 'tables'";
    assert_ne!(texts(&mut client, tables), ["ok"]);
    run(
        &mut client,
        r#"UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content';
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
           SELECT spamcheck.protect('comments', columns => '{"body":"contents"}');
           CREATE TABLE more (id int PRIMARY KEY, message text); SELECT spamcheck.protect('more');
           CREATE TABLE again (id int PRIMARY KEY, title text); SELECT spamcheck.protect('again');
           SELECT spamcheck.protect('notes'); SELECT spamcheck.unprotect('"we.ird"."ta""ble"');
           INSERT INTO comments (id, contents) VALUES (2, 'casino'); INSERT INTO more VALUES (2, 'casino');
           INSERT INTO again VALUES (2, 'casino'); INSERT INTO notes VALUES (2, 'eu', 'casino')"#,
    );
    assert_eq!(
        texts(&mut client, "SELECT relation FROM spamcheck.spam_checklog ORDER BY relation"),
        ["public.again", "public.comments", "public.more", "public.notes"]
    );
    assert_eq!(texts(&mut client, tables), ["ok"]);
}

#[test]
fn data_alone_is_restored_by_several_jobs() {
    let (database, copy) = original();
    let file = archived(&database);
    unpacked(&copy, &file, &["--schema-only"]);
    unpacked(&copy, &file, &["--data-only", "--disable-triggers", "-j4"]);
    same_and_working(&database, &copy);
}
