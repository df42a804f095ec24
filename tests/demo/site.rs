//! The demo's site: its table, its rules, and its app that inserts a comment a time and reads back
//! what became of it. Uses the extension as any user would, and prints nothing but SQL.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use postgres::Client;

use crate::comments::{
    ALLOWED_NETWORK, BANNED_WORDS, BLOCKED_EMAILS, BLOCKED_NETWORK, VISITORS, Visitor,
};

/// The table that the app has had all along.
pub const TABLE: &str = "
    CREATE TABLE comments (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        author     text NOT NULL,
        email      text,
        ip         inet,
        body       text NOT NULL,
        status     text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
        created_at timestamptz NOT NULL DEFAULT now());";

const INSERT: &str = "INSERT INTO comments (author, email, ip, body)
                      VALUES ($1, $2, $3::text::inet, $4) RETURNING id, status";

/// A comment's row as the app reads it back.
pub struct Row {
    /// Primary key.
    pub id: i64,
    /// The status, as it was when the insert returned.
    pub status: String,
}

/// An error as the app's driver hands it over.
pub struct Refusal {
    /// The sentence.
    pub message: String,
    /// JSON for the app.
    pub detail: String,
    /// What to do.
    pub hint: String,
    /// Its code.
    pub sqlstate: String,
    /// The name that tells it from the app's own constraints.
    pub constraint: String,
}

/// What became of a visitor's comment.
pub struct Fate {
    /// Whose it was.
    pub visitor: &'static Visitor,
    /// What the app got.
    pub answer: Result<Row, Refusal>,
    /// How long the insert took, with its round trip.
    pub took: Duration,
}

/// The site's connection to its database.
pub struct Site(Client);

impl Site {
    /// The site on that connection.
    pub fn open(client: Client) -> Site {
        Site(client)
    }

    /// Runs a statement and prints it.
    pub fn show(&mut self, statement: &str) {
        let lines: Vec<&str> = statement.lines().filter(|line| !line.trim().is_empty()).collect();
        let indent = |line: &&str| line.len() - line.trim_start().len();
        let least = lines.iter().map(indent).min().unwrap_or(0);
        for line in &lines {
            println!("  {}", &line[least..]);
        }
        if let Err(error) = self.0.batch_execute(statement) {
            panic!("{error:#?}");
        }
    }

    /// Protects the table; the mapping that was found.
    pub fn protect(&mut self) -> Vec<(String, String)> {
        let statement = "SELECT * FROM spamcheck.protect('comments')";
        println!("  {statement};");
        let rows = self.0.query(statement, &[]);
        let rows = rows.unwrap_or_else(|error| panic!("{error:#?}"));
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Fills the lists and sets two checks to be stricter than they are by default.
    pub fn add_rules(&mut self) {
        let mut entries: Vec<String> =
            BANNED_WORDS.iter().map(|word| format!("('banned_words', '{word}')")).collect();
        entries.push(format!("('email_block',  '{BLOCKED_EMAILS}')"));
        entries.push(format!("('ip_block',     '{BLOCKED_NETWORK}')"));
        entries.push(format!("('ip_allow',     '{ALLOWED_NETWORK}')"));
        self.show(&format!(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES\n    {};",
            entries.join(",\n    ")
        ));
        for (check, action) in [("content", "spam"), ("ip_block", "reject")] {
            self.show(&format!(
                "UPDATE spamcheck.check_setting SET action = '{action}'\n\
                 WHERE policy = 'default' AND check_name = '{check}';"
            ));
        }
    }

    /// Inserts every visitor's comment, each in a transaction of its own.
    pub fn let_all_comment(&mut self) -> Vec<Fate> {
        let insert = self.0.prepare(INSERT).expect("the table is there");
        let visitors = VISITORS.iter();
        visitors
            .map(|visitor| {
                let start = Instant::now();
                let row = self.0.query_one(
                    &insert,
                    &[&visitor.author, &visitor.email, &visitor.ip, &visitor.body],
                );
                let took = start.elapsed();
                let answer = match row {
                    Ok(row) => Ok(Row { id: row.get(0), status: row.get(1) }),
                    Err(error) => Err(refusal(&error)),
                };
                Fate { visitor, answer, took }
            })
            .collect()
    }

    /// Whether no lookup is left to do.
    pub fn all_looked_up(&mut self) -> bool {
        let left = "SELECT NOT EXISTS (SELECT FROM spamcheck.lookup)";
        self.0.query_one(left, &[]).expect("the table of lookups is there").get(0)
    }

    /// The statuses by primary key.
    pub fn statuses(&mut self) -> BTreeMap<i64, String> {
        let rows =
            self.0.query("SELECT id, status FROM comments", &[]).expect("the table is there");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// The log: check, outcome, author, why.
    pub fn log(&mut self) -> Vec<[String; 4]> {
        let recent = "SELECT check_name, outcome, coalesce(author, ''),
                             coalesce(why, '') FROM spamcheck.recent";
        let rows = self.0.query(recent, &[]).expect("the log is there");
        rows.iter().map(|row| [row.get(0), row.get(1), row.get(2), row.get(3)]).collect()
    }
}

fn refusal(error: &postgres::Error) -> Refusal {
    let Some(error) = error.as_db_error() else { panic!("{error:#?}") };
    let or_none = |part: Option<&str>| part.unwrap_or("-").to_string();
    Refusal {
        message: error.message().into(),
        detail: or_none(error.detail()),
        hint: or_none(error.hint()),
        sqlstate: error.code().code().into(),
        constraint: or_none(error.constraint()),
    }
}
