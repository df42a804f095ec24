//! What import_list() makes of a text.

use std::time::Duration;

use crate::site::Site;

fn entries(site: &mut Site, list: &str) -> String {
    site.ask(&format!(
        "SELECT value FROM spamcheck.list_entry WHERE list = '{list}' ORDER BY value COLLATE \"C\""
    ))
}

#[test]
fn lines_are_the_default_and_only_new_entries_count() {
    let mut site = Site::new();
    assert_eq!(
        site.ask(
            "SELECT spamcheck.import_list('banned_words', \
             E'poker\\r\\n\\n  buy now \\ncasino\\npoker\\n#1 pills')"
        ),
        "3"
    );
    assert_eq!(entries(&mut site, "banned_words"), "#1 pills\nbuy now\ncasino\npoker");
    assert_eq!(site.ask("SELECT spamcheck.import_list('banned_words', 'poker')"), "0");
    assert_eq!(site.ask("SELECT spamcheck.import_list('banned_words', '')"), "0");
    site.run(
        "INSERT INTO comments (body) VALUES ('BUY  now!'), ('a poker b'), ('#1 pills'), ('x')",
    );
    assert_eq!(site.statuses(), "1 spam\n2 spam\n3 spam\n4 approved");
}

#[test]
fn comments_in_lists_of_addresses_are_left_out() {
    let mut site = Site::new();
    let imported = site.ask(
        "SELECT spamcheck.import_list('ip_block', \
         E'# Spamhaus\\n192.0.2.0/24 ; SBL1\\n; end\\n2001:db8::1 # one\\n')",
    );
    assert_eq!(imported, "2");
    assert_eq!(entries(&mut site, "ip_block"), "10.0.0.0/8\n192.0.2.0/24\n2001:db8::1");
    site.run("INSERT INTO comments (ip) VALUES ('192.0.2.9'), ('2001:db8::1'), ('2001:db8::2')");
    assert_eq!(site.log(), "1 ip_block\n2 ip_block");
}

#[test]
fn words_of_actionkit_stand_between_white_space() {
    let mut site = Site::new();
    let imported = site
        .ask("SELECT spamcheck.import_list('banned_words', E' http https\\n\\tviagra ', 'words')");
    assert_eq!(imported, "3");
    site.run("INSERT INTO comments (body) VALUES ('see https://a.example'), ('viagra')");
    assert_eq!(site.statuses(), "1 spam\n2 spam");
}

#[test]
fn filters_of_serendipity_come_with_semicolons_and_escapes() {
    let mut site = Site::new();
    site.check("email_syntax", "enabled = false");
    let imported = site.ask(
        r"SELECT spamcheck.import_list('email_block', E'casino;poker;\n  8gold\\.com ;;me\\@spam\\.example;a\\;b;\nx\\\\;', 'serendipity')",
    );
    assert_eq!(imported, "6");
    assert_eq!(
        entries(&mut site, "email_block"),
        "8gold\\.com\na;b\ncasino\nme@spam\\.example\npoker\nx\\\\"
    );
    site.run(
        r"INSERT INTO comments (email, body) VALUES ('me@SPAM.example', ''), ('x@8gold.com', ''), ('a;b@c', ''), ('a@b', ''), ('x\@c', '')",
    );
    assert_eq!(site.log(), "1 email_pattern\n2 email_pattern\n3 email_pattern\n5 email_pattern");
}

#[test]
fn who_imported_stands_beside_the_entry() {
    let mut site = Site::new();
    let role = site.role("moderator");
    site.run(&format!("SELECT spamcheck.grant_access('{role}', 'moderator')"));
    let mut client = site.db.client_as(&role);
    let imported = crate::site::ask(
        &mut client,
        "SET search_path = ''; SELECT spamcheck.import_list('banned_words', 'poker')",
    );
    assert_eq!(imported, "1");
    assert_eq!(site.ask("SELECT added_by FROM spamcheck.list_entry WHERE value = 'poker'"), role);
}

#[test]
fn a_hundred_thousand_entries_go_in_at_once_and_other_sessions_hear_of_them() {
    let mut site = Site::new();
    let mut other = site.db.client();
    let say = "INSERT INTO comments (body) VALUES ('word99999 is') RETURNING status";
    assert_eq!(crate::site::ask(&mut other, say), "approved");
    let imported = site.ask(
        "SELECT spamcheck.import_list('banned_words', (SELECT string_agg('word' || n, E'\\n') \
         FROM generate_series(1, 100000) n))",
    );
    assert_eq!(imported, "100000");
    assert_eq!(crate::site::ask(&mut other, say), "spam");
    site.run("BEGIN");
    site.run("SELECT spamcheck.import_list('banned_words', 'lottery')");
    site.run("ROLLBACK");
    assert_eq!(
        crate::site::ask(
            &mut other,
            "INSERT INTO comments (body) VALUES ('a lottery') RETURNING status"
        ),
        "approved"
    );
}

#[test]
fn two_imports_at_once_do_not_deadlock() {
    let mut site = Site::new();
    let import = |order: &str| {
        format!(
            "SELECT spamcheck.import_list('banned_words', (SELECT string_agg('w' || n, E'\\n' \
             ORDER BY n {order}) FROM generate_series(1, 20000) n))"
        )
    };
    let mut clients = [site.db.client(), site.db.client()];
    let imported: i64 = std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter_mut()
            .zip([import("ASC"), import("DESC")])
            .map(|(client, sql)| {
                scope.spawn(move || crate::site::ask(client, &sql).parse::<i64>().unwrap())
            })
            .collect();
        running.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert_eq!(imported, 20_000);
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.list_entry WHERE value LIKE 'w%'"),
        "20000"
    );
}

#[test]
fn imports_of_several_steps_wait_for_each_other_before_they_write() {
    let mut site = Site::new();
    let mut other = site.db.client();
    let import = |entries: &str| {
        format!("SELECT spamcheck.import_list('banned_words', '{entries}', 'words')")
    };
    let pid = crate::site::ask(&mut other, "SELECT pg_backend_pid()");
    site.run(&format!("BEGIN; {}", import("zebra")));
    std::thread::scope(|scope| {
        let both = import("apple zebra");
        let waiting = scope.spawn(move || crate::site::ask(&mut other, &both));
        let waits = format!(
            "SELECT count(*) FROM pg_locks WHERE pid = {pid} AND NOT granted AND locktype = \
             'transactionid'"
        );
        support::wait::until(Duration::from_secs(30), "the other's wait", || {
            site.ask(&waits) == "1"
        });
        // Had the other written this one already, each would have one that the other needs.
        assert_eq!(site.ask(&import("apple")), "1");
        site.run("COMMIT");
        assert_eq!(waiting.join().unwrap(), "0");
    });
}
