//! links: how many there are in the body, against two limits.

use crate::site::{Site, refused};

fn body(links: usize) -> String {
    (0..links).map(|n| format!("http://example.com/{n} ")).collect()
}

/// What the check makes of so many links; nothing: no finding.
fn outcome(site: &mut Site, links: usize) -> String {
    let text = body(links);
    if site.client.batch_execute(&format!("INSERT INTO comments (body) VALUES ('{text}')")).is_err()
    {
        return "refused".into();
    }
    site.ask("SELECT status FROM comments ORDER BY id DESC LIMIT 1")
}

#[test]
fn strictly_more_than_the_limits_count() {
    let mut site = Site::new();
    site.check("links", "options = '{}'");
    let outcomes = [0, 7, 8, 13, 14, 40].map(|links| outcome(&mut site, links));
    assert_eq!(outcomes, ["approved", "approved", "pending", "pending", "refused", "refused"]);
    site.check("links", r#"options = '{"over": 0, "reject_over": 1}'"#);
    assert_eq!(
        [0, 1, 2].map(|links| outcome(&mut site, links)),
        ["approved", "pending", "refused"]
    );
    site.check("links", r#"options = '{"over": null, "reject_over": 2}'"#);
    assert_eq!([2, 3].map(|links| outcome(&mut site, links)), ["approved", "refused"]);
    site.check("links", r#"options = '{"over": 2, "reject_over": null}'"#);
    assert_eq!(
        [2, 3, 50].map(|links| outcome(&mut site, links)),
        ["approved", "pending", "pending"]
    );
    site.check("links", r#"options = '{"over": null, "reject_over": null}'"#);
    assert_eq!(outcome(&mut site, 50), "approved");
    site.check("links", r#"options = '{"over": 5, "reject_over": 2}'"#);
    assert_eq!(outcome(&mut site, 3), "refused", "the lower limit counts by itself");
}

#[test]
fn the_default_policy_moderates_and_rejects_nothing() {
    let mut site = Site::new();
    assert_eq!(
        [7, 8, 100].map(|links| outcome(&mut site, links)),
        ["approved", "pending", "pending"]
    );
}

#[test]
fn over_asks_for_the_actions_of_the_check_and_reject_over_for_reject() {
    let mut site = Site::new();
    site.check("links", r#"action = 'spam', options = '{"over": 1, "reject_over": 3}'"#);
    assert_eq!([2, 4].map(|links| outcome(&mut site, links)), ["spam", "refused"]);
    // A shadow stays one.
    site.check("links", "action = 'log'");
    assert_eq!([2, 4].map(|links| outcome(&mut site, links)), ["approved", "approved"]);
}

#[test]
fn every_way_to_write_a_link_counts_once() {
    let mut site = Site::new();
    site.check("links", r#"options = '{"over": 0, "reject_over": null}'"#);
    let cases = [
        ("http://a.example", 1),
        ("HTTPS://A.EXAMPLE/x?y=z#w", 1),
        ("www.a.example", 1),
        ("[url=http://a.example]a[/url] [url]b.example[/url]", 2),
        ("[link=http://a.example]x[/link]", 1),
        ("<a href=\"http://a.example\">http://a.example</a>", 1),
        ("<A HREF=http://a.example>x</A> <a href=//b.example>y</a>", 2),
        ("http://a.example http://a.example", 2),
        ("(http://a.example), http://b.example; www.c.example.", 3),
        ("http://www.a.example", 1),
        ("http://a.example/?to=http://b.example", 1),
        ("ｈｔｔｐ://a.example", 1),
        ("ht\u{200b}tp://a.example", 1),
        ("http://пример.рф и www.例え.jp", 2),
        ("a.example or ftp://a.example, mail me@www.a.example", 0),
        ("http://", 0),
        ("no link at all", 0),
    ];
    for (text, links) in cases {
        site.run(&format!(
            "TRUNCATE comments; DELETE FROM spamcheck.spam_checklog; INSERT INTO \
            comments (body) VALUES ('{text}')"
        ));
        let counted = site.ask("SELECT detail ->> 'links' FROM spamcheck.spam_checklog");
        assert_eq!(counted, if links == 0 { String::new() } else { links.to_string() }, "{text}");
    }
}

#[test]
fn links_outside_the_body_do_not_count() {
    let mut site = Site::new();
    site.run(
        "ALTER TABLE comments ADD title text, ADD url text; SELECT spamcheck.protect('comments')",
    );
    site.check("links", r#"options = '{"over": 0, "reject_over": null}'"#);
    site.run(
        "INSERT INTO comments (title, url, author, email, body) VALUES ('http://a.example', \
        'http://b.example', 'www.c.example', 'www@http.d.example', 'hi')",
    );
    assert_eq!(site.log(), "");
}

#[test]
fn a_body_of_several_columns_is_counted_as_one() {
    let mut site = Site::new();
    site.run("ALTER TABLE comments ADD intro text");
    site.run(r#"SELECT spamcheck.protect('comments', columns => '{"body": ["intro", "body"]}')"#);
    site.check("links", r#"options = '{"over": 2, "reject_over": null}'"#);
    site.run(
        "INSERT INTO comments (intro, body) VALUES ('http://a.example www.b.example', \
        'http://c.example'), ('http://a.example', 'www.b.example')",
    );
    assert_eq!(site.statuses(), "1 pending\n2 approved");
    assert_eq!(
        site.ask("SELECT comment FROM spamcheck.spam_checklog"),
        "http://a.example www.b.example\nhttp://c.example"
    );
}

#[test]
fn the_refusal_says_nothing_of_links_to_the_visitor() {
    let mut site = Site::new();
    site.check("links", "options = '{}'");
    let error =
        refused(&mut site.client, &format!("INSERT INTO comments (body) VALUES ('{}')", body(14)));
    let public = format!("{} {:?} {:?}", error.message(), error.detail(), error.hint());
    assert!(!public.contains("link"), "{public}");
}
