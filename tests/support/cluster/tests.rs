//! Proves that a cluster does what its users rely on, above all that nothing of it stays behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(20);

fn plain() -> &'static Cluster {
    static PLAIN: OnceLock<Cluster> = OnceLock::new();
    PLAIN.get_or_init(|| Cluster::start(ClusterOptions::plain().with("work_mem", "7MB")))
}

fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[test]
fn databases_are_apart_and_go_with_their_test() {
    let cluster = plain();
    let (one, other) = (cluster.empty_database(), cluster.empty_database());
    one.client().batch_execute("CREATE TABLE t AS SELECT 7 AS n").unwrap();
    assert_eq!(one.psql("SELECT n FROM t"), "7");
    assert!(other.client().query("SELECT n FROM t", &[]).is_err());
    let name = one.name().to_string();
    drop(one);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(cluster.psql("postgres", &left), "0");
}

#[test]
fn a_setting_is_in_force_when_set_returns_and_gone_after_reset() {
    let cluster = plain();
    cluster.set("vacuum_cost_limit", "321");
    assert_eq!(cluster.psql("postgres", "SHOW vacuum_cost_limit"), "321");
    cluster.reset("vacuum_cost_limit");
    assert_eq!(cluster.psql("postgres", "SHOW vacuum_cost_limit"), "200");
    assert_eq!(cluster.psql("postgres", "SHOW work_mem"), "7MB");
}

#[test]
fn psql_stops_at_an_error_and_shows_it() {
    let output = plain().psql_output("postgres", SUPERUSER, "SELECT 1;\nSELECT 1/0;\nSELECT 2;");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("division by zero"));
}

#[test]
fn start_up_options_reach_the_session() {
    let database = plain().empty_database();
    let mut client = database.client_with(SUPERUSER, "-c search_path=");
    let path: String = client.query_one("SHOW search_path", &[]).unwrap().get(0);
    assert_eq!(path, "");
}

#[test]
fn what_was_committed_survives_a_kill_of_every_process() {
    let cluster = Cluster::start(ClusterOptions::plain());
    let mut client = cluster.connect("postgres", SUPERUSER);
    client.batch_execute("CREATE TABLE t AS SELECT 7 AS n").unwrap();
    let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let pid = cluster.postmaster_pid();
    cluster.kill9();
    until(SOON, "the end of its processes", || !runs(pid) && !runs(backend.cast_unsigned()));
    cluster.start_again();
    assert_ne!(cluster.postmaster_pid(), pid);
    assert_eq!(cluster.psql("postgres", "SELECT n FROM t"), "7");
    assert!(cluster.log().contains("automatic recovery in progress"));
}

#[test]
fn a_stop_takes_the_time_it_says_and_a_restart_keeps_the_port() {
    let cluster = Cluster::start(ClusterOptions::plain());
    let port = cluster.port();
    assert!(cluster.stop(StopMode::Fast) > Duration::ZERO);
    assert_eq!(cluster.stop(StopMode::Fast), Duration::ZERO);
    cluster.start_again();
    assert_eq!(cluster.psql("postgres", "SHOW port"), port.to_string());
}

#[test]
fn secrets_are_the_servers_alone() {
    let cluster = plain();
    let path = cluster.write_secrets(&serde_json::json!({"akismet": "123YourAPIKey"}));
    let found = fs::metadata(&path).unwrap();
    assert_eq!(found.mode() & 0o777, 0o600);
    assert_eq!(found.uid(), account().uid);
    let read = format!("SELECT pg_read_file('{}')::json->>'akismet'", path.display());
    assert_eq!(cluster.psql("postgres", &read), "123YourAPIKey");
}

#[test]
fn the_server_has_a_bare_environment() {
    let cluster = plain();
    let environ = fs::read(format!("/proc/{}/environ", cluster.postmaster_pid())).unwrap();
    let environ = String::from_utf8_lossy(&environ);
    assert!(!environ.contains("RUST_BACKTRACE"), "{environ}");
    assert!(!environ.contains("CARGO"), "{environ}");
}

#[test]
fn a_dropped_cluster_leaves_nothing_also_when_its_test_panics() {
    let (pid, folder) = thread::spawn(|| {
        let cluster = Cluster::start(ClusterOptions::plain());
        let seen = (cluster.postmaster_pid(), cluster.folder().to_path_buf());
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            assert!(cluster.data_folder().exists());
            std::panic::resume_unwind(Box::new("as a failing test would"));
        }));
        assert!(unwound.is_err());
        seen
    })
    .join()
    .unwrap();
    assert!(!runs(pid));
    assert!(!folder.exists());
}

#[test]
fn a_killed_process_leaves_nothing() {
    // The test runs itself in a second process, which is then killed in the midst of it.
    const ROLE: &str = "SPAMCHECK_TEST_TO_BE_KILLED";
    const NAME: &str = "cluster::tests::a_killed_process_leaves_nothing";
    if std::env::var_os(ROLE).is_some() {
        let cluster = Cluster::start(ClusterOptions::plain());
        println!("started {} {}", cluster.postmaster_pid(), cluster.folder().display());
        loop {
            thread::park();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", NAME])
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let (pid, folder) = std::io::BufRead::lines(stdout)
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, started) = line.split_once("started ")?;
            let (pid, folder) = started.split_once(' ')?;
            Some((pid.parse().ok()?, folder.to_string()))
        })
        .expect("it says what it started");
    assert!(runs(pid) && Path::new(&folder).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    until(SOON, "the watchdog", || !runs(pid) && !Path::new(&folder).exists());
}
