//! Places that no sender of a trackback may send the server to: each is refused, logged, and not visited.
//! Whatever the action, a person looks: it is no proof of anything.

use support::http::{Reply, Server};

use crate::site::{Site, closed, linking, open};

#[test]
fn addresses_of_the_own_network_are_never_visited_however_they_are_written() {
    let pages = Server::start(|_| linking());
    let mut site = Site::new(closed(), &[("trackback_link", "action = 'reject'")]);
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.0.2",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[2002:7f00:1::]",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let (id, status) = site.trackback(&format!("http://{host}/post"));
        assert_eq!(status, "pending", "{host}");
        site.until_done();
        assert_eq!(site.status(id), "pending", "{host}");
        let why = site.why();
        assert!(why.contains("pg_spamcheck.allow_private_hosts is off"), "{host}: {why}");
        assert_eq!(site.log().last().unwrap(), "trackback_link moderate moderated", "{host}");
    }
    // And the port, whoever has it.
    for port in [u32::from(pages.port()), 22, 5432, 8080] {
        let (id, _) = site.trackback(&format!("http://blog.example:{port}/post"));
        site.until_done();
        assert_eq!(site.status(id), "pending", "{port}");
        assert!(
            site.why().contains(&format!("port {port} of blog.example is not visited")),
            "{}",
            site.why()
        );
    }
    assert_eq!(pages.counts().connections, 0);
}

#[test]
fn what_is_no_address_of_a_page_is_not_even_queued() {
    let mut site = Site::new(closed(), &[("trackback_link", "action = 'moderate'")]);
    for url in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "unix:/var/run/postgresql/.s.PGSQL.5432",
        "http://good.example@127.0.0.1/",
        "http://user:password@blog.example/",
        "http://blog.example:99999/",
        "http://[fe80::1%25eth0]/",
        "http://blog.example/\r\nX: y",
    ] {
        let (_, status) = site.trackback(url);
        assert_eq!(status, "pending", "{url}");
        assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0", "{url}");
        assert!(site.why().starts_with("its homepage is no address of a page: "), "{}", site.why());
    }
}

#[test]
fn a_redirect_leads_nowhere_else_either() {
    let pages =
        Server::start(|request| Reply::status(302).header("Location", &request.target()[1..]));
    // Private addresses are open here: what is refused is refused for itself.
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    for place in [
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/x",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://[::1/",
    ] {
        let (id, _) = site.trackback(&format!("{}/{place}", pages.url()));
        site.until_done();
        assert_eq!(site.status(id), "pending", "{place}");
        assert!(site.why().contains("leads to where nobody goes"), "{place}: {}", site.why());
    }
}

#[test]
fn the_setting_counts_from_the_reload_on() {
    let pages = Server::start(|_| linking());
    let cluster = support::cluster::Cluster::start(support::cluster::ClusterOptions::default());
    let cluster: &'static _ = Box::leak(Box::new(cluster));
    let mut site = Site::new(cluster, &[("trackback_link", "action = 'reject'")]);
    let (refused, _) = site.trackback(&pages.url());
    site.until_done();
    assert_eq!((site.status(refused).as_str(), pages.counts().connections), ("pending", 0));
    cluster.set("pg_spamcheck.allow_private_hosts", "on");
    let (visited, _) = site.trackback(&pages.url());
    site.until_done();
    assert_eq!((site.status(visited).as_str(), pages.counts().requests), ("approved", 1));
}
