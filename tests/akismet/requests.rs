//! What Akismet is told: each test inserts a real row and reads the bytes that reached the stand-in.

use support::cluster::ClusterOptions;
use support::http::Reply;

use crate::site::{Site, World};

fn new_site(options: &str) -> Site<'static> {
    World::shared().site(options)
}

/// The parameters of the only request so far, sorted by name.
#[track_caller]
fn sent(site: &mut Site<'_>) -> Vec<(String, String)> {
    site.until_asked("", 1);
    site.until_all_answered();
    let requests = site.requests();
    assert_eq!(requests.len(), 1, "one row, one request");
    let params = requests[0].params().map(|(name, value)| (name.into_owned(), value.into_owned()));
    let mut params: Vec<_> = params.collect();
    params.sort();
    params
}

/// The value of one parameter of the only request so far.
#[track_caller]
fn param(site: &mut Site<'_>, name: &str) -> Option<String> {
    sent(site).into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

#[test]
fn a_row_becomes_exactly_these_bytes() {
    let mut site = new_site("{}");
    site.run(
        "SET TimeZone = 'America/New_York';
         INSERT INTO comments (author, email, url, ip, user_agent, referrer, permalink, body, created_at)
         VALUES ('Zoë & Söhne', 'zoe@example.org', 'https://zoe.example/?a=1', '203.0.113.7',
                 'Mozilla/5.0 (X11; Linux x86_64)', 'https://blog.example.org/form',
                 'https://blog.example.org/post#7',
                 E'100% free+cheap=yes?\\r\\nA&B \\u2028 😀 ~*-._', '2026-01-02 03:04:05.678+00')",
    );
    let blog = site.blog.clone();
    let expected = [
        ("api_key", "123YourAPIKey"),
        ("blog", &blog),
        ("blog_charset", "UTF-8"),
        ("comment_author", "Zoë & Söhne"),
        ("comment_author_email", "zoe@example.org"),
        ("comment_author_url", "https://zoe.example/?a=1"),
        ("comment_content", "100% free+cheap=yes?\r\nA&B \u{2028} 😀 ~*-._"),
        ("comment_date_gmt", "2026-01-02T03:04:05Z"),
        ("comment_type", "comment"),
        ("permalink", "https://blog.example.org/post#7"),
        ("referrer", "https://blog.example.org/form"),
        ("user_agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("user_ip", "203.0.113.7"),
    ];
    let expected = expected.map(|(name, value)| (name.to_string(), value.to_string()));
    assert_eq!(sent(&mut site), expected);
    let body = String::from_utf8(site.requests()[0].body.clone()).expect("form encoding is ASCII");
    let content =
        "&comment_content=100%25+free%2Bcheap%3Dyes%3F%0D%0AA%26B+%E2%80%A8+%F0%9F%98%80+";
    assert!(body.contains(content), "{body}");
    assert!(body.contains("&comment_author=Zo%C3%AB+%26+S%C3%B6hne&"), "{body}");
}

#[test]
fn the_head_names_both_programs_and_nothing_secret() {
    let mut site = new_site("{}");
    site.comment("hello");
    site.until_asked("hello", 1);
    let request = &site.requests()[0];
    let (request_line, _) = request.head.split_once("\r\n").expect("it has headers");
    assert_eq!(request_line, "POST /1.1/comment-check HTTP/1.1");
    let server = site.get("SELECT split_part(current_setting('server_version'), ' ', 1)");
    let own = site.get("SELECT extversion FROM pg_extension WHERE extname = 'pg_spamcheck'");
    let agent = format!("PostgreSQL/{server} | pg_spamcheck/{own}");
    assert_eq!(request.header("user-agent"), Some(&*agent));
    assert_eq!(request.header("host"), Some(&*site.akismet().url().replace("http://", "")));
    assert_eq!(request.header("content-length"), Some(&*request.body.len().to_string()));
    let form = request.header("content-type").expect("it says what it is");
    assert!(form == "application/x-www-form-urlencoded" || form.ends_with("; charset=UTF-8"));
    for unwanted in ["transfer-encoding", "expect", "cookie", "authorization"] {
        assert_eq!(request.header(unwanted), None);
    }
    assert!(!request.head.contains("123YourAPIKey"), "{}", request.head);
}

#[test]
fn the_real_akismet_would_object_to_nothing() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.bare_site("{}");
    site.run(
        "CREATE TABLE wp_comments (
             \"comment_ID\" bigserial PRIMARY KEY, \"comment_post_ID\" bigint NOT NULL DEFAULT 0,
             comment_author text NOT NULL, comment_author_email text NOT NULL DEFAULT '',
             comment_author_url text NOT NULL DEFAULT '', \"comment_author_IP\" text NOT NULL DEFAULT '',
             comment_date timestamp NOT NULL DEFAULT now(),
             comment_date_gmt timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
             comment_content text NOT NULL, comment_karma integer NOT NULL DEFAULT 0,
             comment_approved text NOT NULL DEFAULT '1', comment_agent text NOT NULL DEFAULT '',
             comment_type text NOT NULL DEFAULT '', comment_parent bigint NOT NULL DEFAULT 0,
             user_id bigint NOT NULL DEFAULT 0);
         SELECT spamcheck.protect('wp_comments');
         INSERT INTO wp_comments (comment_author, \"comment_author_IP\", comment_content, comment_agent, comment_type)
         VALUES ('A', '203.0.113.7', 'one', 'Mozilla', ''), ('B', '2001:db8::7', 'two', '', 'pingback'),
                ('C', '::ffff:198.51.100.1', E'three\\nakismet-guaranteed-spam', '', 'comment')",
    );
    site.until_all_answered();
    site.run("UPDATE wp_comments SET comment_content = 'edited' WHERE comment_author = 'A'");
    site.until_asked("edited", 1);
    let retried = site.answer("later", Reply::status(503));
    site.run(
        "INSERT INTO wp_comments (comment_author, \"comment_author_IP\", comment_content)
         VALUES ('D', '203.0.113.8', 'later')",
    );
    site.until_asked("later", 1);
    retried.off();
    site.until_all_answered();
    assert_eq!(site.requests().len(), 6);
    world.akismet.assert_no_problems();
    let spam = "SELECT string_agg(comment_author, '' ORDER BY 1) FROM wp_comments WHERE comment_approved = 'spam'";
    assert_eq!(site.get(spam), "C");
}

#[test]
fn addresses_are_sent_without_netmask_and_v4_as_v4() {
    let mut site = new_site("{}");
    let addresses = [
        ("203.0.113.7/24", Some("203.0.113.7")),
        ("203.0.113.7/32", Some("203.0.113.7")),
        ("2001:db8::1/64", Some("2001:db8::1")),
        ("::ffff:198.51.100.1", Some("198.51.100.1")),
    ];
    for (written, _) in addresses {
        let insert = "INSERT INTO comments (body, ip) VALUES ($1, $1::text::inet)";
        site.client.execute(insert, &[&written]).expect("it is taken");
    }
    site.run(
        "CREATE TABLE letters (id serial PRIMARY KEY, body text, ip text, status text);
         SELECT spamcheck.protect('letters', status => '{}');
         INSERT INTO letters (body, ip) VALUES ('text 192.0.2.9/32', '192.0.2.9/32'),
             ('text junk', 'unknown'), ('text null', NULL)",
    );
    site.until_all_answered();
    let rest = [("text 192.0.2.9/32", Some("192.0.2.9")), ("text junk", None), ("text null", None)];
    for (text, expected) in addresses.into_iter().chain(rest) {
        let request = &site.requests_about(text)[0];
        assert_eq!(request.param("user_ip").as_deref(), expected, "{text}");
    }
}

#[test]
fn what_is_null_or_empty_is_not_sent_but_an_empty_honeypot_is() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, name text, email text, website text, trap text,
                                ip inet, body text);
         SELECT spamcheck.protect('comments', columns => '{\"honeypot\": \"trap\"}', status => '{}');
         UPDATE spamcheck.check_setting SET enabled = false WHERE check_name = 'honeypot';
         INSERT INTO comments (name, email, website, trap, ip, body)
         VALUES ('', NULL, '  ', '', '203.0.113.7', 'x')",
    );
    let names: Vec<String> = sent(&mut site).into_iter().map(|(name, _)| name).collect();
    let expected = "api_key blog blog_charset comment_content comment_type honeypot \
                    honeypot_field_name user_ip";
    assert_eq!(names.join(" "), expected);
    assert_eq!(param(&mut site, "honeypot").as_deref(), Some(""));
}

#[test]
fn without_columns_the_settings_of_the_session_speak() {
    let mut site = World::shared().bare_site("{}");
    site.run(
        "CREATE TABLE notes (id serial PRIMARY KEY, body text);
         SELECT spamcheck.protect('notes', status => '{}');
         BEGIN;
         SET LOCAL pg_spamcheck.ip = '198.51.100.23';
         SET LOCAL pg_spamcheck.user_agent = 'Lynx/2.8';
         SET LOCAL pg_spamcheck.referrer = 'https://r.example/';
         INSERT INTO notes (body) VALUES ('from settings');
         COMMIT",
    );
    assert_eq!(param(&mut site, "user_ip").as_deref(), Some("198.51.100.23"));
    assert_eq!(param(&mut site, "user_agent").as_deref(), Some("Lynx/2.8"));
    assert_eq!(param(&mut site, "referrer").as_deref(), Some("https://r.example/"));
}

const PERSON: &str =
    "INSERT INTO comments (author, email, url, ip, user_agent, referrer, permalink, body)
    VALUES ('Jane Doe', 'jane@example.org', 'https://jane.example/', '203.0.113.7', 'Agent',
            'https://r.example/', 'https://p.example/', 'hello')";

#[test]
fn each_field_can_be_kept_back() {
    for (option, name) in [
        ("author", "comment_author"),
        ("email", "comment_author_email"),
        ("ip", "user_ip"),
        ("user_agent", "user_agent"),
        ("referrer", "referrer"),
        ("permalink", "permalink"),
    ] {
        let mut site = new_site(&format!(r#"{{"send": {{"{option}": false}}}}"#));
        site.run(PERSON);
        assert_eq!(param(&mut site, name), None, "{option}");
        let others = 13 - 1;
        assert_eq!(sent(&mut site).len(), others, "nothing but {name} is left out");
    }
}

#[test]
fn anonymized_requests_name_nobody() {
    let mut site = new_site(r#"{"anonymize": true}"#);
    site.run(PERSON);
    assert_eq!(param(&mut site, "user_ip").as_deref(), Some("203.0.113.0"));
    for name in ["comment_author_email", "comment_author_url"] {
        assert_eq!(param(&mut site, name), None);
    }
    let body = String::from_utf8(site.requests()[0].body.clone()).expect("form encoding is ASCII");
    for personal in ["Jane", "jane", "203.0.113.7"] {
        assert!(!body.contains(personal), "{body}");
    }
    let mut site = new_site(r#"{"anonymize": true}"#);
    site.run("INSERT INTO comments (ip, body) VALUES ('2001:db8:1:2:3:4:5:6', 'x')");
    assert_eq!(param(&mut site, "user_ip").as_deref(), Some("2001:db8:1::"));
}
