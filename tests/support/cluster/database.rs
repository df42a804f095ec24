//! One test's database in a cluster: created with the extension, dropped when the test is over. Keeps
//! the tests of one server apart; it adds nothing to what a connection can do.

use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, Config, NoTls};

use super::{Cluster, SUPERUSER};

/// A database of its own for one test.
pub struct Database<'c> {
    cluster: &'c Cluster,
    name: String,
}

impl Cluster {
    /// A new database with the extension created in it.
    pub fn database(&self) -> Database<'_> {
        let database = self.empty_database();
        let mut client = database.client();
        client
            .batch_execute("CREATE EXTENSION pg_spamcheck")
            .unwrap_or_else(|error| panic!("CREATE EXTENSION pg_spamcheck: {error:?}"));
        database
    }

    /// A new database without the extension.
    pub fn empty_database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        // template0: nobody can be connected to it, so tests can create databases at the same time.
        self.superuser(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Database { cluster: self, name }
    }
}

impl<'c> Database<'c> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> &'c Cluster {
        self.cluster
    }

    /// Connects as the superuser.
    pub fn client(&self) -> Client {
        self.client_as(SUPERUSER)
    }

    /// Connects as `user`. Roles are the cluster's: give them names that no other test uses.
    pub fn client_as(&self, user: &str) -> Client {
        self.cluster.connect(&self.name, user)
    }

    /// Connects as `user` with start-up options, such as `-c search_path=`.
    pub fn client_with(&self, user: &str, options: &str) -> Client {
        let mut config: Config = self.cluster.config(&self.name, user);
        config.options(options).connect(NoTls).unwrap_or_else(|error| {
            panic!("cannot connect to {} as {user} with {options}: {error}", self.name)
        })
    }

    /// Runs a script in psql as the superuser; the rows, unaligned.
    pub fn psql(&self, script: &str) -> String {
        self.cluster.psql(&self.name, script)
    }

    /// The process id of pg_spamcheck's worker for this database, while it has one.
    pub fn worker_pid(&self) -> Option<u32> {
        self.cluster.worker_pid(&self.name)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The test may have stopped the server or dropped the database itself, and a panic here,
        // during another one, would hide that one's message.
        if let Ok(mut client) = self.cluster.config("postgres", SUPERUSER).connect(NoTls) {
            let _ = client
                .batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
