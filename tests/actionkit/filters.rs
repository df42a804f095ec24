//! "Content Spam Checking", "Email Block List Spam Checking" and "IP Spam Checking" of the page.

use serde_json::json;

use crate::campaign::{Action, Campaign, by, from, saying, with};

#[test]
fn content_is_not_checked_until_it_is_enabled_and_then_for_http_and_https() {
    let mut campaign = Campaign::without_akismet();
    let words = "SELECT string_agg(value, ' ' ORDER BY value) FROM spamcheck.list_entry WHERE list = 'actionkit_banned_words'";
    assert_eq!(campaign.get(words), "http https");
    let link = saying("more at https://pills.example/now");
    assert_eq!(campaign.status(&link), "complete");
    campaign.check("content", "enabled = true");
    assert_eq!(campaign.status(&link), "spam");
    assert_eq!(campaign.status(&saying("HTTP://PILLS.EXAMPLE")), "spam");
    assert_eq!(campaign.status(&saying("no links, just words")), "complete");
}

#[test]
fn banned_words_are_a_list_of_ones_own() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    campaign.run("DELETE FROM spamcheck.list_entry WHERE list = 'actionkit_banned_words'");
    campaign.run(
        "SELECT spamcheck.import_list('actionkit_banned_words', E'viagra \\n casino', 'words')",
    );
    assert_eq!(campaign.status(&saying("http://fine.example")), "complete");
    assert_eq!(campaign.status(&saying("Casino!")), "spam");
    assert_eq!(campaign.status(&saying("viagra")), "spam");
}

#[test]
fn words_match_as_whole_words() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    for (text, status) in [
        ("httpd is a server", "complete"),
        ("xhttp", "complete"),
        ("the http protocol", "spam"),
        ("(http)", "spam"),
    ] {
        assert_eq!(campaign.status(&saying(text)), status, "{text}");
    }
}

#[test]
fn names_addresses_and_all_custom_fields_are_checked() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("content", "enabled = true");
    let columns = [
        "first_name",
        "last_name",
        "address1",
        "address2",
        "city",
        "state",
        "region",
        "country",
        "postal",
    ];
    for column in columns {
        assert_eq!(campaign.status(&with(column, &json!("http://x.example"))), "spam", "{column}");
        let named = if column.ends_with("_name") { "author" } else { column };
        let why = campaign.log("why").swap_remove(0);
        assert_eq!(why, format!("banned word \"http\" in {}", path(named)), "{column}");
    }
    let custom = json!({"comment": "fine", "shirt": "http://x.example"});
    assert_eq!(campaign.status(&with("custom", &custom)), "spam");
    assert_eq!(campaign.log("why")[0], "banned word \"http\" in fields.custom.shirt");
    // What is not among them is not.
    assert_eq!(campaign.status(&with("source", &json!("http"))), "complete");
    assert_eq!(campaign.status(&by("http@mail.example")), "complete");
}

/// Where the log says that a column's text was found.
fn path(column: &str) -> String {
    if column == "author" { column.into() } else { format!("fields.{column}") }
}

/// The patterns of the page's table, each with addresses that it blocks and one that it does not. The
/// page's own examples are lost in the copy; they are remade from what it says that each pattern does.
const PATTERNS: [(&str, &[&str], &str); 7] = [
    // any address from that domain
    (r"@example\.com$", &["a@example.com", "B.c@Example.COM"], "a@example.com.org"),
    // any address that ends so
    (r"\.ru$", &["a@mail.ru", "b@x.example.ru"], "ru@example.com"),
    // a name that begins with a digit
    (r"\A[0-9].*@", &["1a@example.com", "77@x.example"], "a1@example.com"),
    // a name that contains a digit
    (r"[0-9].*@", &["a1@example.com", "1a@example.com", "john.7.doe@x.example"], "a@example7.com"),
    // a domain that begins so
    (r"@example", &["a@example.com", "a@example.org", "a@examples.net"], "a@mail.example.com"),
    // that string in any place
    (r"exam", &["exam@x.com", "my.exams@x.com", "a@exam.com", "doe@test.exam"], "doe@test.com"),
    // exactly that address
    (r"^john\.doe@example\.com$", &["john.doe@example.com"], "big.john.doe@example.com"),
];

#[test]
fn every_kind_of_pattern_that_the_page_shows_blocks_what_it_says() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("email_pattern", "enabled = true");
    campaign.check("rate_limit", "enabled = false");
    for (pattern, blocked, passed) in PATTERNS {
        campaign.run("DELETE FROM spamcheck.list_entry WHERE list = 'email_block'");
        campaign.run(&format!(
            "SELECT spamcheck.import_list('email_block', $pattern${pattern}$pattern$, 'words')"
        ));
        for email in blocked {
            assert_eq!(campaign.status(&by(email)), "spam", "{pattern}: {email}");
        }
        assert_eq!(campaign.status(&by(passed)), "complete", "{pattern}: {passed}");
    }
}

#[test]
fn no_address_is_blocked_by_default() {
    let mut campaign = Campaign::without_akismet();
    assert_eq!(
        campaign.get("SELECT count(*) FROM spamcheck.list_entry WHERE list = 'email_block'"),
        "0"
    );
    campaign.check("email_pattern", "enabled = true");
    assert_eq!(campaign.status(&by("1@bulk.example")), "complete");
    campaign.run("SELECT spamcheck.import_list('email_block', '@bulk', 'words')");
    assert_eq!(campaign.status(&by("1@bulk.example")), "spam");
    campaign.check("email_pattern", "enabled = false");
    assert_eq!(campaign.status(&by("1@bulk.example")), "complete");
}

#[test]
fn several_patterns_stand_apart_by_any_white_space() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("email_pattern", "enabled = true");
    let imported = r"SELECT spamcheck.import_list('email_block', E'@bulk  \\A[0-9]+@\n\t^joe@mail\\.example$', 'words')";
    assert_eq!(campaign.get(imported), "3");
    for email in ["a@bulk.example", "12@mail.example", "joe@mail.example"] {
        assert_eq!(campaign.status(&by(email)), "spam", "{email}");
    }
    assert_eq!(campaign.status(&by("ann@mail.example")), "complete");
}

#[test]
fn patterns_are_pythons() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("email_pattern", "enabled = true");
    for (pattern, email) in [
        (r"(?P<year>19\d\d)@", "bob1984@mail.example"),
        (r"(?i)\Abulk-[a-f0-9]{4}@.+\Z", "BULK-00ff@mail.example"),
        (r"^[^@]+@(?:mail|post)\.example$", "x@post.example"),
    ] {
        campaign.run("DELETE FROM spamcheck.list_entry WHERE list = 'email_block'");
        assert_eq!(campaign.status(&by(email)), "complete");
        campaign
            .run(&format!("SELECT spamcheck.import_list('email_block', $p${pattern}$p$, 'words')"));
        assert_eq!(campaign.status(&by(email)), "spam", "{pattern}");
    }
}

#[test]
fn a_pattern_can_be_tested_before_it_blocks_anybody() {
    let mut campaign = Campaign::without_akismet();
    campaign.check("email_pattern", "enabled = true, action = 'log'");
    campaign.run("SELECT spamcheck.import_list('email_block', 'exam', 'words')");
    let explained = "SELECT why FROM spamcheck.explain('core_action', '{\"email\": \"ann@exam.example\", \"type\": \"petition\"}')
                      WHERE check_name = 'email_pattern'";
    assert_eq!(campaign.get(explained), "email matches pattern \"exam\" on list email_block");
    assert_eq!(campaign.get("SELECT count(*) FROM spamcheck.spam_checklog"), "0");
    // And on what comes, as a shadow.
    assert_eq!(campaign.status(&by("my.exams@mail.example")), "complete");
    assert_eq!(campaign.site.log(), ["email_pattern log flagged"]);
}

#[test]
fn addresses_on_the_allow_list_are_not_caught_and_those_on_the_block_list_are() {
    let mut campaign = Campaign::without_akismet();
    assert_eq!(
        campaign.get(
            "SELECT count(*) FROM spamcheck.list_entry WHERE list IN ('ip_allow', 'ip_block')"
        ),
        "0",
        "none by default"
    );
    campaign.run(
        "INSERT INTO spamcheck.list_entry (list, value) VALUES
            ('ip_block', '192.0.2.0/24'), ('ip_block', '2001:db8::/32'), ('ip_allow', '192.0.2.7')",
    );
    assert_eq!(campaign.status(&from("192.0.2.1")), "complete", "off by default");
    campaign.check("ip_block", "enabled = true");
    assert_eq!(campaign.status(&from("192.0.2.1")), "spam");
    assert_eq!(campaign.status(&from("2001:db8::9")), "spam");
    assert_eq!(campaign.status(&from("198.51.100.1")), "complete");
    assert_eq!(campaign.status(&from("192.0.2.7")), "spam", "allowing is off by default");
    campaign.check("ip_allow", "enabled = true");
    assert_eq!(campaign.status(&from("192.0.2.7")), "complete");
}

#[test]
fn an_address_that_hosts_ones_applications_is_never_caught_by_anything() {
    let mut campaign = Campaign::suppressing();
    campaign.check("ip_allow", "enabled = true");
    campaign.check("content", "enabled = true");
    campaign
        .run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '203.0.113.5')");
    let action = saying("akismet-guaranteed-spam http://pills.example");
    assert_eq!(campaign.status(&action), "complete");
    assert_eq!(campaign.status(&Action { ip: "203.0.113.6", ..action }), "spam");
}
