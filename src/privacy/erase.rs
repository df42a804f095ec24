//! erase_subject(): a person's data goes out of everything that the extension keeps, and what is left is
//! counted again by the same conditions. Owns the list of those places. The protected tables are the app's;
//! the lists are what moderators decided to keep out; both are left alone, and the lists are told of.

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};
use spamcheck_engine::surroundings::TraceKind;

use crate::spi::{self, Arg};
use crate::{memory, rights, settings};

/// A place: what it is called, the table, where its rows `t` have the person's e-mail address, and the
/// condition on those rows. `$1` is a JSON array of the texts there that are the address, `$2` the IP address
/// or network or empty.
struct Place {
    name: &'static str,
    table: &'static str,
    email: &'static str,
    condition: &'static str,
}

/// Fields of a submission that is kept as JSON. `{ips}` stands for the texts there that are the address.
const IN_SUBMISSION: &str = "(convert_from($1, 'UTF8')::jsonb ? (t.submission ->> 'email')
     OR convert_from($2, 'UTF8') <> '' AND t.submission ->> 'ip' IN ({ips}))";

/// Columns of a row that has them.
const IN_COLUMNS: &str = "(convert_from($1, 'UTF8')::jsonb ? t.email
     OR convert_from($2, 'UTF8') <> '' AND t.ip <<= nullif(convert_from($2, 'UTF8'), '')::inet)";

const PLACES: [Place; 5] = [
    // All findings on a submission have the same sender.
    Place { name: "log", table: "spam_checklog", email: "t.email", condition: IN_COLUMNS },
    Place {
        name: "lookups",
        table: "lookup",
        email: "t.submission ->> 'email'",
        condition: IN_SUBMISSION,
    },
    Place {
        name: "checked",
        table: "_checked",
        email: "t.submission ->> 'email'",
        condition: IN_SUBMISSION,
    },
    Place { name: "mail", table: "_mail", email: "t.email", condition: IN_COLUMNS },
    Place {
        name: "history",
        table: "subscription_history",
        email: "t.subscriber",
        condition: "convert_from($1, 'UTF8')::jsonb ? t.subscriber AND convert_from($2, 'UTF8') IS NOT NULL",
    },
];

/// An e-mail address as it is compared: without white space around it, in lower case, and if it comes with a
/// name, `Ann <ann@example.com>`, without that. The server's lower() knows ASCII alone in many locales.
pub fn folded(email: &str) -> String {
    let email = email.trim();
    let bare = email.strip_suffix('>').and_then(|named| named.rsplit_once('<'));
    bare.map_or(email, |(_, bare)| bare.trim()).to_lowercase()
}

/// The longest part of a folded address that is ASCII: every text that is the address has it, whatever the
/// locale makes of the rest.
fn ascii_part(email: &str) -> String {
    let parts = email.split(|c: char| !c.is_ascii());
    // The dotted I in lower case is an i and a dot of its own.
    let parts = parts.map(|part| part.strip_suffix('i').unwrap_or(part));
    parts.max_by_key(|part| part.len()).unwrap_or_default().to_owned()
}

/// An expression with its ASCII letters in lower case.
fn ascii_lower(text: &str) -> String {
    format!("translate({text}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')")
}

/// The texts in a place that are the address, as a JSON array.
fn spellings(place: &Place, email: Option<&str>) -> String {
    let Some(email) = email else { return "[]".to_owned() };
    let query = format!(
        "SELECT convert_to(coalesce(json_agg(DISTINCT {column}), '[]')::text, 'UTF8') FROM spamcheck.{} t
          WHERE strpos({lower}, convert_from($1, 'UTF8')) > 0",
        place.table,
        column = place.email,
        lower = ascii_lower(place.email),
    );
    let like: Vec<String> =
        spi::json_once(&query, &[Arg::Text(&ascii_part(email))]).unwrap_or_default();
    let theirs: Vec<String> = like.into_iter().filter(|text| folded(text) == email).collect();
    json!(theirs).to_string()
}

/// Erases a person's data: what was erased, what is left, and what stays. The address is [`folded`].
pub fn subject(email: Option<&str>, ip: Option<&str>) -> Json {
    let network = ip.and_then(Network::read);
    let ip_text = ip.unwrap_or_default();
    rights::as_extension(|| {
        let (mut erased, mut left) = (Map::new(), Map::new());
        let traces = traces(email, ip);
        erased.insert("memory".into(), json!(forget(&traces)));
        for place in &PLACES {
            let Some(condition) = condition(place, network) else { continue };
            let spellings = spellings(place, email);
            let statement = format!("DELETE FROM spamcheck.{} t WHERE {condition}", place.table);
            let gone = spi::write(&statement, &[Arg::Text(&spellings), Arg::Text(ip_text)]);
            erased.insert(place.name.into(), json!(gone));
        }
        for place in &PLACES {
            let Some(condition) = condition(place, network) else { continue };
            let spellings = spellings(place, email);
            let query = format!(
                "SELECT convert_to(count(*)::text, 'UTF8') FROM spamcheck.{} t WHERE {condition}",
                place.table
            );
            let args = [Arg::Text(&spellings), Arg::Text(ip_text)];
            left.insert(place.name.into(), json!(spi::json_once::<i64>(&query, &args)));
        }
        left.insert("memory".into(), json!(remembered(&traces)));
        json!({ "erased": erased, "left": left, "stays": {
            "list_entries": listed(email, ip_text),
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

/// Entries of lists that are the address itself, or a pattern that is made of it.
fn listed(email: Option<&str>, ip: &str) -> usize {
    let part = email.map(ascii_part);
    let query = format!(
        "SELECT convert_to(coalesce(json_agg(e.value), '[]')::text, 'UTF8') FROM spamcheck.list_entry e
          WHERE e.value = convert_from($2, 'UTF8')
             OR strpos({}, nullif(convert_from($1, 'UTF8'), '')) > 0",
        ascii_lower("replace(e.value, E'\\\\', '')")
    );
    let args = [Arg::Text(part.as_deref().unwrap_or_default()), Arg::Text(ip)];
    let values: Vec<String> = spi::json_once(&query, &args).unwrap_or_default();
    let theirs = |value: &&String| {
        let plain = value.to_lowercase().replace('\\', "");
        !value.is_empty() && (*value == ip || email.is_some_and(|email| plain.contains(email)))
    };
    values.iter().filter(theirs).count()
}
