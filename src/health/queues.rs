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
    let waiting = &counts["waiting"];
    let (mut message, mut hints) = (format!("{waiting} waiting"), Vec::new());
    let unasked = if *waiting == 0 { Vec::new() } else { unasked() };
    if !unasked.is_empty() {
        message += &format!(", of which {}", unasked.join(", "));
        hints.push(
            "Switch the check on (spamcheck.check_setting) or the policy (spamcheck.policy), or create the policy again; \
             or else free the rows with SELECT spamcheck.approve('a_table', 'key') and DELETE the lookups that nobody needs.",
        );
    }
    if *waiting != 0
        && let Some((number, why)) = unwritten()
    {
        message += &format!(", of which {number} are answered and cannot be written ({why})");
        hints.push("Mend what stands against the rows; they are tried again by themselves.");
    }
    match counts["stuck"].as_str() {
        None => message += ", none failed",
        Some(stuck) => {
            message += &format!(", {stuck}");
            hints.push(
                "See last_error in spamcheck.lookup; SELECT spamcheck.retry_lookups() tries them again.",
            );
        }
    }
    if hints.is_empty() {
        ok("lookups", message)
    } else {
        bad("lookups", "warning", message, hints.join(" "))
    }
}

/// Lookups whose answer stands against something in its table, and what that mostly is.
fn unwritten() -> Option<(i64, String)> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(json_build_array(count(*), mode() WITHIN GROUP (ORDER BY concat(l.relation, ': ', l.last_error)))::text, 'UTF8')
               FROM spamcheck.lookup l
              WHERE l.state = 'queued' AND l._answer IS NOT NULL AND l.last_error LIKE 'the verdict could not be written: %'
             HAVING count(*) > 0",
            &[],
        )
    })
}

/// Lookups that wait for a check which nobody makes now.
fn unasked() -> Vec<String> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(concat(u.n, ' for check ', u.check_name, ' of policy \"', u.policy, CASE WHEN u.there THEN '\", which is off' ELSE '\", which does not exist' END,
                               CASE WHEN u.held > 0 THEN ' (' || u.held || ' with a row that is held for it)' END)
                               ORDER BY u.policy, u.check_name), '[]')::text, 'UTF8')
               FROM (SELECT q.policy, q.check_name, p.name IS NOT NULL AS there, count(*) AS n, count(*) FILTER (WHERE q._held) AS held
                       FROM (SELECT l.policy, l._held,
                                    CASE WHEN l.kind IN ('submit_spam', 'submit_ham') THEN 'akismet' ELSE l.kind END AS check_name
                               FROM spamcheck.lookup l WHERE l.state IN ('queued', 'running')) q
                       LEFT JOIN spamcheck.policy p ON p.name = q.policy
                       LEFT JOIN spamcheck.check_setting s ON s.policy = q.policy AND s.check_name = q.check_name
                      WHERE s.enabled IS NOT TRUE OR p.mode = 'off'
                      GROUP BY q.policy, q.check_name, p.name) u",
            &[],
        )
    })
    .unwrap_or_default()
}

pub fn mail() -> Item {
    let facts: Json = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(jsonb_build_object(
                        'wanted', EXISTS (SELECT FROM spamcheck.policy p WHERE cardinality(p.mail_to) > 0),
                        'waiting', (SELECT count(*) FROM spamcheck._mail),
                        'error', (SELECT m.last_error FROM spamcheck._mailing m
                                   WHERE m.last_error IS NOT NULL
                                     AND (m.failures = 0 OR EXISTS (SELECT FROM spamcheck._mail q WHERE q.policy = m.policy))
                                   LIMIT 1))::text, 'UTF8')",
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
