//! What the worker does not do: no transaction while a request is out, no statement while there is
//! nothing to do, no request to where it must not go.

use std::time::Duration;

use support::akismet::{Akismet, Endpoint};
use support::cluster::ClusterOptions;
use support::http::{Reply, Server};
use support::measure::Usage;
use support::wait;

use crate::gate::Gate;
use crate::site::{SOON, World};

#[test]
fn no_transaction_is_open_while_a_request_is_out() {
    let gate = Gate::shared();
    let mut site = gate.site("{}");
    let text = "asked without a transaction";
    site.comment(text);
    gate.until_asked(text);
    site.until("SELECT in_flight FROM spamcheck.stat_worker", "1");
    let worker = "SELECT concat_ws(' ', backend_type, state, xact_start, backend_xmin, backend_xid)
                    FROM pg_stat_activity WHERE backend_type = 'pg_spamcheck worker' AND datname = current_database()";
    // When the request has left, the worker looks once when the next one is due.
    let mut is_idle = || site.get(worker) == "pg_spamcheck worker idle";
    wait::until(SOON, "an idle worker", || (0..20).all(|_| is_idle()));
    for _ in 0..200 {
        let seen = site.get(worker);
        assert!(seen == "pg_spamcheck worker idle", "{seen}");
    }
    assert_eq!(site.get("SELECT state FROM spamcheck.lookup"), "running");
    gate.say(text, false);
    site.until_all_answered();
}

#[test]
fn a_lookup_that_somebody_has_locked_is_waited_for_without_haste() {
    let mut site = World::shared().site("{}");
    site.run(
        "BEGIN; INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', 'locked');
         UPDATE spamcheck.lookup SET next_at = clock_timestamp() + interval '1 second'; COMMIT",
    );
    let mut other = site.database.client();
    other.batch_execute("BEGIN; SELECT FROM spamcheck.lookup FOR UPDATE").expect("it is free");
    site.until("SELECT next_at < clock_timestamp() FROM spamcheck.lookup", "true");
    let worker = site.database.worker_pid().expect("it runs");
    let cpu = || Usage::of(worker).expect("it still runs").cpu;
    let before = cpu();
    wait::poll(Duration::from_millis(1_500), || None::<()>);
    let used = cpu() - before;
    assert!(used < 0.6, "{used} of 1.5 seconds");
    assert!(site.requests().is_empty());
    other.batch_execute("COMMIT").expect("it is still there");
    site.until_all_answered();
}

#[test]
fn the_processes_have_their_names() {
    let mut site = World::shared().site("{}");
    site.comment("hello");
    site.until_all_answered();
    let names =
        "SELECT string_agg(DISTINCT backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity
                  WHERE backend_type LIKE '%spam%'";
    assert_eq!(site.get(names), "pg_spamcheck launcher, pg_spamcheck worker");
    let launcher =
        "SELECT datname IS NULL FROM pg_stat_activity WHERE backend_type = 'pg_spamcheck launcher'";
    assert_eq!(site.get(launcher), "true", "it is in no database's way");
}

#[test]
fn an_idle_worker_runs_no_statement() {
    let mut options = ClusterOptions::default()
        .with("pg_stat_statements.track", "all")
        .with("compute_query_id", "on");
    options.preload = "pg_spamcheck,pg_stat_statements".into();
    let world = World::new(options);
    let mut site = world.site("{}");
    site.run(
        "CREATE EXTENSION pg_stat_statements SCHEMA public;
         CREATE ROLE watcher LOGIN SUPERUSER",
    );
    let mut watcher = site.database.client_as("watcher");
    let mut seen = |reset: bool| -> Vec<String> {
        let others = "SELECT query FROM public.pg_stat_statements
                       WHERE userid <> 'watcher'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let rows = watcher.query(others, &[]).expect("it may look");
        if reset {
            watcher.execute("SELECT public.pg_stat_statements_reset()", &[]).expect("it may reset");
        }
        rows.iter().map(|row| row.get(0)).collect()
    };
    site.comment("hello");
    site.until_all_answered();
    let busy = seen(true);
    assert!(busy.iter().any(|query| query.contains("spamcheck.lookup")), "{busy:?}");
    // What a worker looks at when it has just started, and up to ten seconds after settings changed or rows
    // were remembered, comes first.
    wait::until(2 * SOON, "a worker without work", || {
        let news = wait::poll(Duration::from_secs(12), || (!seen(true).is_empty()).then_some(()));
        news.is_none()
    });
    // Several of the worker's ticks.
    let idle = wait::poll(Duration::from_secs(4), || {
        let statements = seen(false);
        (!statements.is_empty()).then_some(statements)
    });
    assert_eq!(idle, None);
    // It was asleep, not gone.
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn another_akismet_url_counts_from_the_reload_on() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    site.comment("to the first");
    site.until_all_answered();
    let second = Akismet::start();
    world.cluster.set("pg_spamcheck.akismet_url", &format!("{}/", second.url()));
    // The worker reads its configuration a moment after new sessions do; from then on all goes there.
    wait::until(SOON, "a request to the second", || {
        site.comment("where to");
        site.until_all_answered();
        second.calls(Endpoint::CommentCheck) > 0
    });
    let before = site.requests().len();
    let asked = second.requests_for(Endpoint::CommentCheck).len();
    site.comment("to the second");
    site.until_all_answered();
    assert_eq!(site.requests().len(), before);
    let requests = second.requests_for(Endpoint::CommentCheck);
    assert_eq!(requests.len(), asked + 1);
    assert_eq!(requests[asked].path(), "/1.1/comment-check", "no double slash");
}

#[test]
fn services_are_called_by_https_or_on_this_machine_only() {
    let world = World::new(ClusterOptions::default());
    let mut client = world.cluster.connect("postgres", "postgres");
    let urls = ["akismet_url", "recaptcha_url", "hcaptcha_url", "turnstile_url"];
    for name in urls {
        for bad in [
            "http://rest.akismet.com",
            "http://10.0.0.1:8080",
            "http://[2001:db8::1]/",
            "http://localhost.example.org/",
            "http://127.0.0.1.example.org/",
            "http://127.0.0.1@evil.example/",
            "http://evil.example/127.0.0.1",
            "http://evil.example#127.0.0.1",
            "https://user:secret@host/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "rest.akismet.com",
            "https://",
            "",
            "http://127.0.0.1\\@evil.example/",
            "http://127.0.0.1/\r\nX: y",
            "http://0.0.0.0/",
            "http://169.254.169.254/",
            "https://example.org/?key=1",
            "https://example.org/#fragment",
            "https://example.org:0/",
            "https://example.org:99999/",
            "https://example.org:/",
        ] {
            let bad = bad.replace('\'', "''");
            let set =
                format!("ALTER SYSTEM SET pg_spamcheck.{name} = E'{}'", bad.replace('\\', "\\\\"));
            let error = client.batch_execute(&set).expect_err(&bad);
            let error = error.as_db_error().expect("the server refuses it");
            assert!(error.detail().is_some(), "{bad}: {error:?}");
            assert!(!error.detail().unwrap_or_default().contains("secret"), "{error:?}");
        }
        for good in
            ["https://example.org", "http://127.0.0.1:81/x", "http://localhost", "http://[::1]:81/"]
        {
            let set = format!("ALTER SYSTEM SET pg_spamcheck.{name} = '{good}'");
            client.batch_execute(&set).unwrap_or_else(|error| panic!("{good}: {error:?}"));
            client
                .batch_execute(&format!("ALTER SYSTEM RESET pg_spamcheck.{name}"))
                .expect("reset");
        }
    }
}

#[test]
fn a_bad_url_in_the_configuration_file_leaves_the_former_one_in_force() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let file = world.cluster.data_folder().join("postgresql.auto.conf");
    let before = std::fs::read_to_string(&file).expect("it is there");
    let bad = format!("{before}\npg_spamcheck.akismet_url = 'http://rest.akismet.com'\n");
    std::fs::write(&file, bad).expect("it can be written");
    site.run("SELECT pg_reload_conf()");
    wait::until(SOON, "the complaint in the log", || {
        world.cluster.log().contains("invalid value for parameter \"pg_spamcheck.akismet_url\"")
    });
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.requests().len(), 1);
}

#[test]
fn a_redirect_is_not_followed_even_to_a_willing_server() {
    let elsewhere = Server::start(|_| Reply::text("true"));
    let mut site = World::shared().site("{}");
    let mut switches = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        let to = Reply::status(status)
            .header("Location", format!("{}/1.1/comment-check", elsewhere.url()));
        switches.push(site.answer(&format!("status {status}"), to));
        site.comment(&format!("status {status}"));
    }
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error LIKE '%redirect%'", "5");
    assert_eq!(elsewhere.counts().connections, 0);
    switches.iter().for_each(|switch| switch.off());
    site.until_all_answered();
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, '') FROM comments"), "approved");
}

#[test]
fn a_connection_that_the_service_closed_meanwhile_costs_no_attempt() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    for n in 0..3 {
        let id = site.comment(&format!("akismet-guaranteed-spam {n}"));
        site.until_all_answered();
        assert_eq!(site.status(id), "spam");
        world.akismet.close_connections();
        wait::until(SOON, "the end of the connections", || world.akismet.counts().open == 0);
    }
    assert_eq!(site.requests().len(), 3);
    assert_eq!(site.get("SELECT unanswered FROM spamcheck.stat_worker"), "0");
}
