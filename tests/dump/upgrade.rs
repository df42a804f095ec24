//! pg_upgrade carries the extension as it is: not by a dump of its data, but with its files.

use support::cluster::{Cluster, ClusterOptions, StopMode, bindir};
use support::ports;

use super::{ORIGINAL, STATE, clean, run, texts, working};

#[test]
fn pg_upgrade_takes_everything_along() {
    let old = Cluster::start(ClusterOptions::default());
    old.psql("postgres", "CREATE DATABASE site");
    let mut client = old.connect("site", "postgres");
    run(&mut client, ORIGINAL);
    let state = texts(&mut client, STATE);
    drop(client);
    let new = Cluster::start(ClusterOptions::default());
    old.stop(StopMode::Fast);
    new.stop(StopMode::Fast);
    let mut upgrade = new.program("pg_upgrade");
    upgrade.arg("-b").arg(bindir()).arg("-B").arg(bindir());
    upgrade.arg("-d").arg(old.data_folder()).arg("-D").arg(new.data_folder());
    upgrade.arg("-s").arg(new.socket_folder());
    upgrade.args(["-p", &ports::free().to_string(), "-P", &ports::free().to_string()]);
    // They would lead it to a server that does not run.
    upgrade.env_remove("PGHOST").env_remove("PGPORT");
    clean("pg_upgrade", upgrade.output().expect("it starts"));
    new.start_again();
    let mut client = new.connect("site", "postgres");
    assert_eq!(texts(&mut client, STATE), state);
    working(&mut client);
}
