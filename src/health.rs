//! health() and the worker's counters: what works, what does not, and what to do about it. Reads only
//! shared memory and our own tables, and never a secret.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pgrx::{JsonB, pg_sys, prelude::*};
use serde_json::{Value as Json, json};
use spamcheck_engine::captcha::Provider;

use crate::account;
use crate::captcha;
use crate::logfile;
use crate::rate;
use crate::rights;
use crate::row::{self, EPOCH_OFFSET};
use crate::rulebook;
use crate::secrets;
use crate::settings;
use crate::shared::{self, Database, Lane, Refused, Service};
use crate::spi::{self, Arg};
use crate::worker::siteverify;

struct Item {
    item: &'static str,
    state: &'static str,
    message: String,
    hint: Option<String>,
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn health() -> TableIterator<
    'static,
    (
        name!(item, Vec<u8>),
        name!(state, Vec<u8>),
        name!(message, Vec<u8>),
        name!(hint, Option<Vec<u8>>),
    ),
> {
    let mut items = vec![preload()];
    if let Some(shared) = shared::shared() {
        // SAFETY: a static that is set for the life of the backend.
        let entry = shared.database(unsafe { pg_sys::MyDatabaseId });
        items.push(worker(entry));
        items.extend(akismet(entry));
        items.push(captchas(entry));
        items.push(rejections(entry));
        items.push(senders());
        items.push(addresses(entry));
        items.push(log_file(entry));
    }
    items.push(queue());
    items.push(mail());
    items.push(checks());
    items.push(lists());
    items.push(tables());
    // Names of tables and policies are in it: in the database's encoding.
    let text = |text: &str| row::to_server(&row::fitting(text)).into_bytes();
    let rows = items
        .into_iter()
        .map(move |i| (text(i.item), text(i.state), text(&i.message), i.hint.as_deref().map(text)));
    TableIterator::new(rows.collect::<Vec<_>>())
}

fn ok(item: &'static str, message: impl Into<String>) -> Item {
    Item { item, state: "ok", message: message.into(), hint: None }
}

fn bad(
    item: &'static str,
    state: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Item {
    Item { item, state, message: message.into(), hint: Some(hint.into()) }
}

fn preload() -> Item {
    if shared::shared().is_some() {
        ok("preload", "pg_spamcheck is in shared_preload_libraries")
    } else {
        bad(
            "preload",
            "error",
            "pg_spamcheck is not in shared_preload_libraries: nothing is judged",
            format!("Add {} to postgresql.conf and restart the server.", settings::PRELOAD_LINE),
        )
    }
}

fn senders() -> Item {
    match rate::displaced() {
        0 => ok("rate_limit", "the table of senders has room for all that count"),
        displaced => bad(
            "rate_limit",
            "warning",
            format!(
                "the table of senders was full: {displaced} were forgotten while they still counted"
            ),
            "Raise pg_spamcheck.rate_limit_entries; it takes effect when the server starts.",
        ),
    }
}

fn addresses(entry: Option<&Database>) -> Item {
    let count = entry.map_or(0, |e| e.unreadable_ips.load(Ordering::Relaxed));
    if count == 0 {
        return ok("addresses", "every ip that was given since the server started is an address");
    }
    let table = entry.map_or(0, |e| e.unreadable_ip_in.load(Ordering::Relaxed));
    let table = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to(format('%I.%I', n.nspname, c.relname), 'UTF8')
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[Arg::Oid(table.into())],
        )
    });
    let latest = table.map_or_else(String::new, |table| format!(", the latest in {table}"));
    let submissions = if count == 1 { "1 submission" } else { &format!("{count} submissions") };
    bad(
        "addresses",
        "warning",
        format!(
            "{submissions} since the server started had an ip that is no address{latest}: to rate_limit, ip_allow, \
             ip_block, ip_interval and Akismet they have none"
        ),
        "Store one address, such as 192.0.2.1, 192.0.2.1:8080 or 2001:db8::1. Of the header X-Forwarded-For that is the \
         entry that your own proxy added, the last one mostly; the others are the visitor's own words. \
         SELECT detail -> 'notes' FROM spamcheck.explain('a_table', '{\"ip\": \"…\"}') tells how a text is read.",
    )
}

fn worker(entry: Option<&Database>) -> Item {
    // SAFETY: plain call.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return ok("worker", "this server is a standby; the worker starts when it is promoted");
    }
    if let Some(pid) = entry.map(|e| e.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0) {
        return ok("worker", format!("runs with process id {pid}"));
    }
    let none =
        "no pg_spamcheck worker runs in this database: no lookups, and rejections are not logged";
    let most = settings::max_workers();
    match entry.map_or(Refused::No, |e| Refused::of(e.refused.load(Ordering::Acquire))) {
        Refused::No => bad(
            "worker",
            "error",
            none,
            "It starts within a second or two. If it does not, see the server's log.",
        ),
        Refused::MaxWorkers => bad(
            "worker",
            "error",
            format!("{none}. Other databases have all {most} that pg_spamcheck.max_workers allows"),
            format!(
                "Set pg_spamcheck.max_workers to the number of databases with the extension (it is {most}), max_worker_processes to have room for that, and restart the server."
            ),
        ),
        Refused::MaxWorkerProcesses => bad(
            "worker",
            "error",
            format!("{none}. The server has no free one of its max_worker_processes"),
            "Raise max_worker_processes by the number of databases with the extension and one more for the launcher, and restart the server.",
        ),
    }
}

/// What the worker may take to tell what it knows.
const PATIENCE: Duration = Duration::from_millis(500);

/// The lane, and what Akismet has to say about the account.
fn akismet(entry: Option<&Database>) -> Vec<Item> {
    let lane = entry.map_or(Lane::Open, |e| e.lane());
    let alert = entry.map_or(0, |e| e.alert.load(Ordering::Acquire));
    let told = if lane == Lane::Open && alert == 0 {
        Json::Null
    } else {
        let question = json!({ "about": "lane" });
        account::try_ask(&question, PATIENCE, Duration::ZERO).unwrap_or_default()
    };
    let mut items = vec![requests(lane, told["reason"].as_str().unwrap_or_default())];
    if alert != 0 {
        items.push(notice(alert, &told["notice"]));
    }
    items
}

/// What Akismet has to say about the account.
fn notice(alert: u32, told: &Json) -> Item {
    let number = told["code"].as_str().map_or_else(|| alert.to_string(), str::to_owned);
    let message = told["message"].as_str().unwrap_or("the worker is too busy to say what");
    let state = if told["degraded"] == false { "warning" } else { "error" };
    let hint = match number.parse::<u32>() {
        Ok(number) => format!("See https://akismet.com/errors/{number} and the account's page."),
        Err(_) => "See the account's page at akismet.com.".to_owned(),
    };
    let hint = format!("{hint} SELECT spamcheck.akismet_usage() says how many calls were made.");
    bad("akismet_account", state, format!("Akismet says {number}: {message}"), hint)
}

fn requests(lane: Lane, reason: &str) -> Item {
    let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let asked = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck.check_setting s WHERE s.check_name = 'akismet' AND s.enabled LIMIT 1",
            &[],
        )
    });
    if asked.is_none() {
        return ok("akismet", "no policy asks Akismet");
    }
    let secrets = "Put {\"akismet\": \"KEY\"} into a file of mode 0600 that belongs to the server's user and name it in pg_spamcheck.secrets_file.";
    match lane {
        Lane::Open => ok("akismet", "nothing stands against lookups"),
        Lane::NoKey => bad("akismet", "error", "there is no key: lookups wait", secrets),
        Lane::BadSecrets => bad(
            "akismet",
            "error",
            format!("the secrets file cannot be used: lookups wait{why}"),
            secrets,
        ),
        Lane::InvalidKey => bad(
            "akismet",
            "error",
            format!("Akismet does not accept the key or the site: lookups wait{why}"),
            "Correct the key in the secrets file, which the worker reads again by itself, or option blog of check akismet. SELECT spamcheck.akismet_verify_key() tries at once.",
        ),
        Lane::Down => bad(
            "akismet",
            "warning",
            format!("Akismet does not answer as it should: lookups wait and are tried again{why}"),
            "See last_error in spamcheck.lookup; check pg_spamcheck.akismet_url and the network.",
        ),
    }
}

fn captchas(entry: Option<&Database>) -> Item {
    let providers: Vec<String> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT coalesce(s.options ->> 'provider', 'altcha')), '[]')::text, 'UTF8')
               FROM spamcheck.check_setting s WHERE s.check_name = 'captcha' AND s.enabled",
            &[],
        )
    })
    .unwrap_or_default();
    if providers.is_empty() {
        return ok("captcha", "no policy asks for captchas");
    }
    let faults: Vec<_> = providers.iter().filter_map(|name| captcha_fault(name, entry)).collect();
    let worst = faults.iter().find(|fault| fault.state == "error").or(faults.first());
    match worst {
        None => ok("captcha", format!("answers can be verified: {}", providers.join(", "))),
        Some(fault) => {
            let all: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
            let hint = fault.hint.clone().unwrap_or_default();
            bad("captcha", fault.state, all.join("; "), hint)
        }
    }
}

/// What stands against a captcha's provider.
fn captcha_fault(name: &str, entry: Option<&Database>) -> Option<Item> {
    let provider = Provider::from_name(name)?;
    let missing = |why: &str| {
        bad(
            "captcha",
            "error",
            why,
            format!(
                "Put {{\"{name}\": \"SECRET\"}} into a file of mode 0600 that belongs to the server's user and name it in pg_spamcheck.secrets_file."
            ),
        )
    };
    if provider == Provider::Altcha {
        return captcha::altcha_key().err().map(|why| {
            missing(&format!("altcha: {why}; on_error of the policy decides about submissions"))
        });
    }
    if !provider.is_service() {
        return None;
    }
    match secrets::secret(name) {
        Ok(Some(_)) => {}
        Ok(None) => {
            return Some(missing(&format!(
                "{name}: the secrets file has no secret for it; submissions are moderated"
            )));
        }
        Err(fault) => {
            return Some(missing(&format!(
                "{name}: the secrets file cannot be used ({}); submissions are moderated",
                fault.trim_end_matches('.')
            )));
        }
    }
    let place = siteverify::place(provider);
    match entry.map_or(Service::Fine, |e| Service::of(e.services[place].load(Ordering::Acquire))) {
        Service::Fine => None,
        Service::Refuses => Some(bad(
            "captcha",
            "error",
            format!("{name} does not accept our secret; submissions are moderated"),
            "Correct it in the secrets file; the server's log has the code that the service gave.",
        )),
        Service::Down => Some(bad(
            "captcha",
            "warning",
            format!("{name} does not answer as it should; submissions are moderated"),
            format!("The server's log says why; check pg_spamcheck.{name}_url and the network."),
        )),
    }
}

fn rejections(entry: Option<&Database>) -> Item {
    match entry.map_or(0, |e| e.unlogged.load(Ordering::Relaxed)) {
        0 => ok("rejections", "all rejections since the server started are in the log"),
        n => bad(
            "rejections",
            "warning",
            format!("{n} rejections since the server started could not be logged"),
            "The server's log names each; see the worker's state, and pg_spamcheck.mailbox_slots.",
        ),
    }
}

fn log_file(entry: Option<&Database>) -> Item {
    let wanted = rights::as_extension(|| {
        spi::text_now(
            "SELECT convert_to('yes', 'UTF8') FROM spamcheck.policy p WHERE p.log_to <> 'table' LIMIT 1",
            &[],
        )
    });
    let unfiled = entry.map_or(0, |e| e.unfiled.load(Ordering::Relaxed));
    let fault = wanted.as_ref().and_then(|_| logfile::fault());
    match (wanted, fault) {
        (_, Some(why)) => bad(
            "log_file",
            "error",
            format!("the log file cannot be written: {why}; findings are logged in the table"),
            "Set pg_spamcheck.log_file to a file in a folder where the server's user may write.",
        ),
        _ if unfiled > 0 => bad(
            "log_file",
            "warning",
            format!(
                "{unfiled} findings since the server started could not be written to the log file"
            ),
            "The server's log says why: a full disk, a prepared transaction, or a very large one.",
        ),
        (None, None) => ok("log_file", "no policy logs to a file"),
        (Some(_), None) => ok("log_file", "the log file can be written"),
    }
}

fn queue() -> Item {
    let counts: Json = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(jsonb_build_object(
                        'waiting', coalesce(sum(c.n) FILTER (WHERE c.state IN ('queued', 'running')), 0),
                        'stuck', string_agg(format('%s %s of kind %s', c.n, c.state, c.kind), ', ' ORDER BY c.state DESC, c.kind)
                                 FILTER (WHERE c.state IN ('failed', 'expired')))::text, 'UTF8')
               FROM (SELECT l.state, l.kind, count(*) AS n FROM spamcheck.lookup l GROUP BY l.state, l.kind) c",
            &[],
        )
    })
    .unwrap_or_default();
    match (&counts["waiting"], counts["stuck"].as_str()) {
        (waiting, None) => ok("lookups", format!("{waiting} waiting, none failed")),
        (waiting, Some(stuck)) => bad(
            "lookups",
            "warning",
            format!("{waiting} waiting, {stuck}"),
            "See last_error in spamcheck.lookup; SELECT spamcheck.retry_lookups() tries them again.",
        ),
    }
}

fn mail() -> Item {
    let facts: Json = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(jsonb_build_object(
                        'wanted', EXISTS (SELECT FROM spamcheck.policy p WHERE cardinality(p.mail_to) > 0),
                        'waiting', (SELECT count(*) FROM spamcheck._mail),
                        'error', (SELECT m.last_error FROM spamcheck._mailing m WHERE m.last_error IS NOT NULL LIMIT 1))::text, 'UTF8')",
            &[],
        )
    })
    .unwrap_or_default();
    let waiting = facts["waiting"].as_i64().unwrap_or(0);
    match (facts["wanted"] == true, facts["error"].as_str()) {
        (false, _) => ok("mail", "no policy mails moderators"),
        (true, _) if settings::network().smtp_url.is_none() => bad(
            "mail",
            "error",
            format!("pg_spamcheck.smtp_url is not set: {waiting} moderated rows wait to be mailed"),
            "Set it in postgresql.conf, such as smtps://mail.example.com, and reload.",
        ),
        (true, Some(error)) => bad(
            "mail",
            "warning",
            format!("{waiting} moderated rows wait to be mailed: {error}"),
            "Mail is tried again by itself. See pg_spamcheck.smtp_url, smtp_user and smtp_password in the secrets file, and mail_to of the policy.",
        ),
        (true, None) => ok("mail", format!("{waiting} moderated rows wait to be mailed")),
    }
}

fn checks() -> Item {
    let policies = rights::as_extension(|| {
        spi::texts_now(
            "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p ORDER BY p.name",
            &[],
        )
    });
    let failing: Vec<String> = policies
        .into_iter()
        .flatten()
        .filter_map(|name| Some((rulebook::policy(&name)?, name)))
        .flat_map(|(policy, name)| {
            let failing = policy.checks().filter_map(|c| Some((c.name, c.failure()?)));
            let told = |(check, why)| format!("{check} of policy \"{name}\": {why}");
            failing.map(told).collect::<Vec<_>>()
        })
        .collect();
    if failing.is_empty() {
        return ok("checks", "every enabled check can be made");
    }
    bad(
        "checks",
        "error",
        format!("these checks fail on every submission: {}", failing.join("; ")),
        "Correct spamcheck.check_setting or make the list in spamcheck.list.",
    )
}

fn lists() -> Item {
    let (fetched, faults): (i64, Vec<String>) = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(jsonb_build_array(count(*), coalesce(jsonb_agg(format('\"%s\": %s', l.name, l.last_error) ORDER BY l.name)
                        FILTER (WHERE l.last_error IS NOT NULL), '[]'))::text, 'UTF8')
               FROM spamcheck.list l WHERE l.source_url IS NOT NULL",
            &[],
        )
    })
    .unwrap_or_default();
    match (fetched, faults.is_empty()) {
        (0, true) => ok("lists", "no list is fetched from anywhere"),
        (_, true) => ok("lists", "every list that is fetched is as its source has it"),
        (_, false) => bad(
            "lists",
            "warning",
            format!("lists keep what they have, since {}", faults.join("; ")),
            "See last_error in spamcheck.list; UPDATE spamcheck.list SET refreshed_at = NULL for a list to have it fetched at once.",
        ),
    }
}

/// Columns that a mapping names and that are gone.
pub fn missing_columns() -> Vec<String> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(format('%s of %s', quote_ident(c.name), r.relation::regclass)), '[]')::text, 'UTF8')
               FROM spamcheck._protection p
               JOIN spamcheck._protected_relation r ON r.id = p.id
              CROSS JOIN LATERAL (
                    SELECT p.status ->> 'column' AS name
                     UNION SELECT s.value #>> '{}' FROM jsonb_each(p.columns) s WHERE jsonb_typeof(s.value) = 'string'
                     UNION SELECT e.value #>> '{}' FROM jsonb_each(p.columns) s, jsonb_array_elements(CASE jsonb_typeof(s.value) WHEN 'array' THEN s.value ELSE '[]' END) e
                     UNION SELECT k.key FROM jsonb_each(p.status) s, jsonb_object_keys(CASE jsonb_typeof(s.value) WHEN 'object' THEN s.value ELSE '{}' END) k(key)) c
              WHERE c.name IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute a
                                 WHERE a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = c.name)",
            &[],
        )
    })
    .unwrap_or_default()
}

fn tables() -> Item {
    let missing = missing_columns();
    if !missing.is_empty() {
        return bad(
            "tables",
            "warning",
            format!("columns that a mapping names are gone: {}", missing.join(", ")),
            "Call spamcheck.protect() for the table again.",
        );
    }
    let orphans: Vec<String> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(g.relation::regclass::text), '[]')::text, 'UTF8')
               FROM spamcheck._guarded_relation g
              WHERE NOT EXISTS (SELECT FROM spamcheck.protected_table p WHERE p.relation = g.relation)",
            &[],
        )
    })
    .unwrap_or_default();
    if !orphans.is_empty() {
        return bad(
            "tables",
            "error",
            format!(
                "rows of {} go in unjudged: nothing is stored about their protection",
                orphans.join(", ")
            ),
            "Call spamcheck.protect() for the table again, or spamcheck.unprotect().",
        );
    }
    let (count, idle): (i64, Vec<String>) = rights::as_extension(|| {
        spi::json_now(
            "WITH guarded AS (
                 SELECT r.relation FROM spamcheck._protected_relation r
                  UNION SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = 'spamcheck._record()'::regprocedure
                  -- Partitions have triggers of their own, which may be switched off there.
                  UNION SELECT c.tgrelid FROM pg_trigger c WHERE c.tgfoid = 'spamcheck._guard()'::regprocedure)
             SELECT convert_to(jsonb_build_array((SELECT count(*) FROM spamcheck._protected_relation), coalesce(jsonb_agg(g.relation::regclass::text ORDER BY g.relation::regclass::text), '[]'))::text, 'UTF8')
               FROM guarded g
              WHERE (SELECT count(DISTINCT t.tgfoid) FROM pg_trigger t
                      WHERE t.tgrelid = g.relation AND t.tgenabled IN ('O', 'A')
                        AND t.tgfoid IN ('spamcheck._guard()'::regprocedure, 'spamcheck._record()'::regprocedure)) < 2",
            &[],
        )
    })
    .unwrap_or_default();
    if !idle.is_empty() {
        return bad(
            "tables",
            "error",
            format!("triggers of {} are missing or disabled", idle.join(", ")),
            "ALTER TABLE ... ENABLE TRIGGER ALL, or call spamcheck.protect() for the table again.",
        );
    }
    let unheard: Vec<String> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(DISTINCT s.srrelid::regclass::text), '[]')::text, 'UTF8')
               FROM pg_subscription_rel s JOIN pg_trigger t ON t.tgrelid = s.srrelid
              WHERE t.tgfoid = 'spamcheck._guard()'::regprocedure AND t.tgenabled = 'O'",
            &[],
        )
    })
    .unwrap_or_default();
    if !unheard.is_empty() {
        return bad(
            "tables",
            "warning",
            format!("rows of {} that a subscription brings are not judged", unheard.join(", ")),
            "Where they are to be: ALTER TABLE ... ENABLE ALWAYS TRIGGER zzzz_spamcheck_guard, and the same for zzzz_spamcheck_record.",
        );
    }
    match count {
        0 => bad(
            "tables",
            "warning",
            "no table is protected",
            "SELECT * FROM spamcheck.protect('comments');",
        ),
        1 => ok("tables", "1 table is protected"),
        n => ok("tables", format!("{n} tables are protected")),
    }
}

#[pg_extern(sql = false)]
fn worker_state() -> JsonB {
    // SAFETY: a static that is set for the life of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    let Some(entry) = shared::shared().and_then(|s| s.database(database)) else {
        return JsonB(json!([]));
    };
    let name = rights::as_extension(|| {
        spi::text_now("SELECT convert_to(current_database(), 'UTF8')", &[])
    });
    let pid = entry.pid.load(Ordering::Acquire);
    let started = entry.started_at.load(Ordering::Acquire);
    JsonB(json!([{
        "database": name,
        "pid": (pid != 0).then_some(pid),
        "started_at": (pid != 0).then(|| timestamp(started)),
        "akismet": match entry.lane() {
            Lane::Open => "open",
            Lane::NoKey => "no key",
            Lane::InvalidKey => "invalid key",
            Lane::Down => "down",
            Lane::BadSecrets => "bad secrets file",
        },
        "in_flight": entry.in_flight.load(Ordering::Relaxed),
        "answered": entry.answered.load(Ordering::Relaxed),
        "unanswered": entry.unanswered.load(Ordering::Relaxed),
        "applied": entry.applied.load(Ordering::Relaxed),
        "rejections_logged": entry.logged.load(Ordering::Relaxed),
        "rejections_unlogged": entry.unlogged.load(Ordering::Relaxed),
    }]))
}

/// Microseconds as the server counts, in ISO 8601.
fn timestamp(microseconds: i64) -> String {
    spamcheck_engine::time::iso(microseconds.saturating_add(EPOCH_OFFSET))
}
