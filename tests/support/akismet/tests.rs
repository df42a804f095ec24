//! Proves that the stand-in answers as Akismet does and sees what Akismet would overlook.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::*;

const HEADERS: &str = "Content-Type: application/x-www-form-urlencoded\r\n\
                       User-Agent: PostgreSQL/15.20 | pg_spamcheck/0.1.0\r\n";
const MINIMUM: &str = "api_key=123YourAPIKey&blog=https%3A%2F%2Fexample.com%2F&user_ip=203.0.113.7";

fn post(akismet: &Akismet, endpoint: Endpoint, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, akismet.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        stream,
        "POST {} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        endpoint.path(),
        body.len()
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn check(akismet: &Akismet, more: &str) -> String {
    post(akismet, Endpoint::CommentCheck, HEADERS, &format!("{MINIMUM}{more}"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn it_tells_spam_from_ham() {
    let akismet = Akismet::start();
    let ham = check(&akismet, "&comment_content=I+liked+this");
    assert_eq!(body(&ham), "false");
    for spam in [
        "&comment_author=akismet-guaranteed-spam",
        "&comment_author=viagra-test-123",
        "&comment_author_email=akismet-guaranteed-spam%40example.com",
        "&comment_content=so+akismet-guaranteed-spam+it+is",
    ] {
        assert_eq!(body(&check(&akismet, spam)), "true", "{spam}");
    }
    let administrator = "&comment_author=akismet-guaranteed-spam&user_role=editor,administrator";
    assert_eq!(body(&check(&akismet, administrator)), "false");
    assert_eq!(akismet.calls(Endpoint::CommentCheck), 6);
    akismet.assert_no_problems();
}

#[test]
fn each_check_has_an_id_of_its_own() {
    let akismet = Akismet::start();
    let mut guids: Vec<String> = (0..50)
        .map(|_| {
            let answer = check(&akismet, "");
            let (_, guid) = answer.split_once("X-akismet-guid: ").unwrap();
            guid[..32].to_string()
        })
        .collect();
    guids.sort();
    guids.dedup();
    assert_eq!(guids.len(), 50);
}

#[test]
fn the_test_parameters_bring_their_headers() {
    let akismet = Akismet::start();
    let answer = check(
        &akismet,
        "&comment_author=akismet-guaranteed-spam&test_discard=1&test_alert_code=123",
    );
    assert!(answer.contains("\r\nX-akismet-pro-tip: discard\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-akismet-alert-code: 123\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-akismet-alert-msg: Test alert 123\r\n"), "{answer}");
}

#[test]
fn failures_come_under_status_200() {
    let akismet = Akismet::start();
    let wrong_key = MINIMUM.replace("123Your", "000Your");
    let answer = post(&akismet, Endpoint::CommentCheck, HEADERS, &wrong_key);
    assert!(answer.starts_with("HTTP/1.1 200 ") && body(&answer) == "invalid", "{answer}");
    assert!(answer.contains("X-akismet-debug-help: "), "{answer}");
    let no_blog = "api_key=123YourAPIKey&user_ip=203.0.113.7";
    let answer = post(&akismet, Endpoint::CommentCheck, HEADERS, no_blog);
    assert_eq!(body(&answer), "Missing required field: blog.");
}

#[test]
fn the_other_endpoints_answer_as_documented() {
    let akismet = Akismet::start();
    let key = "key=123YourAPIKey&blog=https%3A%2F%2Fexample.com%2F";
    assert_eq!(body(&post(&akismet, Endpoint::VerifyKey, HEADERS, key)), "valid");
    let thanks = "Thanks for making the web a better place.";
    assert_eq!(body(&post(&akismet, Endpoint::SubmitSpam, HEADERS, MINIMUM)), thanks);
    assert_eq!(body(&post(&akismet, Endpoint::SubmitHam, HEADERS, MINIMUM)), thanks);
    let usage = post(&akismet, Endpoint::UsageLimit, HEADERS, "api_key=123YourAPIKey");
    let usage: serde_json::Value = serde_json::from_str(body(&usage)).unwrap();
    assert_eq!(usage["limit"], 350_000);
    akismet.assert_no_problems();
}

#[test]
fn slips_that_akismet_overlooks_are_seen() {
    for (more, problem) in [
        ("&content_type=comment", "\"content_type\" is no parameter of Akismet's"),
        ("&comment_author=", "\"comment_author\" is sent without a value"),
        ("&blog=https://b.example", "\"blog\" is sent twice"),
        ("&user_ip=203.0.113.7/32", "\"user_ip\" is \"203.0.113.7/32\", not a plain address"),
        ("&is_test=true", "\"is_test\" is \"true\", not 1"),
        ("&comment_date_gmt=2026-01-02", "not a time like 2026-01-02T03:04:05Z"),
        ("&HTTP_COOKIE=a", "it gives away the visitor's HTTP_COOKIE"),
        ("&comment_content=%ff", "\"comment_content\" is not UTF-8"),
    ] {
        let akismet = Akismet::start();
        check(&akismet, more);
        let problems = akismet.problems();
        assert!(problems.iter().any(|found| found.contains(problem)), "{problem}: {problems:?}");
    }
}

#[test]
fn slips_in_the_envelope_are_seen() {
    let akismet = Akismet::start();
    let json = HEADERS.replace("x-www-form-urlencoded", "json");
    post(&akismet, Endpoint::CommentCheck, &json, MINIMUM);
    let other = "User-Agent: Mozilla/5.0\r\nX-Key: 123YourAPIKey\r\nExpect: 100-continue\r\n";
    post(&akismet, Endpoint::CommentCheck, other, "api_key=123YourAPIKey");
    let problems = akismet.problems().join("\n");
    for problem in [
        "the Content-Type is \"application/json\"",
        "the Content-Type is \"\"",
        "the User-Agent is \"Mozilla/5.0\"",
        "the key stands in its head",
        "it has the header expect",
        "\"blog\" is missing",
        "\"user_ip\" is missing",
    ] {
        assert!(problems.contains(problem), "{problem} is not in\n{problems}");
    }
}

#[test]
fn what_is_right_is_not_objected_to() {
    let akismet = Akismet::start();
    check(
        &akismet,
        "&comment_date_gmt=2026-01-02T03%3A04%3A05Z&is_test=1&HTTP_ACCEPT_LANGUAGE=de&hp=\
         &honeypot_field_name=hp&comment_context%5B0%5D=a&comment_context%5B1%5D=b\
         &comment_content=%EF%BF%BD+Zo%C3%AB&blog_charset=UTF-8",
    );
    akismet.assert_no_problems();
}

#[test]
fn scripted_answers_are_looked_at_too() {
    let akismet = Akismet::start();
    akismet.once(Endpoint::CommentCheck.with("comment_author", "Zoe"), Reply::status(503));
    let answer = check(&akismet, "&comment_author=Zoe&comment_kind=x");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(akismet.problems().len(), 1);
    assert_eq!(akismet.requests_for(Endpoint::CommentCheck).len(), 1);
    assert_eq!(akismet.calls(Endpoint::CommentCheck), 0);
}

#[test]
fn it_serves_a_benchmark() {
    // Far below what it does, far above what a server that sleeps between requests would.
    let akismet = Akismet::start();
    akismet.keep_requests(false);
    let port = akismet.port();
    let request = format!(
        "POST /1.1/comment-check HTTP/1.1\r\n{HEADERS}Content-Length: {}\r\n\r\n{MINIMUM}",
        MINIMUM.len()
    );
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                stream.set_nodelay(true).unwrap();
                let mut buffer = [0; 1024];
                for _ in 0..50 {
                    stream.write_all(request.as_bytes()).unwrap();
                    let read = stream.read(&mut buffer).unwrap();
                    assert!(buffer[..read].ends_with(b"\r\n\r\nfalse"));
                }
            });
        }
    });
    let rate = 3200.0 / start.elapsed().as_secs_f64();
    println!("{rate:.0} requests a second");
    assert_eq!(akismet.counts().connections, 64);
    assert!(rate > 1000.0, "{rate:.0} requests a second");
}
