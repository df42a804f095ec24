//! A throw-away PostgreSQL server: its own folder, port and socket, started with pg_spamcheck
//! preloaded, and gone without a trace when its [`Cluster`] is dropped or this process ends in any
//! way. Owns starting, stopping, crashing and configuring it; it knows nothing of what tests do.

mod client;
mod database;
mod folder;
mod options;
mod programs;
mod watchdog;

pub use database::Database;
pub use options::{ClusterOptions, StopMode};
pub use programs::{account, bindir, children, signal};

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::{ports, wait};
use folder::{fresh_folder, give};
use watchdog::Watchdog;

/// The superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A running (or stopped) throw-away server. All methods panic with a sentence and the end of the
/// server's log when the server does not do what is asked.
pub struct Cluster {
    folder: PathBuf,
    port: AtomicU16,
    options: ClusterOptions,
    postmaster: Mutex<Option<Child>>,
    // The field that is dropped last: it stops the server and removes the folder.
    _watchdog: Watchdog,
}

impl Cluster {
    /// Creates a cluster and waits until it takes connections.
    pub fn start(options: ClusterOptions) -> Cluster {
        let folder = fresh_folder();
        let watchdog = Watchdog::over(&folder);
        let cluster = Cluster {
            folder,
            port: AtomicU16::new(ports::free()),
            options,
            postmaster: Mutex::new(None),
            _watchdog: watchdog,
        };
        let initdb = cluster
            .program("initdb")
            .args(["-D", "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"])
            .output()
            .expect("initdb can be started");
        assert!(
            initdb.status.success(),
            "initdb failed: {}{}",
            String::from_utf8_lossy(&initdb.stdout),
            String::from_utf8_lossy(&initdb.stderr)
        );
        // Another process can take the port between our look and the server's bind.
        for _ in 0..5 {
            cluster.write_settings();
            if cluster.launch() {
                return cluster;
            }
            cluster.port.store(ports::free(), Ordering::Relaxed);
        }
        panic!("the server found no free port\n{}", cluster.log_end());
    }

    /// The cluster that all tests of one binary share, started on first use. It has the extension
    /// preloaded; each test takes a [`Database`] of its own from it.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        // Every test has a database, and each of them a worker.
        SHARED.get_or_init(|| {
            Cluster::start(ClusterOptions::default().with("pg_spamcheck.max_workers", 32))
        })
    }

    /// Starts the server again after `stop` or `kill9`, on the same port.
    pub fn start_again(&self) {
        assert!(self.launch(), "the port {} was taken meanwhile\n{}", self.port(), self.log_end());
    }

    /// Stops the server and says how long that took.
    pub fn stop(&self, mode: StopMode) -> Duration {
        let mut postmaster = self.postmaster.lock().unwrap();
        let Some(mut child) = postmaster.take() else { return Duration::ZERO };
        let start = Instant::now();
        signal(mode.signal(), &[child.id()]);
        let gone = wait::poll(STOP_LIMIT, || child.try_wait().expect("the server is our child"));
        assert!(
            gone.is_some(),
            "the server did not stop within {STOP_LIMIT:?}\n{}",
            self.log_end()
        );
        start.elapsed()
    }

    /// A fast stop and a start.
    pub fn restart(&self) {
        self.stop(StopMode::Fast);
        self.start_again();
    }

    /// Kills the server and every process of it with SIGKILL, as a crash of the machine would.
    pub fn kill9(&self) {
        let mut postmaster = self.postmaster.lock().unwrap();
        let Some(mut child) = postmaster.take() else { return };
        // Stopped first: a process that it starts after the count would live on, attached to memory
        // that the next start finds in use.
        signal("STOP", &[child.id()]);
        let family = children(child.id());
        signal("KILL", &[child.id()]);
        signal("KILL", &family);
        child.wait().expect("the server is our child");
        // Those that are still dying hold the memory that the next start would find in use.
        let dead = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            state.is_empty() || state.starts_with(['Z', 'X'])
        };
        wait::until(START_LIMIT, "the killed processes to be gone", || family.iter().all(dead));
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// The process id of the running server.
    pub fn postmaster_pid(&self) -> u32 {
        let postmaster = self.postmaster.lock().unwrap();
        postmaster.as_ref().expect("the server runs").id()
    }

    /// Writes the file of `pg_spamcheck.secrets_file` (mode 0600, owned by the server's account) and
    /// says where it is. The caller sets the setting.
    pub fn write_secrets(&self, secrets: &serde_json::Value) -> PathBuf {
        let path = self.folder.join("secrets.json");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .expect("the folder can be written");
        file.write_all(secrets.to_string().as_bytes()).expect("the secrets can be written");
        give(&path);
        path
    }

    /// The port on 127.0.0.1, and of the socket.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// The cluster's folder; what is put there goes with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder of the Unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn write_settings(&self) {
        let mut lines = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             shared_preload_libraries = '{}'\nmax_worker_processes = 64\n\
             log_line_prefix = '%m [%p] %b %q%u@%d '\n",
            self.port(),
            self.socket_folder().display(),
            self.options.preload
        );
        if !self.options.fsync {
            lines.push_str("fsync = off\nfull_page_writes = off\n");
        }
        for (name, value) in &self.options.settings {
            lines.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        fs::write(self.data_folder().join("postgresql.conf"), lines)
            .expect("the data folder can be written");
    }

    /// Starts the server and waits for its first connection; false when its port is taken.
    fn launch(&self) -> bool {
        let mut postmaster = self.postmaster.lock().unwrap();
        assert!(postmaster.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.log_file());
        let log = log.expect("the log can be written");
        give(&self.log_file());
        let before = self.log().len();
        let mut child = self
            .program("postgres")
            .args(["-D", "data"])
            .envs(self.options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("postgres can be started");
        let ready = wait::poll(START_LIMIT, || {
            let gone = child.try_wait().expect("the server is our child").is_some();
            if gone || self.config("postgres", SUPERUSER).connect(NoTls).is_ok() {
                return Some(!gone);
            }
            None
        });
        match ready {
            Some(true) => {
                *postmaster = Some(child);
                true
            }
            Some(false) if self.log()[before..].contains("Address already in use") => false,
            Some(false) => panic!("the server did not start\n{}", self.log_end()),
            None => {
                panic!("the server took no connection within {START_LIMIT:?}\n{}", self.log_end())
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let postmaster = self.postmaster.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(mut child) = postmaster.take() {
            signal(StopMode::Immediate.signal(), &[child.id()]);
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests;
