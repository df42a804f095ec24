//! pg_dump and pg_restore: what a DBA set, what was logged, what is still to be asked and which tables
//! are protected is in the copy as it was in the original, and the copy works. This file holds the
//! original and how it is held against its copy.

use std::path::PathBuf;
use std::process::Output;

use postgres::Client;
use support::cluster::{Cluster, Database};

#[path = "dump/parts.rs"]
mod parts;
#[path = "dump/queue.rs"]
mod queue;
#[path = "dump/roles.rs"]
mod roles;
#[path = "dump/upgrade.rs"]
mod upgrade;
#[path = "dump/whole.rs"]
mod whole;

/// Tables of several kinds, one of them with columns that were renamed since; changed settings; what
/// was logged, and lookups that nobody answers: there is no key.
const ORIGINAL: &str = r#"
    CREATE EXTENSION pg_spamcheck;
    CREATE TABLE users (id int PRIMARY KEY, email text);
    INSERT INTO users VALUES (1, 'a@moderate.example');
    CREATE TABLE comments (id int PRIMARY KEY, author text, user_id int, body text, extra jsonb,
        status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
    INSERT INTO comments SELECT n, 'Ann', NULL, 'an old casino ' || n FROM generate_series(1, 5) n;
    SELECT spamcheck.protect('comments', columns => '{"fields":"extra",
        "email":{"table":"users","key":"id","from":"user_id","column":"email"}}');
    CREATE SCHEMA "we.ird";
    CREATE TABLE "we.ird"."ta""ble" ("id d" int PRIMARY KEY, "Bo""dy" text, "st.at" text);
    SELECT spamcheck.protect('"we.ird"."ta""ble"', columns => '{"body":"Bo\"dy"}',
        status => '{"ham":{"st.at":"h"},"moderate":{"st.at":"m"},"spam":{"st.at":"s"}}');
    CREATE TABLE notes (id int, region text, body text, status text DEFAULT 'approved'
        CONSTRAINT states CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE notes_eu PARTITION OF notes FOR VALUES IN ('eu');
    CREATE TABLE passing (id int PRIMARY KEY, body text);
    SELECT spamcheck.protect('passing'); SELECT spamcheck.unprotect('passing');

    UPDATE spamcheck.policy SET moderate_at = 3, keep = 'excerpt' WHERE name = 'default';
    UPDATE spamcheck.check_setting SET action = 'spam', score = 4 WHERE check_name = 'content';
    UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'email_pattern';
    UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'ip_allow';
    SELECT spamcheck.create_policy('mine', 'serendipity');
    UPDATE spamcheck.check_setting SET enabled = false WHERE policy = 'mine' AND check_name = 'required';
    INSERT INTO spamcheck.list (name, kind) VALUES ('extra', 'word');
    INSERT INTO spamcheck.list_entry (list, value, note, expires_at) VALUES ('banned_words', 'casino', NULL, NULL),
        ('extra', 'poker', 'a note', '2100-01-01'), ('email_block', '@moderate\.example$', NULL, NULL);
    UPDATE spamcheck.check_setting SET options = '{"lists":["extra"]}', enabled = true
     WHERE policy = 'mine' AND check_name = 'content';
    SELECT spamcheck.protect('notes', 'mine');
    SELECT spamcheck.create_policy('gone');
    UPDATE spamcheck.policy SET retention = '90 days' WHERE name = 'gone';
    SELECT spamcheck.drop_policy('gone');

    INSERT INTO comments VALUES (10, 'Ann', 1, 'a casino'), (11, 'Ann', 1, 'fine');
    INSERT INTO "we.ird"."ta""ble" VALUES (1, 'casino');
    INSERT INTO notes VALUES (1, 'eu', 'poker');
    INSERT INTO spamcheck.subscription_history (subscriber, relation, change, changed_by, log_id, _protection)
        SELECT 'ann@mail.example', l.relation, 'unsubscribe_spamcheck', l.policy, l.id, l._protection FROM spamcheck.spam_checklog l LIMIT 1;
    UPDATE spamcheck.check_setting SET enabled = true, options = '{"blog":"https://blog.example/"}' WHERE check_name = 'akismet' AND policy = 'default';
    INSERT INTO comments VALUES (12, 'Ann', 2, 'to be asked');
    INSERT INTO "we.ird"."ta""ble" VALUES (2, 'to be asked');
    ALTER TABLE comments RENAME body TO contents; ALTER TABLE comments RENAME status TO state;
    ALTER TABLE users RENAME email TO mail; ALTER TABLE users RENAME TO people;"#;

/// All that is to survive, in words.
const STATE: &str = "
    SELECT 'policy ' || to_jsonb(p)::text FROM spamcheck.policy p
    UNION ALL SELECT 'dropped policy ' || to_jsonb(d)::text FROM spamcheck._dropped_policy d
    UNION ALL SELECT 'check ' || to_jsonb(s)::text FROM spamcheck.check_setting s
    UNION ALL SELECT 'list ' || to_jsonb(l)::text FROM spamcheck.list l
    UNION ALL SELECT 'entry ' || to_jsonb(e)::text FROM spamcheck.list_entry e
    UNION ALL SELECT 'table ' || t.relation || ' ' || (to_jsonb(t) - 'relation')::text FROM spamcheck.protected_table t
    UNION ALL SELECT 'log ' || to_jsonb(l)::text FROM spamcheck.spam_checklog l
    UNION ALL SELECT 'subscriber ' || to_jsonb(h)::text FROM spamcheck.subscription_history h
    UNION ALL SELECT 'subscriber ids ' || last_value || ' ' || is_called FROM spamcheck.subscription_history_id_seq
    UNION ALL SELECT 'lookup ' || (to_jsonb(l) - 'attempts' - 'next_at' - 'last_error')::text FROM spamcheck.lookup l
    UNION ALL SELECT 'log ids ' || last_value || ' ' || is_called FROM spamcheck.spam_checklog_id_seq
    UNION ALL SELECT 'lookup ids ' || last_value || ' ' || is_called FROM spamcheck.lookup_id_seq
    UNION ALL SELECT 'submission ids ' || last_value || ' ' || is_called FROM spamcheck._submission_id_seq
    UNION ALL SELECT 'protection ids ' || last_value || ' ' || is_called FROM spamcheck._protection_id_seq
    UNION ALL SELECT 'row ' || to_jsonb(c)::text FROM comments c
    UNION ALL SELECT 'row ' || to_jsonb(t)::text FROM \"we.ird\".\"ta\"\"ble\" t
    UNION ALL SELECT 'row ' || to_jsonb(n)::text FROM notes n
    UNION ALL SELECT 'trigger ' || concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
               WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'event trigger', evtname, evtenabled) FROM pg_event_trigger
    ORDER BY 1";

#[track_caller]
fn run(client: &mut Client, script: &str) {
    client.batch_execute(script).unwrap_or_else(|error| panic!("{script}\n{error:#?}"));
}

#[track_caller]
fn texts(client: &mut Client, query: &str) -> Vec<String> {
    let rows = client.query(query, &[]).unwrap_or_else(|error| panic!("{query}\n{error:#?}"));
    rows.iter()
        .map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into()))
        .collect()
}

/// The database to dump, and one to restore into.
fn original() -> (Database<'static>, Database<'static>) {
    let cluster = Cluster::shared();
    let (database, copy) = (cluster.empty_database(), cluster.empty_database());
    run(&mut database.client(), ORIGINAL);
    (database, copy)
}

/// What one of PostgreSQL's programs wrote; it must have succeeded without a word of complaint.
#[track_caller]
fn clean(name: &str, output: Output) -> String {
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name} failed: {complaints}");
    assert!(
        !complaints.contains("ERROR") && !complaints.contains("error:"),
        "{name}: {complaints}"
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A plain dump.
#[track_caller]
fn dumped(database: &Database<'_>, options: &[&str]) -> String {
    let mut program = database.cluster().program("pg_dump");
    clean(
        "pg_dump",
        program.args(options).args(["-d", database.name()]).output().expect("it starts"),
    )
}

/// Runs a plain dump in psql, which stops at the first error.
#[track_caller]
fn restored(copy: &Database<'_>, dump: &str) {
    clean("psql", copy.cluster().psql_output(copy.name(), "postgres", dump));
}

/// A dump in the custom format; the file goes with the cluster.
#[track_caller]
fn archived(database: &Database<'_>) -> PathBuf {
    let file = database.cluster().socket_folder().join(format!("{}.dump", database.name()));
    let mut program = database.cluster().program("pg_dump");
    program.args(["-Fc", "-d", database.name(), "-f"]).arg(&file);
    clean("pg_dump", program.output().expect("it starts"));
    file
}

/// pg_restore of such a file.
#[track_caller]
fn unpacked(copy: &Database<'_>, file: &PathBuf, options: &[&str]) {
    let mut program = copy.cluster().program("pg_restore");
    program.args(options).args(["-d", copy.name()]).arg(file);
    clean("pg_restore", program.output().expect("it starts"));
}

/// Holds a copy against its original: the same state, and it works.
#[track_caller]
fn same_and_working(database: &Database<'_>, copy: &Database<'_>) {
    let state = texts(&mut database.client(), STATE);
    let mut client = copy.client();
    let copied = texts(&mut client, STATE);
    let lost: Vec<_> = state.iter().filter(|line| !copied.contains(line)).collect();
    let new: Vec<_> = copied.iter().filter(|line| !state.contains(line)).collect();
    assert!(lost.is_empty() && new.is_empty(), "lost: {lost:#?}\nnew: {new:#?}");
    working(&mut client);
}

/// New rows are judged by the settings of the original, edits too, and their ids go on.
#[track_caller]
fn working(client: &mut Client) {
    let before = texts(client, "SELECT max(id)::text FROM spamcheck.spam_checklog").concat();
    run(
        client,
        r#"INSERT INTO comments (id, contents) VALUES (20, 'a casino');
           INSERT INTO comments (id, user_id, contents) VALUES (21, 1, 'fine');
           INSERT INTO comments (id, contents, extra) VALUES (22, 'fine', '{"a":"casino"}');
           INSERT INTO comments (id, contents) VALUES (23, 'fine'); UPDATE comments SET contents = 'casino' WHERE id = 23;
           INSERT INTO "we.ird"."ta""ble" VALUES (20, 'casino');
           CREATE TABLE notes_us PARTITION OF notes FOR VALUES IN ('us');
           INSERT INTO notes VALUES (20, 'us', 'poker');"#,
    );
    let logged = texts(
        client,
        &format!(
            "SELECT concat_ws(' ', relation, COALESCE(row_key->>'id', row_key->>'id d'), policy, check_name, outcome)
               FROM spamcheck.spam_checklog WHERE id > {before} ORDER BY id"
        ),
    );
    assert_eq!(
        logged,
        [
            "public.comments 20 default content suppressed",
            "public.comments 21 default email_pattern moderated",
            "public.comments 22 default content suppressed",
            "public.comments 23 default content suppressed",
            r#""we.ird"."ta""ble" 20 default content suppressed"#,
            "public.notes 20 mine content suppressed",
        ]
    );
    assert_eq!(
        texts(
            client,
            "SELECT string_agg(id || state, ' ' ORDER BY id) FROM comments WHERE id > 19"
        ),
        ["20spam 21pending 22spam 23spam"]
    );
    // Renames are followed in the copy as well.
    run(
        client,
        "ALTER TABLE comments RENAME contents TO words; INSERT INTO comments (id, words) VALUES (30, 'casino')",
    );
    assert_eq!(texts(client, "SELECT state FROM comments WHERE id = 30"), ["spam"]);
    run(
        client,
        "SELECT spamcheck.protect('comments'); SELECT spamcheck.unprotect('notes'); DROP TABLE comments",
    );
}
