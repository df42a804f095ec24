//! How much of the table a row looks at: a spammer's earlier rows must not make each next one dearer.

use crate::blog::{blog, options, pending};
use crate::site::Site;

const SAME: &str = "Thank you very much";

/// How many rows of the table a statement looks at by their keys, or how often it passes over all.
fn looks(site: &mut Site, statement: &str) -> u64 {
    // What the server has not reported yet of what this session did before is in it, too.
    let so_far = "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables WHERE relname = 'comments'";
    let looks = |site: &mut Site| site.ask(so_far).parse::<u64>().expect("a number");
    site.run("BEGIN");
    let before = looks(site);
    site.run(statement);
    let after = looks(site);
    site.run("COMMIT");
    after - before
}

/// Rows with one body, each of another author, address and page, none of them accepted.
fn flooded(rows: u32, same: &str) -> Site {
    let mut site = blog(&["duplicate"]);
    options(&mut site, "duplicate", &format!(r#"{{"same": {same}}}"#));
    site.run(&format!(
        "INSERT INTO comments (body, author, ip, page, kind, status)
         SELECT '{SAME}', 'author ' || n, inet '10.0.0.0' + n, '/' || n, 'trackback', 'spam' FROM generate_series(1, {rows}) n"
    ));
    site
}

#[test]
fn what_must_be_the_same_is_found_without_a_look_at_the_others() {
    for (same, columns, hit, miss) in [
        ("\"author\"", "author", "'Author 3'", "'nobody'"),
        ("\"ip\"", "ip", "'10.0.0.3'", "'192.0.2.1'"),
        ("\"article\"", "page", "'/3'", "'/none'"),
    ] {
        let mut site = flooded(300, same);
        let insert = |value: &str| {
            format!("INSERT INTO comments (body, {columns}) VALUES ('{SAME}', {value})")
        };
        let looked = looks(&mut site, &insert(miss));
        assert!(looked < 5, "{same}: {looked} looks for a row that is none's double");
        assert_eq!(pending(&mut site), "", "{same}");
        let looked = looks(&mut site, &insert(hit));
        assert!(looked < 5, "{same}: {looked} looks for a double");
        assert_eq!(pending(&mut site), "302", "{same}");
    }
}

#[test]
fn a_trackback_is_compared_without_a_look_at_those_of_other_articles() {
    let mut site = flooded(300, "null");
    let insert = |page: &str| {
        format!("INSERT INTO comments (body, kind, page) VALUES ('{SAME}', 'trackback', '{page}')")
    };
    let looked = looks(&mut site, &insert("/none"));
    assert!(looked < 5, "{looked} looks");
    let looked = looks(&mut site, &insert("/3"));
    assert!(looked < 5, "{looked} looks");
    assert_eq!(pending(&mut site), "302");
    // A comment is compared with trackbacks under any article.
    site.run(&format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert_eq!(pending(&mut site), "302 303");
}

#[test]
fn rows_that_are_not_ham_are_looked_at_up_to_a_limit() {
    let mut site = blog(&["duplicate"]);
    site.check("bypass", r#"enabled = true, options = '{"approved_before": 2}'"#);
    let row = |body: &str| {
        format!("INSERT INTO comments (body, email) VALUES ('{body}', 'ann@site.example')")
    };
    site.run(&row("my first one"));
    site.run(&row("my second one"));
    let spam = |from: u32, to: u32| {
        format!(
            "ALTER TABLE comments DISABLE TRIGGER USER;
             INSERT INTO comments (body, email, status) SELECT 'spam number ' || n, 'ann@site.example', 'spam' FROM generate_series({from}, {to}) n;
             ALTER TABLE comments ENABLE TRIGGER USER"
        )
    };
    let remember = |site: &Site| drop(site.db.psql("CALL spamcheck.remember('comments')"));
    site.run(&spam(1, 400));
    remember(&site);
    // Two accepted ones, below four hundred that are not.
    site.run(&row("my first one"));
    assert_eq!(pending(&mut site), "", "known by the accepted ones");
    site.run("UPDATE comments SET status = 'spam'");
    site.run(&spam(401, 3000));
    remember(&site);
    let looked = looks(&mut site, &row("once more"));
    assert!((500..1100).contains(&looked), "{looked} looks");
}

#[test]
fn rows_with_one_body_that_were_edited_since_are_looked_at_up_to_a_limit() {
    let mut site = blog(&["duplicate"]);
    site.run(&format!(
        "ALTER TABLE comments DISABLE TRIGGER USER;
         INSERT INTO comments (body) SELECT '{SAME}' FROM generate_series(1, 2500);
         ALTER TABLE comments ENABLE TRIGGER USER"
    ));
    site.db.psql("CALL spamcheck.remember('comments')");
    site.run(
        "ALTER TABLE comments DISABLE TRIGGER USER; UPDATE comments SET body = 'edited';
         ALTER TABLE comments ENABLE TRIGGER USER",
    );
    let looked = looks(&mut site, &format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert!(looked < 1100, "{looked} looks");
    // It is remembered itself, and found at once.
    let looked = looks(&mut site, &format!("INSERT INTO comments (body) VALUES ('{SAME}')"));
    assert!(looked < 5, "{looked} looks");
    assert_eq!(pending(&mut site), "2502");
}
