//! Databases that come, go, are copied and renamed while workers are in them: the worker gets out of the
//! way by itself, nobody needs FORCE, and every database with the extension has its own.

use std::time::Duration;

use postgres::Client;
use support::cluster::{ClusterOptions, SUPERUSER};
use support::wait;

use crate::gate::Gate;
use crate::site::{SOON, Site, World};

/// Runs a statement that needs a database alone, without a session in it: it waits five seconds for others to leave,
/// then fails.
#[track_caller]
fn alone(superuser: &mut Client, statement: &str) {
    if let Err(error) = superuser.batch_execute(statement) {
        panic!("{statement}: {error:?}");
    }
}

/// Waits for a database's worker.
#[track_caller]
fn until_worker(site: &Site<'_>) {
    wait::until(SOON, "the worker", || site.database.worker_pid().is_some());
}

#[test]
fn a_database_with_an_idle_worker_can_be_dropped() {
    let world = World::shared();
    let site = world.site("{}");
    until_worker(&site);
    let Site { client, database, .. } = site;
    drop(client);
    let mut superuser = world.cluster.connect("postgres", SUPERUSER);
    alone(&mut superuser, &format!("DROP DATABASE {}", database.name()));
    let left =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", database.name());
    assert_eq!(world.cluster.psql("postgres", &left), "0");
}

#[test]
fn a_database_whose_worker_has_requests_out_can_be_dropped() {
    let gate = Gate::shared();
    for force in ["", " WITH (FORCE)"] {
        let mut site = gate.site("{}");
        let text = format!("out when its database is dropped{force}");
        for _ in 0..10 {
            site.comment(&text);
        }
        gate.until_asked(&text);
        let Site { client, database, .. } = site;
        drop(client);
        let mut superuser = gate.cluster.connect("postgres", SUPERUSER);
        alone(&mut superuser, &format!("DROP DATABASE {}{force}", database.name()));
        gate.say(&text, true);
    }
    // The server goes on serving the others.
    let mut site = gate.site("{}");
    let id = site.comment("after a drop");
    gate.say("after a drop", true);
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_database_that_is_dropped_is_forgotten() {
    let world = World::new(ClusterOptions::default());
    // More than the launcher has room for at one time.
    for _ in 0..12 {
        let mut site = world.site("{}");
        site.comment("hello");
        site.until_all_answered();
        let Site { client, database, .. } = site;
        drop(client);
        world.cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", database.name()));
    }
    let mut site = world.site("{}");
    site.comment("hello");
    site.until_all_answered();
    let log = world.cluster.log();
    let complaints = log.lines().filter(|line| line.contains("does not exist")).count();
    assert!(complaints <= 12, "a database that is gone is tried again and again:\n{log}");
    assert!(!log.contains("too small"), "{log}");
}

#[test]
fn a_database_can_be_a_template_and_its_copy_is_served() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    site.run(
        "INSERT INTO spamcheck.list (name, kind) VALUES ('rejected', 'word');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('rejected', 'casino');
         UPDATE spamcheck.check_setting SET action = 'reject', enabled = true, options = '{\"lists\": [\"rejected\"]}'
          WHERE check_name = 'content'",
    );
    // The copy gets a lookup along.
    let failing = site.answer("", support::http::Reply::status(500));
    site.comment("akismet-guaranteed-spam");
    site.until("SELECT last_error IS NOT NULL FROM spamcheck.lookup", "true");
    until_worker(&site);
    let Site { client, database, .. } = site;
    drop(client);
    let mut superuser = world.cluster.connect("postgres", SUPERUSER);
    alone(&mut superuser, &format!("CREATE DATABASE copied TEMPLATE {}", database.name()));
    failing.off();
    let mut copy = world.cluster.connect("copied", SUPERUSER);
    let status = "SELECT status FROM comments";
    wait::until(SOON, "the verdict in the copy", || {
        copy.query_one(status, &[]).expect("a row").get::<_, String>(0) == "spam"
    });
    let insert = "INSERT INTO comments (body) VALUES ('a casino')";
    assert!(copy.execute(insert, &[]).is_err());
    let logged = "SELECT count(*) FROM spamcheck.spam_checklog WHERE check_name = 'content'";
    assert_eq!(copy.query_one(logged, &[]).expect("a row").get::<_, i64>(0), 1);
    // And the original is served again.
    let mut original = database.client();
    wait::until(SOON, "the verdict in the original", || {
        original.query_one(status, &[]).expect("a row").get::<_, String>(0) == "spam"
    });
}

#[test]
fn the_first_rejection_in_a_copied_database_is_logged() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    site.run(
        "INSERT INTO spamcheck.list (name, kind) VALUES ('rejected', 'word');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('rejected', 'casino');
         UPDATE spamcheck.check_setting SET action = 'reject', enabled = true, options = '{\"lists\": [\"rejected\"]}'
          WHERE check_name = 'content'",
    );
    let Site { client, database, .. } = site;
    drop(client);
    let mut superuser = world.cluster.connect("postgres", SUPERUSER);
    alone(&mut superuser, &format!("CREATE DATABASE copied TEMPLATE {}", database.name()));
    let mut copy = world.cluster.connect("copied", SUPERUSER);
    let insert = "INSERT INTO comments (body) VALUES ('a casino')";
    assert!(copy.execute(insert, &[]).is_err());
    let logged = "SELECT count(*) FROM spamcheck.spam_checklog";
    wait::until(SOON, "its log row", || {
        copy.query_one(logged, &[]).expect("a row").get::<_, i64>(0) == 1
    });
}

#[test]
fn a_database_can_be_renamed_under_an_idle_and_a_busy_worker() {
    let gate = Gate::shared();
    for busy in [false, true] {
        let mut site = gate.site("{}");
        let text = format!("out when its database is renamed: {busy}");
        until_worker(&site);
        if busy {
            site.comment(&text);
            gate.until_asked(&text);
        }
        let Site { client, database, .. } = site;
        drop(client);
        let mut superuser = gate.cluster.connect("postgres", SUPERUSER);
        let (from, to) = (database.name(), format!("{}_renamed", database.name()));
        alone(&mut superuser, &format!("ALTER DATABASE {from} RENAME TO {to}"));
        gate.say(&text, true);
        let mut client = gate.cluster.connect(&to, SUPERUSER);
        let insert = "INSERT INTO comments (body, ip) VALUES ($1, '203.0.113.7')";
        client.execute(insert, &[&text]).expect("it is taken");
        let decided = "SELECT count(*) FROM comments WHERE status = 'spam'";
        let rows: i64 = if busy { 2 } else { 1 };
        wait::until(SOON, "the verdicts under the new name", || {
            client.query_one(decided, &[]).expect("a row").get::<_, i64>(0) == rows
        });
        let seen: String = client
            .query_one("SELECT database::text FROM spamcheck.stat_worker", &[])
            .expect("a row")
            .get(0);
        assert_eq!(seen, to);
        drop(client);
        superuser
            .batch_execute(&format!("DROP DATABASE {to} WITH (FORCE)"))
            .expect("it is dropped");
    }
}

#[test]
fn each_database_with_the_extension_has_its_worker_and_others_have_none() {
    let world = World::new(ClusterOptions::default());
    let without = world.cluster.empty_database();
    let mut bare = without.client();
    bare.batch_execute("CREATE TABLE comments (id serial PRIMARY KEY, body text)")
        .expect("it is new");
    let mut sites = [world.site("{}"), world.site("{}"), world.site("{}")];
    for site in &mut sites {
        site.comment("akismet-guaranteed-spam");
    }
    bare.batch_execute("INSERT INTO comments (body) VALUES ('akismet-guaranteed-spam')")
        .expect("taken");
    for site in &mut sites {
        site.until_all_answered();
        assert_eq!(site.get("SELECT status FROM comments"), "spam");
        assert_eq!(site.requests().len(), 1);
        assert_eq!(site.get("SELECT count(*) FROM spamcheck.stat_worker WHERE answered = 1"), "1");
    }
    world.cluster.restart();
    for site in &mut sites {
        until_worker(site);
        site.client = site.database.client();
    }
    let visitors = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_spamcheck%' AND datname NOT IN
                    (SELECT datname FROM pg_database WHERE oid IN (SELECT dbid FROM unnest($1::oid[]) dbid))";
    let oids: Vec<u32> = sites
        .iter_mut()
        .map(|site| {
            site.get("SELECT oid FROM pg_database WHERE datname = current_database()")
                .parse()
                .expect("a number")
        })
        .collect();
    let mut superuser = world.cluster.connect("postgres", SUPERUSER);
    wait::until(SOON, "workers leaving the databases that have nothing for them", || {
        superuser.query_one(visitors, &[&oids]).expect("a row").get::<_, i64>(0) == 0
    });
}

#[test]
fn too_few_workers_are_complained_about_and_the_next_starts_when_one_ends() {
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.max_workers", "1"));
    let first = world.site("{}");
    until_worker(&first);
    let mut second = world.site("{}");
    let id = second.comment("akismet-guaranteed-spam");
    wait::until(SOON, "the complaint", || {
        world.cluster.log().contains("pg_spamcheck.max_workers is too small")
    });
    let worker =
        "SELECT concat_ws(' ', state, message, hint) FROM spamcheck.health() WHERE item = 'worker'";
    let health = second.get(worker);
    assert!(
        health.starts_with("error") && health.contains("all 1 that pg_spamcheck.max_workers"),
        "{health}"
    );
    assert!(health.contains("(it is 1)"), "{health}");
    assert_eq!(second.get("SELECT state FROM spamcheck.lookup"), "queued");
    let Site { client, database, .. } = first;
    drop(client);
    drop(database);
    second.until_all_answered();
    assert_eq!(second.status(id), "spam");
    assert!(second.get(worker).starts_with("ok"), "{}", second.get(worker));
}

/// Nobody knows what is in a database before somebody looks; those with nothing in it miss nothing.
#[test]
fn the_complaint_names_each_database_that_has_no_worker_once_and_no_other() {
    let world = World::new(
        ClusterOptions::default()
            .with("pg_spamcheck.max_workers", "1")
            .with("max_worker_processes", 8),
    );
    let sites: Vec<_> = (0..3).map(|_| world.site("{}")).collect();
    let plain: Vec<_> = (0..3).map(|_| world.cluster.empty_database()).collect();
    let before = world.cluster.log().len();
    world.cluster.restart();
    let log = || world.cluster.log()[before..].to_owned();
    let complaint = |name: &str| format!("could not start a worker for database \"{name}\"");
    let complained =
        || sites.iter().filter(|site| log().contains(&complaint(site.database.name()))).count();
    wait::until(SOON, "two complaints", || complained() == 2);
    // All have been looked into, one after the other, and each is tried again and again.
    let again = wait::poll(Duration::from_secs(4), || {
        (log().matches("could not start a worker").count() != 2).then(log)
    });
    assert_eq!(again, None);
    assert!(log().contains("Set pg_spamcheck.max_workers to the number of databases"));
    for name in plain.iter().map(|database| database.name()).chain(["postgres", "template1"]) {
        assert!(!log().contains(&complaint(name)), "{name}\n{}", log());
    }
}

#[test]
fn a_dropped_database_is_not_entered_again() {
    let world = World::new(ClusterOptions::default());
    let mut superuser = world.cluster.connect("postgres", SUPERUSER);
    for force in ["", " WITH (FORCE)"] {
        let site = world.site("{}");
        until_worker(&site);
        let Site { client, database, .. } = site;
        drop(client);
        alone(&mut superuser, &format!("DROP DATABASE {}{force}", database.name()));
    }
    // The launcher looks again within a second.
    let other = world.site("{}");
    until_worker(&other);
    let log = world.cluster.log();
    assert!(!log.contains("does not exist"), "{log}");
}

#[test]
fn by_default_workers_leave_room_among_the_servers_processes() {
    // What PostgreSQL gives itself: parallel queries take from it too.
    let world = World::new(
        ClusterOptions::default().with("max_worker_processes", 8).with("max_connections", 200),
    );
    let sites: Vec<_> = (0..6).map(|_| world.site("{}")).collect();
    wait::until(SOON, "the complaint", || {
        world.cluster.log().contains("pg_spamcheck.max_workers is too small")
    });
    assert!(!world.cluster.log().contains("max_worker_processes is too small"));
    let mut superuser = world.cluster.connect("postgres", SUPERUSER);
    superuser
        .batch_execute(
            "SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
             SET min_parallel_table_scan_size = 0; CREATE TABLE wide AS SELECT n FROM generate_series(1, 10000) n",
        )
        .expect("it is set");
    let explain = "EXPLAIN (ANALYZE, COSTS OFF, FORMAT JSON) SELECT count(*) FROM wide";
    let plan: serde_json::Value = superuser.query_one(explain, &[]).expect("a plan").get(0);
    let plan = plan.to_string();
    assert!(plan.contains("\"Workers Launched\":2"), "{plan}");
    drop(sites);
}

#[test]
fn too_few_worker_processes_are_complained_about_and_nothing_is_lost() {
    // The logical replication launcher takes one, the launcher another.
    let world = World::new(ClusterOptions::default().with("max_worker_processes", "2"));
    let mut site = world.site("{}");
    site.comment("akismet-guaranteed-spam");
    wait::until(SOON, "the complaint", || {
        world.cluster.log().contains("max_worker_processes is too small")
    });
    let worker = "SELECT state || message FROM spamcheck.health() WHERE item = 'worker'";
    let health = site.get(worker);
    assert!(health.starts_with("error") && health.contains("max_worker_processes"), "{health}");
    world.cluster.set("max_worker_processes", "8");
    world.cluster.restart();
    site.client = site.database.client();
    site.until_all_answered();
    assert_eq!(site.get("SELECT status FROM comments"), "spam");
}
