//! The settings of section 11 of the interface: which there are, what they take, who may change them.

use support::cluster::{Cluster, ClusterOptions};

use crate::get;

/// Name, default, when it takes effect.
const ALL: [(&str, &str, &str); 23] = [
    ("akismet_url", "https://rest.akismet.com", "sighup"),
    ("allow_private_hosts", "off", "sighup"),
    ("ca_file", "", "sighup"),
    ("captcha", "", "user"),
    ("connect_timeout", "3s", "sighup"),
    ("enabled", "on", "superuser"),
    ("hcaptcha_url", "https://", "sighup"),
    ("http_proxy", "", "sighup"),
    ("ip", "", "user"),
    ("log_file", "", "sighup"),
    ("mailbox_slots", "", "postmaster"),
    ("max_checked_chars", "65536", "sighup"),
    ("max_in_flight", "64", "sighup"),
    ("max_workers", "", "postmaster"),
    ("rate_limit_entries", "", "postmaster"),
    ("recaptcha_url", "https://", "sighup"),
    ("referrer", "", "user"),
    ("request_timeout", "10s", "sighup"),
    ("secrets_file", "", "sighup"),
    ("smtp_url", "", "sighup"),
    ("source", "", "user"),
    ("turnstile_url", "https://", "sighup"),
    ("user_agent", "", "user"),
];

#[test]
fn all_settings_are_there_with_their_defaults_and_descriptions() {
    let mut client = Cluster::shared().connect("postgres", "postgres");
    let names = "SELECT string_agg(substr(name, 14), ' ' ORDER BY name COLLATE \"C\") FROM pg_settings WHERE name LIKE 'pg\\_spamcheck.%'";
    assert_eq!(get(&mut client, names), ALL.map(|(name, ..)| name).join(" "));
    for (name, default, context) in ALL {
        let full = format!("pg_spamcheck.{name}");
        let row = client
            .query_one(
                "SELECT context, current_setting(name), coalesce(short_desc, ''), coalesce(extra_desc, ''), category
                   FROM pg_settings WHERE name = $1",
                &[&full],
            )
            .expect("it is there");
        let text = |column: usize| row.get::<_, String>(column);
        assert_eq!(text(0), context, "{name}");
        match default {
            "https://" => assert!(text(1).starts_with(default), "{name}: {}", text(1)),
            "" => {}
            _ => assert_eq!(text(1), default, "{name}"),
        }
        assert!(text(2).len() > 10 && text(2).ends_with('.'), "{name}: {}", text(2));
        assert!(text(3).len() > 10 && text(3).ends_with('.'), "{name}: {}", text(3));
        assert_eq!(text(4), "Customized Options");
    }
}

#[test]
fn values_outside_their_limits_are_refused() {
    let mut client = Cluster::shared().connect("postgres", "postgres");
    for (name, bad) in [
        ("enabled", "maybe"),
        ("allow_private_hosts", "2"),
        ("connect_timeout", "0"),
        ("connect_timeout", "-1"),
        ("connect_timeout", "fast"),
        ("connect_timeout", "1 year"),
        ("request_timeout", "0"),
        ("request_timeout", "10 parsecs"),
        ("max_in_flight", "0"),
        ("max_in_flight", "1000000"),
        ("max_workers", "0"),
        ("max_workers", "100000"),
        ("rate_limit_entries", "-5"),
        ("mailbox_slots", "0"),
        ("mailbox_slots", "1e9"),
        ("max_checked_chars", "-1"),
        ("max_checked_chars", "9999999999999"),
        ("akismet_url", "nonsense"),
        ("recaptcha_url", "http://www.google.com/"),
        ("hcaptcha_url", "javascript:alert(1)"),
        ("turnstile_url", ""),
    ] {
        let set = format!("ALTER SYSTEM SET pg_spamcheck.{name} = '{bad}'");
        let error = client.batch_execute(&set).expect_err(&set);
        let error = error.as_db_error().expect("the server refuses it");
        assert!(error.message().contains(name), "{bad}: {error:?}");
    }
    for (name, good, shown) in [
        ("connect_timeout", "250ms", "250ms"),
        ("connect_timeout", "1min", "1min"),
        ("request_timeout", "2500", "2500ms"),
        ("max_in_flight", "1", "1"),
        ("max_checked_chars", "1000", "1000"),
    ] {
        let cluster = Cluster::shared();
        cluster.set(&format!("pg_spamcheck.{name}"), good);
        assert_eq!(cluster.psql("postgres", &format!("SHOW pg_spamcheck.{name}")), shown);
        cluster.reset(&format!("pg_spamcheck.{name}"));
    }
}

#[test]
fn the_prefix_is_reserved() {
    let database = Cluster::shared().empty_database();
    let mut client = database.client();
    for statement in [
        "SET pg_spamcheck.nope = 1",
        "SET LOCAL pg_spamcheck.enabeld = off",
        "SELECT set_config('pg_spamcheck.akismet', 'x', false)",
        "ALTER SYSTEM SET pg_spamcheck.nope = 1",
        "ALTER ROLE postgres SET pg_spamcheck.nope = 1",
    ] {
        assert!(client.batch_execute(statement).is_err(), "{statement}");
    }
    assert!(client.batch_execute("SHOW pg_spamcheck.nope").is_err());
}

#[test]
fn a_setting_that_does_not_exist_is_complained_about_at_the_start() {
    let cluster = Cluster::start(
        ClusterOptions::default()
            .with("pg_spamcheck.max_in_fligth", "7")
            .with("pg_spamcheck.key", "topsecret"),
    );
    let mut client = cluster.connect("postgres", "postgres");
    for name in ["max_in_fligth", "key"] {
        let complaint = format!("invalid configuration parameter name \"pg_spamcheck.{name}\"");
        assert!(cluster.log().contains(&complaint), "{}", cluster.log());
        assert!(client.batch_execute(&format!("SHOW pg_spamcheck.{name}")).is_err());
    }
    assert!(!cluster.log().contains("topsecret"));
}

#[test]
fn any_role_may_say_who_its_visitor_is_and_change_nothing_else() {
    let database = Cluster::shared().database();
    let role = format!("app_{}", database.name());
    database.psql(&format!("CREATE ROLE {role} LOGIN"));
    let mut client = database.client_as(&role);
    for name in ["ip", "user_agent", "referrer", "source", "captcha"] {
        let set = format!("BEGIN; SET LOCAL pg_spamcheck.{name} = 'x''y'; COMMIT");
        client.batch_execute(&set).unwrap_or_else(|error| panic!("{set}: {error:?}"));
        let after = get(&mut client, &format!("SELECT current_setting('pg_spamcheck.{name}')"));
        assert!(after.is_empty() || after == "-", "{name} is {after} after its transaction");
    }
    for (name, _, context) in ALL {
        if context != "user" {
            let set = format!("SET pg_spamcheck.{name} = '1'");
            let error = client.batch_execute(&set).expect_err(&set);
            let code = error.code().map(|code| code.code().to_string());
            assert!(["42501", "55P02"].contains(&&*code.unwrap_or_default()), "{set}: {error:?}");
        }
    }
    drop(client);
    database.psql(&format!("DROP ROLE {role}"));
}

#[test]
fn a_reload_reaches_sessions_that_are_open() {
    let cluster = Cluster::start(ClusterOptions::default());
    let database = cluster.database();
    let mut client = database.client();
    client
        .batch_execute(
            "CREATE TABLE comments (id serial PRIMARY KEY, body text, status text
                 CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('comments');
             UPDATE spamcheck.check_setting SET options = '{\"over\": 0}' WHERE check_name = 'links'",
        )
        .expect("it works");
    let insert = "INSERT INTO comments (body, status) VALUES (repeat('word ', 200) || 'https://one.example/', 'approved') RETURNING status";
    let mut status = || client.query_one(insert, &[]).expect("it is taken").get::<_, String>(0);
    assert_eq!(status(), "pending");
    cluster.set("pg_spamcheck.max_checked_chars", "500");
    support::wait::until(std::time::Duration::from_secs(30), "the reload", || {
        status() == "approved"
    });
    cluster.set("pg_spamcheck.max_checked_chars", "5000");
    support::wait::until(std::time::Duration::from_secs(30), "the reload", || {
        status() == "pending"
    });
    cluster.set("pg_spamcheck.enabled", "off");
    support::wait::until(std::time::Duration::from_secs(30), "the reload", || {
        status() == "approved"
    });
}

#[test]
fn health_says_where_judging_is_switched_off() {
    let cluster = Cluster::start(ClusterOptions::default());
    let database = cluster.database();
    let name = database.name();
    let health = |field: &str| {
        database.psql(&format!("SELECT {field} FROM spamcheck.health() WHERE item = 'preload'"))
    };
    assert_eq!(health("state"), "ok");
    // For some who connect, and for nobody who connects to another database.
    database.psql(&format!(
        "CREATE ROLE \"Off App\"; ALTER ROLE \"Off App\" SET pg_spamcheck.enabled = off;
         CREATE ROLE on_app; ALTER ROLE on_app SET pg_spamcheck.enabled = on;
         CREATE ROLE elsewhere; ALTER ROLE elsewhere IN DATABASE template1 SET pg_spamcheck.enabled = off;
         ALTER DATABASE {name} SET pg_spamcheck.enabled = 'No'"
    ));
    assert_eq!(
        health("state || ': ' || message"),
        format!(
            "warning: pg_spamcheck.enabled is off in database {name}, for role \"Off App\": no row is judged there"
        )
    );
    let hint = health("hint");
    let statements = hint.split(". ").next().unwrap();
    database.psql(statements);
    assert_eq!(health("state"), "ok");
    let session = "SET pg_spamcheck.enabled = off; SELECT message FROM spamcheck.health() WHERE item = 'preload'";
    assert_eq!(
        database.psql(session),
        "pg_spamcheck.enabled is off in this session: no row is judged there"
    );
    // For everybody.
    cluster.set("pg_spamcheck.enabled", "off");
    let off = "warning: pg_spamcheck.enabled is off: no row is judged";
    support::wait::until(std::time::Duration::from_secs(30), "the reload", || {
        health("state || ': ' || message") == off
    });
    assert!(
        health("hint")
            .starts_with("ALTER SYSTEM RESET pg_spamcheck.enabled; SELECT pg_reload_conf()")
    );
    // A session that has it on is judged.
    let on = "SET pg_spamcheck.enabled = on; SELECT state FROM spamcheck.health() WHERE item = 'preload'";
    assert_eq!(database.psql(on), "ok");
}
