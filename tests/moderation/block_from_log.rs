//! block_from_log: the wrench beside names and addresses.

use crate::site::{Site, refused};
use crate::{first, site};

const AUTHOR: &str = "A.B* (c) [d] {e} ^f$ \\g | h+i? é";

/// A site with one finding about a sender of that name.
fn logged() -> Site {
    let mut site = site();
    site.run("UPDATE spamcheck.check_setting SET enabled = true, action = 'spam', options = '{}' WHERE check_name IN ('wordfilter', 'url_blocklist')");
    let insert = format!(
        "INSERT INTO comments (author, email, ip, body) VALUES ('{AUTHOR}', 'a.b+c@mail.example', '192.0.2.77', 'casino')"
    );
    site.run("ALTER TABLE comments ADD url text; SELECT spamcheck.protect('comments')");
    site.run(
        &insert
            .replace("body)", "body, url)")
            .replace("'casino')", "'casino', 'https://www.Bad.example:8080/x?y=1')"),
    );
    site.run("DELETE FROM spamcheck.list_entry WHERE value = 'casino'");
    site
}

/// The checks that hit a comment.
fn hits(site: &mut Site, column: &str, value: &str) -> String {
    site.client
        .execute(
            &format!(
                "INSERT INTO comments (body, {column}) VALUES ('x', $1::text::{})",
                if column == "ip" { "inet" } else { "text" }
            ),
            &[&value],
        )
        .unwrap();
    site.ask("SELECT coalesce(string_agg(check_name, ','), '-') FROM spamcheck.spam_checklog WHERE row_key ->> 'id' = (SELECT max(id)::text FROM comments)")
}

#[test]
fn an_author_is_blocked_by_name_whatever_characters_it_has() {
    let mut site = logged();
    let id = first(&mut site);
    let entry = site.ask(&format!("SELECT spamcheck.block_from_log({id}, 'author')"));
    assert!(entry.starts_with("author_filter: ^A\\.B\\* \\(c\\) "), "{entry}");
    assert_eq!(hits(&mut site, "author", AUTHOR), "wordfilter");
    assert_eq!(hits(&mut site, "author", &AUTHOR.to_lowercase()), "wordfilter");
    assert_eq!(hits(&mut site, "author", &format!("{AUTHOR}x")), "-");
    assert_eq!(hits(&mut site, "author", "AxB"), "-");
}

#[test]
fn each_goes_to_the_list_that_fits() {
    let mut site = logged();
    let id = first(&mut site);
    for (what, list, column, same, other) in [
        (
            "url",
            "url_filter",
            "url",
            "https://www.bad.example:8080/x?y=1",
            "https://www.bad.example:8080/x?y=12",
        ),
        ("email", "email_block", "email", "a.b+c@mail.example", "axb+c@mail.example"),
        ("ip", "ip_block", "ip", "192.0.2.77", "192.0.2.78"),
        ("domain", "url_block", "url", "http://shop.bad.example/", "http://notbad.example/"),
    ] {
        let before = site.ask("SELECT count(*) FROM spamcheck.list_entry");
        let entry = site.ask(&format!("SELECT spamcheck.block_from_log({id}, '{what}')"));
        assert!(entry.starts_with(&format!("{list}: ")), "{what}: {entry}");
        assert_ne!(site.ask("SELECT count(*) FROM spamcheck.list_entry"), before);
        assert_ne!(hits(&mut site, column, same), "-", "{what}");
        assert_eq!(hits(&mut site, column, other), "-", "{what}");
    }
}

#[test]
fn the_list_is_the_one_that_the_policys_checks_look_at() {
    let mut site = logged();
    site.run(
        "INSERT INTO spamcheck.list (name, kind) VALUES ('mine', 'regex');
         UPDATE spamcheck.check_setting SET options = '{\"author\": [\"mine\"]}' WHERE check_name = 'wordfilter';
         UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'email_pattern'",
    );
    let id = first(&mut site);
    assert!(
        site.ask(&format!("SELECT spamcheck.block_from_log({id}, 'author')")).starts_with("mine: ")
    );
    assert!(
        site.ask(&format!("SELECT spamcheck.block_from_log({id}, 'email')"))
            .starts_with("email_filter: ")
    );
}

#[test]
fn again_it_is_there_once_and_stays_as_long_as_the_longer_time() {
    let mut site = logged();
    let id = first(&mut site);
    let entry = "SELECT count(*), max(expires_at) > now() + '23 hours', max(expires_at) < now() + '25 hours', max(note) FROM \
        spamcheck.list_entry WHERE value = '192.0.2.77'";
    for expires in ["'1 day'", "'1 hour'"] {
        site.ask(&format!("SELECT spamcheck.block_from_log({id}, 'ip', {expires})"));
        assert_eq!(site.ask(entry), format!("1|t|t|from log entry {id}"));
    }
    for expires in ["NULL", "'1 hour'"] {
        site.ask(&format!("SELECT spamcheck.block_from_log({id}, 'ip', {expires})"));
        assert_eq!(site.ask(entry), format!("1|||from log entry {id}"), "for ever");
    }
}

#[test]
fn what_cannot_be_blocked_is_refused() {
    let mut site = logged();
    let id = first(&mut site);
    let error =
        refused(&mut site.client, &format!("SELECT spamcheck.block_from_log({id}, 'body')"));
    assert!(
        error.hint().is_some_and(|hint| hint.contains("author, url, email, ip or domain")),
        "{error:?}"
    );
    site.run("UPDATE spamcheck.spam_checklog SET url = '/here', ip = NULL, author = ' '");
    for what in ["domain", "ip", "author"] {
        let error =
            refused(&mut site.client, &format!("SELECT spamcheck.block_from_log({id}, '{what}')"));
        assert!(error.message().contains(what) && error.hint().is_some(), "{error:?}");
    }
    refused(&mut site.client, "SELECT spamcheck.block_from_log(999, 'ip')");
}

#[test]
fn the_entry_is_the_moderators() {
    let mut site = logged();
    let role = site.role("mod");
    site.run(&format!("SELECT spamcheck.grant_access('{role}', 'moderator')"));
    let id = first(&mut site);
    let mut moderator = site.db.client_as(&role);
    crate::site::run(&mut moderator, &format!("SELECT spamcheck.block_from_log({id}, 'ip')"));
    assert_eq!(
        site.ask("SELECT added_by FROM spamcheck.list_entry WHERE value = '192.0.2.77'"),
        role
    );
}

#[test]
fn blanks_around_are_no_part_of_what_is_blocked() {
    let mut site = logged();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino'); INSERT INTO comments (body, author, email, url) VALUES ('casino', ' Bob ', 'b@x.example  ', ' http://x.example/a ')");
    let id = site.ask("SELECT max(id) FROM spamcheck.spam_checklog");
    for (what, column, same) in [
        ("author", "author", " Bob "),
        ("email", "email", "b@x.example"),
        ("url", "url", " http://x.example/a "),
    ] {
        site.run(&format!("SELECT spamcheck.block_from_log({id}, '{what}')"));
        assert_ne!(hits(&mut site, column, same), "-", "{what}");
        assert_ne!(hits(&mut site, column, same.trim()), "-", "{what}");
    }
}

#[test]
fn a_domain_is_a_site_and_neither_a_script_nor_where_sites_are_registered() {
    let mut site = logged();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    for (url, entry) in [
        ("https://www.co.uk/", "url_block: www.co.uk"),
        ("https://www.bad.co.uk/", "url_block: bad.co.uk"),
        ("www.example", "url_block: www.example"),
        ("http://192.0.2.7/", "url_block: 192.0.2.7"),
    ] {
        site.run(&format!("INSERT INTO comments (body, url) VALUES ('casino', '{url}')"));
        let blocked =
            "SELECT spamcheck.block_from_log(max(id), 'domain') FROM spamcheck.spam_checklog";
        assert_eq!(site.ask(blocked), entry, "{url}");
    }
    site.run("INSERT INTO comments (body, url) VALUES ('casino', 'javascript:alert(1)')");
    let id = site.ask("SELECT max(id) FROM spamcheck.spam_checklog");
    let error =
        refused(&mut site.client, &format!("SELECT spamcheck.block_from_log({id}, 'domain')"));
    assert!(error.message().contains("has no domain"), "{error:?}");
}

#[test]
fn an_entry_that_could_not_count_is_refused() {
    let mut site = logged();
    let id = first(&mut site);
    for wrong in ["-1 day", "0", "100000000 years"] {
        let error = refused(
            &mut site.client,
            &format!("SELECT spamcheck.block_from_log({id}, 'ip', '{wrong}')"),
        );
        assert!(
            error.message().contains("expires_in") && error.hint().is_some(),
            "{wrong}: {error:?}"
        );
    }
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'ip_block' AND value = '192.0.2.77'"), "0");
}

#[test]
fn of_several_addresses_the_one_that_hit_is_blocked() {
    let mut site = site();
    site.check("url_blocklist", "enabled = true, action = 'spam', options = '{}'");
    site.run(
        r#"ALTER TABLE comments ADD urls text[]; SELECT spamcheck.protect('comments', columns => '{"url": "urls"}');
           INSERT INTO spamcheck.list_entry (list, value) VALUES ('url_block', 'bad.example');
           INSERT INTO comments (body, urls) VALUES ('x', '{http://good.example/,http://www.bad.example/y}'), ('casino', '{http://good.example/,http://other.example/}')"#,
    );
    let (first, second) = (
        "SELECT min(id) FROM spamcheck.spam_checklog",
        "SELECT max(id) FROM spamcheck.spam_checklog",
    );
    let [first, second] = [first, second].map(|query| site.ask(query));
    assert_eq!(
        site.ask(&format!("SELECT spamcheck.block_from_log({first}, 'domain')")),
        "url_block: bad.example"
    );
    let error =
        refused(&mut site.client, &format!("SELECT spamcheck.block_from_log({second}, 'domain')"));
    assert_eq!(error.message(), format!("log entry {second} has several addresses"));
    assert!(error.detail().is_some_and(|detail| detail.contains("http://other.example/")));
}
