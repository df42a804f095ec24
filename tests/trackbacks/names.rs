//! What a name means is asked once, looked at, and used: it may mean something else a moment later.

use std::net::TcpListener;

use support::cluster::Cluster;
use support::http::{Reply, Server};
use support::names::{Names, Silence};

use crate::site::{Site, linking};

fn cluster(names: &Names, private: &str) -> &'static Cluster {
    let options = names
        .options()
        .with("pg_spamcheck.allow_private_hosts", private)
        .with("pg_spamcheck.connect_timeout", "1s");
    Box::leak(Box::new(Cluster::start(options)))
}

#[test]
fn a_name_that_changes_its_address_behind_the_check_leads_to_the_address_that_was_checked() {
    let names = Names::new();
    let pages = Server::start(|_| linking());
    let elsewhere = TcpListener::bind(("127.0.0.2", pages.port())).expect("nobody has that");
    elsewhere.set_nonblocking(true).expect("it can be asked");
    names.mean("rebind.example", "127.0.0.1\n127.0.0.2\n");
    let mut site = Site::new(cluster(&names, "on"), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&format!("http://rebind.example:{}/post", pages.port()));
    site.until_done();
    assert_eq!((site.status(id).as_str(), pages.counts().requests), ("approved", 1));
    assert_eq!(names.asked("rebind.example"), 1);
    assert!(elsewhere.accept().is_err(), "nobody was led there");
}

#[test]
fn where_one_address_of_many_is_private_none_is_visited_be_it_after_a_redirect() {
    let names = Names::new();
    // As if the first were somebody's server on the open internet.
    names.mean("mixed.example", "1.1.1.1 127.0.0.1\n1.1.1.1\n");
    names.mean("mapped.example", "::ffff:10.0.0.1\n1.1.1.1\n");
    let mut site = Site::new(cluster(&names, "off"), &[("trackback_link", "action = 'reject'")]);
    for (host, address) in [("mixed.example", "127.0.0.1"), ("mapped.example", "::ffff:10.0.0.1")] {
        let (id, _) = site.trackback(&format!("http://{host}/post"));
        site.until_done();
        let why = site.why();
        assert!(why.contains(&format!("{host} is {address}, an address that is")), "{why}");
        assert_eq!((site.status(id).as_str(), names.asked(host)), ("pending", 1));
    }
}

#[test]
fn each_redirect_is_asked_for_and_looked_at_again() {
    let names = Names::new();
    let pages = Server::start(|request| match request.target() {
        "/moved" => Reply::status(302).header("Location", "/here"),
        _ => linking(),
    });
    // Between the redirect and the page the name comes to mean a host that is not there.
    names.mean("moving.example", "127.0.0.1\n127.0.0.1\n203.0.113.1\n");
    let mut site = Site::new(cluster(&names, "on"), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&format!("http://moving.example:{}/moved", pages.port()));
    site.until_done();
    assert_eq!((site.status(id).as_str(), pages.counts().requests), ("approved", 2));
    assert_eq!(names.asked("moving.example"), 2);
}

#[test]
fn a_dead_address_beside_a_live_one_costs_time_and_nothing_else() {
    let names = Names::new();
    let pages = Server::start(|_| linking());
    let silent = Silence::at(([127, 0, 0, 3], pages.port()).into());
    names.mean("refusing.example", "::1 127.0.0.1\n");
    names.mean("silent.example", "127.0.0.3 127.0.0.1\n");
    let mut site = Site::new(cluster(&names, "on"), &[("trackback_link", "action = 'reject'")]);
    for host in ["refusing.example", "silent.example"] {
        let (id, _) = site.trackback(&format!("http://{host}:{}/post", pages.port()));
        site.until_done();
        assert_eq!(site.status(id), "approved", "{host}: {}", site.why());
        assert_eq!(names.asked(host), 1, "{host}: at the first try");
    }
    drop(silent);
}
