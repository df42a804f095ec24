//! Whether the enabled checks can be made, and the lists that they name fetched.

use pgrx::pg_sys;
use serde::Deserialize;

use super::{Item, bad, ok};
use crate::{custom, references, rights, rulebook, spi};

pub fn checks() -> Item {
    let policies = rights::as_extension(|| {
        spi::texts_now(
            "SELECT convert_to(p.name, 'UTF8') FROM spamcheck.policy p ORDER BY p.name",
            &[],
        )
    });
    let mut failing: Vec<String> = policies
        .into_iter()
        .flatten()
        .flat_map(|name| match rulebook::attempt_policy(&name) {
            Ok(None) => Vec::new(),
            Ok(Some(policy)) => {
                let failing = policy.checks().filter_map(|c| Some((c.name, c.failure()?)));
                let told = |(check, why)| format!("{check} of policy \"{name}\": {why}");
                failing.map(told).collect()
            }
            Err(why) => vec![format!("all of them, since policy \"{name}\" cannot be read: {why}")],
        })
        .collect();
    failing.extend(functions());
    if failing.is_empty() {
        let missing = references::missing_settings();
        return if missing.is_empty() {
            ok("checks", "every enabled check can be made")
        } else {
            bad("checks", "warning", missing.join("; "), references::MAKE_SETTINGS)
        };
    }
    bad(
        "checks",
        "error",
        format!("these checks fail on every submission: {}", failing.join("; ")),
        "Correct spamcheck.check_setting, or make the list in spamcheck.list, or the function.",
    )
}

/// An enabled check `custom`, with a table that its policy protects, if there is one.
#[derive(Deserialize)]
struct Custom {
    policy: String,
    function: String,
    root: Option<u32>,
    relation: Option<String>,
}

/// The functions of enabled checks `custom` that cannot be called.
fn functions() -> Vec<String> {
    let all: Vec<Custom> = rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.policy, q.relation), '[]')::text, 'UTF8')
               FROM (SELECT c.policy, c.options ->> 'function' AS function, t.root, t.relation
                       FROM spamcheck.check_setting c
                       LEFT JOIN (SELECT p.policy, r.relation::bigint AS root, r.relation::regclass::text AS relation
                                    FROM spamcheck._protection p JOIN spamcheck._protected_relation r ON r.id = p.id) t
                         ON t.policy = c.policy
                      WHERE c.check_name = 'custom' AND c.enabled AND c.options ->> 'function' IS NOT NULL) q",
            &[],
        )
    })
    .unwrap_or_default();
    let mut told: Vec<String> = Vec::new();
    for one in all {
        let table = one.root.map(pg_sys::Oid::from).zip(one.relation.as_deref());
        if let Some(why) = custom::hindrance(&one.function, table) {
            let text = format!("custom of policy \"{}\": {why}", one.policy);
            if !told.contains(&text) {
                told.push(text);
            }
        }
    }
    told
}

pub fn lists() -> Item {
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
            format!("lists are not as their sources have them: {}", faults.join("; ")),
            "See last_error in spamcheck.list; UPDATE spamcheck.list SET refreshed_at = NULL for a list to have it fetched at once.",
        ),
    }
}
