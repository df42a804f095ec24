//! public_view(): ham rows only, without addresses, owned by the table's owner and granted to nobody.

use support::cluster::SUPERUSER;

use crate::site::{Site, ask, refused, run};

const COMMENTS: &str = "INSERT INTO comments (author, email, ip, body, status) VALUES
    ('Ann', 'ann@example.com', '192.0.2.1', 'fine', 'approved'), ('Bob', NULL, NULL, 'waits', 'pending'),
    ('Eve', 'eve@example.com', NULL, 'buy', 'spam')";

#[test]
fn it_has_the_ham_rows_and_no_addresses() {
    let mut site = Site::new();
    site.run(COMMENTS);
    site.run("SELECT spamcheck.public_view('comments', 'public_comments')");
    assert_eq!(
        site.ask("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public_comments'::regclass"),
        "id author body status views"
    );
    assert_eq!(site.ask("SELECT id, author, body FROM public_comments"), "1|Ann|fine");
    // Later verdicts count.
    site.run("INSERT INTO comments (author, body) VALUES ('Mal', 'a casino'), ('Ann', 'again')");
    assert_eq!(site.ask("SELECT string_agg(author, ' ') FROM public_comments"), "Ann Ann");
    assert_eq!(
        site.ask("SELECT reloptions FROM pg_class WHERE oid = 'public_comments'::regclass"),
        "{security_barrier=true}"
    );
}

#[test]
fn every_kind_of_status_tells_ham() {
    let mut site = Site::bare();
    let cases = [
        ("ok boolean", "{\"ham\":{\"ok\":true},\"moderate\":{\"ok\":false}}", "true", "false"),
        ("state int", "{\"column\":\"state\",\"moderate\":2,\"spam\":3}", "1", "3"),
        ("state char(3)", "{\"column\":\"state\",\"ham\":\"1\",\"spam\":\"x\"}", "'1'", "'x'"),
        (
            "hidden boolean, gone_at timestamptz",
            "{\"spam\":{\"hidden\":true,\"gone_at\":\"$now\"}}",
            "NULL",
            "true",
        ),
    ];
    for (n, (columns, status, ham, spam)) in cases.into_iter().enumerate() {
        site.run(&format!(
            "CREATE TABLE t{n} (id int PRIMARY KEY, body text, {columns});
             SELECT spamcheck.protect('t{n}', status => '{status}');
             INSERT INTO t{n} VALUES (1, 'good', {ham}), (2, 'bad', {spam});
             SELECT spamcheck.public_view('t{n}', 'v{n}')"
        ));
        assert_eq!(site.ask(&format!("SELECT body FROM v{n}")), "good", "{columns}");
    }
    // Another status that is neither is not shown where ham has a value of its own.
    site.run(
        "CREATE TABLE posts (id int PRIMARY KEY, body text, status text);
         SELECT spamcheck.protect('posts', status => '{\"column\":\"status\",\"ham\":\"published\",\"spam\":\"spam\"}');
         INSERT INTO posts VALUES (1, 'good', 'published'), (2, 'bad', 'trash'), (3, 'none', NULL);
         SELECT spamcheck.public_view('posts', 'public_posts')",
    );
    assert_eq!(site.ask("SELECT body FROM public_posts"), "good");
}

#[test]
fn names_of_any_kind_and_secrets_in_columns() {
    let mut site = Site::bare();
    site.run(
        r#"CREATE SCHEMA "we.ird"; CREATE SCHEMA web;
           CREATE TABLE "we.ird"."ta""ble" ("id d" int PRIMARY KEY, "Bo""dy" text, "st.at" text, contact_email text, backup_mail text,
               last_ip cidr, password_hash text, session_token text);
           SELECT spamcheck.protect('"we.ird"."ta""ble"', columns => '{"body":"Bo\"dy","email":"backup_mail"}',
               status => '{"spam":{"st.at":"s''x"}}');
           INSERT INTO "we.ird"."ta""ble" VALUES (1, 'good', 'x'), (2, 'bad', 's''x');
           SELECT spamcheck.public_view('"we.ird"."ta""ble"', '"A view"'), spamcheck.public_view('"we.ird"."ta""ble"', 'web.notes')"#,
    );
    let columns = r#"SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '"we.ird"."A view"'::regclass"#;
    assert_eq!(site.ask(columns), "id d,Bo\"dy,st.at");
    assert_eq!(site.ask(r#"SELECT "Bo""dy" FROM web.notes"#), "good");
}

fn columns(site: &mut Site, view: &str) -> String {
    site.ask(&format!(
        "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{view}'::regclass"
    ))
}

/// Not only those that the mapping has taken.
#[test]
fn every_column_that_is_or_is_named_like_an_address_is_hidden_and_the_notice_names_it() {
    let mut site = Site::bare();
    site.run(
        r#"CREATE DOMAIN sender AS inet; CREATE TYPE hop AS (name text, sent_from cidr);
           CREATE TABLE pv (id serial PRIMARY KEY, author text, email text, contact_mail text, "E-Mail" text, ip inet, last_ip text,
               remote_addr text, forwarded_for varchar, host text, seen_at inet[], came sender[], way hop, description text, body text,
               status text NOT NULL DEFAULT 'ok' CHECK (status IN ('ok', 'pending', 'spam')));
           SELECT spamcheck.protect('pv', status => '{"column":"status","ham":"ok","moderate":"pending","spam":"spam"}')"#,
    );
    let call = "SELECT spamcheck.public_view('pv', 'public_pv')";
    let said = site.db.cluster().psql_output(site.db.name(), SUPERUSER, call);
    assert_eq!(columns(&mut site, "public_pv"), "id author description body status");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("view public.public_pv is without email, contact_mail, E-Mail, ip, last_ip, remote_addr, forwarded_for, host, seen_at, came, way"),
        "{said}"
    );
}

#[test]
fn a_key_that_is_an_address_is_hidden_and_one_that_is_named_key_is_not() {
    let mut site = Site::bare();
    let status = r#"{"column":"status","ham":1,"moderate":0,"spam":2}"#;
    for (n, key) in ["email text", "sent_by inet", "api_key int"].into_iter().enumerate() {
        site.run(&format!(
            "CREATE TABLE t{n} ({key} PRIMARY KEY, author text, body text, status int);
             SELECT spamcheck.protect('t{n}', status => '{status}'); SELECT spamcheck.public_view('t{n}', 'v{n}')"
        ));
    }
    assert_eq!(columns(&mut site, "v0"), "author body status");
    assert_eq!(columns(&mut site, "v1"), "author body status");
    assert_eq!(columns(&mut site, "v2"), "api_key author body status");
}

#[test]
fn only_the_owner_makes_one_and_nobody_is_given_it() {
    let mut site = Site::new();
    let (owner, moderator, reader) =
        (site.role("owner"), site.role("moderator"), site.role("reader"));
    site.run(&format!(
        "ALTER TABLE comments OWNER TO {owner}; GRANT CREATE, USAGE ON SCHEMA public TO {owner}, {moderator};
         SELECT spamcheck.grant_access('{owner}', 'moderator'), spamcheck.grant_access('{moderator}', 'moderator');
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT ON TABLES TO PUBLIC"
    ));
    site.run(COMMENTS);
    let error = refused(
        &mut site.db.client_as(&moderator),
        "SELECT spamcheck.public_view('comments', 'mine')",
    );
    assert!(error.message().contains("must be owner of table public.comments"), "{error:?}");
    let mut own = site.db.client_as(&owner);
    run(&mut own, "SELECT spamcheck.public_view('comments', 'public_comments')");
    // A superuser's is the owner's, too: it must not see more than the owner does.
    site.run("SELECT spamcheck.public_view('comments', 'another')");
    assert_eq!(
        site.ask("SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relname IN ('public_comments', 'another')"),
        owner
    );
    let denied = refused(&mut site.db.client_as(&reader), "SELECT * FROM public_comments");
    assert!(denied.message().contains("permission denied"), "{denied:?}");
    run(&mut own, &format!("GRANT SELECT ON public_comments TO {reader}"));
    let mut reader = site.db.client_as(&reader);
    assert_eq!(ask(&mut reader, "SELECT author FROM public_comments"), "Ann");
    refused(&mut reader, "SELECT * FROM comments");
    // A function that is cheap sees none of the other rows.
    run(
        &mut own,
        "CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN $1 <> 'buy'; END $$",
    );
    assert_eq!(ask(&mut reader, "SELECT count(*) FROM public_comments WHERE leak(body)"), "1");
}

/// As set-ups for PostgREST have it.
#[test]
fn the_owners_default_privileges_give_it_to_nobody_either() {
    let mut site = Site::new();
    let owner = site.role("owner");
    let other = format!("of \"\"the\"\" web {owner}");
    site.run(&format!("CREATE ROLE \"{other}\""));
    site.run(&format!(
        "ALTER TABLE comments OWNER TO {owner}; GRANT CREATE ON SCHEMA public TO {owner};
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, UPDATE ON TABLES TO \"{other}\" WITH GRANT OPTION;
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT ALL ON TABLES TO PUBLIC;
         SELECT spamcheck.public_view('comments', 'public_comments'), spamcheck.public_view('comments', '\"Public ones\"')"
    ));
    let granted = "SELECT DISTINCT a.grantee::regrole FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
                    WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace";
    assert_eq!(site.ask(granted), owner);
}

#[test]
fn what_cannot_be_shown_is_refused_with_a_sentence() {
    let mut site = Site::new();
    site.run("CREATE TABLE notes (id int PRIMARY KEY, body text); SELECT spamcheck.protect('notes', status => '{}'); CREATE TABLE plain (id int)");
    for (call, part) in [
        ("'notes', 'v'", "has no status"),
        ("'plain', 'v'", "is not protected"),
        ("'comments', 'a.b.c'", "is no name of a view"),
        ("'comments', ''", "is no name of a view"),
        ("'comments', 'x; DROP TABLE comments'", "is no name of a view"),
        ("'comments', NULL", "must not be NULL"),
        ("'comments', 'comments'", "already exists"),
    ] {
        let error = refused(&mut site.client, &format!("SELECT spamcheck.public_view({call})"));
        assert!(error.message().contains(part), "{call}: {error:?}");
    }
}

#[test]
fn a_view_that_was_made_for_another_status_is_told_and_a_new_one_hides_what_either_hides() {
    let mut site = Site::new();
    site.run(
        "ALTER TABLE comments ADD COLUMN shown text NOT NULL DEFAULT 'yes';
         INSERT INTO comments (body) VALUES ('casino'), ('fine');
         SELECT spamcheck.public_view('comments', 'first')",
    );
    let anew = r#"SELECT spamcheck.protect('comments', status => '{"column": "shown", "ham": "yes", "moderate": "later", "spam": "no"}')"#;
    let output = site.db.cluster().psql_output(site.db.name(), "postgres", anew);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains(
            "WARNING:  the status of table public.comments is another one now, and views show ham rows by the former one: public.first"
        ),
        "{told}"
    );
    let output = site.db.cluster().psql_output(site.db.name(), "postgres", anew);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "it is the same by now");
    site.run(
        "SELECT spamcheck.public_view('comments', 'second'); INSERT INTO comments (body) VALUES ('casino'), ('fine, too')",
    );
    assert_eq!(site.ask("SELECT body FROM second ORDER BY id"), "fine\nfine, too");
}

#[test]
fn a_verdict_that_is_a_time_hides_its_rows_and_one_that_cannot_be_told_makes_no_view() {
    let mut site = Site::new();
    site.run(
        r#"CREATE TABLE notes (id serial PRIMARY KEY, body text, visible boolean DEFAULT true, gone_at timestamptz);
           SELECT spamcheck.protect('notes', status => '{"ham": {"visible": true}, "moderate": {"visible": false}, "spam": {"gone_at": "$now"}}');
           INSERT INTO notes (body) VALUES ('casino'), ('fine'); SELECT spamcheck.public_view('notes', 'public_notes');
           CREATE TABLE soft (id serial PRIMARY KEY, body text, gone_at timestamptz);
           SELECT spamcheck.protect('soft', status => '{"column": "gone_at", "spam": "$now"}');
           INSERT INTO soft (body) VALUES ('casino'), ('fine'); SELECT spamcheck.public_view('soft', 'public_soft');
           CREATE TYPE state AS ENUM ('ok', 'pending', 'spam');
           CREATE TABLE posts (id serial PRIMARY KEY, body text, status state DEFAULT 'ok'); SELECT spamcheck.protect('posts');
           ALTER TYPE state RENAME VALUE 'spam' TO 'junk'"#,
    );
    for view in ["public_notes", "public_soft"] {
        assert_eq!(site.ask(&format!("SELECT body FROM {view}")), "fine");
    }
    let error = refused(&mut site.client, "SELECT spamcheck.public_view('posts', 'v')");
    assert_eq!(error.message(), "the ham rows of table public.posts cannot be told");
    // No verdict writes anything any more.
    site.run("SELECT spamcheck.protect('notes', status => '{}')");
    let error = refused(&mut site.client, "SELECT spamcheck.public_view('notes', 'v')");
    assert!(error.message().contains("has no status"), "{error:?}");
    // What was spam may be a part of ham by now.
    site.run(
        r#"ALTER TABLE notes ADD COLUMN removed boolean DEFAULT false;
           SELECT spamcheck.protect('notes', status => '{"ham": {"visible": true, "removed": false}, "moderate": {"visible": false}, "spam": {"removed": true}}');
           SELECT spamcheck.protect('notes', status => '{"ham": {"visible": false, "removed": false}, "moderate": {"visible": true}, "spam": {"removed": true}}');
           INSERT INTO notes (body, visible) VALUES ('fine, too', false); SELECT spamcheck.public_view('notes', 'v')"#,
    );
    assert_eq!(site.ask("SELECT body FROM v"), "fine, too");
}
