//! Where these tests happen: one server with keys and stand-ins, and in it for each test a database with a
//! protected table. It decides nothing that a test is about.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use serde_json::{Value, json};
use support::akismet::{Akismet, KEY};
use support::captcha::{SECRET, Siteverify};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::wait;

/// Long enough for anything on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// ALTCHA's key here.
pub const ALTCHA: &str = "the key that challenges are signed with";

const COMMENTS: &str = "
    CREATE TABLE comments (
        id serial PRIMARY KEY, author text, body text, type text, page text, permalink text, ip inet,
        article_created_at timestamptz, captcha text,
        status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')))";

/// A server and the stand-ins that its workers call.
pub struct World {
    pub akismet: Akismet,
    pub siteverify: Siteverify,
    pub cluster: Cluster,
}

impl World {
    pub fn new(options: ClusterOptions) -> World {
        let world = World {
            akismet: Akismet::start(),
            siteverify: Siteverify::start(),
            cluster: Cluster::start(options),
        };
        let secrets = world.cluster.write_secrets(&json!({
            "akismet": KEY, "altcha": ALTCHA, "recaptcha": SECRET, "hcaptcha": SECRET, "turnstile": SECRET
        }));
        world.cluster.set("pg_spamcheck.akismet_url", &world.akismet.url());
        for service in ["recaptcha", "hcaptcha", "turnstile"] {
            let url = format!("{}/{service}", world.siteverify.url());
            world.cluster.set(&format!("pg_spamcheck.{service}_url"), &url);
        }
        world.cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
        world
    }

    /// The one that all tests share which can.
    pub fn shared() -> &'static World {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| {
            World::new(ClusterOptions::default().with("pg_spamcheck.max_workers", 32))
        })
    }

    /// A database with the table `comments`, protected, whose captcha is on with these options.
    pub fn site(&self, options: &str) -> Site<'_> {
        let database = self.cluster.database();
        let mut site = Site { client: database.client(), database };
        site.run(COMMENTS);
        site.run("SELECT spamcheck.protect('comments')");
        site.captcha(options);
        site.until("SELECT count(pid) FROM spamcheck.stat_worker", "1");
        site
    }
}

/// One test's database.
pub struct Site<'w> {
    pub client: Client,
    pub database: Database<'w>,
}

/// What a refused statement says.
#[derive(Debug)]
pub struct Refused {
    pub constraint: String,
    pub sqlstate: String,
    pub detail: Value,
}

impl Refused {
    /// The challenge of a refusal that has one.
    #[track_caller]
    pub fn challenge(&self) -> &Value {
        assert_eq!(self.constraint, "spamcheck_captcha", "{self:?}");
        &self.detail["challenge"]
    }
}

impl Site<'_> {
    /// Sets the check `captcha` anew.
    pub fn captcha(&mut self, options: &str) {
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET enabled = true, action = 'challenge', options = '{options}'
              WHERE check_name = 'captcha'"
        ));
    }

    /// What a link in the body does.
    pub fn links(&mut self, action: &str) {
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET enabled = true, action = '{action}',
                    options = '{{\"over\": 0, \"reject_over\": null}}' WHERE check_name = 'links'"
        ));
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&mut self, statements: &str) {
        if let Err(error) = self.client.batch_execute(statements) {
            panic!("{statements}: {error:?}");
        }
    }

    /// The first column of a query's rows as text, joined with a comma; "-" for NULL.
    #[track_caller]
    pub fn get(&mut self, query: &str) -> String {
        let text = format!(
            "SELECT coalesce(v.value, '-') FROM ({query}) q, json_each_text(row_to_json(q)) v"
        );
        match self.client.query(&text, &[]) {
            Ok(rows) => rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join(","),
            Err(error) => panic!("{query}: {error:?}"),
        }
    }

    /// Waits until a query gives that.
    #[track_caller]
    pub fn until(&mut self, query: &str, expected: &str) {
        wait::until(SOON, &format!("{query}: {expected}"), || self.get(query) == expected);
    }

    /// Inserts a comment of Ann's with an answer, or none.
    pub fn comment(&mut self, body: &str, answer: Option<&str>) -> Result<(), Refused> {
        let statement = "INSERT INTO comments (author, body, captcha) VALUES ('Ann', $1, $2)";
        let done = self.client.execute(statement, &[&body, &answer]);
        done.map(drop).map_err(|error| refused(&error))
    }

    /// The challenge of a comment that is refused.
    #[track_caller]
    pub fn challenge(&mut self, body: &str) -> Value {
        let refused = self.comment(body, None).expect_err("it is refused");
        refused.challenge().clone()
    }

    /// The log's newest entries as `check action outcome: why`, the oldest of a submission first.
    pub fn log(&mut self) -> Vec<String> {
        let query = "SELECT concat(l.check_name, ' ', l.action, ' ', l.outcome, ': ', l.why)
                       FROM spamcheck.spam_checklog l
                      WHERE l.submission_id = (SELECT max(m.submission_id) FROM spamcheck.spam_checklog m)
                      ORDER BY l.id";
        let rows = self.client.query(query, &[]).expect("the log can be read");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The statuses of all comments, oldest first.
    pub fn statuses(&mut self) -> String {
        self.get("SELECT status FROM comments ORDER BY id")
    }
}

/// What an error of the server says.
#[track_caller]
pub fn refused(error: &postgres::Error) -> Refused {
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    let detail = error.detail().unwrap_or_default();
    Refused {
        constraint: error.constraint().unwrap_or_default().to_owned(),
        sqlstate: error.code().code().to_owned(),
        detail: serde_json::from_str(detail).unwrap_or_else(|_| panic!("{error:?}")),
    }
}
