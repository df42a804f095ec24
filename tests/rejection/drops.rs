//! on_reject = drop: the row is silently not there, and the log knows why.

use std::io::Write;

use crate::refusing;
use crate::site::Site;

fn dropping() -> Site {
    let mut site = refusing();
    site.policy("on_reject = 'drop'");
    site
}

#[test]
fn a_dropped_row_is_no_error_and_its_neighbours_are_stored() {
    let mut site = dropping();
    let stored = site
        .client
        .execute("INSERT INTO comments (body) VALUES ('nice'), ('casino'), ('nice too')", &[]);
    assert_eq!(stored.unwrap(), 2);
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('casino') RETURNING id"), "");
    assert_eq!(site.ask("SELECT body FROM comments ORDER BY id"), "nice\nnice too");
    assert_eq!(
        site.ask(
            "SELECT row_key IS NULL, outcome, comment, submission -> 'row' ->> 'body' \
        FROM spamcheck.spam_checklog"
        ),
        "t|rejected|casino|casino\nt|rejected|casino|casino"
    );
}

#[test]
fn copy_counts_the_rows_that_are_stored() {
    let mut site = dropping();
    let mut copy = site.client.copy_in("COPY comments (body) FROM stdin").unwrap();
    copy.write_all("nice\ncasino\n".repeat(700).as_bytes()).unwrap();
    assert_eq!(copy.finish().unwrap(), 700);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "700");
}

#[test]
fn the_entry_of_a_dropped_row_goes_with_a_rollback() {
    let mut site = dropping();
    site.run("BEGIN; INSERT INTO comments (body) VALUES ('casino'); ROLLBACK");
    site.run(
        "BEGIN; SAVEPOINT s; INSERT INTO comments (body) VALUES ('casino'); ROLLBACK TO s; COMMIT",
    );
    assert_eq!(site.log(), "");
    site.run(
        "BEGIN; SAVEPOINT s; INSERT INTO comments (body) VALUES ('casino'); RELEASE s; COMMIT",
    );
    assert_eq!(site.log(), "- content");
}

#[test]
fn a_dropped_edit_leaves_the_row_as_it_was() {
    let mut site = dropping();
    site.run("INSERT INTO comments (body) VALUES ('nice'), ('fine')");
    let changed = site
        .client
        .execute("UPDATE comments SET body = CASE id WHEN 1 THEN 'casino' ELSE 'good' END", &[]);
    assert_eq!(changed.unwrap(), 1);
    assert_eq!(site.ask("SELECT body FROM comments ORDER BY id"), "nice\ngood");
    assert_eq!(site.log(), "- content");
}

#[test]
fn findings_of_neighbours_keep_their_own_rows() {
    let mut site = dropping();
    site.run(
        "INSERT INTO comments (id, ip, body) VALUES (1, '10.0.0.1', 'a'), (2, '10.0.0.1', \
            'casino'), (3, '10.0.0.1', 'b'), (4, NULL, 'casino'), (5, NULL, 'c')",
    );
    assert_eq!(site.statuses(), "1 spam\n3 spam\n5 approved");
    assert_eq!(
        site.ask(
            "SELECT coalesce(row_key ->> 'id', '-'), check_name, outcome FROM \
            spamcheck.spam_checklog ORDER BY 1, comment, 2"
        ),
        "-|content|rejected\n-|content|rejected\n-|ip_block|rejected\n1|ip_block|suppressed\n3|ip_block|suppressed"
    );
}

#[test]
fn an_app_role_needs_no_rights_on_the_log_for_a_dropped_row() {
    let mut site = dropping();
    let app = site.role("app");
    site.run(&format!(
        "GRANT INSERT ON comments TO {app}; GRANT USAGE ON SEQUENCE comments_id_seq TO {app}"
    ));
    let mut client = site.db.client_as(&app);
    assert_eq!(client.execute("INSERT INTO comments (body) VALUES ('casino')", &[]).unwrap(), 0);
    assert_eq!(site.log(), "- content");
}
