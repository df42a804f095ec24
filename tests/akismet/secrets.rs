//! The key: where it may come from, what happens without a good one, and that it shows nowhere. The
//! secrets file is the server's, so each test has a server of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::akismet::KEY;
use support::cluster::{Cluster, ClusterOptions, SUPERUSER, account};
use support::http::Reply;
use support::wait;

use crate::site::{SOON, Site, World};

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("the folder can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    chown(path, Some(account().uid), Some(account().gid)).expect("root may give it away");
}

fn secrets(key: &str) -> String {
    serde_json::json!({ "akismet": key }).to_string()
}

/// The state and the message of health() about Akismet.
fn health(site: &mut Site<'_>) -> String {
    site.get("SELECT state || ': ' || message FROM spamcheck.health() WHERE item = 'akismet'")
}

#[track_caller]
fn until_lane(site: &mut Site<'_>, lane: &str) {
    site.until("SELECT akismet FROM spamcheck.stat_worker", lane);
}

/// Makes the file at `path` one that must be refused. `foreign` is a good one of another owner.
type Spoil = fn(path: &Path, foreign: &Path);

const BAD_FILES: [(&str, Spoil); 8] = [
    ("mode 0644", |path, _| write(path, &secrets(KEY), 0o644)),
    ("another owner", |path, foreign| {
        fs::copy(foreign, path).expect("it can be copied");
    }),
    ("a link to a file of another owner", |path, foreign| {
        symlink(foreign, path).expect("it can be made");
    }),
    ("a FIFO", |path, _| {
        assert!(Command::new("mkfifo").arg(path).status().expect("it exists").success());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        chown(path, Some(account().uid), None).expect("root may give it away");
    }),
    ("huge", |path, _| {
        write(path, &secrets(KEY), 0o600);
        let file = fs::OpenOptions::new().write(true).open(path).expect("it is there");
        file.set_len(1 << 30).expect("a hole takes no room");
    }),
    ("empty", |path, _| write(path, "", 0o600)),
    ("not JSON", |path, _| write(path, &format!("akismet={KEY}\n"), 0o600)),
    ("a key that is no text", |path, _| write(path, r#"{"akismet": 123}"#, 0o600)),
];

#[test]
fn a_secrets_file_that_cannot_be_trusted_is_not_used_and_one_that_can_is() {
    // The worker looks at the file once a second: some servers wait at the same time.
    std::thread::scope(|scope| {
        for cases in BAD_FILES.chunks(2) {
            scope.spawn(move || {
                let world = World::new(ClusterOptions::default());
                let mut site = world.site("{}");
                cases
                    .iter()
                    .for_each(|(name, spoil)| refused(&mut site, &world.cluster, name, *spoil));
                assert!(!world.cluster.log().contains(KEY));
            });
        }
    });
}

/// A good file that is not the server's. Only root can make one; others take what every machine has.
fn foreign_file(cluster: &Cluster) -> PathBuf {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == account().uid) {
        return PathBuf::from("/etc/passwd");
    }
    let foreign = cluster.folder().join("foreign.json");
    fs::write(&foreign, secrets(KEY)).expect("the folder can be written");
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o600)).expect("it is ours");
    foreign
}

/// Puts a good file in its place, and then a bad one.
fn refused(site: &mut Site<'_>, cluster: &Cluster, name: &str, spoil: Spoil) {
    let path = cluster.folder().join("secrets.json");
    let foreign = foreign_file(cluster);
    let _ = fs::remove_file(&path);
    write(&path, &secrets(KEY), 0o600);
    until_lane(site, "open");
    site.until_all_answered();
    let asked = site.requests().len();
    fs::remove_file(&path).expect("it is there");
    spoil(&path, &foreign);
    let bad = wait::poll(SOON, || {
        let lane = site.get("SELECT akismet FROM spamcheck.stat_worker");
        (lane == "bad secrets file").then_some(())
    });
    assert!(bad.is_some(), "{name} is taken");
    let message = health(site);
    assert!(message.starts_with("error: "), "{name}: {message}");
    site.run("INSERT INTO comments (body, ip) VALUES ('akismet-guaranteed-spam', '203.0.113.7')");
    assert_eq!(site.requests().len(), asked, "{name}: nobody is asked");
}

#[test]
fn a_refused_file_is_looked_at_again_once_its_mode_is_right() {
    let world = World::new(ClusterOptions::default());
    let path = world.cluster.folder().join("secrets.json");
    let mut site = world.site("{}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("it is there");
    world.cluster.reload();
    until_lane(&mut site, "bad secrets file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is there");
    until_lane(&mut site, "open");
    fs::remove_file(&path).expect("it is there");
    until_lane(&mut site, "bad secrets file");
}

#[test]
fn rows_wait_for_a_key_and_go_when_there_is_one() {
    let world = World::new(ClusterOptions::default());
    world.cluster.reset("pg_spamcheck.secrets_file");
    let mut site = world.site("{}");
    until_lane(&mut site, "no key");
    let id = site.comment("akismet-guaranteed-spam");
    assert_eq!(health(&mut site), "error: there is no key: lookups wait");
    let path = world.cluster.folder().join("later.json");
    write(&path, r#"{"recaptcha": "x", "akismet": null}"#, 0o600);
    world.cluster.set("pg_spamcheck.secrets_file", &path.display().to_string());
    site.run("SELECT pg_sleep(0)");
    until_lane(&mut site, "no key");
    assert_eq!(site.get("SELECT state || attempts FROM spamcheck.lookup"), "queued0");
    write(&path, &secrets(KEY), 0o600);
    site.until_all_answered();
    assert_eq!(site.status(id), "spam");
    assert_eq!(health(&mut site), "ok: nothing stands against lookups");
}

#[test]
fn a_key_that_akismet_refuses_pauses_everything_until_it_is_corrected() {
    let workers = ClusterOptions::default()
        .with("pg_spamcheck.max_workers", "8")
        .with("max_worker_processes", "16");
    let world = World::new(workers);
    let path = world.cluster.folder().join("secrets.json");
    write(&path, &secrets("000000000000"), 0o600);
    let answers = [
        ("invalid, with help", None),
        ("invalid", Some(Reply::text("invalid"))),
        ("401", Some(Reply::text("no").with_status(401))),
        ("403", Some(Reply::text("Forbidden").with_status(403))),
        ("404", Some(Reply::status(404))),
    ];
    let mut sites = Vec::new();
    for (name, answer) in answers {
        let mut site = world.site(r#"{"mode": "hold"}"#);
        let refusing = answer.map(|reply| site.answer("", reply));
        site.comment("the first");
        let state = if name == "404" { "bad settings" } else { "invalid key" };
        until_lane(&mut site, state);
        assert!(health(&mut site).starts_with("error: "), "{name}: {}", health(&mut site));
        for n in 0..20 {
            site.comment(&format!("waiting {n}"));
        }
        sites.push((name, site, refusing));
    }
    for (name, site, _) in &mut sites {
        // The second try comes a second after the first.
        site.until_asked("", 2);
        site.until("SELECT count(*) FROM spamcheck.lookup WHERE state = 'queued'", "21");
        let most = "SELECT max(attempts) FROM spamcheck.lookup";
        assert_eq!(site.get(most), "0", "{name}: no attempt is used up");
        assert!(site.requests().len() <= 5, "{name}: {} requests", site.requests().len());
        assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "pending");
    }
    sites.iter().filter_map(|(_, _, refusing)| refusing.as_ref()).for_each(|switch| switch.off());
    write(&path, &secrets(KEY), 0o600);
    for (name, site, _) in &mut sites {
        site.until_all_answered();
        let passed = "SELECT count(*) FROM comments WHERE status = 'approved'";
        assert_eq!(site.get(passed), "21", "{name}");
        until_lane(site, "open");
    }
}

#[test]
fn a_key_that_is_taken_away_stops_the_questions() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site("{}");
    let slow = site.answer("out", Reply::text("true").delay(std::time::Duration::from_secs(2)));
    site.comment("out when the key goes");
    site.until_asked("out", 1);
    world.cluster.reset("pg_spamcheck.secrets_file");
    until_lane(&mut site, "no key");
    site.until("SELECT state FROM spamcheck.lookup", "queued");
    assert_eq!(site.get("SELECT status FROM comments"), "approved");
    slow.off();
    let path = world.cluster.folder().join("secrets.json");
    world.cluster.set("pg_spamcheck.secrets_file", &path.display().to_string());
    site.until_all_answered();
}

/// Everything that a server shows to anybody, superusers included.
fn shown(site: &mut Site<'_>, cluster: &Cluster) -> Vec<(&'static str, String)> {
    let mut shown = vec![("the server's log", cluster.log())];
    for (name, query) in [
        ("pg_settings", "SELECT string_agg(s::text, E'\\n') FROM pg_settings s"),
        ("pg_file_settings", "SELECT string_agg(s::text, E'\\n') FROM pg_file_settings s"),
        ("pg_stat_activity", "SELECT string_agg(a::text, E'\\n') FROM pg_stat_activity a"),
        ("lookup", "SELECT string_agg(l::text, E'\\n') FROM spamcheck.lookup l"),
        ("spam_checklog", "SELECT string_agg(l::text, E'\\n') FROM spamcheck.spam_checklog l"),
        ("health", "SELECT string_agg(h::text, E'\\n') FROM spamcheck.health() h"),
        ("stat_worker", "SELECT string_agg(w::text, E'\\n') FROM spamcheck.stat_worker w"),
    ] {
        shown.push((name, site.get(query)));
    }
    for program in ["pg_dump", "pg_dumpall"] {
        let mut command = cluster.program(program);
        if program == "pg_dump" {
            command.args(["-d", site.database.name()]);
        }
        let output = command.output().expect("it can be started");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        shown.push((program, String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let pid = site.database.worker_pid().expect("it runs");
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{pid}/{file}")).expect("it is there");
        shown.push(("the worker's process", String::from_utf8_lossy(&text).into_owned()));
    }
    shown
}

#[test]
fn the_key_shows_nowhere() {
    let world = World::new(
        ClusterOptions::default()
            .with("log_min_messages", "debug5")
            .with("log_statement", "all")
            .with("log_min_duration_statement", "0")
            .with("log_error_verbosity", "verbose")
            .with("track_activity_query_size", "65536"),
    );
    let mut site = world.site("{}");
    let echo = format!("we know no key {KEY}");
    let mirrors = [
        Reply::text(&*echo),
        Reply::text(&*echo).with_status(500),
        Reply::status(400).header("X-akismet-debug-help", &echo),
        Reply::text("true").header("X-akismet-error", &echo),
        Reply::raw(echo.clone()),
        Reply::text("true")
            .header("X-akismet-guid", KEY.to_uppercase())
            .header("X-akismet-alert-code", KEY)
            .header("X-akismet-alert-msg", &echo),
        Reply::text("invalid").header("X-akismet-debug-help", &echo),
    ];
    let bodies: Vec<String> =
        (0..mirrors.len()).map(|n| format!("mirror {n}. akismet-guaranteed-spam")).collect();
    for (n, mirror) in mirrors.into_iter().enumerate() {
        site.answer(&format!("mirror {n}."), mirror);
    }
    let insert =
        "INSERT INTO comments (body, ip) SELECT b, '203.0.113.7' FROM unnest($1::text[]) b";
    site.client.execute(insert, &[&bodies]).expect("they are taken");
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE last_error IS NOT NULL", "6");
    site.until("SELECT count(*) FROM spamcheck.spam_checklog", "1");
    let broken = world.cluster.folder().join("broken.json");
    write(&broken, &format!("{{\"akismet\": \"{KEY}\" oops"), 0o600);
    world.cluster.set("pg_spamcheck.secrets_file", &broken.display().to_string());
    until_lane(&mut site, "bad secrets file");
    for (place, text) in shown(&mut site, &world.cluster) {
        assert!(!text.is_empty(), "{place} can be looked at");
        assert!(!text.to_lowercase().contains(&KEY.to_lowercase()), "the key is in {place}");
    }
    assert!(world.cluster.log().contains("DEBUG"), "the log tells all it can");
}

#[test]
fn ordinary_roles_do_not_see_where_the_secrets_are() {
    let world = World::shared();
    let site = world.site("{}");
    let role = format!("curious_{}", site.database.name());
    let mut superuser = site.database.client_as(SUPERUSER);
    superuser.batch_execute(&format!("CREATE ROLE {role} LOGIN")).expect("it is new");
    let mut client = site.database.client_as(&role);
    for statement in [
        "SHOW pg_spamcheck.secrets_file",
        "SELECT current_setting('pg_spamcheck.secrets_file')",
        "SET pg_spamcheck.akismet_url = 'https://evil.example/'",
        "SET pg_spamcheck.secrets_file = '/etc/passwd'",
        "ALTER SYSTEM SET pg_spamcheck.akismet_url = 'https://evil.example/'",
        "SELECT * FROM spamcheck.lookup",
    ] {
        assert!(client.batch_execute(statement).is_err(), "{statement}");
    }
    let seen = client
        .query("SELECT setting FROM pg_settings WHERE name = 'pg_spamcheck.secrets_file'", &[]);
    assert!(seen.expect("it may look").iter().all(|row| row.get::<_, Option<&str>>(0).is_none()));
    superuser.batch_execute(&format!("DROP ROLE {role}")).expect("it owns nothing");
}
