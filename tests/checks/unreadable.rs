//! Addresses that are none: what is taken for one, and who hears of the others.

use crate::site::{Site, ask, refused};

/// A site whose column for the address takes any text, with the checks by address on.
fn site() -> Site {
    let mut site = Site::new();
    site.run("ALTER TABLE comments ALTER ip TYPE text; SELECT spamcheck.protect('comments')");
    site.check(
        "rate_limit",
        r#"enabled = true, options = '{"max": 1, "per": "1 hour", "block": "1 hour"}'"#,
    );
    site
}

fn insert(ip: &str) -> String {
    format!("INSERT INTO comments (ip, body) VALUES ('{ip}', 'hello')")
}

const HEALTH: &str = "SELECT state, message, hint FROM spamcheck.health() WHERE item = 'addresses'";

#[test]
fn an_address_with_its_port_is_that_address() {
    let mut site = site();
    for (one, other) in [("192.0.2.1:8080", "192.0.2.1"), ("[2001:db8::1]:443", "[2001:db8::2]")] {
        site.run(&insert(one));
        let error = refused(&mut site.client, &insert(other));
        assert_eq!(error.constraint(), Some("spamcheck_rate_limit"), "{one}");
    }
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_block', '198.51.100.0/24')",
    );
    site.run(&insert("198.51.100.7:50123"));
    assert_eq!(
        site.ask("SELECT check_name, host(ip) FROM spamcheck.recent LIMIT 1"),
        "ip_block|198.51.100.7"
    );
    assert!(site.ask(HEALTH).starts_with("ok|"));
}

#[test]
fn several_addresses_are_none_and_health_says_so() {
    let mut site = site();
    for _ in 0..3 {
        site.run(&insert("10.0.0.1, 192.0.2.1"));
    }
    assert_eq!(site.statuses(), "1 approved\n2 approved\n3 approved", "none of them is known");
    assert_eq!(site.log(), "");
    let health = site.ask(HEALTH);
    assert!(health.starts_with("warning|3 submissions since"), "{health}");
    assert!(
        health.contains("the latest in public.comments") && health.contains("X-Forwarded-For"),
        "{health}"
    );
    assert!(!health.contains("10.0.0.1"), "no visitor's data: {health}");
    let explained = "SELECT detail ->> 'notes' FROM spamcheck.explain('comments', '{\"ip\": \"10.0.0.1, 192.0.2.1\"}')
                      WHERE check_name IN ('rate_limit', 'ip_block')";
    let note = r#"["ip: \"10.0.0.1, 192.0.2.1\" is not an address"]"#;
    assert_eq!(site.ask(explained), format!("{note}\n{note}"));
}

#[test]
fn the_setting_that_stands_for_a_column_is_counted_and_what_is_empty_is_not() {
    let mut site = site();
    site.run(r#"SELECT spamcheck.protect('comments', columns => '{"ip": null}')"#);
    site.run("INSERT INTO comments (body) VALUES ('a'); SET pg_spamcheck.ip = ' '; INSERT INTO comments (body) VALUES ('b')");
    assert!(site.ask(HEALTH).starts_with("ok|"));
    site.run("SET pg_spamcheck.ip = 'unix:'; INSERT INTO comments (body) VALUES ('c')");
    assert!(site.ask(HEALTH).starts_with("warning|1 submission since"));
    // Another database hears nothing of it.
    let other = Site::new();
    assert!(ask(&mut other.db.client(), HEALTH).starts_with("ok|"));
}

#[test]
fn an_address_in_another_table_is_noted_where_a_check_has_read_it() {
    let mut site = site();
    site.run(
        r#"CREATE TABLE visits (id int PRIMARY KEY, ip text); INSERT INTO visits VALUES (0, 'proxy, proxy');
           SELECT spamcheck.protect('comments', columns => '{"ip": {"table": "visits", "key": "id", "from": "views", "column": "ip"}}');
           INSERT INTO comments (body) VALUES ('hello')"#,
    );
    assert!(site.ask(HEALTH).starts_with("warning|1 submission since"), "{}", site.ask(HEALTH));
}
