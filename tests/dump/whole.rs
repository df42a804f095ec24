//! Whole databases, by every way that there is.

use super::{
    archived, dumped, original, restored, run, same_and_working, texts, unpacked, working,
};

#[test]
fn a_plain_dump_holds_everything() {
    let (database, copy) = original();
    restored(&copy, &dumped(&database, &[]));
    same_and_working(&database, &copy);
}

#[test]
fn a_dump_as_inserts_holds_everything() {
    for options in [
        &["--inserts"][..],
        &["--column-inserts", "--on-conflict-do-nothing", "--rows-per-insert=100"],
    ] {
        let (database, copy) = original();
        restored(&copy, &dumped(&database, options));
        same_and_working(&database, &copy);
    }
}

#[test]
fn an_archive_holds_everything() {
    let (database, copy) = original();
    unpacked(&copy, &archived(&database), &[]);
    same_and_working(&database, &copy);
}

#[test]
fn an_archive_is_restored_by_several_jobs() {
    let (database, _copy) = original();
    let file = archived(&database);
    // The order in which jobs load tables is theirs.
    for jobs in ["-j2", "-j5"] {
        let copy = database.cluster().empty_database();
        unpacked(&copy, &file, &[jobs]);
        same_and_working(&database, &copy);
    }
}

#[test]
fn an_archive_is_restored_in_one_transaction() {
    let (database, copy) = original();
    unpacked(&copy, &archived(&database), &["--single-transaction", "--exit-on-error"]);
    same_and_working(&database, &copy);
}

#[test]
fn a_copy_of_a_copy_is_the_original() {
    let (database, copy) = original();
    restored(&copy, &dumped(&database, &[]));
    let again = database.cluster().empty_database();
    unpacked(&again, &archived(&copy), &["-j2"]);
    same_and_working(&database, &again);
}

#[test]
fn a_clean_restore_goes_over_what_was_there() {
    let (database, copy) = original();
    run(&mut copy.client(), super::ORIGINAL);
    run(
        &mut copy.client(),
        // pg_restore trips over the keys of partitions, which it tries to drop apart from their parent's.
        "UPDATE spamcheck.policy SET mode = 'trial'; INSERT INTO comments (id, contents) VALUES (90, 'casino');
         DROP TABLE notes",
    );
    unpacked(&copy, &archived(&database), &["--clean", "--if-exists"]);
    same_and_working(&database, &copy);
    run(&mut copy.client(), "DROP TABLE notes");
    restored(&copy, &dumped(&database, &["--clean", "--if-exists"]));
    same_and_working(&database, &copy);
}

#[test]
fn a_database_made_by_the_dump_itself_holds_everything() {
    let (database, copy) = original();
    let dump = dumped(&database, &["--create"]).replace(database.name(), copy.name());
    let cluster = database.cluster();
    cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", copy.name()));
    super::clean("psql", cluster.psql_output("postgres", "postgres", &dump));
    same_and_working(&database, &copy);
}

#[test]
fn a_template_holds_everything() {
    let (database, copy) = original();
    let cluster = database.cluster();
    let state = texts(&mut database.client(), super::STATE);
    // The worker gets out of the way of this by itself.
    cluster.psql(
        "postgres",
        &format!(
            "DROP DATABASE {0} WITH (FORCE); CREATE DATABASE {0} TEMPLATE {1}",
            copy.name(),
            database.name()
        ),
    );
    let mut client = copy.client();
    assert_eq!(texts(&mut client, super::STATE), state);
    working(&mut client);
}
