//! Who may protect: admin access and the table's owner, or a superuser; and that the owner's ordinary
//! work on the table needs no right on the extension.

use super::{refusal, run, start, text};

const PROTECT: &str = "SELECT spamcheck.protect('notes')";

fn role(client: &mut postgres::Client, name: &str) {
    run(client, &format!("CREATE ROLE {name} LOGIN; GRANT CREATE ON SCHEMA public TO {name}"));
}

fn forget(client: &mut postgres::Client, names: &[&str]) {
    for name in names {
        run(client, &format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"));
    }
}

#[test]
fn the_owner_with_admin_access_protects_and_unprotects() {
    let (database, mut client) = start();
    role(&mut client, "access_owner");
    let mut owner = database.client_as("access_owner");
    run(
        &mut owner,
        "CREATE TABLE notes (id int PRIMARY KEY, body text, status text CHECK (status IN ('approved', 'pending', 'spam')))",
    );
    assert_eq!(refusal(&mut owner, PROTECT).code().code(), "42501");
    run(&mut client, "SELECT spamcheck.grant_access('access_owner', 'moderator')");
    assert_eq!(refusal(&mut owner, PROTECT).code().code(), "42501");
    run(&mut client, "SELECT spamcheck.grant_access('access_owner', 'admin')");
    run(&mut owner, PROTECT);
    assert_eq!(text(&mut owner, "INSERT INTO notes VALUES (1, 'casino') RETURNING status"), "spam");
    assert_eq!(text(&mut owner, "SELECT relation FROM spamcheck.protected_table"), "notes");
    // Again, and off.
    run(
        &mut owner,
        r#"SELECT spamcheck.protect('notes', status => '{}'); SELECT spamcheck.unprotect('notes')"#,
    );
    assert_eq!(text(&mut owner, "SELECT count(*) FROM spamcheck.protected_table"), "0");
    drop(owner);
    forget(&mut client, &["access_owner"]);
}

#[test]
fn admin_access_alone_does_not_reach_another_owners_table() {
    let (database, mut client) = start();
    role(&mut client, "access_admin");
    role(&mut client, "access_other");
    run(&mut client, "CREATE TABLE notes (id int PRIMARY KEY, body text); ALTER TABLE notes OWNER TO access_other;
                      SELECT spamcheck.grant_access('access_admin', 'admin'); GRANT ALL ON notes TO access_admin");
    let mut admin = database.client_as("access_admin");
    for verb in ["protect", "unprotect"] {
        let error = refusal(&mut admin, &format!("SELECT spamcheck.{verb}('notes')"));
        assert_eq!(error.code().code(), "42501");
        assert_eq!(error.message(), format!("must be owner of table public.notes to {verb} it"));
        assert!(error.hint().unwrap().contains("access_other"), "{error:?}");
    }
    // A member of the owning role owns it too.
    run(&mut client, "GRANT access_other TO access_admin");
    run(&mut admin, PROTECT);
    drop(admin);
    forget(&mut client, &["access_admin", "access_other"]);
}

#[test]
fn a_superuser_protects_anybodys_table() {
    let (database, mut client) = start();
    role(&mut client, "access_owned");
    let mut owner = database.client_as("access_owned");
    run(&mut owner, "CREATE TABLE notes (id int PRIMARY KEY, body text)");
    run(&mut client, PROTECT);
    run(&mut owner, "INSERT INTO notes VALUES (1, 'casino')");
    assert_eq!(text(&mut client, "SELECT outcome FROM spamcheck.recent"), "suppressed");
    drop(owner);
    forget(&mut client, &["access_owned"]);
}

#[test]
fn the_owner_renames_and_drops_without_any_access() {
    let (database, mut client) = start();
    role(&mut client, "access_renamer");
    let mut owner = database.client_as("access_renamer");
    run(&mut owner, "CREATE TABLE notes (id int PRIMARY KEY, body text)");
    run(&mut client, PROTECT);
    run(
        &mut owner,
        "ALTER TABLE notes RENAME body TO contents; ALTER TABLE notes RENAME TO remarks;
                     INSERT INTO remarks VALUES (1, 'casino')",
    );
    assert_eq!(
        text(&mut client, "SELECT relation || ' ' || outcome FROM spamcheck.recent"),
        "public.remarks suppressed"
    );
    run(
        &mut owner,
        "CREATE TABLE other (id int); ALTER TABLE other RENAME TO another; DROP TABLE another; DROP TABLE remarks",
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM spamcheck._protection"), "0");
    drop(owner);
    forget(&mut client, &["access_renamer"]);
}
