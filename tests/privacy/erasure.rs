//! erase_subject(): what the extension keeps of a person is gone afterwards, and nobody else's is.

use crate::site::{Site, ask, refused, run};

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
fn subscribers_who_are_named_by_a_number_go_with_the_findings_about_them() {
    let mut site = Site::new();
    site.policy("unsubscribe = true");
    site.run(
        r#"CREATE TABLE people (id int PRIMARY KEY, subscribed boolean NOT NULL DEFAULT true);
           INSERT INTO people VALUES (7), (8);
           ALTER TABLE comments ADD COLUMN person int;
           SELECT spamcheck.protect('comments', subscriber => '{"table": "people", "key": "id", "from": "person",
               "column": "subscribed", "subscribed": true, "unsubscribed": false}');
           INSERT INTO comments (email, body, person) VALUES ('ann@example.com', 'casino', 7), ('bob@example.com', 'casino', 8);
           SELECT spamcheck.resubscribe('7')"#,
    );
    let told = site.ask("SELECT spamcheck.erase_subject('ann@example.com')");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["erased"]["history"], &told["left"]["history"]), (&1.into(), &0.into()));
    // That somebody subscribed number 7 again is left for a person to look at.
    assert_eq!(told["stays"]["history"], 1, "{told}");
    let left = "SELECT string_agg(subscriber || ' ' || change, ', ' ORDER BY subscriber) FROM spamcheck.subscription_history";
    assert_eq!(site.ask(left), "7 resubscribe, 8 unsubscribe_spamcheck");
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

/// Apps write what the web server gives them: a port behind the address, or those of all proxies.
#[test]
fn an_ip_address_is_found_as_checks_read_it_and_in_a_list_of_several() {
    let mut site = Site::bare();
    site.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, email text, addr text, body text, status text DEFAULT 'approved'
             CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('notes', columns => '{\"ip\":\"addr\"}');
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')",
    );
    site.check("akismet", r#"enabled = true, options = '{"blog":"https://b.example/"}'"#);
    site.run(
        "INSERT INTO notes (addr, body) SELECT a, b FROM unnest(ARRAY['5.5.5.2:99', '[2001:db8:5::1]:443', '[2001:db8:5::2]',
             '1.1.1.1, 5.5.5.9', '::ffff:5.5.5.7', '5.5.5.3/32', '5.5.6.1:99', '[2001:db8:6::1]:443', '1.1.1.1, 5.5.6.1', 'unknown']) a,
             unnest(ARRAY['fine', 'a casino']) b WHERE b = 'fine' OR a LIKE '%, %'",
    );
    site.check("content", "action = 'reject'");
    refused(
        &mut site.client,
        "INSERT INTO notes (addr, body) VALUES ('5.5.5.4, 1.1.1.1', 'casino')",
    );
    site.run(
        "INSERT INTO spamcheck._checked (protection, row_key, result, submission, fingerprint)
                SELECT l._protection, l.row_key, 'ham', l.submission, '{}' FROM spamcheck.lookup l",
    );
    let left = |site: &mut Site, ip: &str| {
        let told = site.ask(&format!("SELECT spamcheck.erase_subject(ip => '{ip}')"));
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let left: i64 = told["left"].as_object().unwrap().values().filter_map(|n| n.as_i64()).sum();
        assert_eq!(left, 0, "{told}");
        told["erased"].clone()
    };
    let erased = left(&mut site, "5.5.5.77/24");
    assert_eq!(
        (erased["lookups"].as_i64(), erased["checked"].as_i64(), erased["log"].as_i64()),
        (Some(4), Some(4), Some(2)),
        "{erased}"
    );
    let erased = left(&mut site, "2001:db8:5::/48");
    assert_eq!((erased["lookups"].as_i64(), erased["checked"].as_i64()), (Some(2), Some(2)));
    assert_eq!(traces_of(&mut site, "5.5.5."), "");
    assert_eq!(traces_of(&mut site, "2001:db8:5"), "");
    let others = "SELECT string_agg(submission ->> 'ip', ' ' ORDER BY id) FROM spamcheck.";
    assert_eq!(
        site.ask(&format!("{others}lookup")),
        "5.5.6.1:99 [2001:db8:6::1]:443 1.1.1.1, 5.5.6.1 unknown"
    );
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "1", "of 5.5.6.1");
    left(&mut site, "::ffff:5.5.6.1");
    assert_eq!(traces_of(&mut site, "5.5.6.1"), "");
}

/// Nobody will answer for it any more: it does not stay moderated for ever, without a word.
#[test]
fn a_row_that_waits_for_an_answer_gets_its_own_status_back() {
    let mut site = Site::new();
    let akismet = r#"'{"blog":"https://b.example/","mode":"hold"}'"#;
    site.check("akismet", &format!("enabled = true, options = {akismet}"));
    site.run("ALTER TABLE comments DROP CONSTRAINT comments_status_check");
    site.run(
        "INSERT INTO comments (author, email, body, status) VALUES
           ('Ann', 'ann@example.com', 'one', 'featured'), ('Ann', 'ann@example.com', 'two', 'approved'),
           ('Ann', 'ann@example.com', 'three', 'approved'), ('Ann', 'ann@example.com', 'four', 'approved'),
           ('Bob', 'bob@example.com', 'five', 'approved')",
    );
    assert_eq!(site.statuses(), "1 pending\n2 pending\n3 pending\n4 pending\n5 pending");
    // Somebody decides about the second, deletes the third, and holds the fourth at this moment.
    site.run("UPDATE comments SET status = 'spam' WHERE id = 2; DELETE FROM comments WHERE id = 3");
    let mut other = site.db.client();
    run(&mut other, "BEGIN; SELECT FROM comments WHERE id = 4 FOR UPDATE");
    let told = site.ask("SELECT spamcheck.erase_subject('ann@example.com')");
    run(&mut other, "COMMIT");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["released"], 1, "{told}");
    let held = serde_json::json!([{ "relation": "public.comments", "key": { "id": 4 } }]);
    assert_eq!(told["stays"]["held_rows"], held, "{told}");
    assert_eq!(site.statuses(), "1 featured\n2 spam\n4 pending\n5 pending");
    assert_eq!(
        site.ask("SELECT row_key FROM spamcheck.lookup WHERE kind = 'akismet'"),
        "{\"id\": 5}"
    );
    assert_eq!(traces_of(&mut site, "ann@example.com"), "");
    // Nobody has decided anything: Akismet is told nothing.
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.lookup WHERE kind = 'submit_ham'"), "0");
}

#[test]
fn a_row_that_waits_for_two_answers_is_released_once_and_moderators_may_do_it() {
    let mut site = Site::bare();
    let moderator = site.role("moderator");
    site.run(&format!(
        "CREATE TABLE comments (id serial PRIMARY KEY, type text, url text, permalink text, email text, body text,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments'); SELECT spamcheck.grant_access('{moderator}', 'moderator');
         UPDATE spamcheck.check_setting SET enabled = true, action = 'moderate' WHERE check_name = 'trackback_link';
         UPDATE spamcheck.check_setting SET enabled = true, options = '{{\"blog\":\"https://b.example/\",\"mode\":\"hold\"}}' WHERE check_name = 'akismet';
         BEGIN;
         INSERT INTO comments (type, url, permalink, email, body) VALUES ('trackback', 'http://192.0.2.1/page', 'https://b.example/1', 'eve@x.example', 'tb');
         UPDATE spamcheck.lookup SET next_at = 'infinity';
         COMMIT"
    ));
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.lookup WHERE _held"), "2");
    assert_eq!(site.statuses(), "1 pending");
    let told = ask(
        &mut site.db.client_as(&moderator),
        "SELECT e -> 'released', e -> 'erased' -> 'lookups' FROM spamcheck.erase_subject('eve@x.example') e",
    );
    assert_eq!(told, "1|2");
    assert_eq!(site.statuses(), "1 approved");
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

#[test]
fn one_of_several_addresses_is_hers_and_what_mentions_her_is_said_to_stay() {
    let mut site = Site::new();
    site.check("content", "action = 'moderate'");
    site.run(
        r#"INSERT INTO comments (author, email, ip, body) VALUES
             ('Ann', 'A_B@X.org, z@y.example', '203.0.113.7', 'a casino'), ('Ann', '"B, A" <a_b@x.ORG>;', '203.0.113.7', 'a casino'),
             ('Ann', 'mailto:a_b@x.org', '203.0.113.7', 'a casino'), ('Bob', 'aa_b@x.org', '203.0.113.8', 'a casino'),
             ('Bob', 'bob@y.example', '203.0.113.8', 'a casino, ask a_b@x.org')"#,
    );
    let told = site.ask("SELECT spamcheck.erase_subject('a_b@x.org')");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["left"]["log"], 0);
    assert_eq!(told["stays"]["mentions"], 1, "{told}");
    let left = "SELECT string_agg(DISTINCT email, ' ' ORDER BY email) FROM spamcheck.spam_checklog";
    assert_eq!(site.ask(left), "aa_b@x.org bob@y.example");
}
