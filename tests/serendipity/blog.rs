//! A blog with Serendipity's tables, one of them protected. Owns how a comment gets in and what became
//! of it; it knows neither cases nor the plugin's configuration.

use std::time::Duration;

use postgres::Client;
use postgres::error::DbError;
use serde_json::Value as Json;
use support::cluster::{Cluster, Database};
use support::wait;

/// Serendipity's comments and entries, and three columns that a theme would add for the checks that its
/// plugin keeps in the session.
const TABLES: &str = "
    CREATE TABLE serendipity_entries (id serial PRIMARY KEY, title varchar(200), timestamp int);
    CREATE TABLE serendipity_comments (
        id serial PRIMARY KEY, entry_id int NOT NULL DEFAULT 0, parent_id int NOT NULL DEFAULT 0,
        timestamp int DEFAULT NULL, title varchar(150) DEFAULT NULL, author varchar(80) DEFAULT NULL,
        email varchar(200) DEFAULT NULL, url varchar(200) DEFAULT NULL, ip varchar(64) DEFAULT NULL,
        body text, type varchar(100) DEFAULT 'regular', subscribed boolean NOT NULL DEFAULT true,
        status varchar(50) NOT NULL DEFAULT 'approved', referer varchar(200) DEFAULT NULL,
        groups text, phone text, form_seconds real);
    CREATE INDEX commentry_idx ON serendipity_comments (entry_id);";

/// Serendipity's columns are found by themselves. Its entries have no address: one stands for all.
const MAPPING: &str = r#"columns => '{"user_role": "groups", "honeypot": "phone",
        "form_seconds": "form_seconds", "permalink": {"value": "http://myblog.example/archives/1.html"}}', article => '{"table": "serendipity_entries", "key": "id",
        "from": "entry_id", "title": "title", "created_at": "timestamp"}'"#;

pub struct Blog {
    pub client: Client,
    database: Database<'static>,
}

/// A comment as Serendipity would store it.
pub struct Comment {
    pub entry: Entry,
    pub author: String,
    pub email: String,
    pub url: String,
    pub ip: String,
    pub body: String,
    pub kind: String,
    pub status: String,
    /// `internal` or `API`; Serendipity stores neither.
    pub source: String,
    pub groups: Option<String>,
    pub honeypot: Option<String>,
    pub form_seconds: Option<f64>,
    /// How long ago it came, in seconds.
    pub ago: i64,
}

/// What a comment is about.
pub struct Entry {
    pub title: String,
    pub age_in_days: f64,
}

impl Default for Comment {
    fn default() -> Comment {
        let text = str::to_owned;
        Comment {
            entry: Entry { title: text("A walk in the hills"), age_in_days: 1.0 },
            author: text("Marie"),
            email: text("marie@mail.example"),
            url: String::new(),
            ip: text("203.0.113.5"),
            body: text("We were there too, in spring."),
            kind: text("NORMAL"),
            status: text("approved"),
            source: text("internal"),
            groups: None,
            honeypot: None,
            form_seconds: None,
            ago: 0,
        }
    }
}

impl Blog {
    pub fn new() -> Blog {
        let cluster = Cluster::shared();
        // Senders of trackbacks have their pages on this machine.
        cluster.set("pg_spamcheck.allow_private_hosts", "on");
        let database = cluster.database();
        let mut blog = Blog { client: database.client(), database };
        blog.run(TABLES);
        blog
    }

    /// A blog under a policy of the preset `serendipity`.
    pub fn under_preset() -> Blog {
        let mut blog = Blog::new();
        blog.policy("blog");
        blog
    }

    /// Puts the comments under a new policy of the preset.
    pub fn policy(&mut self, name: &str) {
        self.run(&format!(
            "SELECT spamcheck.create_policy('{name}', 'serendipity');
             SELECT spamcheck.protect('serendipity_comments', '{name}', {MAPPING})"
        ));
    }

    /// A second session.
    pub fn session(&self) -> Client {
        self.database.client()
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("{error:?}\n{sql}");
        }
    }

    /// The first column of the first row, as text.
    #[track_caller]
    pub fn ask(&mut self, sql: &str) -> String {
        let row = self.client.query_one(&format!("SELECT ({sql})::text"), &[]);
        row.unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
            .get::<_, Option<_>>(0)
            .unwrap_or_default()
    }

    /// Sets columns of a check in the policy that the comments are under.
    #[track_caller]
    pub fn check(&mut self, name: &str, set: &str) {
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET enabled = true, {set}
              WHERE policy = (SELECT policy FROM spamcheck.protected_table) AND check_name = '{name}'"
        ));
    }

    /// Whether the policy has a check that asks for earlier rows.
    pub fn asks_for_earlier_rows(&mut self, policy: &str) -> bool {
        self.ask(&format!(
            "SELECT count(*) > 0 FROM spamcheck.check_setting
              WHERE policy = '{policy}' AND enabled AND check_name IN ('duplicate', 'ip_interval')"
        )) == "true"
    }

    /// Inserts a comment; its status.
    pub fn comment(&mut self, comment: &Comment) -> Result<String, Box<DbError>> {
        self.comment_in(&mut None, comment)
    }

    /// As `comment`, in a session of its own if one is given.
    pub fn comment_in(
        &mut self,
        session: &mut Option<Client>,
        comment: &Comment,
    ) -> Result<String, Box<DbError>> {
        let client = session.as_mut().unwrap_or(&mut self.client);
        let now = "extract(epoch FROM clock_timestamp())";
        let entry: i32 = client
            .query_one(
                &format!(
                    "INSERT INTO serendipity_entries (title, timestamp)
                          VALUES ($1, {now} - 86400 * $2::float8) RETURNING id"
                ),
                &[&comment.entry.title, &comment.entry.age_in_days],
            )
            .expect("an entry can be written")
            .get(0);
        let source = if comment.source == "internal" { "" } else { comment.source.as_str() };
        client
            .execute("SELECT set_config('pg_spamcheck.source', $1, false)", &[&source])
            .expect("a setting");
        let inserted = client.query_one(
            &format!(
                "INSERT INTO serendipity_comments (entry_id, parent_id, ip, author, email, url, body, type,
                     timestamp, title, subscribed, status, referer, groups, phone, form_seconds)
                 VALUES ($1, 0, $2, $3, $4, $5, $6, $7, floor({now} - $8::float8), '', false, $9, '', $10, $11,
                     $12::float8)
                 RETURNING status"
            ),
            &[
                &entry,
                &comment.ip,
                &comment.author,
                &comment.email,
                &comment.url,
                &comment.body,
                &comment.kind,
                &(comment.ago as f64),
                &comment.status,
                &comment.groups,
                &comment.honeypot,
                &comment.form_seconds,
            ],
        );
        inserted
            .map(|row| row.get(0))
            .map_err(|error| Box::new(error.as_db_error().expect("a refusal").clone()))
    }

    /// What becomes of a comment, in the words of the measured cases.
    #[track_caller]
    pub fn verdict(&mut self, comment: &Comment) -> String {
        match self.comment(comment) {
            Ok(status) if status == "approved" => "accept".into(),
            Ok(status) if status == "pending" => self.when_looked_up(),
            Ok(status) => status,
            Err(error) => match error.constraint() {
                Some("spamcheck_reject" | "spamcheck_rate_limit") => "reject".into(),
                Some("spamcheck_captcha") => "challenge".into(),
                _ => panic!("{error:?}"),
            },
        }
    }

    /// What becomes of the last comment, which waits: for a person, or for what the worker finds out.
    #[track_caller]
    fn when_looked_up(&mut self) -> String {
        wait::until(Duration::from_secs(30), "the lookups", || {
            // What fails is tried again at once.
            self.run("UPDATE spamcheck.lookup SET next_at = now() WHERE state = 'queued' AND next_at > now()");
            self.ask("SELECT count(*) FROM spamcheck.lookup") == "0"
        });
        let last = "FROM serendipity_comments ORDER BY id DESC LIMIT 1";
        match self.ask(&format!("SELECT status {last}")).as_str() {
            "approved" => "accept".into(),
            // A reject that comes late finds the row there: it is marked as spam, which is pending too.
            _ if self.ask(&format!(
                "SELECT coalesce((SELECT bool_or(action = 'reject') FROM spamcheck.spam_checklog
                    WHERE row_key = (SELECT jsonb_build_object('id', id) {last})), false)"
            )) == "true" =>
            {
                "reject".into()
            }
            _ => "moderate".into(),
        }
    }

    /// The checks that hit the last submission and what they were set to do, as `check action`.
    pub fn findings(&mut self) -> Vec<String> {
        let rows = self.client.query(
            "SELECT check_name || ' ' || action FROM spamcheck.spam_checklog
              WHERE submission_id = (SELECT max(submission_id) FROM spamcheck.spam_checklog) ORDER BY 1",
            &[],
        );
        rows.expect("the log can be read").iter().map(|row| row.get(0)).collect()
    }

    /// The detail of the last finding of a check.
    pub fn detail(&mut self, check: &str) -> Json {
        let query = "SELECT detail FROM spamcheck.spam_checklog WHERE check_name = $1 ORDER BY id DESC LIMIT 1";
        self.client.query_one(query, &[&check]).expect("a finding").get(0)
    }
}
