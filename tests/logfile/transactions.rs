//! A line exists exactly when its row does.

use crate::Filed;
use crate::site::refused;

#[test]
fn lines_come_with_the_commit_and_not_before() {
    let mut filed = Filed::new("file");
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 1')");
    assert!(filed.comments().is_empty());
    filed.run("COMMIT");
    assert_eq!(filed.comments(), ["casino 1"]);
}

#[test]
fn what_is_rolled_back_leaves_no_line() {
    let mut filed = Filed::new("both");
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 1'); ROLLBACK");
    filed.run(
        "BEGIN; INSERT INTO comments (body) VALUES ('casino 2'); SAVEPOINT a;
         INSERT INTO comments (body) VALUES ('casino 3'); SAVEPOINT b;
         INSERT INTO comments (body) VALUES ('casino 4'); RELEASE b; ROLLBACK TO a;
         SAVEPOINT c; INSERT INTO comments (body) VALUES ('casino 5'); RELEASE c; COMMIT",
    );
    filed.run(
        "DO $$ BEGIN INSERT INTO comments (body) VALUES ('casino 6'); RAISE 'no';
               EXCEPTION WHEN others THEN INSERT INTO comments (body) VALUES ('casino 7'); END $$",
    );
    refused(
        &mut filed.client,
        "INSERT INTO comments (body, status) VALUES ('casino 8', 'approved'), ('nice', 'nonsense')",
    );
    filed.run("INSERT INTO comments (id, body) VALUES (2, 'casino 9') ON CONFLICT DO NOTHING");
    // A deferred constraint fails in the very commit.
    filed.run(
        "CREATE TABLE one (id int PRIMARY KEY); ALTER TABLE comments ADD one int REFERENCES one DEFERRABLE INITIALLY DEFERRED",
    );
    filed.run("BEGIN; INSERT INTO comments (body, one) VALUES ('casino 10', 7)");
    refused(&mut filed.client, "COMMIT");
    assert_eq!(filed.comments(), ["casino 2", "casino 5", "casino 7"]);
    assert_eq!(filed.rows(), "casino 2\ncasino 5\ncasino 7");
}

#[test]
fn findings_of_prepared_transactions_go_to_the_table() {
    let mut filed = Filed::new("file");
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 1'); PREPARE TRANSACTION 'one'");
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 2'); PREPARE TRANSACTION 'two'");
    assert!(filed.comments().is_empty());
    filed.run("COMMIT PREPARED 'one'; ");
    filed.run("ROLLBACK PREPARED 'two'");
    assert_eq!(filed.rows(), "casino 1");
    filed.run("INSERT INTO comments (body) VALUES ('casino 3')");
    assert_eq!(filed.comments(), ["casino 3"]);
}

#[test]
fn lines_of_many_sessions_do_not_mix() {
    let filed = Filed::new("file");
    std::thread::scope(|scope| {
        for session in 0..8 {
            let db = &filed.db;
            scope.spawn(move || {
                let mut client = db.client();
                for n in 0..40 {
                    crate::site::run(
                        &mut client,
                        &format!(
                            "INSERT INTO comments (author, body) SELECT '{session}', repeat('casino ', 1 + 300 * (m % 7)) || '{session}-{n}-' || m FROM generate_series(1, 5) m"
                        ),
                    );
                }
            });
        }
    });
    let lines = filed.lines();
    assert_eq!(lines.len(), 8 * 40 * 5);
    for line in lines {
        let (author, text) = (line["author"].as_str().unwrap(), line["comment"].as_str().unwrap());
        assert!(text.rsplit(' ').next().unwrap().starts_with(&format!("{author}-")), "{line}");
    }
}
