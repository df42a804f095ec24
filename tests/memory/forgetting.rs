//! What no enabled check needs any longer is forgotten by the worker; what is needed stays, and goes
//! along in a dump.

use std::time::Duration;

use support::wait;

use crate::blog::{blog, options, pending};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_worker_forgets_what_is_too_old_and_keeps_the_rest() {
    let mut site = blog(&["duplicate", "ip_interval"]);
    options(&mut site, "ip_interval", r#"{"interval": "1 second"}"#);
    site.run(
        "INSERT INTO comments (body, ip) SELECT 'comment number ' || n, '10.0.0.0'::inet + n FROM generate_series(1, 500) n",
    );
    let kinds = "SELECT string_agg(k, ' ' ORDER BY k) FROM (SELECT (hash & 3) || ':' || count(*) FROM spamcheck._seen GROUP BY hash & 3) k(k)";
    assert_eq!(site.ask(kinds), "0:500 1:500");
    wait::until(LIMIT, "addresses to be forgotten", || site.ask(kinds) == "0:500");
    site.run("INSERT INTO comments (body, ip) VALUES ('comment number 7', '10.0.0.7')");
    assert_eq!(pending(&mut site), "501");
}

#[test]
fn what_no_check_asks_for_any_more_goes_after_an_hour() {
    let mut site = blog(&["duplicate"]);
    site.run(
        "INSERT INTO comments (body) SELECT 'comment number ' || n FROM generate_series(1, 500) n",
    );
    site.check("duplicate", "enabled = false");
    let noticed = "SELECT count(*) FROM spamcheck._unneeded";
    wait::until(LIMIT, "the worker to notice", || site.ask(noticed) == "1");
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck._seen"), "500");
    // Enabled again, it knows what it knew.
    site.check("duplicate", "enabled = true");
    wait::until(LIMIT, "the worker to notice that, too", || site.ask(noticed) == "0");
    site.run("INSERT INTO comments (body) VALUES ('comment number 7')");
    assert_eq!(pending(&mut site), "501");
    site.check("duplicate", "enabled = false");
    wait::until(LIMIT, "the worker to notice again", || site.ask(noticed) == "1");
    site.run("UPDATE spamcheck._unneeded SET since = since - interval '1 hour'");
    site.policy("unsubscribe = false");
    wait::until(LIMIT, "everything to be forgotten", || {
        site.ask("SELECT count(*) FROM spamcheck._seen") == "0"
    });
}

#[test]
fn a_dump_carries_the_memory() {
    let mut site = blog(&["duplicate"]);
    site.run(
        "INSERT INTO comments (body) SELECT 'comment number ' || n FROM generate_series(1, 20) n",
    );
    let cluster = site.db.cluster();
    let copy = cluster.empty_database();
    let dump = cluster.program("pg_dump").arg(site.db.name()).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    cluster.psql(copy.name(), &String::from_utf8_lossy(&dump.stdout));
    let script = "INSERT INTO comments (body) VALUES ('Comment number 3') RETURNING status";
    assert_eq!(cluster.psql(copy.name(), script), "pending");
}
