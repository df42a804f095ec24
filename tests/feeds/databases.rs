//! Databases whose worker waits for strangers: for a page, a list, a name. Nobody has to wait for it.

use support::cluster::SUPERUSER;
use support::http::Reply;
use support::wait;

use crate::site::{SOON, Site, open};

#[test]
fn a_database_whose_worker_waits_for_pages_and_lists_can_be_dropped() {
    let mut site = Site::new(Reply::silence());
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, type text, url text, ip inet, permalink text, body text,
                status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments');
         UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'trackback_link'",
    );
    site.fetch_every("'1 day'");
    let url = site.source.url();
    site.run(&format!(
        "INSERT INTO comments (type, url, ip, permalink, body)
         VALUES ('trackback', '{url}/post', '127.0.0.1', 'https://blog.example/rye', 'Rye!')"
    ));
    wait::until(SOON, "both requests", || site.source.counts().in_flight == 2);
    let Site { client, database, source } = site;
    drop(client);
    let mut superuser = open().connect("postgres", SUPERUSER);
    // It waits five seconds for others to leave, then fails.
    let drop = format!("DROP DATABASE {}", database.name());
    superuser.batch_execute(&drop).expect("the worker gets out of the way");
    assert_eq!(source.counts().requests, 2);
}
