//! The stand-in Akismet by hand: `cargo run -p spamcheck-tests --bin stub_akismet -- 150` listens with
//! 150 ms of latency and prints each request and what the real service would object to in it. For
//! trying out a worker in one's own cluster; tests use the library.

use std::thread;
use std::time::Duration;

use support::akismet::{Akismet, KEY, SPAM};

fn main() {
    let latency = std::env::args().nth(1).map_or(0, |text| {
        text.parse().unwrap_or_else(|_| {
            eprintln!("usage: stub_akismet [milliseconds of latency], not \"{text}\"");
            std::process::exit(2)
        })
    });
    let akismet = Akismet::start();
    akismet.set_latency(Duration::from_millis(latency));
    println!("pg_spamcheck.akismet_url = '{}'", akismet.url());
    println!(
        "It takes the key {KEY}, and says spam to an author or text with {SPAM}. Ctrl-C ends it."
    );
    loop {
        for request in akismet.requests() {
            println!("\n{} {}", request.method(), request.target());
            for (name, value) in request.params() {
                println!("    {name} = {value}");
            }
        }
        for problem in akismet.problems() {
            println!("    ! {problem}");
        }
        akismet.forget();
        thread::sleep(Duration::from_millis(200));
    }
}
