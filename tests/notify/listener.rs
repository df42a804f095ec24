//! A session that listens. It decides nothing that a test is about.

use std::time::Duration;

use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use support::cluster::Database;

/// Long enough for anything on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A session that listens.
pub struct Listener {
    client: Client,
}

impl Listener {
    /// Listens to a channel in a database.
    pub fn on(database: &Database<'_>, channel: &str) -> Listener {
        let mut client = database.client();
        client.batch_execute(&format!("LISTEN \"{channel}\"")).expect("it may listen");
        Listener { client }
    }

    /// The next payload.
    #[track_caller]
    pub fn next(&mut self) -> String {
        let mut notifications = self.client.notifications();
        let next = notifications.timeout_iter(SOON).next().expect("the connection stands");
        next.expect("a notification in time").payload().to_owned()
    }

    /// All that has come by now. What a session has committed before is there: PostgreSQL delivers with
    /// the commit, and this session asks the server once.
    #[track_caller]
    pub fn all(&mut self) -> Vec<String> {
        self.client.batch_execute("SELECT 1").expect("the connection stands");
        let mut notifications = self.client.notifications();
        let all = notifications.iter().collect::<Vec<_>>().expect("the connection stands");
        all.iter().map(|notification| notification.payload().to_owned()).collect()
    }
}
