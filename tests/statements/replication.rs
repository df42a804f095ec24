//! Logical replication: the publisher judges, the subscriber takes what it is sent.

use std::time::Duration;

use support::wait;

use crate::site::Site;

#[test]
fn a_subscriber_neither_judges_nor_logs_what_it_applies() {
    let mut publisher = Site::new();
    let mut subscriber = Site::new();
    let cluster = publisher.db.cluster();
    let name = publisher.db.name().to_owned();
    publisher.run("CREATE PUBLICATION all_comments FOR TABLE comments");
    // A slot within the same cluster has to be made beforehand.
    publisher.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
    // The subscriber's rules are stricter: they would show.
    subscriber.check("content", "action = 'reject'");
    subscriber.run(&format!(
        "CREATE SUBSCRIPTION of_{name} CONNECTION 'host={} port={} dbname={name} user=postgres'
         PUBLICATION all_comments WITH (create_slot = false, slot_name = '{name}', copy_data = \
         false)",
        cluster.socket_folder().display(),
        cluster.port(),
    ));
    publisher.run("INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    publisher.run("UPDATE comments SET body = 'a casino after all', views = 3 WHERE id = 2");
    wait::until(Duration::from_secs(30), "the rows to arrive", || {
        subscriber.ask("SELECT count(*) FILTER (WHERE views = 3), count(*) FROM comments") == "1|2"
    });
    assert_eq!(subscriber.statuses(), "1 spam\n2 spam");
    assert_eq!(subscriber.log(), "");
    assert_eq!(publisher.log(), "1 content\n2 content");
    // Rows of its own are judged there.
    let refused =
        subscriber.client.batch_execute("INSERT INTO comments (id, body) VALUES (9, 'casino')");
    assert!(refused.is_err());
    subscriber.run(&format!("DROP SUBSCRIPTION of_{name}"));
}
