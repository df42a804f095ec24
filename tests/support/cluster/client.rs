//! The ways into a running cluster: connections, psql, PostgreSQL's other programs, and settings that
//! are changed through them. Starting and stopping are not done here.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use postgres::{Client, Config, NoTls};

use super::{Cluster, SUPERUSER, programs};
use crate::wait;

const RELOAD_LIMIT: Duration = Duration::from_secs(30);

impl Cluster {
    /// Connects over the Unix socket.
    pub fn connect(&self, database: &str, user: &str) -> Client {
        self.config(database, user).connect(NoTls).unwrap_or_else(|error| {
            panic!("cannot connect to {database} as {user}: {error}\n{}", self.log_end())
        })
    }

    /// What [`Cluster::connect`] connects with, for callers that add start-up options.
    pub fn config(&self, database: &str, user: &str) -> Config {
        let mut config = Config::new();
        config.host_path(self.socket_folder()).port(self.port()).dbname(database).user(user);
        config
    }

    /// One of PostgreSQL's programs (`pg_dump`, `pgbench`, …) as the server's account runs it, with
    /// the variables set that lead it to this server.
    pub fn program(&self, name: &str) -> Command {
        let mut command = programs::command(programs::bindir().join(name), &self.folder);
        command
            .env("PGHOST", self.socket_folder())
            .env("PGPORT", self.port().to_string())
            .env("PGUSER", SUPERUSER)
            .env("PGDATABASE", "postgres");
        command
    }

    /// Runs a script in psql as the superuser, stopping at the first error; the rows, unaligned.
    pub fn psql(&self, database: &str, script: &str) -> String {
        let output = self.psql_output(database, SUPERUSER, script);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql failed: {errors}\n{script}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_string()
    }

    /// Runs a script in psql as `user`: rows and errors as that user sees them.
    pub fn psql_output(&self, database: &str, user: &str, script: &str) -> Output {
        let mut psql = self.program("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-U", user]);
        psql.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = psql.spawn().expect("psql can be started");
        let mut stdin = child.stdin.take().expect("it was piped");
        let script = script.to_string();
        // psql may write more than a pipe holds before it has read all.
        let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
        let output = child.wait_with_output().expect("psql runs");
        // psql that stops at an error leaves the rest of its script unread.
        let _ = writer.join();
        output
    }

    /// The process id of pg_spamcheck's worker for a database, while it has one.
    pub fn worker_pid(&self, database: &str) -> Option<u32> {
        let row = self
            .connect("postgres", SUPERUSER)
            .query_opt(
                "SELECT pid FROM pg_stat_activity
                 WHERE backend_type = 'pg_spamcheck worker' AND datname = $1",
                &[&database],
            )
            .expect("at most one worker a database");
        row.map(|row| row.get::<_, i32>(0).cast_unsigned())
    }

    /// Sets a server setting as `ALTER SYSTEM` does, and reloads.
    pub fn set(&self, name: &str, value: &str) {
        let value = value.replace('\'', "''");
        self.superuser(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.reload();
    }

    /// Takes a setting of [`Cluster::set`] back, and reloads.
    pub fn reset(&self, name: &str) {
        self.superuser(&format!("ALTER SYSTEM RESET {name}"));
        self.reload();
    }

    /// Reloads the configuration and waits until new sessions have it. Sessions and workers that
    /// run already follow on their own a moment later.
    pub fn reload(&self) {
        let loaded_at = |cluster: &Cluster| -> String {
            let mut client = cluster.connect("postgres", SUPERUSER);
            client.query_one("SELECT pg_conf_load_time()::text", &[]).expect("a query").get(0)
        };
        let before = loaded_at(self);
        self.superuser("SELECT pg_reload_conf()");
        wait::until(RELOAD_LIMIT, "the reload", || loaded_at(self) != before);
    }

    pub(super) fn superuser(&self, statement: &str) {
        let mut client = self.connect("postgres", SUPERUSER);
        client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}
