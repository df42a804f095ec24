//! An Akismet whose answers wait until the test gives them: a question about a text is out for exactly
//! as long as the test wants. Nothing else of Akismet is imitated.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use support::cluster::{Cluster, ClusterOptions};
use support::http::{Reply, Request, Server};
use support::wait;

use crate::site::{COMMENTS, SOON, Site};

#[derive(Default)]
struct Desk {
    asked: HashMap<String, usize>,
    answers: HashMap<String, Reply>,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server whose worker asks a gated Akismet. Texts must differ from test to test.
pub struct Gate {
    pub cluster: Cluster,
    shared: Arc<Shared>,
    _server: Server,
}

impl Gate {
    pub fn new(options: ClusterOptions) -> Gate {
        let shared = Arc::new(Shared::default());
        let book = Arc::clone(&shared);
        let server = Server::start(move |request| reply(&book, request));
        let cluster = Cluster::start(options);
        let secrets = cluster.write_secrets(&serde_json::json!({"akismet": "123YourAPIKey"}));
        cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
        cluster.set("pg_spamcheck.akismet_url", &server.url());
        Gate { cluster, shared, _server: server }
    }

    /// The one that tests share which can.
    pub fn shared() -> &'static Gate {
        static SHARED: OnceLock<Gate> = OnceLock::new();
        SHARED.get_or_init(|| Gate::new(ClusterOptions::default()))
    }

    /// A database without a table; Akismet is asked with these options.
    pub fn bare_site(&self, options: &str) -> Site<'_> {
        Site::of(self.cluster.database(), None, options)
    }

    /// A database with the table `comments`, protected; Akismet is asked with these options.
    pub fn site(&self, options: &str) -> Site<'_> {
        let mut site = self.bare_site(options);
        site.run(COMMENTS);
        site.run("SELECT spamcheck.protect('comments')");
        site
    }

    /// How often this text was asked about.
    pub fn asked(&self, text: &str) -> usize {
        self.shared.desk().asked.get(text).copied().unwrap_or(0)
    }

    /// Waits until the question about this text is out.
    #[track_caller]
    pub fn until_asked(&self, text: &str) {
        wait::until(SOON, &format!("the question about \"{text}\""), || self.asked(text) > 0);
    }

    /// Answers all questions about this text, those that are out and those that come.
    pub fn answer(&self, text: &str, reply: Reply) {
        self.shared.desk().answers.insert(text.into(), reply);
        self.shared.changed.notify_all();
    }

    /// Says spam (or ham) about this text.
    pub fn say(&self, text: &str, spam: bool) {
        self.answer(text, Reply::text(if spam { "true" } else { "false" }));
    }
}

fn reply(shared: &Shared, request: &Request) -> Reply {
    let text = request.param("comment_content").unwrap_or_default();
    let mut desk = shared.desk();
    *desk.asked.entry(text.clone()).or_default() += 1;
    loop {
        if let Some(answer) = desk.answers.get(&text).cloned() {
            return answer;
        }
        desk = shared.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
    }
}
