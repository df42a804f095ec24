//! With whose rights a verdict is written: those of the table's owner, in a security-restricted
//! operation, whatever the owner has hung on the table. The worker itself is a superuser, so each test
//! also tries to become one through it.

use crate::site::{Site, World};

/// A site whose table belongs to a role without rights beyond it. `attempts` has what was tried in the
/// worker and how it ended, written by [`PROOF`].
fn mallorys_site(options: &str) -> (Site<'static>, String) {
    let mut site = World::shared().bare_site(options);
    let mallory = format!("mallory_{}", site.database.name());
    site.run(&format!(
        "CREATE ROLE {mallory} LOGIN;
         GRANT CREATE ON DATABASE {} TO {mallory};
         CREATE SCHEMA app AUTHORIZATION {mallory};
         GRANT USAGE ON SCHEMA spamcheck TO {mallory};
         SET ROLE {mallory};
         SET search_path = app;
         CREATE TABLE app.comments (id serial PRIMARY KEY, body text, likes integer DEFAULT 0,
             status text CHECK (status IN ('approved', 'pending', 'spam')));
         CREATE TABLE app.attempts (what text, who text, super boolean, outcome text, pid integer);
         {PROOF}
         RESET ROLE",
        site.database.name(),
    ));
    site.run("SELECT spamcheck.protect('app.comments')");
    (site, mallory)
}

/// `proof(where)` notes who it runs as and tries to get more.
const PROOF: &str = r#"
    CREATE FUNCTION app.proof(place text) RETURNS integer LANGUAGE plpgsql AS $$
    DECLARE
        attempt text;
        outcome text;
    BEGIN
        IF current_setting('application_name') = 'owner' THEN RETURN 0; END IF;
        FOREACH attempt IN ARRAY ARRAY[
            'SELECT 1',
            'SET ROLE postgres', 'RESET ROLE', 'SET ROLE NONE',
            'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
            'SET SESSION AUTHORIZATION DEFAULT',
            'ALTER ROLE ' || quote_ident(session_user) || ' NOLOGIN',
            'ALTER ROLE ' || quote_ident(current_user) || ' SUPERUSER',
            'COPY (SELECT 1) TO PROGRAM ''true''',
            'SELECT pg_read_file(''postgresql.conf'')',
            'SELECT pg_reload_conf()',
            'UPDATE spamcheck.policy SET mode = ''off''',
            'DELETE FROM spamcheck.lookup',
            'SELECT * FROM spamcheck.spam_checklog',
            'CREATE TEMP TABLE pg_temp.lookup (id integer)',
            'DECLARE c CURSOR WITH HOLD FOR SELECT 1'
        ] LOOP
            BEGIN
                EXECUTE attempt;
                outcome := 'worked';
            EXCEPTION WHEN OTHERS THEN
                outcome := SQLERRM;
            END;
            INSERT INTO app.attempts VALUES (place || ': ' || attempt, current_user,
                current_setting('is_superuser')::boolean, outcome, pg_backend_pid());
        END LOOP;
        RETURN 1;
    END $$;
    CREATE FUNCTION app.proof_trigger() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM app.proof(TG_NAME); RETURN NEW; END $$;
"#;

/// What was tried in the worker, after a spam verdict on one row of the owner.
#[track_caller]
fn verdict_is_harmless(site: &mut Site<'_>, mallory: &str, places: &[&str]) {
    let database = site.database.name().to_string();
    let mut owner = site.database.client_as(mallory);
    owner.batch_execute("SET application_name = 'owner'; SET search_path = app").expect("it can");
    let insert =
        "INSERT INTO comments (body, status) VALUES ('akismet-guaranteed-spam', 'approved')";
    owner.batch_execute(insert).expect("it is taken");
    site.until_all_answered();
    assert_eq!(site.get("SELECT status FROM app.comments"), "spam");
    let seen = site.get("SELECT string_agg(DISTINCT split_part(what, ':', 1), ' ' ORDER BY split_part(what, ':', 1)) FROM app.attempts");
    assert_eq!(seen, places.join(" "), "all of it ran");
    let worker = site.database.worker_pid().expect("it runs");
    let elsewhere = format!("SELECT count(*) FROM app.attempts WHERE pid <> {worker}");
    assert_eq!(site.get(&elsewhere), "0", "all of it ran in the worker");
    let wrong = format!(
        "SELECT string_agg(a::text, E'\\n') FROM
             (SELECT * FROM app.attempts WHERE who <> '{mallory}' OR super
                  OR outcome = 'worked' AND what NOT LIKE '%SELECT 1' LIMIT 3) a"
    );
    assert_eq!(site.get(&wrong), "-");
    let still = format!(
        "SELECT rolsuper FROM pg_roles WHERE rolname = '{mallory}'
         UNION ALL SELECT mode = 'off' FROM spamcheck.policy ORDER BY 1 DESC LIMIT 1"
    );
    assert_eq!(site.get(&still), "false");
    drop(owner);
    site.run(&format!("DROP OWNED BY {mallory}; DROP ROLE {mallory}"));
    assert_eq!(site.database.name(), database);
}

#[test]
fn the_owners_triggers_run_as_the_owner_and_gain_nothing() {
    let (mut site, mallory) = mallorys_site("{}");
    site.run(&format!(
        "SET ROLE {mallory};
         CREATE TRIGGER a_before BEFORE UPDATE ON app.comments FOR EACH ROW EXECUTE FUNCTION app.proof_trigger();
         CREATE TRIGGER b_after AFTER UPDATE ON app.comments FOR EACH ROW EXECUTE FUNCTION app.proof_trigger();
         CREATE TRIGGER c_statement AFTER UPDATE ON app.comments EXECUTE FUNCTION app.proof_trigger();
         RESET ROLE"
    ));
    verdict_is_harmless(&mut site, &mallory, &["a_before", "b_after", "c_statement"]);
}

#[test]
fn deferred_triggers_run_as_the_owner_and_gain_nothing() {
    let (mut site, mallory) = mallorys_site("{}");
    site.run(&format!(
        "SET ROLE {mallory};
         CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON app.comments DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION app.proof_trigger();
         RESET ROLE"
    ));
    verdict_is_harmless(&mut site, &mallory, &["deferred"]);
}

#[test]
fn constraints_expressions_and_policies_run_as_the_owner_and_gain_nothing() {
    let (mut site, mallory) = mallorys_site("{}");
    site.run(&format!(
        "SET ROLE {mallory};
         CREATE FUNCTION app.check_proof(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN PERFORM app.proof('check'); RETURN true; END $$;
         CREATE FUNCTION app.index_proof(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN PERFORM app.proof('index'); RETURN $1; END $$;
         CREATE FUNCTION app.generated_proof(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN PERFORM app.proof('generated'); RETURN $1; END $$;
         CREATE FUNCTION app.rls_proof() RETURNS boolean LANGUAGE plpgsql VOLATILE AS
             $$ BEGIN PERFORM app.proof('rls'); RETURN true; END $$;
         SET application_name = 'owner';
         ALTER TABLE app.comments ADD CONSTRAINT proved CHECK (app.check_proof(status));
         CREATE INDEX ON app.comments (app.index_proof(status));
         ALTER TABLE app.comments ADD COLUMN g text GENERATED ALWAYS AS (app.generated_proof(status)) STORED;
         ALTER TABLE app.comments ENABLE ROW LEVEL SECURITY;
         ALTER TABLE app.comments FORCE ROW LEVEL SECURITY;
         CREATE POLICY everybody ON app.comments USING (app.rls_proof()) WITH CHECK (app.rls_proof());
         RESET ROLE; RESET application_name"
    ));
    verdict_is_harmless(&mut site, &mallory, &["check", "generated", "index", "rls"]);
}

#[test]
fn functions_in_the_owners_schema_do_not_stand_in_for_the_servers() {
    let (mut site, mallory) = mallorys_site("{}");
    site.run(&format!(
        "SET ROLE {mallory};
         CREATE FUNCTION app.convert_from(bytea, name) RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN PERFORM app.proof('convert_from'); RETURN pg_catalog.convert_from($1, $2); END $$;
         CREATE FUNCTION app.now() RETURNS timestamptz LANGUAGE plpgsql AS
             $$ BEGIN PERFORM app.proof('now'); RETURN pg_catalog.now(); END $$;
         CREATE FUNCTION app.eq(integer, integer) RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN PERFORM app.proof('eq'); RETURN true; END $$;
         CREATE OPERATOR app.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = app.eq);
         CREATE TRIGGER honest AFTER UPDATE ON app.comments FOR EACH ROW EXECUTE FUNCTION app.proof_trigger();
         RESET ROLE"
    ));
    verdict_is_harmless(&mut site, &mallory, &["honest"]);
}

#[test]
fn what_a_trigger_sets_does_not_outlive_the_verdict() {
    let (mut site, mallory) = mallorys_site("{}");
    site.run(&format!(
        "SET ROLE {mallory};
         CREATE TABLE app.settings_seen (path text, timeout text, pid integer);
         CREATE FUNCTION app.leave_traces() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO app.settings_seen VALUES (current_setting('search_path'),
                 current_setting('statement_timeout'), pg_backend_pid());
             PERFORM set_config('search_path', 'app', false), set_config('statement_timeout', '1', false);
             RETURN NEW;
         END $$;
         CREATE TRIGGER traces BEFORE UPDATE ON app.comments FOR EACH ROW EXECUTE FUNCTION app.leave_traces();
         RESET ROLE"
    ));
    for _ in 0..2 {
        site.run("INSERT INTO app.comments (body, status) VALUES ('akismet-guaranteed-spam', 'approved')");
        site.until_all_answered();
    }
    assert_eq!(site.get("SELECT count(*) FROM app.comments WHERE status = 'spam'"), "2");
    let seen = "SELECT string_agg(DISTINCT timeout || ' ' || path, ';') FROM app.settings_seen";
    assert_eq!(site.get(seen), "0 pg_catalog, app, pg_temp");
    assert_eq!(site.get("SELECT count(DISTINCT pid) FROM app.settings_seen"), "1");
    site.run(&format!("DROP OWNED BY {mallory}; DROP ROLE {mallory}"));
}

#[test]
fn a_row_that_its_policies_hide_from_the_owner_is_not_forgotten() {
    let (mut site, mallory) = mallorys_site(r#"{"mode": "hold"}"#);
    site.run(&format!(
        "SET ROLE {mallory};
         CREATE TABLE app.visible (yes boolean);
         ALTER TABLE app.comments ENABLE ROW LEVEL SECURITY;
         ALTER TABLE app.comments FORCE ROW LEVEL SECURITY;
         CREATE POLICY tenants ON app.comments USING (EXISTS (SELECT FROM app.visible));
         RESET ROLE;
         INSERT INTO app.comments (body, status) VALUES ('akismet-guaranteed-spam', 'approved')"
    ));
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NOT NULL", "1");
    assert_eq!(site.get("SELECT status FROM app.comments"), "pending");
    site.run("INSERT INTO app.visible VALUES (true)");
    site.until_all_answered();
    assert_eq!(site.get("SELECT status FROM app.comments"), "spam");
    assert_eq!(site.requests().len(), 1, "nobody is asked twice");
    site.run(&format!("DROP OWNED BY {mallory}; DROP ROLE {mallory}"));
}
