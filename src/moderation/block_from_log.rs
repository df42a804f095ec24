//! block_from_log(): Serendipity's wrench. What a log entry has of its sender goes to the list that blocks
//! such. Owns which list that is, by the policy's own settings, and the form of the entry: exactly that
//! name, address or host, whatever characters it has.

use std::panic::AssertUnwindSafe;

use pgrx::datum::Interval;
use pgrx::{IntoDatum, PgSqlErrorCode, pg_sys};
use serde_json::Value as Json;
use spamcheck_engine::lists::ListKind;
use spamcheck_engine::{Refusal, hosts, pattern};

use super::findings::Finding;
use crate::report;
use crate::rights;
use crate::spi::{self, Arg};
use crate::subtransaction;

/// What can be blocked: the word for it, the checks that look at it with the option that names their
/// lists, and the list where none of them runs.
struct Blockable {
    what: &'static str,
    checks: &'static [(&'static str, &'static str)],
    list: &'static str,
    kind: ListKind,
}

const BLOCKABLE: [Blockable; 5] = [
    Blockable {
        what: "author",
        checks: &[("wordfilter", "author")],
        list: "author_filter",
        kind: ListKind::Regex,
    },
    Blockable {
        what: "url",
        checks: &[("wordfilter", "url")],
        list: "url_filter",
        kind: ListKind::Regex,
    },
    Blockable {
        what: "email",
        checks: &[("email_pattern", "lists"), ("wordfilter", "email")],
        list: "email_block",
        kind: ListKind::Regex,
    },
    Blockable {
        what: "ip",
        checks: &[("ip_block", "lists")],
        list: "ip_block",
        kind: ListKind::Ip,
    },
    Blockable {
        what: "domain",
        checks: &[("url_blocklist", "lists")],
        list: "url_block",
        kind: ListKind::Domain,
    },
];

/// Adds the entry; `list: entry`, as it is there now.
pub fn block_from_log(log_id: i64, what: &str, expires_in: Option<Interval>) -> String {
    let Some(blockable) = BLOCKABLE.iter().find(|one| one.what == what) else {
        report::refuse_value(
            Refusal::new(format!("{} is nothing that can be blocked", Refusal::quote(what)))
                .with_hint("It is author, url, email, ip or domain."),
        )
    };
    let finding = super::finding(log_id);
    let Some(entry) = entry(what, &finding) else {
        report::refuse(
            PgSqlErrorCode::ERRCODE_NO_DATA_FOUND,
            Refusal::new(format!("log entry {log_id} has no {what}")).with_hint(match what {
                "domain" => "The domain is that of the author's homepage, in column url.",
                _ => "See the entry in spamcheck.recent.",
            }),
        )
    };
    let (list, runs) = list(blockable, &finding.policy);
    if !runs {
        report::notice(&format!(
            "no enabled check of policy \"{}\" looks at list \"{list}\": enable check {} for it to count",
            finding.policy, blockable.checks[0].0
        ));
    }
    add(&list, blockable.kind, &entry, &format!("from log entry {log_id}"), expires_in);
    format!("{list}: {entry}")
}

/// Checks do not look at the blanks around either.
fn given(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The author's homepage; of several, as an array has them, the one that was found to be bad.
fn address(finding: &Finding) -> Option<String> {
    let all = given(&finding.url)?;
    if !all.contains('\n') {
        return Some(all);
    }
    let host = finding.detail.as_ref().and_then(|detail| detail["host"].as_str());
    let hit = all.lines().find(|line| host.is_some() && hosts::of_url(line).as_deref() == host);
    match hit {
        Some(line) => Some(line.trim().to_owned()),
        None => report::refuse_value(
            Refusal::new(format!("log entry {} has several addresses", finding.id))
                .with_detail(format!("They are {}.", all.lines().collect::<Vec<_>>().join(", ")))
                .with_hint("INSERT the right one INTO spamcheck.list_entry yourself."),
        ),
    }
}

fn entry(what: &str, finding: &Finding) -> Option<String> {
    match what {
        "author" => given(&finding.author).map(|text| pattern::exactly(&text)),
        "url" => address(finding).map(|text| pattern::exactly(&text)),
        "email" => given(&finding.email).map(|text| pattern::exactly(&text)),
        "ip" => given(&finding.ip),
        _ => {
            // What has no full stop, as in `javascript:…`, leads nowhere on the web.
            let host = hosts::of_url(&address(finding)?)?;
            host.contains('.').then(|| site(&host).to_owned())
        }
    }
}

/// An entry stands for what ends in it: without the `www.` it is the site. Unless what is left is where a
/// country registers everybody's sites, as `co.uk`, of which these are the names.
fn site(host: &str) -> &str {
    const REGISTRIES: [&str; 16] = [
        "ac", "co", "com", "edu", "firm", "gen", "go", "gob", "gov", "ltd", "me", "ne", "net",
        "or", "org", "plc",
    ];
    let Some(rest) = host.strip_prefix("www.") else { return host };
    match rest.split_once('.') {
        None => host,
        Some((name, country)) if country.len() == 2 && REGISTRIES.contains(&name) => host,
        Some(_) => rest,
    }
}

/// The first list that an enabled check of the policy looks at, and whether there is any.
fn list(blockable: &Blockable, policy: &str) -> (String, bool) {
    for (check, option) in blockable.checks {
        let lists: Option<Json> = rights::as_extension(|| {
            spi::json_now(
                "SELECT convert_to(coalesce(s.options -> convert_from($3, 'UTF8'), o -> 'default')::text, 'UTF8')
                   FROM spamcheck.check_setting s, jsonb_array_elements(spamcheck._catalogue()) c,
                        jsonb_array_elements(c -> 'options') o
                  WHERE s.policy = convert_from($1, 'UTF8') AND s.check_name = convert_from($2, 'UTF8') AND s.enabled
                    AND c ->> 'name' = s.check_name AND o ->> 'name' = convert_from($3, 'UTF8')",
                &[Arg::Text(policy), Arg::Text(check), Arg::Text(option)],
            )
        });
        let first = lists.as_ref().and_then(|lists| lists[0].as_str().map(str::to_owned));
        if let Some(first) = first {
            return (first, true);
        }
    }
    (blockable.list.to_owned(), false)
}

/// Again with another time, the entry stays as long as the longer of the two says.
fn add(list: &str, kind: ListKind, entry: &str, note: &str, expires_in: Option<Interval>) {
    // Before the user changes: the one whose entry it is.
    let added_by = rights::session_user();
    let expires = expires_in.map(|interval| {
        // SAFETY: an interval by its own output function, which gives a C string.
        let text = unsafe {
            pgrx::direct_function_call_as_datum(pg_sys::interval_out, &[interval.into_datum()])
                .map(|c| std::ffi::CStr::from_ptr(c.cast_mut_ptr()).to_string_lossy().into_owned())
        };
        text.unwrap_or_default()
    });
    let expires = expires.unwrap_or_default();
    if !expires.is_empty() {
        must_be_ahead(&expires);
    }
    rights::as_extension(|| {
        spi::write_returning(
            "INSERT INTO spamcheck.list (name, kind) SELECT convert_from($1, 'UTF8'), convert_from($2, 'UTF8')
              WHERE NOT EXISTS (SELECT FROM spamcheck.list l WHERE l.name = convert_from($1, 'UTF8'))
             RETURNING NULL::bytea",
            &[Arg::Text(list), Arg::Text(kind.name())],
        );
        spi::write_returning(
            "INSERT INTO spamcheck.list_entry AS e (list, value, note, expires_at, added_by)
             VALUES (convert_from($1, 'UTF8'), convert_from($2, 'UTF8'), convert_from($3, 'UTF8'),
                     now() + nullif(convert_from($4, 'UTF8'), '')::interval, convert_from($5, 'UTF8')::name)
             ON CONFLICT (list, value) DO UPDATE
                SET expires_at = CASE WHEN excluded.expires_at IS NULL THEN NULL ELSE greatest(e.expires_at, excluded.expires_at) END,
                    note = excluded.note, added_by = excluded.added_by, added_at = excluded.added_at
              WHERE e.expires_at IS NOT NULL AND (excluded.expires_at IS NULL OR excluded.expires_at > e.expires_at)
             RETURNING NULL::bytea",
            &[
                Arg::Text(list),
                Arg::Text(entry),
                Arg::Text(note),
                Arg::Text(&expires),
                Arg::Text(&added_by),
            ],
        );
    });
}

/// An entry that has expired already blocks nobody.
fn must_be_ahead(expires_in: &str) {
    let ahead = subtransaction::attempt(AssertUnwindSafe(|| {
        rights::as_extension(|| {
            spi::json_now::<bool>(
                "SELECT convert_to((now() + convert_from($1, 'UTF8')::interval > now())::text, 'UTF8')",
                &[Arg::Text(expires_in)],
            )
        })
    }));
    let refusal = match ahead {
        Ok(Some(true)) => return,
        Ok(_) => Refusal::new(format!(
            "expires_in is {}, so the entry would have expired already",
            Refusal::quote(expires_in)
        )),
        Err(failure) => Refusal::new(format!(
            "expires_in is {}, which no entry can last: {}",
            Refusal::quote(expires_in),
            failure.message
        )),
    };
    report::refuse_value(
        refusal.with_hint(
            "Give the time for which the entry is to count, as '7 days', or NULL for good.",
        ),
    )
}
