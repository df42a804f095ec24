//! DROP EXTENSION, and a server from whose configuration the library was taken out again.

use support::cluster::{Cluster, ClusterOptions, Database, SUPERUSER};

use crate::get;

const COMMENTS: &str = "
    CREATE TABLE comments (id serial PRIMARY KEY, body text, status text
        CHECK (status IN ('approved', 'pending', 'spam')))";

/// Whatever a database has that could be left over.
const LEFT: &str = "
    SELECT string_agg(name, ', ') FROM (
        SELECT 'relation ' || relname AS name FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'spamcheck')
        UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'spamcheck') OR probin LIKE '%spamcheck%'
        UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'spamcheck')
        UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE '%spamcheck%'
        UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
        UNION ALL SELECT 'dependency' FROM pg_depend WHERE classid = 'pg_extension'::regclass AND objid NOT IN (SELECT oid FROM pg_extension)) x";

#[test]
fn dropping_it_leaves_nothing_and_it_can_be_created_again() {
    let database = Cluster::shared().database();
    for _ in 0..3 {
        database.psql("DROP EXTENSION pg_spamcheck");
        assert_eq!(database.psql(LEFT), "");
        database.psql("CREATE EXTENSION pg_spamcheck");
    }
    database.psql("DROP EXTENSION pg_spamcheck; DROP SCHEMA IF EXISTS spamcheck; CREATE EXTENSION pg_spamcheck");
    assert_eq!(database.psql("SELECT count(*) FROM spamcheck.policy"), "1");
}

#[test]
fn protected_tables_stand_in_its_way_until_cascade_and_stay_whole() {
    let database = Cluster::shared().database();
    let mut client = database.client();
    client
        .batch_execute(&format!(
            "{COMMENTS};
             CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
             CREATE TRIGGER own BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION own();
             CREATE TABLE parted (id integer, body text, status text CHECK (status IN ('approved', 'pending', 'spam')),
                 PRIMARY KEY (id)) PARTITION BY RANGE (id);
             CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
             SELECT spamcheck.protect('comments');
             SELECT spamcheck.protect('parted');
             INSERT INTO comments (body, status) VALUES ('kept', 'approved')"
        ))
        .expect("it works");
    let error = client.batch_execute("DROP EXTENSION pg_spamcheck").expect_err("triggers need it");
    let error = error.as_db_error().expect("the server refuses it");
    assert!(error.detail().is_some_and(|detail| detail.contains("comments")), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("CASCADE")), "{error:?}");
    client.batch_execute("DROP EXTENSION pg_spamcheck CASCADE").expect("it is dropped");
    assert_eq!(database.psql(LEFT), "");
    client
        .batch_execute(
            "INSERT INTO comments (body, status) VALUES ('later', 'approved');
             INSERT INTO parted VALUES (1, 'x', 'approved');
             ALTER TABLE comments ADD COLUMN more integer; ALTER TABLE comments RENAME body TO words",
        )
        .expect("the tables work without it");
    assert_eq!(
        database.psql("SELECT count(*) || string_agg(DISTINCT status, '') FROM comments"),
        "2approved"
    );
    let triggers = "SELECT string_agg(tgname, ' ') FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(database.psql(triggers), "own");
}

/// A server with three protected tables, one for each `on_error`, from whose configuration the library
/// was taken.
fn without_the_line(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    for on_error in ["accept", "moderate", "reject"] {
        database.psql(&format!(
            "SELECT spamcheck.create_policy('{on_error}');
             UPDATE spamcheck.policy SET on_error = '{on_error}' WHERE name = '{on_error}';
             CREATE TABLE on_{on_error} (id serial PRIMARY KEY, body text, status text
                 CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('on_{on_error}', '{on_error}');
             INSERT INTO on_{on_error} (body, status) VALUES ('before', 'approved')"
        ));
    }
    cluster.set("shared_preload_libraries", "pg_stat_statements");
    cluster.restart();
    database
}

/// What psql says on both channels.
fn psql(database: &Database<'_>, script: &str) -> (bool, String, String) {
    let output = database.cluster().psql_output(database.name(), SUPERUSER, script);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_the_line_inserts_follow_on_error_with_a_warning() {
    let cluster = Cluster::start(ClusterOptions::default());
    let database = without_the_line(&cluster);
    for (on_error, expected) in [("accept", "approved"), ("moderate", "pending")] {
        let insert = format!(
            "INSERT INTO on_{on_error} (body, status) VALUES ('https://a.example/', 'approved') RETURNING status"
        );
        let (worked, row, complaint) = psql(&database, &insert);
        assert!(worked, "{complaint}");
        assert_eq!(row, expected, "{on_error}");
        assert!(
            complaint.contains("WARNING") && complaint.contains("shared_preload_libraries"),
            "{complaint}"
        );
        assert!(complaint.contains("HINT") && complaint.contains("'pg_spamcheck'"), "{complaint}");
    }
    let (worked, _, complaint) = psql(
        &database,
        "\\set VERBOSITY verbose\nINSERT INTO on_reject (body, status) VALUES ('x', 'approved')",
    );
    assert!(!worked && complaint.contains("WARNING"), "{complaint}");
    assert!(complaint.contains("23514") && complaint.contains("spamcheck_reject"), "{complaint}");
    assert!(!complaint.contains("Change its content"), "nothing is wrong with it: {complaint}");
    // What is no submission is not complained of.
    for update in ["status = 'spam'", "id = id + 100000"] {
        let update = format!("UPDATE on_accept SET {update} WHERE body = 'before'");
        assert_eq!(psql(&database, &update).2, "", "{update}");
    }
    // One statement complains once, however many rows it has.
    let many = "INSERT INTO on_accept (body, status) SELECT 'row', 'approved' FROM generate_series(1, 1000)";
    let (worked, _, complaint) = psql(&database, many);
    assert!(worked);
    assert_eq!(complaint.matches("WARNING").count(), 1, "{complaint}");
    assert_eq!(database.psql("SELECT count(*) FROM on_accept"), "1002");
}

#[test]
fn without_the_line_everything_else_goes_on_without_errors() {
    let cluster = Cluster::start(ClusterOptions::default());
    let database = without_the_line(&cluster);
    for statement in [
        "ALTER TABLE on_accept ADD COLUMN more integer",
        "ALTER TABLE on_accept RENAME body TO words",
        "ALTER TABLE on_accept RENAME TO renamed",
        "CREATE TABLE other (id integer); ALTER TABLE other ADD COLUMN x text; DROP TABLE other",
        "CREATE SCHEMA s; ALTER SCHEMA s RENAME TO t; DROP SCHEMA t",
        "DELETE FROM renamed WHERE false",
        "BEGIN; SET LOCAL pg_spamcheck.ip = '203.0.113.7'; COMMIT",
        "UPDATE spamcheck.policy SET moderate_at = 6",
        "UPDATE spamcheck.check_setting SET score = 1",
        "INSERT INTO spamcheck.list (name, kind) VALUES ('x', 'word'); INSERT INTO spamcheck.list_entry (list, value) VALUES ('x', 'y')",
        "SELECT * FROM spamcheck.recent; SELECT * FROM spamcheck.checks; SELECT * FROM spamcheck.protected_table; SELECT * FROM spamcheck.stat_worker",
        "SELECT spamcheck.retry_lookups()",
        "DROP TABLE on_reject",
        "VACUUM FULL renamed",
    ] {
        let (worked, _, complaint) = psql(&database, statement);
        assert!(worked, "{statement}: {complaint}");
        assert!(!complaint.contains("WARNING"), "{statement}: {complaint}");
    }
    let moderated = psql(&database, "UPDATE on_moderate SET status = 'spam' RETURNING status");
    assert_eq!((moderated.0, &*moderated.1), (true, "spam"), "a moderator's word stands");
    assert_eq!(database.psql("SELECT words FROM renamed"), "before");
    let mapping = "SELECT columns->>'body' FROM spamcheck.protected_table WHERE policy = 'accept'";
    assert_eq!(database.psql(mapping), "words", "renames are followed all the same");
    let health = "SELECT state || hint FROM spamcheck.health() WHERE item = 'preload'";
    let health = database.psql(health);
    assert!(health.starts_with("error") && health.contains("shared_preload_libraries"), "{health}");
    let dump = cluster
        .program("pg_dump")
        .args(["-d", database.name()])
        .output()
        .expect("it can be started");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    for statement in
        ["SELECT spamcheck.unprotect('on_moderate')", "DROP EXTENSION pg_spamcheck CASCADE"]
    {
        let (worked, _, complaint) = psql(&database, statement);
        assert!(worked, "{statement}: {complaint}");
    }
    assert_eq!(database.psql(LEFT), "");
}

#[test]
fn when_the_line_is_back_rows_are_judged_again() {
    let cluster = Cluster::start(ClusterOptions::default());
    let database = without_the_line(&cluster);
    database.psql(
        "UPDATE spamcheck.check_setting SET options = '{\"over\": 0}' WHERE check_name = 'links'",
    );
    cluster.set("shared_preload_libraries", "pg_spamcheck");
    cluster.restart();
    let mut client = database.client();
    let insert = "INSERT INTO on_accept (body, status) VALUES ('https://a.example/', 'approved') RETURNING status";
    assert_eq!(client.query_one(insert, &[]).expect("it is taken").get::<_, String>(0), "pending");
    assert_eq!(
        get(&mut client, "SELECT state FROM spamcheck.health() WHERE item = 'preload'"),
        "ok"
    );
}
