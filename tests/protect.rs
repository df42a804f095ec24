//! protect() and unprotect(): mappings, status values, refusals, renames, partitions. This file holds
//! what its parts share: a database with rules that tell verdicts apart, and ways to read back what
//! became of a row.

use postgres::error::DbError;
use postgres::{Client, NoTls};
use std::sync::{Arc, Mutex};
use support::cluster::{Cluster, Database, SUPERUSER};

#[path = "protect/access.rs"]
mod access;
#[path = "protect/gone.rs"]
mod gone;
#[path = "protect/later.rs"]
mod later;
#[path = "protect/lifecycle.rs"]
mod lifecycle;
#[path = "protect/moves.rs"]
mod moves;
#[path = "protect/odd.rs"]
mod odd;
#[path = "protect/other_tables.rs"]
mod other_tables;
#[path = "protect/partitions.rs"]
mod partitions;
#[path = "protect/refusals.rs"]
mod refusals;
#[path = "protect/renames.rs"]
mod renames;
#[path = "protect/shortfalls.rs"]
mod shortfalls;
#[path = "protect/sources.rs"]
mod sources;
#[path = "protect/status.rs"]
mod status;
#[path = "protect/status_refusals.rs"]
mod status_refusals;
#[path = "protect/subscriber_refusals.rs"]
mod subscriber_refusals;

/// "casino" makes a text spam, a link in the body moderates, and so does the address of a
/// `…@moderate.example`; a sender in 192.0.2.0/24 is refused.
const RULES: &str = r#"
    UPDATE spamcheck.check_setting SET action = 'spam' WHERE check_name = 'content';
    UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'email_pattern';
    UPDATE spamcheck.check_setting SET action = 'reject' WHERE check_name = 'ip_block';
    UPDATE spamcheck.check_setting SET options = '{"over":0,"reject_over":null}'
     WHERE check_name = 'links';
    INSERT INTO spamcheck.list_entry (list, value) VALUES
        ('banned_words', 'casino'), ('email_block', '@moderate\.example$'), ('ip_block', '192.0.2.0/24');"#;

/// A database with the extension and [`RULES`], and a connection to it.
fn start() -> (Database<'static>, Client) {
    let database = Cluster::shared().database();
    let mut client = database.client();
    run(&mut client, RULES);
    (database, client)
}

#[track_caller]
fn run(client: &mut Client, script: &str) {
    client.batch_execute(script).unwrap_or_else(|error| panic!("{script}\n{error:#?}"));
}

/// The first column of the first row, as text.
#[track_caller]
fn text(client: &mut Client, query: &str) -> String {
    let rows = client.simple_query(query).unwrap_or_else(|error| panic!("{query}\n{error:#?}"));
    rows.iter()
        .find_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        })
        .unwrap_or_else(|| "no row".into())
}

/// What protect() returns for these arguments, `field=source` in its order.
#[track_caller]
fn protect(client: &mut Client, arguments: &str) -> String {
    text(
        client,
        &format!(
            "SELECT string_agg(field || '=' || source, ' ') FROM spamcheck.protect({arguments})"
        ),
    )
}

/// The error that a script ends with.
#[track_caller]
fn refusal(client: &mut Client, script: &str) -> DbError {
    match client.batch_execute(script) {
        Ok(()) => panic!("this was not refused: {script}"),
        Err(error) => match error.as_db_error() {
            Some(error) => error.clone(),
            None => panic!("{script}: {error:?}"),
        },
    }
}

/// The log, oldest first, a line for each row: `relation key check outcome`.
#[track_caller]
fn log(client: &mut Client) -> String {
    text(
        client,
        "SELECT coalesce(string_agg(concat_ws(' ', relation, row_key, check_name, outcome), E'\\n' ORDER BY id), '')
           FROM spamcheck.spam_checklog",
    )
}

/// The texts of the NOTICEs and WARNINGs that a script gives rise to, the script run as superuser.
#[track_caller]
fn notices(database: &Database<'_>, script: &str) -> Vec<String> {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&texts);
    let mut config = database.cluster().config(database.name(), SUPERUSER);
    config.notice_callback(move |notice| {
        heard.lock().unwrap().push(format!("{}: {}", notice.severity(), notice.message()));
    });
    let mut client = config.connect(NoTls).expect("the server runs");
    run(&mut client, script);
    drop(client);
    let texts = texts.lock().unwrap();
    texts.clone()
}
