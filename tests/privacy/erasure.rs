//! erase_subject(): what the extension keeps of a person is gone afterwards, and nobody else's is.

use crate::site::{Site, ask, refused};

/// Every row of the extension's tables in which a text stands, table by table.
fn traces_of(site: &mut Site, part: &str) -> String {
    let tables = site.ask(
        "SELECT string_agg(format('SELECT %L AS place FROM %s t WHERE strpos(lower(t::text), %L) > 0', c.relname, c.oid::regclass, '$part$'), ' UNION ALL ')
           FROM pg_class c WHERE c.relnamespace = 'spamcheck'::regnamespace AND c.relkind = 'r'",
    );
    let query = format!("SELECT string_agg(DISTINCT place, ' ' ORDER BY place) FROM ({tables}) x");
    site.ask(&query.replace("$part$", &part.to_lowercase()))
}

/// Ann and Bob are in the log, in the queue, in what Akismet was asked, in the mail and in the memory.
fn site() -> Site {
    let mut site = Site::new();
    site.check("content", "action = 'moderate'");
    site.check("ip_interval", "enabled = true, action = 'log'");
    site.check("akismet", r#"enabled = true, options = '{"blog":"https://b.example/"}'"#);
    site.policy("mail_to = '{mods@example.com}'");
    site.run(
        "INSERT INTO comments (author, email, ip, body) VALUES
           ('Ann', 'Ann@Example.com', '203.0.113.7', 'a casino'), ('Ann', 'ann@example.com', '203.0.113.7', 'fine'),
           ('Bob', 'bob@example.com', '198.51.100.9', 'a casino'), ('Bob', 'bob@example.com', '198.51.100.9', 'fine');
         INSERT INTO spamcheck._checked (protection, row_key, result, submission, fingerprint)
           SELECT l._protection, l.row_key, 'ham', l.submission, '{}' FROM spamcheck.lookup l;
         UPDATE spamcheck.lookup SET submission = jsonb_set(submission, '{ip}', '\"no address\"') WHERE row_key ->> 'id' = '4';
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '^ann@example\\.com$')",
    );
    site
}

#[test]
fn all_of_a_person_goes_by_the_address_and_all_others_stay() {
    let mut site = site();
    assert_eq!(
        traces_of(&mut site, "ann@example.com"),
        "_checked _mail list_entry lookup spam_checklog".replace("list_entry ", "")
    );
    assert_eq!(traces_of(&mut site, "203.0.113.7"), "_checked _mail lookup spam_checklog");
    let told = site.ask("SELECT spamcheck.erase_subject('ann@EXAMPLE.com ')");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let erased = &told["erased"];
    assert!(
        erased["log"].as_i64() >= Some(1)
            && erased["lookups"] == 2
            && erased["checked"] == 2
            && erased["mail"] == 1,
        "{told}"
    );
    for (place, left) in told["left"].as_object().expect("an object") {
        assert_eq!(left, 0, "{place}");
    }
    assert_eq!(told["stays"]["list_entries"], 1);
    assert_eq!(traces_of(&mut site, "ann@example.com"), "");
    assert_eq!(
        traces_of(&mut site, "203.0.113.7"),
        "",
        "what she sent from another address would still be there"
    );
    assert_eq!(traces_of(&mut site, "bob@example.com"), "_checked _mail lookup spam_checklog");
    assert_eq!(site.ask("SELECT count(*) FROM comments"), "4", "the table is the app's");
    // Again there is nothing to do.
    let again = site.ask("SELECT spamcheck.erase_subject('ann@example.com') -> 'erased'");
    assert!(!again.contains(|c: char| ('1'..='9').contains(&c)), "{again}");
}

#[test]
fn an_ip_address_and_its_memory_go_and_so_does_a_network() {
    let mut site = site();
    let hashes = "SELECT count(*) FROM spamcheck._seen WHERE hash & 3 = 1";
    let before: i64 = site.ask(hashes).parse().expect("a number");
    let told = site.ask("SELECT spamcheck.erase_subject(ip => '203.0.113.7')");
    assert!(told.contains("\"left\""), "{told}");
    assert_eq!(traces_of(&mut site, "203.0.113.7"), "");
    let after: i64 = site.ask(hashes).parse().expect("a number");
    assert_eq!(before - after, 2, "both of her rows");
    assert_ne!(traces_of(&mut site, "198.51.100.9"), "");
    site.run("SELECT spamcheck.erase_subject(ip => '198.51.100.0/24')");
    assert_eq!(traces_of(&mut site, "198.51.100.9"), "");
    // What is no address is not hers.
    assert_eq!(site.ask("SELECT submission ->> 'ip' FROM spamcheck.lookup"), "no address");
}

#[test]
fn a_rejected_submission_that_is_kept_whole_goes_too() {
    let mut site = Site::new();
    site.check("content", "action = 'reject'");
    refused(
        &mut site.client,
        "INSERT INTO comments (author, email, body) VALUES ('Ann', 'ann@example.com', 'casino')",
    );
    assert_eq!(traces_of(&mut site, "ann@example.com"), "spam_checklog");
    site.run("SELECT spamcheck.erase_subject('ann@example.com')");
    assert_eq!(traces_of(&mut site, "ann@example.com"), "");
}

#[test]
fn the_row_at_hand_is_judged_as_before_once_memory_was_erased() {
    let mut site = site();
    site.run("SELECT spamcheck.erase_subject(ip => '203.0.113.7')");
    let hits = "SELECT count(*) FROM spamcheck.spam_checklog WHERE check_name = 'ip_interval' AND ip = '203.0.113.7'";
    site.run("INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', 'once')");
    assert_eq!(site.ask(hits), "0", "she is new here");
    site.run("INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', 'twice')");
    assert_eq!(site.ask(hits), "1");
}

#[test]
fn nobody_is_meant_by_nothing_and_only_moderators_erase() {
    let mut site = site();
    for nobody in ["", "NULL, NULL", "'  '"] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.erase_subject({nobody})"));
        assert!(error.message().contains("needs an e-mail address or an IP address"), "{error:?}");
    }
    let (moderator, analyst) = (site.role("moderator"), site.role("analyst"));
    site.run(&format!("SELECT spamcheck.grant_access('{moderator}', 'moderator'), spamcheck.grant_access('{analyst}', 'analyst')"));
    refused(&mut site.db.client_as(&analyst), "SELECT spamcheck.erase_subject('bob@example.com')");
    ask(&mut site.db.client_as(&moderator), "SELECT spamcheck.erase_subject('bob@example.com')");
    assert_eq!(traces_of(&mut site, "bob@example.com"), "");
}

/// The server's lower() knows ASCII alone there, and white space and names stand around addresses.
#[test]
fn an_address_is_found_however_it_was_written_and_whatever_the_locale() {
    let mut site = Site::bare();
    let name = format!("latin_{}", site.db.name());
    site.run(&format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    let mut client = crate::site::cluster().connect(&name, "postgres");
    crate::site::run(
        &mut client,
        "CREATE EXTENSION pg_spamcheck;
         CREATE TABLE comments (id serial PRIMARY KEY, author text, email text, body text);
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino'), ('email_block', '^jÖrg@x\\.example$');
         SELECT spamcheck.protect('comments', status => '{}');
         INSERT INTO comments (author, email, body) VALUES ('a', 'jÖrg@x.example', 'casino'),
             ('b', E'\tJörg@X.example\n', 'casino'), ('c', ' Jörg Müller <JÖRG@x.example>', 'casino'),
             ('d', 'bjÖrg@x.example', 'casino'), ('e', 'jorg@x.example', 'casino')",
    );
    let told = ask(
        &mut client,
        "SELECT concat_ws(' ', e -> 'erased' -> 'log', e -> 'left' -> 'log', e -> 'stays' -> 'list_entries')
           FROM spamcheck.erase_subject('Jörg@x.example') e",
    );
    assert_eq!(told, "6 0 1", "two findings on each of three");
    let left =
        "SELECT string_agg(DISTINCT author, ' ' ORDER BY author) FROM spamcheck.spam_checklog";
    assert_eq!(ask(&mut client, left), "d e");
    drop(client);
    site.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
}
