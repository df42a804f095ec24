//! ip_allow and ip_block, and what counts as an address.

use crate::site::{Site, ask, refused};

/// The findings on a comment from `ip`, a literal of the column's type.
fn findings(site: &mut Site, ip: &str) -> String {
    site.run(&format!("INSERT INTO comments (ip, body) VALUES ({ip}, 'nice')"));
    site.ask(
        "SELECT check_name || ' ' || outcome FROM spamcheck.spam_checklog
          WHERE row_key = (SELECT jsonb_build_object('id', max(id)) FROM comments) ORDER BY id",
    )
}

fn with_networks(entries: &[(&str, &str)]) -> Site {
    let mut site = Site::new();
    site.run("DELETE FROM spamcheck.list_entry");
    for (list, value) in entries {
        site.run(&format!(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('{list}', '{value}')"
        ));
    }
    site
}

#[test]
fn an_address_is_blocked_in_its_networks_and_nowhere_else() {
    let entries = ["192.0.2.7", "198.51.100.0/25", "2001:db8:5::/48", "10.1.2.3/8", "2001:db8::9"];
    let mut site = with_networks(&entries.map(|entry| ("ip_block", entry)));
    for hit in [
        "192.0.2.7",
        "198.51.100.0",
        "198.51.100.127",
        "10.255.255.255",
        "10.0.0.0",
        "2001:db8:5:ffff::1",
        "2001:db8::9",
        "::ffff:192.0.2.7",
        "::ffff:10.9.9.9",
        "192.0.2.7/24",
    ] {
        assert_eq!(findings(&mut site, &format!("'{hit}'")), "ip_block suppressed", "{hit}");
    }
    for miss in [
        "192.0.2.6",
        "192.0.2.8",
        "198.51.100.128",
        "11.0.0.0",
        "9.255.255.255",
        "2001:db8:6::",
        "::1",
        "::192.0.2.7",
    ] {
        assert_eq!(findings(&mut site, &format!("'{miss}'")), "", "{miss}");
    }
    assert_eq!(findings(&mut site, "NULL"), "");
}

#[test]
fn the_finding_names_list_and_entry_and_the_log_holds_the_address() {
    let mut site = with_networks(&[("ip_block", "198.51.100.0/25"), ("ip_block", "2001:db8::9")]);
    findings(&mut site, "'::ffff:198.51.100.9'");
    findings(&mut site, "'2001:db8::9'");
    let logged = site.ask(
        "SELECT ip, detail ->> 'list', detail ->> 'entry', why LIKE '%' || host(ip) || '%' FROM \
            spamcheck.spam_checklog ORDER BY id",
    );
    assert_eq!(
        logged,
        "198.51.100.9|ip_block|198.51.100.0/25|t\n2001:db8::9|ip_block|2001:db8::9|t"
    );
}

#[test]
fn the_whole_internet_can_be_blocked_and_a_part_of_it_allowed() {
    let mut site = with_networks(&[
        ("ip_block", "0.0.0.0/0"),
        ("ip_block", "::/0"),
        ("ip_allow", "192.0.2.0/24"),
        ("ip_allow", "2001:db8::/32"),
    ]);
    assert_eq!(findings(&mut site, "'203.0.113.1'"), "ip_block suppressed");
    assert_eq!(findings(&mut site, "'2001:db9::1'"), "ip_block suppressed");
    assert_eq!(findings(&mut site, "'192.0.2.200'"), "ip_allow allowed\nip_block allowed");
    assert_eq!(findings(&mut site, "'2001:db8::1'"), "ip_allow allowed\nip_block allowed");
    assert_eq!(site.statuses(), "1 spam\n2 spam\n3 approved\n4 approved");
}

#[test]
fn an_allowed_address_ends_it_and_is_logged_where_another_check_would_have_hit() {
    let mut site = with_networks(&[
        ("ip_allow", "192.0.2.1"),
        ("banned_words", "casino"),
        ("ip_block", "192.0.2.0/24"),
    ]);
    site.check("content", "action = 'reject'");
    site.run("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'casino')");
    assert_eq!(site.statuses(), "1 approved");
    assert_eq!(
        site.ask(
            "SELECT check_name, action, outcome, allowed FROM spamcheck.spam_checklog ORDER \
            BY check_name"
        ),
        "content|reject|allowed|t\nip_allow|allow|allowed|t\nip_block|spam|allowed|t"
    );
    assert_eq!(site.ask("SELECT count(DISTINCT submission_id) FROM spamcheck.spam_checklog"), "1");
    // Nothing to allow, nothing to log.
    site.run("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'nice')");
    site.run("DELETE FROM spamcheck.list_entry WHERE list = 'ip_block'");
    site.run("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'nice')");
    assert_eq!(
        site.ask("SELECT row_key, count(*) FROM spamcheck.spam_checklog GROUP BY 1 ORDER BY 1"),
        "{\"id\": 1}|3\n{\"id\": 2}|2"
    );
    // Without the check there is no allowing.
    site.check("ip_allow", "enabled = false");
    assert_eq!(
        refused(&mut site.client, "INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'casino')")
            .code()
            .code(),
        "23514"
    );
}

#[test]
fn an_allowed_row_is_not_looked_up() {
    let mut site = with_networks(&[("ip_allow", "192.0.2.1")]);
    site.check("akismet", r#"enabled = true, options = '{"blog": "https://blog.example/"}'"#);
    site.run("INSERT INTO comments (ip, body) VALUES ('192.0.2.1', 'nice'), ('192.0.2.2', 'nice')");
    assert_eq!(site.ask("SELECT row_key FROM spamcheck.lookup"), "{\"id\": 2}");
}

#[test]
fn other_lists_can_be_named_and_none_at_all() {
    let mut site = with_networks(&[("ip_block", "192.0.2.1")]);
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('tor', 'ip'), ('vpn', 'ip')");
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES ('tor', '192.0.2.2'), ('vpn', \
        '192.0.2.3')",
    );
    let hit = |site: &mut Site| {
        ["'192.0.2.1'", "'192.0.2.2'", "'192.0.2.3'"].map(|ip| !findings(site, ip).is_empty())
    };
    site.check("ip_block", r#"options = '{"lists": ["tor", "vpn"]}'"#);
    assert_eq!(hit(&mut site), [false, true, true]);
    site.check("ip_block", r#"options = '{"lists": ["ip_block", "vpn"]}'"#);
    assert_eq!(hit(&mut site), [true, false, true]);
    for off in [r#"{"lists": []}"#, r#"{"lists": null}"#] {
        site.check("ip_block", &format!("options = '{off}'"));
        assert_eq!(hit(&mut site), [false; 3], "{off}");
    }
    site.check("ip_block", "options = '{}'");
    assert_eq!(hit(&mut site), [true, false, false]);
}

#[test]
fn an_address_may_be_text_and_what_is_none_is_noted() {
    let mut site = with_networks(&[
        ("ip_block", "192.0.2.0/24"),
        ("ip_block", "2001:db8::/32"),
        ("banned_words", "casino"),
    ]);
    site.run("ALTER TABLE comments ALTER ip TYPE text USING host(ip)");
    for hit in [
        "192.0.2.7",
        " 192.0.2.7 ",
        "::ffff:192.0.2.7",
        "::FFFF:C000:207",
        "192.0.2.7/32",
        "2001:DB8::1",
        "2001:db8::1%eth0",
        "192.0.2.7:8080",
        "[2001:db8::1]:443",
    ] {
        assert_eq!(findings(&mut site, &format!("'{hit}'")), "ip_block suppressed", "{hit}");
    }
    for none in [
        "",
        "  ",
        "unknown",
        "192.0.2",
        "192.0.2.256",
        "not an ip",
        "1.2.3.4, 192.0.2.7",
        "0xc0000207",
        "192.0.2.7:http",
    ] {
        assert_eq!(findings(&mut site, &format!("'{none}'")), "", "{none}");
    }
    site.run(
        "INSERT INTO comments (ip, body) VALUES ('1.2.3.4, 192.0.2.7', 'casino'), ('', 'casino')",
    );
    assert_eq!(
        site.ask(
            "SELECT ip IS NULL, detail -> 'notes' ->> 0 FROM spamcheck.spam_checklog WHERE \
            check_name = 'content' ORDER BY id"
        ),
        "t|ip: \"1.2.3.4, 192.0.2.7\" is not an address\nt|"
    );
}

#[test]
fn a_cidr_column_and_a_varchar_column_are_addresses_too() {
    let mut site = with_networks(&[("ip_block", "192.0.2.0/24")]);
    for column in ["cidr", "varchar(45)", "char(50)"] {
        site.run(&format!("ALTER TABLE comments ALTER ip TYPE {column} USING NULL"));
        assert_eq!(findings(&mut site, "'192.0.2.9'"), "ip_block suppressed", "{column}");
        assert_eq!(findings(&mut site, "'192.0.3.9'"), "", "{column}");
    }
}

#[test]
fn a_table_without_an_address_takes_it_from_the_setting() {
    let mut site = with_networks(&[("ip_block", "192.0.2.0/24")]);
    site.run("ALTER TABLE comments DROP ip; SELECT spamcheck.protect('comments')");
    let app = site.role("app");
    site.run(&format!(
        "GRANT INSERT, SELECT ON comments TO {app}; GRANT USAGE ON SEQUENCE \
        comments_id_seq TO {app}"
    ));
    let mut client = site.db.client_as(&app);
    let say = "INSERT INTO comments (body) VALUES ('nice') RETURNING status";
    assert_eq!(ask(&mut client, say), "approved");
    assert_eq!(
        ask(&mut client, &format!("BEGIN; SET LOCAL pg_spamcheck.ip = '192.0.2.66'; {say}")),
        "spam"
    );
    assert_eq!(
        ask(&mut client, &format!("COMMIT; {say}")),
        "approved",
        "SET LOCAL ends with its transaction"
    );
    assert_eq!(
        ask(&mut client, &format!("SET pg_spamcheck.ip = '::ffff:192.0.2.1'; {say}")),
        "spam"
    );
    assert_eq!(ask(&mut client, &format!("SET pg_spamcheck.ip = 'nonsense'; {say}")), "approved");
    assert_eq!(
        site.ask("SELECT ip FROM spamcheck.spam_checklog ORDER BY id"),
        "192.0.2.66\n192.0.2.1"
    );
}

#[test]
fn a_dropped_address_column_gives_way_to_the_setting() {
    let mut site = with_networks(&[("ip_block", "192.0.2.0/24")]);
    site.run("ALTER TABLE comments DROP ip; SET pg_spamcheck.ip = '192.0.2.1'");
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('nice') RETURNING status"), "spam");
}

#[test]
fn a_mapped_address_counts_even_where_the_setting_says_otherwise() {
    let mut site = with_networks(&[("ip_block", "192.0.2.0/24")]);
    site.run("SET pg_spamcheck.ip = '192.0.2.1'");
    assert_eq!(findings(&mut site, "'203.0.113.1'"), "");
    // The column is mapped: NULL there means that there is no address.
    assert_eq!(findings(&mut site, "NULL"), "");
}

#[test]
fn ten_thousand_networks_are_searched_at_once() {
    let mut site = with_networks(&[]);
    site.run(
        "INSERT INTO spamcheck.list_entry (list, value)
         SELECT 'ip_block', format('%s.%s.%s.0/24', 1 + n / 4096, n / 16 % 256, n % 16 * 2) FROM \
         generate_series(0, 9999) n",
    );
    let differences = "
        WITH stored AS (
            INSERT INTO comments (ip, body)
            SELECT format('%s.%s.%s.%s', 1 + n % 4, n % 256, n % 40, n % 7)::inet, 'nice' FROM \
            generate_series(1, 2000) n
            RETURNING ip, status)
        SELECT count(*) FROM stored s WHERE (status = 'spam') <> EXISTS (
            SELECT FROM spamcheck.list_entry e WHERE e.list = 'ip_block' AND s.ip <<= \
            e.value::inet)";
    assert_eq!(site.ask(differences), "0");
    assert_ne!(site.ask("SELECT count(*) FROM comments WHERE status = 'spam'"), "0");
    assert_ne!(site.ask("SELECT count(*) FROM comments WHERE status <> 'spam'"), "0");
}
