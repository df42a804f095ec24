//! The worker's later verdict is told when it changes the row's, and only then.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use support::akismet::{Akismet, SPAM};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::wait;

use crate::listener::Listener;
use crate::site::{ask, run};

struct World {
    _akismet: Akismet,
    cluster: Cluster,
}

fn world() -> &'static World {
    static SHARED: OnceLock<World> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (akismet, cluster) = (Akismet::start(), Cluster::start(ClusterOptions::default()));
        akismet.attach(&cluster);
        World { _akismet: akismet, cluster }
    })
}

fn site(action: &str, options: &str) -> (Database<'static>, Client, Listener) {
    let database = world().cluster.database();
    let mut client = database.client();
    run(
        &mut client,
        &format!(
            "CREATE TABLE comments (id serial PRIMARY KEY, author text, ip inet, body text,
                 status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
             SELECT spamcheck.protect('comments');
             INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino');
             UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content';
             UPDATE spamcheck.check_setting SET enabled = true, action = '{action}',
                    options = '{{\"blog\":\"https://b.example/\"}}'::jsonb || '{options}' WHERE check_name = 'akismet';
             UPDATE spamcheck.policy SET notify_channel = 'spam'"
        ),
    );
    let listener = Listener::on(&database, "spam");
    (database, client, listener)
}

fn comment(client: &mut Client, body: &str) {
    run(
        client,
        &format!("INSERT INTO comments (author, ip, body) VALUES ('Ann', '203.0.113.7', '{body}')"),
    );
}

fn until_answered(client: &mut Client) {
    wait::until(Duration::from_secs(30), "the answers", || {
        ask(client, "SELECT count(*) FROM spamcheck.lookup") == "0"
    });
}

/// Ids and verdicts, as they were told.
fn verdicts(listener: &mut Listener) -> Vec<String> {
    let short = |payload: String| {
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        format!("{} {}", payload["key"]["id"], payload["verdict"].as_str().unwrap_or("none"))
    };
    listener.all().into_iter().map(short).collect()
}

#[test]
fn a_row_that_turns_out_to_be_spam_is_told_again_and_ham_is_not() {
    let (_database, mut client, mut listener) = site("spam", "{}");
    comment(&mut client, "fine");
    comment(&mut client, SPAM);
    until_answered(&mut client);
    assert_eq!(verdicts(&mut listener), ["1 ham", "2 ham", "2 spam"]);
}

#[test]
fn what_local_checks_moderated_and_akismet_would_moderate_is_told_once() {
    let (_database, mut client, mut listener) = site("moderate", "{}");
    comment(&mut client, &format!("casino {SPAM}"));
    until_answered(&mut client);
    comment(&mut client, SPAM);
    until_answered(&mut client);
    assert_eq!(verdicts(&mut listener), ["1 moderate", "2 ham", "2 moderate"]);
}

#[test]
fn a_held_row_is_moderated_until_it_is_told_otherwise() {
    let (_database, mut client, mut listener) = site("spam", r#"{"mode":"hold"}"#);
    comment(&mut client, "fine");
    until_answered(&mut client);
    comment(&mut client, SPAM);
    until_answered(&mut client);
    assert_eq!(verdicts(&mut listener), ["1 moderate", "1 ham", "2 moderate", "2 spam"]);
}

#[test]
fn a_human_who_was_faster_is_not_contradicted() {
    let (_database, mut client, mut listener) = site("spam", "{}");
    run(&mut client, "BEGIN");
    comment(&mut client, SPAM);
    run(&mut client, "UPDATE comments SET status = 'pending'; COMMIT");
    until_answered(&mut client);
    assert_eq!(verdicts(&mut listener), ["1 ham"]);
}
