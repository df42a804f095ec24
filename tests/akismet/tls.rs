//! Akismet is asked over TLS, of somebody whom an authority vouches for, or not at all; by the proxy that
//! is set, and by no other.

use std::sync::OnceLock;

use support::akismet::{Akismet, KEY};
use support::cluster::{Cluster, ClusterOptions};
use support::proxy::Proxy;
use support::tls::{Authority, Certified, TlsServer};

use crate::site::Site;

/// A server whose worker trusts one authority.
struct Trusting {
    cluster: Cluster,
    authority: Authority,
}

impl Trusting {
    fn new(options: ClusterOptions) -> Trusting {
        let (cluster, authority) = (Cluster::start(options), Authority::new());
        let file = cluster.data_folder().join("authorities.pem");
        std::fs::write(&file, authority.pem()).expect("it can be written");
        cluster.set("pg_spamcheck.ca_file", &file.display().to_string());
        let secrets = cluster.write_secrets(&serde_json::json!({"akismet": KEY}));
        cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
        Trusting { cluster, authority }
    }

    fn shared() -> &'static Trusting {
        static SHARED: OnceLock<Trusting> = OnceLock::new();
        SHARED.get_or_init(|| Trusting::new(ClusterOptions::default()))
    }

    /// A database with the table `comments`, whose comments Akismet is asked about.
    fn site(&self) -> Site<'_> {
        let mut site = Site::of(self.cluster.database(), None, "{}");
        site.run(crate::site::COMMENTS);
        site.run("SELECT spamcheck.protect('comments')");
        site
    }
}

#[test]
fn an_authority_of_the_ca_file_is_believed_and_the_key_stays_inside_the_request() {
    let trusting = Trusting::new(ClusterOptions::default());
    let server = TlsServer::start(trusting.authority.certify("localhost"), Akismet::answer);
    let url = format!("https://localhost:{}", server.port());
    trusting.cluster.set("pg_spamcheck.akismet_url", &url);
    let mut site = trusting.site();
    let id = site.comment("akismet-guaranteed-spam");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].param("api_key").as_deref(), Some(KEY));
    assert!(!requests[0].head.contains(KEY), "{}", requests[0].head);
    assert_eq!(server.plain(), 0);
}

#[test]
fn who_cannot_prove_to_be_akismet_is_told_nothing() {
    let trusting = Trusting::new(ClusterOptions::default());
    let authority = &trusting.authority;
    for (name, certified, word) in [
        ("another host's", authority.certify("other.example"), "not valid for name"),
        ("an expired one", authority.certify_once("localhost"), "expired"),
        ("a stranger's", Authority::new().certify("localhost"), "certificate"),
        ("its own", Certified::by_itself("localhost"), "certificate"),
    ] {
        let server = TlsServer::start(certified, Akismet::answer);
        let url = format!("https://localhost:{}", server.port());
        trusting.cluster.set("pg_spamcheck.akismet_url", &url);
        let mut site = trusting.site();
        let id = site.comment("akismet-guaranteed-spam");
        site.until("SELECT last_error ILIKE 'TLS%' FROM spamcheck.lookup", "true");
        let error = site.get("SELECT lower(last_error) FROM spamcheck.lookup");
        assert!(error.contains(word), "{name}: {error}");
        assert!(!error.contains(&KEY.to_lowercase()), "{name}: {error}");
        let seen = site.get("SELECT state || ' ' || (next_at > created_at) FROM spamcheck.lookup WHERE state <> 'running'");
        assert!(seen == "queued true" || seen == "-", "{name}: {seen}");
        assert_eq!(site.status(id), "approved", "{name}");
        assert_eq!(server.requests().len(), 0, "{name}");
        assert_eq!(server.plain(), 0, "{name}: no fallback to plain HTTP");
    }
}

#[test]
fn without_a_ca_file_the_machines_own_authorities_count() {
    let cluster = Cluster::start(ClusterOptions::default());
    let secrets = cluster.write_secrets(&serde_json::json!({"akismet": KEY}));
    cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
    let server = TlsServer::start(Authority::new().certify("localhost"), Akismet::answer);
    cluster.set("pg_spamcheck.akismet_url", &format!("https://localhost:{}", server.port()));
    let mut site = Site::of(cluster.database(), None, "{}");
    site.run(crate::site::COMMENTS);
    site.run("SELECT spamcheck.protect('comments')");
    site.comment("hello");
    site.until("SELECT last_error ILIKE 'TLS%' FROM spamcheck.lookup", "true");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_ca_file_that_cannot_be_used_stops_the_requests_and_is_named() {
    let trusting = Trusting::new(ClusterOptions::default());
    let file = trusting.cluster.data_folder().join("authorities.pem");
    std::fs::write(&file, "not a certificate").expect("it can be written");
    let server = TlsServer::start(trusting.authority.certify("localhost"), Akismet::answer);
    let url = format!("https://localhost:{}", server.port());
    trusting.cluster.set("pg_spamcheck.akismet_url", &url);
    let mut site = trusting.site();
    let id = site.comment("akismet-guaranteed-spam");
    let health = "SELECT message LIKE '%ca_file holds no certificate%' FROM spamcheck.health() WHERE item = 'akismet'";
    site.until(health, "true");
    assert_eq!(server.requests().len(), 0);
    // The file is read again when the configuration is.
    std::fs::write(&file, trusting.authority.pem()).expect("it can be written");
    trusting.cluster.set("pg_spamcheck.request_timeout", "9s");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
}

#[test]
fn the_proxy_that_is_set_is_asked_for_the_host_and_told_nothing_else() {
    let trusting = Trusting::new(ClusterOptions::default());
    let proxy = Proxy::start();
    let server = TlsServer::start(trusting.authority.certify("akismet.example"), Akismet::answer);
    trusting.cluster.set("pg_spamcheck.http_proxy", &proxy.url());
    // A name that only the proxy knows the way to.
    let url = format!("https://akismet.example:{}", server.port());
    trusting.cluster.set("pg_spamcheck.akismet_url", &url);
    let mut site = trusting.site();
    let id = site.comment("akismet-guaranteed-spam");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert_eq!(server.requests().len(), 1);
    let asked = proxy.asked();
    let target = format!("CONNECT akismet.example:{} ", server.port());
    assert!(asked.iter().all(|head| head.starts_with(&target)), "{asked:?}");
    assert!(!asked.is_empty() && !asked.join("").contains(KEY), "{asked:?}");
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let (proxy, akismet) = (Proxy::start(), Akismet::start());
    let mut options = ClusterOptions::default();
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        options.environment.push((name.into(), proxy.url()));
    }
    let trusting = Trusting::new(options);
    akismet.attach(&trusting.cluster);
    let mut site = trusting.site();
    let id = site.comment("akismet-guaranteed-spam");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    let server = TlsServer::start(trusting.authority.certify("localhost"), Akismet::answer);
    let url = format!("https://localhost:{}", server.port());
    trusting.cluster.set("pg_spamcheck.akismet_url", &url);
    let id = site.comment("akismet-guaranteed-spam too");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn a_name_that_nobody_knows_and_a_port_that_nobody_serves_are_tried_again() {
    let trusting = Trusting::shared();
    for url in ["https://nobody.invalid", "https://127.0.0.1:9"] {
        trusting.cluster.set("pg_spamcheck.akismet_url", url);
        let mut site = trusting.site();
        let id = site.comment("akismet-guaranteed-spam");
        site.until("SELECT last_error IS NOT NULL FROM spamcheck.lookup", "true");
        let lasting =
            "SELECT state IN ('queued', 'running') AND attempts <= 3 FROM spamcheck.lookup";
        assert_eq!(site.get(lasting), "true", "{url}");
        assert_eq!(site.status(id), "approved", "{url}");
    }
}

/// What health() says of an item: its state, message and hint.
fn health(site: &mut Site<'_>, item: &str) -> String {
    site.get(&format!(
        "SELECT concat_ws(' | ', state, message, hint) FROM spamcheck.health() WHERE item = '{item}'"
    ))
}

#[test]
fn settings_that_cannot_be_used_stop_the_requests_at_once_and_are_named() {
    let trusting = Trusting::new(ClusterOptions::default());
    let server = TlsServer::start(trusting.authority.certify("localhost"), Akismet::answer);
    let url = format!("https://localhost:{}", server.port());
    trusting.cluster.set("pg_spamcheck.akismet_url", &url);
    let right = trusting.cluster.data_folder().join("authorities.pem");
    let mut site = trusting.site();
    let id = site.comment("akismet-guaranteed-spam");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert_eq!(
        health(&mut site, "network"),
        "ok | nothing in the settings stands against requests"
    );
    // The former authorities would do, and are not what the administrator wants.
    trusting.cluster.set("pg_spamcheck.ca_file", "/nonexistent/authorities.pem");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "bad settings");
    for item in ["network", "akismet"] {
        let told = health(&mut site, item);
        assert!(told.starts_with("error | "), "{item}: {told}");
        for part in [
            "pg_spamcheck.ca_file",
            "/nonexistent/authorities.pem",
            "No such file",
            "pg_reload_conf()",
        ] {
            assert!(told.contains(part), "{item}: {told}");
        }
    }
    let asked = server.requests().len();
    let id = site.comment("akismet-guaranteed-spam again");
    site.until(
        "SELECT last_error IS NULL AND state = 'queued' AND attempts = 0 FROM spamcheck.lookup",
        "true",
    );
    assert_eq!((site.status(id).as_str(), server.requests().len()), ("approved", asked));
    // Mended, it goes on by itself.
    trusting.cluster.set("pg_spamcheck.ca_file", &right.display().to_string());
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert!(
        health(&mut site, "akismet").starts_with("ok | ")
            && health(&mut site, "network").starts_with("ok | ")
    );
}

#[test]
fn a_proxy_that_is_none_is_refused_when_it_is_set() {
    let trusting = Trusting::shared();
    let mut site = trusting.site();
    for bad in [
        "garbage",
        "not a proxy",
        "ftp://proxy.example:21",
        "http://",
        "http://proxy.example/path",
        "socks5://proxy.example",
    ] {
        let error = site
            .client
            .batch_execute(&format!("ALTER SYSTEM SET pg_spamcheck.http_proxy = '{bad}'"))
            .expect_err(bad);
        let error = error.as_db_error().expect("the server refuses it");
        assert!(
            error.detail().is_some_and(|detail| detail.contains("http://host:port")),
            "{bad}: {error:?}"
        );
    }
    for good in ["http://proxy.example:3128", "https://user:password@proxy.example:3128/", ""] {
        site.run(&format!("ALTER SYSTEM SET pg_spamcheck.http_proxy = '{good}'"));
    }
    site.run("ALTER SYSTEM RESET pg_spamcheck.http_proxy");
}

#[test]
fn what_runs_on_this_machine_is_not_asked_by_way_of_the_proxy() {
    let (proxy, akismet) = (Proxy::start(), Akismet::start());
    let trusting =
        Trusting::new(ClusterOptions::default().with("pg_spamcheck.http_proxy", proxy.url()));
    akismet.attach(&trusting.cluster);
    let mut site = trusting.site();
    let id = site.comment("akismet-guaranteed-spam");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    let server = TlsServer::start(trusting.authority.certify("localhost"), Akismet::answer);
    trusting
        .cluster
        .set("pg_spamcheck.akismet_url", &format!("https://localhost:{}", server.port()));
    let id = site.comment("akismet-guaranteed-spam too");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
    assert_eq!(proxy.asked(), [""; 0]);
}
