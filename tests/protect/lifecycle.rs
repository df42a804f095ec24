//! Protecting again, unprotecting, and what both leave alone: the table's rows and its files.

use super::{log, notices, protect, run, start, text};

const TABLE: &str = "CREATE TABLE notes (id int PRIMARY KEY, title text, body text,
    status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));";

#[test]
fn protecting_again_replaces_the_mapping() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(&mut client, "SELECT spamcheck.create_policy('mild'); UPDATE spamcheck.check_setting SET action = 'moderate'
                      WHERE policy = 'mild' AND check_name = 'content'");
    protect(&mut client, "'notes'");
    assert_eq!(
        protect(&mut client, r#"'notes', 'mild', columns => '{"title":null}', status => '{"column":"status","moderate":"held"}'"#
            .replace("held", "pending").as_str()),
        "body=body"
    );
    run(&mut client, "INSERT INTO notes VALUES (1, 'casino', 'fine'), (2, 'fine', 'casino')");
    assert_eq!(log(&mut client), "public.notes {\"id\": 2} content moderated");
    assert_eq!(
        text(&mut client, "SELECT string_agg(status, ' ' ORDER BY id) FROM notes"),
        "approved pending"
    );
    assert_eq!(
        text(&mut client, "SELECT string_agg(policy, ' ') FROM spamcheck.protected_table"),
        "mild"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'notes'::regclass AND NOT tgisinternal"
        ),
        "2"
    );
    // What is not said again is as in a first call.
    protect(&mut client, "'notes'");
    run(&mut client, "INSERT INTO notes VALUES (3, 'casino', 'fine')");
    assert_eq!(text(&mut client, "SELECT status FROM notes WHERE id = 3"), "spam");
}

#[test]
fn edits_are_judged_unless_said_otherwise() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "INSERT INTO notes VALUES (1, 'x', 'casino'), (2, 'x', 'x'), (3, 'x', 'x');
                      SELECT spamcheck.protect('notes')",
    );
    run(
        &mut client,
        "UPDATE notes SET status = 'pending' WHERE id = 1; UPDATE notes SET body = body;
                      UPDATE notes SET title = 'casino' WHERE id = 2",
    );
    assert_eq!(log(&mut client), "public.notes {\"id\": 2} content suppressed");
    protect(&mut client, "'notes', on_update => false");
    run(&mut client, "UPDATE notes SET title = 'casino' WHERE id = 3");
    assert_eq!(log(&mut client).lines().count(), 1);
    assert_eq!(text(&mut client, "SELECT on_update FROM spamcheck.protected_table"), "f");
}

#[test]
fn the_triggers_fire_last() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    run(
        &mut client,
        "CREATE FUNCTION approve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'approved';
             NEW.body := replace(NEW.body, '*', ''); RETURN NEW; END $$;
         CREATE TRIGGER zzz_app BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION approve();
         INSERT INTO notes VALUES (1, 'x', 'ca*si*no')",
    );
    assert_eq!(text(&mut client, "SELECT status FROM notes"), "spam");
    let names = "SELECT bool_and(tgname LIKE 'zzzz_spamcheck%') FROM pg_trigger
                  WHERE tgrelid = 'notes'::regclass AND tgname <> 'zzz_app'";
    assert_eq!(text(&mut client, names), "t");
}

#[test]
fn unprotect_leaves_nothing_but_the_log() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    let before = "SELECT md5(string_agg(t::text, '|')) FROM (
        SELECT c.relname, c.relfilenode, c.relchecks, c.relacl, c.reloptions, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid),
               (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid), (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid),
               (SELECT count(*) FROM pg_depend d WHERE d.refobjid = c.oid), (SELECT count(*) FROM pg_depend d WHERE d.objid = c.oid)
          FROM pg_class c WHERE c.relname = 'notes') t";
    let state = text(&mut client, before);
    protect(&mut client, "'notes'");
    assert_ne!(text(&mut client, before), state);
    run(&mut client, "INSERT INTO notes VALUES (1, 'x', 'casino')");
    let mut app = database.client();
    run(&mut app, "INSERT INTO notes VALUES (2, 'x', 'fine')");
    run(&mut client, "SELECT spamcheck.unprotect('notes')");
    assert_eq!(text(&mut client, before), state);
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.lookup"), "0");
    // Also for a session that knows the table as protected.
    run(&mut app, "INSERT INTO notes VALUES (3, 'x', 'casino')");
    assert_eq!(log(&mut client), "public.notes {\"id\": 1} content suppressed");
    run(&mut client, "DROP EXTENSION pg_spamcheck; INSERT INTO notes VALUES (4, 'x', 'casino')");
}

#[test]
fn protect_neither_scans_nor_rewrites_the_table() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "INSERT INTO notes SELECT g, 'title', 'casino ' || g FROM generate_series(1, 5000) g;
         CREATE TABLE parted (id int, body text) PARTITION BY HASH (id);
         CREATE TABLE part0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE part1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO parted SELECT g, 'x' FROM generate_series(1, 1000) g;",
    );
    let state =
        "SELECT string_agg(concat_ws(' ', relname, relfilenode, pg_stat_get_xact_numscans(oid),
                        pg_stat_get_xact_tuples_returned(oid), pg_stat_get_xact_tuples_updated(oid),
                        pg_stat_get_xact_blocks_fetched(oid)), ', ' ORDER BY relname)
                   FROM pg_class WHERE relname IN ('notes', 'notes_pkey', 'part0', 'part1')";
    run(&mut client, "BEGIN");
    let before = text(&mut client, state);
    run(&mut client, "SELECT spamcheck.protect('notes'); SELECT spamcheck.protect('parted')");
    assert_eq!(text(&mut client, state), before);
    // What is there already stays as it is, and nobody is told about it.
    run(&mut client, "COMMIT");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.recent"), "0");
    assert_eq!(text(&mut client, "SELECT string_agg(DISTINCT status, ' ') FROM notes"), "approved");
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*) FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype <> 'n'"
        ),
        "2"
    );
}

#[test]
fn a_rolled_back_protect_was_never_there() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    run(
        &mut client,
        "BEGIN; SELECT spamcheck.protect('notes'); INSERT INTO notes VALUES (1, 'x', 'casino')",
    );
    assert_eq!(text(&mut client, "SELECT status FROM notes"), "spam");
    run(&mut client, "ROLLBACK; INSERT INTO notes VALUES (1, 'x', 'casino')");
    assert_eq!(text(&mut client, "SELECT status FROM notes"), "approved");
    protect(&mut client, "'notes'");
    run(&mut client, "BEGIN; SELECT spamcheck.unprotect('notes'); ROLLBACK");
    run(&mut client, "INSERT INTO notes VALUES (2, 'x', 'casino')");
    assert_eq!(text(&mut client, "SELECT status FROM notes WHERE id = 2"), "spam");
}

#[test]
fn a_table_without_a_key_is_protected_with_a_notice() {
    let (database, mut client) = start();
    run(
        &mut client,
        "CREATE TABLE notes (body text, status text CHECK (status IN ('approved', 'pending', 'spam')))",
    );
    let heard = notices(&database, "SELECT spamcheck.protect('notes')");
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("no primary key"), "{heard:?}");
    assert_eq!(text(&mut client, "INSERT INTO notes VALUES ('casino') RETURNING status"), "spam");
    assert_eq!(log(&mut client), "public.notes content suppressed");
}

#[test]
fn a_table_can_be_protected_while_others_write_to_it() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    let mut app = database.client();
    run(&mut app, "INSERT INTO notes VALUES (1, 'x', 'casino')");
    protect(&mut client, "'notes'");
    run(&mut app, "INSERT INTO notes VALUES (2, 'x', 'casino')");
    run(&mut client, "UPDATE spamcheck.list_entry SET value = 'roulette' WHERE value = 'casino'");
    run(&mut app, "INSERT INTO notes VALUES (3, 'x', 'casino'), (4, 'x', 'roulette')");
    protect(&mut client, r#"'notes', columns => '{"title":null,"body":"title"}'"#);
    run(&mut app, "INSERT INTO notes VALUES (5, 'roulette', 'x'), (6, 'x', 'roulette')");
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(id || '', ' ' ORDER BY id) FROM notes WHERE status = 'spam'"
        ),
        "2 4 5"
    );
}

#[test]
fn protecting_again_waits_for_who_reads_and_lets_him_write() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    let mut reader = database.client();
    run(&mut reader, "BEGIN; SELECT count(*) FROM notes");
    let other = database.client();
    let again = std::thread::spawn(move || {
        let mut other = other;
        run(&mut other, "SELECT spamcheck.protect('notes'); SELECT spamcheck.unprotect('notes')");
    });
    let waits =
        "SELECT count(*)::text FROM pg_locks WHERE relation = 'notes'::regclass AND NOT granted";
    support::wait::until(std::time::Duration::from_secs(20), "the lock to be waited for", || {
        text(&mut client, waits) == "1"
    });
    run(
        &mut reader,
        "INSERT INTO notes (id, body) VALUES (1, 'written behind the reading'); COMMIT",
    );
    again.join().expect("it goes on");
}

#[test]
fn the_functions_and_the_view_are_as_documented() {
    let (_database, mut client) = start();
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws(' -> ', pg_get_function_arguments(oid), pg_get_function_result(oid))
               FROM pg_proc WHERE oid = 'spamcheck.protect'::regproc"
        ),
        "relation regclass, policy text DEFAULT 'default'::text, columns jsonb DEFAULT NULL::jsonb, \
         status jsonb DEFAULT NULL::jsonb, article jsonb DEFAULT NULL::jsonb, \
         subscriber jsonb DEFAULT NULL::jsonb, on_update boolean DEFAULT true \
         -> TABLE(field text, source text)"
    );
    assert_eq!(
        text(&mut client, "SELECT pg_get_function_arguments('spamcheck.unprotect'::regproc)"),
        "relation regclass"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ', ' ORDER BY attnum)
               FROM pg_attribute WHERE attrelid = 'spamcheck.protected_table'::regclass AND attnum > 0"
        ),
        "relation regclass, policy text, columns jsonb, status jsonb, article jsonb, subscriber jsonb, \
         on_update boolean, protected_at timestamp with time zone"
    );
    // A table that needs no arguments takes them as NULL all the same.
    run(&mut client, TABLE);
    let by_null = "'notes', NULL, NULL, NULL, NULL, NULL, NULL";
    let plain = protect(&mut client, "relation => 'notes'");
    assert_eq!(protect(&mut client, by_null), plain);
    // JSON's null, which drivers send for theirs, is the same.
    assert_eq!(protect(&mut client, "'notes', 'default', 'null', 'null', 'null', 'null'"), plain);
}

#[test]
fn protect_names_the_required_fields_that_no_column_holds() {
    let (database, mut client) = start();
    run(
        &mut client,
        r#"CREATE TABLE notes (id int PRIMARY KEY, body text, status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
           SELECT spamcheck.create_policy('blog', 'serendipity');
           UPDATE spamcheck.check_setting SET enabled = check_name = 'required' WHERE policy = 'blog';
           UPDATE spamcheck.check_setting SET options = '{"fields": ["author", "email", "ip", "body"]}'
            WHERE policy = 'blog' AND check_name = 'required'"#,
    );
    let heard = notices(&database, "SELECT spamcheck.protect('notes', 'blog')");
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(
        heard[0].contains("asks for author, email, for which table public.notes has no source"),
        "{heard:?}"
    );
    assert!(
        heard[0].contains("hits every row") && heard[0].contains("(action reject)"),
        "{heard:?}"
    );
    assert!(
        heard[1].contains("asks for ip,") && heard[1].contains("has not set pg_spamcheck.ip"),
        "{heard:?}"
    );
    let refused =
        client.batch_execute("INSERT INTO notes VALUES (1, 'words')").expect_err("as it said");
    assert_eq!(refused.as_db_error().and_then(|e| e.constraint()), Some("spamcheck_reject"));
    // Where all are mapped, or nobody asks, nothing is said.
    run(&mut client, "ALTER TABLE notes ADD author text, ADD email text, ADD ip inet");
    assert_eq!(notices(&database, "SELECT spamcheck.protect('notes', 'blog')"), [""; 0]);
    run(&mut client, "ALTER TABLE notes DROP author");
    assert_eq!(notices(&database, "SELECT spamcheck.protect('notes', 'default')"), [""; 0]);
}

#[test]
fn what_a_check_asks_for_in_vain_is_said_when_it_is_switched_on_too() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    let set = |check: &str, set: &str| {
        notices(
            &database,
            &format!(
                "UPDATE spamcheck.check_setting SET {set} WHERE policy = 'default' AND check_name = '{check}'"
            ),
        )
    };
    let heard = set("article_age", "enabled = true");
    assert!(heard.concat().contains("never hit in table public.notes"), "{heard:?}");
    // Once is enough.
    assert_eq!(set("article_age", "score = 2"), [""; 0]);
    let heard = set("required", r#"enabled = true, options = '{"fields": ["author"]}'"#);
    assert!(heard.concat().contains("asks for author, for which table public.notes"), "{heard:?}");
    let tables = "SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'tables'";
    let told = text(&mut client, tables);
    assert!(
        told.starts_with("warning: check required of policy \"default\" asks for author"),
        "{told}"
    );
    // Of rows of another type nothing is asked.
    run(
        &mut client,
        r#"SELECT spamcheck.protect('notes', columns => '{"type": {"value": "trackback"}}')"#,
    );
    assert_eq!(text(&mut client, tables), "ok: 1 table is protected");
    run(&mut client, "SELECT spamcheck.protect('notes')");
    set("required", "enabled = false");
    assert_eq!(text(&mut client, tables), "ok: 1 table is protected");
}

#[test]
fn protecting_anew_leaves_triggers_firing_when_they_did() {
    let (_database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    for (fires, letter) in [("ALWAYS", "A A"), ("REPLICA", "R R")] {
        for trigger in ["guard", "record"] {
            let script =
                format!("ALTER TABLE notes ENABLE {fires} TRIGGER zzzz_spamcheck_{trigger}");
            run(&mut client, &script);
        }
        protect(&mut client, "'notes'");
        let enabled = "SELECT string_agg(tgenabled::text, ' ') FROM pg_trigger WHERE tgrelid = 'notes'::regclass";
        assert_eq!(text(&mut client, enabled), letter);
    }
    // Health says when none fires for the app, and a disabled one is switched on again.
    let health = "SELECT state || message FROM spamcheck.health() WHERE item = 'tables'";
    assert_eq!(text(&mut client, health), "errortriggers of public.notes are missing or disabled");
    run(&mut client, "ALTER TABLE notes DISABLE TRIGGER ALL");
    protect(&mut client, "'notes'");
    assert_eq!(text(&mut client, health), "ok1 table is protected");
}

/// Akismet is asked by a server that has no key, so lookups wait.
const HOLD: &str = r#"UPDATE spamcheck.check_setting SET enabled = true, options = '{"mode":"hold"}'
    WHERE check_name = 'akismet'"#;

#[test]
fn unprotect_says_what_becomes_of_lookups_that_wait() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    run(&mut client, HOLD);
    run(&mut client, "INSERT INTO notes (id, body) VALUES (1, 'one'), (2, 'two')");
    assert_eq!(
        notices(&database, "SELECT spamcheck.unprotect('notes')"),
        [
            "NOTICE: 2 lookups of table public.notes will not be made; 2 rows that waited for the answers keep the status of moderated ones"
        ]
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.lookup"), "0");
}

#[test]
fn a_guard_that_is_dropped_is_missed_and_may_be_made_again() {
    let (database, mut client) = start();
    run(&mut client, TABLE);
    protect(&mut client, "'notes'");
    run(&mut client, HOLD);
    run(&mut client, "INSERT INTO notes (id, body) VALUES (1, 'one')");
    let made = text(
        &mut client,
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'zzzz_spamcheck_guard'",
    );
    let drop = "DROP TRIGGER zzzz_spamcheck_guard ON notes";
    assert_eq!(
        notices(&database, drop),
        ["WARNING: rows of public.notes go in unjudged: a trigger of pg_spamcheck was dropped"]
    );
    let health = "SELECT state || message FROM spamcheck.health() WHERE item = 'tables'";
    assert_eq!(text(&mut client, health), "errortriggers of public.notes are missing or disabled");
    run(&mut client, &made);
    assert_eq!(text(&mut client, health), "ok1 table is protected");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.lookup"), "1");
    // protect() mends it, too, and keeps what waits.
    run(&mut client, drop);
    protect(&mut client, "'notes'");
    assert_eq!(text(&mut client, health), "ok1 table is protected");
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*) FROM spamcheck.lookup JOIN spamcheck._protection p ON p.id = _protection"
        ),
        "1"
    );
    // When both are gone, so is the protection.
    run(&mut client, &format!("{drop}; DROP TRIGGER zzzz_spamcheck_record ON notes"));
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck.lookup"), "0");
    protect(&mut client, "'notes'");
    run(&mut client, &format!("{drop}; DROP TABLE notes"));
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
}
