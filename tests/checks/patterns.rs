//! email_pattern: Python-style regular expressions, searched in the address.

use crate::site::Site;

fn with_patterns(patterns: &[&str]) -> Site {
    let mut site = Site::new();
    for pattern in patterns {
        let pattern = pattern.replace('\'', "''");
        site.run(&format!(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '{pattern}')"
        ));
    }
    site
}

/// The pattern that an address hits; empty: none.
fn hit(site: &mut Site, email: &str) -> String {
    site.run(&format!("INSERT INTO comments (email, body) VALUES ('{email}', 'nice')"));
    site.ask(
        "SELECT detail ->> 'entry' FROM spamcheck.spam_checklog
          WHERE row_key = (SELECT jsonb_build_object('id', max(id)) FROM comments)",
    )
}

#[test]
fn patterns_are_searched_without_regard_to_case() {
    let mut site = with_patterns(&[r"@spam\.example$", r"^robot", "[0-9]{6,}"]);
    assert_eq!(hit(&mut site, "Bob@SPAM.example"), r"@spam\.example$");
    assert_eq!(hit(&mut site, "ROBOT7@example.com"), "^robot");
    assert_eq!(hit(&mut site, "x1234567y@example.com"), "[0-9]{6,}");
    for email in [
        "bob@spam.example.org",
        "bob@spamxexample",
        "a.robot@example.com",
        "x12345@example.com",
        "",
    ] {
        assert_eq!(hit(&mut site, email), "", "{email}");
    }
}

#[test]
fn the_spelling_of_python_is_taken() {
    let mut site = with_patterns(&[
        r"\Aann@",
        r"@last\.example\Z",
        r"(?P<name>bob)@",
        r"(?:carl|dora)@(?i:mail)\.example",
        r"\bspam\b",
        r"(?#why)eve@",
        r"[]x]+@bracket\.example",
        r"\d+@\w+\.digits",
        "quote'd@",
    ]);
    site.check("email_syntax", "enabled = false");
    for (email, pattern) in [
        ("ann@example.com", r"\Aann@"),
        ("x@last.example", r"@last\.example\Z"),
        ("the.bob@example.com", r"(?P<name>bob)@"),
        ("dora@MAIL.example", r"(?:carl|dora)@(?i:mail)\.example"),
        ("no-spam-please@example.com", r"\bspam\b"),
        ("eve@example.com", r"(?#why)eve@"),
        ("]]x@bracket.example", r"[]x]+@bracket\.example"),
        ("12@host.digits", r"\d+@\w+\.digits"),
    ] {
        assert_eq!(hit(&mut site, email), pattern, "{email}");
    }
    assert_eq!(hit(&mut site, "joann@example.com"), "");
    assert_eq!(hit(&mut site, "x@last.example.com"), "");
    assert_eq!(hit(&mut site, "spammer@example.com"), "");
}

#[test]
fn only_the_address_is_searched_and_missing_ones_never_hit() {
    let mut site = with_patterns(&["spam", "^$", "."]);
    site.run("DELETE FROM spamcheck.list_entry WHERE value = '.'");
    site.run(
        "INSERT INTO comments (author, email, body) VALUES ('spam', NULL, 'spam'), ('spam', \
        'x@example.com', 'spam')",
    );
    assert_eq!(site.log(), "");
    site.run("INSERT INTO comments (email, body) VALUES ('spam@example.com', NULL)");
    assert_eq!(site.log(), "3 email_pattern");
}

#[test]
fn patterns_that_take_other_engines_forever_take_no_time() {
    let mut site =
        with_patterns(&["(a+)+$", "(.*)*x", "(a|a)*b", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$"]);
    site.run(
        "DELETE FROM spamcheck.list_entry WHERE value IN ('(a+)+$', '(a|aa)+$', '(.*)*x', \
        '^(([a-z])+.)+[A-Z]([a-z])+$')",
    );
    let started = std::time::Instant::now();
    let email = format!("{}!", "a".repeat(50_000));
    assert_eq!(hit(&mut site, &email), "");
    for pattern in ["(a+)+$", "(a|aa)+$", "(.*)*x"] {
        site.run(&format!(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('email_block', '{pattern}')"
        ));
        assert_eq!(hit(&mut site, &email), "", "{pattern}");
    }
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn other_lists_can_be_named() {
    let mut site = with_patterns(&["^a"]);
    site.run("INSERT INTO spamcheck.list (name, kind) VALUES ('disposable', 'regex')");
    site.run(
        r"INSERT INTO spamcheck.list_entry (list, value) VALUES ('disposable',
        '@throwaway\.example$')",
    );
    site.check("email_pattern", r#"options = '{"lists": ["disposable"]}'"#);
    assert_eq!(hit(&mut site, "ann@example.com"), "");
    assert_eq!(hit(&mut site, "ann@throwaway.example"), r"@throwaway\.example$");
    site.check("email_pattern", r#"options = '{"lists": ["email_block", "disposable"]}'"#);
    assert_eq!(hit(&mut site, "ann@throwaway.example"), "^a");
    assert_eq!(
        site.ask("SELECT DISTINCT detail ->> 'list' FROM spamcheck.spam_checklog ORDER BY 1"),
        "disposable\nemail_block"
    );
}
