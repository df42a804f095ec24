//! A list that comes back with a dump: nobody fetches it into the middle of the restore.

use support::http::Reply;

use crate::site::{Site, domains, open};

#[test]
fn a_restored_list_has_its_entries_and_is_not_fetched_before_the_restore_is_over() {
    let mut site = Site::new(Reply::text(domains(50)));
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'mine.example')");
    site.fetch_every("'1 minute'");
    site.until("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'url_block'", "51");
    let dump = open().program("pg_dump").arg(site.database.name()).output().expect("pg_dump runs");
    assert!(dump.status.success());
    let script = String::from_utf8(dump.stdout).unwrap();
    assert!(!script.contains("_source ("), "what is known of sources is not in dumps");
    let asked = site.source.counts().requests;
    let restored = open().empty_database();
    restored.psql(&script);
    let mut client = restored.client();
    let mut get = |query: &str| client.query_one(query, &[]).unwrap().get::<_, String>(0);
    assert_eq!(
        get(
            "SELECT count(*) || ' ' || count(*) FILTER (WHERE _fetched) FROM spamcheck.list_entry WHERE list = 'url_block'"
        ),
        "51 50"
    );
    assert_eq!(
        get("SELECT source_url || ' ' || refresh FROM spamcheck.list WHERE name = 'url_block'"),
        format!("{}/list.txt 00:01:00", site.source.url())
    );
    assert_eq!(
        get("SELECT (next_at > now() + interval '50 minutes')::text FROM spamcheck._source"),
        "true"
    );
    assert_eq!(site.source.counts().requests, asked);
}
