//! Where lists are fetched from: which is due, and what a fetch does to its entries. Owns every statement
//! about that; when the worker fetches, and what comes back, is worker/feeds.rs's.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::json;
use spamcheck_engine::Refusal;
use spamcheck_engine::import::Sifted;
use spamcheck_engine::lists::ListKind;

use crate::calls;
use crate::references;
use crate::restore;
use crate::rights;
use crate::row;
use crate::spi::{self, Arg};

/// The fewest fetched entries for which a shrink is worth a person's look.
const FEW: usize = 10;

/// Number and hash of the fetched entries of a list `l`: what a source says has not changed is not fetched,
/// and must still be there then.
macro_rules! contents {
    () => {
        "(SELECT count(*) || ' ' || coalesce(sum(hashtextextended(e.value, 0)::numeric), 0)
            FROM spamcheck.list_entry e WHERE e.list = l.name AND e._fetched)"
    };
}

/// Lines that were left out and are shown.
const SHOWN: usize = 3;

/// A list's source was set, or it is to be fetched again. In a restore its entries are still to come: who
/// fetched now would write them first.
pub fn changed(list: &str) {
    if restore::running() {
        rights::as_extension(|| {
            spi::write(
                "INSERT INTO spamcheck._source AS s (list, url, next_at)
                 SELECT convert_from($1, 'UTF8'), '', clock_timestamp() + interval '1 hour'
                 ON CONFLICT (list) DO UPDATE SET next_at = excluded.next_at",
                &[Arg::Text(list)],
            )
        });
    } else {
        rights::as_extension(|| {
            spi::write(
                "UPDATE spamcheck._source s SET next_at = '-infinity', failures = 0 WHERE s.list = convert_from($1, 'UTF8')",
                &[Arg::Text(list)],
            )
        });
    }
    calls::lists_to_fetch();
}

/// A list has another name: what is known of its source is known of it still.
pub fn renamed(old: &str, new: &str) {
    rights::as_extension(|| {
        spi::write(
            "DELETE FROM spamcheck._source s WHERE s.list = convert_from($1, 'UTF8')",
            &[Arg::Text(new)],
        );
        spi::write(
            "UPDATE spamcheck._source s SET list = convert_from($2, 'UTF8') WHERE s.list = convert_from($1, 'UTF8')",
            &[Arg::Text(old), Arg::Text(new)],
        );
    });
}

/// The list that is due next.
#[derive(Deserialize)]
pub struct Source {
    /// The list.
    pub list: String,
    /// Its kind.
    pub kind: ListKind,
    /// Where it is fetched from.
    pub url: String,
    /// Seconds until it is due; below zero: it is.
    pub due: f64,
    /// The ETag of what is in it.
    pub etag: Option<String>,
    /// The Last-Modified of what is in it.
    pub last_modified: Option<String>,
}

/// The list that is due next; None: none ever is.
pub fn next() -> Option<Source> {
    rights::as_extension(|| {
        spi::json_now(
            concat!(
                "SELECT convert_to((to_jsonb(l) || CASE
                      WHEN l.due > 0 OR coalesce(l.etag, l.last_modified) IS NULL THEN '{}'
                      WHEN l.contents = ",
                contents!(),
                " THEN '{}' ELSE '{\"etag\":null,\"last_modified\":null}' END::jsonb)::text, 'UTF8')
               FROM (SELECT l.name, l.name AS list, l.kind, l.source_url AS url, s.etag, s.last_modified, s.contents,
                            extract(epoch FROM w.at - clock_timestamp()) AS due
                       FROM spamcheck.list l
                       LEFT JOIN spamcheck._source n ON n.list = l.name
                       -- What is known of another place says nothing about this one.
                       LEFT JOIN spamcheck._source s ON s.list = l.name AND s.url = l.source_url AND l.refreshed_at IS NOT NULL
                      CROSS JOIN LATERAL (SELECT greatest('1970-01-01', coalesce(n.next_at,
                            CASE WHEN l.refreshed_at IS NULL THEN '-infinity'
                                 WHEN l.refresh IS NULL THEN 'infinity'
                                 ELSE least(l.refreshed_at, clock_timestamp()) + l.refresh END)) AS at) w
                      WHERE l.source_url IS NOT NULL AND isfinite(w.at)
                      ORDER BY w.at LIMIT 1) l"
            ),
            &[],
        )
    })
}

/// What became of a fetch.
pub enum Outcome {
    /// The place says that nothing has changed.
    Same,
    /// What there is now.
    Fetched {
        /// The entries, and what is none.
        sifted: Sifted,
        /// The ETag that came with it.
        etag: Option<String>,
        /// The Last-Modified that came with it.
        last_modified: Option<String>,
    },
    /// Nothing that could be used: a sentence.
    Failed(String),
}

#[derive(Deserialize)]
struct Stored {
    url: Option<String>,
    /// Whether it was never fetched, or is to be taken as it comes. Who says so speaks of the next fetch: if
    /// that fails, what comes after an outage is looked at again.
    anew: bool,
    failures: i32,
}

/// Writes down what became of a fetch; in the transaction at hand. What was changed meanwhile by somebody
/// else is fetched again.
pub fn settle(source: &Source, outcome: Outcome) {
    references::without_checks(|| {
        let stored: Option<Stored> = spi::write_returning(
            "SELECT convert_to(to_jsonb(l)::text, 'UTF8')
               FROM (SELECT l.source_url AS url,
                            l.refreshed_at IS NULL AND coalesce(s.failures, 0) = 0 OR coalesce(s.url NOT IN ('', l.source_url), false) AS anew,
                            coalesce(s.failures, 0) AS failures
                       FROM spamcheck.list l LEFT JOIN spamcheck._source s ON s.list = l.name
                      WHERE l.name = convert_from($1, 'UTF8') FOR NO KEY UPDATE OF l) l",
            &[Arg::Text(&source.list)],
        )
        .into_iter()
        .flatten()
        .next()
        .and_then(|text| serde_json::from_str(&text).ok());
        let Some(stored) = stored.filter(|stored| stored.url.as_ref() == Some(&source.url)) else {
            return;
        };
        match outcome {
            Outcome::Same => {
                let (etag, modified) = (source.etag.clone(), source.last_modified.clone());
                note(source, None, Noted::Same, (etag, modified));
            }
            Outcome::Failed(why) => fail(source, &stored, &why),
            Outcome::Fetched { mut sifted, etag, last_modified } => {
                leave_out_misfits(&mut sifted);
                let taken = if sifted.entries.len() > sifted.junk {
                    take(source, &stored, &sifted.entries)
                } else {
                    Err(left_out(&sifted).unwrap_or_default())
                };
                match taken {
                    Err(why) => fail(source, &stored, &why),
                    Ok(()) => {
                        note(source, left_out(&sifted), Noted::Fetched, (etag, last_modified));
                    }
                }
            }
        }
    });
}

/// Texts that the database's encoding lacks are no entries: what is stored instead of such characters would
/// be another word, or a pattern of question marks.
fn leave_out_misfits(sifted: &mut Sifted) {
    let Sifted { entries, junk, examples } = sifted;
    let all = entries.join("\n");
    if row::fitting(&all) == all {
        return;
    }
    entries.retain(|entry| {
        let fits = row::fitting(entry) == entry.as_str();
        if !fits {
            *junk += 1;
            if examples.len() < SHOWN {
                let entry = row::fitting(&Refusal::quote(entry)).into_owned();
                examples.push(format!("{entry} has characters that the database's encoding lacks"));
            }
        }
        fits
    });
}

fn left_out(sifted: &Sifted) -> Option<String> {
    (sifted.junk > 0).then(|| {
        format!(
            "{} of {} lines are no entries and were left out: {}",
            sifted.junk,
            sifted.junk + sifted.entries.len(),
            sifted.examples.join("; ")
        )
    })
}

fn fail(source: &Source, stored: &Stored, why: &str) {
    let (etag, modified) = (source.etag.clone(), source.last_modified.clone());
    let failures = stored.failures.saturating_add(1);
    note(source, Some(why.to_owned()), Noted::Failed { failures }, (etag, modified));
}

/// How a fetch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    Fetched,
    Same,
    Failed { failures: i32 },
}

/// Notes when the list was fetched and when it is next: after `refresh`, or after a failure sooner, a minute
/// at first and twice as long each time. A source that is down is asked each hour at most, however short the
/// `refresh`.
fn note(
    source: &Source,
    error: Option<String>,
    how: Noted,
    (etag, last_modified): (Option<String>, Option<String>),
) {
    // What others wrote must not do anything where it is read.
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let error: Option<String> = error.map(|error| error.chars().map(shown).collect());
    let (refreshed, failures) = match how {
        Noted::Failed { failures } => (false, failures),
        Noted::Fetched | Noted::Same => (true, 0),
    };
    let noted = json!({
        "list": source.list, "url": source.url, "error": error, "refreshed": refreshed,
        "fetched": how == Noted::Fetched, "failures": failures, "etag": etag, "last_modified": last_modified,
        "pause": 60_u32 << failures.saturating_sub(1).clamp(0, 9),
    });
    spi::write_json(
        concat!("WITH n AS (SELECT * FROM jsonb_to_record(convert_from($1, 'UTF8')::jsonb)
                          AS n(list text, url text, error text, refreshed boolean, fetched boolean, failures integer, etag text,
                               last_modified text, pause integer)),
              listed AS (
                  UPDATE spamcheck.list l
                     SET last_error = n.error,
                         refreshed_at = CASE WHEN n.refreshed THEN clock_timestamp() ELSE l.refreshed_at END
                    FROM n WHERE l.name = n.list
                  RETURNING l.name, l.refresh)
         INSERT INTO spamcheck._source AS s (list, url, next_at, failures, etag, last_modified, contents)
         SELECT n.list, n.url,
                CASE WHEN n.refreshed THEN coalesce(clock_timestamp() + l.refresh, 'infinity')
                     ELSE clock_timestamp() + least(n.pause * interval '1 second', greatest(coalesce(l.refresh, interval '1 day'), interval '1 hour')) END,
                n.failures, n.etag, n.last_modified, CASE WHEN n.fetched THEN ", contents!(), " END
           FROM n JOIN listed l ON l.name = n.list
         ON CONFLICT (list) DO UPDATE
            SET url = excluded.url, next_at = excluded.next_at, failures = excluded.failures,
                etag = excluded.etag, last_modified = excluded.last_modified,
                contents = coalesce(excluded.contents, s.contents)"),
        &noted.to_string(),
    );
    spi::write(
        "DELETE FROM spamcheck._source s WHERE NOT EXISTS (SELECT FROM spamcheck.list l WHERE l.name = s.list)",
        &[],
    );
}

/// Makes the fetched entries those that the source has now: only the difference is written. What was added
/// by hand stays, also where the source has it, too.
fn take(source: &Source, stored: &Stored, entries: &[String]) -> Result<(), String> {
    let list = Arg::Text(&source.list);
    let there: HashSet<String> = spi::texts_now(
        "SELECT convert_to(e.value, 'UTF8') FROM spamcheck.list_entry e
          WHERE e.list = convert_from($1, 'UTF8') AND e._fetched",
        &[list],
    )
    .into_iter()
    .flatten()
    .collect();
    if !stored.anew && there.len() >= FEW && entries.len() * 2 < there.len() {
        return Err(format!(
            "it has {} entries, and it had {}: somebody should look whether that is right. UPDATE spamcheck.list SET refreshed_at = NULL WHERE name = '{}' takes them",
            entries.len(),
            there.len(),
            source.list.replace('\'', "''")
        ));
    }
    let now: HashSet<&str> = entries.iter().map(String::as_str).collect();
    let gone: Vec<&str> =
        there.iter().map(String::as_str).filter(|entry| !now.contains(entry)).collect();
    let new: Vec<&str> =
        entries.iter().map(String::as_str).filter(|entry| !there.contains(*entry)).collect();
    if !gone.is_empty() {
        spi::write(
            "DELETE FROM spamcheck.list_entry e WHERE e.list = convert_from($1, 'UTF8') AND e._fetched
                AND e.value = ANY (string_to_array(convert_from($2, 'UTF8'), E'\\n'))",
            &[list, Arg::Text(&row::fitting(&gone.join("\n")))],
        );
    }
    if !new.is_empty() {
        spi::write(
            "INSERT INTO spamcheck.list_entry (list, value, _fetched)
             SELECT convert_from($1, 'UTF8'), x.value, true
               FROM unnest(string_to_array(convert_from($2, 'UTF8'), E'\\n')) x(value)
             ON CONFLICT (list, value) DO NOTHING",
            &[list, Arg::Text(&row::fitting(&new.join("\n")))],
        );
    }
    Ok(())
}
