//! Where these tests happen: a server with a stand-in mail server (a [`World`]), and in it for each test a
//! database of its own (a [`Site`]) whose moderators have addresses that no other test has. It decides
//! nothing that a test is about.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::{Client, SimpleQueryMessage};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::smtp::{Letter, MailServer};
use support::wait;

/// Long enough for anything on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// A server and the mail server that it knows.
pub struct World {
    pub mail: MailServer,
    pub cluster: Cluster,
}

impl World {
    /// With a mail server of its own.
    pub fn new(mail: MailServer) -> World {
        let cluster = Cluster::start(
            ClusterOptions::default()
                .with("pg_spamcheck.smtp_url", mail.url())
                .with("pg_spamcheck.request_timeout", "1s")
                .with("max_prepared_transactions", 5)
                .with("pg_spamcheck.max_workers", 32),
        );
        World { mail, cluster }
    }

    /// The one that all tests share which can.
    pub fn shared() -> &'static World {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| World::new(MailServer::start()))
    }

    /// A database with the protected table `comments`, where a casino is moderated and a link to spam is spam.
    pub fn site(&self) -> Site<'_> {
        let db = self.cluster.database();
        let host = format!("{}.example", db.name().replace('_', "-"));
        let mut site = Site { client: db.client(), db, host, mail: &self.mail };
        site.run(
            "CREATE TABLE comments (id serial PRIMARY KEY, author text, email text, ip inet, body text,
                 status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('comments');
             INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino'), ('ip_block', '10.0.0.0/8');
             UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content'",
        );
        let to = site.moderator("mods");
        site.policy(&format!("mail_to = '{{{to}}}'"));
        site
    }
}

/// One test's database.
pub struct Site<'w> {
    pub client: Client,
    pub db: Database<'w>,
    pub host: String,
    mail: &'w MailServer,
}

impl Site<'_> {
    /// An address of this test alone.
    pub fn moderator(&self, name: &str) -> String {
        format!("{name}@{}", self.host)
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// The rows of a query: a line each, columns divided by `|`.
    #[track_caller]
    pub fn ask(&mut self, sql: &str) -> String {
        let messages =
            self.client.simple_query(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        let lines = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|n| row.get(n).unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join("|"),
            ),
            _ => None,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Sets a column of the default policy.
    pub fn policy(&mut self, set: &str) {
        self.run(&format!("UPDATE spamcheck.policy SET {set} WHERE name = 'default'"));
    }

    /// Inserts a comment that is moderated.
    pub fn moderated(&mut self, text: &str) {
        self.client
            .execute(
                "INSERT INTO comments (author, body) VALUES ('Ann', 'casino ' || $1)",
                &[&text],
            )
            .expect("the comment is taken");
    }

    /// The mails that this site's moderators have got.
    pub fn letters(&self) -> Vec<Letter> {
        self.mail.letters(&format!("@{}", self.host))
    }

    /// Waits until they have that many, and gives the last one.
    #[track_caller]
    pub fn letter(&mut self, count: usize) -> Letter {
        let letter = wait::poll(SOON, || self.letters().get(count - 1).cloned());
        letter.unwrap_or_else(|| {
            panic!("no letter {count}: {}\n{}", self.state(), self.db.cluster().log())
        })
    }

    /// Rows that wait.
    pub fn waiting(&mut self) -> String {
        self.ask("SELECT count(*) FROM spamcheck._mail")
    }

    /// Waits until nothing waits.
    #[track_caller]
    pub fn until_sent(&mut self) {
        wait::until(SOON, "the queue to be empty", || self.waiting() == "0");
    }

    /// As if the time until the next try were over: moderates one more row, which has the worker look.
    pub fn time_passes(&mut self) {
        self.run("UPDATE spamcheck._mailing SET next_at = now()");
        self.moderated("time passed");
    }

    /// What is known about the mail, for messages.
    pub fn state(&mut self) -> String {
        self.ask("SELECT m::text FROM spamcheck._mailing m UNION ALL SELECT count(*)::text FROM spamcheck._mail")
    }

    /// What health() says about it.
    pub fn health(&mut self) -> String {
        self.ask("SELECT state, message FROM spamcheck.health() WHERE item = 'mail'")
    }
}
