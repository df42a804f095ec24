//! What crashes, kills and restarts do to lookups: nothing.

use std::fs;
use std::time::Duration;

use support::cluster::{ClusterOptions, StopMode, children, signal};
use support::wait;

use crate::gate::Gate;
use crate::load::{reckon, under_load};
use crate::site::{SOON, Site, World};

fn world() -> World {
    let world = World::new(ClusterOptions::default());
    world.akismet.set_latency(Duration::from_millis(20));
    world
}

/// The worker of a site's database, once it runs.
fn worker_pid(site: &Site<'_>) -> u32 {
    wait::found(SOON, "the worker", || site.database.worker_pid())
}

/// A fresh connection: the former one went down with the server.
fn reconnect(site: &mut Site<'_>) {
    site.client = site.database.client();
}

#[test]
fn nothing_is_lost_or_doubled_when_the_worker_is_killed() {
    let world = world();
    let mut site = world.site(r#"{"mode": "hold"}"#);
    let stored = under_load(&world.cluster, site.database.name(), |load| {
        for _ in 0..3 {
            load.go_on(50);
            let pid = worker_pid(&site);
            signal("KILL", &[pid]);
            wait::until(SOON, "its end", || !fs::exists(format!("/proc/{pid}")).unwrap_or(true));
        }
        load.go_on(20);
    });
    reconnect(&mut site);
    reckon(&mut site, &stored);
}

#[test]
fn nothing_is_lost_or_doubled_when_backends_are_killed() {
    let world = world();
    let mut site = world.site(r#"{"mode": "hold"}"#);
    let stored = under_load(&world.cluster, site.database.name(), |load| {
        for _ in 0..3 {
            load.go_on(50);
            let victim = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT%' LIMIT 1";
            let pid = wait::found(SOON, "a busy client", || {
                world.cluster.psql("postgres", victim).parse::<u32>().ok()
            });
            signal("KILL", &[pid]);
        }
        load.go_on(20);
    });
    reconnect(&mut site);
    reckon(&mut site, &stored);
}

#[test]
fn nothing_is_lost_or_doubled_when_the_whole_server_is_killed() {
    let world = world();
    let mut site = world.site(r#"{"mode": "hold"}"#);
    let stored = under_load(&world.cluster, site.database.name(), |load| {
        for _ in 0..3 {
            load.go_on(50);
            world.cluster.kill9();
            world.cluster.start_again();
        }
        load.go_on(20);
    });
    reconnect(&mut site);
    reckon(&mut site, &stored);
}

#[test]
fn nothing_is_lost_or_doubled_by_restarts_of_either_kind() {
    let world = world();
    let mut site = world.site(r#"{"mode": "hold"}"#);
    let stored = under_load(&world.cluster, site.database.name(), |load| {
        for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Fast] {
            load.go_on(50);
            world.cluster.stop(mode);
            world.cluster.start_again();
        }
        load.go_on(20);
    });
    reconnect(&mut site);
    reckon(&mut site, &stored);
}

#[test]
fn a_worker_that_is_terminated_again_and_again_is_back_each_time() {
    let world = world();
    let mut site = world.site("{}");
    let mut former = 0;
    for round in 0..10 {
        let back = wait::poll(Duration::from_secs(5), || {
            let pid = site.database.worker_pid().filter(|pid| *pid != former)?;
            let terminated = site.get(&format!("SELECT pg_terminate_backend({pid})"));
            (terminated == "true").then_some(pid)
        });
        former = back.unwrap_or_else(|| panic!("no worker five seconds after termination {round}"));
    }
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_launcher_that_is_terminated_is_back_and_goes_on() {
    let world = world();
    let mut site = world.site("{}");
    worker_pid(&site);
    let launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_spamcheck launcher'";
    let former = site.get(launcher);
    site.run(&format!("SELECT pg_terminate_backend({former})"));
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_spamcheck launcher'";
    site.until(&format!("{running} AND pid <> {former}"), "1");
    // It starts workers where they are wanted, and only one in a database.
    let mut other = world.site("{}");
    other.comment("akismet-guaranteed-spam");
    other.until_all_answered();
    let former = worker_pid(&site);
    site.run(&format!("SELECT pg_terminate_backend({former})"));
    let id = site.comment("akismet-guaranteed-spam");
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM pg_stat_activity
                 WHERE backend_type = 'pg_spamcheck worker' GROUP BY datid) x";
    assert_eq!(site.get(most), "1");
}

#[test]
fn what_was_queued_or_running_at_a_restart_is_asked_again_at_once() {
    for mode in [StopMode::Fast, StopMode::Immediate] {
        let gate = Gate::new(ClusterOptions::default().with("pg_spamcheck.max_in_flight", "3"));
        let mut site = gate.site(r#"{"mode": "hold"}"#);
        let texts: Vec<String> = (0..40).map(|n| format!("row {n} at {mode:?}")).collect();
        let insert =
            "INSERT INTO comments (body, ip) SELECT b, '203.0.113.7' FROM unnest($1::text[]) b";
        site.client.execute(insert, &[&texts]).expect("they are taken");
        site.until("SELECT in_flight FROM spamcheck.stat_worker", "3");
        let both = "SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM spamcheck.lookup";
        assert_eq!(site.get(both), "queued running");
        gate.cluster.stop(mode);
        gate.cluster.start_again();
        reconnect(&mut site);
        for (n, text) in texts.iter().enumerate() {
            gate.say(text, n % 2 == 0);
        }
        site.until_all_answered();
        let statuses = "SELECT string_agg(n || status, ' ' ORDER BY status)
                          FROM (SELECT status, count(*) AS n FROM comments GROUP BY status) s";
        assert_eq!(site.get(statuses), "20approved 20spam", "{mode:?}");
        assert_eq!(site.log().len(), 20);
    }
}

#[test]
fn all_processes_end_with_the_postmaster_also_while_a_request_hangs() {
    let gate = Gate::new(ClusterOptions::default());
    let mut site = gate.site("{}");
    site.comment("hangs when the postmaster dies");
    gate.until_asked("hangs when the postmaster dies");
    let pid = gate.cluster.postmaster_pid();
    let family = children(pid);
    assert!(family.contains(&worker_pid(&site)));
    signal("KILL", &[pid]);
    wait::until(SOON, "the end of all processes", || {
        family.iter().all(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
    });
    gate.cluster.kill9();
    gate.cluster.start_again();
    reconnect(&mut site);
    gate.say("hangs when the postmaster dies", true);
    site.until_all_answered();
    assert_eq!(site.get("SELECT status FROM comments"), "spam");
}

#[test]
fn a_fast_shutdown_does_not_wait_for_requests_that_hang() {
    const ROUNDS: usize = 5;
    let gate = Gate::new(ClusterOptions::default());
    let mut site = gate.site("{}");
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let text = format!("hangs at shutdown {round}");
        site.run(&format!(
            "INSERT INTO comments (body, ip) SELECT '{text}', '203.0.113.7' FROM generate_series(1, 100)"
        ));
        gate.until_asked(&text);
        site.until("SELECT in_flight FROM spamcheck.stat_worker", "64");
        // The checkpoint at the end is not what is measured.
        site.run("CHECKPOINT");
        times.push(gate.cluster.stop(StopMode::Fast));
        gate.cluster.start_again();
        reconnect(&mut site);
        gate.say(&text, false);
        site.until_all_answered();
    }
    println!("fast shutdowns with 64 requests out took {times:?}");
    let quickest = times.iter().min().expect("there are some");
    assert!(*quickest < Duration::from_millis(200), "{times:?}");
    // The others shared the machine with whatever else was running.
    assert!(times.iter().all(|time| *time < Duration::from_secs(5)), "{times:?}");
}

#[test]
fn a_smart_shutdown_waits_for_clients_but_not_for_requests_that_hang() {
    let gate = Gate::new(ClusterOptions::default());
    let mut site = gate.site("{}");
    site.comment("hangs at a smart shutdown");
    gate.until_asked("hangs at a smart shutdown");
    let Site { client, database, .. } = site;
    drop(client);
    let time = gate.cluster.stop(StopMode::Smart);
    assert!(time < Duration::from_secs(5), "{time:?}");
    gate.say("hangs at a smart shutdown", true);
    gate.cluster.start_again();
    let mut client = database.client();
    let status = "SELECT status FROM comments";
    wait::until(SOON, "the verdict after the restart", || {
        client.query_one(status, &[]).expect("a row").get::<_, String>(0) == "spam"
    });
}
