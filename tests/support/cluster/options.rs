//! How a cluster is set up and how it is stopped: plain data, and what each value means.

/// How a cluster is set up.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// `shared_preload_libraries`; empty for a server without the extension.
    pub preload: String,
    /// Whether writes reach the disk. Only a benchmark of commits wants that: a killed server loses
    /// nothing without it, only a machine that loses its power does.
    pub fsync: bool,
    /// Further settings, as `postgresql.conf` takes them, in the order given: the last one wins.
    pub settings: Vec<(String, String)>,
    /// Further variables of the server's environment, which is otherwise bare.
    pub environment: Vec<(String, String)>,
}

impl Default for ClusterOptions {
    fn default() -> ClusterOptions {
        ClusterOptions {
            preload: "pg_spamcheck".into(),
            fsync: false,
            settings: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl ClusterOptions {
    /// A server without the extension.
    pub fn plain() -> ClusterOptions {
        ClusterOptions { preload: String::new(), ..ClusterOptions::default() }
    }

    /// Adds a setting.
    pub fn with(mut self, name: &str, value: impl ToString) -> ClusterOptions {
        self.settings.push((name.into(), value.to_string()));
        self
    }
}

/// How a server is asked to stop, named as `pg_ctl stop -m` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for the clients to leave.
    Smart,
    /// Ends their sessions.
    Fast,
    /// Without a checkpoint: the next start recovers.
    Immediate,
}

impl StopMode {
    pub(super) fn signal(self) -> &'static str {
        match self {
            StopMode::Smart => "TERM",
            StopMode::Fast => "INT",
            StopMode::Immediate => "QUIT",
        }
    }
}
