//! What waits for the worker: lookups and mail.

use serde_json::Value as Json;

use super::{Item, bad, ok};
use crate::{rights, settings, spi};

pub fn queue() -> Item {
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

pub fn mail() -> Item {
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
