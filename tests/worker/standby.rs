//! A hot standby: the worker is idle there, and takes over what the primary left when it is promoted.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use postgres::{Client, NoTls};
use support::cluster::{Cluster, ClusterOptions, SUPERUSER};
use support::http::Reply;
use support::{ports, wait};

use crate::site::{SOON, World};

/// A copy of a cluster that follows it. It stops when it is dropped; its folder goes with the cluster's.
struct Standby<'c> {
    primary: &'c Cluster,
    data: PathBuf,
    port: u16,
}

impl<'c> Standby<'c> {
    fn of(primary: &'c Cluster) -> Standby<'c> {
        let standby =
            Standby { primary, data: primary.folder().join("standby"), port: ports::free() };
        let mut copy = primary.program("pg_basebackup");
        copy.arg("-D").arg(&standby.data).args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]);
        run(&mut copy);
        let mut start = standby.pg_ctl();
        // The server's output must not keep a pipe of ours open.
        start.arg("-l").arg(primary.folder().join("standby.log"));
        start.args(["-o", &format!("-p {}", standby.port), "-w", "start"]);
        start.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(start.status().expect("pg_ctl can be started").success(), "{}", standby.log());
        standby
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.primary.program("pg_ctl");
        command.arg("-D").arg(&self.data);
        command
    }

    fn promote(&self) {
        run(self.pg_ctl().args(["-w", "promote"]));
    }

    fn connect(&self, database: &str) -> Client {
        let mut config = postgres::Config::new();
        config.host_path(self.primary.socket_folder()).port(self.port).user(SUPERUSER);
        config
            .dbname(database)
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.primary.folder().join("standby.log")).unwrap_or_default()
    }
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        let mut stop = self.pg_ctl();
        stop.args(["-m", "immediate", "-w", "stop"]).stdout(Stdio::null()).stderr(Stdio::null());
        // It may not run any more.
        let _ = stop.status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn get(client: &mut Client, query: &str) -> String {
    let rows = client.query(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}"));
    rows.first().map(|row| row.get(0)).unwrap_or_default()
}

#[test]
fn a_standby_is_idle_and_a_promoted_one_finishes_what_the_primary_left() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "hold"}"#);
    let failing = site.answer("", Reply::status(500));
    site.comment("akismet-guaranteed-spam");
    site.comment("ham");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NOT NULL", "2");
    let standby = Standby::of(&world.cluster);
    let mut client = standby.connect(site.database.name());
    // What comes later is replicated too.
    site.comment("ham that was streamed");
    let rows = "SELECT count(*)::text FROM comments WHERE status = 'pending'";
    wait::until(SOON, "the streamed row", || get(&mut client, rows) == "3");
    let processes =
        "SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'pg_spamcheck worker'";
    assert_eq!(get(&mut client, processes), "0");
    let health = "SELECT state || ' ' || message FROM spamcheck.health() WHERE item = 'worker'";
    let health = get(&mut client, health);
    assert!(health.starts_with("ok") && health.contains("standby"), "{health}");
    // The reading side works there.
    assert_eq!(get(&mut client, "SELECT count(*)::text FROM spamcheck.recent"), "0");
    assert_eq!(get(&mut client, "SELECT (count(*) > 3)::text FROM spamcheck.checks"), "true");
    let insert = client.execute("INSERT INTO comments (body) VALUES ('x')", &[]);
    let error = insert.expect_err("it is read-only");
    assert!(
        error.to_string().contains("db error") && format!("{error:?}").contains("read-only"),
        "{error:?}"
    );

    world.cluster.kill9();
    let asked = site.requests().len();
    let idle =
        wait::poll(Duration::from_millis(1500), || (site.requests().len() > asked).then_some(()));
    assert!(idle.is_none(), "the standby asks by itself");
    failing.off();
    standby.promote();
    let left = "SELECT count(*)::text FROM spamcheck.lookup";
    let done = wait::poll(SOON, || (get(&mut client, left) == "0").then_some(()));
    assert!(done.is_some(), "{}", standby.log());
    let statuses = "SELECT string_agg(status, ' ' ORDER BY id) FROM comments";
    assert_eq!(get(&mut client, statuses), "spam approved approved");
    assert_eq!(get(&mut client, "SELECT count(*)::text FROM spamcheck.spam_checklog"), "1");
    let insert =
        "INSERT INTO comments (body, ip) VALUES ('akismet-guaranteed-spam', '203.0.113.7')";
    client.execute(insert, &[]).expect("it is a primary now");
    wait::until(SOON, "a verdict on the new primary", || {
        get(&mut client, statuses) == "spam approved approved spam"
    });
}
