//! A site of one test: a database of its own with a protected table of comments, rules that hit what
//! tests write into it, and the comparison of table and log. Knows nothing of single statements.
#![allow(dead_code, reason = "every file of tests takes its share of it")]

use std::sync::OnceLock;

use postgres::{Client, SimpleQueryMessage};
use support::cluster::{Cluster, ClusterOptions, Database};

/// The cluster that the tests of one file share, with what some of them need from its start.
pub fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        Cluster::start(
            ClusterOptions::default()
                .with("max_prepared_transactions", 20)
                .with("wal_level", "logical")
                .with("max_connections", 200)
                .with("pg_spamcheck.max_workers", 48),
        )
    })
}

/// Columns of the table of comments.
pub const COLUMNS: &str = "id serial PRIMARY KEY, author text, email text, ip inet, body text,
    status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
    views integer NOT NULL DEFAULT 0";

/// A word that makes a body spam, and an address that makes its comments spam.
pub const RULES: &str = "INSERT INTO spamcheck.list_entry (list, value)
    VALUES ('banned_words', 'casino'), ('ip_block', '10.0.0.0/8')";

/// A database with the protected table `comments`.
pub struct Site {
    /// The superuser's session.
    pub client: Client,
    pub db: Database<'static>,
}

impl Site {
    pub fn new() -> Site {
        let mut site = Site::bare();
        site.run(&format!("CREATE TABLE comments ({COLUMNS})"));
        site.run(RULES);
        site.run("SELECT spamcheck.protect('comments')");
        site
    }

    /// Without tables and rules.
    pub fn bare() -> Site {
        let db = cluster().database();
        Site { client: db.client(), db }
    }

    pub fn run(&mut self, sql: &str) {
        run(&mut self.client, sql);
    }

    pub fn ask(&mut self, sql: &str) -> String {
        ask(&mut self.client, sql)
    }

    /// Sets a column of a check in the default policy.
    pub fn check(&mut self, name: &str, set: &str) {
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET {set} WHERE policy = 'default' AND check_name = \
                '{name}'"
        ));
    }

    /// Sets a column of the default policy.
    pub fn policy(&mut self, set: &str) {
        self.run(&format!("UPDATE spamcheck.policy SET {set} WHERE name = 'default'"));
    }

    /// A role of this test alone, which may log in; its name.
    pub fn role(&mut self, name: &str) -> String {
        let role = format!("{name}_{}", self.db.name());
        self.run(&format!("CREATE ROLE {role} LOGIN"));
        role
    }

    /// The log as `id check`, a line each, in the order of ids; a rejected row has no id.
    pub fn log(&mut self) -> String {
        self.ask(
            "SELECT coalesce(row_key ->> 'id', '-') || ' ' || check_name FROM \
                spamcheck.spam_checklog
             ORDER BY (row_key ->> 'id')::int, check_name",
        )
    }

    /// Ids and statuses of the table's rows.
    pub fn statuses(&mut self) -> String {
        self.ask("SELECT id || ' ' || status FROM comments ORDER BY id")
    }

    /// Compares the log with the rows of tables of comments, into which rows were only inserted: a log
    /// row for each rule that hits a row and none besides, the status that follows, and one
    /// submission id for each row.
    #[track_caller]
    pub fn log_agrees(&mut self, tables: &[&str]) {
        let rows: Vec<String> = tables
            .iter()
            .map(|table| {
                format!(
                    "SELECT 'public.{table}' AS relation, jsonb_build_object('id', id) AS row_key,
                            ip, body, status FROM public.{table}"
                )
            })
            .collect();
        let rows = rows.join(" UNION ALL ");
        let differences = self.ask(&format!(
            "WITH row AS ({rows}),
             expected AS (SELECT relation, row_key, 'content' AS check_name, body FROM row WHERE \
             body LIKE '%casino%'
                          UNION ALL SELECT relation, row_key, 'ip_block', body FROM row WHERE ip \
                          <<= '10.0.0.0/8'),
             logged AS (SELECT relation, row_key, check_name, comment FROM spamcheck.spam_checklog)
             SELECT 'not logged', * FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM logged) a
             UNION ALL SELECT 'logged wrongly', * FROM (SELECT * FROM logged EXCEPT ALL SELECT * \
             FROM expected) b
             UNION ALL SELECT 'status ' || r.status, r.relation, r.row_key, '', r.body FROM row r
               WHERE (r.status = 'spam') <> EXISTS (SELECT FROM expected e WHERE (e.relation, \
               e.row_key) = (r.relation, r.row_key))
             UNION ALL SELECT 'submission ids', relation, row_key, '', count(DISTINCT \
             submission_id)::text
               FROM spamcheck.spam_checklog GROUP BY relation, row_key HAVING count(DISTINCT \
               submission_id) <> 1
             UNION ALL SELECT 'rows of one submission', min(relation), min(row_key::text)::jsonb, \
             '', submission_id::text
               FROM spamcheck.spam_checklog GROUP BY submission_id HAVING count(DISTINCT \
               (relation, row_key)) <> 1"
        ));
        assert_eq!(differences, "", "table and log differ");
    }
}

/// Runs statements.
#[track_caller]
pub fn run(client: &mut Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql) {
        panic!("{error:?}\n{sql}");
    }
}

/// The rows of statements: a line each, columns divided by `|`, NULL as nothing.
#[track_caller]
pub fn ask(client: &mut Client, sql: &str) -> String {
    let messages = client.simple_query(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or_default());
            Some(columns.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// The error of a statement that must fail.
#[track_caller]
pub fn refused(client: &mut Client, sql: &str) -> postgres::error::DbError {
    match client.batch_execute(sql) {
        Ok(()) => panic!("not refused: {sql}"),
        Err(error) => error.as_db_error().cloned().unwrap_or_else(|| panic!("{error:?}\n{sql}")),
    }
}
