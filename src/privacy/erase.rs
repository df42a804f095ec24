//! erase_subject(): a person's data goes out of everything that the extension keeps, and what is left is
//! counted again by the same conditions. Owns the list of those places. The protected tables are the app's;
//! the lists are what moderators decided to keep out; both are left alone, and the lists are told of.

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};
use spamcheck_engine::surroundings::TraceKind;

use crate::spi::{self, Arg};
use crate::{memory, rights, settings};

/// A place: what it is called, the table, and the condition on its rows `t`. `$1` is the address in lower
/// case or empty, `$2` the IP address or network or empty.
struct Place {
    name: &'static str,
    table: &'static str,
    condition: &'static str,
}

/// Fields of a submission that is kept as JSON. `{ips}` stands for the texts there that are the address.
const IN_SUBMISSION: &str = "(convert_from($1, 'UTF8') <> '' AND lower(btrim(t.submission ->> 'email')) = convert_from($1, 'UTF8')
     OR convert_from($2, 'UTF8') <> '' AND t.submission ->> 'ip' IN ({ips}))";

/// Columns of a row that has them.
const IN_COLUMNS: &str =
    "(convert_from($1, 'UTF8') <> '' AND lower(btrim(t.email)) = convert_from($1, 'UTF8')
     OR convert_from($2, 'UTF8') <> '' AND t.ip <<= nullif(convert_from($2, 'UTF8'), '')::inet)";

const PLACES: [Place; 5] = [
    Place {
        name: "log",
        table: "spam_checklog",
        // All findings on a submission have the same sender.
        condition: IN_COLUMNS,
    },
    Place { name: "lookups", table: "lookup", condition: IN_SUBMISSION },
    Place { name: "checked", table: "_checked", condition: IN_SUBMISSION },
    Place { name: "mail", table: "_mail", condition: IN_COLUMNS },
    Place {
        name: "history",
        table: "subscription_history",
        condition: "convert_from($1, 'UTF8') <> '' AND lower(t.subscriber) = convert_from($1, 'UTF8')",
    },
];

/// Erases a person's data: what was erased, what is left, and what stays.
pub fn subject(email: Option<&str>, ip: Option<&str>) -> Json {
    let args = [Arg::Text(email.unwrap_or_default()), Arg::Text(ip.unwrap_or_default())];
    rights::as_extension(|| {
        let (mut erased, mut left) = (Map::new(), Map::new());
        let traces = traces(email, ip);
        let network = ip.and_then(Network::read);
        erased.insert("memory".into(), json!(forget(&traces)));
        for place in &PLACES {
            let Some(condition) = condition(place, network) else { continue };
            let statement = format!("DELETE FROM spamcheck.{} t WHERE {condition}", place.table);
            erased.insert(place.name.into(), json!(spi::write(&statement, &args)));
        }
        for place in &PLACES {
            let Some(condition) = condition(place, network) else { continue };
            let query = format!(
                "SELECT convert_to(count(*)::text, 'UTF8') FROM spamcheck.{} t WHERE {condition}",
                place.table
            );
            left.insert(place.name.into(), json!(spi::json_once::<i64>(&query, &args)));
        }
        left.insert("memory".into(), json!(remembered(&traces)));
        json!({ "erased": erased, "left": left, "stays": {
            "list_entries": listed(&args),
            "log_file": settings::log_file().is_some(),
        }})
    })
}

/// The condition on a place's rows; None: there is no such table in this version.
fn condition(place: &Place, network: Option<Network>) -> Option<String> {
    let name = std::ffi::CString::new(place.table).ok()?;
    if rights::own_relation(&name) == pgrx::pg_sys::Oid::INVALID {
        return None;
    }
    if !place.condition.contains("{ips}") {
        return Some(place.condition.to_owned());
    }
    // What is there may be no address at all, and a cast would fail.
    let texts: Vec<String> = spi::json_once(
        &format!(
            "SELECT convert_to(coalesce(json_agg(DISTINCT t.submission ->> 'ip'), '[]')::text, 'UTF8')
               FROM spamcheck.{} t WHERE t.submission ->> 'ip' IS NOT NULL",
            place.table
        ),
        &[],
    )
    .unwrap_or_default();
    let theirs = texts.iter().filter(|text| network.is_some_and(|network| network.has(text)));
    let theirs: Vec<String> = theirs
        .map(|text| format!("'{}'", text.replace('\'', "''").replace('\\', "\\\\")))
        .collect();
    let theirs =
        if theirs.is_empty() { "NULL".to_owned() } else { format!("E{}", theirs.join(", E")) };
    Some(place.condition.replace("{ips}", &theirs))
}

/// An address, or all that begin like it.
#[derive(Clone, Copy)]
struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    fn read(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let first: IpAddr = address.trim().parse().ok()?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        Some(Network { first, bits: bits.trim().parse().unwrap_or(all).min(all) })
    }

    fn has(self, text: &str) -> bool {
        let Some(other) = Network::read(text) else { return false };
        let number = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let (mine, theirs) = (self.first.to_canonical(), other.first.to_canonical());
        let apart = number(mine) ^ number(theirs);
        mine.is_ipv4() == theirs.is_ipv4() && (self.bits == 0 || apart >> (128 - self.bits) == 0)
    }
}

/// The hashes by which a person's rows may be remembered. Those of a network's addresses are too many.
fn traces(email: Option<&str>, ip: Option<&str>) -> Json {
    let mut hashes = Vec::new();
    if let Some(address) = ip.and_then(|ip| ip.split('/').next()?.parse::<IpAddr>().ok()) {
        hashes.push(memory::hash_of(TraceKind::Ip, &address.to_canonical().to_string()));
    }
    if let Some(email) = email {
        hashes.push(memory::hash_of(TraceKind::Author, &format!("email {email}")));
    }
    json!(hashes)
}

const HASHES: &str =
    "ARRAY(SELECT h::bigint FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) h)";

/// Forgets rows by their traces, with the other traces of the same rows.
fn forget(hashes: &Json) -> usize {
    let args = [Arg::Text(&hashes.to_string())];
    let others = spi::write(
        &format!(
            "DELETE FROM spamcheck._seen s
              USING (SELECT DISTINCT k.protection, k.key FROM spamcheck._seen k WHERE k.hash = ANY ({HASHES}) AND k.key <> '') k
              WHERE s.protection = k.protection AND s.key = k.key"
        ),
        &args,
    );
    let rest =
        spi::write(&format!("DELETE FROM spamcheck._seen s WHERE s.hash = ANY ({HASHES})"), &args);
    others + rest
}

fn remembered(hashes: &Json) -> Option<i64> {
    let query = format!(
        "SELECT convert_to(count(*)::text, 'UTF8') FROM spamcheck._seen s WHERE s.hash = ANY ({HASHES})"
    );
    spi::json_once(&query, &[Arg::Text(&hashes.to_string())])
}

/// Entries of lists that are the address itself.
fn listed(args: &[Arg<'_>]) -> Option<i64> {
    spi::json_now(
        "SELECT convert_to(count(*)::text, 'UTF8') FROM spamcheck.list_entry e
          WHERE e.value <> '' AND (lower(e.value) IN (convert_from($1, 'UTF8'), convert_from($2, 'UTF8'))
             OR convert_from($1, 'UTF8') <> '' AND strpos(lower(replace(e.value, '\\', '')), convert_from($1, 'UTF8')) > 0)",
        args,
    )
}
