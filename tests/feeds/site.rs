//! Where these tests happen: a database with a list that is fetched from a server of the test. It decides
//! nothing that a test is about.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use support::cluster::{Cluster, ClusterOptions, Database};
use support::http::{Reply, Server};
use support::wait;

/// Long enough for anything on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A server whose workers fetch from loopback.
pub fn open() -> &'static Cluster {
    static OPEN: OnceLock<Cluster> = OnceLock::new();
    OPEN.get_or_init(|| {
        Cluster::start(ClusterOptions::default().with("pg_spamcheck.allow_private_hosts", "on"))
    })
}

/// A text of that many domains.
pub fn domains(count: usize) -> String {
    (0..count).map(|n| format!("bad{n}.example\n")).collect()
}

pub struct Site {
    pub client: Client,
    pub database: Database<'static>,
    pub source: Server,
}

impl Site {
    /// A database with the list `url_block`, of domains, whose source answers like this; not set yet.
    pub fn new(reply: Reply) -> Site {
        let source = Server::start(move |_| reply.clone());
        let database = open().database();
        Site { client: database.client(), database, source }
    }

    /// Has the list fetched, every so often.
    #[track_caller]
    pub fn fetch_every(&mut self, refresh: &str) {
        let url = self.source.url();
        self.run(&format!(
            "UPDATE spamcheck.list SET source_url = '{url}/list.txt', refresh = {refresh} WHERE name = 'url_block'"
        ));
    }

    /// Has it fetched now, as a person would ask for it; then waits until that is done.
    #[track_caller]
    pub fn fetch_anew(&mut self) {
        self.run("UPDATE spamcheck.list SET refreshed_at = NULL WHERE name = 'url_block'");
        self.until(
            "SELECT refreshed_at IS NOT NULL FROM spamcheck.list WHERE name = 'url_block'",
            "true",
        );
    }

    /// Makes it due after so long.
    #[track_caller]
    pub fn make_due(&mut self, after: &str) {
        self.run(&format!(
            "UPDATE spamcheck._source SET next_at = now() + interval '{after}' WHERE list = 'url_block';
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE backend_type = 'pg_spamcheck worker' AND datname = current_database()"
        ));
    }

    /// Makes it due and waits until the worker has asked.
    #[track_caller]
    pub fn fetch_when_due(&mut self) {
        let asked = self.source.counts().requests;
        self.make_due("0");
        wait::until(SOON, "the fetch", || self.source.counts().requests > asked);
        self.until("SELECT next_at > now() FROM spamcheck._source", "true");
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("{sql}: {error:?}");
        }
    }

    /// The first column of a query's one row, as text; "-" for NULL.
    #[track_caller]
    pub fn get(&mut self, query: &str) -> String {
        let text = format!(
            "SELECT coalesce((SELECT v.value FROM json_each_text(row_to_json(q)) v LIMIT 1), '-')
               FROM ({query}) q"
        );
        match self.client.query_opt(&text, &[]) {
            Ok(row) => row.map_or_else(|| "-".to_owned(), |row| row.get(0)),
            Err(error) => panic!("{query}: {error:?}"),
        }
    }

    /// Waits until a query gives that.
    #[track_caller]
    pub fn until(&mut self, query: &str, expected: &str) {
        let mut last = String::new();
        let reached = wait::poll(SOON, || {
            last = self.get(query);
            (last == expected).then_some(())
        });
        let list = "SELECT row_to_json(l) || ' ' || coalesce(row_to_json(s)::text, '') FROM spamcheck.list l
                      LEFT JOIN spamcheck._source s ON s.list = l.name WHERE l.name = 'url_block'";
        assert!(reached.is_some(), "{query}: still {last}, not {expected}\n{}", self.get(list));
    }

    /// Waits until the last fetch was as this says: `-` for well.
    #[track_caller]
    pub fn until_error(&mut self, like: &str) {
        let query = "SELECT coalesce(last_error, '-') LIKE '%LIKE%' FROM spamcheck.list WHERE name = 'url_block'";
        self.until(&query.replace("LIKE%", &format!("{like}%")), "true");
    }

    pub fn error(&mut self) -> String {
        self.get("SELECT last_error FROM spamcheck.list WHERE name = 'url_block'")
    }

    /// The entries, and who they are from.
    pub fn entries(&mut self) -> String {
        self.get(
            "SELECT string_agg(value || CASE WHEN _fetched THEN '' ELSE '!' END, ' ' ORDER BY value)
               FROM spamcheck.list_entry WHERE list = 'url_block'",
        )
    }

    pub fn count(&mut self) -> String {
        self.get("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'")
    }

    /// What health() says about lists.
    pub fn health(&mut self) -> String {
        self.get("SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'lists'")
    }
}
