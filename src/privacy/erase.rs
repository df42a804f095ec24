//! erase_subject(): a person's data goes out of everything that the extension keeps, and what is left is
//! counted again by the same conditions. Owns the list of those places. The protected tables are the app's;
//! the lists are what moderators decided to keep out; both are left alone, and the lists are told of.

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};
use spamcheck_engine::surroundings::TraceKind;
use spamcheck_engine::{facts, networks};

use crate::lookups::{self, Claimed};
use crate::privacy::held;
use crate::spi::{self, Arg};
use crate::{memory, rights, settings};

/// A place: what it is called, the table, and where its rows `t` have a person's addresses.
struct Place {
    name: &'static str,
    table: &'static str,
    /// The e-mail address, an expression.
    email: &'static str,
    /// The IP address as a column of type inet.
    inet: Option<&'static str>,
    /// The IP address as somebody wrote it: something to select from, whose column is text.
    written: Option<&'static str>,
}

/// A submission that is kept as JSON.
const IN_SUBMISSION: Option<&str> = Some("unnest(ARRAY[t.submission ->> 'ip'])");

/// Beside that, what the log notes of a text that is no address: of several, say, as X-Forwarded-For has them.
const IN_LOG: Option<&str> = Some(
    "(SELECT t.submission ->> 'ip' UNION ALL
      SELECT jsonb_array_elements_text(t.detail -> 'notes') WHERE jsonb_typeof(t.detail -> 'notes') = 'array')",
);

/// What the log puts around such a text.
const NOTED: (&str, &str) = ("ip: \"", "\" is not an address");

/// Characters of it that a note has.
const NOTED_CHARS: usize = 50;

const LOOKUPS: Place = Place {
    name: "lookups",
    table: "lookup",
    email: "t.submission ->> 'email'",
    inet: None,
    written: IN_SUBMISSION,
};

const LOG: Place = Place {
    name: "log",
    table: "spam_checklog",
    email: "t.email",
    inet: Some("t.ip"),
    written: IN_LOG,
};

const PLACES: [Place; 5] = [
    // All findings on a submission have the same sender.
    LOG,
    LOOKUPS,
    Place { name: "checked", table: "_checked", ..LOOKUPS },
    Place { name: "mail", table: "_mail", email: "t.email", inet: Some("t.ip"), written: None },
    Place {
        name: "history",
        table: "subscription_history",
        email: "t.subscriber",
        inet: None,
        written: None,
    },
];

/// An e-mail address as it is compared: without white space around it, in lower case, and if it comes with a
/// name, `Ann <ann@example.com>`, without that. The server's lower() knows ASCII alone in many locales.
pub fn folded(email: &str) -> String {
    let email = email.trim();
    let bare = email.strip_suffix('>').and_then(|named| named.rsplit_once('<'));
    bare.map_or(email, |(_, bare)| bare.trim()).to_lowercase()
}

/// The addresses in a text that stands where one should be, [`folded`]; of several, each.
fn addressees(text: &str) -> impl Iterator<Item = String> {
    text.split([',', ';']).map(|one| {
        let one = folded(one);
        one.strip_prefix("mailto:").map(str::to_owned).unwrap_or(one)
    })
}

/// Whether a text, in lower case, has the address in it as a whole.
fn mentions(text: &str, email: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '%' | '+' | '-');
    text.match_indices(email).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + email.len()..].chars();
        let longer = match after.next() {
            Some('.') => after.next().is_some_and(char::is_alphanumeric),
            next => next.is_some_and(inside),
        };
        !longer && !before.is_some_and(|c| inside(c) || c == '.')
    })
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

/// Whose data it is: an e-mail address, which is [`folded`], an IP address or a network, or both.
struct Person<'a> {
    email: Option<&'a str>,
    /// As the server writes it.
    ip: Option<&'a str>,
}

/// What a place has of a person: JSON arrays of the texts there that are the e-mail and the IP address.
struct Theirs {
    emails: String,
    ips: String,
    network: String,
}

impl Theirs {
    fn args(&self) -> [Arg<'_>; 3] {
        [Arg::Text(&self.emails), Arg::Text(&self.ips), Arg::Text(&self.network)]
    }
}

impl Place {
    /// The condition on the rows that are a person's, whose parameters are [`Theirs::args`].
    fn condition(&self) -> String {
        let mut any = vec![format!("convert_from($1, 'UTF8')::jsonb ? ({})", self.email)];
        any.extend(
            self.inet
                .map(|column| format!("{column} <<= nullif(convert_from($3, 'UTF8'), '')::inet")),
        );
        any.extend(self.written.map(|from| {
            format!(
                "EXISTS (SELECT FROM {from} w(text) WHERE convert_from($2, 'UTF8')::jsonb ? w.text)"
            )
        }));
        format!("({})", any.join(" OR "))
    }

    fn theirs(&self, person: &Person<'_>) -> Theirs {
        let network = person.ip.and_then(|ip| networks::parse(ip).ok());
        let ips = match (&network, self.written) {
            (Some(network), Some(from)) => {
                let written: Vec<String> = spi::json_once(
                    &format!(
                        "SELECT convert_to(coalesce(json_agg(DISTINCT w.text), '[]')::text, 'UTF8')
                           FROM spamcheck.{} t CROSS JOIN LATERAL {from} w(text) WHERE w.text IS NOT NULL",
                        self.table
                    ),
                    &[],
                )
                .unwrap_or_default();
                let within = |ip| network.contains(ip);
                written.into_iter().filter(|text| addresses(text).any(within)).collect()
            }
            _ => Vec::new(),
        };
        Theirs {
            emails: spellings(self, person.email),
            ips: json!(ips).to_string(),
            network: network.map(|network| network.to_string()).unwrap_or_default(),
        }
    }
}

/// The addresses in a text that stands where one should be, as checks read it; of several, each.
fn addresses(text: &str) -> impl Iterator<Item = IpAddr> {
    let noted = text.strip_prefix(NOTED.0).and_then(|text| text.strip_suffix(NOTED.1));
    let text = match noted {
        // The last one may be cut.
        Some(noted) if noted.chars().count() >= NOTED_CHARS => {
            noted.rsplit_once(',').map_or("", |(whole, _)| whole)
        }
        Some(noted) => noted,
        None => text,
    };
    text.split(',').filter_map(facts::address)
}

/// What an expression over the rows `t` of a table gives, each text once, where the address may be in it: as far
/// as the server can tell.
fn texts_with(table: &str, expression: &str, email: &str) -> Vec<String> {
    let query = format!(
        "SELECT convert_to(coalesce(json_agg(DISTINCT {expression}), '[]')::text, 'UTF8') FROM spamcheck.{table} t
          WHERE strpos({}, convert_from($1, 'UTF8')) > 0",
        ascii_lower(expression),
    );
    spi::json_once(&query, &[Arg::Text(&ascii_part(email))]).unwrap_or_default()
}

/// The texts in a place that are the e-mail address, as a JSON array.
fn spellings(place: &Place, email: Option<&str>) -> String {
    let Some(email) = email else { return "[]".to_owned() };
    let like = texts_with(place.table, place.email, email);
    let theirs: Vec<String> =
        like.into_iter().filter(|text| addressees(text).any(|one| one == email)).collect();
    json!(theirs).to_string()
}

/// Erases a person's data: what was erased, what is left, which rows were released, and what stays. The
/// e-mail address is [`folded`].
pub fn subject(email: Option<&str>, ip: Option<&str>) -> Json {
    let person = Person { email, ip };
    // Nobody will answer for them any more.
    let freed = held::release(rights::as_extension(|| holding(&person)));
    rights::as_extension(|| {
        let (mut erased, mut left) = (Map::new(), Map::new());
        let traces = traces(&person);
        erased.insert("memory".into(), json!(forget(&traces)));
        // Their subscribers may be named by a number: what became of them tells of the person no less.
        let (linked, others) = linked(&person);
        let unlinked = spi::write(UNLINK, &[Arg::Text(&linked)]);
        for place in &PLACES {
            let theirs = place.theirs(&person);
            let condition = place.condition();
            let statement = format!("DELETE FROM spamcheck.{} t WHERE {condition}", place.table);
            let mut gone = spi::write(&statement, &theirs.args());
            if place.name == "history" {
                gone += unlinked;
            }
            erased.insert(place.name.into(), json!(gone));
        }
        for place in &PLACES {
            let theirs = place.theirs(&person);
            let query = format!(
                "SELECT convert_to(count(*)::text, 'UTF8') FROM spamcheck.{} t WHERE {}",
                place.table,
                place.condition()
            );
            left.insert(place.name.into(), json!(spi::json_once::<i64>(&query, &theirs.args())));
        }
        left.insert("memory".into(), json!(remembered(&traces)));
        json!({ "erased": erased, "left": left, "released": freed.released, "stays": {
            "held_rows": freed.held,
            "mentions": mentioned(email),
            "history": others,
            "list_entries": listed(email, ip.unwrap_or_default()),
            "log_file": settings::log_file().is_some(),
        }})
    })
}

/// The entries of the history of subscriptions that findings on the person's submissions made, as a JSON array of
/// their ids; and how many others there are of the same subscribers, who may be other people.
fn linked(person: &Person<'_>) -> (String, i64) {
    let query = format!(
        "WITH linked AS MATERIALIZED (
             SELECT h.id, h.subscriber, h._protection FROM spamcheck.subscription_history h
              WHERE h.log_id IN (SELECT t.id FROM spamcheck.spam_checklog t WHERE {}))
         SELECT convert_to(json_build_array(
                    coalesce((SELECT json_agg(l.id) FROM linked l), '[]'),
                    (SELECT count(*) FROM spamcheck.subscription_history h
                      WHERE (h.subscriber, h._protection) IN (SELECT l.subscriber, l._protection FROM linked l)
                        AND h.id NOT IN (SELECT l.id FROM linked l)
                        AND NOT convert_from($1, 'UTF8')::jsonb ? h.subscriber))::text, 'UTF8')",
        LOG.condition()
    );
    let theirs = LOG.theirs(person);
    let (linked, others): (Json, i64) =
        spi::json_once(&query, &theirs.args()).unwrap_or((json!([]), 0));
    (linked.to_string(), others)
}

const UNLINK: &str = "DELETE FROM spamcheck.subscription_history h
          WHERE h.id IN (SELECT e::bigint FROM jsonb_array_elements_text(convert_from($1, 'UTF8')::jsonb) e)";

/// What is left in which the e-mail address is part of a text: what others wrote, or a column that is not known
/// to hold addresses. A person has to look at it.
fn mentioned(email: Option<&str>) -> usize {
    let Some(email) = email else { return 0 };
    let texts = |place: &Place| {
        let like = texts_with(place.table, "to_jsonb(t)::text", email);
        like.iter().filter(|text| mentions(&text.to_lowercase(), email)).count()
    };
    PLACES.iter().map(texts).sum()
}

/// A person's lookups that hold their rows, locked: the worker settles them before, or finds them gone.
fn holding(person: &Person<'_>) -> Vec<Claimed> {
    let query = format!(
        "SELECT convert_to(coalesce(json_agg(t.id), '[]')::text, 'UTF8') FROM spamcheck.lookup t WHERE t._held AND {}",
        LOOKUPS.condition()
    );
    let ids: Vec<i64> = spi::json_once(&query, &LOOKUPS.theirs(person).args()).unwrap_or_default();
    if ids.is_empty() { Vec::new() } else { lookups::lock_holding(&ids) }
}

/// The hashes by which a person's rows may be remembered. Those of a network's addresses may be too many.
fn traces(person: &Person<'_>) -> Json {
    let mut hashes = Vec::new();
    if let Some(network) = person.ip.and_then(|ip| networks::parse(ip).ok()) {
        let bits = if network.is_ipv4() { 32 } else { 128 };
        if bits - network.prefix() <= MOST_BITS {
            let addresses = network.iter().map(|ip| ip.to_canonical().to_string());
            hashes.extend(addresses.map(|ip| memory::hash_of(TraceKind::Ip, &ip)));
        }
    }
    if let Some(email) = person.email {
        hashes.push(memory::hash_of(TraceKind::Author, &format!("email {email}")));
    }
    json!(hashes)
}

/// The largest network, as the number of bits that differ, whose addresses are forgotten one by one.
const MOST_BITS: u8 = 16;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_as_a_whole_only() {
        let mentioned = |text: &str| mentions(text, "a.b@x.org");
        for text in [
            "a.b@x.org",
            "write to <a.b@x.org>.",
            "\"a.b@x.org\",",
            "mailto:a.b@x.org?x",
            "(a.b@x.org)",
        ] {
            assert!(mentioned(text), "{text}");
        }
        for text in ["aa.b@x.org", "z-a.b@x.org", "a.b@x.org.uk", "a.b@x.organic", "a.b@y.org", ""]
        {
            assert!(!mentioned(text), "{text}");
        }
    }

    #[test]
    fn each_of_several_addressees_is_read() {
        let all: Vec<String> =
            addressees("\"B, A\" <A_B@X.org>; mailto:c@x.org, d@x.org ").collect();
        for one in ["a_b@x.org", "c@x.org", "d@x.org"] {
            assert!(all.iter().any(|a| a == one), "{one}: {all:?}");
        }
    }
}
