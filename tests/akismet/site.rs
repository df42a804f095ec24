//! Where these tests happen: a server with a stand-in Akismet (a [`World`]), and in it for each test a
//! database of its own with one protected table (a [`Site`]). A site's blog tells its requests from
//! those of other tests. It decides nothing that a test is about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postgres::Client;
use support::akismet::{Akismet, Endpoint};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::http::{Reply, Request};
use support::wait;

/// Long enough for anything on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The table that most sites have.
pub const COMMENTS: &str = "
    CREATE TABLE comments (
        id bigserial PRIMARY KEY, author text, email text, url text, ip inet, user_agent text,
        referrer text, permalink text, body text NOT NULL,
        status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
        created_at timestamptz NOT NULL DEFAULT now(), likes integer NOT NULL DEFAULT 0)";

/// A server and the stand-in that its workers call.
pub struct World {
    pub akismet: Akismet,
    pub cluster: Cluster,
}

impl World {
    pub fn new(options: ClusterOptions) -> World {
        let world = World { akismet: Akismet::start(), cluster: Cluster::start(options) };
        world.akismet.attach(&world.cluster);
        world
    }

    /// The one that all tests share which can.
    pub fn shared() -> &'static World {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| World::new(ClusterOptions::default()))
    }

    /// A database with the table `comments`, protected; Akismet is asked with these options.
    pub fn site(&self, options: &str) -> Site<'_> {
        let mut site = self.bare_site(options);
        site.run(COMMENTS);
        site.run("SELECT spamcheck.protect('comments')");
        site
    }

    /// A database without a table; Akismet is asked with these options.
    pub fn bare_site(&self, options: &str) -> Site<'_> {
        Site::of(self.cluster.database(), Some(&self.akismet), options)
    }
}

/// One test's database.
pub struct Site<'w> {
    pub client: Client,
    pub blog: String,
    pub database: Database<'w>,
    akismet: Option<&'w Akismet>,
}

impl<'w> Site<'w> {
    /// A site in a database that has the extension.
    pub fn of(database: Database<'w>, akismet: Option<&'w Akismet>, options: &str) -> Site<'w> {
        let blog = format!("https://{}.example/", database.name().replace('_', "-"));
        let mut site = Site { client: database.client(), blog, database, akismet };
        site.ask_with(options);
        site
    }

    /// The site, once its worker runs: a new database's may take a while on a busy machine, and who waits for an
    /// answer waits for a worker no more than a second.
    #[track_caller]
    pub fn with_worker(self) -> Self {
        wait::until(SOON, "the worker", || self.database.worker_pid().is_some());
        self
    }

    /// Sets the check `akismet` anew: on, with the site's blog and these further options.
    pub fn ask_with(&mut self, options: &str) {
        let blog = &self.blog;
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET enabled = true, action = 'spam',
                    options = '{{\"blog\": \"{blog}\"}}'::jsonb || '{options}'
              WHERE policy = 'default' AND check_name = 'akismet'"
        ));
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&mut self, statements: &str) {
        if let Err(error) = self.client.batch_execute(statements) {
            panic!("{statements}: {error:?}");
        }
    }

    /// The first column of a query's one row, as text; "-" for NULL, and where there is no row.
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

    /// Inserts a comment and gives its id.
    #[track_caller]
    pub fn comment(&mut self, body: &str) -> i64 {
        let statement = "INSERT INTO comments (author, ip, body) VALUES ('Zoë', '203.0.113.7', $1)
                         RETURNING id";
        self.client.query_one(statement, &[&body]).expect("the comment is taken").get(0)
    }

    /// The status of a comment.
    #[track_caller]
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

    /// Waits until every lookup is done.
    #[track_caller]
    pub fn until_all_answered(&mut self) {
        self.until("SELECT count(*) FROM spamcheck.lookup", "0");
    }

    /// Lookups and the lane, for messages.
    pub fn queue(&mut self) -> String {
        let rows = self.client.query(
            "SELECT format('%s %s %s %s attempts %s in %s: %s', l.kind, l.relation, l.row_key, l.state,
                           l.attempts, l.next_at - clock_timestamp(), l.last_error)
               FROM (SELECT * FROM spamcheck.lookup LIMIT 5) l
             UNION ALL SELECT w::text FROM spamcheck.stat_worker w",
            &[],
        );
        let rows = rows.unwrap_or_default();
        rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
    }

    /// The stand-in that its worker calls.
    pub fn akismet(&self) -> &'w Akismet {
        self.akismet.expect("this site has a stand-in, not a gate")
    }

    /// A condition: a check for this site.
    pub fn checks(&self) -> impl Fn(&Request) -> bool + Send + Sync + 'static {
        let blog = self.blog.clone();
        move |request| {
            Endpoint::of(request) == Some(Endpoint::CommentCheck)
                && request.param("blog").as_deref() == Some(&*blog)
        }
    }

    /// Answers checks for this site whose text has `part` in this way, until the switch is turned off.
    pub fn answer(&self, part: &str, reply: Reply) -> Switch {
        let switch = Switch(Arc::new(AtomicBool::new(true)));
        let (checks, on, part) = (self.checks(), switch.clone(), part.to_string());
        let when = move |request: &Request| {
            on.0.load(Ordering::Relaxed)
                && checks(request)
                && request.param("comment_content").is_some_and(|text| text.contains(&part))
        };
        self.akismet().always(when, reply);
        switch
    }

    /// The checks for this site that were asked for so far.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        let requests = self.akismet().requests();
        requests.into_iter().filter(|request| self.checks()(request)).collect()
    }

    /// Those among them whose text has `part`.
    pub fn requests_about(&self, part: &str) -> Vec<Arc<Request>> {
        let about = |request: &Request| {
            request.param("comment_content").is_some_and(|text| text.contains(part))
        };
        self.requests().into_iter().filter(|request| about(request)).collect()
    }

    /// Waits for that many checks whose text has `part`.
    #[track_caller]
    pub fn until_asked(&mut self, part: &str, times: usize) {
        let asked = wait::poll(SOON, || (self.requests_about(part).len() >= times).then_some(()));
        let seen = self.requests_about(part).len();
        assert!(asked.is_some(), "asked {seen} times about {part}\n{}", self.queue());
    }

    /// Log rows as `check action outcome`, oldest first.
    pub fn log(&mut self) -> Vec<String> {
        let rows = self.client.query(
            "SELECT l.check_name || ' ' || l.action || ' ' || l.outcome
               FROM spamcheck.spam_checklog l ORDER BY l.id",
            &[],
        );
        rows.expect("the log can be read").iter().map(|row| row.get(0)).collect()
    }
}

/// What turns an answer of [`Site::answer`] off.
#[derive(Clone)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    pub fn off(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
