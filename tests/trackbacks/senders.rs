//! trackback_ip: the host of the homepage is the sender, by any of its addresses.

use crate::site::{Site, open};

#[test]
fn a_host_that_is_the_sender_passes_and_another_does_not() {
    let mut site = Site::new(open(), &[("trackback_ip", "action = 'reject'")]);
    let (own, status) = site.trackback_by("127.0.0.1", "http://localhost/post");
    assert_eq!(status, "pending");
    let (other, _) = site.trackback_by("203.0.113.5", "http://localhost/post");
    site.until_done();
    assert_eq!(site.status(own), "approved");
    assert_eq!(site.status(other), "spam");
    assert_eq!(site.log(), ["trackback_ip reject suppressed"]);
    let why = site.why();
    assert!(why.starts_with("localhost is ") && why.contains("127.0.0.1"), "{why}");
    assert!(why.ends_with(", and it was sent by 203.0.113.5"), "{why}");
    assert_eq!(site.get("SELECT detail ->> 'host' FROM spamcheck.spam_checklog"), "localhost");
}

#[test]
fn an_address_as_host_and_an_excluded_page_need_nobody() {
    let mut site = Site::new(
        open(),
        &[(
            "trackback_ip",
            r#"action = 'moderate', options = '{"exclude": ["^https?://hub[.]"]}'"#,
        )],
    );
    for (url, status) in [
        ("http://203.0.113.5/post", "approved"),
        ("http://203.0.113.6/post", "pending"),
        ("http://[2001:db8::5]/post", "pending"),
        ("https://hub.example/post", "approved"),
        ("not an address", "pending"),
    ] {
        assert_eq!(site.trackback_by("203.0.113.5", url).1, status, "{url}");
        assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0", "{url}");
    }
}

#[test]
fn patterns_that_are_none_are_refused() {
    let mut site = Site::new(open(), &[]);
    for (options, why) in [
        (r#"{"exclude": ["("]}"#, "option \"exclude\" of check trackback_ip"),
        (r#"{"exclude": "x"}"#, "an array of texts"),
        (r#"{"excluded": []}"#, "excluded"),
    ] {
        let update = format!(
            "UPDATE spamcheck.check_setting SET options = '{options}' WHERE check_name = 'trackback_ip'"
        );
        let error = site.client.batch_execute(&update).expect_err(options);
        let message = error.as_db_error().expect("a refusal").message().to_owned();
        assert!(message.contains(why), "{message}");
    }
    let update = "UPDATE spamcheck.check_setting SET options = '{\"must_contain\": \"x\"}'
                   WHERE check_name = 'trackback_link'";
    let error = site.client.batch_execute(update).expect_err("no such thing to contain");
    let message = error.as_db_error().expect("a refusal").message().to_owned();
    assert!(message.contains("must_contain"), "{message}");
}

#[test]
fn explain_says_what_would_be_looked_up_and_asks_nobody() {
    let mut site = Site::new(
        open(),
        &[("trackback_ip", "action = 'reject'"), ("trackback_link", "action = 'moderate'")],
    );
    let said = |site: &mut Site, submission: &str| {
        let query = format!(
            "SELECT check_name || ': ' || coalesce(why, '-') FROM spamcheck.explain('comments', '{submission}')
              WHERE check_name LIKE 'trackback%' ORDER BY 1"
        );
        let rows = site.client.query(&query, &[]).expect("explain");
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    let trackback = r#"{"type": "trackback", "url": "http://other.example/", "ip": "203.0.113.5",
                        "permalink": "https://blog.example/rye"}"#;
    assert_eq!(
        said(&mut site, trackback),
        [
            "trackback_ip: the worker would look it up",
            "trackback_link: the worker would look it up"
        ]
    );
    let bad = r#"{"type": "trackback", "url": "http://203.0.113.6/", "ip": "203.0.113.5",
                  "permalink": "https://blog.example/rye"}"#;
    assert_eq!(
        said(&mut site, bad),
        [
            "trackback_ip: 203.0.113.6 is not 203.0.113.5, which has sent it",
            "trackback_link: it would not be looked up: the verdict is reject without it"
        ]
    );
    assert_eq!(
        said(&mut site, r#"{"url": "http://other.example/"}"#),
        ["trackback_ip: -", "trackback_link: -"]
    );
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
}
