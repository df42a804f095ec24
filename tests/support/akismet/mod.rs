//! A stand-in for Akismet: the documented endpoints with their documented answers, and a strict eye
//! on every request. Owns which endpoint a request is for and what was wrong with it; sockets,
//! script and record are [`crate::http`]'s, and reachable through this one.

mod answers;
mod requirements;

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::cluster::Cluster;
use crate::http::{Reply, Request, Server};

/// The key that the stand-in takes, from Akismet's own documentation.
pub const KEY: &str = "123YourAPIKey";

/// An author, and a word in a text, that make the stand-in say spam. The author does so at the real
/// Akismet too.
pub const SPAM: &str = "akismet-guaranteed-spam";

/// Switches the check on in the default policy of a database.
pub const ENABLE: &str = r#"
    UPDATE spamcheck.check_setting
    SET enabled = true,
        options = coalesce(options, '{}') || '{"blog": "https://blog.example.org/"}'
    WHERE policy = 'default' AND check_name = 'akismet'"#;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/1.1/verify-key`
    VerifyKey,
    /// `/1.1/comment-check`
    CommentCheck,
    /// `/1.1/submit-spam`
    SubmitSpam,
    /// `/1.1/submit-ham`
    SubmitHam,
    /// `/1.2/usage-limit`
    UsageLimit,
}

impl Endpoint {
    const ALL: [Endpoint; 5] = [
        Endpoint::VerifyKey,
        Endpoint::CommentCheck,
        Endpoint::SubmitSpam,
        Endpoint::SubmitHam,
        Endpoint::UsageLimit,
    ];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::VerifyKey => "/1.1/verify-key",
            Endpoint::CommentCheck => "/1.1/comment-check",
            Endpoint::SubmitSpam => "/1.1/submit-spam",
            Endpoint::SubmitHam => "/1.1/submit-ham",
            Endpoint::UsageLimit => "/1.2/usage-limit",
        }
    }

    /// The endpoint that a request is for.
    pub fn of(request: &Request) -> Option<Endpoint> {
        Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == request.path())
    }

    /// A condition for [`Server::once`] and its like: a request for this endpoint.
    pub fn any(self) -> impl Fn(&Request) -> bool + Send + Sync + 'static {
        move |request| Endpoint::of(request) == Some(self)
    }

    /// A condition: a request for this endpoint whose form field has that value.
    pub fn with(
        self,
        name: &'static str,
        value: &'static str,
    ) -> impl Fn(&Request) -> bool + Send + Sync + 'static {
        move |request| {
            Endpoint::of(request) == Some(self) && request.param(name).as_deref() == Some(value)
        }
    }
}

#[derive(Default)]
struct Book {
    calls: [AtomicU64; Endpoint::ALL.len()],
    problems: Mutex<Vec<String>>,
}

/// A running stand-in for Akismet.
pub struct Akismet {
    server: Server,
    book: Arc<Book>,
}

impl Akismet {
    /// Starts it on a free port. Its URL is what `pg_spamcheck.akismet_url` takes.
    pub fn start() -> Akismet {
        let book = Arc::new(Book::default());
        let handlers_book = Arc::clone(&book);
        let server = Server::start(move |request| reply(request, &handlers_book));
        Akismet { server, book }
    }

    /// The answer to a request that came another way, as over TLS.
    pub fn answer(request: &Request) -> Reply {
        reply(request, &Book::default())
    }

    /// Leads a cluster's worker here, with the right key. The check itself is a matter of each
    /// database's policies: see [`ENABLE`].
    pub fn attach(&self, cluster: &Cluster) {
        let secrets = cluster.write_secrets(&serde_json::json!({"akismet": KEY}));
        cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
        cluster.set("pg_spamcheck.akismet_url", &self.server.url());
    }

    /// How many requests the endpoint answered by itself, those that the script answered aside.
    pub fn calls(&self, endpoint: Endpoint) -> u64 {
        self.book.calls[endpoint as usize].load(Relaxed)
    }

    /// The recorded requests for an endpoint, scripted ones too.
    pub fn requests_for(&self, endpoint: Endpoint) -> Vec<Arc<Request>> {
        let requests = self.server.requests().into_iter();
        requests.filter(|request| Endpoint::of(request) == Some(endpoint)).collect()
    }

    /// What was wrong with the requests so far, a sentence each: all that the real Akismet would
    /// overlook in silence, misread or refuse.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.book.problems.lock().expect("no panic while it is held").clone();
        // What the script answered has not passed the handler.
        problems.extend(self.server.requests().iter().flat_map(|r| requirements::problems(r)));
        problems.sort();
        problems.dedup();
        problems
    }

    /// Empties the record of requests and of what was wrong with them.
    pub fn forget(&self) {
        self.server.forget_requests();
        self.book.problems.lock().expect("no panic while it is held").clear();
    }

    /// Fails the test when any request so far had a problem.
    ///
    /// # Panics
    /// With the list of them.
    #[track_caller]
    pub fn assert_no_problems(&self) {
        let problems = self.problems();
        assert!(problems.is_empty(), "the real Akismet would object:\n{}", problems.join("\n"));
    }
}

impl Deref for Akismet {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn reply(request: &Request, book: &Book) -> Reply {
    let Some(endpoint) = Endpoint::of(request) else { return Reply::status(404) };
    let serial = book.calls[endpoint as usize].fetch_add(1, Relaxed);
    let problems = requirements::problems(request);
    if !problems.is_empty() {
        book.problems.lock().expect("no panic while it is held").extend(problems);
    }
    answers::answer(endpoint, request, serial)
}

#[cfg(test)]
mod tests;
