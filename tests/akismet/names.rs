//! Where Akismet is: one of its addresses may be dead.

use support::akismet::{Akismet, KEY};
use support::cluster::Cluster;
use support::names::{Names, Silence};
use support::tls::{Authority, TlsServer};

use crate::site::{COMMENTS, Site};

#[test]
fn a_dead_address_beside_a_live_one_keeps_nobody_from_an_answer() {
    let (names, authority) = (Names::new(), Authority::new());
    let cluster = Cluster::start(names.options().with("pg_spamcheck.connect_timeout", "1s"));
    let file = cluster.data_folder().join("authorities.pem");
    std::fs::write(&file, authority.pem()).expect("it can be written");
    cluster.set("pg_spamcheck.ca_file", &file.display().to_string());
    let secrets = cluster.write_secrets(&serde_json::json!({"akismet": KEY}));
    cluster.set("pg_spamcheck.secrets_file", &secrets.display().to_string());
    for (host, dead) in [("refusing.example", "::1"), ("silent.example", "127.0.0.3")] {
        let server = TlsServer::start(authority.certify(host), Akismet::answer);
        let _silent = (dead != "::1").then(|| Silence::at(([127, 0, 0, 3], server.port()).into()));
        names.mean(host, &format!("{dead} 127.0.0.1\n"));
        cluster.set("pg_spamcheck.akismet_url", &format!("https://{host}:{}", server.port()));
        let mut site = Site::of(cluster.database(), None, "{}");
        site.run(COMMENTS);
        site.run("SELECT spamcheck.protect('comments')");
        let id = site.comment("akismet-guaranteed-spam");
        site.until_all_answered();
        assert_eq!(site.status(id), "spam", "{host}");
        assert_eq!(server.requests().len(), 1, "{host}: at the first try");
        assert!(names.asked(host) > 0);
    }
}
