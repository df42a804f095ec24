//! Where these tests happen: a blog in a database of its own, and pages on loopback. It decides nothing
//! that a test is about.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use support::cluster::{Cluster, ClusterOptions, Database};
use support::http::{Reply, Server};
use support::wait;

/// Long enough for anything on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The article that trackbacks are about.
pub const ARTICLE: &str = "https://www.blog.example/archives/7-rye.html";

const COMMENTS: &str = "
    CREATE TABLE comments (
        id bigserial PRIMARY KEY, type text, author text, url text, ip inet, permalink text, body text,
        status text NOT NULL DEFAULT 'approved'
               CHECK (status IN ('approved', 'quiet', 'pending', 'spam')))";

/// A server whose workers visit loopback.
pub fn open() -> &'static Cluster {
    static OPEN: OnceLock<Cluster> = OnceLock::new();
    OPEN.get_or_init(|| {
        Cluster::start(ClusterOptions::default().with("pg_spamcheck.allow_private_hosts", "on"))
    })
}

/// A server as it comes: the open internet only.
pub fn closed() -> &'static Cluster {
    static CLOSED: OnceLock<Cluster> = OnceLock::new();
    CLOSED.get_or_init(|| Cluster::start(ClusterOptions::default()))
}

/// A page that links to the article.
pub fn linking() -> Reply {
    Reply::html(format!("<p>I bake <a href=\"{ARTICLE}#comments\">rye</a>, too.</p>"))
}

/// A server of pages, each of which links to the article.
pub fn pages() -> Server {
    Server::start(|_| linking())
}

/// One test's blog.
pub struct Site {
    pub client: Client,
    pub database: Database<'static>,
}

impl Site {
    /// A blog with these checks on, each set like this: `action = '…'`, `options = '…'`.
    pub fn new(cluster: &'static Cluster, checks: &[(&str, &str)]) -> Site {
        let database = cluster.database();
        let mut site = Site { client: database.client(), database };
        site.run(COMMENTS);
        site.run("SELECT spamcheck.protect('comments')");
        for (check, set) in checks {
            site.check(check, set);
        }
        site
    }

    /// Switches a check on.
    #[track_caller]
    pub fn check(&mut self, check: &str, set: &str) {
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET enabled = true, {set}
              WHERE policy = 'default' AND check_name = '{check}'"
        ));
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

    /// Inserts a trackback from a page, sent by `ip`; its id and the status it went in with.
    #[track_caller]
    pub fn trackback_by(&mut self, ip: &str, url: &str) -> (i64, String) {
        let row = self.client.query_one(
            "INSERT INTO comments (type, author, url, ip, permalink, body)
             VALUES ('trackback', 'Other blog', $1, $2::text::inet, $3, 'I bake it, too.')
             RETURNING id, status",
            &[&url, &ip, &ARTICLE],
        );
        let row = row.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        (row.get(0), row.get(1))
    }

    /// The same, sent by 127.0.0.1.
    #[track_caller]
    pub fn trackback(&mut self, url: &str) -> (i64, String) {
        self.trackback_by("127.0.0.1", url)
    }

    pub fn status(&mut self, id: i64) -> String {
        self.get(&format!("SELECT status FROM comments WHERE id = {id}"))
    }

    /// Waits until a query gives that.
    #[track_caller]
    pub fn until(&mut self, query: &str, expected: &str) {
        let mut last = String::new();
        let reached = wait::poll(SOON, || {
            last = self.get(query);
            (last == expected).then_some(())
        });
        assert!(reached.is_some(), "{query}: still {last}, not {expected}\n{}", self.queue());
    }

    /// Waits until nothing is left to look up.
    #[track_caller]
    pub fn until_done(&mut self) {
        self.until("SELECT count(*) FROM spamcheck.lookup", "0");
    }

    /// Waits until nothing is left to look up, and does not let what failed wait.
    #[track_caller]
    pub fn hurry(&mut self) {
        let done = wait::poll(SOON, || {
            self.run("UPDATE spamcheck.lookup SET next_at = now() WHERE state = 'queued' AND next_at > now()");
            (self.get("SELECT count(*) FROM spamcheck.lookup") == "0").then_some(())
        });
        assert!(done.is_some(), "{}", self.queue());
    }

    /// What waits, for messages.
    pub fn queue(&mut self) -> String {
        self.get("SELECT string_agg(format('%s %s attempts %s: %s', l.kind, l.state, l.attempts, l.last_error), E'\\n') FROM spamcheck.lookup l")
    }

    /// Findings as `check action outcome`, oldest first.
    pub fn log(&mut self) -> Vec<String> {
        let rows = self.client.query(
            "SELECT l.check_name || ' ' || l.action || ' ' || l.outcome
               FROM spamcheck.spam_checklog l ORDER BY l.id",
            &[],
        );
        rows.expect("the log can be read").iter().map(|row| row.get(0)).collect()
    }

    /// Why the last finding was made.
    pub fn why(&mut self) -> String {
        self.get("SELECT why FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 1")
    }
}
