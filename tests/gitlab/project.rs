//! A project with GitLab's issues under a policy of its preset. Owns how an issue gets in; it decides
//! nothing that a test is about.

use std::sync::OnceLock;

use postgres::error::DbError;
use serde_json::{Value as Json, json};
use support::akismet::SPAM;

use crate::site::{Site, World};

/// What is asked about an issue, of GitLab's columns.
const TABLES: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, username varchar, name varchar, email varchar, user_type text);
    CREATE TABLE issues (
        id bigserial PRIMARY KEY, title varchar NOT NULL, author_id bigint, project_id bigint NOT NULL DEFAULT 1,
        iid integer, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, description text,
        confidential boolean DEFAULT false NOT NULL, state_id smallint DEFAULT 1 NOT NULL, weight integer);
    INSERT INTO users VALUES (1, 'ann', 'Ann Baker', 'ann@mail.example', 'guest'), (2, 'max', 'Max', 'max@mail.example', 'member');
    SELECT spamcheck.create_policy('issues', 'gitlab')";

const PROTECT: &str = r#"SELECT spamcheck.protect('issues', 'issues', columns => '{
    "author": {"table": "users", "key": "id", "from": "author_id", "column": "name"},
    "email": {"table": "users", "key": "id", "from": "author_id", "column": "email"},
    "user_role": {"table": "users", "key": "id", "from": "author_id", "column": "user_type"},
    "type": {"value": "issue"}}')"#;

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    let options = support::cluster::ClusterOptions::default();
    WORLD.get_or_init(|| World::new(options.with("pg_spamcheck.max_workers", 16)))
}

pub struct Project {
    pub site: Site<'static>,
}

/// An issue as the web UI or the API creates it.
#[derive(Clone)]
pub struct Issue {
    pub title: String,
    pub description: String,
    pub author: i64,
    /// `form` or `api`.
    pub source: &'static str,
}

impl Default for Issue {
    fn default() -> Issue {
        Issue {
            title: "The oven does not heat".into(),
            description: "It stays cold.".into(),
            author: 1,
            source: "form",
        }
    }
}

/// An issue whose description is spam to Akismet.
pub fn spam() -> Issue {
    Issue { description: format!("Buy now: {SPAM}"), ..Issue::default() }
}

impl Project {
    /// As the preset is, with as much time for the answer as a busy machine takes.
    pub fn new() -> Project {
        let mut project = Project { site: world().bare_site("{}") };
        project.site.run(TABLES);
        let blog = project.site.blog.clone();
        project.options(&json!({"blog": blog, "wait_ms": 20000}));
        project.site.run(PROTECT);
        project
    }

    /// Sets some options of akismet, the others stay.
    #[track_caller]
    pub fn options(&mut self, options: &Json) {
        self.akismet(&format!("options = options || '{options}'"));
    }

    /// Sets columns of the check akismet.
    #[track_caller]
    pub fn akismet(&mut self, set: &str) {
        self.site.run(&format!(
            "UPDATE spamcheck.check_setting SET {set} WHERE policy = 'issues' AND check_name = 'akismet'"
        ));
    }

    /// Creates an issue, in a request with address and user agent; its id.
    pub fn create(&mut self, issue: &Issue) -> Result<i64, Box<DbError>> {
        self.site.run(&format!(
            "SET pg_spamcheck.ip = '203.0.113.5'; SET pg_spamcheck.user_agent = 'Mozilla/5.0 (X11)';
             SET pg_spamcheck.source = '{}'",
            issue.source
        ));
        let inserted = self.site.client.query_one(
            "INSERT INTO issues (title, description, author_id) VALUES ($1, $2, $3) RETURNING id",
            &[&issue.title, &issue.description, &issue.author],
        );
        inserted
            .map(|row| row.get(0))
            .map_err(|error| Box::new(error.as_db_error().expect("a refusal").clone()))
    }

    /// Whether an issue is created; the only other outcome is a rejection as spam.
    #[track_caller]
    pub fn takes(&mut self, issue: &Issue) -> bool {
        match self.create(issue) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.constraint(), Some("spamcheck_reject"), "{error:?}");
                false
            }
        }
    }
}
