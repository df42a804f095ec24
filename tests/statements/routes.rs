//! Ways to a protected table other than naming it: views, functions, roles with few rights, foreign
//! tables.

use serde_json::json;

use crate::site::{Site, ask, refused, run};

#[test]
fn inserts_through_updatable_views_are_judged() {
    let mut site = Site::new();
    site.run(
        "CREATE VIEW wall AS SELECT id AS number, body AS text, status FROM comments WHERE \
        views = 0 WITH CHECK OPTION",
    );
    site.run("CREATE VIEW narrow AS SELECT text FROM wall");
    assert_eq!(
        site.ask("INSERT INTO wall (text) VALUES ('casino'), ('nice') RETURNING number, status"),
        "1|spam\n2|approved"
    );
    site.run("INSERT INTO narrow VALUES ('casino'), ('nice')");
    site.run("UPDATE wall SET text = 'casino now' WHERE number = 2");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content\n2 content\n3 content");
}

#[test]
fn instead_of_triggers_and_functions_with_their_owners_rights_are_judged() {
    let mut site = Site::new();
    let app = site.role("app");
    site.run(&format!(
        "CREATE VIEW wall AS SELECT body || '' AS text FROM comments;
         CREATE FUNCTION post() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql SET search_path \
         = '' AS $$
         BEGIN
             INSERT INTO public.comments (body) VALUES (NEW.text);
             RETURN NEW;
         END $$;
         CREATE TRIGGER post INSTEAD OF INSERT ON wall FOR EACH ROW EXECUTE FUNCTION post();
         CREATE FUNCTION say(text) RETURNS text SECURITY DEFINER LANGUAGE sql
             BEGIN ATOMIC INSERT INTO comments (body) VALUES ($1) RETURNING status; END;
         GRANT INSERT, SELECT ON wall TO {app}"
    ));
    let mut client = site.db.client_as(&app);
    run(&mut client, "INSERT INTO wall VALUES ('casino'), ('nice')");
    assert_eq!(ask(&mut client, "SELECT say('casino too')"), "spam");
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content\n3 content");
}

#[test]
fn a_role_that_may_only_insert_needs_nothing_else() {
    let mut site = Site::new();
    let app = site.role("app");
    site.run(
        "ALTER TABLE comments ALTER id DROP DEFAULT; ALTER TABLE comments ALTER id ADD \
        GENERATED ALWAYS AS IDENTITY",
    );
    site.run(&format!("GRANT INSERT ON comments TO {app}"));
    let mut client = site.db.client_as(&app);
    run(&mut client, "INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    let mut writer = client.copy_in("COPY comments (body) FROM stdin").unwrap();
    std::io::Write::write_all(&mut writer, b"casino\n").unwrap();
    writer.finish().unwrap();
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content\n3 content");
    // RETURNING takes SELECT on the columns, as on any table.
    assert!(
        client.batch_execute("INSERT INTO comments (body) VALUES ('x') RETURNING status").is_err()
    );
    site.run(&format!("GRANT SELECT (id, status) ON comments TO {app}"));
    assert_eq!(
        ask(&mut client, "INSERT INTO comments (body) VALUES ('casino') RETURNING status"),
        "spam"
    );
    // Rights on columns are enough.
    site.run(&format!(
        "REVOKE INSERT ON comments FROM {app}; GRANT INSERT (body) ON comments TO {app}"
    ));
    run(&mut client, "INSERT INTO comments (body) VALUES ('casino by column')");
    site.log_agrees(&["comments"]);
}

#[test]
fn a_role_that_may_not_write_the_status_gets_it_written_all_the_same() {
    let mut site = Site::new();
    let app = site.role("app");
    site.run(&format!(
        "GRANT INSERT (body), UPDATE (body), SELECT (id) ON comments TO {app}; GRANT USAGE ON \
            SEQUENCE comments_id_seq TO {app}"
    ));
    let mut client = site.db.client_as(&app);
    run(&mut client, "INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    run(&mut client, "UPDATE comments SET body = 'casino' WHERE id = 2");
    assert_eq!(site.statuses(), "1 spam\n2 spam");
}

#[test]
fn a_role_that_may_not_make_temporary_objects_is_judged_without_any() {
    let mut site = Site::new();
    let app = site.role("app");
    let name = site.db.name().to_owned();
    site.run(&format!(
        "REVOKE TEMPORARY, CREATE ON DATABASE {name} FROM PUBLIC; REVOKE ALL ON SCHEMA public \
            FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {app};
         GRANT INSERT ON comments TO {app}; GRANT USAGE ON SEQUENCE comments_id_seq TO {app}"
    ));
    let mut client = site.db.client_as(&app);
    run(&mut client, "INSERT INTO comments (body) VALUES ('casino'), ('nice')");
    assert!(client.batch_execute("CREATE TEMP TABLE t (id integer)").is_err());
    assert_eq!(site.log(), "1 content");
    assert_eq!(site.ask("SELECT count(*) FROM pg_class WHERE relpersistence = 't'"), "0");
}

#[test]
fn row_level_security_sees_the_row_with_its_verdict() {
    let mut site = Site::new();
    let app = site.role("app");
    site.run(&format!(
        "ALTER TABLE comments ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON comments TO {app} USING (author = current_user) WITH CHECK (author \
         = current_user);
         GRANT INSERT, SELECT ON comments TO {app}; GRANT USAGE ON SEQUENCE comments_id_seq TO \
         {app}"
    ));
    let mut client = site.db.client_as(&app);
    assert_eq!(
        ask(
            &mut client,
            "INSERT INTO comments (author, body) VALUES (current_user, 'casino') RETURNING status"
        ),
        "spam"
    );
    assert!(
        client
            .batch_execute("INSERT INTO comments (author, body) VALUES ('somebody', 'casino')")
            .is_err()
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content");
}

/// Whether an extension of PostgreSQL's own collection is installed here.
fn available(site: &mut Site, extension: &str) -> bool {
    site.ask(&format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{extension}'"))
        == "1"
}

#[test]
fn rows_that_come_by_postgres_fdw_are_judged() {
    let mut site = Site::new();
    if !available(&mut site, "postgres_fdw") {
        eprintln!("postgres_fdw is not installed here: skipped");
        return;
    }
    let (cluster, name) = (site.db.cluster(), site.db.name().to_owned());
    let (host, port) = (cluster.socket_folder().display(), cluster.port());
    site.run(&format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
             OPTIONS (host '{host}', port '{port}', dbname '{name}', batch_size '10');
         CREATE USER MAPPING FOR CURRENT_USER SERVER far;
         CREATE FOREIGN TABLE far_comments (id integer, body text, status text) SERVER far \
         OPTIONS (table_name 'comments')"
    ));
    site.run(
        "INSERT INTO far_comments SELECT n, CASE WHEN n % 3 = 0 THEN 'casino' ELSE 'nice' \
        END, 'approved' FROM generate_series(1, 100) n",
    );
    site.run("UPDATE far_comments SET body = 'casino' WHERE id = 1");
    assert_eq!(
        site.ask("INSERT INTO far_comments VALUES (101, 'casino', 'approved') RETURNING status"),
        "spam"
    );
    site.log_agrees(&["comments"]);
    assert_eq!(site.ask("SELECT count(*) FROM spamcheck.spam_checklog"), "35");
    // What the far side refuses reaches the near one; the constraint's name does not travel, so the
    // detail says it once more.
    site.check("content", "action = 'reject'");
    let error =
        refused(&mut site.client, "INSERT INTO far_comments VALUES (102, 'casino', 'approved')");
    assert_eq!(error.code().code(), "23514");
    let detail: serde_json::Value = serde_json::from_str(error.detail().unwrap()).unwrap();
    assert_eq!(detail, json!({"code": "spamcheck_reject", "relation": "public.comments"}));
}

#[test]
fn partitions_on_another_server_are_judged_on_this_one() {
    let mut site = Site::bare();
    if !available(&mut site, "postgres_fdw") {
        eprintln!("postgres_fdw is not installed here: skipped");
        return;
    }
    let (cluster, name) = (site.db.cluster(), site.db.name().to_owned());
    let (host, port) = (cluster.socket_folder().display(), cluster.port());
    site.run(&format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
             OPTIONS (host '{host}', port '{port}', dbname '{name}', batch_size '10');
         CREATE USER MAPPING FOR CURRENT_USER SERVER far;
         CREATE TABLE stored_far (id integer, region text, ip inet, body text, status text);
         CREATE TABLE comments (id integer, region text, ip inet, body text, status text CHECK \
         (status IN ('approved', 'pending', 'spam')))
             PARTITION BY LIST (region);
         CREATE TABLE near PARTITION OF comments FOR VALUES IN ('near');
         CREATE FOREIGN TABLE far PARTITION OF comments FOR VALUES IN ('far') SERVER far OPTIONS \
         (table_name 'stored_far')"
    ));
    site.run(crate::site::RULES);
    site.run("SELECT spamcheck.protect('comments')");
    site.run(
        "INSERT INTO comments VALUES (1, 'near', NULL, 'casino 1', 'approved'), (2, 'far', NULL, \
            'casino 2', 'approved'),
             (3, 'far', NULL, 'nice', 'approved'), (4, 'far', '10.0.0.1', 'casino 4', \
             'approved'), (5, 'near', NULL, 'nice', 'approved')",
    );
    assert_eq!(site.statuses(), "1 spam\n2 spam\n3 approved\n4 spam\n5 approved");
    assert_eq!(
        site.ask("SELECT comment, check_name FROM spamcheck.spam_checklog ORDER BY 1, 2"),
        "casino 1|content\ncasino 2|content\ncasino 4|content\ncasino 4|ip_block"
    );
}

#[test]
fn rows_that_come_by_dblink_are_judged() {
    let mut site = Site::new();
    if !available(&mut site, "dblink") {
        eprintln!("dblink is not installed here: skipped");
        return;
    }
    let (cluster, name) = (site.db.cluster(), site.db.name().to_owned());
    let to =
        format!("host={} port={} dbname={name}", cluster.socket_folder().display(), cluster.port());
    site.run(&format!(
        "CREATE EXTENSION dblink; SELECT dblink_exec('{to}', $$INSERT INTO comments (body) VALUES \
            ('casino')$$)"
    ));
    site.log_agrees(&["comments"]);
    assert_eq!(site.log(), "1 content");
}
