//! With whose rights a function runs: never with more than the table's owner has, and never with more
//! than its own owner could use.

use crate::site::{Site, refused};
use crate::{define, newest};

/// A site with a table of `owner`'s and a function that says who it runs as.
struct Owned {
    site: Site,
    owner: String,
    maker: String,
}

fn owned() -> Owned {
    let mut site = crate::asking("RETURN NULL;");
    let (owner, maker) = (site.role("owner"), site.role("maker"));
    site.run(&format!(
        "ALTER TABLE comments OWNER TO {owner}; GRANT USAGE ON SCHEMA app TO {owner}, {maker};
         GRANT INSERT, SELECT ON comments TO {maker}; GRANT USAGE ON SEQUENCE comments_id_seq TO {maker}"
    ));
    define(
        &mut site,
        "RETURN jsonb_build_object('hit', true, 'why', current_user::text || ' ' || session_user);",
    );
    Owned { site, owner, maker }
}

impl Owned {
    /// Who the function runs as, when the superuser inserts; or why it does not.
    fn runs_as(&mut self) -> String {
        self.site.run("INSERT INTO comments (body) VALUES ('x')");
        let newest = newest(&mut self.site);
        newest.rsplit('|').next().unwrap_or_default().to_owned()
    }

    fn session(&mut self) -> String {
        self.site.ask("SELECT session_user")
    }
}

#[test]
fn a_superusers_function_has_the_rights_of_the_tables_owner() {
    let mut owned = owned();
    let session = owned.session();
    assert_eq!(owned.runs_as(), format!("{} {session}", owned.owner));
}

#[test]
fn whoever_inserts_lends_the_function_no_rights() {
    let mut owned = owned();
    owned.site.run("CREATE TABLE app.secret (x int)");
    define(&mut owned.site, "PERFORM * FROM app.secret; RETURN '{\"hit\": true}';");
    // The inserting superuser may read it, the owner may not.
    assert!(owned.runs_as().contains("permission denied for table secret"));
    owned.site.run(&format!("GRANT SELECT ON app.secret TO {}", owned.owner));
    assert_eq!(owned.runs_as(), "function app.judge says so");
    // Nor does one who may only insert need any.
    let mut inserter = owned.site.db.client_as(&owned.maker.clone());
    crate::site::run(&mut inserter, "INSERT INTO comments (body) VALUES ('y')");
    assert_eq!(newest(&mut owned.site), "score|moderated|5|function app.judge says so");
}

#[test]
fn a_lesser_roles_function_runs_with_its_own_rights_on_a_superusers_table() {
    let mut owned = owned();
    let (session, maker) = (owned.session(), owned.maker.clone());
    owned.site.run(&format!(
        "ALTER TABLE comments OWNER TO CURRENT_USER; ALTER FUNCTION app.judge OWNER TO {maker}"
    ));
    assert_eq!(owned.runs_as(), format!("{maker} {session}"));
    // So who may change settings cannot become superuser by a function of his own.
    define(&mut owned.site, &format!("ALTER ROLE {maker} SUPERUSER; RETURN NULL;"));
    let said = owned.runs_as();
    assert!(said.starts_with("function app.judge failed: "), "{said}");
    assert_eq!(
        owned.site.ask(&format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{maker}'")),
        "f"
    );
}

#[test]
fn roles_that_have_nothing_to_do_with_each_other_do_not_lend_rights() {
    let mut owned = owned();
    let (session, maker, owner) = (owned.session(), owned.maker.clone(), owned.owner.clone());
    owned.site.run(&format!("ALTER FUNCTION app.judge OWNER TO {maker}"));
    let said = owned.runs_as();
    assert!(said.contains("has nothing to do with that of public.comments"), "{said}");
    owned.site.run(&format!("GRANT {maker} TO {owner}"));
    assert_eq!(owned.runs_as(), format!("{maker} {session}"));
}

#[test]
fn the_tables_owner_must_be_allowed_to_call_it() {
    let mut owned = owned();
    let owner = owned.owner.clone();
    owned.site.run("REVOKE EXECUTE ON FUNCTION app.judge FROM PUBLIC");
    assert_eq!(owned.runs_as(), "the owner of public.comments may not call function app.judge");
    owned.site.run(&format!("GRANT EXECUTE ON FUNCTION app.judge TO {owner}"));
    assert!(owned.runs_as().starts_with(&owner));
    owned.site.run(&format!("REVOKE USAGE ON SCHEMA app FROM {owner}"));
    assert_eq!(owned.runs_as(), "the owner of public.comments may not call function app.judge");
}

#[test]
fn a_security_definer_function_runs_as_its_owner() {
    let mut owned = owned();
    let (session, maker) = (owned.session(), owned.maker.clone());
    owned.site.run(&format!(
        "ALTER FUNCTION app.judge OWNER TO {maker}; ALTER FUNCTION app.judge SECURITY DEFINER"
    ));
    assert_eq!(owned.runs_as(), format!("{maker} {session}"));
}

#[test]
fn the_function_cannot_change_who_the_session_is() {
    let mut owned = owned();
    define(&mut owned.site, "SET ROLE NONE; RETURN NULL;");
    let said = owned.runs_as();
    assert!(said.contains("cannot set parameter \"role\""), "{said}");
    // Settings that it changes end with it.
    define(&mut owned.site, "PERFORM set_config('search_path', 'app', false); RETURN NULL;");
    owned.site.run("INSERT INTO comments (body) VALUES ('x')");
    assert_eq!(owned.site.ask("SHOW search_path"), "\"$user\", public");
}

#[test]
fn a_hostile_search_path_of_the_session_is_not_the_functions() {
    let mut owned = owned();
    owned.site.run(
        "CREATE SCHEMA evil; CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql AS $$ SELECT 'EVIL' $$;
         SET search_path = evil, public, pg_catalog",
    );
    define(&mut owned.site, "RETURN jsonb_build_object('hit', true, 'why', upper('good'));");
    assert_eq!(owned.runs_as(), "GOOD");
    let error = refused(&mut owned.site.client, "SELECT upper(1)");
    assert_eq!(error.code().code(), "42883");
}
