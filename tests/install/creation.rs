//! CREATE EXTENSION: what must be in place, what comes into being, and who cannot interfere.

use support::cluster::{Cluster, ClusterOptions, Database};

use crate::get;

#[test]
fn without_preload_it_is_refused_and_the_hint_has_the_line_to_add() {
    let cluster = Cluster::start(ClusterOptions::plain());
    let database = cluster.empty_database();
    for setup in ["SELECT 1", "LOAD 'pg_spamcheck'", "SET local_preload_libraries = ''"] {
        let mut client = database.client();
        // Loading it in the session is not enough, and does no harm.
        let _ = client.batch_execute(setup);
        let error = client.batch_execute("CREATE EXTENSION pg_spamcheck").expect_err(setup);
        let error = error.as_db_error().expect("the server refuses it");
        assert!(error.message().contains("shared_preload_libraries"), "{error:?}");
        let hint = error.hint().expect("there is a hint");
        assert!(hint.contains("shared_preload_libraries = 'pg_spamcheck'"), "{hint}");
        assert!(hint.contains("postgresql.conf") && hint.contains("restart"), "{hint}");
        assert_eq!(
            get(&mut client, "SELECT count(*) FROM pg_namespace WHERE nspname = 'spamcheck'"),
            "0"
        );
        let settings = "SELECT count(*) FROM pg_settings WHERE name LIKE 'pg_spamcheck.%'";
        assert_eq!(get(&mut client, settings), "0");
    }
    // A session that preloads it for itself has no worker either.
    let mut client = database.client_with("postgres", "-c session_preload_libraries=pg_spamcheck");
    assert!(client.batch_execute("CREATE EXTENSION pg_spamcheck").is_err());
}

#[test]
fn it_is_preloaded_beside_other_libraries_in_any_order() {
    for preload in ["pg_stat_statements, pg_spamcheck", "pg_spamcheck,pg_stat_statements"] {
        let options = ClusterOptions { preload: preload.into(), ..ClusterOptions::default() };
        let cluster = Cluster::start(options);
        let database = cluster.database();
        assert_eq!(
            database.psql("SELECT state FROM spamcheck.health() WHERE item = 'preload'"),
            "ok"
        );
    }
}

#[test]
fn its_control_file_says_what_was_promised() {
    let database = Cluster::shared().database();
    let facts = "SELECT (schema, relocatable, superuser, trusted, requires IS NULL)::text
                   FROM pg_available_extension_versions WHERE name = 'pg_spamcheck' AND installed";
    assert_eq!(database.psql(facts), "(spamcheck,f,t,f,t)");
    let comment =
        "SELECT length(comment) > 20 FROM pg_available_extensions WHERE name = 'pg_spamcheck'";
    assert_eq!(database.psql(comment), "t");
    let mut client = database.client();
    for statement in [
        "ALTER EXTENSION pg_spamcheck SET SCHEMA public",
        "DROP EXTENSION pg_spamcheck; CREATE EXTENSION pg_spamcheck SCHEMA public",
        "DROP TABLE spamcheck.policy CASCADE",
        "DROP SCHEMA spamcheck",
    ] {
        assert!(client.batch_execute(statement).is_err(), "{statement}");
    }
}

/// Every object of the extension, as `class`, `object`, `description`.
const MEMBERS: &str = "
    SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name,
           obj_description(d.objid, d.classid::regclass::name) AS comment
      FROM pg_depend d
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_spamcheck')";

#[test]
fn every_object_has_a_comment_and_lives_in_the_schema() {
    let database = Cluster::shared().database();
    let count = database.psql(&format!("SELECT count(*) > 30 FROM ({MEMBERS}) m"));
    assert_eq!(count, "t", "the query finds them");
    let bare = format!(
        "SELECT string_agg(name, ', ') FROM ({MEMBERS}) m WHERE coalesce(comment, '') = ''"
    );
    assert_eq!(database.psql(&bare), "");
    // What belongs to the members: indexes, triggers, constraints with names of their own, columns.
    let parts = "
        SELECT string_agg(name, ', ') FROM (
            SELECT 'trigger ' || tgname AS name FROM pg_trigger
             WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'spamcheck'::regnamespace)
               AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NULL
            UNION ALL
            SELECT format('column %s.%s', attrelid::regclass, attname) FROM pg_attribute
              JOIN pg_class c ON c.oid = attrelid
             WHERE c.relnamespace = 'spamcheck'::regnamespace AND c.relkind = 'r' AND attnum > 0
               AND c.relname IN ('policy', 'check_setting', 'list', 'list_entry', 'spam_checklog', 'lookup')
               AND attname NOT IN ('id') AND col_description(attrelid, attnum) IS NULL
            UNION ALL
            SELECT 'schema' WHERE obj_description('spamcheck'::regnamespace, 'pg_namespace') IS NULL) x";
    assert_eq!(database.psql(parts), "");
    let elsewhere = format!(
        "SELECT string_agg(name, ', ') FROM ({MEMBERS}) m
          WHERE CASE classid WHEN 'pg_class'::regclass THEN (SELECT relnamespace FROM pg_class WHERE oid = objid)
                             WHEN 'pg_proc'::regclass THEN (SELECT pronamespace FROM pg_proc WHERE oid = objid)
                             WHEN 'pg_event_trigger'::regclass THEN 'spamcheck'::regnamespace::oid
                             ELSE 0 END <> 'spamcheck'::regnamespace"
    );
    assert_eq!(database.psql(&elsewhere), "");
}

#[test]
fn what_is_internal_begins_with_an_underscore_and_nothing_is_publics_but_what_triggers_need() {
    let database = Cluster::shared().database();
    let misnamed = format!(
        "SELECT string_agg(name, ', ') FROM ({MEMBERS}) m
          WHERE (comment LIKE 'Internal:%') AND name !~ 'spamcheck\\._' AND name !~ 'function _'"
    );
    assert_eq!(database.psql(&misnamed), "");
    let public_functions = "
        SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.pronamespace = 'spamcheck'::regnamespace AND a.grantee = 0";
    assert_eq!(database.psql(public_functions), "_judged");
    let public_relations = "
        SELECT string_agg(c.relname, ' ') FROM pg_class c, aclexplode(c.relacl) a
         WHERE c.relnamespace = 'spamcheck'::regnamespace AND a.grantee = 0";
    assert_eq!(database.psql(public_relations), "");
    let schema = "SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a
                   WHERE n.nspname = 'spamcheck' AND a.grantee = 0 AND a.privilege_type = 'CREATE'";
    assert_eq!(database.psql(schema), "0");
}

#[test]
fn only_a_superuser_can_create_it() {
    let database = Cluster::shared().empty_database();
    let name = database.name();
    let owner = format!("owner_of_{name}");
    database.psql(&format!(
        "CREATE ROLE {owner} LOGIN CREATEROLE CREATEDB; ALTER DATABASE {name} OWNER TO {owner}"
    ));
    let mut client = database.client_as(&owner);
    let error = client.batch_execute("CREATE EXTENSION pg_spamcheck").expect_err("it may not");
    assert!(format!("{error:?}").contains("permission denied"), "{error:?}");
    drop(client);
    database.psql(&format!("ALTER DATABASE {name} OWNER TO postgres; DROP ROLE {owner}"));
}

/// A database in which a role that may create schemas has been before the DBA.
fn visited(preparation: &str) -> (Database<'static>, String) {
    let database = Cluster::shared().empty_database();
    let mallory = format!("mallory_{}", database.name());
    database.psql(&format!(
        "CREATE ROLE {mallory} LOGIN; GRANT CREATE ON DATABASE {} TO {mallory}",
        database.name()
    ));
    let mut client = database.client_as(&mallory);
    client.batch_execute(preparation).unwrap_or_else(|error| panic!("{preparation}: {error:?}"));
    (database, mallory)
}

#[test]
fn objects_that_are_there_already_make_it_fail_and_are_left_alone() {
    for object in [
        "TABLE spamcheck.policy (name text)",
        "TABLE spamcheck.lookup ()",
        "VIEW spamcheck.recent AS SELECT 1",
        "SEQUENCE spamcheck.lookup_id_seq",
        "TYPE spamcheck.spam_checklog AS ENUM ('x')",
        "FUNCTION spamcheck._require_preload() RETURNS void LANGUAGE sql AS ''",
        "FUNCTION spamcheck.health() RETURNS TABLE (item text, state text, message text, hint text) LANGUAGE sql AS $$ SELECT '', '', '', '' $$",
        "FUNCTION spamcheck.create_policy(name text, preset text) RETURNS void LANGUAGE sql AS ''",
        "FUNCTION spamcheck.protect(text) RETURNS void LANGUAGE sql AS ''",
        "FUNCTION spamcheck.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    ] {
        let (database, mallory) = visited(&format!("CREATE SCHEMA spamcheck; CREATE {object}"));
        let objects = "SELECT count(*) FROM (SELECT oid FROM pg_class WHERE relnamespace = 'spamcheck'::regnamespace
                       UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = 'spamcheck'::regnamespace) x";
        let before = database.psql(objects);
        let mut client = database.client();
        let created = client.batch_execute("CREATE EXTENSION pg_spamcheck");
        assert!(created.is_err(), "it was created around {object}");
        assert_eq!(database.psql(objects), before, "{object}");
        assert_eq!(
            database.psql("SELECT count(*) FROM pg_extension WHERE extname = 'pg_spamcheck'"),
            "0"
        );
        assert_eq!(database.psql("SELECT count(*) FROM pg_event_trigger"), "0");
        // Once it is out of the way, all is well.
        client
            .batch_execute("DROP SCHEMA spamcheck CASCADE; CREATE EXTENSION pg_spamcheck")
            .expect("it can");
        drop(client);
        database.psql(&format!("DROP OWNED BY {mallory}; DROP ROLE {mallory}"));
    }
}

/// DROP EXTENSION leaves the schema, and what mentions it.
#[test]
fn what_mentions_the_schema_from_elsewhere_is_no_obstacle_and_stays() {
    let database = Cluster::shared().database();
    let analysts = format!("analysts_of_{}", database.name());
    let mut client = database.client();
    client
        .batch_execute(&format!(
            "CREATE VIEW public.own_tables AS SELECT relname FROM pg_class WHERE relnamespace = 'spamcheck'::regnamespace;
             CREATE TABLE public.notes (id int PRIMARY KEY, place regnamespace DEFAULT 'spamcheck'::regnamespace);
             CREATE FUNCTION public.place() RETURNS oid BEGIN ATOMIC; SELECT 'spamcheck'::regnamespace::oid; END;
             CREATE ROLE {analysts}; ALTER DEFAULT PRIVILEGES IN SCHEMA spamcheck GRANT SELECT ON TABLES TO {analysts};
             CREATE PUBLICATION all_of_it FOR TABLES IN SCHEMA spamcheck;
             DROP EXTENSION pg_spamcheck"
        ))
        .expect("the schema stays");
    client.batch_execute("CREATE EXTENSION pg_spamcheck").expect("nothing is in the schema");
    let seen = "SELECT count(*) FROM public.own_tables WHERE relname = 'policy'";
    assert_eq!(get(&mut client, seen), "1");
    // One that is in the schema is named, and the advice takes nothing of the others away.
    client
        .batch_execute("DROP EXTENSION pg_spamcheck; CREATE TABLE spamcheck.mine ()")
        .expect("the schema is free");
    let error = client.batch_execute("CREATE EXTENSION pg_spamcheck").expect_err("it is taken");
    let error = error.as_db_error().expect("the server refuses it");
    assert!(error.message().contains("already holds table mine"), "{error:?}");
    assert!(!error.hint().is_some_and(|hint| hint.contains("CASCADE")), "{error:?}");
    client
        .batch_execute(&format!(
            "ALTER SCHEMA spamcheck RENAME TO former; CREATE EXTENSION pg_spamcheck; DROP OWNED BY {analysts}; DROP ROLE {analysts}"
        ))
        .expect("as the hint says");
}

#[test]
fn a_schema_that_belongs_to_somebody_else_is_not_moved_into() {
    let (database, mallory) = visited("CREATE SCHEMA spamcheck");
    let created = database.client().batch_execute("CREATE EXTENSION pg_spamcheck");
    let error = created.expect_err("its owner could add to it later what a DBA then calls");
    let error = error.as_db_error().expect("the server refuses it");
    assert!(error.hint().is_some(), "{error:?}");
    database.psql(&format!("DROP OWNED BY {mallory}; DROP ROLE {mallory}"));
}

/// Everything that a careless script would take for the server's own.
const SHADOWS: &str = "
    CREATE TABLE evil.ran (what text);
    CREATE FUNCTION evil.ran(what text) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO evil.ran VALUES (what); RETURN false; END $$;
    CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT evil.ran('=') $$;
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
    CREATE FUNCTION evil.eq(name, name) RETURNS boolean LANGUAGE sql AS $$ SELECT evil.ran('name =') $$;
    CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.eq);
    CREATE FUNCTION evil.eq(integer, integer) RETURNS boolean LANGUAGE sql AS $$ SELECT evil.ran('integer =') $$;
    CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.eq);
    CREATE FUNCTION evil.cat(text, text) RETURNS text LANGUAGE sql AS $$ SELECT evil.ran('||')::text $$;
    CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.cat);
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT evil.ran('now'); SELECT pg_catalog.now() $$;
    CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT evil.ran('clock_timestamp'); SELECT pg_catalog.now() $$;
    CREATE FUNCTION evil.nextval(regclass) RETURNS bigint LANGUAGE sql AS $$ SELECT evil.ran('nextval'); SELECT 1::bigint $$;
    CREATE FUNCTION evil.convert_from(bytea, name) RETURNS text LANGUAGE sql AS $$ SELECT evil.ran('convert_from')::text $$;
    CREATE FUNCTION evil.convert_to(text, name) RETURNS bytea LANGUAGE sql AS $$ SELECT evil.ran('convert_to'); SELECT ''::bytea $$;
    CREATE FUNCTION evil.jsonb_to_recordset(jsonb) RETURNS SETOF record LANGUAGE sql AS $$ SELECT evil.ran('jsonb_to_recordset') $$;
    CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT evil.ran('lower')::text $$;
    CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT evil.ran('format')::text $$;
    CREATE DOMAIN evil.jsonb AS pg_catalog.text CHECK (evil.ran('jsonb'));
    CREATE DOMAIN evil.regclass AS pg_catalog.text CHECK (evil.ran('regclass'));
    CREATE TABLE evil.pg_class (oid oid, relname name);
    CREATE TABLE evil.policy (name text);
    CREATE TABLE evil.spam_checklog (id bigint)";

#[test]
fn a_hostile_search_path_runs_nothing_of_its_own() {
    let database = Cluster::shared().empty_database();
    let mut client = database.client();
    client.batch_execute("CREATE SCHEMA evil").expect("it is new");
    client.batch_execute(SHADOWS).expect("they are new");
    client
        .batch_execute(
            "CREATE TEMP TABLE policy (name text); CREATE TEMP TABLE pg_proc (x integer);
             CREATE TEMP TABLE lookup (id bigint); CREATE TEMP TABLE _protection (id integer);
             SET search_path = evil, pg_temp, pg_catalog, public",
        )
        .expect("they are new");
    client.batch_execute("CREATE EXTENSION pg_spamcheck").expect("it is installed all the same");
    client
        .batch_execute(
            "CREATE TABLE public.comments (id serial PRIMARY KEY, body pg_catalog.text, status pg_catalog.text
                 CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['approved', 'pending', 'spam'])));
             SELECT spamcheck.protect('public.comments'::pg_catalog.regclass);
             UPDATE spamcheck.check_setting SET options = '{\"over\": 0}' WHERE check_name OPERATOR(pg_catalog.=) 'links';
             INSERT INTO public.comments (body, status) VALUES ('https://one.example/', 'approved')",
        )
        .expect("it works");
    for read in ["recent", "checks", "protected_table", "stat_worker", "health()"] {
        client.batch_execute(&format!("SELECT * FROM spamcheck.{read}")).expect(read);
    }
    assert_eq!(database.psql("SELECT string_agg(DISTINCT what, ' ') FROM evil.ran"), "");
    assert_eq!(database.psql("SELECT status FROM public.comments"), "pending");
    assert_eq!(database.psql("SELECT count(*) FROM spamcheck.spam_checklog"), "1");
    let elsewhere = "SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_spamcheck'
                      WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass
                        AND (SELECT relnamespace FROM pg_class WHERE oid = d.objid) <> 'spamcheck'::regnamespace";
    assert_eq!(database.psql(elsewhere), "0");
}
