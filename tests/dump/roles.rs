//! Tables of ordinary roles, what roles were given, and who may dump.

use super::{clean, dumped, original, restored, run, same_and_working, texts};

#[test]
fn an_ordinary_roles_table_and_everybodys_access_survive() {
    let (database, copy) = original();
    run(
        &mut database.client(),
        "CREATE ROLE dump_owner LOGIN; CREATE ROLE dump_analyst LOGIN; CREATE ROLE dump_app LOGIN;
         GRANT CREATE, USAGE ON SCHEMA public TO dump_owner;
         ALTER TABLE comments OWNER TO dump_owner; ALTER TABLE people OWNER TO dump_owner;
         GRANT INSERT ON comments TO dump_app;
         SELECT spamcheck.grant_access('dump_owner', 'admin'); SELECT spamcheck.grant_access('dump_analyst', 'analyst');",
    );
    restored(&copy, &dumped(&database, &[]));
    // A role that has nothing but INSERT is judged.
    run(
        &mut copy.client_as("dump_app"),
        "INSERT INTO comments (id, contents) VALUES (60, 'casino')",
    );
    let mut analyst = copy.client_as("dump_analyst");
    assert_eq!(texts(&mut analyst, "SELECT row_key->>'id' FROM spamcheck.recent LIMIT 1"), ["60"]);
    assert!(analyst.batch_execute("DELETE FROM spamcheck.spam_checklog").is_err());
    run(
        &mut copy.client_as("dump_owner"),
        "SELECT spamcheck.protect('comments'); SELECT spamcheck.unprotect('comments')",
    );
    drop(analyst);
    for database in [&database, &copy] {
        run(&mut database.client(), "DROP OWNED BY dump_owner, dump_analyst, dump_app CASCADE");
    }
    run(&mut database.client(), "DROP ROLE dump_owner, dump_analyst, dump_app");
}

#[test]
fn a_role_that_may_read_all_can_dump() {
    let (database, copy) = original();
    run(&mut database.client(), "CREATE ROLE dump_reader LOGIN IN ROLE pg_read_all_data");
    let mut program = database.cluster().program("pg_dump");
    program.args(["-U", "dump_reader", "-d", database.name()]);
    restored(&copy, &clean("pg_dump", program.output().expect("it starts")));
    run(&mut database.client(), "DROP ROLE dump_reader");
    same_and_working(&database, &copy);
}
