//! Mail to moderators: which policy's digest is due, what goes into it, and what becomes of the rows when
//! it was sent or could not be. Owns the tables `_mail` and `_mailing` on the worker's side. No transaction
//! is open while a mail server is spoken to; rows leave the queue only once it has taken the mail, so a crash
//! in between, or a server that falls silent, may have a mail sent twice and never loses one. The rows of such
//! a mail go again as one, without those that came since, so that it has the same Message-ID.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::{PgSqlErrorCode, ereport};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::mail::address::is_host;
use spamcheck_engine::mail::{Digest, MailServer, Waiting};

use super::pool::{Bell, Pool};
use super::presence::transaction;
use super::settle;
use super::smtp::{Login, Outgoing, Sent};
use crate::secrets::Secrets;
use crate::settings::Network;
use crate::shared::Database;
use crate::spi::{self, Arg};
use crate::{lookups, rights};

/// How often rows of prepared transactions are looked for while there are any.
const PREPARED_POLL: Duration = Duration::from_secs(2);
/// The longest pause between two looks while rows wait.
const LONGEST: Duration = Duration::from_secs(3600);

/// The worker's side of the mail.
pub struct Mailing {
    pool: Pool<Outgoing>,
    secrets: Secrets,
    /// The mail that is out.
    out: Option<Due>,
    /// When to look next; None: nothing waits.
    due: Option<Instant>,
    /// Whether the last try failed, so that news of the password count.
    failing: bool,
    server: Option<String>,
}

/// A digest that is due.
#[derive(Deserialize)]
struct Due {
    policy: String,
    database: String,
    /// Who still gets it; None: all that the policy names.
    recipients: Option<Vec<String>>,
    mail_to: Vec<String>,
    without_texts: bool,
    /// Tells this database from others with the same name.
    system: String,
    /// The lowest and the highest id of those that were claimed at first.
    first: i64,
    last: i64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: i64,
    /// The protection; None: the table is protected no longer, or has another name.
    protection: Option<i32>,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Mailing {
    /// A worker that has just started does not know what waits.
    pub fn new(network: &Network, bell: Bell) -> Self {
        Self {
            pool: Pool::new(bell),
            secrets: Secrets::default(),
            out: None,
            due: Some(Instant::now()),
            failing: false,
            server: network.smtp_url.clone(),
        }
    }

    /// Sees to what came back, at any turn; false: the extension is gone.
    pub fn collect(&mut self) -> bool {
        for sent in self.pool.collect() {
            let Some(due) = self.out.take() else { continue };
            if transaction("settling mail", || self.settle(&due, &sent)).is_none() {
                return false;
            }
            self.due = Some(Instant::now());
        }
        true
    }

    /// Looks whether a digest is due, each second; false: the extension is gone.
    pub fn turn(&mut self, database: &Database, network: &Network) -> bool {
        if database.mail.swap(false, Ordering::AcqRel) {
            self.due = Some(Instant::now());
        }
        let prepared = database.mail_prepared.load(Ordering::Acquire);
        let changed = self.server != network.smtp_url;
        if changed || self.failing && self.secrets.refresh(network.secrets_file.as_deref()) {
            self.server.clone_from(&network.smtp_url);
            self.failing = false;
            if transaction("trying mail again", try_again).is_none() {
                return false;
            }
            self.due = Some(Instant::now());
        }
        let due = self.due.is_some_and(|at| Instant::now() >= at);
        if self.out.is_some() || !(due || prepared) {
            return true;
        }
        let server = network.smtp_url.as_deref().map(MailServer::parse);
        let Some(Ok(server)) = server else {
            // The rows keep; health() tells.
            self.due = None;
            return true;
        };
        let found = transaction("looking for mail", || {
            // Before the look: what is committed between the two is seen by one of them.
            let prepared = prepared && lookups::prepared_transactions();
            (prepared, rights::as_extension(claim), rights::as_extension(next_due))
        });
        let Some((still_prepared, claimed, next)) = found else { return false };
        if prepared && !still_prepared {
            database.mail_prepared.store(false, Ordering::Release);
        }
        let next =
            next.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).min(LONGEST));
        let next = next.into_iter().chain(still_prepared.then_some(PREPARED_POLL)).min();
        self.due = next.map(|wait| Instant::now() + wait);
        if let Some(due) = claimed {
            self.send(due, server, network);
        }
        true
    }

    fn send(&mut self, due: Due, server: MailServer, network: &Network) {
        self.secrets.refresh(network.secrets_file.as_deref());
        let login = match (self.secrets.text("smtp_user"), self.secrets.text("smtp_password")) {
            (Some(user), Some(password)) => Some(Login { user, password }),
            _ => None,
        };
        let host = host();
        let rows: Vec<Waiting> = due.rows.iter().map(|row| row.waiting.clone()).collect();
        let digest = Digest {
            database: &due.database,
            policy: &due.policy,
            rows: &rows,
            without_texts: due.without_texts,
        };
        let user = login.as_ref().map(|login| login.user.to_string()).filter(|u| u.contains('@'));
        let from = server.from.clone().or(user).unwrap_or_else(|| format!("pg_spamcheck@{host}"));
        let (first, last) = (due.first, due.last);
        let whose = format!("{} {} {}", due.system, due.database, due.policy);
        let whose = xxhash_rust::xxh3::xxh3_64(whose.as_bytes());
        self.pool.send(Outgoing {
            login,
            ca_file: network.ca_file.clone(),
            timeout: Duration::from_millis(network.request_timeout_ms),
            from,
            to: each_once(due.recipients.as_ref().unwrap_or(&due.mail_to)),
            subject: digest.subject(),
            body: digest.body(),
            message_id: format!("<spamcheck.{first}-{last}.{whose:x}@{host}>"),
            host,
            server,
        });
        self.out = Some(due);
    }

    /// What became of a digest, in the transaction at hand.
    fn settle(&mut self, due: &Due, sent: &Sent) {
        let ids: Vec<i64> = due.rows.iter().map(|row| row.id).collect();
        let note = |whom: &[(String, String)]| {
            whom.iter().map(|(to, why)| format!("{to}: {why}")).collect::<Vec<_>>().join("; ")
        };
        let told = match sent {
            Ok(accepted) => {
                let later: Vec<&String> = accepted.deferred.iter().map(|(to, _)| to).collect();
                let all: Vec<_> =
                    accepted.refused.iter().chain(&accepted.deferred).cloned().collect();
                rights::as_extension(|| {
                    if later.is_empty() {
                        spi::write(SENT, &[Arg::Text(&json!(ids).to_string())]);
                    } else {
                        let later = json!(later).to_string();
                        spi::write(
                            DEFERRED,
                            &[Arg::Text(&json!(ids).to_string()), Arg::Text(&later)],
                        );
                    }
                });
                self.failing = false;
                json!({ "sent": true, "error": (!all.is_empty()).then(|| note(&all)) })
            }
            Err(refused) => {
                self.failing = true;
                json!({ "sent": false, "error": refused.why, "without_texts": refused.content,
                        "perhaps": refused.perhaps_taken })
            }
        };
        if let Some(error) = told["error"].as_str() {
            ereport!(
                LOG,
                PgSqlErrorCode::ERRCODE_CONNECTION_EXCEPTION,
                format!("pg_spamcheck could not send all mail of policy \"{}\"", due.policy),
                error.to_owned()
            );
        }
        let told = Json::Object(
            [("policy".to_owned(), json!(due.policy))]
                .into_iter()
                .chain(told.as_object().cloned().unwrap_or_default())
                .collect(),
        );
        rights::as_extension(|| spi::write_json(SETTLED, &told.to_string()));
    }
}

/// Addresses without those that differ in case alone: whoever is named twice gets one mail.
fn each_once(addresses: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    addresses.iter().filter(|to| seen.insert(to.to_lowercase())).cloned().collect()
}

/// This machine's name, as mail servers take it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if is_host(name) { name.to_owned() } else { "localhost".to_owned() }
}

const SENT: &str = "DELETE FROM spamcheck._mail q
          WHERE q.id = ANY (ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e))";
const DEFERRED: &str = "UPDATE spamcheck._mail q
            SET recipients = ARRAY(SELECT e FROM jsonb_array_elements_text(convert_from($2, 'UTF8')::jsonb) e)
          WHERE q.id = ANY (ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e))";
/// After a failure: 1, 2, 4, … minutes, an hour at most.
const SETTLED: &str =
    "UPDATE spamcheck._mailing m
            SET sent_at = CASE WHEN r.sent THEN clock_timestamp() ELSE m.sent_at END,
                failures = CASE WHEN r.sent THEN 0 ELSE m.failures + 1 END,
                without_texts = coalesce(r.without_texts OR m.without_texts AND NOT r.sent, false),
                last_error = r.error,
                claimed = CASE WHEN r.perhaps THEN m.claimed END,
                next_at = CASE WHEN r.sent THEN m.next_at
                               ELSE clock_timestamp() + least(60, 2 ^ least(m.failures, 6)) * interval '1 minute' END
           FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
             AS r(policy text, sent boolean, error text, without_texts boolean, perhaps boolean)
          WHERE m.policy = r.policy
      RETURNING convert_to(m.policy, 'UTF8')";

/// What a policy wants no longer is not mailed. A restore may bring the policies last.
const UNWANTED: &str =
    "DELETE FROM spamcheck._mail q
          WHERE EXISTS (SELECT FROM spamcheck.policy p WHERE p.name = q.policy AND coalesce(cardinality(p.mail_to), 0) = 0)
             OR q.queued_at < clock_timestamp() - interval '1 day'
                AND NOT EXISTS (SELECT FROM spamcheck.policy p WHERE p.name = q.policy)";

/// A row's latest entry stands for all of them.
const EARLIER: &str = "DELETE FROM spamcheck._mail q USING spamcheck._mail n
          WHERE n.policy = q.policy AND n.relation = q.relation AND n.row_key = q.row_key AND n.id > q.id";

/// What moderators have decided about, by whichever way, is not mailed.
const DECIDED: &str = "DELETE FROM spamcheck._mail q
          WHERE EXISTS (SELECT FROM spamcheck.spam_checklog l WHERE l.submission_id = q.submission_id AND l._decision IS NOT NULL)
            AND NOT EXISTS (SELECT FROM spamcheck.spam_checklog l WHERE l.submission_id = q.submission_id AND l._decision IS NULL)";

/// A digest that came to nothing costs nobody a minute.
const NOTHING: &str = "UPDATE spamcheck._mailing m SET next_at = clock_timestamp(), claimed = NULL WHERE m.policy = convert_from($1, 'UTF8')";

/// The policy whose rows wait longest, of those that may be mailed now. Rows that some recipient has had
/// already go in a digest of their own, and so do those of a mail that a server may have. The minute begins
/// with the try, so that a crash does not cut it short.
const CLAIM: &str =
    "WITH due AS MATERIALIZED (
         SELECT p.name, p.mail_to, f.recipients, CASE WHEN a.id IS NOT NULL THEN m.claimed END AS again
           FROM spamcheck.policy p
           LEFT JOIN spamcheck._mailing m ON m.policy = p.name
          CROSS JOIN LATERAL (SELECT min(q.id) AS id FROM spamcheck._mail q
                               WHERE q.policy = p.name AND q.id IN (SELECT unnest(m.claimed))) a
          CROSS JOIN LATERAL (SELECT q.id, q.recipients FROM spamcheck._mail q
                               WHERE q.policy = p.name AND q.id = coalesce(a.id, q.id) ORDER BY q.id LIMIT 1) f
          WHERE cardinality(p.mail_to) > 0 AND coalesce(m.next_at <= clock_timestamp(), true)
          ORDER BY f.id LIMIT 1),
     rows AS MATERIALIZED (
         SELECT q.* FROM due d
           JOIN spamcheck._mail q ON q.policy = d.name AND q.recipients IS NOT DISTINCT FROM d.recipients
                                 AND (d.again IS NULL OR q.id IN (SELECT unnest(d.again)))
          ORDER BY q.id LIMIT 2000),
     taken AS (
         INSERT INTO spamcheck._mailing AS m (policy, next_at, claimed)
         SELECT d.name, clock_timestamp() + interval '1 minute', coalesce(d.again, (SELECT array_agg(r.id) FROM rows r)) FROM due d
         ON CONFLICT (policy) DO UPDATE SET next_at = excluded.next_at, claimed = excluded.claimed
         RETURNING m.policy, m.without_texts, m.claimed)
     SELECT convert_to(jsonb_build_object('policy', d.name, 'database', current_database(), 'mail_to', d.mail_to,
                'recipients', d.recipients, 'without_texts', t.without_texts,
                'first', (SELECT min(c) FROM unnest(t.claimed) c), 'last', (SELECT max(c) FROM unnest(t.claimed) c),
                'system', (SELECT s.system_identifier::text FROM pg_control_system() s),
                'rows', (SELECT jsonb_agg(jsonb_build_object('id', r.id, 'relation', r.relation,
                                    'protection', (SELECT p.id FROM spamcheck._protected_relation p
                                                     JOIN pg_class c ON c.oid = p.relation JOIN pg_namespace s ON s.oid = c.relnamespace
                                                    WHERE quote_ident(s.nspname) || '.' || quote_ident(c.relname) = r.relation LIMIT 1),
                                    -- The log follows rows that get another key.
                                    'row_key', coalesce((SELECT l.row_key FROM spamcheck.spam_checklog l
                                                          WHERE l.submission_id = r.submission_id AND l.row_key IS NOT NULL LIMIT 1), r.row_key),
                                    'at', (extract(epoch FROM r.queued_at) * 1000000)::bigint,
                                    'author', r.author, 'excerpt', r.excerpt, 'why', r.why) ORDER BY r.id)
                           FROM rows r))::text, 'UTF8')
       FROM due d JOIN taken t ON t.policy = d.name";

fn claim() -> Option<Due> {
    for statement in [UNWANTED, EARLIER, DECIDED] {
        spi::write(statement, &[]);
    }
    let text = spi::write_returning(CLAIM, &[]).into_iter().next().flatten()?;
    match serde_json::from_str::<Due>(&text) {
        Ok(mut due) => {
            // Whoever is no longer named gets nothing.
            if let Some(recipients) = &mut due.recipients {
                recipients.retain(|to| due.mail_to.contains(to));
                if recipients.is_empty() {
                    let ids: Vec<i64> = due.rows.iter().map(|row| row.id).collect();
                    spi::write(SENT, &[Arg::Text(&json!(ids).to_string())]);
                    spi::write(NOTHING, &[Arg::Text(&due.policy)]);
                    return None;
                }
            }
            leave_out(&mut due);
            if due.rows.is_empty() {
                spi::write(NOTHING, &[Arg::Text(&due.policy)]);
                return None;
            }
            Some(due)
        }
        Err(error) => pgrx::error!("pg_spamcheck could not understand its own queue: {error}"),
    }
}

/// Rows that are gone by now, or have another status, need no moderator.
fn leave_out(due: &mut Due) {
    let mut by_table: BTreeMap<i32, Vec<&Row>> = BTreeMap::new();
    for row in &due.rows {
        if let (Some(protection), Json::Object(_)) = (row.protection, &row.waiting.row_key) {
            by_table.entry(protection).or_default().push(row);
        }
    }
    let mut moot = Vec::new();
    for (protection, rows) in by_table {
        let keys: Vec<&Json> = rows.iter().map(|row| &row.waiting.row_key).collect();
        let waits_no_longer = settle::wait_no_longer(protection, &keys);
        moot.extend(rows.iter().zip(waits_no_longer).filter(|(_, moot)| *moot).map(|(r, _)| r.id));
    }
    if !moot.is_empty() {
        spi::write(SENT, &[Arg::Text(&json!(moot).to_string())]);
        due.rows.retain(|row| !moot.contains(&row.id));
    }
}

/// Seconds until a digest is due; None: nothing waits.
fn next_due() -> Option<f64> {
    spi::json_now::<Option<f64>>(
        "SELECT convert_to(coalesce(extract(epoch FROM min(coalesce(m.next_at, clock_timestamp())) - clock_timestamp())::text, 'null'), 'UTF8')
           FROM spamcheck.policy p LEFT JOIN spamcheck._mailing m ON m.policy = p.name
          WHERE cardinality(p.mail_to) > 0 AND EXISTS (SELECT FROM spamcheck._mail q WHERE q.policy = p.name)",
        &[],
    )
    .flatten()
}

/// Something changed that may help: what failed need not wait.
fn try_again() {
    rights::as_extension(|| {
        spi::write(
            "UPDATE spamcheck._mailing SET next_at = clock_timestamp() WHERE failures > 0",
            &[],
        )
    });
}
