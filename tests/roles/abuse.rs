//! What roles without rights try: reading rules and log, forging entries, switching protection off.

use postgres::error::SqlState;

use crate::denied;
use crate::site::{Site, ask, refused, run};

/// An app's role, which may insert comments and read them.
fn app(site: &mut Site) -> postgres::Client {
    let role = site.role("app");
    site.run(&format!(
        "GRANT INSERT, SELECT, UPDATE ON comments TO {role}; GRANT USAGE ON \
        SEQUENCE comments_id_seq TO {role}"
    ));
    site.db.client_as(&role)
}

/// A role that may make objects in the schema public.
fn mallory(site: &mut Site) -> postgres::Client {
    let role = site.role("mallory");
    site.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {role}; GRANT INSERT, SELECT ON comments \
        TO {role}; GRANT USAGE ON SEQUENCE comments_id_seq TO {role}"
    ));
    site.db.client_as(&role)
}

#[test]
fn an_app_role_reads_and_writes_nothing_of_the_extension() {
    let mut site = Site::new();
    let mut client = app(&mut site);
    run(&mut client, "INSERT INTO comments (body) VALUES ('casino')");
    let relations = site.ask(
        "SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = \
        'spamcheck'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1",
    );
    assert!(relations.lines().count() > 8, "{relations}");
    for relation in relations.lines() {
        denied(&mut client, &format!("SELECT * FROM {relation}"));
        denied(&mut client, &format!("DELETE FROM {relation}"));
        denied(&mut client, &format!("TRUNCATE {relation}"));
        denied(&mut client, &format!("COPY {relation} TO stdout"));
    }
    assert_eq!(site.log(), "1 content");
}

#[test]
fn nothing_is_granted_to_everybody_but_what_a_trigger_needs() {
    let mut site = Site::new();
    let functions = "SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = \
        'spamcheck'::regnamespace
                       AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', \
                       p.proowner))) a WHERE a.grantee = 0)";
    assert_eq!(site.ask(functions), "spamcheck._judged(integer,oid,tid)");
    let relations =
        "SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'spamcheck'::regnamespace
                       AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)";
    assert_eq!(site.ask(relations), "");
    let schema = "SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = \
        'spamcheck' AND a.grantee = 0";
    assert_eq!(site.ask(schema), "0");
    let types =
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'spamcheck'::regnamespace AND prosecdef";
    assert_eq!(
        site.ask(types),
        "0",
        "no function runs with its owner's rights just by being called"
    );
}

#[test]
fn no_function_can_be_called_by_an_app_role() {
    let mut site = Site::new();
    let mut client = app(&mut site);
    for call in [
        "SELECT spamcheck.protect('comments')",
        "SELECT spamcheck.unprotect('comments')",
        "SELECT spamcheck.create_policy('x')",
        "SELECT spamcheck.drop_policy('default')",
        "SELECT spamcheck.retry_lookups()",
        "SELECT spamcheck.grant_access(current_user::regrole, 'admin')",
        "SELECT spamcheck.revoke_access(current_user::regrole)",
        "SELECT * FROM spamcheck.health()",
        "SELECT spamcheck.not_spam(1)",
        "SELECT spamcheck.report_spam('comments', '1')",
        "SELECT spamcheck.approve('comments', '1')",
        "SELECT spamcheck.delete_spam(1)",
        "SELECT spamcheck.block_from_log(1, 'ip')",
        "SELECT spamcheck.resubscribe('ann@mail.example')",
        "SELECT spamcheck.subscriber_status('ann@mail.example')",
        "SELECT * FROM spamcheck.explain('comments', '{}')",
        "SELECT spamcheck._catalogue()",
        "SELECT spamcheck._worker_state()",
        "SELECT spamcheck._call_worker()",
        "SELECT spamcheck._require_preload()",
        "SELECT spamcheck._judged(1, 'comments'::regclass, '(0,1)')",
        "SELECT spamcheck._guard()",
        "SELECT spamcheck._record()",
        "SELECT spamcheck._valid()",
        "SELECT spamcheck._changed()",
    ] {
        denied(&mut client, call);
    }
}

#[test]
fn trigger_functions_called_as_functions_fail_without_harm() {
    let mut site = Site::new();
    for function in ["_guard", "_record", "_valid", "_changed"] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.{function}()"));
        let expected =
            [SqlState::E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, SqlState::FEATURE_NOT_SUPPORTED];
        assert!(expected.contains(error.code()), "{function}: {error:?}");
    }
    for function in ["_renamed", "_dropped"] {
        refused(&mut site.client, &format!("SELECT spamcheck.{function}()"));
    }
    for judged in [
        "NULL, NULL, NULL",
        "1, 0, '(0,0)'",
        "-1, 'comments'::regclass, '(4294967295,65535)'",
        "2147483647, 1, '(1,1)'",
    ] {
        assert_ne!(site.ask(&format!("SELECT spamcheck._judged({judged})")), "t");
    }
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.log(), "1 content");
}

#[test]
fn our_trigger_functions_on_another_table_are_refused_and_log_nothing() {
    let mut site = Site::new();
    let mut client = mallory(&mut site);
    run(&mut client, "CREATE TABLE forged (id integer PRIMARY KEY, body text)");
    for function in ["_guard", "_record", "_valid", "_changed"] {
        denied(
            &mut client,
            &format!(
                "CREATE TRIGGER zzzz_spamcheck_guard BEFORE INSERT ON forged FOR EACH ROW EXECUTE \
                    FUNCTION spamcheck.{function}('1')"
            ),
        );
    }
    // Somebody who may gets errors from triggers of the wrong kind…
    let id = site.ask("SELECT id FROM spamcheck._protection");
    for trigger in [
        format!(
            "BEFORE INSERT ON forged FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._guard('{id}')"
        ),
        format!("AFTER INSERT ON forged FOR EACH ROW EXECUTE FUNCTION spamcheck._guard('{id}')"),
        format!(
            "AFTER INSERT ON forged FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._record('{id}')"
        ),
    ] {
        site.run(&format!("CREATE TRIGGER t {trigger}"));
        let error = refused(&mut site.client, "INSERT INTO forged VALUES (1, 'casino')");
        assert!(error.hint().is_some(), "{trigger}: {error:?}");
        site.run("DROP TRIGGER t ON forged");
    }
    // …and no judging, and no line in the log, from those of the right kind.
    for argument in [format!("'{id}'"), String::new(), "'7000'".into()] {
        site.run(&format!(
            "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON forged FOR EACH ROW EXECUTE FUNCTION \
                spamcheck._guard({argument});
             CREATE TRIGGER u AFTER INSERT OR UPDATE ON forged FOR EACH ROW WHEN \
             (spamcheck._judged({id}, NEW.tableoid, NEW.ctid))
                 EXECUTE FUNCTION spamcheck._record({argument});
             CREATE TRIGGER v BEFORE INSERT OR UPDATE ON forged FOR EACH ROW EXECUTE FUNCTION \
             spamcheck._record({argument})"
        ));
        let _ = site.client.batch_execute(
            "INSERT INTO forged VALUES (1, 'casino'); UPDATE forged SET body = 'more casino'",
        );
        site.run(
            "DROP TRIGGER t ON forged; DROP TRIGGER u ON forged; DROP TRIGGER v ON forged; \
            DELETE FROM forged",
        );
        assert_eq!(site.log(), "", "{argument}");
    }
    site.run("INSERT INTO comments (body) VALUES ('casino')");
    assert_eq!(site.log(), "1 content");
}

#[test]
fn a_trigger_of_our_name_elsewhere_neither_hides_nor_takes_a_protection() {
    let mut site = Site::new();
    let id = site.ask("SELECT id FROM spamcheck._protection");
    let mut client = mallory(&mut site);
    run(
        &mut client,
        "CREATE TABLE decoy (id serial PRIMARY KEY, author text, email text, ip inet, body text, \
            status text);
         CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    );
    for argument in [id.as_str(), "boom", "", "99999999999999999999", "1; DROP TABLE comments"] {
        for name in ["zzzz_spamcheck_guard", "zzzz_spamcheck_record"] {
            run(
                &mut client,
                &format!(
                    "CREATE TRIGGER {name} BEFORE INSERT ON decoy FOR EACH ROW EXECUTE FUNCTION \
                        own('{argument}')"
                ),
            );
        }
        let mut fresh = site.db.client();
        assert_eq!(
            ask(&mut fresh, "SELECT relation FROM spamcheck.protected_table"),
            "comments",
            "{argument}"
        );
        assert_eq!(
            ask(&mut fresh, "INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
            "spam",
            "{argument}"
        );
        assert_eq!(
            ask(&mut fresh, "SELECT relation FROM spamcheck.recent LIMIT 1"),
            "public.comments",
            "{argument}"
        );
        assert!(
            !ask(&mut fresh, "SELECT message FROM spamcheck.health() WHERE item = 'tables'")
                .contains('2')
        );
        run(
            &mut client,
            "DROP TRIGGER zzzz_spamcheck_guard ON decoy; DROP TRIGGER zzzz_spamcheck_record ON \
                decoy",
        );
    }
    run(
        &mut client,
        &format!(
            "CREATE TRIGGER zzzz_spamcheck_guard BEFORE INSERT ON decoy FOR EACH ROW EXECUTE \
                FUNCTION own('{id}')"
        ),
    );
    run(&mut client, "DROP TABLE decoy");
    assert_eq!(
        site.ask("SELECT count(*) FROM spamcheck.protected_table"),
        "1",
        "dropping the decoy drops nothing else"
    );
    assert_eq!(site.ask("INSERT INTO comments (body) VALUES ('casino') RETURNING status"), "spam");
}

#[test]
fn temporary_objects_of_our_names_are_ignored() {
    let mut site = Site::new();
    let mut client = app(&mut site);
    run(
        &mut client,
        "CREATE TEMP TABLE policy (name text, mode text); CREATE TEMP TABLE check_setting (policy \
            text); CREATE TEMP TABLE list_entry (list text, value text);
         CREATE TEMP TABLE _protection (id integer); CREATE TEMP TABLE spam_checklog (id bigint); \
         CREATE TEMP TABLE comments (body text);
         CREATE FUNCTION pg_temp._judged(integer, oid, tid) RETURNS boolean LANGUAGE sql AS \
         'SELECT false';
         SET search_path = pg_temp, public",
    );
    assert_eq!(
        ask(&mut client, "INSERT INTO public.comments (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
    assert_eq!(site.log(), "1 content");
}

#[test]
fn hostile_functions_of_a_table_owner_do_not_run_as_anybody_else() {
    let mut site = Site::new();
    let owner = site.role("owner");
    site.run(&format!("GRANT CREATE ON SCHEMA public TO {owner}"));
    let mut client = site.db.client_as(&owner);
    // Everything that PostgreSQL runs for a row: the inserting role's rights, never ours.
    run(
        &mut client,
        "CREATE TABLE whoami (place text, who text);
         GRANT INSERT ON whoami TO PUBLIC;
         CREATE FUNCTION note(place text, result anyelement) RETURNS anyelement LANGUAGE plpgsql \
         AS $$
         BEGIN
             INSERT INTO public.whoami VALUES (place, current_user);
             RETURN result;
         END $$;
         CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM public.note('trigger', 1);
             RETURN NEW;
         END $$;
         CREATE TABLE mine (id serial PRIMARY KEY, body text, status text DEFAULT \
         public.note('default', 'approved'::text), CHECK (public.note('check', true)));
         CREATE TRIGGER a BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION noted();
         CREATE TRIGGER zzzzz AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION noted()",
    );
    site.run(r#"SELECT spamcheck.protect('mine', status => '{"column": "status", "spam": "spam", "moderate": "held"}')"#);
    run(&mut client, "INSERT INTO mine (body) VALUES ('casino')");
    assert_eq!(ask(&mut client, "SELECT status FROM mine"), "spam");
    assert_eq!(ask(&mut client, "SELECT DISTINCT who FROM whoami"), owner);
    assert_eq!(ask(&mut client, "SELECT count(DISTINCT place) FROM whoami"), "3");
}

#[test]
fn settings_that_weaken_the_checks_are_not_for_everybody() {
    let mut site = Site::new();
    let mut client = app(&mut site);
    let settings =
        site.ask("SELECT name FROM pg_settings WHERE name LIKE 'pg_spamcheck.%' ORDER BY 1");
    for name in settings.lines() {
        let setting = name.trim_start_matches("pg_spamcheck.");
        let free = ["ip", "user_agent", "referrer", "source", "captcha"].contains(&setting);
        let set = client.batch_execute(&format!("SET {name} = '1'"));
        assert_eq!(set.is_ok(), free, "{name}: {set:?}");
    }
    for unknown in ["pg_spamcheck.mode", "pg_spamcheck.anything"] {
        assert!(
            client.batch_execute(&format!("SET {unknown} = 'off'")).is_err(),
            "the prefix is reserved"
        );
    }
    // Where keys and mail servers are is not for everybody to know.
    for secret in ["secrets_file", "smtp_url", "http_proxy", "log_file"] {
        denied(&mut client, &format!("SHOW pg_spamcheck.{secret}"));
    }
}

#[test]
fn an_app_cannot_leave_the_checks_out_by_its_session() {
    let mut site = Site::new();
    let mut client = app(&mut site);
    denied(&mut client, "SET session_replication_role = replica");
    denied(&mut client, "ALTER TABLE comments DISABLE TRIGGER zzzz_spamcheck_guard");
    refused(&mut client, "ALTER TABLE comments DISABLE TRIGGER ALL");
    refused(&mut client, "DROP TRIGGER zzzz_spamcheck_guard ON comments");
    refused(&mut client, "ALTER EXTENSION pg_spamcheck DROP FUNCTION spamcheck._guard()");
    refused(&mut client, "DROP EXTENSION pg_spamcheck");
    denied(&mut client, "SET ROLE postgres");
    run(
        &mut client,
        "SET row_security = off; SET check_function_bodies = off; SET constraint_exclusion = on; \
            SET plan_cache_mode = force_generic_plan; SET jit = off",
    );
    assert_eq!(
        ask(&mut client, "INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
}
