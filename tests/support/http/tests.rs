//! Proves the stand-in server with nothing but sockets on the other side.

use std::io::{Read, Write};
use std::time::Instant;

use super::*;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(10);

fn echo() -> Server {
    Server::start(|request| Reply::text(request.path().to_string()))
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
}

/// Reads one reply with a Content-Length: its body.
fn body(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0] as char);
    }
    let (_, length) = text.split_once("Content-Length: ").unwrap();
    let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn rest(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text).map(|_| text)
}

#[test]
fn one_connection_serves_many_requests_and_all_are_recorded() {
    let server = echo();
    let mut stream = connect(&server);
    for path in ["/a", "/b"] {
        ask(&mut stream, path);
        assert_eq!(body(&mut stream), path);
    }
    let mut other = connect(&server);
    ask(&mut other, "/c");
    assert_eq!(body(&mut other), "/c");
    let seen: Vec<(String, u64)> =
        server.requests().iter().map(|r| (r.path().to_string(), r.connection)).collect();
    assert_eq!(seen, [("/a".into(), 1), ("/b".into(), 1), ("/c".into(), 2)]);
    let counts = server.counts();
    assert_eq!((counts.requests, counts.connections, counts.open), (3, 2, 2));
    drop((stream, other));
    until(SOON, "the end of the connections", || server.counts().open == 0);
}

#[test]
fn the_script_is_followed_in_order_and_then_the_handler() {
    let server = echo();
    server.once(|request| request.path() == "/a", Reply::text("first"));
    server.once(|request| request.path() == "/a", Reply::status(503).header("Retry-After", 7));
    server.always(|request| request.path() == "/b", Reply::text("always"));
    let mut stream = connect(&server);
    let mut answers = Vec::new();
    for path in ["/b", "/a", "/a", "/a", "/b"] {
        ask(&mut stream, path);
        answers.push(body(&mut stream));
    }
    assert_eq!(answers, ["always", "first", "", "/a", "always"]);
    server.forget_script();
    ask(&mut stream, "/b");
    assert_eq!(body(&mut stream), "/b");
}

#[test]
fn a_silent_server_keeps_the_client_waiting_until_it_is_cut_off() {
    let server = echo();
    server.once(|_| true, Reply::silence());
    let mut stream = connect(&server);
    ask(&mut stream, "/");
    until(SOON, "the request", || server.counts().in_flight == 1);
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(rest(&mut stream).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    server.close_connections();
    stream.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(rest(&mut stream).unwrap(), "");
    until(SOON, "the end of the request", || server.counts().in_flight == 0);
}

#[test]
fn a_reset_is_an_error_and_a_close_is_an_end() {
    let server = echo();
    server.once(|_| true, Reply::reset());
    server.once(|_| true, Reply::hang_up());
    server.once(|_| true, Reply::text("whole").after(After::Half));
    let mut stream = connect(&server);
    ask(&mut stream, "/");
    assert_eq!(rest(&mut stream).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let mut stream = connect(&server);
    ask(&mut stream, "/");
    assert_eq!(rest(&mut stream).unwrap(), "");
    let mut stream = connect(&server);
    ask(&mut stream, "/");
    assert!(rest(&mut stream).unwrap().ends_with("Content-Length: 5\r\n\r\nwh"));
}

#[test]
fn latency_and_pauses_take_their_time() {
    let server = echo();
    server.set_latency(Duration::from_millis(40));
    server.once(|_| true, Reply::text("a").then(Duration::from_millis(40), "b"));
    let mut stream = connect(&server);
    let start = Instant::now();
    ask(&mut stream, "/");
    assert_eq!(body(&mut stream), "ab");
    assert!(start.elapsed() >= Duration::from_millis(80), "{:?}", start.elapsed());
}

#[test]
fn it_goes_down_and_comes_back_on_its_port() {
    let server = echo();
    let mut stream = connect(&server);
    ask(&mut stream, "/a");
    body(&mut stream);
    server.go_down();
    assert_eq!(rest(&mut stream).unwrap(), "");
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    server.come_back();
    let mut stream = connect(&server);
    ask(&mut stream, "/b");
    assert_eq!(body(&mut stream), "/b");
}

#[test]
fn requests_at_the_same_time_are_counted_as_such() {
    let server = echo();
    server.set_latency(Duration::from_millis(100));
    let mut streams: Vec<TcpStream> = (0..8).map(|_| connect(&server)).collect();
    streams.iter_mut().for_each(|stream| ask(stream, "/"));
    streams.iter_mut().for_each(|stream| assert_eq!(body(stream), "/"));
    assert_eq!(server.counts().most_in_flight, 8);
}
