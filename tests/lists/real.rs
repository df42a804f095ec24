//! The lists that people use: WordPress's comment blocklist and two of hosts. They are no part of the
//! project; where they are not there, the tests say so.

use std::path::Path;

use crate::site::Site;

fn list(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/lists").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("../shared/data/lists/{name} is not there: nothing was shown");
    }
    text
}

fn import(site: &mut Site, list: &str, text: &str) -> i32 {
    let row = site.client.query_one("SELECT spamcheck.import_list($1, $2)", &[&list, &text]);
    row.unwrap().get(0)
}

#[test]
fn wordpresss_blocklist_loads_and_every_term_hits() {
    let Some(text) = list("splorp-comment-blocklist.txt") else { return };
    let mut site = Site::new();
    assert_eq!(import(&mut site, "banned_words", &text), 65_371);
    assert_eq!(import(&mut site, "banned_words", &text), 0);
    // Each term as a comment of its own. What others of the list hide inside it hits as well.
    site.run(
        "INSERT INTO comments (body) SELECT 'so: ' || value || ' !' FROM spamcheck.list_entry \
         WHERE list = 'banned_words'",
    );
    assert_eq!(site.ask("SELECT status, count(*) FROM comments GROUP BY status"), "spam|65372");
    site.run("TRUNCATE comments");
    for (body, status) in [
        ("My grandmother taught me to bake bread in this oven.", "approved"),
        ("Спасибо за статью, очень помогла.", "approved"),
        ("buy _cheap now", "spam"),
    ] {
        let insert = format!("INSERT INTO comments (body) VALUES ('{body}') RETURNING status");
        assert_eq!(site.ask(&insert), status, "{body}");
    }
}

#[test]
fn lists_of_hosts_load_as_domains() {
    let lists = [("disposable-email-domains.txt", 8_335), ("referrer-spam-hosts.txt", 2_347)];
    let mut site = Site::new();
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('hosts', 'domain')");
    for (name, count) in lists {
        let Some(text) = list(name) else { return };
        let distinct: std::collections::HashSet<&str> = text.lines().collect();
        let before: i64 = site
            .client
            .query_one("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'hosts'", &[])
            .unwrap()
            .get(0);
        let added = import(&mut site, "hosts", &text);
        let after: i64 = site
            .client
            .query_one("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'hosts'", &[])
            .unwrap()
            .get(0);
        assert_eq!(after - before, i64::from(added));
        assert_eq!(distinct.len(), count, "{name}");
        assert!(added > 2_000, "{name}: {added}");
    }
}
